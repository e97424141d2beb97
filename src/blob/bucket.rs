//! A bucket: up to 64 leaves below one prefix, sorted by suffix, each with a 1-byte fingerprint.
//!
//! ```text
//! header (flags = capacity) | fingerprints, 8 a word | refs, 4 a word | prefix
//! ```
//!
//! A lookup compares fingerprints first: a miss nearly always ends there without touching a leaf, and a
//! hit reads one leaf. A bucket that overflows bursts (see `art::burst`).

#![forbid(unsafe_code)]

use core::cmp::Ordering;

use super::fields;
use super::header::Regions;
use super::key::Key;
use super::leaf::Leaf;
use super::node::{BUCKET, NodeHeader, run_words};
use super::presence::{Everything, Presence};
use super::run::RunWriter;
use super::simd::{self, LINE_WORDS};
use super::space;
use super::words::{Ref, RefSlot, Words, low_bytes};

/// Leaves in a full bucket.
pub(crate) const LIMIT: usize = 64;

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// The smallest capacity for so many leaves.
pub(crate) fn class_for(leaves: usize) -> usize {
    match leaves {
        0..=4 => 4,
        5..=8 => 8,
        9..=16 => 16,
        17..=32 => 32,
        33..=48 => 48,
        _ => LIMIT,
    }
}

/// Words before the prefix.
#[inline(always)]
pub(crate) const fn body_words(capacity: usize) -> usize {
    1 + capacity.div_ceil(8) + capacity / 4
}

#[inline(always)]
fn fingerprints_at(at: Ref) -> Ref {
    at.wrapping_add(1)
}

#[inline(always)]
fn refs_at(at: Ref, capacity: usize) -> Ref {
    at.wrapping_add(1 + capacity.div_ceil(8) as u16)
}

/// Room for so many leaves; never above the limit, whatever the byte says.
#[inline(always)]
pub(crate) fn capacity(header: NodeHeader) -> usize {
    usize::from(header.flags()).min(LIMIT)
}

#[inline(always)]
pub(crate) fn count(header: NodeHeader) -> usize {
    header.count().min(LIMIT)
}

#[inline(always)]
pub(crate) fn prefix_at(at: Ref, header: NodeHeader) -> Ref {
    at.wrapping_add(body_words(capacity(header)) as u16)
}

pub(crate) fn size_words(header: NodeHeader) -> usize {
    body_words(capacity(header)) + run_words(header.prefix_len())
}

/// Whether there is room for the leaves that are counted.
#[inline(always)]
pub(crate) fn is_sound(header: NodeHeader) -> bool {
    matches!(header.flags(), 4 | 8 | 16 | 32 | 48 | 64) && header.count() <= usize::from(header.flags())
}

/// Whether all leaves of a bucket are leaves, in order, and may be changed.
pub(crate) fn holds_sound_leaves(words: Words<'_>, at: Ref) -> bool {
    let Some(regions) = Regions::load(words) else { return false };
    let header = NodeHeader::load(words, at);
    let mut before: Option<Leaf> = None;
    (0..count(header)).all(|index| {
        let leaf = leaf(words, at, header, index);
        let is_above = before.is_none_or(|before| before.is_below(words, leaf));
        before = Some(leaf);
        is_above && leaf.is_sound(regions)
    })
}

/// Where the ref of the `index`-th leaf is stored.
#[inline(always)]
pub(crate) fn slot(at: Ref, header: NodeHeader, index: usize) -> RefSlot {
    RefSlot::nth(refs_at(at, capacity(header)), index)
}

/// Where the `index`-th leaf is.
#[inline(always)]
pub(crate) fn leaf_at(words: Words<'_>, at: Ref, header: NodeHeader, index: usize) -> Ref {
    words.load_ref(slot(at, header, index))
}

#[inline(always)]
pub(crate) fn leaf(words: Words<'_>, at: Ref, header: NodeHeader, index: usize) -> Leaf {
    Leaf::load(words, leaf_at(words, at, header, index))
}

/// Asks for the first line of a leaf, if there are so many.
#[inline(always)]
fn fetch_leaf(words: Words<'_>, at: Ref, header: NodeHeader, index: usize) {
    simd::prefetch(words, leaf_at(words, at, header, index % LIMIT));
}

#[inline(always)]
fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(MULTIPLIER)
}

