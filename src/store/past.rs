//! What pages held before they were changed, as long as an open snapshot may ask for it.
//!
//! A snapshot is a number, its *cut*: it reads what all pages held when the gate was held alone to make it.
//! The first change of a page after a cut keeps the page. What is kept under the latest cut `c` of that
//! moment is what the page held at `c`, and at all cuts before, back to the one under which it was kept
//! before. So a snapshot finds a page as the oldest that was kept under its own cut or a later one, and if
//! there is none, the page has not changed.
//!
//! Order: a writer latches, stores, publishes here, gives the latch back. A reader copies the page, validates
//! the version, *then* looks here. So whoever saw a change finds what was there before it.
//!
//! Must not know: frames, latches, what pages mean.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::backend::PAGE_BYTES;
use crate::blob::before::{Before, PageWords};
use crate::blob::header::BLOB_PAGES;
use crate::error::{Error, Result};

/// What an entry takes beside the page, about.
const ENTRY_BYTES: u64 = 96;

/// How much is kept, unless told otherwise.
pub(crate) const LIMIT_BYTES_DEFAULT: u64 = 256 << 20;

/// A page and the cut that it was kept under.
type Key = (u32, usize, u64);

/// Pages, by these.
type Pages = BTreeMap<Key, PageWords>;

struct State {
    limit_bytes: u64,
    /// The cut of the latest snapshot, closed or not.
    last_cut: u64,
    /// The cuts of the open snapshots; for each the blob below which it needs nothing any more.
    open: BTreeMap<u64, u32>,
    kept: Pages,
    kept_bytes: u64,
}

/// Read with every change, so that it shares its line with nothing that is written.
#[repr(align(128))]
struct Cut(AtomicU64);

/// See the head of this file.
pub(crate) struct Past {
    /// The latest cut, 0 while no snapshot is open.
    cut: Cut,
    state: Mutex<State>,
}

/// How much is kept, and for how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) snapshots: u32,
    pub(crate) pages: u64,
    pub(crate) bytes: u64,
}

impl Default for Past {
    fn default() -> Self {
        let state = State {
            limit_bytes: LIMIT_BYTES_DEFAULT,
            last_cut: 0,
            open: BTreeMap::new(),
            kept: BTreeMap::new(),
            kept_bytes: 0,
        };
        Past { cut: Cut(AtomicU64::new(0)), state: Mutex::new(state) }
    }
}

impl Past {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How much may be kept in all.
    pub(crate) fn set_limit_bytes(&self, limit_bytes: u64) {
        self.state().limit_bytes = limit_bytes;
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.state().limit_bytes
    }

    /// The latest cut, 0 while no snapshot is open. True for who has passed the gate.
    #[inline(always)]
    pub(crate) fn cut(&self) -> u64 {
        self.cut.0.load(Ordering::Relaxed)
    }

    /// Opens a snapshot of this moment. The caller holds the gate alone.
    pub(crate) fn begin(&self) -> u64 {
        let mut state = self.state();
        state.last_cut += 1;
        let cut = state.last_cut;
        state.open.insert(cut, 0);
        self.cut.0.store(cut, Ordering::Relaxed);
        cut
    }

    /// A snapshot is not needed any more.
    pub(crate) fn end(&self, cut: u64) {
        let mut state = self.state();
        let unneeded = state.open.remove(&cut).map(|_| self.tidy(&mut state));
        // Giving back a lot of memory takes a while, and writers want the state.
        drop(state);
        drop(unneeded);
    }

    /// The cut of the oldest open snapshot.
    pub(crate) fn oldest_cut(&self) -> Option<u64> {
        self.state().open.first_key_value().map(|(&cut, _)| cut)
    }

    /// The open snapshots up to this cut can be served no longer.
    pub(crate) fn end_up_to(&self, cut: u64) {
        let mut state = self.state();
        while state.open.first_key_value().is_some_and(|(&oldest, _)| oldest <= cut) {
            state.open.pop_first();
        }
        let unneeded = self.tidy(&mut state);
        drop(state);
        drop(unneeded);
    }

