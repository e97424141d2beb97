//! A data area of very many blobs: what it costs to open it, to keep it open and to make a checkpoint, when
//! next to nothing of it is looked at. `SPINNEY_SCALE_BLOBS=2000000` makes it one of a terabyte, as
//! `scripts/scale` does.
//!
//! Nobody has to write a terabyte for that: all blobs but a few are holes of the file, and the directory says
//! that they are there. Whoever read one would be told that it is damaged.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

mod common;
#[path = "durable/folder.rs"]
mod folder;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use common::image::{BLOB_BYTES, PAGE_BYTES, PAGES, set_word, word};
use common::setting;
use folder::Folder;
use spinney::{BlobKind, Db};
use xxhash_rust::xxh3::xxh3_64;

/// One test at a time: what one takes and frees would be counted for the other.
static ALONE: Mutex<()> = Mutex::new(());

const MIB: u64 = 1 << 20;
/// Blobs that blob 0 has directory words for, and each further directory blob.
const FIRST_SLOTS: usize = 64_512;
const FURTHER_SLOTS: usize = 65_024;
/// The first page of a directory blob, and its words for the checksums of its pages.
const CHECKSUMS_AT: usize = 128;
/// What the directory says of a blob that is a hole.
const NO_CHECKSUM: u64 = 1;

fn read(file: &File, blob: usize) -> Vec<u8> {
    let mut bytes = vec![0; BLOB_BYTES];
    file.read_exact_at(&mut bytes, (blob * BLOB_BYTES) as u64).unwrap();
    bytes
}

fn write(file: &File, blob: usize, bytes: &[u8]) {
    file.write_all_at(bytes, (blob * BLOB_BYTES) as u64).unwrap();
}

/// Writes a directory blob for `slots` blobs, of which the last one may be the next directory blob. Returns
/// its checksum, which the directory before it holds.
fn write_directory(file: &File, id: usize, slots: usize, next_checksum: Option<u64>) -> u64 {
    let mut blob = vec![0; BLOB_BYTES];
    // The magic of every blob.
    let magic = word(&read(file, 1), 0);
    set_word(&mut blob, 0, magic);
    set_word(&mut blob, 1, id as u64 | 3 << 32);
    for slot in 0..slots {
        set_word(&mut blob, PAGE_BYTES / 8 + slot, NO_CHECKSUM);
    }
    if let Some(checksum) = next_checksum {
        set_word(&mut blob, PAGE_BYTES / 8 + FURTHER_SLOTS - 1, checksum);
    }
    for page in 1..PAGES {
        let checksum = xxh3_64(&blob[page * PAGE_BYTES..(page + 1) * PAGE_BYTES]);
        set_word(&mut blob, CHECKSUMS_AT + page, checksum);
    }
    let own = xxh3_64(&blob[..PAGE_BYTES]).max(1);
    set_word(&mut blob, CHECKSUMS_AT, own);
    write(file, id, &blob);
    own
}

/// Makes a database of few blobs one of `blobs`: the others are holes.
fn blow_up(path: &Path, blobs: usize) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    file.set_len((blobs * BLOB_BYTES) as u64).unwrap();
    // From the last directory blob to the first: each holds the checksum of the next one.
    let further = blobs.saturating_sub(FIRST_SLOTS).div_ceil(FURTHER_SLOTS);
    let mut next_checksum = None;
    for nth in (0..further).rev() {
        let first = FIRST_SLOTS + nth * FURTHER_SLOTS;
        let slots = (blobs - first).min(FURTHER_SLOTS);
        next_checksum = Some(write_directory(&file, first - 1, slots, next_checksum));
    }
    let mut zero = read(&file, 0);
    for id in 1..blobs.min(FIRST_SLOTS) {
        let at = 2 * PAGE_BYTES / 8 + id;
        if word(&zero, at) == 0 {
            set_word(&mut zero, at, NO_CHECKSUM);
        }
    }
    if let Some(checksum) = next_checksum {
        set_word(&mut zero, 2 * PAGE_BYTES / 8 + FIRST_SLOTS - 1, checksum);
    }
    let trees = word(&zero, 9) >> 32 << 32;
    set_word(&mut zero, 9, trees | blobs as u64);
    for page in 2..PAGES {
        let checksum = xxh3_64(&zero[page * PAGE_BYTES..(page + 1) * PAGE_BYTES]);
        set_word(&mut zero, CHECKSUMS_AT + page, checksum);
    }
    let own = xxh3_64(&zero[..511 * 8]);
    set_word(&mut zero, 511, own);
    zero.copy_within(..PAGE_BYTES, PAGE_BYTES);
    write(&file, 0, &zero);
}

