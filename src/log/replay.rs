//! Reading the log again after a crash: the records from a position on, up to the torn tail.
//!
//! A record is taken from the log area if it is valid there, else from the ring. Where neither has one,
//! the log ends, unless something is known to have been durable beyond: then the log is damaged, and
//! nothing of it may be forgotten.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::batch::Parts;
use super::history;
use super::payload::Write;
use super::record::{self, Head, Identity, Kind};
use super::ring::{self, SEGMENT_BYTES};
use crate::backend::{Area, BLOB_BYTES, Backend, PAGE_BYTES, ReadOp, RingMemory, room};
use crate::error::{Error, Result};

const PAGE: u64 = PAGE_BYTES as u64;

/// What replay has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// The position behind the last record.
    pub(crate) end: u64,
    /// The seq of the last write.
    pub(crate) seq: u64,
    /// How many writes there were.
    pub(crate) writes: u64,
    /// The records that only the ring has, and where they belong in the log.
    pub(crate) only_in_ring: Vec<(u64, Vec<u8>)>,
}

/// A log that nobody writes.
pub(crate) struct Reader<'a> {
    backend: &'a dyn Backend,
    identity: Identity,
    /// The ring's bytes without its header; empty if there is no ring of this log.
    ring: Vec<u8>,
    ring_durable: u64,
    /// Where segments lie in the area, by number.
    places: BTreeMap<u64, u64>,
    /// Places whose first page tells nothing: it may have been lost.
    unknown: Vec<u64>,
    /// Places whose first page is of an earlier life, and the segment that it names. It may be all that is
    /// left of that: the write of a new first page may have been lost.
    earlier: Vec<(u64, u64)>,
    /// The segment that was read last.
    segment: Option<(u64, Vec<u8>)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        backend: &'a dyn Backend,
        memory: Option<&dyn RingMemory>,
        identity: Identity,
    ) -> Result<Self> {
        let left = memory.and_then(|memory| Some((memory, ring::left_behind(memory)?)));
        let (ring, ring_durable) = match left.filter(|(_, left)| left.identity == identity) {
            Some((memory, left)) => (ring::bytes_of(memory)?, left.durable),
            None => (Vec::new(), 0),
        };
        let (places, unknown, earlier, segment) = (BTreeMap::new(), Vec::new(), Vec::new(), None);
        let mut reader = Reader { backend, identity, ring, ring_durable, places, unknown, earlier, segment };
        reader.find_segments()?;
        Ok(reader)
    }

    /// Reads the first page of every place.
    fn find_segments(&mut self) -> Result<()> {
        let mut buffer = self.backend.buffers().lease_blocking();
        for place in 0..self.backend.len(Area::Log)? / SEGMENT_BYTES {
            let offset_bytes = place * SEGMENT_BYTES;
            let page = &mut buffer[..PAGE_BYTES];
            self.backend.read(&mut [ReadOp { area: Area::Log, offset_bytes, buf: page }])?;
            let life = history::life_of(page, self.identity);
            match (segment_of(page, self.identity), life) {
                (Some(segment), _) => drop(self.places.insert(segment, offset_bytes)),
                (None, Some(life)) => self.earlier.push((offset_bytes, life.first_segment)),
                (None, None) => self.unknown.push(offset_bytes),
            }
        }
        Ok(())
    }

    fn read_place(&self, offset_bytes: u64) -> Result<Vec<u8>> {
        let mut buffer = self.backend.buffers().lease_blocking();
        let mut bytes = room::room(SEGMENT_BYTES as usize)?;
        for part in 0..SEGMENT_BYTES / BLOB_BYTES as u64 {
            let offset_bytes = offset_bytes + part * BLOB_BYTES as u64;
            self.backend.read(&mut [ReadOp { area: Area::Log, offset_bytes, buf: &mut buffer }])?;
            bytes.extend_from_slice(&buffer);
        }
        Ok(bytes)
    }

    fn load_segment(&mut self, number: u64) -> Result<()> {
        if self.segment.as_ref().is_none_or(|(loaded, _)| *loaded != number) {
            let bytes = match self.places.get(&number) {
                Some(&offset_bytes) => self.read_place(offset_bytes)?,
                None => Vec::new(),
            };
            self.segment = Some((number, bytes));
        }
        Ok(())
    }

    /// The record at `position`, whose segment is loaded: head, payload, and whether only the ring has it.
    fn record(&self, position: u64) -> Option<(Head, &[u8], bool)> {
        let offset = (position % SEGMENT_BYTES) as usize;
        let area = self.segment.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        [(area, false), (&self.ring, true)].into_iter().find_map(|(bytes, is_ring)| {
            let (head, payload) = record::decode(bytes.get(offset..)?, self.identity, position)?;
            Some((head, payload, is_ring))
        })
    }

    /// The bytes of a record that the ring has.
    fn bytes_in_ring(&self, position: u64, head: Head) -> Vec<u8> {
        let bytes = self.ring.get((position % SEGMENT_BYTES) as usize..);
        bytes.and_then(|bytes| bytes.get(..head.record_bytes())).unwrap_or_default().to_vec()
    }

    /// Where the record after `position` begins, if one that follows on `seq` is there.
    fn next(&mut self, position: u64, seq: u64) -> Result<Option<(u64, Head)>> {
        // Behind a group there is a gap up to the page; behind a record that is missing too, and then the
        // seq of what follows tells.
        for at in [position, position.next_multiple_of(PAGE)] {
            self.load_segment(at / SEGMENT_BYTES)?;
            let follows = |head: &Head| head.seq == seq + u64::from(head.kind.is_write());
            if let Some((head, ..)) = self.record(at).filter(|(head, ..)| follows(head)) {
                return Ok(Some((at, head)));
            }
        }
        Ok(None)
    }

    /// Hands every write from `position` on to `apply`; `seq` is that of the write before.
    pub(crate) fn replay(
        mut self,
        position: u64,
        seq: u64,
        mut apply: impl FnMut(u64, Write<'_>) -> Result<()>,
    ) -> Result<Replayed> {
        let mut done = Replayed { end: position, seq, writes: 0, only_in_ring: Vec::new() };
        let mut parts = Parts::default();
        while let Some((at, head)) = self.next(done.end, done.seq)? {
            let end = match head.kind {
                Kind::Segment => at + PAGE,
                Kind::Jump => (at / SEGMENT_BYTES + 1) * SEGMENT_BYTES,
                _ => at + head.record_bytes() as u64,
            };
            let Some((_, payload, is_only_in_ring)) = self.record(at) else { break };
            if head.kind == Kind::BatchPart {
                parts.take_in(payload)?;
            } else if head.kind.is_write() {
                let not_a_write = || damaged(at, "not a write");
                let write = Write::decode(head.kind, payload).ok_or_else(not_a_write)?;
                let write = match write {
                    Write::BatchCommit(ticket) => match parts.redeem(ticket).map(Write::Batch) {
                        Some(batch) => batch,
                        // A part is missing, so this was not durable either: the log ends here.
                        None => break,
                    },
                    single => single,
                };
                apply(head.seq, write)?;
                done.seq = head.seq.checked_add(write.seqs() - 1).ok_or_else(not_a_write)?;
                done.writes += write.seqs();
            }
            done.end = end;
            if is_only_in_ring {
                done.only_in_ring.push((at, self.bytes_in_ring(at, head)));
            }
        }
        self.nothing_durable_beyond(done.end)?;
        Ok(done)
    }

    /// The log ends at `end`: an error if something was durable beyond.
    fn nothing_durable_beyond(&mut self, end: u64) -> Result<()> {
        // So may be the first page of a place that was used again.
        let recycled = self.places.range(..end / SEGMENT_BYTES);
        let recycled = recycled.map(|(&segment, &offset_bytes)| (offset_bytes, segment));
        let earlier: Vec<(u64, u64)> = self.earlier.iter().copied().chain(recycled).collect();
        for (offset_bytes, segment) in earlier {
            if self.has_later_records(offset_bytes, segment)? {
                self.unknown.push(offset_bytes);
            }
        }
        let last = self.end_of_last_group(end)?;
        let error = Err(damaged(end, "a record is missing before a position that was durable"));
        if self.ring_durable > last {
            return error;
        }
        let first_segment = end / SEGMENT_BYTES;
        if !self.ring.is_empty() {
            let laps = [first_segment, first_segment + 1];
            if laps.into_iter().any(|segment| self.tells_of_more(&self.ring, segment, last)) {
                return error;
            }
        }
        let ahead: Vec<u64> = self.places.range(first_segment..).map(|(&segment, _)| segment).collect();
        for segment in ahead {
            // The first of them has been read for the last record, mostly.
            self.load_segment(segment)?;
            let bytes = self.segment.as_ref().map_or(&[][..], |(_, bytes)| bytes);
            if self.tells_of_more(bytes, segment, last) {
                return error;
            }
        }
        for &offset_bytes in &self.unknown {
            let bytes = self.read_place(offset_bytes)?;
            let places = (self.places.len() + self.unknown.len()) as u64;
            let mut segments = first_segment..=first_segment + places;
            if segments.any(|segment| self.tells_of_more(&bytes, segment, last)) {
                return error;
            }
        }
        Ok(())
    }

    /// Whether the first record of a place knows of something durable behind the segment that the first page
    /// names, as none of that segment can. So what is kept of earlier lives is not read at every recovery.
    fn has_later_records(&self, offset_bytes: u64, segment: u64) -> Result<bool> {
        let mut buffer = self.backend.buffers().lease_blocking();
        let (offset_bytes, page) = (offset_bytes + PAGE, &mut buffer[..PAGE_BYTES]);
        self.backend.read(&mut [ReadOp { area: Area::Log, offset_bytes, buf: page }])?;
        let words =
            [0, 1, 2].map(|at| page[at * 8..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word)));
        Ok(Head::decode(words).is_some_and(|head| head.durable / SEGMENT_BYTES > segment))
    }

    /// Behind the last record of a group lies a word of zeros, and the group goes on to the end of its page.
    /// Where there is another word, a record was, and less than this page may have been durable.
    fn end_of_last_group(&mut self, end: u64) -> Result<u64> {
        self.load_segment(end / SEGMENT_BYTES)?;
        let offset = (end % SEGMENT_BYTES) as usize;
        let area = self.segment.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let bytes = if area.is_empty() { &self.ring[..] } else { area };
        let is_zero = bytes.get(offset..offset + 8).is_none_or(|word| word == [0; 8]);
        Ok(if is_zero { end.next_multiple_of(PAGE) } else { end })
    }

    /// Whether a page of this segment, behind `last`, begins with a record that knows of something durable
    /// behind `last`; or one right there that knows all before it to be durable, and yet does not follow on
    /// what was found: then what is missing was before `last`.
    fn tells_of_more(&self, bytes: &[u8], segment: u64, last: u64) -> bool {
        let pages = bytes.chunks_exact(PAGE_BYTES).enumerate();
        pages.into_iter().any(|(page, first)| {
            let position = segment * SEGMENT_BYTES + page as u64 * PAGE;
            // Most pages begin with something else: look before hashing.
            let plausible = position >= last && first[4..8].iter().skip(1).all(|&byte| byte == 0);
            plausible
                && record::decode(&bytes[page * PAGE_BYTES..], self.identity, position)
                    .is_some_and(|(head, _)| head.durable > last || head.durable == last && position == last)
        })
    }
}

/// The number of the segment whose first page this is.
pub(super) fn segment_of(page: &[u8], identity: Identity) -> Option<u64> {
    let number_at = record::HEAD_WORDS * 8;
    let number = u64::from_le_bytes(*page[number_at..].first_chunk()?);
    let position = number.checked_mul(SEGMENT_BYTES)?;
    let (head, _) = record::decode(page, identity, position)?;
    (head.kind == Kind::Segment).then_some(number)
}

fn damaged(position: u64, reason: &'static str) -> Error {
    Error::LogCorrupt { position, reason }
}
