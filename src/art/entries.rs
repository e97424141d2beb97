//! All keys of one or two neighbouring range blobs as a list, for building new blobs from them.
//!
//! Keys are front-coded: each entry holds how many bytes it shares with the one before, and the rest. So
//! the list takes no more bytes than the trees it was read from, however long the shared prefixes are.
//!
//! A list may take buckets of some size as they are, as one entry each: then most leaves are copied word by
//! word when a blob is cut, and nobody looks at their keys. (Measured on random
//! puts at 1 M keys: 0.45 ms a change instead of 0.9, 1,650 ns a put instead of 2,050.)

#![forbid(unsafe_code)]

use std::ops::Range;

use super::cursor::{Cursor, Direction, Item};
use crate::blob::key::common_prefix;
use crate::blob::leaf::Leaf;
use crate::blob::node::NodeHeader;
use crate::blob::presence::Everything;
use crate::blob::{BLOB_WORDS, Ref, Torn, Words, bucket, header, simd, space};

/// What the tails of one blob can come to, base included.
const TAIL_BYTES_MAX: usize = crate::blob::words::BLOB_BYTES + super::cursor::KEY_BYTES_MAX;

/// A bucket with fewer leaves is taken apart, so that small neighbours can become one. (8 instead of 12 makes
/// random puts 2 % faster, and fills blobs to 0.780 instead of 0.784.)
const WHOLE_LEAVES_MIN: usize = 12;

/// How much of a blob is read as single keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grain {
    /// All of it: what is built from the list has the canonical form.
    Keys,
    /// Buckets stay whole, if their leaves take at most so many words.
    Buckets { words_max: u32 },
}

/// The keys that a blob is for.
#[derive(Clone, Copy)]
pub(crate) struct Span<'s> {
    pub(crate) lo: &'s [u8],
    /// How much of `lo` the router spells for the blob.
    pub(crate) base: usize,
    pub(crate) hi: Option<&'s [u8]>,
    /// Where it is going to be cut.
    pub(crate) cuts: &'s [&'s [u8]],
}

impl Span<'_> {
    /// Whether all keys that begin with `prefix` are keys of the blob, as far as they can be told apart, and
    /// lie on one side of each cut.
    fn holds_all_of(&self, prefix: &[u8]) -> bool {
        let goes_on = |bound: &[u8]| bound.len() > prefix.len() && bound.starts_with(prefix);
        !goes_on(self.lo) && !self.hi.is_some_and(goes_on) && !self.cuts.iter().any(|cut| goes_on(cut))
    }
}

/// A bucket that is one entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    pub(crate) at: Ref,
    pub(crate) header: NodeHeader,
    /// Words of all its leaves.
    pub(crate) leaf_words: u32,
}

impl Whole {
    fn new(words: Words<'_>, at: Ref, header: NodeHeader, words_max: u32) -> Option<Self> {
        let count = bucket::count(header);
        if count < WHOLE_LEAVES_MIN {
            return None;
        }
        let leaf_words = (0..count).map(|index| bucket::leaf(words, at, header, index).words() as u32).sum();
        (leaf_words <= words_max).then_some(Whole { at, header, leaf_words })
    }

    pub(crate) fn count(&self) -> usize {
        bucket::count(self.header)
    }

    /// Asks for the lines of a leaf, if there is one at the index.
    pub(crate) fn fetch(&self, words: Words<'_>, index: usize) {
        let at = self.leaf_at(words, index % bucket::LIMIT);
        for line in 0..3 {
            simd::prefetch(words, at.wrapping_add(8 * line));
        }
    }

    fn leaf_at(&self, words: Words<'_>, index: usize) -> Ref {
        bucket::leaf_at(words, self.at, self.header, index)
    }

    pub(crate) fn leaf(&self, words: Words<'_>, index: usize) -> Leaf {
        bucket::leaf(words, self.at, self.header, index)
    }
}

/// What an entry stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Leaf(Leaf),
    /// The entry's key is what all keys of the bucket begin with, and no other key does.
    Whole(Whole),
}

/// One key of a list, or some.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Bytes shared with the key before.
    pub(crate) common: u32,
    /// The rest of the key, in the list's tails.
    pub(crate) tail_start: u32,
    pub(crate) tail_len: u32,
    /// Which source blob holds the leaf.
    pub(crate) source: u8,
    pub(crate) content: Content,
}

impl Entry {
    /// Length of the whole key.
    pub(crate) fn key_len(&self) -> usize {
        (self.common + self.tail_len) as usize
    }

    /// Words of its leaves.
    pub(crate) fn leaf_words(&self) -> usize {
        match self.content {
            Content::Leaf(leaf) => leaf.words(),
            Content::Whole(whole) => whole.leaf_words as usize,
        }
    }
}

