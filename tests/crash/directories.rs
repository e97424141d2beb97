//! The same with directories that move, go and come back as a whole, between checkpoints: each of them is
//! there as a whole, in one place.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use spinney::Durability;

use crate::common::Random;
use crate::disk::{Disk, Event, Image, Kept};
use crate::power::Power;
use crate::script::{TREE, contents, value};
use crate::{first_seed, in_parallel, options};

#[derive(Clone, Copy, Debug)]
enum Do {
    /// So many files in a directory, of so many bytes.
    Fill(&'static str, usize, usize),
    /// The same by a bulk load, as one write.
    Load(&'static str, usize, usize),
    Move(&'static str, &'static str),
    Remove(&'static str),
    DropTree,
    Checkpoint,
    Compact,
    SyncAll,
}

/// Which write each file has its value from, and how long that is.
type State = BTreeMap<String, (usize, usize)>;

fn is_same(state: &State, found: &BTreeMap<Vec<u8>, Vec<u8>>) -> bool {
    found.len() == state.len()
        && state.iter().all(|(key, &(at, bytes))| found.get(key.as_bytes()) == Some(&value(at, bytes)))
}

/// Does the plan on a disk; returns the states after each write, the first of which is before any.
fn run(disk: &Arc<Disk>, plan: &[Do]) -> Vec<State> {
    let db = options().open_backend(disk.clone()).unwrap();
    let mut states = vec![State::new()];
    let mut durable = 0;
    for &doing in plan {
        let tree = db.tree(TREE).unwrap();
        let mut state = states.last().cloned().unwrap_or_default();
        disk.note(Event::Begun(states.len()));
        match doing {
            Do::Fill(directory, files, bytes) => {
                let fast = tree.with_durability(Durability::Buffered);
                for file in 0..files {
                    let at = states.len();
                    let key = format!("{directory}{file:04}");
                    disk.note(Event::Begun(at));
                    fast.put(&key, value(at, bytes)).unwrap();
                    state.insert(key, (at, bytes));
                    states.push(state.clone());
                    disk.note(Event::Acknowledged { kept: states.len() - 1, durable });
                }
            }
            Do::Load(directory, files, bytes) => {
                let at = states.len();
                let names = (0..files).map(|file| format!("{directory}{file:04}"));
                let loaded = tree.load(directory, names.clone().map(|name| (name, value(at, bytes))));
                assert_eq!(loaded.unwrap(), files as u64);
                state.extend(names.map(|name| (name, (at, bytes))));
                states.push(state);
            }
            Do::Move(from, to) => {
                assert!(tree.rename_prefix(from, to).unwrap().is_some());
                let moved = state.keys().filter(|key| key.starts_with(from)).cloned().collect::<Vec<_>>();
                for key in moved {
                    let file = state.remove(&key).unwrap();
                    state.insert(format!("{to}{}", &key[from.len()..]), file);
                }
                states.push(state);
            }
            Do::Remove(prefix) => {
                assert!(tree.remove_prefix(prefix).unwrap().is_some());
                state.retain(|key, _| !key.starts_with(prefix));
                states.push(state);
            }
            Do::DropTree => {
                assert!(db.drop_tree(TREE).unwrap());
                states.push(State::new());
            }
            Do::Checkpoint => db.checkpoint().unwrap(),
            Do::Compact => drop(db.compact().unwrap()),
            Do::SyncAll => db.sync().unwrap(),
        }
        if !matches!(doing, Do::Fill(..)) {
            durable = states.len() - 1;
        }
        disk.note(Event::Acknowledged { kept: states.len() - 1, durable });
    }
    disk.die();
    states
}

fn assert_recovers(image: &Image, states: &[State], at_least: usize, at_most: usize, label: &str) {
    let _kept = Kept { image, label };
    let disk = Disk::forgetful(image.clone());
    let db = options().open_backend(disk.clone()).unwrap_or_else(|error| panic!("{label}: {error}"));
    let found = contents(&db).unwrap_or_else(|error| panic!("{label}: {error}"));
    let at_most = at_most.min(states.len() - 1);
    let is_there = states[at_least..=at_most].iter().any(|state| is_same(state, &found));
    assert!(is_there, "{label}: {} files, not a state of {at_least}..={at_most}", found.len());
    assert!(db.check().unwrap().is_clean(), "{label}");
    // Ids that fell free are used again.
    let tree = db.tree(TREE).unwrap().with_durability(Durability::Buffered);
    for file in 0..12 {
        tree.put(format!("again/{file}"), value(file, 60_000)).unwrap();
    }
    assert!(db.check().unwrap().is_clean(), "{label}, and going on");
    disk.die();
}

/// Directories of several blobs and of a part of one; moved before and after they were stored, over borders
/// that were stored and are not there any more.
fn plan() -> Vec<Do> {
    vec![
        Do::Fill("a/", 3, 100),
        Do::Fill("m/big/", 30, 50_000),
        Do::Fill("z/", 3, 100),
        Do::Move("m/big/", "b/"),
        Do::Checkpoint,
        Do::Move("b/", "y/of/another/length/"),
        Do::Fill("b/", 4, 30_000),
        Do::Checkpoint,
        Do::Move("a/", "c/"),
        Do::Remove("y/"),
        Do::Compact,
        Do::Fill("x/", 12, 60_000),
        Do::Checkpoint,
        Do::Move("x/000", "x/moved-"),
        Do::SyncAll,
        Do::Move("x/moved-", "x/000"),
        Do::Fill("x/000/", 2, 10_000),
        Do::Fill("d/", 9, 65_000),
        Do::Load("l/", 40, 50_000),
        Do::Move("l/", "k/"),
        Do::Fill("l/", 3, 100),
        Do::Remove("k/"),
        Do::Load("k/m/", 20, 60_000),
        Do::Fill("k/m/", 2, 500),
        Do::Remove("d/000"),
        Do::Remove("x/000"),
        Do::Compact,
        Do::DropTree,
        Do::Fill("e/", 5, 40_000),
        Do::Checkpoint,
        Do::Move("e/", "f/"),
    ]
}

#[test]
fn whenever_it_ends_directories_are_whole_and_in_one_place() {
    let disk = Disk::new(Image::default());
    let states = run(&disk, &plan());
    let events = disk.take_events();
    println!("{} events, {} states", events.len(), states.len());
    in_parallel(|thread, threads| {
        let (mut image, mut power) = (Image::default(), Power::default());
        let (mut kept, mut durable, mut begun) = (0, 0, 0);
        for (at, event) in events.iter().enumerate() {
            image.apply(event);
            power.apply(event);
            match *event {
                Event::Begun(number) => begun = number,
                Event::Acknowledged { kept: now, durable: stored } => (kept, durable) = (now, stored),
                Event::Ring(_) | Event::SyncDirectory => {}
                _ if at % threads == thread => {
                    assert_recovers(&image, &states, kept, begun, &format!("after event {at}"));
                    let lost = power.lose(&mut Random::new(first_seed() + at as u64));
                    assert_recovers(&lost, &states, durable, begun, &format!("power lost after event {at}"));
                }
                _ => {}
            }
        }
    });
}
