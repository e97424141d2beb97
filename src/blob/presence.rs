//! Which parts of a blob are in memory, for lookups and writes that may meet a page that is not.
//!
//! A lookup asks before it reads a leaf, a write before it reads or changes anything but inner nodes. In a
//! blob that is wholly there the answer is a constant, and nothing is left of the question. Else the pages
//! that would have been needed are noted, and what the lookup then says counts for nothing: whoever called it
//! looks at the notes first.

#![forbid(unsafe_code)]

use std::cell::Cell;

use super::leaf::{self, Leaf};
use super::words::{BLOB_WORDS, PAGE_WORDS, Ref, Words};

/// A leaf that begins so close to the end of an absent page is likely to go on in the next: both are asked
/// for at once, because one read of two pages costs what one page does.
const NEAR_END_WORDS: usize = 32;

/// What is in memory.
pub(crate) trait Presence {
    /// Whether every answer is yes: then nobody need ask.
    const IS_EVERYTHING: bool;

    /// Whether the header of the node at `at` can be read.
    fn holds_node(&self, at: Ref) -> bool;

    /// Whether all of the leaf at `at` can be read.
    fn holds_leaf(&self, words: Words<'_>, at: Ref) -> bool;

    /// Whether the leaf at `at` can be read up to the end of its suffix.
    fn holds_suffix(&self, words: Words<'_>, at: Ref) -> bool;

    /// Whether `count` words from `at` on are there. None are always there.
    fn holds_words(&self, at: u32, count: u32) -> bool;

    /// Pages that were asked for and are not there.
    fn missed(&self) -> u128;
}

/// All pages are there.
pub(crate) struct Everything;

impl Presence for Everything {
    const IS_EVERYTHING: bool = true;

    #[inline(always)]
    fn holds_node(&self, _at: Ref) -> bool {
        true
    }

    #[inline(always)]
    fn holds_leaf(&self, _words: Words<'_>, _at: Ref) -> bool {
        true
    }

    #[inline(always)]
    fn holds_suffix(&self, _words: Words<'_>, _at: Ref) -> bool {
        true
    }

    #[inline(always)]
    fn holds_words(&self, _at: u32, _count: u32) -> bool {
        true
    }

    #[inline(always)]
    fn missed(&self) -> u128 {
        0
    }
}

/// Some pages are there; notes which were read, and which were missed.
pub(crate) struct SomePages {
    present: u128,
    read: Cell<u128>,
    missed: Cell<u128>,
}

impl SomePages {
    pub(crate) fn new(present: u128) -> Self {
        SomePages { present, read: Cell::new(0), missed: Cell::new(0) }
    }

    /// Pages of the leaves that were read.
    pub(crate) fn read(&self) -> u128 {
        self.read.get()
    }

    /// Whether `count` words from `at` on are there. Behind the last word comes the first one, as it does for
    /// whoever reads and writes them: hostile words may speak of such places.
    fn holds(&self, at: usize, count: usize) -> bool {
        let (at, count) = (at % BLOB_WORDS, count.clamp(1, BLOB_WORDS));
        let end = at + count - 1;
        let (first, last) = (at / PAGE_WORDS, end.min(BLOB_WORDS - 1) / PAGE_WORDS);
        let mut pages = (u128::MAX >> (127 - (last - first))) << first;
        if end >= BLOB_WORDS {
            pages |= u128::MAX >> (127 - (end - BLOB_WORDS) / PAGE_WORDS);
        }
        let absent = pages & !self.present;
        if absent == 0 {
            self.read.set(self.read.get() | pages);
        } else {
            self.missed.set(self.missed.get() | absent);
        }
        absent == 0
    }
}

impl Presence for SomePages {
    const IS_EVERYTHING: bool = false;

    #[inline]
    fn holds_node(&self, at: Ref) -> bool {
        let at = usize::from(at);
        if self.present & (1 << (at / PAGE_WORDS)) != 0 {
            return true;
        }
        self.holds(at, NEAR_END_WORDS.min(BLOB_WORDS - at))
    }

    #[inline]
    fn holds_leaf(&self, words: Words<'_>, at: Ref) -> bool {
        self.holds_node(at) && self.holds(usize::from(at), Leaf::load(words, at).words())
    }

    fn holds_suffix(&self, words: Words<'_>, at: Ref) -> bool {
        let count = || leaf::size_words(Leaf::load(words, at).suffix_len(), 0);
        self.holds_node(at) && self.holds(usize::from(at), count())
    }

    fn holds_words(&self, at: u32, count: u32) -> bool {
        count == 0 || self.holds(at as usize, count as usize)
    }

    fn missed(&self) -> u128 {
        self.missed.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::header::{self, BlobKind};
    use crate::blob::words::boxed_words;

    #[test]
    fn all_pages_of_a_leaf_are_asked_for() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        header::format(words, 1, BlobKind::Range);
        let last = leaf::add(words, b"suffix", leaf::Payload::value(&[7; 100]), 1);
        let long = leaf::add(words, b"suffix", leaf::Payload::value(&[7; 9000]), 2);
        let first_page = usize::from(long) / PAGE_WORDS;
        assert_eq!(first_page, 125);
        let some = SomePages::new(1 << 127);
        assert!(some.holds_leaf(words, last));
        assert_eq!((some.read(), some.missed()), (1 << 127, 0));
        assert!(!some.holds_leaf(words, long));
        assert_eq!(some.missed(), 1 << 125, "its length is not known yet");
        let some = SomePages::new(1 << 127 | 1 << 125);
        assert!(!some.holds_leaf(words, long));
        assert_eq!(some.missed(), 1 << 126);
        let some = SomePages::new(u128::MAX);
        assert!(some.holds_leaf(words, long));
    }

    #[test]
    fn behind_the_last_word_comes_the_first_one() {
        for (at, count, pages) in [
            (BLOB_WORDS as u32 - 10, 20, 1 << 127 | 1),
            (BLOB_WORDS as u32 * 2 + 40 * PAGE_WORDS as u32, 1, 1 << 40),
            (u32::MAX, 2 + PAGE_WORDS as u32, 1 << 127 | 3),
            (5, u32::MAX, u128::MAX),
        ] {
            let some = SomePages::new(0);
            assert!(!some.holds_words(at, count));
            assert_eq!(some.missed(), pages, "{count} words from {at} on");
        }
    }

    #[test]
    fn a_leaf_close_to_the_end_of_its_page_takes_the_next_one_along() {
        let memory = boxed_words();
        let some = SomePages::new(0);
        assert!(!some.holds_leaf(Words::new(&memory), (10 * PAGE_WORDS + 500) as Ref));
        assert_eq!(some.missed(), 3 << 10);
        let some = SomePages::new(0);
        assert!(!some.holds_leaf(Words::new(&memory), 65_530));
        assert_eq!(some.missed(), 1 << 127);
    }
}
