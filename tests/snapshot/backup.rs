//! Backups: complete, of one moment, and either there or not.

#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, thread};

use spinney::{Db, Error};

use crate::common::Random;
use crate::folder::Folder;
use crate::random::{open, write};
use crate::{Model, assert_database};

/// What a writer beside a backup waits for.
const NOT_YET: u32 = 0;
const GO: u32 = 1;
const STOP: u32 = 2;

fn filled(folder: &Folder, cache_bytes: u64) -> (Db, Model) {
    let (mut model, mut random) = (Model::new(), Random::new(1));
    let db = open(folder, cache_bytes);
    for _ in 0..20_000 {
        write(&db, &mut model, &mut random);
    }
    (db, model)
}

#[test]
fn a_backup_beside_writers_is_what_there_was_when_it_began() {
    let folder = Folder::new("backup-writers");
    let (db, model) = filled(&folder, 1 << 20);
    let (phase, written_later) = (AtomicU32::new(NOT_YET), AtomicU32::new(0));
    let (mut told, path) = (Vec::new(), folder.path("copy.spinney"));
    let later = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut later, mut random) = (model.clone(), Random::new(2));
            while phase.load(Ordering::Acquire) != STOP {
                if phase.load(Ordering::Acquire) == GO {
                    write(&db, &mut later, &mut random);
                    written_later.fetch_add(1, Ordering::Release);
                }
            }
            later
        });
        let backup = db.backup().on_progress(|done_bytes, total_bytes| {
            // The cut is made now, and nothing was written since `model`.
            phase.store(GO, Ordering::Release);
            // On a busy machine the writer may not get to run in any fixed time.
            told.push((done_bytes, total_bytes));
            while written_later.load(Ordering::Acquire) < 20 * told.len() as u32 {
                thread::yield_now();
            }
        });
        let written = backup.write_to(&path);
        phase.store(STOP, Ordering::Release);
        written.unwrap();
        writer.join().unwrap()
    });
    assert_ne!(later, model, "there was a writer");
    assert_database(&db, &later);
    let total_bytes = fs::metadata(&path).unwrap().len();
    assert!(told.is_sorted() && told.len() > 5);
    assert_eq!(told.last(), Some(&(total_bytes, total_bytes)));
    assert_eq!(db.stats().snapshots.open, 0);
    let copy = Db::builder().cache_bytes(1 << 20).open(&path).unwrap();
    assert_database(&copy, &model);
    copy.tree("files").unwrap().put("it", "can be written").unwrap();
    drop((db, copy));
    assert_eq!(folder.names(), ["copy.spinney", "x.spinney"]);
}

#[test]
fn a_backup_has_the_bytes_of_an_image() {
    let folder = Folder::new("backup-bytes");
    let (db, _) = filled(&folder, 8 << 20);
    db.backup_to(folder.path("copy.spinney")).unwrap();
    assert!(fs::read(folder.path("copy.spinney")).unwrap() == db.image().unwrap());
    let memory = Db::from_image(db.image().unwrap()).unwrap();
    memory.backup_to(folder.path("from-memory")).unwrap();
    assert!(fs::read(folder.path("from-memory")).unwrap() == db.image().unwrap());
}

#[test]
fn what_is_there_is_overwritten_only_if_allowed_and_never_if_it_is_open() {
    let folder = Folder::new("backup-exists");
    let (db, model) = filled(&folder, 64 << 20);
    let path = folder.path("copy.spinney");
    fs::write(&path, "something else").unwrap();
    assert!(matches!(db.backup_to(&path), Err(Error::BackupExists)));
    assert_eq!(fs::read(&path).unwrap(), b"something else");
    assert_eq!(Error::BackupExists.code(), "BackupExists");
    db.backup().overwrite(true).write_to(&path).unwrap();
    let copy = Db::open(&path).unwrap();
    for open in [&path, &folder.path("x.spinney")] {
        let refused = db.backup().overwrite(true).write_to(open);
        assert!(matches!(refused, Err(Error::Locked)), "{refused:?}");
    }
    assert_database(&copy, &model);
    // One that appears meanwhile stays, too.
    let late = folder.path("late");
    let appears = |_, _| fs::write(&late, "somebody's").unwrap();
    assert!(matches!(db.backup().on_progress(appears).write_to(&late), Err(Error::BackupExists)));
    assert_eq!(fs::read(&late).unwrap(), b"somebody's");
    drop((db, copy));
    assert_eq!(folder.names(), ["copy.spinney", "late", "x.spinney"]);
}

#[test]
fn a_rest_of_a_backup_that_crashed_is_written_over() {
    let folder = Folder::new("backup-rest");
    let (db, model) = filled(&folder, 64 << 20);
    fs::write(folder.path("copy.spinney.unfinished-backup"), vec![7; 99_000_000]).unwrap();
    db.backup_to(folder.path("copy.spinney")).unwrap();
    assert_database(&Db::open(folder.path("copy.spinney")).unwrap(), &model);
    drop(db);
    assert_eq!(folder.names(), ["copy.spinney", "x.spinney"]);
}