/// Keys in order, front-coded, with the blobs that hold their leaves.
pub(crate) struct Entries<'a> {
    pub(crate) sources: Vec<Words<'a>>,
    pub(crate) list: Vec<Entry>,
    pub(crate) tails: Vec<u8>,
    /// Whether the ends of all keys are what their leaves hold.
    pub(crate) has_old_names: bool,
    last_key: Vec<u8>,
}

impl<'a> Entries<'a> {
    pub(crate) fn new() -> Self {
        Entries {
            sources: Vec::new(),
            list: Vec::new(),
            tails: Vec::new(),
            has_old_names: true,
            last_key: Vec::new(),
        }
    }

    /// Appends all keys of a blob, which lie above those that are here; keys are whole. The words may change
    /// meanwhile: the result is then nonsense of bounded size.
    pub(crate) fn add_blob(&mut self, words: Words<'a>, span: Span<'_>, grain: Grain) -> Result<(), Torn> {
        // A router that is being changed, or a hostile one, may spell more than the separator has.
        let base = span.lo.get(..span.base).ok_or(Torn)?;
        space::fetch_used(words);
        let source = self.sources.len() as u8;
        self.sources.push(words);
        let mut cursor = Cursor::new();
        cursor.seek_edge(base, Direction::Forward);
        if grain != Grain::Keys {
            cursor.stop_at_buckets();
        }
        let start = self.list.len();
        let limit = start + header::key_count(words) as usize;
        self.list.reserve((limit - start).min(crate::blob::BLOB_WORDS));
        while let Some(item) = cursor.next(words, &Everything)? {
            let content = match (item, grain) {
                (Item::Leaf, _) => Content::Leaf(cursor.leaf()),
                (Item::Bucket, Grain::Buckets { words_max }) if span.holds_all_of(cursor.key()) => {
                    let (at, header) = cursor.bucket();
                    match Whole::new(words, at, header, words_max) {
                        Some(whole) => Content::Whole(whole),
                        None => continue,
                    }
                }
                _ => continue,
            };
            // Every byte of a tail stands once in a sound blob.
            if self.list.len() >= limit || self.tails.len() > self.sources.len() * TAIL_BYTES_MAX {
                return Err(Torn);
            }
            // A hostile router may name the blob of other keys; what is built counts on its bounds.
            if self.list.len() == start && cursor.key() < span.lo {
                return Err(Torn);
            }
            let kept = if self.list.is_empty() { 0 } else { cursor.kept().min(self.last_key.len()) };
            cursor.mark_kept();
            self.push(cursor.key(), kept, source, content)?;
            if matches!(content, Content::Whole(_)) {
                cursor.pass_bucket();
            }
        }
        let is_above = self.list.len() > start && span.hi.is_some_and(|hi| self.last_key.as_slice() >= hi);
        if is_above { Err(Torn) } else { Ok(()) }
    }

    /// Appends a key that lies above those that are here, and shares at least `kept` bytes with the last.
    #[inline]
    pub(crate) fn push(&mut self, key: &[u8], kept: usize, source: u8, content: Content) -> Result<(), Torn> {
        let common = kept + common_prefix(&self.last_key[kept..], &key[kept..]);
        let ascends = match (self.last_key.get(common), self.list.last().map(|entry| entry.content)) {
            (Some(last), _) => key.get(common).is_some_and(|byte| byte > last),
            // What begins with a whole bucket's key lies in that bucket.
            (None, Some(Content::Whole(_))) => false,
            (None, last) => key.len() > common || last.is_none(),
        };
        if !ascends {
            return Err(Torn);
        }
        let tail_start = self.tails.len() as u32;
        self.tails.extend_from_slice(&key[common..]);
        self.last_key.truncate(common);
        self.last_key.extend_from_slice(&key[common..]);
        let tail_len = (key.len() - common) as u32;
        self.list.push(Entry { common: common as u32, tail_start, tail_len, source, content });
        Ok(())
    }

