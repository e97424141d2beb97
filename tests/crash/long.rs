//! Values of many parts, put, replaced, moved and removed in every way: wherever the process or the power
//! ends, each key has its old value or its new one, whole, and nothing is left of any other.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use spinney::{Db, Durability, SHORT_VALUE_BYTES_MAX, Tree};

use crate::common::{Random, setting};
use crate::disk::{Disk, Event, Image, Kept};
use crate::power::Power;
use crate::script::value;
use crate::{Progress, first_seed, in_parallel, options};

/// What a full part holds.
const PART: usize = 64_520;

#[derive(Clone, Copy, Debug)]
enum Do {
    Put(&'static str, usize),
    Remove(&'static str),
    Rename(&'static str, &'static str),
    Move(&'static str, &'static str),
    RemovePrefix(&'static str),
    /// These two are put, and this one is removed.
    Batch([(&'static str, usize); 2], &'static str),
    Transact(&'static str, usize),
    /// These come into a directory that is empty.
    Load(&'static str, [(&'static str, usize); 3]),
    DropTree,
    Checkpoint,
    Reopen,
}

/// The tree and the key, and which write the value is from.
type State = BTreeMap<String, (usize, usize)>;

const PLAN: [Do; 26] = [
    Do::Put("files a/1", 150_000),
    Do::Put("files a/2", 90),
    Do::Put("files a/1", 200_000),
    Do::Put("scratch x", 140_000),
    Do::Put("files a/2", 18 * PART),
    Do::Checkpoint,
    Do::Put("files a/1", 70),
    Do::Rename("files a/2", "files b/2"),
    Do::Batch([("files a/3", 300_000), ("files b/2", 66_000)], "files a/1"),
    Do::Move("files a/", "files c/d/"),
    Do::Put("scratch y", 50),
    Do::Transact("files b/2", 131_000),
    Do::Checkpoint,
    Do::DropTree,
    Do::Load("files e/", [("1", 150_000), ("2", 30), ("3", 9 * PART)]),
    Do::Put("files a/4", 100_000),
    Do::Remove("files b/2"),
    Do::Reopen,
    Do::Put("files a/5", 70_000),
    Do::RemovePrefix("files a/"),
    Do::Checkpoint,
    Do::RemovePrefix("files c/"),
    Do::Load("files f/", [("1", 20), ("2", 70_000), ("3", 66_000)]),
    Do::Put("files e/1", 100_000),
    Do::RemovePrefix("files e/"),
    Do::Put("files last", 80_000),
];

fn tree_and_key<'k>(db: &Db, name: &'k str) -> (Tree, &'k str) {
    let (tree, key) = name.split_once(' ').unwrap();
    (db.tree(tree).unwrap(), key)
}

fn commit(
    db: &Db,
    at: usize,
    puts: [(&str, usize); 2],
    remove: &str,
    state: &mut State,
    durability: Durability,
) {
    let mut batch = db.batch();
    for (name, bytes) in puts {
        let (tree, key) = tree_and_key(db, name);
        batch.put(&tree, key, value(at, bytes));
        state.insert(name.into(), (at, bytes));
    }
    let (tree, key) = tree_and_key(db, remove);
    batch.remove(&tree, key).durability(durability).commit().unwrap();
    state.remove(remove).unwrap();
}

/// Does one step, and says what it comes to.
fn take(db: &Db, at: usize, doing: Do, state: &mut State, durability: Durability) {
    let place = |name| {
        let (tree, key) = tree_and_key(db, name);
        (tree.with_durability(durability), key)
    };
    match doing {
        Do::Put(name, bytes) => {
            let (tree, key) = place(name);
            tree.put(key, value(at, bytes)).unwrap();
            state.insert(name.into(), (at, bytes));
        }
        Do::Remove(name) => {
            let (tree, key) = place(name);
            tree.remove(key).unwrap().unwrap();
            state.remove(name).unwrap();
        }
        Do::Rename(from, to) => {
            let (tree, key) = place(from);
            tree.rename(key, place(to).1).unwrap().unwrap();
            let value = state.remove(from).unwrap();
            state.insert(to.into(), value);
        }
        Do::Move(from, to) => {
            let (tree, prefix) = place(from);
            tree.rename_prefix(prefix, place(to).1).unwrap().unwrap();
            *state = std::mem::take(state)
                .into_iter()
                .map(|(name, value)| match name.strip_prefix(from) {
                    Some(rest) => (format!("{to}{rest}"), value),
                    None => (name, value),
                })
                .collect();
        }
        Do::RemovePrefix(name) => {
            let (tree, prefix) = place(name);
            tree.remove_prefix(prefix).unwrap().unwrap();
            state.retain(|key, _| !key.starts_with(name));
        }
        Do::Batch(puts, remove) => commit(db, at, puts, remove, state, durability),
        Do::Transact(name, bytes) => {
            let (tree, key) = place(name);
            db.transact(|tx| {
                tx.durability(durability);
                assert!(tx.get(&tree, key)?.is_some());
                tx.put(&tree, key, value(at, bytes))
            })
            .unwrap();
            state.insert(name.into(), (at, bytes));
        }
        Do::Load(name, files) => {
            let (tree, prefix) = place(name);
            let items = files.map(|(file, bytes)| (format!("{prefix}{file}"), value(at, bytes)));
            assert_eq!(tree.load(prefix, items).unwrap(), files.len() as u64);
            state.extend(files.map(|(file, bytes)| (format!("{name}{file}"), (at, bytes))));
        }
        Do::DropTree => {
            assert!(db.drop_tree("scratch").unwrap());
            state.retain(|key, _| !key.starts_with("scratch"));
        }
        Do::Checkpoint => db.checkpoint().unwrap(),
        Do::Reopen => unreachable!("done by who has the database"),
    }
}

fn run(disk: &Arc<Disk>) -> Vec<State> {
    let open = || options().open_backend(disk.clone()).unwrap();
    let mut db = open();
    // Their names are written before anything counts.
    db.tree("files").unwrap();
    db.tree("scratch").unwrap();
    let mut states = vec![State::new()];
    let mut durable = 0;
    for (at, doing) in PLAN.into_iter().enumerate() {
        let mut state = states[at].clone();
        disk.note(Event::Begun(at + 1));
        let durability = if at % 2 == 0 { Durability::Sync } else { Durability::Buffered };
        if let Do::Reopen = doing {
            db.close().unwrap();
            db = open();
        } else {
            take(&db, at, doing, &mut state, durability);
        }
        states.push(state);
        if durability == Durability::Sync
            || matches!(doing, Do::Checkpoint | Do::Reopen | Do::DropTree | Do::Load(..))
        {
            durable = at + 1;
        }
        disk.note(Event::Acknowledged { kept: at + 1, durable });
    }
    disk.die();
    states
}

fn contents(db: &Db) -> spinney::Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for name in db.trees()? {
        for pair in db.tree(&name)?.scan("") {
            let (key, value) = pair?;
            all.insert(format!("{name} {}", String::from_utf8_lossy(&key)), value.into_vec());
        }
    }
    Ok(all)
}

fn is_same(state: &State, found: &BTreeMap<String, Vec<u8>>) -> bool {
    state.len() == found.len()
        && state.iter().all(|(name, &(at, bytes))| found.get(name).is_some_and(|it| *it == value(at, bytes)))
}

/// What storage holds opens as the state after one of these steps, and holds nothing else.
fn assert_whole(disk: &Arc<Disk>, states: &[State], at_least: usize, at_most: usize, label: &str) -> usize {
    let db: Db = options().open_backend(disk.clone()).unwrap_or_else(|error| panic!("{label}: {error}"));
    let found = contents(&db).unwrap_or_else(|error| panic!("{label}: {error}"));
    let there = (at_least..=at_most).rev().find(|&steps| is_same(&states[steps], &found));
    let Some(there) = there else {
        let earlier = states.iter().position(|state| is_same(state, &found));
        let lengths: Vec<_> = found.iter().map(|(key, value)| (key, value.len())).collect();
        panic!("{label}: not the state after {at_least}..={at_most} but {earlier:?}: {lengths:?}");
    };
    let report = db.check().unwrap();
    assert!(report.is_clean(), "{label}: {report:?}");
    let parts = |&bytes: &usize| if bytes > SHORT_VALUE_BYTES_MAX { bytes.div_ceil(PART) } else { 0 };
    let lengths = found.values().map(Vec::len);
    let needed = db.trees().unwrap().len() + lengths.map(|bytes| 1 + parts(&bytes)).sum::<usize>();
    let stored: u64 = db.blobs().unwrap().iter().map(|blob| u64::from(blob.keys)).sum();
    assert_eq!(stored, needed as u64, "{label}: something was left behind");
    disk.die();
    there
}

fn assert_recovers(image: &Image, states: &[State], at_least: usize, at_most: usize, label: &str) {
    let _kept = Kept { image, label };
    assert_whole(&Disk::forgetful(image.clone()), states, at_least, at_most, label);
}

#[test]
fn long_values_are_whole_and_leave_nothing_behind() {
    let disk = Disk::new(Image::default());
    let states = run(&disk);
    let events = disk.take_events();
    let every = setting("SPINNEY_CRASH_LONG_EVERY", 5) as usize;
    println!("{} events", events.len());
    in_parallel(|worker, workers| {
        let (mut image, mut power) = (Image::default(), Power::default());
        let (mut progress, mut changes) = (Progress::default(), 0);
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
            let label = format!("long values, after event {at}, died");
            assert_recovers(&image, &states, progress.kept, progress.begun, &label);
            let lost = power.lose(&mut Random::new(first_seed() + at as u64));
            let label = format!("long values, after event {at}, power lost");
            assert_recovers(&lost, &states, progress.durable, progress.begun, &label);
        }
    });
}

/// What an opening takes away may be interrupted as well.
#[test]
fn taking_away_what_a_crash_has_left_may_begin_again() {
    let disk = Disk::new(Image::default());
    let states = run(&disk);
    let events = disk.take_events();
    let every = setting("SPINNEY_CRASH_LONG_AGAIN_EVERY", 97) as usize;
    in_parallel(|worker, workers| {
        let (mut image, mut progress) = (Image::default(), Progress::default());
        for (at, event) in events.iter().enumerate() {
            image.apply(event);
            progress.see(event);
            if at % every != 0 || at / every % workers != worker {
                continue;
            }
            let disk = Disk::new(image.clone());
            let label = format!("long values, after event {at}");
            let there = assert_whole(&disk, &states, progress.kept, progress.begun, &label);
            let (mut again, mut power) = (image.clone(), Power::new(image.clone()));
            for (nth, event) in disk.take_events().iter().enumerate() {
                again.apply(event);
                power.apply(event);
                if nth % 7 != 0 {
                    continue;
                }
                let label = format!("long values, after event {at}, and {nth} of recovery");
                assert_recovers(&again, &states, there, there, &label);
                let lost = power.lose(&mut Random::new(first_seed() + (at * 1000 + nth) as u64));
                assert_recovers(&lost, &states, there, there, &label);
            }
        }
    });
}
