//! The memory of one blob as 64-bit atomic words, and runs of bytes inside it.
//!
//! `Words` is a reference to exactly 65,536 words and `Ref` is a `u16`, so the compiler knows that no
//! index is out of range: there is no bounds check and no way out of the blob. Arithmetic on refs wraps.
//! Words are little-endian in memory on every machine.
//!
//! Every store notes the page it changes, in words of page 0 that only memory has. So whoever writes the blob
//! to storage knows which pages to write, and no writer can forget to say. The note is made before the store:
//! where a snapshot is open, the first one of a page keeps what the page held until then (see `before`).

#![forbid(unsafe_code)]

use core::cmp::Ordering;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::collections::TryReserveError;

use super::before;
use super::key::Key;

/// Words in a blob.
pub(crate) const BLOB_WORDS: usize = 65_536;
/// Words in a page of 4 KiB.
pub(crate) const PAGE_WORDS: usize = 512;
/// Bytes in a blob.
pub(crate) const BLOB_BYTES: usize = BLOB_WORDS * 8;

/// The words of one blob.
pub(crate) type BlobWords = [AtomicU64; BLOB_WORDS];

/// A word index inside one blob. 0 is "none": word 0 is the magic, never a node.
pub(crate) type Ref = u16;

/// The pages that have changed since they were last stored, one bit each: two words of page 0, which hold
/// zeros in storage.
pub(crate) const DIRTY_AT: Ref = 10;
/// The pages of which that is noted, and that hold nothing any more that has to be kept: all that a store
/// looks at. Always a part of the dirty ones.
const NOTED_AT: Ref = DIRTY_AT + 2;
/// The cut of a snapshot since which the noted pages were noted; 0 if there was none.
const CUT_AT: Ref = NOTED_AT + 2;
/// The id of the blob while pages are to be kept before they change, else 0; and a flag.
const KEEPER_AT: Ref = CUT_AT + 1;
/// Set when a page has become dirty: whoever counts the dirty pages is to count again.
const RECOUNT: u64 = 1 << 63;
/// The words of all notes: zeros in storage.
pub(crate) const NOTE_WORDS: core::ops::Range<usize> = DIRTY_AT as usize..KEEPER_AT as usize + 1;

const _: () = assert!(BLOB_WORDS / PAGE_WORDS == 2 * u64::BITS as usize);
const _: () = assert!(BLOB_WORDS == Ref::MAX as usize + 1);
const _: () = assert!(BLOB_BYTES == 128 * 4096);

/// Where a ref is stored: one of the four 16-bit lanes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefSlot {
    pub(crate) word: Ref,
    pub(crate) lane: u8,
}

impl RefSlot {
    /// The `index`-th lane of the packed lanes that start at `first`.
    #[inline]
    pub(crate) fn nth(first: Ref, index: usize) -> Self {
        RefSlot { word: first.wrapping_add((index / 4) as u16), lane: (index % 4) as u8 }
    }
}

/// What a view points to. Miri visits all 65,536 cells behind a reference each time that one is passed on, so
/// there the view points to the box, and each access forms a reference to its own word alone.
#[cfg(not(miri))]
type Memory = BlobWords;
#[cfg(miri)]
type Memory = Box<BlobWords>;

/// A view of one blob. Copy it freely; it is one pointer.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a>(&'a Memory);

impl<'a> Words<'a> {
    #[inline(always)]
    pub(crate) fn new(words: &'a Memory) -> Self {
        Words(words)
    }

