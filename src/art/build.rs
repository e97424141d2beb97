//! Building a blob from a sorted list, in canonical form: inner nodes breadth-first, leaves in key order.
//!
//! Compacting, bulk loads, splitting, sharing, joining and moving all end here. The form of a blob depends on
//! the entries of its list alone: on its keys, and on the buckets that the list has taken whole.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Range;

use super::entries::{Content, Entries, Whole};
use super::shape::{Node, Shape, Subtree};
use crate::blob::header::{self, BlobKind, ROOT_SLOT};
use crate::blob::leaf::Leaf;
use crate::blob::node::{NodeHeader, run_words};
use crate::blob::run::RunWriter;
use crate::blob::words::BLOB_WORDS;
use crate::blob::{Ref, RefSlot, Words, bucket, inner, leaf, space};

/// The list needs more words than a blob has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoesNotFit;

/// Where a leaf's ref goes, and how many of its key's bytes the path spells.
#[derive(Clone, Copy)]
struct LeafPlan {
    depth: usize,
    slot: RefSlot,
    /// The bucket that wants a fingerprint, and the leaf's index in it.
    bucket: Option<(Ref, usize)>,
}

/// A subtree below `depth` spelled bytes, whose ref goes to `slot`.
struct Job {
    subtree: Subtree,
    depth: usize,
    slot: RefSlot,
}

struct Builder<'e, 'a> {
    words: Words<'a>,
    entries: &'e Entries<'a>,
    shape: Shape,
    /// The first entry of the list that is built; its key is at hand in full.
    first: usize,
    first_key: Vec<u8>,
    leaves: Vec<LeafPlan>,
    jobs: VecDeque<Job>,
}

/// Builds blob `id` in the frame `words` from part of a list, without the first `base` bytes of its keys,
/// which they all share. What the frame held before does not matter; what lies between the two regions
/// afterwards does not either: `replace` copies only what counts.
pub(crate) fn build<'a>(
    words: Words<'a>,
    id: u32,
    entries: &Entries<'a>,
    part: Range<usize>,
    base: usize,
) -> Result<(), DoesNotFit> {
    header::format(words, id, BlobKind::Range);
    for source in &entries.sources {
        header::raise_seq(words, header::highest_seq(*source));
    }
    if part.is_empty() {
        return Ok(());
    }
    let list = &entries.list[part.clone()];
    if list.iter().any(|entry| entry.key_len() < base) {
        // More is spelled for the blob than for a whole bucket: it has to be taken apart.
        return Err(DoesNotFit);
    }
    let nowhere = LeafPlan { depth: 0, slot: ROOT_SLOT, bucket: None };
    let mut builder = Builder {
        words,
        entries,
        shape: Shape::new(entries, part.clone()),
        first: part.start,
        first_key: entries.key(part.start),
        leaves: vec![nowhere; part.len()],
        jobs: VecDeque::new(),
    };
    let subtree = builder.shape.subtree(0, part.len(), base);
    builder.jobs.push_back(Job { subtree, depth: base, slot: ROOT_SLOT });
    while let Some(job) = builder.jobs.pop_front() {
        builder.place(&job)?;
    }
    builder.write_leaves()
}

impl Builder<'_, '_> {
    /// Bytes `from..to` of the key of an entry that is the first of its node.
    fn bytes(&self, place: usize, from: usize, to: usize) -> &[u8] {
        match place {
            0 => &self.first_key[from..to],
            _ => self.entries.bytes(self.first + place, from, to),
        }
    }

    /// Allocates and writes the node of a job, and queues its children.
    fn place(&mut self, job: &Job) -> Result<(), DoesNotFit> {
        let &Job { subtree, depth, slot } = job;
        let node = match subtree {
            Subtree::Entry(place) => return self.place_entry(place as usize, depth, slot),
            Subtree::Node(index) => self.shape.node(index),
            Subtree::Run(start, end) => self.shape.node_of_run(start as usize, end as usize),
        };
        match self.shape.children(&node).map(<[Subtree]>::to_vec) {
            None => self.place_bucket(&node, depth, slot),
            Some(children) => self.place_inner(&node, &children, depth, slot),
        }
    }

    fn place_entry(&mut self, place: usize, depth: usize, slot: RefSlot) -> Result<(), DoesNotFit> {
        let entry = self.entries.list[self.first + place];
        let Content::Whole(whole) = entry.content else {
            self.leaves[place] = LeafPlan { depth, slot, bucket: None };
            return Ok(());
        };
        let capacity = bucket::class_for(whole.count());
        let at = self.take(bucket::body_words(capacity) + run_words(entry.key_len() - depth))?;
        bucket::write_empty(self.words, at, capacity, self.bytes(place, depth, entry.key_len()));
        let source = self.entries.sources[usize::from(entry.source)];
        bucket::copy_fingerprints(self.words, at, source, whole.at, whole.count());
        self.words.store_ref(slot, at);
        self.leaves[place] = LeafPlan { depth: entry.key_len(), slot, bucket: Some((at, 0)) };
        Ok(())
    }

    fn take(&self, count: usize) -> Result<Ref, DoesNotFit> {
        if !space::fits(self.words, space::Need { inner: count as u32, leaf: 0 }) {
            return Err(DoesNotFit);
        }
        let at = space::take_inner(self.words, count);
        self.words.zero(at, count);
        Ok(at)
    }

