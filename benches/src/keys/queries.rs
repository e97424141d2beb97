//! Questions about a family, laid out before any clock starts: in which order its keys are put, which are
//! asked for, and which are not there.

#![forbid(unsafe_code)]

use super::{Family, Keys};
use crate::random::Random;
use std::collections::HashSet;

/// Draws of a new key that may fail in a row before longer ones are drawn. Many more than ever fail among the
/// made keys, so that theirs depend on the seed alone.
const FAILED_MAX: usize = 100;

/// Keys in the order in which they are asked for, each with the number its value must carry.
#[derive(Default, Clone)]
pub struct Queries {
    keys: Keys,
    ids: Vec<u32>,
}

impl Queries {
    fn push(&mut self, key: &[u8], id: u32) {
        self.keys.push(key);
        self.ids.push(id);
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> + Clone {
        self.keys.iter().zip(self.ids.iter().copied())
    }

    pub fn get(&self, i: usize) -> (&[u8], u32) {
        (self.keys.get(i), self.ids[i])
    }
}

impl Family {
    /// Every key once, in random order.
    pub fn shuffled(&self) -> Queries {
        self.distinct(self.len(), 0)
    }

    /// So many keys without repetitions, in random order: with another salt, in another one.
    pub fn distinct(&self, count: usize, salt: u64) -> Queries {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        Random::new(self.seed ^ salt ^ 0x7368).shuffle(&mut order);
        order.truncate(count);
        self.gather(order)
    }

    /// Every key once, in key order.
    pub fn ordered(&self) -> Queries {
        self.gather(0..self.len() as u32)
    }

    /// So many keys, uniform, with repetitions.
    pub fn uniform(&self, count: usize, salt: u64) -> Queries {
        let mut random = Random::new(self.seed ^ salt ^ 0x756E_6966);
        self.gather((0..count).map(|_| random.below(self.len()) as u32))
    }

    fn gather(&self, ids: impl IntoIterator<Item = u32>) -> Queries {
        let mut queries = Queries::default();
        for id in ids {
            queries.push(self.sorted.get(id as usize), id);
        }
        queries
    }

    /// So many keys that are not there, each an existing path with one byte of its last component changed,
    /// without repetitions. Their numbers follow those of the existing keys.
    ///
    /// Few or short keys have few such neighbours: whenever these seem to be used up, all further ones are a
    /// byte longer.
    pub fn near_misses(&self, count: usize, salt: u64) -> Queries {
        const BYTES: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut random = Random::new(self.seed ^ salt ^ 0x6D69_7373);
        let mut seen = HashSet::with_capacity(count);
        let mut queries = Queries::default();
        let (mut failed, mut longer) = (0, 0);
        while queries.len() < count {
            let mut key = self.sorted.get(random.below(self.len())).to_vec();
            let start = key.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
            if start == key.len() {
                key.push(b'-');
            }
            let at = random.between(start, key.len() - 1);
            key[at] = *random.pick(BYTES);
            key.extend((0..longer).map(|_| *random.pick(BYTES)));
            if self.sorted.holds(&key) || seen.contains(&key) {
                failed += 1;
                if failed == FAILED_MAX {
                    (failed, longer) = (0, longer + 1);
                }
                continue;
            }
            failed = 0;
            queries.push(&key, (self.len() + queries.len()) as u32);
            seen.insert(key);
        }
        queries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_asks_for_every_key_once() {
        let family = Family::objects(500, 1);
        let numbers = |queries: &Queries| queries.iter().map(|(_, id)| id).collect::<Vec<_>>();
        let (ordered, mut shuffled) = (numbers(&family.ordered()), numbers(&family.shuffled()));
        assert_ne!(ordered, shuffled);
        shuffled.sort_unstable();
        assert_eq!(ordered, shuffled);
    }

    #[test]
    fn near_misses_are_not_there() {
        let family = Family::objects(500, 1);
        let misses = family.near_misses(300, 2);
        let different: HashSet<&[u8]> = misses.iter().map(|(key, _)| key).collect();
        assert_eq!(different.len(), 300);
        assert!(misses.iter().all(|(key, id)| !family.sorted.holds(key) && id >= 500));
    }

    #[test]
    fn few_keys_have_as_many_near_misses_as_are_asked_for() {
        let keys = ["", "a", "b", "a/"].map(|key| key.as_bytes().to_vec());
        let family = Family::of_paths("test", 1, keys.to_vec());
        let misses = family.near_misses(5_000, 2);
        let different: HashSet<&[u8]> = misses.iter().map(|(key, _)| key).collect();
        assert_eq!(different.len(), 5_000);
        assert!(misses.iter().all(|(key, _)| !family.sorted.holds(key)));
    }

    #[test]
    fn a_seed_gives_the_same_near_misses_everywhere() {
        let misses = Family::objects(2_500, 1).near_misses(10_000, 2);
        let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        let hash = misses.iter().fold(0xCBF2_9CE4_8422_2325, |hash, (key, _)| key.iter().fold(hash, fold));
        assert_eq!(hash, 2_930_850_631_606_902_196);
    }
}
