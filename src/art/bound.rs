//! How many words some puts need at most, without trying them.
//!
//! What a put needs depends on the puts before it, because they change the shape of the tree on its way. But
//! a few things hold whatever they do: it makes one leaf, whose suffix is not longer than what is left of its
//! key; it makes or enlarges one node, whose prefix is not longer than that either, and whose children are
//! those that the node had and at most one more for each put; and it bursts a bucket only if that is full. A
//! bucket that is there now is entered only by those puts that would enter it now.

#![forbid(unsafe_code)]

use super::locate::{Spot, locate};
use crate::blob::leaf::{self, Leaf};
use crate::blob::node::{NodeHeader, run_words};
use crate::blob::presence::Everything;
use crate::blob::{Key, Ref, Torn, Words, bucket, inner};

/// So many puts cannot fill a bucket that they have made themselves.
pub(crate) const PUTS_MAX: usize = bucket::LIMIT - 2;

/// What a burst makes, prefixes aside: a node of up to 64 children, buckets of two leaves or more of 64 in
/// all, and what their prefixes lose to whole words.
const BURST_WORDS: u64 = 256;

/// Puts that enter one bucket.
struct Entering {
    at: Ref,
    count: usize,
    leaf_words: u64,
}

/// Adds up what puts need; see the head of this file.
pub(crate) struct Bound<'a> {
    words: Words<'a>,
    base: usize,
    /// How many puts there will be.
    puts: usize,
    total_words: u64,
    entering: Option<Entering>,
}

fn node_words(children: usize) -> u64 {
    let (kind, flags) = inner::class_for(children);
    let bucket = bucket::body_words(bucket::class_for(children));
    inner::body_words(kind, flags).max(bucket) as u64
}

impl<'a> Bound<'a> {
    /// Nothing yet of so many puts, at most `PUTS_MAX`.
    pub(crate) fn new(words: Words<'a>, base: usize, puts: usize) -> Self {
        debug_assert!(puts <= PUTS_MAX);
        Bound { words, base, puts, total_words: 0, entering: None }
    }

    /// Adds a put. Keys ascend, so those of one bucket follow each other.
    pub(crate) fn add(&mut self, key: &Key<'_>, value_len: usize) -> Result<(), Torn> {
        let suffix_len = key.len().saturating_sub(self.base);
        let leaf_words = leaf::size_words(suffix_len, value_len) as u64;
        let spot = locate(self.words, key, self.base, &Everything)?;
        let children = match spot {
            Spot::Found { leaf, .. } if value_len <= leaf.value_len() => return Ok(()),
            Spot::Found { .. } => {
                self.total_words += leaf_words;
                return Ok(());
            }
            Spot::InBucket { at, .. } => {
                self.enter(at, leaf_words);
                bucket::count(NodeHeader::load(self.words, at))
            }
            Spot::NewChild { at, .. } => NodeHeader::load(self.words, at).count(),
            _ => 2,
        };
        self.total_words += leaf_words + run_words(suffix_len) as u64 + node_words(children + self.puts);
        Ok(())
    }

    fn enter(&mut self, at: Ref, leaf_words: u64) {
        match &mut self.entering {
            Some(entering) if entering.at == at => {
                entering.count += 1;
                entering.leaf_words += leaf_words;
            }
            _ => {
                self.burst();
                self.entering = Some(Entering { at, count: 1, leaf_words });
            }
        }
    }

    /// Adds what bursts the bucket that was entered last may take. Each comes with a put that finds a bucket
    /// full; its prefixes take what at least two leaves lose for each.
    fn burst(&mut self) {
        let Some(Entering { at, count, leaf_words }) = self.entering.take() else {
            return;
        };
        let header = NodeHeader::load(self.words, at);
        let bursts = (bucket::count(header) + count).saturating_sub(bucket::LIMIT) as u64;
        if bursts == 0 {
            return;
        }
        if !bucket::holds_sound_leaves(self.words, at) {
            // More than any blob has: they are tried on a copy, which fails as it should.
            self.total_words += u64::from(u32::MAX);
            return;
        }
        let leaf = |index| bucket::leaf(self.words, at, header, index);
        let old_words = (0..bucket::count(header)).map(|index| Leaf::words(leaf(index)) as u64).sum::<u64>();
        let prefix_words = run_words(header.prefix_len()) as u64;
        self.total_words += bursts * (BURST_WORDS + (old_words + leaf_words) / 2 + prefix_words);
        self.total_words += count as u64 * node_words(bucket::LIMIT + self.puts);
    }

    /// The words that all puts need at most.
    pub(crate) fn words(mut self) -> u64 {
        self.burst();
        self.total_words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::art::insert;
    use crate::blob::header::{self, BlobKind};
    use crate::blob::key::KeyBuf;
    use crate::blob::leaf::Payload;
    use crate::blob::words::boxed_words;
    use std::collections::BTreeMap;

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) as usize % limit
        }
    }

    fn key(random: &mut Random) -> Vec<u8> {
        match random.below(4) {
            0 => (0..random.below(12)).map(|_| [0, b'/', b'a', 0xFE, 0xFF][random.below(5)]).collect(),
            1 => vec![b'a'; random.below(2) * random.below(3000)],
            // Buckets that are full, or nearly; with long common parts that a burst takes out.
            2 => [&vec![b'c'; random.below(2) * 300][..], format!("{:03}", random.below(300)).as_bytes()]
                .concat(),
            _ => format!("dir/{}", random.below(200)).into_bytes(),
        }
    }

    #[test]
    fn puts_never_need_more() {
        let mut bursts = 0;
        for seed in 0..if cfg!(miri) { 1 } else { 60 } {
            let mut random = Random(seed);
            let memory = boxed_words();
            let words = Words::new(&memory);
            header::format(words, 0, BlobKind::Range);
            for _ in 0..if cfg!(miri) { 4 } else { 150 } {
                let count = 1 + random.below(PUTS_MAX);
                let sizes = [0, 3, 50, 2000][random.below(4)];
                let puts: BTreeMap<Vec<u8>, Vec<u8>> =
                    (0..count).map(|_| (key(&mut random), vec![1; random.below(sizes + 1)])).collect();
                let mut bound = Bound::new(words, 0, puts.len());
                for (key, value) in &puts {
                    let mut buffer = KeyBuf::empty();
                    bound.add(&buffer.fill_whole(key), value.len()).expect("sound");
                }
                let (bound, free_words) = (bound.words(), u64::from(header::free_words(words)));
                if bound > free_words {
                    break;
                }
                for (key, value) in &puts {
                    let mut buffer = KeyBuf::empty();
                    let key = buffer.fill_whole(key);
                    let burst = || bursts += 1;
                    let prepared = insert::prepare(words, &key, 0, value.len(), 0, &Everything, burst);
                    insert::apply(words, prepared.expect("room"), &key, 0, Payload::value(value), 1);
                }
                let taken = free_words - u64::from(header::free_words(words));
                assert!(taken <= bound, "seed {seed}: {taken} words, not {bound}");
            }
        }
        assert!(cfg!(miri) || bursts > 100, "{bursts} bursts");
    }
}