/// Whoever may not read a database may not read its copy, whatever was left at its place.
#[test]
fn a_backup_is_as_private_as_the_database() {
    let folder = Folder::new("backup-mode");
    let mode_of = |name: &str| fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777;
    let chmod = |name: &str, mode| {
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    Db::open(folder.path("x.spinney")).unwrap().close().unwrap();
    chmod("x.spinney", 0o600);
    let db = Db::open(folder.path("x.spinney")).unwrap();
    let during = AtomicU32::new(0);
    let look = |_, _| during.store(mode_of("a.unfinished-backup"), Ordering::Relaxed);
    db.backup().on_progress(look).write_to(folder.path("a")).unwrap();
    assert_eq!((mode_of("a"), during.load(Ordering::Relaxed)), (0o600, 0o600));
    db.snapshot().backup().write_to(folder.path("b")).unwrap();
    assert_eq!(mode_of("b"), 0o600, "of a snapshot");
    fs::write(folder.path("c.unfinished-backup"), b"the rest of one").unwrap();
    chmod("c.unfinished-backup", 0o644);
    db.backup_to(folder.path("c")).unwrap();
    assert_eq!(mode_of("c"), 0o600, "over the rest of one that crashed");
    chmod("c", 0o666);
    db.backup().overwrite(true).write_to(folder.path("c")).unwrap();
    assert_eq!(mode_of("c"), 0o600, "over one that everybody may read");
    let open = Db::memory();
    open.backup().overwrite(true).write_to(folder.path("b")).unwrap();
    assert_eq!(mode_of("b"), 0o600, "over one that is private");
    open.backup_to(folder.path("d")).unwrap();
    fs::write(folder.path("plain"), []).unwrap();
    assert_eq!(mode_of("d"), mode_of("plain"), "of memory: as of any new file");
}

/// The names that people give to backups are theirs.
#[test]
fn a_backup_touches_no_other_file() {
    let folder = Folder::new("backup-neighbours");
    let (db, model) = filled(&folder, 64 << 20);
    let neighbours = ["copy.spinney-backup", "copy.spinney.backup", "copy.spinney.bak", "copy.spinney~"];
    for name in neighbours {
        fs::write(folder.path(name), b"somebody's").unwrap();
    }
    db.backup_to(folder.path("copy.spinney")).unwrap();
    assert_database(&Db::open(folder.path("copy.spinney")).unwrap(), &model);
    for name in neighbours {
        assert_eq!(fs::read(folder.path(name)).unwrap(), b"somebody's", "{name}");
    }
}

#[test]
fn a_backup_that_fails_leaves_nothing_behind() {
    let folder = Folder::new("backup-fails");
    let (db, _) = filled(&folder, 64 << 20);
    let missing = db.backup_to(folder.path("no/such/folder/copy"));
    assert!(matches!(&missing, Err(Error::Io(error)) if error.kind() == ErrorKind::NotFound), "{missing:?}");
    // More is changed meanwhile than may be kept.
    let small = Db::builder().snapshot_bytes(20_000).open(folder.path("small.spinney")).unwrap();
    let mut random = Random::new(3);
    for _ in 0..20_000 {
        let memory = small.tree("files").unwrap().with_durability(spinney::Durability::Buffered);
        memory.put(crate::random::key(&mut random), [1; 90]).unwrap();
    }
    let change = |_, _| {
        for _ in 0..300 {
            let memory = small.tree("files").unwrap().with_durability(spinney::Durability::Buffered);
            memory.put(crate::random::key(&mut random), [2; 90]).unwrap();
        }
    };
    let failed = small.backup().on_progress(change).write_to(folder.path("copy"));
    assert!(matches!(failed, Err(Error::SnapshotTooOld)), "{failed:?}");
    drop((db, small));
    assert_eq!(folder.names(), ["small.spinney", "x.spinney"]);
}

/// A limit of the size of files stands for a full disk. It is that of a process, so this is run in a child.
#[test]
fn a_backup_that_finds_no_space_leaves_nothing_behind() {
    const CHILD: &str = "SPINNEY_BACKUP_WITHOUT_SPACE";
    if let Ok(path) = env::var(CHILD) {
        let db = Db::memory();
        let tree = db.tree("files").unwrap();
        for number in 0..40_000 {
            tree.put(format!("key {number}"), [1; 100]).unwrap();
        }
        let failed = db.backup_to(path);
        assert!(matches!(failed, Err(Error::Io(_))), "{failed:?}");
        return;
    }
    let folder = Folder::new("backup-space");
    let path = folder.path("copy.spinney");
    let name = "backup::a_backup_that_finds_no_space_leaves_nothing_behind";
    let script = format!("trap '' XFSZ; ulimit -f 1024; exec \"$0\" --exact {name}");
    let mut child = Command::new("sh");
    child.args(["-c", &script]).arg(env::current_exe().unwrap()).env(CHILD, &path);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}
