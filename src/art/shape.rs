//! The shape of a tree over a sorted list: which runs of entries become buckets, which inner nodes.
//!
//! Up to 64 keys become a bucket where that takes at most 1.03 times the words of the inner form: buckets
//! are the faster of the two. Every run is weighed once, from the bottom up.

#![forbid(unsafe_code)]

use std::ops::Range;

use super::entries::{Content, Entries, Entry};
use crate::blob::leaf;
use crate::blob::node::run_words;
use crate::blob::{bucket, inner};

/// How much larger a bucket may be than the inner form it replaces, in hundredths.
const BUCKET_BIAS_PERCENT: usize = 103;

/// A subtree, as an index into the shape.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subtree {
    /// A single entry, by its place in the part: a leaf or a whole bucket.
    Entry(u32),
    /// A planned node.
    Node(u32),
    /// A run that is too long for a bucket; its shape is found when it is reached.
    Run(u32, u32),
}

/// A node over the entries `start..end`, which share `common` bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) common: usize,
    /// Its children, in the list of all children; none for a bucket.
    children: Option<(u32, u32)>,
}

/// The shape of one part of a list. Places count from the start of the part.
pub(crate) struct Shape {
    /// Bytes that each entry shares with the one before.
    commons: Vec<u32>,
    key_lens: Vec<u32>,
    /// Bytes of key and value together.
    lens: Vec<u32>,
    /// Words of whole buckets with their leaves, without their prefixes; 0 for a leaf.
    whole_words: Vec<u32>,
    nodes: Vec<Node>,
    children: Vec<Subtree>,
    /// Children of the runs that are being weighed.
    open: Vec<(Subtree, u32)>,
}

