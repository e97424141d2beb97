//! Reading the durable part of the log in its order, while others append to it and its places are used again.
//!
//! A cursor reads the log area, as replay does: a record counts if it is valid at its position and its seq
//! follows the one before. It takes no lock that a writer waits for, and it pins nothing: if the segment that
//! it wants has lost its place meanwhile, the checksum of whatever lies there does not fit the position, and
//! the reader is told where it can go on.
//!
//! Invariants:
//! * nothing is read beyond the durable position, so no torn tail is ever met. Before it all is there, or the
//!   log is damaged;
//! * a batch in parts is handed out with the record that makes it count, whole;
//! * where one life of the log ends and the next begins, the seqs follow each other, or something is missing.
//!
//! Must not know: what a write means.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::Log;
use super::batch::{Parts, Ticket};
use super::payload::Write;
use super::record::{self, HEAD_WORDS, Head, Identity, Kind};
use super::ring::SEGMENT_BYTES;
use crate::backend::{Area, BLOB_BYTES, PAGE_BYTES, ReadOp};
use crate::error::{Error, Result};

const PAGE: u64 = PAGE_BYTES as u64;

/// A place in the log, between two writes.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// Where the next record is expected.
    position: u64,
    /// The seq of the last write before it.
    seq: u64,
    /// A part of one segment as it was read, and where in the log it begins: at a page.
    window: Vec<u8>,
    window_from: u64,
    parts: Parts,
    /// Everything before this has been read.
    seen: u64,
}

impl Cursor {
    fn at(position: u64, seq: u64) -> Cursor {
        Cursor { position, seq, ..Cursor::default() }
    }

    /// The seq of the last write that was passed.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    fn window_end(&self) -> u64 {
        self.window_from + self.window.len() as u64
    }

    /// What the window has from `position` on.
    fn bytes_from(&self, position: u64) -> &[u8] {
        let offset = position.checked_sub(self.window_from);
        offset.and_then(|offset| self.window.get(offset as usize..)).unwrap_or_default()
    }
}

/// A write that a cursor has come to: the window has it.
struct Found {
    at: u64,
    head: Head,
}

impl Found {
    fn payload<'c>(&self, cursor: &'c Cursor) -> &'c [u8] {
        let bytes = cursor.bytes_from(self.at).get(HEAD_WORDS * 8..);
        bytes.and_then(|bytes| bytes.get(..self.head.payload_bytes)).unwrap_or_default()
    }
}

impl Log {
    /// A cursor behind the write `since`. All up to there must be durable; a batch that goes further is in
    /// front of the cursor as a whole.
    pub(crate) fn cursor(&self, since: u64) -> Result<Cursor> {
        let mut oldest = self.start.last_seq;
        let mut held = self.segments.held();
        if held.is_empty() {
            // The log has not begun. When it does, it begins here.
            held.push(self.start.position / SEGMENT_BYTES);
        }
        for segment in held.into_iter().rev() {
            let Some(seq) = self.seq_before(segment)? else { continue };
            if seq <= since {
                return self.cursor_from(segment, seq, since);
            }
            oldest = seq;
        }
        Err(Error::ChangesRecycled { since, oldest })
    }

    fn cursor_from(&self, segment: u64, seq: u64, since: u64) -> Result<Cursor> {
        let mut cursor = Cursor::at(segment * SEGMENT_BYTES, seq);
        while cursor.seq < since {
            let (position, seq) = (cursor.position, cursor.seq);
            if self.next_write(&mut cursor)?.is_none() {
                return Err(Error::ChangesAhead { since, last: cursor.seq });
            }
            if cursor.seq > since {
                (cursor.position, cursor.seq) = (position, seq);
                break;
            }
        }
        Ok(cursor)
    }

