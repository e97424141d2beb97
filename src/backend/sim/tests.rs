//! The simulated disk is a backend like any other, and as bad as it says.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::backend::contract::{self, read, write};
use crate::backend::{Area, Backend, PAGE_BYTES, WriteOp};

const PAGE: u64 = PAGE_BYTES as u64;
const POWER: Crash = Crash::PowerLoss(Grain::Sector);

#[test]
fn it_keeps_the_contract() {
    for demand in contract::demands() {
        demand(&*FaultBackend::new(1));
    }
}

/// Two pages, of which the first is stable.
fn two_pages() -> Arc<FaultBackend> {
    let disk = FaultBackend::new(3);
    disk.set_len(Area::Data, 2 * PAGE).unwrap();
    write(&*disk, Area::Data, 0, 1, 1);
    disk.sync(Area::Data).unwrap();
    disk
}

/// The first byte of each sector of the data, in each way in which it may end.
fn ends(before: &Disk, after: &Disk, crash: Crash) -> BTreeSet<Vec<u8>> {
    let choices = before.ends(after, crash);
    let counts = choices.counts();
    assert!(choices.ways() <= 1 << 16);
    let mut all = BTreeSet::new();
    let mut picks = vec![0; counts.len()];
    loop {
        let data = choices.pick(&picks).area(Area::Data);
        all.insert(data.chunks(SECTOR_BYTES).map(|sector| sector[0]).collect());
        let Some(at) = (0..picks.len()).find(|&at| picks[at] + 1 < counts[at]) else { return all };
        picks[at] += 1;
        picks[..at].fill(0);
    }
}

#[test]
fn power_keeps_any_part_of_what_was_not_synced_and_all_of_the_rest() {
    let disk = two_pages();
    write(&*disk, Area::Data, PAGE, 2, 1);
    write(&*disk, Area::Data, PAGE, 3, 1);
    let now = disk.disk();
    let torn = ends(&now, &now, POWER);
    assert_eq!(torn.len(), 3_usize.pow(8), "each of 8 sectors is 0, 2 or 3");
    assert!(torn.iter().all(|sectors| sectors[..8] == [1; 8]));
    let pages = ends(&now, &now, Crash::PowerLoss(Grain::Page));
    assert_eq!(pages.into_iter().map(|sectors| sectors[8]).collect::<Vec<_>>(), [0, 2, 3]);
    disk.sync(Area::Log).unwrap();
    assert_eq!(disk.disk().ends(&disk.disk(), POWER).ways(), 3_u64.pow(8), "another area");
    disk.sync(Area::Data).unwrap();
    assert_eq!(disk.disk().ends(&disk.disk(), POWER).ways(), 1);
}

#[test]
fn death_keeps_what_has_returned_and_tears_what_was_under_way() {
    let disk = two_pages();
    write(&*disk, Area::Data, PAGE, 2, 1);
    let before = disk.disk();
    assert_eq!(ends(&before, &before, Crash::Death).len(), 1);
    write(&*disk, Area::Data, PAGE, 3, 1);
    assert_eq!(ends(&before, &disk.disk(), Crash::Death).len(), 1 << 8);
    // And then the power fails, before anybody has synced.
    let left = before.left(disk.disk().storage(), Crash::Death);
    assert_eq!(ends(&left, &left, POWER).len(), 3_usize.pow(8));
}

#[test]
fn lengths_names_and_the_ring_may_be_lost() {
    let disk = FaultBackend::new(3);
    disk.set_len(Area::Log, PAGE).unwrap();
    disk.sync(Area::Log).unwrap();
    let ring = disk.ring(true).unwrap();
    for value in 1..4 {
        ring.words()[600].store(value, std::sync::atomic::Ordering::Relaxed);
        disk.note(value);
        disk.disk();
    }
    let lost = |disk: &FaultBackend| {
        let (now, mut found) = (disk.disk(), BTreeSet::new());
        let choices = now.ends(&now, POWER);
        for seed in 0..200 {
            let storage = choices.at_random(seed);
            found.insert((storage.len_bytes(Area::Log), storage.ring().map(|ring| ring[4800])));
        }
        found.len()
    };
    assert_eq!(lost(&disk), 2 * 5, "the file is there or not; no ring, or one of four versions");
    disk.sync_directory().unwrap();
    assert_eq!(lost(&disk), 4);
    disk.set_len(Area::Log, 2 * PAGE).unwrap();
    assert_eq!(lost(&disk), 2 * 4);
    disk.remove_side_files().unwrap();
    assert_eq!(lost(&disk), 1);
    // In the middle of deleting, any of them may come back.
    let disk = two_pages();
    disk.set_len(Area::Log, PAGE).unwrap();
    disk.sync(Area::Log).unwrap();
    disk.sync_directory().unwrap();
    disk.crash_after(2);
    assert!(disk.remove_side_files().is_err() && disk.has_crashed());
    assert_eq!(lost(&disk), 2);
}