    /// The same list, without knowing where its leaves are.
    pub(crate) fn without_sources(self) -> Entries<'static> {
        let Entries { list, tails, has_old_names, last_key, .. } = self;
        Entries { sources: Vec::new(), list, tails, has_old_names, last_key }
    }

    /// Appends a part of a list that does not know where its leaves are: they are in `source`.
    pub(crate) fn append_over(
        &mut self,
        other: &Entries<'static>,
        source: Words<'a>,
        part: Range<usize>,
    ) -> Result<(), Torn> {
        let first_source = self.sources.len() as u8;
        self.sources.push(source);
        self.push_part(other, part, None, first_source)
    }

    /// Appends a part of another list, which lies above what is here. If `prefix` is given, that takes the
    /// place of so many bytes at the beginning of each key.
    pub(crate) fn append(
        &mut self,
        other: &Entries<'a>,
        part: Range<usize>,
        prefix: Option<(usize, &[u8])>,
    ) -> Result<(), Torn> {
        let first_source = self.sources.len() as u8;
        self.sources.extend_from_slice(&other.sources);
        self.push_part(other, part, prefix, first_source)
    }

    fn push_part(
        &mut self,
        other: &Entries<'_>,
        part: Range<usize>,
        prefix: Option<(usize, &[u8])>,
        first_source: u8,
    ) -> Result<(), Torn> {
        if part.is_empty() {
            return Ok(());
        }
        let (cut, put) = prefix.unwrap_or((0, &[]));
        self.has_old_names &= prefix.is_none() && other.has_old_names;
        let mut key = other.key(part.start);
        key.splice(..cut, put.iter().copied());
        for index in part.clone() {
            let entry = &other.list[index];
            let mut kept = 0;
            if index > part.start {
                // What it shares with the one before may be part of the prefix only where all share it.
                kept = entry.common as usize - cut + put.len();
                key.truncate(kept);
                key.extend_from_slice(other.tail(entry));
            }
            self.push(&key, kept, first_source + entry.source, entry.content)?;
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The last key, whole.
    pub(crate) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// What an entry does not share with the one before.
    #[inline]
    pub(crate) fn tail(&self, entry: &Entry) -> &[u8] {
        let start = entry.tail_start as usize;
        &self.tails[start..start + entry.tail_len as usize]
    }

    /// Bytes `from..to` of entry `index`, which lie in its tail.
    #[inline]
    pub(crate) fn bytes(&self, index: usize, from: usize, to: usize) -> &[u8] {
        let entry = &self.list[index];
        let start = entry.tail_start as usize - entry.common as usize;
        &self.tails[start + from..start + to]
    }

    /// The whole key of entry `index`, by going through the list.
    pub(crate) fn key(&self, index: usize) -> Vec<u8> {
        let mut key = Vec::new();
        for entry in &self.list[..=index] {
            key.truncate(entry.common as usize);
            key.extend_from_slice(self.tail(entry));
        }
        key
    }

    /// The shortest separator between entry `index - 1` and entry `index`: what they share and one byte.
    pub(crate) fn separator(&self, index: usize) -> Vec<u8> {
        let mut key = self.key(index);
        key.truncate(self.list[index].common as usize + 1);
        key
    }

    /// The first entry whose key is not below `key`; none if that is inside a whole bucket.
    pub(crate) fn position(&self, key: &[u8]) -> Option<usize> {
        let mut current = Vec::new();
        for (index, entry) in self.list.iter().enumerate() {
            current.truncate(entry.common as usize);
            current.extend_from_slice(self.tail(entry));
            if current.as_slice() >= key {
                return Some(index);
            }
            if matches!(entry.content, Content::Whole(_)) && key.starts_with(&current) {
                return None;
            }
        }
        Some(self.list.len())
    }

    /// Whether some buckets were taken whole.
    pub(crate) fn has_wholes(&self) -> bool {
        self.list.iter().any(|entry| matches!(entry.content, Content::Whole(_)))
    }

    /// Whether the newest leaves of source 0 were written in ascending order of keys: 90 % of the last
    /// hundred lie above the one before.
    ///
    /// Leaves are allocated downward, so their addresses tell their age, and no counter has to be kept. A
    /// rebuild lays leaves in the opposite order, so that it never looks like ascending writes.
    pub(crate) fn is_ascending(&self) -> bool {
        const LOOKED_AT: usize = 100;
        let start = self.sources.first().map_or(0, |words| header::leaf_start(*words) as usize);
        // Most often the last hundred are in the first eighth, and the others need not be sorted.
        let among = start + BLOB_WORDS.saturating_sub(start) / 8;
        let mut by_age = self.leaves_below(among);
        if by_age.len() <= LOOKED_AT {
            by_age = self.leaves_below(BLOB_WORDS);
        }
        if by_age.len() <= LOOKED_AT {
            return false;
        }
        by_age.select_nth_unstable(LOOKED_AT);
        by_age.truncate(LOOKED_AT + 1);
        by_age.sort_unstable();
        // The lowest address is the newest leaf.
        let above = by_age.windows(2).filter(|pair| pair[0].1 > pair[1].1).count();
        above * 10 >= LOOKED_AT * 9
    }

    /// The leaves of source 0 below an address, each with its place among all keys.
    fn leaves_below(&self, bound: usize) -> Vec<(Ref, usize)> {
        let mut found = Vec::new();
        let mut place = 0;
        for entry in &self.list {
            let count = match entry.content {
                Content::Leaf(leaf) => {
                    found.extend((usize::from(leaf.at) < bound).then_some((leaf.at, place)));
                    1
                }
                Content::Whole(whole) => {
                    let at = |index| (whole.leaf_at(self.sources[0], index), place + index);
                    found.extend((0..whole.count()).map(at).filter(|leaf| usize::from(leaf.0) < bound));
                    whole.count()
                }
            };
            place += count;
        }
        found
    }
}