/// One byte that stands for the rest of a key below a bucket's prefix. It covers all of it: names in one
/// directory often share their beginning and their extension.
#[inline(always)]
pub(crate) fn fingerprint_of_key(key: &Key<'_>, depth: usize) -> u8 {
    let len = key.len() - depth;
    // The padding behind a key is zero, as is the padding that `fingerprint_of_run` masks in.
    let pieces = key.pieces(depth, len).iter();
    let hash = pieces.fold(len as u64, |hash, piece| mix(hash, u64::from_le_bytes(*piece)));
    (hash >> 56) as u8
}

/// The same for `len` stored bytes, `skip` bytes after word `at`.
pub(crate) fn fingerprint_of_run(words: Words<'_>, at: Ref, skip: usize, len: usize) -> u8 {
    let mut hash = len as u64;
    let mut done = 0;
    while done < len {
        let word = words.word_at(at, skip + done) & low_bytes((len - done).min(8) as u32);
        hash = mix(hash, word);
        done += 8;
    }
    (hash >> 56) as u8
}

/// The same for bytes in a slice.
pub(crate) fn fingerprint_of_bytes(bytes: &[u8]) -> u8 {
    let mut hash = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    (hash >> 56) as u8
}

/// The leaf of `key`, whose first `depth` bytes end with the bucket's prefix.
#[inline(always)]
pub(crate) fn find(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    key: &Key<'_>,
    depth: usize,
    presence: &impl Presence,
) -> Option<(usize, Leaf)> {
    let fingerprint = fingerprint_of_key(key, depth);
    let count = count(header);
    let mut start = 0;
    while start < count {
        let word_at = fingerprints_at(at).wrapping_add((start / 8) as u16);
        // In a bucket of four the second word is already a ref; the mask takes care of it.
        let mut found =
            simd::matches16(words.load(word_at), words.load(word_at.wrapping_add(1)), fingerprint);
        if count - start < 16 {
            found &= (1 << (count - start)) - 1;
        }
        while found != 0 {
            let index = start + found.trailing_zeros() as usize;
            let leaf_at = leaf_at(words, at, header, index);
            // All of the leaf is wanted: its lines come together, not one after the other.
            simd::prefetch(words, leaf_at.wrapping_add(LINE_WORDS));
            simd::prefetch(words, leaf_at.wrapping_add(2 * LINE_WORDS));
            // A leaf that is not in memory may be the one, and so may the next: all of them are asked for.
            if !presence.holds_leaf(words, leaf_at) {
                found &= found - 1;
                continue;
            }
            let leaf = Leaf::load(words, leaf_at);
            if leaf.is(words, key, depth) {
                return Some((index, leaf));
            }
            found &= found - 1;
        }
        start += 16;
    }
    None
}

/// The first leaf that may be that of `key`, by its fingerprint: for asking for its memory ahead.
#[inline]
pub(crate) fn candidate(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    key: &Key<'_>,
    depth: usize,
) -> Option<Ref> {
    let fingerprint = fingerprint_of_key(key, depth);
    let count = count(header);
    for start in (0..count).step_by(16) {
        let word_at = fingerprints_at(at).wrapping_add((start / 8) as u16);
        let found = simd::matches16(words.load(word_at), words.load(word_at.wrapping_add(1)), fingerprint);
        let index = start + found.trailing_zeros() as usize;
        if found != 0 && index < count {
            return Some(leaf_at(words, at, header, index));
        }
    }
    None
}

/// How many leaves sort before `key`.
#[inline]
pub(crate) fn count_below(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    key: &Key<'_>,
    depth: usize,
) -> usize {
    search(words, at, header, key, depth, &Everything).unwrap_or_else(|Missed { low, .. }| low)
}

/// Asks for the leaf that a search will compare first, and for those that may be next. (Asked for before the
/// new leaf is written, a random put of 1 M keys takes 4 to 6 % less. More lines of each are no better.)
#[inline]
pub(crate) fn fetch_search(words: Words<'_>, at: Ref, header: NodeHeader) {
    let count = count(header);
    let middle = count / 2;
    fetch_leaf(words, at, header, middle);
    for next in middles_beside(0, middle, count) {
        fetch_leaf(words, at, header, next);
    }
}

/// Where a search among `low..high` may go on from its middle.
#[inline(always)]
fn middles_beside(low: usize, middle: usize, high: usize) -> [usize; 2] {
    [(low + middle) / 2, (middle + 1 + high) / 2]
}

/// The range that is left of a search where it has come to a leaf that cannot be read.
struct Missed {
    low: usize,
    high: usize,
}

