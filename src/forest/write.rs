//! Writing single keys: descend, latch the one blob that changes, look at the path again, append to the
//! log, apply. Whatever may be lacking is noticed before the append; nothing fails after it.

#![forbid(unsafe_code)]

use super::Forest;
use super::long;
use super::route::{Lost, Route};
use crate::art::find;
use crate::art::insert::{self, Refused, Shortage};
use crate::art::locate::Spot;
use crate::art::remove::{self, Place};
use crate::blob::Key;
use crate::blob::header;
use crate::blob::leaf::{Leaf, Payload};
use crate::blob::presence::{Everything, Presence};
use crate::error::{Error, Result};
use crate::log::payload::Write;
use crate::log::ring::Full;
use crate::log::{Appended, Refused as LogRefused};
use crate::store::frames::Held;
use crate::store::residency::{Fault, Faults, Want};

/// What must hold of a key for a write to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    Absent,
    /// The key is there, in whatever version.
    Present,
    /// The key is there, in this version.
    Version(u64),
}

impl Condition {
    pub(super) fn holds(self, found: Option<u64>) -> bool {
        match self {
            Condition::Always => true,
            Condition::Absent => found.is_none(),
            Condition::Present => found.is_some(),
            Condition::Version(version) => found == Some(version),
        }
    }
}

/// Why a try came to nothing; the database is as it was.
pub(super) enum Stop {
    /// The path was changing.
    Restart,
    /// This has to be loaded first.
    Fault(Fault),
    /// The log has no space at the moment.
    LogFull(Full),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl From<Lost> for Stop {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Restart | Lost::Partial => Stop::Restart,
            Lost::Absent(blob) => Stop::Fault(Fault { blob, want: Want::Inner }),
            Lost::Corrupt(id) => Stop::Failed(Forest::corrupt(id)),
        }
    }
}

/// What became of one try, which held gate and latch and waited for nothing.
pub(super) type Try<T> = std::result::Result<T, Stop>;

impl Forest {
    /// Finds the range blob of `key`, of which inner nodes are in memory at least.
    pub(super) fn route_for_writing(&self, key: &Key<'_>) -> Try<Route<'_>> {
        Ok(self.route(key)?)
    }

    /// Latches the range blob of `key`. The route saw that its inner nodes are in memory, and what leaves
    /// memory changes the version.
    #[inline(always)]
    fn hold(&self, key: &Key<'_>) -> Try<(Held<'_>, usize)> {
        let route = self.route_for_writing(key)?;
        insert::fetch_ahead(route.frame.words, route.root);
        let held = route.hold().ok_or(Stop::Restart)?;
        Ok((held, route.base))
    }

    /// The beginning of every write.
    pub(super) fn may_write(&self) -> Result<Faults<'_>> {
        self.store.allow_write().map(|()| Faults::new(&self.store))
    }

    /// After a try came to nothing, and has left gate and latches: does what is needed before the next.
    pub(super) fn resume(&self, stop: Stop, faults: &mut Faults<'_>) -> Result<()> {
        match stop {
            Stop::Restart => {
                self.store.counters.restarts.add_one();
                std::thread::yield_now();
                Ok(())
            }
            Stop::Fault(fault) => faults.resolve(fault),
            Stop::LogFull(full) => self.store.make_log_space(full),
            Stop::Failed(error) => Err(error),
        }
    }

    /// Appends to the log, under the latch of what is about to change.
    pub(super) fn append(&self, write: Write<'_>) -> Try<Appended> {
        self.store.append(write).map_err(|refused| match refused {
            LogRefused::Full(full) => Stop::LogFull(full),
            LogRefused::Closed => Stop::Failed(Error::Closed),
            LogRefused::Poisoned => Stop::Failed(self.store.poisoned()),
        })
    }

    /// Writes a value if the condition holds; returns what was appended, or none if it does not hold.
    pub(crate) fn put(&self, key: &Key<'_>, value: &[u8], condition: Condition) -> Result<Option<Appended>> {
        let mut faults = self.may_write()?;
        let mut times_full = 0;
        loop {
            self.store.admit()?;
            let outcome = {
                let _gate = self.store.gate.enter();
                self.hold(key).and_then(|(held, base)| self.try_put(held, base, key, value, condition))
            };
            match outcome {
                Ok(Put::Written(appended)) => return Ok(Some(appended)),
                Ok(Put::Refused) => return Ok(None),
                Ok(Put::OverLong) => return self.put_over_long(key.bytes(), value, condition),
                Ok(Put::Full(shortage)) => {
                    self.make_room(key.bytes(), shortage, times_full)?;
                    times_full += 1;
                }
                Err(stop) => self.resume(stop, &mut faults)?,
            }
        }
    }

