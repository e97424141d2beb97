//! The redo log: every write as a record, in one order, durable in groups.
//!
//! A record is copied into the ring, which on unix outlives the process, and from there into the log area,
//! which outlives a power cut. `record` knows the bytes of one record, `payload` those of a write, `batch`
//! those of several, `stage` how a long batch gets there, `ring` where records are born, `pages` what a model
//! checks of that, `segments` the places of the log area, `commit` who writes them when, `replay` how to read
//! it all again after a crash, `follow` how to read what is durable while others write, `history` what of it
//! outlives a crash, `watch` how to wait for more.
//!
//! Must not know: blobs, frames, what a write means.

#![forbid(unsafe_code)]

pub(crate) mod batch;
mod commit;
pub(crate) mod follow;
pub(crate) mod history;
mod pages;
pub(crate) mod payload;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod ring;
pub(crate) mod segments;
mod stage;
#[cfg(all(test, not(loom), not(target_arch = "wasm32")))]
mod tests;
mod watch;

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::backend::{Area, BLOB_BYTES, Backend, RingMemory, WriteOp};
use crate::error::{Error, Result};
use commit::{Commit, Failed};
use history::History;
use payload::Write;
use record::{Identity, Kind};
use ring::{Full, Ring, SEGMENT_BYTES};
use segments::{Room, Segments, Unprepared};
use watch::Watch;

/// What was appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    pub(crate) seq: u64,
    /// The log position behind the record; 0 where there is no log.
    pub(crate) end: u64,
    /// How much longer the log has become, padding aside.
    pub(crate) bytes: u64,
}

/// Why nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Leave gate and latches, wait for space, and try again.
    Full(Full),
    /// The log has failed before.
    Poisoned,
    /// The database was closed.
    Closed,
}

/// What `make_space` has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// There is some: try again.
    Made,
    /// Only a checkpoint can make some.
    WantsCheckpoint,
}

/// Where a log begins.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) identity: Identity,
    /// The start of a segment: the first record goes there.
    pub(crate) position: u64,
    /// The seq of the write before.
    pub(crate) last_seq: u64,
    /// What the area has of the log before that.
    pub(crate) history: History,
}

/// The log of a database that is open for writing.
pub(crate) struct Log {
    /// Set by `begin`: before, nobody gives a segment a place but who begins.
    has_begun: AtomicBool,
    backend: Arc<dyn Backend>,
    ring: Ring,
    segments: Segments,
    commit: Commit,
    /// Why the log has failed.
    poison: OnceLock<String>,
    /// Records before this position are not needed any more.
    superfluous: AtomicU64,
    /// The id of the last batch in parts.
    last_batch: AtomicU64,
    /// Whether parts were appended since the last checkpoint: they take space, whether they count or not.
    has_parts: AtomicBool,
    /// What was before this log.
    start: Start,
    watch: Watch,
}

