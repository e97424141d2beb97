//! Everything that all trees share: frames, latches, the gate, blob ids, the numbering of writes.
//!
//! The store knows blobs as frames with versions. It does not know how keys are spread over them.

// Not `forbid`, which would reach down into `frames::reserved`, the one file here that needs unsafe code.
#![deny(unsafe_code)]

pub(crate) mod counters;
pub(crate) mod directory;
pub(crate) mod frames;
pub(crate) mod gate;
pub(crate) mod ids;
pub(crate) mod image;
pub(crate) mod latch;
pub(crate) mod open;
pub(crate) mod residency;
pub(crate) mod scratch;
pub(crate) mod superblock;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::error::Result;
use counters::Counters;
use frames::{Frame, Frames};
use gate::Gate;
use ids::Ids;
use residency::Residency;
use scratch::Scratches;

/// The blob that is always the root of the forest.
pub(crate) const ROOT_BLOB: u32 = 1;

/// The shared state of one open database.
pub(crate) struct Store {
    pub(crate) frames: Frames,
    pub(crate) ids: Ids,
    pub(crate) gate: Gate,
    pub(crate) counters: Counters,
    pub(crate) scratches: Scratches,
    /// Held by whoever changes which keys a blob holds; never while waiting for a write.
    pub(crate) structure: Mutex<()>,
    /// The number of the last write.
    seq: AtomicU64,
    /// The id that the next new tree gets.
    pub(crate) next_tree: AtomicU32,
    pub(crate) database_id: u128,
    /// Where blobs come from that are not in memory; none if all are always there.
    pub(crate) residency: Option<Residency>,
    /// Whether writes are refused.
    pub(crate) read_only: bool,
}

impl Store {
    /// A store without blobs.
    pub(crate) fn new(frames: Frames, database_id: u128) -> Self {
        Store {
            frames,
            ids: Ids::new(),
            gate: Gate::new(),
            counters: Counters::default(),
            scratches: Scratches::new(),
            structure: Mutex::new(()),
            seq: AtomicU64::new(0),
            next_tree: AtomicU32::new(1),
            database_id,
            residency: None,
            read_only: false,
        }
    }

    /// Takes a free blob id and makes sure that its frame exists.
    pub(crate) fn allocate_blob(&self) -> Result<Frame<'_>> {
        let id = self.ids.allocate();
        match self.frames.commit(id) {
            Ok(frame) => {
                if let Some(residency) = &self.residency {
                    residency.count_fresh(frame);
                }
                Ok(frame)
            }
            Err(error) => {
                self.ids.free(id);
                Err(error)
            }
        }
    }

    /// The number of the write that is about to be applied. The caller holds the latch of what it changes,
    /// so numbers and conflicting changes come in the same order.
    #[inline]
    pub(crate) fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.seq.load(Ordering::Relaxed)
    }

    pub(crate) fn set_last_seq(&self, seq: u64) {
        self.seq.store(seq, Ordering::Relaxed);
    }
}
