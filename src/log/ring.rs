//! The ring: the last 4 MiB of the log in memory, and its end. Every record is born here.
//!
//! ```text
//! page 0          header
//!   word 0        magic "SPINRNG" + format version
//!   word 1        log id
//!   word 2        incarnation
//!   word 3        a log position that is durable; it only grows
//! from page 1 on  the byte of log position p at p mod 4 MiB
//! ```
//!
//! Invariants:
//! * records are appended under one short mutex, one behind the other: there are no holes, so nothing
//!   acknowledged ever lies behind something missing;
//! * a record lies in one segment; the first page of a segment is a record of its own;
//! * bytes are reused only when the log area has them for good;
//! * groups end at a page, so a page of the log area is written once in a lap.

#![forbid(unsafe_code)]

use std::io;
use std::sync::{Arc, OnceLock};
// The words of the ring's memory, which no model can hold.
use std::sync::atomic::AtomicU64 as Word;

use super::pages::Pages;
use super::record::{self, HEAD_WORDS, Head, Identity, Kind};
use crate::backend::{PAGE_BYTES, RING_BYTES, RING_TOTAL_BYTES, RingMemory, room};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};

/// Bytes of a segment of the log area: as many as the ring has.
pub(crate) const SEGMENT_BYTES: u64 = RING_BYTES as u64;
const PAGE: u64 = PAGE_BYTES as u64;
pub(super) const HEADER_WORDS: usize = PAGE_BYTES / 8;
pub(super) const DURABLE_AT: usize = 3;

/// "SPINRNG", and 1 for this format.
const MAGIC: u64 = u64::from_le_bytes(*b"SPINRNG\x01");

/// Payload of the record that begins a segment: its number. The rest of the page is zero.
const SEGMENT_PAYLOAD_BYTES: usize = 8;

/// Where the log ends, guarded by the ring's mutex.
struct Tail {
    /// The position of the next record.
    position: u64,
}

/// Why a record was not appended. Nothing has happened then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too much of the ring waits to be made durable.
    Ring,
    /// No segment of the log area is ready.
    Segments,
}

/// See the head of this file.
pub(crate) struct Ring {
    /// None before `begin`.
    memory: OnceLock<Arc<dyn RingMemory>>,
    identity: Identity,
    tail: Mutex<Tail>,
    /// `Tail::position`, for who only wants to know about how far it is.
    end: AtomicU64,
    /// Everything before this position is in the log area for good.
    durable: AtomicU64,
    /// Segments that begin before this position have a place in the log area.
    ready: AtomicU64,
    /// The same for batches in parts, which may go further.
    ready_for_staged: AtomicU64,
    pages: Pages,
}

/// The word of the memory that a position of the log lies in.
fn place_of(position: u64) -> usize {
    HEADER_WORDS + (position % RING_BYTES as u64) as usize / 8
}

impl Ring {
    /// A ring whose next record goes to `position`, the start of a segment. It takes none before `begin`, and
    /// before a segment is ready.
    pub(crate) fn new(identity: Identity, position: u64) -> Self {
        assert!(position.is_multiple_of(SEGMENT_BYTES));
        Ring {
            memory: OnceLock::new(),
            identity,
            tail: Mutex::new(Tail { position }),
            end: AtomicU64::new(position),
            durable: AtomicU64::new(position),
            ready: AtomicU64::new(position),
            ready_for_staged: AtomicU64::new(position),
            pages: Pages::new(),
        }
    }

    /// Takes the memory over, and writes the header there, before the first record.
    pub(crate) fn begin(&self, memory: Arc<dyn RingMemory>) {
        assert_eq!(memory.words().len(), RING_TOTAL_BYTES / 8);
        assert!(self.memory.set(memory).is_ok(), "a ring begins once");
        let words = self.words();
        let Identity { log_id, incarnation } = self.identity;
        // The magic last: a header that is half written is none.
        words[0].store(0, Ordering::Release);
        for (at, word) in [(1, log_id), (2, u64::from(incarnation)), (DURABLE_AT, self.durable())] {
            words[at].store(word.to_le(), Ordering::Release);
        }
        words[0].store(MAGIC.to_le(), Ordering::Release);
    }

