//! Sizes and counts of a database.

#![forbid(unsafe_code)]

use crate::backend::Backend as _;
use crate::backend::{Area, AreaCounts, BLOB_BYTES, IoPath, PAGE_BYTES};
use crate::blob::header::CAPACITY_WORDS;
use crate::blob::key::KeyBuf;
use crate::error::Result;
use crate::forest::Forest;
use crate::store::Store;
use crate::store::residency::HeaderCounts;
use crate::store::superblock::is_directory_blob;

/// A picture of the database at about one moment: [`Db::stats`](crate::Db::stats). Counts of what happened
/// begin when the database is opened.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # use spinney::backend::MemoryBackend;
/// # let backend = std::sync::Arc::new(MemoryBackend::new());
/// # let db = spinney::Db::builder().open_backend(backend)?;
/// db.tree("files")?.put("a/b", "c")?;
/// let stats = db.stats();
/// assert_eq!((stats.keys, stats.last_version), (1, 2)); // the name of the tree is a write, too
/// assert_eq!(stats.log.durable_bytes, stats.log.end_bytes);
/// println!("{}", stats.io);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys in all trees, without the names of the trees.
    pub keys: u64,
    /// Values that are longer than [`SHORT_VALUE_BYTES_MAX`](crate::SHORT_VALUE_BYTES_MAX).
    pub long_values: u64,
    /// Blobs that hold keys.
    pub range_blobs: u32,
    /// Blobs that hold the separators between others.
    pub router_blobs: u32,
    /// Blobs of the whole image or file: the two kinds above, blob 0, and unused ones among them.
    pub total_blobs: u32,
    /// Routers between the root of the forest and the keys: 0 while everything fits one blob, then 1.
    pub hops: u32,
    /// Bytes of live nodes in the blobs that hold keys.
    pub live_bytes: u64,
    /// Bytes that are in use there but would be won back by compacting.
    pub garbage_bytes: u64,
    /// The number of the last write.
    pub last_version: u64,
    /// Full blobs that were split in two.
    pub splits: u64,
    /// Full blobs that were cut at an ascending key.
    pub ascending_cuts: u64,
    /// Full blobs that shared their keys with a neighbour.
    pub shares: u64,
    /// Thin blobs that were joined with a neighbour.
    pub joins: u64,
    /// Directories that were moved or removed as a whole.
    pub grafts: u64,
    /// Bulk loads.
    pub loads: u64,
    /// Full blobs whose garbage was cleared away.
    pub compactions: u64,
    /// Full routers that were split in two.
    pub router_splits: u64,
    /// Reads and writes that met a change and started again.
    pub restarts: u64,
    /// Blobs that are not in memory, and of which nothing else here tells. While there are some, the names of
    /// trees and the parts of long values count as keys, and `hops` counts the routers in memory.
    pub unread_blobs: u32,
    /// Pages in memory of a database with a backend, without those that were read as zeros and take none. 0
    /// where everything is always in memory.
    pub resident_pages: u64,
    /// Steps of operations that met something that was not in memory.
    pub faults: u64,
    /// Reads from the backend: runs of pages.
    pub reads: u64,
    /// Pages that were read from the backend.
    pub pages_read: u64,
    /// Pages that were dropped from memory, without those that took none.
    pub evictions: u64,
    /// What went through the backend, by [`Area`](crate::backend::Area) as an index:
    /// `stats.areas[Area::Log as usize]`.
    pub areas: [AreaCounts; Area::ALL.len()],
    /// Which way I/O takes, and why no other. `mapped_ring` says whether
    /// [`Buffered`](crate::Durability::Buffered) writes survive the death of the process; of a closed
    /// database that was opened it does not say so before the first write.
    pub io: IoPath,
    /// The log; all zero where there is none, or the database was opened for reading.
    pub log: LogStats,
    /// The checkpoints since the database was opened.
    pub checkpoints: CheckpointStats,
    /// The snapshots that are open, and what they keep.
    pub snapshots: SnapshotStats,
}

/// The snapshots that are open, and what is kept for them.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let db = spinney::Db::memory();
/// # let files = db.tree("files")?;
/// files.put("a/b", "before")?;
/// let snapshot = db.snapshot();
/// files.put("a/b", "after")?;
/// let stats: spinney::SnapshotStats = db.stats().snapshots;
/// assert!(stats.open == 1 && stats.kept_pages > 0 && stats.kept_bytes <= stats.limit_bytes);
/// # drop(snapshot);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotStats {
    /// Snapshots that are open. One that is too old does not count.
    pub open: u32,
    /// Pages of which the contents of an earlier moment are kept.
    pub kept_pages: u64,
    /// The memory that takes. What snapshots have read is in caches of their own, and not counted.
    pub kept_bytes: u64,
    /// What it may take: [`Options::snapshot_bytes`](crate::Options::snapshot_bytes).
    pub limit_bytes: u64,
}

