//! The end of a log that is torn, in storage that has lost the ring: what a recovery drops there stays
//! dropped, although its records are still on the disk.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::Durability;
use spinney::backend::{Area, PAGE_BYTES, RING_BYTES, RING_TOTAL_BYTES};

use crate::common::Random;
use crate::disk::{Disk, Event, Image};
use crate::power::Power;
use crate::script::{Step, TREE, put, remove};
use crate::{Do, Progress, assert_recovers, first_seed, in_parallel, options, run};

/// Where the last write to the log went, and how long it was. Not the making of a place.
fn last_group(events: &[Event]) -> Option<(usize, usize)> {
    events.iter().rev().find_map(|event| match event {
        Event::Write { area: Area::Log, offset_bytes, bytes } if bytes.iter().any(|&byte| byte != 0) => {
            Some((*offset_bytes, bytes.len()))
        }
        _ => None,
    })
}

fn without_ring(disk: &Disk) -> Image {
    Image { ring: Some(vec![0; RING_TOTAL_BYTES]), ..disk.image() }
}

/// Four writes in groups of their own, eight in a last one; where that lies in the log.
fn many_in_the_last_group() -> (Arc<Disk>, Vec<Step>, usize) {
    // The flusher may come in between.
    for _ in 0..100 {
        let disk = Disk::new(Image::default());
        let db = options().open_backend(disk.clone()).unwrap();
        let tree = db.tree(TREE).unwrap();
        let mut steps: Vec<Step> = (0..4).map(|key| put(key, 300)).collect();
        for (at, step) in steps.iter().enumerate() {
            step.run(&tree, at).unwrap();
        }
        let buffered = tree.with_durability(Durability::Buffered);
        for key in 0..8 {
            steps.push(put(key, 3000));
            put(key, 3000).run(&buffered, steps.len() - 1).unwrap();
        }
        db.sync().unwrap();
        disk.die();
        let group = last_group(&disk.take_events());
        if let Some((offset_bytes, 24_000..)) = group {
            return (disk, steps, offset_bytes);
        }
    }
    panic!("the last writes are never one group");
}

/// The last group of a log is torn, in its middle or at its start, and the ring is lost: what comes after the
/// tear is dropped. Another life goes on from there, and ends after each of its changes of storage.
#[test]
fn a_dropped_tail_stays_dropped_wherever_the_next_life_ends() {
    let (disk, steps, offset_bytes) = many_in_the_last_group();
    let next = [Do::Sync(put(0, 80)), Do::Buffered(put(5, 5000)), Do::Checkpoint, Do::Sync(remove(1))];
    for torn_page in [0, 2] {
        let mut image = without_ring(&disk);
        let torn = offset_bytes + torn_page * PAGE_BYTES;
        image.area(Area::Log)[torn..torn + PAGE_BYTES].fill(0);
        let label = format!("page {torn_page} torn");
        let writes = assert_recovers(&image, &steps, 4, steps.len() - 1, &label);
        let again = Disk::new(image.clone());
        let after = run(&again, steps[..writes].to_vec(), &next);
        let again = again.take_events();
        in_parallel(|thread, threads| {
            let (mut image, mut power) = (image.clone(), Power::new(image.clone()));
            let mut progress = Progress { begun: writes, kept: writes, durable: writes };
            for (at, event) in again.iter().enumerate() {
                image.apply(event);
                power.apply(event);
                progress.see(event);
                if at % threads != thread {
                    continue;
                }
                let label = format!("page {torn_page} torn, then after event {at}");
                assert_recovers(&image, &after, progress.kept, progress.begun, &label);
                let lost = power.lose(&mut Random::new(first_seed() + at as u64));
                assert_recovers(&lost, &after, progress.durable, progress.begun, &label);
            }
        });
    }
}

/// The tail goes on in the next segment, which is where the next life begins, with a write of the same length
/// and number as the first one that was dropped. The second one that was dropped would follow on it.
#[test]
fn a_dropped_tail_in_the_next_segment_does_not_follow_on_what_replaces_it() {
    // A record fills whole pages, as does a group of one.
    const RECORD_BYTES: usize = 15 * PAGE_BYTES;
    const VALUE_BYTES: usize = RECORD_BYTES - 70;
    let disk = Disk::new(Image::default());
    // So large that no checkpoint comes in between.
    let db = options().log_bytes(64 << 20).open_backend(disk.clone()).unwrap();
    let tree = db.tree(TREE).unwrap();
    let (mut steps, mut events, mut end) = (Vec::new(), Vec::new(), 0);
    // In groups of their own, up to where the segment has no room for another one.
    while end + RECORD_BYTES <= RING_BYTES {
        steps.push(put(steps.len() as u32 % 20, VALUE_BYTES));
        steps[steps.len() - 1].run(&tree, steps.len() - 1).unwrap();
        events.extend(disk.take_events());
        let (offset_bytes, len_bytes) = last_group(&events).unwrap();
        end = offset_bytes + len_bytes;
    }
    assert_eq!(last_group(&events).unwrap().1, RECORD_BYTES);
    let kept = steps.len();
    for key in [21, 22] {
        steps.push(put(key, VALUE_BYTES));
        steps[steps.len() - 1].run(&tree.with_durability(Durability::Buffered), steps.len() - 1).unwrap();
    }
    db.sync().unwrap();
    disk.die();
    let mut image = without_ring(&disk);
    assert!(image.area(Area::Log)[end..end + 8] != [0; 8], "here the log tells that it goes on elsewhere");
    image.area(Area::Log)[end..end + PAGE_BYTES].fill(0);
    assert_recovers(&image, &steps, kept, kept, "the segment's end is torn");
    let next = Disk::new(image);
    let steps = run(&next, steps[..kept].to_vec(), &[Do::Sync(put(23, VALUE_BYTES))]);
    assert_recovers(&without_ring(&next), &steps, kept + 1, kept + 1, "a life later");
}
