//! Which state storage holds: the superblock that counts, and the pages that still have to go to their place.
//!
//! Both superblock pages are equal, but for three moments: before the first write and at closing they are
//! rewritten one after the other, and while a checkpoint is written in place the journal has them too.
//! A page that the power failed on may be torn: then the other one counts, or the journal.
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
use crate::log::ring::SEGMENT_BYTES;

/// What a disk writes at once, at least.
const SECTOR_BYTES: usize = 512;

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
        return nothing(backend);
    }
    if found_bytes < PAGE_BYTES as u64 {
        return Err(Error::NotSpinney { reason: "it is shorter than one page of 4 KiB" });
    }
    let mut buffer = backend.buffers().lease_blocking();
    buffer[..2 * PAGE_BYTES].fill(0);
    let there = found_bytes.min(BLOB_BYTES as u64) as usize / PAGE_BYTES * PAGE_BYTES;
    backend.read(&mut [ReadOp { area: Area::Data, offset_bytes: 0, buf: &mut buffer[..there] }])?;
    // A directory without superblocks is not the beginning of a database, but the rest of one.
    let is_blank = buffer[..there].iter().all(|&byte| byte == 0);
    let pages: Vec<Vec<u8>> = buffer[..2 * PAGE_BYTES].chunks_exact(PAGE_BYTES).map(<[u8]>::to_vec).collect();
    drop(buffer);
    if is_blank && found_bytes <= 2 * BLOB_BYTES as u64 && is_unborn(backend)? {
        return nothing(backend);
    }
    let copies = [Superblock::open_page(&pages[0]), Superblock::open_page(&pages[1])];
    let newest = copies.iter().flatten().max_by_key(|superblock| superblock.generation).copied();
    if found_bytes < BLOB_BYTES as u64 && superblock::is_ours(&pages[0]) {
        let expected_bytes = newest.map_or(1, |superblock| u64::from(superblock.blobs)) * BLOB_BYTES as u64;
        return Err(Error::Truncated { found_bytes, expected_bytes });
    }
    if let Some(found) = find_in_journal(backend, newest, &pages)? {
        return Ok(found);
    }
    let Some(newest) = newest else {
        return Err(superblock::what_else_it_is(&pages[0], &pages[1]));
    };
    let equal = pages[0] == pages[1];
    let other_log = copies.iter().flatten().any(|superblock| superblock.log_id != newest.log_id);
    // Where no checkpoint has begun since the database was opened, opening or closing was interrupted.
    let is_torn = copies.iter().any(Option::is_none) && journal::is_unused(backend)?;
    if !equal && newest.log_id != 0 && !other_log && !is_torn {
        if backend.len(Area::Journal)? == 0 {
            return Err(Error::SideFile { file: "journal" });
        }
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

/// No database, unless a log shows that there was one: writes are logged after the first checkpoint.
fn nothing(backend: &dyn Backend) -> Result<Found> {
    let mut buffer = backend.buffers().lease_blocking();
    for place in 0..backend.len(Area::Log)? / SEGMENT_BYTES {
        // The first page of a segment tells whose it is, the second one begins with a write.
        let (offset_bytes, buf) = (place * SEGMENT_BYTES + PAGE_BYTES as u64, &mut buffer[..PAGE_BYTES]);
        backend.read(&mut [ReadOp { area: Area::Log, offset_bytes, buf }])?;
        if buffer[..PAGE_BYTES].iter().any(|&byte| byte != 0) {
            let reason = "it is empty, and there is a log of what was in it: put it back, or delete the log";
            return Err(Error::NotSpinney { reason });
        }
    }
    Ok(Found::Nothing)
}

/// Whether a data area whose first blob is blank is that of a database in the making. The log is made before
/// anything is written there, so that bytes without one are what is left of something else.
fn is_unborn(backend: &dyn Backend) -> Result<bool> {
    let left_bytes = backend.len(Area::Data)?.saturating_sub(BLOB_BYTES as u64) as usize;
    if left_bytes < PAGE_BYTES || backend.len(Area::Log)? > 0 {
        return Ok(true);
    }
    let mut buffer = backend.buffers().lease_blocking();
    let buf = &mut buffer[..left_bytes / PAGE_BYTES * PAGE_BYTES];
    backend.read(&mut [ReadOp { area: Area::Data, offset_bytes: BLOB_BYTES as u64, buf }])?;
    Ok(buf.iter().all(|&byte| byte == 0))
}

/// A complete journal of this database that is not older than the superblock counts, whatever of it has
/// reached its place.
fn find_in_journal(
    backend: &dyn Backend,
    newest: Option<Superblock>,
    pages: &[Vec<u8>],
) -> Result<Option<Found>> {
    // A closed database has no journal: one that lies beside it belongs to another life of the file.
    if newest.is_some_and(|superblock| superblock.log_id == 0) {
        return Ok(None);
    }
    let Some(journal) = journal::read(backend)? else {
        return Ok(None);
    };
    let first = journal.pages().find(|(number, _)| *number == 0);
    let Some((page, superblock)) = first.and_then(|(_, page)| Some((page, Superblock::open_page(page)?)))
    else {
        return Ok(None);
    };
    let counts = match newest {
        None => pages.iter().any(|torn| may_become(torn, page)),
        Some(newest) => {
            let identity = journal.identity;
            let is_ours = identity.database_id == newest.database_id && identity.log_id == newest.log_id;
            if is_ours && identity.generation > newest.generation.saturating_add(1) {
                // A copy from before several checkpoints was put back beside the files of later ones.
                return Err(Error::SideFile { file: "journal" });
            }
            is_ours && identity.generation >= newest.generation
        }
    };
    let pages = journal.pages().map(|(number, bytes)| (number, bytes.to_vec())).collect();
    Ok(counts.then_some(Found::Database { superblock, pages }))
}

/// Whether a page is what may be left of a superblock while `whole` is written over it: it begins as one of
/// the same database, or its sectors are either blank or those of `whole`. Anything else is a file that has
/// nothing to do with the journal.
fn may_become(page: &[u8], whole: &[u8]) -> bool {
    let mut sectors = page.chunks(SECTOR_BYTES).zip(whole.chunks(SECTOR_BYTES));
    superblock::begin_alike(page, whole)
        || sectors.all(|(found, whole)| found == whole || found.iter().all(|&byte| byte == 0))
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
                // Half written.
                superblock(1, 9).seal(&mut blob);
                blob[512..].fill(7);
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
                // What is to be written is what was found to count.
                assert!(pages.values().all(|page| Superblock::open_page(page) == Some(superblock)));
                Ok((superblock.generation, superblock.log_id, pages.is_empty()))
            }
        }
    }

    /// Buffers are used again, and a database may have been read with one.
    #[test]
    fn what_a_buffer_held_before_is_no_part_of_a_file_of_one_page() {
        let backend = storage([Some((3, 0)); 2], None);
        backend.set_len(Area::Data, PAGE_BYTES as u64).expect("memory");
        let mut blob = vec![0; BLOB_BYTES];
        Superblock { blobs: 77, ..superblock(9, 0) }.seal(&mut blob);
        let buffers = backend.buffers();
        let mut leases: Vec<_> = std::iter::from_fn(|| buffers.lease()).collect();
        leases
            .iter_mut()
            .for_each(|buffer| buffer[PAGE_BYTES..2 * PAGE_BYTES].copy_from_slice(&blob[..PAGE_BYTES]));
        assert!(!leases.is_empty());
        drop(leases);
        let Err(Error::Truncated { expected_bytes, .. }) = find(&backend) else { panic!("it is too short") };
        assert_eq!(expected_bytes, 2 * BLOB_BYTES as u64, "what its own page says");
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
            // Its journal is gone, or one that an earlier checkpoint left.
            assert!(matches!(outcome(copies, None), Err(Error::SideFile { file: "journal" })));
            assert!(matches!(outcome(copies, Some(2)), Err(Error::Corrupt { blob: 0, .. })));
        }
        assert!(matches!(outcome([None, None], None), Err(Error::Corrupt { blob: 0, .. })));
        assert!(matches!(find(&MemoryBackend::new()), Ok(Found::Nothing)));
    }

    #[test]
    fn a_superblock_torn_while_opening_or_closing_is_made_good_by_the_other() {
        for copies in [[Some((4, 9)), None], [None, Some((4, 9))]] {
            let backend = storage(copies, None);
            backend.set_len(Area::Journal, PAGE_BYTES as u64).expect("memory");
            let Ok(Found::Database { superblock, pages }) = find(&backend) else {
                panic!("one of them is whole");
            };
            assert_eq!((superblock.generation, superblock.log_id, pages.len()), (4, 9, 2));
        }
    }

    #[test]
    fn a_journal_is_not_written_over_a_file_that_is_not_ours() {
        let backend = storage([None, None], Some(4));
        assert!(matches!(find(&backend), Ok(Found::Database { .. })), "both are torn");
        let mut buffer = backend.buffers().lease_blocking();
        let later = [&b"SPINNEY\x63"[..], &[1; 4088]].concat();
        let anothers = [&b"SPINNEY\x01"[..], &[1; 4088]].concat();
        for content in [vec![b'a'; PAGE_BYTES], later, anothers] {
            buffer[..PAGE_BYTES].copy_from_slice(&content);
            for at in 0..2 {
                let (offset_bytes, buf) = ((at * PAGE_BYTES) as u64, &buffer[..PAGE_BYTES]);
                backend.write(&[WriteOp { area: Area::Data, offset_bytes, buf }]).expect("memory");
            }
            let Err(error) = find(&backend) else { panic!("nothing of it is in the journal") };
            assert!(["NotSpinney", "NewerFormat", "Corrupt"].contains(&error.code()), "{error}");
        }
    }

    /// Power failed while the first checkpoint wrote it: sectors arrive in any order.
    #[test]
    fn a_superblock_of_which_only_the_last_sectors_arrived_is_made_good_by_the_journal() {
        let backend = storage([None, None], Some(4));
        let mut blob = vec![0; BLOB_BYTES];
        superblock(4, 9).seal(&mut blob);
        blob[..SECTOR_BYTES].fill(0);
        assert!(blob[..PAGE_BYTES].iter().any(|&byte| byte != 0), "its checksum is in the last one");
        let mut buffer = backend.buffers().lease_blocking();
        buffer[..PAGE_BYTES].copy_from_slice(&blob[..PAGE_BYTES]);
        for offset_bytes in [0, PAGE_BYTES as u64] {
            let buf = &buffer[..PAGE_BYTES];
            backend.write(&[WriteOp { area: Area::Data, offset_bytes, buf }]).expect("memory");
        }
        let Ok(Found::Database { superblock, .. }) = find(&backend) else { panic!("the journal has it") };
        assert_eq!(superblock.generation, 4);
    }

    #[test]
    fn a_directory_without_superblocks_is_not_taken_for_nothing() {
        let backend = storage([Some((3, 0)); 2], None);
        let mut buffer = backend.buffers().lease_blocking();
        buffer.fill(0);
        let write = |offset_bytes, buf: &[u8]| {
            backend.write(&[WriteOp { area: Area::Data, offset_bytes, buf }]).expect("memory");
        };
        write(0, &buffer[..2 * PAGE_BYTES]);
        assert!(matches!(find(&backend), Ok(Found::Nothing)));
        buffer[0] = 1;
        write(2 * PAGE_BYTES as u64, &buffer[..PAGE_BYTES]);
        assert!(matches!(find(&backend), Err(Error::NotSpinney { .. })));
    }

    #[test]
    fn blobs_without_a_superblock_are_a_beginning_only_beside_a_log() {
        let backend = MemoryBackend::new();
        backend.set_len(Area::Data, 2 * BLOB_BYTES as u64).expect("memory");
        assert!(matches!(find(&backend), Ok(Found::Nothing)));
        let mut buffer = backend.buffers().lease_blocking();
        buffer[..PAGE_BYTES].fill(1);
        let (offset_bytes, buf) = (BLOB_BYTES as u64, &buffer[..PAGE_BYTES]);
        backend.write(&[WriteOp { area: Area::Data, offset_bytes, buf }]).expect("memory");
        assert!(matches!(find(&backend), Err(Error::NotSpinney { .. })));
        backend.set_len(Area::Data, (BLOB_BYTES + PAGE_BYTES) as u64).expect("memory");
        assert!(matches!(find(&backend), Err(Error::NotSpinney { .. })), "a page is enough");
        backend.set_len(Area::Log, PAGE_BYTES as u64).expect("memory");
        assert!(matches!(find(&backend), Ok(Found::Nothing)));
    }

    #[test]
    fn a_short_file_says_whether_it_was_ever_ours() {
        let backend = storage([Some((3, 0)); 2], None);
        for pages in (1..BLOB_BYTES / PAGE_BYTES).rev() {
            backend.set_len(Area::Data, (pages * PAGE_BYTES) as u64).expect("memory");
            let Err(Error::Truncated { found_bytes, expected_bytes }) = find(&backend) else {
                panic!("{pages} pages of a database");
            };
            assert_eq!((found_bytes, expected_bytes), ((pages * PAGE_BYTES) as u64, 2 * BLOB_BYTES as u64));
        }
    }

    #[test]
    fn nothing_beside_a_log_with_writes_is_not_a_new_database() {
        let backend = MemoryBackend::new();
        backend.set_len(Area::Log, 2 * SEGMENT_BYTES).expect("memory");
        assert!(matches!(find(&backend), Ok(Found::Nothing)));
        let mut buffer = backend.buffers().lease_blocking();
        buffer[..PAGE_BYTES].fill(0);
        buffer[PAGE_BYTES - 1] = 1;
        // In the second page of the second place: the first one holds no writes.
        for (page, is_nothing) in [(0, true), (1, false)] {
            let (offset_bytes, buf) = (SEGMENT_BYTES + (page * PAGE_BYTES) as u64, &buffer[..PAGE_BYTES]);
            backend.write(&[WriteOp { area: Area::Log, offset_bytes, buf }]).expect("memory");
            assert_eq!(matches!(find(&backend), Ok(Found::Nothing)), is_nothing, "page {page}");
        }
        assert!(matches!(find(&backend), Err(Error::NotSpinney { .. })));
    }

    #[test]
    fn an_old_copy_beside_a_much_later_journal_is_an_error() {
        assert!(matches!(outcome([Some((3, 9)); 2], Some(5)), Err(Error::SideFile { file: "journal" })));
    }
}
