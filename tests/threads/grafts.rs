//! Directories that move as a whole beside readers, scanners, and writers of the same directories.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use spinney::{Db, Error, Tree};

use crate::Crowd;
use crate::common::Random;

/// Keys of the directory that moves: several blobs of them.
const MOVING: usize = 16_000;
/// Keys before, between and behind its two places, which never move.
const STAYING: usize = 6_000;
const PLACES: [&str; 2] = ["c/here/", "m/there/of/longer/name/"];

fn moving_key(place: usize, number: usize) -> String {
    format!("{}{:03}/{number:06}", PLACES[place], number % 400)
}

fn staying_key(number: usize) -> String {
    format!("{}/{number:06}", ["b", "c", "d", "m", "z"][number % 5])
}

/// Moves the directory to and fro. The clock is odd while it moves; half of it says where it is.
fn move_it(tree: &Tree, crowd: &Crowd, clock: &AtomicU64) {
    while crowd.goes_on() {
        let place = (clock.fetch_add(1, SeqCst) / 2 % 2) as usize;
        let moved = tree.rename_prefix(PLACES[place], PLACES[1 - place]).expect("moves");
        assert!(moved.is_some(), "there was something to move");
        clock.fetch_add(1, SeqCst);
        std::thread::yield_now();
    }
}

/// Whoever looks twice between two moves must find every key in its one place.
fn look(tree: &Tree, crowd: &Crowd, clock: &AtomicU64, seed: u64) -> u64 {
    let (mut random, mut looked) = (Random::new(seed), 0);
    while crowd.goes_on() {
        let number = random.below(MOVING);
        let before = clock.load(SeqCst);
        let found = [0, 1].map(|place| tree.get(moving_key(place, number)).expect("reads").is_some());
        if before.is_multiple_of(2) && clock.load(SeqCst) == before {
            let place = (before / 2 % 2) as usize;
            assert_eq!(found, [place == 0, place == 1], "key {number} after {} moves", before / 2);
            looked += 1;
        }
        let stays = random.below(STAYING);
        assert!(tree.contains(staying_key(stays)).expect("reads"), "{stays} never moved");
    }
    looked
}

/// What stays is in every scan and every count.
fn scan(tree: &Tree, crowd: &Crowd) {
    while crowd.goes_on() {
        let mut staying = 0;
        let mut last = Vec::new();
        for key in tree.scan("").keys() {
            let key = key.expect("reads");
            assert!(last.is_empty() || key > last, "out of order");
            let is_moving = PLACES.iter().any(|place| key.starts_with(place.as_bytes()));
            staying += usize::from(!is_moving && !key.starts_with(b"w/"));
            last = key;
        }
        assert_eq!(staying, STAYING);
        assert_eq!(tree.count("b/").expect("counts"), STAYING as u64 / 5);
        assert_eq!(tree.count("z/").expect("counts"), STAYING as u64 / 5);
    }
}

/// Puts keys into the directory wherever it is, and removes a directory of its own as a whole.
fn write(tree: &Tree, crowd: &Crowd, steps: &AtomicU64) {
    let mut random = Random::new(77);
    while crowd.goes_on() {
        let number = random.below(MOVING);
        let value = vec![number as u8; 20 + random.below(200)];
        // Wherever it is not, a put would make a second one, so only what is there is changed.
        for place in 0..2 {
            let key = moving_key(place, number);
            if let Some(found) = tree.get(&key).expect("reads") {
                tree.compare_and_put(&key, found.version(), &value).expect("puts");
            }
        }
        for round in 0..20 {
            tree.put(format!("w/{round:02}/{number}"), &value).expect("puts");
        }
        if number.is_multiple_of(8) {
            assert!(tree.remove_prefix("w/").expect("removes").is_some());
            assert!(tree.scan("w/").next().is_none());
            let missing = tree.rename_prefix("w/", "w2/").expect("nothing to move");
            assert!(missing.is_none());
            assert!(matches!(tree.rename_prefix("b/", "z/"), Err(Error::TargetExists)));
        }
        steps.fetch_add(1, SeqCst);
    }
}

#[test]
fn directories_move_beside_readers_and_writers() {
    let db = Db::memory();
    let tree = db.tree("files").expect("made");
    for number in 0..MOVING {
        tree.put(moving_key(0, number), [7; 60]).expect("puts");
    }
    for number in 0..STAYING {
        tree.put(staying_key(number), [9; 60]).expect("puts");
    }
    let (clock, looked, steps) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    Crowd::run(vec![
        Box::new(|crowd| move_it(&tree, crowd, &clock)),
        Box::new(|crowd| {
            looked.fetch_add(look(&tree, crowd, &clock, 1), SeqCst);
        }),
        Box::new(|crowd| {
            looked.fetch_add(look(&tree, crowd, &clock, 2), SeqCst);
        }),
        Box::new(|crowd| scan(&tree, crowd)),
        Box::new(|crowd| write(&tree, crowd, &steps)),
    ]);
    let moves = clock.load(SeqCst) / 2;
    let stats = db.stats();
    eprintln!("{moves} moves, {looked:?} looks, {steps:?} writes: {stats:?}");
    assert!(moves > 10 && looked.load(SeqCst) > 100 && steps.load(SeqCst) > 10);
    let report = db.check().expect("checks");
    assert!(report.is_clean(), "{:?}", report.problems);
    let place = (moves % 2) as usize;
    assert_eq!(tree.count(PLACES[place]).expect("counts"), MOVING as u64);
    assert_eq!(tree.count(PLACES[1 - place]).expect("counts"), 0);
}
