//! Every structural invariant of a range blob, checked node by node.

#![forbid(unsafe_code)]

use crate::blob::header;
use crate::blob::leaf::Leaf;
use crate::blob::node::{self, NodeHeader};
use crate::blob::words::{BLOB_WORDS, low_bytes};
use crate::blob::{Ref, Words, bucket, inner};

use super::cursor::KEY_BYTES_MAX;

/// What a walk over a whole blob found.
pub(crate) struct Findings {
    /// One sentence for every violation.
    pub(crate) problems: Vec<String>,
    pub(crate) keys: u32,
    pub(crate) pointers: u32,
    pub(crate) depth_max: usize,
}

struct Walk<'a> {
    words: Words<'a>,
    /// One bit for every word that some node has claimed.
    claimed: Vec<u64>,
    live_words: u32,
    key: Vec<u8>,
    last_key: Option<Vec<u8>>,
    findings: Findings,
    /// Inner nodes on the way to the current one. Not recursion: a chain may be 16,000 nodes deep.
    levels: Vec<Level>,
}

struct Level {
    at: Ref,
    header: NodeHeader,
    key_len: usize,
    position: u16,
    children_seen: usize,
    last_byte: Option<u8>,
}

/// Which words of the gap are looked at: all, but Miri needs half a minute for those of one blob.
const GAP_STEP: usize = if cfg!(miri) { 257 } else { 1 };

/// Checks refs, counts, live words, order and zeros of the blob whose keys begin with `base`.
pub(crate) fn check(words: Words<'_>, base: &[u8]) -> Findings {
    let mut walk = Walk {
        words,
        claimed: vec![0; BLOB_WORDS / 64],
        live_words: 0,
        key: base.to_vec(),
        last_key: None,
        findings: Findings { problems: Vec::new(), keys: 0, pointers: 0, depth_max: 0 },
        levels: Vec::new(),
    };
    walk.header();
    let root = header::root(words);
    if root != 0 {
        walk.node(root);
    }
    while walk.levels.last().is_some() {
        walk.step();
    }
    walk.totals();
    walk.findings
}

