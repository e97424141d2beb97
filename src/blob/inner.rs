//! Inner nodes of a range blob: one byte of the key chooses a child.
//!
//! ```text
//! Inner4    header | 4 key bytes, 4 unused | 4 refs            | prefix
//! Inner16   header | 16 key bytes          | 16 refs           | prefix
//! InnerMap  header | 4 ranks | 256-bit map | 32, 64, 128 or 256 refs | prefix
//! ```
//!
//! The body comes before the prefix, so its place does not depend on it and both load at once. The ranks
//! (how many children lie below each quarter of the map) spare three population counts, which are slow
//! where the processor's instruction cannot be taken for granted.

#![forbid(unsafe_code)]

use super::fields;
use super::node::{INNER_MAP, INNER4, INNER16, NodeHeader, run_words};
use super::run::RunWriter;
use super::space;
use super::swar;
use super::words::{Ref, RefSlot, Words};

const MAP_RANKS_AT: u16 = 1;
const MAP_BITS_AT: u16 = 2;
const MAP_REFS_AT: u16 = 6;

/// Positions of children run from 0 to this in an `InnerMap` (the byte itself).
const MAP_POSITIONS: u16 = 256;

/// The smallest kind and capacity for so many children.
pub(crate) fn class_for(children: usize) -> (u8, u8) {
    match children {
        0..=4 => (INNER4, 0),
        5..=16 => (INNER16, 0),
        17..=32 => (INNER_MAP, 4),
        33..=64 => (INNER_MAP, 8),
        65..=128 => (INNER_MAP, 16),
        _ => (INNER_MAP, 32),
    }
}

/// Words before the prefix.
#[inline(always)]
pub(crate) fn body_words(kind: u8, flags: u8) -> usize {
    match kind {
        INNER4 => 3,
        INNER16 => 7,
        _ => MAP_REFS_AT as usize + usize::from(flags) * 2,
    }
}

pub(crate) fn capacity(kind: u8, flags: u8) -> usize {
    match kind {
        INNER4 => 4,
        INNER16 => 16,
        _ => usize::from(flags) * 8,
    }
}

pub(crate) fn is_inner(kind: u8) -> bool {
    matches!(kind, INNER4 | INNER16 | INNER_MAP)
}

#[inline(always)]
pub(crate) fn prefix_at(at: Ref, header: NodeHeader) -> Ref {
    at.wrapping_add(body_words(header.kind(), header.flags()) as u16)
}

/// Words of the whole node.
pub(crate) fn size_words(header: NodeHeader) -> usize {
    body_words(header.kind(), header.flags()) + run_words(header.prefix_len())
}

/// Whether an `InnerMap` is as large as one can be, its map has as many bits as children are counted, and the
/// ranks say how many lie below each quarter of it. Else it could take one child for another's.
#[inline]
pub(crate) fn is_sound_map(words: Words<'_>, at: Ref, header: NodeHeader) -> bool {
    let ranks = words.load(at.wrapping_add(MAP_RANKS_AT));
    let (mut below, mut counted) = (0u64, 0);
    for quarter in 0..4 {
        counted |= below << (16 * quarter);
        below += u64::from(words.load(at.wrapping_add(MAP_BITS_AT + quarter)).count_ones());
    }
    matches!(header.flags(), 4 | 8 | 16 | 32)
        && ranks == counted
        && below == header.count() as u64
        && header.count() <= capacity(INNER_MAP, header.flags())
}

/// Whether a child may be added or taken out: there is room for the children that are counted, and they are
/// in order.
pub(crate) fn holds_sound_children(words: Words<'_>, at: Ref, header: NodeHeader) -> bool {
    let (kind, count) = (header.kind(), header.count());
    if kind == INNER_MAP {
        return is_sound_map(words, at, header);
    }
    if count > capacity(kind, 0) {
        return false;
    }
    let low = words.load(keys_at(at));
    if !swar::ascends(low, count.min(8)) {
        return false;
    }
    if count <= 8 {
        return true;
    }
    let high = words.load(keys_at(at).wrapping_add(1));
    swar::ascends(high, count - 8) && (low >> 56) < (high & 0xFF)
}

