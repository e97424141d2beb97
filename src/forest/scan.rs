//! Walking over all blobs in key order, forward or backward, beside readers and writers.
//!
//! A scan holds no latch. It remembers the versions of the blob it is in and of the routers above, and
//! hands out an entry only after they were looked at again. When one has moved, it goes back to where it
//! was by the last key that it has handed out. So every key that is there all the time is seen exactly
//! once, in order.
//!
//! In a blob of which some leaves are not in memory it reads bucket by bucket, because most scans and
//! listings are short; those that go on read whole blobs.

#![forbid(unsafe_code)]

use super::Forest;
use super::long::long_length;
use super::notes::Note;
use super::route::{Lost, Route};
use crate::art::ahead::Stretch;
use crate::art::cursor::{Cursor, Direction, Item, ROOM_BYTES};
use crate::blob::key::{KeyBuf, common_prefix};
use crate::blob::presence::{Everything, Presence};
use crate::blob::{Torn, Words};
use crate::error::Result;
use crate::store::frames::{Frame, Pages};
use crate::store::latch::Version;
use crate::store::residency::{Fault, Faults, Want};

/// A blob in which a scan has asked for so many buckets is loaded whole.
const BUCKETS_TO_WHOLE: u32 = 4;
/// After so many misses without a key in between a scan insists on whole blobs: in a very small cache what
/// it has asked for may be gone before it comes there.
const MISSES_TO_WHOLE: u32 = 3;

/// What a step of a cursor comes to.
type Walked = std::result::Result<Option<Item>, Torn>;

/// Where a scan is: a blob, its version, and those of the routers on the way.
struct Position {
    id: u32,
    version: Version,
    routers: Vec<(u32, Version)>,
    /// Whether all of the blob is in memory.
    is_whole: bool,
}

impl Position {
    /// Whether neither the blob, which lies in `frame`, nor a router has changed.
    #[inline(always)]
    fn is_unchanged(&self, forest: &Forest, frame: Frame<'_>) -> bool {
        let same = |&(id, version): &(u32, Version)| {
            forest.store.frames.get(id).is_some_and(|frame| frame.latch().is_unchanged(version))
        };
        frame.latch().is_unchanged(self.version) && self.routers.iter().all(same)
    }
}

/// One end of a scan.
pub(crate) struct Side {
    direction: Direction,
    /// Forward: keys from here on. Backward: keys below.
    bound: Vec<u8>,
    /// Forward: keys below this. Backward: keys from here on.
    limit: Vec<u8>,
    position: Option<Position>,
    cursor: Cursor,
    /// Keys that share so many bytes with the last one that was handed out lie within the limit as it does.
    within_len: usize,
    /// The last key that was handed out, if `handed_out`, with room behind it.
    last: Vec<u8>,
    last_len: usize,
    handed_out: bool,
    /// The last key was a directory of this length: keys that begin with it are passed over.
    skipping: Option<usize>,
    /// What the last step has missed.
    wanted: Option<Fault>,
    /// How many buckets of one blob were not in memory.
    buckets_missed: (u32, u32),
    /// How often something was missed since the last key.
    misses: u32,
    /// Whether the walk has come to the end of a blob.
    is_long: bool,
    /// What the walk has been in, if that is wanted.
    notes: Option<Vec<Note>>,
    /// Whether the last step came to a pointer leaf.
    is_pointer: bool,
    /// The long value of the last step, if `has_long`.
    long: Vec<u8>,
    has_long: bool,
    /// Its length, read or not.
    long_bytes: usize,
    /// Longer ones are not read.
    long_bytes_max: usize,
    /// How many entries the user may want, where it costs a trip to find out.
    ahead: usize,
    done: bool,
}

