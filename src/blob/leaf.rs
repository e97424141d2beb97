//! A leaf: header word, seq word, then suffix and value as one run of bytes.
//!
//! The suffix holds only the bytes that the path above has not spelled. The value follows it without a
//! gap: aligning it to a word would save some 40 of 700 instructions of a lookup, and cost 4 bytes a key.
//!
//! A *pointer leaf* has a flag: what stands where others have their value says where a long one lies. The
//! blob's header counts these leaves. What it says is nothing that this file knows of.

#![forbid(unsafe_code)]

use core::cmp::Ordering;

use super::header::{self, Regions};
use super::key::Key;
use super::node::{LEAF, NodeHeader, run_words};
use super::run::RunWriter;
use super::space;
use super::words::{Ref, Words};

/// Words before the suffix.
pub(crate) const HEAD_WORDS: usize = 2;

/// The flag of a pointer leaf.
const POINTER: u8 = 1;

/// What a leaf holds beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload<'v> {
    pub(crate) bytes: &'v [u8],
    /// It is no value, but says where one lies.
    pub(crate) is_pointer: bool,
}

impl<'v> Payload<'v> {
    #[inline(always)]
    pub(crate) fn value(bytes: &'v [u8]) -> Self {
        Payload { bytes, is_pointer: false }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn flags(&self) -> u8 {
        if self.is_pointer { POINTER } else { 0 }
    }
}

/// Words of a leaf with these lengths.
#[inline(always)]
pub(crate) fn size_words(suffix_len: usize, value_len: usize) -> usize {
    HEAD_WORDS + run_words(suffix_len + value_len)
}

/// A leaf that was found, with its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub(crate) at: Ref,
    pub(crate) header: NodeHeader,
}

impl Leaf {
    #[inline(always)]
    pub(crate) fn load(words: Words<'_>, at: Ref) -> Self {
        Leaf { at, header: NodeHeader::load(words, at) }
    }

    #[inline(always)]
    pub(crate) fn suffix_len(self) -> usize {
        self.header.prefix_len()
    }

    #[inline(always)]
    pub(crate) fn value_len(self) -> usize {
        self.header.count()
    }

    /// Whether it says where a value lies, instead of holding it.
    #[inline(always)]
    pub(crate) fn is_pointer(self) -> bool {
        self.header.flags() & POINTER != 0
    }

    pub(crate) fn words(self) -> usize {
        size_words(self.suffix_len(), self.value_len())
    }

    /// Whether it may be changed: it is a leaf, and all of it lies among leaves.
    #[inline(always)]
    pub(crate) fn is_sound(self, regions: Regions) -> bool {
        self.header.kind() == LEAF
            && regions.hold_leaf(self.at, HEAD_WORDS, self.suffix_len() + self.value_len())
    }

    #[inline(always)]
    pub(crate) fn suffix_at(self) -> Ref {
        self.at.wrapping_add(HEAD_WORDS as u16)
    }

    #[inline(always)]
    pub(crate) fn seq(self, words: Words<'_>) -> u64 {
        words.load(self.at.wrapping_add(1))
    }

    /// Whether this is the leaf of `key`, whose first `depth` bytes the path has spelled.
    #[inline(always)]
    pub(crate) fn is(self, words: Words<'_>, key: &Key<'_>, depth: usize) -> bool {
        self.suffix_len() + depth == key.len()
            && words.key_goes_on(self.suffix_at(), self.suffix_len(), key, depth)
    }

    pub(crate) fn compare(self, words: Words<'_>, key: &Key<'_>, depth: usize) -> Ordering {
        words.compare_with_key(self.suffix_at(), self.suffix_len(), key, depth)
    }

    /// Whether its suffix sorts before that of another leaf.
    pub(crate) fn is_below(self, words: Words<'_>, other: Leaf) -> bool {
        let shorter = self.suffix_len().min(other.suffix_len());
        let common = words.common_runs(self.suffix_at(), other.suffix_at(), 0, shorter);
        if common == shorter {
            return self.suffix_len() < other.suffix_len();
        }
        words.byte(self.suffix_at(), common) < words.byte(other.suffix_at(), common)
    }

    #[inline]
    pub(crate) fn append_value(self, words: Words<'_>, out: &mut Vec<u8>) {
        words.append_to(self.suffix_at(), self.suffix_len(), self.value_len(), out);
    }

    #[inline]
    pub(crate) fn append_suffix(self, words: Words<'_>, out: &mut Vec<u8>) {
        words.append_to(self.suffix_at(), 0, self.suffix_len(), out);
    }

    /// Drops the first `drop` bytes of the suffix, because a node above now spells them.
    pub(crate) fn shorten(self, words: Words<'_>, drop: usize) {
        let before = self.words();
        words.drop_front(self.suffix_at(), self.suffix_len() + self.value_len(), drop);
        // Saturating, as everything that hostile bytes can reach: a wrong answer, not a panic.
        let header = self.header.with_prefix_len(self.suffix_len().saturating_sub(drop));
        header.store(words, self.at);
        space::free(words, before.saturating_sub(Leaf { at: self.at, header }.words()));
    }

