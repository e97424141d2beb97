//! What the headers of blobs count; of those that are not in memory they are read, and not taken in.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::Residency;
use crate::backend::{Area, PAGE_BYTES, ReadOp};
use crate::blob::checksum;
use crate::blob::header::{self, BLOB_PAGES, BlobKind};
use crate::blob::words::{BLOB_BYTES, BLOB_WORDS};
use crate::error::{Error, Result};
use crate::store::frames::{Extent, Frame, Frames};
use crate::store::superblock::word;

/// Headers that are asked for together where each read is a trip.
const WANTED_AT_ONCE: usize = 1024;

/// What a header counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderCounts {
    pub(crate) is_router: bool,
    pub(crate) keys: u32,
    pub(crate) pointers: u32,
    pub(crate) live_words: u32,
    pub(crate) garbage_words: u32,
}

impl HeaderCounts {
    /// Of a blob whose header is in memory.
    pub(crate) fn of_frame(frame: Frame<'_>) -> Option<Self> {
        let version = frame.latch().read();
        let words = frame.words;
        let is_router = match (frame.extent(), frame.root().1) {
            (Extent::Whole, Some(BlobKind::Router)) => true,
            (Extent::Whole, Some(BlobKind::Range)) | (Extent::Partial, _) => false,
            _ => return None,
        };
        let counts = HeaderCounts {
            is_router,
            keys: header::key_count(words),
            pointers: header::pointer_leaves(words),
            live_words: header::live_words(words),
            garbage_words: header::garbage_words(words),
        };
        // A blob that is being changed is counted as it is; one that has been evicted is not.
        let is_there = frame.latch().is_unchanged(version) || frame.extent() != Extent::Cold;
        is_there.then_some(counts)
    }
}

impl Residency {
    /// Reads and verifies the first pages of blobs, in batches of one buffer, and hands out what each says.
    /// A blob that falls free meanwhile is left out; one that is in memory by then, and perhaps being stored,
    /// is counted there.
    pub(crate) fn survey(
        &self,
        frames: &Frames,
        blobs: &[u32],
        mut each: impl FnMut(u32, HeaderCounts),
    ) -> Result<()> {
        if self.is_cut_off.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let mut left = Vec::new();
        let counted = || self.counted.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for &id in blobs {
            match counted().get(&id) {
                Some(&counts) => each(id, counts),
                None => left.push(id),
            }
        }
        let mut each = |id: u32, counts: HeaderCounts| {
            if self.is_remote {
                counted().insert(id, counts);
            }
            each(id, counts);
        };
        for &id in left.iter().take(if self.is_remote { WANTED_AT_ONCE } else { 0 }) {
            self.backend.will_need(u64::from(id) * BLOB_BYTES as u64, PAGE_BYTES as u64);
        }
        let mut buffer = self.backend.buffers().lease_blocking();
        for part in left.chunks(BLOB_PAGES) {
            let stored = self.read_headers(part, &mut buffer)?;
            for ((id, expected), bytes) in stored.into_iter().zip(buffer.chunks_exact(PAGE_BYTES)) {
                let hash = checksum::of_first_page(bytes);
                if hash == expected && checksum::stored(bytes, 0) == expected {
                    each(id, counts_of(id, bytes));
                } else if let Some(counts) = frames.get(id).and_then(HeaderCounts::of_frame) {
                    each(id, counts);
                } else if self.directory.get(id) == expected {
                    return Err(Error::Corrupt { blob: id, page: 0, reason: "page checksum" });
                }
            }
        }
        Ok(())
    }

    /// Reads the first pages of those blobs that are stored; says which they are, and the checksums that the
    /// directory had of them.
    fn read_headers(&self, blobs: &[u32], buffer: &mut [u8]) -> Result<Vec<(u32, u64)>> {
        loop {
            let entries = blobs.iter().map(|&id| (id, self.directory.get(id)));
            // Elsewhere nothing falls free: there it is damage, and the checksum will tell.
            let stored: Vec<(u32, u64)> = entries.filter(|entry| entry.1 != 0 || self.is_remote).collect();
            let op = |(&(id, _), buf)| ReadOp {
                area: Area::Data,
                offset_bytes: u64::from(id) * BLOB_BYTES as u64,
                buf,
            };
            let pages = buffer.chunks_exact_mut(PAGE_BYTES);
            let mut batch: Vec<ReadOp<'_>> = stored.iter().zip(pages).map(op).collect();
            self.counts.reads.add(batch.len() as u64);
            self.counts.pages_read.add(batch.len() as u64);
            match self.backend.read(&mut batch) {
                Ok(()) => return Ok(stored),
                // The end of the file, where they were, may have been given back.
                Err(_) if stored.iter().any(|&(id, word)| self.directory.get(id) != word) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn counts_of(id: u32, bytes: &[u8]) -> HeaderCounts {
    let (counts, regions) = (word(bytes, 3), word(bytes, 4));
    let (inner_end, leaf_start) = (regions as u32, (regions >> 32) as u32);
    let inner_start = u32::from(header::inner_start(id));
    let inner_words = inner_end.saturating_sub(inner_start);
    let used = inner_words.saturating_add((BLOB_WORDS as u32).saturating_sub(leaf_start));
    let live_words = (counts >> 32) as u32;
    HeaderCounts {
        is_router: BlobKind::from_byte((word(bytes, 1) >> 32) as u8) == Some(BlobKind::Router),
        keys: counts as u32,
        pointers: (word(bytes, 5) >> 32) as u32,
        live_words,
        garbage_words: used.saturating_sub(live_words),
    }
}