fn keys_at(at: Ref) -> Ref {
    at.wrapping_add(1)
}

fn refs_at(at: Ref, kind: u8) -> Ref {
    at.wrapping_add(match kind {
        INNER4 => 2,
        INNER16 => 3,
        _ => MAP_REFS_AT,
    })
}

/// The child for `byte`, 0 if there is none.
#[inline(always)]
pub(crate) fn child(words: Words<'_>, at: Ref, header: NodeHeader, byte: u8) -> Ref {
    match child_slot(words, at, header, byte) {
        Some(slot) => words.load_ref(slot),
        None => 0,
    }
}

/// Where the ref of the child for `byte` is stored.
#[inline(always)]
pub(crate) fn child_slot(words: Words<'_>, at: Ref, header: NodeHeader, byte: u8) -> Option<RefSlot> {
    match header.kind() {
        INNER4 => {
            let found = swar::matches(words.load(keys_at(at)), byte);
            slot_below(found, 0, header.count().min(4), refs_at(at, INNER4))
        }
        INNER16 => {
            let refs = refs_at(at, INNER16);
            let low = swar::matches(words.load(keys_at(at)), byte);
            if low != 0 {
                return slot_below(low, 0, header.count(), refs);
            }
            let high = swar::matches(words.load(keys_at(at).wrapping_add(1)), byte);
            slot_below(high, 8, header.count().min(16), refs)
        }
        _ => {
            let quarter = u16::from(byte >> 6);
            let bits = words.load(at.wrapping_add(MAP_BITS_AT + quarter));
            let bit = 1u64 << (byte & 63);
            if bits & bit == 0 {
                return None;
            }
            let below = (words.load(at.wrapping_add(MAP_RANKS_AT)) >> (16 * quarter)) as u16;
            let index = usize::from(below) + (bits & (bit - 1)).count_ones() as usize;
            Some(RefSlot::nth(refs_at(at, INNER_MAP), index))
        }
    }
}

#[inline(always)]
fn slot_below(found: u64, offset: usize, count: usize, refs: Ref) -> Option<RefSlot> {
    if found == 0 {
        return None;
    }
    let index = offset + swar::first(found);
    (index < count).then(|| RefSlot::nth(refs, index))
}

/// The position of the first child whose byte is not below `byte`.
pub(crate) fn position_of(words: Words<'_>, at: Ref, header: NodeHeader, byte: u8) -> u16 {
    match header.kind() {
        INNER_MAP => u16::from(byte),
        _ => fields::count_below(words, keys_at(at), header.count().min(16), byte) as u16,
    }
}

/// The position behind the last child.
pub(crate) fn end_position(header: NodeHeader) -> u16 {
    match header.kind() {
        INNER_MAP => MAP_POSITIONS,
        kind => header.count().min(capacity(kind, 0)) as u16,
    }
}

/// The first child at or behind `position`: its byte, its ref, and the position behind it.
#[inline]
pub(crate) fn step_forward(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    position: u16,
) -> Option<(u8, Ref, u16)> {
    if header.kind() == INNER_MAP {
        return step_forward_in_map(words, at, header, position);
    }
    if position >= end_position(header) {
        return None;
    }
    let byte = words.byte(keys_at(at), usize::from(position));
    let child = fields::nth_ref(words, refs_at(at, header.kind()), usize::from(position));
    Some((byte, child, position + 1))
}

fn step_forward_in_map(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    position: u16,
) -> Option<(u8, Ref, u16)> {
    let mut quarter = position >> 6;
    let mut mask = u64::MAX << (position & 63);
    while quarter < 4 {
        let bits = words.load(at.wrapping_add(MAP_BITS_AT + quarter)) & mask;
        if bits != 0 {
            let byte = (quarter * 64) as u8 + bits.trailing_zeros() as u8;
            return Some((byte, child(words, at, header, byte), u16::from(byte) + 1));
        }
        mask = u64::MAX;
        quarter += 1;
    }
    None
}

