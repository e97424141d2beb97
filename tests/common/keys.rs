//! Families of keys that hurt: each goes for another border case of the tree.

#![forbid(unsafe_code)]

use std::ops::Bound;

use spinney::SHORT_VALUE_BYTES_MAX;

use super::Random;
use super::oracle::Model;

const KEY_BYTES_MAX: usize = spinney::KEY_BYTES_MAX;
const DEEP_BYTES: usize = 5_000;
const CHILDREN: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// The empty key, single bytes, a few bytes of the two ends of the alphabet.
    Tiny,
    /// Runs of 0x00 or of 0xFF.
    Runs,
    /// Prefixes of one path of 5,000 bytes, so of each other.
    Deep,
    /// Up to the longest key; they part at the front, in the middle or at the very end.
    Huge,
    /// 10,000 children of one directory.
    Wide,
    /// All pairs of bytes below one node: two levels of 256 children.
    Pairs,
    /// Long shared prefixes, which no blob wants to store often.
    Shared,
    /// Paths as users have them.
    Paths,
    /// Bytes without any order.
    Noise,
}

const FAMILIES: [Family; 9] = [
    Family::Tiny,
    Family::Runs,
    Family::Deep,
    Family::Huge,
    Family::Wide,
    Family::Pairs,
    Family::Shared,
    Family::Paths,
    Family::Noise,
];

/// Out of a thousand keys, in the order of `FAMILIES`.
const WEIGHTS: [usize; 9] = [60, 40, 100, 2, 200, 100, 200, 200, 98];

/// A source of keys.
pub struct Keys {
    deep: Vec<u8>,
    huge: Vec<u8>,
    shared: Vec<Vec<u8>>,
    /// The family that this seed likes best.
    favourite: Family,
}

