//! What the last checkpoint left in storage: the superblock, and the directory in the blobs it is kept in.

#![forbid(unsafe_code)]

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::journal::Page;
use super::open::{read_blob, read_directory};
use super::superblock::{Superblock, directory_blobs, directory_slot, is_directory_blob, set_word, word};
use crate::backend::{Backend, PAGE_BYTES, room};
use crate::blob::checksum;
use crate::blob::header::{self, BLOB_PAGES, BlobKind};
use crate::blob::words::BLOB_BYTES;
use crate::error::Result;

/// Superblock and directory, as bytes. A checkpoint works on the next one, which replaces this when it
/// commits.
pub(crate) struct Committed {
    pub(crate) superblock: Superblock,
    /// Blob 0 and the further directory blobs. The next one shares those that it does not change.
    directories: BTreeMap<u32, Arc<Vec<u8>>>,
    /// Pages that differ from what is in storage, by directory blob.
    changed: BTreeSet<(u32, usize)>,
    /// The blobs whose directory words were changed.
    entered: BTreeSet<u32>,
}

impl Committed {
    /// Of a database without blobs.
    pub(crate) fn new(superblock: Superblock) -> Self {
        let directories = BTreeMap::from([(0, Arc::new(vec![0; BLOB_BYTES]))]);
        let changed = (2..BLOB_PAGES).map(|page| (0, page)).collect();
        Committed { superblock, directories, changed, entered: BTreeSet::new() }
    }

    /// Of a database of which nothing but the superblock is needed as yet.
    pub(crate) fn unread(superblock: Superblock) -> Self {
        let (directories, changed) = (BTreeMap::new(), BTreeSet::new());
        Committed { superblock, directories, changed, entered: BTreeSet::new() }
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.directories.is_empty()
    }

    /// What the next checkpoint begins with.
    pub(crate) fn next(&self) -> Self {
        let Committed { superblock, directories, changed, .. } = self;
        let (directories, changed) = (directories.clone(), changed.clone());
        Committed { superblock: *superblock, directories, changed, entered: BTreeSet::new() }
    }

    /// Reads and verifies the directory again: checkpoints are going to seal what is read here.
    pub(crate) fn read(backend: &dyn Backend, superblock: Superblock) -> Result<Self> {
        let mut committed = Committed::unread(superblock);
        let mut buffer = backend.buffers().lease_blocking();
        for id in directory_blobs(superblock.blobs) {
            match id {
                0 => {
                    read_blob(backend, 0, &mut buffer)?;
                    Superblock::open(&buffer)?;
                }
                _ => read_directory(backend, id, committed.entry(id), &mut buffer)?,
            }
            committed.directories.insert(id, Arc::new(room::copy_of(&buffer)?));
        }
        Ok(committed)
    }

    /// Makes room in the directory for blobs below `end`.
    pub(crate) fn cover(&mut self, end: u32) -> io::Result<()> {
        for id in directory_blobs(end) {
            if let Entry::Vacant(vacant) = self.directories.entry(id) {
                vacant.insert(Arc::new(room::zeros(BLOB_BYTES)?));
                self.changed.extend((0..BLOB_PAGES).map(|page| (id, page)));
            }
        }
        Ok(())
    }

    /// Forgets the directory blobs from `end` on, which storage is about to lose. Where one is needed again,
    /// all of it is written anew.
    pub(crate) fn forget_from(&mut self, end: u32) {
        self.directories.retain(|&id, _| id < end.max(1));
        self.changed.retain(|&(id, _)| id < end.max(1));
    }

    /// The directory word of a blob.
    pub(crate) fn entry(&self, id: u32) -> u64 {
        let (directory, at) = directory_slot(id);
        self.directories.get(&directory).map_or(0, |bytes| word(bytes, at))
    }

    /// Sets the directory word of a blob, which `cover` has made room for.
    pub(crate) fn enter(&mut self, id: u32, checksum: u64) -> io::Result<()> {
        let (directory, at) = directory_slot(id);
        if let Some(bytes) = self.directories.get_mut(&directory).filter(|bytes| word(bytes, at) != checksum)
        {
            let bytes = own(bytes)?;
            set_word(bytes, at, checksum);
            self.changed.insert((directory, at * 8 / PAGE_BYTES));
            self.entered.insert(id);
        }
        Ok(())
    }