impl Shape {
    pub(crate) fn new(entries: &Entries<'_>, part: Range<usize>) -> Self {
        let list = &entries.list[part];
        let len = |entry: &Entry| match entry.content {
            Content::Leaf(leaf) => (entry.key_len() + leaf.value_len()) as u32,
            Content::Whole(_) => 0,
        };
        let whole_words = |entry: &Entry| match entry.content {
            Content::Leaf(_) => 0,
            Content::Whole(whole) => {
                whole.leaf_words + bucket::body_words(bucket::class_for(whole.count())) as u32
            }
        };
        Shape {
            commons: list.iter().map(|entry| entry.common).collect(),
            key_lens: list.iter().map(|entry| entry.key_len() as u32).collect(),
            lens: list.iter().map(len).collect(),
            whole_words: list.iter().map(whole_words).collect(),
            nodes: Vec::new(),
            children: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Words of the leaf of an entry below `depth` spelled bytes.
    #[inline]
    pub(crate) fn leaf_words(&self, index: usize, depth: usize) -> usize {
        leaf::size_words(self.lens[index] as usize - depth, 0)
    }

    /// Words of an entry below `depth` spelled bytes.
    fn entry_words(&self, index: usize, depth: usize) -> usize {
        match self.whole_words[index] {
            0 => self.leaf_words(index, depth),
            words => words as usize + run_words(self.key_lens[index] as usize - depth),
        }
    }

    /// The subtree over `start..end`, below `depth` spelled bytes.
    pub(crate) fn subtree(&mut self, start: usize, end: usize, depth: usize) -> Subtree {
        if end - start > bucket::LIMIT {
            return Subtree::Run(start as u32, end as u32);
        }
        let (subtree, _) = self.weigh(start, end, depth);
        self.open.clear();
        subtree
    }

    /// The node of a long run: always an inner one.
    pub(crate) fn node_of_run(&mut self, start: usize, end: usize) -> Node {
        let common = self.common(start, end);
        let mut list = Vec::new();
        let mut at = start + usize::from(self.ends_at(start, common));
        while at < end {
            let group_end = self.group_end(at, end, common);
            list.push(self.subtree(at, group_end, common + 1));
            at = group_end;
        }
        let first = self.children.len() as u32;
        self.children.extend_from_slice(&list);
        Node { start, end, common, children: Some((first, self.children.len() as u32)) }
    }

    pub(crate) fn node(&self, index: u32) -> Node {
        self.nodes[index as usize]
    }

    /// The children of an inner node, without the entry that ends at it; none for a bucket.
    pub(crate) fn children(&self, node: &Node) -> Option<&[Subtree]> {
        node.children.map(|(from, to)| &self.children[from as usize..to as usize])
    }

    /// The first entry of a subtree.
    pub(crate) fn start_of(&self, subtree: Subtree) -> usize {
        match subtree {
            Subtree::Entry(index) => index as usize,
            Subtree::Node(index) => self.nodes[index as usize].start,
            Subtree::Run(start, _) => start as usize,
        }
    }

    /// Whether the key of an entry is exactly `common` bytes long.
    pub(crate) fn ends_at(&self, index: usize, common: usize) -> bool {
        self.key_lens[index] as usize == common
    }

    /// How many bytes all keys of a run of two or more share.
    fn common(&self, start: usize, end: usize) -> usize {
        self.commons[start + 1..end].iter().copied().min().unwrap_or(0) as usize
    }

    /// The end of the run of entries from `start` that share more than `common` bytes.
    fn group_end(&self, start: usize, end: usize, common: usize) -> usize {
        let later = &self.commons[start + 1..end];
        later.iter().position(|&shared| shared as usize == common).map_or(end, |i| start + 1 + i)
    }

    fn bucket_words(&self, start: usize, end: usize, depth: usize, common: usize) -> usize {
        let node = bucket::body_words(bucket::class_for(end - start)) + run_words(common - depth);
        let leaves = self.lens[start..end].iter();
        node + leaves.map(|&len| leaf::size_words(len as usize - common, 0)).sum::<usize>()
    }

    /// Words that the inner form of a short run cannot go below: what every leaf takes at the deepest
    /// place it could have, and the smallest nodes.
    fn inner_words_min(&self, start: usize, end: usize, depth: usize, common: usize) -> usize {
        const SMALLEST_BUCKET_WORDS: usize = bucket::body_words(4);
        let (mut groups, mut leaves, mut buckets) = (0, 0, 0);
        let mut left = common;
        for index in start..end {
            let right = if index + 1 < end { self.commons[index + 1] as usize } else { common };
            groups += usize::from(left == common);
            buckets += usize::from(left == common && right > common);
            let deepest = (left.max(right) + 1).min(self.key_lens[index] as usize);
            leaves += self.leaf_words(index, deepest);
            left = right;
        }
        let (kind, flags) = inner::class_for(groups - usize::from(self.ends_at(start, common)));
        let nodes = inner::body_words(kind, flags) + run_words(common - depth);
        nodes + leaves + buckets * SMALLEST_BUCKET_WORDS
    }

    /// Finds the best shape of a short run and the words it takes.
    fn weigh(&mut self, start: usize, end: usize, depth: usize) -> (Subtree, u32) {
        if end - start == 1 {
            return (Subtree::Entry(start as u32), self.entry_words(start, depth) as u32);
        }
        let common = self.common(start, end);
        // What holds whole buckets is an inner node.
        let can_be_bucket = self.whole_words[start..end].iter().all(|&words| words == 0);
        let bucket = if can_be_bucket { self.bucket_words(start, end, depth, common) } else { usize::MAX };
        if can_be_bucket && takes_bucket(bucket, self.inner_words_min(start, end, depth, common)) {
            // Four of five runs end here, without looking at what is below.
            self.nodes.push(Node { start, end, common, children: None });
            return (Subtree::Node(self.nodes.len() as u32 - 1), bucket as u32);
        }
        let opened = self.open.len();
        let mut at = start;
        let mut words = run_words(common - depth);
        if self.ends_at(start, common) {
            words += self.leaf_words(start, common);
            at += 1;
        }
        while at < end {
            let group_end = self.group_end(at, end, common);
            let child = self.weigh(at, group_end, common + 1);
            words += child.1 as usize;
            self.open.push(child);
            at = group_end;
        }
        let (kind, flags) = inner::class_for(self.open.len() - opened);
        words += inner::body_words(kind, flags);
        let takes_bucket = can_be_bucket && takes_bucket(bucket, words);
        let children = (!takes_bucket).then(|| {
            let first = self.children.len() as u32;
            self.children.extend(self.open[opened..].iter().map(|(subtree, _)| *subtree));
            (first, self.children.len() as u32)
        });
        self.open.truncate(opened);
        self.nodes.push(Node { start, end, common, children });
        let words = if takes_bucket { bucket } else { words };
        (Subtree::Node(self.nodes.len() as u32 - 1), words as u32)
    }
}

fn takes_bucket(bucket_words: usize, inner_words: usize) -> bool {
    bucket_words * 100 <= inner_words * BUCKET_BIAS_PERCENT
}
