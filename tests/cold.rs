//! A database that reads its pages when they are touched, against the same in memory: answers, what is read
//! for them, how much of it stays, and damaged pages.

#![cfg(not(target_arch = "wasm32"))]
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spinney::backend::{Area, BLOB_BYTES, Backend, BlobBufPool, MemoryBackend, PAGE_BYTES, ReadOp, WriteOp};
use spinney::{Db, Entry, Error, Tree};

use common::Random;

fn read_only(backend: Arc<dyn Backend>, cache_bytes: u64) -> spinney::Result<Db> {
    Db::builder().read_only(true).cache_bytes(cache_bytes).open_backend(backend)
}

/// A backend that counts what is read, and flips a bit of what it reads if it is told to.
struct Watched {
    inner: MemoryBackend,
    batches: AtomicU64,
    bytes: AtomicU64,
    /// The byte of the data area that is damaged.
    damaged: AtomicU64,
}

impl Watched {
    fn new(image: &[u8]) -> Arc<Self> {
        let inner = MemoryBackend::from_bytes(image).expect("whole pages");
        let none = AtomicU64::new(u64::MAX);
        Arc::new(Watched { inner, batches: AtomicU64::new(0), bytes: AtomicU64::new(0), damaged: none })
    }

    /// Batches and bytes since the last call.
    fn taken(&self) -> (u64, u64) {
        (self.batches.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }
}

impl Backend for Watched {
    fn len(&self, area: Area) -> io::Result<u64> {
        self.inner.len(area)
    }

    fn set_len(&self, _area: Area, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        self.inner.read(batch)?;
        self.batches.fetch_add(1, Ordering::Relaxed);
        for op in batch {
            self.bytes.fetch_add(op.buf.len() as u64, Ordering::Relaxed);
            let at = self.damaged.load(Ordering::Relaxed).wrapping_sub(op.offset_bytes);
            if let Some(byte) = op.buf.get_mut(at as usize) {
                *byte ^= 16;
            }
        }
        Ok(())
    }

