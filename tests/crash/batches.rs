//! Batches, short ones and such as go into the log in parts: wherever the process or the power ends, all of a
//! batch is there or nothing of it, and all of one that was acknowledged.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use spinney::{Db, Durability};

use crate::common::{Random, setting};
use crate::disk::{Disk, Event, Image, Kept};
use crate::power::Power;
use crate::script::{TREE, contents, key, value};
use crate::{Progress, first_seed, in_parallel, options};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a batch does: keys to put, with the size of their values; keys to remove; one to move.
struct Plan {
    puts: std::ops::Range<u32>,
    bytes: usize,
    removes: std::ops::Range<u32>,
    moves: Option<(u32, u32)>,
    durability: Durability,
    then_checkpoint: bool,
}

fn plan(puts: std::ops::Range<u32>, bytes: usize, removes: std::ops::Range<u32>) -> Plan {
    Plan { puts, bytes, removes, moves: None, durability: Durability::Sync, then_checkpoint: false }
}

fn plans(large: u32) -> Vec<Plan> {
    use Durability::Buffered;
    vec![
        plan(0..3, 100, 0..0),
        Plan { durability: Buffered, ..plan(2..8, 700, 0..1) },
        plan(10..10 + large, 60_000, 1..3),
        Plan { moves: Some((4, 900)), then_checkpoint: true, ..plan(20..22, 10, 10..12) },
        Plan { durability: Buffered, ..plan(0..large, 50_000, 900..901) },
        Plan { durability: Buffered, moves: Some((3, 901)), ..plan(950..951, 1, 0..2) },
        Plan { then_checkpoint: true, ..plan(30..30 + large, 40_000, 0..30) },
        plan(0..2, 3, 0..0),
        plan(0..0, 0, 0..100),
    ]
}

/// Applies one batch after the other, and notes what was begun and acknowledged; the states that there were.
fn run(disk: &Arc<Disk>, plans: &[Plan]) -> Vec<State> {
    let db = options().open_backend(disk.clone()).unwrap();
    let tree = db.tree(TREE).unwrap();
    let mut states = vec![State::new()];
    let mut durable = 0;
    for (at, plan) in plans.iter().enumerate() {
        let mut state = states[at].clone();
        let mut batch = db.batch();
        for number in plan.puts.clone() {
            batch.put(&tree, key(number), value(at * 1000 + number as usize, plan.bytes));
            state.insert(key(number), value(at * 1000 + number as usize, plan.bytes));
        }
        for number in plan.removes.clone() {
            batch.remove(&tree, key(number));
            state.remove(&key(number));
        }
        if let Some((from, to)) = plan.moves {
            batch.rename(&tree, key(from), key(to));
            let value = state.remove(&key(from)).expect("the plan moves what is there");
            state.insert(key(to), value);
        }
        states.push(state);
        disk.note(Event::Begun(at + 1));
        batch.durability(plan.durability).commit().unwrap();
        if plan.then_checkpoint {
            db.checkpoint().unwrap();
        }
        if plan.durability == Durability::Sync || plan.then_checkpoint {
            durable = at + 1;
        }
        disk.note(Event::Acknowledged { kept: at + 1, durable });
    }
    disk.die();
    states
}

/// The storage opens, and holds the state after one of these batches.
fn assert_whole(image: &Image, states: &[State], at_least: usize, at_most: usize, label: &str) -> usize {
    let _kept = Kept { image, label };
    let disk = Disk::forgetful(image.clone());
    let db: Db = options().open_backend(disk.clone()).unwrap_or_else(|error| panic!("{label}: {error}"));
    let found = contents(&db).unwrap_or_else(|error| panic!("{label}: {error}"));
    let there = (at_least..=at_most).rev().find(|&batches| states[batches] == found);
    let Some(there) = there else {
        let earlier = states.iter().position(|state| *state == found);
        panic!("{label}: {} keys, not the state after {at_least}..={at_most}: {earlier:?}", found.len());
    };
    assert!(db.check().unwrap().is_clean(), "{label}");
    disk.die();
    there
}

fn crash_everywhere(large: u32, every: usize) {
    let disk = Disk::new(Image::default());
    let states = run(&disk, &plans(large));
    let events = disk.take_events();
    println!("{} events", events.len());
    in_parallel(|worker, workers| {
        let (mut image, mut power) = (Image::default(), Power::default());
        let mut progress = Progress::default();
        let mut changes = 0;
        for (at, event) in events.iter().enumerate() {
            image.apply(event);
            power.apply(event);
            progress.see(event);
            if matches!(event, Event::Begun(_) | Event::Acknowledged { .. } | Event::SyncDirectory) {
                continue;
            }
            changes += 1;
            if changes % every != 0 || changes / every % workers != worker {
                continue;
            }
            let label = format!("batches of {large}, after event {at}, died");
            assert_whole(&image, &states, progress.kept, progress.begun, &label);
            let lost = power.lose(&mut Random::new(first_seed() + at as u64));
            let label = format!("batches of {large}, after event {at}, power lost");
            assert_whole(&lost, &states, progress.durable, progress.begun, &label);
        }
    });
}

#[test]
fn after_every_change_all_of_a_batch_is_there_or_nothing() {
    crash_everywhere(30, setting("SPINNEY_CRASH_BATCHES_EVERY", 1) as usize);
}

/// A batch that is longer than the whole log may be.
#[test]
fn a_batch_longer_than_the_log_is_all_there_or_not_at_all() {
    crash_everywhere(180, setting("SPINNEY_CRASH_BATCHES_EVERY", 1) as usize * 7);
}
