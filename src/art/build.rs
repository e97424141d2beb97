//! Building a blob from a sorted list, in canonical form: inner nodes breadth-first, leaves in key order.
//!
//! Compacting, splitting, sharing and joining all end here, so the shape of a rebuilt blob depends on its
//! keys alone. Up to 64 keys become a bucket where that takes at most 1.03 times the words of the inner
//! form: buckets are the faster of the two.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Range;

use super::entries::Entries;
use crate::blob::header::{self, BlobKind, ROOT_SLOT};
use crate::blob::node::{NodeHeader, run_words};
use crate::blob::run::RunWriter;
use crate::blob::words::BLOB_WORDS;
use crate::blob::{Ref, RefSlot, Words, bucket, inner, leaf, space};

/// How much larger a bucket may be than the inner form it replaces, in hundredths.
const BUCKET_BIAS_PERCENT: usize = 103;

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

/// Entries `start..end`, below `depth` spelled bytes, whose node's ref goes to `slot`.
struct Job {
    start: usize,
    end: usize,
    depth: usize,
    slot: RefSlot,
}

struct Builder<'e, 'a> {
    words: Words<'a>,
    entries: &'e Entries<'a>,
    /// The first entry of the list that is built; its key is at hand in full.
    first: usize,
    first_key: Vec<u8>,
    leaves: Vec<LeafPlan>,
    jobs: VecDeque<Job>,
}

/// Builds blob `id` in the zeroed frame `words` from part of a list, without the first `base` bytes of
/// its keys, which they all share.
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
    let nowhere = LeafPlan { depth: 0, slot: ROOT_SLOT, bucket: None };
    let mut builder = Builder {
        words,
        entries,
        first: part.start,
        first_key: entries.key(part.start),
        leaves: vec![nowhere; part.len()],
        jobs: VecDeque::new(),
    };
    builder.jobs.push_back(Job { start: part.start, end: part.end, depth: base, slot: ROOT_SLOT });
    while let Some(job) = builder.jobs.pop_front() {
        builder.place(&job)?;
    }
    builder.write_leaves()
}

impl Builder<'_, '_> {
    /// Bytes `from..to` of the key of an entry that is the first of its node.
    fn bytes(&self, index: usize, from: usize, to: usize) -> &[u8] {
        if index == self.first { &self.first_key[from..to] } else { self.entries.bytes(index, from, to) }
    }

    fn byte(&self, index: usize, depth: usize) -> u8 {
        if index == self.first { self.first_key[depth] } else { self.entries.byte(index, depth) }
    }

    /// How many bytes all keys of a slice of two or more share.
    fn common(&self, start: usize, end: usize) -> usize {
        self.entries.list[start + 1..end].iter().map(|entry| entry.common).min().unwrap_or(0) as usize
    }

    /// The end of the run of entries from `start` that share more than `common` bytes.
    fn group_end(&self, start: usize, end: usize, common: usize) -> usize {
        let later = &self.entries.list[start + 1..end];
        later.iter().position(|entry| entry.common as usize == common).map_or(end, |i| start + 1 + i)
    }

    fn leaf_words(&self, index: usize, depth: usize) -> usize {
        let entry = &self.entries.list[index];
        leaf::size_words(entry.key_len() - depth, entry.leaf.value_len())
    }

    fn bucket_words(&self, start: usize, end: usize, depth: usize, common: usize) -> usize {
        let node = bucket::body_words(bucket::class_for(end - start)) + run_words(common - depth);
        node + (start..end).map(|index| self.leaf_words(index, common)).sum::<usize>()
    }

    fn inner_words(&self, start: usize, end: usize, depth: usize, common: usize) -> usize {
        let (mut at, mut total, mut children) = (start, 0, 0);
        if self.entries.list[start].key_len() == common {
            total += self.leaf_words(start, common);
            at += 1;
        }
        while at < end {
            let group_end = self.group_end(at, end, common);
            total += self.best_words(at, group_end, common + 1);
            children += 1;
            at = group_end;
        }
        let (kind, flags) = inner::class_for(children);
        total + inner::body_words(kind, flags) + run_words(common - depth)
    }

    fn best_words(&self, start: usize, end: usize, depth: usize) -> usize {
        if end - start == 1 {
            return self.leaf_words(start, depth);
        }
        let common = self.common(start, end);
        let bucket = self.bucket_words(start, end, depth, common);
        let inner = self.inner_words(start, end, depth, common);
        if prefers_bucket(bucket, inner) { bucket } else { inner }
    }