impl Side {
    /// A walk over the keys from `start` up to `end`, which is none of them.
    pub(crate) fn new(direction: Direction, start: Vec<u8>, end: Vec<u8>) -> Self {
        let (bound, limit) = match direction {
            Direction::Forward => (start, end),
            Direction::Backward => (end, start),
        };
        let done = match direction {
            Direction::Forward => bound >= limit,
            Direction::Backward => bound <= limit,
        };
        Side {
            direction,
            bound,
            limit,
            within_len: usize::MAX,
            position: None,
            cursor: Cursor::new(),
            last: Vec::new(),
            last_len: 0,
            handed_out: false,
            skipping: None,
            wanted: None,
            buckets_missed: (0, 0),
            misses: 0,
            is_long: false,
            notes: None,
            is_pointer: false,
            long: Vec::new(),
            has_long: false,
            long_bytes: 0,
            long_bytes_max: usize::MAX,
            ahead: usize::MAX,
            done,
        }
    }

    /// From now on notes every blob that a walk forward enters.
    pub(crate) fn keep_notes(&mut self) {
        self.notes.get_or_insert_default();
    }

    /// The notes since the last call.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        self.notes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// No more than so many entries are wanted, as far as is known.
    pub(crate) fn look_ahead(&mut self, entries: usize) {
        self.ahead = entries;
    }

