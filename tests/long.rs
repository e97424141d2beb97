//! Values of more than 65,535 bytes beside short ones: against a map, from several threads, and cold.

#![cfg(not(target_arch = "wasm32"))]
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Random, setting};
use spinney::backend::MemoryBackend;
use spinney::{Db, Durability, Entry, Error, SHORT_VALUE_BYTES_MAX, Snapshot, Tree, Version};

/// What a full part holds.
const PART: usize = 64_520;
const LENGTHS: [usize; 14] = [
    0,
    10,
    300,
    5_000,
    SHORT_VALUE_BYTES_MAX - 1,
    SHORT_VALUE_BYTES_MAX,
    SHORT_VALUE_BYTES_MAX + 1,
    2 * PART - 1,
    2 * PART,
    2 * PART + 1,
    8 * PART + 1,
    1 << 20,
    17 * PART,
    1_400_000,
];

fn value(seed: u64, bytes: usize) -> Vec<u8> {
    let mut word = seed;
    let mut value = Vec::with_capacity(bytes + 8);
    while value.len() < bytes {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value.extend_from_slice(&word.to_le_bytes());
    }
    value.truncate(bytes);
    value
}

type Model = BTreeMap<String, (Arc<Vec<u8>>, Version)>;

/// Keys that the blobs hold for a user: names of trees, his own, and the parts of long values.
fn keys_needed(db: &Db, model: &Model) -> u64 {
    let parts = |value: &Arc<Vec<u8>>| match value.len() > SHORT_VALUE_BYTES_MAX {
        true => value.len().div_ceil(PART) as u64,
        false => 0,
    };
    db.trees().unwrap().len() as u64 + model.values().map(|(value, _)| 1 + parts(value)).sum::<u64>()
}

fn stored_keys(db: &Db) -> u64 {
    db.blobs().unwrap().iter().map(|blob| u64::from(blob.keys)).sum()
}

struct World {
    backend: Arc<MemoryBackend>,
    db: Option<Db>,
    tree: Option<Tree>,
    model: Model,
    kept: Vec<(Snapshot, Model)>,
    random: Random,
}

impl World {
    fn new(seed: u64) -> World {
        let (backend, random) = (Arc::new(MemoryBackend::new()), Random::new(seed));
        let mut world =
            World { backend, db: None, tree: None, model: Model::new(), kept: Vec::new(), random };
        world.open();
        world
    }