    /// Allocates and writes the node of a job, and queues its children.
    fn place(&mut self, job: &Job) -> Result<(), DoesNotFit> {
        let &Job { start, end, depth, slot } = job;
        if end - start == 1 {
            self.leaves[start - self.first] = LeafPlan { depth, slot, bucket: None };
            return Ok(());
        }
        let common = self.common(start, end);
        let small = end - start <= bucket::LIMIT;
        if small {
            let bucket = self.bucket_words(start, end, depth, common);
            if prefers_bucket(bucket, self.inner_words(start, end, depth, common)) {
                return self.place_bucket(job, common);
            }
        }
        self.place_inner(job, common)
    }

    fn take(&self, count: usize) -> Result<Ref, DoesNotFit> {
        let need = space::Need { inner: count as u32, leaf: 0 };
        if space::fits(self.words, need) { Ok(space::take_inner(self.words, count)) } else { Err(DoesNotFit) }
    }

    fn place_bucket(&mut self, job: &Job, common: usize) -> Result<(), DoesNotFit> {
        let &Job { start, end, depth, slot } = job;
        let capacity = bucket::class_for(end - start);
        let at = self.take(bucket::body_words(capacity) + run_words(common - depth))?;
        bucket::write_empty(self.words, at, capacity, self.bytes(start, depth, common));
        let header = NodeHeader::load(self.words, at).with_count(end - start);
        header.store(self.words, at);
        self.words.store_ref(slot, at);
        for index in start..end {
            let slot = bucket::slot(at, header, index - start);
            let bucket = Some((at, index - start));
            self.leaves[index - self.first] = LeafPlan { depth: common, slot, bucket };
        }
        Ok(())
    }

    fn place_inner(&mut self, job: &Job, common: usize) -> Result<(), DoesNotFit> {
        let &Job { start, end, depth, slot } = job;
        let has_end = self.entries.list[start].key_len() == common;
        let mut groups = Vec::new();
        let mut at = start + usize::from(has_end);
        while at < end {
            let group_end = self.group_end(at, end, common);
            groups.push((at, group_end));
            at = group_end;
        }
        let (kind, flags) = inner::class_for(groups.len());
        let node = self.take(inner::body_words(kind, flags) + run_words(common - depth))?;
        inner::write_empty(self.words, node, kind, flags, self.bytes(start, depth, common), 0);
        self.words.store_ref(slot, node);
        if has_end {
            let slot = NodeHeader::end_slot(node);
            self.leaves[start - self.first] = LeafPlan { depth: common, slot, bucket: None };
        }
        for &(start, _) in &groups {
            inner::add_child(self.words, node, self.byte(start, common), 0);
        }
        let header = NodeHeader::load(self.words, node);
        for (start, end) in groups {
            let Some(slot) = inner::child_slot(self.words, node, header, self.byte(start, common)) else {
                unreachable!("the child was added above");
            };
            self.jobs.push_back(Job { start, end, depth: common + 1, slot });
        }
        Ok(())
    }

    /// Writes all leaves, the first key at the lowest address, and stores their refs.
    fn write_leaves(self) -> Result<(), DoesNotFit> {
        let words = self.words;
        let plans = self.leaves.iter().enumerate();
        let total = plans.map(|(i, plan)| self.leaf_words(self.first + i, plan.depth)).sum::<usize>();
        if !space::fits(words, space::Need { inner: 0, leaf: total as u32 }) {
            return Err(DoesNotFit);
        }
        let mut key = self.first_key;
        let mut at = space::take_leaf(words, total);
        debug_assert!(usize::from(at) + total == BLOB_WORDS);
        for (offset, plan) in self.leaves.iter().enumerate() {
            let entry = &self.entries.list[self.first + offset];
            if offset > 0 {
                key.truncate(entry.common as usize);
                let start = entry.tail_start as usize;
                key.extend_from_slice(&self.entries.tails[start..start + entry.tail_len as usize]);
            }
            let source = self.entries.sources[usize::from(entry.source)];
            let (old, suffix) = (entry.leaf, &key[plan.depth..]);
            leaf::write_head(words, at, suffix.len(), old.value_len(), old.seq(source));
            let mut run = RunWriter::new(words, at.wrapping_add(leaf::HEAD_WORDS as u16));
            run.push(suffix);
            run.push_run(source, old.suffix_at(), old.suffix_len(), old.value_len());
            run.finish();
            words.store_ref(plan.slot, at);
            if let Some((bucket, index)) = plan.bucket {
                bucket::store_fingerprint(words, bucket, index, bucket::fingerprint_of_bytes(suffix));
            }
            at = at.wrapping_add(leaf::size_words(suffix.len(), old.value_len()) as u16);
        }
        header::set_counts(words, self.leaves.len() as u32, header::live_words(words));
        Ok(())
    }
}

fn prefers_bucket(bucket_words: usize, inner_words: usize) -> bool {
    bucket_words * 100 <= inner_words * BUCKET_BIAS_PERCENT
}
