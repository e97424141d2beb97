//! The file backend on a real file system: the contract of all backends in each way of I/O, and the files.
//!
//! Invariants:
//! * what a test makes lies in a folder of its own, which is gone afterwards, even where the test fails.
//!
//! Must not know: how a way of I/O works.

// Not `forbid`: `children` confines its own process by system calls.
#![deny(unsafe_code)]

#[cfg(target_os = "linux")]
mod children;
mod locks;
mod rings;
mod speed;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::backend::{PAGE_BYTES, contract};

const PAGE: u64 = PAGE_BYTES as u64;

/// A folder that vanishes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        Folder::inside(&std::env::temp_dir())
    }

    fn inside(parent: &Path) -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("spinney-test-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        // A child of another user gets in, too.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        Folder(folder)
    }

    fn db(&self) -> PathBuf {
        self.0.join("x.spinney")
    }

    /// The names of all files, in order.
    fn names(&self) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(&self.0).unwrap().map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let result = fs::remove_dir_all(&self.0);
        assert!(result.is_ok() || std::thread::panicking(), "{result:?}");
    }
}

fn options(io: IoChoice) -> FileOptions {
    FileOptions { lock_wait: Duration::from_millis(20), io, ..FileOptions::default() }
}

fn auto() -> FileOptions {
    options(IoChoice::Auto)
}

fn reader() -> FileOptions {
    FileOptions { read_only: true, ..auto() }
}

fn open(path: &Path, options: &FileOptions) -> FileBackend {
    FileBackend::open(path, options).unwrap()
}

#[track_caller]
fn open_error(path: &Path, options: &FileOptions) -> (ErrorKind, String) {
    let error = FileBackend::open(path, options).map(drop).unwrap_err();
    (error.kind(), error.to_string())
}

fn keeps_the_contract(parent: &Path, io: IoChoice) {
    for demand in contract::demands() {
        let folder = Folder::inside(parent);
        demand(&open(&folder.db(), &options(io)));
    }
}

/// A page of one mark, written durably.
fn write_page(backend: &FileBackend, area: Area, offset_bytes: u64, mark: u8) -> io::Result<()> {
    let mut lease = backend.buffers().lease().unwrap();
    let buf = &mut lease[..PAGE_BYTES];
    buf.fill(mark);
    backend.write_durable(WriteOp { area, offset_bytes, buf })
}

/// The first byte of a page.
fn read_page(backend: &FileBackend, area: Area, offset_bytes: u64) -> io::Result<u8> {
    let mut lease = backend.buffers().lease().unwrap();
    let buf = &mut lease[..PAGE_BYTES];
    backend.read(&mut [ReadOp { area, offset_bytes, buf }])?;
    Ok(lease[0])
}

#[test]
fn the_contract_is_kept_by_default() {
    keeps_the_contract(&std::env::temp_dir(), IoChoice::Auto);
}

#[test]
fn the_contract_is_kept_by_plain_calls() {
    keeps_the_contract(&std::env::temp_dir(), IoChoice::Plain);
}

#[test]
fn the_contract_is_kept_through_the_page_cache() {
    keeps_the_contract(&std::env::temp_dir(), IoChoice::Buffered);
}

#[test]
fn the_contract_is_kept_in_shared_memory() {
    // Another kind of file system than the others, if there is one.
    let shared = Path::new("/dev/shm");
    if shared.is_dir() {
        keeps_the_contract(shared, IoChoice::Auto);
    }
}

/// The page cache tells of a lost write once; around it every write has its own answer.
#[cfg(feature = "sim")]
#[test]
fn what_the_page_cache_may_have_lost_is_told_to_everybody() {
    for io in [IoChoice::Buffered, IoChoice::Auto] {
        for call in [FileCall::SyncData, FileCall::WriteThrough] {
            let folder = Folder::new();
            let backend = open(&folder.db(), &options(io));
            backend.set_len(Area::Log, 2 * PAGE).unwrap();
            backend.sync(Area::Log).unwrap();
            let faults = FileFaults::nth(call, 0, libc::EIO);
            let failed = match call {
                FileCall::SyncData => backend.sync(Area::Log),
                _ => write_page(&backend, Area::Log, 0, 1),
            };
            drop(faults);
            assert!(failed.is_err());
            let is_told = !backend.io_path().direct[Area::Log as usize].is_on();
            assert!(is_told || io == IoChoice::Auto);
            std::thread::scope(|scope| {
                let others = scope.spawn(|| write_page(&backend, Area::Log, PAGE, 2));
                assert_eq!(others.join().unwrap().is_err(), is_told);
            });
            assert_eq!(backend.sync(Area::Log).is_err(), is_told);
            // Another file.
            backend.sync(Area::Data).unwrap();
        }
    }
}

