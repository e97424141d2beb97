//! One ring of io_uring: made, told of files and buffers, and driven through one batch after the other.
//!
//! Invariants:
//! * when `run` returns or unwinds, the kernel is done with every buffer of the batch;
//! * never more entries are under way than the submission queue has places, so neither queue overflows;
//! * entries that the kernel would not take make the ring broken: a later call would submit them, and their
//!   buffers are gone by then. It is dropped instead, and the kernel never looks at them;
//! * a file in the ring's table is the one whose id stands beside it.
//!
//! Must not know: how many rings there are.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::thread;
use std::time::Duration;

use io_uring::{EnterFlags, IoUring, Probe, opcode, squeue, types};

use super::super::area::AreaFile;
use super::super::{FileCall, Files, Filled, IoUse, fault, open};
use super::transfer::{Step, Transfer};
use crate::backend::{Area, BLOB_BYTES, BlobBufPool};

/// Places in the submission queue. Batches beyond are fed in as earlier operations complete; a disk is busy
/// with far fewer.
const ENTRIES: u32 = 128;

/// How often in a row the kernel may say that it is short of memory.
const REFUSALS_MAX: u32 = 1000;

/// So many reads are waited for at once where somebody looks at their buffers while others are under way.
const FILLED_AT_ONCE: usize = 8;

const NO_FILE: RawFd = -1;

/// Why a batch did not succeed.
pub(super) enum Failure {
    /// One of its operations failed.
    Transfer(io::Error),
    /// The ring did, and must be dropped.
    Ring,
}

/// A ring, with its table of files and, perhaps, of buffers.
pub(super) struct Ring {
    uring: IoUring,
    /// The id of the file at each place of the ring's table; 0 for none.
    known: [u64; Area::ALL.len()],
    /// Address and length of the memory whose every [`BLOB_BYTES`] are a registered buffer.
    registered: Option<(usize, usize)>,
    is_broken: bool,
}

