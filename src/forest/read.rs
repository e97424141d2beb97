//! Reading single keys: descend, read, validate; again if anything on the path has changed.

#![forbid(unsafe_code)]

use super::Forest;
use super::notes::{LOOKS_MAX, Note};
use super::route::{Lost, Route};
use crate::art::find;
use crate::blob::header;
use crate::blob::key::{KeyBuf, common_prefix};
use crate::blob::leaf::Leaf;
use crate::blob::presence::{Everything, Presence};
use crate::blob::{Key, Torn, Words};
use crate::error::Result;
use crate::store::residency::{Fault, Faults, Want};

/// What a reading yields before it is validated.
type Sound<T> = std::result::Result<T, Torn>;

/// A stored key's length, its value and its version.
pub(crate) type Prefix = (usize, Vec<u8>, u64);

/// Tries without a latch before a reader asks for quiet.
const FREE_TRIES: u32 = 16;

/// Something that is read from the range blob of a key.
pub(crate) trait Reading {
    type Answer;

    /// The answer, as it is read. It counts only if nothing on the path has changed and no page was missed.
    fn read<P: Presence>(&mut self, route: &Route<'_>, presence: &P) -> Sound<Self::Answer>;
}

/// What became of a try that may have met an absent page.
pub(super) enum Tried<T> {
    Done(T),
    Restart,
    Fault(Fault),
}

impl Forest {
    /// Runs a reading on the range blob of `key` until its answer is true of one moment.
    #[inline(always)]
    pub(crate) fn read<R: Reading>(&self, key: &Key<'_>, reading: &mut R) -> Result<R::Answer> {
        let mut route = match self.start() {
            Ok(route) => route,
            Err(lost) => return self.read_without_root(key, reading, lost),
        };
        for _ in 0..FREE_TRIES {
            match route.find(self, key) {
                Ok(()) => {
                    let answer = reading.read(&route, &Everything);
                    if route.is_unchanged() {
                        return answer.map_err(|_| Self::corrupt(route.frame.id));
                    }
                }
                Err(Lost::Corrupt(id)) => return Err(Self::corrupt(id)),
                Err(Lost::Restart) => {}
                Err(lost) => return self.read_with_faults(key, reading, route, lost),
            }
            self.store.counters.restarts.add_one();
            std::hint::spin_loop();
        }
        self.read_in_quiet(key, reading)
    }

    #[cold]
    fn read_without_root<R: Reading>(&self, key: &Key<'_>, reading: &mut R, lost: Lost) -> Result<R::Answer> {
        let Lost::Absent(blob) = lost else {
            return Err(Self::corrupt(crate::store::ROOT_BLOB));
        };
        self.store.load(&[Fault { blob, want: Want::Inner }])?;
        match self.start() {
            Ok(route) => self.read_with_faults(key, reading, route, Lost::Restart),
            Err(_) => self.read_in_quiet(key, reading),
        }
    }

    /// The same where something is not in memory: a route that has met it, and how.
    #[inline(never)]
    fn read_with_faults<'a, R: Reading>(
        &'a self,
        key: &Key<'_>,
        reading: &mut R,
        mut route: Route<'a>,
        lost: Lost,
    ) -> Result<R::Answer> {
        let mut faults = Faults::new(&self.store);
        let mut found = Err(lost);
        let mut tries = 0;
        while tries < FREE_TRIES {
            match self.try_reading(reading, &route, found)? {
                Tried::Done(answer) => return Ok(answer),
                Tried::Fault(fault) => faults.resolve(fault)?,
                Tried::Restart => {
                    self.store.counters.restarts.add_one();
                    tries += 1;
                }
            }
            found = route.find(self, key);
        }
        self.read_in_quiet(key, reading)
    }

    /// Reads where a route has ended, whatever of the blob is in memory.
    pub(super) fn try_reading<R: Reading>(
        &self,
        reading: &mut R,
        route: &Route<'_>,
        found: std::result::Result<(), Lost>,
    ) -> Result<Tried<R::Answer>> {
        let blob = route.frame.id;
        match found {
            Ok(()) => {
                let answer = reading.read(route, &Everything);
                match route.is_unchanged() {
                    true => answer.map(Tried::Done).map_err(|_| Self::corrupt(blob)),
                    false => Ok(Tried::Restart),
                }
            }
            Err(Lost::Partial) => {
                let presence = route.frame.presence();
                let answer = reading.read(route, &presence);
                if !route.is_unchanged() {
                    return Ok(Tried::Restart);
                }
                if presence.missed() != 0 {
                    return Ok(Tried::Fault(Fault { blob, want: Want::Leaves(presence.missed()) }));
                }
                route.frame.note_read(&presence);
                answer.map(Tried::Done).map_err(|_| Self::corrupt(blob))
            }
            Err(Lost::Absent(blob)) => Ok(Tried::Fault(Fault { blob, want: Want::Inner })),
            Err(Lost::Corrupt(id)) => Err(Self::corrupt(id)),
            Err(Lost::Restart) => Ok(Tried::Restart),
        }
    }