#[inline(always)]
fn search(
    words: Words<'_>,
    at: Ref,
    header: NodeHeader,
    key: &Key<'_>,
    depth: usize,
    presence: &impl Presence,
) -> Result<usize, Missed> {
    let (mut low, mut high) = (0, count(header));
    while low < high {
        let middle = (low + high) / 2;
        // Both leaves that may be next come while this one is waited for. (Five compares a put, of which each
        // waited for memory. With these lines a random put takes some 5 % less; asking for more leaves ahead
        // is no better.)
        for next in middles_beside(low, middle, high) {
            fetch_leaf(words, at, header, next);
        }
        if !presence.holds_suffix(words, leaf_at(words, at, header, middle)) {
            return Err(Missed { low, high });
        }
        if leaf(words, at, header, middle).compare(words, key, depth) == Ordering::Less {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// So many steps of a search are asked for at once where leaves are absent: seven leaves, one batch.
const STEPS_AHEAD: u32 = 3;

/// Whether every leaf that `count_below` is going to read can be read.
#[inline(always)]
pub(crate) fn holds_search<P: Presence>(
    words: Words<'_>,
    at: Ref,
    key: &Key<'_>,
    depth: usize,
    presence: &P,
) -> bool {
    if P::IS_EVERYTHING {
        return true;
    }
    match search(words, at, NodeHeader::load(words, at), key, depth, presence) {
        Ok(_) => true,
        Err(Missed { low, high }) => {
            ask_ahead(words, at, (low, high), STEPS_AHEAD, presence);
            false
        }
    }
}

/// Asks for the leaves that the next steps of a search in a range of leaves may read.
fn ask_ahead(words: Words<'_>, at: Ref, (low, high): (usize, usize), steps: u32, presence: &impl Presence) {
    if low < high && steps > 0 {
        let middle = (low + high) / 2;
        presence.holds_suffix(words, leaf_at(words, at, NodeHeader::load(words, at), middle));
        ask_ahead(words, at, (low, middle), steps - 1, presence);
        ask_ahead(words, at, (middle + 1, high), steps - 1, presence);
    }
}

/// Whether all leaves can be read and changed, with their values or without.
#[inline(always)]
pub(crate) fn holds_leaves<P: Presence>(words: Words<'_>, at: Ref, with_values: bool, presence: &P) -> bool {
    if P::IS_EVERYTHING {
        return true;
    }
    let header = NodeHeader::load(words, at);
    let holds = |index| {
        let leaf = leaf_at(words, at, header, index);
        if with_values { presence.holds_leaf(words, leaf) } else { presence.holds_suffix(words, leaf) }
    };
    // Not `all`: whatever is missing is to be noted at once.
    (0..count(header)).fold(true, |whole, index| holds(index) & whole)
}

/// Writes the head of an empty bucket at `at`, whose words are zero.
pub(crate) fn write_empty(words: Words<'_>, at: Ref, capacity: usize, prefix: &[u8]) {
    let header = NodeHeader::new(BUCKET, capacity as u8, 0, prefix.len(), 0);
    header.store(words, at);
    let mut run = RunWriter::new(words, prefix_at(at, header), prefix.len());
    run.push(prefix);
    run.finish();
}

/// Adds a leaf as the `index`-th of a bucket that has room.
pub(crate) fn insert(words: Words<'_>, at: Ref, index: usize, fingerprint: u8, to: Ref) {
    let header = NodeHeader::load(words, at);
    let count = header.count();
    fields::insert_byte(words, fingerprints_at(at), count, index, fingerprint);
    fields::insert_ref(words, refs_at(at, capacity(header)), count, index, to);
    header.with_count(count + 1).store(words, at);
}

/// Takes the `index`-th leaf out.
pub(crate) fn remove(words: Words<'_>, at: Ref, index: usize) {
    let header = NodeHeader::load(words, at);
    let count = header.count();
    fields::remove_byte(words, fingerprints_at(at), count, index);
    fields::remove_ref(words, refs_at(at, capacity(header)), count, index);
    header.with_count(count.saturating_sub(1)).store(words, at);
}

/// Copies the fingerprints of a bucket of `count` leaves, whatever the capacities of the two.
pub(crate) fn copy_fingerprints(words: Words<'_>, to: Ref, source: Words<'_>, from: Ref, count: usize) {
    for index in 0..count.div_ceil(8) as u16 {
        // The last word of a smaller capacity's fingerprints may be followed by refs: cut those off.
        let left = count - usize::from(index) * 8;
        let word = source.load(fingerprints_at(from).wrapping_add(index));
        words.store(fingerprints_at(to).wrapping_add(index), word & low_bytes(left.min(8) as u32));
    }
}

/// Sets the fingerprint of the `index`-th leaf.
pub(crate) fn store_fingerprint(words: Words<'_>, at: Ref, index: usize, fingerprint: u8) {
    words.store_byte(fingerprints_at(at), index, fingerprint);
}

/// The fingerprint of the `index`-th leaf as it is stored.
pub(crate) fn stored_fingerprint(words: Words<'_>, at: Ref, index: usize) -> u8 {
    words.byte(fingerprints_at(at), index)
}

/// Words that the next larger bucket needs from the inner region: only the difference where this one is
/// the last node there, which is the rule for ascending inserts.
pub(crate) fn growth_words(words: Words<'_>, at: Ref, header: NodeHeader) -> usize {
    let before = size_words(header);
    let after = body_words(class_for(count(header) + 1)) + run_words(header.prefix_len());
    if space::ends_inner(words, at, before) { after - before } else { after }
}

/// Moves a full bucket into the next larger capacity, for which there is room.
pub(crate) fn grow(words: Words<'_>, at: Ref) -> Ref {
    let header = NodeHeader::load(words, at);
    let (old, count) = (capacity(header), count(header));
    let (mut fingerprints, mut refs) = ([0u64; LIMIT / 8], [0u64; LIMIT / 4]);
    for (index, word) in fingerprints.iter_mut().enumerate().take(old.div_ceil(8)) {
        *word = words.load(fingerprints_at(at).wrapping_add(index as u16));
    }
    for (index, word) in refs.iter_mut().enumerate().take(old / 4) {
        *word = words.load(refs_at(at, old).wrapping_add(index as u16));
    }
    let mut prefix = Vec::new();
    words.append_to(prefix_at(at, header), 0, header.prefix_len(), &mut prefix);
    let before = size_words(header);
    let taken = space::take_inner(words, growth_words(words, at, header));
    let to = if u32::from(taken) == u32::from(at) + before as u32 { at } else { taken };
    let new = class_for(count + 1);
    if to == at {
        words.zero(at, before);
    } else {
        space::free(words, before);
    }
    NodeHeader::new(BUCKET, new as u8, count, prefix.len(), 0).store(words, to);
    for (index, word) in fingerprints.iter().enumerate().take(old.div_ceil(8)) {
        words.store(fingerprints_at(to).wrapping_add(index as u16), *word);
    }
    for (index, word) in refs.iter().enumerate().take(old / 4) {
        words.store(refs_at(to, new).wrapping_add(index as u16), *word);
    }
    let mut run = RunWriter::new(words, prefix_at(to, NodeHeader::load(words, to)), prefix.len());
    run.push(&prefix);
    run.finish();
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::header::{self, BlobKind};
    use crate::blob::key::KeyBuf;
    use crate::blob::leaf;
    use crate::blob::words::boxed_words;

    #[test]
    fn a_bucket_fills_in_any_order_and_finds_every_leaf() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        header::format(words, 1, BlobKind::Range);
        let first = space::take_inner(words, body_words(4) + run_words(3));
        write_empty(words, first, 4, b"dir");
        let mut at = first;
        for i in 0..LIMIT {
            if i == 20 {
                // Something behind the bucket: from here on it cannot grow where it stands.
                space::take_inner(words, 1);
            }
            let name = format!("dir{:03}", (i * 37) % LIMIT);
            let mut buffer = KeyBuf::empty();
            let key = buffer.fill_whole(name.as_bytes());
            let header = NodeHeader::load(words, at);
            assert!(find(words, at, header, &key, 3, &Everything).is_none());
            if header.count() == capacity(header) {
                at = grow(words, at);
                assert_eq!(at == first, i < 20);
            }
            let header = NodeHeader::load(words, at);
            let index = count_below(words, at, header, &key, 3);
            let leaf = leaf::add(words, key.rest(3), leaf::Payload::value(b"value"), i as u64);
            insert(words, at, index, fingerprint_of_key(&key, 3), leaf);
        }
        let header = NodeHeader::load(words, at);
        assert_eq!((count(header), header.prefix_len()), (64, 3));
        for i in 0..LIMIT {
            let name = format!("dir{i:03}");
            let mut buffer = KeyBuf::empty();
            let key = buffer.fill_whole(name.as_bytes());
            let (index, found) = find(words, at, header, &key, 3, &Everything).expect("is there");
            assert_eq!(index, i);
            let run = fingerprint_of_run(words, found.suffix_at(), 0, found.suffix_len());
            assert_eq!(stored_fingerprint(words, at, i), run);
            assert_eq!(fingerprint_of_bytes(&name.as_bytes()[3..]), run);
        }
        remove(words, at, 10);
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(b"dir010");
        assert!(find(words, at, NodeHeader::load(words, at), &key, 3, &Everything).is_none());
    }
}
