//! A database beside its oracle: every operation runs on both, and every answer is compared.
//!
//! What happens depends on the seed alone, versions included, so a failure comes back with its seed.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use spinney::{Db, Error, Tree};

use super::keys::{self, Keys, Sizes};
use super::oracle::Model;
use super::reads::{self, Look};
use super::{Place, Random, short};

#[path = "directories.rs"]
mod directories;

/// The trees of a world, and how often each is used, in hundredths.
pub type Trees = &'static [(&'static str, usize)];

const TREES: Trees = &[("files", 80), ("a tree with a longer name", 12), ("z", 5), ("scratch", 3)];

/// One tree and its oracle.
pub struct Shelf {
    pub name: String,
    pub tree: Tree,
    pub model: Model,
    /// How often it is used.
    pub weight: usize,
}

impl Shelf {
    /// One without keys.
    pub fn empty(name: &str, tree: Tree, weight: usize) -> Self {
        Shelf { name: name.into(), tree, model: Model::new(), weight }
    }
}

/// What happened to the blobs of a world, copies included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub splits: u64,
    pub ascending_cuts: u64,
    pub shares: u64,
    pub joins: u64,
    pub compactions: u64,
    pub grafts: u64,
    pub keys_max: u64,
    pub blobs_max: u32,
}

/// See the head of this file.
pub struct World {
    pub db: Db,
    pub shelves: Vec<Shelf>,
    pub keys: Keys,
    pub random: Random,
    /// The version of the last write.
    pub version: u64,
    /// How large values are.
    pub sizes: Sizes,
    /// What took effect, or was refused, and how often.
    pub counts: BTreeMap<&'static str, u64>,
    seed: u64,
    step: u64,
    /// Operations of a season of growth and one of decay.
    season: u64,
    totals: Totals,
    /// Whether others write into the same database, each into trees of its own.
    is_shared: bool,
    /// Says every write, for finding the one that did a damage.
    is_traced: bool,
}

impl World {
    pub fn new(seed: u64) -> Self {
        World::of(Db::memory(), seed)
    }

    /// A world that has an empty database for itself.
    pub fn of(db: Db, seed: u64) -> Self {
        World { is_shared: false, ..World::beside(&db, seed, TREES) }
    }

    /// A world in trees of its own, beside others in the same database.
    pub fn beside(db: &Db, seed: u64, trees: Trees) -> Self {
        let mut random = Random::new(seed);
        let shelf = |&(name, weight): &_| Shelf::empty(name, db.tree(name).expect("made"), weight);
        World {
            db: db.clone(),
            shelves: trees.iter().map(shelf).collect(),
            keys: Keys::new(seed),
            version: db.stats().last_version,
            sizes: Sizes::default(),
            counts: BTreeMap::new(),
            seed,
            step: 0,
            season: *random.pick(&[4_000, 30_000, 90_000]),
            totals: Totals::default(),
            is_shared: true,
            is_traced: super::setting("SPINNEY_MODEL_TRACE", 0) != 0,
            random,
        }
    }

    /// Where a message comes from.
    pub fn place(&self) -> Place {
        Place { seed: self.seed, step: self.step }
    }

    /// One random operation.
    pub fn step(&mut self) {
        let at = self.some_tree();
        if self.random.percent(50) { self.write(at) } else { self.look(at).read() }
    }

    /// One of the trees, for the next operation.
    pub fn some_tree(&mut self) -> usize {
        self.step += 1;
        let mut left = self.random.below(self.shelves.iter().map(|shelf| shelf.weight).sum());
        let mut at = 0;
        while left >= self.shelves[at].weight {
            left -= self.shelves[at].weight;
            at += 1;
        }
        at
    }

