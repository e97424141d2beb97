//! A whole data area written from a cut, and frames loaded from one: the image of a database.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::at_cut::Cut;
use super::open::{read_blob, read_superblock};
use super::superblock::{Superblock, directory_slot, is_directory_blob, set_word, word};
use super::{ROOT_BLOB, Store};
use crate::backend::{Area, Backend, WriteOp, room};
use crate::blob::checksum;
use crate::blob::header::{self, BlobKind};
use crate::blob::words::{BLOB_BYTES, BLOB_WORDS, NOTE_WORDS, Words};
use crate::error::{Error, Result};
use crate::store::frames::{Frame, Frames};

/// The one generation of an image: it is written once, as a whole.
const IMAGE_GENERATION: u64 = 1;

/// Bytes of one directory blob, or of blob 0.
type DirectoryBlob = (u32, Vec<u8>);

/// Writes every blob of a cut, the directory and the superblock, as a database that was closed. If it is the
/// last use of the cut, what its blobs held is dropped as soon as they are written.
///
/// `progress` is told how many bytes of how many are done.
pub(crate) fn write(
    store: &Store,
    cut: &Cut,
    is_last_use: bool,
    backend: &dyn Backend,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let end = cut.end;
    backend.set_len(Area::Data, cut.size_bytes())?;
    let mut directory: Vec<DirectoryBlob> = Vec::new();
    for id in (0..end).filter(|&id| id == 0 || is_directory_blob(id)) {
        directory.push((id, room::zeros(BLOB_BYTES)?));
    }
    let mut buffer = backend.buffers().lease_blocking();
    for id in cut.blobs() {
        progress(u64::from(id) * BLOB_BYTES as u64, cut.size_bytes());
        store.read_at_cut(cut.number, id, 0, &mut buffer)?;
        set_word(&mut buffer, 2, IMAGE_GENERATION);
        for at in NOTE_WORDS {
            set_word(&mut buffer, at, 0);
        }
        let checksum = checksum::seal(&mut buffer);
        enter(&mut directory, id, checksum);
        write_blob(backend, id, &buffer)?;
        if is_last_use {
            store.pass_at_cut(cut, id + 1);
        }
    }
    // From the last to the first: the checksum of each goes into one before it.
    for index in (1..directory.len()).rev() {
        let (id, mut bytes) = std::mem::take(&mut directory[index]);
        set_word(&mut bytes, 0, header::MAGIC);
        set_word(&mut bytes, 1, u64::from(id) | ((BlobKind::Directory as u64) << 32));
        set_word(&mut bytes, 2, IMAGE_GENERATION);
        let checksum = checksum::seal(&mut bytes);
        enter(&mut directory, id, checksum);
        buffer.copy_from_slice(&bytes);
        write_blob(backend, id, &buffer)?;
    }
    let superblock = Superblock {
        generation: IMAGE_GENERATION,
        database_id: store.database_id,
        log_position: 0,
        next_seq: cut.last_seq + 1,
        incarnation: 0,
        unused_is_zero: true,
        has_ring: false,
        log_id: 0,
        blobs: end,
        next_tree: cut.next_tree,
        key_bytes_max: cut.key_bytes_max,
    };
    superblock.may_be_stored()?;
    let (_, mut bytes) = std::mem::take(&mut directory[0]);
    superblock.seal(&mut bytes);
    buffer.copy_from_slice(&bytes);
    write_blob(backend, 0, &buffer)?;
    backend.sync(Area::Data)?;
    progress(cut.size_bytes(), cut.size_bytes());
    Ok(())
}

fn enter(directory: &mut [DirectoryBlob], id: u32, checksum: u64) {
    let (blob, at) = directory_slot(id);
    for (_, bytes) in directory.iter_mut().filter(|(id, bytes)| *id == blob && !bytes.is_empty()) {
        set_word(bytes, at, checksum);
    }
}

