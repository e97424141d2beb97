//! Writing single keys: descend, latch the one blob that changes, look at the path again, apply.

#![forbid(unsafe_code)]

use super::Forest;
use super::route::{Lost, Route};
use crate::art::insert::{self, Refused, Shortage};
use crate::art::locate::Spot;
use crate::art::{find, remove};
use crate::blob::header;
use crate::blob::presence::Everything;
use crate::blob::{Key, Words};
use crate::error::{Error, Result};
use crate::store::frames::Held;
use crate::store::residency::{Fault, Faults};

/// What must hold of a key for a write to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    Absent,
    /// The key is there, in this version.
    Version(u64),
}

impl Condition {
    fn holds(self, found: Option<u64>) -> bool {
        match self {
            Condition::Always => true,
            Condition::Absent => found.is_none(),
            Condition::Version(version) => found == Some(version),
        }
    }
}

/// What became of one try.
enum Try<T> {
    Done(T),
    Restart,
    /// This has to be loaded first, when gate and latches have been left.
    Fault(Fault),
}

impl Forest {
    fn route_for_writing(&self, key: &Key<'_>) -> Result<Try<Route<'_>>> {
        match self.route(key) {
            Ok(route) => Ok(Try::Done(route)),
            Err(Lost::Restart | Lost::Partial) => Ok(Try::Restart),
            Err(Lost::Absent(blob)) => Ok(Try::Fault(Fault::whole(blob))),
            Err(Lost::Corrupt(id)) => Err(Self::corrupt(id)),
        }
    }

    /// Latches the range blob of `key`, all of which is in memory: the route saw that, and what leaves memory
    /// changes the version.
    fn hold(&self, key: &Key<'_>) -> Result<Try<(Held<'_>, usize)>> {
        Ok(match self.route_for_writing(key)? {
            Try::Done(route) => route.hold().map_or(Try::Restart, |held| Try::Done((held, route.base))),
            Try::Restart => Try::Restart,
            Try::Fault(fault) => Try::Fault(fault),
        })
    }

    /// The beginning of every write.
    fn may_write(&self) -> Result<Faults<'_>> {
        if self.store.read_only { Err(Error::ReadOnly) } else { Ok(Faults::new(&self.store)) }
    }

    fn restart(&self) {
        self.store.counters.restarts.add_one();
        std::thread::yield_now();
    }

    /// Writes a value if the condition holds; returns the version it got, or none if it does not hold.
    pub(crate) fn put(&self, key: &Key<'_>, value: &[u8], condition: Condition) -> Result<Option<u64>> {
        let mut faults = self.may_write()?;
        let mut times_full = 0;
        loop {
            let outcome = {
                let _gate = self.store.gate.enter();
                match self.hold(key)? {
                    Try::Done((held, base)) => self.put_held(held, base, key, value, condition)?,
                    Try::Restart => Try::Restart,
                    Try::Fault(fault) => Try::Fault(fault),
                }
            };
            match outcome {
                Try::Done(Put::Written(version)) => return Ok(Some(version)),
                Try::Done(Put::Refused) => return Ok(None),
                Try::Done(Put::Full(shortage)) => {
                    self.make_room(key.bytes(), shortage, times_full)?;
                    times_full += 1;
                }
                Try::Restart => self.restart(),
                Try::Fault(fault) => faults.resolve(fault)?,
            }
        }
    }

    fn put_held(
        &self,
        mut held: Held<'_>,
        base: usize,
        key: &Key<'_>,
        value: &[u8],
        condition: Condition,
    ) -> Result<Try<Put>> {
        let id = held.frame.id;
        if condition != Condition::Always {
            let found = self.version_in(held.words(), id, key, base)?;
            if !condition.holds(found) {
                return Ok(Try::Done(Put::Refused));
            }
        }
        let (words, reserve) = (held.words(), self.reserve_words());
        let prepared = insert::prepare(words, key, base, value.len(), reserve, || {
            held.change();
        });
        match prepared {
            Ok(spot) => {
                // Nothing may fail from here on.
                let seq = self.store.next_seq();
                insert::apply(held.change(), spot, key, base, value, seq);
                Ok(Try::Done(Put::Written(seq)))
            }
            Err(Refused::Full(shortage)) => Ok(Try::Done(Put::Full(shortage))),
            Err(Refused::Torn) => Err(Self::corrupt(id)),
        }
    }

    fn version_in(&self, words: Words<'_>, id: u32, key: &Key<'_>, base: usize) -> Result<Option<u64>> {
        let found = find::find(words, header::root(words), key, base, &Everything);
        found.map(|leaf| leaf.map(|leaf| leaf.seq(words))).map_err(|_| Self::corrupt(id))
    }