    /// Latches the range blob for the reading and leaves its version as it was, so that readers who began
    /// before and end after do not restart. The structure mutex keeps the routers from being written, which
    /// no latch then has to do. What is missing is loaded without the two.
    #[cold]
    fn read_in_quiet<R: Reading>(&self, key: &Key<'_>, reading: &mut R) -> Result<R::Answer> {
        let mut faults = Faults::new(&self.store);
        loop {
            match self.try_in_quiet(key, reading)? {
                Tried::Done(answer) => return Ok(answer),
                Tried::Fault(fault) => faults.resolve(fault)?,
                Tried::Restart => std::thread::yield_now(),
            }
        }
    }

    fn try_in_quiet<R: Reading>(&self, key: &Key<'_>, reading: &mut R) -> Result<Tried<R::Answer>> {
        let _structure = self.store.lock_structure();
        match self.route(key) {
            Ok(route) if !route.is_whole => Ok(Tried::Fault(Fault::whole(route.frame.id))),
            Ok(mut route) => {
                let held = route.frame.hold();
                // Pages of it, or a router, may have left until the latch was taken.
                if !held.frame.is_whole() || !route.routers_unchanged() {
                    return Ok(Tried::Restart);
                }
                // The root of the tree may have changed.
                route.root = route.frame.root().0;
                route.version = held.version();
                let answer = reading.read(&route, &Everything);
                match route.routers_unchanged() {
                    true => answer.map(Tried::Done).map_err(|_| Self::corrupt(route.frame.id)),
                    false => Ok(Tried::Restart),
                }
            }
            Err(Lost::Corrupt(id)) => Err(Self::corrupt(id)),
            Err(Lost::Absent(blob)) => Ok(Tried::Fault(Fault::whole(blob))),
            Err(Lost::Restart | Lost::Partial) => Ok(Tried::Restart),
        }
    }

    /// Copies the value of `key` into `out` and returns its version.
    #[inline]
    pub(crate) fn get(&self, key: &Key<'_>, out: &mut Vec<u8>) -> Result<Option<u64>> {
        let mut get = Get::new(key, out);
        let found = self.read(key, &mut get)?;
        match (get.is_pointer, found) {
            (true, Some(version)) => self.follow(key, version, out),
            _ => Ok(found),
        }
    }

    /// What the leaf of `key` holds, and whether it is a pointer leaf; and the highest seq in the blob where
    /// the key was found, or missed.
    pub(crate) fn observe(&self, key: &Key<'_>, out: &mut Vec<u8>) -> Result<Observed> {
        let mut observe = Observe(Get::new(key, out));
        let (version, highest_seq) = self.read(key, &mut observe)?;
        Ok(Observed { version, highest_seq, is_pointer: observe.0.is_pointer })
    }

    /// The version of `key`, without its value.
    #[inline]
    pub(crate) fn version_of(&self, key: &Key<'_>) -> Result<Option<u64>> {
        self.read(key, &mut VersionOf { key })
    }

    /// The longest stored key of at least `shortest` bytes that `key` begins with: its length, value and
    /// version.
    ///
    /// Blobs are looked at one after the other, from the longest prefixes to shorter ones. What was passed
    /// has to be as it was when the answer is known: else a key may have moved to where nobody looks any
    /// more.
    pub(crate) fn longest_prefix(&self, key: &Key<'_>, shortest: usize) -> Result<Option<Prefix>> {
        let mut gone = None;
        for _ in 0..LOOKS_MAX {
            let mut passed = Vec::new();
            let found = self.longest_prefix_once(key, shortest, &mut passed, &mut gone)?;
            let Some(found) = found else { continue };
            if found.is_none() {
                // The last range was empty when it was read, which is the moment that counts.
                passed.pop();
            }
            if self.all_hold(&passed)? {
                return Ok(found);
            }
        }
        Err(Self::corrupt(crate::store::ROOT_BLOB))
    }

