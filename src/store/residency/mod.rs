//! Which blobs are in memory, for a database that has a backend: faults, loading, eviction.
//!
//! A page that is not in memory is a *fault*, and a fault is a value: whoever meets one ends its step, leaves
//! gate and latches, has the fault resolved here, and runs the step again.
//!
//! Invariants:
//! * the pages that are counted are those whose bits are set in the frames, and those that are being loaded;
//!   but not zeros that were read and take no memory, before a checkpoint has stored what was written there;
//! * a page is loaded by one thread at a time;
//! * a page enters a frame only if its checksum is the one that page 0 in this frame, and for page 0 the
//!   directory, has at that moment. So nothing is known, and nothing need be known, of what happened to the
//!   blob while the page was read.
//!
//! Must not know: keys, nodes, routes.

#![forbid(unsafe_code)]

mod claim;
mod evict;
mod load;
mod operation;
mod survey;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::counters::Counter;
use super::directory::Directory;
use super::frames::{Extent, Frame, Pages};
use crate::backend::{Backend, PAGE_BYTES};
use crate::blob::header::BLOB_PAGES;
use claim::Claims;
pub(crate) use load::{FIRST_PAGES_REMOTE, ROOT_PAGES_REMOTE};
pub(crate) use operation::{Faults, Pinned};
pub(crate) use survey::HeaderCounts;

/// What is wanted of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// What a lookup needs to say which leaf it reads: header and inner nodes; all of a router.
    Inner,
    /// These pages of leaves.
    Leaves(Pages),
    Whole,
}

/// Something of a blob that is not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) blob: u32,
    pub(crate) want: Want,
}

impl Fault {
    pub(crate) fn whole(blob: u32) -> Self {
        Fault { blob, want: Want::Whole }
    }

    fn is_resolved(self, frame: Frame<'_>) -> bool {
        match (frame.extent(), self.want) {
            (Extent::Whole, _) => true,
            (Extent::Cold, _) | (_, Want::Whole) => false,
            (Extent::Partial, Want::Inner) => true,
            (Extent::Partial, Want::Leaves(pages)) => pages & !frame.present() == 0,
        }
    }
}

/// The same faults with one for each blob.
pub(crate) fn merge(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by_key(|fault| fault.blob);
    faults.dedup_by(|next, kept| {
        let is_same = next.blob == kept.blob;
        if is_same {
            kept.want = match (kept.want, next.want) {
                (Want::Whole, _) | (_, Want::Whole) => Want::Whole,
                (Want::Leaves(some), Want::Leaves(others)) => Want::Leaves(some | others),
                (Want::Inner, other) | (other, Want::Inner) => other,
            };
        }
        is_same
    });
    faults
}

/// Counts of what happened.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) faults: Counter,
    pub(crate) reads: Counter,
    pub(crate) pages_read: Counter,
    pub(crate) evictions: Counter,
}

/// See the head of this file.
pub(crate) struct Residency {
    backend: Arc<dyn Backend>,
    /// The checksum of every blob's first page as it is stored.
    pub(crate) directory: Directory,
    pub(crate) counts: Counts,
    pub(crate) budget_pages: u64,
    /// Pages that take memory, and those that are being loaded.
    resident_pages: AtomicU64,
    /// Blobs from here on were never in memory.
    end: AtomicU32,
    claims: Claims,
    /// Where eviction goes on. Held while it works.
    hand: Mutex<u32>,
    /// Whether anything was ever evicted.
    evicts: AtomicBool,
    /// Nothing may be read from the backend any more.
    is_cut_off: AtomicBool,
    /// Whether every read is a trip to somewhere else.
    pub(crate) is_remote: bool,
    /// How many frames were made, where they are made when they are loaded.
    frames_made: AtomicU32,
    /// What the headers of blobs count that cannot change, because they are somewhere else.
    counted: Mutex<HashMap<u32, HeaderCounts>>,
    /// Whether what the backend gives is to be compared with checksums.
    pub(super) verifies: bool,
}

impl Residency {
    /// Keeps up to `cache_bytes` of clean pages in memory.
    pub(crate) fn new(backend: Arc<dyn Backend>, directory: Directory, end: u32, cache_bytes: u64) -> Self {
        Residency {
            is_remote: backend.is_remote(),
            frames_made: AtomicU32::new(0),
            counted: Mutex::default(),
            backend,
            directory,
            counts: Counts::default(),
            budget_pages: cache_bytes / PAGE_BYTES as u64,
            resident_pages: AtomicU64::new(0),
            end: AtomicU32::new(end),
            claims: Claims::new(),
            hand: Mutex::new(0),
            evicts: AtomicBool::new(false),
            is_cut_off: AtomicBool::new(false),
            verifies: true,
        }
    }

    /// Where pages come from.
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Lets every fault fail from now on: the database was closed.
    pub(crate) fn cut_off(&self) {
        self.is_cut_off.store(true, Ordering::Release);
    }

    /// Whether blobs that are half-way in are completed: the cache is large enough for all of them, and
    /// bytes that nobody asked for cost little.
    fn completes_blobs(&self) -> bool {
        !self.is_remote
            && u64::from(self.end.load(Ordering::Relaxed)) * BLOB_PAGES as u64 <= self.budget_pages
    }

    /// How much memory frames take that are made when they are loaded, and never given back.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn made_bytes(&self) -> u64 {
        u64::from(self.frames_made.load(Ordering::Relaxed)) * crate::blob::words::BLOB_BYTES as u64
    }

    pub(crate) fn resident_pages(&self) -> u64 {
        self.resident_pages.load(Ordering::Relaxed)
    }

    /// Counts a fresh blob, whose frame is whole; so many pages of what it held before are gone.
    pub(crate) fn count_fresh(&self, frame: Frame<'_>, discarded_pages: u32) {
        self.end.fetch_max(frame.id + 1, Ordering::Relaxed);
        let pages = frame.hold().count_whole();
        self.resident_pages.fetch_add(u64::from(pages), Ordering::Relaxed);
        self.count_discarded(discarded_pages);
    }

    /// These pages were written to, and stored. Of zeros that were read, that makes pages that are in memory.
    pub(crate) fn count_written(&self, frame: Frame<'_>, pages: Pages) {
        self.resident_pages.fetch_add(u64::from(frame.count_written(pages)), Ordering::Relaxed);
    }

    /// So many pages of freed blobs are gone.
    pub(crate) fn count_discarded(&self, pages: u32) {
        self.resident_pages.fetch_sub(u64::from(pages), Ordering::Relaxed);
    }
}
