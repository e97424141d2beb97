//! A backend around another that fails when it is told to: one call of a kind, or all from one on.

#![forbid(unsafe_code)]
// Every test file compiles this anew and uses a part of it.
#![allow(dead_code)]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use spinney::backend::{Area, Backend, BlobBufPool, ReadOp, RingMemory, WriteOp};

pub const EIO: i32 = 5;
pub const ENOSPC: i32 = 28;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    Sync,
    SetLen,
    WriteDurable,
    Ring,
    RemoveSideFiles,
    SyncDirectory,
}

/// What happens to a call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Nothing.
    Undone,
    /// All of it: only the answer is wrong.
    Done,
    /// The first page of the first operation, where something is written.
    Begun,
}

/// When to fail.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Which of the calls, counted from 0.
    pub nth: u64,
    /// All after it, too.
    pub for_good: bool,
    pub errno: i32,
    pub how: How,
    /// Only calls that may take space count, as on a full disk.
    pub only_space: bool,
}

pub struct Faulty {
    inner: Arc<dyn Backend>,
    plan: Mutex<Option<Plan>>,
    calls: AtomicU64,
    failed: Mutex<Vec<(Call, Option<Area>)>>,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Backend>) -> Arc<Faulty> {
        let (plan, failed) = (Mutex::new(None), Mutex::new(Vec::new()));
        Arc::new(Faulty { inner, plan, calls: AtomicU64::new(0), failed })
    }

    /// Counts from now on.
    pub fn set(&self, plan: Option<Plan>) {
        *self.plan.lock().unwrap() = plan;
        self.calls.store(0, Ordering::Relaxed);
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// What has failed so far.
    pub fn failed(&self) -> Vec<(Call, Option<Area>)> {
        self.failed.lock().unwrap().clone()
    }

    /// Whether this call is to fail, and how.
    fn strike(&self, call: Call, area: Option<Area>) -> Option<Plan> {
        let plan = *self.plan.lock().unwrap();
        // The log is written where zeros were before.
        let takes_space = matches!(call, Call::Write | Call::SetLen | Call::Ring);
        if plan.is_some_and(|plan| plan.only_space) && !takes_space {
            return None;
        }
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let plan = plan.filter(|plan| number == plan.nth || number > plan.nth && plan.for_good)?;
        self.failed.lock().unwrap().push((call, area));
        Some(plan)
    }

    fn meet<T>(
        &self,
        call: Call,
        area: Option<Area>,
        whole: impl FnOnce() -> io::Result<T>,
        begin: impl FnOnce(),
    ) -> io::Result<T> {
        let Some(plan) = self.strike(call, area) else {
            return whole();
        };
        match plan.how {
            How::Undone => {}
            How::Done => drop(whole()),
            How::Begun => begin(),
        }
        Err(io::Error::from_raw_os_error(plan.errno))
    }
}

impl Backend for Faulty {
    fn len(&self, area: Area) -> io::Result<u64> {
        self.inner.len(area)
    }

    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        self.meet(Call::SetLen, Some(area), || self.inner.set_len(area, bytes), || {})
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        let area = batch.first().map(|op| op.area);
        self.meet(Call::Read, area, || self.inner.read(batch), || {})
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        let area = batch.first().map(|op| op.area);
        let begin = || {
            if let Some(op) = batch.first() {
                let _ = self.inner.write(&[WriteOp { buf: &op.buf[..4096], ..*op }]);
            }
        };
        self.meet(Call::Write, area, || self.inner.write(batch), begin)
    }

    fn sync(&self, area: Area) -> io::Result<()> {
        self.meet(Call::Sync, Some(area), || self.inner.sync(area), || {})
    }

    fn write_durable(&self, op: WriteOp<'_>) -> io::Result<()> {
        let begin = || drop(self.inner.write(&[WriteOp { buf: &op.buf[..4096], ..op }]));
        self.meet(Call::WriteDurable, Some(op.area), || self.inner.write_durable(op), begin)
    }

    fn remove_side_files(&self) -> io::Result<()> {
        self.meet(Call::RemoveSideFiles, None, || self.inner.remove_side_files(), || {})
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.meet(Call::SyncDirectory, None, || self.inner.sync_directory(), || {})
    }

    fn ring(&self, fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        self.meet(Call::Ring, None, || self.inner.ring(fresh), || {})
    }

    fn buffers(&self) -> &BlobBufPool {
        self.inner.buffers()
    }
}
