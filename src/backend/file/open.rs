//! Opening files: around the page cache where that works, and with errors that say what to do.
//!
//! Invariants:
//! * the data file that is returned is locked, and is still the one at its path;
//! * a file that refuses direct I/O, in word or in deed, is used through the page cache;
//! * nothing is made unless it was asked for.
//!
//! Must not know: lengths, io_uring.

#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::area::AreaFile;
use super::{FileCall, FileOptions, IoChoice, IoUse, fault, lock, syscall};
use crate::backend::PAGE_BYTES;

/// A file, and whether I/O on it goes around the page cache.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) direct: IoUse,
}

/// Opens and locks the data file. Also returns its path with symbolic links resolved.
pub(super) fn open_locked(path: &Path, options: &FileOptions) -> io::Result<(AreaFile, PathBuf)> {
    loop {
        refuse_others(path)?;
        let create = options.create && !options.read_only;
        let found = open(path, options.read_only, create, options.io, options.mode)
            .map_err(|error| explain(path, error))?;
        lock::lock(&found.file, !options.read_only, options.lock_wait)
            .map_err(|error| explain_lock(path, options, error))?;
        // While we waited, the last holder may have been replaced by a copy, or deleted.
        if is_still_at(&found.file, path)? {
            return Ok((AreaFile::new(found), fs::canonicalize(path)?));
        }
    }
}

/// Opens the file of another area, beside a locked data file. One that is made gets the permissions `mode`.
pub(super) fn open_side(path: &Path, options: &FileOptions, make: Option<u32>) -> io::Result<Found> {
    refuse_others(path)?;
    let mode = make.unwrap_or(MODE);
    open(path, options.read_only, make.is_some(), options.io, mode).map_err(|error| explain(path, error))
}

/// Permissions of a new data file, before the process's mask is applied.
pub(super) const MODE: u32 = 0o666;

/// Permissions for the side files of a data file: who may use the one may use the others.
pub(super) fn mode_of(data: &File) -> io::Result<u32> {
    Ok(data.metadata()?.permissions().mode() & MODE)
}

fn open(path: &Path, read_only: bool, create: bool, io: IoChoice, mode: u32) -> io::Result<Found> {
    fault::meet(FileCall::Open)?;
    let mut how = OpenOptions::new();
    how.read(true).write(!read_only).create(create).mode(mode);
    if io == IoChoice::Buffered {
        return Ok(Found { file: how.open(path)?, direct: IoUse::NotChosen });
    }
    match how.custom_flags(syscall::OPEN_DIRECT).open(path) {
        Ok(file) => {
            let direct = syscall::set_direct(&file);
            let direct = if direct.is_on() { probe_direct(&file) } else { direct };
            Ok(Found { file, direct })
        }
        // What file systems without direct I/O answer. All other errors come again without the flag.
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            let file = how.custom_flags(0).open(path)?;
            Ok(Found { file, direct: refused(&error) })
        }
        Err(error) => Err(error),
    }
}

/// A page of memory as direct I/O wants it.
#[repr(align(4096))]
struct Page([u8; PAGE_BYTES]);

const _: () = assert!(align_of::<Page>() == PAGE_BYTES);

/// Reads the first page of a file that was opened for direct I/O. If that fails, the file goes through the
/// page cache from now on. A page that is really damaged fails again when somebody wants it.
///
/// An empty file tells nothing. It is asked again when it has a page.
pub(super) fn probe_direct(file: &File) -> IoUse {
    let mut page = Box::new(Page([0; PAGE_BYTES]));
    match file.read_at(&mut page.0, 0) {
        Ok(_) => IoUse::On,
        Err(error) if error.kind() == ErrorKind::Interrupted => IoUse::On,
        Err(error) => match syscall::clear_direct(file) {
            Ok(()) => refused(&error),
            Err(_) => IoUse::On,
        },
    }
}

/// The reason for a fallback.
pub(super) fn refused(error: &io::Error) -> IoUse {
    IoUse::Refused(error.raw_os_error().unwrap_or(0))
}

/// Makes the folder of a path durable: which files there are in it.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new(".")))?;
    match syscall::sync_all(&folder) {
        // Some file systems know no such thing. Then there is nothing that could be done.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

/// Only files have pages. This comes first because opening a pipe would wait for its other end.
pub(super) fn refuse_others(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            let text = format!("{} is a directory, not a file", path.display());
            Err(io::Error::new(ErrorKind::IsADirectory, text))
        }
        Ok(found) if !found.is_file() => {
            let text = format!("{} is not an ordinary file", path.display());
            Err(io::Error::new(ErrorKind::InvalidInput, text))
        }
        // Opening it says the same, and better.
        _ => Ok(()),
    }
}

fn explain(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot open {}: {error}", path.display()))
}

fn explain_lock(path: &Path, options: &FileOptions, error: io::Error) -> io::Error {
    let path = path.display();
    if error.kind() != ErrorKind::WouldBlock {
        return io::Error::new(error.kind(), format!("cannot lock {path}: {error}"));
    }
    let holder = if options.read_only { "for writing" } else { "already" };
    let text =
        format!("{path} is open {holder}, here or in another process (waited {:?})", options.lock_wait);
    io::Error::new(ErrorKind::WouldBlock, text)
}

/// Whether a path still leads to this file.
pub(super) fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
