//! A database that was closed takes no writes before it is woken by the first: opening it, reading and
//! closing it again leave every byte alone, and whatever is written first is as safe as if it had come
//! later.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

#[path = "durable/faulty.rs"]
mod faulty;
#[path = "durable/folder.rs"]
mod folder;
#[path = "durable/killed.rs"]
mod killed;

use std::collections::BTreeMap;
use std::sync::Arc;

use faulty::{Call, EIO, ENOSPC, Faulty, How, Plan};
use folder::Folder;
use killed::copy;
use spinney::backend::{Area, Backend, FileBackend, FileOptions, MemoryBackend};
use spinney::{Db, Durability, Error, Result, Version};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Enough for a router above some blobs.
const KEYS: u64 = 20_000;

fn key(number: u64) -> Vec<u8> {
    format!("tenant-{:02}/object-{number:06}", number % 50).into_bytes()
}

fn fill(db: &Db) {
    let pairs: Model = (0..KEYS).map(|number| (key(number), vec![number as u8; 80])).collect();
    db.tree("files").unwrap().load("", &pairs).unwrap();
}

fn closed(backend: Arc<dyn Backend>) {
    let db = Db::builder().open_backend(backend).unwrap();
    fill(&db);
    db.close().unwrap();
}

fn contents(db: &Db) -> Model {
    let files = db.tree("files").unwrap();
    files
        .scan("")
        .map(|entry| entry.map(|(key, value)| (key, value.to_vec())))
        .collect::<Result<_>>()
        .unwrap()
}

/// What came of opening and reading: nothing was written.
fn assert_asleep(db: &Db) {
    let stats = db.stats();
    for area in Area::ALL {
        let counts = stats.areas[area as usize];
        assert_eq!((counts.writes, counts.written_bytes, counts.syncs), (0, 0, 0), "{area:?}");
    }
    assert_eq!(stats.log.segments, 0);
}

/// What a listing has read that went to every blob: blob 0 twice, the router, and of every other one the
/// first ten pages, and of one that has a name of a tree a page more.
fn assert_read_little(db: &Db) {
    let stats = db.stats();
    let blobs = u64::from(stats.total_blobs) - 1;
    assert!(blobs > 4);
    let read_bytes = stats.areas[Area::Data as usize].read_bytes;
    let bound = (3 * 128 + (blobs - 1) * 10 + 1) * 4096;
    assert!(read_bytes <= bound, "{read_bytes} bytes were read, and not at most {bound}");
}

#[test]
fn opening_reading_and_closing_writes_nothing() {
    let folder = Folder::new("asleep");
    let path = folder.path("catalog.spinney");
    let file = || Arc::new(FileBackend::open(&path, &FileOptions::default()).unwrap());
    closed(file());
    let memory = Arc::new(MemoryBackend::new());
    closed(memory.clone());
    let before = (std::fs::read(&path).unwrap(), memory.to_bytes(Area::Data));
    let backends: [Arc<dyn Backend>; 2] = [file(), memory.clone()];
    for backend in backends {
        let db = Db::builder().open_backend(backend).unwrap();
        let files = db.tree("files").unwrap();
        assert_eq!(files.list("").count(), 50);
        assert_read_little(&db);
        assert_eq!(files.list("tenant-07/").count(), KEYS as usize / 50);
        assert_asleep(&db);
        // What asks for nothing to be stored.
        db.sync().unwrap();
        db.checkpoint().unwrap();
        assert!(files.put_if_absent(key(7), "other").unwrap().is_none());
        assert!(files.remove("not there").unwrap().is_none());
        assert!(db.check().unwrap().is_clean());
        for area in Area::ALL {
            assert_eq!(db.stats().areas[area as usize].written_bytes, 0, "{area:?}");
        }
        assert_eq!(folder.names(), ["catalog.spinney"]);
        drop(files);
        db.close().unwrap();
    }
    assert_eq!(folder.names(), ["catalog.spinney"]);
    assert!(before == (std::fs::read(&path).unwrap(), memory.to_bytes(Area::Data)), "a byte has changed");
}

