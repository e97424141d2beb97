//! Databases that fault their pages in, against the same in memory: reads, writes, structure changes,
//! eviction under readers. Blobs hold few keys here, so that there are many of them.

#![forbid(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::backend::{Area, Backend, BlobBufPool, MemoryBackend, ReadOp, WriteOp};
use crate::db::Db;
use crate::forest::Shape;
use crate::open::Open;
use crate::tests::{Model, Random, TINY, assert_same, step};
use crate::tree::Tree;

/// Bytes of pages.
const fn pages(count: u64) -> u64 {
    count * 4096
}

fn image_of(seed: u64, operations: usize) -> (Vec<u8>, Model) {
    let db = Db::with_shape(TINY);
    let tree = db.tree("t").expect("made");
    let (mut model, mut random) = (Model::new(), Random(seed));
    for number in 1..=operations {
        step(&tree, &mut model, &mut random, number, 2);
    }
    (db.image().expect("writes"), model)
}

fn backend(image: &[u8]) -> Arc<dyn Backend> {
    Arc::new(MemoryBackend::from_bytes(image).expect("whole pages"))
}

fn read_only(backend: Arc<dyn Backend>, cache_bytes: u64) -> crate::Result<Db> {
    Db::builder().read_only(true).cache_bytes(cache_bytes).open_backend(backend)
}

#[test]
fn a_cold_database_says_what_the_one_in_memory_says() {
    let (seeds, operations) = if cfg!(miri) { (1, 40) } else { (2, 1_200) };
    for seed in 0..seeds {
        let (image, model) = image_of(seed, operations);
        for budget in [0, 40, 80, 1 << 20] {
            let db = read_only(backend(&image), pages(budget)).expect("sound");
            let tree = db.tree("t").expect("there");
            for (key, value) in &model {
                assert_eq!(tree.get(key).expect("sound").as_deref(), Some(&value[..]));
            }
            assert_same(&db, &tree, &model, &mut Random(seed));
            assert!(db.image().expect("writes") == image, "an image of the same bytes");
            let (stats, survey) = (db.stats(), db.survey().expect("sound"));
            assert_eq!(survey.keys, model.len() as u64);
            assert!(stats.resident_pages <= budget + 12 * 128, "{stats:?}");
            assert_eq!(stats.evictions > 0, budget < 1 << 20, "{stats:?}");
        }
    }
}

/// A disk that says that it is somewhere else.
struct Far(MemoryBackend);

impl Backend for Far {
    fn len(&self, area: Area) -> io::Result<u64> {
        self.0.len(area)
    }

    fn set_len(&self, _area: Area, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        self.0.read(batch)
    }

