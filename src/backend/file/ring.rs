//! The log's ring as a mapped file, so that what a writer has copied there outlives the process.
//!
//! Invariants:
//! * a file is mapped only if every page of it has a place on the medium that is its own, and only on
//!   file systems that write a page where it is: touching a page never needs space, and so never kills the
//!   process;
//! * a file that may be mapped is never cut off, nor used again for a fresh ring: it is deleted, and whoever
//!   has it mapped keeps it. The lock of the data file keeps all others away;
//! * the mapping is never synced: only the log makes a record durable against loss of power.
//!
//! Must not know: what the words mean.

#![forbid(unsafe_code)]

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::syscall::{self, Mapping};
use super::{FileBackend, FileCall, IoUse, fault, open};
use crate::backend::{PAGE_BYTES, PrivateRing, RING_TOTAL_BYTES, RingMemory, room};

/// Opens or makes the ring beside a locked data file. Also says whether it is mapped.
pub(super) fn open(
    path: &Path,
    data: &File,
    fresh: bool,
    read_only: bool,
) -> io::Result<(Arc<dyn RingMemory>, IoUse)> {
    let is_safe = is_safe_on(data);
    if fresh {
        if read_only {
            return Ok((Arc::new(PrivateRing::try_new()?), IoUse::Unused));
        }
        FileBackend::remove(path)?;
        if !is_safe.is_on() {
            return Ok((Arc::new(PrivateRing::try_new()?), is_safe));
        }
        // A part of it, where the disk is full, is no ring.
        let file = make(path, open::mode_of(data)?).inspect_err(|_| drop(FileBackend::remove(path)))?;
        return Ok(match Mapping::new(&file, RING_TOTAL_BYTES) {
            Ok(mapping) => (Arc::new(MappedRing(mapping)), IoUse::On),
            Err(error) => {
                // Nobody will write there, and a reader must not take it for the ring.
                FileBackend::remove(path)?;
                (Arc::new(PrivateRing::try_new()?), open::refused(&error))
            }
        });
    }
    open::refuse_others(path)?;
    fault::meet(FileCall::Open)?;
    let file = OpenOptions::new().read(true).write(!read_only).open(path)?;
    let found = file.metadata()?;
    if found.len() != RING_TOTAL_BYTES as u64 {
        let text = format!("{} has {} bytes, not {RING_TOTAL_BYTES}", path.display(), found.len());
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    let reason = match is_safe {
        _ if read_only => IoUse::Unused,
        // In units of 512 bytes, whatever the file system's own unit is.
        IoUse::On if found.blocks() * 512 < RING_TOTAL_BYTES as u64 => IoUse::Sparse,
        IoUse::On => match map_found(&file, data) {
            Ok(mapping) => return Ok((Arc::new(MappedRing(mapping)), IoUse::On)),
            Err(error) => open::refused(&error),
        },
        reason => reason,
    };
    Ok((Arc::new(copy(&file)?), reason))
}

/// Makes the file of a fresh ring, full of zeros that have their place on the medium.
fn make(path: &Path, mode: u32) -> io::Result<File> {
    fault::meet(FileCall::Open)?;
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)?;
    let zeros = room::zeros(64 * PAGE_BYTES)?;
    let mut left_bytes = RING_TOTAL_BYTES;
    while left_bytes > 0 {
        let step_bytes = left_bytes.min(zeros.len());
        fault::meet(FileCall::Write)?;
        file.write_all(&zeros[..step_bytes])?;
        left_bytes -= step_bytes;
    }
    // Not for the zeros' sake: many file systems decide only now where they go, and whether they can.
    syscall::sync_all(&file)?;
    Ok(file)
}

fn map_found(file: &File, data: &File) -> io::Result<Mapping> {
    if files_may_share(data) {
        take_own_places(file)?;
    }
    Mapping::new(file, RING_TOTAL_BYTES)
}

/// Writes every page as it is. A copy of a file may share its places with the original until one of them is
/// written, and a call that finds no place for its own can be refused; a mapping would kill the process.
pub(super) fn take_own_places(file: &File) -> io::Result<()> {
    let mut page = [0; PAGE_BYTES];
    for offset_bytes in (0..RING_TOTAL_BYTES as u64).step_by(PAGE_BYTES) {
        file.read_exact_at(&mut page, offset_bytes)?;
        file.write_all_at(&page, offset_bytes)?;
    }
    syscall::sync_all(file)
}

/// What a file holds, as memory of this process alone.
fn copy(file: &File) -> io::Result<PrivateRing> {
    let ring = PrivateRing::try_new()?;
    let mut page = [0; PAGE_BYTES];
    for (words, number) in ring.words().chunks_exact(PAGE_BYTES / 8).zip(0..) {
        fault::meet(FileCall::Read)?;
        file.read_exact_at(&mut page, number * PAGE_BYTES as u64)?;
        for (word, bytes) in words.iter().zip(page.as_chunks().0) {
            // As a mapping would show it.
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
    }
    Ok(ring)
}

/// File systems of Linux on which overwriting a page takes no space: ext2 to ext4, XFS, tmpfs.
///
/// A list of the good ones, because a missed bad one (btrfs, ZFS, bcachefs, some network) would be a process
/// that dies of SIGBUS when the disk is full. An overlay is not on it: it may lie over anything.
#[cfg(target_os = "linux")]
const SAFE_MAGICS: [u64; 3] = [0xEF53, XFS_MAGIC, 0x0102_1994];

#[cfg(target_os = "linux")]
const XFS_MAGIC: u64 = 0x5846_5342;

/// Whether a copy may share places with its original: of the file systems that are safe, XFS alone does it.
#[cfg(target_os = "linux")]
fn files_may_share(data: &File) -> bool {
    syscall::file_system(data).is_ok_and(|magic| magic == XFS_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn files_may_share(_data: &File) -> bool {
    cfg!(target_vendor = "apple")
}

#[cfg(target_os = "linux")]
fn is_safe_on(data: &File) -> IoUse {
    match syscall::file_system(data) {
        Ok(magic) if SAFE_MAGICS.contains(&magic) => IoUse::On,
        Ok(magic) => IoUse::FileSystem(magic),
        Err(error) => open::refused(&error),
    }
}

/// macOS gives out the page even where it will find no place for it later.
#[cfg(not(target_os = "linux"))]
fn is_safe_on(_data: &File) -> IoUse {
    if cfg!(target_vendor = "apple") { IoUse::On } else { IoUse::NotBuilt }
}

/// A ring in a mapped file.
struct MappedRing(Mapping);

impl RingMemory for MappedRing {
    fn words(&self) -> &[AtomicU64] {
        self.0.words()
    }

    fn outlives_process(&self) -> bool {
        true
    }
}

impl fmt::Debug for MappedRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedRing").field("words", &self.words().len()).finish()
    }
}
