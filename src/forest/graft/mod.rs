//! Moving and removing all keys with a prefix, however many they are: a subtree of the routers is cut out
//! and tied in elsewhere. Its blobs keep their words, because they do not hold what the routers spell.
//!
//! All of it happens at one moment: the caller holds the structure mutex, so that no router changes, and for
//! the moment the gate alone, so that nobody writes. Readers go on; they see it all done, or none of it.
//! What has to be in memory is loaded outside the gate, and the planning begins again.
//!
//! A directory that lies in one blob moves by rebuilding that blob and the one it goes to (`inside`).

#![forbid(unsafe_code)]

mod emit;
mod inside;
mod lengths;
mod plan;
mod subtree;

use std::cell::Cell;

use self::inside::Inside;
use self::lengths::Growth;
use self::plan::{Kid, Plan, Stop, Try};
use self::subtree::Subtree;
use super::Forest;
use super::edits::Edits;
use super::load::Runs;
use super::router::Child;
use super::scan::successor;
use super::shared_key::SharedKeys;
use crate::art::remove;
use crate::blob::header;
use crate::blob::key::KeyBuf;
use crate::blob::presence::Everything;
use crate::error::{Error, Result};
use crate::log::payload::Write;
use crate::log::{Appended, Refused};
use crate::store::residency::Pinned;

/// Blobs that are ready to be written, and what falls free then.
struct Prepared<'a> {
    edits: Edits<'a>,
    freed: Vec<u32>,
    /// No key is longer afterwards.
    key_bytes_max: usize,
}

fn ids_of(pins: &[Pinned<'_>]) -> Vec<u32> {
    pins.iter().flatten().map(|pin| pin.frame.id).collect()
}

/// A single key that is removed together with a subtree.
#[derive(Clone, Copy)]
pub(crate) struct Also<'k> {
    pub(crate) key: &'k [u8],
    /// The version that it must be there in, if that matters.
    pub(crate) version: Option<u64>,
}

impl Forest {
    /// Moves all keys that begin with `from`: they begin with `to` afterwards. None if there is no such key;
    /// an error if there are others at `to`.
    pub(crate) fn move_prefix(&self, from: &[u8], to: &[u8]) -> Result<Option<Appended>> {
        self.move_away(from, to, None)
    }

    /// The same, and removes one more key, if that is given; none if that is not what it should be.
    pub(crate) fn move_away(
        &self,
        from: &[u8],
        to: &[u8],
        also: Option<Also<'_>>,
    ) -> Result<Option<Appended>> {
        if to.starts_with(from) {
            return Err(Error::RenameIntoItself);
        }
        let (Some(from_end), Some(to_end)) = (successor(from), successor(to)) else {
            return Err(Self::corrupt(crate::store::ROOT_BLOB));
        };
        let source = Subtree { prefix: from, end: &from_end };
        let growth = Growth { from: source, to: Subtree { prefix: to, end: &to_end } };
        let keys = [from, to, also.map_or(to, |also| also.key)];
        let mut tries = 0;
        loop {
            let lengths = self.measure(growth)?;
            let is_outdated = Cell::new(false);
            let done = self.graft(&keys, |forest, pinned| {
                if let Some(also) = also
                    && !forest.is_there(also)?
                {
                    return Ok(None);
                }
                let key_bytes_max = forest.key_bytes_after(growth, lengths, tries)?;
                is_outdated.set(key_bytes_max.is_none());
                let Some(key_bytes_max) = key_bytes_max else { return Ok(None) };
                let prepared = forest.prepare_move(pinned, growth, key_bytes_max)?;
                let write = match also {
                    Some(Also { key, .. }) => Write::MoveAway { from, to, also: key },
                    None => Write::MovePrefix { from, to },
                };
                forest.commit_graft_also(prepared, write, also)
            })?;
            if done.is_some() {
                self.tidy(&[from, &from_end, to, &to_end]);
            }
            if !is_outdated.get() {
                return Ok(done);
            }
            tries += 1;
        }
    }

