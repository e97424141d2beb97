//! Full blobs from sheaves, in their order.
//!
//! How many words a list of keys will take is only known when it is built. So it is guessed from what the
//! last one took. Sheaves are gathered meanwhile, by another thread where there are any: how large the next
//! one is to be is decided when the one before the last is packed. What did not fit goes into the next blob.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, SyncSender};

use super::Run;
use super::sheaf::Sheaf;
use crate::art::build::{self, DoesNotFit};
use crate::art::entries::Entries;
use crate::blob::header;
use crate::blob::key::common_prefix;
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::router::{Child, common_of_range, fit_base};
use crate::store::adopt::{Outgoing, Reservation};
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
/// Sheaves that are gathered before anything is known of the first.
const AHEAD: usize = 2;

/// Where packed blobs go.
pub(super) struct Places<'r> {
    pub(super) reservation: &'r mut Reservation,
    /// To who writes them, if that is a thread.
    pub(super) outgoing: Option<SyncSender<Outgoing>>,
}

/// See the head of this file.
pub(super) struct Packer<'f, 'r> {
    forest: &'f Forest,
    run: &'r mut Run,
    /// The lower bound of the next blob.
    lo: Vec<u8>,
    /// What is not packed yet: these sheaves, the first of them from key `first` on.
    pending: VecDeque<Sheaf<'f>>,
    first: usize,
    guess_permille: u64,
    /// Who gathers is told how many words the next sheaf is to have, if that matters.
    wanted: Option<Sender<u64>>,
    /// By how many words the sheaves that are on their way were ordered smaller, because so many were left.
    smaller: VecDeque<u64>,
    scratch: Scratch<'f>,
}

impl<'f, 'r> Packer<'f, 'r> {
    /// Orders the first sheaves.
    pub(super) fn new(forest: &'f Forest, run: &'r mut Run, wanted: Option<Sender<u64>>) -> Result<Self> {
        let mut packer = Packer {
            forest,
            lo: run.prefix.clone(),
            run,
            pending: VecDeque::new(),
            first: 0,
            guess_permille: FIRST_GUESS_PERMILLE,
            wanted,
            smaller: VecDeque::new(),
            scratch: forest.store.scratches.take()?,
        };
        for _ in 0..AHEAD {
            packer.order(0);
        }
        Ok(packer)
    }

    /// Packs what is there with one more sheaf: all of it if that is the last.
    pub(super) fn take(&mut self, sheaf: Sheaf<'f>, places: &mut Places<'_>) -> Result<()> {
        let is_last = sheaf.next_key.is_none();
        self.pending.push_back(sheaf);
        let left = loop {
            let words = self.words();
            let left = words.last().copied().unwrap_or(0);
            let is_enough = left * self.guess_permille / 1_000 >= self.capacity() * TRY_AGAIN_PERCENT / 100;
            if left == 0 || !(is_enough || is_last) || !self.pack(&words, is_last, places)? {
                break left;
            }
        };
        self.smaller.pop_front();
        self.order(left);
        Ok(())
    }

    fn capacity(&self) -> u64 {
        u64::from(self.forest.shape.range_words)
    }

    /// Orders a sheaf that fills a blob with the so many words that are left.
    fn order(&mut self, left: u64) {
        let full = self.capacity() * FULL_PERCENT * 10 / self.guess_permille;
        let smaller = left.saturating_sub(self.smaller.iter().sum()).min(full);
        self.smaller.push_back(smaller);
        if let Some(wanted) = &self.wanted {
            // If nobody gathers any more, there is nothing left to gather.
            let _ = wanted.send(full - smaller);
        }
    }

    /// Words up to each key that is not packed yet.
    fn words(&self) -> Vec<u64> {
        let mut words = Vec::with_capacity(self.pending.iter().map(Sheaf::len).sum());
        let mut first = self.first;
        for sheaf in &self.pending {
            let before = words.last().copied().unwrap_or(0);
            words.extend(sheaf.words_from(first).map(|so_far| before + so_far));
            first = 0;
        }
        words
    }

    /// Packs one blob: false if it would not be full, and more keys may come.
    fn pack(&mut self, words: &[u64], is_last: bool, places: &mut Places<'_>) -> Result<bool> {
        let mut least = 1;
        loop {
            let full = self.capacity() * FULL_PERCENT * 10 / self.guess_permille;
            let wanted = words.partition_point(|&so_far| so_far < full) + 1;
            let id = self.id(places.reservation)?;
            let built = self.build(id, words, wanted.max(least).min(words.len()))?;
            let used = u64::from(header::used_words(self.scratch.words()));
            self.guess_permille = (used * 1_000 / words[built.keys - 1].max(1)).max(1);
            if used * 100 < self.capacity() * TRY_AGAIN_PERCENT && !built.is_short {
                if built.keys < words.len() {
                    // At least one more, whatever the guess is: so this comes to an end.
                    least = built.keys + 1;
                    continue;
                }
                if !is_last {
                    return Ok(false);
                }
            }
            self.settle(id, built, &places.outgoing)?;
            return Ok(true);
        }
    }

