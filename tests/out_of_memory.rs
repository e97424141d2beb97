//! An allocator that refuses: of the requests for 128 KiB or more that opening, importing and checkpoints
//! make, each in its turn gets no memory, alone or with all that follow. That is an error that says so, and
//! nothing is lost: opening once more has every key.
//!
//! Smaller requests end the process, as everywhere in Rust; none of them depends on what a file claims
//! (`tests/memory.rs`). A binary of its own, because the allocator is that of the whole process.

#![cfg(all(unix, feature = "sim", not(miri)))]

#[path = "durable/folder.rs"]
mod folder;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use folder::Folder;
use spinney::backend::{Area, MemoryBackend};
use spinney::{Db, Durability, Error, Result};

/// What a blob has, and everything that grows with a file. Lists of what is in one blob are smaller.
const LARGE_BYTES: usize = 128 << 10;

/// How many large requests were made since this was 0, and which of them are refused.
static REQUESTS: AtomicUsize = AtomicUsize::new(0);
static FIRST_REFUSED: AtomicUsize = AtomicUsize::new(usize::MAX);
static FOR_GOOD: AtomicBool = AtomicBool::new(false);
/// The allocator is that of all threads: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

struct Refusing;

impl Refusing {
    fn refuses(bytes: usize) -> bool {
        if bytes < LARGE_BYTES {
            return false;
        }
        let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
        let first = FIRST_REFUSED.load(Ordering::Relaxed);
        number == first || number > first && FOR_GOOD.load(Ordering::Relaxed)
    }
}

