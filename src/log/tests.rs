//! The log as a whole: what was appended comes back, whatever is torn.

#![forbid(unsafe_code)]

// Megabytes of them take Miri too long.
#[cfg(not(miri))]
mod follow;
#[cfg(not(miri))]
mod places;
#[cfg(not(miri))]
mod staged;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::payload::Write;
use super::record::Identity;
use super::replay::{Reader, Replayed};
use super::ring::SEGMENT_BYTES;
use super::*;
use crate::backend::{MemoryBackend, PAGE_BYTES, PrivateRing, RingMemory};

const IDENTITY: Identity = Identity { log_id: 99, incarnation: 1 };

fn start() -> Start {
    Start { identity: IDENTITY, position: 0, last_seq: 0, history: History::default() }
}

/// A log that takes records.
fn begun(backend: Arc<MemoryBackend>, ring: Arc<PrivateRing>, start: Start, room: Room) -> Log {
    let log = Log::new(backend, start, room).expect("memory");
    log.make_first_place().expect("memory");
    log.take_ring(ring);
    log.begin();
    log
}

struct Bench {
    backend: Arc<MemoryBackend>,
    ring: Arc<PrivateRing>,
    log: Log,
    seq: AtomicU64,
}

impl Bench {
    fn new(segments_max: usize) -> Bench {
        Bench::keeping(segments_max, 0)
    }

