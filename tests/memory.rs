//! Sizes that a file claims decide no allocation: all numbers that speak of a size are made as large as they
//! go, all checksums are good, and the memory that opening, reading, checking and writing takes is
//! measured. It is bounded by what the file has, and by the buffers that every database has.
//!
//! A binary of its own, because the allocator counts for the whole process: the cases run one by one.

#![cfg(not(any(target_arch = "wasm32", miri)))]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::image::{blobs, kind, regions, reseal, set_word, word, word_of};
use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES, WriteOp};
use spinney::{Db, SHORT_VALUE_BYTES_MAX};

/// The bytes that are in use, the most there were, and the largest single request.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

impl Counting {
    fn add(bytes: usize) {
        let in_use = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        PEAK.fetch_max(in_use, Ordering::Relaxed);
        LARGEST.fetch_max(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on to the allocator of the system; counting touches nothing of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::add(layout.size());
        // SAFETY: what the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: what the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const VALUE_BYTES: usize = 70_000;
const PART_BYTES: u32 = 64_520;

/// Beside what the file has: the buffers of a backend, the ring, a segment of the log, copies of a few blobs.
const ALLOWED_BYTES: usize = 64 << 20;
/// No single request is larger than the buffers of a backend, or than the image.
const REQUEST_BYTES: usize = 9 << 20;

/// What is done with it takes so much at most.
fn measured(what: &str, file_bytes: usize, run: impl FnOnce()) {
    let before = IN_USE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    LARGEST.store(0, Ordering::Relaxed);
    run();
    let (peak, largest) = (PEAK.load(Ordering::Relaxed) - before, LARGEST.load(Ordering::Relaxed));
    assert!(peak <= ALLOWED_BYTES + 4 * file_bytes, "{what}: {peak} bytes for a file of {file_bytes}");
    assert!(largest <= REQUEST_BYTES.max(2 * file_bytes), "{what}: {largest} bytes at once");
}

fn use_it(db: spinney::Result<Db>) {
    let Ok(db) = db else { return };
    let _ = db.check();
    let Ok(tree) = db.tree("files") else { return };
    let _ = (tree.get("long"), tree.get("a"), tree.value_bytes("long"), tree.get_many(&["long", "a", "b"]));
    tree.scan("").take(1000).for_each(drop);
    tree.scan("").values_up_to(SHORT_VALUE_BYTES_MAX).rev().take(1000).for_each(drop);
    tree.list("").take(1000).for_each(drop);
    let _ = (tree.put("b", "1"), tree.put("c", vec![1; 70_000]), tree.remove_prefix("l"));
    let _ = db.image();
    drop(tree);
    let _ = db.close();
}

/// Storage with this data, log and journal.
fn stored(areas: [&[u8]; 3]) -> Arc<MemoryBackend> {
    let backend = Arc::new(MemoryBackend::new());
    for (area, bytes) in [Area::Data, Area::Log, Area::Journal].into_iter().zip(areas) {
        backend.set_len(area, bytes.len() as u64).expect("memory");
        let mut buffer = backend.buffers().lease_blocking();
        for (at, page) in bytes.chunks_exact(PAGE_BYTES).enumerate() {
            let buf = &mut buffer[..PAGE_BYTES];
            buf.copy_from_slice(page);
            backend.write(&[WriteOp { area, offset_bytes: (at * PAGE_BYTES) as u64, buf }]).expect("memory");
        }
    }
    backend
}

/// The words of an image that speak of sizes, lengths and counts: of the superblock, of the headers of blobs,
/// and all heads of nodes and leaves.
fn sizes(image: &[u8]) -> Vec<usize> {
    let mut words: Vec<usize> = (5..=10).collect();
    for blob in (1..blobs(image)).filter(|&blob| kind(image, blob) != 0) {
        words.extend((1..=8).map(|at| word_of(blob, at)));
        let (inner_end, leaf_start) = regions(image, blob);
        words.extend((256..inner_end).map(|at| word_of(blob, at)));
        // The heads of the leaves, and what stands behind them: pointers to parts among it.
        words.extend((leaf_start..65_536).take(40).map(|at| word_of(blob, at)));
    }
    words
}

/// The image, its one long value said to be of another length, or in other parts.
fn with_pointer(image: &[u8], length_bytes: u32, part_bytes: u32) -> Vec<u8> {
    let pointer = |length: u32, part: u32| [length.to_le_bytes(), part.to_le_bytes()].concat();
    let found = pointer(VALUE_BYTES as u32, PART_BYTES);
    let at = image.windows(8).position(|bytes| bytes == found).expect("a pointer leaf");
    let mut hostile = image.to_vec();
    hostile[at..at + 8].copy_from_slice(&pointer(length_bytes, part_bytes));
    reseal(&mut hostile);
    hostile
}

#[test]
fn sizes_that_a_file_claims_decide_no_allocation() {
    let db = Db::memory();
    let tree = db.tree("files").expect("made");
    tree.put("long", vec![7; VALUE_BYTES]).expect("puts");
    for key in ["a", "l/1", "l/2"] {
        tree.put(key, key).expect("puts");
    }
    let image = db.image().expect("writes");
    drop((tree, db));
    measured("nothing changed", image.len(), || use_it(Db::from_image(&image)));
    for (length_bytes, part_bytes) in
        [(64 << 20, 64 << 20), (64 << 20, u32::MAX), (64 << 20, 65_535), (64 << 20, 1)]
    {
        let hostile = with_pointer(&image, length_bytes, part_bytes);
        let what = format!("{length_bytes} bytes in parts of {part_bytes}");
        measured(&what, image.len(), || use_it(Db::from_image(&hostile)));
    }
    for at in sizes(&image) {
        let old = word(&image, at);
        let halves = [old | 0xFFFF_FFFF, old | 0xFFFF_FFFF << 32, old & 0xFFFF_FFFF | 0x7FFF_FFFF << 32];
        let lanes = [old | 0xFFFF << 16, old | 0xFFFF << 32, u64::MAX, u64::MAX >> 1, 1 << 40];
        // All of them for superblock and headers, some for the many words of nodes and leaves.
        let is_header = at % 65_536 < 16;
        let ways = halves.into_iter().chain(lanes).enumerate();
        for (_, new) in ways.filter(|(way, _)| is_header || (way + at) % 4 == 0) {
            let mut hostile = image.clone();
            set_word(&mut hostile, at, new);
            reseal(&mut hostile);
            let what = format!("word {at} is {new:#x} instead of {old:#x}");
            measured(&what, image.len(), || use_it(Db::from_image(&hostile)));
            let backend = stored([&hostile, &[], &[]]);
            let options = Db::builder().cache_bytes(8 << 20).repeatable(1);
            measured(&what, image.len(), || use_it(options.open_backend(backend)));
        }
    }
}
