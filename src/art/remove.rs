//! Removing one key: find it and what has to be cut, then cut.
//!
//! Nothing is allocated, so a removal never fails for want of room. Buckets of one leaf and inner nodes
//! of one child are left for the next rebuild; only what would be empty is taken out.

#![forbid(unsafe_code)]

use crate::blob::header::{self, ROOT_SLOT, Regions};
use crate::blob::leaf::Leaf;
use crate::blob::node::{self, NodeHeader, run_words};
use crate::blob::presence::{Everything, Presence};
use crate::blob::{Key, Ref, Torn, Words, bucket, inner, space};

use super::find::spells;
use super::locate::sound_prefix_at;

/// Where the tree must be cut so that no empty node stays.
#[derive(Clone, Copy)]
enum Cut {
    Root,
    Leaf { bucket: Ref, index: usize },
    Child { at: Ref, byte: u8 },
    End { at: Ref },
}

/// The place of a key that is there.
pub(crate) struct Place {
    pub(crate) leaf: Leaf,
    cut: Cut,
    /// Words of nodes that hold nothing but the way to the key.
    chain_words: usize,
}

impl Place {
    /// One node deeper, which holds nothing but the way to the key, or else is where to cut.
    fn go_through(&mut self, only: bool, node_words: usize, cut: Cut) {
        if only {
            self.chain_words += node_words;
        } else {
            (self.cut, self.chain_words) = (cut, 0);
        }
    }

    /// Unless the node that is to lose a child is unsound.
    fn sound(self, words: Words<'_>) -> Result<Option<Place>, Torn> {
        match self.cut {
            Cut::Child { at, .. } if !inner::holds_sound_children(words, at, NodeHeader::load(words, at)) => {
                Err(Torn)
            }
            _ => Ok(Some(self)),
        }
    }
}

/// Finds `key`, if it is there, and sees to it that what is to be changed is what it says, as `locate` does.
/// The answer counts only if no page was missed.
#[inline(always)]
pub(crate) fn prepare(
    words: Words<'_>,
    key: &Key<'_>,
    base: usize,
    presence: &impl Presence,
) -> Result<Option<Place>, Torn> {
    let regions = Regions::load(words).ok_or(Torn)?;
    let mut at = header::root(words);
    let mut depth = base;
    let mut place = Place { leaf: Leaf { at, header: NodeHeader(0) }, cut: Cut::Root, chain_words: 0 };
    while at != 0 {
        if !presence.holds_node(at) {
            return Err(Torn);
        }
        let header = NodeHeader::load(words, at);
        if header.kind() == node::LEAF {
            place.leaf = Leaf { at, header };
            if !presence.holds_leaf(words, at) {
                return Err(Torn);
            }
            return if place.leaf.is(words, key, depth) { place.sound(words) } else { Ok(None) };
        }
        let prefix_at = sound_prefix_at(words, at, header, regions)?;
        if !spells(words, prefix_at, header, key, depth) {
            return Ok(None);
        }
        depth += header.prefix_len();
        let node_words = usize::from(prefix_at - at) + run_words(header.prefix_len());
        if header.kind() == node::BUCKET {
            let Some((index, leaf)) = bucket::find(words, at, header, key, depth, presence) else {
                return Ok(None);
            };
            place.leaf = leaf;
            place.go_through(header.count() <= 1, node_words, Cut::Leaf { bucket: at, index });
            return place.sound(words);
        }
        let ends = depth == key.len();
        let cut = if ends { Cut::End { at } } else { Cut::Child { at, byte: key.byte(depth) } };
        let only = header.count() + usize::from(header.extra() != 0) <= 1;
        if only && !inner::holds_sound_children(words, at, header) {
            return Err(Torn);
        }
        place.go_through(only, node_words, cut);
        if ends {
            let end = header.extra();
            if end == 0 || !presence.holds_leaf(words, end) {
                return Ok(None);
            }
            place.leaf = Leaf::load(words, end);
            return place.sound(words);
        }
        at = inner::child(words, at, header, key.byte(depth));
        node::fetch_rest(words, at);
        depth += 1;
    }
    Ok(None)
}

/// Removes what `prepare` has found, with nothing in between.
pub(crate) fn apply(words: Words<'_>, place: &Place) {
    match place.cut {
        Cut::Root => words.store_ref(ROOT_SLOT, 0),
        Cut::Leaf { bucket, index } => bucket::remove(words, bucket, index),
        Cut::Child { at, byte } => inner::remove_child(words, at, byte),
        Cut::End { at } => words.store_ref(NodeHeader::end_slot(at), 0),
    }
    space::free(words, place.chain_words + place.leaf.words());
    space::count_key(words, -1);
    if place.leaf.is_pointer() {
        header::count_pointers(words, -1);
    }
}

/// Removes `key`, if it is there. All of it is in memory.
pub(crate) fn remove(words: Words<'_>, key: &Key<'_>, base: usize) -> Result<bool, Torn> {
    let place = prepare(words, key, base, &Everything)?;
    if let Some(place) = &place {
        apply(words, place);
    }
    Ok(place.is_some())
}
