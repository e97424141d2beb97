//! A database far larger than its cache. `SPINNEY_LARGE_KEYS=20000000` makes it one of 3 GB, as
//! `scripts/large` does.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

mod common;
#[path = "durable/folder.rs"]
mod folder;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Random, setting};
use folder::Folder;
use spinney::{Db, Durability, Stats, Tree};

const MIB: u64 = 1 << 20;
/// What a process may take beside its cache.
const OVERHEAD_BYTES_MAX: u64 = 64 * MIB;
const VALUE: [u8; 100] = [7; 100];

/// Key after key in ascending order: 40 files in a folder, 500 folders for a tenant.
fn key(number: u64) -> String {
    let (tenant, folder) = (number / 20_000, number / 40 % 500);
    format!("tenant-{tenant:05}/folder-{folder:03}/file-{:02}.parquet", number % 40)
}

/// The most memory that this process has ever had, on Linux.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Processor time of this process, in hundredths of a second, on Linux.
fn processor_ticks() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets, and may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

fn open(path: &Path, cache_bytes: u64) -> (Db, Tree) {
    let db = Db::builder().cache_bytes(cache_bytes).durability(Durability::Buffered).open(path).unwrap();
    let tree = db.tree("files").unwrap();
    (db, tree)
}

/// Does something many times, prints what each time cost, and gives the difference of the statistics.
fn measure(db: &Db, what: &str, times: u64, mut work: impl FnMut()) -> Stats {
    let (mut before, ticks, start) = (db.stats(), processor_ticks(), Instant::now());
    (0..times).for_each(|_| work());
    let micros = start.elapsed().as_secs_f64() * 1e6 / times as f64;
    let ticks = processor_ticks().zip(ticks).map_or(0, |(after, before)| after - before);
    let after = db.stats();
    let per_time = |before: u64, after: u64| (after - before) as f64 / times as f64;
    println!(
        "{what}: {micros:.1} us, {:.1} us of processor time, {:.2} reads, {:.1} KiB read",
        ticks as f64 * 1e4 / times as f64,
        per_time(before.reads, after.reads),
        per_time(before.pages_read, after.pages_read) * 4.0
    );
    before.reads = after.reads - before.reads;
    before.pages_read = after.pages_read - before.pages_read;
    before
}

fn assert_there(tree: &Tree, number: u64) {
    assert_eq!(tree.get(key(number)).unwrap().as_deref(), Some(&VALUE[..]), "{}", key(number));
}

#[test]
fn a_database_far_larger_than_its_cache() {
    let count = setting("SPINNEY_LARGE_KEYS", 400_000);
    let cache_bytes = setting("SPINNEY_LARGE_CACHE_MIB", if count < 4_000_000 { 4 } else { 64 }) * MIB;
    let folder = Folder::new("large");
    let path = folder.path("large.spinney");
    let (db, tree) = open(&path, cache_bytes);
    let put_next = {
        let mut next = 0;
        let tree = tree.clone();
        move || {
            tree.put(key(next), VALUE).unwrap();
            next += 1;
        }
    };
    measure(&db, "put in order", count, put_next);

    let mut random = Random::new(1);
    let some = (count / 25).min(200_000);
    let mut any = move || random.next() % count;
    measure(&db, "get", some, || assert_there(&tree, any()));
    measure(&db, "overwrite", some, || {
        tree.put(key(any()), VALUE).unwrap();
    });
    measure(&db, "put and remove", some, || {
        let new = format!("{}.new", key(any()));
        tree.put(&new, VALUE).unwrap();
        assert!(tree.remove(&new).unwrap().is_some());
    });
    let mut from = 0;
    let directories = measure(&db, "list a directory", 500, || {
        let folder = key(from * 40 % count);
        let listed = tree.list(&folder[..folder.rfind('/').unwrap() + 1]).count();
        assert!(listed == 40 || from * 40 % count > count - 40, "{folder}: {listed}");
        from += 7_919;
    });
    assert!(directories.reads > 0);
    if let Some(peak_bytes) = peak_bytes() {
        println!("cache {} MiB, at most {} MiB of memory", cache_bytes / MIB, peak_bytes / MIB);
        assert!(peak_bytes < cache_bytes + OVERHEAD_BYTES_MAX, "{} MiB", peak_bytes / MIB);
    }
    assert_eq!(db.survey().unwrap().keys, count);
    db.sync().unwrap();
    let before = processor_ticks();
    std::thread::sleep(Duration::from_secs(1));
    let ticks = processor_ticks().zip(before).map(|(after, before)| after - before);
    assert!(ticks.is_none_or(|ticks| ticks <= 1), "{ticks:?} hundredths of a second, doing nothing");
    drop(tree);
    db.close().unwrap();

    // The steady state with a sixteenth of the data in memory.
    let data_bytes = std::fs::metadata(&path).unwrap().len();
    println!("{} MiB of data", data_bytes / MIB);
    let (db, tree) = open(&path, data_bytes / 16);
    let many = (data_bytes / 4096).min(400_000);
    measure(&db, "get, until the cache is full", many, || assert_there(&tree, any()));
    let steady = measure(&db, "get, with a cache of 1/16", some, || assert_there(&tree, any()));
    assert!(steady.reads * 10 <= some * 12, "{} reads for {some} lookups", steady.reads);
    assert!(steady.pages_read <= some * 2, "{} pages for {some} lookups", steady.pages_read);
    let batch = 1_000.min(some);
    measure(&db, &format!("get_many of {batch}"), some / batch, || {
        let keys: Vec<_> = (0..batch).map(|_| key(any())).collect();
        assert!(tree.get_many(&keys).unwrap().iter().all(Option::is_some));
    });
    drop(tree);
    let start = Instant::now();
    assert!(db.check().unwrap().is_clean());
    println!("check: {:.1} s", start.elapsed().as_secs_f64());
    db.close().unwrap();
}
