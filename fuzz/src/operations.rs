//! Calls of all kinds, against a sorted map: in memory, or on a simulated disk that dies, loses power, and is
//! opened again in between. Every call is acknowledged as durable, so all of it has to be there.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use spinney::backend::sim::{Crash, FaultBackend, Grain};
use spinney::{Db, Error, ListRef, SnapshotTree, Tree};

use crate::bases::options;
use crate::bytes::Bytes;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const CALLS_MAX: usize = 120;
const TREE: &str = "files";
const DIRECTORIES: [&str; 8] =
    ["", "a/", "a/b/", "a/b/c/", "b/", "\u{0}", "a", "long/directory/with/some/length/"];

/// A database, what has to be in it, and perhaps a moment of it.
struct World {
    disk: Option<Arc<FaultBackend>>,
    db: Db,
    tree: Tree,
    model: Model,
    snapshot: Option<(SnapshotTree, Model)>,
}

fn directory(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let choice = bytes.below(DIRECTORIES.len() + 2);
    match DIRECTORIES.get(choice) {
        Some(name) => name.as_bytes().to_vec(),
        None => {
            let count = bytes.below(5);
            bytes.take(count).to_vec()
        }
    }
}

fn key(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut key = directory(bytes);
    match bytes.below(8) {
        0 => {}
        1 => {
            let count = bytes.below(20);
            key.extend_from_slice(bytes.take(count));
        }
        2 => key.extend(std::iter::repeat_n(bytes.byte(), bytes.below(800))),
        _ => key.extend_from_slice(format!("{:02}", bytes.below(40)).as_bytes()),
    }
    key
}

fn value(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let kind = bytes.below(16);
    let length = match kind {
        0 => 65_535,
        1 => 65_536 + bytes.below(20_000),
        2 | 3 => bytes.below(65_536),
        4 => 0,
        _ => bytes.below(200),
    };
    vec![bytes.byte(); length]
}

fn under<'a>(model: &'a Model, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)> {
    model.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
}

/// Compares all that is there, from both ends.
fn compare(model: &Model, prefix: &[u8], forward: spinney::Scan, backward: spinney::Scan) {
    let owned = |pair: spinney::Result<spinney::Pair>| {
        let (key, value) = pair.expect("reads");
        (key, value.to_vec())
    };
    let expected: Vec<(Vec<u8>, Vec<u8>)> =
        under(model, prefix).map(|(key, value)| (key.clone(), value.clone())).collect();
    assert!(forward.map(owned).eq(expected.iter().cloned()), "a scan");
    assert!(backward.rev().map(owned).eq(expected.into_iter().rev()), "a scan from behind");
}

impl World {
    fn new(in_memory: bool) -> World {
        let disk = (!in_memory).then(|| FaultBackend::new(3));
        let db = disk.as_ref().map_or_else(Db::memory, |disk| {
            disk.forget();
            options().open_backend(disk.clone()).expect("an empty disk")
        });
        let tree = db.tree(TREE).expect("made");
        World { disk, db, tree, model: Model::new(), snapshot: None }
    }

    fn list(&self, prefix: &[u8]) {
        let mut expected: Vec<Vec<u8>> = Vec::new();
        for (key, _) in under(&self.model, prefix) {
            let slash = key[prefix.len()..].iter().position(|&byte| byte == b'/');
            let end = slash.map_or(key.len(), |at| prefix.len() + at + 1);
            expected.push(key[..end].to_vec());
        }
        expected.dedup();
        let (mut list, mut listed) = (self.tree.list(prefix), Vec::new());
        while let Some(ListRef::Key { key: name, .. } | ListRef::Prefix(name)) =
            list.next_ref().expect("reads")
        {
            listed.push(name.to_vec());
        }
        assert_eq!(listed, expected, "a listing");
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) {
        if from == to {
            return;
        }
        match self.tree.rename(from, to) {
            Ok(done) => {
                assert_eq!(done.is_some(), self.model.contains_key(from));
                if let Some(value) = self.model.remove(from) {
                    assert!(self.model.insert(to.to_vec(), value).is_none(), "a rename onto a key");
                }
            }
            Err(Error::TargetExists) => assert!(self.model.contains_key(to)),
            Err(error) => panic!("a rename: {error}"),
        }
    }

    fn rename_prefix(&mut self, from: &[u8], to: &[u8]) {
        let moved: Vec<Vec<u8>> = under(&self.model, from).map(|(key, _)| key.clone()).collect();
        match self.tree.rename_prefix(from, to) {
            Ok(done) => {
                assert_eq!(done.is_some(), !moved.is_empty());
                let values: Vec<_> = moved.iter().filter_map(|key| self.model.remove_entry(key)).collect();
                for (key, value) in values {
                    let key = [to, &key[from.len()..]].concat();
                    assert!(self.model.insert(key, value).is_none(), "a directory onto a key");
                }
            }
            Err(Error::TargetExists) => {
                assert!(under(&self.model, to).any(|(key, _)| !key.starts_with(from)))
            }
            Err(Error::RenameIntoItself) => assert!(to.starts_with(from)),
            Err(error) => panic!("a directory that moves: {error}"),
        }
    }

