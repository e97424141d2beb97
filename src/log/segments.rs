//! The log area: a row of places of 4 MiB, each free or holding one segment.
//!
//! A place is written full of zeros when it is made, so that later writes into it change no metadata of a
//! file. When a checkpoint has made a segment's records superfluous, its place is used again.
//!
//! Must not know: records; the ring.

#![forbid(unsafe_code)]

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::ring::SEGMENT_BYTES;
use crate::backend::{Area, Backend};

/// Why a segment got no place.
#[derive(Debug)]
pub(crate) enum Unprepared {
    NotMade(io::Error),
    /// What else was written to the area and not yet synced may be lost as well.
    NotSynced(io::Error),
}

/// Places beyond the usual number that a batch in parts may take: seven segments hold the longest one, even
/// if other records lie between its parts, and one more may be left of the batch before.
const STAGED_PLACES: usize = 8;

/// See the head of this file.
pub(crate) struct Segments {
    backend: Arc<dyn Backend>,
    /// The segment in each place of the area.
    places: Mutex<Vec<Option<u64>>>,
    places_max: usize,
    /// Held while a place is made; true when none may be made any more. Who looks for a place need not wait
    /// for that.
    making: Mutex<bool>,
}

impl Segments {
    /// All places of the area are free.
    pub(crate) fn new(backend: Arc<dyn Backend>, places_max: usize) -> io::Result<Self> {
        let places = (backend.len(Area::Log)? / SEGMENT_BYTES) as usize;
        Ok(Segments {
            backend,
            places: Mutex::new(vec![None; places]),
            places_max: places_max.max(2),
            making: Mutex::new(false),
        })
    }

    fn places(&self) -> MutexGuard<'_, Vec<Option<u64>>> {
        self.places.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn making(&self) -> MutexGuard<'_, bool> {
        self.making.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Gives `segment` a place. False if there is none and the area may not grow: for a batch in parts it may
    /// grow further.
    pub(crate) fn prepare(&self, segment: u64, staged: bool) -> Result<bool, Unprepared> {
        let places_max = self.places_max + if staged { STAGED_PLACES } else { 0 };
        let has_ended = self.making();
        let places = {
            let mut places = self.places();
            if places.contains(&Some(segment)) {
                let used = places.iter().flatten().filter(|&&other| other <= segment).count();
                return Ok(used <= places_max);
            }
            if places.iter().flatten().count() >= places_max {
                return Ok(false);
            }
            if let Some(free) = places.iter_mut().find(|place| place.is_none()) {
                *free = Some(segment);
                return Ok(true);
            }
            places.len()
        };
        if *has_ended || places >= places_max {
            return Ok(false);
        }
        let offset_bytes = places as u64 * SEGMENT_BYTES;
        let made = self.backend.set_len(Area::Log, offset_bytes + SEGMENT_BYTES);
        let made = made.and_then(|()| self.backend.write_zeros(Area::Log, offset_bytes, SEGMENT_BYTES));
        if let Err(error) = made {
            // What is there must be a place, or the next process takes a hole for one.
            let _ = self.backend.set_len(Area::Log, offset_bytes);
            return Err(Unprepared::NotMade(error));
        }
        self.backend.sync(Area::Log).map_err(Unprepared::NotSynced)?;
        self.places().push(Some(segment));
        Ok(true)
    }

    /// Makes no places from now on. One that is being made is waited for.
    pub(crate) fn end(&self) {
        *self.making() = true;
    }

    /// Where the log position lies in the area.
    ///
    /// # Panics
    ///
    /// If its segment has no place: only positions that were declared ready are asked for.
    pub(crate) fn offset_of(&self, position: u64) -> u64 {
        let segment = position / SEGMENT_BYTES;
        let place = self.places().iter().position(|&place| place == Some(segment));
        let place = place.expect("a segment has a place before a record goes there");
        place as u64 * SEGMENT_BYTES + position % SEGMENT_BYTES
    }

    /// Frees the places of all segments that end at or before `position`.
    pub(crate) fn recycle_before(&self, position: u64) {
        for place in self.places().iter_mut() {
            if place.is_some_and(|segment| (segment + 1) * SEGMENT_BYTES <= position) {
                *place = None;
            }
        }
    }

    /// Places that hold a segment, and the most there may be.
    pub(crate) fn used(&self) -> (usize, usize) {
        (self.places().iter().flatten().count(), self.places_max)
    }
}
