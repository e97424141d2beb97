//! Everything that all trees share: frames, latches, the gate, blob ids, the numbering of writes.
//!
//! The store knows blobs as frames with versions. It does not know how keys are spread over them.

// Not `forbid`, which would reach down into `frames::reserved`, the one file here that needs unsafe code.
#![deny(unsafe_code)]

pub(crate) mod adopt;
pub(crate) mod at_cut;
pub(crate) mod background;
pub(crate) mod capture;
pub(crate) mod checkpoint;
pub(crate) mod committed;
pub(crate) mod counters;
pub(crate) mod directory;
pub(crate) mod durable;
mod durable_place;
pub(crate) mod frames;
pub(crate) mod gate;
mod growth;
pub(crate) mod ids;
pub(crate) mod image;
pub(crate) mod journal;
pub(crate) mod latch;
pub(crate) mod lifecycle;
pub(crate) mod long;
pub(crate) mod open;
pub(crate) mod open_remote;
pub(crate) mod overlay;
pub(crate) mod page_writer;
pub(crate) mod past;
pub(crate) mod recover;
pub(crate) mod residency;
pub(crate) mod scratch;
pub(crate) mod stage;
mod stored;
pub(crate) mod superblock;
pub(crate) mod view;
mod wake;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::backend::Metered;
use crate::error::{Error, Result};
use crate::log::payload::Write;
use crate::log::ring::Full;
use crate::log::{Appended, Refused, Space};
use counters::Counters;
use durable::{Durability, Durable};
use frames::{Frame, Frames, Held};
use gate::Gate;
use ids::Ids;
use long::LongState;
use residency::{Fault, Residency};
use scratch::Scratches;

/// The blob that is always the root of the forest.
pub(crate) const ROOT_BLOB: u32 = 1;
/// Writes of longer keys are counted: directories with such keys are measured before they move.
pub(crate) const LONG_KEY_BYTES: usize = 4096;

/// So many blobs that fall free together are kept at once for an open snapshot.
const KEPT_AT_ONCE_MAX: usize = 8;
/// Blobs that the move of a directory takes, at most, where it is cut and tied in at the borders of two.
const WARM_AHEAD: u32 = 4;

/// The shared state of one open database.
pub(crate) struct Store {
    pub(crate) frames: Frames,
    pub(crate) ids: Ids,
    pub(crate) gate: Gate,
    pub(crate) counters: Counters,
    pub(crate) scratches: Scratches,
    /// Held by whoever changes which keys a blob holds; never while waiting for a write.
    structure: Mutex<()>,
    /// Ids that fell free while a snapshot was open, and whose memory is still to be given back, by the
    /// latest cut at that moment. Later snapshots do not know them.
    discard_later: Mutex<Vec<(u64, BTreeSet<u32>)>>,
    /// Held by a bulk load from beginning to end.
    pub(crate) loading: Mutex<()>,
    pub(crate) long: LongState,
    /// The number of the last write.
    seq: AtomicU64,
    /// The id that the next new tree gets.
    pub(crate) next_tree: AtomicU32,
    /// No key is longer, tree id included.
    key_bytes_max: AtomicU32,
    long_keys: AtomicU64,
    /// How often keys have come or moved without getting a new version.
    moves: AtomicU64,
    pub(crate) database_id: u128,
    /// Set once a database with a backend is open for writing.
    pub(crate) durable: durable_place::Place,
    /// Where blobs come from that are not in memory; none if all are always there.
    pub(crate) residency: Option<Residency>,
    /// Counts what goes through the backend.
    pub(crate) meter: Option<Arc<Metered>>,
    /// Whether writes are refused.
    pub(crate) read_only: bool,
    /// Whether nothing may go on in the background.
    pub(crate) is_repeatable: bool,
    /// Set when a database without a backend was closed; one with a backend knows better.
    closed: AtomicBool,
}

impl Store {
    /// A store without blobs.
    pub(crate) fn new(frames: Frames, database_id: u128) -> Self {
        Store {
            frames,
            ids: Ids::new(),
            gate: Gate::new(),
            counters: Counters::default(),
            scratches: Scratches::new(),
            structure: Mutex::new(()),
            discard_later: Mutex::default(),
            loading: Mutex::new(()),
            long: LongState::default(),
            seq: AtomicU64::new(0),
            next_tree: AtomicU32::new(1),
            key_bytes_max: AtomicU32::new(0),
            long_keys: AtomicU64::new(0),
            moves: AtomicU64::new(0),
            database_id,
            durable: durable_place::Place::new(),
            residency: None,
            meter: None,
            read_only: false,
            is_repeatable: false,
            closed: AtomicBool::new(false),
        }
    }

