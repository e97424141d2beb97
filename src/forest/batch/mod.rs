//! Several writes as one: all of them or none, for readers and after a crash.
//!
//! A batch is planned, resolved, fitted and applied:
//!
//! 1. the *plan* sorts its keys;
//! 2. *resolving* goes through its steps in order, asks the blobs what is there, and comes to a refusal, or
//!    to one change for each key;
//! 3. *fitting* makes sure that all changes of a blob have room in it: by trying them on a copy;
//! 4. *applying* latches all blobs concerned in the versions at which all this was seen, appends one record,
//!    and stores. Nothing fails after the append.
//!
//! What is lacking ends the attempt; it is seen to outside gate and latches, and the next attempt begins. A
//! large batch, or one that was disturbed too often, works alone behind the closed gate.

#![forbid(unsafe_code)]

mod attempt;
mod plan;
mod resolve;
mod room;
mod settle;
mod trial;

use std::collections::BTreeMap;
use std::ops::Range;

use super::Forest;
use super::long::{POINTER_BYTES, Settlement};
use super::notes::{Note, Seen};
use super::scan::{Side, successor};
use super::write::{Condition, Stop};
use crate::art::cursor::Direction;
use crate::error::{Error, Result};
use crate::limits::{SHORT_VALUE_BYTES_MAX, TREE_ID_BYTES};
use crate::log::Appended;
use crate::log::batch::{self as format, BATCH_BYTES_MAX, Writes};
use crate::log::record::Kind;
use crate::store::frames::Pin;
use crate::store::residency::{Fault, Faults};
use crate::store::stage::Staged;
use attempt::Ended;
use plan::Plan;
use room::Proofs;

/// Batches of more steps work alone.
const STEPS_TOGETHER_MAX: usize = 4096;
/// So many attempts may be disturbed before the next one works alone.
const TRIES_TOGETHER: u32 = 16;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Put,
    Remove,
    Rename,
    /// Only looks at a key.
    Key,
    /// No key may begin with this.
    Empty,
}

/// One step of a batch. The first range is its key or prefix; the second the value of a put, the new key of a
/// rename.
#[derive(Clone, Debug)]
struct Step {
    what: What,
    condition: Condition,
    first: Range<usize>,
    second: Range<usize>,
    /// What is put is no value, but says where one lies.
    is_pointer: bool,
}

/// A list of steps. Keys begin with the id of their tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// What goes into the log.
    writes: Vec<u8>,
    /// Keys and prefixes of the steps that write nothing.
    guards: Vec<u8>,
    steps: Vec<Step>,
    /// Values that are too long for a leaf, and the steps that put them.
    long: Vec<(usize, Vec<u8>)>,
    /// The long values of which the steps speak; what else the batch would do to some ends an attempt.
    settlement: Settlement,
    /// The ids of those that were written for it, in ascending order.
    fresh: Vec<u64>,
    /// It comes from the log: what it says of long values is right.
    is_replayed: bool,
}

/// What has come of a batch.
pub(crate) struct Applied {
    /// None if there was nothing to write.
    pub(crate) appended: Option<Appended>,
    /// For each step the number of its write, counted from the first; none if it has written nothing.
    pub(crate) effects: Vec<Option<u32>>,
}

/// How a batch ended that was not refused.
pub(crate) enum Committed {
    Done(Applied),
    /// It would do this to long values, and does not say so. Nothing was applied.
    Unsettled(Settlement),
}

/// Why nothing was applied.
pub(crate) enum Refused {
    /// The condition of a step does not hold.
    Step {
        index: usize,
        reason: &'static str,
    },
    /// What was noted has changed.
    Stale,
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Failed(error)
    }
}

