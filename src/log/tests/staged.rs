//! Batches in parts, in a log: they come back whole or not at all, whatever is torn, and however full the log
//! is.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::{MemoryBackend, PAGE_BYTES, PrivateRing};
use crate::log::batch::{self, PART_BYTES, Ticket};
use crate::log::payload::Write;
use crate::log::record::{Identity, Kind};
use crate::log::replay::{Reader, Replayed};
use crate::log::ring::SEGMENT_BYTES;
use crate::log::tests::begun;
use crate::log::*;

const IDENTITY: Identity = Identity { log_id: 99, incarnation: 1 };

struct Bench {
    backend: Arc<MemoryBackend>,
    log: Log,
    seq: AtomicU64,
}

impl Bench {
    fn new(segments_max: usize) -> Bench {
        let (backend, ring) = (Arc::new(MemoryBackend::new()), Arc::new(PrivateRing::new()));
        let start = Start { identity: IDENTITY, position: 0, last_seq: 0, history: History::default() };
        let room = Room { segments_max, kept_bytes: 0 };
        let log = begun(backend.clone(), ring, start, room);
        Bench { backend, log, seq: AtomicU64::new(0) }
    }

    fn append(&self, write: Write<'_>) -> std::result::Result<Appended, Refused> {
        self.log.append(write, || self.seq.fetch_add(write.seqs(), Ordering::Relaxed) + 1)
    }

    fn stage(&self, bytes: &[u8]) -> Ticket {
        self.log.stage(bytes, || self.seq.load(Ordering::Relaxed)).expect("memory")
    }

    fn count(&self, ticket: Ticket) {
        while let Err(Refused::Full(full)) = self.append(Write::BatchCommit(ticket)) {
            self.log.make_space_for_staged(full).expect("memory");
        }
    }

    fn sync(&self) {
        self.log.wait_durable(self.log.end()).expect("memory");
    }

    /// What replay finds: how many writes are in each record, and which keys.
    fn replay(&self) -> Result<(Replayed, Vec<u64>)> {
        let mut found = Vec::new();
        let reader = Reader::new(&*self.backend, None, IDENTITY)?;
        let replayed = reader.replay(0, 0, |seq, write| {
            assert_eq!(seq, found.iter().sum::<u64>() + 1, "seqs follow each other");
            found.push(write.seqs());
            if let Write::Batch(writes) = write {
                assert_eq!(writes.iter().count() as u64, writes.count());
            }
            Ok(())
        })?;
        Ok((replayed, found))
    }
}

/// A batch of so many bytes, at least.
fn batch_of(bytes: usize) -> Vec<u8> {
    let mut list = Vec::new();
    batch::begin(&mut list);
    while list.len() < bytes {
        let number = list.len().to_le_bytes();
        batch::push(&mut list, Kind::Put, [b"tree", &number], [&[5; 1000], b""]);
    }
    list
}

const SINGLE: Write<'static> = Write::Remove { key: b"single" };

#[test]
fn parts_come_back_as_one_batch_and_without_their_ticket_not_at_all() {
    let bench = Bench::new(16);
    let (first, second) = (batch_of(3 * PART_BYTES + 10), batch_of(2 * PART_BYTES));
    bench.append(SINGLE).expect("room");
    bench.stage(&second);
    bench.append(SINGLE).expect("room");
    let ticket = bench.stage(&first);
    bench.append(SINGLE).expect("room");
    bench.count(ticket);
    bench.append(SINGLE).expect("room");
    bench.sync();
    let (replayed, found) = bench.replay().expect("sound");
    assert_eq!(found, [1, 1, 1, u64::from(ticket.writes), 1]);
    assert_eq!(replayed.seq, bench.seq.load(Ordering::Relaxed));
    assert_eq!(replayed.end.next_multiple_of(PAGE_BYTES as u64), bench.log.end());
    assert_eq!(replayed.writes, replayed.seq);
}

