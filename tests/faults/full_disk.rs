//! A file system that is full, really: a small one, mounted for this test alone where that is allowed.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use spinney::{Db, Durability, Error, Options, Tree};

use crate::folder::Folder;
use crate::script::value;

const DISK_BYTES: u64 = 96 << 20;
const BALLAST_BYTES: usize = 24 << 20;

/// A mounted file system, gone when this is dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output: io::Result<Output> = Command::new(program).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

/// One that goes around the page cache and maps the ring.
fn mount_ext4(folder: &Folder) -> Result<Mounted, String> {
    let (file, at) = (folder.path("disk"), folder.path("ext4"));
    fs::create_dir(&at).unwrap();
    fs::File::create(&file).unwrap().set_len(DISK_BYTES).unwrap();
    let (file, place) = (file.to_str().unwrap(), at.to_str().unwrap());
    run("mkfs.ext4", &["-q", "-F", "-m", "0", file])?;
    run("mount", &["-o", "loop", file, place])?;
    Ok(Mounted(at))
}

fn mount_tmpfs(folder: &Folder) -> Result<Mounted, String> {
    let at = folder.path("tmpfs");
    fs::create_dir(&at).unwrap();
    let size = format!("size={DISK_BYTES}");
    run("mount", &["-t", "tmpfs", "-o", &size, "spinney-test", at.to_str().unwrap()])?;
    Ok(Mounted(at))
}

fn options() -> Options {
    Db::builder().log_bytes(16 << 20).cache_bytes(64 << 20)
}

fn key(number: usize) -> String {
    format!("directory-{}/file-{number:05}", number % 5)
}

const VALUE_BYTES: usize = 30_000;

fn is_full(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::StorageFull)
        || matches!(error, Error::Poisoned { .. })
}

/// Writes until the disk is full; returns how many writes were acknowledged, and what ended it.
fn fill(tree: &Tree, from: usize) -> (usize, Error) {
    for number in from..from + 10_000 {
        let durability = if number % 8 == 0 { Durability::Sync } else { Durability::Buffered };
        let put = tree.with_durability(durability).put(key(number), value(number, VALUE_BYTES));
        if let Err(error) = put {
            return (number, error);
        }
    }
    panic!("the disk takes more than it should");
}

fn assert_there(tree: &Tree, count: usize) {
    for number in 0..count {
        let found = tree.get(key(number)).unwrap_or_else(|error| panic!("write {number}: {error}"));
        assert!(found.as_deref() == Some(&value(number, VALUE_BYTES)[..]), "write {number} of {count}");
    }
}

/// Full, read, space made, writing again, closed and opened: nothing that was acknowledged is lost.
fn fill_and_go_on(folder: &Path) -> String {
    let (path, ballast) = (folder.join("full.spinney"), folder.join("ballast"));
    fs::write(&ballast, vec![1; BALLAST_BYTES]).unwrap();
    let mut db = options().open(&path).unwrap();
    let tree = db.tree("files").unwrap();
    let (written, error) = fill(&tree, 0);
    assert!(is_full(&error), "{error}");
    assert_there(&tree, written);
    let checkpoint = db.checkpoint();
    assert!(checkpoint.is_err(), "it has no space either");
    assert_there(&tree, written);
    fs::remove_file(&ballast).unwrap();
    let is_poisoned = matches!(tree.put("more", "x"), Err(Error::Poisoned { .. }));
    let mut tree = tree;
    if is_poisoned {
        drop(tree);
        assert!(db.close().is_err());
        db = options().open(&path).unwrap();
        tree = db.tree("files").unwrap();
    }
    // The write that failed may be there or not; the others are.
    assert_there(&tree, written);
    for number in written..written + 200 {
        tree.put(key(number), value(number, VALUE_BYTES)).unwrap();
    }
    assert_there(&tree, written + 200);
    let (more, error) = fill(&tree, written + 200);
    assert!(is_full(&error), "{error}");
    assert_there(&tree, more);
    drop(tree);
    let closed = db.close();
    // Nothing but the file's own length is needed for reading what is there.
    let reader = options().read_only(true).open(&path).unwrap();
    assert_there(&reader.tree("files").unwrap(), more);
    assert!(reader.check().unwrap().is_clean());
    let how = if is_poisoned { "opened again" } else { "went on" };
    format!("full after {written} writes, {how} with space, full again after {more}, closed: {closed:?}")
}

#[test]
fn a_full_file_system_is_an_error_and_no_end() {
    let folder = Folder::new("full");
    for (name, mounted) in [("ext4", mount_ext4(&folder)), ("tmpfs", mount_tmpfs(&folder))] {
        // Not captured, unlike what tests print.
        let mut out = io::stderr();
        match mounted {
            Ok(mounted) => {
                let story = fill_and_go_on(&mounted.0);
                println!("{name}: {story}");
            }
            Err(why) => writeln!(out, "SKIPPED: a full {name}: it cannot be mounted here: {why}").unwrap(),
        }
    }
}