    fn place_bucket(&mut self, node: &Node, depth: usize, slot: RefSlot) -> Result<(), DoesNotFit> {
        let &Node { start, end, common, .. } = node;
        let capacity = bucket::class_for(end - start);
        let at = self.take(bucket::body_words(capacity) + run_words(common - depth))?;
        bucket::write_empty(self.words, at, capacity, self.bytes(start, depth, common));
        let header = NodeHeader::load(self.words, at).with_count(end - start);
        header.store(self.words, at);
        self.words.store_ref(slot, at);
        for place in start..end {
            let slot = bucket::slot(at, header, place - start);
            self.leaves[place] = LeafPlan { depth: common, slot, bucket: Some((at, place - start)) };
        }
        Ok(())
    }

    fn place_inner(
        &mut self,
        node: &Node,
        children: &[Subtree],
        depth: usize,
        slot: RefSlot,
    ) -> Result<(), DoesNotFit> {
        let &Node { start, common, .. } = node;
        let (kind, flags) = inner::class_for(children.len());
        let at = self.take(inner::body_words(kind, flags) + run_words(common - depth))?;
        inner::write_empty(self.words, at, kind, flags, self.bytes(start, depth, common), 0);
        self.words.store_ref(slot, at);
        if self.shape.ends_at(start, common) {
            let slot = NodeHeader::end_slot(at);
            self.leaves[start] = LeafPlan { depth: common, slot, bucket: None };
        }
        let byte = |builder: &Self, child: Subtree| {
            builder.bytes(builder.shape.start_of(child), common, common + 1)[0]
        };
        for &child in children {
            inner::add_child(self.words, at, byte(self, child), 0);
        }
        let header = NodeHeader::load(self.words, at);
        for &subtree in children {
            let Some(slot) = inner::child_slot(self.words, at, header, byte(self, subtree)) else {
                unreachable!("the child was added above");
            };
            self.jobs.push_back(Job { subtree, depth: common + 1, slot });
        }
        Ok(())
    }

    fn leaf_words(&self, place: usize) -> usize {
        match self.entries.list[self.first + place].content {
            Content::Leaf(_) => self.shape.leaf_words(place, self.leaves[place].depth),
            Content::Whole(whole) => whole.leaf_words as usize,
        }
    }

    /// Writes all leaves, the first key at the lowest address, and stores their refs.
    fn write_leaves(mut self) -> Result<(), DoesNotFit> {
        let words = self.words;
        let total = (0..self.leaves.len()).map(|place| self.leaf_words(place)).sum::<usize>();
        if !space::fits(words, space::Need { inner: 0, leaf: total as u32 }) {
            return Err(DoesNotFit);
        }
        let mut key = std::mem::take(&mut self.first_key);
        let (mut keys, mut pointers) = (0, 0);
        let mut at = space::take_leaf(words, total);
        debug_assert!(usize::from(at) + total == BLOB_WORDS);
        for (place, plan) in self.leaves.iter().enumerate() {
            let entry = &self.entries.list[self.first + place];
            if place > 0 {
                key.truncate(entry.common as usize);
                key.extend_from_slice(self.entries.tail(entry));
            }
            let source = self.entries.sources[usize::from(entry.source)];
            let old = match entry.content {
                Content::Leaf(leaf) => leaf,
                Content::Whole(whole) => {
                    at = copy_leaves(words, at, source, whole, plan, &mut pointers);
                    keys += whole.count();
                    continue;
                }
            };
            keys += 1;
            pointers += i32::from(old.is_pointer());
            let suffix = &key[plan.depth..];
            if self.entries.has_old_names && old.suffix_len() == suffix.len() {
                // Most leaves stay as they are: the path spells as much of them as before.
                copy_leaf(words, at, source, old);
            } else {
                leaf::write_head_like(words, at, suffix.len(), old, old.seq(source));
                let len = suffix.len() + old.value_len();
                let mut run = RunWriter::new(words, at.wrapping_add(leaf::HEAD_WORDS as u16), len);
                run.push(suffix);
                run.push_run(source, old.suffix_at(), old.suffix_len(), old.value_len());
                run.finish();
            }
            words.store_ref(plan.slot, at);
            if let Some((bucket, index)) = plan.bucket {
                bucket::store_fingerprint(words, bucket, index, bucket::fingerprint_of_bytes(suffix));
            }
            at = at.wrapping_add(leaf::size_words(suffix.len(), old.value_len()) as u16);
        }
        header::set_counts(words, keys as u32, header::live_words(words));
        header::count_pointers(words, pointers);
        Ok(())
    }
}

/// Leaves lie scattered: those that are copied next are fetched meanwhile.
const LEAVES_AHEAD: usize = 4;

/// Copies a leaf as it is. A scratch frame needs no notes of changed pages.
#[inline(always)]
fn copy_leaf(words: Words<'_>, at: Ref, source: Words<'_>, leaf: Leaf) {
    words.copy_unnoted(at, source, leaf.at, leaf.words());
}

/// Copies the leaves of a whole bucket to `at` and behind; returns where they end.
fn copy_leaves(
    words: Words<'_>,
    at: Ref,
    source: Words<'_>,
    whole: Whole,
    plan: &LeafPlan,
    pointers: &mut i32,
) -> Ref {
    let Some((bucket, _)) = plan.bucket else { unreachable!("a whole bucket is planned as a bucket") };
    let header = NodeHeader::load(words, bucket).with_count(whole.count());
    header.store(words, bucket);
    let mut at = at;
    for index in 0..whole.count() {
        let leaf = whole.leaf(source, index);
        whole.fetch(source, index + LEAVES_AHEAD);
        copy_leaf(words, at, source, leaf);
        *pointers += i32::from(leaf.is_pointer());
        words.store_ref(bucket::slot(bucket, header, index), at);
        at = at.wrapping_add(leaf.words() as u16);
    }
    at
}