/// The last child before `position`: its byte, its ref, and its position.
pub(crate) fn step_back(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    position: u16,
) -> Option<(u8, Ref, u16)> {
    if header.kind() != INNER_MAP {
        let index = position.min(end_position(header)).checked_sub(1)?;
        let byte = words.byte(keys_at(at), usize::from(index));
        let child = fields::nth_ref(words, refs_at(at, header.kind()), usize::from(index));
        return Some((byte, child, index));
    }
    for byte in (0..position.min(MAP_POSITIONS)).rev() {
        let bits = words.load(at.wrapping_add(MAP_BITS_AT + (byte >> 6)));
        if bits & (1 << (byte & 63)) != 0 {
            return Some((byte as u8, child(words, at, header, byte as u8), byte));
        }
    }
    None
}

/// Adds a child whose byte is not there yet, to a node that has room for it.
pub(crate) fn add_child(words: Words<'_>, at: Ref, byte: u8, to: Ref) {
    let header = NodeHeader::load(words, at);
    let (kind, count) = (header.kind(), header.count());
    let index = if kind == INNER_MAP {
        map_insert_bit(words, at, byte)
    } else {
        let index = fields::count_below(words, keys_at(at), count, byte);
        fields::insert_byte(words, keys_at(at), count, index, byte);
        index
    };
    fields::insert_ref(words, refs_at(at, kind), count, index, to);
    header.with_count(count + 1).store(words, at);
}

/// Removes the child for `byte`, which must be there.
pub(crate) fn remove_child(words: Words<'_>, at: Ref, byte: u8) {
    let header = NodeHeader::load(words, at);
    let (kind, count) = (header.kind(), header.count());
    let index = if kind == INNER_MAP {
        map_remove_bit(words, at, byte)
    } else {
        let index = fields::count_below(words, keys_at(at), count, byte);
        fields::remove_byte(words, keys_at(at), count, index);
        index
    };
    fields::remove_ref(words, refs_at(at, kind), count, index);
    header.with_count(count.saturating_sub(1)).store(words, at);
}

fn map_rank(words: Words<'_>, at: Ref, byte: u8) -> usize {
    let quarter = u16::from(byte >> 6);
    let below = (words.load(at.wrapping_add(MAP_RANKS_AT)) >> (16 * quarter)) as u16;
    let bits = words.load(at.wrapping_add(MAP_BITS_AT + quarter));
    usize::from(below) + (bits & ((1 << (byte & 63)) - 1)).count_ones() as usize
}

/// One more (or, with all ones, one less) in the ranks of the quarters above that of `byte`.
fn map_change_ranks(words: Words<'_>, at: Ref, byte: u8, change: u16) {
    for quarter in u16::from(byte >> 6) + 1..4 {
        let slot = RefSlot { word: at.wrapping_add(MAP_RANKS_AT), lane: quarter as u8 };
        words.store_ref(slot, words.load_ref(slot).wrapping_add(change));
    }
}

fn map_flip_bit(words: Words<'_>, at: Ref, byte: u8) {
    let bits_at = at.wrapping_add(MAP_BITS_AT + u16::from(byte >> 6));
    words.store(bits_at, words.load(bits_at) ^ (1 << (byte & 63)));
}

fn map_insert_bit(words: Words<'_>, at: Ref, byte: u8) -> usize {
    let index = map_rank(words, at, byte);
    map_flip_bit(words, at, byte);
    map_change_ranks(words, at, byte, 1);
    index
}

fn map_remove_bit(words: Words<'_>, at: Ref, byte: u8) -> usize {
    let index = map_rank(words, at, byte);
    map_flip_bit(words, at, byte);
    map_change_ranks(words, at, byte, u16::MAX);
    index
}

/// Writes the head of a node without children at `at`, whose words are zero.
pub(crate) fn write_empty(words: Words<'_>, at: Ref, kind: u8, flags: u8, prefix: &[u8], end: Ref) {
    let header = NodeHeader::new(kind, flags, 0, prefix.len(), end);
    header.store(words, at);
    let mut run = RunWriter::new(words, prefix_at(at, header), prefix.len());
    run.push(prefix);
    run.finish();
}