impl Batch {
    /// An empty batch with the memory that these writes will take.
    pub(crate) fn with_room_for(writes: Writes<'_>) -> Result<Self> {
        let mut batch = Batch::default();
        batch.writes.try_reserve_exact(writes.bytes().len())?;
        batch.steps.try_reserve_exact(writes.count() as usize)?;
        Ok(batch)
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn clear(&mut self) {
        self.writes.clear();
        self.guards.clear();
        self.steps.clear();
        self.long.clear();
    }

    /// How much it writes; more than the limit is refused.
    pub(crate) fn bytes(&self) -> usize {
        self.writes.len()
    }

    /// Whether a step with keys and a value of so many bytes may be added.
    pub(crate) fn has_room_for(&self, key_bytes: usize, value_bytes: usize) -> Result<()> {
        let is_long = value_bytes > SHORT_VALUE_BYTES_MAX;
        let value_bytes = if is_long { POINTER_BYTES } else { value_bytes };
        let encoded_bytes = self.bytes() + format::pushed_bytes(key_bytes, value_bytes) + 2 * TREE_ID_BYTES;
        match encoded_bytes > BATCH_BYTES_MAX {
            true => Err(Error::BatchTooLarge { encoded_bytes, limit_bytes: BATCH_BYTES_MAX }),
            false => Ok(()),
        }
    }

    fn write(&mut self, step: (What, Kind), condition: Condition, first: [&[u8]; 2], second: [&[u8]; 2]) {
        if self.writes.is_empty() {
            format::begin(&mut self.writes);
        }
        let [first, second] = format::push(&mut self.writes, step.1, first, second);
        let is_pointer = step.1 == Kind::PutLong;
        self.steps.push(Step { what: step.0, condition, first, second, is_pointer });
    }

    fn guard(&mut self, what: What, condition: Condition, key: [&[u8]; 2]) {
        let from = self.guards.len();
        key.into_iter().for_each(|part| self.guards.extend_from_slice(part));
        let first = from..self.guards.len();
        self.steps.push(Step { what, condition, first, second: 0..0, is_pointer: false });
    }

    /// Keys are given in two parts: the id of the tree, and the rest.
    pub(crate) fn put(&mut self, key: [&[u8]; 2], value: &[u8], condition: Condition) {
        self.write((What::Put, Kind::Put), condition, key, [value, b""]);
    }

    /// Puts a value that is too long for a leaf. It is written when the batch is committed.
    pub(crate) fn put_long(&mut self, key: [&[u8]; 2], value: Vec<u8>, condition: Condition) {
        self.long.push((self.steps.len(), value));
        self.put_pointer(key, &[0; POINTER_BYTES], condition);
    }

    /// Puts what says where a long value lies.
    pub(crate) fn put_pointer(&mut self, key: [&[u8]; 2], pointer: &[u8], condition: Condition) {
        self.write((What::Put, Kind::PutLong), condition, key, [pointer, b""]);
    }

    pub(crate) fn remove(&mut self, key: [&[u8]; 2], condition: Condition) {
        self.write((What::Remove, Kind::Remove), condition, key, [b"", b""]);
    }

    pub(crate) fn rename(&mut self, from: [&[u8]; 2], to: [&[u8]; 2]) {
        self.write((What::Rename, Kind::Rename), Condition::Always, from, to);
    }

    pub(crate) fn expect(&mut self, key: [&[u8]; 2], condition: Condition) {
        self.guard(What::Key, condition, key);
    }

    pub(crate) fn expect_empty(&mut self, prefix: [&[u8]; 2]) {
        self.guard(What::Empty, Condition::Always, prefix);
    }

    fn first(&self, step: &Step) -> &[u8] {
        let of_guard = matches!(step.what, What::Key | What::Empty);
        let bytes = if of_guard { &self.guards } else { &self.writes };
        &bytes[step.first.clone()]
    }

    fn second(&self, step: &Step) -> &[u8] {
        &self.writes[step.second.clone()]
    }
}

/// What is under the prefixes that have to be empty: as many keys as matter, and what was seen for that.
struct Emptiness {
    keys: Vec<Vec<Vec<u8>>>,
    notes: Vec<Note>,
}

/// A batch on its way.
struct Commit<'f, 'p> {
    forest: &'f Forest,
    plan: &'p Plan<'p>,
    /// What must be as it was.
    seen: &'p Seen,
    alone: bool,
    staged: Option<Staged<'f>>,
    pins: BTreeMap<u32, Pin<'f>>,
    proofs: Proofs,
    faults: Faults<'f>,
}

impl Forest {
    /// Applies a batch, if what was seen is as it was, all conditions hold, and it does to long values what
    /// it says.
    pub(crate) fn commit_once(&self, batch: &Batch, seen: &Seen) -> std::result::Result<Committed, Refused> {
        let encoded_bytes = batch.bytes();
        if encoded_bytes > BATCH_BYTES_MAX {
            return Err(Error::BatchTooLarge { encoded_bytes, limit_bytes: BATCH_BYTES_MAX }.into());
        }
        let faults = if batch.writes.is_empty() { Faults::new(&self.store) } else { self.may_write()? };
        let plan = Plan::new(batch);
        let mut commit = Commit {
            forest: self,
            plan: &plan,
            seen,
            alone: batch.len() > STEPS_TOGETHER_MAX,
            staged: None,
            pins: BTreeMap::new(),
            proofs: Proofs::default(),
            faults,
        };
        let ended = commit.run()?;
        drop(commit);
        let (applied, thin) = match ended {
            Ended::Done(applied, thin) => (applied, thin),
            Ended::Unsettled(settlement) => return Ok(Committed::Unsettled(settlement)),
            // `run` goes on after all others.
            _ => return Err(Refused::Stale),
        };
        for key in thin {
            // The keys are gone in any case.
            let _ = self.join(plan.keys[key]);
        }
        Ok(Committed::Done(applied))
    }
}

impl<'f, 'p> Commit<'f, 'p> {
    /// Tries until it is done, refused, or unsettled.
    fn run(&mut self) -> std::result::Result<Ended<'p>, Refused> {
        let forest = self.forest;
        let writes = self.plan.writes.map_or(&[][..], |writes| writes.bytes());
        let mut tries = 0;
        if self.alone {
            self.make_room_ahead()?;
        }
        loop {
            if self.staged.is_none() {
                if !writes.is_empty() {
                    forest.store.admit()?;
                }
                self.staged = forest.store.stage(writes)?;
                self.alone |= self.staged.is_some();
            }
            let emptiness = self.look_under_prefixes()?;
            if self.alone {
                self.pin_all()?;
            }
            let tried = if self.alone {
                let _gate = forest.store.gate.enter_alone();
                self.attempt(&emptiness)
            } else {
                let _gate = forest.store.gate.enter();
                self.attempt(&emptiness)
            };
            tries += 1;
            match tried {
                Ok(ended @ (Ended::Done(..) | Ended::Unsettled(_))) => return Ok(ended),
                Ok(Ended::Refused { index, reason }) => return Err(Refused::Step { index, reason }),
                Ok(Ended::TooLarge { encoded_bytes }) => {
                    let error = Error::BatchTooLarge { encoded_bytes, limit_bytes: BATCH_BYTES_MAX };
                    return Err(error.into());
                }
                Ok(Ended::Stale { of_batch: false }) => return Err(Refused::Stale),
                Ok(Ended::Stale { of_batch: true }) => {}
                Ok(Ended::Crowded) => self.alone = true,
                Ok(Ended::Full(changes)) => self.make_room_for(&changes)?,
                Err(stop) => self.resume(stop)?,
            }
            self.alone |= tries >= TRIES_TOGETHER;
        }
    }

