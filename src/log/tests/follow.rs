//! Reading a log while it is written and its places are used again.

#![forbid(unsafe_code)]

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;
use crate::backend::BLOB_BYTES;
use crate::log::batch::{self, PART_BYTES};
use crate::log::follow::Cursor;
use crate::log::tests::places;

/// Seqs and values of all that follows.
fn follow_all(bench: &Bench, cursor: &mut Cursor) -> Result<Vec<(u64, usize)>> {
    let mut found = Vec::new();
    let take = |seq, write: Write<'_>| match write {
        Write::Put { value, .. } => Ok((seq, value.len())),
        Write::Batch(writes) => Ok((seq, writes.bytes().len())),
        other => panic!("{other:?}"),
    };
    while let Some(one) = bench.log.follow(cursor, take)? {
        found.push(one);
    }
    Ok(found)
}

fn value_bytes(seq: u64) -> usize {
    (seq * 37 % 5000) as usize
}

#[test]
fn only_what_is_durable_is_read_and_nothing_is_missed() {
    let bench = Bench::new(8);
    let mut cursor = bench.log.cursor(0).expect("from the beginning");
    let mut found = Vec::new();
    for _ in 0..12 {
        bench.put_many(400);
        found.extend(follow_all(&bench, &mut cursor).expect("sound"));
        let before = bench.log.durable();
        assert_eq!(follow_all(&bench, &mut cursor).expect("sound"), []);
        bench.sync();
        assert!(bench.log.durable() > before);
        found.extend(follow_all(&bench, &mut cursor).expect("sound"));
        let last = bench.seq.load(Ordering::Relaxed);
        assert_eq!(found.last().map(|&(seq, _)| seq), Some(last), "all is durable");
    }
    assert!(found.iter().copied().eq((1..=4800).map(|seq| (seq, value_bytes(seq)))));
    for since in [1, 77, 2400, 4799, 4800] {
        let mut cursor = bench.log.cursor(since).expect("still there");
        let seqs = follow_all(&bench, &mut cursor).expect("sound").into_iter().map(|(seq, _)| seq);
        assert!(seqs.eq(since + 1..=4800));
    }
    assert!(matches!(bench.log.cursor(4801), Err(Error::ChangesAhead { since: 4801, last: 4800 })));
}

#[test]
fn a_write_that_was_not_taken_is_handed_out_again() {
    let bench = Bench::new(8);
    bench.put_many(10);
    bench.sync();
    let mut cursor = bench.log.cursor(4).expect("there");
    let refused = bench.log.follow(&mut cursor, |_, _| Err::<(), Error>(Error::Closed));
    assert!(matches!(refused, Err(Error::Closed)) && cursor.seq() == 4);
    let found = follow_all(&bench, &mut cursor).expect("sound");
    assert!(found.into_iter().map(|(seq, _)| seq).eq(5..=10));
}

#[test]
fn what_was_recycled_is_an_error_that_says_where_to_go_on() {
    let bench = Bench::new(3);
    let mut behind = bench.log.cursor(0).expect("from the beginning");
    for _ in 0..8 {
        let cut = bench.log.end();
        bench.put_many(900);
        bench.sync();
        bench.log.recycle_before(cut);
    }
    let Err(Error::ChangesRecycled { since: 10, oldest }) = bench.log.cursor(10) else {
        panic!("long gone");
    };
    assert!(oldest > 10 && oldest < 7200, "{oldest}");
    let found = follow_all(&bench, &mut bench.log.cursor(oldest).expect("there")).expect("sound");
    assert!(found.into_iter().map(|(seq, _)| seq).eq(oldest + 1..=7200));
    assert!(matches!(bench.log.cursor(oldest - 1), Err(Error::ChangesRecycled { .. })));
    // One that was there before has read nothing yet.
    let error = follow_all(&bench, &mut behind).expect_err("recycled");
    assert!(matches!(error, Error::ChangesRecycled { since: 0, oldest: there } if there == oldest));
}

#[test]
fn what_is_kept_makes_nobody_wait() {
    for kept_segments in [0, 1, 3] {
        let kept_bytes = kept_segments * SEGMENT_BYTES;
        let bench = Bench::keeping(3, kept_bytes);
        for _ in 0..12 {
            let cut = bench.log.end();
            // `put` panics where only a checkpoint helps.
            bench.put_many(900);
            bench.sync();
            bench.log.recycle_before(cut);
            let area_bytes = bench.backend.len(Area::Log).expect("memory");
            assert!(area_bytes <= (3 + kept_segments) * SEGMENT_BYTES, "{area_bytes}");
            let first = bench.log.segments.held()[0];
            assert!(first * SEGMENT_BYTES <= cut.saturating_sub(kept_bytes), "less is kept");
            assert!(bench.log.fill().0 <= 3);
        }
        assert_eq!(bench.log.kept() as u64, kept_segments);
    }
}

