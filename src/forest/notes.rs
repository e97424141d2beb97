//! What a walk over a range has seen, so that it can be asked later whether it would see the same again.
//!
//! A note names a blob that the walk was in, by where it entered, where the blob's range ends, and a number
//! that moves with every change of the blob's content. As long as the routers lead from there to the same
//! blob, with the same end, and the number is the same, no key has come or gone in that stretch: whoever
//! moves the bound between two blobs changes both. What leaves memory, or comes back, changes none of this.

#![forbid(unsafe_code)]

use super::Forest;
use super::route::{Lost, Route};
use super::write::Try;
use crate::blob::Key;
use crate::blob::header;
use crate::blob::key::KeyBuf;
use crate::error::Result;
use crate::store::residency::Faults;

/// How often others may come between the steps of a look: more often than anybody can.
pub(crate) const LOOKS_MAX: u32 = 10_000;

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Where the walk entered.
    at: Vec<u8>,
    pub(crate) blob: u32,
    /// How much of its keys the routers spell: the same words may come to stand for other keys.
    base: usize,
    content: u64,
    /// Where the blob's range ends.
    hi: Option<Vec<u8>>,
    /// The highest seq in the blob.
    pub(crate) highest_seq: u64,
}

/// What a transaction has read, but for the keys that it has asked for one by one.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) notes: Vec<Note>,
    /// How often keys had moved without a new version: if they have since, the version of a key does not tell
    /// that it is the same. None if that does not matter.
    pub(crate) moves: Option<u64>,
}

impl Note {
    /// Speaks for the other one, too, if both are of one blob in one state: what holds from the lower place
    /// on holds from the higher one on.
    pub(crate) fn take_in(&mut self, other: Note) -> bool {
        let place = |note: &Note| (note.blob, note.base, note.content);
        let is_same = place(self) == place(&other) && self.hi == other.hi;
        if is_same && other.at < self.at {
            self.at = other.at;
        }
        is_same
    }
}

impl Forest {
    /// Notes where a route forward has led. To be validated with the route.
    pub(super) fn note(&self, route: &Route<'_>, key: &Key<'_>) -> std::result::Result<Note, Lost> {
        Ok(Note {
            at: key.bytes().to_vec(),
            blob: route.frame.id,
            base: route.base,
            content: route.frame.content(),
            hi: self.bounds(route, key)?.hi,
            highest_seq: header::highest_seq(route.frame.words),
        })
    }

    /// Whether a look that others may have disturbed has seen one moment.
    #[inline(never)]
    pub(crate) fn all_hold(&self, notes: &[Note]) -> Result<bool> {
        for note in notes {
            if !self.still_holds(note)? {
                std::thread::yield_now();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a walk would see the same again.
    pub(crate) fn still_holds(&self, note: &Note) -> Result<bool> {
        let mut faults = Faults::new(&self.store);
        loop {
            match self.revisit(note) {
                Ok(found) => return Ok(found.is_some()),
                Err(stop) => self.resume(stop, &mut faults)?,
            }
        }
    }

    /// The route to what a note speaks of, if it is as it was. Both count only as long as the route is
    /// unchanged.
    pub(super) fn revisit(&self, note: &Note) -> Try<Option<Route<'_>>> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(&note.at);
        let mut route = self.start()?;
        match route.find(self, &key) {
            Ok(()) | Err(Lost::Partial) => {}
            // It has left memory. What it held is known all the same.
            Err(Lost::Absent(blob)) if blob == note.blob && route.frame.id == blob => {}
            Err(lost) => return Err(lost.into()),
        }
        let same = route.frame.id == note.blob && route.base == note.base;
        let same = same && route.frame.content() == note.content;
        let same = same && self.bounds(&route, &key)?.hi == note.hi;
        match route.is_unchanged() {
            true => Ok(same.then_some(route)),
            false => Err(Lost::Restart.into()),
        }
    }
}
