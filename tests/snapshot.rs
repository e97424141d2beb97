//! Snapshots and backups of databases in files, with caches much smaller than the data: random writes beside
//! several snapshots, checkpoints and reopenings; writers in other threads; limits; backups that succeed and
//! backups that fail.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

#[path = "snapshot/backup.rs"]
mod backup;
mod common;
#[path = "durable/folder.rs"]
mod folder;
#[path = "snapshot/limits.rs"]
mod limits;
#[path = "snapshot/random.rs"]
mod random;
#[path = "snapshot/threads.rs"]
mod threads;

use std::collections::BTreeMap;

use spinney::{Db, SnapshotTree};

/// Keys and values, as they should be.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A scan of everything is the model, and so is a lookup of every `step`-th key.
pub fn assert_same(tree: &SnapshotTree, model: &Model, step: usize) {
    let mut scan = tree.scan("");
    let mut expected = model.iter();
    while let Some(entry) = scan.next_ref().unwrap() {
        let (key, value) = expected.next().expect("no more keys than there were");
        assert_eq!((entry.key(), entry.value()), (&key[..], &value[..]));
    }
    assert!(expected.next().is_none(), "all keys that there were");
    let keys: Vec<&Vec<u8>> = model.keys().step_by(step).collect();
    for (key, found) in keys.iter().zip(tree.get_many(&keys).unwrap()) {
        assert_eq!(found.as_deref(), model.get(*key).map(|value| &value[..]));
        assert_eq!(tree.get(key).unwrap().as_deref(), model.get(*key).map(|value| &value[..]));
    }
}

/// The same of a whole database that has one tree.
pub fn assert_database(db: &Db, model: &Model) {
    assert_eq!(db.check().unwrap().problems, vec![]);
    assert_same(&db.snapshot().tree("files").unwrap(), model, 97);
}