    /// The answer of one walk, and what it has passed; none if what was found has gone meanwhile: then `gone`
    /// is what it said of its long value.
    fn longest_prefix_once(
        &self,
        key: &Key<'_>,
        shortest: usize,
        passed: &mut Vec<Note>,
        gone: &mut Option<Vec<u8>>,
    ) -> Result<Option<Option<Prefix>>> {
        let mut len = key.len();
        loop {
            let mut buffer = KeyBuf::empty();
            let probe = buffer.fill_whole(&key.bytes()[..len]);
            let mut reading = LongestPrefix { forest: self, key: &probe, shortest };
            let (found, is_pointer, lo, note) = self.read(&probe, &mut reading)?;
            match found {
                Some((len, mut value, version)) if is_pointer => {
                    let mut buffer = KeyBuf::empty();
                    let prefix = buffer.fill_whole(&key.bytes()[..len]);
                    let pointer = value.clone();
                    if let Some(version) = self.follow(&prefix, version, &mut value)? {
                        return Ok(Some(Some((len, value, version))));
                    }
                    // What has gone does not come back, but where routers lead astray.
                    let is_again = gone.as_ref() == Some(&pointer);
                    *gone = Some(pointer);
                    return match is_again {
                        true => Err(Self::corrupt(crate::store::ROOT_BLOB)),
                        false => Ok(None),
                    };
                }
                Some(found) => return Ok(Some(Some(found))),
                None => passed.extend(note),
            }
            // Every prefix of the key that lies in an earlier range is a prefix of this range's lower bound.
            let common = common_prefix(&lo, key.bytes());
            let next = if common == lo.len() { common.saturating_sub(1) } else { common };
            if lo.is_empty() || next < shortest || next >= len {
                return Ok(Some(None));
            }
            len = next;
        }
    }
}

/// What a lookup finds.
pub(crate) struct Observed {
    pub(crate) version: Option<u64>,
    pub(crate) highest_seq: u64,
    pub(crate) is_pointer: bool,
}

/// Reads what the leaf of a key holds.
pub(super) struct Get<'r> {
    key: &'r Key<'r>,
    out: &'r mut Vec<u8>,
    /// Whether it is no value, but says where one lies.
    pub(super) is_pointer: bool,
}

impl<'r> Get<'r> {
    #[inline(always)]
    pub(super) fn new(key: &'r Key<'r>, out: &'r mut Vec<u8>) -> Self {
        Get { key, out, is_pointer: false }
    }
}

impl Reading for Get<'_> {
    type Answer = Option<u64>;

    #[inline]
    fn read<P: Presence>(&mut self, route: &Route<'_>, presence: &P) -> Sound<Option<u64>> {
        self.out.clear();
        self.is_pointer = false;
        let words = route.frame.words;
        let Some(leaf) = find::find(words, route.root, self.key, route.base, presence)? else {
            return Ok(None);
        };
        leaf.append_value(words, self.out);
        self.is_pointer = leaf.is_pointer();
        Ok(Some(leaf.seq(words)))
    }
}

struct Observe<'r>(Get<'r>);

impl Reading for Observe<'_> {
    type Answer = (Option<u64>, u64);

    fn read<P: Presence>(&mut self, route: &Route<'_>, presence: &P) -> Sound<Self::Answer> {
        Ok((self.0.read(route, presence)?, header::highest_seq(route.frame.words)))
    }
}

struct VersionOf<'r> {
    key: &'r Key<'r>,
}

impl Reading for VersionOf<'_> {
    type Answer = Option<u64>;

    #[inline(always)]
    fn read<P: Presence>(&mut self, route: &Route<'_>, presence: &P) -> Sound<Option<u64>> {
        let words = route.frame.words;
        let leaf = find::find(words, route.root, self.key, route.base, presence)?;
        Ok(leaf.map(|leaf| leaf.seq(words)))
    }
}

/// The longest prefix that lies in the range of the key, and whether it is that of a pointer leaf; the lower
/// bound of that range, and a note of it if there is none.
struct LongestPrefix<'r> {
    forest: &'r Forest,
    key: &'r Key<'r>,
    shortest: usize,
}

impl Reading for LongestPrefix<'_> {
    type Answer = (Option<Prefix>, bool, Vec<u8>, Option<Note>);

    fn read<P: Presence>(&mut self, route: &Route<'_>, presence: &P) -> Sound<Self::Answer> {
        let words = route.frame.words;
        let bounds = self.forest.bounds(route, self.key).map_err(|_| Torn)?;
        let found = find::longest_prefix(words, route.root, self.key, route.base, self.shortest, presence)?;
        let is_pointer = found.as_ref().is_some_and(|(leaf, _)| leaf.is_pointer());
        let found = found.map(|(leaf, len)| (len, value_of(words, leaf), leaf.seq(words)));
        let note = || self.forest.note(route, self.key).map_err(|_| Torn);
        let note = if found.is_none() { Some(note()?) } else { None };
        Ok((found, is_pointer, bounds.lo, note))
    }
}

pub(super) fn value_of(words: Words<'_>, leaf: Leaf) -> Vec<u8> {
    let mut value = Vec::with_capacity(leaf.value_len().next_multiple_of(8));
    leaf.append_value(words, &mut value);
    value
}
