//! The one place that chooses where atomics, mutexes and fences come from.
//!
//! Under `--cfg loom` the model checker's versions are used, so that the very code of the latch, the
//! gate and the buffer pool is what loom explores. Frame memory never goes through here: it is plain
//! `core` atomics, because loom cannot hold 65,536 words per blob.

#![forbid(unsafe_code)]

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Condvar, Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

/// Tells the processor, or the model checker, that this thread is waiting for another.
#[inline]
pub(crate) fn spin_hint() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::hint::spin_loop();
}
