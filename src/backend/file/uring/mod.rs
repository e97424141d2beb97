//! Batches through io_uring: a pool of rings, so that threads do not queue behind one.
//!
//! Invariants:
//! * a ring belongs to one batch at a time, from its first submission to its last completion;
//! * rings are made when all that there are are busy, and the first when there is a batch; none is made
//!   after one was refused;
//! * a batch that no ring can take is handed back untouched, to be carried out plainly. So is one whose ring
//!   broke: reading or writing the same bytes again does no harm.
//!
//! Must not know: what the kernel and a ring say to each other (`ring` does).

// Not `forbid`, which would reach down into the files that need it.
#![deny(unsafe_code)]

mod ring;
mod transfer;

use std::cell::Cell;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::area::AreaFile;
use super::{Files, Filled, IoChoice, IoUse, locked, open};
use crate::backend::{BlobBufPool, ReadOp, WriteOp};
use ring::{Failure, Ring};
use transfer::Transfer;

/// Below this many operations a batch is carried out plainly. Measured on a virtual disk with two
/// processors, microseconds for random pages, by io_uring and plainly:
///
/// | operations | read | write | 4 threads: read | write |
/// |---|---|---|---|---|
/// | 1 | 20-30, 18-28 | 31-37, 21-30 | 31-35, 32-35 | 45-60, 32-43 |
/// | 2 | 26-34, 29-47 | 30-63, 34-46 | 44-49, 60-76 | 74-190, 79-80 |
/// | 4 | 35-41, 101-109 | 46-83, 103-105 | 74-75, 135-147 | 92-312, 140-151 |
/// | 64 | 263-396, 1148-1588 | 521-653, 1081-1573 | 922-1267, 1909-2536 | 1469-1682, 2192-2755 |
///
/// `SPINNEY_IO_ROUNDS=20000 cargo test --release --lib file::tests::speed -- --nocapture`
const BATCH_OPS_MIN: usize = 2;

/// The most rings: threads beyond as many that all wait for the disk wait for each other.
const RINGS_MAX: usize = 32;

/// The place of a ring, held alone.
type Slot<'a> = MutexGuard<'a, Option<Ring>>;

/// A pool of rings, empty at first.
pub(super) struct Rings {
    /// Of these, the first `made` hold a ring, but where it broke.
    slots: [Mutex<Option<Ring>>; RINGS_MAX],
    made: AtomicUsize,
    /// No further ring is to be made.
    closed: AtomicBool,
    report: Mutex<Report>,
}

/// What has become of it all; locked while a ring is made.
struct Report {
    io_uring: IoUse,
    registered_buffers: IoUse,
    /// A ring that knows the buffers, for others to take them over.
    registered_fd: Option<RawFd>,
}

impl Rings {
    pub(super) fn new(choice: IoChoice) -> Rings {
        let unused = if choice == IoChoice::Auto { IoUse::Unused } else { IoUse::NotChosen };
        Rings {
            slots: std::array::from_fn(|_| Mutex::new(None)),
            made: AtomicUsize::new(0),
            closed: AtomicBool::new(choice != IoChoice::Auto),
            report: Mutex::new(Report { io_uring: unused, registered_buffers: unused, registered_fd: None }),
        }
    }

