//! Page 0 of a blob: what the blob is, how full it is, where its tree starts, its checksums.
//!
//! ```text
//! word 0        magic "SPINNEY" + format version in the highest byte
//! word 1        blob id u32 | kind u8 | 0
//! word 2        generation
//! word 3        key count u32 | live words u32
//! word 4        inner_end u32 | leaf_start u32
//! word 5        root ref u16 | flags u16 | pointer leaves u32
//! word 6        highest seq
//! word 8        router: link `first`
//! word 9        router: link `last`
//! word 128..255 128 page checksums
//! word 256..    nodes
//! ```

#![forbid(unsafe_code)]

use super::simd::LINE_WORDS;
use super::words::{BLOB_WORDS, Ref, RefSlot, Words};

/// "SPINNEY" and the version of the format.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"SPINNEY\x01");
/// The low seven bytes of the magic.
pub(crate) const MAGIC_MASK: u64 = 0x00FF_FFFF_FFFF_FFFF;
/// Format version of this code.
pub(crate) const FORMAT_VERSION: u8 = (MAGIC >> 56) as u8;

const MAGIC_AT: Ref = 0;
const IDENTITY_AT: Ref = 1;
const GENERATION_AT: Ref = 2;
/// Where counts stand, and in the same line of the cache regions and root.
pub(crate) const COUNTS_AT: Ref = 3;
pub(crate) const REGIONS_AT: Ref = 4;
const ROOT_AT: Ref = 5;
const SEQ_AT: Ref = 6;
/// Where a router keeps the link that is its initial `lo`.
pub(crate) const FIRST_LINK_AT: Ref = 8;
/// Where a router keeps the link that is its initial `hi`.
pub(crate) const LAST_LINK_AT: Ref = 9;
/// The first of the 128 page checksums.
pub(crate) const CHECKSUMS_AT: Ref = 128;
/// Pages, and so checksums, of a blob.
pub(crate) const BLOB_PAGES: usize = 128;
/// The first word that may hold nodes.
pub(crate) const NODES_AT: Ref = 256;
/// Where the ref of the tree's root node is stored.
pub(crate) const ROOT_SLOT: RefSlot = RefSlot { word: ROOT_AT, lane: 0 };

/// Start positions of inner regions differ by blob, so that the hot first nodes of many blobs do not
/// fight for the same sets of the processor's caches.
const COLOURS: u32 = 32;
const COLOUR_WORDS: u16 = 8;

/// Words that nodes can fill in every blob, whatever its colour.
pub(crate) const CAPACITY_WORDS: u32 =
    BLOB_WORDS as u32 - NODES_AT as u32 - (COLOURS - 1) * COLOUR_WORDS as u32;

const _: () = assert!(CHECKSUMS_AT as usize + BLOB_PAGES == NODES_AT as usize);
const _: () = assert!(LAST_LINK_AT < CHECKSUMS_AT);
const _: () = assert!(
    COUNTS_AT / LINE_WORDS == REGIONS_AT / LINE_WORDS && COUNTS_AT / LINE_WORDS == ROOT_AT / LINE_WORDS
);
const _: () = assert!(BLOB_PAGES * super::words::PAGE_WORDS == BLOB_WORDS);

/// What a blob holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BlobKind {
    /// All keys of one contiguous range, as a radix tree.
    Range = 1,
    /// A trie of the separators between other blobs.
    Router = 2,
    /// Superblock and directory; never a frame.
    Directory = 3,
}

impl BlobKind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(BlobKind::Range),
            2 => Some(BlobKind::Router),
            3 => Some(BlobKind::Directory),
            _ => None,
        }
    }
}

/// The first word of a blob's inner region.
pub(crate) fn inner_start(id: u32) -> Ref {
    NODES_AT + COLOUR_WORDS * (id % COLOURS) as u16
}