#[test]
fn what_lies_beside_a_file_that_was_replaced_is_left_alone() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    backend.set_len(Area::Data, PAGE).unwrap();
    backend.set_len(Area::Log, PAGE).unwrap();
    fs::copy(folder.db(), folder.0.join("copy")).unwrap();
    fs::rename(folder.0.join("copy"), folder.db()).unwrap();
    let error = backend.remove_side_files().unwrap_err();
    assert!(error.to_string().contains("deleted or replaced"), "{error}");
    fs::remove_file(folder.db()).unwrap();
    assert!(backend.remove_side_files().is_err());
    assert_eq!(folder.names(), ["x.spinney-log"]);
}

#[test]
fn the_way_of_io_is_reported() {
    let folder = Folder::new();
    let path_of = |io| {
        let backend = open(&folder.db(), &options(io));
        backend.set_len(Area::Data, PAGE).unwrap();
        write_page(&backend, Area::Data, 0, 1).unwrap();
        backend.io_path()
    };
    let off = (IoUse::NotChosen, IoUse::NotChosen);
    let buffered = path_of(IoChoice::Buffered);
    assert_eq!((buffered.io_uring, buffered.registered_buffers), off);
    assert_eq!(buffered.direct, [IoUse::NotChosen, IoUse::Unused, IoUse::Unused]);
    let plain = path_of(IoChoice::Plain);
    assert_eq!((plain.io_uring, plain.registered_buffers), off);
    let auto = path_of(IoChoice::Auto);
    let is_built = cfg!(all(target_os = "linux", feature = "io-uring", target_arch = "x86_64"));
    assert_eq!(auto.io_uring == IoUse::NotBuilt, !is_built, "{auto}");
    assert_eq!(auto.mapped_ring, IoUse::Unused);
    assert_eq!(auto.direct, plain.direct);
    assert_ne!(auto.write_through, IoUse::Unused);
    // Tells whoever reads the output on what the other tests ran.
    println!("{}: {auto}", folder.0.display());
}

#[test]
fn side_files_come_late_and_go() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    assert_eq!(folder.names(), ["x.spinney"]);
    backend.set_len(Area::Log, 0).unwrap();
    backend.sync(Area::Log).unwrap();
    assert_eq!((folder.names().len(), backend.len(Area::Log).unwrap()), (1, 0));

    backend.set_len(Area::Data, PAGE).unwrap();
    for area in [Area::Log, Area::Journal] {
        backend.set_len(area, 3 * PAGE).unwrap();
        backend.write_zeros(area, 0, 3 * PAGE).unwrap();
        write_page(&backend, area, PAGE, 4).unwrap();
        backend.sync(area).unwrap();
    }
    let ring = backend.ring(true).unwrap();
    backend.sync_directory().unwrap();
    let mut names = vec!["x.spinney", "x.spinney-journal", "x.spinney-log"];
    if ring.outlives_process() {
        names.push("x.spinney-ring");
    }
    assert_eq!(folder.names(), names);

    backend.remove_side_files().unwrap();
    assert_eq!(folder.names(), ["x.spinney"]);
    assert_eq!(Area::ALL.map(|area| backend.len(area).unwrap()), [PAGE, 0, 0]);
    assert_eq!(read_page(&backend, Area::Log, 0).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    backend.remove_side_files().unwrap();
    // Made again, they are new.
    backend.set_len(Area::Log, 3 * PAGE).unwrap();
    assert_eq!(read_page(&backend, Area::Log, PAGE).unwrap(), 0);
    backend.remove_side_files().unwrap();
    // Whoever still holds a ring may go on with it.
    assert_eq!(ring.words()[7].load(Ordering::Relaxed), 0);
}

#[test]
fn areas_are_found_again() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    for (area, mark) in Area::ALL.into_iter().zip(1..) {
        backend.set_len(area, 2 * PAGE).unwrap();
        write_page(&backend, area, PAGE, mark).unwrap();
    }
    drop(backend);
    for options in [auto(), reader()] {
        let backend = open(&folder.db(), &options);
        for (area, mark) in Area::ALL.into_iter().zip(1..) {
            assert_eq!(backend.len(area).unwrap(), 2 * PAGE);
            assert_eq!(read_page(&backend, area, PAGE).unwrap(), mark);
        }
    }
}

#[test]
fn written_zeros_take_their_space() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    backend.set_len(Area::Log, 256 * PAGE).unwrap();
    let log = side_path(&folder.db(), Area::Log);
    let taken_bytes = || fs::metadata(&log).unwrap().blocks() * 512;
    assert!(taken_bytes() < 256 * PAGE);
    backend.write_zeros(Area::Log, 0, 256 * PAGE).unwrap();
    backend.sync(Area::Log).unwrap();
    assert!(taken_bytes() >= 256 * PAGE, "{}", taken_bytes());
}