// SAFETY: every call is handed on to the allocator of the system, or gets no memory, which is an answer that
// callers have to expect. Whatever memory there is comes from the system, and goes back to it.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Refusing::refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: what the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Refusing::refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: what the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        if Refusing::refuses(new_bytes) {
            return std::ptr::null_mut();
        }
        // SAFETY: what the caller promises.
        unsafe { System.realloc(memory, layout, new_bytes) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: what the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn contents(db: &Db) -> Model {
    db.tree("files")
        .unwrap()
        .scan("")
        .map(|entry| entry.map(|(key, value)| (key, value.to_vec())))
        .collect::<Result<_>>()
        .unwrap()
}

fn refuse(number: usize, for_good: bool) {
    FOR_GOOD.store(for_good, Ordering::Relaxed);
    FIRST_REFUSED.store(number, Ordering::Relaxed);
    REQUESTS.store(0, Ordering::Relaxed);
}

/// Whether any was refused.
fn refuse_no_more(number: usize) -> bool {
    FIRST_REFUSED.store(usize::MAX, Ordering::Relaxed);
    REQUESTS.load(Ordering::Relaxed) > number
}

/// Opens with each large request refused in its turn: an error that says so. `prepare` makes what is
/// opened anew each time; `again` opens what an attempt has left, with memory, and has to find `expected`.
fn refused_in_turn<P>(
    what: &str,
    prepare: impl Fn() -> P,
    open: impl Fn(&P) -> Result<Db>,
    again: impl Fn(&P) -> Db,
    expected: &Model,
) {
    let mut told = 0;
    for for_good in [false, true] {
        for number in 0.. {
            let place = prepare();
            refuse(number, for_good);
            let outcome = open(&place);
            let was_refused = refuse_no_more(number);
            match outcome {
                Ok(db) => {
                    assert!(!was_refused, "{what}: opened without request {number}");
                    assert_eq!(&contents(&db), expected, "{what}: with memory");
                }
                Err(Error::Io(error)) if was_refused && error.kind() == ErrorKind::OutOfMemory => told += 1,
                Err(error) => panic!("{what}: request {number}, for good: {for_good}: {error:?}"),
            }
            let db = again(&place);
            assert_eq!(&contents(&db), expected, "{what}: after request {number}, for good: {for_good}");
            assert!(db.check().unwrap().is_clean(), "{what}: after request {number}");
            if !was_refused {
                break;
            }
        }
    }
    println!("{what}: {told} refusals were told");
    assert!(told > 1, "{what}: nothing was refused");
}

/// Some blobs, of values in one piece and in parts.
fn fill(db: &Db) {
    let files = db.tree("files").unwrap();
    for number in 0..9_000 {
        files.put(format!("tenant-{}/object-{number}", number % 30), vec![number as u8; 120]).unwrap();
    }
    files.put("long", vec![5; 300_000]).unwrap();
}

/// And what only the log has: enough to split a blob, a batch in parts, a long value, a directory that moved.
fn write_on(db: &Db) {
    let files = db.tree("files").unwrap();
    for number in 0..3_000 {
        files.put(format!("tenant-3/later-{number}"), vec![number as u8; 200]).unwrap();
    }
    let mut batch = db.batch();
    for number in 0..40 {
        batch.put(&files, format!("batch/{number}"), vec![number as u8; 60_000]);
    }
    batch.commit().unwrap();
    files.put("longer", vec![6; 200_000]).unwrap();
    files.rename_prefix("tenant-4/", "moved/").unwrap();
}

/// What lies in one folder, in another.
fn copy_folder(from: &Folder, to: &Folder) {
    for name in to.names() {
        std::fs::remove_file(to.path(&name)).unwrap();
    }
    for name in from.names() {
        std::fs::copy(from.path(&name), to.path(&name)).unwrap();
    }
}

/// The files of a database whose process is killed after these calls, and what it had.
fn killed(name: &str, calls: impl FnOnce(&Db)) -> (Folder, Model) {
    let (folder, left) = (Folder::new(&format!("{name}-alive")), Folder::new(name));
    let db = Db::builder().durability(Durability::Buffered).open(folder.path("catalog.spinney")).unwrap();
    calls(&db);
    db.sync().unwrap();
    let model = contents(&db);
    copy_folder(&folder, &left);
    (left, model)
}

/// Opens a file that is made ready each time, for writing and then for reading alone.
fn openings_refused_in_turn(what: &str, prepare: impl Fn(), path: &Path, model: &Model) {
    for (read_only, what) in [(false, what.to_owned()), (true, format!("{what} to read"))] {
        // Nothing goes on in the background that an allocator could be asked by.
        let open = |_: &()| Db::builder().repeatable(1).read_only(read_only).open(path);
        refused_in_turn(&what, &prepare, open, |place| open(place).unwrap(), model);
    }
}

#[test]
fn importing_an_image_without_memory_is_an_error() {
    let _alone = ALONE.lock().unwrap();
    let db = Db::memory();
    fill(&db);
    let (image, model) = (db.image().unwrap(), contents(&db));
    drop(db);
    refused_in_turn(
        "an image",
        || (),
        |()| Db::from_image(&image),
        |()| Db::from_image(&image).unwrap(),
        &model,
    );
}

#[test]
fn opening_a_closed_file_without_memory_is_an_error() {
    let _alone = ALONE.lock().unwrap();
    let folder = Folder::new("out-of-memory-closed");
    let path = folder.path("catalog.spinney");
    let db = Db::open(&path).unwrap();
    fill(&db);
    let model = contents(&db);
    db.close().unwrap();
    openings_refused_in_turn("a closed file", || (), &path, &model);
}

#[test]
fn recovering_without_memory_is_an_error_and_costs_nothing() {
    let _alone = ALONE.lock().unwrap();
    let (left, model) = killed("out-of-memory-killed", |db| {
        fill(db);
        db.checkpoint().unwrap();
        write_on(db);
    });
    let work = Folder::new("out-of-memory-work");
    let path = work.path("catalog.spinney");
    openings_refused_in_turn("a killed database", || copy_folder(&left, &work), &path, &model);
}

#[test]
fn a_checkpoint_without_memory_is_an_error_and_the_next_one_has_everything() {
    let _alone = ALONE.lock().unwrap();
    let mut told = 0;
    for for_good in [false, true] {
        for number in 0.. {
            let backend = Arc::new(MemoryBackend::new());
            let db = Db::builder().repeatable(1).open_backend(backend.clone()).unwrap();
            fill(&db);
            db.checkpoint().unwrap();
            write_on(&db);
            let model = contents(&db);
            refuse(number, for_good);
            let outcome = db.checkpoint();
            let was_refused = refuse_no_more(number);
            match outcome {
                Ok(()) => assert!(!was_refused, "request {number} was made up for"),
                Err(Error::Io(error)) if error.kind() == ErrorKind::OutOfMemory => told += 1,
                Err(error) => panic!("request {number}, for good: {for_good}: {error:?}"),
            }
            // Nothing was changed since: closing stores what the checkpoint has not.
            db.close().unwrap();
            let db = Db::builder().repeatable(1).open_backend(backend).unwrap();
            assert_eq!(contents(&db), model, "request {number}, for good: {for_good}");
            assert!(db.check().unwrap().is_clean(), "request {number}, for good: {for_good}");
            if !was_refused {
                break;
            }
        }
    }
    println!("checkpoints: {told} refusals were told");
    assert!(told > 1, "nothing was refused");
}

#[test]
fn opening_a_backend_in_memory_without_more_of_it_is_an_error() {
    let _alone = ALONE.lock().unwrap();
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().repeatable(1).open_backend(backend.clone()).unwrap();
    fill(&db);
    let model = contents(&db);
    db.close().unwrap();
    let bytes = backend.to_bytes(Area::Data);
    refused_in_turn(
        "a backend in memory",
        || Arc::new(MemoryBackend::from_bytes(&bytes).unwrap()),
        |backend| Db::builder().repeatable(1).open_backend(backend.clone()),
        |backend| Db::builder().repeatable(1).open_backend(backend.clone()).unwrap(),
        &model,
    );
}
