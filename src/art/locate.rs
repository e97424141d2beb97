//! Where a key stands, or what would have to change for it to stand somewhere.
//!
//! A write is: locate, ask whether the change fits, then apply it. Only the last step stores words, so
//! nothing fails half-way.

#![forbid(unsafe_code)]

use super::find::spells;
use crate::blob::header::{self, ROOT_SLOT, Regions};
use crate::blob::leaf::{self, Leaf};
use crate::blob::node::{self, NodeHeader, run_words};
use crate::blob::presence::Presence;
use crate::blob::space::Need;
use crate::blob::{Key, Ref, RefSlot, Torn, Words, bucket, inner};

/// The place of a key in a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot {
    /// The key is there; `slot` holds the ref of its leaf.
    Found { leaf: Leaf, slot: RefSlot },
    /// The tree has no keys.
    Empty,
    /// A single leaf stands where the key goes on: both move into a new bucket.
    BesideLeaf { slot: RefSlot, leaf: Leaf, depth: usize, common: usize },
    /// The key leaves the prefix of the node in `slot` after `common` bytes.
    InsidePrefix { slot: RefSlot, at: Ref, depth: usize, common: usize },
    /// The key belongs into this bucket; `depth` is behind its prefix.
    InBucket { slot: RefSlot, at: Ref, depth: usize },
    /// The key ends at this inner node, which has no key there yet.
    AtEnd { at: Ref },
    /// The inner node in `slot` has no child for the key's byte at `depth`.
    NewChild { slot: RefSlot, at: Ref, depth: usize },
}

/// Finds the place of `key`, and sees to it that what is to be changed there is what it says: a hostile file
/// could otherwise have other keys changed, or pages that are not in memory. The caller holds the latch, so
/// `Torn` means that a page was missed, or corrupt.
pub(crate) fn locate(
    words: Words<'_>,
    key: &Key<'_>,
    base: usize,
    presence: &impl Presence,
) -> Result<Spot, Torn> {
    let mut slot = ROOT_SLOT;
    let mut at = header::root(words);
    let mut depth = base;
    let regions = Regions::load(words).ok_or(Torn)?;
    if at == 0 {
        return Ok(Spot::Empty);
    }
    loop {
        if !presence.holds_node(at) {
            return Err(Torn);
        }
        let header = NodeHeader::load(words, at);
        if header.kind() == node::LEAF {
            let leaf = Leaf { at, header };
            if !presence.holds_leaf(words, at) || !leaf.is_sound(regions) {
                return Err(Torn);
            }
            if leaf.is(words, key, depth) {
                return Ok(Spot::Found { leaf, slot });
            }
            let common = words.common_with_key(leaf.suffix_at(), leaf.suffix_len(), key, depth);
            return Ok(Spot::BesideLeaf { slot, leaf, depth, common });
        }
        let prefix_at = sound_prefix_at(words, at, header, regions)?;
        if !spells(words, prefix_at, header, key, depth) {
            let common = words.common_with_key(prefix_at, header.prefix_len(), key, depth);
            return Ok(Spot::InsidePrefix { slot, at, depth, common });
        }
        depth += header.prefix_len();
        if header.kind() == node::BUCKET {
            return match bucket::find(words, at, header, key, depth, presence) {
                _ if presence.missed() != 0 => Err(Torn),
                Some((_, leaf)) if !leaf.is_sound(regions) => Err(Torn),
                Some((index, leaf)) => Ok(Spot::Found { leaf, slot: bucket::slot(at, header, index) }),
                None => Ok(Spot::InBucket { slot, at, depth }),
            };
        }
        if depth == key.len() {
            let slot = NodeHeader::end_slot(at);
            return match header.extra() {
                0 => Ok(Spot::AtEnd { at }),
                end if !presence.holds_leaf(words, end) => Err(Torn),
                end => match Leaf::load(words, end) {
                    leaf if leaf.is_sound(regions) => Ok(Spot::Found { leaf, slot }),
                    _ => Err(Torn),
                },
            };
        }
        match inner::child_slot(words, at, header, key.byte(depth)) {
            Some(child) => {
                slot = child;
                at = words.load_ref(child);
                node::fetch_rest(words, at);
            }
            None if inner::holds_sound_children(words, at, header) => {
                return Ok(Spot::NewChild { slot, at, depth });
            }
            None => return Err(Torn),
        }
        depth += 1;
    }
}

/// Where the prefix of a bucket or an inner node is, if the node may be changed: what it says of its size and
/// its children can be, and it lies where such nodes do.
#[inline(always)]
pub(super) fn sound_prefix_at(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    regions: Regions,
) -> Result<Ref, Torn> {
    let prefix_at = match header.kind() {
        node::BUCKET if bucket::is_sound(header) => bucket::prefix_at(at, header),
        node::INNER4 | node::INNER16 => inner::prefix_at(at, header),
        node::INNER_MAP if inner::is_sound_map(words, at, header) => inner::prefix_at(at, header),
        _ => return Err(Torn),
    };
    if regions.hold_inner(at, prefix_at, header.prefix_len()) { Ok(prefix_at) } else { Err(Torn) }
}

impl Spot {
    /// The words that writing a value of this length here takes.
    pub(crate) fn need(self, words: Words<'_>, key: &Key<'_>, value_len: usize) -> Need {
        let new_leaf = |depth: usize| leaf::size_words(key.len() - depth, value_len) as u32;
        match self {
            Spot::Found { leaf, .. } => {
                let after = leaf::size_words(leaf.suffix_len(), value_len);
                Need { inner: 0, leaf: if after <= leaf.words() { 0 } else { after as u32 } }
            }
            // The base is not known here; all of the key is the safe answer.
            Spot::Empty => Need { inner: 0, leaf: new_leaf(0) },
            Spot::BesideLeaf { depth, common, .. } => Need {
                inner: (bucket::body_words(bucket::class_for(2)) + run_words(common)) as u32,
                leaf: new_leaf(depth + common),
            },
            Spot::InsidePrefix { depth, common, .. } => Need {
                inner: (inner::body_words(node::INNER4, 0) + run_words(common)) as u32,
                leaf: new_leaf(key.len().min(depth + common + 1)),
            },
            Spot::InBucket { at, depth, .. } => {
                let header = NodeHeader::load(words, at);
                let full = bucket::count(header) == bucket::capacity(header);
                let growth = if full { bucket::growth_words(words, at, header) } else { 0 };
                Need { inner: growth as u32, leaf: new_leaf(depth) }
            }
            Spot::AtEnd { .. } => Need { inner: 0, leaf: new_leaf(key.len()) },
            Spot::NewChild { at, depth, .. } => {
                let header = NodeHeader::load(words, at);
                let full = header.count() >= inner::capacity(header.kind(), header.flags());
                let growth = if full { inner::grown_words(header) } else { 0 };
                Need { inner: growth as u32, leaf: new_leaf(depth + 1) }
            }
        }
    }
}
