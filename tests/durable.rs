//! A database that is closed, dropped, or killed and opened again is the one that it was.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

#[path = "durable/folder.rs"]
mod folder;
#[path = "durable/killed.rs"]
mod killed;
#[path = "durable/told.rs"]
mod told;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use folder::Folder;
use killed::copy;
use spinney::backend::{Area, Backend, FileBackend, FileOptions, IoChoice, MemoryBackend};
use spinney::{Db, Durability, Error, Options, Tree};
use told::{Call, Told};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(number: u64) -> Vec<u8> {
    format!("directory-{:02}/file-{:07}.txt", number * 7919 % 97, number).into_bytes()
}

fn value(number: u64, round: u64) -> Vec<u8> {
    format!("value {number} of round {round} ").repeat(1 + (number % 5) as usize).into_bytes()
}

/// Puts, overwrites and removes, in the tree and in the model.
fn write(tree: &Tree, model: &mut Model, numbers: std::ops::Range<u64>, round: u64) {
    for number in numbers {
        let (key, value) = (key(number), value(number, round));
        if (number + round) % 11 == 3 {
            assert_eq!(tree.remove(&key).unwrap().is_some(), model.remove(&key).is_some());
        } else {
            tree.put(&key, &value).unwrap();
            model.insert(key, value);
        }
    }
}

fn assert_same(tree: &Tree, model: &Model) {
    let found: Vec<_> = tree.scan("").map(|entry| entry.unwrap()).collect();
    assert_eq!(found.len(), model.len());
    for ((key, value), (expected_key, expected_value)) in found.iter().zip(model) {
        assert_eq!((key, &value[..]), (expected_key, &expected_value[..]));
    }
}

fn buffered() -> Options {
    Db::builder().durability(Durability::Buffered)
}

#[test]
fn a_database_that_is_dropped_by_somebody_elses_panic_is_closed() {
    let backend = Arc::new(MemoryBackend::new());
    let panicked = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let db = buffered().open_backend(backend.clone()).unwrap();
            db.tree("files").unwrap().put("a", "b").unwrap();
            panic!("not about the database");
        });
        thread.join().is_err()
    });
    assert!(panicked);
    // One that was not closed is refused.
    assert!(Db::from_image(backend.to_bytes(Area::Data)).is_ok());
    let db = Db::builder().open_backend(backend).unwrap();
    assert!(db.tree("files").unwrap().contains("a").unwrap());
}

/// Nobody knows what is stored then, so nothing more is: what was acknowledged is found by recovery.
#[test]
fn a_backend_that_panics_in_a_checkpoint_ends_the_writing() {
    for area in [Area::Journal, Area::Data] {
        let memory = Arc::new(MemoryBackend::new());
        let panics = Arc::new(AtomicBool::new(false));
        let next = panics.clone();
        let listener = move |call, of, _| {
            assert!(call != Call::Write || of != area || !next.swap(false, Relaxed), "told to");
            Ok(())
        };
        let backend = Told::new(memory.clone(), Box::new(listener));
        let mut model = Model::new();
        let db = Db::builder().open_backend(backend.clone()).unwrap();
        let tree = db.tree("files").unwrap();
        write(&tree, &mut model, 0..200, 0);
        db.checkpoint().unwrap();
        write(&tree, &mut model, 100..300, 1);
        panics.store(true, Relaxed);
        assert!(std::thread::scope(|scope| scope.spawn(|| db.checkpoint()).join().is_err()), "{area:?}");

        assert!(matches!(tree.put("later", "lost"), Err(Error::Poisoned { .. })), "{area:?}");
        assert!(matches!(db.checkpoint(), Err(Error::Poisoned { .. })), "{area:?}");
        assert_same(&tree, &model);
        drop((tree, db));
        let db = Db::builder().open_backend(memory).unwrap();
        assert_same(&db.tree("files").unwrap(), &model);
        assert!(db.check().unwrap().is_clean(), "{area:?}");
    }
}