    fn write(&self, _batch: &[WriteOp<'_>]) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync(&self, _area: Area) -> io::Result<()> {
        Ok(())
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn buffers(&self) -> &BlobBufPool {
        self.inner.buffers()
    }
}

fn key_of(number: usize) -> String {
    let (tenant, year) = (number * 7919 % 97, 2020 + number % 7);
    format!("tenant-{tenant:02}/photos/{year}/{:02}/object-{number:07}.jpg", number % 12)
}

fn value_of(number: usize) -> Vec<u8> {
    (0..80 + number % 40).map(|at| (number + at) as u8).collect()
}

/// A database in memory with so many keys in random order, and its image.
fn sample(count: usize) -> (Db, Tree, Vec<u8>) {
    let db = Db::memory();
    let files = db.tree("files").expect("made");
    let mut order: Vec<usize> = (0..count).collect();
    let mut random = Random::new(1);
    for at in (1..count).rev() {
        order.swap(at, random.below(at + 1));
    }
    for number in order {
        files.put(key_of(number), value_of(number)).expect("writes");
    }
    // A few large values, over several pages, and keys that are prefixes of others.
    for large in 0..8 {
        files.put(format!("tenant-{large:02}/large"), vec![large as u8; 20_000]).expect("writes");
        files.put(format!("tenant-{large:02}"), "a prefix").expect("writes");
    }
    let image = db.image().expect("writes");
    (db, files, image)
}

fn assert_same(one: &Tree, two: &Tree, count: usize, random: &mut Random) {
    for _ in 0..2_000 {
        let key = key_of(random.below(count * 5 / 4));
        assert_eq!(one.get(&key).expect("reads"), two.get(&key).expect("reads"), "{key}");
        assert_eq!(one.contains(&key).expect("reads"), two.contains(&key).expect("reads"));
        let path = format!("{key}/more");
        assert_eq!(one.longest_prefix(&path).expect("reads"), two.longest_prefix(&path).expect("reads"));
        let path = format!("tenant-{:02}/nothing", random.below(99));
        assert_eq!(one.longest_prefix(&path).expect("reads"), two.longest_prefix(&path).expect("reads"));
    }
    assert_eq!(one.first().expect("reads"), two.first().expect("reads"));
    assert_eq!(one.last().expect("reads"), two.last().expect("reads"));
    let all = |tree: &Tree| tree.scan("").map(|pair| pair.expect("reads")).collect::<Vec<_>>();
    let back = |tree: &Tree| tree.scan("").rev().map(|pair| pair.expect("reads")).collect::<Vec<_>>();
    assert!(all(one) == all(two) && back(one) == back(two));
    for _ in 0..20 {
        let tenant = format!("tenant-{:02}/", random.below(99));
        for prefix in ["", &tenant, &format!("{tenant}photos/"), &format!("{tenant}photos/2024/")] {
            let list = |tree: &Tree| -> Vec<Entry> {
                tree.list(prefix).map(|entry| entry.expect("reads")).collect()
            };
            let back = |tree: &Tree| -> Vec<Entry> {
                tree.list(prefix).rev().map(|entry| entry.expect("reads")).collect()
            };
            assert!(list(one) == list(two) && back(one) == back(two), "{prefix}");
        }
    }
}

/// 40 pages are the inner nodes of eight blobs. What one operation asks for stays beyond the budget: the
/// router and one whole blob, and the ones that it keeps because they have left too often.
#[test]
fn answers_are_the_same_with_any_cache_and_the_cache_keeps_its_size() {
    const COUNT: usize = 40_000;
    let (_db, files, image) = sample(COUNT);
    let all_pages = (image.len() / PAGE_BYTES) as u64;
    for cache_pages in [40, 300, all_pages / 16, all_pages] {
        let cache_bytes = cache_pages * PAGE_BYTES as u64;
        let backend = Watched::new(&image);
        let cold = read_only(backend, cache_bytes).expect("opens");
        assert_eq!(cold.stats().resident_pages, 0, "nothing but the directory is read");
        let tree = cold.tree("files").expect("there");
        assert_same(&files, &tree, COUNT, &mut Random::new(cache_pages));
        let stats = cold.stats();
        assert!(stats.resident_pages <= cache_pages + 2 * 128, "{cache_pages}: {stats:?}");
        assert_eq!(stats.evictions == 0, cache_pages == all_pages, "{stats:?}");
        assert!(cold.check().expect("reads").is_clean());
        assert!(matches!(cold.tree("new"), Err(Error::NoSuchTree { name }) if name == "new"));
        assert!(matches!(tree.remove(key_of(1)), Err(Error::ReadOnly)));
        assert!(matches!(tree.rename(key_of(1), "new"), Err(Error::ReadOnly)));
        assert!(cold.image().expect("writes") == image);
    }
}

#[test]
fn a_first_touch_is_two_reads_and_a_later_one_is_one_page() {
    const COUNT: usize = 60_000;
    let (_db, _files, image) = sample(COUNT);
    let backend = Watched::new(&image);
    let mut random = Random::new(3);
    for _ in 0..300 {
        let cold = read_only(backend.clone(), u64::MAX).expect("opens");
        // The name of the tree brings the router in.
        let tree = cold.tree("files").expect("there");
        let before = cold.stats().unread_blobs;
        backend.taken();
        let number = random.below(COUNT);
        assert_eq!(tree.get(key_of(number)).expect("reads").as_deref(), Some(&value_of(number)[..]));
        let (reads, bytes) = backend.taken();
        assert!(reads <= 2 && bytes <= 48 << 10, "{number}: {reads} reads, {bytes} bytes, {before} unread");
        assert!(tree.get(key_of(number)).expect("reads").is_some());
        assert_eq!(backend.taken(), (0, 0), "it is there now");
    }
}

#[test]
fn many_lookups_are_read_as_one_batch() {
    const COUNT: usize = 60_000;
    let (_db, files, image) = sample(COUNT);
    let backend = Watched::new(&image);
    let cold = read_only(backend.clone(), u64::MAX).expect("opens");
    let tree = cold.tree("files").expect("there");
    let mut random = Random::new(4);
    for round in 0..40 {
        let keys: Vec<_> = (0..32).map(|_| key_of(random.below(COUNT * 5 / 4))).collect();
        backend.taken();
        let found = tree.get_many(&keys).expect("reads");
        let (batches, _) = backend.taken();
        // Headers and inner nodes, then leaves; now and then a leaf that goes on in another page, or a bucket
        // in which another leaf has the same fingerprint.
        assert!(batches <= 4, "round {round}: {batches} batches");
        assert_eq!(found, files.get_many(&keys).expect("reads"));
        for (key, found) in keys.iter().zip(found) {
            assert_eq!(found, files.get(key).expect("reads"), "{key}");
        }
    }
    let too_long = vec![0; spinney::KEY_BYTES_MAX + 1];
    assert!(matches!(tree.get_many(&[&b"a"[..], &too_long]), Err(Error::KeyTooLong { .. })));
    assert!(tree.get_many::<&str>(&[]).expect("nothing to read").is_empty());
    let tiny = read_only(backend, 40 * PAGE_BYTES as u64).expect("opens");
    let tree = tiny.tree("files").expect("there");
    let keys: Vec<_> = (0..1_000).map(|_| key_of(random.below(COUNT * 5 / 4))).collect();
    assert_eq!(tree.get_many(&keys).expect("reads"), files.get_many(&keys).expect("reads"));
}

/// Prints what a lookup reads with caches of several sizes; docs/design.md has the table.
#[test]
fn a_cache_of_a_twentieth_holds_the_inner_nodes() {
    const COUNT: usize = 250_000;
    const GETS: usize = 20_000;
    let (_db, _files, image) = sample(COUNT);
    let backend = Watched::new(&image);
    println!("{} MB; cache, reads and bytes a lookup:", image.len() >> 20);
    for part in [32, 24, 20, 16, 12, 8, 4] {
        let cache_bytes = image.len() as u64 / part;
        let cold = read_only(backend.clone(), cache_bytes).expect("opens");
        let tree = cold.tree("files").expect("there");
        let mut random = Random::new(5);
        let mut get = |times: usize| {
            for _ in 0..times {
                assert!(tree.get(key_of(random.below(COUNT))).expect("reads").is_some());
            }
        };
        get(GETS);
        backend.taken();
        get(GETS);
        let (reads, bytes) = backend.taken();
        let (reads, bytes) = (reads as f64 / GETS as f64, bytes as f64 / GETS as f64);
        println!("1/{part}: {reads:.2}, {bytes:.0}");
        let stats = cold.stats();
        assert!(stats.resident_bytes() <= cache_bytes, "{stats:?}");
        let (reads_max, bytes_max) = if part <= 20 { (1.2, 8_192.0) } else { (2.0, 40_000.0) };
        assert!(reads <= reads_max && bytes <= bytes_max, "1/{part}: {reads} reads, {bytes} bytes");
    }
}

/// Every page of an image is damaged in turn.
#[test]
fn a_damaged_page_is_found_when_it_is_touched() {
    const COUNT: usize = 8_000;
    let (_db, _files, image) = sample(COUNT);
    let backend = Watched::new(&image);
    let mut random = Random::new(7);
    let mut blobs = BTreeSet::new();
    for page in 0..image.len() / PAGE_BYTES {
        let (blob, page_in_blob) = ((page * PAGE_BYTES / BLOB_BYTES) as u32, (page % 128) as u32);
        let at = page * PAGE_BYTES + random.below(PAGE_BYTES);
        backend.damaged.store(at as u64, Ordering::Relaxed);
        let told = |error: &Error| match *error {
            Error::Corrupt { blob: b, page: p, .. } => (b, p) == (blob, page_in_blob),
            _ => false,
        };
        let cold = match read_only(backend.clone(), u64::MAX) {
            Ok(cold) => cold,
            Err(error) => {
                assert!(blob == 0 && told(&error), "{error}");
                continue;
            }
        };
        let scanned = cold.tree("files").and_then(|tree| tree.scan("").try_for_each(|pair| pair.map(drop)));
        if page < 2 {
            // The other copy of the superblock is as good.
            assert!(scanned.is_ok(), "byte {at}: {scanned:?}");
            continue;
        }
        let error = scanned.expect_err("a scan comes by every page");
        assert!(told(&error), "byte {at}: {error}");
        let problems = cold.check().expect("reads").problems;
        assert!(problems.iter().any(|problem| problem.blob == blob
            && problem.text.contains(&format!("page {page_in_blob} is damaged"))));
        blobs.insert(blob);
    }
    assert!(blobs.len() >= 4, "a router and some ranges: {blobs:?}");
}

/// Single lookups meet a damage, or they are right.
#[test]
fn a_lookup_beside_a_damaged_page_is_right() {
    const COUNT: usize = 8_000;
    let (_db, _files, image) = sample(COUNT);
    let backend = Watched::new(&image);
    let mut random = Random::new(9);
    let mut met = 0;
    for _ in 0..60 {
        backend
            .damaged
            .store((BLOB_BYTES + random.below(image.len() - BLOB_BYTES)) as u64, Ordering::Relaxed);
        let cold = read_only(backend.clone(), 40 * PAGE_BYTES as u64).expect("opens");
        let Ok(tree) = cold.tree("files") else { continue };
        for _ in 0..200 {
            let number = random.below(COUNT);
            match tree.get(key_of(number)) {
                Ok(found) => assert_eq!(found.as_deref(), Some(&value_of(number)[..])),
                Err(Error::Corrupt { .. }) => met += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(met > 0);
}

#[test]
fn readers_share_a_cache_that_is_too_small_for_them() {
    const COUNT: usize = 40_000;
    let (_db, files, image) = sample(COUNT);
    let cache_bytes = 100 * PAGE_BYTES as u64;
    let cold = read_only(Watched::new(&image), cache_bytes).expect("opens");
    let tree = cold.tree("files").expect("there");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (files, tree) = (&files, &tree);
            scope.spawn(move || {
                let mut random = Random::new(thread);
                for round in 0..1_500 {
                    let number = random.below(COUNT * 5 / 4);
                    let expected = (number < COUNT).then(|| value_of(number));
                    assert_eq!(tree.get(key_of(number)).expect("reads").as_deref(), expected.as_deref());
                    if round % 300 == 0 {
                        let prefix = format!("tenant-{:02}/", random.below(97));
                        let all = |tree: &Tree| {
                            tree.scan(&prefix).map(|pair| pair.expect("reads")).collect::<Vec<_>>()
                        };
                        assert!(all(tree) == all(files), "{prefix}");
                    }
                }
            });
        }
    });
    let stats = cold.stats();
    // The router, and a blob for each thread.
    assert!(stats.resident_pages <= 100 + 5 * 128, "{stats:?}");
}

/// The pages of blobs that hold something.
fn used_pages(image: &[u8]) -> u64 {
    let pages = image[BLOB_BYTES..].chunks(PAGE_BYTES);
    pages.filter(|page| page.iter().any(|&byte| byte != 0)).count() as u64
}

#[test]
fn zeros_that_were_read_are_counted_once_somebody_writes_there() {
    const COUNT: usize = 20_000;
    let (_db, _files, image) = sample(COUNT);
    let backend = Arc::new(MemoryBackend::from_bytes(&image).expect("whole pages"));
    let db = Db::builder().open_backend(backend.clone()).expect("opens");
    let files = db.tree("files").expect("there");
    assert!(files.scan("").all(|entry| entry.is_ok()));
    let before = db.stats();
    assert_eq!(before.resident_pages, used_pages(&image));
    for number in 0..60 {
        files.put(format!("{}-new", key_of(number * 300)), [7; 300]).expect("puts");
    }
    db.checkpoint().expect("stores");
    let after = db.stats();
    assert_eq!(after.total_blobs, before.total_blobs, "a fresh blob counts whole");
    assert_eq!(after.resident_pages, used_pages(&backend.to_bytes(Area::Data)));
    assert!(after.resident_pages > before.resident_pages);
}

#[test]
fn a_cache_for_everything_comes_to_hold_whole_blobs() {
    const COUNT: usize = 20_000;
    let (_db, _files, image) = sample(COUNT);
    let backend = Watched::new(&image);
    let cold = read_only(backend.clone(), image.len() as u64).expect("opens");
    let tree = cold.tree("files").expect("there");
    let mut random = Random::new(11);
    for _ in 0..4_000 {
        let number = random.below(COUNT);
        assert!(tree.get(key_of(number)).expect("reads").is_some());
    }
    let stats = cold.stats();
    assert_eq!(stats.resident_pages, used_pages(&image), "all but the directory, and zeros take no memory");
    for number in 0..COUNT {
        assert!(tree.get(key_of(number)).expect("reads").is_some());
    }
    assert_eq!(cold.stats().reads, stats.reads, "nothing is missing");
    let all_pages = (image.len() / PAGE_BYTES) as u64;
    assert!(stats.pages_read * 2 < all_pages * 3, "{} pages were read", stats.pages_read);
    let blobs = u64::from(stats.total_blobs);
    assert!(stats.reads < 30 * blobs, "{} reads of {blobs} blobs", stats.reads);
}
