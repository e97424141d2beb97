//! Images taken apart: where a byte stands, how checksums are made good again, how an image is stored.
//!
//! This says the format once more, in its own words: a slip in the crate that writes and reads the same
//! wrong bytes still shows here.

#![forbid(unsafe_code)]

use xxhash_rust::xxh3::xxh3_64;

pub const BLOB_BYTES: usize = 524_288;
pub const PAGE_BYTES: usize = 4_096;
pub const PAGES: usize = BLOB_BYTES / PAGE_BYTES;
pub const BLOB_WORDS: usize = BLOB_BYTES / 8;

/// The words of page 0 that hold the checksums of the blob's pages.
const CHECKSUMS_AT: usize = 128;
/// The last word of a superblock page: its own checksum.
const OWN_CHECKSUM_AT: usize = 511;
/// The directory: one word per blob, from page 2 of blob 0 on.
const DIRECTORY_AT: usize = 1_024;

/// Word `at` of an image.
pub fn word(image: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(image[at * 8..at * 8 + 8].try_into().expect("eight bytes"))
}

pub fn set_word(image: &mut [u8], at: usize, word: u64) {
    image[at * 8..at * 8 + 8].copy_from_slice(&word.to_le_bytes());
}

/// Word `at` of a blob, counted from the start of the image.
pub fn word_of(blob: usize, at: usize) -> usize {
    blob * BLOB_WORDS + at
}

/// The blob and the page in it of a byte.
pub fn place_of(byte: usize) -> (u32, u32) {
    ((byte / BLOB_BYTES) as u32, (byte % BLOB_BYTES / PAGE_BYTES) as u32)
}

pub fn blobs(image: &[u8]) -> usize {
    image.len() / BLOB_BYTES
}

pub fn page(image: &[u8], blob: usize, page: usize) -> &[u8] {
    let start = blob * BLOB_BYTES + page * PAGE_BYTES;
    &image[start..start + PAGE_BYTES]
}

/// The kind byte of a blob: 1 range, 2 router, 3 directory, 0 unused.
pub fn kind(image: &[u8], blob: usize) -> u8 {
    (word(image, word_of(blob, 1)) >> 32) as u8
}

/// Whether the directory lists a blob.
pub fn is_listed(image: &[u8], blob: usize) -> bool {
    word(image, DIRECTORY_AT + blob) != 0
}

pub fn set_listed(image: &mut [u8], blob: usize, checksum: u64) {
    set_word(image, DIRECTORY_AT + blob, checksum);
}

/// The end of the inner region and the start of the leaf region of a range blob, in words.
pub fn regions(image: &[u8], blob: usize) -> (usize, usize) {
    let regions = word(image, word_of(blob, 4));
    (regions as u32 as usize % BLOB_WORDS, ((regions >> 32) as usize).min(BLOB_WORDS))
}

/// Makes all checksums good again: what was changed looks as if it had been written so.
pub fn reseal(image: &mut [u8]) {
    for blob in (1..blobs(image)).filter(|&blob| is_listed(image, blob)).collect::<Vec<_>>() {
        for number in 1..PAGES {
            let checksum = xxh3_64(page(image, blob, number));
            set_word(image, word_of(blob, CHECKSUMS_AT + number), checksum);
        }
        set_word(image, word_of(blob, CHECKSUMS_AT), 0);
        let own = xxh3_64(page(image, blob, 0)).max(1);
        set_word(image, word_of(blob, CHECKSUMS_AT), own);
        set_listed(image, blob, own);
    }
    for number in 2..PAGES {
        let checksum = xxh3_64(page(image, 0, number));
        set_word(image, CHECKSUMS_AT + number, checksum);
    }
    let own = xxh3_64(&image[..OWN_CHECKSUM_AT * 8]);
    set_word(image, OWN_CHECKSUM_AT, own);
    image.copy_within(..PAGE_BYTES, PAGE_BYTES);
}

/// An image without its zeros: as often as needed, the number of zero words, the number of words that
/// follow, and these words. Both numbers are u32, little-endian.
pub fn encode(image: &[u8]) -> Vec<u8> {
    let words: Vec<u64> = (0..image.len() / 8).map(|at| word(image, at)).collect();
    let mut encoded = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let zeros = words[at..].iter().take_while(|&&word| word == 0).count();
        let start = at + zeros;
        // A short gap costs less than a new pair of numbers.
        let gap = words[start..].windows(2).position(|pair| pair == [0, 0]);
        let end = gap.map_or(words.len(), |gap| start + gap);
        encoded.extend_from_slice(&(zeros as u32).to_le_bytes());
        encoded.extend_from_slice(&((end - start) as u32).to_le_bytes());
        encoded.extend_from_slice(&image[start * 8..end * 8]);
        at = end;
    }
    encoded
}

/// The image that was encoded so.
pub fn decode(mut encoded: &[u8]) -> Vec<u8> {
    let mut image = Vec::new();
    while let Some((numbers, rest)) = encoded.split_first_chunk::<8>() {
        let number = |half: &[u8]| u32::from_le_bytes(half.try_into().expect("four bytes")) as usize;
        let (zeros, count) = (number(&numbers[..4]), number(&numbers[4..]));
        image.resize(image.len() + zeros * 8, 0);
        image.extend_from_slice(&rest[..count * 8]);
        encoded = &rest[count * 8..];
    }
    image
}
