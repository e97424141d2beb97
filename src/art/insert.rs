//! Writing one key: overwrite where it stands, or make the place for it.

#![forbid(unsafe_code)]

use super::burst;
use super::locate::{Spot, locate};
use crate::blob::header::{self, ROOT_SLOT};
use crate::blob::leaf::{self, Leaf, Payload};
use crate::blob::node::{self, NodeHeader, run_words};
use crate::blob::presence::Presence;
use crate::blob::space::{self, Need};
use crate::blob::words::DIRTY_AT;
use crate::blob::{Key, Ref, RefSlot, Torn, Words, bucket, inner, simd};

/// The room that a write lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) need: Need,
    /// The key is not there yet: else its value has become longer.
    pub(crate) is_new: bool,
}

/// Why a write cannot be applied now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The blob has not so much room.
    Full(Shortage),
    /// Pages were missed, or else the words make no sense.
    Torn,
}

impl From<Torn> for Refused {
    fn from(_: Torn) -> Self {
        Refused::Torn
    }
}

/// Lines of a new leaf that are asked for: those of one with some hundred bytes.
const NEW_LEAF_LINES: u16 = 3;

/// Asks for the lines that every write reads first: counts and regions, the notes of changed pages, the root.
/// Call it before the latch is taken: that instruction waits for all before it. (At 1 M keys, with what
/// `prepare` asks for: 3 to 8 % off a random put, 5 to 13 % off an overwrite.)
#[inline]
pub(crate) fn fetch_ahead(words: Words<'_>, root: Ref) {
    for at in [root, root.wrapping_add(simd::LINE_WORDS), header::COUNTS_AT, DIRTY_AT] {
        simd::prefetch(words, at);
    }
}

/// Finds the place of `key` and makes sure that a value of this length can be written there: full
/// buckets in the way are burst, which changes the tree's shape but not its keys. `begin` is called before
/// the first such change. `reserve` words stay free. All pages that `apply` reads or changes are there then.
pub(crate) fn prepare(
    words: Words<'_>,
    key: &Key<'_>,
    base: usize,
    value_len: usize,
    reserve: u32,
    presence: &impl Presence,
    mut begin: impl FnMut(),
) -> Result<Spot, Refused> {
    let fits = |need: Need| need.words() + reserve <= header::free_words(words);
    // A new leaf will be written here: its lines come while its place is looked for.
    let leaf_start = header::leaf_start(words) as Ref;
    for line in 1..=NEW_LEAF_LINES {
        simd::prefetch(words, leaf_start.wrapping_sub(simd::LINE_WORDS * line));
    }
    loop {
        let spot = locate(words, key, base, presence)?;
        let full_bucket = match spot {
            Spot::InBucket { slot, at, .. } if is_full(words, at) => Some((slot, at)),
            Spot::InBucket { at, .. } => {
                bucket::fetch_search(words, at, NodeHeader::load(words, at));
                None
            }
            _ => None,
        };
        let Some((slot, at)) = full_bucket else {
            let need = spot.need(words, key, value_len);
            let is_new = !matches!(spot, Spot::Found { .. });
            return match fits(need) {
                false => Err(Refused::Full(Shortage { need, is_new })),
                true if holds_place(words, spot, key, need, presence) => Ok(spot),
                true => Err(Refused::Torn),
            };
        };
        if !bucket::holds_leaves(words, at, true, presence) || !bucket::holds_sound_leaves(words, at) {
            return Err(Refused::Torn);
        }
        let need = burst::need(words, at);
        if !fits(need) {
            return Err(Refused::Full(Shortage { need, is_new: true }));
        }
        if !holds_gap(words, need, presence) {
            return Err(Refused::Torn);
        }
        begin();
        burst::burst(words, slot, at);
    }
}

/// Whether all that `apply` needs beside inner nodes and the leaf that was found is there.
fn holds_place(words: Words<'_>, spot: Spot, key: &Key<'_>, need: Need, presence: &impl Presence) -> bool {
    let gap = holds_gap(words, need, presence);
    match spot {
        Spot::InBucket { at, depth, .. } => bucket::holds_search(words, at, key, depth, presence) && gap,
        _ => gap,
    }
}

/// Whether the words that will be taken from between inner nodes and leaves are there.
fn holds_gap(words: Words<'_>, need: Need, presence: &impl Presence) -> bool {
    let inner = presence.holds_words(header::inner_end(words), need.inner);
    let leaf_at = header::leaf_start(words).saturating_sub(need.leaf);
    presence.holds_words(leaf_at, need.leaf) && inner
}

