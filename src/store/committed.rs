//! What the last checkpoint left in storage: the superblock, and the directory in the blobs it is kept in.

#![forbid(unsafe_code)]

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::journal::Page;
use super::superblock::{Superblock, directory_slot, is_directory_blob, set_word, word};
use crate::backend::{Area, Backend, PAGE_BYTES, ReadOp};
use crate::blob::checksum;
use crate::blob::header::{self, BLOB_PAGES, BlobKind};
use crate::blob::words::BLOB_BYTES;
use crate::error::Result;

/// Superblock and directory, as bytes. A checkpoint works on a copy, which replaces this when it commits.
#[derive(Clone)]
pub(crate) struct Committed {
    pub(crate) superblock: Superblock,
    /// Blob 0 and the further directory blobs.
    directories: BTreeMap<u32, Vec<u8>>,
    /// Pages that differ from what is in storage, by directory blob.
    changed: BTreeSet<(u32, usize)>,
}

impl Committed {
    /// Of a database without blobs.
    pub(crate) fn new(superblock: Superblock) -> Self {
        let directories = BTreeMap::from([(0, vec![0; BLOB_BYTES])]);
        let changed = (2..BLOB_PAGES).map(|page| (0, page)).collect();
        Committed { superblock, directories, changed }
    }

    /// Reads what was verified before.
    pub(crate) fn read(backend: &dyn Backend, superblock: Superblock) -> Result<Self> {
        let mut directories = BTreeMap::new();
        let mut buffer = backend.buffers().lease_blocking();
        for id in (0..superblock.blobs).filter(|&id| id == 0 || is_directory_blob(id)) {
            let offset_bytes = u64::from(id) * BLOB_BYTES as u64;
            backend.read(&mut [ReadOp { area: Area::Data, offset_bytes, buf: &mut buffer }])?;
            directories.insert(id, buffer.to_vec());
        }
        Ok(Committed { superblock, directories, changed: BTreeSet::new() })
    }

    /// Makes room in the directory for blobs below `end`.
    pub(crate) fn cover(&mut self, end: u32) {
        for id in (0..end).filter(|&id| is_directory_blob(id)) {
            if let Entry::Vacant(vacant) = self.directories.entry(id) {
                vacant.insert(vec![0; BLOB_BYTES]);
                self.changed.extend((0..BLOB_PAGES).map(|page| (id, page)));
            }
        }
    }

    /// The directory word of a blob.
    pub(crate) fn entry(&self, id: u32) -> u64 {
        let (directory, at) = directory_slot(id);
        self.directories.get(&directory).map_or(0, |bytes| word(bytes, at))
    }

    /// Sets the directory word of a blob, which `cover` has made room for.
    pub(crate) fn enter(&mut self, id: u32, checksum: u64) {
        let (directory, at) = directory_slot(id);
        if let Some(bytes) = self.directories.get_mut(&directory).filter(|bytes| word(bytes, at) != checksum)
        {
            set_word(bytes, at, checksum);
            self.changed.insert((directory, at * 8 / PAGE_BYTES));
        }
    }

    /// Fills in all checksums and returns the pages that differ from what is in storage: those of the
    /// directory, then the two superblocks.
    pub(crate) fn seal(&mut self) -> Vec<Page<'_>> {
        let generation = self.superblock.generation;
        let further: Vec<u32> = self.directories.keys().copied().filter(|&id| id != 0).rev().collect();
        for id in further {
            // From the last to the first: the checksum of each goes into one before it.
            if !self.changed.iter().any(|&(directory, _)| directory == id) {
                continue;
            }
            let Some(bytes) = self.directories.get_mut(&id) else { continue };
            set_word(bytes, 0, header::MAGIC);
            set_word(bytes, 1, u64::from(id) | ((BlobKind::Directory as u64) << 32));
            set_word(bytes, 2, generation);
            let checksum = checksum::seal(bytes);
            self.changed.insert((id, 0));
            self.enter(id, checksum);
        }
        if let Some(bytes) = self.directories.get_mut(&0) {
            self.superblock.seal(bytes);
        }
        let changed = std::mem::take(&mut self.changed);
        let superblocks = [(0, 0), (0, 1)];
        let pages = changed.into_iter().filter(|page| !superblocks.contains(page)).chain(superblocks);
        pages.filter_map(|(id, page)| self.page(id, page)).collect()
    }

    fn page(&self, id: u32, page: usize) -> Option<Page<'_>> {
        let bytes = self.directories.get(&id)?.get(page * PAGE_BYTES..(page + 1) * PAGE_BYTES)?;
        Some((u64::from(id) * BLOB_PAGES as u64 + page as u64, bytes))
    }
}
