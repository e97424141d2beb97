//! Making room in a full range blob: compact, cut where keys ascend, share with a neighbour, or split.
//!
//! Which of them is chosen depends on the contents of the blobs alone, never on timing, so equal
//! workloads give equal blobs.

#![forbid(unsafe_code)]

use super::Forest;
use super::cut;
use super::edits::{Outcome, Source};
use super::lineage::Lineage;
use super::long;
use super::rearrange::Target;
use super::router::fit_base;
use super::shared_key::SharedKey;
use crate::art::entries::{Entries, Grain, Span};
use crate::art::insert::Shortage;
use crate::blob::header;
use crate::blob::key::common_prefix;
use crate::blob::space::Need;
use crate::error::{Error, Result};

/// Preparations that a writer may spoil before the blobs are latched first.
const FREE_ATTEMPTS: u32 = 2;

/// A blob with this part of garbage is compacted before anything else.
const GARBAGE_PARTS: u32 = 4;
/// The same where keys ascend: what is left of the cut will not be filled again.
const ASCENDING_GARBAGE_PARTS: u32 = 16;
/// What lies right of an ascending cut joins the right neighbour below this fill, in hundredths.
const JOIN_RIGHT_PERCENT: u64 = 90;
/// A bucket stays whole where no border lies inside, if its leaves take at most this part of a blob.
const WHOLE_PARTS: u32 = 32;
/// A blob of fewer entries is cut between any two keys.
const ENTRIES_TO_CUT_MIN: usize = 24;
/// A neighbour below this fill shares, in hundredths.
const SHARE_PERCENT: u64 = 75;

/// A full blob at work.
struct Full<'f> {
    forest: &'f Forest,
    lineage: Lineage,
    latch_first: bool,
    /// Not for a write that has been here before.
    may_share: bool,
    /// The key that does not fit.
    key: &'f [u8],
    shortage: Shortage,
}

impl Forest {
    /// Makes room in the range blob of `key`. On return the writer tries again; `times_full` says how often
    /// it has been here. How much room sharing makes can only be guessed (a long prefix may have to be
    /// spelled once more on either side), so it is tried once: splitting always comes to an end.
    pub(crate) fn make_room(&self, key: &[u8], shortage: Shortage, times_full: u32) -> Result<()> {
        self.make_room_locked(key, shortage, times_full)?;
        // Nobody waits for this.
        self.store.warm_next_blobs();
        Ok(())
    }

    fn make_room_locked(&self, key: &[u8], shortage: Shortage, times_full: u32) -> Result<()> {
        let _structure = self.store.lock_structure();
        let _pinned = self.pin_around(key)?;
        let _gate = self.store.gate.enter();
        // A border may be as long as the key, whatever comes of its write.
        self.store.note_key_bytes(key.len());
        for attempt in 0.. {
            let lineage = self.lineage(key)?;
            let Some(frame) = self.store.frames.get(lineage.blob.id) else {
                return Err(Self::corrupt(lineage.blob.id));
            };
            if self.has_room(frame.words, shortage.need) {
                break;
            }
            let (latch_first, may_share) = (attempt >= FREE_ATTEMPTS, times_full == 0);
            let full = Full { forest: self, lineage, latch_first, may_share, key, shortage };
            if full.relieve()? {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn has_room(&self, words: crate::blob::Words<'_>, need: Need) -> bool {
        need.words() + self.reserve_words() <= header::free_words(words)
    }

    /// Words of every range blob that are left alone: none but in tests with small blobs.
    pub(crate) fn reserve_words(&self) -> u32 {
        header::CAPACITY_WORDS - self.shape.range_words
    }

    /// A blob as the source of a rearrangement.
    pub(crate) fn source(&self, id: u32, latch_first: bool) -> Result<Source<'_>> {
        let Some(frame) = self.store.frames.get(id) else {
            return Err(Self::corrupt(id));
        };
        let held = latch_first.then(|| frame.hold());
        let version = held.as_ref().map_or_else(|| frame.latch().read(), |held| held.version());
        Ok(Source { frame, version, held })
    }

    /// Small buckets are cut, shared and joined as a whole: this says how many words are small.
    pub(crate) fn whole_buckets(&self) -> Grain {
        Grain::Buckets { words_max: self.shape.range_words / WHOLE_PARTS }
    }

    /// Appends the keys of a source, unless a writer changes it meanwhile.
    pub(crate) fn collect<'a>(
        &'a self,
        entries: &mut Entries<'a>,
        source: &Source<'a>,
        span: Span<'_>,
        grain: Grain,
    ) -> Result<bool> {
        let collected = entries.add_blob(source.frame.words, span, grain);
        if source.held.is_none() && !source.frame.latch().is_unchanged(source.version) {
            return Ok(false);
        }
        match collected {
            Ok(()) => Ok(true),
            Err(_) => Err(Self::corrupt(source.frame.id)),
        }
    }

    pub(crate) fn live_words(&self, id: u32) -> u64 {
        self.store.frames.get(id).map_or(0, |frame| u64::from(header::live_words(frame.words)))
    }
}

impl<'f> Full<'f> {
    fn capacity(&self) -> u64 {
        u64::from(self.forest.shape.range_words)
    }

