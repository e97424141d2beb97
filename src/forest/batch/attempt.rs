//! One attempt to apply a batch, inside the gate. It waits for nothing; what is lacking ends it.
//!
//! Everything is read without latches first. Then all blobs concerned are latched, in the order of their ids,
//! and in the versions that were read: so all of it is true of one moment. Readers see none of the changes
//! before the latches are given back, and those are given back when all is stored: who has seen one change
//! finds the others, or waits for them.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::ops::Range;

use super::resolve::{Change, Content, Resolved, Stored, resolve};
use super::{Applied, Commit, Emptiness};
use crate::art::insert::{self, Refused};
use crate::art::locate::Spot;
use crate::art::{find, remove};
use crate::blob::header;
use crate::blob::key::KeyBuf;
use crate::blob::leaf::Leaf;
use crate::blob::presence::{Everything, Presence};
use crate::error::Result;
use crate::forest::Forest;
use crate::forest::long::Settlement;
use crate::forest::notes::Note;
use crate::forest::route::Route;
use crate::forest::write::{Stop, Try, unreadable};
use crate::log::payload::Write;
use crate::store::frames::Held;
use crate::store::residency::Fault;

/// A batch that concerns more blobs works alone: it would have to be lucky to get so many latches.
const BLOBS_TOGETHER_MAX: usize = 64;

/// How an attempt ends, where it was not stopped.
pub(super) enum Ended<'p> {
    /// Also the keys around which blobs have become thin.
    Done(Applied, Vec<usize>),
    Refused {
        index: usize,
        reason: &'static str,
    },
    TooLarge {
        encoded_bytes: usize,
    },
    /// What was noted has changed: by the batch for itself, or by its caller.
    Stale {
        of_batch: bool,
    },
    /// Too many blobs for an attempt beside others.
    Crowded,
    /// These changes of one blob do not fit it, or nobody knows.
    Full(Vec<Change<'p>>),
    /// This is what it would do to long values.
    Unsettled(Settlement),
}

/// The keys of one blob.
pub(super) struct Group<'a> {
    pub(super) route: Route<'a>,
    /// Of the plan.
    pub(super) keys: Range<usize>,
    /// Of the list of changes.
    changes: Range<usize>,
    puts: usize,
    /// Where the only put goes.
    spot: Option<Spot>,
}

/// Looks keys up in the blobs of a batch, without latches.
pub(super) struct Blobs<'s, 'a> {
    pub(super) groups: &'s [Group<'a>],
    pub(super) keys: &'s [&'s [u8]],
}

impl Blobs<'_, '_> {
    fn find<T>(&self, key: usize, answer: impl FnOnce(&Route<'_>, Leaf) -> T) -> Try<Option<T>> {
        let group = &self.groups[self.groups.partition_point(|group| group.keys.end <= key)];
        let (route, frame) = (&group.route, group.route.frame);
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(self.keys[key]);
        let presence = frame.presence();
        let found = find::find(frame.words, route.root, &key, route.base, &presence);
        let answered = found.map(|leaf| leaf.map(|leaf| answer(route, leaf)));
        if !frame.latch().is_unchanged(route.version) {
            return Err(Stop::Restart);
        }
        if presence.missed() != 0 {
            return Err(unreadable(frame.id, &presence));
        }
        frame.note_read(&presence);
        answered.map_err(|_| Stop::Failed(Forest::corrupt(frame.id)))
    }
}

impl Stored for Blobs<'_, '_> {
    fn version(&self, key: usize) -> Try<Option<u64>> {
        self.find(key, |route, leaf| leaf.seq(route.frame.words))
    }

    fn value(&self, key: usize) -> Try<Content<'static>> {
        let copy = |route: &Route<'_>, leaf: Leaf| {
            let mut value = Vec::new();
            leaf.append_value(route.frame.words, &mut value);
            Content { bytes: Cow::Owned(value), is_pointer: leaf.is_pointer() }
        };
        Ok(self.find(key, copy)?.unwrap_or_default())
    }
}

