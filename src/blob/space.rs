//! The two-ended space of a blob: inner nodes grow upward, leaves downward, towards each other.
//!
//! Allocation moves one of two cursors; freeing only lowers the count of live words. The gap between
//! the regions is zero at all times, so a fresh node is zero without being cleared.

#![forbid(unsafe_code)]

use super::header;
use super::simd;
use super::words::{BLOB_WORDS, Ref, Words};

/// Words wanted at the two ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) inner: u32,
    pub(crate) leaf: u32,
}

impl Need {
    pub(crate) fn words(self) -> u32 {
        self.inner.saturating_add(self.leaf)
    }
}

pub(crate) fn fits(words: Words<'_>, need: Need) -> bool {
    need.words() <= header::free_words(words)
}

/// Takes `count` words for an inner node or a bucket. The caller has asked `fits` before.
pub(crate) fn take_inner(words: Words<'_>, count: usize) -> Ref {
    let at = header::inner_end(words);
    header::set_regions(words, at.saturating_add(count as u32), header::leaf_start(words));
    add_live(words, count);
    at as Ref
}

/// Brings all that is in use of a blob closer, one line after the other as memory likes it: whoever reads all
/// leaves in the order of their keys would wait for each of them.
pub(crate) fn fetch_used(words: Words<'_>) {
    let end = header::inner_end(words).min(BLOB_WORDS as u32);
    let start = header::leaf_start(words).clamp(end, BLOB_WORDS as u32);
    for region in [0..end, start..BLOB_WORDS as u32] {
        for at in region.step_by(simd::LINE_WORDS.into()) {
            simd::prefetch(words, at as Ref);
        }
    }
}

/// Takes `count` words for a leaf. The caller has asked `fits` before.
pub(crate) fn take_leaf(words: Words<'_>, count: usize) -> Ref {
    let at = header::leaf_start(words).wrapping_sub(count as u32);
    header::set_regions(words, header::inner_end(words), at);
    add_live(words, count);
    at as Ref
}

/// Whether `count` words at `at` are the last of the inner region, so that they can be extended.
pub(crate) fn ends_inner(words: Words<'_>, at: Ref, count: usize) -> bool {
    u32::from(at).saturating_add(count as u32) == header::inner_end(words)
}

/// Counts `count` words as garbage.
pub(crate) fn free(words: Words<'_>, count: usize) {
    let live = header::live_words(words).saturating_sub(count as u32);
    header::set_counts(words, header::key_count(words), live);
}

/// One key more or less.
pub(crate) fn count_key(words: Words<'_>, change: i32) {
    let keys = header::key_count(words).saturating_add_signed(change);
    header::set_counts(words, keys, header::live_words(words));
}

fn add_live(words: Words<'_>, count: usize) {
    let live = header::live_words(words).saturating_add(count as u32);
    header::set_counts(words, header::key_count(words), live);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::header::BlobKind;
    use crate::blob::words::boxed_words;

    #[test]
    fn the_ends_meet_exactly() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        header::format(words, 0, BlobKind::Range);
        let free = header::free_words(words);
        assert_eq!(take_inner(words, 10), 256);
        assert_eq!(usize::from(take_leaf(words, 6)), BLOB_WORDS - 6);
        assert!(fits(words, Need { inner: free - 20, leaf: 4 }));
        assert!(!fits(words, Need { inner: free - 20, leaf: 5 }));
        assert!(ends_inner(words, 256, 10));
        super::free(words, 6);
        assert_eq!(header::live_words(words), 10);
        assert_eq!(header::garbage_words(words), 6);
        take_inner(words, free as usize - 16);
        assert_eq!(header::free_words(words), 0);
    }
}