    /// Does one thing that helps. False: a writer interfered, and nothing has changed.
    fn relieve(&self) -> Result<bool> {
        let forest = self.forest;
        let blob = &self.lineage.blob;
        let source = forest.source(blob.id, self.latch_first)?;
        let garbage = u64::from(header::garbage_words(source.frame.words));
        let mut entries = Entries::new();
        if !forest.collect(&mut entries, &source, self.lineage.span(), forest.whole_buckets())? {
            return Ok(false);
        }
        // Parts of long values come in order, and eight of them fill a blob.
        let is_next_part = long::is_part(self.key) && self.key > entries.last_key();
        let is_ascending = self.shortage.is_new && (is_next_part || entries.is_ascending());
        let ascending = Some(self.key).filter(|_| is_ascending);
        let parts = if ascending.is_some() { ASCENDING_GARBAGE_PARTS } else { GARBAGE_PARTS };
        let live = self.capacity() - garbage.min(self.capacity());
        let compacting_helps = live + u64::from(self.shortage.need.words()) <= self.capacity();
        if garbage * u64::from(parts) >= self.capacity() && compacting_helps {
            return self.compact(source);
        }
        if let Some(key) = ascending {
            let Some(position) = entries.position(key) else {
                return self.cut_ascending_inside(source, key);
            };
            if position > 0 {
                return self.cut_ascending(source, entries, key, position);
            }
        }
        match self.neighbour_to_share(&entries) {
            Some(index) => self.share(source, entries, index),
            None if entries.len() < ENTRIES_TO_CUT_MIN => self.split_by_keys(source),
            None => self.split(source, &entries),
        }
    }

    fn index(&self) -> usize {
        self.lineage.bottom().map_or(0, |router| router.index)
    }

    fn target(
        &self,
        lo: SharedKey,
        hi: Option<&[u8]>,
        old_base: usize,
        part: std::ops::Range<usize>,
    ) -> Target {
        Target { base: fit_base(old_base, &lo, hi), lo, part }
    }

    fn finish(&self, outcome: Outcome, counter: &crate::store::counters::Counter) -> Result<bool> {
        match outcome {
            Outcome::Done => counter.add_one(),
            Outcome::Interfered => return Ok(false),
            // A rebuild may take a few words more than what it replaces: then the blob is split after all.
            Outcome::DoesNotFit => {
                let source = self.forest.source(self.lineage.blob.id, self.latch_first)?;
                return self.split_by_keys(source);
            }
        }
        Ok(true)
    }

    /// Splits the blob in two between any two keys: the way out when another arrangement does not fit.
    fn split_by_keys(&self, source: Source<'f>) -> Result<bool> {
        match self.keys_of(&source)? {
            Some(entries) => self.split(source, &entries),
            None => Ok(false),
        }
    }

