//! What a database with a backend has beside its frames: the log, and the state of the last checkpoint.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::background::{FLUSH_NOW_BYTES, Signals};
use super::committed::Committed;
use super::counters::Counter;
use super::growth::Growth;
use crate::backend::{Backend, PAGE_BYTES};
use crate::log::ring::SEGMENT_BYTES;
use crate::log::{Appended, Log};

/// When a write is acknowledged.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # use spinney::backend::MemoryBackend;
/// # let backend = std::sync::Arc::new(MemoryBackend::new());
/// # let db = spinney::Db::builder().open_backend(backend)?;
/// use spinney::Durability;
///
/// let files = db.tree("files")?;
/// files.with_durability(Durability::Buffered).put("a", "1")?; // waits for no disk
/// files.with_durability(Durability::Sync).put("b", "2")?; // waits for both
/// assert_eq!(db.stats().log.durable_bytes, db.stats().log.end_bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When it is on stable storage: it survives a power cut. Writers that wait at the same time share one
    /// wait for the disk.
    #[default]
    Sync,
    /// When it is in the ring of the log: it survives the death of the process, where the ring is a mapped
    /// file ([`Stats::io`](crate::Stats::io) says so: ext2 to ext4, XFS, tmpfs, macOS). A power cut costs the
    /// last such writes, never one before another that is kept: those of about 10 milliseconds, or as long as
    /// a slow disk takes for two groups more.
    ///
    /// A write with [`Sync`](Durability::Sync), or [`Db::sync`](crate::Db::sync), makes all before it
    /// durable.
    Buffered,
}

/// Changed pages at which a checkpoint starts, and at which writers wait for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) changed_pages_wanted: u64,
    pub(crate) changed_pages_max: u64,
}

/// Counts of checkpoints.
#[derive(Default)]
pub(crate) struct CheckpointCounters {
    pub(crate) checkpoints: Counter,
    pub(crate) pages: Counter,
    pub(crate) bytes: Counter,
}

/// See the head of this file.
pub(crate) struct Durable {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    pub(crate) signals: Arc<Signals>,
    pub(crate) counters: CheckpointCounters,
    pub(crate) growth: Growth,
    /// Locked while a checkpoint runs.
    committed: Mutex<Committed>,
    /// Set until the log takes records: see `wake`. Cleared while `committed` is locked.
    is_asleep: AtomicBool,
    is_closed: AtomicBool,
    /// Set while `committed` is locked: nothing more is written but by closing.
    has_ended: AtomicBool,
    /// Set while `committed` is locked: the files are complete, and may be another's.
    pub(super) is_let_go: AtomicBool,
    /// A checkpoint has failed while it wrote the journal: nobody knows whether that is complete.
    pub(crate) journal_is_doubtful: AtomicBool,
}

impl Durable {
    pub(crate) fn new(backend: Arc<dyn Backend>, log: Log, limits: Limits, committed: Committed) -> Self {
        Durable {
            backend,
            log,
            limits,
            signals: Arc::default(),
            counters: CheckpointCounters::default(),
            growth: Growth::default(),
            committed: Mutex::new(committed),
            is_asleep: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            is_let_go: AtomicBool::new(false),
            journal_is_doubtful: AtomicBool::new(false),
        }
    }

    pub(crate) fn committed(&self) -> MutexGuard<'_, Committed> {
        self.committed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The same for a log that begins when it is woken.
    pub(crate) fn asleep(self) -> Self {
        Durable { is_asleep: AtomicBool::new(true), ..self }
    }

    /// Whether nothing was written since a closed database was opened, and nothing made for it.
    pub(crate) fn is_asleep(&self) -> bool {
        self.is_asleep.load(Ordering::Acquire)
    }

    /// The log takes records.
    pub(super) fn set_awake(&self) {
        self.is_asleep.store(false, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Refuses writes from now on.
    pub(crate) fn begin_close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Nothing may be written to the files any more. The caller has locked `committed`.
    pub(crate) fn end(&self) {
        self.growth.end();
        self.log.end_segments();
        self.has_ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// After an append: lets the background know what it may have to do.
    #[inline]
    pub(crate) fn appended(&self, appended: Appended, durability: Durability) {
        if durability == Durability::Buffered {
            self.signals.flush_soon(appended.end.saturating_sub(self.log.durable()));
        }
        // The first page of a segment holds no records.
        if appended.end % SEGMENT_BYTES <= PAGE_BYTES as u64 + appended.bytes {
            self.log_has_grown();
        }
    }

    /// Whether so much of the log waits that waiting for more is no use.
    #[inline]
    pub(crate) fn is_much_unsynced(&self, end: u64) -> bool {
        end.saturating_sub(self.log.durable()) >= FLUSH_NOW_BYTES
    }

    /// The log has gone on to another segment.
    #[cold]
    pub(super) fn log_has_grown(&self) {
        self.signals.look_ahead();
        let (used, max) = self.log.fill();
        if used * 2 > max {
            self.signals.checkpoint();
        }
    }
}
