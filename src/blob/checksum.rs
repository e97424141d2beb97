//! Page checksums: xxh3-64 over 4 KiB.
//!
//! These work on private copies of pages, never on frame memory: a page is sealed or verified in a
//! buffer that nobody else sees.

#![forbid(unsafe_code)]

use crate::hash::xxh3_64;

use super::header::{BLOB_PAGES, CHECKSUMS_AT};
use super::words::BLOB_BYTES;

/// Bytes in a page.
pub(crate) const PAGE_BYTES: usize = 4096;

const CHECKSUM_BYTES: usize = 8;
const CHECKSUMS_OFFSET_BYTES: usize = CHECKSUMS_AT as usize * 8;

/// The checksum of a page other than the first of a blob.
pub(crate) fn of_page(page: &[u8]) -> u64 {
    debug_assert_eq!(page.len(), PAGE_BYTES);
    xxh3_64(page)
}

/// The checksum of a page of zeros, of which blobs have many.
pub(crate) const OF_ZEROS: u64 = 0x93D7_6FE1_48C6_89BA;

/// Whether a page holds nothing: much sooner told than its checksum.
pub(crate) fn is_zeros(page: &[u8]) -> bool {
    let (words, rest) = page.as_chunks::<8>();
    rest.is_empty() && words.iter().all(|word| u64::from_ne_bytes(*word) == 0)
}

/// The checksum of the first page of a blob, its own word counted as zero; never 0, which the directory
/// uses for "free".
pub(crate) fn of_first_page(page: &[u8]) -> u64 {
    debug_assert_eq!(page.len(), PAGE_BYTES);
    let mut copy = [0; PAGE_BYTES];
    copy.copy_from_slice(page);
    copy[CHECKSUMS_OFFSET_BYTES..CHECKSUMS_OFFSET_BYTES + CHECKSUM_BYTES].fill(0);
    xxh3_64(&copy).max(1)
}

/// The stored checksum of page `page`, read from the first page.
pub(crate) fn stored(first_page: &[u8], page: usize) -> u64 {
    let at = CHECKSUMS_OFFSET_BYTES + page * CHECKSUM_BYTES;
    first_page[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Fills in the checksums of a whole blob and returns that of its first page, for the directory.
pub(crate) fn seal(blob: &mut [u8]) -> u64 {
    debug_assert_eq!(blob.len(), BLOB_BYTES);
    for page in (1..BLOB_PAGES).chain([0]) {
        let bytes = &blob[page * PAGE_BYTES..(page + 1) * PAGE_BYTES];
        let checksum = if page == 0 { of_first_page(bytes) } else { of_page(bytes) };
        let at = CHECKSUMS_OFFSET_BYTES + page * CHECKSUM_BYTES;
        blob[at..at + CHECKSUM_BYTES].copy_from_slice(&checksum.to_le_bytes());
    }
    stored(blob, 0)
}

/// The first page of the blob that does not carry its checksum; `expected` is the directory's word.
pub(crate) fn first_damaged_page(blob: &[u8], expected: u64) -> Option<usize> {
    let first = &blob[..PAGE_BYTES];
    if of_first_page(first) != expected || stored(first, 0) != expected {
        return Some(0);
    }
    (1..BLOB_PAGES)
        .find(|&page| of_page(&blob[page * PAGE_BYTES..(page + 1) * PAGE_BYTES]) != stored(first, page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_told_without_their_checksum() {
        let mut page = [0; PAGE_BYTES];
        assert!(is_zeros(&page));
        assert_eq!(of_page(&page), OF_ZEROS);
        for at in [0, 7, 8, 2_000, PAGE_BYTES - 1] {
            page[at] = 1;
            assert!(!is_zeros(&page), "byte {at}");
            page[at] = 0;
        }
    }

    #[test]
    fn every_flipped_bit_names_its_page() {
        let mut blob = vec![7; BLOB_BYTES];
        let noise = if cfg!(miri) { 5000 } else { BLOB_BYTES };
        blob[..noise].iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 31 / 7) as u8);
        let sealed = seal(&mut blob);
        assert_eq!(first_damaged_page(&blob, sealed), None);
        assert_eq!(first_damaged_page(&blob, sealed ^ 1), Some(0));
        // Miri takes seconds for each whole blob.
        let step = if cfg!(miri) { BLOB_BYTES } else { 4093 };
        for at in (0..BLOB_BYTES).step_by(step).chain([0, 1024, 1025, 1031, 2047, 2048, BLOB_BYTES - 1]) {
            let bit = 1 << (at % 8);
            blob[at] ^= bit;
            // A damaged checksum word of page p is a damage of page 0, which stores it.
            assert_eq!(first_damaged_page(&blob, sealed), Some(at / PAGE_BYTES), "byte {at}");
            blob[at] ^= bit;
        }
    }
}
