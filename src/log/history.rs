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
            held.push(life.map(|life| life.first_segment));
            found.extend(life.map(|life| (life.first_segment, life.incarnation)));
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
