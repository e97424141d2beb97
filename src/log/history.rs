//! What the log area has of the log before a crash, for those who read changes.
//!
//! A log that goes on after a crash begins a new segment, under the next incarnation. What lies before it in
//! the area is history: segments of this log under earlier incarnations, each a *life*. What recovery found
//! in the ring alone is written to the area, because the ring is about to be used again.
//!
//! Invariant: a segment counts only if its first page is valid under the log id and an incarnation that is
//! not later than the one that was recovered. Whether one life goes on where the other ended is seen by
//! whoever reads: the seqs must follow each other.
//!
//! Must not know: what a record means.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::record::Identity;
use super::replay::{Replayed, segment_of};
use super::ring::SEGMENT_BYTES;
use crate::backend::{Area, Backend, PAGE_BYTES, ReadOp, WriteOp};
use crate::error::Result;

/// So many crashes in a row are looked back over.
const LIVES_MAX: u32 = 64;

const PAGE: u64 = PAGE_BYTES as u64;

/// Segments that one incarnation has written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) first_segment: u64,
    pub(crate) incarnation: u32,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The segment in each place of the area.
    pub(crate) held: Vec<Option<u64>>,
    /// In the order of their segments.
    pub(crate) lives: Vec<Life>,
}

impl History {
    /// Looks for what the area has of the log of this identity, which was replayed. Segments that only the
    /// ring has get a place.
    pub(crate) fn find(backend: &dyn Backend, identity: Identity, replayed: &Replayed) -> Result<History> {
        let mut found: BTreeMap<u64, u32> = BTreeMap::new();
        let mut held = Vec::new();
        let mut buffer = backend.buffers().lease_blocking();
        let page = &mut buffer[..PAGE_BYTES];
        for place in 0..backend.len(Area::Log)? / SEGMENT_BYTES {
            let offset_bytes = place * SEGMENT_BYTES;
            backend.read(&mut [ReadOp { area: Area::Log, offset_bytes, buf: page }])?;
            let life =
                life_of(page, identity).filter(|life| life.first_segment * SEGMENT_BYTES < replayed.end);
            held.push(None);
            let Some(life) = life else { continue };
            // A life that had lost its end to a loss of power has written the same segment as the one before.
            match found.get(&life.first_segment) {
                Some(&later) if later > life.incarnation => continue,
                Some(_) => forget(&mut held, life.first_segment),
                None => {}
            }
            found.insert(life.first_segment, life.incarnation);
            held[place as usize] = Some(life.first_segment);
        }
        for segment in replayed.only_in_ring.iter().map(|(position, _)| position / SEGMENT_BYTES) {
            if let Entry::Vacant(entry) = found.entry(segment)
                && let Some(free) = held.iter_mut().find(|place| place.is_none())
            {
                *free = Some(segment);
                entry.insert(identity.incarnation);
            }
        }
        let mut lives: Vec<Life> = Vec::new();
        for (first_segment, incarnation) in found {
            if lives.last().is_none_or(|life| life.incarnation != incarnation) {
                lives.push(Life { first_segment, incarnation });
            }
        }
        Ok(History { held, lives })
    }

    /// The records that only the ring has, and their bytes in the area.
    pub(crate) fn missing(&self, replayed: &Replayed) -> Missing {
        let mut pieces = Vec::new();
        for (position, bytes) in &replayed.only_in_ring {
            let segment = position / SEGMENT_BYTES;
            if let Some(place) = self.held.iter().position(|held| *held == Some(segment)) {
                pieces.push((place as u64 * SEGMENT_BYTES + position % SEGMENT_BYTES, bytes.clone()));
            }
        }
        Missing { pieces }
    }
}