    fn try_put(
        &self,
        mut held: Held<'_>,
        base: usize,
        key: &Key<'_>,
        value: &[u8],
        condition: Condition,
    ) -> Try<Put> {
        if held.frame.is_whole() {
            return self.put_held(&mut held, &Everything, base, key, value, condition);
        }
        let presence = held.frame.presence();
        let outcome = self.put_held(&mut held, &presence, base, key, value, condition);
        held.frame.note_read(&presence);
        outcome
    }

    #[inline(always)]
    fn put_held(
        &self,
        held: &mut Held<'_>,
        presence: &impl Presence,
        base: usize,
        key: &Key<'_>,
        value: &[u8],
        condition: Condition,
    ) -> Try<Put> {
        let id = held.frame.id;
        let is_aside = long::is_aside(key.bytes());
        if is_aside {
            held.change_aside();
        }
        if condition != Condition::Always {
            let found = version_in(held, key, base, presence)?;
            if !condition.holds(found) {
                return Ok(Put::Refused);
            }
        }
        let (words, reserve) = (held.words(), self.reserve_words());
        let prepared = insert::prepare(words, key, base, value.len(), reserve, presence, || {
            held.change();
        });
        match prepared {
            Ok(Spot::Found { leaf, .. }) if leaf.is_pointer() && !is_aside => Ok(Put::OverLong),
            Ok(spot) => {
                let appended = self.append(Write::Put { key: key.bytes(), value })?;
                self.store.note_key_bytes(key.len());
                let value = Payload::value(value);
                insert::apply(held.change(), spot, key, base, value, appended.seq);
                Ok(Put::Written(appended))
            }
            Err(Refused::Full(shortage)) => Ok(Put::Full(shortage)),
            Err(Refused::Torn) => Err(unreadable(id, presence)),
        }
    }

    /// Removes a key if it is there and the condition holds; returns what was appended.
    pub(crate) fn remove(&self, key: &Key<'_>, condition: Condition) -> Result<Option<Appended>> {
        let mut faults = self.may_write()?;
        loop {
            self.store.admit()?;
            let outcome = {
                let _gate = self.store.gate.enter();
                self.hold(key).and_then(|(held, base)| self.remove_held(held, base, key, condition))
            };
            match outcome {
                Ok(Removed::Done(removed, wants_join)) => {
                    if wants_join {
                        // The key is gone in any case.
                        let _ = self.join(key.bytes());
                    }
                    return Ok(removed);
                }
                Ok(Removed::Long) => return self.remove_long(key.bytes(), condition),
                Err(stop) => self.resume(stop, &mut faults)?,
            }
        }
    }

    fn remove_held(
        &self,
        mut held: Held<'_>,
        base: usize,
        key: &Key<'_>,
        condition: Condition,
    ) -> Try<Removed> {
        let (presence, is_aside) = (held.frame.presence(), long::is_aside(key.bytes()));
        let place = place_of(&held, key, base, &presence)?;
        held.frame.note_read(&presence);
        let Some(place) = place.filter(|place| condition.holds(Some(place.leaf.seq(held.words())))) else {
            return Ok(Removed::Done(None, false));
        };
        // Parts and marks are no long values, whatever a file says.
        if place.leaf.is_pointer() && !is_aside {
            return Ok(Removed::Long);
        }
        if is_aside {
            held.change_aside();
        }
        let appended = self.append(Write::Remove { key: key.bytes() })?;
        let words = held.change();
        remove::apply(words, &place);
        header::raise_seq(words, appended.seq);
        // Few parts of long values fill a blob, so that each counts.
        let wants_join = self.wants_join(words) || (long::is_part(key.bytes()) && self.is_thin(words));
        Ok(Removed::Done(Some(appended), wants_join))
    }

    /// Moves a value to another key in one step. None if `from` is not there.
    pub(crate) fn rename(&self, from: &Key<'_>, to: &Key<'_>) -> Result<Option<Appended>> {
        let mut faults = self.may_write()?;
        let mut times_full = 0;
        loop {
            self.store.admit()?;
            let outcome = {
                let _gate = self.store.gate.enter();
                self.try_rename(from, to)
            };
            match outcome {
                Ok(Renamed::Done(appended, wants_join)) => {
                    if wants_join {
                        // It has moved in any case.
                        let _ = self.join(from.bytes());
                    }
                    return Ok(Some(appended));
                }
                Ok(Renamed::Missing) => return Ok(None),
                Ok(Renamed::Full(shortage)) => {
                    self.make_room(to.bytes(), shortage, times_full)?;
                    times_full += 1;
                }
                Err(stop) => self.resume(stop, &mut faults)?,
            }
        }
    }

