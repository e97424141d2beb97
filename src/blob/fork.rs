//! The nodes of a router blob: a trie of the separators between neighbouring blobs.
//!
//! ```text
//! Fork  header (flags = capacity / 4) | n sorted bytes | n child refs | n gap refs | prefix
//! Link  blob id u32 | skip u16 | kind u8 | 0
//! ```
//!
//! A Fork stands where separators part. Child ref 0: a separator ends with that byte. Gap ref `i` names
//! the Link of the blob whose range lies just before the separators of child `i`; gap 0 is that of the
//! separator that ends at the Fork itself, 0 if none does. What lies behind the last child is a gap of a
//! Fork above, or the router's `last` link. In a Fork without children a separator ends.
//!
//! A Link lives in the Fork where its two separators part: its owner. The blob's base is the depth at the
//! end of the owner's prefix plus `skip`. Depths never are stored, so a whole subtree can be re-tied.

#![forbid(unsafe_code)]

use super::node::{FORK, NodeHeader, run_words};
use super::run::RunWriter;
use super::words::{Ref, RefSlot, Words};
use super::{fields, space};

const LINK: u8 = 7;
const BRANCHES_MAX: usize = 256;

/// Names a child blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) id: u32,
    /// The blob's base less the depth of the link's owner.
    pub(crate) skip: u16,
}

impl Link {
    /// The link in word `at`; `None` if the word is none.
    #[inline(always)]
    pub(crate) fn load(words: Words<'_>, at: Ref) -> Option<Link> {
        let word = words.load(at);
        ((word >> 48) as u8 == LINK).then_some(Link { id: word as u32, skip: (word >> 32) as u16 })
    }

    pub(crate) fn store(self, words: Words<'_>, at: Ref) {
        words.store(at, u64::from(self.id) | (u64::from(self.skip) << 32) | (u64::from(LINK) << 48));
    }

    /// Allocates a word for the link. The caller knows that it fits.
    pub(crate) fn add(self, words: Words<'_>) -> Ref {
        let at = space::take_inner(words, 1);
        self.store(words, at);
        at
    }
}

/// A Fork with its header.
#[derive(Clone, Copy)]
pub(crate) struct Fork<'a> {
    words: Words<'a>,
    pub(crate) at: Ref,
    header: NodeHeader,
}

impl<'a> Fork<'a> {
    /// The Fork at `at`; `None` if that is another kind of node.
    #[inline(always)]
    pub(crate) fn load(words: Words<'a>, at: Ref) -> Option<Self> {
        let header = NodeHeader::load(words, at);
        (header.kind() == FORK).then_some(Fork { words, at, header })
    }

    /// Words of a Fork with room for `branches` children.
    pub(crate) fn size_words(branches: usize, prefix_len: usize) -> usize {
        let capacity = branches.next_multiple_of(4);
        1 + capacity.div_ceil(8) + capacity / 2 + run_words(prefix_len)
    }

    /// Writes a Fork into zeroed words, refs still 0.
    pub(crate) fn write(words: Words<'a>, at: Ref, prefix: &[u8], bytes: &[u8]) -> Self {
        let capacity = bytes.len().next_multiple_of(4);
        let header = NodeHeader::new(FORK, (capacity / 4) as u8, bytes.len(), prefix.len(), 0);
        header.store(words, at);
        let fork = Fork { words, at, header };
        let mut run = RunWriter::new(words, fork.bytes_at(), bytes.len());
        run.push(bytes);
        run.finish();
        let mut run = RunWriter::new(words, fork.prefix_at(), prefix.len());
        run.push(prefix);
        run.finish();
        fork
    }

    #[inline(always)]
    fn capacity(self) -> usize {
        usize::from(self.header.flags()) * 4
    }

    #[inline(always)]
    fn bytes_at(self) -> Ref {
        self.at.wrapping_add(1)
    }

    #[inline(always)]
    fn children_at(self) -> Ref {
        self.bytes_at().wrapping_add(self.capacity().div_ceil(8) as u16)
    }

    #[inline(always)]
    fn gaps_at(self) -> Ref {
        self.children_at().wrapping_add((self.capacity() / 4) as u16)
    }

    /// Where the prefix starts.
    #[inline(always)]
    pub(crate) fn prefix_at(self) -> Ref {
        self.gaps_at().wrapping_add((self.capacity() / 4) as u16)
    }

    #[inline(always)]
    pub(crate) fn prefix_len(self) -> usize {
        self.header.prefix_len()
    }

    /// Number of children.
    #[inline(always)]
    pub(crate) fn branches(self) -> usize {
        self.header.count().min(BRANCHES_MAX)
    }

    /// How many children's bytes are below `byte`, and whether the next one equals it.
    #[inline(always)]
    pub(crate) fn search(self, byte: u8) -> (usize, bool) {
        let index = fields::count_below(self.words, self.bytes_at(), self.branches(), byte);
        (index, index < self.branches() && self.byte(index) == byte)
    }

    #[inline(always)]
    pub(crate) fn byte(self, index: usize) -> u8 {
        self.words.byte(self.bytes_at(), index)
    }

    /// The child Fork behind a byte; 0: a separator ends with that byte.
    #[inline(always)]
    pub(crate) fn child(self, index: usize) -> Ref {
        fields::nth_ref(self.words, self.children_at(), index)
    }

    #[inline(always)]
    pub(crate) fn gap(self, index: usize) -> Ref {
        fields::nth_ref(self.words, self.gaps_at(), index)
    }

    /// Whether a separator ends at the end of this Fork's prefix.
    #[inline(always)]
    pub(crate) fn is_separator(self) -> bool {
        self.branches() == 0 || self.gap(0) != 0
    }

    pub(crate) fn child_slot(self, index: usize) -> RefSlot {
        RefSlot::nth(self.children_at(), index)
    }

    pub(crate) fn gap_slot(self, index: usize) -> RefSlot {
        RefSlot::nth(self.gaps_at(), index)
    }

    pub(crate) fn append_prefix(self, out: &mut Vec<u8>) {
        self.words.append_to(self.prefix_at(), 0, self.prefix_len(), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::words::boxed_words;

    #[test]
    fn forks_of_all_sizes_come_back() {
        for branches in [0usize, 1, 4, 5, 8, 9, 200, 256] {
            let memory = boxed_words();
            let words = Words::new(&memory);
            let bytes: Vec<u8> = (0..branches).map(|i| (i * 256 / branches) as u8).collect();
            let fork = Fork::write(words, 300, b"prefix of it", &bytes);
            for index in 0..branches {
                words.store_ref(fork.child_slot(index), 1000 + index as u16);
                words.store_ref(fork.gap_slot(index), 2000 + index as u16);
            }
            let fork = Fork::load(words, 300).expect("a fork");
            let mut prefix = Vec::new();
            fork.append_prefix(&mut prefix);
            assert_eq!(prefix, b"prefix of it");
            assert_eq!(fork.branches(), branches);
            for (index, &byte) in bytes.iter().enumerate() {
                assert_eq!(fork.search(byte), (index, true));
                assert_eq!(fork.child(index), 1000 + index as u16);
                assert_eq!(fork.gap(index), 2000 + index as u16);
            }
            assert_eq!(words.load(300 + Fork::size_words(branches, 12) as u16), 0);
        }
    }

    #[test]
    fn links_are_told_from_other_words() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        let link = Link { id: 77, skip: 5 };
        link.store(words, 300);
        assert_eq!(Link::load(words, 300), Some(link));
        assert_eq!(Link::load(words, 301), None);
    }
}
