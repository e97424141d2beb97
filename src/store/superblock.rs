//! Blob 0: the superblock in two identical pages, and the directory with one checksum word per blob.
//!
//! ```text
//! page 0, 1   superblock
//!   word 0        magic "SPINNEY" + format version
//!   word 1        blob id 0 | kind 3 (directory) in byte 4
//!   word 2        generation
//!   word 3, 4     database id
//!   word 5        log position up to which all is in the blobs
//!   word 6        seq of the next write
//!   word 7        incarnation u32 | flags u32 (bit 0: unused blobs are zero; bit 1: there is a ring file)
//!   word 8        log id, 0 = closed cleanly
//!   word 9        blobs in the data area u32 | id of the next tree u32
//!   word 10       no key is longer than this
//!   word 130..255 checksums of the pages 2..127
//!   word 511      checksum of this page's first 511 words
//! page 2..127  directory words of the blobs 0..64511: 0 = unused, else the checksum of page 0
//! ```
//!
//! Further directory blobs stand at fixed ids, each the last one that the directory before it covers. They
//! are blobs of kind 3 like any other, with 65,024 directory words from page 1 on.

#![forbid(unsafe_code)]

use xxhash_rust::xxh3::xxh3_64;

use crate::blob::checksum::{self, PAGE_BYTES};
use crate::blob::header::{BLOB_PAGES, BlobKind, FORMAT_VERSION, MAGIC, MAGIC_MASK};
use crate::error::{Error, Result};

pub(crate) const SUPERBLOCK_PAGES: usize = 2;
const PAGE_WORDS: u32 = 512;

/// Blobs that the directory in blob 0 covers.
pub(crate) const DIRECTORY_SLOTS: u32 = (BLOB_PAGES - SUPERBLOCK_PAGES) as u32 * PAGE_WORDS;
/// Blobs that each further directory blob covers.
const FURTHER_SLOTS: u32 = (BLOB_PAGES - 1) as u32 * PAGE_WORDS;
const FIRST_FURTHER_DIRECTORY: u32 = DIRECTORY_SLOTS - 1;

const PAGE_CHECKSUMS_AT: usize = 128;
const OWN_CHECKSUM_AT: usize = 511;

/// The flag of images: unused blobs were written as zeros, and are checked to be.
const FLAG_UNUSED_IS_ZERO: u32 = 1;
/// The ring of the log is a file that must be there unless the database was closed.
const FLAG_HAS_RING: u32 = 2;

const _: () = assert!(DIRECTORY_SLOTS == 64_512 && FURTHER_SLOTS == 65_024);

/// Whether the id belongs to a further directory blob.
pub(crate) fn is_directory_blob(id: u32) -> bool {
    id >= FIRST_FURTHER_DIRECTORY && (id - FIRST_FURTHER_DIRECTORY).is_multiple_of(FURTHER_SLOTS)
}

/// The blobs that hold the directory, among those below `end`.
pub(crate) fn directory_blobs(end: u32) -> impl Iterator<Item = u32> {
    let further = (FIRST_FURTHER_DIRECTORY..end).step_by(FURTHER_SLOTS as usize);
    (0..end.min(1)).chain(further)
}

/// The blob and the word in it that hold the directory word of blob `id`.
pub(crate) fn directory_slot(id: u32) -> (u32, usize) {
    if id < DIRECTORY_SLOTS {
        return (0, (SUPERBLOCK_PAGES as u32 * PAGE_WORDS + id) as usize);
    }
    let nth = (id - DIRECTORY_SLOTS) / FURTHER_SLOTS;
    let slot = (id - DIRECTORY_SLOTS) % FURTHER_SLOTS;
    (FIRST_FURTHER_DIRECTORY + nth * FURTHER_SLOTS, (PAGE_WORDS + slot) as usize)
}

/// What the superblock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) generation: u64,
    pub(crate) database_id: u128,
    pub(crate) log_position: u64,
    pub(crate) next_seq: u64,
    pub(crate) incarnation: u32,
    pub(crate) unused_is_zero: bool,
    pub(crate) has_ring: bool,
    pub(crate) log_id: u64,
    pub(crate) blobs: u32,
    pub(crate) next_tree: u32,
    pub(crate) key_bytes_max: u32,
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at * 8..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

pub(crate) fn set_word(bytes: &mut [u8], at: usize, word: u64) {
    bytes[at * 8..at * 8 + 8].copy_from_slice(&word.to_le_bytes());
}

/// What is counted up for the life of a database comes nowhere near it, and never overflows from there.
const COUNT_MAX: u64 = 1 << 62;

impl Superblock {
    /// To be asked before it is stored: a hostile file may stand so close to the end of counting that what
    /// comes next would be taken for damage. It stays as it is then.
    pub(crate) fn may_be_stored(&self) -> Result<()> {
        match [self.generation, self.log_position, self.next_seq].into_iter().all(is_reached) {
            true => Ok(()),
            false => Err(damaged(0, "a count that nobody reaches")),
        }
    }

