//! What opening after a crash reads: of a database of which nothing is in memory, many pages at a time.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

#[path = "durable/told.rs"]
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use spinney::backend::Area;
use spinney::backend::sim::{Crash, FaultBackend};
use spinney::{Db, Durability, Options, Version};
use told::{Call, Told};

const KEYS: usize = 30_000;
const UPDATES: usize = 400;

fn key(number: usize) -> String {
    let mixed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("tenant-{}/{:016x}", mixed % 50, mixed)
}

fn options() -> Options {
    Db::builder().durability(Durability::Buffered).log_bytes(32 << 20).cache_bytes(256 << 20).repeatable(1)
}

/// A disk with a database of all keys that was closed.
fn loaded() -> Arc<FaultBackend> {
    let disk = FaultBackend::new(1);
    disk.forget();
    let db = options().open_backend(disk.clone()).unwrap();
    let files = db.tree("files").unwrap();
    for number in 0..KEYS {
        files.put(key(number), [1; 100]).unwrap();
    }
    drop(files);
    db.close().unwrap();
    disk
}

/// What a process leaves that dies after these calls.
fn dies_after(disk: &Arc<FaultBackend>, calls: impl FnOnce(&Db)) -> Arc<FaultBackend> {
    let db = options().open_backend(disk.clone()).unwrap();
    calls(&db);
    disk.crash();
    drop(db);
    disk.restart(Crash::Death)
}

fn contents(db: &Db) -> BTreeMap<Vec<u8>, (Vec<u8>, Version)> {
    let files = db.tree("files").unwrap();
    let entry = |entry: spinney::Result<(Vec<u8>, spinney::Value)>| {
        let (key, mut value) = (entry.unwrap().0, Vec::new());
        let version = files.get_into(&key, &mut value).unwrap().unwrap();
        (key, (value, version))
    };
    files.scan("").map(entry).collect()
}

#[test]
fn what_the_log_touches_is_read_together() {
    let disk = dies_after(&loaded(), |db| {
        let files = db.tree("files").unwrap();
        for nth in 0..UPDATES {
            files.put(key(nth * 7_919 % KEYS), [2; 120]).unwrap();
        }
    });
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = counts.clone();
    let listener = move |call, area, runs| {
        if (call, area) == (Call::Read, Area::Data) {
            counted[0].fetch_add(1, Relaxed);
            counted[1].fetch_add(runs, Relaxed);
        }
        Ok(())
    };
    let db = options().open_backend(Told::new(disk, Box::new(listener))).unwrap();
    let [calls, runs] = [0, 1].map(|at: usize| counts[at].load(Relaxed));
    println!("{UPDATES} writes done again with {runs} reads, {calls} times");
    assert!(runs > 100, "{runs} reads: most is in memory, and nothing is shown");
    assert!(calls * 6 < runs, "{runs} reads, {calls} times");
    assert_eq!(db.tree("files").unwrap().count("").unwrap(), KEYS as u64);
    assert!(db.check().unwrap().is_clean());
}

/// Few keys, written again and again, and other kinds of writes between them: the last of each counts.
#[test]
fn writes_that_wait_for_each_other_are_done_in_their_order() {
    for cache_bytes in [1 << 20, 256 << 20] {
        let mut expected = BTreeMap::new();
        let disk = dies_after(&loaded(), |db| {
            let files = db.tree("files").unwrap();
            for nth in 0..2_000usize {
                let (here, there) = (key(nth * 7 % 61), key(nth * 5 % 59));
                match nth * nth % 23 {
                    0 => drop(files.rename(&here, &there).ok()),
                    1 => drop(files.remove(&here).unwrap()),
                    2 => {
                        let mut batch = db.batch();
                        batch.put(&files, &here, [nth as u8; 30]);
                        batch.remove(&files, &there);
                        batch.commit().unwrap();
                    }
                    3 => drop(files.put(&here, vec![nth as u8; 60_000]).unwrap()),
                    _ => drop(files.put(&here, nth.to_le_bytes()).unwrap()),
                }
            }
            files.rename_prefix("tenant-3/", "moved/").unwrap();
            files.put(key(60), "last").unwrap();
            expected = contents(db);
        });
        let db = options().cache_bytes(cache_bytes).open_backend(disk).unwrap();
        assert!(contents(&db) == expected, "with {cache_bytes} bytes of cache");
        assert!(db.check().unwrap().is_clean());
    }
}