impl Ring {
    /// Makes a ring. Also says whether it knows the pool's buffers, which it takes over from the ring
    /// `registered_fd` if it can: memory counts once against the user's limit that way.
    pub(super) fn new(pool: &BlobBufPool, registered_fd: Option<RawFd>) -> io::Result<(Ring, IoUse)> {
        fault::meet(FileCall::UringSetup)?;
        let uring = build()?;
        let mut probe = Probe::new();
        uring.submitter().register_probe(&mut probe)?;
        let needed =
            [opcode::Read::CODE, opcode::Write::CODE, opcode::ReadFixed::CODE, opcode::WriteFixed::CODE];
        if !needed.into_iter().all(|code| probe.is_supported(code)) {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS));
        }
        uring.submitter().register_files(&[NO_FILE; Area::ALL.len()])?;
        let (base, bytes) = pool.slab();
        let (registered, registered_use) = match register(&uring, base, bytes, registered_fd) {
            Ok(()) => (Some((base, bytes)), IoUse::On),
            Err(error) => (None, open::refused(&error)),
        };
        Ok((Ring { uring, known: [0; Area::ALL.len()], registered, is_broken: false }, registered_use))
    }

    pub(super) fn fd(&self) -> RawFd {
        self.uring.as_raw_fd()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Carries out a batch. After a failed transfer, others may have been carried out or not.
    /// `filled` sees the buffer of each read that is complete, while others are under way.
    pub(super) fn run(
        &mut self,
        files: &Files,
        transfers: &mut [Transfer<'_>],
        filled: &mut Option<Filled<'_>>,
    ) -> Result<(), Failure> {
        self.learn(files).map_err(|_| Failure::Ring)?;
        let mut flight = Flight { ring: self, under_way: 0 };
        let mut fresh = 0..transfers.len();
        let mut again: Vec<usize> = Vec::new();
        let mut failed = None;
        loop {
            while failed.is_none() && flight.under_way < ENTRIES as usize {
                let Some(index) = again.pop().or_else(|| fresh.next()) else { break };
                // SAFETY: the transfer is borrowed for longer than `flight` lives, which waits for the kernel
                // before it goes, even in a panic.
                unsafe { flight.push(&transfers[index].step(), index) };
            }
            if flight.under_way == 0 {
                return failed.map_or(Ok(()), |error| Err(Failure::Transfer(error)));
            }
            // The whole rest at once; but while more is to come, keep the disk busy, and while something can
            // be done beside it, the processor.
            let is_more = failed.is_none() && !fresh.is_empty();
            let wanted = match filled {
                Some(_) => flight.under_way.min(FILLED_AT_ONCE),
                None if is_more => flight.under_way / 2,
                None => flight.under_way,
            };
            flight.submit_and_wait(wanted.max(1))?;
            flight.reap(|index, answer| match transfers[index].advance(unless_failed(answer)) {
                Ok(true) => {
                    if let Some(filled) = filled {
                        filled(index, transfers[index].filled());
                    }
                }
                Ok(false) => again.push(index),
                // The first one is reported; the others are no consequence of it.
                Err(error) => drop(failed.get_or_insert(error)),
            });
        }
    }

    /// Puts the files of a batch into the table.
    fn learn(&mut self, files: &Files) -> io::Result<()> {
        for (place, file) in files.iter().enumerate() {
            if let Some(file) = file
                && self.known[place] != file.id
            {
                // Cleared first: after a failure nobody knows what is there.
                self.known[place] = 0;
                self.uring.submitter().register_files_update(place as u32, &[file.file.as_raw_fd()])?;
                self.known[place] = file.id;
            }
        }
        Ok(())
    }

    /// Removes a file from the table.
    pub(super) fn forget(&mut self, file: &AreaFile) -> io::Result<()> {
        for place in 0..self.known.len() {
            if self.known[place] == file.id {
                self.known[place] = 0;
                self.uring.submitter().register_files_update(place as u32, &[NO_FILE])?;
            }
        }
        Ok(())
    }

    fn entry(&self, step: &Step) -> squeue::Entry {
        let file = types::Fixed(step.area as u32);
        let Step { start, len_bytes, offset_bytes, .. } = *step;
        match (step.is_write, self.registered_index(start.addr(), len_bytes as usize)) {
            (false, Some(index)) => {
                opcode::ReadFixed::new(file, start, len_bytes, index).offset(offset_bytes).build()
            }
            (true, Some(index)) => {
                opcode::WriteFixed::new(file, start, len_bytes, index).offset(offset_bytes).build()
            }
            (false, None) => opcode::Read::new(file, start, len_bytes).offset(offset_bytes).build(),
            (true, None) => opcode::Write::new(file, start, len_bytes).offset(offset_bytes).build(),
        }
    }

    /// The registered buffer in which these bytes lie.
    fn registered_index(&self, address: usize, len_bytes: usize) -> Option<u16> {
        let (base, slab_bytes) = self.registered?;
        let first = address.checked_sub(base).filter(|at| at + len_bytes <= slab_bytes)?;
        let is_inside_one = first / BLOB_BYTES == (first + len_bytes - 1) / BLOB_BYTES;
        if is_inside_one { u16::try_from(first / BLOB_BYTES).ok() } else { None }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // At once: what is dismantled with the ring is dismantled later, in the background, and counts
        // against the user's limit until then. Who opens the database again right away would find it spent.
        let submitter = self.uring.submitter();
        if self.registered.is_some() {
            // It fails only if there are none.
            let _ = submitter.unregister_buffers();
        }
        let _ = submitter.unregister_files();
    }
}

/// The kernel's answer, or that of a failure in its place.
fn unless_failed(answer: i32) -> i32 {
    let errno = fault::meet(FileCall::UringAnswer).err().and_then(|error| error.raw_os_error());
    errno.map_or(answer, |errno| -errno)
}

/// A ring for use by one thread at a time, but not always the same: without `SINGLE_ISSUER`, therefore.
fn build() -> io::Result<IoUring> {
    // Completions wait for the next system call of the thread, which is here anyway: no interrupts.
    match IoUring::builder().setup_coop_taskrun().build(ENTRIES) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::new(ENTRIES),
        result => result,
    }
}