    /// Hands the next durable write to `take`, with its seq; none if there is no other yet. If it is not
    /// taken, the cursor stays before it.
    pub(crate) fn follow<T>(
        &self,
        cursor: &mut Cursor,
        take: impl FnOnce(u64, Write<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let before = cursor.seq;
        let Some(found) = self.next_write(cursor)? else {
            return Ok(None);
        };
        let taken = self.hand_out(cursor, &found, before, take);
        if taken.is_err() {
            (cursor.position, cursor.seq) = (found.at, before);
        }
        taken.map(Some)
    }

    fn hand_out<T>(
        &self,
        cursor: &mut Cursor,
        found: &Found,
        before: u64,
        take: impl FnOnce(u64, Write<'_>) -> Result<T>,
    ) -> Result<T> {
        if found.head.kind == Kind::BatchCommit {
            let ticket = Ticket::decode(found.payload(cursor)).ok_or_else(|| damaged(found.at))?;
            if cursor.parts.redeem(ticket).is_none() {
                cursor.parts = self.parts_before(found.at)?;
            }
            let batch = cursor.parts.redeem(ticket);
            // Its first parts are gone already.
            let recycled = || Error::ChangesRecycled { since: before, oldest: cursor.seq };
            let taken = take(found.head.seq, Write::Batch(batch.ok_or_else(recycled)?))?;
            cursor.parts = Parts::default();
            return Ok(taken);
        }
        let write = Write::decode(found.head.kind, found.payload(cursor));
        take(found.head.seq, write.ok_or_else(|| damaged(found.at))?)
    }

    /// Returns when more is durable than the cursor has seen, or after that time: then it is false.
    pub(crate) fn wait_for_more(&self, cursor: &Cursor, time_max: Duration) -> Result<bool> {
        let nothing_new = || self.durable() <= cursor.seen;
        self.watch.wait_while(|| nothing_new() && !self.is_poisoned(), time_max);
        if !nothing_new() {
            return Ok(true);
        }
        if self.watch.has_ended() {
            return Err(Error::Closed);
        }
        if self.is_poisoned() { Err(self.poisoned()) } else { Ok(false) }
    }

    /// The parts of the batch that a record at `at` makes count, for a cursor that began behind some of them.
    fn parts_before(&self, at: u64) -> Result<Parts> {
        for segment in self.segments.held() {
            let Some(seq) = self.seq_before(segment)? else { continue };
            let mut cursor = Cursor::at(segment * SEGMENT_BYTES, seq);
            while self.next_write(&mut cursor)?.is_some_and(|found| found.at < at) {}
            return Ok(cursor.parts);
        }
        Ok(Parts::default())
    }

    /// Passes everything up to and including the next write.
    fn next_write(&self, cursor: &mut Cursor) -> Result<Option<Found>> {
        loop {
            let durable = self.durable();
            let Some(found) = self.find(cursor, durable)? else {
                cursor.seen = durable;
                return Ok(None);
            };
            let Found { at, head } = found;
            cursor.position = match head.kind {
                Kind::Segment => at + PAGE,
                Kind::Jump => (at / SEGMENT_BYTES + 1) * SEGMENT_BYTES,
                _ => at + head.record_bytes() as u64,
            };
            if head.kind == Kind::BatchPart {
                let mut parts = std::mem::take(&mut cursor.parts);
                let taken = parts.take_in(found.payload(cursor));
                cursor.parts = parts;
                if let Err(error) = taken {
                    // It is read again when there is memory.
                    cursor.position = at;
                    return Err(error.into());
                }
            } else if head.kind.is_write() {
                let seqs = Write::decode(head.kind, found.payload(cursor)).map(Write::seqs);
                let last = seqs.and_then(|seqs| cursor.seq.checked_add(seqs));
                cursor.seq = last.ok_or_else(|| damaged(at))?;
                return Ok(Some(found));
            }
        }
    }

    /// The next record before `durable`.
    fn find(&self, cursor: &mut Cursor, durable: u64) -> Result<Option<Found>> {
        loop {
            let position = cursor.position;
            // Behind a group there is a gap up to the page.
            for at in [position, position.next_multiple_of(PAGE)] {
                if at >= durable {
                    return Ok(None);
                }
                if let Some(head) = self.record_at(cursor, at, durable)? {
                    return Ok(Some(Found { at, head }));
                }
            }
            self.go_to_next_life(cursor)?;
        }
    }

    /// Nothing follows where the cursor is. If a crash came there, it goes on behind it.
    fn go_to_next_life(&self, cursor: &mut Cursor) -> Result<()> {
        let expected = cursor.position.next_multiple_of(PAGE) / SEGMENT_BYTES;
        let segment = cursor.position / SEGMENT_BYTES;
        let is_gone = |segment| self.segments.place_of(segment).is_none();
        if segment >= self.start.position / SEGMENT_BYTES && !is_gone(segment) && !is_gone(expected) {
            return Err(damaged(cursor.position));
        }
        for next in self.segments.held().into_iter().filter(|&next| next > segment) {
            match self.seq_before(next)? {
                Some(seq) if seq == cursor.seq => {
                    cursor.position = next * SEGMENT_BYTES;
                    return Ok(());
                }
                Some(oldest) => return Err(Error::ChangesRecycled { since: cursor.seq, oldest }),
                None => {}
            }
        }
        Err(Error::ChangesRecycled { since: cursor.seq, oldest: self.start.last_seq })
    }

    /// The record at `at`, if it follows on what the cursor has passed.
    fn record_at(&self, cursor: &mut Cursor, at: u64, durable: u64) -> Result<Option<Head>> {
        if !self.fill_window(cursor, at, HEAD_WORDS as u64 * 8, durable)? {
            return Ok(None);
        }
        let mut words = [0; HEAD_WORDS];
        for (word, bytes) in words.iter_mut().zip(cursor.bytes_from(at).chunks_exact(8)) {
            *word = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        }
        let Some(head) = Head::decode(words) else {
            return Ok(None);
        };
        let follows = head.seq == cursor.seq.wrapping_add(u64::from(head.kind.is_write()));
        if !follows || !self.fill_window(cursor, at, head.record_bytes() as u64, durable)? {
            return Ok(None);
        }
        let found = record::decode(cursor.bytes_from(at), self.identity_of(at / SEGMENT_BYTES), at);
        Ok(found.map(|(head, _)| head))
    }

    /// Reads until the window has `bytes` from `at` on, or all that its segment has before `durable`. False
    /// if the segment has lost its place.
    fn fill_window(&self, cursor: &mut Cursor, at: u64, bytes: u64, durable: u64) -> Result<bool> {
        let segment = at / SEGMENT_BYTES;
        let end = durable.min((segment + 1) * SEGMENT_BYTES);
        let page = at / PAGE * PAGE;
        let is_near = (cursor.window_from..=cursor.window_end()).contains(&page);
        if !is_near || cursor.window_from / SEGMENT_BYTES != segment {
            cursor.window.clear();
            cursor.window_from = page;
        }
        while cursor.window_end() < end.min(at + bytes) {
            let Some(place) = self.segments.place_of(segment) else {
                return Ok(false);
            };
            cursor.window.drain(..(page - cursor.window_from) as usize);
            cursor.window_from = page;
            let from = cursor.window_end();
            let read_bytes = (end - from).min(BLOB_BYTES as u64) as usize;
            self.read_area(place + from % SEGMENT_BYTES, read_bytes, &mut cursor.window)?;
        }
        Ok(true)
    }

    fn read_area(&self, offset_bytes: u64, bytes: usize, window: &mut Vec<u8>) -> Result<()> {
        let ended = || if self.watch.has_ended() { Err(Error::Closed) } else { Ok(()) };
        ended()?;
        let mut buffer = self.backend.buffers().lease_blocking();
        let buf = &mut buffer[..bytes];
        let read = self.backend.read(&mut [ReadOp { area: Area::Log, offset_bytes, buf }]);
        // What was read since then may be of files that are another's.
        ended()?;
        read?;
        window.extend_from_slice(&buffer[..bytes]);
        Ok(())
    }

    /// The seq of the write before the first one of a segment; none if that cannot be read, or not yet.
    fn seq_before(&self, segment: u64) -> Result<Option<u64>> {
        let position = segment * SEGMENT_BYTES;
        if position == self.start.position {
            return Ok(Some(self.start.last_seq));
        }
        let (mut cursor, durable) = (Cursor::at(position, 0), self.durable());
        // The page is all that is wanted.
        let end = durable.min(position + PAGE);
        if position >= durable || !self.fill_window(&mut cursor, position, PAGE, end)? {
            return Ok(None);
        }
        let found = record::decode(cursor.bytes_from(position), self.identity_of(segment), position);
        Ok(found.map(|(head, _)| head.seq))
    }

    fn identity_of(&self, segment: u64) -> Identity {
        let now = self.start.identity;
        if segment >= self.start.position / SEGMENT_BYTES {
            return now;
        }
        let life = self.start.history.lives.iter().rev().find(|life| life.first_segment <= segment);
        Identity { incarnation: life.map_or(now.incarnation, |life| life.incarnation), ..now }
    }
}

fn damaged(position: u64) -> Error {
    Error::LogCorrupt { position, reason: "a record is missing before a position that was durable" }
}
