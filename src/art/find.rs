//! The lookup: from the root of a range blob to the leaf of one key.
//!
//! Every step below an inner node spells at least one byte of the key, so a descent ends after at most
//! as many steps as the key has bytes, whatever the words say.
//!
//! Where some leaves may not be in memory, an answer counts only if no page was missed on the way to it.

#![forbid(unsafe_code)]

use crate::blob::leaf::Leaf;
use crate::blob::node::{self, NodeHeader};
use crate::blob::presence::{Everything, Presence};
use crate::blob::{Key, Ref, Torn, Words, bucket, inner, simd};

/// The leaf of `key` in the tree at `root`, whose keys all begin with the key's first `base` bytes.
#[inline(always)]
pub(crate) fn find(
    words: Words<'_>,
    root: Ref,
    key: &Key<'_>,
    base: usize,
    presence: &impl Presence,
) -> Result<Option<Leaf>, Torn> {
    let mut at = root;
    let mut depth = base;
    if at == 0 {
        return Ok(None);
    }
    loop {
        if !presence.holds_node(at) {
            return Err(Torn);
        }
        let header = NodeHeader::load(words, at);
        match header.kind() {
            node::BUCKET => {
                if !spells(words, bucket::prefix_at(at, header), header, key, depth) {
                    return Ok(None);
                }
                depth += header.prefix_len();
                return Ok(bucket::find(words, at, header, key, depth, presence).map(|(_, leaf)| leaf));
            }
            node::INNER4 => match step::<{ node::INNER4 }, _>(words, at, header, key, &mut depth, presence) {
                Step::Down(child) => at = child,
                Step::Stop(leaf) => return Ok(leaf),
            },
            node::INNER16 => match step::<{ node::INNER16 }, _>(words, at, header, key, &mut depth, presence)
            {
                Step::Down(child) => at = child,
                Step::Stop(leaf) => return Ok(leaf),
            },
            node::INNER_MAP => {
                match step::<{ node::INNER_MAP }, _>(words, at, header, key, &mut depth, presence) {
                    Step::Down(child) => at = child,
                    Step::Stop(leaf) => return Ok(leaf),
                }
            }
            node::LEAF => {
                let leaf = Leaf { at, header };
                if !presence.holds_leaf(words, at) {
                    return Err(Torn);
                }
                return Ok(leaf.is(words, key, depth).then_some(leaf));
            }
            _ => return Err(Torn),
        }
    }
}

/// A lookup that is taken node by node, with others in between: each step asks for the memory that the next
/// one reads.
pub(crate) struct Descent {
    at: Ref,
    depth: usize,
    /// The bucket at `at` has been looked at, and this leaf of it is on its way.
    candidate: Option<Ref>,
}

/// Where a descent stands after a step.
pub(crate) enum Pause {
    Again,
    Found(Option<Leaf>),
}

impl Descent {
    /// A descent in the tree at `root`, whose keys all begin with the key's first `base` bytes.
    #[inline]
    pub(crate) fn new(words: Words<'_>, root: Ref, base: usize) -> Self {
        simd::prefetch(words, root);
        simd::prefetch(words, root.wrapping_add(8));
        Descent { at: root, depth: base, candidate: None }
    }

    /// One node. All of the blob is in memory.
    #[inline]
    pub(crate) fn advance(&mut self, words: Words<'_>, key: &Key<'_>) -> Result<Pause, Torn> {
        let at = self.at;
        if at == 0 {
            return Ok(Pause::Found(None));
        }
        let header = NodeHeader::load(words, at);
        let depth = &mut self.depth;
        let stepped = match header.kind() {
            node::INNER4 => step::<{ node::INNER4 }, _>(words, at, header, key, depth, &Everything),
            node::INNER16 => step::<{ node::INNER16 }, _>(words, at, header, key, depth, &Everything),
            node::INNER_MAP => step::<{ node::INNER_MAP }, _>(words, at, header, key, depth, &Everything),
            node::BUCKET => return Ok(self.in_bucket(words, header, key)),
            node::LEAF => {
                let leaf = Leaf { at, header };
                Step::Stop(leaf.is(words, key, *depth).then_some(leaf))
            }
            _ => return Err(Torn),
        };
        Ok(match stepped {
            Step::Down(child) => {
                self.at = child;
                // `step` has asked for the line behind it.
                simd::prefetch(words, child);
                Pause::Again
            }
            Step::Stop(leaf) => Pause::Found(leaf),
        })
    }

