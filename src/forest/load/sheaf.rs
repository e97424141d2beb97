//! A sheaf: keys that arrived one after the other, about as many as fill a blob, with their values.
//!
//! Values lie in a frame of their own until their blob is built, keys in a front-coded list.

#![forbid(unsafe_code)]

use crate::art::entries::{Content, Entries};
use crate::blob::header::{self, BlobKind};
use crate::blob::leaf::{self, Leaf, Payload};
use crate::blob::space::{self, Need};
use crate::error::Result;
use crate::forest::Forest;
use crate::store::scratch::Scratch;

/// See the head of this file.
pub(super) struct Sheaf<'f> {
    /// The version of all keys.
    seq: u64,
    values: Scratch<'f>,
    /// Their leaves are in `values`; which the list does not know, so that both can go to another thread.
    entries: Entries<'static>,
    /// Words up to each key: those of its leaf, with what it does not share with the key before.
    words: Vec<u64>,
    /// The key behind these; none if they are the last.
    pub(super) next_key: Option<Vec<u8>>,
}

impl<'f> Sheaf<'f> {
    /// One without keys; those to come are of version `seq`.
    pub(super) fn new(forest: &'f Forest, seq: u64) -> Result<Self> {
        let values = forest.store.scratches.take()?;
        let frame = values.words();
        header::format(frame, 0, BlobKind::Range);
        header::raise_seq(frame, seq);
        Ok(Sheaf { seq, values, entries: Entries::new(), words: vec![0], next_key: None })
    }

    /// Whether a value of so many bytes fits the frame.
    pub(super) fn fits(&self, value_bytes: usize) -> bool {
        let need = Need { inner: 0, leaf: leaf::size_words(0, value_bytes) as u32 };
        space::fits(self.values.words(), need)
    }

    /// Appends a key, which lies above those that are here, and a value that fits.
    pub(super) fn push(&mut self, key: &[u8], value: Payload<'_>) -> Result<()> {
        let frame = self.values.words();
        let leaf = Leaf::load(frame, leaf::add(frame, b"", value, self.seq));
        self.entries.push(key, 0, 0, Content::Leaf(leaf)).map_err(|_| Forest::corrupt(0))?;
        let tail_len = self.entries.list.last().map_or(0, |entry| entry.tail_len as usize);
        self.words.push(self.words_taken() + leaf::size_words(tail_len, value.len()) as u64 + 1);
        Ok(())
    }

    /// Words of all leaves, with what each key does not share with the one before.
    pub(super) fn words_taken(&self) -> u64 {
        self.words.last().copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The first key, whole; there is one.
    pub(super) fn first_key(&self) -> Vec<u8> {
        self.entries.key(0)
    }

    /// Words of the keys from `from` on, up to each.
    pub(super) fn words_from(&self, from: usize) -> impl Iterator<Item = u64> {
        let before = self.words[from];
        self.words[from + 1..].iter().map(move |words| words - before)
    }

    /// Calls `with` with the list, which knows the frame of its leaves for so long.
    pub(super) fn with_entries<T>(&mut self, with: impl FnOnce(&Entries<'_>) -> T) -> T {
        let mut entries: Entries<'_> = std::mem::replace(&mut self.entries, Entries::new());
        entries.sources.push(self.values.words());
        let done = with(&entries);
        self.entries = entries.without_sources();
        done
    }

    /// Appends the keys from `from` on to a list.
    pub(super) fn append_to<'s>(&'s self, list: &mut Entries<'s>, from: usize) -> Result<()> {
        let source = self.values.words();
        list.append_over(&self.entries, source, from..self.len()).map_err(|_| Forest::corrupt(0))
    }
}