    pub fn look(&mut self, at: usize) -> Look<'_, Tree> {
        let (place, shelf) = (self.place(), &self.shelves[at]);
        Look { tree: &shelf.tree, model: &shelf.model, keys: &self.keys, random: &mut self.random, place }
    }

    /// Takes note of something that had its effect.
    pub fn did(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Takes note of something that was refused, as it had to be: false.
    pub fn refused(&mut self, what: &'static str) -> bool {
        self.did(what);
        false
    }

    /// Every tree is used up now and then. That goes faster than growing.
    fn is_decay(&self) -> bool {
        (self.step % self.season) * 4 / self.season == 3
    }

    fn write(&mut self, at: usize) {
        let choice = self.random.below(1_000);
        if self.is_decay() {
            match choice {
                0..=399 => self.remove(at),
                400..=409 => self.remove_run(at),
                410..=599 => self.remove_if(at),
                600..=695 => self.rename(at),
                696 | 697 => self.move_directory(at),
                698 | 699 => self.remove_directory(at),
                700..=999 => self.put(at),
                _ => unreachable!("below a thousand"),
            }
        } else {
            match choice {
                0..=99 => self.remove(at),
                100..=149 => self.remove_if(at),
                150..=249 => self.rename(at),
                250..=299 => self.put_if_absent(at),
                300..=399 => self.compare_and_put(at),
                400 if self.random.percent(20) => self.drop_tree(),
                401 if self.random.percent(50) => self.put_run(at),
                402..=405 => self.move_directory(at),
                406 => self.remove_directory(at),
                _ => self.put(at),
            }
        }
    }

    /// A key that is there, if there is any.
    fn known(&mut self, at: usize) -> Option<Vec<u8>> {
        self.keys.known(&self.shelves[at].model, &mut self.random)
    }

    /// A key that is there, one that may be, or one close to one that is.
    pub fn some_key(&mut self, at: usize) -> Vec<u8> {
        self.keys.some_key(&self.shelves[at].model, &mut self.random)
    }

    /// The value to be put: often as long as the one that is there, so that it is written in place.
    fn some_value(&mut self, at: usize, key: &[u8]) -> Vec<u8> {
        let mut value = self.any_value();
        if let Some((old, _)) = self.shelves[at].model.get(key)
            && self.random.percent(50)
        {
            value.resize(old.len(), 7);
        }
        value
    }

    pub fn any_value(&mut self) -> Vec<u8> {
        keys::mixed_value(&mut self.random, self.sizes)
    }

    /// Takes note of a write: versions only grow.
    pub fn wrote(&mut self, what: &'static str, key: &[u8], version: u64) -> u64 {
        assert!(
            version > self.version,
            "{}: {what} {} got version {version} after {}",
            self.place(),
            short(key),
            self.version
        );
        self.version = version;
        self.catch_up();
        self.did(what);
        if self.is_traced {
            eprintln!("{}: {what} {} in version {version}", self.place(), short(key));
        }
        version
    }

    /// Long values take versions for what nobody sees of them.
    pub fn catch_up(&mut self) {
        if self.sizes.long_percent > 0 {
            self.version = self.db.stats().last_version;
        }
    }

    pub fn put(&mut self, at: usize) {
        let key = if self.random.percent(70) { self.keys.key(&mut self.random) } else { self.some_key(at) };
        let value = self.some_value(at, &key);
        let version = self.shelves[at].tree.put(&key, &value).expect("puts").number();
        self.wrote("put", &key, version);
        if value.len() > spinney::SHORT_VALUE_BYTES_MAX {
            self.did("long value");
        }
        self.shelves[at].model.insert(key, (value, version));
    }

    /// Keys in order, as a log has them; now and then in falling order.
    fn put_run(&mut self, at: usize) {
        let (stream, first) = (self.random.below(3), self.random.below(1_000_000));
        let count = self.random.below(3_000);
        let falling = self.random.percent(30);
        for index in 0..count {
            let number = first + if falling { count - index } else { index };
            let key = format!("log/{stream}/{number:010}").into_bytes();
            let value = vec![number as u8; 100 + number % 60];
            let version = self.shelves[at].tree.put(&key, &value).expect("puts").number();
            self.wrote("put", &key, version);
            self.shelves[at].model.insert(key, (value, version));
        }
    }

    fn put_if_absent(&mut self, at: usize) {
        let key = self.some_key(at);
        let value = self.some_value(at, &key);
        let put = self.shelves[at].tree.put_if_absent(&key, &value).expect("puts");
        let absent = !self.shelves[at].model.contains_key(&key);
        assert_eq!(put.is_some(), absent, "{}: put_if_absent {}", self.place(), short(&key));
        if let Some(version) = put {
            let version = self.wrote("put_if_absent", &key, version.number());
            self.shelves[at].model.insert(key, (value, version));
        }
    }

    /// The version to expect: the right one, one off, or one of long ago.
    fn some_version(&mut self, at: usize, key: &[u8]) -> u64 {
        let right = self.shelves[at].model.get(key).map_or(0, |(_, version)| *version);
        match self.random.below(4) {
            0 => self.random.below(self.version as usize + 2) as u64,
            1 if self.random.percent(30) => right + 1,
            _ => right,
        }
    }

    fn compare_and_put(&mut self, at: usize) {
        let key = self.some_key(at);
        let value = self.some_value(at, &key);
        let expected = self.some_version(at, &key);
        let found = self.shelves[at].model.get(&key).map(|(_, version)| *version);
        let number = spinney::Version::from_number(expected);
        let put = self.shelves[at].tree.compare_and_put(&key, number, &value).expect("puts");
        let place = self.place();
        assert_eq!(put.is_some(), found == Some(expected), "{place}: compare_and_put {}", short(&key));
        if let Some(version) = put {
            let version = self.wrote("compare_and_put", &key, version.number());
            self.shelves[at].model.insert(key, (value, version));
        }
    }

    fn remove(&mut self, at: usize) {
        let key = if self.random.percent(80) { self.known(at) } else { None };
        let key = key.unwrap_or_else(|| self.some_key(at));
        self.remove_key(at, &key);
    }

    fn remove_key(&mut self, at: usize, key: &[u8]) {
        let removed = self.shelves[at].tree.remove(key).expect("removes");
        let was_there = self.shelves[at].model.remove(key).is_some();
        assert_eq!(removed.is_some(), was_there, "{}: remove {}", self.place(), short(key));
        if let Some(version) = removed {
            self.wrote("remove", key, version.number());
        }
    }

    /// Many neighbours at once, as when a directory goes: blobs become thin and are joined.
    fn remove_run(&mut self, at: usize) {
        let from = self.keys.key(&mut self.random);
        let count = self.random.below(400);
        let model = &self.shelves[at].model;
        let run: Vec<Vec<u8>> = model.range(from..).take(count).map(|(key, _)| key.clone()).collect();
        for key in run {
            self.remove_key(at, &key);
        }
    }

    fn remove_if(&mut self, at: usize) {
        let key = self.some_key(at);
        let expected = self.some_version(at, &key);
        let found = self.shelves[at].model.get(&key).map(|(_, version)| *version);
        let number = spinney::Version::from_number(expected);
        let removed = self.shelves[at].tree.remove_if(&key, number).expect("removes");
        let place = self.place();
        assert_eq!(removed.is_some(), found == Some(expected), "{place}: remove_if {}", short(&key));
        if let Some(version) = removed {
            self.wrote("remove_if", &key, version.number());
            self.shelves[at].model.remove(&key);
        }
    }

    fn rename(&mut self, at: usize) {
        let (from, to) = (self.some_key(at), self.some_key(at));
        let to = if self.random.percent(5) { from.clone() } else { to };
        let model = &self.shelves[at].model;
        let (source, taken) = (model.get(&from).cloned(), model.contains_key(&to));
        let renamed = self.shelves[at].tree.rename(&from, &to);
        let told = format!("{}: rename {} to {}", self.place(), short(&from), short(&to));
        let Some((value, old_version)) = source else {
            return assert!(matches!(renamed, Ok(None)), "{told}: {renamed:?}");
        };
        if from == to {
            // Onto itself: nothing happens.
            let version = renamed.expect("a rename onto itself is no error").map(spinney::Version::number);
            return assert_eq!(version, Some(old_version), "{told}");
        }
        if taken {
            return assert!(matches!(renamed, Err(Error::TargetExists)), "{told}: {renamed:?}");
        }
        let version = renamed.expect("renames").unwrap_or_else(|| panic!("{told}: missing"));
        let version = self.wrote("rename", &to, version.number());
        let model = &mut self.shelves[at].model;
        model.remove(&from);
        model.insert(to, (value, version));
    }

    /// The last tree goes, and comes back empty.
    fn drop_tree(&mut self) {
        let at = self.shelves.len() - 1;
        self.drop_tree_at(at);
        self.did("drop_tree");
    }

    /// A tree goes, and comes back empty.
    pub fn drop_tree_at(&mut self, at: usize) {
        let Shelf { name, tree, weight, .. } = self.shelves.remove(at);
        assert!(self.db.drop_tree(&name).expect("drops"), "{}", self.place());
        assert!(tree.is_empty().expect("reads"), "{}: what was dropped", self.place());
        let again = self.db.tree(&name).expect("made anew");
        self.shelves.insert(at, Shelf::empty(&name, again, weight));
        self.version = self.db.stats().last_version;
    }

    /// What happened so far.
    pub fn totals(&self) -> Totals {
        let (stats, before) = (self.db.stats(), self.totals);
        Totals {
            splits: before.splits + stats.splits,
            ascending_cuts: before.ascending_cuts + stats.ascending_cuts,
            shares: before.shares + stats.shares,
            joins: before.joins + stats.joins,
            compactions: before.compactions + stats.compactions,
            grafts: before.grafts + stats.grafts,
            ..before
        }
    }

    /// Looks at everything: structure, all entries from both ends, counts, names.
    pub fn verify(&mut self) {
        self.catch_up();
        let place = self.place();
        for shelf in &self.shelves {
            reads::verify(
                &shelf.tree,
                &shelf.model,
                &format!("{place}, tree {}", short(shelf.name.as_bytes())),
            );
        }
        if self.is_shared {
            return;
        }
        let report = self.db.check().expect("checks");
        assert!(report.is_clean(), "{place}: {:?}", report.problems);
        let keys = self.keys();
        assert_eq!(report.keys, keys + self.shelves.len() as u64, "{place}: keys and names of trees");
        let stats = self.db.survey().expect("reads");
        assert_eq!(stats.keys, keys, "{place}: {stats:?}");
        assert_eq!(stats.last_version, self.version, "{place}: {stats:?}");
        self.totals.keys_max = self.totals.keys_max.max(keys);
        self.totals.blobs_max = self.totals.blobs_max.max(stats.blobs());
        let mut names: Vec<&str> = self.shelves.iter().map(|shelf| shelf.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(self.db.trees().expect("reads"), names, "{place}");
    }

    /// How many keys there are in its trees.
    pub fn keys(&self) -> u64 {
        self.shelves.iter().map(|shelf| shelf.model.len() as u64).sum()
    }

    /// Goes on in a copy that was made of an image; returns the image.
    pub fn reopen(&mut self) -> Vec<u8> {
        let image = self.db.image().expect("writes");
        let copy = Db::from_image(&image).unwrap_or_else(|error| panic!("{}: {error}", self.place()));
        assert!(copy.image().expect("writes") == image, "{}: the copy has another image", self.place());
        self.go_on_in(copy);
        image
    }

    /// Goes on in another database, which has the same trees.
    pub fn go_on_in(&mut self, db: Db) {
        for shelf in &mut self.shelves {
            shelf.tree = db.tree(&shelf.name).expect("is there");
        }
        // The other one counts from zero.
        self.totals = self.totals();
        self.db = db;
    }

    /// Removes every key there is: nothing may be left behind.
    pub fn clear(&mut self) {
        for at in 0..self.shelves.len() {
            let keys: Vec<Vec<u8>> = self.shelves[at].model.keys().cloned().collect();
            for key in keys {
                self.remove_key(at, &key);
            }
        }
    }
}