    /// Removes all keys that begin with `prefix`, and one more, if that is given; but not what pointer leaves
    /// refer to. If `arrivals` is given, nothing is done where some have come since: the answer is none.
    /// The inner answer is none if there is nothing to remove, or the other key is not what it should be.
    pub(crate) fn remove_prefix_alone(
        &self,
        prefix: &[u8],
        also: Option<Also<'_>>,
        arrivals: Option<(u64, u64)>,
    ) -> Result<Option<Option<Appended>>> {
        let Some(end) = successor(prefix) else {
            return Err(Self::corrupt(crate::store::ROOT_BLOB));
        };
        let subtree = Subtree { prefix, end: &end };
        let keys = [prefix, also.map_or(prefix, |also| also.key)];
        let have_come = Cell::new(false);
        let done = self.graft(&keys, |forest, pinned| {
            have_come.set(arrivals.is_some_and(|arrivals| arrivals != forest.pointer_arrivals()));
            if have_come.get() {
                return Ok(None);
            }
            if let Some(also) = also
                && !forest.is_there(also)?
            {
                return Ok(None);
            }
            let prepared = match forest.prepare_removal(pinned, subtree)? {
                None if also.is_none() => return Ok(None),
                prepared => prepared.unwrap_or_else(|| forest.prepared(forest.no_edits())),
            };
            let write = Write::RemovePrefix { prefix, also: also.map(|also| also.key) };
            forest.commit_graft_also(Some(prepared), write, also)
        })?;
        if done.is_some() {
            self.tidy(&[prefix, &end]);
        }
        Ok(Some(done).filter(|_| !have_come.get()))
    }

    /// Numbers that are the same as long as no pointer leaf has come to a key, if asked with the gate held
    /// alone.
    pub(crate) fn pointer_arrivals(&self) -> (u64, u64) {
        (self.store.long.arrivals(), self.store.moves())
    }