    /// Nobody else changes which keys a blob holds while this is held. It protects no data of its own, so a
    /// panic of who held it leaves nothing half done.
    pub(crate) fn lock_structure(&self) -> MutexGuard<'_, ()> {
        self.structure.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes a free blob id and makes sure that its frame exists.
    pub(crate) fn allocate_blob(&self) -> Result<Frame<'_>> {
        let id = self.ids.allocate();
        self.make_fresh(id).inspect_err(|_| self.ids.free(id))
    }

    /// Makes sure that whoever takes a few blobs next need not wait for memory. It may take a moment: the
    /// caller holds nothing that others wait for.
    pub(crate) fn warm_next_blobs(&self) {
        let end = self.ids.end();
        self.frames.warm(end);
        self.frames.warm(end + WARM_AHEAD);
    }

    /// The frame for a new blob, all zero.
    fn make_fresh(&self, id: u32) -> Result<Frame<'_>> {
        let frame = self.frames.commit(id)?;
        let waited = self.waits_no_longer(id);
        let mut held = frame.hold();
        if let Some(cut) = waited {
            self.keep_freed(&held, cut);
        }
        let discarded_pages = held.renew(&self.frames);
        drop(held);
        if let Some(residency) = &self.residency {
            residency.count_fresh(frame, discarded_pages);
        }
        Ok(frame)
    }

    /// Brings a few blobs into memory that have just fallen free, so that they can be kept for a snapshot.
    /// The caller holds the structure mutex, and neither gate nor latch.
    pub(crate) fn fetch_freed(&self, ids: &[u32]) {
        let is_wanted = self.frames.captures.past.cut() != 0 && ids.len() <= KEPT_AT_ONCE_MAX;
        if let Some(residency) = self.residency.as_ref().filter(|_| is_wanted) {
            let stored = ids.iter().copied().filter(|&id| self.is_stored(id));
            // What cannot be read is not kept: then snapshots end, once its id is used again.
            let _ = residency.load(&self.frames, &stored.map(Fault::whole).collect::<Vec<_>>());
        }
    }

    /// Gives back the memory of blobs that have fallen free. The caller holds the structure mutex: without it
    /// their ids might be in use again.
    ///
    /// Where a snapshot is open that may want to read them, a few blobs are kept for it, if they can be. Many
    /// wait, as what else is not in memory: most of them may never be read again.
    pub(crate) fn discard(&self, ids: &[u32]) {
        self.note_freed(ids);
        let is_few = ids.len() <= KEPT_AT_ONCE_MAX && self.residency.is_some();
        let can_be_kept =
            |id: u32| is_few && ids.contains(&id) && self.frames.get(id).is_some_and(Frame::is_whole);
        let oldest = self.frames.captures.past.oldest_cut();
        let mut at_once = Vec::new();
        self.waiting().retain_mut(|(cut, waiting)| {
            let is_wanted = oldest.is_some_and(|oldest| oldest <= *cut);
            if is_wanted {
                let kept = ids.iter().copied().filter(|&id| can_be_kept(id) && waiting.remove(&id));
                at_once.extend(kept.map(|id| (id, *cut)));
            } else {
                at_once.extend(waiting.iter().map(|&id| (id, *cut)));
            }
            is_wanted
        });
        for (id, cut) in at_once {
            // Later it may be in use again.
            let Some(frame) = self.frames.get(id).filter(|_| self.ids.is_free(id)) else { continue };
            let mut held = frame.hold();
            self.keep_freed(&held, cut);
            self.discard_held(&mut held);
        }
    }

    /// Remembers blobs that have just fallen free, before a checkpoint can store them so: whoever has the
    /// gate alone calls it there.
    pub(crate) fn note_freed(&self, ids: &[u32]) {
        let cut = self.frames.captures.past.cut();
        let mut waiting = self.waiting();
        // Whoever was told in the gate is told again when memory is given back: later snapshots do not count.
        let is_new = |id: &u32| waiting.iter().all(|(_, there)| !there.contains(id));
        let new: BTreeSet<u32> = ids.iter().copied().filter(is_new).collect();
        match waiting.last_mut() {
            Some((last, there)) if *last == cut => there.extend(new),
            _ => waiting.push((cut, new)),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(u64, BTreeSet<u32>)>> {
        self.discard_later.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// An id is used again: the cut at which it fell free, if it waits since then.
    fn waits_no_longer(&self, id: u32) -> Option<u64> {
        let mut waiting = self.waiting();
        waiting.iter_mut().fold(None, |last, (cut, ids)| if ids.remove(&id) { Some(*cut) } else { last })
    }

    /// A blob that fell free when this was the latest cut is about to go, in memory or in storage.
    fn keep_freed(&self, held: &Held<'_>, cut: u64) {
        let past = &self.frames.captures.past;
        if past.oldest_cut().is_none_or(|oldest| oldest > cut) {
            return;
        }
        if held.frame.is_whole() {
            held.keep_all();
        } else {
            // What is not in memory cannot be kept.
            past.end_up_to(cut);
        }
    }

    /// The same for blobs that a checkpoint has stored as free.
    fn keep_if_freed(&self, id: u32) {
        let cut = self.waiting().iter().rev().find(|(_, ids)| ids.contains(&id)).map(|(cut, _)| *cut);
        if let (Some(cut), Some(frame)) = (cut, self.frames.get(id)) {
            self.keep_freed(&frame.hold(), cut);
        }
    }

    fn discard_held(&self, held: &mut Held<'_>) {
        let discarded_pages = held.discard(&self.frames);
        if let Some(residency) = &self.residency {
            residency.count_discarded(discarded_pages);
        }
    }

    /// Refuses writes of those who may only read, or come late.
    #[inline]
    pub(crate) fn allow_write(&self) -> Result<()> {
        match self.closed.load(Ordering::Relaxed) {
            _ if self.read_only => Err(Error::ReadOnly),
            true => Err(Error::Closed),
            false => Ok(()),
        }
    }

    /// Numbers the write that is about to be applied, and appends it to the log if there is one. The caller
    /// holds the latch of what it changes, so numbers, log and conflicting changes have one order.
    #[inline]
    pub(crate) fn append(&self, write: Write<'_>) -> std::result::Result<Appended, Refused> {
        let Some(durable) = self.durable.get() else {
            return Ok(Appended { seq: self.next_seqs(write.seqs()), end: 0, bytes: 0 });
        };
        if durable.is_closed() {
            return Err(Refused::Closed);
        }
        durable.log.append(write, || self.next_seqs(write.seqs()))
    }

    /// Before a write enters the gate: waits if more has changed than a checkpoint should have to write.
    #[inline]
    pub(crate) fn admit(&self) -> Result<()> {
        match self.durable.get() {
            Some(durable) => self.admit_durable(durable),
            None => Ok(()),
        }
    }

    fn admit_durable(&self, durable: &Durable) -> Result<()> {
        let changed_pages = self.frames.captures.changed_pages();
        if changed_pages >= durable.limits.changed_pages_wanted {
            durable.signals.checkpoint();
        }
        if changed_pages >= durable.limits.changed_pages_max {
            self.next_checkpoint()?;
        }
        if let Some(residency) = self.residency.as_ref().filter(|it| it.is_over_budget(changed_pages)) {
            residency.keep_budget(&self.frames);
        }
        Ok(())
    }

    /// After the log was full: waits for space in it. The caller holds neither gate nor latch.
    pub(crate) fn make_log_space(&self, full: Full) -> Result<()> {
        match self.durable.get() {
            Some(durable) if durable.is_asleep() => self.wake(),
            Some(durable) if durable.log.make_space(full)? == Space::WantsCheckpoint => {
                self.next_checkpoint()
            }
            _ => Ok(()),
        }
    }

    /// Returns when a write is as safe as it was asked to be.
    #[inline]
    pub(crate) fn acknowledge(&self, appended: Appended, durability: Durability) -> Result<()> {
        let Some(durable) = self.durable.get() else {
            return Ok(());
        };
        durable.appended(appended, durability);
        match durability {
            Durability::Sync => durable.log.wait_durable(appended.end),
            // Nobody else will do it before this thread has time, and all at once it would take longer.
            Durability::Buffered
                if cfg!(target_arch = "wasm32") && durable.is_much_unsynced(appended.end) =>
            {
                durable.log.wait_durable(appended.end)
            }
            Durability::Buffered => Ok(()),
        }
    }

    /// Refuses every write from now on: what is in memory is not what the log says.
    pub(crate) fn poison(&self, reason: &str) {
        if let Some(durable) = self.durable.get() {
            durable.log.set_poison(reason.into());
        }
    }

    /// Why nothing can be written any more.
    pub(crate) fn poisoned(&self) -> Error {
        self.durable.get().map_or(Error::Closed, |durable| durable.log.poisoned())
    }

    /// How often keys have come or moved without getting a new version: by moves of directories and loads.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// To be called while all is latched that leads to the keys, before they are where they are then.
    pub(crate) fn count_move(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    /// A bound of the length of all keys, tree id included. Whole directories are moved without looking at
    /// their keys; this tells that none becomes too long.
    pub(crate) fn longest_key_bytes(&self) -> usize {
        self.key_bytes_max.load(Ordering::Relaxed) as usize
    }

    /// There may be a key of this length from now on. To be called in the gate, before others can see it.
    #[inline]
    pub(crate) fn note_key_bytes(&self, key_bytes: usize) {
        if key_bytes > self.longest_key_bytes() {
            self.key_bytes_max.fetch_max(key_bytes as u32, Ordering::Relaxed);
        }
        if key_bytes > LONG_KEY_BYTES {
            self.long_keys.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a key of more than `LONG_KEY_BYTES` was written. Exact with the gate held alone.
    pub(crate) fn long_keys(&self) -> u64 {
        self.long_keys.load(Ordering::Relaxed)
    }

    /// Takes so many numbers, and returns the first.
    #[inline]
    fn next_seqs(&self, count: u64) -> u64 {
        // With the acquire below: who knows a number finds the frames of its write latched, or changed.
        self.seq.fetch_add(count, Ordering::AcqRel) + 1
    }

    /// The number of the last write that was begun.
    pub(crate) fn last_seq(&self) -> u64 {
        self.seq.load(Ordering::Acquire)
    }

    pub(crate) fn set_last_seq(&self, seq: u64) {
        self.seq.store(seq, Ordering::Relaxed);
    }
}