    /// Fills in both superblock pages of blob 0, whose directory pages are complete.
    pub(crate) fn seal(&self, blob: &mut [u8]) {
        let mut page = [0; PAGE_BYTES];
        set_word(&mut page, 0, MAGIC);
        set_word(&mut page, 1, (BlobKind::Directory as u64) << 32);
        set_word(&mut page, 2, self.generation);
        set_word(&mut page, 3, self.database_id as u64);
        set_word(&mut page, 4, (self.database_id >> 64) as u64);
        set_word(&mut page, 5, self.log_position);
        set_word(&mut page, 6, self.next_seq);
        let flags = [(self.unused_is_zero, FLAG_UNUSED_IS_ZERO), (self.has_ring, FLAG_HAS_RING)];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag);
        set_word(&mut page, 7, u64::from(self.incarnation) | (u64::from(flags) << 32));
        set_word(&mut page, 8, self.log_id);
        set_word(&mut page, 9, u64::from(self.blobs) | (u64::from(self.next_tree) << 32));
        set_word(&mut page, 10, u64::from(self.key_bytes_max));
        for directory_page in SUPERBLOCK_PAGES..BLOB_PAGES {
            let bytes = &blob[directory_page * PAGE_BYTES..(directory_page + 1) * PAGE_BYTES];
            set_word(&mut page, PAGE_CHECKSUMS_AT + directory_page, checksum::of_page(bytes));
        }
        let own = xxh3_64(&page[..OWN_CHECKSUM_AT * 8]);
        set_word(&mut page, OWN_CHECKSUM_AT, own);
        blob[..PAGE_BYTES].copy_from_slice(&page);
        blob[PAGE_BYTES..2 * PAGE_BYTES].copy_from_slice(&page);
    }

    /// Reads and verifies all of blob 0.
    pub(crate) fn open(blob: &[u8]) -> Result<Superblock> {
        let superblock = Superblock::open_pair(blob)?;
        verify_directory(blob, blob, SUPERBLOCK_PAGES)?;
        Ok(superblock)
    }

    /// Reads and verifies the two superblock pages alone, which must be equal.
    pub(crate) fn open_pair(blob: &[u8]) -> Result<Superblock> {
        let (first, second) = (&blob[..PAGE_BYTES], &blob[PAGE_BYTES..2 * PAGE_BYTES]);
        let sound = [is_sound(first), is_sound(second)];
        if sound == [false, false] {
            return Err(what_else_it_is(first, second));
        }
        if let Some(page) = sound.iter().position(|sound| !sound) {
            return Err(damaged(page, "superblock checksum"));
        }
        if first != second {
            return Err(damaged(1, "the two superblocks differ"));
        }
        Ok(Superblock::decode(first))
    }

    /// Reads one of the two superblock pages; none if it is damaged, or not one.
    pub(crate) fn open_page(page: &[u8]) -> Option<Superblock> {
        is_sound(page).then(|| Superblock::decode(page))
    }

    fn decode(page: &[u8]) -> Superblock {
        Superblock {
            generation: word(page, 2),
            database_id: u128::from(word(page, 3)) | (u128::from(word(page, 4)) << 64),
            log_position: word(page, 5),
            next_seq: word(page, 6),
            incarnation: word(page, 7) as u32,
            unused_is_zero: (word(page, 7) >> 32) as u32 & FLAG_UNUSED_IS_ZERO != 0,
            has_ring: (word(page, 7) >> 32) as u32 & FLAG_HAS_RING != 0,
            log_id: word(page, 8),
            blobs: word(page, 9) as u32,
            next_tree: (word(page, 9) >> 32) as u32,
            key_bytes_max: word(page, 10) as u32,
        }
    }
}

/// Verifies pages of the directory in blob 0 that follow each other from page `from` on, up to its end at
/// most.
pub(crate) fn verify_directory(superblock: &[u8], blob: &[u8], from: usize) -> Result<()> {
    let pages = blob.chunks_exact(PAGE_BYTES).enumerate().take(BLOB_PAGES).skip(from);
    for (page, bytes) in pages {
        if checksum::of_page(bytes) != word(superblock, PAGE_CHECKSUMS_AT + page) {
            return Err(damaged(page, "directory checksum"));
        }
    }
    Ok(())
}

fn is_sound(page: &[u8]) -> bool {
    let counts = [2, 5, 6].map(|at| word(page, at));
    word(page, 0) == MAGIC
        && word(page, OWN_CHECKSUM_AT) == xxh3_64(&page[..OWN_CHECKSUM_AT * 8])
        && counts.into_iter().all(is_reached)
}

fn is_reached(count: u64) -> bool {
    count <= COUNT_MAX
}

fn damaged(page: usize, reason: &'static str) -> Error {
    Error::Corrupt { blob: 0, page: page as u32, reason }
}

