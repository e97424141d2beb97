//! A full bucket becomes an inner node over smaller buckets and single leaves.

#![forbid(unsafe_code)]

use crate::blob::leaf::Leaf;
use crate::blob::node::{NodeHeader, run_words};
use crate::blob::space::{self, Need};
use crate::blob::{Ref, RefSlot, Words, bucket, inner};

/// How the leaves of one bucket fall apart: the bytes they all share, and the groups behind them.
struct Plan {
    header: NodeHeader,
    common: usize,
    /// Whether the first leaf's suffix is exactly the common bytes.
    has_end: bool,
    /// First index, end index and shared bytes (behind the group's own byte) of every group.
    groups: Vec<(usize, usize, usize)>,
}

fn plan(words: Words<'_>, at: Ref) -> Plan {
    let header = NodeHeader::load(words, at);
    let count = bucket::count(header);
    let leaf = |index| bucket::leaf(words, at, header, index);
    let shared = |from: usize, to: usize, skip: usize| {
        let (first, last) = (leaf(from), leaf(to - 1));
        let limit = first.suffix_len().min(last.suffix_len());
        words.common_runs(first.suffix_at(), last.suffix_at(), skip, limit)
    };
    let common = shared(0, count, 0);
    let has_end = leaf(0).suffix_len() == common;
    let mut groups = Vec::new();
    let mut start = usize::from(has_end);
    while start < count {
        let byte = words.byte(leaf(start).suffix_at(), common);
        let same = |index: &usize| words.byte(leaf(*index).suffix_at(), common) == byte;
        let end = (start + 1..count).find(|index| !same(index)).unwrap_or(count);
        let below = if end - start > 1 { shared(start, end, common + 1) } else { 0 };
        groups.push((start, end, below));
        start = end;
    }
    Plan { header, common, has_end, groups }
}

impl Plan {
    fn inner_words(&self) -> usize {
        let (kind, flags) = inner::class_for(self.groups.len());
        inner::body_words(kind, flags) + run_words(self.header.prefix_len() + self.common)
    }
}

fn bucket_words(leaves: usize, prefix_len: usize) -> usize {
    bucket::body_words(bucket::class_for(leaves)) + run_words(prefix_len)
}

/// The words that `burst` takes. Leaves only shrink, so they need none.
pub(crate) fn need(words: Words<'_>, at: Ref) -> Need {
    let plan = plan(words, at);
    let buckets = plan.groups.iter().filter(|(start, end, _)| end - start > 1);
    let words = buckets.map(|&(start, end, below)| bucket_words(end - start, below)).sum::<usize>();
    Need { inner: (words + plan.inner_words()) as u32, leaf: 0 }
}

/// Replaces the bucket at `at`, whose ref is in `slot`. The caller knows that it fits.
pub(crate) fn burst(words: Words<'_>, slot: RefSlot, at: Ref) {
    let plan = plan(words, at);
    let (kind, flags) = inner::class_for(plan.groups.len());
    let parent = space::take_inner(words, plan.inner_words());
    let mut prefix = Vec::new();
    words.append_to(bucket::prefix_at(at, plan.header), 0, plan.header.prefix_len(), &mut prefix);
    let first = bucket::leaf(words, at, plan.header, 0);
    words.append_to(first.suffix_at(), 0, plan.common, &mut prefix);
    inner::write_empty(words, parent, kind, flags, &prefix, 0);
    if plan.has_end {
        first.shorten(words, plan.common);
        words.store_ref(NodeHeader::end_slot(parent), first.at);
    }
    for &(start, end, below) in &plan.groups {
        let first = bucket::leaf(words, at, plan.header, start);
        let byte = words.byte(first.suffix_at(), plan.common);
        let child = if end - start == 1 {
            first.shorten(words, plan.common + 1);
            first.at
        } else {
            move_group(words, at, &plan, (start, end, below))
        };
        inner::add_child(words, parent, byte, child);
    }
    space::free(words, bucket::size_words(plan.header));
    words.store_ref(slot, parent);
}

fn move_group(words: Words<'_>, from: Ref, plan: &Plan, group: (usize, usize, usize)) -> Ref {
    let (start, end, below) = group;
    let mut prefix = Vec::new();
    let first = bucket::leaf(words, from, plan.header, start);
    words.append_to(first.suffix_at(), plan.common + 1, below, &mut prefix);
    let to = space::take_inner(words, bucket_words(end - start, below));
    bucket::write_empty(words, to, bucket::class_for(end - start), &prefix);
    for index in start..end {
        let leaf = bucket::leaf(words, from, plan.header, index);
        leaf.shorten(words, plan.common + 1 + below);
        let leaf = Leaf::load(words, leaf.at);
        let fingerprint = bucket::fingerprint_of_run(words, leaf.suffix_at(), 0, leaf.suffix_len());
        bucket::insert(words, to, index - start, fingerprint, leaf.at);
    }
    to
}