    /// The key of the last step.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        &self.last[..self.last_len]
    }

    /// The value of the last step, if it was asked for.
    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        if self.has_long { &self.long } else { self.cursor.value() }
    }

    /// The length of the value of the last step, read or not.
    #[inline]
    pub(crate) fn value_bytes(&self) -> usize {
        if self.has_long { self.long_bytes } else { self.cursor.value().len() }
    }

    /// Long values with more bytes are not read from now on: they are handed out empty.
    pub(crate) fn read_long_values_to(&mut self, bytes_max: usize) {
        self.long_bytes_max = bytes_max;
    }

    /// Whether what the leaf of the last step holds is no value, but says where one lies.
    #[inline]
    pub(crate) fn is_pointer(&self) -> bool {
        self.is_pointer
    }

    /// Whether a key was handed out yet.
    pub(crate) fn has_key(&self) -> bool {
        self.handed_out
    }

    /// From now on everything up to a delimiter behind the first `from` bytes is one directory: it is
    /// handed out once, and its keys are passed over.
    pub(crate) fn stop_at_directories(&mut self, delimiter: u8, from: usize) {
        self.cursor.stop_at_directories(delimiter, from);
    }

    /// Whether the last step handed out a directory; its name is the key.
    pub(crate) fn is_directory(&self) -> bool {
        self.skipping.is_some()
    }

    /// The same as `step` with a value, and reads that if it is a long one.
    #[inline]
    pub(crate) fn step_to_value(&mut self, forest: &Forest) -> Result<Option<u64>> {
        loop {
            let version = self.step(forest, true)?;
            let (true, Some(version)) = (self.is_pointer, version) else { return Ok(version) };
            if let Some(version) = self.read_long(forest, version)? {
                return Ok(Some(version));
            }
        }
    }

    /// Reads the long value of the last step, or what has come in its place; none if that has gone.
    #[cold]
    #[inline(never)]
    fn read_long(&mut self, forest: &Forest, version: u64) -> Result<Option<u64>> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(&self.last[..self.last_len]);
        self.long.clear();
        self.long_bytes = long_length(self.cursor.value())?;
        if self.long_bytes > self.long_bytes_max {
            self.has_long = true;
            return Ok(Some(version));
        }
        self.long.extend_from_slice(self.cursor.value());
        let found = forest.follow(&key, version, &mut self.long)?;
        (self.has_long, self.long_bytes) = (found.is_some(), self.long.len());
        Ok(found)
    }

    /// Goes to the next key, and reads what its leaf holds if wanted. The version (0 for a directory), or
    /// none at the end.
    #[inline]
    pub(crate) fn step(&mut self, forest: &Forest, with_value: bool) -> Result<Option<u64>> {
        self.cursor.read_values(with_value);
        (self.is_pointer, self.has_long) = (false, false);
        while !self.done {
            if self.position.is_none() {
                self.enter(forest)?;
            }
            let Some(position) = &self.position else { continue };
            let Some(frame) = forest.store.frames.get(position.id) else {
                return Err(Forest::corrupt(position.id));
            };
            let (found, missed) = match position.is_whole {
                true => (self.advance(frame.words, &Everything), 0),
                false => self.advance_in_part(frame),
            };
            let (version, is_pointer) = match found {
                Ok(Some(Item::Leaf)) => {
                    let leaf = self.cursor.leaf();
                    (leaf.seq(frame.words), leaf.is_pointer())
                }
                _ => (0, false),
            };
            if !self.position.as_ref().is_some_and(|position| position.is_unchanged(forest, frame)) {
                self.reposition();
                continue;
            }
            if missed != 0 {
                self.wanted = Some(self.fault(forest, frame.id, missed));
                self.reposition();
                continue;
            }
            match found {
                Ok(Some(item)) => {
                    let is_directory = item == Item::Directory;
                    let is_within = match is_directory && self.limit_lies_inside() {
                        true => {
                            // The name itself sorts below the limit.
                            self.within_len = usize::MAX;
                            self.has_key_from_limit(forest)?
                        }
                        false => !self.is_beyond_limit(),
                    };
                    if !is_within {
                        self.done = true;
                        return Ok(None);
                    }
                    self.hand_out(is_directory);
                    self.is_pointer = is_pointer;
                    return Ok(Some(version));
                }
                Ok(None) => self.leave(forest)?,
                Err(Torn) => return Err(Forest::corrupt(frame.id)),
            }
        }
        Ok(None)
    }

    #[inline(always)]
    fn advance(&mut self, words: Words<'_>, presence: &impl Presence) -> Walked {
        match self.direction {
            Direction::Forward => self.cursor.next(words, presence),
            Direction::Backward => self.cursor.prev(words, presence),
        }
    }

    /// The same where leaves may be missing; and the pages that were.
    #[cold]
    fn advance_in_part(&mut self, frame: Frame<'_>) -> (Walked, Pages) {
        let presence = frame.presence();
        let found = self.advance(frame.words, &presence);
        frame.note_read(&presence);
        (found, presence.missed())
    }

    /// What to ask for, where these pages of a blob were missed.
    fn fault(&mut self, forest: &Forest, blob: u32, missed: Pages) -> Fault {
        let (before, buckets) = self.buckets_missed;
        self.misses += 1;
        self.buckets_missed = (blob, if before == blob { buckets + 1 } else { 1 });
        if self.buckets_missed.1 >= BUCKETS_TO_WHOLE && !forest.store.is_remote() {
            Fault::whole(blob)
        } else {
            Fault { blob, want: Want::Leaves(missed) }
        }
    }

    /// Remembers the key, of which only the end has changed, for the case that the next step fails.
    #[inline]
    fn hand_out(&mut self, is_directory: bool) {
        let len = self.cursor.key().len();
        let kept = if self.handed_out { self.cursor.kept() } else { 0 };
        if self.last.len() < len + ROOM_BYTES {
            self.last.resize((len + ROOM_BYTES).next_power_of_two(), 0);
        }
        self.cursor.copy_key_end(kept, &mut self.last[kept..]);
        self.last_len = len;
        self.cursor.mark_kept();
        self.handed_out = true;
        self.misses = 0;
        self.skipping = is_directory.then_some(len);
    }

    /// Whether the key that the cursor has come to lies behind the end of the walk.
    #[inline]
    fn is_beyond_limit(&mut self) -> bool {
        if self.cursor.kept() >= self.within_len {
            return false;
        }
        let (key, limit) = (self.cursor.key(), self.limit.as_slice());
        let common = common_prefix(key, limit);
        let (is_beyond, within_len) = match (key.get(common), limit.get(common), self.direction) {
            (None, Some(_), Direction::Forward) => (false, usize::MAX),
            (_, None, Direction::Forward) => (true, usize::MAX),
            (_, None, Direction::Backward) => (false, common),
            (None, Some(_), Direction::Backward) => (true, usize::MAX),
            (Some(key), Some(limit), Direction::Forward) => (key > limit, common + 1),
            (Some(key), Some(limit), Direction::Backward) => (key < limit, common + 1),
        };
        self.within_len = within_len;
        is_beyond
    }

    /// Whether the walk backward ends inside the directory that it has come to.
    fn limit_lies_inside(&self) -> bool {
        let name = self.cursor.key();
        self.direction == Direction::Backward && self.limit.len() > name.len() && self.limit.starts_with(name)
    }

    /// Whether the directory that the walk has come to holds a key that is not below the limit: it was
    /// not visited, so this has to be looked up.
    fn has_key_from_limit(&self, forest: &Forest) -> Result<bool> {
        let end = successor(self.cursor.key()).unwrap_or_else(|| self.bound.clone());
        let mut probe = Side::new(Direction::Forward, self.limit.clone(), end);
        Ok(probe.step(forest, false)?.is_some())
    }

    /// Something has moved: start again behind what was handed out last.
    #[cold]
    fn reposition(&mut self) {
        self.position = None;
        if !self.handed_out {
            return;
        }
        let last = &self.last[..self.last_len];
        self.bound = match (self.direction, self.skipping) {
            (Direction::Forward, Some(len)) => successor(&last[..len]).unwrap_or_else(|| self.limit.clone()),
            // The smallest key above `last` is `last` with a zero byte behind it.
            (Direction::Forward, None) => [last, &[0]].concat(),
            (Direction::Backward, Some(len)) => last[..len].to_vec(),
            (Direction::Backward, None) => last.to_vec(),
        };
    }

    /// Enters the blob at the bound.
    fn enter(&mut self, forest: &Forest) -> Result<()> {
        let mut faults = Faults::new(&forest.store);
        if let Some(wanted) = self.wanted.take() {
            self.resolve(forest, &mut faults, wanted)?;
        }
        loop {
            let mut buffer = KeyBuf::empty();
            let key = buffer.fill_whole(&self.bound);
            let is_long = self.is_long && !forest.store.is_remote();
            let (mut missed, whole) = (0, is_long || self.misses >= MISSES_TO_WHOLE);
            let entered = match self.direction {
                Direction::Forward => forest.route(&key).map(|route| (route, false)),
                Direction::Backward => forest.route_before(&key),
            };
            let result = entered.and_then(|(route, exact)| {
                if whole && !route.is_whole {
                    return Err(Lost::Absent(route.frame.id));
                }
                let presence = route.frame.presence();
                let positioned = if exact {
                    let bounds = forest.bounds_before(&route, &key)?;
                    let base = bounds.lo.get(..route.base).ok_or(Torn);
                    base.map(|base| self.cursor.seek_edge(base, self.direction))
                } else {
                    self.cursor.seek(route.frame.words, &key, route.base, self.direction, &presence)
                };
                let note = match self.notes {
                    Some(_) => Some(forest.note(&route, &key)?),
                    None => None,
                };
                if !route.is_unchanged() {
                    return Err(Lost::Restart);
                }
                if presence.missed() != 0 {
                    missed = presence.missed();
                    return Err(Lost::Absent(route.frame.id));
                }
                route.frame.note_read(&presence);
                positioned.map_err(|_| Lost::Corrupt(route.frame.id))?;
                if let (Some(notes), Some(note)) = (&mut self.notes, note) {
                    notes.push(note);
                }
                Ok(position_of(&route))
            });
            match result {
                Ok(position) => {
                    self.position = Some(position);
                    return Ok(());
                }
                Err(Lost::Corrupt(id)) => return Err(Forest::corrupt(id)),
                Err(Lost::Absent(blob)) if missed != 0 => {
                    let fault = self.fault(forest, blob, missed);
                    self.resolve(forest, &mut faults, fault)?;
                }
                Err(Lost::Absent(blob)) if whole => faults.resolve(Fault::whole(blob))?,
                Err(Lost::Absent(blob)) => {
                    self.resolve(forest, &mut faults, Fault { blob, want: Want::Inner })?;
                }
                Err(Lost::Restart | Lost::Partial) => std::thread::yield_now(),
            }
        }
    }

    /// Loads what was missed; where that is a trip, with all that will be missed soon.
    fn resolve(&self, forest: &Forest, faults: &mut Faults<'_>, fault: Fault) -> Result<()> {
        if !forest.store.is_remote() {
            return faults.resolve(fault);
        }
        let (start, end) = match self.direction {
            Direction::Forward => (&self.bound, &self.limit),
            Direction::Backward => (&self.limit, &self.bound),
        };
        let ahead = forest.faults_ahead(Stretch {
            direction: self.direction,
            start,
            end,
            delimiter: self.cursor.delimiter(),
            entries_max: self.ahead,
            pages_max: u32::MAX,
        });
        faults.resolve_with(fault, ahead)
    }

    /// Goes on to the neighbouring blob: there are no sibling pointers, the routers tell.
    fn leave(&mut self, forest: &Forest) -> Result<()> {
        let Some(position) = self.position.take() else {
            return Ok(());
        };
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(&self.bound);
        let asked = match self.direction {
            Direction::Forward => {
                forest.route(&key).and_then(|route| Ok((forest.bounds(&route, &key)?, route)))
            }
            Direction::Backward => forest
                .route_before(&key)
                .and_then(|(route, _)| Ok((forest.bounds_before(&route, &key)?, route))),
        };
        let (bounds, route) = match asked {
            Ok(asked) => asked,
            Err(Lost::Corrupt(id)) => return Err(Forest::corrupt(id)),
            // What has left memory is loaded where the walk enters it.
            Err(Lost::Restart | Lost::Absent(_) | Lost::Partial) => {
                self.reposition();
                return Ok(());
            }
        };
        if route.frame.id != position.id || route.version != position.version || !route.is_unchanged() {
            self.reposition();
            return Ok(());
        }
        let next = match self.direction {
            Direction::Forward => bounds.hi,
            Direction::Backward => Some(bounds.lo).filter(|lo| !lo.is_empty()),
        };
        let Some(mut next) = next else {
            self.done = true;
            return Ok(());
        };
        self.is_long = self.skipping.is_none();
        let progress = match self.direction {
            Direction::Forward => next > self.bound,
            Direction::Backward => next < self.bound,
        };
        if !progress {
            return Err(Forest::corrupt(route.frame.id));
        }
        if let Some(len) = self.skipping {
            self.skip_to(&mut next, len);
        }
        self.done = match self.direction {
            Direction::Forward => next >= self.limit,
            Direction::Backward => next <= self.limit,
        };
        self.bound = next;
        Ok(())
    }

    /// Passes a subtree that spans blobs by going to its successor, or to its start.
    fn skip_to(&self, next: &mut Vec<u8>, len: usize) {
        let prefix = &self.last[..len.min(self.last_len)];
        match self.direction {
            Direction::Forward if next.as_slice() > prefix && next.starts_with(prefix) => {
                match successor(prefix) {
                    Some(after) => *next = after,
                    None => next.clone_from(&self.limit),
                }
            }
            Direction::Backward if next.starts_with(prefix) => *next = prefix.to_vec(),
            _ => {}
        }
    }
}

fn position_of(route: &Route<'_>) -> Position {
    let routers = route.routers().map(|step| (step.id, step.version)).collect();
    Position { id: route.frame.id, version: route.version, routers, is_whole: route.is_whole }
}

/// The smallest key above all keys that begin with `prefix`; none if there is no such key.
pub(crate) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let end = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut out = prefix[..=end].to_vec();
    out[end] += 1;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_bound_exactly_the_keys_with_a_prefix() {
        assert_eq!(successor(b"a/b"), Some(b"a/c".to_vec()));
        assert_eq!(successor(b"a\xFF\xFF"), Some(b"b".to_vec()));
        assert_eq!(successor(b"\xFF"), None);
        assert_eq!(successor(b""), None);
    }
}
