//! What a checkpoint stores, and what it makes known of that: blobs that fell free, blobs of a load, and what
//! was changed beside a checkpoint that fails.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

#[path = "durable/told.rs"]
mod told;

use std::io;
use std::sync::{Arc, Mutex};

use spinney::backend::sim::{Crash, Disk, FaultBackend, Grain};
use spinney::backend::{Area, Backend};
use spinney::{Db, Durability, Error, Options, Tree};
use told::{Call, Told};

/// Enough for more blobs than are kept for a snapshot as they fall free.
const MANY: usize = 100_000;

fn options(life: u64) -> Options {
    let options = Db::builder().durability(Durability::Buffered).log_bytes(64 << 20);
    options.cache_bytes(64 << 20).repeatable(life)
}

fn disk() -> Arc<FaultBackend> {
    let disk = FaultBackend::new(1);
    disk.forget();
    disk
}

fn open(disk: &Arc<FaultBackend>, life: u64) -> (Db, Tree) {
    let db = options(life).open_backend(disk.clone()).unwrap();
    let tree = db.tree("files").unwrap();
    (db, tree)
}

fn pairs(prefix: &str, count: usize) -> Vec<(String, [u8; 60])> {
    (0..count).map(|number| (format!("{prefix}{number:06}"), [7; 60])).collect()
}

fn put(tree: &Tree, prefix: &str, count: usize) {
    for (key, value) in pairs(prefix, count) {
        tree.put(key, value).unwrap();
    }
}

