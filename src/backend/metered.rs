//! A backend that counts what goes through it.

#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Area, Backend, BlobBufPool, IoPath, ReadOp, RingMemory, WriteOp};

/// What went through one area.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// use spinney::backend::{Area, AreaCounts, MemoryBackend};
///
/// let db = spinney::Db::builder().open_backend(std::sync::Arc::new(MemoryBackend::new()))?;
/// let before: AreaCounts = db.stats().areas[Area::Log as usize];
/// db.tree("files")?.put("a/b", "c")?;
/// let after: AreaCounts = db.stats().areas[Area::Log as usize];
/// assert!(after.written_bytes > before.written_bytes && after.syncs > before.syncs);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AreaCounts {
    /// Read operations; one batch may have many.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Write operations.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Calls that returned only when data was on stable storage.
    pub syncs: u64,
}

#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    read_bytes: AtomicU64,
    writes: AtomicU64,
    written_bytes: AtomicU64,
    syncs: AtomicU64,
}

/// See the head of this file.
pub(crate) struct Metered {
    inner: Arc<dyn Backend>,
    counts: [Counts; Area::ALL.len()],
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn Backend>) -> Self {
        Metered { inner, counts: Default::default() }
    }

    /// What went through so far, by [`Area`] as an index.
    pub(crate) fn counts(&self) -> [AreaCounts; Area::ALL.len()] {
        Area::ALL.map(|area| {
            let counts = &self.counts[area as usize];
            let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
            AreaCounts {
                reads: get(&counts.reads),
                read_bytes: get(&counts.read_bytes),
                writes: get(&counts.writes),
                written_bytes: get(&counts.written_bytes),
                syncs: get(&counts.syncs),
            }
        })
    }

    fn count_read(&self, op: &ReadOp<'_>) {
        let counts = &self.counts[op.area as usize];
        counts.reads.fetch_add(1, Ordering::Relaxed);
        counts.read_bytes.fetch_add(op.buf.len() as u64, Ordering::Relaxed);
    }

    fn count_write(&self, op: &WriteOp<'_>) {
        let counts = &self.counts[op.area as usize];
        counts.writes.fetch_add(1, Ordering::Relaxed);
        counts.written_bytes.fetch_add(op.buf.len() as u64, Ordering::Relaxed);
    }

    fn count_sync(&self, area: Area) {
        self.counts[area as usize].syncs.fetch_add(1, Ordering::Relaxed);
    }
}

impl Backend for Metered {
    fn len(&self, area: Area) -> io::Result<u64> {
        self.inner.len(area)
    }

    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        self.inner.set_len(area, bytes)
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        batch.iter().for_each(|op| self.count_read(op));
        self.inner.read(batch)
    }

    fn read_each(&self, batch: &mut [ReadOp<'_>], filled: &mut dyn FnMut(usize, &[u8])) -> io::Result<()> {
        batch.iter().for_each(|op| self.count_read(op));
        self.inner.read_each(batch, filled)
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        batch.iter().for_each(|op| self.count_write(op));
        self.inner.write(batch)
    }

    fn sync(&self, area: Area) -> io::Result<()> {
        self.count_sync(area);
        self.inner.sync(area)
    }

    fn write_durable(&self, op: WriteOp<'_>) -> io::Result<()> {
        self.count_write(&op);
        self.count_sync(op.area);
        self.inner.write_durable(op)
    }

    fn write_zeros(&self, area: Area, offset_bytes: u64, len_bytes: u64) -> io::Result<()> {
        self.counts[area as usize].written_bytes.fetch_add(len_bytes, Ordering::Relaxed);
        self.inner.write_zeros(area, offset_bytes, len_bytes)
    }

    fn remove_side_files(&self) -> io::Result<()> {
        self.inner.remove_side_files()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn let_go(&self) -> io::Result<()> {
        self.inner.let_go()
    }

    fn io_path(&self) -> IoPath {
        self.inner.io_path()
    }

    fn ring(&self, fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        self.inner.ring(fresh)
    }

    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    fn is_remote(&self) -> bool {
        self.inner.is_remote()
    }

    fn will_need(&self, offset_bytes: u64, len_bytes: u64) {
        self.inner.will_need(offset_bytes, len_bytes);
    }

    fn permissions(&self) -> Option<u32> {
        self.inner.permissions()
    }

    fn buffers(&self) -> &BlobBufPool {
        self.inner.buffers()
    }
}
