//! When segments of a log get their places: in time, once, and no earlier.

#![forbid(unsafe_code)]

use super::*;
use crate::log::ring::Full;

const BEGUN_AT: u64 = 5 * SEGMENT_BYTES;

fn begins_late() -> (Arc<MemoryBackend>, Log) {
    let backend = Arc::new(MemoryBackend::new());
    let start = Start { position: BEGUN_AT, ..start() };
    let room = Room { segments_max: 4, kept_bytes: 0 };
    (backend.clone(), Log::new(backend, start, room).expect("memory"))
}

fn append(log: &Log) -> std::result::Result<Appended, Refused> {
    log.append(Write::Remove { key: b"k" }, || 1)
}

#[test]
fn a_log_that_begins_in_a_later_segment_takes_records_at_once() {
    let (_, log) = begins_late();
    log.make_first_place().expect("memory");
    log.take_ring(Arc::new(PrivateRing::new()));
    log.begin();
    let appended = append(&log).expect("its first segment has a place");
    assert!(appended.end > BEGUN_AT && appended.end < BEGUN_AT + SEGMENT_BYTES);
}

#[test]
fn a_place_that_was_forgotten_is_made_again() {
    let (backend, log) = begins_late();
    log.make_first_place().expect("memory");
    log.forget_places();
    backend.set_len(Area::Log, 0).expect("memory");
    log.take_ring(Arc::new(PrivateRing::new()));
    log.begin();
    let Err(Refused::Full(full)) = append(&log) else { panic!("there is no place") };
    assert_eq!((full, log.make_space(full).expect("memory")), (Full::Segments, Space::Made));
    append(&log).expect("a place was made");
    assert_eq!(backend.len(Area::Log).expect("memory"), SEGMENT_BYTES);
}

#[test]
fn threads_that_all_find_the_log_full_make_one_place() {
    let bench = Bench::new(4);
    assert_eq!(bench.log.fill().0, 1);
    for _ in 0..5 {
        assert_eq!(bench.log.make_space(Full::Segments).expect("memory"), Space::Made);
        assert_eq!(bench.log.fill().0, 2);
    }
}

/// Appends until the log ends there.
pub(super) fn fill_up_to(bench: &Bench, end: u64) {
    while bench.log.end() + 200_000 < end {
        bench.put(b"key", &[1; 60_000]);
    }
    // Two more, the last one as long as it has to be.
    let overhead = |value_bytes: usize| {
        let mut payload = Vec::new();
        Write::Put { key: b"key", value: &vec![0; value_bytes] }.encode(&mut payload);
        record::record_bytes(payload.len()) as u64
    };
    while bench.log.end() < end {
        let left = end - bench.log.end();
        let value_bytes = if left > 70_000 { 60_000 } else { (left - overhead(0)) as usize };
        bench.put(b"key", &vec![2; value_bytes / 8 * 8]);
        assert!(bench.log.end() == end || end - bench.log.end() >= overhead(0), "{}", bench.log.end());
    }
}

#[test]
fn the_next_segment_gets_its_place_when_the_current_one_is_half_full() {
    let bench = Bench::new(4);
    let places_after_a_look = || {
        bench.log.look_ahead().expect("memory");
        bench.log.fill().0
    };
    assert_eq!(places_after_a_look(), 1);
    bench.put(b"key", b"value");
    assert_eq!(places_after_a_look(), 1);
    fill_up_to(&bench, SEGMENT_BYTES / 2);
    assert_eq!((bench.log.end(), places_after_a_look()), (SEGMENT_BYTES / 2, 1));
    bench.put(b"key", b"value");
    assert_eq!(places_after_a_look(), 2);
    assert_eq!(places_after_a_look(), 2, "once");
}

#[test]
fn groups_and_who_waited_in_them_are_counted() {
    let bench = Bench::new(2);
    assert_eq!(bench.log.group_counts(), (0, 0));
    for groups in 1..4 {
        bench.put(b"key", b"value");
        bench.sync();
        bench.sync();
        assert_eq!(bench.log.group_counts(), (groups, groups));
    }
}

#[test]
fn a_log_says_whether_it_keeps_more_than_it_needs() {
    assert!(!Bench::new(2).log.keeps_more() && Bench::keeping(2, 1).log.keeps_more());
}