    /// The word itself, for what needs its address.
    #[cfg(all(target_arch = "x86_64", target_feature = "sse"))]
    #[inline(always)]
    pub(crate) fn word(self, at: Ref) -> &'a AtomicU64 {
        &self.0[at as usize]
    }

    #[inline(always)]
    pub(crate) fn load(self, at: Ref) -> u64 {
        u64::from_le(self.0[at as usize].load(Relaxed))
    }

    #[inline(always)]
    pub(crate) fn store(self, at: Ref, word: u64) {
        self.note(at);
        self.store_unnoted(at, word);
    }

    /// A store whose page was noted before, once for many, or that is no change of the contents.
    #[inline(always)]
    pub(crate) fn store_unnoted(self, at: Ref, word: u64) {
        self.0[at as usize].store(word.to_le(), Relaxed);
    }

    /// Copies words of another blob as they are, without a note. What would lie behind the last word lies at
    /// the front.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    pub(crate) fn copy_unnoted(self, at: Ref, source: Words<'_>, from: Ref, count: usize) {
        let (to, from_words) = (at as usize..at as usize + count, from as usize..from as usize + count);
        if let (Some(to), Some(from)) = (self.0.get(to), source.0.get(from_words)) {
            // Slices: with a ref for each word it takes three times the instructions.
            to.iter().zip(from).for_each(|(to, from)| to.store(from.load(Relaxed), Relaxed));
        } else {
            for offset in 0..count as u16 {
                self.store_unnoted(at.wrapping_add(offset), source.load(from.wrapping_add(offset)));
            }
        }
    }

    /// To be called before the first store to a page.
    #[inline(always)]
    pub(crate) fn note(self, at: Ref) {
        let page = at as usize / PAGE_WORDS;
        if self.load(NOTED_AT + (page / 64) as Ref) & 1 << (page % 64) == 0 {
            self.note_first(page);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_first(self, page: usize) {
        let keeper = self.load(KEEPER_AT);
        if keeper & !RECOUNT != 0 {
            before::keep(self, keeper as u32, page);
        }
        self.store_unnoted(KEEPER_AT, keeper | RECOUNT);
        self.note_dirty(page);
        self.add_note(NOTED_AT, page);
    }

    fn add_note(self, notes_at: Ref, page: usize) {
        let at = notes_at + (page / 64) as Ref;
        self.store_unnoted(at, self.load(at) | 1 << (page % 64));
    }

    /// Says that a page is not in storage as it is, without changing it.
    pub(crate) fn note_dirty(self, page: usize) {
        self.add_note(DIRTY_AT, page);
    }

    /// Notes the pages of `count` words from `at` on, which are about to be stored.
    #[inline]
    pub(crate) fn note_run(self, at: Ref, count: usize) {
        if count == 0 {
            return;
        }
        for page in at as usize / PAGE_WORDS..=(at as usize + count - 1) / PAGE_WORDS {
            self.note((page * PAGE_WORDS) as Ref);
        }
    }

    /// The pages that were noted, one bit each; page 0, which tells about the others, goes with any.
    #[allow(dead_code)]
    pub(crate) fn dirty_pages(self) -> u128 {
        let pages = u128::from(self.load(DIRTY_AT)) | u128::from(self.load(DIRTY_AT + 1)) << 64;
        if pages == 0 { 0 } else { pages | 1 }
    }

    /// Forgets which pages are dirty.
    pub(crate) fn forget_dirty_pages(self) {
        for at in DIRTY_AT..CUT_AT {
            self.store_unnoted(at, 0);
        }
    }

    /// Forgets all notes, cut and keeper with them: what comes from storage has none.
    pub(crate) fn forget_notes(self) {
        for at in NOTE_WORDS {
            self.store_unnoted(at as Ref, 0);
        }
    }

    /// The cut that `begin_cut` was last told; 0 if none.
    #[inline(always)]
    pub(crate) fn cut(self) -> u64 {
        self.load(CUT_AT)
    }

    /// From now on the first store to each page keeps the page before, for a blob of this id; or nothing is
    /// kept any more, if `cut` is 0.
    pub(crate) fn begin_cut(self, cut: u64, id: u32) {
        self.store_unnoted(NOTED_AT, 0);
        self.store_unnoted(NOTED_AT + 1, 0);
        self.store_unnoted(CUT_AT, cut);
        let keeper = if cut == 0 { 0 } else { u64::from(id) };
        self.store_unnoted(KEEPER_AT, self.load(KEEPER_AT) & RECOUNT | keeper);
    }

    /// Whether a page has become dirty since the last call.
    #[inline(always)]
    pub(crate) fn take_recount(self) -> bool {
        let keeper = self.load(KEEPER_AT);
        if keeper & RECOUNT != 0 {
            self.store_unnoted(KEEPER_AT, keeper & !RECOUNT);
        }
        keeper & RECOUNT != 0
    }

    #[inline(always)]
    pub(crate) fn load_ref(self, slot: RefSlot) -> Ref {
        (self.load(slot.word) >> (16 * (slot.lane & 3))) as u16
    }

    #[inline]
    pub(crate) fn store_ref(self, slot: RefSlot, to: Ref) {
        let shift = 16 * (slot.lane & 3);
        let word = self.load(slot.word) & !(0xFFFF << shift);
        self.store(slot.word, word | (u64::from(to) << shift));
    }

    /// The byte `offset` bytes after the start of word `at`.
    #[inline]
    pub(crate) fn byte(self, at: Ref, offset: usize) -> u8 {
        (self.load(at.wrapping_add((offset / 8) as u16)) >> (8 * (offset % 8))) as u8
    }

    /// Stores one byte, `offset` bytes after the start of word `at`.
    #[inline]
    pub(crate) fn store_byte(self, at: Ref, offset: usize, byte: u8) {
        let word_at = at.wrapping_add((offset / 8) as u16);
        let shift = 8 * (offset % 8);
        let word = self.load(word_at) & !(0xFF << shift);
        self.store(word_at, word | (u64::from(byte) << shift));
    }

    /// Sets `count` words from `at` to zero.
    pub(crate) fn zero(self, at: Ref, count: usize) {
        self.note_run(at, count);
        for i in 0..count {
            self.store_unnoted(at.wrapping_add(i as u16), 0);
        }
    }

    /// How many bytes, up to `limit`, the run at `at` shares with the key from `depth` on.
    #[inline(always)]
    pub(crate) fn common_with_key(self, at: Ref, limit: usize, key: &Key<'_>, depth: usize) -> usize {
        let limit = limit.min(key.len().saturating_sub(depth));
        let mut done = 0;
        if limit == 0 {
            return 0;
        }
        for piece in key.pieces(depth, limit) {
            let word = self.load(at.wrapping_add((done / 8) as u16));
            let difference = word ^ u64::from_le_bytes(*piece);
            if difference != 0 {
                return limit.min(done + difference.trailing_zeros() as usize / 8);
            }
            done += 8;
        }
        limit
    }

    /// Whether the run of `len` bytes at `at` is what the key goes on with at `depth`.
    #[inline(always)]
    pub(crate) fn key_goes_on(self, at: Ref, len: usize, key: &Key<'_>, depth: usize) -> bool {
        if depth + len > key.len() {
            return false;
        }
        if len <= 8 {
            // Most prefixes are this short. A shift by 64 would be none: an empty run is always there.
            return len == 0 || (self.load(at) ^ key.word(depth)) << (64 - 8 * len) == 0;
        }
        let Some((last, whole)) = key.pieces(depth, len).split_last() else {
            return true;
        };
        let mut at = at;
        for piece in whole {
            if self.load(at) != u64::from_le_bytes(*piece) {
                return false;
            }
            at = at.wrapping_add(1);
        }
        // Shifting out what lies behind the run: the upper bytes of a little-endian word.
        let behind = (len.next_multiple_of(8) - len) * 8;
        (self.load(at) ^ u64::from_le_bytes(*last)) << behind == 0
    }

    /// Whether the run of `len` bytes at `at` begins with the first `wanted` bytes of `padded`, behind which
    /// there are eight more.
    pub(crate) fn run_starts_with(self, at: Ref, len: usize, padded: &[u8], wanted: usize) -> bool {
        let (mut at, mut done) = (at, 0);
        while done < wanted {
            let Some(bytes) = padded[done..].first_chunk::<8>() else { return false };
            let difference = self.load(at) ^ u64::from_le_bytes(*bytes);
            let behind = (done + 8).saturating_sub(wanted) * 8;
            if difference << behind != 0 {
                return false;
            }
            (at, done) = (at.wrapping_add(1), done + 8);
        }
        len >= wanted
    }

    /// Orders the run of `len` bytes at `at` against the rest of the key from `depth` on.
    #[inline]
    pub(crate) fn compare_with_key(self, at: Ref, len: usize, key: &Key<'_>, depth: usize) -> Ordering {
        let rest = key.len().saturating_sub(depth);
        let common = self.common_with_key(at, len, key, depth);
        if common < len && common < rest {
            self.byte(at, common).cmp(&key.byte(depth + common))
        } else {
            len.cmp(&rest)
        }
    }

    /// How many bytes two runs of this blob share, up to `limit`, from byte `skip` of each.
    pub(crate) fn common_runs(self, left: Ref, right: Ref, skip: usize, limit: usize) -> usize {
        let mut done = skip;
        while done < limit {
            let difference = self.word_at(left, done) ^ self.word_at(right, done);
            if difference != 0 {
                return limit.min(done + difference.trailing_zeros() as usize / 8) - skip;
            }
            done += 8;
        }
        limit.saturating_sub(skip)
    }

    /// Eight bytes that start `offset` bytes after word `at`, wherever they lie.
    #[inline(always)]
    pub(crate) fn word_at(self, at: Ref, offset: usize) -> u64 {
        let word = at.wrapping_add((offset / 8) as u16);
        let shift = 8 * (offset % 8) as u32;
        if shift == 0 {
            self.load(word)
        } else {
            (self.load(word) >> shift) | (self.load(word.wrapping_add(1)) << (64 - shift))
        }
    }

    /// Appends `len` bytes that start `offset` bytes after word `at`.
    #[inline]
    pub(crate) fn append_to(self, at: Ref, offset: usize, len: usize, out: &mut Vec<u8>) {
        let (start, whole) = (out.len(), len.next_multiple_of(8));
        if out.capacity() == 0 {
            // Growing takes much more code than a first allocation: a twentieth of a lookup.
            *out = Vec::with_capacity(whole);
        }
        out.resize(start + whole, 0);
        let mut word = at.wrapping_add((offset / 8) as u16);
        let shift = 8 * (offset % 8) as u32;
        let (chunks, _) = out[start..].as_chunks_mut::<8>();
        if shift == 0 {
            for chunk in chunks {
                *chunk = self.load(word).to_le_bytes();
                word = word.wrapping_add(1);
            }
        } else {
            let mut low = self.load(word) >> shift;
            for chunk in chunks {
                word = word.wrapping_add(1);
                let next = self.load(word);
                *chunk = (low | (next << (64 - shift))).to_le_bytes();
                low = next >> shift;
            }
        }
        out.truncate(start + len);
    }

    /// Copies the run of `len` bytes at `at` to the front of `out`, which has room for whole words.
    #[inline(always)]
    pub(crate) fn copy_run(self, at: Ref, len: usize, out: &mut [u8]) {
        let (chunks, _) = out[..len.next_multiple_of(8)].as_chunks_mut::<8>();
        let mut word = at;
        for chunk in chunks {
            *chunk = self.load(word).to_le_bytes();
            word = word.wrapping_add(1);
        }
    }

    /// Drops the first `drop` of the `len` bytes at `at`, moving the rest down. What is left of the last
    /// word, and every word behind it, becomes zero.
    pub(crate) fn drop_front(self, at: Ref, len: usize, drop: usize) {
        let words_before = len.div_ceil(8);
        let left = len.saturating_sub(drop);
        let words_after = left.div_ceil(8);
        self.note_run(at, words_after);
        let (mut from, shift) = (at.wrapping_add((drop / 8) as u16), 8 * (drop % 8) as u32);
        let mut to = at;
        if shift == 0 {
            for _ in 0..words_after {
                self.store_unnoted(to, self.load(from));
                (to, from) = (to.wrapping_add(1), from.wrapping_add(1));
            }
        } else {
            let mut low = self.load(from) >> shift;
            for _ in 0..words_after {
                from = from.wrapping_add(1);
                let next = self.load(from);
                self.store_unnoted(to, low | (next << (64 - shift)));
                low = next >> shift;
                to = to.wrapping_add(1);
            }
        }
        if !left.is_multiple_of(8) {
            // The run is followed by other nodes: their bytes must not stay.
            let last = to.wrapping_sub(1);
            self.store_unnoted(last, self.load(last) & low_bytes((left % 8) as u32));
        }
        self.zero(at.wrapping_add(words_after as u16), words_before - words_after);
    }
}

/// A mask of the `count` lowest bytes, 0 to 8.
#[inline(always)]
pub(crate) fn low_bytes(count: u32) -> u64 {
    if count >= 8 { u64::MAX } else { (1 << (8 * count)) - 1 }
}

/// One blob of zeros on the heap, without passing over the stack. An error if there is no memory for it.
#[cfg(not(miri))]
#[inline(never)]
pub(crate) fn try_boxed_words() -> Result<Box<BlobWords>, TryReserveError> {
    let mut words = Vec::new();
    words.try_reserve_exact(BLOB_WORDS)?;
    words.resize_with(BLOB_WORDS, || AtomicU64::new(0));
    match words.into_boxed_slice().try_into() {
        Ok(words) => Ok(words),
        Err(_) => unreachable!("the length is that of a blob"),
    }
}

/// The same in one step: a loop of 65,536 rounds takes Miri 9 s, this half a second.
#[cfg(miri)]
pub(crate) fn try_boxed_words() -> Result<Box<BlobWords>, TryReserveError> {
    Ok(Box::new([const { AtomicU64::new(0) }; BLOB_WORDS]))
}

/// The same for tests.
#[cfg(test)]
pub(crate) fn boxed_words() -> Box<BlobWords> {
    try_boxed_words().expect("memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::key::KeyBuf;
    use crate::blob::run::RunWriter;

    fn write(words: Words<'_>, at: Ref, bytes: &[u8]) {
        let mut run = RunWriter::new(words, at, bytes.len());
        run.push(bytes);
        run.finish();
    }

    #[test]
    fn a_copy_takes_so_many_words_and_goes_on_at_the_front() {
        let (memory, other) = (boxed_words(), boxed_words());
        let (source, words) = (Words::new(&memory), Words::new(&other));
        let places: [(Ref, Ref); 4] = [(300, 500), (65_533, 500), (300, 65_533), (65_534, 65_532)];
        for (at, from) in places {
            (0..6).for_each(|offset: Ref| source.store_unnoted(from.wrapping_add(offset), offset.into()));
            (0..8).for_each(|offset: Ref| words.store_unnoted(at.wrapping_add(offset), 99));
            words.copy_unnoted(at.wrapping_add(1), source, from, 6);
            let copied = (0..8).map(|offset: Ref| words.load(at.wrapping_add(offset)));
            assert!(copied.eq([99, 0, 1, 2, 3, 4, 5, 99]), "from {from} to {at}");
        }
        assert_eq!(words.dirty_pages(), 0);
    }

    #[test]
    fn runs_come_back_from_every_offset() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        let bytes: Vec<u8> = (0..100u8).collect();
        write(words, 300, &bytes);
        for offset in 0..90 {
            for len in 0..10 {
                let mut out = vec![7];
                words.append_to(300, offset, len, &mut out);
                assert_eq!(out[1..], bytes[offset..offset + len]);
            }
        }
    }

    #[test]
    fn drop_front_keeps_the_neighbours() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        for len in (1..40usize).step_by(if cfg!(miri) { 5 } else { 1 }) {
            for drop in 0..=len {
                words.zero(300, 10);
                let bytes: Vec<u8> = (1..=len as u8).collect();
                write(words, 300, &bytes);
                let behind = 300 + len.div_ceil(8) as u16;
                words.store(behind, u64::MAX);
                words.drop_front(300, len, drop);
                let mut out = Vec::new();
                words.append_to(300, 0, len - drop, &mut out);
                assert_eq!(out, bytes[drop..]);
                assert_eq!(words.load(behind), u64::MAX);
                let padding = words.word_at(300, len - drop);
                if (len - drop) % 8 != 0 {
                    assert_eq!(padding & low_bytes(8 - ((len - drop) % 8) as u32), 0);
                }
            }
        }
    }

    #[test]
    fn comparing_with_a_key_is_comparing_slices() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        let samples: [&[u8]; 8] =
            [b"", b"\0", b"\0\0", b"a", b"abcdefgh", b"abcdefghi", b"abcdefgh\0", b"abcdefgz"];
        for stored in samples {
            write(words, 400, stored);
            for rest in samples {
                let mut full = b"base".to_vec();
                full.extend_from_slice(rest);
                let mut buffer = KeyBuf::empty();
                let key = buffer.fill_whole(&full);
                assert_eq!(words.compare_with_key(400, stored.len(), &key, 4), stored.cmp(rest));
                let common = stored.iter().zip(rest).take_while(|(a, b)| a == b).count();
                assert_eq!(words.common_with_key(400, stored.len(), &key, 4), common);
            }
        }
    }
}