    /// Carries out a checked batch, or returns `None`: then it must be done in another way.
    pub(super) fn read(
        &self,
        pool: &BlobBufPool,
        files: &Files,
        batch: &mut [ReadOp<'_>],
        filled: &mut Option<Filled<'_>>,
    ) -> Option<io::Result<()>> {
        if batch.len() < BATCH_OPS_MIN || batch.iter().any(|op| files[op.area as usize].is_none()) {
            return None;
        }
        let ring = self.acquire(pool)?;
        self.run(ring, files, &mut batch.iter_mut().map(Transfer::read).collect::<Vec<_>>(), filled)
    }

    /// Carries out a checked batch, or returns `None`: then it must be done in another way.
    pub(super) fn write(
        &self,
        pool: &BlobBufPool,
        files: &Files,
        batch: &[WriteOp<'_>],
    ) -> Option<io::Result<()>> {
        if batch.len() < BATCH_OPS_MIN || batch.iter().any(|op| files[op.area as usize].is_none()) {
            return None;
        }
        let ring = self.acquire(pool)?;
        self.run(ring, files, &mut batch.iter().map(Transfer::write).collect::<Vec<_>>(), &mut None)
    }

    /// Removes a file from the tables of all rings, which keep it open otherwise.
    pub(super) fn forget(&self, file: &AreaFile) {
        // Whoever makes a ring now gives it no file that it was not just asked to use.
        for slot in &self.slots[..self.made.load(Ordering::Acquire)] {
            let mut slot = locked(slot);
            if slot.as_mut().is_some_and(|ring| ring.forget(file).is_err()) {
                self.retire(slot);
            }
        }
    }

    /// Runs a batch on a ring, and lets the ring go if it breaks.
    fn run(
        &self,
        mut slot: Slot<'_>,
        files: &Files,
        transfers: &mut [Transfer<'_>],
        filled: &mut Option<Filled<'_>>,
    ) -> Option<io::Result<()>> {
        match slot.as_mut()?.run(files, transfers, filled) {
            Ok(()) => Some(Ok(())),
            Err(Failure::Transfer(error)) => Some(Err(error)),
            Err(Failure::Ring) => {
                self.retire(slot);
                None
            }
        }
    }

    fn retire(&self, mut slot: Slot<'_>) {
        // Before its descriptor can get another meaning.
        let mut report = locked(&self.report);
        if report.registered_fd == slot.as_ref().map(Ring::fd) {
            report.registered_fd = None;
        }
        *slot = None;
    }

    /// Whether io_uring and its registered buffers are in use. Tries them out, if nothing has yet.
    pub(super) fn state(&self, pool: &BlobBufPool) -> (IoUse, IoUse) {
        if self.made.load(Ordering::Acquire) == 0 && !self.closed.load(Ordering::Acquire) {
            drop(self.grow(0, pool));
        }
        let report = locked(&self.report);
        (report.io_uring, report.registered_buffers)
    }

    /// A ring that nobody else uses.
    fn acquire(&self, pool: &BlobBufPool) -> Option<Slot<'_>> {
        let made = self.made.load(Ordering::Acquire);
        let first = thread_number();
        let free = (0..made).find_map(|step| try_use(&self.slots[(first + step) % made]));
        if free.is_some() {
            return free;
        }
        if made < RINGS_MAX
            && !self.closed.load(Ordering::Acquire)
            && let Some(fresh) = self.grow(made, pool)
        {
            return Some(fresh);
        }
        // All are busy, or gone.
        let made = self.made.load(Ordering::Acquire);
        let slot = locked(self.slots[..made].get(first.checked_rem(made)?)?);
        is_usable(&slot).then_some(slot)
    }

    /// Makes one more ring, unless another thread has since there were `seen`.
    fn grow(&self, seen: usize, pool: &BlobBufPool) -> Option<Slot<'_>> {
        let mut report = locked(&self.report);
        let made = self.made.load(Ordering::Acquire);
        if made != seen || self.closed.load(Ordering::Acquire) {
            // Very likely the one that has just been made is free.
            return try_use(self.slots.get(made.checked_sub(1)?)?);
        }
        match Ring::new(pool, report.registered_fd) {
            Ok((ring, registered_buffers)) => {
                report.io_uring = IoUse::On;
                if made == 0 || report.registered_buffers.is_on() {
                    report.registered_buffers = registered_buffers;
                }
                if registered_buffers.is_on() {
                    report.registered_fd.get_or_insert(ring.fd());
                }
                let mut slot = locked(&self.slots[made]);
                *slot = Some(ring);
                self.made.store(made + 1, Ordering::Release);
                Some(slot)
            }
            Err(error) => {
                self.closed.store(true, Ordering::Release);
                if made == 0 {
                    let reason = open::refused(&error);
                    (report.io_uring, report.registered_buffers) = (reason, reason);
                }
                None
            }
        }
    }
}

/// The ring in a slot, if there is one and nobody uses it.
fn try_use(slot: &Mutex<Option<Ring>>) -> Option<Slot<'_>> {
    let slot = match slot.try_lock() {
        Ok(slot) => slot,
        // A batch that panics leaves its ring idle, or broken; and a broken one says so.
        Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
        Err(TryLockError::WouldBlock) => return None,
    };
    is_usable(&slot).then_some(slot)
}

fn is_usable(slot: &Slot<'_>) -> bool {
    slot.as_ref().is_some_and(|ring| !ring.is_broken())
}

/// A number for each thread, so that each tends to use the same ring.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    NUMBER.get()
}