    fn write(&self, _batch: &[WriteOp<'_>]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self, _area: Area) -> io::Result<()> {
        Ok(())
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn buffers(&self) -> &BlobBufPool {
        self.0.buffers()
    }
}

/// The same where every read is a trip: through routers above routers, looking ahead, with whatever cache.
#[test]
fn a_remote_database_says_what_the_one_in_memory_says() {
    let (seeds, operations) = if cfg!(miri) { (1, 40) } else { (2, 1_200) };
    for seed in 0..seeds {
        let (image, model) = image_of(seed, operations);
        for budget in [0, 40, 400, 1 << 20] {
            let far = Arc::new(Far(MemoryBackend::from_bytes(&image).expect("whole pages")));
            let db = Db::builder().cache_bytes(pages(budget)).open_backend(far).expect("sound");
            let tree = db.tree("t").expect("there");
            for (key, value) in &model {
                assert_eq!(tree.get(key).expect("sound").as_deref(), Some(&value[..]));
            }
            assert_eq!(tree.count("").expect("sound"), model.len() as u64);
            assert_same(&db, &tree, &model, &mut Random(seed));
            assert!(matches!(tree.put("a", "b"), Err(crate::Error::ReadOnly)));
        }
    }
}

/// Blobs fall free and come again at each read: it fails once, as behind the end of a file that was packed,
/// and the next time they are there.
struct Moving {
    memory: MemoryBackend,
    open: OnceLock<Weak<Open>>,
    /// The blobs that are gone at this moment, and what the directory has said of them.
    gone: Mutex<Vec<(u32, u64)>>,
    failures: AtomicU32,
}

impl Backend for Moving {
    fn len(&self, area: Area) -> io::Result<u64> {
        self.memory.len(area)
    }

    fn set_len(&self, _area: Area, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        if let Some(open) = self.open.get().and_then(Weak::upgrade)
            && let Some(residency) = &open.forest.store.residency
        {
            let mut gone = self.gone.lock().expect("nobody panics with it");
            if gone.is_empty() {
                for op in &*batch {
                    let id = (op.offset_bytes / crate::backend::BLOB_BYTES as u64) as u32;
                    gone.push((id, residency.directory.get(id)));
                    residency.directory.set(id, !residency.directory.get(id));
                }
                self.failures.fetch_add(1, Relaxed);
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            gone.drain(..).rev().for_each(|(id, word)| residency.directory.set(id, word));
        }
        self.memory.read(batch)
    }

    fn write(&self, _batch: &[WriteOp<'_>]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self, _area: Area) -> io::Result<()> {
        Ok(())
    }

    fn buffers(&self) -> &BlobBufPool {
        self.memory.buffers()
    }
}

/// A reader that was about to read a blob, while that fell free and the file got shorter, finds another way.
#[test]
fn a_blob_that_is_gone_before_it_is_read_is_no_failure_of_the_disk() {
    let (image, model) = image_of(3, if cfg!(miri) { 40 } else { 400 });
    let memory = MemoryBackend::from_bytes(&image).expect("whole pages");
    let (open, gone, failures) = (OnceLock::new(), Mutex::default(), AtomicU32::new(0));
    let moving = Arc::new(Moving { memory, open, gone, failures });
    let db = read_only(moving.clone(), pages(400)).expect("sound");
    let tree = db.tree("t").expect("there");
    moving.open.set(Arc::downgrade(db.open_handle())).expect("once");
    for (key, value) in &model {
        assert_eq!(tree.get(key).expect("sound").as_deref(), Some(&value[..]));
    }
    assert!(moving.failures.load(Relaxed) > 0);
}

/// A batch of which one page is damaged brings in the others: they are there, and must be counted.
#[test]
fn what_comes_beside_a_damaged_page_is_counted() {
    let (image, model) = image_of(7, if cfg!(miri) { 40 } else { 1_200 });
    let keys: Vec<&Vec<u8>> = model.keys().collect();
    let mut damaged = 0;
    let is_used = |page: &usize| image[page * 4096..][..4096].iter().any(|byte| *byte != 0);
    let used: Vec<usize> = (130..image.len() / 4096).filter(is_used).collect();
    for page in used.into_iter().step_by(if cfg!(miri) { 500 } else { 5 }) {
        let mut image = image.clone();
        image[page * 4096 + 77] ^= 1;
        let db = read_only(backend(&image), u64::MAX).expect("the directory is sound");
        // The names of trees may be what is damaged.
        let Ok(tree) = db.tree("t") else { continue };
        for _ in 0..3 {
            damaged += u32::from(tree.get_many(&keys).is_err());
        }
        let store = &db.forest().store;
        let frames = (0..store.frames.limit()).map_while(|id| store.frames.get(id));
        let present: u64 = frames.map(|frame| u64::from(frame.counted(frame.present()).count_ones())).sum();
        assert_eq!(db.stats().resident_pages, present, "page {page}");
    }
    assert!(damaged > 0, "no page was met");
}

/// Writers, cuts, shares and joins beside eviction. What they change stays in memory: nobody writes it back.
#[test]
fn a_cold_database_can_be_written() {
    let (seeds, operations) = if cfg!(miri) { (1, 40) } else { (3, 1_500) };
    for seed in 0..seeds {
        let (image, mut model) = image_of(seed, operations);
        let budget = pages([0, 300, 1 << 20][seed as usize % 3]);
        let db = Db::open_cold_for_tests(backend(&image), budget, TINY).expect("sound");
        let tree = db.tree("t").expect("there");
        let mut random = Random(seed + 100);
        for number in 1..=operations {
            let removing = if number * 2 > operations { 8 } else { 2 };
            step(&tree, &mut model, &mut random, number, removing);
            if number % (operations / 8).max(1) == 0 {
                assert_same(&db, &tree, &model, &mut random);
            }
        }
        let copy = Db::from_image(db.image().expect("writes")).expect("sound");
        assert_same(&copy, &copy.tree("t").expect("there"), &model, &mut random);
        for key in model.keys() {
            tree.remove(key).expect("sound");
        }
        assert_same(&db, &tree, &Model::new(), &mut random);
    }
}

fn value_of(key: usize) -> Vec<u8> {
    vec![(key % 251) as u8; 20 + key % 90]
}

fn key_of(key: usize) -> String {
    format!("bucket-{:02}/{:03}/object-{key:06}.bin", key % 7, key / 7 % 100)
}

/// One reader: lookups, and a scan now and then.
fn read_some(tree: &Tree, count: usize, seed: u64, rounds: usize) {
    let mut random = Random(seed);
    for round in 0..rounds {
        let key = random.below(count * 5 / 4);
        let expected = (key < count).then(|| value_of(key));
        let found = tree.get(key_of(key)).expect("sound");
        assert_eq!(found.as_deref(), expected.as_deref(), "{key}");
        if round % 50 == 0 {
            let prefix = format!("bucket-{:02}/{:03}/", key % 7, key / 7 % 100);
            let expected = (0..count).filter(|&other| key_of(other).starts_with(&prefix)).count();
            let scan = tree.scan(&prefix);
            let found = if round % 100 == 0 { scan.count() } else { scan.rev().count() };
            assert_eq!(found, expected, "{prefix}");
        }
    }
}

#[test]
fn readers_agree_while_pages_leave_under_them() {
    let shape = Shape { range_words: if cfg!(miri) { 300 } else { 8_000 }, router_children: 8 };
    let (count, rounds) = if cfg!(miri) { (30, 4) } else { (8_000, 600) };
    let db = Db::with_shape(shape);
    let tree = db.tree("t").expect("made");
    for key in 0..count {
        tree.put(key_of(key), value_of(key)).expect("writes");
    }
    let image = db.image().expect("writes");
    for budget in [20, 300, 3_000] {
        let db = read_only(backend(&image), pages(budget)).expect("sound");
        let tree = db.tree("t").expect("there");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let tree = &tree;
                scope.spawn(move || read_some(tree, count, thread, rounds));
            }
            scope.spawn(|| assert!(db.check().expect("sound").is_clean()));
        });
        assert!(db.check().expect("sound").is_clean());
    }
}

/// Four threads write and read; structure changes meet evictions.
#[test]
fn writers_and_readers_share_a_small_cache() {
    let shape = Shape { range_words: if cfg!(miri) { 300 } else { 4_000 }, router_children: 8 };
    let count = if cfg!(miri) { 24 } else { 4_000 };
    let db = Db::with_shape(shape);
    let tree = db.tree("t").expect("made");
    for key in 0..count {
        tree.put(key_of(key), value_of(key)).expect("writes");
    }
    let image = db.image().expect("writes");
    let db = Db::open_cold_for_tests(backend(&image), pages(100), shape).expect("sound");
    let tree = db.tree("t").expect("there");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let tree = &tree;
            scope.spawn(move || {
                for key in (0..count).filter(|key| key % 4 == thread) {
                    match key % 3 {
                        0 => assert!(tree.remove(key_of(key)).expect("writes").is_some()),
                        1 => assert!(tree.put(key_of(key), value_of(key + 1)).expect("writes").number() > 0),
                        _ => assert_eq!(
                            tree.get(key_of(key)).expect("reads").as_deref(),
                            Some(&value_of(key)[..])
                        ),
                    }
                }
            });
        }
    });
    for key in 0..count {
        let expected = [None, Some(value_of(key + 1)), Some(value_of(key))][key % 3].clone();
        assert_eq!(tree.get(key_of(key)).expect("reads").as_deref(), expected.as_deref());
    }
    assert_eq!(db.check().expect("sound").problems, vec![]);
}

