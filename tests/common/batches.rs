//! Random batches beside what they have to come to: the same steps, done to maps.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Display;

use spinney::{Batch, Error, Result, Tree, Version};

use super::keys::{self, Keys, Sizes};
use super::oracle::{Model, under};
use super::{Random, short};

/// One tree and the map that it is.
pub type Side<'d> = (&'d Tree, &'d Model);

/// The keys that were written: the value, and the step that put it; none if it is gone.
type Written = BTreeMap<Vec<u8>, Option<(Vec<u8>, usize)>>;

/// A batch in the making.
pub struct Draft<'d> {
    sides: Vec<Side<'d>>,
    /// Of each tree.
    now: Vec<Written>,
    /// Whether each step writes something.
    effects: Vec<bool>,
    /// The first step whose condition does not hold.
    refused: Option<usize>,
    /// How many values in a hundred are large.
    sizes: Sizes,
}

/// What a batch has done to a key of the tree of this number.
pub type Edit = (usize, Vec<u8>, Option<(Vec<u8>, u64)>);

/// What a step sees of a key.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Nothing,
    Stored(u64),
    /// An earlier step has put it: it has no version yet.
    Own,
}

impl<'d> Draft<'d> {
    pub fn new(sides: Vec<Side<'d>>, sizes: Sizes) -> Self {
        let now = vec![BTreeMap::new(); sides.len()];
        Draft { sides, now, effects: Vec::new(), refused: None, sizes }
    }

    fn seen(&self, at: usize, key: &[u8]) -> Seen {
        match self.now[at].get(key) {
            Some(None) => Seen::Nothing,
            Some(Some(_)) => Seen::Own,
            None => self.sides[at].1.get(key).map_or(Seen::Nothing, |(_, version)| Seen::Stored(*version)),
        }
    }

    fn some_key(&self, at: usize, keys: &Keys, random: &mut Random) -> Vec<u8> {
        let own = &self.now[at];
        if !own.is_empty() && random.percent(30) {
            let from = own.range(keys.key(random)..).next();
            return from.or_else(|| own.iter().next()).map(|(key, _)| key.clone()).unwrap_or_default();
        }
        keys.some_key(self.sides[at].1, random)
    }

    /// Whether no key begins with this.
    fn is_empty(&self, at: usize, prefix: &[u8]) -> bool {
        let is_gone = |key: &Vec<u8>| self.seen(at, key) == Seen::Nothing;
        let own = self.now[at].iter().all(|(key, now)| now.is_none() || !key.starts_with(prefix));
        own && under(self.sides[at].1, prefix).iter().all(is_gone)
    }

    /// Adds a random step; after one that is refused, puts alone.
    pub fn step(&mut self, batch: &mut Batch, keys: &Keys, random: &mut Random) {
        let at = random.below(self.sides.len());
        let key = self.some_key(at, keys, random);
        let choice = if self.refused.is_some() { 0 } else { random.below(100) };
        // Most conditions hold, else no long batch would ever be applied.
        let fails = random.percent(2);
        match choice {
            0..=44 => self.put(batch, at, key, random),
            45..=59 => self.remove(batch, at, key),
            60..=71 => self.rename(batch, at, key, keys, random, fails),
            72..=89 => self.conditional(batch, at, key, random, fails),
            _ => self.guard(batch, at, key, random, fails),
        }
    }

    fn did(&mut self, has_effect: bool) {
        self.effects.push(has_effect);
    }

    fn put(&mut self, batch: &mut Batch, at: usize, key: Vec<u8>, random: &mut Random) {
        let value = keys::mixed_value(random, self.sizes);
        batch.put(self.sides[at].0, &key, &value);
        if self.refused.is_none() {
            self.now[at].insert(key, Some((value, self.effects.len())));
            self.did(true);
        }
    }

    fn remove(&mut self, batch: &mut Batch, at: usize, key: Vec<u8>) {
        batch.remove(self.sides[at].0, &key);
        let was_there = self.seen(at, &key) != Seen::Nothing;
        self.now[at].insert(key, None);
        self.did(was_there);
    }

    fn rename(
        &mut self,
        batch: &mut Batch,
        at: usize,
        from: Vec<u8>,
        keys: &Keys,
        random: &mut Random,
        fails: bool,
    ) {
        let to = if random.percent(50) { keys.near(&from, random) } else { keys.key(random) };
        let is_there = self.seen(at, &from) != Seen::Nothing;
        let taken = is_there && to != from && self.seen(at, &to) != Seen::Nothing;
        if taken && !fails {
            return self.put(batch, at, to, random);
        }
        batch.rename(self.sides[at].0, &from, &to);
        if taken {
            return self.refused = Some(self.effects.len());
        }
        if is_there && to != from {
            let stored = || self.sides[at].1.get(&from).map(|(value, _)| value.clone());
            let own = self.now[at].get(&from).cloned().flatten().map(|(value, _)| value);
            let value = own.or_else(stored).expect("is there");
            self.now[at].insert(from, None);
            self.now[at].insert(to, Some((value, self.effects.len())));
            return self.did(true);
        }
        self.did(false);
    }