impl Keys {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x6B65_7973);
        let deep = random.bytes(DEEP_BYTES, b"ab/");
        let huge = random.bytes(KEY_BYTES_MAX, b"xyz");
        let shared = [150, 151, 300]
            .map(|len| [b"common/", random.bytes(len, b"qrstu/").as_slice(), b"/"].concat())
            .to_vec();
        let favourites =
            [Family::Deep, Family::Wide, Family::Pairs, Family::Shared, Family::Paths, Family::Noise];
        let favourite = favourites[seed as usize % favourites.len()];
        Keys { deep, huge, shared, favourite }
    }

    /// A key of some family.
    pub fn key(&self, random: &mut Random) -> Vec<u8> {
        if random.percent(20) {
            return self.of(self.favourite, random);
        }
        let mut left = random.below(WEIGHTS.iter().sum());
        for (family, weight) in FAMILIES.into_iter().zip(WEIGHTS) {
            if left < weight {
                return self.of(family, random);
            }
            left -= weight;
        }
        Vec::new()
    }

    fn of(&self, family: Family, random: &mut Random) -> Vec<u8> {
        match family {
            Family::Tiny => {
                let len = random.below(5);
                random.bytes(len, &[0, 1, b'/', b'a', b'p', 0x7F, 0x80, 0xFE, 0xFF])
            }
            Family::Runs => vec![*random.pick(&[0, 0xFF, b'/']); random.below(300)],
            Family::Deep => [b"deep/", &self.deep[..random.below(DEEP_BYTES + 1)]].concat(),
            Family::Huge => self.huge(random),
            Family::Wide => format!("wide/{:05}", random.below(CHILDREN)).into_bytes(),
            Family::Pairs => vec![b'w', random.next() as u8, random.next() as u8],
            Family::Shared => {
                let tail = format!("{:04}", random.below(4_000));
                [random.pick(&self.shared).as_slice(), tail.as_bytes()].concat()
            }
            Family::Paths => {
                let (region, bucket) = (random.below(4), random.below(30));
                let (day, file) = (random.below(28), random.below(60));
                match random.below(8) {
                    0 => format!("region-{region}/bucket-{bucket:02}/"),
                    1 => format!("region-{region}/bucket-{bucket:02}"),
                    _ => format!("region-{region}/bucket-{bucket:02}/2026/{day:02}/file-{file}.parquet"),
                }
                .into_bytes()
            }
            Family::Noise => {
                let len = random.below(14);
                (0..len).map(|_| random.next() as u8).collect()
            }
        }
    }

    fn huge(&self, random: &mut Random) -> Vec<u8> {
        let len = *random.pick(&[KEY_BYTES_MAX, KEY_BYTES_MAX - 1, KEY_BYTES_MAX - 9, 40_000]);
        let mut key = self.huge[..len].to_vec();
        let at = *random.pick(&[0, 1, 20_000, len / 2, len - 2, len - 1]);
        key[at] = *random.pick(&[0, b'a', b'y', 0xFF]);
        key
    }

    /// A key that is there, if there is any.
    pub fn known(&self, model: &Model, random: &mut Random) -> Option<Vec<u8>> {
        let from = self.key(random);
        let above = model.range::<[u8], _>((Bound::Included(from.as_slice()), Bound::Unbounded)).next();
        above.or_else(|| model.iter().next()).map(|(key, _)| key.clone())
    }

    /// A key that is there, one that may be, or one close to one that is.
    pub fn some_key(&self, model: &Model, random: &mut Random) -> Vec<u8> {
        let choice = random.below(100);
        if choice < 35 {
            return self.key(random);
        }
        let Some(known) = self.known(model, random) else {
            return self.key(random);
        };
        if choice < 80 { known } else { self.near(&known, random) }
    }

    /// The beginning of a key: mostly a directory, else it ends anywhere.
    pub fn some_prefix(&self, model: &Model, random: &mut Random) -> Vec<u8> {
        let mut key = self.some_key(model, random);
        let slashes: Vec<usize> = (0..key.len()).filter(|&index| key[index] == b'/').collect();
        let end = match slashes.is_empty() || random.percent(30) {
            true => random.below(key.len() + 1),
            false => *random.pick(&slashes) + 1,
        };
        key.truncate(end);
        key
    }

    /// A key that differs from this one by a little.
    pub fn near(&self, key: &[u8], random: &mut Random) -> Vec<u8> {
        let mut near = key.to_vec();
        match random.below(6) {
            0 => near.push(*random.pick(&[0, 1, b'/', b'a', 0xFF])),
            1 => drop(near.pop()),
            2 => near.truncate(random.below(near.len() + 1)),
            3 => {
                if let Some(last) = near.last_mut() {
                    *last = last.wrapping_add(1);
                }
            }
            4 => {
                if let Some(last) = near.last_mut() {
                    *last = last.wrapping_sub(1);
                }
            }
            _ => {
                let at = random.below(near.len() + 1);
                near.insert(at, *random.pick(&[0, b'/', b'x', 0xFF]));
            }
        }
        // Not ever more of the longest keys: each costs as much as a thousand others.
        if near.len() > KEY_BYTES_MAX || (near.len() > 2 * DEEP_BYTES && random.percent(90)) {
            near.truncate(random.below(30));
        }
        near
    }
}

/// Few bytes as a rule, every length up to the largest now and then.
pub fn value(random: &mut Random) -> Vec<u8> {
    let len = match random.below(1_000) {
        0..=699 => random.below(40),
        700..=949 => random.below(300),
        950..=996 => random.below(4_000),
        997..=998 => random.below(SHORT_VALUE_BYTES_MAX + 1),
        _ => *random.pick(&[0, SHORT_VALUE_BYTES_MAX, SHORT_VALUE_BYTES_MAX - 1]),
    };
    let first = random.next() as u8;
    (0..len).map(|at| first.wrapping_add((at / 7) as u8)).collect()
}

/// Of a hundred values so many large ones.
/// How many values in a hundred are large: a few dozen fill a blob. And how many are too long for a leaf.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    pub large_percent: usize,
    pub long_percent: usize,
}

pub fn mixed_value(random: &mut Random, sizes: Sizes) -> Vec<u8> {
    let mut is_one = |percent| percent > 0 && random.percent(percent);
    if is_one(sizes.long_percent) {
        let (len, first) = (65_536 + random.below(200_000), random.next() as u8);
        return (0..len).map(|at| first.wrapping_add((at / 300) as u8)).collect();
    }
    if is_one(sizes.large_percent) { large_value(random) } else { value(random) }
}

/// A few dozen of these fill a blob.
fn large_value(random: &mut Random) -> Vec<u8> {
    let len = 4_000 + random.below(40_000);
    let first = random.next() as u8;
    (0..len).map(|at| first.wrapping_add((at / 5) as u8)).collect()
}