    fn words(&self) -> &[Word] {
        self.memory.get().map_or(&[], |memory| memory.words())
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Where the next record goes, at least.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// How far records may go, and how far those of a batch in parts.
    pub(crate) fn ready(&self, staged: bool) -> u64 {
        let ready = self.ready.load(Ordering::Acquire);
        if staged { ready.max(self.ready_for_staged.load(Ordering::Acquire)) } else { ready }
    }

    /// Allows records up to `position`, if that is further than before.
    pub(crate) fn set_ready_at_least(&self, position: u64, staged: bool) {
        let ready = if staged { &self.ready_for_staged } else { &self.ready };
        ready.fetch_max(position, Ordering::Release);
    }

    /// Tells that everything before `position` is in the log area for good.
    pub(crate) fn set_durable(&self, position: u64) {
        self.words()[DURABLE_AT].store(position.to_le(), Ordering::Relaxed);
        self.durable.store(position, Ordering::Release);
    }

    /// Appends a record, and asks for its seq once nothing can go wrong any more: of a record that is no
    /// write, that of the write before. Returns the seq and the position behind the record.
    pub(crate) fn append(
        &self,
        kind: Kind,
        payload: &[u8],
        payload_hash: u64,
        next_seq: impl FnOnce() -> u64,
    ) -> Result<(u64, u64), Full> {
        let bytes = record::record_bytes(payload.len()) as u64;
        let mut tail = self.tail();
        let from = tail.position;
        let segment_end = (from / SEGMENT_BYTES + 1) * SEGMENT_BYTES;
        let jumps = !from.is_multiple_of(SEGMENT_BYTES) && from + bytes > segment_end;
        let mut at = if jumps { segment_end } else { from };
        let opens = at.is_multiple_of(SEGMENT_BYTES);
        let end = at + if opens { PAGE } else { 0 } + bytes;
        // The zero word that may follow belongs to the record's page: no page more is needed for it.
        if end.next_multiple_of(PAGE) > self.durable() + RING_BYTES as u64 {
            return Err(Full::Ring);
        }
        if end > self.ready(kind.is_staged()) {
            return Err(Full::Segments);
        }
        let seq = next_seq();
        // What is no write carries the seq of the one before, so that replay sees when something is missing.
        let before = seq - u64::from(kind.is_write());
        if jumps && segment_end - from >= record::EMPTY_BYTES as u64 {
            self.write(from, Kind::Jump, &[], record::payload_hash(&[]), before);
        }
        if opens {
            self.open_segment(at, before);
            at += PAGE;
        }
        self.write(at, kind, payload, payload_hash, seq);
        tail.position = end;
        self.end.store(end, Ordering::Release);
        Ok((seq, end))
    }

    /// Ends the log at a page, for a group to be written; returns the position.
    pub(crate) fn pad(&self) -> u64 {
        let mut tail = self.tail();
        let end = tail.position.next_multiple_of(PAGE);
        if end != tail.position {
            // A header of zero: the next record begins at the next page.
            self.pages.written(tail.position, 8);
            self.words()[place_of(tail.position)].store(0, Ordering::Relaxed);
            tail.position = end;
            self.end.store(end, Ordering::Release);
        }
        end
    }

    /// Copies the bytes from `position` on. They must have been appended, and not be reusable.
    pub(crate) fn copy_out(&self, position: u64, bytes: &mut [u8]) {
        self.pages.copied(position, bytes.len());
        let words = self.words();
        for (at, chunk) in (position..).step_by(8).zip(bytes.chunks_exact_mut(8)) {
            // As it lies in memory: little-endian on every machine.
            chunk.copy_from_slice(&words[place_of(at)].load(Ordering::Relaxed).to_ne_bytes());
        }
    }

    fn open_segment(&self, at: u64, seq: u64) {
        self.pages.written(at, PAGE_BYTES);
        let payload: [u8; SEGMENT_PAYLOAD_BYTES] = (at / SEGMENT_BYTES).to_le_bytes();
        self.write(at, Kind::Segment, &payload, record::payload_hash(&payload), seq);
        let used = record::record_bytes(SEGMENT_PAYLOAD_BYTES) as u64;
        let words = self.words();
        for at in (at + used..at + PAGE).step_by(8) {
            words[place_of(at)].store(0, Ordering::Relaxed);
        }
    }

    /// Writes one record, which fits before the end of its segment.
    fn write(&self, position: u64, kind: Kind, payload: &[u8], payload_hash: u64, seq: u64) {
        self.pages.written(position, record::record_bytes(payload.len()));
        let durable = self.durable();
        let head = Head { kind, payload_bytes: payload.len(), seq, durable }.encode();
        let checksum = record::checksum(head, payload_hash, self.identity, position);
        let first = place_of(position);
        let words = &self.words()[first..first + record::record_bytes(payload.len()) / 8];
        let (head_words, words) = words.split_at(HEAD_WORDS);
        for (word, value) in head_words.iter().zip(head) {
            word.store(value.to_le(), Ordering::Relaxed);
        }
        let pieces = payload.chunks_exact(8);
        let rest = pieces.remainder();
        for (word, piece) in words.iter().zip(pieces) {
            word.store(piece.first_chunk().map_or(0, |piece| u64::from_ne_bytes(*piece)), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            words[words.len() - 2].store(u64::from_ne_bytes(last), Ordering::Relaxed);
        }
        words[words.len() - 1].store(checksum.to_le(), Ordering::Relaxed);
    }
}

/// What a ring says that the last process left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeftBehind {
    pub(crate) identity: Identity,
    pub(crate) durable: u64,
}

/// Reads the header of a ring; none if it was never used. No log has the id 0: a header of which only the
/// magic is there is half written, in whatever order that was.
pub(crate) fn left_behind(memory: &dyn RingMemory) -> Option<LeftBehind> {
    let word = |at: usize| u64::from_le(memory.words()[at].load(Ordering::Acquire));
    let identity = Identity { log_id: word(1), incarnation: word(2) as u32 };
    (word(0) == MAGIC && identity.log_id != 0).then(|| LeftBehind { identity, durable: word(DURABLE_AT) })
}

/// The ring's bytes, without the header.
pub(crate) fn bytes_of(memory: &dyn RingMemory) -> io::Result<Vec<u8>> {
    let words = &memory.words()[HEADER_WORDS..];
    let mut bytes = room::room(words.len() * 8)?;
    // By pages, so that no memory is written twice.
    const PAGE_WORDS: usize = PAGE_BYTES / 8;
    for words in words.chunks(PAGE_WORDS) {
        let mut page = [[0; 8]; PAGE_WORDS];
        for (bytes, word) in page.iter_mut().zip(words) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        bytes.extend_from_slice(page[..words.len()].as_flattened());
    }
    Ok(bytes)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::backend::PrivateRing;

    const IDENTITY: Identity = Identity { log_id: 5, incarnation: 1 };

    fn ring(ready_segments: u64) -> Ring {
        let ring = Ring::new(IDENTITY, 0);
        ring.begin(Arc::new(PrivateRing::new()));
        ring.set_ready_at_least(ready_segments * SEGMENT_BYTES, false);
        ring
    }

    fn append(ring: &Ring, payload: &[u8]) -> Result<(u64, u64), Full> {
        ring.append(Kind::Remove, payload, record::payload_hash(payload), || 7)
    }

    #[test]
    fn records_follow_the_first_page_of_their_segment() {
        let ring = ring(1);
        assert_eq!(append(&ring, b"abc"), Ok((7, PAGE + 40)));
        assert_eq!(append(&ring, b""), Ok((7, PAGE + 72)));
        assert_eq!(ring.pad(), 2 * PAGE);
        assert_eq!(ring.pad(), 2 * PAGE, "nothing new");
        let mut bytes = vec![0; 2 * PAGE_BYTES];
        ring.copy_out(0, &mut bytes);
        let (head, payload) = record::decode(&bytes, IDENTITY, 0).expect("a segment begins");
        assert_eq!((head.kind, payload), (Kind::Segment, &[0; 8][..]));
        assert_eq!(record::decode(&bytes[PAGE_BYTES..], IDENTITY, PAGE).expect("a record").1, b"abc");
        assert!(record::decode(&bytes[PAGE_BYTES + 40..], IDENTITY, PAGE + 40).is_some());
        assert_eq!(bytes[PAGE_BYTES + 72..PAGE_BYTES + 80], [0; 8]);
    }

    #[test]
    fn a_record_that_does_not_fit_its_segment_opens_the_next() {
        let ring = ring(2);
        let large = vec![1; 1 << 20];
        let large = &large[..record::PAYLOAD_BYTES_MAX];
        for _ in 0..3 {
            append(&ring, large).expect("room");
        }
        assert_eq!(append(&ring, large), Err(Full::Ring), "the first bytes are not durable yet");
        ring.set_durable(PAGE + (2 << 20));
        let before = ring.end();
        assert_eq!(append(&ring, large), Ok((7, SEGMENT_BYTES + PAGE + (1 << 20))));
        let mut bytes = vec![0; 4096];
        ring.copy_out(before, &mut bytes);
        assert_eq!(record::decode(&bytes, IDENTITY, before).expect("a jump").0.kind, Kind::Jump);
    }

    #[test]
    fn without_a_segment_nothing_is_appended() {
        let ring = ring(0);
        assert_eq!(append(&ring, b"abc"), Err(Full::Segments));
        assert_eq!(ring.end(), 0);
    }

    #[test]
    fn the_header_tells_who_left_the_ring() {
        let memory = Arc::new(PrivateRing::new());
        assert_eq!(left_behind(&*memory), None);
        let ring = Ring::new(IDENTITY, SEGMENT_BYTES);
        assert_eq!(append(&ring, b"abc"), Err(Full::Segments), "it has not begun");
        assert_eq!(left_behind(&*memory), None);
        ring.begin(memory.clone());
        ring.set_durable(SEGMENT_BYTES + PAGE);
        let expected = LeftBehind { identity: IDENTITY, durable: SEGMENT_BYTES + PAGE };
        assert_eq!(left_behind(&*memory), Some(expected));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::backend::PrivateRing;
    use loom::thread;

    const IDENTITY: Identity = Identity { log_id: 5, incarnation: 1 };
    const LARGE_BYTES: usize = record::PAYLOAD_BYTES_MAX;

    fn append(ring: &Ring, bytes: usize) -> Result<(u64, u64), Full> {
        let payload = vec![bytes as u8; bytes];
        ring.append(Kind::Remove, &payload, record::payload_hash(&payload), || 7)
    }

    /// What a group's leader does: copies what is there, and makes its place free for others.
    fn write_group(ring: &Ring, from: u64) -> u64 {
        let end = ring.pad();
        let mut bytes = vec![0; (end - from) as usize];
        ring.copy_out(from, &mut bytes);
        ring.set_durable(end);
        end
    }

    /// Three large records fill the ring; two more are appended while those are made durable. Whoever writes
    /// over bytes that are still being copied is found by `Pages`.
    #[test]
    fn bytes_are_reused_only_when_the_area_has_them() {
        // Its words are no business of the model, and need not be made anew for each run.
        let memory = Arc::new(PrivateRing::new());
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let ring = Arc::new(Ring::new(IDENTITY, 0));
            ring.begin(memory.clone());
            ring.set_ready_at_least(2 * SEGMENT_BYTES, false);
            for _ in 0..3 {
                append(&ring, LARGE_BYTES).expect("room");
            }
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let ring = ring.clone();
                    thread::spawn(move || append(&ring, LARGE_BYTES).ok())
                })
                .collect();
            let durable = write_group(&ring, 0);
            let appended = others.into_iter().filter_map(|other| other.join().expect("no panic"));
            let mut ends: Vec<u64> = appended.map(|(_, end)| end).collect();
            ends.sort_unstable();
            assert!(ends.iter().all(|&end| end <= durable + SEGMENT_BYTES));
            assert_eq!(ends.last().copied().unwrap_or(durable).max(durable), ring.end());
            if ends.len() == 2 {
                assert!(ends[0] + LARGE_BYTES as u64 <= ends[1], "each has a place of its own");
            }
        });
    }

    /// A segment's place is readied by one thread while others append into it, and groups are written beside
    /// them: every record lies where it says, and no group holds half of one.
    #[test]
    fn groups_end_between_records() {
        let memory = Arc::new(PrivateRing::new());
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let ring = Arc::new(Ring::new(IDENTITY, 0));
            ring.begin(memory.clone());
            let writers: Vec<_> = [40, 5_000]
                .map(|bytes| {
                    let ring = ring.clone();
                    thread::spawn(move || append(&ring, bytes).map(|(_, end)| (end, bytes)))
                })
                .into_iter()
                .collect();
            ring.set_ready_at_least(SEGMENT_BYTES, false);
            let middle = write_group(&ring, 0);
            let appended: Vec<_> =
                writers.into_iter().map(|writer| writer.join().expect("no panic")).collect();
            let end = write_group(&ring, middle);
            let mut bytes = vec![0; end as usize];
            ring.copy_out(0, &mut bytes);
            for outcome in appended {
                let Ok((end, payload_bytes)) = outcome else { continue };
                let at = end - record::record_bytes(payload_bytes) as u64;
                let found = record::decode(&bytes[at as usize..], IDENTITY, at).expect("it lies there");
                assert_eq!(found.1, vec![payload_bytes as u8; payload_bytes]);
                assert!(end <= middle || at >= middle, "a group ends inside of a record");
            }
        });
    }
}