    fn resume(&mut self, stop: Stop) -> Result<()> {
        match stop {
            Stop::LogFull(full) if self.staged.is_some() => self.forest.store.make_log_space_for_staged(full),
            stop => self.forest.resume(stop, &mut self.faults),
        }
    }

    /// Reads what is under the prefixes that have to be empty. More keys than the batch could take away need
    /// not be known.
    fn look_under_prefixes(&self) -> Result<Emptiness> {
        let mut emptiness = Emptiness { keys: Vec::new(), notes: Vec::new() };
        for prefix in &self.plan.prefixes {
            let end = successor(prefix).unwrap_or_else(|| vec![0xFF; prefix.len() + 1]);
            let enough = self.plan.keys_under(prefix).len() + 1;
            let mut side = Side::new(Direction::Forward, prefix.to_vec(), end);
            side.keep_notes();
            let mut keys = Vec::new();
            while keys.len() < enough && side.step(self.forest, false)?.is_some() {
                keys.push(side.key().to_vec());
            }
            emptiness.keys.push(keys);
            emptiness.notes.extend(side.take_notes());
        }
        Ok(emptiness)
    }

    /// Keeps all blobs whole in memory that have keys of the batch, and the routers that lead there: then an
    /// attempt behind the closed gate lacks nothing.
    fn pin_all(&mut self) -> Result<()> {
        let forest = self.forest;
        if forest.store.residency.is_none() {
            return Ok(());
        }
        loop {
            match self.groups() {
                Ok(groups) => {
                    let frames = groups.iter().map(|group| group.route.frame);
                    let missing: Vec<_> =
                        frames.filter(|it| !it.is_whole() || !self.pins.contains_key(&it.id)).collect();
                    if missing.is_empty() {
                        return Ok(());
                    }
                    let faults: Vec<Fault> = missing.iter().map(|frame| Fault::whole(frame.id)).collect();
                    for frame in missing {
                        self.pins.entry(frame.id).or_insert_with(|| frame.hold().pin());
                    }
                    forest.store.load(&faults)?;
                }
                Err(stop) => self.resume(stop)?,
            }
        }
    }
}
