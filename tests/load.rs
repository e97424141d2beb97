//! Bulk loads into a file: beside writers, with a cache that holds little of it, and where the disk is full.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

#[path = "durable/folder.rs"]
mod folder;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use folder::Folder;
use spinney::backend::{Area, MemoryBackend};
use spinney::{Db, Durability, Error};

fn key(number: usize) -> String {
    format!("tenant-{:03}/photos/object-{number:08}", number / 1_000)
}

fn value(number: usize) -> Vec<u8> {
    vec![number as u8; 60 + number % 90]
}

#[test]
fn a_load_larger_than_the_cache_is_there_after_opening() {
    let folder = Folder::new("load");
    let path = folder.path("a.spinney");
    let keys = 300_000;
    let db = Db::builder().cache_bytes(4 << 20).open(&path).unwrap();
    let files = db.tree("files").unwrap();
    files.put("zz", "there").unwrap();
    assert_eq!(files.load("tenant-", (0..keys).map(|n| (key(n), value(n)))).unwrap(), keys as u64);
    assert!(db.check().unwrap().is_clean());
    let length_bytes = std::fs::metadata(&path).unwrap().len();
    let raw_bytes: u64 = (0..keys).map(|n| (key(n).len() + value(n).len()) as u64).sum();
    println!("{length_bytes} bytes for {raw_bytes} raw");
    assert!(length_bytes * 100 < raw_bytes * 105, "{length_bytes} bytes for {raw_bytes}");
    for number in (0..keys).step_by(97) {
        assert_eq!(*files.get(key(number)).unwrap().unwrap(), value(number));
    }
    files.remove_prefix("tenant-00").unwrap().unwrap();
    drop(files);
    db.close().unwrap();
    let db = Db::builder().cache_bytes(4 << 20).open(&path).unwrap();
    let files = db.tree("files").unwrap();
    assert_eq!(files.count("").unwrap(), (keys - 10_000) as u64 + 1);
    for (number, entry) in (10_000..).zip(files.scan("tenant-")) {
        let (found_key, found) = entry.unwrap();
        assert_eq!((&found_key[..], &*found), (key(number).as_bytes(), &value(number)[..]));
    }
    assert!(db.check().unwrap().is_clean());
}

/// Ends the others, also where an assertion fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn others_write_beside_a_load() {
    let folder = Folder::new("load-beside");
    let path = folder.path("a.spinney");
    let db = Db::builder().cache_bytes(8 << 20).durability(Durability::Buffered).open(&path).unwrap();
    let files = db.tree("files").unwrap();
    let (is_over, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let keys = 100_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                let number = written.fetch_add(1, SeqCst);
                files.put(format!("new/{number:08}"), value(number)).unwrap();
                if number % 500 == 0 {
                    files.remove_prefix(format!("new/{:07}", number / 10)).unwrap();
                    files.put(format!("new/{number:08}"), value(number)).unwrap();
                }
            }
        });
        let _over = Over(&is_over);
        for round in 0..3 {
            let prefix = format!("round-{round}/");
            let items = (0..keys).map(|number| (format!("{prefix}{}", key(number)), value(number)));
            assert_eq!(files.load(&prefix, items).unwrap(), keys as u64);
            assert_eq!(files.count(&prefix).unwrap(), keys as u64);
            files.rename_prefix(&prefix, format!("kept/{round}/")).unwrap().unwrap();
        }
        let half_way = |so_far| so_far < 50_000;
        let items = (0..keys).map(|number| (format!("not/{number:08}"), value(number)));
        assert!(matches!(files.load_with("not/", items, half_way), Err(Error::Cancelled)));
    });
    assert_eq!(db.check().unwrap().problems, vec![]);
    let count = files.count("").unwrap();
    drop(files);
    db.close().unwrap();
    let db = Db::open(&path).unwrap();
    let files = db.tree("files").unwrap();
    assert_eq!(files.count("").unwrap(), count);
    assert_eq!(files.count("kept/").unwrap(), 3 * keys as u64);
    assert_eq!(files.count("not/").unwrap(), 0);
    assert!(db.check().unwrap().is_clean());
}

/// A reader may be on the way to a blob that has fallen free, in memory and in storage, when it gets there.
#[test]
fn readers_of_a_directory_that_goes_meet_no_error() {
    let folder = Folder::new("load-gone");
    let path = folder.path("a.spinney");
    let db = Db::builder().cache_bytes(1 << 20).durability(Durability::Buffered).open(&path).unwrap();
    let files = db.tree("files").unwrap();
    let (is_over, found) = (AtomicBool::new(false), AtomicUsize::new(0));
    let keys = 30_000;
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (is_over, found, files) = (&is_over, &found, &files);
            scope.spawn(move || {
                let mut number = reader;
                while !is_over.load(SeqCst) {
                    number = (number * 31 + 7) % keys;
                    let many = [key(number), key((number + 9_000) % keys)];
                    let values = files.get_many(&many).expect("no error");
                    found.fetch_add(values.iter().flatten().count(), SeqCst);
                    let one = files.get(key(number)).expect("no error");
                    assert!(one.is_none_or(|one| *one == value(number)));
                    let few = files.scan(key(number)).keys().take(3).map(|key| key.expect("no error"));
                    found.fetch_add(few.count(), SeqCst);
                }
            });
        }
        for _ in 0..25 {
            files.load("", (0..keys).map(|n| (key(n), value(n)))).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(5));
            files.remove_prefix("").unwrap().unwrap();
            db.checkpoint().unwrap();
        }
        is_over.store(true, SeqCst);
    });
    assert!(found.load(SeqCst) > 0);
    assert!(db.check().unwrap().is_clean());
}

