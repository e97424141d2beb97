//! Writes into blobs whose nodes do not say the truth about themselves: they are refused, or leave all other
//! keys as they were, and pages that are not in memory.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use super::find::find;
use super::insert::{self, Refused};
use super::remove;
use super::tests::{Random, random_key};
use crate::blob::header::{self, BLOB_PAGES, BlobKind};
use crate::blob::key::KeyBuf;
use crate::blob::leaf::{Leaf, Payload};
use crate::blob::node::{self, NodeHeader};
use crate::blob::presence::{Everything, Presence, SomePages};
use crate::blob::words::{BLOB_WORDS, NOTE_WORDS, PAGE_WORDS, Ref, boxed_words};
use crate::blob::{Key, Words, bucket, inner};

/// What stands in pages that are missing.
const JUNK: u64 = 0xABAB_ABAB_ABAB_ABAB;

const SAMPLES: u64 = if cfg!(miri) { 1 } else { 6 };

/// Keys, and all nodes but leaves, each with the keys below it.
struct Sample {
    words: Vec<u64>,
    keys: Vec<Vec<u8>>,
    nodes: Vec<(Ref, Vec<usize>)>,
}

impl Sample {
    /// The keys whose leaves are at or below a node. `leaves` says which key a leaf is of.
    fn add_node(&mut self, words: Words<'_>, at: Ref, leaves: &BTreeMap<Ref, usize>) -> Vec<usize> {
        let header = NodeHeader::load(words, at);
        if let Some(key) = leaves.get(&at) {
            return vec![*key];
        }
        let mut keys: Vec<usize> = leaves.get(&header.extra()).copied().into_iter().collect();
        if header.kind() == node::BUCKET {
            let leaf = |index| bucket::leaf_at(words, at, header, index);
            keys = (0..header.count()).map(|index| leaves[&leaf(index)]).collect();
        } else {
            let mut position = 0;
            while let Some((_, child, next)) = inner::step_forward(words, at, header, position) {
                keys.extend(self.add_node(words, child, leaves));
                position = next;
            }
        }
        self.nodes.push((at, keys.clone()));
        keys
    }
}

fn sample(seed: u64) -> Sample {
    let memory = boxed_words();
    let words = Words::new(&memory);
    header::format(words, 5, BlobKind::Range);
    let mut random = Random(seed);
    let mut keys = BTreeSet::new();
    for _ in 0..if cfg!(miri) { 150 } else { 1_500 } {
        let key = random_key(&mut random, b"");
        let mut buffer = KeyBuf::empty();
        let written = put(words, &buffer.fill_whole(&key), &vec![7; random.below(60)], &Everything);
        written.expect("there is room, and all is sound");
        keys.insert(key);
    }
    let keys: Vec<Vec<u8>> = keys.into_iter().collect();
    let leaf = |key| find_leaf(words, key).expect("is there").at;
    let leaves = keys.iter().enumerate().map(|(index, key)| (leaf(key), index)).collect();
    let mut sample = Sample { words: Vec::new(), keys, nodes: Vec::new() };
    sample.add_node(words, header::root(words), &leaves);
    sample.words = (0..BLOB_WORDS).map(|at| words.load(at as Ref)).collect();
    sample
}

fn find_leaf(words: Words<'_>, key: &[u8]) -> Option<Leaf> {
    let mut buffer = KeyBuf::empty();
    find(words, header::root(words), &buffer.fill_whole(key), 0, &Everything).ok()?
}

fn put(words: Words<'_>, key: &Key<'_>, value: &[u8], presence: &impl Presence) -> Result<(), Refused> {
    let spot = insert::prepare(words, key, 0, value.len(), 0, presence, || {})?;
    insert::apply(words, spot, key, 0, Payload::value(value), 1);
    Ok(())
}

fn take_out(words: Words<'_>, key: &Key<'_>, presence: &impl Presence) -> Result<(), Refused> {
    let place = remove::prepare(words, key, 0, presence)?;
    if presence.missed() != 0 {
        return Err(Refused::Torn);
    }
    if let Some(place) = place {
        remove::apply(words, &place);
    }
    Ok(())
}

/// One lie of a node about itself that its words show to be one: its children, in number and in order. (That
/// it is larger than it is, so that it lies over another, only a walk through the whole blob can see.)
fn lie(words: Words<'_>, at: Ref, random: &mut Random) {
    let header = NodeHeader::load(words, at);
    let count = [0, 1, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 256, 257, 0xFFFF][random.below(16)];
    let is_map = header.kind() == node::INNER_MAP;
    let no_capacity = [0, 3, 5, 12, 63, 65, 128, 255][random.below(8)];
    let has_capacity = is_map || header.kind() == node::BUCKET;
    match random.below(6) {
        0 | 1 => header.with_count(count).store(words, at),
        2 if has_capacity => {
            let (kind, extra) = (header.kind(), header.extra());
            NodeHeader::new(kind, no_capacity, header.count(), header.prefix_len(), extra).store(words, at);
        }
        // Ranks, and the map behind them.
        3 if is_map => words.store(at + 1, words.load(at + 1) ^ (1 << random.below(64))),
        4 if is_map => words.store(at + 1, random.below(1 << 31) as u64 * 0x1_0001),
        _ if is_map => {
            let map_at = at + 2 + random.below(4) as Ref;
            words.store(map_at, words.load(map_at) ^ (1 << random.below(64)));
        }
        // Key bytes, or fingerprints.
        _ => words.store_byte(at + 1, random.below(4), random.below(256) as u8),
    }
}