/// What has to be written to the area, so that who reads there finds what recovery has found.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Bytes, and where they go.
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Missing {
    pub(crate) fn write(&self, backend: &dyn Backend) -> Result<()> {
        let mut buffer = backend.buffers().lease_blocking();
        let buffer = &mut buffer[..PAGE_BYTES];
        // The page that the buffer holds.
        let mut held = None;
        for (from, bytes) in &self.pieces {
            let mut done = 0;
            while done < bytes.len() {
                let at = from + done as u64;
                let (page, offset) = (at / PAGE * PAGE, (at % PAGE) as usize);
                if held != Some(page) {
                    write_page(backend, held, buffer)?;
                    backend.read(&mut [ReadOp { area: Area::Log, offset_bytes: page, buf: buffer }])?;
                    held = Some(page);
                }
                let taken = (PAGE_BYTES - offset).min(bytes.len() - done);
                buffer[offset..offset + taken].copy_from_slice(&bytes[done..done + taken]);
                done += taken;
            }
        }
        write_page(backend, held, buffer)?;
        if held.is_some() {
            backend.sync(Area::Log)?;
        }
        Ok(())
    }
}

fn forget(held: &mut [Option<u64>], segment: u64) {
    held.iter_mut().filter(|place| **place == Some(segment)).for_each(|place| *place = None);
}

fn write_page(backend: &dyn Backend, page: Option<u64>, buf: &[u8]) -> Result<()> {
    let op = page.map(|offset_bytes| WriteOp { area: Area::Log, offset_bytes, buf });
    Ok(op.map_or(Ok(()), |op| backend.write(&[op]))?)
}

