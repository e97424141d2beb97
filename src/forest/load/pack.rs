//! Full blobs from keys that arrive in order.
//!
//! Values lie in a frame of their own until their blob is built, keys in a front-coded list. How many words
//! a list will take is only known when it is built, so it is guessed from what the last one took.

#![forbid(unsafe_code)]

use super::arrivals::Arrivals;
use crate::art::build::{self, DoesNotFit};
use crate::art::entries::{Content, Entries};
use crate::blob::header::{self, BlobKind};
use crate::blob::key::common_prefix;
use crate::blob::leaf::{self, Leaf, Payload};
use crate::blob::space::{self, Need};
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::router::{common_of_range, fit_base};
use crate::store::scratch::Scratch;

/// How full a blob is to be, in hundredths.
const FULL_PERCENT: u64 = 98;
/// What is less full is built again with more keys.
const TRY_AGAIN_PERCENT: u64 = 94;
/// Words that a list takes, for a thousand words of its leaves with what each does not share with the key
/// before. To begin with.
const FIRST_GUESS_PERMILLE: u64 = 1_050;
/// If a list has turned out too long, so much of it is tried next, in hundredths.
const SHORTER_PERCENT: u64 = 96;

/// A blob that is ready to be written.
pub(super) struct Packed<'f> {
    pub(super) scratch: Scratch<'f>,
    pub(super) base: usize,
    pub(super) keys: u64,
    /// The lower bound of the next one; none if no key is left.
    pub(super) next: Option<Vec<u8>>,
}

/// See the head of this file.
pub(super) struct Packer<'f> {
    forest: &'f Forest,
    /// The version that all keys get.
    seq: u64,
    guess_permille: u64,
    values: Scratch<'f>,
}

impl<'f> Packer<'f> {
    pub(super) fn new(forest: &'f Forest, seq: u64) -> Self {
        let values = forest.store.scratches.take();
        Packer { forest, seq, guess_permille: FIRST_GUESS_PERMILLE, values }
    }

    /// Fills blob `id`, whose keys lie from `lo` up to `end` at most, with what is next.
    pub(super) fn pack<I, K, V>(
        &mut self,
        arrivals: &mut Arrivals<'_, I, V>,
        id: u32,
        lo: &[u8],
        end: &[u8],
    ) -> Result<Packed<'f>>
    where
        I: Iterator<Item = (K, V)>,
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let capacity = u64::from(self.forest.shape.range_words);
        let values = self.values.words();
        header::format(values, 0, BlobKind::Range);
        header::raise_seq(values, self.seq);
        let mut entries = Entries::new();
        entries.sources.push(values);
        // Words up to each key.
        let mut words: Vec<u64> = vec![0];
        let scratch = self.forest.store.scratches.take();
        let mut least = 0;
        loop {
            let is_full = |words: u64, guess: u64| words * guess / 1_000 >= capacity * FULL_PERCENT / 100;
            let mut is_out = false;
            while let Some((key, value)) = arrivals.next() {
                let total = words.last().copied().unwrap_or(0);
                let need = leaf::size_words(0, value.len()) as u32;
                is_out = !space::fits(values, Need { inner: 0, leaf: need });
                if is_out || is_full(total, self.guess_permille) && entries.len() > least {
                    break;
                }
                let leaf = Leaf::load(values, leaf::add(values, b"", Payload::value(value), self.seq));
                let pushed = entries.push(key, 0, 0, Content::Leaf(leaf));
                pushed.map_err(|_| Forest::corrupt(id))?;
                let tail = entries.list.last().map_or(0, |entry| entry.tail_len as usize);
                words.push(total + leaf::size_words(tail, value.len()) as u64 + 1);
                arrivals.advance()?;
            }
            let (count, base) = self.build(&scratch, id, &entries, &words, arrivals.next(), lo, end)?;
            let used = u64::from(header::used_words(scratch.words()));
            self.guess_permille = (used * 1_000 / words[count].max(1)).max(1);
            let is_all = count == entries.len();
            if is_all && !is_out && arrivals.next().is_some() && used * 100 < capacity * TRY_AGAIN_PERCENT {
                // At least one more, whatever the guess is: so this comes to an end.
                least = count;
                continue;
            }
            let next = separator(&entries, count, arrivals.next());
            arrivals.put_back(taken_from(&entries, count));
            return Ok(Packed { scratch, base, keys: count as u64, next });
        }
    }

    /// Builds as much of a list as fits; says how many keys that were, and the blob's base.
    #[allow(clippy::too_many_arguments)]
    fn build(
        &self,
        scratch: &Scratch<'_>,
        id: u32,
        entries: &Entries<'_>,
        words: &[u64],
        next: Option<(&[u8], &[u8])>,
        lo: &[u8],
        end: &[u8],
    ) -> Result<(usize, usize)> {
        let reserve = self.forest.reserve_words();
        let mut count = entries.len();
        while count > 0 {
            let hi = separator(entries, count, next).unwrap_or_else(|| end.to_vec());
            let base = fit_base(common_of_range(lo, Some(&hi)), lo, Some(&hi));
            let built = build::build(scratch.words(), id, entries, 0..count, base);
            match built {
                Ok(()) if header::free_words(scratch.words()) >= reserve => return Ok((count, base)),
                Ok(()) | Err(DoesNotFit) => {
                    let target = words[count] * SHORTER_PERCENT / 100;
                    count = words[..count].partition_point(|&so_far| so_far <= target).saturating_sub(1);
                }
            }
        }
        Err(Error::OutOfSpace { limit_blobs: self.forest.store.ids.in_use().0 })
    }
}

/// The lower bound of the blob that begins with key `count`; none if there is no such key.
fn separator(entries: &Entries<'_>, count: usize, next: Option<(&[u8], &[u8])>) -> Option<Vec<u8>> {
    if count < entries.len() {
        return Some(entries.separator(count));
    }
    let (key, _) = next?;
    let common = common_prefix(entries.last_key(), key);
    Some(key[..common + 1].to_vec())
}

/// The keys from `count` on, with their values.
fn taken_from(entries: &Entries<'_>, count: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    if count == entries.len() {
        return Vec::new();
    }
    let mut key = entries.key(count);
    let mut items = Vec::new();
    for (index, entry) in entries.list.iter().enumerate().skip(count) {
        if index > count {
            key.truncate(entry.common as usize);
            key.extend_from_slice(entries.tail(entry));
        }
        let mut value = Vec::new();
        if let Content::Leaf(leaf) = entry.content {
            leaf.append_value(entries.sources[0], &mut value);
        }
        items.push((key.clone(), value));
    }
    items
}
