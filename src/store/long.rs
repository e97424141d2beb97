//! What is shared by all who write or take away long values: their numbers, and who may take parts away.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::error::Result;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct LongState {
    /// The id of the last value; 0 before it was looked what there is.
    last_id: AtomicU64,
    preparing: Mutex<()>,
    reclaiming: Mutex<()>,
    /// How often a pointer leaf has come to a key.
    arrivals: AtomicU64,
    /// How many directories were moved away to be taken apart.
    discarded: AtomicU32,
}

impl LongState {
    /// Makes sure that `prepare` was done once: it returns the highest id there is.
    pub(crate) fn prepare(&self, prepare: impl FnOnce() -> Result<u64>) -> Result<()> {
        if self.last_id.load(Ordering::Acquire) != 0 {
            return Ok(());
        }
        let _preparing = self.preparing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.last_id.load(Ordering::Acquire) == 0 {
            self.last_id.store(prepare()?.max(1), Ordering::Release);
        }
        Ok(())
    }

    /// So many ids that nobody has had; the first of them. It was prepared before.
    pub(crate) fn fresh_ids(&self, count: u64) -> u64 {
        self.last_id.fetch_add(count, Ordering::Relaxed) + 1
    }

    /// As many ids as so many bits count, that nobody has had: the first, which is a multiple of their
    /// number. It was prepared before.
    pub(crate) fn fresh_block(&self, bits: u32) -> u64 {
        let first = |last: u64| ((last >> bits) + 1) << bits;
        let mut last = self.last_id.load(Ordering::Relaxed);
        loop {
            let end = first(last) + ((1 << bits) - 1);
            match self.last_id.compare_exchange_weak(last, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return first(last),
                Err(now) => last = now,
            }
        }
    }

    /// While this is held, no parts are taken away.
    pub(crate) fn hold_parts(&self) -> MutexGuard<'_, ()> {
        self.reclaiming.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// To be called inside the gate, where a pointer leaf comes to a key.
    pub(crate) fn count_arrival(&self) {
        self.arrivals.fetch_add(1, Ordering::AcqRel);
    }

    /// With the gate held alone, this is the same as before only if no pointer leaf has come to a key.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Acquire)
    }

    /// A number for the next directory that is taken apart.
    pub(crate) fn next_discarded(&self) -> u32 {
        self.discarded.fetch_add(1, Ordering::Relaxed)
    }
}
