//! Random writes into files, beside snapshots.

#![forbid(unsafe_code)]

use spinney::{Db, Durability, Snapshot};

use crate::common::Random;
use crate::folder::Folder;
use crate::{Model, assert_database, assert_same};

/// Paths of two hundred directories, most of them often.
pub fn key(random: &mut Random) -> Vec<u8> {
    let directory = random.below(200);
    format!("bucket-{:02}/{directory:03}/object-{:05}.bin", directory % 7, random.below(400)).into_bytes()
}

pub fn open(folder: &Folder, cache_bytes: u64) -> Db {
    let how = Db::builder().cache_bytes(cache_bytes).durability(Durability::Buffered);
    how.snapshot_bytes(64 << 20).open(folder.path("x.spinney")).unwrap()
}

/// One write, on both.
pub fn write(db: &Db, model: &mut Model, random: &mut Random) {
    let tree = db.tree("files").unwrap();
    let key = key(random);
    if random.percent(25) {
        assert_eq!(tree.remove(&key).unwrap().is_some(), model.remove(&key).is_some());
    } else {
        let value = vec![random.next() as u8; 20 + random.below(120)];
        tree.put(&key, &value).unwrap();
        model.insert(key, value);
    }
}

#[test]
fn snapshots_of_a_file_beyond_the_cache_say_what_was_there() {
    for seed in 0..2 {
        let folder = Folder::new(&format!("snapshot-random-{seed}"));
        let mut random = Random::new(seed);
        let mut model = Model::new();
        let mut db = open(&folder, 64 << 20);
        for _ in 0..30_000 {
            write(&db, &mut model, &mut random);
        }
        for _ in 0..2 {
            db.close().unwrap();
            db = open(&folder, 1 << 20);
            let mut taken: Vec<(Snapshot, Model)> = Vec::new();
            for number in 1..=6_000 {
                write(&db, &mut model, &mut random);
                if number % 700 == 0 {
                    taken.push((db.snapshot(), model.clone()));
                }
                // What a snapshot needs is changed, stored, and leaves memory.
                if number % 1_100 == 0 {
                    db.checkpoint().unwrap();
                }
                if number % 1_500 == 0 {
                    let (snapshot, model) = &taken[random.below(taken.len())];
                    assert_same(&snapshot.tree("files").unwrap(), model, 13);
                }
            }
            assert!(db.stats().evictions > 0 && db.stats().checkpoints.count > 3);
            let kept = db.stats().snapshots;
            assert!(kept.open as usize == taken.len() && kept.kept_pages > 100, "{kept:?}");
            while !taken.is_empty() {
                let (snapshot, model) = taken.swap_remove(random.below(taken.len()));
                assert_same(&snapshot.tree("files").unwrap(), &model, 29);
            }
            let kept = db.stats().snapshots;
            assert_eq!((kept.open, kept.kept_pages, kept.kept_bytes), (0, 0, 0));
            assert_database(&db, &model);
        }
    }
}

#[test]
fn a_database_open_for_reading_has_snapshots_too() {
    let folder = Folder::new("snapshot-read-only");
    let mut model = Model::new();
    let db = open(&folder, 64 << 20);
    let mut random = Random::new(5);
    for _ in 0..20_000 {
        write(&db, &mut model, &mut random);
    }
    db.close().unwrap();
    let how = Db::builder().read_only(true).cache_bytes(1 << 20);
    let db = how.open(folder.path("x.spinney")).unwrap();
    let snapshot = db.snapshot();
    drop(db);
    assert_same(&snapshot.tree("files").unwrap(), &model, 3);
    assert!(snapshot.tree("no such tree").unwrap().is_empty().unwrap());
    assert_eq!(snapshot.trees().unwrap(), ["files"]);
}