    fn keeping(segments_max: usize, kept_bytes: u64) -> Bench {
        let (backend, ring) = (Arc::new(MemoryBackend::new()), Arc::new(PrivateRing::new()));
        let room = Room { segments_max, kept_bytes };
        let log = begun(backend.clone(), ring.clone(), start(), room);
        Bench { backend, ring, log, seq: AtomicU64::new(0) }
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Appended {
        loop {
            let next_seq = || self.seq.fetch_add(1, Ordering::Relaxed) + 1;
            match self.log.append(Write::Put { key, value }, next_seq) {
                Ok(appended) => return appended,
                Err(Refused::Full(full)) => {
                    assert_eq!(self.log.make_space(full).expect("sound"), Space::Made);
                }
                Err(Refused::Poisoned | Refused::Closed) => panic!("nothing fails here"),
            }
        }
    }

    fn sync(&self) {
        self.log.wait_durable(self.log.end()).expect("memory");
    }

    /// What replay finds, as values.
    fn replay(&self, ring: bool) -> Result<(Replayed, Vec<Vec<u8>>)> {
        let memory = ring.then_some(&*self.ring as &dyn RingMemory);
        let mut values = Vec::new();
        let reader = Reader::new(&*self.backend, memory, IDENTITY)?;
        let replayed = reader.replay(0, 0, |seq, write| {
            let Write::Put { key, value } = write else { panic!("only puts were appended") };
            assert_eq!(key, seq.to_le_bytes());
            values.push(value.to_vec());
            Ok(())
        })?;
        Ok((replayed, values))
    }

    /// Puts `count` values of growing sizes.
    fn put_many(&self, count: u64) -> Vec<Vec<u8>> {
        let from = self.seq.load(Ordering::Relaxed);
        let value = |seq: u64| vec![seq as u8; (seq * 37 % 5000) as usize];
        for seq in from + 1..=from + count {
            self.put(&seq.to_le_bytes(), &value(seq));
        }
        (1..=from + count).map(value).collect()
    }

    /// Flips one bit of the log area.
    fn flip(&self, at: u64) {
        let offset_bytes = at / PAGE_BYTES as u64 * PAGE_BYTES as u64;
        let mut buffer = self.backend.buffers().lease_blocking();
        let buf = &mut buffer[..PAGE_BYTES];
        self.backend
            .read(&mut [crate::backend::ReadOp { area: Area::Log, offset_bytes, buf }])
            .expect("memory");
        buf[(at - offset_bytes) as usize] ^= 4;
        self.backend.write(&[WriteOp { area: Area::Log, offset_bytes, buf }]).expect("memory");
    }
}

#[test]
fn what_was_appended_comes_back_over_many_segments() {
    let bench = Bench::new(8);
    let values = bench.put_many(6000);
    assert!(bench.log.end() > 3 * SEGMENT_BYTES);
    let (replayed, found) = bench.replay(true).expect("sound");
    assert_eq!((replayed.seq, replayed.end), (6000, bench.log.end()));
    assert!(found == values);
    let (replayed, found) = bench.replay(false).expect("sound");
    assert!(replayed.seq < 6000, "the last records were in the ring only");
    assert!(found[..] == values[..found.len()]);
    bench.sync();
    assert!(bench.replay(false).expect("sound").1 == values);
}

/// A long record leaves pages of its segment empty.
#[cfg(not(miri))]
#[test]
fn records_that_find_no_place_in_a_segment_are_found_in_the_next_one() {
    let bench = Bench::new(8);
    for seq in 1..=300u64 {
        bench.put(&seq.to_le_bytes(), &vec![seq as u8; 60_000]);
    }
    bench.sync();
    assert!(bench.log.end() > 4 * SEGMENT_BYTES);
    let (replayed, found) = bench.replay(false).expect("sound");
    assert_eq!((replayed.seq, found.len()), (300, 300));
    let mut cursor = bench.log.cursor(0).expect("there");
    let follow = move || bench.log.follow(&mut cursor, |seq, _| Ok(seq)).expect("sound");
    assert!(std::iter::from_fn(follow).eq(1..=300));
}

#[test]
fn recycled_places_are_used_again_and_what_they_held_is_never_replayed() {
    let bench = Bench::new(3);
    let mut cut = (0, 0);
    for _ in 0..20 {
        cut = (bench.log.end(), bench.seq.load(Ordering::Relaxed));
        bench.put_many(500);
        bench.sync();
        bench.log.recycle_before(cut.0);
    }
    assert!(bench.backend.len(Area::Log).expect("memory") <= 3 * SEGMENT_BYTES);
    let reader = Reader::new(&*bench.backend, None, IDENTITY).expect("sound");
    let replayed = reader.replay(cut.0, cut.1, |_, _| Ok(())).expect("sound");
    assert_eq!((replayed.seq, replayed.writes), (10_000, 500));
}

#[test]
fn a_full_log_wants_a_checkpoint_and_goes_on_after_it() {
    let bench = Bench::new(2);
    let value = vec![1; 60_000];
    let wants_checkpoint = (1..1000u64).any(|seq| {
        let next_seq = || bench.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let write = Write::Put { key: &seq.to_le_bytes(), value: &value };
        match bench.log.append(write, next_seq) {
            Err(Refused::Full(full)) => bench.log.make_space(full).expect("sound") == Space::WantsCheckpoint,
            _ => false,
        }
    });
    assert!(wants_checkpoint);
    bench.sync();
    bench.log.recycle_before(bench.log.end());
    bench.put(b"goes", b"on");
}

#[test]
fn the_last_group_torn_at_every_word_is_dropped_from_where_it_is_torn() {
    let bench = Bench::new(2);
    let values = bench.put_many(5);
    bench.sync();
    let before = bench.log.durable();
    bench.put_many(6);
    bench.sync();
    let whole = bench.replay(false).expect("sound").1;
    assert_eq!(whole.len(), 11);
    for at in (before..bench.log.end()).step_by(8) {
        bench.flip(at);
        let (replayed, found) = bench.replay(false).expect("nothing durable is missing, as far as is known");
        assert!(found.len() >= 5 && found[..] == whole[..found.len()], "flipped at {at}");
        assert!(replayed.end <= bench.log.end());
        bench.flip(at);
    }
    assert!(whole[..5] == values[..]);
}

#[test]
fn damage_before_a_durable_position_is_an_error() {
    let bench = Bench::new(2);
    for _ in 0..4 {
        bench.put_many(3);
        bench.sync();
    }
    let (_, whole) = bench.replay(false).expect("sound");
    let mut errors = 0;
    // The group before the last is the last one that a later record knows to be durable.
    let last_known = 3;
    for at in (0..bench.log.end()).step_by(8) {
        bench.flip(at);
        match bench.replay(false) {
            Ok((_, found)) => {
                assert!(found[..] == whole[..found.len()]);
                assert!(found.len() >= last_known * 3, "flipped at {at}: only {} were found", found.len());
            }
            Err(Error::LogCorrupt { .. }) => errors += 1,
            Err(other) => panic!("flipped at {at}: {other}"),
        }
        bench.flip(at);
    }
    assert!(errors > 150, "only {errors} damages were noticed");
}

/// A write of a page may be lost: then there are zeros where a segment began.
#[test]
fn a_segment_without_its_first_page_is_missed() {
    let bench = Bench::new(4);
    for _ in 0..6 {
        bench.put_many(400);
        bench.sync();
    }
    assert!(bench.log.durable() > SEGMENT_BYTES + 1_000_000);
    assert!(bench.replay(false).is_ok());
    let mut buffer = bench.backend.buffers().lease_blocking();
    buffer[..PAGE_BYTES].fill(0);
    let op = WriteOp { area: Area::Log, offset_bytes: SEGMENT_BYTES, buf: &buffer[..PAGE_BYTES] };
    bench.backend.write(&[op]).expect("memory");
    assert!(matches!(bench.replay(false), Err(Error::LogCorrupt { .. })));
}

/// A page of the log.
fn page_at(bench: &Bench, offset_bytes: u64) -> Vec<u8> {
    let mut buffer = bench.backend.buffers().lease_blocking();
    let buf = &mut buffer[..PAGE_BYTES];
    bench.backend.read(&mut [crate::backend::ReadOp { area: Area::Log, offset_bytes, buf }]).expect("memory");
    buffer[..PAGE_BYTES].to_vec()
}

fn set_page(bench: &Bench, offset_bytes: u64, bytes: &[u8]) {
    let mut buffer = bench.backend.buffers().lease_blocking();
    buffer[..PAGE_BYTES].copy_from_slice(bytes);
    let op = WriteOp { area: Area::Log, offset_bytes, buf: &buffer[..PAGE_BYTES] };
    bench.backend.write(&[op]).expect("memory");
}

/// The only page of a group is lost: where it was there are zeros, as behind the end of a log. But the next
/// group knows that everything before it was durable, and its first write does not follow.
#[test]
fn a_group_that_is_blank_is_missed_by_the_next_one() {
    let bench = Bench::new(2);
    let mut ends = Vec::new();
    for key in [b"a", b"b", b"c"] {
        bench.put(key, b"1");
        bench.sync();
        ends.push(bench.log.end());
    }
    let reader = || Reader::new(&*bench.backend, None, IDENTITY).expect("memory");
    assert_eq!(reader().replay(0, 0, |_, _| Ok(())).expect("sound").seq, 3);
    set_page(&bench, ends[0], &[0; PAGE_BYTES]);
    // A checkpoint had cut the log within the page of the first group, or behind it.
    for (position, seq) in [(0, 0), (ends[0], 1)] {
        let replayed = reader().replay(position, seq, |_, _| Ok(()));
        assert!(matches!(replayed, Err(Error::LogCorrupt { .. })), "from {position}: {replayed:?}");
    }
}

/// Several groups are on their way at once, and arrive in any order: one that was written when the first was
/// durable says nothing of the one between.
#[test]
fn a_group_knows_of_what_was_durable_when_it_was_written_and_of_no_more() {
    let bench = Bench::new(2);
    let second = bench.put(b"a", b"1").end;
    bench.put(b"b", b"2");
    bench.sync();
    let durable = bench.log.end().next_multiple_of(PAGE_BYTES as u64);
    let third = durable + PAGE_BYTES as u64;
    let mut payload = Vec::new();
    Write::Put { key: b"d", value: b"4" }.encode(&mut payload);
    let head = record::Head { kind: record::Kind::Put, payload_bytes: payload.len(), seq: 4, durable };
    let mut page = record::encode(head, &payload, IDENTITY, third);
    page.resize(PAGE_BYTES, 0);
    set_page(&bench, third, &page);
    let replay = || Reader::new(&*bench.backend, None, IDENTITY).expect("memory").replay(0, 0, |_, _| Ok(()));
    assert_eq!(replay().expect("the third was not durable, nor was the second").seq, 2);
    bench.flip(second);
    assert!(matches!(replay(), Err(Error::LogCorrupt { .. })), "but all of the first was");
}

/// Three groups of which the area has the first; in the ring the second is lost as well.
fn with_one_group_of_three() -> (Bench, Vec<u64>) {
    let bench = Bench::new(2);
    let mut ends = vec![0];
    for key in [b"a", b"b", b"c"] {
        bench.put(key, b"1");
        bench.sync();
        ends.push(bench.log.end().next_multiple_of(PAGE_BYTES as u64));
    }
    for &group in &ends[1..3] {
        set_page(&bench, group, &[0; PAGE_BYTES]);
    }
    blank_in_ring(&bench, ends[1]..ends[2]);
    (bench, ends)
}

fn blank_in_ring(bench: &Bench, positions: std::ops::Range<u64>) {
    let words = &bench.ring.words()[ring::HEADER_WORDS..];
    for word in &words[positions.start as usize / 8..positions.end as usize / 8] {
        word.store(0, Ordering::Relaxed);
    }
}

fn replay_with_ring(bench: &Bench) -> Result<Replayed> {
    Reader::new(&*bench.backend, Some(&*bench.ring), IDENTITY)?.replay(0, 0, |_, _| Ok(()))
}

#[test]
fn the_ring_says_how_far_all_was_durable() {
    let (bench, ends) = with_one_group_of_three();
    blank_in_ring(&bench, ends[2]..ends[3]);
    assert!(matches!(replay_with_ring(&bench), Err(Error::LogCorrupt { .. })));
    // Where that is lost as well, nothing is left that knows of more.
    bench.ring.words()[ring::DURABLE_AT].store(ends[1].to_le(), Ordering::Relaxed);
    assert_eq!(replay_with_ring(&bench).expect("as far as is known").seq, 1);
}

#[test]
fn a_record_that_only_the_ring_has_says_how_far_all_before_it_was_durable() {
    let (bench, ends) = with_one_group_of_three();
    // A power loss keeps any page of the ring in an older version, its header, too.
    bench.ring.words()[ring::DURABLE_AT].store(0, Ordering::Relaxed);
    assert!(matches!(replay_with_ring(&bench), Err(Error::LogCorrupt { .. })));
    blank_in_ring(&bench, ends[2]..ends[3]);
    assert_eq!(replay_with_ring(&bench).expect("as far as is known").seq, 1);
}

/// Recovery writes them to the area: whoever reads the log there is to find all that was recovered.
#[cfg(not(miri))]
#[test]
fn what_only_the_ring_has_is_told_with_its_bytes() {
    let bench = Bench::new(3);
    // Beyond the first segment, so that places in the ring are others than in the log.
    while bench.log.end() < SEGMENT_BYTES + 3 * PAGE_BYTES as u64 {
        let seq = bench.seq.load(Ordering::Relaxed) + 1;
        bench.put(&seq.to_le_bytes(), &[seq as u8; 9_000]);
    }
    bench.sync();
    let from = bench.log.end().next_multiple_of(PAGE_BYTES as u64);
    let written = bench.seq.load(Ordering::Relaxed);
    for seq in written + 1..=written + 2 {
        bench.put(&seq.to_le_bytes(), &[seq as u8; 50]);
    }
    let (replayed, values) = bench.replay(true).expect("sound");
    assert_eq!(values.len() as u64, written + 2);
    let [(first, one), (second, other)] = &replayed.only_in_ring[..] else {
        panic!("two records: {:?}", replayed.only_in_ring)
    };
    assert_eq!(
        (*first, first + one.len() as u64, second + other.len() as u64),
        (from, *second, replayed.end)
    );
    for (position, bytes) in &replayed.only_in_ring {
        let (head, payload) = record::decode(bytes, IDENTITY, *position).expect("a whole record");
        let Some(Write::Put { key, value }) = Write::decode(head.kind, payload) else { panic!("a put") };
        assert_eq!((key, value), (&head.seq.to_le_bytes()[..], &[head.seq as u8; 50][..]));
    }
    assert_eq!(bench.replay(false).expect("sound").1.len() as u64, written, "the area has the rest");
}

/// The first page of a segment is that of an earlier life, which had the same place: the write of the new one
/// was lost.
#[test]
fn a_segment_that_begins_as_in_an_earlier_life_is_missed() {
    let bench = Bench::new(2);
    bench.put_many(3);
    bench.sync();
    let first = page_at(&bench, 0);
    let identity = Identity { incarnation: IDENTITY.incarnation + 1, ..IDENTITY };
    let start = Start { identity, position: SEGMENT_BYTES, last_seq: 3, history: History::default() };
    let room = Room { segments_max: 2, kept_bytes: 0 };
    let log = begun(bench.backend.clone(), bench.ring.clone(), start, room);
    let later =
        Bench { log, seq: AtomicU64::new(3), backend: bench.backend.clone(), ring: bench.ring.clone() };
    for _ in 0..3 {
        later.put_many(2);
        later.sync();
    }
    let replay = || {
        let reader = Reader::new(&*bench.backend, None, identity).expect("memory");
        reader.replay(SEGMENT_BYTES, 3, |_, _| Ok(()))
    };
    assert_eq!(replay().expect("sound").seq, 9);
    set_page(&bench, 0, &first);
    assert!(matches!(replay(), Err(Error::LogCorrupt { .. })));
}

/// The same within one life: the place was recycled.
#[test]
fn a_segment_that_begins_as_the_one_that_had_its_place_is_missed() {
    let bench = Bench::new(3);
    bench.put_many(3);
    bench.sync();
    let first = page_at(&bench, 0);
    let mut cut = (0, 0);
    while bench.log.end() < 3 * SEGMENT_BYTES {
        cut = (bench.log.end(), bench.seq.load(Ordering::Relaxed));
        bench.log.recycle_before(cut.0);
        bench.put_many(50);
        bench.sync();
    }
    bench.put_many(50);
    bench.sync();
    assert!(page_at(&bench, 0) != first, "the place is used again");
    let replay = || {
        let reader = Reader::new(&*bench.backend, None, IDENTITY).expect("memory");
        reader.replay(cut.0, cut.1, |_, _| Ok(()))
    };
    assert_eq!(replay().expect("sound").seq, bench.seq.load(Ordering::Relaxed));
    set_page(&bench, 0, &first);
    assert!(matches!(replay(), Err(Error::LogCorrupt { .. })));
}

/// Two segments, of which the second one has a few pages; and where those end.
#[cfg(not(miri))]
fn with_two_segments() -> (Bench, u64) {
    let bench = Bench::new(3);
    while bench.log.end() < SEGMENT_BYTES + 2 * PAGE_BYTES as u64 {
        bench.put_many(50);
        bench.sync();
    }
    let end = bench.log.end();
    assert!(end < 2 * SEGMENT_BYTES, "in the second segment");
    (bench, end)
}

#[cfg(not(miri))]
#[test]
fn a_log_of_which_no_segment_shows_its_number_is_missed() {
    let (bench, _) = with_two_segments();
    for page in 0..SEGMENT_BYTES / PAGE_BYTES as u64 {
        set_page(&bench, page * PAGE_BYTES as u64, &[0; PAGE_BYTES]);
    }
    assert!(matches!(bench.replay(false), Err(Error::LogCorrupt { .. })), "the second one is there");
    set_page(&bench, SEGMENT_BYTES, &[0; PAGE_BYTES]);
    assert!(matches!(bench.replay(false), Err(Error::LogCorrupt { .. })), "what lies in it is");
}

/// The ring is as long as a segment: behind the end it has what follows, or what is one segment on.
#[cfg(not(miri))]
#[test]
fn what_the_ring_alone_knows_of_the_next_segment_is_missed() {
    let (bench, end) = with_two_segments();
    bench.ring.words()[ring::DURABLE_AT].store(0, Ordering::Relaxed);
    for page in 2..2 * SEGMENT_BYTES / PAGE_BYTES as u64 {
        set_page(&bench, page * PAGE_BYTES as u64, &[0; PAGE_BYTES]);
    }
    blank_in_ring(&bench, end.next_multiple_of(PAGE_BYTES as u64) - SEGMENT_BYTES..SEGMENT_BYTES);
    assert!(matches!(bench.replay(true), Err(Error::LogCorrupt { .. })));
    let known = bench.replay(false).expect("nobody knows of more").1.len() as u64;
    assert!((1..bench.seq.load(Ordering::Relaxed)).contains(&known), "{known} of the first page");
}

#[test]
fn places_are_made_up_to_the_limit_and_used_again() {
    let (backend, room) = (Arc::new(MemoryBackend::new()), Room { segments_max: 2, kept_bytes: 0 });
    let segments = Segments::new(backend.clone(), room, Vec::new()).expect("nothing to read");
    assert!(segments.prepare(7, false).expect("memory"));
    assert!(segments.prepare(8, false).expect("memory"));
    assert!(segments.prepare(8, false).expect("memory"), "it has a place already");
    assert!(!segments.prepare(9, false).expect("memory"));
    assert_eq!(segments.offset_of(8 * SEGMENT_BYTES + 4096), SEGMENT_BYTES + 4096);
    segments.recycle_before(8 * SEGMENT_BYTES - 1);
    assert_eq!(segments.used(), (2, 2));
    segments.recycle_before(8 * SEGMENT_BYTES);
    assert_eq!(segments.used(), (1, 2));
    assert!(segments.prepare(9, false).expect("memory"));
    assert_eq!(segments.offset_of(9 * SEGMENT_BYTES), 0);
    assert_eq!(backend.len(Area::Log).expect("memory"), 2 * SEGMENT_BYTES);
}

/// A database that sleeps has a log already: whoever looks ahead there must not write to its area.
#[test]
fn a_log_that_has_not_begun_gives_no_segment_a_place() {
    let backend = Arc::new(MemoryBackend::new());
    let room = Room { segments_max: 2, kept_bytes: 0 };
    let log = Log::new(backend.clone(), start(), room).expect("memory");
    log.look_ahead().expect("nothing is done");
    assert_eq!((log.fill().0, backend.len(Area::Log).expect("memory")), (0, 0));
    log.make_first_place().expect("memory");
    log.take_ring(Arc::new(PrivateRing::new()));
    log.begin();
    log.look_ahead().expect("memory");
    assert_eq!(log.fill().0, 1, "the first is not half full");
}

/// A checkpoint may be done before the flusher has written what it made superfluous.
#[test]
fn a_place_is_kept_until_its_last_group_is_written() {
    let bench = Bench::new(2);
    let before = bench.put_many(10);
    bench.sync();
    while bench.log.end() < SEGMENT_BYTES + 100_000 {
        bench.put(&(before.len() as u64).to_le_bytes(), &[7; 60_000]);
        if bench.log.end() < SEGMENT_BYTES - 200_000 {
            bench.sync();
        }
    }
    assert!(bench.log.durable() < SEGMENT_BYTES);
    bench.log.recycle_before(bench.log.end());
    assert_eq!(bench.log.fill().0, 2, "the first segment still has to be written");
    bench.sync();
    bench.log.recycle_before(0);
    assert_eq!(bench.log.fill().0, 1);
}