/// Makes the zeroed `words` an empty blob.
pub(crate) fn format(words: Words<'_>, id: u32, kind: BlobKind) {
    words.store(MAGIC_AT, MAGIC);
    words.store(IDENTITY_AT, u64::from(id) | (u64::from(kind as u8) << 32));
    words.store(COUNTS_AT, 0);
    words.store(ROOT_AT, 0);
    words.store(SEQ_AT, 0);
    words.store(FIRST_LINK_AT, 0);
    words.store(LAST_LINK_AT, 0);
    set_regions(words, u32::from(inner_start(id)), BLOB_WORDS as u32);
}

pub(crate) fn magic(words: Words<'_>) -> u64 {
    words.load(MAGIC_AT)
}

pub(crate) fn id(words: Words<'_>) -> u32 {
    words.load(IDENTITY_AT) as u32
}

/// The kind byte as it stands; `None` if it is not one of ours.
pub(crate) fn kind(words: Words<'_>) -> Option<BlobKind> {
    BlobKind::from_byte((words.load(IDENTITY_AT) >> 32) as u8)
}

pub(crate) fn set_generation(words: Words<'_>, generation: u64) {
    words.store(GENERATION_AT, generation);
}

/// The checksum of a page as it is stored, which page 0 keeps while the blob is in memory.
pub(crate) fn stored_checksum(words: Words<'_>, page: usize) -> u64 {
    words.load(CHECKSUMS_AT + (page % BLOB_PAGES) as Ref)
}

pub(crate) fn key_count(words: Words<'_>) -> u32 {
    words.load(COUNTS_AT) as u32
}

pub(crate) fn live_words(words: Words<'_>) -> u32 {
    (words.load(COUNTS_AT) >> 32) as u32
}

pub(crate) fn set_counts(words: Words<'_>, keys: u32, live_words: u32) {
    words.store(COUNTS_AT, u64::from(keys) | (u64::from(live_words) << 32));
}

/// The end of the inner region: the next inner node goes here.
pub(crate) fn inner_end(words: Words<'_>) -> u32 {
    words.load(REGIONS_AT) as u32
}

/// The start of the leaf region: the next leaf ends here.
pub(crate) fn leaf_start(words: Words<'_>) -> u32 {
    (words.load(REGIONS_AT) >> 32) as u32
}

pub(crate) fn set_regions(words: Words<'_>, inner_end: u32, leaf_start: u32) {
    words.store(REGIONS_AT, u64::from(inner_end) | (u64::from(leaf_start) << 32));
}

#[inline]
pub(crate) fn root(words: Words<'_>) -> Ref {
    words.load_ref(ROOT_SLOT)
}

/// How many leaves hold no value, but say where a long one lies.
pub(crate) fn pointer_leaves(words: Words<'_>) -> u32 {
    (words.load(ROOT_AT) >> 32) as u32
}

/// So many pointer leaves more or less.
pub(crate) fn count_pointers(words: Words<'_>, change: i32) {
    // Saturating: a hostile file may say anything here.
    let count = pointer_leaves(words).saturating_add_signed(change);
    words.store(ROOT_AT, (words.load(ROOT_AT) & 0xFFFF_FFFF) | (u64::from(count) << 32));
}

pub(crate) fn highest_seq(words: Words<'_>) -> u64 {
    words.load(SEQ_AT)
}

pub(crate) fn raise_seq(words: Words<'_>, seq: u64) {
    if seq > highest_seq(words) {
        words.store(SEQ_AT, seq);
    }
}

/// The two regions of a blob that is about to be changed. What is changed has to lie in one of them, whatever
/// refs and headers of nodes say: a file under good checksums may say anything.
#[derive(Clone, Copy)]
pub(crate) struct Regions {
    inner_end: u32,
    leaf_start: u32,
}

impl Regions {
    /// None if they overlap, or reach out of the blob.
    #[inline(always)]
    pub(crate) fn load(words: Words<'_>) -> Option<Self> {
        let regions = Regions { inner_end: inner_end(words), leaf_start: leaf_start(words) };
        let is_sound = u32::from(NODES_AT) <= regions.inner_end
            && regions.inner_end <= regions.leaf_start
            && regions.leaf_start <= BLOB_WORDS as u32;
        is_sound.then_some(regions)
    }

