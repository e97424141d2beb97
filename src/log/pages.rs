//! Which lap of the ring each page was last written in, for the model checker: who copies a page must find
//! the lap that he copies, not what was there before and not what has come since. Outside models this is
//! nothing, and costs nothing.
//!
//! A page is the unit because groups end at one: what is copied and what is appended never share any.
//!
//! Must not know: what a page holds.

#![forbid(unsafe_code)]

#[cfg(loom)]
use crate::{
    backend::{PAGE_BYTES, RING_BYTES},
    sync::{AtomicU64, Ordering},
};

/// See the head of this file.
pub(super) struct Pages {
    #[cfg(loom)]
    laps: Vec<AtomicU64>,
}

#[cfg(not(loom))]
impl Pages {
    pub(super) fn new() -> Self {
        Pages {}
    }

    #[inline(always)]
    pub(super) fn written(&self, _position: u64, _bytes: usize) {}

    #[inline(always)]
    pub(super) fn copied(&self, _position: u64, _bytes: usize) {}
}

#[cfg(loom)]
impl Pages {
    pub(super) fn new() -> Self {
        Pages { laps: (0..RING_BYTES / PAGE_BYTES).map(|_| AtomicU64::new(0)).collect() }
    }

    // As weakly as the words themselves are written and read.
    pub(super) fn written(&self, position: u64, bytes: usize) {
        self.laps_of(position, bytes).for_each(|lap| lap.store(lap_of(position), Ordering::Relaxed));
    }

    pub(super) fn copied(&self, position: u64, bytes: usize) {
        for lap in self.laps_of(position, bytes) {
            assert_eq!(lap.load(Ordering::Relaxed), lap_of(position), "a page of another lap was copied");
        }
    }

    /// Those of the first and of the last page: a model of a thousand would take too long. They suffice,
    /// because records are told one by one, and groups begin and end where records do.
    fn laps_of(&self, position: u64, bytes: usize) -> impl Iterator<Item = &AtomicU64> {
        let page_of = |position: u64| (position / PAGE_BYTES as u64) as usize;
        let mut pages = Vec::new();
        if bytes > 0 {
            pages = vec![page_of(position), page_of(position + bytes as u64 - 1)];
            pages.dedup();
        }
        pages.into_iter().map(|page| &self.laps[page % self.laps.len()])
    }
}

/// 1 and up; 0 is a page that was never written.
#[cfg(loom)]
fn lap_of(position: u64) -> u64 {
    position / RING_BYTES as u64 + 1
}