    /// A snapshot will not ask for blobs below this one any more.
    pub(crate) fn pass(&self, cut: u64, blob: u32) {
        let mut state = self.state();
        let Some(passed) = state.open.get_mut(&cut) else { return };
        let before = std::mem::replace(passed, blob);
        let keys: Vec<Key> = state.kept.range((before, 0, 0)..(blob, 0, 0)).map(|(key, _)| *key).collect();
        for key in keys {
            if !state.is_needed(key.0, state.kept_before(key), key.2) {
                state.take(&key);
            }
        }
    }

    /// Takes out what no snapshot needs.
    fn tidy(&self, state: &mut State) -> Pages {
        if state.open.is_empty() {
            self.cut.0.store(0, Ordering::Relaxed);
            state.kept_bytes = 0;
            return std::mem::take(&mut state.kept);
        }
        let mut unneeded = Vec::new();
        let mut before = (0, 0, 0);
        for &(blob, page, cut) in state.kept.keys() {
            let from = if (before.0, before.1) == (blob, page) { before.2 } else { 0 };
            if !state.is_needed(blob, from, cut) {
                unneeded.push((blob, page, cut));
            }
            before = (blob, page, cut);
        }
        unneeded.into_iter().filter_map(|key| Some((key, state.take(&key)?))).collect()
    }

    /// Keeps what the holder of a latch has found in the pages that it changes, as far as a snapshot needs
    /// it.
    pub(crate) fn publish(&self, pages: Vec<Before>) {
        let mut state = self.state();
        for Before { blob, page, words } in pages {
            let cut = state.last_cut;
            let last = state.kept_before((blob, page, u64::MAX));
            if state.is_needed(blob, last, cut) {
                state.kept_bytes += bytes_of(&words);
                state.kept.insert((blob, page, cut), words);
            }
        }
        let mut unneeded = Pages::new();
        while state.kept_bytes > state.limit_bytes && state.open.pop_first().is_some() {
            unneeded.append(&mut self.tidy(&mut state));
        }
        drop(state);
        drop(unneeded);
    }

    /// Fills in those of the pages from `first` on that have changed since a cut; returns which, one bit
    /// each.
    pub(crate) fn fill(&self, cut: u64, blob: u32, first: usize, bytes: &mut [u8]) -> Result<u128> {
        let state = self.state();
        if !state.open.contains_key(&cut) {
            return Err(Error::SnapshotTooOld);
        }
        let mut filled = 0;
        let end = first + bytes.len() / PAGE_BYTES;
        let mut found = None;
        for (&(_, page, kept), words) in state.kept.range((blob, first, 0)..(blob, end, 0)) {
            // The oldest of each page that is old enough.
            if kept < cut || found == Some(page) {
                continue;
            }
            found = Some(page);
            debug_assert!(page < BLOB_PAGES);
            filled |= 1 << page;
            copy_out(words, &mut bytes[(page - first) * PAGE_BYTES..][..PAGE_BYTES]);
        }
        Ok(filled)
    }

    pub(crate) fn kept(&self) -> Kept {
        let state = self.state();
        let snapshots = state.open.len() as u32;
        Kept { snapshots, pages: state.kept.len() as u64, bytes: state.kept_bytes }
    }
}

impl State {
    /// Whether a snapshot is open for which the page counts that was kept under `cut`, and under `before` the
    /// last time.
    fn is_needed(&self, blob: u32, before: u64, cut: u64) -> bool {
        before < cut && self.open.range(before + 1..=cut).any(|(_, passed)| *passed <= blob)
    }

    /// The cut under which the page was kept the last time before this; 0 if it was not.
    fn kept_before(&self, (blob, page, cut): Key) -> u64 {
        self.kept.range((blob, page, 0)..(blob, page, cut)).next_back().map_or(0, |(key, _)| key.2)
    }

    fn take(&mut self, key: &Key) -> Option<PageWords> {
        let words = self.kept.remove(key)?;
        self.kept_bytes -= bytes_of(&words);
        Some(words)
    }
}

fn bytes_of(words: &PageWords) -> u64 {
    ENTRY_BYTES + if words.is_some() { PAGE_BYTES as u64 } else { 0 }
}

fn copy_out(words: &PageWords, bytes: &mut [u8]) {
    let Some(words) = words else {
        return bytes.fill(0);
    };
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words.iter()) {
        *chunk = word.to_le_bytes();
    }
}
