//! The log area: a row of places of 4 MiB, each free or holding one segment.
//!
//! A place is written full of zeros when it is made, so that later writes into it change no metadata of a
//! file. When a checkpoint has made a segment's records superfluous, its place is used again: at once, or
//! when so much of the log has followed as is kept for those who read changes. What is kept for them alone
//! counts for no limit, so it never makes a writer wait.
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

/// How large the area may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Segments that are needed, or ready for the next records.
    pub(crate) segments_max: usize,
    /// How much is kept of what is not needed any more.
    pub(crate) kept_bytes: u64,
}

/// The segment in each place of the area.
#[derive(Default)]
struct Places {
    held: Vec<Option<u64>>,
    /// Segments that end at or before this position are kept for readers alone.
    needed_from: u64,
}

impl Places {
    /// The segments that are needed.
    fn needed(&self) -> impl Iterator<Item = u64> {
        let is_needed = |segment: &u64| (segment + 1) * SEGMENT_BYTES > self.needed_from;
        self.held.iter().flatten().copied().filter(is_needed)
    }

    fn offset_of(&self, segment: u64) -> Option<u64> {
        let place = self.held.iter().position(|&held| held == Some(segment))?;
        Some(place as u64 * SEGMENT_BYTES)
    }
}

/// See the head of this file.
pub(crate) struct Segments {
    backend: Arc<dyn Backend>,
    places: Mutex<Places>,
    places_max: usize,
    kept_bytes: u64,
    /// Held while a place is made; true when none may be made any more. Who looks for a place need not wait
    /// for that.
    making: Mutex<bool>,
}

impl Segments {
    /// `held` says which places hold something that may be kept; all others of the area are free.
    pub(crate) fn new(backend: Arc<dyn Backend>, room: Room, mut held: Vec<Option<u64>>) -> io::Result<Self> {
        held.resize((backend.len(Area::Log)? / SEGMENT_BYTES) as usize, None);
        Ok(Segments {
            backend,
            places: Mutex::new(Places { held, needed_from: 0 }),
            places_max: room.segments_max.max(2),
            kept_bytes: room.kept_bytes,
            making: Mutex::new(false),
        })
    }

    /// The area was emptied: no segment has a place.
    pub(crate) fn forget(&self) {
        self.places().held.clear();
    }

