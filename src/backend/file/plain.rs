//! Batches as one system call for each operation, one after the other.
//!
//! Invariants:
//! * a transfer that the system cuts short goes on where it stopped; one that is interrupted starts again;
//! * nothing is in flight when a call returns.
//!
//! Must not know: io_uring, lengths of areas.

#![forbid(unsafe_code)]

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use super::area::AreaFile;
use super::{FileCall, Files, Filled, IoUse, fault, locked, open, syscall};
use crate::backend::{Area, ReadOp, WriteOp};

/// Carries out a checked batch.
pub(super) fn read(
    files: &Files,
    batch: &mut [ReadOp<'_>],
    filled: &mut Option<Filled<'_>>,
) -> io::Result<()> {
    batch.iter_mut().enumerate().try_for_each(|(place, op)| {
        let file = file_of(files, op.area).ok_or(io::ErrorKind::UnexpectedEof)?;
        fault::meet(FileCall::Read)?;
        file.file.read_exact_at(op.buf, op.offset_bytes)?;
        if let Some(filled) = filled {
            filled(place, op.buf);
        }
        Ok(())
    })
}

/// Carries out a checked batch.
pub(super) fn write(files: &Files, batch: &[WriteOp<'_>]) -> io::Result<()> {
    batch.iter().try_for_each(|op| {
        let file = file_of(files, op.area).ok_or(io::ErrorKind::InvalidInput)?;
        fault::meet(FileCall::Write)?;
        file.file.write_all_at(op.buf, op.offset_bytes)
    })
}

/// Writes one checked operation around every cache in one system call.
///
/// Returns `false` if the system cannot do that, and then has done nothing that counts: the caller writes and
/// syncs instead. `state` remembers which it was.
pub(super) fn write_through(file: &AreaFile, op: &WriteOp<'_>, state: &Mutex<IoUse>) -> io::Result<bool> {
    if matches!(*locked(state), IoUse::Refused(_)) {
        return Ok(false);
    }
    let mut done_bytes = 0;
    while done_bytes < op.buf.len() {
        let rest = &op.buf[done_bytes..];
        match syscall::write_through(&file.file, rest, op.offset_bytes + done_bytes as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => done_bytes += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_unknown(&error) => {
                *locked(state) = open::refused(&error);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    *locked(state) = IoUse::On;
    Ok(true)
}

/// What systems answer that do not know the call (or filter it), the flag, or the flag on this file.
fn is_unknown(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [libc::ENOSYS, libc::EOPNOTSUPP, libc::EINVAL, libc::EPERM].into_iter().any(|known| errno == Some(known))
}

/// `None` if the area was emptied after the operation was checked.
pub(super) fn file_of(files: &Files, area: Area) -> Option<&AreaFile> {
    files[area as usize].as_deref()
}
