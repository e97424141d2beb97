//! Writing single keys: descend, latch the one blob that changes, look at the path again, append to the
//! log, apply. Whatever may be lacking is noticed before the append; nothing fails after it.

#![forbid(unsafe_code)]

use super::Forest;
use super::route::{Lost, Route};
use crate::art::insert::{self, Refused, Shortage};
use crate::art::locate::Spot;
use crate::art::{find, remove};
use crate::blob::header;
use crate::blob::{Key, Words};
use crate::error::{Error, Result};
use crate::log::payload::Write;
use crate::log::ring::Full;
use crate::log::{Appended, Refused as LogRefused};
use crate::store::frames::Held;

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
    /// The log has no space at the moment.
    LogFull(Full),
}

impl Forest {
    fn route_for_writing(&self, key: &Key<'_>) -> Result<Option<Route<'_>>> {
        match self.route(key) {
            Ok(route) => Ok(Some(route)),
            Err(Lost::Restart) => Ok(None),
            Err(Lost::Corrupt(id)) => Err(Self::corrupt(id)),
        }
    }

    /// Latches the range blob of `key`; none if the path was changing.
    fn hold(&self, key: &Key<'_>) -> Result<Option<(Held<'_>, usize)>> {
        let Some(route) = self.route_for_writing(key)? else {
            return Ok(None);
        };
        Ok(route.hold().map(|held| (held, route.base)))
    }

    fn restart(&self) {
        self.store.counters.restarts.add_one();
        std::thread::yield_now();
    }

    /// Appends to the log, under the latch of what is about to change.
    fn append<T>(&self, write: Write<'_>) -> Result<std::result::Result<Appended, Try<T>>> {
        match self.store.append(write) {
            Ok(appended) => Ok(Ok(appended)),
            Err(LogRefused::Full(full)) => Ok(Err(Try::LogFull(full))),
            Err(LogRefused::Closed) => Err(Error::Closed),
            Err(LogRefused::Poisoned) => Err(self.store.poisoned()),
        }
    }

    /// Writes a value if the condition holds; returns what was appended, or none if it does not hold.
    pub(crate) fn put(&self, key: &Key<'_>, value: &[u8], condition: Condition) -> Result<Option<Appended>> {
        let mut times_full = 0;
        loop {
            self.store.admit()?;
            let outcome = {
                let _gate = self.store.gate.enter();
                match self.hold(key)? {
                    Some((held, base)) => self.put_held(held, base, key, value, condition)?,
                    None => Try::Restart,
                }
            };
            match outcome {
                Try::Done(Put::Written(appended)) => return Ok(Some(appended)),
                Try::Done(Put::Refused) => return Ok(None),
                Try::Done(Put::Full(shortage)) => {
                    self.make_room(key.bytes(), shortage, times_full)?;
                    times_full += 1;
                }
                Try::Restart => self.restart(),
                Try::LogFull(full) => self.store.make_log_space(full)?,
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
            Ok(spot) => match self.append(Write::Put { key: key.bytes(), value })? {
                Ok(appended) => {
                    insert::apply(held.change(), spot, key, base, value, appended.seq);
                    Ok(Try::Done(Put::Written(appended)))
                }
                Err(not_now) => Ok(not_now),
            },
            Err(Refused::Full(shortage)) => Ok(Try::Done(Put::Full(shortage))),
            Err(Refused::Torn) => Err(Self::corrupt(id)),
        }
    }

    fn version_in(&self, words: Words<'_>, id: u32, key: &Key<'_>, base: usize) -> Result<Option<u64>> {
        let found = find::find(words, header::root(words), key, base);
        found.map(|leaf| leaf.map(|leaf| leaf.seq(words))).map_err(|_| Self::corrupt(id))
    }

    /// Removes a key if it is there and the condition holds; returns what was appended.
    pub(crate) fn remove(&self, key: &Key<'_>, condition: Condition) -> Result<Option<Appended>> {
        loop {
            self.store.admit()?;
            let outcome = {
                let _gate = self.store.gate.enter();
                match self.hold(key)? {
                    Some((held, base)) => self.remove_held(held, base, key, condition)?,
                    None => Try::Restart,
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
                Try::LogFull(full) => self.store.make_log_space(full)?,
            }
        }
    }

    fn remove_held(
        &self,
        mut held: Held<'_>,
        base: usize,
        key: &Key<'_>,
        condition: Condition,
    ) -> Result<Try<(Option<Appended>, bool)>> {
        let id = held.frame.id;
        let found = self.version_in(held.words(), id, key, base)?;
        if found.is_none() || !condition.holds(found) {
            return Ok(Try::Done((None, false)));
        }
        let appended = match self.append(Write::Remove { key: key.bytes() })? {
            Ok(appended) => appended,
            Err(not_now) => return Ok(not_now),
        };
        let words = held.change();
        remove::remove(words, key, base).map_err(|_| Self::corrupt(id))?;
        header::raise_seq(words, appended.seq);
        Ok(Try::Done((Some(appended), self.wants_join(words))))
    }

    /// Moves a value to another key in one step. None if `from` is not there.
    pub(crate) fn rename(&self, from: &Key<'_>, to: &Key<'_>) -> Result<Option<Appended>> {
        let mut times_full = 0;
        loop {
            self.store.admit()?;
            let outcome = {
                let _gate = self.store.gate.enter();
                self.try_rename(from, to)?
            };
            match outcome {
                Try::Done(Renamed::Done(appended, wants_join)) => {
                    if wants_join {
                        self.join(from.bytes())?;
                    }
                    return Ok(Some(appended));
                }
                Try::Done(Renamed::Missing) => return Ok(None),
                Try::Done(Renamed::Full(shortage)) => {
                    self.make_room(to.bytes(), shortage, times_full)?;
                    times_full += 1;
                }
                Try::Restart => self.restart(),
                Try::LogFull(full) => self.store.make_log_space(full)?,
            }
        }
    }

    fn try_rename(&self, from: &Key<'_>, to: &Key<'_>) -> Result<Try<Renamed>> {
        let (Some(source), Some(target)) = (self.route_for_writing(from)?, self.route_for_writing(to)?)
        else {
            return Ok(Try::Restart);
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
        let found = find::find(from_words, header::root(from_words), from, source.base);
        let Some(leaf) = found.map_err(|_| Self::corrupt(from_id))? else {
            return Ok(Try::Done(Renamed::Missing));
        };
        if from.bytes() == to.bytes() {
            let unchanged = Appended { seq: leaf.seq(from_words), end: 0, bytes: 0 };
            return Ok(Try::Done(Renamed::Done(unchanged, false)));
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
                let appended = match self.append(Write::Rename { from: from.bytes(), to: to.bytes() })? {
                    Ok(appended) => appended,
                    Err(not_now) => return Ok(not_now),
                };
                insert::apply(to_held.change(), spot, to, target.base, &value, appended.seq);
                let words = source_held.change();
                remove::remove(words, from, source.base).map_err(|_| Self::corrupt(from_id))?;
                header::raise_seq(words, appended.seq);
                Ok(Try::Done(Renamed::Done(appended, self.wants_join(words))))
            }
            Err(Refused::Full(shortage)) => Ok(Try::Done(Renamed::Full(shortage))),
            Err(Refused::Torn) => Err(Self::corrupt(to_id)),
        }
    }
}

enum Put {
    Written(Appended),
    Refused,
    Full(Shortage),
}

enum Renamed {
    Done(Appended, bool),
    Missing,
    Full(Shortage),
}
