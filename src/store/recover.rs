//! Which state storage holds: the superblock that counts, and the pages that still have to go to their place.
//!
//! Both superblock pages are equal, but for three moments: while a database is being opened or closed they
//! are rewritten one after the other, and while a checkpoint is written in place the journal has them too.
//!
//! Nothing is written here. A writer stores `Found::pages` before it goes on; a reader looks at storage
//! through an [`Overlay`](super::overlay::Overlay) of them.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::journal;
use super::superblock::{self, Superblock};
use crate::backend::{Area, Backend, PAGE_BYTES, ReadOp};
use crate::blob::words::BLOB_BYTES;
use crate::error::{Error, Result};

/// What storage holds.
pub(crate) enum Found {
    /// Nothing, or a database whose making was interrupted before anything was acknowledged.
    Nothing,
    Database {
        superblock: Superblock,
        /// Pages that are not in their place yet, by their number in the data area.
        pages: BTreeMap<u64, Vec<u8>>,
    },
}

/// Looks at superblocks and journal.
pub(crate) fn find(backend: &dyn Backend) -> Result<Found> {
    let found_bytes = backend.len(Area::Data)?;
    if found_bytes == 0 {
        return Ok(Found::Nothing);
    }
    if found_bytes < 2 * PAGE_BYTES as u64 {
        return Err(Error::NotSpinney { reason: "it is shorter than one blob of 512 KiB" });
    }
    let mut buffer = backend.buffers().lease_blocking();
    let buf = &mut buffer[..2 * PAGE_BYTES];
    backend.read(&mut [ReadOp { area: Area::Data, offset_bytes: 0, buf }])?;
    let pages: Vec<Vec<u8>> = buffer[..2 * PAGE_BYTES].chunks_exact(PAGE_BYTES).map(<[u8]>::to_vec).collect();
    drop(buffer);
    if pages.iter().flatten().all(|&byte| byte == 0) && found_bytes <= 2 * BLOB_BYTES as u64 {
        return Ok(Found::Nothing);
    }
    let copies = [Superblock::open_page(&pages[0]), Superblock::open_page(&pages[1])];
    let newest = copies.iter().flatten().max_by_key(|superblock| superblock.generation).copied();
    if let Some(found) = find_in_journal(backend, newest)? {
        return Ok(found);
    }
    let Some(newest) = newest else {
        return Err(superblock::what_else_it_is(&pages[0], &pages[1]));
    };
    let equal = pages[0] == pages[1];
    let other_log = copies.iter().flatten().any(|superblock| superblock.log_id != newest.log_id);
    if !equal && newest.log_id != 0 && !other_log {
        // In the middle of a checkpoint, and the journal that could finish it is damaged.
        let page = copies.iter().position(Option::is_none).unwrap_or(1);
        let reason = "the superblocks differ, and there is no journal";
        return Err(Error::Corrupt { blob: 0, page: page as u32, reason });
    }
    let mut missing = BTreeMap::new();
    if !equal {
        let good = if copies[0] == Some(newest) { &pages[0] } else { &pages[1] };
        missing.extend([(0, good.clone()), (1, good.clone())]);
    }
    Ok(Found::Database { superblock: newest, pages: missing })
}

