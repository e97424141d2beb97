//! A crash after every single change of storage, in every kind: what is there again is the state after some
//! write, and that write is not before the last one that was acknowledged.
//!
//! Threads of the database take part, so that two runs differ in when buffered writes reach the disk: a
//! failure names its event and seed, and leaves in files what storage held then.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

#[path = "crash/batches.rs"]
mod batches;
mod common;
#[path = "crash/directories.rs"]
mod directories;
#[path = "durable/disk.rs"]
mod disk;
#[path = "crash/long.rs"]
mod long;
#[path = "durable/power.rs"]
mod power;
#[path = "durable/script.rs"]
mod script;
#[path = "crash/tail.rs"]
mod tail;
#[path = "crash/threads.rs"]
mod threads;

use std::sync::Arc;

use common::{Random, setting};
use disk::{Disk, Event, Image, Kept};
use power::Power;
use script::{Step, TREE, contents, matches, put, remove, shape_after};
use spinney::backend::Area;
use spinney::{Db, Durability, Options};

#[derive(Clone, Copy, Debug)]
enum Do {
    Sync(Step),
    Buffered(Step),
    SyncAll,
    Checkpoint,
    Reopen,
}

fn options() -> Options {
    Db::builder().log_bytes(8 << 20).cache_bytes(8 << 20).database_id(7)
}

/// Does all of this on a disk, and notes there what was begun and what was acknowledged. Does not close.
fn run(disk: &Arc<Disk>, mut steps: Vec<Step>, plan: &[Do]) -> Vec<Step> {
    let mut db = options().open_backend(disk.clone()).unwrap();
    let mut tree = db.tree(TREE).unwrap();
    let mut durable = steps.len();
    for &doing in plan {
        if let Do::Sync(step) | Do::Buffered(step) = doing {
            let at = steps.len();
            steps.push(step);
            disk.note(Event::Begun(steps.len()));
            let durability = if let Do::Sync(_) = doing { Durability::Sync } else { Durability::Buffered };
            step.run(&tree.with_durability(durability), at).unwrap();
        }
        match doing {
            Do::Buffered(_) => {}
            Do::Sync(Step { bytes: Some(_), .. }) => durable = steps.len(),
            // A key that is not there is not removed, and nothing is waited for.
            Do::Sync(_) => {}
            Do::SyncAll => db.sync().unwrap(),
            Do::Checkpoint => db.checkpoint().unwrap(),
            Do::Reopen => {
                drop(tree);
                db.close().unwrap();
                disk.note(Event::Acknowledged { kept: steps.len(), durable: steps.len() });
                db = options().open_backend(disk.clone()).unwrap();
                tree = db.tree(TREE).unwrap();
            }
        }
        if matches!(doing, Do::SyncAll | Do::Checkpoint | Do::Reopen) {
            durable = steps.len();
        }
        disk.note(Event::Acknowledged { kept: steps.len(), durable });
    }
    disk.die();
    steps
}

/// How far a run had come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    begun: usize,
    kept: usize,
    durable: usize,
}

impl Progress {
    fn see(&mut self, event: &Event) {
        match *event {
            Event::Begun(begun) => self.begun = begun,
            Event::Acknowledged { kept, durable } => (self.kept, self.durable) = (kept, durable),
            _ => {}
        }
    }
}

/// Opens what a crash has left, and says after how many writes this is the state.
fn recover(disk: &Arc<Disk>, steps: &[Step], at_least: usize, at_most: usize, label: &str) -> (Db, usize) {
    let db = options().open_backend(disk.clone()).unwrap_or_else(|error| panic!("{label}: {error}"));
    let found = contents(&db).unwrap_or_else(|error| panic!("{label}: {error}"));
    let mut states = (at_least..=at_most).rev();
    let Some(writes) = states.find(|&writes| matches(&shape_after(&steps[..writes]), &found)) else {
        let earlier = (0..at_least).find(|&writes| matches(&shape_after(&steps[..writes]), &found));
        panic!("{label}: {} keys, not the state after {at_least}..={at_most}, but {earlier:?}", found.len());
    };
    let report = db.check().unwrap();
    assert!(report.is_clean(), "{label}: {report:?}");
    (db, writes)
}

fn assert_recovers(image: &Image, steps: &[Step], at_least: usize, at_most: usize, label: &str) -> usize {
    let _kept = Kept { image, label };
    let disk = Disk::forgetful(image.clone());
    let (db, writes) = recover(&disk, steps, at_least, at_most, label);
    disk.die();
    drop(db);
    writes
}

/// Small writes, blobs that split, are emptied and used again, checkpoints and closings in between.
fn plan() -> Vec<Do> {
    let mut plan: Vec<Do> = (0..6).map(|key| Do::Sync(put(key, 100))).collect();
    plan.extend((10..24).map(|key| Do::Buffered(put(key, 60_000))));
    plan.extend([Do::Sync(put(3, 3000)), Do::Checkpoint, Do::Sync(remove(2)), Do::Sync(put(12, 50))]);
    plan.extend((30..36).map(|key| Do::Buffered(put(key, 50_000))));
    plan.extend([Do::Checkpoint, Do::Checkpoint, Do::Reopen, Do::Reopen]);
    plan.extend((10..24).map(|key| Do::Buffered(remove(key))));
    plan.extend([Do::SyncAll, Do::Sync(put(3, 20)), Do::Checkpoint]);
    plan.extend((40..52).map(|key| Do::Buffered(put(key, 64_000))));
    plan.extend([Do::Checkpoint, Do::Sync(put(50, 70)), Do::Buffered(put(41, 90)), Do::Reopen]);
    plan.extend([Do::Sync(put(1, 1)), Do::Buffered(remove(1))]);
    plan
}

