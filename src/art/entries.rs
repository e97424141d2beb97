//! All keys of one or two neighbouring range blobs as a list, for building new blobs from them.
//!
//! Keys are front-coded: each entry holds how many bytes it shares with the one before, and the rest. So
//! the list takes no more bytes than the trees it was read from, however long the shared prefixes are.

#![forbid(unsafe_code)]

use super::cursor::{Cursor, Direction, Item};
use crate::blob::key::common_prefix;
use crate::blob::leaf::Leaf;
use crate::blob::{Torn, Words, header};

/// What the tails of one blob can come to, base included.
const TAIL_BYTES_MAX: usize = crate::blob::words::BLOB_BYTES + super::cursor::KEY_BYTES_MAX;

/// One key of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Bytes shared with the key before.
    pub(crate) common: u32,
    /// The rest of the key, in the list's tails.
    pub(crate) tail_start: u32,
    pub(crate) tail_len: u32,
    /// Which source blob holds the leaf.
    pub(crate) source: u8,
    pub(crate) leaf: Leaf,
}

impl Entry {
    /// Length of the whole key.
    pub(crate) fn key_len(&self) -> usize {
        (self.common + self.tail_len) as usize
    }
}

/// Keys in order, front-coded, with the blobs that hold their leaves.
pub(crate) struct Entries<'a> {
    pub(crate) sources: Vec<Words<'a>>,
    pub(crate) list: Vec<Entry>,
    pub(crate) tails: Vec<u8>,
    last_key: Vec<u8>,
}

impl<'a> Entries<'a> {
    pub(crate) fn new() -> Self {
        Entries { sources: Vec::new(), list: Vec::new(), tails: Vec::new(), last_key: Vec::new() }
    }

    /// Appends all keys of a blob, which lie above those that are here. `base` is what the router spells
    /// for it; keys are whole. The words may change meanwhile: the result is then nonsense of bounded size.
    pub(crate) fn add_blob(&mut self, words: Words<'a>, base: &[u8]) -> Result<(), Torn> {
        let source = self.sources.len() as u8;
        self.sources.push(words);
        let mut cursor = Cursor::new();
        cursor.seek_edge(base, Direction::Forward);
        let limit = self.list.len() + header::key_count(words) as usize;
        self.list.reserve((limit - self.list.len()).min(crate::blob::BLOB_WORDS));
        while let Some(Item::Leaf(leaf)) = cursor.next(words)? {
            // Every byte of a tail stands once in a sound blob.
            if self.list.len() >= limit || self.tails.len() > self.sources.len() * TAIL_BYTES_MAX {
                return Err(Torn);
            }
            let kept = if self.list.is_empty() { 0 } else { cursor.kept().min(self.last_key.len()) };
            cursor.mark_kept();
            let key = cursor.key();
            let common = kept + common_prefix(&self.last_key[kept..], &key[kept..]);
            let ascends = match self.last_key.get(common) {
                Some(last) => key.get(common).is_some_and(|byte| byte > last),
                None => key.len() > common || self.list.is_empty(),
            };
            if !ascends {
                return Err(Torn);
            }
            let tail_start = self.tails.len() as u32;
            self.tails.extend_from_slice(&key[common..]);
            self.last_key.truncate(common);
            self.last_key.extend_from_slice(&key[common..]);
            let tail_len = (key.len() - common) as u32;
            self.list.push(Entry { common: common as u32, tail_start, tail_len, source, leaf });
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
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

    /// The first entry whose key is not below `key`.
    pub(crate) fn position(&self, key: &[u8]) -> usize {
        let mut current = Vec::new();
        for (index, entry) in self.list.iter().enumerate() {
            current.truncate(entry.common as usize);
            current.extend_from_slice(self.tail(entry));
            if current.as_slice() >= key {
                return index;
            }
        }
        self.list.len()
    }

    /// Whether the newest leaves of source 0 were written in ascending order of keys: 90 % of the last
    /// hundred lie above the one before.
    ///
    /// Leaves are allocated downward, so their addresses tell their age, and no counter has to be kept. A
    /// rebuild lays leaves in the opposite order, so that it never looks like ascending writes.
    pub(crate) fn is_ascending(&self) -> bool {
        const LOOKED_AT: usize = 100;
        let mut by_age: Vec<(u16, usize)> =
            self.list.iter().enumerate().map(|(i, e)| (e.leaf.at, i)).collect();
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
}