    /// All keys of the blob, one by one; none if a writer interfered.
    fn keys_of(&self, source: &Source<'f>) -> Result<Option<Entries<'f>>> {
        let mut entries = Entries::new();
        let collected = self.forest.collect(&mut entries, source, self.lineage.span(), Grain::Keys)?;
        Ok(collected.then_some(entries))
    }

    /// No arrangement has been found in which everything fits. It takes routers full of separators of
    /// tens of kilobytes to get here.
    fn too_large(&self) -> Error {
        Error::OutOfSpace { limit_blobs: self.forest.store.ids.in_use().0 }
    }

    fn compact(&self, source: Source<'f>) -> Result<bool> {
        let Some(entries) = self.keys_of(&source)? else {
            return Ok(false);
        };
        let blob = &self.lineage.blob;
        let target = Target { lo: blob.lo.clone(), base: blob.base, part: 0..entries.len() };
        let outcome =
            self.forest.rearrange(&self.lineage, self.index(), vec![source], &entries, &[target])?;
        self.finish(outcome, &self.forest.store.counters.compactions)
    }

    fn split(&self, source: Source<'f>, entries: &Entries<'_>) -> Result<bool> {
        if entries.len() < 2 {
            // A writer has removed nearly everything meanwhile: there is room now.
            return Ok(true);
        }
        let at = cut::halve(entries);
        match self.cut_in_two(source, entries, at, entries.separator(at))? {
            Outcome::DoesNotFit if !entries.has_wholes() => Err(self.too_large()),
            outcome => self.finish(outcome, &self.forest.store.counters.splits),
        }
    }

    fn cut_in_two(
        &self,
        source: Source<'f>,
        entries: &Entries<'_>,
        at: usize,
        separator: Vec<u8>,
    ) -> Result<Outcome> {
        let blob = &self.lineage.blob;
        let hi = self.lineage.hi.as_deref();
        let targets = [
            self.target(blob.lo.clone(), Some(&separator), blob.base, 0..at),
            self.target(separator.as_slice().into(), hi, blob.base, at..entries.len()),
        ];
        self.forest.rearrange(&self.lineage, self.index(), vec![source], entries, &targets)
    }

    /// The same where the new key belongs into a bucket that was taken whole.
    fn cut_ascending_inside(&self, source: Source<'f>, key: &[u8]) -> Result<bool> {
        let Some(entries) = self.keys_of(&source)? else {
            return Ok(false);
        };
        match entries.position(key) {
            Some(position) if position > 0 => self.cut_ascending(source, entries, key, position),
            _ => self.split(source, &entries),
        }
    }

    /// Cuts at the new key. What lies right of it moves to the right neighbour, if that has the room.
    fn cut_ascending(
        &self,
        source: Source<'f>,
        mut entries: Entries<'f>,
        key: &[u8],
        position: usize,
    ) -> Result<bool> {
        let forest = self.forest;
        let counter = &forest.store.counters.ascending_cuts;
        let before = entries.key(position - 1);
        let separator = key[..common_prefix(&before, key) + 1].to_vec();
        let right_words = cut::words_of(&entries, position..entries.len());
        let right =
            self.lineage.bottom().and_then(|router| Some((router, router.children.get(router.index + 1)?)));
        let right = right.filter(|(_, right)| {
            (forest.live_words(right.id) + right_words) * 100 < self.capacity() * JOIN_RIGHT_PERCENT
        });
        let Some((router, right)) = right else {
            let outcome = self.cut_in_two(source, &entries, position, separator)?;
            return self.finish(outcome, counter);
        };
        let neighbour = forest.source(right.id, self.latch_first)?;
        if !forest.collect(
            &mut entries,
            &neighbour,
            router.span_of(router.index + 1),
            forest.whole_buckets(),
        )? {
            return Ok(false);
        }
        let blob = &self.lineage.blob;
        let hi = router.hi_of(router.index + 1);
        let targets = [
            self.target(blob.lo.clone(), Some(&separator), blob.base, 0..position),
            self.target(separator.as_slice().into(), hi, right.base, position..entries.len()),
        ];
        let sources = vec![source, neighbour];
        let outcome = forest.rearrange(&self.lineage, self.index(), sources, &entries, &targets)?;
        self.finish(outcome, counter)
    }

    /// The emptier neighbour under the same router, if sharing with it makes enough room.
    fn neighbour_to_share(&self, entries: &Entries<'_>) -> Option<usize> {
        let router = self.lineage.bottom().filter(|_| self.may_share)?;
        let around = [router.index.checked_sub(1), Some(router.index + 1)];
        let known = around.into_iter().flatten().filter(|&index| index < router.children.len());
        let (words, index) =
            known.map(|index| (self.forest.live_words(router.children[index].id), index)).min()?;
        let own = cut::words_of(entries, 0..entries.len());
        // Half of both, the words of the new entry, and a tenth for what a cut cannot place exactly.
        let after = (own + words) / 2 + u64::from(self.shortage.need.words()) + self.capacity() / 10;
        let empty_enough = words * 100 < self.capacity() * SHARE_PERCENT;
        (empty_enough && after <= self.capacity()).then_some(index)
    }

    /// Evens the blob out with a neighbour. `own` are its entries.
    fn share(&self, source: Source<'f>, own: Entries<'f>, neighbour_index: usize) -> Result<bool> {
        let forest = self.forest;
        let Some(router) = self.lineage.bottom() else {
            return Ok(false);
        };
        let neighbour = forest.source(router.children[neighbour_index].id, self.latch_first)?;
        let first = router.index.min(neighbour_index);
        let is_left = first == router.index;
        let (mut entries, above) = if is_left { (own, None) } else { (Entries::new(), Some(own)) };
        let span = router.span_of(neighbour_index);
        if !forest.collect(&mut entries, &neighbour, span, forest.whole_buckets())? {
            return Ok(false);
        }
        if above.is_some_and(|own| entries.append(&own, 0..own.len(), None).is_err()) {
            return Err(Forest::corrupt(neighbour.frame.id));
        }
        let sources = if is_left { vec![source, neighbour] } else { vec![neighbour, source] };
        let (left, right) = (&router.children[first], &router.children[first + 1]);
        let at = cut::halve(&entries);
        let separator = entries.separator(at);
        let part = if self.key < separator.as_slice() { 0..at } else { at..entries.len() };
        if cut::words_of(&entries, part) + u64::from(self.shortage.need.words()) > self.capacity() {
            // A few huge entries do not spread evenly: sharing would make no room, again and again.
            drop(sources);
            return self.split_by_keys(forest.source(self.lineage.blob.id, self.latch_first)?);
        }
        let hi = router.hi_of(first + 1);
        let targets = [
            self.target(left.lo.clone(), Some(&separator), left.base, 0..at),
            self.target(separator.as_slice().into(), hi, right.base, at..entries.len()),
        ];
        let outcome = forest.rearrange(&self.lineage, first, sources, &entries, &targets)?;
        self.finish(outcome, &forest.store.counters.shares)
    }
}