    /// The id of the next blob.
    fn id(&mut self, reservation: &mut Reservation) -> Result<u32> {
        if let Some(id) = self.run.spare_id {
            return Ok(id);
        }
        let id = self.forest.store.reserve_blob(reservation)?;
        // Noted at once: whatever happens, it is given back.
        self.run.spare_id = Some(id);
        Ok(id)
    }

    /// Builds as many of the first `count` keys as fit.
    fn build(&mut self, id: u32, words: &[u64], count: usize) -> Result<Built> {
        let (first, next_key) = (self.first, self.pending.back().and_then(|last| last.next_key.clone()));
        let build = Build {
            forest: self.forest,
            scratch: &self.scratch,
            id,
            lo: &self.lo,
            end: &self.run.end,
            next_key: next_key.as_deref(),
        };
        if let ([only], 0) = (self.pending.make_contiguous(), first) {
            return only.with_entries(|entries| build.build(entries, words, count));
        }
        let mut entries = Entries::new();
        for (index, sheaf) in self.pending.iter().enumerate() {
            sheaf.append_to(&mut entries, if index == 0 { first } else { 0 })?;
        }
        build.build(&entries, words, count)
    }

    /// Gives what was built its place.
    fn settle(&mut self, id: u32, built: Built, outgoing: &Option<SyncSender<Outgoing>>) -> Result<()> {
        let lo = std::mem::replace(&mut self.lo, built.hi.unwrap_or_default());
        self.run.children.push(Child { lo: lo.into(), id, base: built.base });
        self.run.spare_id = None;
        let to_write = self.forest.store.settle_words(id, self.scratch.words())?;
        self.run.keys += built.keys as u64;
        self.run.stored.extend(to_write.as_ref().map(|blob| (id, blob.checksum)));
        match (outgoing, to_write) {
            // The writer has ended only if it failed; it says why.
            (Some(outgoing), Some(blob)) => outgoing.send(blob).map_err(|_| Error::Closed)?,
            (None, Some(blob)) => self.forest.store.write_out(&blob)?,
            (_, None) => {}
        }
        self.first += built.keys;
        while let Some(sheaf) = self.pending.front().filter(|sheaf| sheaf.len() <= self.first) {
            self.first -= sheaf.len();
            self.pending.pop_front();
        }
        Ok(())
    }
}

/// A blob in the scratch frame.
struct Built {
    keys: usize,
    base: usize,
    /// The lower bound of the next blob; none if no key is left.
    hi: Option<Vec<u8>>,
    /// More did not fit.
    is_short: bool,
}

/// What a blob is built with.
struct Build<'b> {
    forest: &'b Forest,
    scratch: &'b Scratch<'b>,
    id: u32,
    lo: &'b [u8],
    end: &'b [u8],
    /// The key behind the list.
    next_key: Option<&'b [u8]>,
}

impl Build<'_> {
    fn build(&self, entries: &Entries<'_>, words: &[u64], count: usize) -> Result<Built> {
        let reserve = self.forest.reserve_words();
        let mut keys = count;
        while keys > 0 {
            let hi = self.separator(entries, keys);
            let bound = hi.as_deref().unwrap_or(self.end);
            let base = fit_base(common_of_range(self.lo, Some(bound)), self.lo, Some(bound));
            match build::build(self.scratch.words(), self.id, entries, 0..keys, base) {
                Ok(()) if header::free_words(self.scratch.words()) >= reserve => {
                    return Ok(Built { keys, base, hi, is_short: keys < count });
                }
                Ok(()) | Err(DoesNotFit) => {
                    let target = words[keys - 1] * SHORTER_PERCENT / 100;
                    keys = words[..keys - 1].partition_point(|&so_far| so_far <= target);
                }
            }
        }
        Err(Error::OutOfSpace { limit_blobs: self.forest.store.ids.in_use().0 })
    }

    /// The lower bound of the blob that begins with key `count`; none if there is no such key.
    fn separator(&self, entries: &Entries<'_>, count: usize) -> Option<Vec<u8>> {
        if count < entries.len() {
            return Some(entries.separator(count));
        }
        let key = self.next_key?;
        let common = common_prefix(entries.last_key(), key);
        Some(key[..common + 1].to_vec())
    }
}
