//! The directory in memory: for every blob the checksum of its first page as the last checkpoint left it,
//! 0 for a blob that this checkpoint does not hold.
//!
//! A page that is read from the backend is verified against page 0 of its blob, and page 0 against this.
//! The words change when a checkpoint has committed and at no other time.

#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const SEGMENT_WORDS: usize = 4096;
const SEGMENTS: usize = 512;

type Segment = Box<[AtomicU64]>;

/// See the head of this file.
pub(crate) struct Directory {
    segments: Box<[OnceLock<Segment>]>,
}

impl Directory {
    /// A directory without blobs.
    pub(crate) fn new() -> Self {
        Directory { segments: (0..SEGMENTS).map(|_| OnceLock::new()).collect() }
    }

    /// The checksum of page 0 of a blob, 0 if the last checkpoint does not hold the blob.
    pub(crate) fn get(&self, id: u32) -> u64 {
        let segment = self.segments.get(id as usize / SEGMENT_WORDS).and_then(OnceLock::get);
        segment.map_or(0, |words| words[id as usize % SEGMENT_WORDS].load(Ordering::Acquire))
    }

    /// Enters a blob, or takes it out with 0.
    ///
    /// # Panics
    ///
    /// If there are no frames of such an id.
    pub(crate) fn set(&self, id: u32, checksum: u64) {
        let segment = &self.segments[id as usize / SEGMENT_WORDS];
        let words = segment.get_or_init(|| (0..SEGMENT_WORDS).map(|_| AtomicU64::new(0)).collect());
        words[id as usize % SEGMENT_WORDS].store(checksum, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_entered_is_found_and_nothing_else() {
        let directory = Directory::new();
        directory.set(4095, 1);
        directory.set(4096, u64::MAX);
        directory.set((SEGMENTS * SEGMENT_WORDS) as u32 - 1, 3);
        assert_eq!([4094, 4095, 4096, 4097].map(|id| directory.get(id)), [0, 1, u64::MAX, 0]);
        assert_eq!(directory.get((SEGMENTS * SEGMENT_WORDS) as u32 - 1), 3);
        assert_eq!(directory.get(u32::MAX), 0);
        directory.set(4095, 0);
        assert_eq!(directory.get(4095), 0);
    }
}