#[test]
fn what_is_no_database_is_refused() {
    let (image, _) = image_of(1, 50);
    assert!(read_only(backend(&image[..image.len() - 512 * 1024]), 0).is_err());
    let empty: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    assert_eq!(empty.len(Area::Data).expect("known"), 0);
    assert!(read_only(empty, 0).is_err());
}

/// Enough for some blobs: too many for Miri.
#[cfg(not(miri))]
const SURVEYED_KEYS: usize = 30_000;

/// A database of some blobs, none of them in memory but the root.
#[cfg(not(miri))]
fn all_cold() -> (Db, Arc<MemoryBackend>) {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).expect("new");
    let tree = db.tree("files").expect("new");
    tree.load("", (0..SURVEYED_KEYS).map(|number| (format!("{number:06}"), [7; 60]))).expect("sorted");
    drop(tree);
    db.close().expect("stored");
    (Db::builder().open_backend(backend.clone()).expect("sound"), backend)
}

/// Of ids that were listed while they were in use, and are not any more.
#[cfg(not(miri))]
#[test]
fn blobs_that_fell_free_meanwhile_are_left_out() {
    let (db, backend) = all_cold();
    let store = &db.forest().store;
    let stored: Vec<u32> = (1..store.ids.end()).filter(|&id| store.is_stored(id)).collect();
    let survey = |ids: &[u32]| {
        let mut keys = 0;
        store.survey(ids, |_, counts| keys += u64::from(counts.keys)).map(|()| keys)
    };
    let all = survey(&stored).expect("sound");
    assert!(all >= SURVEYED_KEYS as u64 && stored.len() > 3, "{all} keys in {stored:?}");
    let (gone, rest) = stored.split_last().expect("some");
    let directory = &store.residency.as_ref().expect("cold").directory;
    let word = directory.get(*gone);
    directory.set(*gone, 0);
    let left = survey(rest).expect("sound");
    assert_eq!(survey(&stored).expect("the last one has fallen free"), left);
    // And the end of the file has been given back.
    backend.set_len(Area::Data, u64::from(*gone) * (512 << 10)).expect("in memory");
    assert_eq!(survey(&stored).expect("nobody reads there"), left);
    directory.set(*gone, word);
    assert!(matches!(survey(&stored), Err(crate::Error::Io(_))), "what is in use and gone is an error");
}
