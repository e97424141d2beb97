//! The same with several writers, so that groups of the log are on their way to the disk together: whatever
//! the power takes, what is there again are the first so and so many writes in the order of their versions.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::{Db, Durability};

use crate::common::{Random, setting};
use crate::disk::{Disk, Event, Image, Kept};
use crate::power::Power;
use crate::script::{TREE, value};
use crate::{first_seed, in_parallel, options};

/// The last ones are buffered.
const THREADS: usize = 6;
const SYNC_THREADS: usize = 4;

fn key(thread: usize, number: usize) -> String {
    format!("thread-{thread}/write-{number:04}")
}

fn value_bytes(thread: usize, number: usize) -> usize {
    20 + (number * 37 + thread * 501) % 3000
}

/// Every thread writes one key after the other, and notes what it begins and what was acknowledged.
fn run(disk: &Arc<Disk>, writes: usize) {
    let db = options().open_backend(disk.clone()).unwrap();
    let tree = db.tree(TREE).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let is_sync = thread < SYNC_THREADS;
            let durability = if is_sync { Durability::Sync } else { Durability::Buffered };
            let tree = tree.with_durability(durability);
            let note = move |begun, acknowledged| disk.note(Event::Wrote { thread, begun, acknowledged });
            scope.spawn(move || {
                for number in 0..writes {
                    note(number + 1, number);
                    tree.put(key(thread, number), value(number, value_bytes(thread, number))).unwrap();
                    note(number + 1, number + 1);
                }
            });
        }
        scope.spawn(|| db.checkpoint().unwrap());
    });
    disk.die();
}

/// How far each thread had come.
#[derive(Clone, Copy, Default)]
struct Progress {
    begun: [usize; THREADS],
    acknowledged: [usize; THREADS],
}

/// Counts the writes of a thread that are there: its first ones, and no others.
fn count(db: &Db, thread: usize, label: &str) -> usize {
    let tree = db.tree(TREE).unwrap();
    let found = tree.scan(format!("thread-{thread}/")).map(|entry| entry.unwrap());
    let mut count = 0;
    for (number, (found_key, found_value)) in found.enumerate() {
        assert!(found_key == key(thread, number).as_bytes(), "{label}: thread {thread}, {number} is missing");
        assert!(*found_value == value(number, value_bytes(thread, number)), "{label}: a wrong value");
        count += 1;
    }
    count
}

fn assert_prefix(image: &Image, progress: &Progress, power_was_lost: bool, label: &str) {
    let _kept = Kept { image, label };
    let disk = Disk::forgetful(image.clone());
    let db = options().open_backend(disk.clone()).unwrap_or_else(|error| panic!("{label}: {error}"));
    let mut sum = 0;
    for thread in 0..THREADS {
        let there = count(&db, thread, label);
        let may_be_lost = power_was_lost && thread >= SYNC_THREADS;
        let least = if may_be_lost { 0 } else { progress.acknowledged[thread] };
        let most = progress.begun[thread];
        assert!((least..=most).contains(&there), "{label}: thread {thread}: {there}, not {least}..={most}");
        sum += there as u64;
    }
    assert!(db.check().unwrap().is_clean(), "{label}");
    let is_there = db.trees().unwrap().iter().any(|name| name == TREE);
    assert!(is_there || sum == 0, "{label}");
    // The tree itself was a write, and so is the probe. No number is missing in between.
    let probe = db.tree(TREE).unwrap().put("probe", "x").unwrap().number();
    assert_eq!(probe, sum + 2, "{label}: {sum} writes are there");
    disk.die();
}

#[test]
fn after_every_change_with_many_writers_the_first_writes_are_there() {
    let disk = Disk::new(Image::default());
    run(&disk, setting("SPINNEY_CRASH_WRITES", 25) as usize);
    let events = disk.take_events();
    println!("{} events", events.len());
    let step = setting("SPINNEY_CRASH_STEP", 4) as usize;
    in_parallel(|worker, workers| {
        let (mut image, mut power) = (Image::default(), Power::default());
        let mut progress = Progress::default();
        for (at, event) in events.iter().enumerate() {
            image.apply(event);
            power.apply(event);
            if let Event::Wrote { thread, begun, acknowledged } = *event {
                progress.begun[thread] = begun;
                progress.acknowledged[thread] = acknowledged;
            }
            let changes_storage =
                matches!(event, Event::Write { .. } | Event::Sync(_) | Event::SetLen { .. });
            if !changes_storage || at % step != 0 || at / step % workers != worker {
                continue;
            }
            assert_prefix(&image, &progress, false, &format!("threads, after event {at}, died"));
            let lost = power.lose(&mut Random::new(first_seed() + at as u64));
            assert_prefix(&lost, &progress, true, &format!("threads, after event {at}, power lost"));
        }
    });
}