/// Allocates an `Inner4` with a prefix and no children. The caller knows that it fits.
pub(crate) fn add_inner4(words: Words<'_>, prefix: &[u8]) -> Ref {
    let at = space::take_inner(words, body_words(INNER4, 0) + run_words(prefix.len()));
    write_empty(words, at, INNER4, 0, prefix, 0);
    at
}

/// Words that the next larger form of this node takes.
pub(crate) fn grown_words(header: NodeHeader) -> usize {
    let (kind, flags) = class_for(header.count() + 1);
    body_words(kind, flags) + run_words(header.prefix_len())
}

/// Copies a full node into its next larger form, for which there is room, and counts the old one as
/// garbage.
pub(crate) fn grow(words: Words<'_>, at: Ref) -> Ref {
    let header = NodeHeader::load(words, at);
    let (kind, flags) = class_for(header.count() + 1);
    let to = space::take_inner(words, grown_words(header));
    let grown = NodeHeader::new(kind, flags, 0, header.prefix_len(), header.extra());
    grown.store(words, to);
    let mut run = RunWriter::new(words, prefix_at(to, grown), header.prefix_len());
    run.push_run(words, prefix_at(at, header), 0, header.prefix_len());
    run.finish();
    let mut position = 0;
    while let Some((byte, child, next)) = step_forward(words, at, header, position) {
        add_child(words, to, byte, child);
        position = next;
    }
    space::free(words, size_words(header));
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::header::{self, BlobKind};
    use crate::blob::words::boxed_words;
    use std::collections::BTreeMap;

    fn children(words: Words<'_>, at: Ref) -> Vec<(u8, Ref)> {
        let header = NodeHeader::load(words, at);
        let mut out = Vec::new();
        let mut position = 0;
        while let Some((byte, child, next)) = step_forward(words, at, header, position) {
            out.push((byte, child));
            position = next;
        }
        let mut back = Vec::new();
        let mut position = end_position(header);
        while let Some((byte, child, next)) = step_back(words, at, header, position) {
            back.push((byte, child));
            position = next;
        }
        back.reverse();
        assert_eq!(out, back);
        out
    }

    #[test]
    fn a_node_grows_from_4_to_256_children_and_empties_again() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        header::format(words, 1, BlobKind::Range);
        // Whether to look at all children after this step: Miri can afford it only now and then.
        let look = |i: u32| !cfg!(miri) || i.is_multiple_of(100);
        let mut at = add_inner4(words, b"some prefix");
        words.store_ref(NodeHeader::end_slot(at), 99);
        let mut model = BTreeMap::new();
        for i in 0..256u32 {
            let byte = (i * 167 % 256) as u8;
            let header = NodeHeader::load(words, at);
            if header.count() == capacity(header.kind(), header.flags()) {
                at = grow(words, at);
            }
            add_child(words, at, byte, 1000 + u16::from(byte));
            model.insert(byte, 1000 + u16::from(byte));
            if look(i) {
                assert_eq!(children(words, at), model.iter().map(|(b, r)| (*b, *r)).collect::<Vec<_>>());
            }
        }
        let header = NodeHeader::load(words, at);
        assert_eq!((header.kind(), header.extra()), (INNER_MAP, 99));
        let mut prefix = Vec::new();
        words.append_to(prefix_at(at, header), 0, header.prefix_len(), &mut prefix);
        assert_eq!(prefix, b"some prefix");
        assert_eq!(header::live_words(words) as usize, size_words(header));
        for i in 0..256u32 {
            let byte = (i * 91 % 256) as u8;
            remove_child(words, at, byte);
            model.remove(&byte);
            let header = NodeHeader::load(words, at);
            assert_eq!(child(words, at, header, byte), 0);
            if !look(i) {
                continue;
            }
            assert_eq!(children(words, at), model.iter().map(|(b, r)| (*b, *r)).collect::<Vec<_>>());
            for (&byte, &to) in &model {
                assert_eq!(child(words, at, header, byte), to);
                assert!(position_of(words, at, header, byte) <= u16::from(byte));
            }
        }
    }
}