#[test]
fn a_reader_beside_a_writer_sees_an_unbroken_row_or_is_told() {
    let bench = Bench::keeping(3, SEGMENT_BYTES);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut cursor, mut next, mut times_recycled, mut read) = (bench.log.cursor(0)?, 1, 0, 0);
            loop {
                let was_done = is_done.load(Ordering::Acquire);
                match bench.log.follow(&mut cursor, |seq, write| Ok((seq, write.seqs()))) {
                    Ok(Some((seq, 1))) => {
                        assert_eq!(seq, next);
                        (next, read) = (seq + 1, read + 1);
                    }
                    Ok(Some(other)) => panic!("{other:?}"),
                    Ok(None) if was_done => return Ok((next, times_recycled, read)),
                    Ok(None) => {
                        bench.log.wait_for_more(&cursor, Duration::from_millis(1))?;
                    }
                    Err(Error::ChangesRecycled { since, oldest }) => {
                        assert_eq!(since, next - 1);
                        // It may have gone on meanwhile.
                        let from = bench.seq.load(Ordering::Relaxed).max(oldest);
                        bench.sync();
                        cursor = bench.log.cursor(from)?;
                        (next, times_recycled) = (from + 1, times_recycled + 1);
                    }
                    Err(error) => return Err(error),
                }
            }
        });
        for round in 0..60 {
            let cut = bench.log.end();
            bench.put_many(600);
            bench.sync();
            bench.log.recycle_before(cut);
            if round % 8 == 7 {
                // Time to catch up.
                std::thread::sleep(Duration::from_millis(30));
            }
        }
        is_done.store(true, Ordering::Release);
        let (next, _, read): (u64, u32, u64) = reader.join().expect("no panic").expect("sound");
        assert_eq!(next, 36_001);
        assert!(read > 100, "{read}");
    });
}

/// A batch of three parts.
fn long_batch() -> Vec<u8> {
    let mut bytes = Vec::new();
    batch::begin(&mut bytes);
    batch::push(&mut bytes, Kind::Put, [b"k", b""], [&vec![7; PART_BYTES], &vec![8; PART_BYTES]]);
    bytes
}

/// A long batch, and single writes between its parts.
fn stage_around(bench: &Bench) -> u64 {
    let bytes = long_batch();
    let ticket = std::thread::scope(|scope| {
        let staging =
            scope.spawn(|| bench.log.stage(&bytes, || bench.seq.load(Ordering::Relaxed)).expect("memory"));
        while !staging.is_finished() {
            bench.put_many(1);
        }
        staging.join().expect("no panic")
    });
    bench.put_many(3);
    let seq = bench.seq.load(Ordering::Relaxed);
    bench.sync();
    let mut cursor = bench.log.cursor(seq).expect("there");
    assert_eq!(follow_all(bench, &mut cursor).expect("sound"), [], "parts alone are nothing");
    while let Err(Refused::Full(full)) =
        bench.log.append(Write::BatchCommit(ticket), || bench.seq.fetch_add(1, Ordering::Relaxed) + 1)
    {
        bench.log.make_space_for_staged(full).expect("memory");
    }
    bench.put_many(1);
    bench.sync();
    assert_eq!(follow_all(bench, &mut cursor).expect("sound")[0], (seq + 1, bytes.len()));
    seq + 1
}

#[test]
fn a_batch_in_parts_comes_whole_wherever_one_begins_to_read() {
    let bench = Bench::new(8);
    bench.put_many(1500);
    let batch_seq = stage_around(&bench);
    for since in batch_seq - 4..batch_seq {
        let mut cursor = bench.log.cursor(since).expect("there");
        let found = follow_all(&bench, &mut cursor).expect("sound");
        assert!(found.iter().map(|&(seq, _)| seq).eq(since + 1..=batch_seq + 1));
    }
    // The segment with its parts goes; what follows the batch can still be read.
    while bench.log.end() % SEGMENT_BYTES > SEGMENT_BYTES / 8 {
        bench.put_many(10);
    }
    bench.sync();
    bench.log.recycle_before(bench.log.end());
    assert!(matches!(bench.log.cursor(batch_seq), Err(Error::ChangesRecycled { .. })));
}

/// Appends single writes until so much is left of the segment.
fn leave_of_segment(bench: &Bench, left_bytes: u64) {
    while SEGMENT_BYTES - bench.log.end() % SEGMENT_BYTES > left_bytes {
        put_next(bench);
    }
}

/// One more of those that `put_many` makes.
fn put_next(bench: &Bench) {
    let seq = bench.seq.load(Ordering::Relaxed) + 1;
    bench.put(&seq.to_le_bytes(), &vec![seq as u8; value_bytes(seq)]);
}