    /// The blobs whose directory words differ from those of the checkpoint before, and perhaps some others;
    /// but no directory blobs.
    pub(crate) fn entered(&self) -> impl Iterator<Item = u32> {
        self.entered.iter().copied().filter(|&id| !is_directory_blob(id))
    }

    /// Fills in all checksums and returns the pages that differ from what is in storage: those of the
    /// directory, then the two superblocks.
    pub(crate) fn seal(&mut self) -> io::Result<Vec<Page<'_>>> {
        let generation = self.superblock.generation;
        let further: Vec<u32> = self.directories.keys().copied().filter(|&id| id != 0).rev().collect();
        for id in further {
            // From the last to the first: the checksum of each goes into one before it.
            if !self.changed.iter().any(|&(directory, _)| directory == id) {
                continue;
            }
            let Some(bytes) = self.directories.get_mut(&id) else { continue };
            let bytes = own(bytes)?;
            set_word(bytes, 0, header::MAGIC);
            set_word(bytes, 1, u64::from(id) | ((BlobKind::Directory as u64) << 32));
            set_word(bytes, 2, generation);
            let checksum = checksum::seal(bytes);
            self.changed.insert((id, 0));
            self.enter(id, checksum)?;
        }
        if let Some(bytes) = self.directories.get_mut(&0) {
            self.superblock.seal(own(bytes)?);
        }
        let changed = std::mem::take(&mut self.changed);
        let superblocks = [(0, 0), (0, 1)];
        let pages = changed.into_iter().filter(|page| !superblocks.contains(page)).chain(superblocks);
        Ok(pages.filter_map(|(id, page)| self.page(id, page)).collect())
    }

    fn page(&self, id: u32, page: usize) -> Option<Page<'_>> {
        let bytes = self.directories.get(&id)?.get(page * PAGE_BYTES..(page + 1) * PAGE_BYTES)?;
        Some((u64::from(id) * BLOB_PAGES as u64 + page as u64, bytes))
    }
}

/// The bytes for this owner alone: a copy, if others share them.
fn own(bytes: &mut Arc<Vec<u8>>) -> io::Result<&mut Vec<u8>> {
    if Arc::get_mut(bytes).is_none() {
        *bytes = Arc::new(room::copy_of(bytes)?);
    }
    Ok(Arc::make_mut(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPERBLOCK: Superblock = Superblock {
        generation: 1,
        database_id: 2,
        log_position: 0,
        next_seq: 1,
        unused_is_zero: true,
        has_ring: false,
        incarnation: 1,
        log_id: 1,
        blobs: 1,
        next_tree: 1,
        key_bytes_max: 0,
    };

    /// Which pages of a directory blob the next checkpoint writes.
    fn written_of(committed: &mut Committed, id: u32) -> Vec<usize> {
        let pages = committed.seal().expect("memory");
        let (blob, page) =
            (|number: u64| number as u32 / BLOB_PAGES as u32, |number: u64| number as usize % BLOB_PAGES);
        pages.iter().filter(|(number, _)| blob(*number) == id).map(|(number, _)| page(*number)).collect()
    }

    /// Its pages were cut off with the end of the file: those that did not change since are not there either.
    #[test]
    fn a_directory_blob_that_storage_has_lost_is_written_whole_when_there_is_one_again() {
        let first = directory_blobs(u32::MAX).nth(1).expect("there are further ones");
        let all: Vec<usize> = (0..BLOB_PAGES).collect();
        let mut committed = Committed::new(SUPERBLOCK);
        committed.cover(first + 10).expect("memory");
        committed.enter(first + 5, 7).expect("memory");
        assert_eq!(written_of(&mut committed, first), all);
        committed.enter(first + 5, 8).expect("memory");
        assert_eq!(written_of(&mut committed, first).len(), 2, "its first page, and that of the word");
        let checksum = committed.entry(first);
        committed.enter(first + 5, 0).expect("memory");
        committed.forget_from(first);
        assert_eq!(committed.entry(first + 5), 0);
        let mut next = committed.next();
        next.cover(first + 10).expect("memory");
        next.enter(first + 6, 9).expect("memory");
        assert_eq!(written_of(&mut next, first), all);
        assert_ne!(next.entry(first), checksum, "of what it is now");
        // What stays is not written again.
        next.forget_from(first + 1);
        next.cover(first + 10).expect("memory");
        assert!(written_of(&mut next, first).is_empty());
    }
}