    /// Removes a key if it is there and the condition holds; returns the number of the removal.
    pub(crate) fn remove(&self, key: &Key<'_>, condition: Condition) -> Result<Option<u64>> {
        let mut faults = self.may_write()?;
        loop {
            let outcome = {
                let _gate = self.store.gate.enter();
                match self.hold(key)? {
                    Try::Done((held, base)) => self.remove_held(held, base, key, condition)?,
                    Try::Restart => Try::Restart,
                    Try::Fault(fault) => Try::Fault(fault),
                }
            };
            match outcome {
                Try::Done((removed, wants_join)) => {
                    if wants_join {
                        self.join(key.bytes())?;
                    }
                    return Ok(removed);
                }
                Try::Restart => self.restart(),
                Try::Fault(fault) => faults.resolve(fault)?,
            }
        }
    }

    fn remove_held(
        &self,
        mut held: Held<'_>,
        base: usize,
        key: &Key<'_>,
        condition: Condition,
    ) -> Result<Try<(Option<u64>, bool)>> {
        let id = held.frame.id;
        let found = self.version_in(held.words(), id, key, base)?;
        if found.is_none() || !condition.holds(found) {
            return Ok(Try::Done((None, false)));
        }
        let seq = self.store.next_seq();
        let words = held.change();
        remove::remove(words, key, base).map_err(|_| Self::corrupt(id))?;
        header::raise_seq(words, seq);
        Ok(Try::Done((Some(seq), self.wants_join(words))))
    }

    /// Moves a value to another key in one step. None if `from` is not there.
    pub(crate) fn rename(&self, from: &Key<'_>, to: &Key<'_>) -> Result<Option<u64>> {
        let mut faults = self.may_write()?;
        let mut times_full = 0;
        loop {
            let outcome = {
                let _gate = self.store.gate.enter();
                self.try_rename(from, to)?
            };
            match outcome {
                Try::Done(Renamed::Done(version, wants_join)) => {
                    if wants_join {
                        self.join(from.bytes())?;
                    }
                    return Ok(Some(version));
                }
                Try::Done(Renamed::Missing) => return Ok(None),
                Try::Done(Renamed::Full(shortage)) => {
                    self.make_room(to.bytes(), shortage, times_full)?;
                    times_full += 1;
                }
                Try::Restart => self.restart(),
                Try::Fault(fault) => faults.resolve(fault)?,
            }
        }
    }

    fn try_rename(&self, from: &Key<'_>, to: &Key<'_>) -> Result<Try<Renamed>> {
        let (source, target) = match (self.route_for_writing(from)?, self.route_for_writing(to)?) {
            (Try::Done(source), Try::Done(target)) => (source, target),
            (Try::Fault(fault), _) | (_, Try::Fault(fault)) => return Ok(Try::Fault(fault)),
            _ => return Ok(Try::Restart),
        };
        let Some(mut source_held) = source.hold() else {
            return Ok(Try::Restart);
        };
        let mut target_held = None;
        if target.frame.id != source.frame.id {
            // A second latch is only tried: whoever holds it may want the first.
            let Some(held) = target.hold() else {
                return Ok(Try::Restart);
            };
            target_held = Some(held);
        } else if !target.routers_unchanged() || target.version != source_held.version() {
            return Ok(Try::Restart);
        }
        let (from_words, from_id) = (source.frame.words, source.frame.id);
        let found = find::find(from_words, header::root(from_words), from, source.base, &Everything);
        let Some(leaf) = found.map_err(|_| Self::corrupt(from_id))? else {
            return Ok(Try::Done(Renamed::Missing));
        };
        if from.bytes() == to.bytes() {
            return Ok(Try::Done(Renamed::Done(leaf.seq(from_words), false)));
        }
        let mut value = Vec::new();
        leaf.append_value(from_words, &mut value);
        let to_id = target.frame.id;
        let to_held = target_held.as_mut().unwrap_or(&mut source_held);
        let (words, reserve) = (to_held.words(), self.reserve_words());
        let prepared = insert::prepare(words, to, target.base, value.len(), reserve, || {
            to_held.change();
        });
        match prepared {
            Ok(Spot::Found { .. }) => Err(Error::TargetExists),
            Ok(spot) => {
                let seq = self.store.next_seq();
                insert::apply(to_held.change(), spot, to, target.base, &value, seq);
                let words = source_held.change();
                remove::remove(words, from, source.base).map_err(|_| Self::corrupt(from_id))?;
                header::raise_seq(words, seq);
                Ok(Try::Done(Renamed::Done(seq, self.wants_join(words))))
            }
            Err(Refused::Full(shortage)) => Ok(Try::Done(Renamed::Full(shortage))),
            Err(Refused::Torn) => Err(Self::corrupt(to_id)),
        }
    }
}

enum Put {
    Written(u64),
    Refused,
    Full(Shortage),
}

enum Renamed {
    Done(u64, bool),
    Missing,
    Full(Shortage),
}