fn is_full(words: Words<'_>, at: Ref) -> bool {
    bucket::count(NodeHeader::load(words, at)) == bucket::LIMIT
}

/// Writes key and value at a spot that `prepare` returned, with nothing in between. Returns whether the
/// key is new.
pub(crate) fn apply(
    words: Words<'_>,
    spot: Spot,
    key: &Key<'_>,
    base: usize,
    value: Payload<'_>,
    seq: u64,
) -> bool {
    header::raise_seq(words, seq);
    if let Spot::Found { leaf, slot } = spot {
        overwrite(words, leaf, slot, value, seq);
        return false;
    }
    let add_leaf = |depth: usize| leaf::add(words, key.rest(depth), value, seq);
    match spot {
        Spot::Found { .. } => unreachable!("handled above"),
        Spot::Empty => words.store_ref(ROOT_SLOT, add_leaf(base)),
        Spot::BesideLeaf { slot, leaf, depth, common } => {
            let prefix = &key.rest(depth)[..common];
            let at = new_bucket(words, prefix);
            leaf.shorten(words, common);
            let old = Leaf::load(words, leaf.at);
            let fingerprint = bucket::fingerprint_of_run(words, old.suffix_at(), 0, old.suffix_len());
            bucket::insert(words, at, 0, fingerprint, old.at);
            insert_into_bucket(words, at, key, depth + common, add_leaf(depth + common));
            words.store_ref(slot, at);
        }
        Spot::InsidePrefix { slot, at, depth, common } => {
            let parent = inner::add_inner4(words, &key.rest(depth)[..common]);
            let byte = shorten_prefix(words, at, common);
            inner::add_child(words, parent, byte, at);
            let below = depth + common;
            if below == key.len() {
                words.store_ref(NodeHeader::end_slot(parent), add_leaf(below));
            } else {
                inner::add_child(words, parent, key.byte(below), add_leaf(below + 1));
            }
            words.store_ref(slot, parent);
        }
        Spot::InBucket { slot, at, depth } => {
            let header = NodeHeader::load(words, at);
            let full = bucket::count(header) == bucket::capacity(header);
            let at = if full { bucket::grow(words, at) } else { at };
            insert_into_bucket(words, at, key, depth, add_leaf(depth));
            words.store_ref(slot, at);
        }
        Spot::AtEnd { at } => words.store_ref(NodeHeader::end_slot(at), add_leaf(key.len())),
        Spot::NewChild { slot, at, depth } => {
            let header = NodeHeader::load(words, at);
            let full = header.count() >= inner::capacity(header.kind(), header.flags());
            let at = if full { inner::grow(words, at) } else { at };
            inner::add_child(words, at, key.byte(depth), add_leaf(depth + 1));
            words.store_ref(slot, at);
        }
    }
    space::count_key(words, 1);
    true
}

fn overwrite(words: Words<'_>, leaf: Leaf, slot: RefSlot, value: Payload<'_>, seq: u64) {
    if leaf::size_words(leaf.suffix_len(), value.len()) <= leaf.words() {
        leaf.overwrite(words, value, seq);
        return;
    }
    let mut suffix = Vec::new();
    leaf.append_suffix(words, &mut suffix);
    let to = leaf::add(words, &suffix, value, seq);
    space::free(words, leaf.words());
    if leaf.is_pointer() {
        header::count_pointers(words, -1);
    }
    words.store_ref(slot, to);
}

fn new_bucket(words: Words<'_>, prefix: &[u8]) -> Ref {
    let capacity = bucket::class_for(2);
    let at = space::take_inner(words, bucket::body_words(capacity) + run_words(prefix.len()));
    bucket::write_empty(words, at, capacity, prefix);
    at
}

fn insert_into_bucket(words: Words<'_>, at: Ref, key: &Key<'_>, depth: usize, leaf: Ref) {
    let index = bucket::count_below(words, at, NodeHeader::load(words, at), key, depth);
    bucket::insert(words, at, index, bucket::fingerprint_of_key(key, depth), leaf);
}

/// Takes the first `common` bytes and one more off a node's prefix; returns that one more.
fn shorten_prefix(words: Words<'_>, at: Ref, common: usize) -> u8 {
    let header = NodeHeader::load(words, at);
    let len = header.prefix_len();
    let prefix_at = match header.kind() {
        node::BUCKET => bucket::prefix_at(at, header),
        _ => inner::prefix_at(at, header),
    };
    let byte = words.byte(prefix_at, common);
    words.drop_front(prefix_at, len, common + 1);
    let left = len - common - 1;
    header.with_prefix_len(left).store(words, at);
    space::free(words, run_words(len) - run_words(left));
    byte
}