    fn open(&mut self) {
        let options = Db::builder().cache_bytes(8 << 20).log_bytes(8 << 20).snapshot_bytes(64 << 20);
        let db = options.durability(Durability::Buffered).open_backend(self.backend.clone()).unwrap();
        self.tree = Some(db.tree("files").unwrap());
        self.db = Some(db);
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn tree(&self) -> Tree {
        self.tree.clone().unwrap()
    }

    fn key(&mut self) -> String {
        format!("d{}/{}", self.random.below(3), self.random.below(6))
    }

    fn value(&mut self) -> Vec<u8> {
        let bytes = *self.random.pick(&LENGTHS);
        value(self.random.next(), bytes)
    }

    fn put(&mut self) {
        let (tree, key, value) = (self.tree(), self.key(), self.value());
        let known = self.model.get(&key).map(|(_, version)| *version);
        let expected = known.unwrap_or(Version::from_number(7));
        let written = match self.random.below(4) {
            0 => {
                let written = tree.put_if_absent(&key, &value).unwrap();
                assert_eq!(written.is_some(), known.is_none());
                written
            }
            1 => {
                let expected = if self.random.percent(30) { Version::from_number(1) } else { expected };
                let written = tree.compare_and_put(&key, expected, &value).unwrap();
                assert_eq!(written.is_some(), known == Some(expected));
                written
            }
            _ => Some(tree.put(&key, &value).unwrap()),
        };
        if let Some(version) = written {
            self.model.insert(key, (Arc::new(value), version));
        }
    }

    fn remove(&mut self) {
        let (tree, key) = (self.tree(), self.key());
        let known = self.model.get(&key).map(|(_, version)| *version);
        let removed = match known.filter(|_| self.random.percent(40)) {
            Some(version) => {
                assert!(tree.remove_if(&key, Version::from_number(1)).unwrap().is_none());
                tree.remove_if(&key, version).unwrap()
            }
            None => tree.remove(&key).unwrap(),
        };
        assert_eq!(removed.is_some(), self.model.remove(&key).is_some());
    }

    fn rename(&mut self) {
        let (tree, from, to) = (self.tree(), self.key(), self.key());
        match tree.rename(&from, &to) {
            Err(Error::TargetExists) => assert!(self.model.contains_key(&to) && from != to),
            Err(error) => panic!("{error}"),
            Ok(None) => assert!(!self.model.contains_key(&from)),
            Ok(Some(version)) => {
                let (value, _) = self.model.remove(&from).unwrap();
                self.model.insert(to, (value, version));
            }
        }
    }

    fn move_directory(&mut self) {
        let (tree, db) = (self.tree(), self.db().clone());
        let from = format!("d{}/", self.random.below(3));
        let (inside, outside): (Model, Model) =
            std::mem::take(&mut self.model).into_iter().partition(|(key, _)| key.starts_with(&from));
        self.model = outside;
        match self.random.below(3) {
            0 => {
                assert_eq!(tree.remove_prefix(&from).unwrap().is_some(), !inside.is_empty());
            }
            1 => {
                // There and back: versions stay.
                assert_eq!(tree.rename_prefix(&from, "elsewhere/").unwrap().is_some(), !inside.is_empty());
                assert_eq!(tree.rename_prefix("elsewhere/", &from).unwrap().is_some(), !inside.is_empty());
                self.model.extend(inside);
            }
            _ => {
                let other = db.tree("other").unwrap();
                for (key, (value, _)) in &inside {
                    other.put(key, value.as_slice()).unwrap();
                }
                self.model.extend(inside);
                assert!(db.drop_tree("other").unwrap());
            }
        }
    }

    fn batch(&mut self) {
        let (tree, db) = (self.tree(), self.db().clone());
        let mut batch = db.batch();
        let mut model = self.model.clone();
        let mut put = Vec::new();
        for at in 0..1 + self.random.below(5) {
            let key = self.key();
            if self.random.percent(25) {
                batch.remove(&tree, &key);
                model.remove(&key);
                put.retain(|(other, _)| *other != key);
                continue;
            }
            let value = self.value();
            batch.put(&tree, &key, &value);
            model.insert(key.clone(), (Arc::new(value), Version::from_number(1)));
            put.retain(|(other, _)| *other != key);
            put.push((key, at));
        }
        if self.random.percent(20) {
            let key = self.key();
            if model.contains_key(&key) {
                batch.put_if_absent(&tree, &key, self.value());
                assert!(matches!(batch.commit(), Err(Error::BatchRefused { .. })));
                return;
            }
        }
        let versions = batch.commit().unwrap();
        for (key, at) in put {
            model.get_mut(&key).unwrap().1 = versions[at].unwrap();
        }
        self.model = model;
    }

    fn transact(&mut self) {
        let (tree, db) = (self.tree(), self.db().clone());
        let (from, to, value) = (self.key(), self.key(), self.value());
        let scans = self.random.percent(50);
        let model = self.model.clone();
        db.transact(|tx| {
            if scans {
                let pairs: Vec<_> = tx.scan(&tree, "")?.collect::<Result<_, _>>()?;
                assert_eq!(pairs.len(), model.len());
                assert!(pairs.iter().zip(&model).all(|(pair, (_, (value, _)))| *pair.1 == ***value));
            }
            let read = tx.get(&tree, &from)?;
            assert!(read.as_deref() == model.get(&from).map(|(value, _)| value.as_slice()));
            tx.put(&tree, &to, &value)?;
            assert!(*tx.get(&tree, &to)?.unwrap() == *value);
            if from == to { Ok(()) } else { tx.remove(&tree, &from) }
        })
        .unwrap();
        if from != to {
            self.model.remove(&from);
        }
        let version = tree.get(&to).unwrap().unwrap().version();
        self.model.insert(to, (Arc::new(value), version));
    }

    fn look(&mut self) {
        let (tree, key) = (self.tree(), self.key());
        let known = self.model.get(&key);
        let found = tree.get(&key).unwrap();
        assert!(found.as_deref() == known.map(|(value, _)| value.as_slice()));
        assert_eq!(found.map(|value| value.version()), known.map(|(_, version)| *version));
        assert_eq!(tree.value_bytes(&key).unwrap(), known.map(|(value, _)| value.len()));
        let keys: Vec<&String> = self.model.keys().collect();
        let many = tree.get_many(&keys).unwrap();
        assert!(
            many.iter().zip(self.model.values()).all(|(found, (value, _))| found.as_deref() == Some(value))
        );
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..=39 => self.put(),
            40..=54 => self.remove(),
            55..=62 => self.rename(),
            63..=67 => self.move_directory(),
            68..=74 => self.batch(),
            75..=80 => self.transact(),
            81..=88 => self.look(),
            89..=91 if self.kept.len() < 2 => self.kept.push((self.db().snapshot(), self.model.clone())),
            89..=91 => {
                let (snapshot, model) = self.kept.remove(0);
                assert_same(&|key| snapshot.tree("files").unwrap().get(key).unwrap(), &model);
                let scan = snapshot.tree("files").unwrap().scan("");
                assert!(scan.map(Result::unwrap).map(|pair| pair.1.to_vec()).eq(values(&model)));
            }
            92..=94 => self.db().checkpoint().unwrap(),
            95 => drop(self.db().compact().unwrap()),
            96 => {
                let copy = Db::from_image(self.db().image().unwrap()).unwrap();
                assert!(copy.check().unwrap().is_clean());
                let files = copy.tree("files").unwrap();
                assert_same(&|key| files.get(key).unwrap(), &self.model);
            }
            97 => {
                self.kept.clear();
                self.tree = None;
                self.db.take().unwrap().close().unwrap();
                self.open();
            }
            _ => self.compare(),
        }
    }