/// What a line of `/proc/self/status` says, in bytes, on Linux.
fn memory_bytes(line: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|found| found.strip_prefix(line))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Does something and prints how long that took.
fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = run();
    println!("{what}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    done
}

#[test]
fn what_nobody_looks_at_costs_a_few_bytes_for_each_blob() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let blobs = setting("SPINNEY_SCALE_BLOBS", 200_000) as usize;
    let folder = Folder::new("scale");
    let path = folder.path("scale.spinney");
    let db = Db::open(&path).unwrap();
    let tree = db.tree("files").unwrap();
    let key = |number: u64| format!("tenant-{:03}/file-{number:06}.parquet", number / 1_000);
    tree.load("", (0..40_000).map(|number| (key(number), [7; 100]))).unwrap();
    drop(tree);
    db.close().unwrap();
    blow_up(&path, blobs);
    println!("{blobs} blobs, {:.2} TiB", (blobs * BLOB_BYTES) as f64 / (1u64 << 40) as f64);

    let before = memory_bytes("VmRSS:");
    let db = timed("open", || Db::builder().cache_bytes(64 * MIB).open(&path).unwrap());
    let opened = memory_bytes("VmRSS:");
    let tree = db.tree("files").unwrap();
    timed("first get", || assert!(tree.get(key(20_123)).unwrap().is_some()));
    timed("list of 1,000", || assert_eq!(tree.list("tenant-007/").count(), 1_000));
    for number in 0..1_000 {
        tree.put(key(number * 40), "changed").unwrap();
    }
    timed("checkpoint of 1,000 changes", || db.checkpoint().unwrap());
    let written = db.stats().checkpoints.written_bytes / PAGE_BYTES as u64;
    timed("checkpoint of one change", || {
        tree.put(key(1), "once more").unwrap();
        db.checkpoint().unwrap();
    });
    println!("{written} pages written by the first of them");
    // The pages of the leaves, to the journal and to their places; of the directory only what has changed.
    assert!(written < 4_000, "{written} pages");
    if let Some((before, opened)) = before.zip(opened) {
        // What was freed before may have gone meanwhile.
        let more = opened.saturating_sub(before);
        let per_blob = more as f64 / blobs as f64;
        println!("{} MiB more memory: {per_blob:.1} bytes for a blob", more / MIB);
        // A directory word, and what stands beside a frame.
        assert!(more < blobs as u64 * 200 + 16 * MIB, "{per_blob} bytes for a blob");
    }
    drop(tree);
    timed("close", || db.close().unwrap());

    let db = timed("open once more", || Db::open(&path).unwrap());
    let tree = db.tree("files").unwrap();
    assert_eq!(tree.get(key(1)).unwrap().as_deref(), Some(&b"once more"[..]));
    assert_eq!(tree.scan("").count(), 40_000);
}

/// From this a larger database can be reckoned: each level has so many times as many blobs as the one above.
#[test]
fn a_router_has_thousands_of_children() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let keys = setting("SPINNEY_SCALE_KEYS", 300_000);
    let db = Db::memory();
    let tree = db.tree("files").unwrap();
    let key = |number: u64| {
        let (bucket, day) = (number / 1_000_000, number / 2_000 % 500);
        format!("bucket-{bucket:04}/events/day={day:03}/part-{:05}-{:08x}.parquet", number % 2_000, number)
    };
    tree.load("", (0..keys).map(|number| (key(number), [7; 100]))).unwrap();
    let blobs = db.blobs().unwrap();
    let of_kind = |kind| blobs.iter().filter(move |blob| blob.kind == kind);
    let ranges = of_kind(BlobKind::Range).count() as u64;
    let router_bytes: u64 = of_kind(BlobKind::Router).map(|router| u64::from(router.live_bytes)).sum();
    let routers = of_kind(BlobKind::Router).count();
    let bytes_for_child = router_bytes as f64 / ranges as f64;
    println!("{keys} keys of 57 bytes with values of 100 bytes: {ranges} ranges, {routers} routers");
    println!("{} keys in a blob; {bytes_for_child:.0} bytes in the router for each", keys / ranges);
    assert!(keys / ranges > 3_000, "{ranges} ranges");
    assert!(bytes_for_child < 128.0, "{bytes_for_child} bytes for a child");
}