#[test]
fn a_torn_file_ends_before_its_torn_page() {
    let folder = Folder::new();
    fs::write(folder.db(), vec![1; 2 * PAGE_BYTES - 100]).unwrap();
    let backend = open(&folder.db(), &auto());
    assert_eq!(backend.len(Area::Data).unwrap(), 2 * PAGE - 100);
    assert_eq!(read_page(&backend, Area::Data, 0).unwrap(), 1);
    assert_eq!(read_page(&backend, Area::Data, PAGE).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_file_cut_off_by_another_is_an_error() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    backend.set_len(Area::Data, 64 * PAGE).unwrap();
    fs::OpenOptions::new().write(true).open(folder.db()).unwrap().set_len(32 * PAGE).unwrap();
    // By one call, and in the middle of a batch.
    assert_eq!(read_page(&backend, Area::Data, 40 * PAGE).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let mut lease = backend.buffers().lease().unwrap();
    let op = |(buf, page)| ReadOp { area: Area::Data, offset_bytes: page * PAGE, buf };
    let mut batch: Vec<_> = lease.chunks_mut(PAGE_BYTES).zip(0..64).map(op).collect();
    assert_eq!(backend.read(&mut batch).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    // And the ring is fit for the next one.
    backend.read(&mut batch[..32]).unwrap();
}

#[test]
fn readers_change_nothing() {
    let folder = Folder::new();
    drop(open(&folder.db(), &auto()));
    let backend = open(&folder.db(), &reader());
    assert!(backend.is_read_only());
    let denied = [
        backend.set_len(Area::Data, PAGE),
        backend.set_len(Area::Log, PAGE),
        backend.write(&[]),
        write_page(&backend, Area::Data, 0, 1),
        backend.remove_side_files(),
    ];
    for result in denied {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
    backend.sync(Area::Data).unwrap();
    assert!(!backend.ring(true).unwrap().outlives_process());
    assert_eq!(folder.names(), ["x.spinney"]);
    assert_eq!(fs::metadata(folder.db()).unwrap().len(), 0);
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = Folder::new();
    let db = folder.db();
    let (kind, text) = open_error(&db, &FileOptions { create: false, ..auto() });
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(text.starts_with("cannot open ") && text.contains("x.spinney"), "{text}");
    assert_eq!(open_error(&db, &reader()).0, ErrorKind::NotFound);
    assert_eq!(open_error(&folder.0.join("none/x"), &auto()).0, ErrorKind::NotFound);
    assert!(folder.names().is_empty());

    for options in [auto(), reader()] {
        let (kind, text) = open_error(&folder.0, &options);
        assert_eq!(kind, ErrorKind::IsADirectory);
        assert!(text.ends_with("is a directory, not a file"), "{text}");
        assert_eq!(open_error(Path::new("/dev/null"), &options).0, ErrorKind::InvalidInput);
    }
    // A folder where the log should be.
    drop(open(&db, &auto()));
    fs::create_dir(side_path(&db, Area::Log)).unwrap();
    assert_eq!(open_error(&db, &auto()).0, ErrorKind::IsADirectory);
    assert_eq!(open_error(&db, &reader()).0, ErrorKind::IsADirectory);
}

#[test]
fn links_lead_to_one_database() {
    let folder = Folder::new();
    let link = folder.0.join("link");
    std::os::unix::fs::symlink("x.spinney", &link).unwrap();
    let backend = open(&link, &auto());
    backend.set_len(Area::Log, PAGE).unwrap();
    assert_eq!(folder.names(), ["link", "x.spinney", "x.spinney-log"]);
    assert_eq!(open_error(&folder.db(), &auto()).0, ErrorKind::WouldBlock);
}

#[test]
fn side_files_are_as_private_as_the_data() {
    let folder = Folder::new();
    fs::write(folder.db(), []).unwrap();
    fs::set_permissions(folder.db(), fs::Permissions::from_mode(0o600)).unwrap();
    let backend = open(&folder.db(), &auto());
    backend.set_len(Area::Log, PAGE).unwrap();
    backend.ring(true).unwrap();
    for name in folder.names() {
        let mode = fs::metadata(folder.0.join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn debug_shows_the_path_and_lengths() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    backend.set_len(Area::Log, PAGE).unwrap();
    let text = format!("{backend:?}");
    assert!(text.contains("x.spinney") && text.contains("Log: 4096, Journal: 0"), "{text}");
}
