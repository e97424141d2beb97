//! Removing one key.
//!
//! Nothing is allocated, so a removal never fails for want of room. Buckets of one leaf and inner nodes
//! of one child are left for the next rebuild; only what would be empty is taken out.

#![forbid(unsafe_code)]

use crate::blob::header::{self, ROOT_SLOT};
use crate::blob::leaf::Leaf;
use crate::blob::node::{self, NodeHeader};
use crate::blob::presence::Everything;
use crate::blob::{Key, Ref, Torn, Words, bucket, inner, space};

use super::find::spells;

/// Where the tree must be cut so that no empty node stays.
#[derive(Clone, Copy)]
enum Cut {
    Root,
    Leaf { bucket: Ref, index: usize },
    Child { at: Ref, byte: u8 },
    End { at: Ref },
}

/// Removes `key`, if it is there.
pub(crate) fn remove(words: Words<'_>, key: &Key<'_>, base: usize) -> Result<bool, Torn> {
    let mut at = header::root(words);
    let mut depth = base;
    let mut cut = Cut::Root;
    // Words of nodes that hold nothing but the way to the key.
    let mut chain_words = 0;
    while at != 0 {
        let header = NodeHeader::load(words, at);
        match header.kind() {
            node::LEAF => {
                let leaf = Leaf { at, header };
                if !leaf.is(words, key, depth) {
                    return Ok(false);
                }
                apply(words, cut, chain_words, leaf);
                return Ok(true);
            }
            node::BUCKET => {
                if !spells(words, bucket::prefix_at(at, header), header, key, depth) {
                    return Ok(false);
                }
                depth += header.prefix_len();
                let Some((index, leaf)) = bucket::find(words, at, header, key, depth, &Everything) else {
                    return Ok(false);
                };
                if bucket::count(header) > 1 {
                    (cut, chain_words) = (Cut::Leaf { bucket: at, index }, 0);
                } else {
                    chain_words += bucket::size_words(header);
                }
                apply(words, cut, chain_words, leaf);
                return Ok(true);
            }
            node::INNER4 | node::INNER16 | node::INNER_MAP => {
                if !spells(words, inner::prefix_at(at, header), header, key, depth) {
                    return Ok(false);
                }
                depth += header.prefix_len();
                let contents = header.count() + usize::from(header.extra() != 0);
                let ends = depth == key.len();
                if contents > 1 {
                    chain_words = 0;
                    cut = if ends { Cut::End { at } } else { Cut::Child { at, byte: key.byte(depth) } };
                } else {
                    chain_words += inner::size_words(header);
                }
                if ends {
                    return Ok(remove_end(words, header.extra(), cut, chain_words));
                }
                at = inner::child(words, at, header, key.byte(depth));
                depth += 1;
            }
            _ => return Err(Torn),
        }
    }
    Ok(false)
}

fn remove_end(words: Words<'_>, end: Ref, cut: Cut, chain_words: usize) -> bool {
    if end == 0 {
        return false;
    }
    apply(words, cut, chain_words, Leaf::load(words, end));
    true
}

fn apply(words: Words<'_>, cut: Cut, chain_words: usize, leaf: Leaf) {
    match cut {
        Cut::Root => words.store_ref(ROOT_SLOT, 0),
        Cut::Leaf { bucket, index } => bucket::remove(words, bucket, index),
        Cut::Child { at, byte } => inner::remove_child(words, at, byte),
        Cut::End { at } => words.store_ref(NodeHeader::end_slot(at), 0),
    }
    space::free(words, chain_words + leaf.words());
    space::count_key(words, -1);
    if leaf.is_pointer() {
        header::count_pointers(words, -1);
    }
}