fn assert_clean(db: &Db) {
    let report = db.check().unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// Their pages are changed, and in memory for the snapshot: but they are nobody's.
#[test]
fn blobs_that_fell_free_beside_a_snapshot_are_not_stored() {
    let disk = disk();
    let (db, tree) = open(&disk, 1);
    db.checkpoint().unwrap();
    put(&tree, "a/gone/", MANY);
    put(&tree, "later/", MANY / 10);
    let snapshot = db.snapshot();
    let blobs = db.stats().range_blobs;
    tree.remove_prefix("a/gone/").unwrap().unwrap();
    assert!(db.stats().range_blobs + 8 < blobs, "too many to be kept at once");
    let before = db.stats().checkpoints.written_bytes;
    db.checkpoint().unwrap();
    let written_bytes = db.stats().checkpoints.written_bytes - before;
    let used_bytes = u64::from(db.stats().range_blobs + 2) << 19;
    assert!(written_bytes < used_bytes + (1 << 20), "{written_bytes} bytes, and {used_bytes} in use");
    assert_eq!(snapshot.tree("files").unwrap().count("a/gone/").unwrap(), MANY as u64);
    // As storage says it, not as memory knows it.
    disk.crash();
    drop((snapshot, tree, db));
    let disk = disk.restart(Crash::PowerLoss(Grain::Page));
    let (db, tree) = open(&disk, 2);
    assert_clean(&db);
    assert_eq!([tree.count("").unwrap(), tree.count("later/").unwrap()], [MANY as u64 / 10; 2]);
    let area_bytes = disk.len(Area::Data).unwrap();
    put(&tree, "a/gone/", MANY / 2);
    db.checkpoint().unwrap();
    assert!(disk.len(Area::Data).unwrap() <= area_bytes, "what fell free is used again");
}

/// They are stored, were changed behind that, and go before the change is: only memory has what the snapshot
/// wants of them.
#[test]
fn a_snapshot_has_what_was_changed_in_blobs_that_fell_free_before_it_was_stored() {
    let disk = disk();
    let (db, tree) = open(&disk, 1);
    put(&tree, "m/", MANY);
    put(&tree, "z/", 100);
    db.checkpoint().unwrap();
    for (key, _) in pairs("m/", MANY) {
        tree.put(key, [8; 60]).unwrap();
    }
    let snapshot = db.snapshot();
    tree.remove_prefix("m/").unwrap().unwrap();
    db.checkpoint().unwrap();
    // Others take their places.
    put(&tree, "n/", MANY);
    db.checkpoint().unwrap();
    let then = snapshot.tree("files").unwrap();
    assert!(then.scan("m/").all(|pair| *pair.unwrap().1 == [8; 60]));
    assert_eq!([then.count("m/").unwrap(), then.count("n/").unwrap()], [MANY as u64, 0]);
    assert_clean(&db);
}

/// No page of them may be in memory, and another blob may have their place.
#[test]
fn a_snapshot_never_reads_what_took_the_place_of_a_blob() {
    let disk = disk();
    let (db, tree) = open(&disk, 1);
    tree.load("m/", pairs("m/", MANY)).unwrap();
    put(&tree, "z/", 100);
    assert!(db.stats().total_blobs > 12, "too many to be kept at once");
    drop(tree);
    db.close().unwrap();
    let (db, tree) = open(&disk, 2);
    let snapshot = db.snapshot();
    tree.remove_prefix("m/").unwrap().unwrap();
    db.checkpoint().unwrap();
    tree.load("n/", pairs("n/", MANY)).unwrap();
    let seen = snapshot.tree("files").and_then(|tree| {
        let all = tree.scan("m/").collect::<Result<Vec<_>, _>>()?;
        Ok((tree.count("m/")?, all.len()))
    });
    assert!(matches!(seen, Ok((_, MANY)) | Err(Error::SnapshotTooOld)), "{seen:?}");
    assert_clean(&db);
}

#[test]
fn a_load_takes_the_places_of_what_fell_free() {
    let disk = disk();
    let (db, tree) = open(&disk, 1);
    tree.load("m/", pairs("m/", MANY)).unwrap();
    // Behind the others, so that there is a gap and not an end.
    tree.load("z/", pairs("z/", MANY)).unwrap();
    let area_bytes = disk.len(Area::Data).unwrap();
    // What is loaded in place of the last one, too, at the end, over and over.
    for (old, new) in [("m/", "n/"), ("z/", "y/"), ("y/", "x/"), ("n/", "o/")] {
        tree.remove_prefix(old).unwrap().unwrap();
        tree.load(new, pairs(new, MANY)).unwrap();
        let now_bytes = disk.len(Area::Data).unwrap();
        assert!(now_bytes <= area_bytes, "it has grown from {area_bytes} to {now_bytes} bytes");
        assert_clean(&db);
    }
}

/// A load whose blobs are tied in by changed pages alone: the checkpoint has no blob of its own to write.
#[test]
fn blobs_of_a_load_are_in_storage_before_they_are_named() {
    let disk = disk();
    let (db, tree) = open(&disk, 1);
    // The range between the two is just what the third fills: nothing has to be cut for it.
    for prefix in ["m/", "m1"] {
        tree.load(prefix, pairs(prefix, MANY / 4)).unwrap();
    }
    drop(tree);
    db.close().unwrap();
    let (db, tree) = open(&disk, 2);
    disk.record();
    tree.load("m0", pairs("m0", MANY / 4)).unwrap();
    let moments = disk.record();
    disk.crash();
    drop((tree, db));
    let commit = moments.iter().rposition(|moment| moment.what == "sync Journal").expect("it commits");
    let crash = Crash::PowerLoss(Grain::Page);
    for moment in &moments[commit..] {
        let ends = moment.disk.ends(&moment.disk, crash);
        // Nothing that was not synced is there.
        let oldest = moment.disk.left(&ends.pick(&vec![0; ends.counts().len()]), crash);
        let left = FaultBackend::with_disk(1, oldest);
        let (db, tree) = open(&left, 3);
        assert_clean(&db);
        assert_eq!(tree.count("m0").unwrap(), (MANY / 4) as u64, "behind {}", moment.what);
        left.crash();
    }
}

/// Somebody changes what a checkpoint has not come to yet: it is copied for the checkpoint, and when that
/// fails the copy is all that tells what the next one has to store.
#[test]
fn what_was_copied_for_a_checkpoint_that_fails_is_stored_by_the_next() {
    let disk = disk();
    let beside: Arc<Mutex<Option<Tree>>> = Arc::default();
    let writer = beside.clone();
    let (first, second, third) = ("000010", "001000", "002000");
    let listener = move |call, area, _| {
        let is_growth = (call, area) == (Call::SetLen, Area::Data);
        // Once: the next checkpoint finds space.
        let Some(tree) = writer.lock().unwrap().take_if(|_| is_growth) else { return Ok(()) };
        tree.put(third, [3; 60]).unwrap();
        Err(io::Error::from(io::ErrorKind::StorageFull))
    };
    let db = options(1).open_backend(Told::new(disk.clone(), Box::new(listener))).unwrap();
    let tree = db.tree("files").unwrap();
    put(&tree, "", MANY / 10);
    db.checkpoint().unwrap();
    tree.put(first, [1; 60]).unwrap();
    tree.put(second, [2; 60]).unwrap();
    // For these the file has to grow.
    put(&tree, "more/", MANY / 10);
    *beside.lock().unwrap() = Some(tree.clone());
    assert!(db.checkpoint().is_err(), "there was no space");
    assert!(beside.lock().unwrap().is_none(), "somebody has written beside it");
    db.checkpoint().unwrap();
    // Only what is in the data area counts: the log before the checkpoint is not read again.
    disk.crash();
    drop((tree, db));
    let (db, tree) = open(&disk.restart(Crash::Death), 2);
    assert_clean(&db);
    assert_eq!(tree.count("").unwrap(), 2 * (MANY / 10) as u64);
    for (key, value) in [(first, [1; 60]), (second, [2; 60]), (third, [3; 60])] {
        assert_eq!(tree.get(key).unwrap().as_deref(), Some(&value[..]), "{key}");
    }
}

/// A load has taken ids that a checkpoint beside it counts, so that the file is to be longer.
#[test]
fn a_checkpoint_in_the_middle_of_a_load_survives_a_loss_of_power() {
    let (disk, loaded) = (disk(), 30_000);
    let (db, tree) = open(&disk, 1);
    tree.put("beside", "1").unwrap();
    db.checkpoint().unwrap();
    disk.record();
    let items = pairs("d/", loaded).into_iter().enumerate().map(|(number, pair)| {
        if number == loaded * 2 / 3 {
            tree.put("beside", "2").unwrap();
            db.checkpoint().unwrap();
        }
        pair
    });
    assert_eq!(tree.load("d/", items).unwrap(), loaded as u64);
    let moments = disk.record();
    assert!(moments.len() > 10, "{} moments", moments.len());
    for (at, moment) in moments.iter().enumerate() {
        let ends = moment.disk.ends(&moment.disk, Crash::PowerLoss(Grain::Page));
        let oldest = ends.pick(&vec![0; ends.counts().len()]);
        // What is left of a commit, with the old length of the data.
        for storage in [oldest, ends.pick(&[]), ends.pick(&[0]), ends.at_random(1), ends.at_random(2)] {
            let disk = FaultBackend::with_disk(1, Disk::new(storage));
            disk.forget();
            let left = options(2).open_backend(disk);
            let db = left.unwrap_or_else(|error| panic!("after {}: {} {error}", at, moment.what));
            let tree = db.tree("files").unwrap();
            let value = tree.get("beside").unwrap().unwrap();
            assert!([&b"1"[..], b"2"].contains(&&*value), "{value:?}");
            assert!([0, loaded as u64].contains(&tree.count("d/").unwrap()));
            assert_clean(&db);
        }
    }
}