fn answers(words: Words<'_>, keys: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let answer = |key: &Vec<u8>| {
        let mut value = Vec::new();
        find_leaf(words, key)?.append_value(words, &mut value);
        Some(value)
    };
    keys.iter().map(answer).collect()
}

/// Keys near those that there are, most of them below one node.
fn some_key(sample: &Sample, node: usize, random: &mut Random) -> Vec<u8> {
    let below = &sample.nodes[node].1;
    let index = match random.below(4) {
        0 => random.below(sample.keys.len()),
        _ => below[random.below(below.len())],
    };
    let mut key = sample.keys[index].clone();
    match random.below(4) {
        0 => key.push(random.below(256) as u8),
        1 => key.truncate(random.below(key.len() + 1)),
        2 if !key.is_empty() => {
            let at = random.below(key.len());
            key[at] = random.below(256) as u8;
        }
        _ => {}
    }
    key
}

/// Fills a blob with the words of the sample.
fn restore(words: Words<'_>, sample: &Sample) {
    sample.words.iter().enumerate().for_each(|(at, word)| words.store_unnoted(at as Ref, *word));
}

#[test]
fn lies_of_a_node_about_its_children_cost_no_other_key() {
    let memory = boxed_words();
    let words = Words::new(&memory);
    let samples: Vec<Sample> = (0..SAMPLES).map(sample).collect();
    let (mut refused, mut done) = (0, 0);
    for seed in 0..if cfg!(miri) { 2 } else { 300 } {
        let mut random = Random(seed);
        let sample = &samples[(seed % SAMPLES) as usize];
        restore(words, sample);
        let node = random.below(sample.nodes.len());
        let at = sample.nodes[node].0;
        // What a lie about its size lets a node show by chance, out of its neighbours, does not count.
        let mut truth = answers(words, &sample.keys);
        lie(words, at, &mut random);
        let mut before = answers(words, &sample.keys);
        for _ in 0..16 {
            let key = some_key(sample, node, &mut random);
            let mut buffer = KeyBuf::empty();
            let padded = buffer.fill_whole(&key);
            let outcome = match random.below(3) {
                0 => take_out(words, &padded, &Everything),
                _ => put(words, &padded, &vec![9; random.below(90)], &Everything),
            };
            match outcome {
                Ok(()) => done += 1,
                Err(Refused::Torn) => refused += 1,
                Err(Refused::Full(_)) => continue,
            }
            let after = answers(words, &sample.keys);
            let changed =
                sample.keys.iter().enumerate().filter(|&(at, other)| {
                    *other != key && before[at] == truth[at] && before[at] != after[at]
                });
            let changed: Vec<_> = changed.map(|(_, other)| String::from_utf8_lossy(other)).collect();
            assert_eq!(changed, Vec::<String>::new(), "seed {seed}, node {at}, key {key:?}: {outcome:?}");
            if let Ok(own) = sample.keys.binary_search(&key) {
                truth[own] = after[own].clone();
            }
            before = after;
        }
    }
    assert!(cfg!(miri) || (refused > 500 && done > 1_000), "{refused} refused, {done} done");
}

/// Any change at all of a node or of the header: whatever is written lies in pages that are there, and within
/// the two regions.
#[test]
fn no_lie_reaches_absent_pages_or_the_header() {
    let memory = boxed_words();
    let words = Words::new(&memory);
    let samples: Vec<Sample> = (0..SAMPLES).map(sample).collect();
    let mut refused = 0;
    for seed in 0..if cfg!(miri) { 2 } else { 2_500 } {
        let mut random = Random(seed);
        let sample = &samples[(seed % SAMPLES) as usize];
        restore(words, sample);
        let node = random.below(sample.nodes.len());
        let at = match random.below(8) {
            0 => 4,
            1 => 5,
            _ => sample.nodes[node].0 + random.below(4) as Ref,
        };
        let bits = u64::from(random.below(1 << 16) as u16) << (16 * random.below(4));
        words.store(at, if random.below(2) == 0 { words.load(at) ^ bits } else { words.load(at) | bits });
        // What inner nodes lie in is always there.
        let inner_pages = (header::inner_end(words) as usize).clamp(1, BLOB_WORDS).div_ceil(PAGE_WORDS);
        let mut present = u128::MAX;
        for page in (inner_pages..BLOB_PAGES).filter(|page| page % 3 != seed as usize % 3) {
            (0..PAGE_WORDS).for_each(|at| words.store_unnoted((page * PAGE_WORDS + at) as Ref, JUNK));
            present &= !(1 << page);
        }
        for _ in 0..12 {
            let key = some_key(sample, node, &mut random);
            let presence = SomePages::new(present);
            let mut buffer = KeyBuf::empty();
            let padded = buffer.fill_whole(&key);
            let outcome = match random.below(3) {
                0 => take_out(words, &padded, &presence),
                _ => put(words, &padded, &vec![9; random.below(90)], &presence),
            };
            refused += u32::from(outcome == Err(Refused::Torn) && presence.missed() == 0);
        }
        let is_absent = |at: &usize| present & 1 << (at / PAGE_WORDS) == 0;
        let written = (0..BLOB_WORDS).filter(is_absent).find(|at| words.load(*at as Ref) != JUNK);
        assert_eq!(written, None, "seed {seed}: a word that is not there");
        let mut own = (0..256).filter(|at| !(3..=6).contains(at) && !NOTE_WORDS.contains(at));
        let written = own.find(|at| words.load(*at as Ref) != sample.words[*at]);
        assert_eq!(written, None, "seed {seed}: a word of the header");
    }
    assert!(cfg!(miri) || refused > 1_000, "{refused} refused");
}
