//! The one place that chooses where atomics, mutexes and fences come from.
//!
//! Under `--cfg loom` the model checker's versions are used, so that the very code of the latch, the
//! gate, the buffer pool, the log's ring and its commits is what loom explores. The words of frames and of
//! the ring never go through here: they are plain `core` atomics, because loom cannot hold that many.

#![forbid(unsafe_code)]

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard, OnceLock,
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

/// As much of `OnceLock` as is needed here; the model checker has none.
#[cfg(loom)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    is_set: Mutex<bool>,
    set: Condvar,
}

#[cfg(loom)]
impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        OnceLock { value: std::sync::OnceLock::new(), is_set: Mutex::new(false), set: Condvar::new() }
    }
}

#[cfg(loom)]
impl<T> OnceLock<T> {
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let mut is_set = self.is_set.lock().expect("no panic");
        self.value.set(value)?;
        *is_set = true;
        self.set.notify_all();
        Ok(())
    }

    pub(crate) fn wait(&self) -> &T {
        let mut is_set = self.is_set.lock().expect("no panic");
        while !*is_set {
            is_set = self.set.wait(is_set).expect("no panic");
        }
        self.value.get().expect("it is set")
    }
}
