//! Files that are not what they should be: another's, cut off, of a later version, forbidden, missing,
//! restored beside the log of a later life. Each has its own error, and none of them is changed by trying.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

#[path = "durable/folder.rs"]
mod folder;

use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use folder::Folder;
use spinney::backend::{BLOB_BYTES, PAGE_BYTES};
use spinney::{Db, Error, Options};

const SUFFIXES: [&str; 4] = ["", "-log", "-journal", "-ring"];

fn side(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn put(db: &Db, from: u64, to: u64) {
    let tree = db.tree("files").unwrap();
    for number in from..to {
        tree.put(format!("key {number:03}"), format!("value {number}")).unwrap();
    }
}

/// How many of the keys that `put` writes are there, from the first on.
fn keys(db: &Db) -> u64 {
    let tree = db.tree("files").unwrap();
    let mut count = 0;
    for entry in tree.scan("") {
        let (key, value) = entry.unwrap();
        assert_eq!(key, format!("key {count:03}").into_bytes());
        assert_eq!(&*value, format!("value {count}").as_bytes());
        count += 1;
    }
    assert!(db.check().unwrap().is_clean());
    count
}

/// The files of a database, as a process leaves them that is killed after 20 writes: 10 of them stored by a
/// checkpoint, the others in the log.
fn not_closed(folder: &Folder, name: &str) -> PathBuf {
    let open = folder.path(&format!("{name}-open"));
    let db = Db::open(&open).unwrap();
    put(&db, 0, 10);
    db.checkpoint().unwrap();
    put(&db, 10, 20);
    let left = folder.path(name);
    copy(&open, &left, &SUFFIXES);
    left
}

fn copy(from: &Path, to: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        fs::copy(side(from, suffix), side(to, suffix)).unwrap();
    }
}

/// What is there of the four files.
fn bytes_of(path: &Path) -> Vec<Option<Vec<u8>>> {
    SUFFIXES.iter().map(|suffix| fs::read(side(path, suffix)).ok()).collect()
}

/// Tries to open for writing and for reading: the same error both times, and nothing is changed.
fn refused(path: &Path) -> Error {
    let before = bytes_of(path);
    let error = Db::open(path).expect_err("this cannot be opened");
    let reader = Db::builder().read_only(true).open(path).expect_err("nor read");
    assert_eq!(error.to_string(), reader.to_string());
    assert!(bytes_of(path) == before, "{error}: a file was changed");
    error
}

#[test]
fn a_file_that_is_missing_beside_a_database_that_was_not_closed_is_named() {
    let folder = Folder::new("missing");
    let path = not_closed(&folder, "a.spinney");
    for name in ["log", "ring", "journal"] {
        let missing = side(&path, &format!("-{name}"));
        let away = folder.path("away");
        fs::rename(&missing, &away).unwrap();
        assert!(matches!(refused(&path), Error::SideFile { file } if file == name), "without {name}");
        // An empty one is no better.
        fs::write(&missing, "").unwrap();
        assert!(matches!(refused(&path), Error::SideFile { file } if file == name), "with an empty {name}");
        fs::rename(&away, &missing).unwrap();
    }
    assert_eq!(keys(&Db::builder().read_only(true).open(&path).unwrap()), 20);
    assert_eq!(keys(&Db::open(&path).unwrap()), 20, "all are back");
}

#[test]
fn the_log_and_the_ring_of_another_database_are_refused() {
    let folder = Folder::new("others");
    let (path, other) = (not_closed(&folder, "a.spinney"), not_closed(&folder, "b.spinney"));
    for (suffix, expected) in [("-ring", "SideFile"), ("-log", "LogCorrupt")] {
        let kept = fs::read(side(&path, suffix)).unwrap();
        copy(&other, &side(&path, ""), &[]);
        fs::copy(side(&other, suffix), side(&path, suffix)).unwrap();
        let outcome = Db::builder().read_only(true).open(&path).map(|db| keys(&db));
        match outcome {
            // What the log has lost, the ring still has.
            Ok(keys) => assert_eq!((suffix, keys), ("-log", 20)),
            Err(error) => assert_eq!(error.code(), expected, "another's {suffix}"),
        }
        fs::write(side(&path, suffix), kept).unwrap();
    }
    // Without its own ring, another's log is a log without a record that is known to have been durable.
    assert_eq!(keys(&Db::open(&path).unwrap()), 20);
}