/// Every page of the parts, one at a time, is lost.
#[test]
fn a_batch_of_which_a_page_is_missing_is_dropped_whole() {
    let bench = Bench::new(16);
    bench.append(SINGLE).expect("room");
    let ticket = bench.stage(&batch_of(PART_BYTES + 3000));
    bench.count(ticket);
    bench.sync();
    let whole = bench.replay().expect("sound").1;
    assert_eq!(whole, [1, u64::from(ticket.writes)]);
    let mut buffer = bench.backend.buffers().lease_blocking();
    for page in 2..bench.log.end() / PAGE_BYTES as u64 {
        let offset_bytes = page * PAGE_BYTES as u64;
        let mut old = vec![0; PAGE_BYTES];
        let buf = &mut buffer[..PAGE_BYTES];
        let mut read = [crate::backend::ReadOp { area: Area::Log, offset_bytes, buf }];
        bench.backend.read(&mut read).expect("memory");
        old.copy_from_slice(&buffer[..PAGE_BYTES]);
        let mut write = |bytes: &[u8]| {
            buffer[..PAGE_BYTES].copy_from_slice(bytes);
            let buf = &buffer[..PAGE_BYTES];
            bench.backend.write(&[WriteOp { area: Area::Log, offset_bytes, buf }]).expect("memory");
        };
        write(&[0; PAGE_BYTES]);
        match bench.replay() {
            Ok((_, found)) => assert_eq!(found, [1], "page {page}"),
            Err(error) => assert_eq!(error.code(), "LogCorrupt", "page {page}"),
        }
        write(&old);
    }
    assert_eq!(bench.replay().expect("sound").1, whole);
}

/// The last part is torn, in a group of which another record was at the start of the page; what makes the
/// parts count was in the group behind it, and is there.
#[test]
fn a_ticket_without_its_last_part_ends_the_log() {
    // Nothing was known to be durable when the ticket was appended.
    let (bench, end) = without_last_part(|log| {
        commit::Writer::close(log);
    });
    let (replayed, found) = bench.replay().expect("nobody knows of more");
    assert_eq!((found, replayed.end), (vec![1, 1], end));
}

/// The ticket knows that everything before it was durable, its last part included.
#[test]
fn a_ticket_that_knows_of_its_last_part_misses_it() {
    let (bench, _) = without_last_part(|log| log.wait_durable(log.end()).expect("memory"));
    assert!(matches!(bench.replay(), Err(Error::LogCorrupt { .. })));
}

/// A log whose ticket lacks a part, and where the group before the ticket ends.
fn without_last_part(end_group: impl Fn(&Log)) -> (Bench, u64) {
    let bench = Bench::new(16);
    bench.append(SINGLE).expect("room");
    let bytes = batch_of(PART_BYTES);
    let encode = |part: usize, payload: &mut Vec<u8>| {
        let end = bytes.len().min((part + 1) * PART_BYTES);
        batch::encode_part(1, part as u32, &bytes[part * PART_BYTES..end], payload);
    };
    let seq = || bench.seq.load(Ordering::Relaxed);
    assert!(bytes.len() > PART_BYTES);
    bench.log.append_payload(Kind::BatchPart, |payload| encode(0, payload), seq).expect("room");
    bench.append(SINGLE).expect("room");
    let end = bench.log.end();
    end_group(&bench.log);
    bench.append(Write::BatchCommit(Ticket::new(1, &bytes))).expect("room");
    bench.append(SINGLE).expect("room");
    bench.sync();
    (bench, end)
}

/// The log is full of other records, and of parts that nobody counts; a batch that is longer than the whole
/// log finds room all the same, and others wait until a checkpoint has come.
#[test]
fn the_longest_batch_finds_room_in_the_shortest_log() {
    let bench = Bench::new(2);
    let long = batch_of(batch::BATCH_BYTES_MAX - 2000);
    let value = vec![1; 60_000];
    for round in 0..3 {
        let is_full = (0..1000).any(|_| match bench.append(Write::Put { key: b"k", value: &value }) {
            Err(Refused::Full(full)) => bench.log.make_space(full).expect("memory") == Space::WantsCheckpoint,
            _ => false,
        });
        assert!(is_full && bench.log.can_stage(), "round {round}");
        let ticket = bench.stage(&long);
        bench.count(ticket);
        let put = bench.append(Write::Put { key: b"k", value: &value });
        assert!(matches!(put, Err(Refused::Full(_))), "round {round}: others have to wait");
        assert!(bench.log.has_parts() && !bench.log.can_stage());
        bench.sync();
        bench.log.recycle_before(bench.log.end());
        assert!(bench.log.can_stage() && !bench.log.has_parts());
    }
    assert!(bench.backend.len(Area::Log).expect("memory") <= 10 * SEGMENT_BYTES);
    // There is room for others again, and what is made first is where the log goes on.
    let Err(Refused::Full(full)) = bench.append(SINGLE) else { panic!("others were not let so far") };
    assert_eq!(bench.log.make_space(full).expect("memory"), Space::Made);
    bench.append(SINGLE).expect("a place was made for it");
}