    fn try_rename(&self, from: &Key<'_>, to: &Key<'_>) -> Try<Renamed> {
        let (source, target) = (self.route_for_writing(from)?, self.route_for_writing(to)?);
        let mut source_held = source.hold().ok_or(Stop::Restart)?;
        let mut target_held = None;
        if target.frame.id != source.frame.id {
            // A second latch is only tried: whoever holds it may want the first.
            target_held = Some(target.hold().ok_or(Stop::Restart)?);
        } else if !target.routers_unchanged() || target.version != source_held.version() {
            return Err(Stop::Restart);
        }
        let (from_words, from_id) = (source.frame.words, source.frame.id);
        let Some(place) = place_of(&source_held, from, source.base, &source_held.frame.presence())? else {
            return Ok(Renamed::Missing);
        };
        let leaf = place.leaf;
        if from.bytes() == to.bytes() {
            let unchanged = Appended { seq: leaf.seq(from_words), end: 0, bytes: 0 };
            return Ok(Renamed::Done(unchanged, false));
        }
        let mut value = Vec::new();
        leaf.append_value(from_words, &mut value);
        let to_id = target.frame.id;
        let to_held = target_held.as_mut().unwrap_or(&mut source_held);
        let (words, reserve, presence) = (to_held.words(), self.reserve_words(), to_held.frame.presence());
        let prepared = insert::prepare(words, to, target.base, value.len(), reserve, &presence, || {
            to_held.change();
        });
        match prepared {
            Ok(Spot::Found { .. }) => Err(Error::TargetExists.into()),
            Ok(spot) => {
                let appended = self.append(Write::Rename { from: from.bytes(), to: to.bytes() })?;
                self.store.note_key_bytes(to.len());
                let value = Payload { bytes: &value, is_pointer: leaf.is_pointer() };
                if value.is_pointer {
                    self.store.long.count_arrival();
                }
                insert::apply(to_held.change(), spot, to, target.base, value, appended.seq);
                let words = source_held.change();
                if remove::remove(words, from, source.base) != Ok(true) {
                    // It was there a moment ago: only a damaged tree can do this. The log has it already.
                    self.store.poison("a key could not be removed from where it was renamed");
                    return Err(Self::corrupt(from_id).into());
                }
                header::raise_seq(words, appended.seq);
                Ok(Renamed::Done(appended, self.wants_join(words)))
            }
            Err(Refused::Full(shortage)) => Ok(Renamed::Full(shortage)),
            Err(Refused::Torn) => Err(unreadable(to_id, &presence)),
        }
    }
}

/// Why a latched blob could not be read to the end.
#[cold]
pub(super) fn unreadable(blob: u32, presence: &impl Presence) -> Stop {
    match presence.missed() {
        0 => Stop::Failed(Forest::corrupt(blob)),
        missed => Stop::Fault(Fault { blob, want: Want::Leaves(missed) }),
    }
}

/// The leaf of `key` in a latched blob.
fn find_in(held: &Held<'_>, key: &Key<'_>, base: usize, presence: &impl Presence) -> Try<Option<Leaf>> {
    let words = held.words();
    match find::find(words, header::root(words), key, base, presence) {
        Ok(leaf) if presence.missed() == 0 => Ok(leaf),
        _ => Err(unreadable(held.frame.id, presence)),
    }
}

/// The place of `key` in a latched blob, from where it can be removed.
fn place_of(held: &Held<'_>, key: &Key<'_>, base: usize, presence: &impl Presence) -> Try<Option<Place>> {
    match remove::prepare(held.words(), key, base, presence) {
        Ok(place) if presence.missed() == 0 => Ok(place),
        _ => Err(unreadable(held.frame.id, presence)),
    }
}

fn version_in(held: &Held<'_>, key: &Key<'_>, base: usize, presence: &impl Presence) -> Try<Option<u64>> {
    Ok(find_in(held, key, base, presence)?.map(|leaf| leaf.seq(held.words())))
}

enum Put {
    Written(Appended),
    Refused,
    /// There is a pointer leaf, and what it refers to has to go as well.
    OverLong,
    Full(Shortage),
}

enum Removed {
    Done(Option<Appended>, bool),
    /// There is a pointer leaf, and what it refers to has to go as well.
    Long,
}

enum Renamed {
    Done(Appended, bool),
    Missing,
    Full(Shortage),
}
