//! Packing a file: it becomes short, and holds what it held, beside writers too.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

#[path = "durable/folder.rs"]
mod folder;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use folder::Folder;
use spinney::{Db, Durability};

fn key(number: usize) -> String {
    format!("tenant-{:03}/photos/{:02}/object-{number:07}", number % 200, number % 12)
}

#[test]
fn after_a_large_removal_the_file_is_short() {
    let folder = Folder::new("compact");
    let path = folder.path("a.spinney");
    let keys = 200_000;
    let db = Db::builder().durability(Durability::Buffered).cache_bytes(16 << 20).open(&path).unwrap();
    let files = db.tree("files").unwrap();
    for number in 0..keys {
        files.put(key(number * 7_919 % keys), [7; 100]).unwrap();
    }
    db.checkpoint().unwrap();
    let before_bytes = std::fs::metadata(&path).unwrap().len();
    for number in (0..keys).filter(|number| number % 100 != 0) {
        files.remove(key(number)).unwrap();
    }
    let report = db.compact().unwrap();
    let after_bytes = std::fs::metadata(&path).unwrap().len();
    println!("{before_bytes} bytes before, {after_bytes} after: {report:?}");
    assert_eq!(before_bytes, u64::from(report.blobs_before) * (512 << 10));
    assert!(after_bytes * 20 < before_bytes, "{after_bytes} of {before_bytes}");
    assert_eq!(after_bytes, u64::from(report.blobs_after) * (512 << 10));
    assert!(db.check().unwrap().is_clean());
    drop(files);
    db.close().unwrap();
    let db = Db::open(&path).unwrap();
    let files = db.tree("files").unwrap();
    assert_eq!(files.count("").unwrap(), keys as u64 / 100);
    for number in (0..keys).step_by(100) {
        assert!(files.contains(key(number)).unwrap());
    }
    assert!(db.check().unwrap().is_clean());
}

#[test]
fn after_a_load_of_a_million_keys_and_removing_nearly_all_the_file_is_short() {
    let folder = Folder::new("compact-loaded");
    let path = folder.path("a.spinney");
    let keys = 1_000_000;
    let db = Db::builder().durability(Durability::Buffered).cache_bytes(64 << 20).open(&path).unwrap();
    let files = db.tree("files").unwrap();
    let in_order = |number: usize| format!("tenant-{:03}/object-{number:07}", number / 5_000);
    files.load("", (0..keys).map(|number| (in_order(number), [7; 100]))).unwrap();
    let before_bytes = std::fs::metadata(&path).unwrap().len();
    for number in (0..keys).filter(|number| number % 100 != 0) {
        files.remove(in_order(number)).unwrap();
    }
    let report = db.compact().unwrap();
    let after_bytes = std::fs::metadata(&path).unwrap().len();
    println!("{before_bytes} bytes before, {after_bytes} after: {report:?}");
    assert!(after_bytes * 20 < before_bytes, "{after_bytes} of {before_bytes}");
    assert_eq!(files.count("").unwrap(), keys as u64 / 100);
    assert!(db.check().unwrap().is_clean());
}

#[test]
fn a_file_is_packed_beside_writers() {
    let folder = Folder::new("compact-beside");
    let path = folder.path("a.spinney");
    let keys = 60_000;
    let db = Db::builder().durability(Durability::Buffered).cache_bytes(8 << 20).open(&path).unwrap();
    let files = db.tree("files").unwrap();
    for number in 0..keys {
        files.put(key(number * 7_919 % keys), [7; 100]).unwrap();
    }
    let (is_over, written) = (AtomicBool::new(false), std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                let number = written.fetch_add(1, SeqCst);
                files.put(format!("new/{number:07}"), [9; 60]).unwrap();
                files.put(key(number * 31 % keys), [8; 120]).unwrap();
                assert!(files.contains(key(number * 17 % keys)).unwrap());
            }
        });
        for _ in 0..3 {
            db.compact().unwrap();
        }
        is_over.store(true, SeqCst);
    });
    let written = written.load(SeqCst);
    assert!(written > 0);
    assert!(db.check().unwrap().is_clean());
    assert_eq!(files.count("").unwrap(), (keys + written) as u64);
    drop(files);
    db.close().unwrap();
    let db = Db::open(&path).unwrap();
    assert_eq!(db.tree("files").unwrap().count("new/").unwrap(), written as u64);
    assert!(db.check().unwrap().is_clean());
}