    /// Replaces value and seq where the leaf stands; the new leaf must not need more words.
    pub(crate) fn overwrite(self, words: Words<'_>, value: Payload<'_>, seq: u64) {
        let after = size_words(self.suffix_len(), value.len());
        let before = self.words();
        debug_assert!(after <= before);
        words.store(self.at.wrapping_add(1), seq);
        let tail = self.suffix_len() % 8;
        let first = self.suffix_at().wrapping_add((self.suffix_len() / 8) as u16);
        let start = words.load(first).to_le_bytes();
        let mut run = RunWriter::new(words, first, tail + value.len());
        run.push(&start[..tail]);
        run.push(value.bytes);
        run.finish();
        words.zero(self.at.wrapping_add(after as u16), before - after);
        let header =
            NodeHeader::new(LEAF, value.flags(), value.len(), self.suffix_len(), self.header.extra());
        if header != self.header {
            header.store(words, self.at);
            space::free(words, before - after);
            if value.is_pointer != self.is_pointer() {
                header::count_pointers(words, if value.is_pointer { 1 } else { -1 });
            }
        }
    }
}

/// Writes the head of a leaf at `at` that holds what an old one did, under another suffix.
#[inline]
pub(crate) fn write_head_like(words: Words<'_>, at: Ref, suffix_len: usize, old: Leaf, seq: u64) {
    old.header.with_prefix_len(suffix_len).store(words, at);
    words.store(at.wrapping_add(1), seq);
}

/// Allocates and writes a leaf. The caller knows that it fits.
pub(crate) fn add(words: Words<'_>, suffix: &[u8], value: Payload<'_>, seq: u64) -> Ref {
    let at = space::take_leaf(words, size_words(suffix.len(), value.len()));
    NodeHeader::new(LEAF, value.flags(), value.len(), suffix.len(), 0).store(words, at);
    words.store(at.wrapping_add(1), seq);
    if value.is_pointer {
        header::count_pointers(words, 1);
    }
    let mut run = RunWriter::new(words, at.wrapping_add(HEAD_WORDS as u16), suffix.len() + value.len());
    run.push(suffix);
    run.push(value.bytes);
    run.finish();
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::header::{self, BlobKind};
    use crate::blob::key::KeyBuf;
    use crate::blob::words::boxed_words;

    fn parts(words: Words<'_>, at: Ref) -> (Vec<u8>, Vec<u8>, u64) {
        let leaf = Leaf::load(words, at);
        let (mut suffix, mut value) = (Vec::new(), Vec::new());
        leaf.append_suffix(words, &mut suffix);
        leaf.append_value(words, &mut value);
        (suffix, value, leaf.seq(words))
    }

    #[test]
    fn a_leaf_comes_back_overwritten_and_shortened() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        header::format(words, 1, BlobKind::Range);
        let suffix: Vec<u8> = (0..21).collect();
        let value: Vec<u8> = (100..150).collect();
        let at = add(words, &suffix, Payload::value(&value), 5);
        assert_eq!(parts(words, at), (suffix.clone(), value.clone(), 5));
        let used = header::live_words(words) as usize;
        assert_eq!(used, size_words(21, 50));
        Leaf::load(words, at).overwrite(words, Payload::value(&value[..30]), 6);
        assert_eq!(parts(words, at), (suffix.clone(), value[..30].to_vec(), 6));
        assert_eq!(header::live_words(words) as usize, size_words(21, 30));
        Leaf::load(words, at).shorten(words, 9);
        assert_eq!(parts(words, at), (suffix[9..].to_vec(), value[..30].to_vec(), 6));
        assert_eq!(header::live_words(words) as usize, size_words(12, 30));
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(&suffix);
        assert!(Leaf::load(words, at).is(words, &key, 9));
        assert!(!Leaf::load(words, at).is(words, &key, 8));
    }

    #[test]
    fn pointer_leaves_are_told_apart_and_counted() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        header::format(words, 1, BlobKind::Range);
        let pointer = Payload { bytes: &[7; 16], is_pointer: true };
        let (long, short) =
            (add(words, b"long", pointer, 1), add(words, b"short", Payload::value(&[8; 16]), 2));
        let load = |at| Leaf::load(words, at);
        assert!(load(long).is_pointer() && !load(short).is_pointer());
        assert_eq!(header::pointer_leaves(words), 1);
        load(short).overwrite(words, pointer, 3);
        load(long).shorten(words, 2);
        assert!(load(long).is_pointer() && load(short).is_pointer());
        assert_eq!((parts(words, long).1, parts(words, short).2), (vec![7; 16], 3));
        assert_eq!(header::pointer_leaves(words), 2);
        load(long).overwrite(words, Payload::value(&[9; 16]), 4);
        assert!(!load(long).is_pointer());
        assert_eq!(header::pointer_leaves(words), 1);
    }
}