/// Those who did not ask for durability hear of it, too.
#[test]
fn a_backend_that_panics_in_the_log_ends_the_writing() {
    let panics = Arc::new(AtomicBool::new(false));
    let next = panics.clone();
    let listener = move |call, of, _| {
        assert!(call != Call::Write || of != Area::Log || !next.swap(false, Relaxed), "told to");
        Ok(())
    };
    let backend = Told::new(Arc::new(MemoryBackend::new()), Box::new(listener));
    let db = Db::builder().open_backend(backend).unwrap();
    let tree = db.tree("files").unwrap();
    let buffered = tree.with_durability(Durability::Buffered);
    tree.put("before", "kept").unwrap();
    panics.store(true, Relaxed);
    assert!(std::thread::scope(|scope| scope.spawn(|| tree.put("a", "1")).join().is_err()));
    assert!(matches!(buffered.put("b", "2"), Err(Error::Poisoned { .. })));
    assert!(tree.contains("before").unwrap());
}

/// Whoever panics for a reason of his own may write on the way out: that is no panic of the log's.
#[test]
fn a_durable_write_while_another_panic_unwinds_ends_nothing() {
    struct PutWhenDropped(Tree);
    impl Drop for PutWhenDropped {
        fn drop(&mut self) {
            self.0.put("on the way out", "kept").unwrap();
        }
    }
    let memory = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(memory.clone()).unwrap();
    let tree = db.tree("files").unwrap();
    let last_words = PutWhenDropped(tree.clone());
    let thread = std::thread::spawn(move || {
        let _said = last_words;
        panic!("not about the database");
    });
    assert!(thread.join().is_err());
    tree.put("later", "kept").unwrap();
    tree.with_durability(Durability::Buffered).put("later still", "kept").unwrap();
    db.close().unwrap();
    let tree = Db::builder().open_backend(memory).unwrap().tree("files").unwrap();
    assert_eq!(tree.count("").unwrap(), 3);
}

/// To close again goes on where it has stopped, and does not say that all is well before it is.
#[test]
fn closing_that_has_failed_late_is_done_again() {
    let memory = Arc::new(MemoryBackend::new());
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let of_listener = left.clone();
    let listener = move |call, area, _| {
        let counts = match call {
            // The superblocks come last, and then the side files.
            Call::Write => area == Area::Data,
            Call::RemoveSideFiles => true,
            _ => false,
        };
        let fails = counts && of_listener.fetch_sub(1, Relaxed) == 0;
        if fails { Err(io::Error::other("told to")) } else { Ok(()) }
    };
    let backend = Told::new(memory.clone(), Box::new(listener));
    for failing in 0..2 {
        let db = Db::builder().open_backend(backend.clone()).unwrap();
        let tree = db.tree("files").unwrap();
        tree.put(format!("{failing}"), "kept").unwrap();
        db.checkpoint().unwrap();
        // The first superblock; the side files behind both.
        left.store(2 * failing, Relaxed);
        for attempt in 0..2 {
            assert_eq!(db.clone().close().is_ok(), attempt == 1, "{failing}: attempt {attempt}");
            assert!(matches!(tree.put("late", ""), Err(Error::Closed)));
        }
        assert!(left.load(Relaxed) > 2, "{failing}: the second attempt has written nothing");
        // A closed one is an image.
        let image = Db::from_image(memory.to_bytes(Area::Data)).unwrap();
        assert_eq!(image.tree("files").unwrap().scan("").count(), failing + 1);
    }
}