    fn compare(&self) {
        let tree = self.tree();
        let forward: Vec<_> = tree.scan("").map(Result::unwrap).collect();
        assert!(forward.iter().map(|pair| pair.1.to_vec()).eq(values(&self.model)));
        assert!(forward.iter().map(|pair| &pair.0[..]).eq(self.model.keys().map(String::as_bytes)));
        let backward: Vec<_> = tree.range::<&str>(..).rev().map(Result::unwrap).collect();
        assert!(backward.iter().rev().eq(forward.iter()));
        for child in tree.list("d1/") {
            let Entry::Key { key, value, version } = child.unwrap() else { panic!("no directories there") };
            let known = &self.model[std::str::from_utf8(&key).unwrap()];
            assert!((&value[..], version) == (&known.0[..], known.1));
        }
        assert_eq!(tree.count("").unwrap(), self.model.len() as u64);
        assert_eq!(stored_keys(self.db()), keys_needed(self.db(), &self.model), "something was left behind");
        let report = self.db().check().unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.keys, self.model.len() as u64 + self.db().trees().unwrap().len() as u64);
    }
}

fn values(model: &Model) -> impl Iterator<Item = Vec<u8>> {
    model.values().map(|(value, _)| value.to_vec())
}

fn assert_same(get: &dyn Fn(&str) -> Option<spinney::Value>, model: &Model) {
    for (key, (value, version)) in model {
        let found = get(key).unwrap();
        assert!(*found == ***value && found.version() == *version, "{key}");
    }
}

#[test]
fn long_values_are_like_others() {
    let first = setting("SPINNEY_LONG_FIRST", 0);
    let seeds = first..first + setting("SPINNEY_LONG_SEEDS", 4);
    common::in_parallel("seed", seeds, |seed| {
        let mut world = World::new(seed);
        for _ in 0..setting("SPINNEY_LONG_STEPS", 250) {
            world.step();
        }
        world.compare();
        world.kept.clear();
        for key in world.model.keys() {
            assert!(world.tree().remove(key).unwrap().is_some());
        }
        world.model.clear();
        world.compare();
        let report = world.db().compact().unwrap();
        assert_eq!(report.blobs_after, 2, "{report:?}");
    });
}

