//! Opening a data area somewhere else, of which every read is a trip there: the superblock, as much of the
//! directory as there are blobs, and the beginning of the root are read, and verified like any other page.
//!
//! Only a closed database can be read so: nobody writes it, and there is no log to look at.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::directory::Directory;
use super::open::{self, Opened};
use super::superblock::{self, SUPERBLOCK_PAGES, Superblock, directory_slot};
use super::{ROOT_BLOB, Store};
use crate::backend::{Area, Backend, ReadOp};
use crate::blob::checksum;
use crate::blob::checksum::PAGE_BYTES;
use crate::blob::header;
use crate::blob::words::{BLOB_BYTES, PAGE_WORDS};
use crate::error::{Error, Result};
use crate::store::residency::ROOT_PAGES_REMOTE;

/// Pages of blob 0 that are read at first: the superblocks and the directory of 512 MiB.
pub(crate) const HEAD_PAGES: usize = 4;

/// Opens what `backend` holds, and keeps up to `cache_bytes` of it in memory.
pub(crate) fn open_remote(backend: Arc<dyn Backend>, cache_bytes: u64) -> Result<Store> {
    let found_bytes = backend.len(Area::Data)?;
    if found_bytes < BLOB_BYTES as u64 {
        return Err(Error::NotSpinney { reason: "it is shorter than one blob of 512 KiB" });
    }
    // Whatever the directory says: where the root begins is known.
    backend.will_need(u64::from(ROOT_BLOB) * BLOB_BYTES as u64, (ROOT_PAGES_REMOTE * PAGE_BYTES) as u64);
    let mut buffer = backend.buffers().lease_blocking();
    read(&*backend, 0, &mut buffer[..HEAD_PAGES * PAGE_BYTES])?;
    let superblock = Superblock::open_pair(&buffer)?;
    let expected_bytes = u64::from(superblock.blobs) * BLOB_BYTES as u64;
    if found_bytes < expected_bytes || (found_bytes > expected_bytes && superblock.unused_is_zero) {
        return Err(Error::Truncated { found_bytes, expected_bytes });
    }
    if superblock.log_id != 0 {
        // What was written last is not in this area.
        return Err(Error::SideFile { file: "log" });
    }
    let frames = open::frames_for(&superblock)?;
    let (directory, mut unused) = (Directory::new(), std::collections::BTreeSet::new());
    let mut holder = None;
    for id in 1..superblock.blobs {
        let (holder_id, at) = directory_slot(id);
        if holder != Some(holder_id) {
            let last_id = (id..superblock.blobs).take_while(|&id| directory_slot(id).0 == holder_id).last();
            let pages = directory_slot(last_id.unwrap_or(id)).1 / PAGE_WORDS + 1;
            match holder_id {
                0 => read_first_directory(&*backend, &superblock, pages, &mut buffer)?,
                _ => read_directory(&*backend, holder_id, directory.get(holder_id), pages, &mut buffer)?,
            }
            holder = Some(holder_id);
        }
        match superblock::word(&buffer, at) {
            0 => _ = unused.insert(id),
            checksum => directory.set(id, checksum),
        }
    }
    drop(buffer);
    let store = open::finish(backend, cache_bytes, Opened { superblock, frames, directory, unused })?;
    // A walk begins at the root's frame, which elsewhere is made when it is loaded.
    store.frames.cold(ROOT_BLOB)?;
    Ok(store)
}

/// Reads and verifies the directory pages in blob 0, behind those that are in the buffer already.
fn read_first_directory(
    backend: &dyn Backend,
    superblock: &Superblock,
    pages: usize,
    buffer: &mut [u8],
) -> Result<()> {
    if pages > HEAD_PAGES {
        read(backend, 0, &mut buffer[..pages * PAGE_BYTES])?;
        // They may have been read from another file than the first ones.
        if Superblock::open_pair(buffer)? != *superblock {
            return Err(Error::Changed);
        }
    }
    let (blob, _) = buffer.split_at(pages.max(SUPERBLOCK_PAGES) * PAGE_BYTES);
    superblock::verify_directory(blob, blob, SUPERBLOCK_PAGES)
}

/// Reads and verifies the first pages of a further directory blob.
fn read_directory(
    backend: &dyn Backend,
    id: u32,
    expected: u64,
    pages: usize,
    buffer: &mut [u8],
) -> Result<()> {
    if expected == 0 {
        return Err(Error::corrupt(id, "a directory blob is missing"));
    }
    read(backend, id, &mut buffer[..pages * PAGE_BYTES])?;
    let (first, further) = buffer[..pages * PAGE_BYTES].split_at(PAGE_BYTES);
    let mut damaged = checksum::of_first_page(first) != expected || checksum::stored(first, 0) != expected;
    for (page, bytes) in (1..).zip(further.chunks_exact(PAGE_BYTES)) {
        damaged |= checksum::of_page(bytes) != checksum::stored(first, page);
    }
    if damaged {
        return Err(Error::corrupt(id, "page checksum"));
    }
    if superblock::word(first, 0) != header::MAGIC || superblock::word(first, 1) as u32 != id {
        return Err(Error::corrupt(id, "the header names another blob"));
    }
    Ok(())
}

/// Reads the first pages of a blob.
fn read(backend: &dyn Backend, id: u32, buf: &mut [u8]) -> Result<()> {
    let offset_bytes = u64::from(id) * BLOB_BYTES as u64;
    Ok(backend.read(&mut [ReadOp { area: Area::Data, offset_bytes, buf }])?)
}