/// The log of a database that is open for writing.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # use spinney::backend::MemoryBackend;
/// # let backend = std::sync::Arc::new(MemoryBackend::new());
/// # let db = spinney::Db::builder().open_backend(backend)?;
/// let before = db.stats().log;
/// db.tree("files")?.put("a/b", vec![7; 1000])?;
/// let after: spinney::LogStats = db.stats().log;
/// assert!(after.end_bytes > before.end_bytes + 1000 && after.segments <= after.segments_max);
/// assert_eq!(after.durable_bytes, after.end_bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStats {
    /// How far the log has come: a position in a stream that never ends.
    pub end_bytes: u64,
    /// Up to where it is on stable storage.
    pub durable_bytes: u64,
    /// Segments of 4 MiB that are in use: with records that are still needed, or ready for the next ones.
    pub segments: u32,
    /// The most there may be. A checkpoint starts when half of them are in use.
    pub segments_max: u32,
    /// Segments beyond these, which are kept for readers of changes alone: see
    /// [`Options::keep_changes_bytes`](crate::Options::keep_changes_bytes).
    pub kept_segments: u32,
    /// Groups of writes that were made durable together.
    pub groups: u64,
    /// Callers that waited for one of these groups: so many to a group is its size.
    pub waiters: u64,
}

/// What checkpoints have done.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # use spinney::backend::MemoryBackend;
/// # let backend = std::sync::Arc::new(MemoryBackend::new());
/// # let db = spinney::Db::builder().open_backend(backend)?;
/// db.tree("files")?.put("a/b", "c")?;
/// let before = db.stats().checkpoints;
/// db.checkpoint()?;
/// let after: spinney::CheckpointStats = db.stats().checkpoints;
/// assert!(after.count > before.count && after.written_bytes > before.written_bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStats {
    /// Checkpoints that were made, those of making and of recovering a database included.
    pub count: u64,
    /// Pages that went through the journal for them.
    pub journaled_pages: u64,
    /// Bytes that were written for them: new blobs, the journal, and the same pages in place.
    pub written_bytes: u64,
    /// Pages that have changed since, and that the next one will write.
    pub changed_pages: u64,
}

impl Stats {
    /// What can be told without reading anything.
    pub(crate) fn of(forest: &Forest) -> Self {
        let (mut stats, unread) = Stats::of_resident(forest);
        stats.unread_blobs = unread.len() as u32;
        if unread.is_empty() {
            stats.keys = stats.keys.saturating_sub(crate::tree::own_keys(forest, stats.long_values > 0));
        }
        stats
    }

    /// The same, with the headers of the other blobs read.
    pub(crate) fn of_all(forest: &Forest) -> Result<Self> {
        let (mut stats, unread) = Stats::of_resident(forest);
        forest.store.survey(&unread, |_, counts| stats.count(counts))?;
        stats.keys = stats.keys.saturating_sub(crate::tree::own_keys(forest, stats.long_values > 0));
        Ok(stats)
    }

    /// Counts what is in memory; the blobs that are not.
    fn of_resident(forest: &Forest) -> (Self, Vec<u32>) {
        let counters = &forest.store.counters;
        let mut stats = Stats {
            last_version: forest.store.last_seq(),
            splits: counters.splits.get(),
            ascending_cuts: counters.ascending_cuts.get(),
            shares: counters.shares.get(),
            joins: counters.joins.get(),
            grafts: counters.grafts.get(),
            loads: counters.loads.get(),
            compactions: counters.compactions.get(),
            router_splits: counters.router_splits.get(),
            restarts: counters.restarts.get(),
            hops: hops(forest),
            ..Stats::default()
        };
        if let Some(residency) = &forest.store.residency {
            stats.resident_pages = residency.resident_pages();
            stats.faults = residency.counts.faults.get();
            stats.reads = residency.counts.reads.get();
            stats.pages_read = residency.counts.pages_read.get();
            stats.evictions = residency.counts.evictions.get();
        }
        stats.count_durable(&forest.store);
        let past = &forest.store.frames.captures.past;
        let (kept, limit_bytes) = (past.kept(), past.limit_bytes());
        stats.snapshots = SnapshotStats {
            open: kept.snapshots,
            kept_pages: kept.pages,
            kept_bytes: kept.bytes,
            limit_bytes,
        };
        let (end, unused) = forest.store.ids.in_use();
        stats.total_blobs = end;
        let mut unread = Vec::new();
        for id in (1..end).filter(|id| !unused.contains(id) && !is_directory_blob(*id)) {
            match forest.store.frames.get(id).and_then(HeaderCounts::of_frame) {
                Some(counts) => stats.count(counts),
                None if forest.store.is_stored(id) => unread.push(id),
                None => {}
            }
        }
        (stats, unread)
    }