    /// Runs a change with the gate held alone, as often as it takes until nothing is missing. Whoever waits
    /// for a checkpoint may not hold the structure mutex, so that is let go in between.
    fn graft<'a>(
        &'a self,
        keys: &[&[u8]],
        attempt: impl Fn(&'a Forest, &[u32]) -> Try<Option<(Appended, Vec<u32>)>>,
    ) -> Result<Option<Appended>> {
        self.store.allow_write()?;
        let mut missed = Vec::new();
        loop {
            self.store.admit()?;
            let outcome = {
                let _structure = self.store.lock_structure();
                let pins = self.pin_for_graft(keys, &missed)?;
                let outcome = {
                    let _alone = self.store.gate.enter_alone();
                    attempt(self, &ids_of(&pins))
                };
                drop(pins);
                if let Ok(Some((_, freed))) = &outcome {
                    self.store.counters.grafts.add_one();
                    self.store.fetch_freed(freed);
                    self.store.discard(freed);
                }
                outcome
            };
            match outcome {
                Ok(done) => return Ok(done.map(|(appended, _)| appended)),
                Err(Stop::Missing(id)) => missed.push(id),
                Err(Stop::LogFull(full)) => self.store.make_log_space(full)?,
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
    }

    /// What lies around the keys, and what was missed before. The caller holds the structure mutex.
    fn pin_for_graft(&self, keys: &[&[u8]], missed: &[u32]) -> Result<Vec<Pinned<'_>>> {
        let mut pins = Vec::new();
        for key in keys {
            pins.extend(self.pin_around(key)?);
        }
        for &id in missed {
            // It may have fallen free since.
            if self.store.residency.is_some() && (self.store.is_stored(id) || self.is_whole(id)) {
                pins.push(self.store.pin_whole(id)?);
            }
        }
        Ok(pins)
    }

    fn is_whole(&self, id: u32) -> bool {
        self.store.frames.get(id).is_some_and(|frame| frame.is_whole())
    }

    /// Ties in the blobs of a load, where there must be no keys, and stores that before anything else is
    /// written.
    pub(super) fn tie_loaded(&self, runs: &Runs) -> Result<Option<Appended>> {
        let cuts: Vec<&[u8]> = runs.each().flat_map(|run| [&run.prefix[..], &run.end]).collect();
        let stored: Vec<(u32, u64)> = runs.each().flat_map(|run| run.stored.iter().copied()).collect();
        let mut missed = Vec::new();
        let mut appended = None;
        loop {
            let prepare = || self.pin_for_graft(&cuts, &missed);
            let change = |pins: &Vec<Pinned<'_>>| {
                appended = Some(self.tie_runs(&ids_of(pins), &cuts, runs)?);
                Ok(())
            };
            match self.store.checkpoint_with(&stored, prepare, change) {
                Ok(()) => break,
                Err(Stop::Missing(id)) => missed.push(id),
                Err(Stop::LogFull(full)) => self.store.make_log_space(full)?,
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        self.store.counters.loads.add_one();
        self.tidy(&cuts);
        self.store.warm_next_blobs();
        Ok(appended)
    }

    fn tie_runs(&self, pinned: &[u32], cuts: &[&[u8]], runs: &Runs) -> Try<Appended> {
        let mut edits = self.no_edits();
        let tied = Plan::new(self, pinned, cuts).and_then(|mut plan| {
            for run in runs.each() {
                let subtree = Subtree { prefix: &run.prefix, end: &run.end };
                let height = plan.height_of(subtree, false)?;
                let kids = plan.raise(&run.children, subtree, height)?;
                plan.tie(subtree, height, kids)?;
            }
            plan.emit_root(&mut edits)?;
            Ok(plan.freed)
        });
        // The record tells those who read the log that the keys have come. It lies before the checkpoint that
        // makes them count: so it is never missing beside them, though it may tell of keys that a crash took.
        let write = Write::Load { prefix: &runs.keys.prefix, keys: runs.keys.keys };
        let done = tied.and_then(|freed| Ok((freed, self.append_graft(write)?)));
        let (freed, appended) = match done {
            Ok(done) => done,
            Err(stop) => {
                edits.give_up();
                return Err(stop);
            }
        };
        for run in runs.each() {
            self.store.note_key_bytes(run.key_bytes_max);
            let ids: Vec<u32> = run.children.iter().map(|child| child.id).collect();
            self.store.ids.settle(&ids);
        }
        edits.freed.extend(freed);
        edits.moves_keys = true;
        edits.apply(Vec::new());
        Ok(appended)
    }

    fn append_graft(&self, write: Write<'_>) -> Try<Appended> {
        self.store.append(write).map_err(|refused| match refused {
            Refused::Full(full) => Stop::LogFull(full),
            Refused::Closed => Stop::Failed(Error::Closed),
            Refused::Poisoned => Stop::Failed(self.store.poisoned()),
        })
    }

    fn prepared<'a>(&'a self, edits: Edits<'a>) -> Prepared<'a> {
        Prepared { edits, freed: Vec::new(), key_bytes_max: self.store.longest_key_bytes() }
    }

    /// Appends to the log, then lets the new blobs take their places. Nothing fails after the append.
    fn commit_graft(
        &self,
        prepared: Option<Prepared<'_>>,
        write: Write<'_>,
    ) -> Try<Option<(Appended, Vec<u32>)>> {
        let Some(Prepared { mut edits, freed, key_bytes_max }) = prepared else {
            return Ok(None);
        };
        let appended = match self.append_graft(write) {
            Ok(appended) => appended,
            Err(stop) => {
                edits.give_up();
                return Err(stop);
            }
        };
        self.store.note_key_bytes(key_bytes_max);
        edits.moves_keys = true;
        edits.apply(Vec::new());
        for &id in &freed {
            self.store.ids.free(id);
        }
        self.store.note_freed(&freed);
        Ok(Some((appended, freed)))
    }

    /// The same, and removes one more key.
    fn commit_graft_also(
        &self,
        prepared: Option<Prepared<'_>>,
        write: Write<'_>,
        also: Option<Also<'_>>,
    ) -> Try<Option<(Appended, Vec<u32>)>> {
        let done = self.commit_graft(prepared, write)?;
        if let (Some((appended, _)), Some(also)) = (&done, also)
            && let Err(error) = self.remove_alone(also.key, appended.seq)
        {
            // It was there a moment ago: only a damaged tree can do this. The log has it already.
            self.store.poison("a key could not be removed beside its directory");
            return Err(error.into());
        }
        Ok(done)
    }

    fn prepare_move(
        &self,
        pinned: &[u32],
        Growth { from, to }: Growth<'_>,
        key_bytes_max: usize,
    ) -> Try<Option<Prepared<'_>>> {
        let mut edits = self.no_edits();
        match self.move_inside(&mut edits, from, to) {
            Ok(Inside::Ready) => return Ok(Some(Prepared { key_bytes_max, ..self.prepared(edits) })),
            Ok(Inside::Nothing) => return Ok(None),
            Ok(Inside::DoesNotFit) => edits.give_up(),
            Err(error) => return Err(error.into()),
        }
        let mut edits = self.no_edits();
        match self.move_run(&mut edits, pinned, from, to) {
            Ok(Some(freed)) => Ok(Some(Prepared { freed, key_bytes_max, ..self.prepared(edits) })),
            Ok(None) => Ok(None),
            Err(stop) => {
                edits.give_up();
                Err(stop)
            }
        }
    }

    /// The way for any number of blobs; returns those that fall free.
    fn move_run<'a>(
        &'a self,
        edits: &mut Edits<'a>,
        pinned: &[u32],
        from: Subtree<'_>,
        to: Subtree<'_>,
    ) -> Try<Option<Vec<u32>>> {
        let cuts = [from.prefix, from.end, to.prefix, to.end];
        let mut plan = Plan::new(self, pinned, &cuts)?;
        let height = plan.height_of(from, true)?.max(plan.height_of(to, false)?);
        let mut run = plan.detach(from, height)?;
        if plan.is_empty(&mut run, from.end)? {
            return Ok(None);
        }
        let moved = plan.emit_all(edits, &run.kids, Some(from.end))?;
        let mut bounds = SharedKeys::default();
        for child in &moved {
            let rest = child.lo.strip_prefix(from.prefix).filter(|_| child.base >= from.prefix.len());
            bounds.push_joined(to.prefix, rest.ok_or_else(|| Self::corrupt(child.id))?);
        }
        let moved = moved.iter().zip(bounds.share()).map(|(child, lo)| {
            Kid::kept(Child { lo, id: child.id, base: child.base - from.prefix.len() + to.prefix.len() })
        });
        plan.tie(to, height, moved.collect())?;
        plan.emit_root(edits)?;
        Ok(Some(plan.freed))
    }