impl Walk<'_> {
    fn problem(&mut self, text: String) {
        // One damage can have thousands of consequences; the first ones tell the story.
        if self.findings.problems.len() < 32 {
            self.findings.problems.push(text);
        }
    }

    fn header(&mut self) {
        let (inner_end, leaf_start) = (header::inner_end(self.words), header::leaf_start(self.words));
        let start = u32::from(header::inner_start(header::id(self.words)));
        if inner_end < start || inner_end > leaf_start || leaf_start > BLOB_WORDS as u32 {
            self.problem(format!(
                "regions {start}..{inner_end} and {leaf_start}.. overlap or leave the blob"
            ));
            return;
        }
        let before = u32::from(header::NODES_AT)..start;
        let gap = (inner_end..leaf_start).step_by(GAP_STEP);
        if before.chain(gap).any(|at| self.words.load(at as Ref) != 0) {
            self.problem("the words outside the two regions are not zero".into());
        }
    }

    fn totals(&mut self) {
        let (keys, live) = (header::key_count(self.words), header::live_words(self.words));
        if keys != self.findings.keys {
            self.problem(format!("the header counts {keys} keys, the tree holds {}", self.findings.keys));
        }
        let (counted, pointers) = (header::pointer_leaves(self.words), self.findings.pointers);
        if counted != pointers {
            self.problem(format!("the header counts {counted} pointer leaves, the tree holds {pointers}"));
        }
        if live != self.live_words {
            self.problem(format!("the header counts {live} live words, the nodes take {}", self.live_words));
        }
    }

    /// Claims the words of a node; false if they lie outside their region or belong to another node.
    fn claim(&mut self, at: Ref, count: usize, is_leaf: bool) -> bool {
        let (start, end) = (u32::from(at), u32::from(at) + count as u32);
        let (low, high) = if is_leaf {
            (header::leaf_start(self.words), BLOB_WORDS as u32)
        } else {
            (u32::from(header::inner_start(header::id(self.words))), header::inner_end(self.words))
        };
        if start < low || end > high {
            self.problem(format!("node {at} of {count} words leaves its region {low}..{high}"));
            return false;
        }
        for word in start as usize..end as usize {
            let bit = 1 << (word % 64);
            if self.claimed[word / 64] & bit != 0 {
                self.problem(format!("word {word} belongs to two nodes"));
                return false;
            }
            self.claimed[word / 64] |= bit;
        }
        self.live_words += count as u32;
        true
    }

    fn padding(&mut self, at: Ref, run_at: Ref, len: usize) {
        if !len.is_multiple_of(8) {
            let word = self.words.load(run_at.wrapping_add((len / 8) as u16));
            if word & !low_bytes((len % 8) as u32) != 0 {
                self.problem(format!("the bytes behind the run of node {at} are not zero"));
            }
        }
    }

    fn node(&mut self, at: Ref) {
        let header = NodeHeader::load(self.words, at);
        if self.key.len() + header.prefix_len() > KEY_BYTES_MAX {
            return self.problem(format!("the key at node {at} is too long"));
        }
        self.findings.depth_max = self.findings.depth_max.max(self.levels.len() + 1);
        match header.kind() {
            node::LEAF => self.leaf(Leaf { at, header }),
            node::BUCKET => self.bucket(at, header),
            kind if inner::is_inner(kind) => self.inner(at, header),
            kind => self.problem(format!("node {at} is of unknown kind {kind}")),
        }
    }

    fn leaf(&mut self, leaf: Leaf) {
        if leaf.header.kind() != node::LEAF {
            return self.problem(format!("node {} is not a leaf", leaf.at));
        }
        if !self.claim(leaf.at, leaf.words(), true) {
            return;
        }
        self.padding(leaf.at, leaf.suffix_at(), leaf.suffix_len() + leaf.value_len());
        let len = self.key.len();
        leaf.append_suffix(self.words, &mut self.key);
        if self.last_key.as_ref().is_some_and(|last| *last >= self.key) {
            self.problem(format!("the key of leaf {} does not lie above the one before", leaf.at));
        }
        if leaf.seq(self.words) > header::highest_seq(self.words) {
            self.problem(format!("leaf {} is newer than its blob", leaf.at));
        }
        self.last_key = Some(self.key.clone());
        self.findings.keys += 1;
        self.findings.pointers += u32::from(leaf.is_pointer());
        self.key.truncate(len);
    }

    fn bucket(&mut self, at: Ref, header: NodeHeader) {
        let (count, capacity) = (header.count(), usize::from(header.flags()));
        if bucket::class_for(capacity) != capacity || count > capacity || count == 0 {
            return self.problem(format!("bucket {at} holds {count} of {capacity} leaves"));
        }
        if !self.claim(at, bucket::size_words(header), false) {
            return;
        }
        let prefix_at = bucket::prefix_at(at, header);
        self.padding(at, prefix_at, header.prefix_len());
        let len = self.key.len();
        self.words.append_to(prefix_at, 0, header.prefix_len(), &mut self.key);
        for index in 0..count {
            let leaf = bucket::leaf(self.words, at, header, index);
            let fingerprint = bucket::fingerprint_of_run(self.words, leaf.suffix_at(), 0, leaf.suffix_len());
            if bucket::stored_fingerprint(self.words, at, index) != fingerprint {
                self.problem(format!("fingerprint {index} of bucket {at} is wrong"));
            }
            self.leaf(leaf);
        }
        self.key.truncate(len);
    }

    fn inner(&mut self, at: Ref, header: NodeHeader) {
        let count = header.count();
        let capacity = inner::capacity(header.kind(), header.flags());
        if count > capacity || capacity > 256 || count + usize::from(header.extra() != 0) == 0 {
            return self.problem(format!("inner node {at} holds {count} of {capacity} children"));
        }
        if !self.claim(at, inner::size_words(header), false) {
            return;
        }
        let prefix_at = inner::prefix_at(at, header);
        self.padding(at, prefix_at, header.prefix_len());
        self.words.append_to(prefix_at, 0, header.prefix_len(), &mut self.key);
        if header.extra() != 0 {
            self.leaf(Leaf::load(self.words, header.extra()));
        }
        let key_len = self.key.len();
        let level = Level { at, header, key_len, position: 0, children_seen: 0, last_byte: None };
        self.levels.push(level);
    }

    /// Goes on to the next child of the innermost open node, or closes it.
    fn step(&mut self) {
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        let (at, header) = (level.at, level.header);
        self.key.truncate(level.key_len);
        let Some((byte, child, next)) = inner::step_forward(self.words, at, header, level.position) else {
            let (count, seen) = (header.count(), level.children_seen);
            self.levels.pop();
            if seen != count {
                self.problem(format!("inner node {at} counts {count} children and has {seen}"));
            }
            return;
        };
        let ascends = level.last_byte.is_none_or(|last| last < byte);
        (level.position, level.last_byte) = (next, Some(byte));
        level.children_seen += 1;
        if !ascends || child == 0 || inner::child(self.words, at, header, byte) != child {
            return self.problem(format!("inner node {at}: child {byte} is out of order or missing"));
        }
        self.key.push(byte);
        self.node(child);
    }
}