    fn in_bucket(&mut self, words: Words<'_>, header: NodeHeader, key: &Key<'_>) -> Pause {
        let at = self.at;
        if let Some(candidate) = self.candidate {
            let leaf = Leaf::load(words, candidate);
            if leaf.is(words, key, self.depth) {
                return Pause::Found(Some(leaf));
            }
            let found = bucket::find(words, at, header, key, self.depth, &Everything);
            return Pause::Found(found.map(|(_, leaf)| leaf));
        }
        if !spells(words, bucket::prefix_at(at, header), header, key, self.depth) {
            return Pause::Found(None);
        }
        self.depth += header.prefix_len();
        let Some(leaf) = bucket::candidate(words, at, header, key, self.depth) else {
            return Pause::Found(None);
        };
        for line in 0..3 {
            simd::prefetch(words, leaf.wrapping_add(8 * line));
        }
        self.candidate = Some(leaf);
        Pause::Again
    }
}

/// What an inner node says about a key.
enum Step {
    Down(Ref),
    Stop(Option<Leaf>),
}

/// One inner node. The kind is a constant, so that each has straight code of its own.
#[inline(always)]
fn step<const KIND: u8, P: Presence>(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    key: &Key<'_>,
    depth: &mut usize,
    presence: &P,
) -> Step {
    let header = header.with_kind(KIND);
    if !spells(words, inner::prefix_at(at, header), header, key, *depth) {
        return Step::Stop(None);
    }
    *depth += header.prefix_len();
    if *depth == key.len() {
        let end = header.extra();
        let is_there = end != 0 && presence.holds_leaf(words, end);
        return Step::Stop(is_there.then(|| Leaf::load(words, end)));
    }
    let child = inner::child(words, at, header, key.byte(*depth));
    *depth += 1;
    node::fetch_rest(words, child);
    if child == 0 { Step::Stop(None) } else { Step::Down(child) }
}

/// Whether the key goes on with the node's whole prefix.
#[inline(always)]
pub(crate) fn spells(
    words: Words<'_>,
    prefix_at: Ref,
    header: NodeHeader,
    key: &Key<'_>,
    depth: usize,
) -> bool {
    let len = header.prefix_len();
    len == 0 || words.key_goes_on(prefix_at, len, key, depth)
}

/// The longest stored key that is a prefix of `key` and at least `shortest` bytes long: its leaf and its
/// length.
pub(crate) fn longest_prefix(
    words: Words<'_>,
    root: Ref,
    key: &Key<'_>,
    base: usize,
    shortest: usize,
    presence: &impl Presence,
) -> Result<Option<(Leaf, usize)>, Torn> {
    let mut at = root;
    let mut depth = base;
    let mut best = None;
    while at != 0 {
        if !presence.holds_node(at) {
            return Err(Torn);
        }
        let header = NodeHeader::load(words, at);
        match header.kind() {
            node::BUCKET => {
                if spells(words, bucket::prefix_at(at, header), header, key, depth) {
                    depth += header.prefix_len();
                    best = longest_in_bucket(words, at, header, key, depth, shortest, presence).or(best);
                }
                break;
            }
            node::INNER4 | node::INNER16 | node::INNER_MAP => {
                if !spells(words, inner::prefix_at(at, header), header, key, depth) {
                    break;
                }
                depth += header.prefix_len();
                if header.extra() != 0 && depth >= shortest && presence.holds_leaf(words, header.extra()) {
                    best = Some((Leaf::load(words, header.extra()), depth));
                }
                if depth == key.len() {
                    break;
                }
                at = inner::child(words, at, header, key.byte(depth));
                depth += 1;
            }
            node::LEAF => {
                let leaf = Leaf { at, header };
                let end = depth + leaf.suffix_len();
                if end >= shortest && presence.holds_leaf(words, at) && is_prefix(words, leaf, key, depth) {
                    best = Some((leaf, end));
                }
                break;
            }
            _ => return Err(Torn),
        }
    }
    Ok(best)
}

fn is_prefix(words: Words<'_>, leaf: Leaf, key: &Key<'_>, depth: usize) -> bool {
    words.key_goes_on(leaf.suffix_at(), leaf.suffix_len(), key, depth)
}

/// Prefixes of one key sort before it, but not next to it: every leaf may be one.
fn longest_in_bucket(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    key: &Key<'_>,
    depth: usize,
    shortest: usize,
    presence: &impl Presence,
) -> Option<(Leaf, usize)> {
    (0..bucket::count(header))
        .filter(|&index| presence.holds_leaf(words, bucket::leaf_at(words, at, header, index)))
        .map(|index| bucket::leaf(words, at, header, index))
        .filter(|&leaf| depth + leaf.suffix_len() >= shortest && is_prefix(words, leaf, key, depth))
        .map(|leaf| (leaf, depth + leaf.suffix_len()))
        .max_by_key(|&(_, end)| end)
}
