//! Sizes and counts of a database.

#![forbid(unsafe_code)]

use crate::blob::header::{self, BlobKind, CAPACITY_WORDS};
use crate::blob::key::KeyBuf;
use crate::blob::words::BLOB_BYTES;
use crate::forest::Forest;
use crate::store::ROOT_BLOB;

/// A picture of the database at about one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys in all trees, without the names of the trees.
    pub keys: u64,
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
    /// Full blobs whose garbage was cleared away.
    pub compactions: u64,
    /// Full routers that were split in two.
    pub router_splits: u64,
    /// Reads and writes that met a change and started again.
    pub restarts: u64,
}

impl Stats {
    pub(crate) fn of(forest: &Forest) -> Self {
        let counters = &forest.store.counters;
        let mut stats = Stats {
            last_version: forest.store.last_seq(),
            splits: counters.splits.get(),
            ascending_cuts: counters.ascending_cuts.get(),
            shares: counters.shares.get(),
            joins: counters.joins.get(),
            compactions: counters.compactions.get(),
            router_splits: counters.router_splits.get(),
            restarts: counters.restarts.get(),
            hops: hops(forest),
            ..Stats::default()
        };
        let (end, unused) = forest.store.ids.in_use();
        stats.total_blobs = end;
        for id in (1..end).filter(|id| !unused.contains(id)) {
            let Some(frame) = forest.store.frames.get(id) else {
                continue;
            };
            match frame.root().1 {
                Some(BlobKind::Range) => {
                    stats.range_blobs += 1;
                    stats.keys += u64::from(header::key_count(frame.words));
                    stats.live_bytes += u64::from(header::live_words(frame.words)) * 8;
                    stats.garbage_bytes += u64::from(header::garbage_words(frame.words)) * 8;
                }
                Some(BlobKind::Router) => stats.router_blobs += 1,
                _ => {}
            }
        }
        stats.keys = stats.keys.saturating_sub(crate::tree::names(forest));
        stats
    }

    /// Blobs in use, the superblock's included.
    pub fn blobs(&self) -> u32 {
        1 + self.range_blobs + self.router_blobs
    }

    /// Bytes that the database takes as an image or a file.
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
    let key = buffer.fill_whole(b"");
    match forest.store.frames.get(ROOT_BLOB).map(|_| forest.route(&key)) {
        Some(Ok(route)) => route.height() as u32,
        _ => 0,
    }
}
