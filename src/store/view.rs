//! The database as it was at a cut, as a store of its own: cold, read-only, and over a backend that reads the
//! pages of the cut from the store in use. So whatever reads a database reads a snapshot, with the same code.
//!
//! Invariants:
//! * what a view has read stays true: a cut does not change. So its frames need neither versions that move
//!   nor anything of the other store any more;
//! * pages are not compared with checksums here: that was done when they came into the other store's frames,
//!   and what was changed there since has none;
//! * the view has buffers of its own, because the other store takes some of its while the view waits for it.
//!
//! Must not know: keys, trees.

#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Store;
use super::at_cut::Cut;
use super::background::HasStore;
use super::directory::Directory;
use super::frames::Frames;
use super::residency::Residency;
use crate::backend::{Area, BLOB_BYTES, Backend, BlobBufPool, PAGE_BYTES, ReadOp, WriteOp};
use crate::error::{Error, Result};

/// Loads of one view that can run at the same time, or read at once.
const BUFFER_SLOTS: usize = 4;

/// What the directory of a view says of each of its blobs.
const STORED: u64 = 1;

/// A cut that is kept until this is dropped.
pub(crate) struct KeptCut<S: HasStore> {
    pub(crate) owner: Arc<S>,
    pub(crate) cut: Cut,
}

impl<S: HasStore> KeptCut<S> {
    pub(crate) fn new(owner: Arc<S>) -> Self {
        let cut = owner.store().begin_cut();
        KeptCut { owner, cut }
    }
}

impl<S: HasStore> Drop for KeptCut<S> {
    fn drop(&mut self) {
        self.owner.store().end_cut(&self.cut);
    }
}

/// The pages of a cut as a data area.
struct View<S: HasStore> {
    kept: Arc<KeptCut<S>>,
    buffers: BlobBufPool,
}

/// A store that reads what there was at the cut, and keeps up to `cache_bytes` of it in memory.
pub(crate) fn open<S: HasStore>(kept: Arc<KeptCut<S>>, cache_bytes: u64) -> Result<Store> {
    let frames = Frames::new();
    let cut = &kept.cut;
    if cut.end > frames.limit() {
        return Err(Error::OutOfSpace { limit_blobs: frames.limit() });
    }
    let directory = Directory::new();
    cut.blobs().for_each(|id| directory.set(id, STORED));
    frames.open_cold(&mut cut.blobs())?;
    // Pages come in one by one, and few of many snapshots may ever do.
    frames.prefer_small_pages();
    let mut store = Store::new(frames, kept.owner.store().database_id);
    store.read_only = true;
    store.set_last_seq(cut.last_seq);
    store.next_tree.store(cut.next_tree, Ordering::Relaxed);
    let end = cut.end;
    let view = View { kept, buffers: BlobBufPool::new(BUFFER_SLOTS) };
    let mut residency = Residency::new(Arc::new(view), directory, end, cache_bytes);
    residency.verifies = false;
    store.residency = Some(residency);
    Ok(store)
}

impl<S: HasStore> Backend for View<S> {
    fn len(&self, area: Area) -> io::Result<u64> {
        Ok(if area == Area::Data { self.kept.cut.size_bytes() } else { 0 })
    }

    fn set_len(&self, _area: Area, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        for op in batch {
            op.check(self.len(op.area)?)?;
            let blob = (op.offset_bytes / BLOB_BYTES as u64) as u32;
            let first = (op.offset_bytes % BLOB_BYTES as u64) as usize / PAGE_BYTES;
            let store = self.kept.owner.store();
            // Unwrapped where the error type is made of it again.
            store.read_at_cut(self.kept.cut.number, blob, first, op.buf).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn write(&self, _batch: &[WriteOp<'_>]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self, _area: Area) -> io::Result<()> {
        Ok(())
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn buffers(&self) -> &BlobBufPool {
        &self.buffers
    }
}