#[test]
fn who_dies_asleep_leaves_a_closed_database() {
    let backend = Arc::new(MemoryBackend::new());
    closed(backend.clone());
    let image = backend.to_bytes(Area::Data);
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    let model = contents(&db);
    std::mem::forget(db);
    assert!(backend.to_bytes(Area::Data) == image);
    // The data alone is all there is of it, and an image of it is taken.
    let db = Db::from_image(&image).unwrap();
    assert!(contents(&db) == model);
}

/// What may be the first that is written.
type First = fn(&Db) -> Result<()>;

const FIRSTS: [(&str, First); 10] = [
    ("put", |db| db.tree("files")?.put("a", "b").map(drop)),
    ("overwrite", |db| db.tree("files")?.put(key(3), "b").map(drop)),
    ("remove", |db| db.tree("files")?.remove(key(3)).map(drop)),
    ("rename", |db| db.tree("files")?.rename(key(3), "a").map(drop)),
    ("a new tree", |db| db.tree("other").map(drop)),
    ("rename_prefix", |db| db.tree("files")?.rename_prefix("tenant-03/", "moved/").map(drop)),
    ("remove_prefix", |db| db.tree("files")?.remove_prefix("tenant-0").map(drop)),
    ("load", |db| {
        let pairs: Model = (0..9_000).map(|n| ([b"z/", &key(n)[..]].concat(), vec![1; 90])).collect();
        db.tree("files")?.load("z/", &pairs).map(drop)
    }),
    ("a long value", |db| db.tree("files")?.put("long", vec![7; 3 << 20]).map(drop)),
    ("a long batch", |db| {
        let files = db.tree("files")?;
        let mut batch = db.batch();
        for number in 0..3_000 {
            batch.put(&files, format!("batch/{number}"), vec![number as u8; 1_000]);
        }
        batch.commit().map(drop)
    }),
];

#[test]
fn whatever_is_written_first_is_there_after_a_kill() {
    let base = Arc::new(MemoryBackend::new());
    closed(base.clone());
    for (what, first) in FIRSTS {
        let backend = copy(&base);
        let db = Db::builder().open_backend(backend.clone()).unwrap();
        assert_asleep(&db);
        first(&db).unwrap_or_else(|error| panic!("{what}: {error}"));
        db.sync().unwrap();
        let (model, trees) = (contents(&db), db.trees().unwrap());
        let killed = copy(&backend);
        let again = Db::builder().open_backend(killed).unwrap();
        assert!(contents(&again) == model, "{what}");
        assert_eq!(again.trees().unwrap(), trees, "{what}");
        assert!(again.check().unwrap().is_clean(), "{what}");
        db.close().unwrap();
        let closed = Db::from_image(backend.to_bytes(Area::Data)).unwrap();
        assert!(contents(&closed) == model, "{what}, closed");
    }
}

#[test]
fn what_is_packed_without_a_write_is_stored() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    fill(&db);
    let files = db.tree("files").unwrap().with_durability(Durability::Buffered);
    for number in (0..KEYS).filter(|number| number % 2 == 1) {
        files.remove(key(number)).unwrap();
    }
    drop(files);
    db.close().unwrap();
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    let (model, before) = (contents(&db), backend.len(Area::Data).unwrap());
    assert_asleep(&db);
    db.compact().unwrap();
    let killed = Db::builder().open_backend(copy(&backend)).unwrap();
    assert!(contents(&killed) == model && killed.check().unwrap().is_clean());
    db.close().unwrap();
    assert!(backend.len(Area::Data).unwrap() < before, "nothing was packed");
    let db = Db::builder().open_backend(backend).unwrap();
    assert!(contents(&db) == model);
}

#[test]
fn many_who_write_first_wake_it_once() {
    let backend = Arc::new(MemoryBackend::new());
    closed(backend.clone());
    for round in 0..10 {
        let db = Db::builder().open_backend(backend.clone()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let files = db.tree("files").unwrap();
                scope.spawn(move || {
                    for number in 0..20 {
                        files.put(format!("{round}/{thread}/{number}"), "x").unwrap();
                    }
                });
            }
        });
        let killed = Db::builder().open_backend(copy(&backend)).unwrap();
        assert_eq!(killed.tree("files").unwrap().count(format!("{round}/")).unwrap(), 80);
        db.close().unwrap();
    }
}