fn write_blob(backend: &dyn Backend, id: u32, bytes: &[u8]) -> Result<()> {
    let offset_bytes = u64::from(id) * BLOB_BYTES as u64;
    Ok(backend.write(&[WriteOp { area: Area::Data, offset_bytes, buf: bytes }])?)
}

fn copy_in(words: Words<'_>, bytes: &[u8]) {
    for (at, chunk) in bytes.chunks_exact(8).enumerate().take(BLOB_WORDS) {
        words.store(at as u16, chunk.first_chunk().map_or(0, |word| u64::from_le_bytes(*word)));
    }
}

/// Loads and verifies a whole data area.
pub(crate) fn read(backend: &dyn Backend) -> Result<Store> {
    backend.buffers().reserve()?;
    let mut buffer = backend.buffers().lease_blocking();
    let superblock = read_superblock(backend, &mut buffer)?;
    if superblock.log_id != 0 {
        // A file that was not closed. What was written last lies beside it.
        return Err(Error::SideFile { file: "log" });
    }
    let mut directory = vec![(0, room::copy_of(&buffer)?)];
    let store = Store::new(Frames::new(), superblock.database_id);
    let mut unused = BTreeSet::new();
    for id in 1..superblock.blobs {
        let (directory_id, at) = directory_slot(id);
        let listed = directory.iter().find(|(id, _)| *id == directory_id);
        let Some(expected) = listed.map(|(_, bytes)| word(bytes, at)) else {
            return Err(Error::corrupt(id, "its directory blob is missing"));
        };
        read_blob(backend, id, &mut buffer)?;
        if expected == 0 {
            check_unused(id, &buffer, &superblock)?;
            unused.insert(id);
            continue;
        }
        if let Some(page) = checksum::first_damaged_page(&buffer, expected) {
            return Err(Error::Corrupt { blob: id, page: page as u32, reason: "page checksum" });
        }
        if is_directory_blob(id) {
            directory.push((id, room::copy_of(&buffer)?));
        } else {
            load(store.frames.commit(id)?, &buffer)?;
        }
    }
    if superblock.blobs <= ROOT_BLOB || unused.contains(&ROOT_BLOB) {
        return Err(Error::corrupt(ROOT_BLOB, "the root blob is missing"));
    }
    unused.retain(|&id| !is_directory_blob(id));
    store.ids.restore(superblock.blobs, unused);
    store.set_last_seq(superblock.next_seq.saturating_sub(1));
    // Tree 0 is that of the names.
    store.next_tree.store(superblock.next_tree.max(1), std::sync::atomic::Ordering::Relaxed);
    store.note_key_bytes(superblock.key_bytes_max as usize);
    Ok(store)
}

/// Blobs that are not in use must be zero in an image: so every bit of it is covered by something.
fn check_unused(id: u32, bytes: &[u8], superblock: &Superblock) -> Result<()> {
    match bytes.iter().position(|&byte| byte != 0) {
        Some(at) if superblock.unused_is_zero => {
            let page = (at / checksum::PAGE_BYTES) as u32;
            Err(Error::Corrupt { blob: id, page, reason: "an unused blob is not zero" })
        }
        _ => Ok(()),
    }
}

fn load(frame: Frame<'_>, bytes: &[u8]) -> Result<()> {
    copy_in(frame.words, bytes);
    let kind = header::kind(frame.words);
    if header::magic(frame.words) != header::MAGIC || header::id(frame.words) != frame.id {
        return Err(Error::corrupt(frame.id, "the header names another blob"));
    }
    if !matches!(kind, Some(BlobKind::Range | BlobKind::Router)) {
        return Err(Error::corrupt(frame.id, "a blob of unknown kind"));
    }
    // Generation and checksums say where the bytes came from; the frame starts without them.
    header::set_generation(frame.words, 0);
    frame.words.zero(header::CHECKSUMS_AT, header::BLOB_PAGES);
    frame.words.forget_notes();
    frame.refresh_root();
    Ok(())
}