thread_local! {
    /// The payload that a thread is about to append.
    static PAYLOAD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Log {
    /// A log that begins there; everything before it is history. It takes no record before `begin`, and
    /// nothing is written.
    pub(crate) fn new(backend: Arc<dyn Backend>, mut start: Start, room: Room) -> Result<Log> {
        let held = std::mem::take(&mut start.history.held);
        Ok(Log {
            has_begun: AtomicBool::new(false),
            ring: Ring::new(start.identity, start.position),
            segments: Segments::new(backend.clone(), room, held)?,
            commit: Commit::new(start.position),
            poison: OnceLock::new(),
            superfluous: AtomicU64::new(start.position),
            last_batch: AtomicU64::new(0),
            has_parts: AtomicBool::new(false),
            watch: Watch::default(),
            start,
            backend,
        })
    }

    /// The area was emptied since this log was made.
    pub(crate) fn forget_places(&self) {
        self.segments.forget();
    }

    /// Gives the first segment its place in the area. The next records go there once the log has begun.
    pub(crate) fn make_first_place(&self) -> Result<()> {
        self.recycle();
        self.place(self.start.position, false).map(drop)
    }

    /// Takes the ring over. Whatever is in it is forgotten, so everything that was must be stored.
    pub(crate) fn take_ring(&self, memory: Arc<dyn RingMemory>) {
        self.ring.begin(memory);
    }

    /// Takes records from now on. It has a ring.
    pub(crate) fn begin(&self) {
        if self.segments.place_of(self.start.position / SEGMENT_BYTES).is_some() {
            self.ring.set_ready_at_least(self.start.position + SEGMENT_BYTES, false);
        }
        self.has_begun.store(true, Ordering::Release);
    }

    /// Appends a write. `next_seq` is asked under the log's lock, so seqs and positions have one order.
    pub(crate) fn append(
        &self,
        write: Write<'_>,
        next_seq: impl FnOnce() -> u64,
    ) -> std::result::Result<Appended, Refused> {
        self.append_payload(write.kind(), |payload| write.encode(payload), next_seq)
    }

    fn append_payload(
        &self,
        kind: Kind,
        encode: impl FnOnce(&mut Vec<u8>),
        next_seq: impl FnOnce() -> u64,
    ) -> std::result::Result<Appended, Refused> {
        if self.poison.get().is_some() {
            return Err(Refused::Poisoned);
        }
        PAYLOAD.with_borrow_mut(|payload| {
            encode(payload);
            let hash = record::payload_hash(payload);
            let appended = self.ring.append(kind, payload, hash, next_seq);
            let bytes = record::record_bytes(payload.len()) as u64;
            appended.map(|(seq, end)| Appended { seq, end, bytes }).map_err(Refused::Full)
        })
    }

    /// After `Full`: waits for space, or makes it. The caller holds neither gate nor latch.
    pub(crate) fn make_space(&self, full: Full) -> Result<Space> {
        match full {
            Full::Ring => self.wait_durable(self.ring.end()).map(|()| Space::Made),
            Full::Segments if self.prepares_segment()? => Ok(Space::Made),
            Full::Segments => {
                let superfluous = self.superfluous.load(Ordering::Relaxed);
                if self.durable() >= superfluous {
                    return Ok(Space::WantsCheckpoint);
                }
                // There will be some as soon as the last group of the segment is written.
                self.wait_durable(superfluous).map(|()| Space::Made)
            }
        }
    }

    /// The same as `prepare_segment`, where a disk without room for another place is no error as long as a
    /// checkpoint can free one.
    fn prepares_segment(&self) -> Result<bool> {
        match self.prepare_segment(false) {
            Err(Error::Io(error)) if error.kind() == ErrorKind::StorageFull && self.segments.used().0 > 1 => {
                Ok(false)
            }
            prepared => prepared,
        }
    }

    /// Readies the segment after the last one that is ready. False if only a checkpoint can.
    fn prepare_segment(&self, staged: bool) -> Result<bool> {
        if !self.has_begun.load(Ordering::Acquire) {
            // The area may still be somebody else's, or about to be emptied.
            return Ok(false);
        }
        let (ready, end) = (self.ring.ready(staged), self.ring.end());
        if ready > end + SEGMENT_BYTES {
            // Another thread was faster.
            return Ok(true);
        }
        self.recycle();
        // A batch in parts may have gone further than other records may.
        let ready = ready.max(end / SEGMENT_BYTES * SEGMENT_BYTES);
        let has_place = self.place(ready, staged)?;
        if has_place {
            self.ring.set_ready_at_least(ready + SEGMENT_BYTES, staged);
        }
        Ok(has_place)
    }

    /// Gives the segment that begins at `position` a place in the area. False if only a checkpoint can.
    fn place(&self, position: u64, staged: bool) -> Result<bool> {
        self.segments.prepare(position / SEGMENT_BYTES, staged).map_err(|unprepared| match unprepared {
            Unprepared::NotMade(error) => error.into(),
            Unprepared::NotSynced(error) => {
                // It may have been the only one to hear that records are lost.
                self.set_poison(format!("syncing the log failed: {error}"));
                error.into()
            }
        })
    }

    /// Makes no places any more, and has no readers: the log is about to be deleted.
    pub(crate) fn end_segments(&self) {
        self.segments.end();
        self.watch.end();
    }

    /// Readies the next segment if the current one is half full, so that no writer has to.
    pub(crate) fn look_ahead(&self) -> Result<()> {
        if self.ring.ready(false) < self.ring.end() + SEGMENT_BYTES / 2 {
            self.prepare_segment(false)?;
        }
        Ok(())
    }

    /// Returns when everything before `end` is on stable storage.
    pub(crate) fn wait_durable(&self, end: u64) -> Result<()> {
        if self.ring.durable() >= end {
            return Ok(());
        }
        self.commit.wait(end, self).map_err(|Failed| self.poisoned())
    }

    /// The position behind the last record.
    pub(crate) fn end(&self) -> u64 {
        self.ring.end()
    }

    pub(crate) fn durable(&self) -> u64 {
        self.ring.durable()
    }

    pub(crate) fn identity(&self) -> Identity {
        self.ring.identity()
    }

    /// Groups that were written, and how many waited in them all together.
    pub(crate) fn group_counts(&self) -> (u64, u64) {
        self.commit.counts()
    }

    /// Segments in use, and the most there may be.
    pub(crate) fn fill(&self) -> (usize, usize) {
        self.segments.used()
    }

    /// Segments that are kept for readers alone.
    pub(crate) fn kept(&self) -> usize {
        self.segments.kept()
    }

    /// Whether more is kept than recovery needs.
    pub(crate) fn keeps_more(&self) -> bool {
        self.segments.keeps_more()
    }

    /// Records before `position` are not needed any more. No batch is being staged meanwhile.
    pub(crate) fn recycle_before(&self, position: u64) {
        self.has_parts.store(false, Ordering::Relaxed);
        self.superfluous.fetch_max(position, Ordering::Relaxed);
        self.recycle();
    }

    /// Frees the places of segments that nobody needs. Not of one with records that a group has yet to write:
    /// they are stored elsewhere by now, but somebody may wait for them.
    fn recycle(&self) {
        let superfluous = self.superfluous.load(Ordering::Relaxed);
        self.segments.recycle_before(superfluous.min(self.ring.durable()));
    }

    /// Refuses every write from now on.
    pub(crate) fn set_poison(&self, reason: String) {
        let _ = self.poison.set(reason);
        self.commit.fail();
        self.watch.tell();
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

    /// The error of a log that has failed.
    pub(crate) fn poisoned(&self) -> Error {
        let reason = self.poison.get().cloned();
        Error::Poisoned { reason: reason.unwrap_or_else(|| "the log has failed".into()) }
    }

    /// Copies a part of the ring, within one segment, to its place in the log area, durably.
    fn write_part(&self, from: u64, to: u64) -> io::Result<()> {
        let mut buffer = self.backend.buffers().lease_blocking();
        let bytes = &mut buffer[..(to - from) as usize];
        self.ring.copy_out(from, bytes);
        let offset_bytes = self.segments.offset_of(from);
        self.backend.write_durable(WriteOp { area: Area::Log, offset_bytes, buf: bytes })
    }
}

/// Those who do not wait for the log are to hear, too, that a backend has panicked in it.
struct PoisonOnPanic<'a> {
    log: &'a Log,
    /// What is written while another panic unwinds is none of its business.
    was_panicking: bool,
}

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if cfg!(panic = "unwind") && std::thread::panicking() && !self.was_panicking {
            self.log.set_poison("writing the log has panicked".into());
        }
    }
}

impl commit::Writer for Log {
    fn close(&self) -> u64 {
        self.ring.pad()
    }

    fn write(&self, from: u64, to: u64) -> std::result::Result<(), Failed> {
        let _told = PoisonOnPanic { log: self, was_panicking: std::thread::panicking() };
        let mut at = from;
        while at < to {
            let segment_end = (at / SEGMENT_BYTES + 1) * SEGMENT_BYTES;
            let end = to.min(segment_end).min(at + BLOB_BYTES as u64);
            if let Err(error) = self.write_part(at, end) {
                let _ = self.poison.set(format!("writing the log failed: {error}"));
                self.watch.tell();
                return Err(Failed);
            }
            at = end;
        }
        Ok(())
    }

    fn publish(&self, position: u64) {
        self.ring.set_durable(position);
        self.watch.tell();
    }
}