#[test]
fn a_follower_of_a_sleeping_database_hears_of_the_first_write() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    let last = db.tree("files").unwrap().put("c", "d").unwrap();
    db.close().unwrap();
    let db = Db::builder().open_backend(backend).unwrap();
    let files = db.tree("files").unwrap();
    assert!(matches!(db.changes_since(Version::from_number(0)), Err(Error::ChangesRecycled { .. })));
    let mut changes = db.changes_since(last).unwrap();
    assert!(changes.next().is_none());
    assert_asleep(&db);
    let version = files.put("a", "b").unwrap();
    assert_eq!(changes.next().unwrap().unwrap().version, version);
}

type Failed = Option<(Call, Option<Area>)>;

/// Lets the call fail that has this number since the database was opened, while something is written twice.
/// Returns what came of the two, and which call failed.
fn wake_with(plan: Plan, base: &MemoryBackend) -> ([Result<Version>; 2], Failed) {
    let storage = copy(base);
    let faulty = Faulty::new(storage.clone());
    let db = Db::builder().open_backend(faulty.clone()).unwrap();
    let files = db.tree("files").unwrap();
    let model = contents(&db);
    faulty.set(Some(plan));
    let first = files.put("a", "1");
    let failed = faulty.failed().first().copied();
    faulty.set(None);
    let second = files.put("b", "2");
    assert_eq!(files.count("tenant-").unwrap(), KEYS, "reads go on");
    let expect = |db: &Db| {
        let mut found = contents(db);
        for (key, result) in [("a", &first), ("b", &second)] {
            let is_there = found.remove(key.as_bytes()).is_some();
            assert!(is_there || result.is_err(), "{plan:?}: {key} was acknowledged, and is lost");
        }
        assert!(found == model, "{plan:?}");
        assert!(db.check().unwrap().is_clean());
    };
    expect(&Db::builder().open_backend(copy(&storage)).unwrap());
    drop(files);
    // After a failure that nobody can judge closing says so; but it never makes anything worse.
    let is_closed = db.close().is_ok();
    assert!(is_closed || matches!(second, Err(Error::Poisoned { .. })), "{plan:?}");
    expect(&Db::builder().open_backend(storage).unwrap());
    ([first, second], failed)
}

#[test]
fn a_failure_while_waking_is_told_and_loses_nothing() {
    let base = Arc::new(MemoryBackend::new());
    closed(base.clone());
    let once = Plan { nth: 0, for_good: false, errno: EIO, how: How::Undone, only_space: false };
    for how in [How::Undone, How::Begun, How::Done] {
        let (mut poisoned, mut tried_again) = (false, false);
        for nth in 0.. {
            let ([first, second], failed) = wake_with(Plan { nth, how, ..once }, &base);
            let Some((call, area)) = failed else {
                first.and(second).unwrap();
                break;
            };
            assert!(first.is_err(), "{call:?} of {area:?} has failed");
            poisoned |= matches!(second, Err(Error::Poisoned { .. }));
            // What was not synced is not synced again; what was not made is made.
            assert!(call != Call::Sync || second.is_err(), "a sync of {area:?} was tried again");
            tried_again |= second.is_ok();
        }
        assert!(poisoned && tried_again);
    }
}

#[test]
fn a_full_disk_refuses_the_first_write_until_there_is_space() {
    let base = Arc::new(MemoryBackend::new());
    closed(base.clone());
    let full = Plan { nth: 0, for_good: true, errno: ENOSPC, how: How::Undone, only_space: true };
    let ([first, second], failed) = wake_with(full, &base);
    assert!(failed.is_some());
    assert!(matches!(first, Err(Error::Io(error)) if error.raw_os_error() == Some(ENOSPC)));
    second.unwrap();
}