/// Which segment begins with this page, and who has written it.
pub(super) fn life_of(page: &[u8], identity: Identity) -> Option<Life> {
    let earliest = identity.incarnation.saturating_sub(LIVES_MAX);
    (earliest..=identity.incarnation).rev().find_map(|incarnation| {
        let first_segment = segment_of(page, Identity { incarnation, ..identity })?;
        Some(Life { first_segment, incarnation })
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::backend::MemoryBackend;
    use crate::log::record::{self, Head, Kind};

    const IDENTITY: Identity = Identity { log_id: 9, incarnation: 70 };

    /// A log area with these places: the segment in each and the incarnation that has written it.
    fn area(places: &[Option<(u64, u32)>]) -> MemoryBackend {
        let backend = MemoryBackend::new();
        backend.set_len(Area::Log, places.len() as u64 * SEGMENT_BYTES).expect("memory");
        for (place, held) in places.iter().enumerate() {
            let Some((segment, incarnation)) = held else { continue };
            let payload = segment.to_le_bytes();
            let head = Head { kind: Kind::Segment, payload_bytes: payload.len(), seq: 0, durable: 0 };
            let identity = Identity { incarnation: *incarnation, ..IDENTITY };
            let bytes = record::encode(head, &payload, identity, segment * SEGMENT_BYTES);
            put(&backend, place as u64 * SEGMENT_BYTES, &bytes);
        }
        backend
    }

    /// Writes the beginning of a page.
    fn put(backend: &MemoryBackend, offset_bytes: u64, bytes: &[u8]) {
        let mut buffer = backend.buffers().lease_blocking();
        let buf = &mut buffer[..PAGE_BYTES];
        buf.fill(0);
        buf[..bytes.len()].copy_from_slice(bytes);
        backend.write(&[WriteOp { area: Area::Log, offset_bytes, buf }]).expect("memory");
    }

    fn replayed(end_segment: u64, only_in_ring: Vec<(u64, Vec<u8>)>) -> Replayed {
        Replayed { end: end_segment * SEGMENT_BYTES, seq: 5, writes: 5, only_in_ring }
    }

    fn lives(history: &History) -> Vec<(u64, u32)> {
        history.lives.iter().map(|life| (life.first_segment, life.incarnation)).collect()
    }

    #[test]
    fn segments_are_told_by_life_and_what_came_later_or_long_before_is_none() {
        // Segment 8 is behind what was replayed; 2 is of a life too long ago, 6 of one that is still to come.
        let places = [(7, 70), (3, 68), (8, 70), (4, 68), (2, 5), (5, 69), (6, 71)];
        let backend = area(&places.map(Some));
        let history = History::find(&backend, IDENTITY, &replayed(8, Vec::new())).expect("reads");
        assert_eq!(history.held, [Some(7), Some(3), None, Some(4), None, Some(5), None]);
        assert_eq!(lives(&history), [(3, 68), (5, 69), (7, 70)]);
        assert!(history.missing(&replayed(8, Vec::new())).pieces.is_empty());
    }

    /// After a loss of power that took the end of a life, the next one has begun with the same segment.
    #[test]
    fn of_two_segments_of_one_number_the_later_life_counts() {
        for swapped in [false, true] {
            let mut places = [Some((4, 68)), Some((5, 69)), Some((5, 70)), None];
            let mut held = [Some(4), None, Some(5), None];
            if swapped {
                places.swap(1, 2);
                held.swap(1, 2);
            }
            let history = History::find(&area(&places), IDENTITY, &replayed(6, Vec::new())).expect("reads");
            assert_eq!(history.held, held);
            assert_eq!(lives(&history), [(4, 68), (5, 70)]);
        }
    }

    #[test]
    fn lives_are_looked_for_as_far_back_as_promised_and_no_further() {
        let oldest = IDENTITY.incarnation - LIVES_MAX;
        let backend = area(&[Some((1, oldest)), Some((2, oldest - 1)), None]);
        let history = History::find(&backend, IDENTITY, &replayed(4, Vec::new())).expect("reads");
        assert_eq!((history.held, history.lives.len()), (vec![Some(1), None, None], 1));
        // Another log's.
        let other = Identity { log_id: 10, ..IDENTITY };
        let history = History::find(&backend, other, &replayed(4, Vec::new())).expect("reads");
        assert_eq!((history.held, history.lives.len()), (vec![None; 3], 0));
    }

    #[test]
    fn what_the_ring_alone_has_gets_a_place_and_is_written_there() {
        let backend = area(&[Some((5, 70)), None, None]);
        put(&backend, SEGMENT_BYTES + 3 * PAGE, &[1; 100]);
        let five = 5 * SEGMENT_BYTES + 2 * PAGE + 8;
        let six = 6 * SEGMENT_BYTES + 3 * PAGE + 50;
        // The second goes on over the end of a page.
        let ring = vec![(five, vec![2; 24]), (six, vec![3; PAGE_BYTES]), (six + PAGE, vec![4; 10])];
        let replayed = replayed(7, ring);
        let history = History::find(&backend, IDENTITY, &replayed).expect("reads");
        assert_eq!(history.held, [Some(5), Some(6), None]);
        assert_eq!(lives(&history), [(5, 70)]);
        history.missing(&replayed).write(&backend).expect("memory");
        let area = backend.to_bytes(Area::Log);
        let first = (2 * PAGE + 8) as usize;
        assert_eq!((area[first - 1], &area[first..first + 24], area[first + 24]), (0, &[2; 24][..], 0));
        let second = (SEGMENT_BYTES + 3 * PAGE + 50) as usize;
        assert_eq!(area[second - 50..second], [1; 50], "what was in the page before");
        assert_eq!(area[second..second + PAGE_BYTES], [3; PAGE_BYTES]);
        let third = second + PAGE_BYTES;
        assert_eq!((&area[third..third + 10], area[third + 10]), (&[4; 10][..], 0));
        // Once more: what is there stays.
        history.missing(&replayed).write(&backend).expect("memory");
        assert!(backend.to_bytes(Area::Log) == area);
    }

    #[test]
    fn what_finds_no_place_is_not_written() {
        let backend = area(&[Some((5, 70))]);
        let replayed = replayed(7, vec![(6 * SEGMENT_BYTES, vec![3; 8])]);
        let history = History::find(&backend, IDENTITY, &replayed).expect("reads");
        assert_eq!(history.held, [Some(5)]);
        assert!(history.missing(&replayed).pieces.is_empty());
    }
}
