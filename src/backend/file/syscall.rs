//! The system calls that the standard library does not have, each as one safe function.
//!
//! Invariants:
//! * no function here keeps a pointer beyond its call, but [`Mapping`], which owns what it maps;
//! * every failure is the system's own error. What to do about it is decided elsewhere.
//!
//! Must not know: areas, paths, which call is made why.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

use super::{FileCall, IoUse, fault};

/// The flag of `open` for I/O around the page cache; none on systems that set this afterwards or never.
#[cfg(target_os = "linux")]
pub(super) const OPEN_DIRECT: i32 = libc::O_DIRECT;
#[cfg(not(target_os = "linux"))]
pub(super) const OPEN_DIRECT: i32 = 0;

/// Asks for I/O around the page cache, where a flag of `open` has not done that already.
pub(super) fn set_direct(file: &File) -> IoUse {
    cfg_if::cfg_if! {
        if #[cfg(target_os = "linux")] {
            let _ = file;
            IoUse::On
        } else if #[cfg(target_vendor = "apple")] {
            // SAFETY: this command takes an integer and touches no memory of ours.
            match check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_NOCACHE, 1) }) {
                Ok(_) => IoUse::On,
                Err(error) => super::open::refused(&error),
            }
        } else {
            let _ = file;
            IoUse::NotBuilt
        }
    }
}

/// Goes through the page cache from now on.
pub(super) fn clear_direct(file: &File) -> io::Result<()> {
    cfg_if::cfg_if! {
        if #[cfg(target_vendor = "apple")] {
            // SAFETY: this command takes an integer and touches no memory of ours.
            check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_NOCACHE, 0) })?;
        } else {
            // SAFETY: this command takes no argument.
            let flags = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) })?;
            // SAFETY: this command takes an integer and touches no memory of ours.
            check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags & !OPEN_DIRECT) })?;
        }
    }
    Ok(())
}

/// Makes the contents of a file durable, and of the rest what is needed to find them again.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    fault::meet(FileCall::SyncData)?;
    sync_or_flush(file, file.sync_data())
}

/// Makes the contents of a file durable, and all that the file system knows about it.
pub(super) fn sync_all(file: &File) -> io::Result<()> {
    fault::meet(FileCall::SyncAll)?;
    sync_or_flush(file, file.sync_all())
}

/// On macOS the standard library asks for `F_FULLFSYNC`, which some file systems do not have.
fn sync_or_flush(file: &File, result: io::Result<()>) -> io::Result<()> {
    cfg_if::cfg_if! {
        if #[cfg(target_vendor = "apple")] {
            match result.as_ref().err().and_then(io::Error::raw_os_error) {
                Some(libc::ENOTSUP | libc::EINVAL | libc::ENOTTY) => {
                    // SAFETY: touches no memory.
                    check(unsafe { libc::fsync(file.as_raw_fd()) }).map(drop)
                }
                _ => result,
            }
        } else {
            let _ = file;
            result
        }
    }
}

/// Takes the lock of an open file, or answers `WouldBlock`.
pub(super) fn try_lock(file: &File, exclusive: bool) -> io::Result<()> {
    fault::meet(FileCall::Lock)?;
    flock(file, if exclusive { libc::LOCK_EX } else { libc::LOCK_SH } | libc::LOCK_NB)
}

/// Gives the lock of an open file back.
pub(super) fn unlock(file: &File) -> io::Result<()> {
    flock(file, libc::LOCK_UN)
}

fn flock(file: &File, operation: i32) -> io::Result<()> {
    loop {
        // SAFETY: touches no memory.
        match check(unsafe { libc::flock(file.as_raw_fd(), operation) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(drop),
        }
    }
}

/// Writes and makes durable in one: returns how many bytes were.
#[cfg(all(target_os = "linux", any(target_env = "gnu", target_env = "musl")))]
pub(super) fn write_through(file: &File, buf: &[u8], offset_bytes: u64) -> io::Result<usize> {
    fault::meet(FileCall::WriteThrough)?;
    let piece = libc::iovec { iov_base: buf.as_ptr().cast_mut().cast(), iov_len: buf.len() };
    let offset = libc::off64_t::try_from(offset_bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    #[cfg(target_env = "gnu")]
    let call = libc::pwritev64v2;
    #[cfg(target_env = "musl")]
    let call = libc::pwritev2;
    // SAFETY: `piece` describes the bytes of `buf`, which outlives the call and is only read.
    let written = unsafe { call(file.as_raw_fd(), &piece, 1, offset, libc::RWF_DSYNC) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Not there on this system.
#[cfg(not(all(target_os = "linux", any(target_env = "gnu", target_env = "musl"))))]
pub(super) fn write_through(_file: &File, _buf: &[u8], _offset_bytes: u64) -> io::Result<usize> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// The number that tells the kind of file system a file is on.
#[cfg(target_os = "linux")]
pub(super) fn file_system(file: &File) -> io::Result<u64> {
    // SAFETY: the type is plain integers, for which zeros are a value.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is a place for what this call writes.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), &mut found) })?;
    // Its type differs by processor, and may be too narrow for the sign.
    Ok(u64::from(found.f_type as u32))
}

/// A whole file, mapped shared.
pub(super) struct Mapping {
    start: NonNull<AtomicU64>,
    bytes: usize,
}

// SAFETY: the memory belongs to the mapping alone and is only lent as atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `bytes` of a file, which must be open for reading and writing and be that long: words
    /// beyond its end could be formed and would kill the process when touched.
    pub(super) fn new(file: &File, bytes: usize) -> io::Result<Mapping> {
        assert!(bytes > 0 && bytes.is_multiple_of(size_of::<AtomicU64>()));
        fault::meet(FileCall::Map)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place that the system chooses covers nothing of ours.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, bytes })
    }

    /// What is mapped, as words.
    pub(super) fn words(&self) -> &[AtomicU64] {
        let count = self.bytes / size_of::<AtomicU64>();
        // SAFETY: the mapping is this long, aligned to pages, and there until `self` is dropped. Whoever else
        // has the file mapped changes it by atomic instructions, too.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), count) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the whole of what `new` mapped, and every borrow of it has ended.
        let result = unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        debug_assert_eq!(result, 0);
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