/// A complete journal of this database that is not older than the superblock counts, whatever of it has
/// reached its place.
fn find_in_journal(backend: &dyn Backend, newest: Option<Superblock>) -> Result<Option<Found>> {
    // A closed database has no journal: one that lies beside it belongs to another life of the file.
    if newest.is_some_and(|superblock| superblock.log_id == 0) {
        return Ok(None);
    }
    let Some(journal) = journal::read(backend)? else {
        return Ok(None);
    };
    let counts = newest.is_none_or(|superblock| {
        journal.identity.database_id == superblock.database_id
            && journal.identity.log_id == superblock.log_id
            && journal.identity.generation >= superblock.generation
    });
    let first = journal.pages().find(|(number, _)| *number == 0);
    let superblock = first.and_then(|(_, page)| Superblock::open_page(page));
    let Some(superblock) = superblock.filter(|_| counts) else {
        return Ok(None);
    };
    let pages = journal.pages().map(|(number, bytes)| (number, bytes.to_vec())).collect();
    Ok(Some(Found::Database { superblock, pages }))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::backend::{MemoryBackend, WriteOp};

    fn superblock(generation: u64, log_id: u64) -> Superblock {
        Superblock {
            generation,
            database_id: 5,
            log_position: 0,
            next_seq: 1,
            incarnation: 1,
            unused_is_zero: false,
            has_ring: false,
            log_id,
            blobs: 2,
            next_tree: 1,
            key_bytes_max: 100,
        }
    }

    /// A data area with these two superblocks, and a journal with one if it has a generation.
    fn storage(copies: [Option<(u64, u64)>; 2], journal_generation: Option<u64>) -> MemoryBackend {
        let backend = MemoryBackend::new();
        backend.set_len(Area::Data, 2 * BLOB_BYTES as u64).expect("memory");
        for (at, copy) in copies.into_iter().enumerate() {
            let mut blob = vec![0; BLOB_BYTES];
            if let Some((generation, log_id)) = copy {
                superblock(generation, log_id).seal(&mut blob);
            } else {
                blob.fill(7);
            }
            let mut buffer = backend.buffers().lease_blocking();
            buffer[..PAGE_BYTES].copy_from_slice(&blob[..PAGE_BYTES]);
            let offset_bytes = (at * PAGE_BYTES) as u64;
            backend
                .write(&[WriteOp { area: Area::Data, offset_bytes, buf: &buffer[..PAGE_BYTES] }])
                .expect("memory");
        }
        if let Some(generation) = journal_generation {
            let mut blob = vec![0; BLOB_BYTES];
            superblock(generation, 9).seal(&mut blob);
            let identity = journal::Identity { generation, database_id: 5, log_id: 9 };
            let pages = [(0, &blob[..PAGE_BYTES]), (1, &blob[..PAGE_BYTES])];
            journal::write(&backend, identity, &pages).expect("memory");
        }
        backend
    }

    fn outcome(
        copies: [Option<(u64, u64)>; 2],
        journal: Option<u64>,
    ) -> std::result::Result<(u64, u64, bool), Error> {
        match find(&storage(copies, journal))? {
            Found::Nothing => panic!("there is a database"),
            Found::Database { superblock, pages } => {
                Ok((superblock.generation, superblock.log_id, pages.is_empty()))
            }
        }
    }

    #[test]
    fn the_state_that_counts_is_found() {
        // Closed, or open between two checkpoints.
        assert_eq!(outcome([Some((3, 0)); 2], None).expect("sound"), (3, 0, true));
        assert_eq!(outcome([Some((3, 9)); 2], None).expect("sound"), (3, 9, true));
        // While it was being opened, and while it was being closed.
        assert_eq!(outcome([Some((4, 9)), Some((3, 0))], None).expect("sound"), (4, 9, false));
        assert_eq!(outcome([Some((5, 0)), Some((4, 9))], None).expect("sound"), (5, 0, false));
        assert_eq!(outcome([None, Some((3, 0))], None).expect("sound"), (3, 0, false));
        // In the middle of a checkpoint.
        for copies in [[Some((4, 9)), Some((3, 9))], [None, Some((3, 9))], [None, None], [Some((3, 9)); 2]] {
            assert_eq!(outcome(copies, Some(4)).expect("the journal has it"), (4, 9, false));
        }
        // After it.
        assert_eq!(outcome([Some((4, 9)); 2], Some(4)).expect("sound"), (4, 9, false));
    }

    #[test]
    fn a_journal_of_another_life_counts_for_nothing() {
        assert_eq!(outcome([Some((3, 0)); 2], Some(4)).expect("closed"), (3, 0, true));
        assert_eq!(outcome([Some((3, 8)); 2], Some(4)).expect("another log"), (3, 8, true));
        assert_eq!(outcome([Some((5, 9)); 2], Some(4)).expect("older"), (5, 9, true));
    }

    #[test]
    fn half_a_checkpoint_without_its_journal_is_an_error() {
        for copies in [[Some((4, 9)), Some((3, 9))], [None, Some((3, 9))]] {
            assert!(matches!(outcome(copies, None), Err(Error::Corrupt { blob: 0, .. })));
        }
        assert!(matches!(outcome([None, None], None), Err(Error::NotSpinney { .. })));
        assert!(matches!(find(&MemoryBackend::new()), Ok(Found::Nothing)));
    }
}
