//! What snapshots may keep, and what becomes of the oldest beyond that.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::backend::MemoryBackend;
use spinney::{Db, Error, Options};

fn filled(options: Options) -> Db {
    let db = options.open_backend(Arc::new(MemoryBackend::new())).unwrap();
    fill(&db, 0);
    db
}

fn fill(db: &Db, round: u8) {
    let tree = db.tree("files").unwrap();
    for number in 0..20_000 {
        tree.put(format!("key {number:05}"), [round; 60]).unwrap();
    }
}

#[test]
fn the_oldest_snapshot_ends_when_too_much_has_changed() {
    let db = filled(Db::builder().snapshot_bytes(1 << 20));
    let (old, young) = (db.snapshot(), db.snapshot());
    let tree = old.tree("files").unwrap();
    let first = tree.get("key 00000").unwrap().unwrap();
    fill(&db, 1);
    let stats = db.stats().snapshots;
    assert!(stats.kept_bytes <= stats.limit_bytes && stats.limit_bytes == 1 << 20);
    assert_eq!(stats.open, 0, "all of the database has changed: more than the limit for either");
    for snapshot in [&old, &young] {
        let all = snapshot.tree("files").and_then(|tree| tree.count(""));
        assert!(matches!(all, Err(Error::SnapshotTooOld)), "{all:?}");
    }
    // What it has read it may still tell, but never anything else.
    match tree.get("key 00000") {
        Ok(Some(value)) => assert_eq!(value, first),
        other => assert!(matches!(other, Err(Error::SnapshotTooOld)), "{other:?}"),
    }
    let next = db.snapshot().tree("files").unwrap();
    assert_eq!(next.get("key 19999").unwrap().as_deref(), Some(&[1; 60][..]));
    assert_eq!(Error::SnapshotTooOld.code(), "SnapshotTooOld");
}

#[test]
fn a_younger_snapshot_outlives_an_older_one() {
    let db = filled(Db::builder().snapshot_bytes(3 << 20));
    let old = db.snapshot();
    fill(&db, 1);
    let young = db.snapshot();
    fill(&db, 2);
    assert!(matches!(old.trees(), Err(Error::SnapshotTooOld)));
    let tree = young.tree("files").unwrap();
    assert!(tree.scan("").all(|pair| *pair.unwrap().1 == [1; 60]));
    assert_eq!(tree.count("key 1").unwrap(), 10_000);
    assert_eq!(db.stats().snapshots.open, 1);
}

#[test]
fn everything_is_given_back_with_the_last_handle() {
    let db = filled(Db::builder());
    let snapshot = db.snapshot();
    fill(&db, 1);
    assert!(db.stats().snapshots.kept_bytes > 1 << 20);
    let (clone, tree) = (snapshot.clone(), snapshot.tree("files").unwrap());
    let mut scan = tree.scan("");
    drop((snapshot, clone, tree));
    assert_eq!(db.stats().snapshots.open, 1, "the scan still needs it");
    assert_eq!(*scan.next().unwrap().unwrap().1, [0; 60]);
    drop(scan);
    let stats = db.stats().snapshots;
    assert_eq!((stats.open, stats.kept_pages, stats.kept_bytes), (0, 0, 0));
}

#[test]
fn a_snapshot_keeps_the_database_open() {
    let db = filled(Db::builder().cache_bytes(1 << 20));
    let tree = db.snapshot().tree("files").unwrap();
    drop(db);
    assert_eq!(tree.count("").unwrap(), 20_000);
}

/// Its blobs fall free unread, and others take their places in storage.
#[test]
fn a_directory_that_is_not_in_memory_may_go_beside_a_snapshot() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    let files = |prefix: &str| (0..20_000).map(|n| (format!("{prefix}{n:05}"), [7; 60])).collect::<Vec<_>>();
    for prefix in ["a/", "m/", "z/"] {
        db.tree("files").unwrap().load(prefix, files(prefix)).unwrap();
    }
    db.close().unwrap();
    let db = Db::builder().open_backend(backend).unwrap();
    let (tree, snapshot) = (db.tree("files").unwrap(), db.snapshot());
    assert!(db.stats().unread_blobs > 6, "hardly anything is in memory");
    tree.remove_prefix("m/").unwrap().unwrap();
    db.checkpoint().unwrap();
    tree.load("n/", files("n/")).unwrap();
    let then = snapshot.tree("files").unwrap();
    assert_eq!(then.scan("m/").map(|pair| assert_eq!(*pair.unwrap().1, [7; 60])).count(), 20_000);
    assert_eq!((then.count("").unwrap(), tree.count("m/").unwrap()), (60_000, 0));
}