    /// The version to expect, and whether that holds.
    fn some_version(&self, at: usize, key: &[u8], random: &mut Random, fails: bool) -> (Version, bool) {
        let number = match self.seen(at, key) {
            Seen::Stored(version) => version + u64::from(fails),
            _ => random.below(100) as u64,
        };
        (Version::from_number(number), self.seen(at, key) == Seen::Stored(number))
    }

    fn conditional(&mut self, batch: &mut Batch, at: usize, key: Vec<u8>, random: &mut Random, fails: bool) {
        let (version, is_so) = self.some_version(at, &key, random, fails);
        let absent = self.seen(at, &key) == Seen::Nothing;
        let (tree, choice) = (self.sides[at].0, random.below(3));
        let holds = if choice == 0 { absent } else { is_so };
        if !holds && !fails {
            return self.put(batch, at, key, random);
        }
        let value = keys::mixed_value(random, self.sizes);
        match choice {
            0 => batch.put_if_absent(tree, &key, &value),
            1 => batch.compare_and_put(tree, &key, version, &value),
            _ => batch.remove_if(tree, &key, version),
        };
        if !holds {
            return self.refused = Some(self.effects.len());
        }
        let value = (choice < 2).then_some((value, self.effects.len()));
        self.now[at].insert(key, value);
        self.did(true);
    }

    fn guard(&mut self, batch: &mut Batch, at: usize, mut key: Vec<u8>, random: &mut Random, fails: bool) {
        let (version, is_so) = self.some_version(at, &key, random, fails);
        let absent = self.seen(at, &key) == Seen::Nothing;
        let (tree, choice) = (self.sides[at].0, random.below(4));
        if choice == 3 {
            key.truncate(random.below(key.len() + 1));
        }
        let holds =
            [absent, !absent, is_so][choice.min(2)] && choice < 3 || choice == 3 && self.is_empty(at, &key);
        if !holds && !fails {
            return self.put(batch, at, key, random);
        }
        match choice {
            0 => batch.expect_absent(tree, &key),
            1 => batch.expect_present(tree, &key),
            2 => batch.expect_version(tree, &key, version),
            _ => batch.expect_empty(tree, &key),
        };
        if !holds {
            return self.refused = Some(self.effects.len());
        }
        self.did(false);
    }

    /// Compares what has come of the batch; none if it had to be refused, and was. `last` is the number of
    /// the last write before it.
    pub fn settle(
        self,
        outcome: Result<Vec<Option<Version>>>,
        last: u64,
        place: &impl Display,
    ) -> Option<Vec<Edit>> {
        let versions = match (outcome, self.refused) {
            (Ok(versions), None) => versions,
            (Err(Error::BatchRefused { index, .. }), Some(step)) => {
                assert_eq!(index, step, "{place}: the step that was refused");
                return None;
            }
            (outcome, refused) => panic!("{place}: {outcome:?}, not {refused:?}"),
        };
        let numbers: Vec<Option<u64>> =
            versions.into_iter().map(|version| version.map(Version::number)).collect();
        let effects: Vec<bool> = numbers.iter().map(Option::is_some).collect();
        assert_eq!(effects, self.effects, "{place}: which steps have written");
        let written: Vec<u64> = numbers.iter().flatten().copied().collect();
        assert!(written.is_sorted_by(|one, next| one < next), "{place}: {written:?}");
        assert!(written.first().is_none_or(|&first| first > last), "{place}: {written:?} after {last}");
        let mut edits = Vec::new();
        for (at, now) in self.now.into_iter().enumerate() {
            for (key, put) in now {
                let entry = put.map(|(value, step)| {
                    let told = || panic!("{place}: {} has no version", short(&key));
                    (value, numbers[step].unwrap_or_else(told))
                });
                edits.push((at, key, entry));
            }
        }
        Some(edits)
    }
}

/// Does to a map what the batch did to the tree of this number.
pub fn apply(model: &mut Model, edits: &[Edit], at: usize) {
    for (_, key, entry) in edits.iter().filter(|(of, _, _)| *of == at) {
        match entry {
            Some(entry) => drop(model.insert(key.clone(), entry.clone())),
            None => drop(model.remove(key)),
        }
    }
}