#[test]
fn a_copy_restored_beside_the_files_of_a_later_life_is_what_it_was() {
    let folder = Folder::new("restored");
    let path = folder.path("a.spinney");
    put(&Db::open(&path).unwrap(), 0, 5);
    let backup = folder.path("backup");
    fs::copy(&path, &backup).unwrap();
    // A later life that was not closed: its log, ring and journal lie there.
    {
        let db = Db::open(&path).unwrap();
        put(&db, 5, 10);
        db.checkpoint().unwrap();
        put(&db, 10, 20);
        copy(&path, &folder.path("killed"), &SUFFIXES);
    }
    let killed = folder.path("killed");
    fs::copy(&backup, &killed).unwrap();
    assert_eq!(keys(&Db::builder().read_only(true).open(&killed).unwrap()), 5);
    let db = Db::open(&killed).unwrap();
    assert_eq!(keys(&db), 5, "nothing of the log is replayed");
    put(&db, 5, 7);
    drop(db);
    assert_eq!(keys(&Db::open(&killed).unwrap()), 7);
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let folder = Folder::new("foreign");
    assert!(matches!(Db::open(folder.path("")), Err(Error::Io(error)) if is_directory(&error)));
    let path = folder.path("notes.txt");
    let text = "Not a database, but hours of work.\n".repeat(50_000);
    for length in [1, 100, PAGE_BYTES, 5 * PAGE_BYTES + 7, BLOB_BYTES, 3 * BLOB_BYTES + 1] {
        fs::write(&path, &text[..length]).unwrap();
        assert!(matches!(refused(&path), Error::NotSpinney { .. }), "{length} bytes of text");
    }
    assert!(matches!(Db::open(folder.path("no/such/folder")), Err(Error::Io(error)) if is_missing(&error)));
    let not_made = Db::builder().create(false).open(folder.path("none"));
    assert!(matches!(not_made, Err(Error::Io(error)) if is_missing(&error)));
    let not_made = Db::builder().read_only(true).open(folder.path("none"));
    assert!(matches!(not_made, Err(Error::Io(error)) if is_missing(&error)));
    assert_eq!(folder.names(), ["notes.txt"]);
}

fn is_directory(error: &io::Error) -> bool {
    error.kind() == ErrorKind::IsADirectory && error.to_string().contains("is a directory")
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound && error.to_string().contains("cannot open")
}

#[test]
fn a_later_format_and_a_file_cut_off_are_named() {
    let folder = Folder::new("format");
    let path = folder.path("a.spinney");
    put(&Db::open(&path).unwrap(), 0, 20);
    let whole = fs::read(&path).unwrap();
    let mut later = whole.clone();
    (later[7], later[PAGE_BYTES + 7]) = (99, 99);
    fs::write(&path, &later).unwrap();
    assert!(matches!(refused(&path), Error::NewerFormat { found: 99, .. }));
    let lengths = (PAGE_BYTES..whole.len()).step_by(7 * PAGE_BYTES);
    for length in lengths.chain([PAGE_BYTES + 1, BLOB_BYTES - 1, BLOB_BYTES, whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        match refused(&path) {
            Error::Truncated { expected_bytes, .. } => assert_eq!(expected_bytes, whole.len() as u64),
            other => panic!("{length} bytes of {}: {other}", whole.len()),
        }
    }
    for length in [1, PAGE_BYTES - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(refused(&path), Error::NotSpinney { .. }), "{length} bytes");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(keys(&Db::open(&path).unwrap()), 20);
}

/// Not captured, unlike what tests print.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

const FORBIDDEN: &str = "SPINNEY_FORBIDDEN_FOLDER";

/// Whoever runs as root may open everything, and asks a child that may not.
#[test]
fn a_file_without_permission_is_named() {
    if let Ok(folder) = env::var(FORBIDDEN) {
        return assert_forbidden(Path::new(&folder));
    }
    // A place that everybody may enter.
    let folder = env::temp_dir().join(format!("spinney-forbidden-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.spinney");
    put(&Db::open(&path).unwrap(), 0, 3);
    let set_mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    fs::copy(&path, folder.join("readable")).unwrap();
    set_mode(&folder.join("readable"), 0o444);
    set_mode(&path, 0);
    set_mode(&folder, 0o555);
    if fs::File::open(&path).is_err() {
        assert_forbidden(&folder);
    } else {
        // The program is copied because its folder may not be open to all.
        let program = folder.join("program");
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
        set_mode(&program, 0o555);
        let mut command = Command::new(&program);
        command.args(["--exact", "a_file_without_permission_is_named"]).env(FORBIDDEN, &folder);
        match command.current_dir("/").gid(65_534).uid(65_534).output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && text.contains("1 passed"), "{text}");
            }
            Err(error) => {
                say(&format!("SKIPPED: files without permission: no other user can be had: {error}"))
            }
        }
    }
    set_mode(&folder, 0o755);
    fs::remove_dir_all(&folder).unwrap();
}

fn assert_forbidden(folder: &Path) {
    let assert_is = |options: Options, name: &str| match options.open(folder.join(name)) {
        Err(Error::Io(error)) => {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{name}: {error}");
            assert!(error.to_string().contains(name), "{error}");
        }
        other => panic!("{name}: {other:?}"),
    };
    assert_is(Db::builder(), "a.spinney");
    assert_is(Db::builder().read_only(true), "a.spinney");
    assert_is(Db::builder(), "new.spinney");
    assert_is(Db::builder(), "readable");
    assert_eq!(keys(&Db::builder().read_only(true).open(folder.join("readable")).unwrap()), 3);
}

#[test]
fn a_log_without_its_data_file_is_kept() {
    let folder = Folder::new("no-data");
    let path = folder.path("catalog.spinney");
    let db = Db::open(&path).unwrap();
    db.tree("files").unwrap().put("a", "1").unwrap();
    let away = folder.path("away.spinney");
    copy(&path, &away, &SUFFIXES);
    drop(db);
    for emptied in [false, true] {
        fs::remove_file(&away).unwrap();
        if emptied {
            fs::write(&away, vec![0; 1 << 20]).unwrap();
        }
        let log = fs::read(side(&away, "-log")).unwrap();
        assert!(matches!(Db::open(&away), Err(Error::NotSpinney { .. })));
        assert!(fs::read(side(&away, "-log")).unwrap() == log);
    }
}