    /// Whether a node at `at` lies where inner nodes do, up to the end of its prefix. Those pages are in
    /// memory, whichever are not. (In bytes, and without the length of the body: half the instructions.)
    #[inline(always)]
    pub(crate) fn hold_inner(self, at: Ref, prefix_at: Ref, prefix_len: usize) -> bool {
        // A prefix that begins before its node lies behind the end of the blob.
        let end_bytes = usize::from(prefix_at) * 8 + prefix_len;
        at >= NODES_AT && prefix_at > at && end_bytes <= self.inner_end as usize * 8
    }

    /// Whether words at `at`, and `len` bytes behind them, lie where leaves do.
    #[inline(always)]
    pub(crate) fn hold_leaf(self, at: Ref, words: usize, len: usize) -> bool {
        u32::from(at) >= self.leaf_start && (usize::from(at) + words) * 8 + len <= BLOB_WORDS * 8
    }
}

/// Words in use in both regions, garbage included.
pub(crate) fn used_words(words: Words<'_>) -> u32 {
    let inner = inner_end(words).saturating_sub(u32::from(inner_start(id(words))));
    inner.saturating_add((BLOB_WORDS as u32).saturating_sub(leaf_start(words)))
}

/// Words between the two regions.
pub(crate) fn free_words(words: Words<'_>) -> u32 {
    leaf_start(words).saturating_sub(inner_end(words))
}

/// Words that a rebuild would win back.
pub(crate) fn garbage_words(words: Words<'_>) -> u32 {
    used_words(words).saturating_sub(live_words(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::words::boxed_words;

    #[test]
    fn an_empty_blob_has_its_whole_capacity() {
        for id in [1, 31, 32, 63] {
            let memory = boxed_words();
            let words = Words::new(&memory);
            format(words, id, BlobKind::Range);
            assert!(free_words(words) >= CAPACITY_WORDS);
            assert_eq!(used_words(words), 0);
            assert_eq!(super::id(words), id);
            assert_eq!(kind(words), Some(BlobKind::Range));
            assert_eq!(inner_end(words), 256 + 8 * (id % 32));
        }
    }

    #[test]
    fn regions_hold_what_lies_in_them_to_the_last_word() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        for (inner_end, leaf_start, is_sound) in [
            (256, 65_536, true),
            (256, 256, true),
            (255, 65_536, false),
            (300, 299, false),
            (256, 65_537, false),
            (0, u32::MAX, false),
            (u32::MAX, u32::MAX, false),
        ] {
            set_regions(words, inner_end, leaf_start);
            assert_eq!(Regions::load(words).is_some(), is_sound, "{inner_end} {leaf_start}");
        }
        set_regions(words, 300, 65_000);
        let regions = Regions::load(words).expect("sound");
        for (at, words, len, inner, leaf) in [
            (256, 4, 320, true, false),
            (256, 4, 321, false, false),
            (255, 1, 1, false, false),
            (299, 1, 0, true, false),
            (299, 1, 1, false, false),
            (300, 1, 0, false, false),
            (64_999, 2, 0, false, false),
            (65_000, 2, 534 * 8, false, true),
            (65_000, 2, 534 * 8 + 1, false, false),
            (65_534, 2, 0, false, true),
            (65_535, 2, 0, false, false),
        ] {
            let prefix_at = (at as Ref).wrapping_add(words as Ref);
            let held = (regions.hold_inner(at, prefix_at, len), regions.hold_leaf(at, words, len));
            assert_eq!(held, (inner, leaf), "{words} words and {len} bytes at {at}");
        }
    }

    #[test]
    fn fields_do_not_touch_each_other() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        format(words, 7, BlobKind::Router);
        set_counts(words, 3, 40);
        words.store_ref(ROOT_SLOT, 777);
        count_pointers(words, 5);
        count_pointers(words, -2);
        raise_seq(words, 9);
        raise_seq(words, 8);
        set_generation(words, 5);
        assert_eq!((key_count(words), live_words(words)), (3, 40));
        assert_eq!(pointer_leaves(words), 3);
        assert_eq!((root(words), highest_seq(words), words.load(GENERATION_AT)), (777, 9, 5));
        assert_eq!((magic(words), kind(words)), (MAGIC, Some(BlobKind::Router)));
    }
}