/// Makes every slot of a pool a registered buffer.
fn register(uring: &IoUring, base: usize, bytes: usize, registered_fd: Option<RawFd>) -> io::Result<()> {
    if let Some(fd) = registered_fd
        && uring.submitter().register_buffers_clone(fd).is_ok()
    {
        return Ok(());
    }
    let slot = |start| libc::iovec { iov_base: std::ptr::without_provenance_mut(start), iov_len: BLOB_BYTES };
    let slots: Vec<_> = (base..base + bytes).step_by(BLOB_BYTES).map(slot).collect();
    // SAFETY: the pool's memory stays where it is while the pool lives, and the backend that owns this ring
    // owns a handle to the pool. The kernel touches it only for operations that name an address in it.
    unsafe { uring.submitter().register_buffers(&slots) }
}

/// Operations between us and the kernel. Waits for them when it goes.
struct Flight<'a> {
    ring: &'a mut Ring,
    /// Pushed, and not yet answered.
    under_way: usize,
}

impl Flight<'_> {
    /// Queues one step, to be answered under `index`.
    ///
    /// # Safety
    ///
    /// Its bytes must be there for the kernel alone (to read: for nobody to write) until `self` is dropped.
    unsafe fn push(&mut self, step: &Step, index: usize) {
        let entry = self.ring.entry(step).user_data(index as u64);
        // SAFETY: what the entry points to is there for long enough, as the caller promises.
        let pushed = unsafe { self.ring.uring.submission().push(&entry) };
        assert!(pushed.is_ok(), "more operations under way than there are places");
        self.under_way += 1;
    }

    /// Hands everything queued to the kernel, and waits for so many answers; or fewer, if interrupted.
    fn submit_and_wait(&mut self, wanted: usize) -> Result<(), Failure> {
        for _ in 0..REFUSALS_MAX {
            let submitted = fault::meet(FileCall::UringSubmit);
            let Err(error) = submitted.and_then(|()| self.ring.uring.submit_and_wait(wanted)) else {
                return Ok(());
            };
            match error.raw_os_error() {
                Some(libc::EINTR) => return Ok(()),
                Some(libc::EAGAIN | libc::EBUSY) if !self.ring.uring.completion().is_empty() => return Ok(()),
                Some(libc::EAGAIN | libc::EBUSY) => thread::sleep(Duration::from_micros(100)),
                _ => break,
            }
        }
        Err(Failure::Ring)
    }

    /// Takes all answers that there are.
    fn reap(&mut self, mut answered: impl FnMut(usize, i32)) {
        let Flight { ring, under_way } = self;
        for completion in ring.uring.completion() {
            // First: the kernel is done with it, whatever `answered` does.
            *under_way -= 1;
            answered(completion.user_data() as usize, completion.result());
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        // The kernel takes entries only when it is told how many, which nobody does from here on.
        let untaken = self.ring.uring.submission().len();
        self.ring.is_broken |= untaken > 0;
        loop {
            self.reap(|_, _| {});
            let Some(wanted) = self.under_way.checked_sub(untaken).filter(|wanted| *wanted > 0) else {
                return;
            };
            let submitter = self.ring.uring.submitter();
            let flags = EnterFlags::GETEVENTS.bits();
            // SAFETY: submits nothing and passes no argument.
            let entered = unsafe { submitter.enter::<libc::sigset_t>(0, wanted as u32, flags, None) };
            if entered.is_err() {
                // Every return from the kernel delivers what is done by then. To give up is not possible:
                // the kernel still writes to the buffers.
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

#[cfg(all(test, not(any(loom, miri))))]
mod tests {
    use super::*;
    use crate::backend::file::open::Found;
    use crate::backend::{PAGE_BYTES, ReadOp};
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    /// A ring, or `None` where there is no io_uring.
    fn ring(pool: &BlobBufPool) -> Option<Ring> {
        Ring::new(pool, None)
            .inspect_err(|error| println!("no io_uring here: {error}"))
            .ok()
            .map(|made| made.0)
    }

    /// A file whose reads wait until something is written to the other end.
    fn slow_file() -> (Files, io::PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        let file = File::from(OwnedFd::from(reader));
        let file = Arc::new(AreaFile::new(Found { file, direct: IoUse::Unused }));
        ([Some(file), None, None], writer)
    }

    #[test]
    fn a_panic_waits_for_the_kernel() {
        let pool = BlobBufPool::new(2);
        let Some(mut ring) = ring(&pool) else { return };
        let (files, mut writer) = slow_file();
        ring.learn(&files).unwrap();
        let mut lease = pool.lease().unwrap();
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            writer.write_all(&[7; PAGE_BYTES]).unwrap();
        });
        let mut op = ReadOp { area: Area::Data, offset_bytes: 0, buf: &mut lease[..PAGE_BYTES] };
        let transfer = Transfer::read(&mut op);
        let mut flight = Flight { ring: &mut ring, under_way: 0 };
        let result = catch_unwind(AssertUnwindSafe(move || {
            // SAFETY: `op` outlives the flight, and nobody else uses its buffer.
            unsafe { flight.push(&transfer.step(), 0) };
            flight.ring.uring.submit().unwrap();
            panic!("in the middle of a batch");
        }));
        assert!(result.is_err());
        // Had the flight not waited, this would still be zeros.
        assert!(lease[..PAGE_BYTES].iter().all(|&byte| byte == 7));
        assert!(!ring.is_broken());
        writer.join().unwrap();
    }

    #[test]
    fn entries_that_were_never_taken_break_the_ring() {
        let pool = BlobBufPool::new(1);
        let Some(mut ring) = ring(&pool) else { return };
        let (files, writer) = slow_file();
        ring.learn(&files).unwrap();
        let mut lease = pool.lease().unwrap();
        let mut op = ReadOp { area: Area::Data, offset_bytes: 0, buf: &mut lease[..PAGE_BYTES] };
        let transfer = Transfer::read(&mut op);
        let mut flight = Flight { ring: &mut ring, under_way: 0 };
        // SAFETY: `op` outlives the flight, and nobody else uses its buffer.
        unsafe { flight.push(&transfer.step(), 0) };
        // Does not wait for what never started.
        drop(flight);
        assert!(ring.is_broken());
        drop(writer);
    }

    #[test]
    fn registered_buffers_are_found_by_address() {
        let pool = BlobBufPool::new(3);
        let Some(mut ring) = ring(&pool) else { return };
        let base = pool.slab().0;
        // What is asked is the table, whether the kernel has it or not.
        ring.registered = Some(pool.slab());
        assert_eq!(ring.registered_index(base, BLOB_BYTES), Some(0));
        assert_eq!(ring.registered_index(base + 2 * BLOB_BYTES + PAGE_BYTES, PAGE_BYTES), Some(2));
        assert_eq!(ring.registered_index(base + BLOB_BYTES - PAGE_BYTES, 2 * PAGE_BYTES), None);
        assert_eq!(ring.registered_index(base - PAGE_BYTES, PAGE_BYTES), None);
        assert_eq!(ring.registered_index(base + 3 * BLOB_BYTES, PAGE_BYTES), None);
        ring.registered = None;
        assert_eq!(ring.registered_index(base, PAGE_BYTES), None);
    }

    #[test]
    fn buffers_are_taken_over_from_another_ring() {
        let pool = BlobBufPool::new(2);
        let Some(first) = ring(&pool) else { return };
        let (second, registered) = Ring::new(&pool, Some(first.fd())).unwrap();
        assert_eq!(first.registered.is_some(), registered.is_on());
        // And from one that is no ring, they are not; they are registered anew.
        let (_, again) = Ring::new(&pool, Some(0)).unwrap();
        assert_eq!(again.is_on(), second.registered.is_some());
    }

    #[test]
    fn a_forgotten_file_is_closed() {
        let pool = BlobBufPool::new(1);
        let Some(mut ring) = ring(&pool) else { return };
        let (files, mut writer) = slow_file();
        ring.learn(&files).unwrap();
        let file = files.into_iter().flatten().next().unwrap();
        ring.forget(&file).unwrap();
        assert_eq!(ring.known, [0; 3]);
        drop(file);
        // The kernel lets go in its own time.
        let is_closed = (0..2000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            writer.write(&[0]).is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        });
        assert!(is_closed);
    }
}