impl<'f, 'p> Commit<'f, 'p> {
    /// The blobs of all keys.
    pub(super) fn groups(&self) -> Try<Vec<Group<'f>>> {
        let keys = &self.plan.keys;
        let mut groups = Vec::new();
        let mut at = 0;
        while at < keys.len() {
            let (route, end) = self.forest.route_of_some(&keys[at..])?;
            groups.push(Group { route, keys: at..at + end, changes: 0..0, puts: 0, spot: None });
            at += end;
        }
        Ok(groups)
    }

    /// See the head of this file.
    pub(super) fn attempt(&self, emptiness: &Emptiness) -> Try<Ended<'p>> {
        let mut groups = self.groups()?;
        let mut noted = Vec::new();
        for (notes, of_batch) in [(&self.seen.notes, false), (&emptiness.notes, true)] {
            if !self.revisit(notes, &mut noted)? {
                return Ok(Ended::Stale { of_batch });
            }
        }
        if !self.alone && groups.len() + noted.len() > BLOBS_TOGETHER_MAX {
            return Ok(Ended::Crowded);
        }
        let blobs = Blobs { groups: &groups, keys: &self.plan.keys };
        let resolved = resolve(self.plan, &blobs, emptiness)?;
        let (mut changes, effects) = match resolved {
            Resolved::Changes(changes, effects) => (changes, effects),
            // True only if all was read in one moment.
            Resolved::Refused { index, reason } => {
                self.hold(&groups, &noted)?;
                return Ok(Ended::Refused { index, reason });
            }
            Resolved::TooLarge { encoded_bytes } => {
                self.hold(&groups, &noted)?;
                return Ok(Ended::TooLarge { encoded_bytes });
            }
        };
        if let Some(settlement) = self.unsettled(&blobs, &changes)? {
            return Ok(Ended::Unsettled(settlement));
        }
        share_out(&mut groups, &changes);
        let mut held = self.hold(&groups, &noted)?;
        for (group, hold) in groups.iter_mut().zip(&mut held) {
            self.may_remove(group, hold, &changes)?;
            if !self.has_room(group, hold, &changes)? {
                return Ok(Ended::Full(changes.drain(group.changes.clone()).collect()));
            }
        }
        if self.seen.moves.is_some_and(|moves| moves != self.forest.store.moves()) {
            return Ok(Ended::Stale { of_batch: false });
        }
        let mut appended = None;
        if effects.iter().any(Option::is_some) {
            let append = self.append()?;
            if changes.iter().any(|change| change.value.as_ref().is_some_and(|value| value.is_pointer)) {
                self.forest.store.long.count_arrival();
            }
            self.apply(&groups, &mut held, &changes, append.seq)?;
            appended = Some(append);
        }
        let thin = self.thin(&groups, &held, &changes);
        Ok(Ended::Done(Applied { appended, effects }, thin))
    }

    /// Finds the way to what was noted. False if something is not as it was.
    fn revisit(&self, notes: &[Note], routes: &mut Vec<Route<'f>>) -> Try<bool> {
        for note in notes {
            match self.forest.revisit(note)? {
                Some(route) => routes.push(route),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Latches all blobs, those with keys first in the list, in the versions that were read.
    fn hold(&self, groups: &[Group<'f>], noted: &[Route<'f>]) -> Try<Vec<Held<'f>>> {
        let routes = || groups.iter().map(|group| &group.route).chain(noted);
        let mut order: Vec<(u32, usize)> =
            routes().enumerate().map(|(at, route)| (route.frame.id, at)).collect();
        // Of several routes to one blob the first counts: it may be that of a group.
        order.sort_unstable();
        let mut held: Vec<Option<Held<'f>>> = Vec::new();
        held.resize_with(order.len(), || None);
        let all: Vec<&Route<'f>> = routes().collect();
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            let (first, route) = (same[0].1, all[same[0].1]);
            if same.iter().any(|&(_, at)| all[at].version != route.version) {
                return Err(Stop::Restart);
            }
            if same.iter().filter(|&&(_, at)| at < groups.len()).count() > 1 {
                // The keys of one blob lie side by side, unless its routers make no sense.
                let unchanged = all.iter().all(|route| route.is_unchanged());
                let corrupt = Stop::Failed(Forest::corrupt(same[0].0));
                return Err(if unchanged { corrupt } else { Stop::Restart });
            }
            held[first] = match self.alone {
                // Nobody holds it for long who is not in the gate.
                true => Some(route.frame.hold()).filter(|held| held.version() == route.version),
                false => route.frame.try_hold(route.version),
            };
            if held[first].is_none() {
                return Err(Stop::Restart);
            }
        }
        if !all.iter().all(|route| route.routers_unchanged()) {
            return Err(Stop::Restart);
        }
        Ok(held.into_iter().flatten().collect())
    }

    /// Whether all that is to be removed can be: after the log has the batch, that must not fail.
    fn may_remove(&self, group: &Group<'_>, held: &Held<'_>, changes: &[Change<'p>]) -> Try<()> {
        let removed = changes[group.changes.clone()].iter().filter(|change| change.value.is_none());
        for change in removed {
            let mut buffer = KeyBuf::empty();
            let key = buffer.fill_whole(self.plan.keys[change.key]);
            let presence = held.frame.presence();
            let place = remove::prepare(held.words(), &key, group.route.base, &presence);
            if place.is_err() || presence.missed() != 0 {
                return Err(unreadable(held.frame.id, &presence));
            }
        }
        Ok(())
    }

    /// Whether the puts of a group have room, as far as is known; finds the place of a single one.
    fn has_room(&self, group: &mut Group<'_>, held: &mut Held<'_>, changes: &[Change<'p>]) -> Try<bool> {
        match group.puts {
            0 => Ok(true),
            1 => self.find_spot(group, held, changes),
            _ if !held.frame.is_whole() => Err(Stop::Fault(Fault::whole(held.frame.id))),
            _ => {
                let changes = &changes[group.changes.clone()];
                let is_proven = self.proofs.hold(&group.route, changes);
                let puts = puts_of(&self.plan.keys, changes);
                Ok(is_proven || self.forest.surely_fit(held, group.route.base, puts)?)
            }
        }
    }

    /// Finds the place of the only put of a group. False if there is no room for it.
    fn find_spot(&self, group: &mut Group<'_>, held: &mut Held<'_>, changes: &[Change<'p>]) -> Try<bool> {
        let changes = &changes[group.changes.clone()];
        let Some((key, value)) = puts_of(&self.plan.keys, changes).next() else {
            return Ok(true);
        };
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(key);
        let (frame, words) = (held.frame, held.words());
        let (presence, reserve) = (frame.presence(), self.forest.reserve_words());
        let prepared =
            insert::prepare(words, &key, group.route.base, value.len(), reserve, &presence, || {
                held.change();
            });
        match prepared {
            Ok(spot) => group.spot = Some(spot),
            Err(Refused::Full(_)) => return Ok(false),
            Err(Refused::Torn) => return Err(unreadable(frame.id, &presence)),
        }
        frame.note_read(&presence);
        Ok(true)
    }

    fn append(&self) -> Try<crate::log::Appended> {
        let staged = self.staged.as_ref().map(|staged| Write::BatchCommit(staged.ticket));
        let write = staged.or(self.plan.writes.map(Write::Batch));
        // What has an effect is a write.
        self.forest.append(write.ok_or(Stop::Restart)?)
    }

    /// Stores all changes. Everything it needs was seen to: that there is room, and that it is in memory.
    fn apply(
        &self,
        groups: &[Group<'f>],
        held: &mut [Held<'f>],
        changes: &[Change<'p>],
        first: u64,
    ) -> Result<()> {
        let mut outcome = Ok(());
        for (group, held) in groups.iter().zip(held).filter(|(group, _)| !group.changes.is_empty()) {
            let done = self.apply_group(group, held, &changes[group.changes.clone()], first);
            debug_assert!(done.is_ok(), "what was tried on a copy has failed");
            outcome = outcome.and(done);
        }
        outcome.inspect_err(|_| self.forest.store.poison("a batch could be applied in part only"))
    }

    fn apply_group(
        &self,
        group: &Group<'_>,
        held: &mut Held<'_>,
        changes: &[Change<'p>],
        first: u64,
    ) -> Result<()> {
        let (id, base, reserve) = (held.frame.id, group.route.base, self.forest.reserve_words());
        let words = held.change();
        let corrupt = || Forest::corrupt(id);
        // Puts come first: they were tried without the removals.
        for change in changes {
            let Some(value) = &change.value else { continue };
            let mut buffer = KeyBuf::empty();
            let key = buffer.fill_whole(self.plan.keys[change.key]);
            let spot = match group.spot {
                Some(spot) => spot,
                None => insert::prepare(words, &key, base, value.bytes.len(), reserve, &Everything, || {})
                    .map_err(|_| corrupt())?,
            };
            self.forest.store.note_key_bytes(key.len());
            insert::apply(words, spot, &key, base, value.payload(), first + u64::from(change.ordinal));
        }
        for change in changes.iter().filter(|change| change.value.is_none()) {
            let mut buffer = KeyBuf::empty();
            let key = buffer.fill_whole(self.plan.keys[change.key]);
            remove::remove(words, &key, base).map_err(|_| corrupt())?;
            header::raise_seq(words, first + u64::from(change.ordinal));
        }
        Ok(())
    }

    /// A key of each blob that has become thin.
    fn thin(&self, groups: &[Group<'_>], held: &[Held<'_>], changes: &[Change<'p>]) -> Vec<usize> {
        let both = groups.iter().zip(held);
        let thin = both.filter(|(group, held)| {
            let mut changes = changes[group.changes.clone()].iter();
            changes.any(|change| change.value.is_none()) && self.forest.is_thin(held.words())
        });
        thin.map(|(group, _)| group.keys.start).collect()
    }
}

impl Forest {
    /// The route of the first of some keys in order, and how many of them lie in the same blob.
    pub(super) fn route_of_some(&self, keys: &[&[u8]]) -> Try<(Route<'_>, usize)> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(keys[0]);
        let route = self.route_for_writing(&key)?;
        let hi = self.bounds(&route, &key)?.hi;
        let is_below = |key: &&[u8]| hi.as_deref().is_none_or(|hi| *key < hi);
        match keys.partition_point(is_below) {
            // A router that was being changed.
            0 => Err(Stop::Restart),
            count => Ok((route, count)),
        }
    }
}

/// Tells the groups which changes are theirs.
fn share_out(groups: &mut [Group<'_>], changes: &[Change<'_>]) {
    let mut at = 0;
    for group in groups {
        let count = changes[at..].partition_point(|change| change.key < group.keys.end);
        group.changes = at..at + count;
        group.puts = changes[group.changes.clone()].iter().filter(|change| change.value.is_some()).count();
        at += count;
    }
}

/// The puts among some changes: key and value.
pub(super) fn puts_of<'c>(
    keys: &'c [&'c [u8]],
    changes: &'c [Change<'_>],
) -> impl Iterator<Item = (&'c [u8], &'c [u8])> + Clone {
    changes.iter().filter_map(|change| Some((keys[change.key], change.value.as_ref()?.bytes.as_ref())))
}
