//! One operation of a batch on its way: what is left of it, and where its bytes are.
//!
//! Invariants:
//! * a transfer borrows its buffer for as long as it lives, mutably if it is a read: as long as a ring runs
//!   only transfers that it is lent, and none after it has returned, the kernel writes to nothing else;
//! * it never goes beyond that buffer, however much the kernel claims to have done.
//!
//! Must not know: rings, files.

#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;

use crate::backend::{Area, ReadOp, WriteOp};

/// The most bytes in one step: a power of two below what the kernel does in one.
const STEP_BYTES_MAX: usize = 1 << 30;

/// An operation, and how much of it is done.
pub(super) struct Transfer<'a> {
    area: Area,
    is_write: bool,
    start: *mut u8,
    len_bytes: usize,
    done_bytes: usize,
    offset_bytes: u64,
    buf: PhantomData<&'a mut [u8]>,
}

/// The next piece of a transfer. Where it lies is for the kernel alone.
pub(super) struct Step {
    pub(super) area: Area,
    pub(super) is_write: bool,
    pub(super) start: *mut u8,
    pub(super) len_bytes: u32,
    pub(super) offset_bytes: u64,
}

impl<'a> Transfer<'a> {
    pub(super) fn read(op: &'a mut ReadOp<'_>) -> Transfer<'a> {
        Transfer {
            area: op.area,
            is_write: false,
            start: op.buf.as_mut_ptr(),
            len_bytes: op.buf.len(),
            done_bytes: 0,
            offset_bytes: op.offset_bytes,
            buf: PhantomData,
        }
    }

    pub(super) fn write(op: &'a WriteOp<'_>) -> Transfer<'a> {
        Transfer {
            area: op.area,
            is_write: true,
            // The kernel only reads from it.
            start: op.buf.as_ptr().cast_mut(),
            len_bytes: op.buf.len(),
            done_bytes: 0,
            offset_bytes: op.offset_bytes,
            buf: PhantomData,
        }
    }

    /// The buffer of a complete read, with which the kernel is done.
    pub(super) fn filled(&self) -> &[u8] {
        assert!(!self.is_write && self.done_bytes == self.len_bytes);
        // SAFETY: `start` and `len_bytes` are those of a slice that is borrowed for as long as `self` lives.
        // The transfer is complete: no step of it is under way or will be taken, so nobody writes there.
        unsafe { std::slice::from_raw_parts(self.start, self.len_bytes) }
    }

    /// What to ask the kernel for next.
    pub(super) fn step(&self) -> Step {
        assert!(self.done_bytes < self.len_bytes);
        // SAFETY: by the assertion this stays inside the buffer that `start` begins.
        let start = unsafe { self.start.add(self.done_bytes) };
        Step {
            area: self.area,
            is_write: self.is_write,
            start,
            len_bytes: (self.len_bytes - self.done_bytes).min(STEP_BYTES_MAX) as u32,
            offset_bytes: self.offset_bytes + self.done_bytes as u64,
        }
    }

    /// Takes the kernel's answer to the last step: bytes, or an error number below 0. Returns whether the
    /// transfer is complete; if not, its next step is due.
    pub(super) fn advance(&mut self, answer: i32) -> io::Result<bool> {
        match answer {
            0 if self.is_write => Err(io::ErrorKind::WriteZero.into()),
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            1.. => {
                self.done_bytes += answer as usize;
                assert!(self.done_bytes <= self.len_bytes, "the kernel moved more than it was asked for");
                Ok(self.done_bytes == self.len_bytes)
            }
            _ => match -answer {
                libc::EINTR | libc::EAGAIN => Ok(false),
                errno => Err(io::Error::from_raw_os_error(errno)),
            },
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::backend::{BlobBufPool, PAGE_BYTES};

    #[test]
    fn a_short_transfer_goes_on_where_it_stopped() {
        let mut lease = BlobBufPool::new(1).lease().unwrap();
        let start = lease.as_ptr().addr();
        let buf = &mut lease[..3 * PAGE_BYTES];
        let mut op = ReadOp { area: Area::Log, offset_bytes: 8192, buf };
        let mut transfer = Transfer::read(&mut op);
        for (answer, done_bytes) in [(512, 512), (-libc::EINTR, 512), (7680, 8192), (-libc::EAGAIN, 8192)] {
            assert!(!transfer.advance(answer).unwrap());
            let step = transfer.step();
            assert_eq!(step.start.addr(), start + done_bytes);
            assert_eq!(step.offset_bytes, 8192 + done_bytes as u64);
            assert_eq!(step.len_bytes as usize, 3 * PAGE_BYTES - done_bytes);
        }
        assert!(transfer.advance(4096).unwrap());
    }

    #[test]
    fn no_progress_and_errors_end_a_transfer() {
        let mut lease = BlobBufPool::new(1).lease().unwrap();
        let (area, offset_bytes) = (Area::Data, 0);
        let write = WriteOp { area, offset_bytes, buf: &lease[..PAGE_BYTES] };
        assert_eq!(Transfer::write(&write).advance(0).unwrap_err().kind(), io::ErrorKind::WriteZero);
        let mut read = ReadOp { area, offset_bytes, buf: &mut lease[..PAGE_BYTES] };
        let mut transfer = Transfer::read(&mut read);
        assert_eq!(transfer.advance(0).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(transfer.advance(-libc::EIO).unwrap_err().raw_os_error(), Some(libc::EIO));
    }

    #[test]
    #[should_panic(expected = "more than it was asked for")]
    fn a_kernel_that_claims_too_much_is_not_believed() {
        let lease = BlobBufPool::new(1).lease().unwrap();
        let write = WriteOp { area: Area::Data, offset_bytes: 0, buf: &lease[..PAGE_BYTES] };
        let _ = Transfer::write(&write).advance(4097);
    }
}