/// Each value is one byte many times over, so a mixture of two would show.
#[test]
fn readers_never_see_half_of_a_value() {
    let backend = Arc::new(MemoryBackend::new());
    let options = Db::builder().cache_bytes(16 << 20).durability(Durability::Buffered);
    let db = options.open_backend(backend).unwrap();
    let tree = db.tree("files").unwrap();
    let (is_over, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let until = Instant::now() + Duration::from_secs(setting("SPINNEY_LONG_SECONDS", 3));
    std::thread::scope(|scope| {
        for writer in 0..2u64 {
            let (tree, db, is_over) = (tree.clone(), &db, &is_over);
            scope.spawn(move || {
                let mut random = Random::new(writer);
                while Instant::now() < until {
                    let key = format!("k{}", random.below(3));
                    let bytes = *random.pick(&LENGTHS);
                    let value = vec![random.next() as u8; bytes];
                    match random.below(8) {
                        0 => drop(tree.remove(&key).unwrap()),
                        1 => drop(tree.rename(&key, "k3")),
                        2 => drop(tree.remove_prefix("k3").unwrap()),
                        3 => drop(
                            db.batch().put(&tree, &key, &value).put(&tree, "k1", &value).commit().unwrap(),
                        ),
                        4 => drop(db.transact(|tx| {
                            let old = tx.get(&tree, &key)?.map(|value| value.len());
                            tx.put(&tree, &key, &value[..value.len().min(old.unwrap_or(100))])
                        })),
                        _ => drop(tree.put(&key, &value).unwrap()),
                    }
                }
                is_over.store(true, Ordering::Relaxed);
            });
        }
        for reader in 0..2u64 {
            let (tree, db, is_over, reads) = (tree.clone(), &db, &is_over, &reads);
            scope.spawn(move || {
                let mut random = Random::new(100 + reader);
                let whole = |value: &[u8]| assert!(value.windows(2).all(|pair| pair[0] == pair[1]));
                let mut snapshot = db.snapshot();
                while !is_over.load(Ordering::Relaxed) {
                    match random.below(6) {
                        0 => tree.scan("").for_each(|pair| whole(&pair.unwrap().1)),
                        1 => tree.scan("").rev().for_each(|pair| whole(&pair.unwrap().1)),
                        2 => {
                            let many = tree.get_many(&["k0", "k1", "k2", "k3"]).unwrap();
                            many.iter().flatten().for_each(|value| whole(value));
                        }
                        3 => match snapshot.tree("files").and_then(|then| then.scan("").collect()) {
                            Ok(pairs) => {
                                let pairs: Vec<spinney::Pair> = pairs;
                                pairs.iter().for_each(|pair| whole(&pair.1));
                            }
                            Err(Error::SnapshotTooOld) => snapshot = db.snapshot(),
                            Err(error) => panic!("{error}"),
                        },
                        _ => drop(tree.get(format!("k{}", random.below(4))).unwrap().map(|it| whole(&it))),
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(reads.into_inner() > 20);
    assert!(db.check().unwrap().is_clean());
    tree.remove_prefix("").unwrap();
    assert_eq!(stored_keys(&db), 1, "something was left behind");
}

/// A long value is read in large pieces, once; and its neighbours are not read with it.
#[test]
fn a_cold_value_is_read_in_order() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    let tree = db.tree("files").unwrap();
    let bytes = 8 << 20;
    for key in 0..3 {
        tree.put(format!("{key}"), value(key, bytes)).unwrap();
    }
    assert!(db.stats().fill() > 0.95, "{}", db.stats().fill());
    drop(tree);
    db.close().unwrap();
    let db = Db::builder().cache_bytes(64 << 20).open_backend(backend).unwrap();
    let tree = db.tree("files").unwrap();
    let before = db.stats();
    assert!(*tree.get("1").unwrap().unwrap() == *value(1, bytes));
    let after = db.stats();
    let (read, reads) = (after.bytes_read() - before.bytes_read(), after.reads - before.reads);
    println!("{read} bytes in {reads} reads");
    assert!(read < bytes as u64 * 115 / 100, "{read} bytes");
    assert!(reads < 200, "{reads} reads");
}

#[test]
fn misuse_is_refused() {
    let db = Db::memory();
    let tree = db.tree("files").unwrap();
    let long = vec![1; SHORT_VALUE_BYTES_MAX + 1];
    let image = {
        tree.put("a", &long).unwrap();
        db.image().unwrap()
    };
    let backend = Arc::new(MemoryBackend::from_bytes(&image).unwrap());
    let cold = Db::builder().read_only(true).open_backend(backend).unwrap();
    let files = cold.tree("files").unwrap();
    assert!(matches!(files.put("b", &long), Err(Error::ReadOnly)));
    assert!(matches!(files.put_if_absent("a", &long), Err(Error::ReadOnly)));
    assert!(matches!(files.remove("a"), Err(Error::ReadOnly)));
    assert!(matches!(files.remove_prefix(""), Err(Error::ReadOnly)));
    assert!(matches!(cold.batch().put(&files, "b", &long).commit(), Err(Error::ReadOnly)));
    assert!(*files.get("a").unwrap().unwrap() == *long);
    assert!(cold.check().unwrap().is_clean());
}