/// What a loss of power takes, and which lives end by chance, follows from this and from the label of a case.
fn first_seed() -> u64 {
    setting("SPINNEY_CRASH_FIRST", 0) * 1_000_000_000
}

/// Shares work out among threads: each does every n-th.
fn in_parallel(work: impl Fn(usize, usize) + Sync) {
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get().min(4));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let work = &work;
            scope.spawn(move || work(thread, threads));
        }
    });
}

#[test]
fn after_every_change_of_storage_the_process_may_die() {
    let disk = Disk::new(Image::default());
    let steps = run(&disk, Vec::new(), &plan());
    let events = disk.take_events();
    in_parallel(|thread, threads| {
        let (mut image, mut progress) = (Image::default(), Progress::default());
        let mut changes = 0;
        for (at, event) in events.iter().enumerate() {
            if let (Event::RemoveSideFiles, true) = (event, at % threads == thread) {
                // One by one: the log, the journal, the ring.
                for area in [Area::Log, Area::Journal] {
                    image.area(area).clear();
                    let label = format!("while the files go, up to event {at}, {area:?} was the last");
                    assert_recovers(&image, &steps, progress.kept, progress.begun, &label);
                }
            }
            image.apply(event);
            progress.see(event);
            let changes_storage =
                !matches!(event, Event::Sync(_) | Event::SyncDirectory | Event::Begun(_) | Event::Ring(_));
            changes += usize::from(changes_storage);
            if changes_storage && changes % threads == thread {
                let label = format!("after event {at}");
                assert_recovers(&image, &steps, progress.kept, progress.begun, &label);
            }
        }
    });
}

#[test]
fn after_every_change_of_storage_the_power_may_fail() {
    let disk = Disk::new(Image::default());
    let steps = run(&disk, Vec::new(), &plan());
    let events = disk.take_events();
    println!("{} events", events.len());
    let tries = setting("SPINNEY_CRASH_TRIES", 1);
    in_parallel(|thread, threads| {
        let (mut power, mut progress) = (Power::default(), Progress::default());
        for (at, event) in events.iter().enumerate() {
            power.apply(event);
            progress.see(event);
            if at % threads != thread || matches!(event, Event::Begun(_) | Event::Acknowledged { .. }) {
                continue;
            }
            for seed in 0..tries {
                let image = power.lose(&mut Random::new(first_seed() + at as u64 * 1000 + seed));
                let label = format!("after event {at}, seed {seed}");
                assert_recovers(&image, &steps, progress.durable, progress.begun, &label);
            }
        }
    });
}

/// What recovery does may be interrupted as well, and the next one comes to the same.
#[test]
fn after_every_change_that_recovery_makes_it_may_begin_again() {
    let disk = Disk::new(Image::default());
    let steps = run(&disk, Vec::new(), &plan());
    let events = disk.take_events();
    let every = setting("SPINNEY_CRASH_EVERY", 29) as usize;
    in_parallel(|thread, threads| {
        let (mut image, mut progress) = (Image::default(), Progress::default());
        for (at, event) in events.iter().enumerate() {
            image.apply(event);
            progress.see(event);
            if at % every != 0 || at / every % threads != thread {
                continue;
            }
            let disk = Disk::new(image.clone());
            let label = format!("after event {at}");
            let (db, writes) = recover(&disk, &steps, progress.kept, progress.begun, &label);
            disk.die();
            drop(db);
            let (mut again, mut power) = (image.clone(), Power::new(image.clone()));
            for (nth, event) in disk.take_events().iter().enumerate() {
                again.apply(event);
                power.apply(event);
                let label = format!("after event {at}, and {nth} of recovery");
                assert_recovers(&again, &steps, writes, writes, &label);
                let lost = power.lose(&mut Random::new(first_seed() + (at * 1000 + nth) as u64));
                assert_recovers(&lost, &steps, writes, writes, &label);
            }
        }
    });
}

/// Many lives of one database, each ended by a crash at a random moment: nothing of an earlier life that was
/// dropped comes back in a later one.
#[test]
fn dead_tails_never_come_back() {
    let lives = setting("SPINNEY_CRASH_LIVES", 60);
    in_parallel(|thread, _| {
        let mut random = Random::new(first_seed() + thread as u64);
        let mut image = Image::default();
        let mut steps: Vec<Step> = Vec::new();
        for life in 0..lives {
            let plan: Vec<Do> = (0..1 + random.next() % 24).map(|_| any(&mut random)).collect();
            let disk = Disk::new(image.clone());
            let begun_with = steps.len();
            steps = run(&disk, steps, &plan);
            let events = disk.take_events();
            let crash = random.next() as usize % (events.len() + 1);
            let mut progress = Progress { begun: begun_with, kept: begun_with, durable: begun_with };
            let mut power = Power::new(image.clone());
            for event in &events[..crash] {
                image.apply(event);
                power.apply(event);
                progress.see(event);
            }
            let mut at_least = progress.kept;
            if random.percent(50) {
                image = power.lose(&mut random);
                at_least = progress.durable;
            }
            let label = format!("thread {thread}, life {life}, event {crash} of {}", events.len());
            let writes = assert_recovers(&image, &steps, at_least, progress.begun, &label);
            steps.truncate(writes);
        }
    });
}

fn any(random: &mut Random) -> Do {
    let key = (random.next() % 40) as u32;
    let bytes = [20, 300, 5000, 60_000][random.next() as usize % 4];
    match random.next() % 16 {
        0 => Do::Checkpoint,
        1 => Do::SyncAll,
        2 => Do::Reopen,
        3..=5 => Do::Buffered(remove(key)),
        6..=11 => Do::Buffered(put(key, bytes)),
        _ => Do::Sync(put(key, bytes)),
    }
}
