//! Eviction: a hand goes around the frames and takes what was not read since it came by last.
//!
//! Pages of leaves go first. A blob that was not read for eight rounds, and has no leaves left in memory,
//! goes altogether: its inner nodes, a few pages that serve all its keys, stay much longer than any leaf. In
//! a small cache a round is short, because few leaves are there to be found: were one round without a read
//! enough, blobs would come and go, ten pages a time, although all inner nodes would fit.
//! Routers go last, the root never. If a round does not bring enough, the next one is less considerate.
//!
//! What is dirty, captured by a checkpoint, pinned, or latched by another stays. So the budget may be
//! exceeded by these, and by what the operations that run at this moment have just asked for.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::{Pages, Residency};
use crate::blob::header::BlobKind;
use crate::store::ROOT_BLOB;
use crate::store::frames::{Extent, Frame, Frames, Held, Leaving, inner_pages};

/// Pages that are evicted at a time, so that the hand is not taken up for each of them. (With 64 the 99th
/// percentile of cold lookups was 93 us instead of 50, the median 25 instead of 23.)
const BATCH_PAGES: u64 = 16;
/// A small cache is not emptied for the sake of a batch.
const BATCH_PARTS: u64 = 8;

/// So far beyond the budget nobody waits for another who evicts; or an eighth of a small cache.
const WAIT_PAGES: u64 = 64;

/// How much a round may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Round {
    /// Leaves that were not read, and blobs that were not read for long and have no leaves left.
    Unread,
    /// Blobs that were not read either, but not for as long.
    Idle,
    /// All leaves.
    Leaves,
    /// Whole blobs.
    Ranges,
    Routers,
}

const ROUNDS: [Round; 5] = [Round::Unread, Round::Idle, Round::Leaves, Round::Ranges, Round::Routers];

/// Rounds without a read after which inner nodes are not worth their place.
const IDLE_ROUNDS: u32 = 8;
/// The same where no leaf is left that was not read. The hand may have just come by.
const IDLE_ROUNDS_MIN: u32 = 2;

/// How far beyond the budget nobody minds.
const SLACK_PAGES: u64 = 512;

impl Residency {
    /// Whether fresh and changed blobs have pushed memory beyond the budget. What has changed cannot be
    /// evicted: in a very small cache it would be in vain to look for more.
    pub(crate) fn is_over_budget(&self, changed_pages: u64) -> bool {
        self.resident_pages() > self.budget_pages.max(2 * changed_pages) + SLACK_PAGES
    }

    /// Evicts until the budget is kept, as far as that can be done.
    pub(crate) fn keep_budget(&self, frames: &Frames) {
        self.make_space(frames, &[]);
    }

    /// Evicts until all that is counted fits the budget, if that can be done; but nothing of `spared`.
    pub(super) fn make_space(&self, frames: &Frames, spared: &[u32]) {
        let excess = || self.resident_pages().saturating_sub(self.budget_pages);
        if excess() == 0 {
            return;
        }
        // Where many threads load, each would wait for the others here, only to find that all is done.
        let mut hand = match self.hand.try_lock() {
            Ok(hand) => hand,
            Err(_) if excess() < WAIT_PAGES.min(self.budget_pages / BATCH_PARTS) => return,
            Err(_) => self.hand.lock().unwrap_or_else(|poisoned| poisoned.into_inner()),
        };
        let wanted = excess();
        if wanted == 0 {
            return;
        }
        if !self.evicts.swap(true, Ordering::Relaxed) {
            frames.prefer_small_pages();
        }
        let wanted = wanted.max(BATCH_PAGES.min(self.budget_pages / BATCH_PARTS));
        let end = self.end.load(Ordering::Relaxed);
        let mut freed = 0;
        let mut leaving = Leaving::new(frames);
        'rounds: for round in ROUNDS {
            for _ in 0..end {
                *hand = if *hand + 1 >= end { 0 } else { *hand + 1 };
                leaving.pass();
                let frame = frames.get(*hand).filter(|_| !spared.contains(&*hand));
                freed += frame.map_or(0, |frame| self.visit(&mut leaving, frame, round));
                if freed >= wanted {
                    break 'rounds;
                }
            }
            // The next round comes by the same frames.
            leaving.give_back();
        }
        drop(leaving);
        self.resident_pages.fetch_sub(freed, Ordering::Relaxed);
        self.counts.evictions.add(freed);
    }

    /// Evicts of one frame what the round allows; says how many pages.
    fn visit<'a>(&self, leaving: &mut Leaving<'a>, frame: Frame<'a>, round: Round) -> u64 {
        if frame.present() == 0 || frame.is_pinned() || self.directory.get(frame.id) == 0 {
            return 0;
        }
        let held = frame.latch().try_read().and_then(|version| frame.try_hold(version));
        let Some(held) = held.filter(|held| !held.frame.is_pinned()) else {
            return 0;
        };
        let pages = evictable(&held, round);
        let counted = frame.counted(pages).count_ones();
        if pages != 0 {
            leaving.take(held, pages);
        }
        u64::from(counted)
    }
}

/// What a round may take of a frame.
fn evictable(held: &Held<'_>, round: Round) -> Pages {
    let (frame, words) = (held.frame, held.words());
    let present = frame.present();
    let touched = frame.take_touched();
    let idle_rounds = frame.count_idle(touched != 0);
    if frame.extent() == Extent::Cold {
        // A blob that is half-way in, and that nobody needed enough to go on.
        return present;
    }
    if frame.is_whole() && frame.root().1.is_none() {
        // A blob that was freed, or is not written yet.
        return 0;
    }
    let clean = present & !words.dirty_pages() & !frame.writing();
    let everything = if clean == present { present } else { 0 };
    if frame.root().1 == Some(BlobKind::Router) {
        let may_go = round == Round::Routers && frame.id != ROOT_BLOB;
        return if may_go { everything } else { 0 };
    }
    // Zeros take no memory: they go with the rest of the blob.
    let leaves = frame.counted(present & !inner_pages(words));
    match round {
        Round::Unread if leaves != 0 => clean & leaves & !touched,
        Round::Unread if idle_rounds >= IDLE_ROUNDS => everything,
        Round::Unread => 0,
        Round::Idle if leaves == 0 && idle_rounds >= IDLE_ROUNDS_MIN => everything,
        Round::Idle => 0,
        Round::Ranges | Round::Routers if everything != 0 => everything,
        _ => clean & leaves,
    }
}