    fn places(&self) -> MutexGuard<'_, Places> {
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
            if places.held.contains(&Some(segment)) {
                let used = places.needed().filter(|&other| other <= segment).count();
                return Ok(used <= places_max);
            }
            if places.needed().count() >= places_max {
                return Ok(false);
            }
            if let Some(free) = places.held.iter_mut().find(|place| place.is_none()) {
                *free = Some(segment);
                return Ok(true);
            }
            places.held.len()
        };
        let kept_places = self.kept_bytes.div_ceil(SEGMENT_BYTES) as usize;
        if *has_ended || places >= places_max + kept_places {
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
        self.places().held.push(Some(segment));
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
        let place = self.places().offset_of(position / SEGMENT_BYTES);
        place.expect("a segment has a place before a record goes there") + position % SEGMENT_BYTES
    }

    /// Where the segment lies in the area, if it still does.
    pub(crate) fn place_of(&self, segment: u64) -> Option<u64> {
        self.places().offset_of(segment)
    }

    /// All segments that have a place, in order.
    pub(crate) fn held(&self) -> Vec<u64> {
        let mut held: Vec<u64> = self.places().held.iter().flatten().copied().collect();
        held.sort_unstable();
        held
    }

    /// Frees the places of all segments that end at or before `position`, but for those that are kept.
    pub(crate) fn recycle_before(&self, position: u64) {
        let mut places = self.places();
        places.needed_from = places.needed_from.max(position);
        for place in &mut places.held {
            if place.is_some_and(|segment| (segment + 1) * SEGMENT_BYTES + self.kept_bytes <= position) {
                *place = None;
            }
        }
    }

    /// Segments that are needed, or ready for the next records, and the most there may be.
    pub(crate) fn used(&self) -> (usize, usize) {
        (self.places().needed().count(), self.places_max)
    }

    /// Whether anything is kept beyond what is needed.
    pub(crate) fn keeps_more(&self) -> bool {
        self.kept_bytes > 0
    }

    /// Segments that are kept for readers alone.
    pub(crate) fn kept(&self) -> usize {
        let places = self.places();
        places.held.iter().flatten().count() - places.needed().count()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::backend::MemoryBackend;

    fn segments(segments_max: usize, kept_segments: u64, held: Vec<Option<u64>>) -> Segments {
        let backend = MemoryBackend::new();
        backend.set_len(Area::Log, held.len() as u64 * SEGMENT_BYTES).expect("memory");
        let room = Room { segments_max, kept_bytes: kept_segments * SEGMENT_BYTES };
        Segments::new(Arc::new(backend), room, held).expect("a length")
    }

    fn prepares(segments: &Segments, segment: u64, staged: bool) -> bool {
        segments.prepare(segment, staged).expect("memory")
    }

    fn area_segments(segments: &Segments) -> u64 {
        segments.backend.len(Area::Log).expect("a length") / SEGMENT_BYTES
    }

    #[test]
    fn places_are_made_up_to_the_limit_and_used_again() {
        let segments = segments(3, 0, Vec::new());
        assert!((0..3).all(|segment| prepares(&segments, segment, false)));
        assert!(prepares(&segments, 1, false), "it has a place");
        assert!(!prepares(&segments, 3, false));
        assert_eq!((segments.held(), segments.used(), area_segments(&segments)), (vec![0, 1, 2], (3, 3), 3));
        // A segment is needed while a byte of it is.
        segments.recycle_before(2 * SEGMENT_BYTES - 1);
        assert_eq!((segments.held(), segments.used().0), (vec![1, 2], 2));
        assert!(prepares(&segments, 3, false));
        assert_eq!((segments.place_of(3), segments.place_of(0)), (Some(0), None));
        segments.recycle_before(2 * SEGMENT_BYTES);
        assert_eq!(segments.held(), [2, 3]);
        assert_eq!(segments.offset_of(2 * SEGMENT_BYTES + 5), 2 * SEGMENT_BYTES + 5);
        assert_eq!(segments.offset_of(3 * SEGMENT_BYTES + 7), 7);
        assert!(prepares(&segments, 4, false) && !prepares(&segments, 5, false));
        assert_eq!(area_segments(&segments), 3, "it does not grow");
        assert!(!segments.keeps_more() && segments.kept() == 0);
    }

    #[test]
    fn what_is_kept_counts_for_no_limit_and_is_given_up_when_more_has_followed() {
        let segments = segments(2, 2, Vec::new());
        assert!(segments.keeps_more());
        assert!(
            prepares(&segments, 0, false) && prepares(&segments, 1, false) && !prepares(&segments, 2, false)
        );
        segments.recycle_before(2 * SEGMENT_BYTES);
        assert_eq!((segments.held(), segments.used(), segments.kept()), (vec![0, 1], (0, 2), 2));
        assert!(prepares(&segments, 2, false) && prepares(&segments, 3, false));
        assert_eq!((segments.kept(), area_segments(&segments)), (2, 4));
        segments.recycle_before(3 * SEGMENT_BYTES - 1);
        assert_eq!((segments.held(), segments.kept()), (vec![0, 1, 2, 3], 2));
        segments.recycle_before(3 * SEGMENT_BYTES);
        assert_eq!((segments.held(), segments.kept()), (vec![1, 2, 3], 2));
        // No more places than those that are needed and those that are kept.
        assert!(prepares(&segments, 4, false) && !prepares(&segments, 5, false));
        assert_eq!(area_segments(&segments), 4);
        // An earlier position takes nothing back.
        segments.recycle_before(0);
        assert_eq!(segments.used().0, 2);
    }

    #[test]
    fn a_batch_in_parts_may_take_more_places_and_others_wait_until_they_are_free() {
        let segments = segments(2, 0, Vec::new());
        let most = 2 + STAGED_PLACES as u64;
        assert!((0..most).all(|segment| prepares(&segments, segment, true)));
        assert!(!prepares(&segments, most, true));
        assert_eq!(segments.used(), (most as usize, 2));
        // What has a place already may be written by others as far as the usual number goes.
        assert!(
            prepares(&segments, 1, false) && !prepares(&segments, 2, false) && prepares(&segments, 2, true)
        );
        segments.recycle_before((most - 1) * SEGMENT_BYTES);
        assert!(prepares(&segments, most, false) && !prepares(&segments, most + 1, false));
    }

    #[test]
    fn what_was_there_is_found_and_nothing_is_made_after_the_end() {
        let segments = segments(3, 0, vec![None, Some(7)]);
        assert_eq!((segments.place_of(7), segments.held()), (Some(SEGMENT_BYTES), vec![7]));
        segments.end();
        assert!(prepares(&segments, 8, false), "a free place is there");
        assert!(!prepares(&segments, 9, false));
        assert_eq!(area_segments(&segments), 2);
        segments.forget();
        assert_eq!((segments.held(), segments.place_of(7)), (vec![], None));
    }

    #[test]
    fn fewer_than_two_places_are_too_few() {
        let segments = segments(0, 0, Vec::new());
        assert!(
            prepares(&segments, 0, false) && prepares(&segments, 1, false) && !prepares(&segments, 2, false)
        );
    }
}