    fn batch(&mut self, bytes: &mut Bytes<'_>) {
        let mut batch = self.db.batch();
        let mut after = self.model.clone();
        for _ in 0..=bytes.below(5) {
            let key = key(bytes);
            if bytes.below(3) == 0 {
                batch.remove(&self.tree, &key);
                after.remove(&key);
            } else {
                let value = value(bytes);
                batch.put(&self.tree, &key, &value);
                after.insert(key, value);
            }
        }
        let absent = key(bytes);
        let is_guarded = bytes.below(4) == 0;
        if is_guarded {
            batch.expect_absent(&self.tree, &absent);
        }
        match batch.commit() {
            Ok(_) => self.model = after,
            Err(error) => assert!(is_guarded, "a batch: {error}"),
        }
    }

    fn load(&mut self, bytes: &mut Bytes<'_>) {
        let prefix = directory(bytes);
        let is_empty = under(&self.model, &prefix).next().is_none();
        let items: Model = (0..bytes.below(12)).map(|_| (key(bytes), vec![bytes.byte(); 200])).collect();
        let items: Model =
            items.into_iter().map(|(key, value)| ([&prefix[..], &key].concat(), value)).collect();
        let loaded = self.tree.load(&prefix, &items);
        assert!(loaded.is_ok() == is_empty || items.is_empty(), "a load: {loaded:?}");
        if loaded.is_ok() {
            self.model.extend(items);
        }
    }

    /// Opens what is left, and compares all of it.
    fn again(self, bytes: &mut Bytes<'_>) -> World {
        let World { disk, db, tree, model, snapshot } = self;
        drop((snapshot, tree));
        let db = match &disk {
            None => Db::from_image(db.image().expect("writes")).expect("an image"),
            Some(disk) => match bytes.below(3) {
                0 => {
                    db.close().expect("closes");
                    options().open_backend(disk.clone()).expect("opens")
                }
                end => {
                    let crash = [Crash::Death, Crash::PowerLoss(Grain::Sector)][end - 1];
                    let disk = disk.restart(crash);
                    drop(db);
                    disk.forget();
                    return World::after_crash(disk, model);
                }
            },
        };
        let tree = db.tree(TREE).expect("opens");
        World { disk, db, tree, model, snapshot: None }
    }

    fn after_crash(disk: Arc<FaultBackend>, model: Model) -> World {
        let db = options().open_backend(disk.clone()).expect("recovers");
        let tree = db.tree(TREE).expect("opens");
        World { disk: Some(disk), db, tree, model, snapshot: None }
    }

    fn verify(&self) {
        compare(&self.model, b"", self.tree.scan(""), self.tree.scan(""));
        let report = self.db.check().expect("checks");
        assert!(report.is_clean(), "{report:?}");
    }

    fn write(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(10) {
            0..=3 => {
                let (key, value) = (key(bytes), value(bytes));
                self.tree.put(&key, &value).expect("puts");
                self.model.insert(key, value);
            }
            4 => {
                let key = key(bytes);
                let removed = self.tree.remove(&key).expect("removes");
                assert_eq!(removed.is_some(), self.model.remove(&key).is_some());
            }
            5 => self.rename(&key(bytes), &key(bytes)),
            6 => self.rename_prefix(&directory(bytes), &directory(bytes)),
            7 => {
                let prefix = directory(bytes);
                let removed = self.tree.remove_prefix(&prefix).expect("removes");
                let before = self.model.len();
                self.model.retain(|key, _| !key.starts_with(&prefix));
                assert_eq!(removed.is_some(), self.model.len() < before);
            }
            8 => self.batch(bytes),
            _ => self.load(bytes),
        }
    }

    fn read(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(5) {
            0 => {
                let key = key(bytes);
                let found = self.tree.get(&key).expect("reads");
                assert_eq!(found.as_deref(), self.model.get(&key).map(Vec::as_slice));
                let longest = self.tree.longest_prefix(&key).expect("reads").map(|(found, _)| found);
                let expected = self.model.keys().rev().find(|candidate| key.starts_with(candidate));
                assert_eq!(longest.as_ref(), expected);
            }
            1 => {
                let prefix = directory(bytes);
                compare(&self.model, &prefix, self.tree.scan(&prefix), self.tree.scan(&prefix));
                let count = self.tree.count(&prefix).expect("counts");
                assert_eq!(count, under(&self.model, &prefix).count() as u64);
            }
            2 => self.list(&directory(bytes)),
            3 => {
                let snapshot = self.db.snapshot().tree(TREE).expect("is there");
                self.snapshot = Some((snapshot, self.model.clone()));
            }
            _ => {
                if let Some((tree, model)) = &self.snapshot {
                    compare(model, b"", tree.scan(""), tree.scan(""));
                }
            }
        }
    }
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut world = World::new(bytes.below(2) == 0);
    for _ in 0..CALLS_MAX {
        if bytes.is_empty() {
            break;
        }
        match bytes.below(16) {
            0..=8 => world.write(&mut bytes),
            9..=12 => world.read(&mut bytes),
            13 => world = world.again(&mut bytes),
            14 => world.db.checkpoint().expect("stores"),
            _ => drop(world.db.compact().expect("packs")),
        }
    }
    world.verify();
    let world = world.again(&mut bytes);
    world.verify();
}