/// Whether a page begins with the magic bytes, of whatever version.
pub(crate) fn is_ours(page: &[u8]) -> bool {
    word(page, 0) & MAGIC_MASK == MAGIC & MAGIC_MASK
}

/// Whether two pages begin as superblocks of one database do.
pub(crate) fn begin_alike(one: &[u8], other: &[u8]) -> bool {
    [0, 3, 4].into_iter().all(|at| word(one, at) == word(other, at))
}

/// Names the trouble with a blob 0 that has no sound superblock.
pub(crate) fn what_else_it_is(first: &[u8], second: &[u8]) -> Error {
    let magic = word(first, 0);
    let both_agree = magic == word(second, 0);
    let found = (magic >> 56) as u8;
    if !is_ours(first) {
        Error::NotSpinney { reason: "it does not begin with the magic bytes" }
    } else if both_agree && found > FORMAT_VERSION {
        Error::NewerFormat { found, supported: FORMAT_VERSION }
    } else {
        damaged(0, "both superblocks are damaged")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::words::BLOB_BYTES;

    #[test]
    fn a_count_that_nobody_reaches_is_damage() {
        let (superblock, blob) = sample();
        assert_eq!(Superblock::open(&blob).expect("sound"), superblock);
        let last = Superblock { generation: COUNT_MAX, log_position: COUNT_MAX, ..superblock };
        last.may_be_stored().expect("it is the last one");
        last.seal(&mut blob.clone());
        for count in [COUNT_MAX + 1, u64::MAX] {
            for hostile in [
                Superblock { generation: count, ..superblock },
                Superblock { log_position: count, ..superblock },
                Superblock { next_seq: count, ..superblock },
            ] {
                assert!(matches!(hostile.may_be_stored(), Err(Error::Corrupt { blob: 0, .. })));
                let mut blob = blob.clone();
                hostile.seal(&mut blob);
                assert!(matches!(Superblock::open(&blob), Err(Error::Corrupt { blob: 0, .. })));
                assert_eq!(Superblock::open_page(&blob[..PAGE_BYTES]), None);
            }
        }
    }

    fn sample() -> (Superblock, Vec<u8>) {
        let superblock = Superblock {
            generation: 3,
            database_id: 0x0123_4567_89AB_CDEF_0011_2233_4455_6677,
            log_position: 4096,
            next_seq: 99,
            incarnation: 2,
            unused_is_zero: true,
            has_ring: true,
            log_id: 5,
            blobs: 17,
            next_tree: 4,
            key_bytes_max: 100,
        };
        let mut blob = vec![0; BLOB_BYTES];
        set_word(&mut blob, directory_slot(16).1, 77);
        superblock.seal(&mut blob);
        (superblock, blob)
    }

    #[test]
    fn every_field_comes_back() {
        let (superblock, blob) = sample();
        assert_eq!(Superblock::open(&blob).expect("sound"), superblock);
    }

    #[test]
    fn any_flipped_bit_of_blob_0_names_its_page() {
        let (_, mut blob) = sample();
        // Miri takes seconds for each whole blob.
        let (step, words) = if cfg!(miri) { (BLOB_BYTES / 2, 1) } else { (997, 80) };
        for at in (0..BLOB_BYTES).step_by(step).chain(0..words).chain(4096..4096 + words) {
            blob[at] ^= 1 << (at % 8);
            match Superblock::open(&blob) {
                Err(Error::Corrupt { blob: 0, page, .. }) => assert_eq!(page as usize, at / PAGE_BYTES),
                other => panic!("byte {at}: {other:?}"),
            }
            blob[at] ^= 1 << (at % 8);
        }
    }

    #[test]
    fn a_later_version_and_foreign_bytes_are_told_apart() {
        let (_, mut blob) = sample();
        blob[7] += 1;
        blob[PAGE_BYTES + 7] += 1;
        assert!(matches!(Superblock::open(&blob), Err(Error::NewerFormat { found: 2, .. })));
        assert!(matches!(Superblock::open(&vec![7; BLOB_BYTES]), Err(Error::NotSpinney { .. })));
    }

    #[test]
    fn every_blob_has_one_directory_slot() {
        assert_eq!(directory_slot(0), (0, 1024));
        assert_eq!(directory_slot(64_511), (0, 65_535));
        assert!(is_directory_blob(64_511) && is_directory_blob(64_511 + 65_024));
        assert_eq!(directory_slot(64_512), (64_511, 512));
        assert_eq!(directory_slot(64_511 + 65_024), (64_511, 65_535));
        for end in [0, 1, 64_511, 64_512, 200_000] {
            let found: Vec<u32> = directory_blobs(end).collect();
            let expected: Vec<u32> = (0..end).filter(|&id| id == 0 || is_directory_blob(id)).collect();
            assert_eq!(found, expected, "below {end}");
        }
        assert_eq!(directory_slot(64_512 + 65_024), (64_511 + 65_024, 512));
    }
}