/// Every seventh value is too long for a leaf, and a few do not fit the cache.
/// The file may be another's by then.
#[test]
fn a_load_that_goes_on_when_the_database_is_closed_writes_nothing_more() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    let files = db.tree("files").unwrap();
    files.put("zz", "there").unwrap();
    let mut closed = Vec::new();
    let items = (0..100_000).map(|number| {
        if number == 50_000 {
            db.clone().close().unwrap();
            closed = backend.to_bytes(Area::Data);
        }
        (key(number), value(number))
    });
    let loaded = files.load("tenant-", items);
    assert!(matches!(loaded, Err(Error::Closed)), "{loaded:?}");
    assert!(!closed.is_empty() && backend.to_bytes(Area::Data) == closed, "the file has changed");
    let db = Db::builder().open_backend(backend).unwrap();
    assert_eq!(db.tree("files").unwrap().count("").unwrap(), 1);
    assert!(db.check().unwrap().is_clean());
}

fn mixed_value(number: usize) -> Vec<u8> {
    let bytes = match number {
        _ if number % 700 == 14 => 5_000_000 + number,
        _ if number.is_multiple_of(7) => 65_536 + number * 37 % 300_000,
        _ => 60 + number % 90,
    };
    (0..bytes).map(|at| (at / 7 + number * 31) as u8).collect()
}

#[test]
fn long_values_come_with_a_load_and_go_like_others() {
    let folder = Folder::new("load-long");
    let path = folder.path("a.spinney");
    let open = || Db::builder().cache_bytes(4 << 20).open(&path).unwrap();
    let keys = 2_000;
    let db = open();
    let files = db.tree("files").unwrap();
    files.put("a", vec![1; 200_000]).unwrap();
    let mut told = Vec::new();
    let items = (0..keys).map(|number| (key(number), mixed_value(number)));
    let loaded = files.load_with("tenant-", items, |so_far| {
        told.push(so_far);
        true
    });
    assert_eq!(loaded.unwrap(), keys as u64);
    assert!(told.is_sorted() && told.len() > 20 && told.last() == Some(&(keys as u64)), "{told:?}");
    files.put("z", vec![2; 300_000]).unwrap();
    assert_eq!(db.check().unwrap().problems, vec![]);
    files.rename_prefix("tenant-001/", "moved/").unwrap().unwrap();
    files.put(key(7), "short now").unwrap();
    drop(files);
    db.close().unwrap();

    let db = open();
    let files = db.tree("files").unwrap();
    assert_eq!(*files.get(key(7)).unwrap().unwrap(), *b"short now");
    for number in (0..keys).filter(|&number| number != 7) {
        let name = key(number).replace("tenant-001/", "moved/");
        assert!(*files.get(&name).unwrap().unwrap() == *mixed_value(number), "{name}");
    }
    // Numbers of values go on behind those of the load.
    files.put("b", vec![3; 100_000]).unwrap();
    let items = [("c/1", vec![4; 66_000]), ("c/2", vec![5; 67_000])];
    assert_eq!(files.load("c/", items).unwrap(), 2);
    for (name, byte, bytes) in [("a", 1, 200_000), ("b", 3, 100_000), ("c/2", 5, 67_000), ("z", 2, 300_000)] {
        assert!(*files.get(name).unwrap().unwrap() == *vec![byte; bytes], "{name}");
    }
    for prefix in ["tenant-", "moved/", "a", "b", "c/", "z"] {
        files.remove_prefix(prefix).unwrap().unwrap();
    }
    assert_eq!(db.check().unwrap().problems, vec![]);
    let stored: u64 = db.blobs().unwrap().iter().map(|blob| u64::from(blob.keys)).sum();
    assert_eq!(stored, 1, "more than the name of the tree is left");
    db.compact().unwrap();
    drop(files);
    db.close().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 5 << 20);
}

#[test]
fn long_values_of_a_load_that_comes_to_nothing_leave_nothing() {
    let folder = Folder::new("load-long-not");
    let db = Db::builder().cache_bytes(4 << 20).open(folder.path("a.spinney")).unwrap();
    let files = db.tree("files").unwrap();
    files.put("a", vec![1; 200_000]).unwrap();
    db.checkpoint().unwrap();
    let stored = || db.blobs().unwrap().iter().map(|blob| u64::from(blob.keys)).sum::<u64>();
    let before = (stored(), db.stats().total_blobs);
    let items = || (0..300).map(|number| (key(number), mixed_value(number)));
    let cancelled = files.load_with("tenant-", items(), |so_far| so_far < 100);
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    let unsorted = items().chain([(key(3), Vec::new())]);
    assert!(matches!(files.load("tenant-", unsorted), Err(Error::LoadRefused { .. })));
    let panics = || files.load("tenant-", items().inspect(|(name, _)| assert!(*name != key(250))));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(db.check().unwrap().problems, vec![]);
    assert_eq!((stored(), db.stats().total_blobs), before);
    assert_eq!(files.load("tenant-", items()).unwrap(), 300);
    assert!(*files.get(key(14)).unwrap().unwrap() == *mixed_value(14));
    // What has panicked is no load that goes on: the file may become shorter.
    files.remove_prefix("").unwrap().unwrap();
    db.compact().unwrap();
    assert!(std::fs::metadata(folder.path("a.spinney")).unwrap().len() < 5 << 20);
    assert_eq!(db.check().unwrap().problems, vec![]);
}
