//! Counts of what happened, for `Db::stats`. Relaxed: they order nothing.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

/// One count.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counts of one store. Only rare events are counted: a lookup that meets no change writes nothing.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) splits: Counter,
    pub(crate) ascending_cuts: Counter,
    pub(crate) shares: Counter,
    pub(crate) joins: Counter,
    pub(crate) grafts: Counter,
    pub(crate) loads: Counter,
    pub(crate) compactions: Counter,
    pub(crate) router_splits: Counter,
    pub(crate) restarts: Counter,
}
