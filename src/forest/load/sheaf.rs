//! A sheaf: keys that arrived one after the other, about as many as fill a blob, with their values.
//!
//! Values lie in a frame of their own until their blob is built, keys in a front-coded list.

#![forbid(unsafe_code)]

use super::arrivals::Arrivals;
use crate::art::entries::{Content, Entries};
use crate::blob::header::{self, BlobKind};
use crate::blob::leaf::{self, Leaf, Payload};
use crate::blob::space::{self, Need};
use crate::error::Result;
use crate::forest::Forest;
use crate::store::scratch::Scratch;

/// See the head of this file.
pub(super) struct Sheaf<'f> {
    values: Scratch<'f>,
    /// Their leaves are in `values`; which the list does not know, so that both can go to another thread.
    entries: Entries<'static>,
    /// Words up to each key: those of its leaf, with what it does not share with the key before.
    words: Vec<u64>,
    /// The key behind these; none if they are the last.
    pub(super) next_key: Option<Vec<u8>>,
}

impl<'f> Sheaf<'f> {
    /// Takes keys until they take so many words, or no value fits the frame any more; one at least. They are
    /// of version `seq`.
    pub(super) fn gather<I, K, V>(
        forest: &'f Forest,
        arrivals: &mut Arrivals<'_, I, V>,
        words_wanted: u64,
        seq: u64,
    ) -> Result<Self>
    where
        I: Iterator<Item = (K, V)>,
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let values = forest.store.scratches.take();
        let frame = values.words();
        header::format(frame, 0, BlobKind::Range);
        header::raise_seq(frame, seq);
        let (mut entries, mut words) = (Entries::new(), vec![0]);
        let mut total = 0;
        while let Some((key, value)) = arrivals.next() {
            let need = Need { inner: 0, leaf: leaf::size_words(0, value.len()) as u32 };
            if total >= words_wanted && entries.len() > 0 || !space::fits(frame, need) {
                break;
            }
            let leaf = Leaf::load(frame, leaf::add(frame, b"", Payload::value(value), seq));
            // They were looked at when they arrived, and ascend.
            entries.push(key, 0, 0, Content::Leaf(leaf)).map_err(|_| Forest::corrupt(0))?;
            let tail_len = entries.list.last().map_or(0, |entry| entry.tail_len as usize);
            total += leaf::size_words(tail_len, value.len()) as u64 + 1;
            words.push(total);
            arrivals.advance()?;
        }
        let next_key = arrivals.next().map(|(key, _)| key.to_vec());
        Ok(Sheaf { values, entries, words, next_key })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
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