    fn prepare_removal(&self, pinned: &[u32], subtree: Subtree<'_>) -> Try<Option<Prepared<'_>>> {
        let mut edits = self.no_edits();
        match self.remove_inside(&mut edits, subtree) {
            Ok(Inside::Ready) => return Ok(Some(self.prepared(edits))),
            Ok(Inside::Nothing) => return Ok(None),
            Ok(Inside::DoesNotFit) => edits.give_up(),
            Err(error) => return Err(error.into()),
        }
        let mut edits = self.no_edits();
        match self.remove_run(&mut edits, pinned, subtree) {
            Ok(Some(freed)) => Ok(Some(Prepared { freed, ..self.prepared(edits) })),
            Ok(None) => Ok(None),
            Err(stop) => {
                edits.give_up();
                Err(stop)
            }
        }
    }

    fn remove_run<'a>(
        &'a self,
        edits: &mut Edits<'a>,
        pinned: &[u32],
        subtree: Subtree<'_>,
    ) -> Try<Option<Vec<u32>>> {
        let cuts = [subtree.prefix, subtree.end];
        let mut plan = Plan::new(self, pinned, &cuts)?;
        let height = plan.height_of(subtree, true)?;
        let mut run = plan.detach(subtree, height)?;
        if plan.is_empty(&mut run, subtree.end)? {
            return Ok(None);
        }
        plan.free(run.kids, height - 1)?;
        plan.emit_root(edits)?;
        Ok(Some(plan.freed))
    }

    /// Whether a key is there, as it should be. Nobody writes meanwhile, and its blob is in memory.
    fn is_there(&self, also: Also<'_>) -> Result<bool> {
        let lineage = self.lineage(also.key)?;
        let id = lineage.blob.id;
        let words = self.store.frames.get(id).ok_or_else(|| Self::corrupt(id))?.words;
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(also.key);
        // Found so that it can be removed: after the log has the move, that must not fail.
        let found = remove::prepare(words, &key, lineage.blob.base, &Everything);
        let found = found.map_err(|_| Self::corrupt(id))?;
        Ok(found.is_some_and(|place| also.version.is_none_or(|version| place.leaf.seq(words) == version)))
    }

    /// Removes a key that is there. Nobody writes meanwhile, and its blob is in memory.
    fn remove_alone(&self, key: &[u8], seq: u64) -> Result<()> {
        let lineage = self.lineage(key)?;
        let id = lineage.blob.id;
        let mut held = self.store.frames.get(id).ok_or_else(|| Self::corrupt(id))?.hold();
        let words = held.change();
        let mut buffer = KeyBuf::empty();
        let removed = remove::remove(words, &buffer.fill_whole(key), lineage.blob.base);
        if !removed.map_err(|_| Self::corrupt(id))? {
            return Err(Self::corrupt(id));
        }
        header::raise_seq(words, seq);
        Ok(())
    }

    /// Joins what has become thin along the cuts. The move itself is done, whatever comes of this.
    fn tidy(&self, keys: &[&[u8]]) {
        for key in keys {
            while self.join(key).is_ok_and(|joined| joined) {}
        }
    }
}
