//! Opening a data area without reading its blobs: superblock and directory are read and verified, every frame
//! is left cold.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::directory::Directory;
use super::frames::Frames;
use super::residency::Residency;
use super::superblock::{Superblock, directory_slot, is_directory_blob, word};
use super::{ROOT_BLOB, Store};
use crate::backend::{Area, Backend, ReadOp};
use crate::blob::checksum;
use crate::blob::header;
use crate::blob::words::BLOB_BYTES;
use crate::error::{Error, Result};

/// Opens what `backend` holds, and keeps up to `cache_bytes` of it in memory.
pub(crate) fn open_cold(backend: Arc<dyn Backend>, cache_bytes: u64) -> Result<Store> {
    let mut buffer = backend.buffers().lease_blocking();
    let superblock = read_superblock(&*backend, &mut buffer)?;
    let frames = frames_for(&superblock)?;
    let directory = Directory::new();
    let mut unused = BTreeSet::new();
    let mut holder = 0;
    for id in 1..superblock.blobs {
        let (holder_id, at) = directory_slot(id);
        if holder_id != holder {
            // Each further directory blob is the last one that the directory before it covers.
            read_directory(&*backend, holder_id, directory.get(holder_id), &mut buffer)?;
            holder = holder_id;
        }
        match word(&buffer, at) {
            0 => _ = unused.insert(id),
            checksum => directory.set(id, checksum),
        }
    }
    drop(buffer);
    finish(backend, cache_bytes, Opened { superblock, frames, directory, unused })
}

/// What superblock and directory say.
pub(super) struct Opened {
    pub(super) superblock: Superblock,
    pub(super) frames: Frames,
    pub(super) directory: Directory,
    /// Ids without a blob.
    pub(super) unused: BTreeSet<u32>,
}

/// Room for the frames of all blobs. Before anything is believed of a blob with a greater id.
pub(super) fn frames_for(superblock: &Superblock) -> Result<Frames> {
    let frames = Frames::new();
    match superblock.blobs > frames.limit() {
        true => Err(Error::OutOfSpace { limit_blobs: frames.limit() }),
        false => Ok(frames),
    }
}

/// The store with all its frames cold.
pub(super) fn finish(backend: Arc<dyn Backend>, cache_bytes: u64, opened: Opened) -> Result<Store> {
    let Opened { superblock, frames, directory, mut unused } = opened;
    if directory.get(ROOT_BLOB) == 0 {
        return Err(Error::corrupt(ROOT_BLOB, "the root blob is missing"));
    }
    let is_blob = |id: &u32| !is_directory_blob(*id) && directory.get(*id) != 0;
    frames.open_cold(&mut (1..superblock.blobs).filter(is_blob))?;
    if u64::from(superblock.blobs) * BLOB_BYTES as u64 > cache_bytes {
        frames.prefer_small_pages();
    }
    let mut store = Store::new(frames, superblock.database_id);
    unused.retain(|&id| !is_directory_blob(id));
    store.ids.restore(superblock.blobs, unused);
    store.set_last_seq(superblock.next_seq.saturating_sub(1));
    // Tree 0 is that of the names.
    store.next_tree.store(superblock.next_tree.max(1), Ordering::Relaxed);
    store.note_key_bytes(superblock.key_bytes_max as usize);
    store.residency = Some(Residency::new(backend, directory, superblock.blobs, cache_bytes));
    Ok(store)
}

/// Reads blob 0 into the buffer, verifies it, and compares it with the length of the area.
pub(super) fn read_superblock(backend: &dyn Backend, buffer: &mut [u8]) -> Result<Superblock> {
    let found_bytes = backend.len(Area::Data)?;
    if found_bytes < BLOB_BYTES as u64 {
        return Err(Error::NotSpinney { reason: "it is shorter than one blob of 512 KiB" });
    }
    read_blob(backend, 0, buffer)?;
    let superblock = Superblock::open(buffer)?;
    let expected_bytes = u64::from(superblock.blobs) * BLOB_BYTES as u64;
    // A checkpoint that failed may have left more than there should be.
    let is_too_long = found_bytes > expected_bytes && superblock.unused_is_zero;
    if found_bytes < expected_bytes || is_too_long {
        return Err(Error::Truncated { found_bytes, expected_bytes });
    }
    Ok(superblock)
}

pub(super) fn read_directory(backend: &dyn Backend, id: u32, expected: u64, buffer: &mut [u8]) -> Result<()> {
    if expected == 0 {
        return Err(Error::corrupt(id, "a directory blob is missing"));
    }
    read_blob(backend, id, buffer)?;
    if let Some(page) = checksum::first_damaged_page(buffer, expected) {
        return Err(Error::Corrupt { blob: id, page: page as u32, reason: "page checksum" });
    }
    if word(buffer, 0) != header::MAGIC || word(buffer, 1) as u32 != id {
        return Err(Error::corrupt(id, "the header names another blob"));
    }
    Ok(())
}

pub(super) fn read_blob(backend: &dyn Backend, id: u32, bytes: &mut [u8]) -> Result<()> {
    let offset_bytes = u64::from(id) * BLOB_BYTES as u64;
    Ok(backend.read(&mut [ReadOp { area: Area::Data, offset_bytes, buf: bytes }])?)
}