#[test]
fn a_durable_write_passes_what_waits() {
    let disk = two_pages();
    write(&*disk, Area::Data, 0, 5, 1);
    let mut lease = disk.buffers().lease_blocking();
    lease[..PAGE_BYTES].fill(7);
    let op = WriteOp { area: Area::Data, offset_bytes: PAGE, buf: &lease[..PAGE_BYTES] };
    disk.write_durable(op).unwrap();
    let now = disk.disk();
    let pages = ends(&now, &now, Crash::PowerLoss(Grain::Page));
    assert_eq!(pages.iter().map(|sectors| (sectors[0], sectors[8])).collect::<Vec<_>>(), [(1, 7), (5, 7)]);
}

#[test]
fn what_a_failed_sync_had_is_never_stable_by_syncing_again() {
    let disk = two_pages();
    write(&*disk, Area::Data, PAGE, 2, 1);
    disk.inject(When::nth(0).of(Call::Sync), Fault::EIO);
    assert!(disk.sync(Area::Data).is_err());
    disk.sync(Area::Data).unwrap();
    let now = disk.disk();
    assert_eq!(ends(&now, &now, Crash::PowerLoss(Grain::Page)).len(), 2);
    write(&*disk, Area::Data, PAGE, 2, 1);
    disk.sync(Area::Data).unwrap();
    let now = disk.disk();
    assert_eq!(ends(&now, &now, POWER).len(), 1, "it was written again");
}

/// What the second page holds after a write of 2s that was struck, by sectors, and the first one.
fn struck(fault: Fault, pages: u64) -> (Vec<u8>, bool, String) {
    let disk = FaultBackend::new(3);
    disk.set_len(Area::Data, pages * PAGE).unwrap();
    disk.inject(When::nth(0).of(Call::Write), fault);
    let mut lease = disk.buffers().lease_blocking();
    lease[..PAGE_BYTES].fill(2);
    let op = WriteOp { area: Area::Data, offset_bytes: PAGE, buf: &lease[..PAGE_BYTES] };
    let outcome = disk.write(&[op]);
    (disk.storage().area(Area::Data), outcome.is_ok(), disk.story())
}

#[test]
fn each_fault_does_what_it_says_and_tells_it() {
    let twos = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == 2).count();
    let (bytes, is_ok, story) = struck(Fault::Lost, 3);
    assert!(is_ok && twos(&bytes) == 0 && story.contains("Lost"), "{story}");
    let (bytes, is_ok, _) = struck(Fault::Torn, 3);
    assert!(is_ok && (1..PAGE_BYTES).contains(&twos(&bytes)));
    let (bytes, is_ok, story) = struck(Fault::Misdirected, 3);
    assert!(is_ok && twos(&bytes) == PAGE_BYTES && bytes[PAGE_BYTES] == 0 && story.contains("it went to"));
    let (bytes, is_ok, _) = struck(Fault::FlippedAtRest, 3);
    assert!(is_ok && twos(&bytes) == PAGE_BYTES - 1);
    let (bytes, is_ok, _) = struck(Fault::ENOSPC, 3);
    assert!(!is_ok && twos(&bytes) == 0);
    let (bytes, is_ok, _) = struck(Fault::SHORT, 3);
    assert!(!is_ok && (1..PAGE_BYTES).contains(&twos(&bytes)));
    let (bytes, is_ok, _) = struck(Fault::Fails { errno: 5, done: Done::All }, 3);
    assert!(!is_ok && twos(&bytes) == PAGE_BYTES);
    assert_eq!(struck(Fault::Torn, 3), struck(Fault::Torn, 3), "the same seed does the same");
}

#[test]
fn reads_lie_when_they_are_told_to() {
    let disk = two_pages();
    write(&*disk, Area::Data, PAGE, 2, 1);
    write(&*disk, Area::Data, PAGE, 3, 1);
    disk.inject(When::nth(0).of(Call::Read).for_good(), Fault::Stale);
    assert_eq!(read(&*disk, Area::Data, PAGE, 1), [2]);
    disk.sync(Area::Data).unwrap();
    assert_eq!(read(&*disk, Area::Data, PAGE, 1), [0]);
    disk.heal();
    assert_eq!(read(&*disk, Area::Data, PAGE, 1), [3]);
    disk.inject(When::nth(0).of(Call::Read), Fault::FlippedOnRead);
    let mut lease = disk.buffers().lease_blocking();
    let mut flipped = || {
        let buf = &mut lease[..PAGE_BYTES];
        disk.read(&mut [crate::backend::ReadOp { area: Area::Data, offset_bytes: PAGE, buf }]).unwrap();
        lease[..PAGE_BYTES].iter().filter(|&&byte| byte != 3).count()
    };
    assert_eq!([flipped(), flipped()], [1, 0]);
    disk.inject(When::nth(0).of(Call::Read), Fault::FlippedAtRest);
    assert_eq!([flipped(), flipped()], [1, 1]);
}

#[test]
fn after_the_end_nothing_changes() {
    let disk = two_pages();
    disk.crash();
    assert!(disk.set_len(Area::Data, 0).is_err() && disk.sync(Area::Data).is_err());
    assert_eq!(disk.len(Area::Data).unwrap(), 2 * PAGE);
    let again = disk.restart(Crash::Death);
    assert_eq!(read(&*again, Area::Data, 0, 2), [1, 0]);
}