    fn count_durable(&mut self, store: &Store) {
        if let Some(meter) = &store.meter {
            self.areas = meter.counts();
            self.io = meter.io_path();
        }
        let Some(durable) = store.durable.get() else {
            return;
        };
        let (segments, segments_max) = durable.log.fill();
        let (groups, waiters) = durable.log.group_counts();
        self.log = LogStats {
            end_bytes: durable.log.end(),
            durable_bytes: durable.log.durable(),
            segments: segments as u32,
            segments_max: segments_max as u32,
            kept_segments: durable.log.kept() as u32,
            groups,
            waiters,
        };
        self.checkpoints = CheckpointStats {
            count: durable.counters.checkpoints.get(),
            journaled_pages: durable.counters.pages.get(),
            written_bytes: durable.counters.bytes.get(),
            changed_pages: store.frames.captures.changed_pages(),
        };
    }

    fn count(&mut self, counts: HeaderCounts) {
        if counts.is_router {
            self.router_blobs += 1;
            return;
        }
        self.range_blobs += 1;
        self.keys += u64::from(counts.keys);
        self.long_values += u64::from(counts.pointers);
        self.live_bytes += u64::from(counts.live_words) * 8;
        self.garbage_bytes += u64::from(counts.garbage_words) * 8;
    }

    /// Blobs in use, the superblock's included.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a/b", "c")?;
    /// assert_eq!(db.stats().blobs(), 2); // that of the superblock, and one with all keys
    /// # Ok(())
    /// # }
    /// ```
    pub fn blobs(&self) -> u32 {
        1 + self.range_blobs + self.router_blobs
    }

    /// Bytes that were read from the backend.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::backend::MemoryBackend;
    /// # let db = spinney::Db::memory();
    /// # db.tree("files")?.put("a/b", "c")?;
    /// # let backend = std::sync::Arc::new(MemoryBackend::from_bytes(&db.image()?)?);
    /// let db = spinney::Db::builder().open_backend(backend)?;
    /// let before = db.stats().bytes_read();
    /// db.tree("files")?.get("a/b")?;
    /// assert!(db.stats().bytes_read() > before);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bytes_read(&self) -> u64 {
        self.pages_read * PAGE_BYTES as u64
    }

    /// Bytes of the pages in memory, of a database with a backend.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::backend::MemoryBackend;
    /// # let db = spinney::Db::memory();
    /// # db.tree("files")?.put("a/b", "c")?;
    /// # let backend = std::sync::Arc::new(MemoryBackend::from_bytes(&db.image()?)?);
    /// let db = spinney::Db::builder().open_backend(backend)?;
    /// let before = db.stats().resident_bytes();
    /// db.tree("files")?.get("a/b")?;
    /// assert!(db.stats().resident_bytes() > before, "what was read stays in memory");
    /// # Ok(())
    /// # }
    /// ```
    pub fn resident_bytes(&self) -> u64 {
        self.resident_pages * PAGE_BYTES as u64
    }

    /// Bytes that the database takes as an image or a file.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a/b", "c")?;
    /// assert_eq!(db.stats().size_bytes(), db.image()?.len() as u64);
    /// # Ok(())
    /// # }
    /// ```
    pub fn size_bytes(&self) -> u64 {
        u64::from(self.total_blobs) * BLOB_BYTES as u64
    }

    /// The part of the range blobs that live nodes fill, 0 to 1.
    ///
    /// ```
    /// let stats = spinney::Db::memory().stats();
    /// assert!(stats.fill() < 0.01);
    /// ```
    pub fn fill(&self) -> f64 {
        self.live_bytes as f64 / (f64::from(self.range_blobs.max(1)) * f64::from(CAPACITY_WORDS) * 8.0)
    }
}

fn hops(forest: &Forest) -> u32 {
    let mut buffer = KeyBuf::empty();
    forest.routers_in_memory(&buffer.fill_whole(b""))
}