/// A checkpoint makes places in the log free: where the disk has none for another, it is waited for.
#[test]
fn a_log_that_cannot_grow_on_a_full_disk_goes_on_with_what_it_has() {
    let memory = Arc::new(MemoryBackend::new());
    let of_listener = memory.clone();
    let listener = move |call, area, _| match (call, area) {
        (Call::SetLen, Area::Log) if of_listener.len(Area::Log)? >= 8 << 20 => {
            Err(io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    };
    let options = Db::builder().durability(Durability::Buffered).log_bytes(64 << 20);
    let db = options.open_backend(Told::new(memory, Box::new(listener))).unwrap();
    let tree = db.tree("files").unwrap();
    for number in 0..800 {
        tree.put(format!("{}", number % 50), vec![number as u8; 40_000]).unwrap();
    }
    assert!(db.stats().checkpoints.count > 2);
    assert!((0..50).all(|number| tree.get(format!("{number}")).unwrap().unwrap()[0] == (750 + number) as u8));
    db.close().unwrap();
}

/// A process may have died between writing a superblock and syncing it: whoever goes on sees it, and the
/// power may still take it. The journal that could make up for that is not touched before it is durable.
#[test]
fn what_a_dead_process_has_left_is_made_durable_before_anything_is_written() {
    for was_closed in [false, true] {
        let memory = Arc::new(MemoryBackend::new());
        let db = Db::builder().open_backend(memory.clone()).unwrap();
        db.tree("files").unwrap().put("a", "b").unwrap();
        db.close().unwrap();
        if !was_closed {
            // The superblocks name a log now, and no checkpoint has begun.
            let db = Db::builder().open_backend(memory.clone()).unwrap();
            db.tree("files").unwrap().put("a", "c").unwrap();
            std::mem::forget(db);
        }
        let calls = Arc::new(Mutex::new(Vec::new()));
        let of_listener = calls.clone();
        let listener = move |call, area, _| {
            of_listener.lock().unwrap().push((call, area));
            Ok(())
        };
        let db = Db::builder().open_backend(Told::new(memory, Box::new(listener))).unwrap();
        db.tree("files").unwrap().put("c", "d").unwrap();
        let calls = calls.lock().unwrap().clone();
        let synced = calls.iter().position(|call| *call == (Call::Sync, Area::Data));
        let changes = |(call, area): &(Call, Area)| {
            *call == Call::RemoveSideFiles
                || matches!(call, Call::SetLen | Call::Write) && *area == Area::Journal
        };
        let changed = calls.iter().position(changes);
        assert!(changed.is_some() && synced < changed, "{was_closed}: {calls:?}");
    }
}

/// Nothing else that keeps it from growing is made up for, nor is there anything to free in a single place.
#[test]
fn why_a_log_cannot_grow_is_told() {
    for (kind, allowed_bytes) in [(io::ErrorKind::Other, 8 << 20), (io::ErrorKind::StorageFull, 4 << 20)] {
        let memory = Arc::new(MemoryBackend::new());
        let of_listener = memory.clone();
        let listener = move |call, area, _| match (call, area) {
            (Call::SetLen, Area::Log) if of_listener.len(Area::Log)? >= allowed_bytes => Err(kind.into()),
            _ => Ok(()),
        };
        let options = Db::builder().durability(Durability::Buffered).log_bytes(64 << 20);
        let db = options.open_backend(Told::new(memory, Box::new(listener))).unwrap();
        let tree = db.tree("files").unwrap();
        let failed = (0..800).find_map(|number| tree.put("a", vec![number as u8; 40_000]).err());
        assert!(matches!(failed, Some(Error::Io(error)) if error.kind() == kind), "{kind:?}");
    }
}

/// Blobs that came and went since the last checkpoint are no part of the next one.
#[test]
fn what_was_put_and_removed_is_not_stored() {
    let memory = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(memory.clone()).unwrap();
    let tree = db.tree("files").unwrap();
    tree.put("stays", "here").unwrap();
    db.checkpoint().unwrap();
    let before = db.stats().checkpoints.written_bytes;
    for number in 0..200 {
        tree.put(format!("goes/{number:03}"), vec![7; 50_000]).unwrap();
    }
    let blobs = db.stats().blobs();
    assert!(blobs > 20, "{blobs} blobs came");
    assert!(tree.remove_prefix("goes/").unwrap().is_some());
    db.checkpoint().unwrap();
    let written = db.stats().checkpoints.written_bytes - before;
    assert!(written < 3 << 20, "{written} bytes for a key");
    // Not closed: what the directory says of them is read again.
    std::mem::forget(db);
    let db = Db::builder().open_backend(memory).unwrap();
    assert_eq!(db.tree("files").unwrap().scan("").count(), 1);
    assert!(db.check().unwrap().is_clean());
    assert!(db.stats().blobs() < 8, "{} blobs are left", db.stats().blobs());
}

#[test]
fn what_was_closed_is_there_again_and_one_file_is_left() {
    let folder = Folder::new("closed");
    let path = folder.path("catalog.spinney");
    let mut model = Model::new();
    for round in 0..4 {
        let db = buffered().open(&path).unwrap();
        let tree = db.tree("files").unwrap();
        assert_same(&tree, &model);
        write(&tree, &mut model, round * 3000..round * 3000 + 8000, round);
        if round % 2 == 0 {
            db.checkpoint().unwrap();
            write(&tree, &mut model, 0..500, round + 10);
        }
        assert_same(&tree, &model);
        drop(tree);
        if round == 3 {
            drop(db)
        } else {
            db.close().unwrap()
        }
        assert_eq!(folder.names(), ["catalog.spinney"]);
    }
    let db = Db::builder().read_only(true).open(&path).unwrap();
    assert_same(&db.tree("files").unwrap(), &model);
    assert!(db.check().unwrap().is_clean());
}

#[test]
fn what_was_synced_survives_without_closing() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    let tree = db.tree("files").unwrap();
    let mut model = Model::new();
    for round in 0..6 {
        write(&tree, &mut model, round * 200..round * 200 + 700, round);
        if round % 2 == 1 {
            db.checkpoint().unwrap();
        }
        let killed = copy(&backend);
        let read_only = Db::builder().read_only(true).open_backend(killed.clone()).unwrap();
        assert_same(&read_only.tree("files").unwrap(), &model);
        for _ in 0..2 {
            let again = Db::builder().open_backend(killed.clone()).unwrap();
            assert_same(&again.tree("files").unwrap(), &model);
            assert!(again.check().unwrap().is_clean());
            again.tree("files").unwrap().put("new", "x").unwrap();
            again.tree("files").unwrap().remove("new").unwrap();
            let twice = copy(&killed);
            let third = Db::builder().open_backend(twice).unwrap();
            assert_same(&third.tree("files").unwrap(), &model);
            again.close().unwrap();
        }
    }
}

/// Filling up the last group of the log is no change.
#[test]
fn a_checkpoint_with_nothing_new_is_none() {
    let db = buffered().open_backend(Arc::new(MemoryBackend::new())).unwrap();
    db.tree("files").unwrap().put("a", "b").unwrap();
    db.checkpoint().unwrap();
    let checkpoints = db.stats().checkpoints.count;
    db.sync().unwrap();
    db.checkpoint().unwrap();
    assert_eq!(db.stats().checkpoints.count, checkpoints);
    db.tree("files").unwrap().put("a", "c").unwrap();
    db.checkpoint().unwrap();
    assert_eq!(db.stats().checkpoints.count, checkpoints + 1);
}

#[test]
fn a_checkpoint_of_a_database_that_nobody_has_written_to_makes_no_files() {
    let folder = Folder::new("asleep");
    let path = folder.path("catalog.spinney");
    let open = || Db::open(&path).unwrap();
    open().tree("files").unwrap().put("a", "b").unwrap();
    let before = std::fs::read(&path).unwrap();
    let db = open();
    db.checkpoint().unwrap();
    assert!(!folder.path("catalog.spinney-log").exists());
    assert!(db.tree("files").unwrap().contains("a").unwrap());
    drop(db);
    assert!(std::fs::read(&path).unwrap() == before, "the same bytes");
}

/// An old copy beside the files of later checkpoints is known by it.
#[test]
fn each_checkpoint_has_a_number_of_its_own() {
    let memory = Arc::new(MemoryBackend::new());
    let db = buffered().open_backend(memory.clone()).unwrap();
    let tree = db.tree("files").unwrap();
    let mut generation = 0;
    for number in 0..5 {
        tree.put("a", number.to_string()).unwrap();
        db.checkpoint().unwrap();
        let data = memory.to_bytes(Area::Data);
        let pages = [&data[..4096], &data[4096..8192]];
        assert_eq!(pages[0], pages[1]);
        let found = u64::from_le_bytes(pages[0][16..24].try_into().unwrap());
        assert!(number == 0 || found == generation + 1, "{found} after {generation}");
        generation = found;
    }
}

/// A changed page goes into the journal and to its place, and a new blob to its place.
#[test]
fn what_a_checkpoint_writes_is_counted() {
    let page = 4096;
    let db = buffered().open_backend(Arc::new(MemoryBackend::new())).unwrap();
    let tree = db.tree("files").unwrap();
    // So many new blobs at least.
    for (count, new_blobs) in [(1, 0), (100, 9), (1, 0), (50, 4)] {
        for number in 0..count {
            tree.put(format!("{new_blobs}/{number}"), vec![3; 50_000]).unwrap();
        }
        let before = db.stats().checkpoints;
        db.checkpoint().unwrap();
        let after = db.stats().checkpoints;
        let journaled_bytes = (after.journaled_pages - before.journaled_pages) * page;
        let written_bytes = after.written_bytes - before.written_bytes;
        assert!(journaled_bytes > 0 && written_bytes > 2 * journaled_bytes, "{before:?} {after:?}");
        // What tells of the pages in the journal is a page or two.
        let others_bytes = (written_bytes - 2 * journaled_bytes) / (512 << 10) * (512 << 10);
        let rest_bytes = written_bytes - 2 * journaled_bytes - others_bytes;
        assert!((page..=3 * page).contains(&rest_bytes), "{rest_bytes}: {before:?} {after:?}");
        assert!((new_blobs..=new_blobs + 8).contains(&(others_bytes >> 19)), "{before:?} {after:?}");
    }
}

/// The same writes and checkpoints give the same bytes, whatever carries them.
#[test]
fn equal_workloads_give_equal_data_areas_on_every_backend() {
    let run = |backend: Arc<dyn Backend>| {
        let options = buffered().database_id(7).cache_bytes(1 << 30);
        let db = options.open_backend(backend.clone()).unwrap();
        let tree = db.tree("files").unwrap();
        let mut model = Model::new();
        for round in 0..5 {
            write(&tree, &mut model, round * 20_000..round * 20_000 + 30_000, round);
            db.checkpoint().unwrap();
        }
        drop(tree);
        db.close().unwrap();
        let mut bytes = Vec::new();
        let mut buffer = backend.buffers().lease_blocking();
        let len = backend.len(Area::Data).unwrap();
        for offset_bytes in (0..len).step_by(buffer.len()) {
            let buf = &mut buffer[..];
            backend.read(&mut [spinney::backend::ReadOp { area: Area::Data, offset_bytes, buf }]).unwrap();
            bytes.extend_from_slice(&buffer);
        }
        bytes
    };
    let folder = Folder::new("identity");
    let file = |name: &str, io: IoChoice| {
        let options = FileOptions { create: true, io, ..FileOptions::default() };
        Arc::new(FileBackend::open(&folder.path(name), &options).unwrap())
    };
    let memory = run(Arc::new(MemoryBackend::new()));
    assert!(memory.len() > 3 << 20);
    for (name, io) in [("auto", IoChoice::Auto), ("plain", IoChoice::Plain), ("buffered", IoChoice::Buffered)]
    {
        let bytes = run(file(name, io));
        assert_eq!(bytes.len(), memory.len());
        let differs = bytes.iter().zip(&memory).position(|(one, other)| one != other);
        assert_eq!(differs.map(|at| (at / 524_288, at % 524_288)), None, "{name}: blob and byte");
    }
}

#[test]
fn a_second_writer_is_refused_until_the_first_has_closed() {
    let folder = Folder::new("locked");
    let path = folder.path("catalog.spinney");
    let db = Db::open(&path).unwrap();
    let impatient = || Db::builder().lock_wait(std::time::Duration::from_millis(20));
    assert!(matches!(impatient().open(&path), Err(Error::Locked)));
    assert!(matches!(impatient().read_only(true).open(&path), Err(Error::Locked)));
    let other_handle = db.clone();
    db.close().unwrap();
    assert_eq!(other_handle.stats().keys, 0);
    let readers: Vec<Db> = (0..3).map(|_| impatient().read_only(true).open(&path).unwrap()).collect();
    assert!(matches!(impatient().open(&path), Err(Error::Locked)));
    drop(readers);
    impatient().open(&path).unwrap();
}

#[test]
fn after_close_reads_go_on_and_writes_are_refused() {
    let db = Db::builder().open_backend(Arc::new(MemoryBackend::new())).unwrap();
    let tree = db.tree("files").unwrap();
    tree.put("a", "b").unwrap();
    db.close().unwrap();
    assert_eq!(tree.get("a").unwrap().as_deref(), Some(&b"b"[..]));
    assert!(matches!(tree.put("a", "c"), Err(Error::Closed)));
    assert!(matches!(tree.remove("a"), Err(Error::Closed)));
}

/// A log much smaller than what is written, and a cache much smaller than the data.
#[test]
fn checkpoints_come_by_themselves_and_data_may_exceed_the_cache() {
    let folder = Folder::new("small");
    let path = folder.path("catalog.spinney");
    let small = || buffered().log_bytes(8 << 20).cache_bytes(8 << 20);
    let mut model = Model::new();
    {
        let db = small().open(&path).unwrap();
        let tree = db.tree("files").unwrap();
        // By and by all over the tree, so that a blob serves many writes while it is there.
        for from in (0..200_000).step_by(20_000) {
            let mut ordered: Vec<u64> = (from..from + 20_000).collect();
            ordered.sort_by_key(|&number| key(number));
            for number in ordered {
                write(&tree, &mut model, number..number + 1, 1);
            }
        }
        let stats = db.stats();
        assert!(stats.resident_bytes() < 24 << 20 && stats.evictions > 0, "{stats:?}");
        assert_same(&tree, &model);
    }
    assert!(std::fs::metadata(&path).unwrap().len() > 24 << 20);
    let db = small().open(&path).unwrap();
    let tree = db.tree("files").unwrap();
    assert!(db.check().unwrap().is_clean());
    assert_same(&tree, &model);
}

#[test]
fn other_handles_leave_a_closed_file_alone() {
    let folder = Folder::new("closed-handles");
    let path = folder.path("catalog.spinney");
    let db = Db::open(&path).unwrap();
    let tree = db.tree("files").unwrap();
    tree.put("a", "1").unwrap();
    let other = db.clone();
    db.close().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(matches!(other.checkpoint(), Err(Error::Closed)));
    assert!(matches!(other.sync(), Err(Error::Closed) | Ok(())));
    assert!(matches!(tree.put("b", "2"), Err(Error::Closed)));
    other.close().unwrap();
    assert_eq!(folder.names(), ["catalog.spinney"]);
    assert!(std::fs::read(&path).unwrap() == bytes, "the file has changed");
    let db = Db::open(&path).unwrap();
    assert_eq!(db.tree("files").unwrap().get("a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_database_made_from_an_image_may_grow_and_be_killed() {
    let small = Db::memory();
    small.tree("files").unwrap().put("a", "1").unwrap();
    let backend = Arc::new(MemoryBackend::from_bytes(&small.image().unwrap()).unwrap());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    db.tree("files").unwrap().put("b", "2").unwrap();
    let killed = copy(&backend);
    // As far as a checkpoint comes before it is committed.
    killed.set_len(Area::Data, killed.len(Area::Data).unwrap() + (4 << 20)).unwrap();
    let again = Db::builder().open_backend(killed).unwrap();
    assert_eq!(again.tree("files").unwrap().get("b").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn the_bytes_of_a_database_that_was_not_closed_are_no_image() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    db.tree("files").unwrap().put("a", "1").unwrap();
    db.checkpoint().unwrap();
    let opened = Db::from_image(backend.to_bytes(Area::Data));
    assert!(matches!(opened, Err(Error::SideFile { file: "log" })), "{:?}", opened.err());
    assert!(Db::from_image(db.image().unwrap()).is_ok());
}

#[test]
fn a_log_that_is_half_full_brings_a_checkpoint() {
    let backend = Arc::new(MemoryBackend::new());
    let db = buffered().log_bytes(32 << 20).open_backend(backend).unwrap();
    let tree = db.tree("files").unwrap();
    // The same few pages again and again: only the log grows.
    let mut written = 0;
    let start = std::time::Instant::now();
    while db.stats().checkpoints.count == 0 {
        tree.put("a", vec![7; 60_000]).unwrap();
        written += 60_000_u64;
        assert!(start.elapsed().as_secs() < 60, "no checkpoint after {written} bytes");
    }
    let log = db.stats().log;
    assert!(log.segments < log.segments_max, "{log:?}: the log was full before");
}