#[test]
fn a_batch_whose_first_parts_lie_in_an_earlier_segment_comes_whole_until_that_is_gone() {
    // The oldest segment that is there is the first one of the log, or a later one.
    for oldest in [0, 1] {
        let bench = Bench::new(8);
        while bench.log.end() < oldest * SEGMENT_BYTES + 10_000 {
            put_next(&bench);
        }
        bench.sync();
        bench.log.recycle_before(oldest * SEGMENT_BYTES);
        leave_of_segment(&bench, PART_BYTES as u64 * 3 / 2);
        let ticket = bench.log.stage(&long_batch(), || bench.seq.load(Ordering::Relaxed)).expect("memory");
        bench.put_many(3);
        let next_seq = || bench.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let batch_seq = bench.log.append(Write::BatchCommit(ticket), next_seq).expect("room").seq;
        // Parts that nobody counts yet are not those of the batch before them.
        bench.log.stage(&[9; 100], || bench.seq.load(Ordering::Relaxed)).expect("memory");
        bench.put_many(1);
        bench.sync();
        assert_eq!(bench.log.end() / SEGMENT_BYTES, oldest + 1, "the last parts are in the next segment");
        // The last segment alone is read for this one.
        let since = batch_seq - 1;
        let found = follow_all(&bench, &mut bench.log.cursor(since).expect("there")).expect("sound");
        assert!(found.iter().map(|&(seq, _)| seq).eq(batch_seq..=batch_seq + 1));
        bench.log.recycle_before((oldest + 1) * SEGMENT_BYTES);
        let mut cursor = bench.log.cursor(since).expect("there");
        let error = follow_all(&bench, &mut cursor).expect_err("its first part is gone");
        assert!(matches!(error, Error::ChangesRecycled { since: from, .. } if from == since), "{error}");
    }
}

#[test]
fn a_log_that_has_not_begun_is_followed_from_where_it_will() {
    let backend = Arc::new(MemoryBackend::new());
    let start = Start { position: 5 * SEGMENT_BYTES, last_seq: 77, ..start() };
    let log = Log::new(backend, start, Room { segments_max: 2, kept_bytes: 0 }).expect("memory");
    let mut cursor = log.cursor(77).expect("the next write is the first one here");
    assert!(log.follow(&mut cursor, |_, _| Ok(())).expect("sound").is_none());
    assert!(matches!(log.cursor(76), Err(Error::ChangesRecycled { since: 76, oldest: 77 })));
    log.make_first_place().expect("memory");
    log.take_ring(Arc::new(PrivateRing::new()));
    log.begin();
    let appended = log.append(Write::Remove { key: b"k" }, || 78);
    log.wait_durable(appended.expect("room").end).expect("memory");
    assert_eq!(log.follow(&mut cursor, |seq, _| Ok(seq)).expect("sound"), Some(78));
}

#[test]
fn a_record_that_is_read_in_two_pieces_comes_whole() {
    // What is read at a time ends within the head, behind it, and within the payload.
    for before_bytes in (8..64).step_by(8) {
        let bench = Bench::new(2);
        places::fill_up_to(&bench, BLOB_BYTES as u64 - before_bytes);
        bench.put(b"key", &[7; 100]);
        bench.put(b"key", &[8; 100]);
        bench.sync();
        let found = follow_all(&bench, &mut bench.log.cursor(0).expect("there")).expect("sound");
        assert_eq!(found.len() as u64, bench.seq.load(Ordering::Relaxed), "{before_bytes}");
    }
}

#[test]
fn a_flipped_bit_is_found() {
    // In a log that begins with the database, and in one that goes on from an earlier one.
    for position in [0, 5 * SEGMENT_BYTES] {
        let (backend, ring) = (Arc::new(MemoryBackend::new()), Arc::new(PrivateRing::new()));
        let room = Room { segments_max: 4, kept_bytes: 0 };
        let log = begun(backend.clone(), ring.clone(), Start { position, ..start() }, room);
        let bench = Bench { backend, ring, log, seq: AtomicU64::new(0) };
        bench.put_many(100);
        bench.sync();
        bench.flip(PAGE_BYTES as u64 + 30_000);
        let cursor = &mut bench.log.cursor(0).expect("there");
        let error = follow_all(&bench, cursor).expect_err("damaged");
        assert!(matches!(error, Error::LogCorrupt { .. }), "{error}");
    }
}

#[test]
fn who_waits_is_told_of_the_end_and_of_a_failure() {
    for fails in [false, true] {
        let bench = Bench::new(4);
        let cursor = bench.log.cursor(0).expect("there");
        assert!(!bench.log.wait_for_more(&cursor, Duration::from_millis(5)).expect("sound"));
        let waited = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| bench.log.wait_for_more(&cursor, Duration::MAX));
            if fails {
                bench.log.set_poison("no disk".into())
            } else {
                bench.log.end_segments()
            }
            waiter.join().expect("no panic")
        });
        assert_eq!(waited.expect_err("ended").code(), if fails { "Poisoned" } else { "Closed" });
    }
}
