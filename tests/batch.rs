//! Batches through the face: against a sorted map with keys that hurt, in sizes from one step to a hundred
//! thousand, on storage larger than the cache, beside readers; and every misuse.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

mod common;
#[path = "batch/large.rs"]
mod large;
#[path = "batch/misuse.rs"]
mod misuse;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::batches::{self, Draft};
use common::keys::{Keys, Sizes};
use common::{Random, oracle, reads, setting};
use spinney::backend::MemoryBackend;
use spinney::{Db, Durability, Tree};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn contents(tree: &Tree) -> Model {
    tree.scan("").map(|pair| pair.map(|(key, value)| (key, value.to_vec())).unwrap()).collect()
}

/// Random steps over two trees, done to a copy of what the two hold; the database must come to the same.
fn compare(db: &Db, seed: u64, rounds: usize, steps_max: usize) {
    let trees = [db.tree("one").unwrap(), db.tree("two").unwrap()];
    let keys = Keys::new(seed);
    let mut random = Random::new(seed);
    let mut models = [oracle::Model::new(), oracle::Model::new()];
    let mut refusals = 0;
    for round in 0..rounds {
        let place = format!("seed {seed}, round {round}");
        let mut batch = db.batch();
        let mut draft = Draft::new(trees.iter().zip(&models).collect(), Sizes::default());
        for _ in 0..1 + random.below(steps_max) {
            draft.step(&mut batch, &keys, &mut random);
        }
        let last = db.stats().last_version;
        match draft.settle(batch.commit(), last, &place) {
            Some(edits) => {
                for (at, model) in models.iter_mut().enumerate() {
                    batches::apply(model, &edits, at);
                }
            }
            None => refusals += 1,
        }
        if round % 8 == 0 || round + 1 == rounds {
            trees.iter().zip(&models).for_each(|(tree, model)| reads::verify(tree, model, &place));
        }
    }
    assert!(refusals > 0, "nothing was ever refused");
    assert!(db.check().unwrap().is_clean(), "seed {seed}");
}

#[test]
fn batches_do_what_a_sorted_map_does() {
    for seed in 0..setting("SPINNEY_BATCH_SEEDS", 6) {
        compare(&Db::memory(), seed, 150, 30);
        compare(&Db::memory(), 1000 + seed, 20, 400);
    }
}

/// What is larger than the cache is read, changed and written back, and replayed after a crash.
#[test]
fn batches_change_what_is_not_in_memory() {
    for seed in 0..2 {
        let backend = Arc::new(MemoryBackend::new());
        let options = Db::builder().cache_bytes(1 << 20).log_bytes(8 << 20);
        let db = options.open_backend(backend).unwrap();
        compare(&db, 50 + seed, 60, 100);
        let tree = db.tree("large").unwrap();
        let mut model = Model::new();
        let mut random = Random::new(seed);
        for round in 0..60 {
            let mut batch = db.batch();
            batch.durability(Durability::Buffered);
            for _ in 0..500 {
                let key = format!("{:05}", random.below(20_000)).into_bytes();
                if random.percent(30) {
                    batch.remove(&tree, &key);
                    model.remove(&key);
                } else {
                    let value = vec![round as u8; random.below(1500)];
                    batch.put(&tree, &key, &value);
                    model.insert(key, value);
                }
            }
            batch.commit().unwrap();
        }
        assert!(contents(&tree) == model);
        assert!(db.stats().evictions > 0, "{:?}", db.stats());
        assert!(db.check().unwrap().is_clean());
        db.close().unwrap();
    }
}

/// Who has seen one write of a batch sees the others, wherever they are.
#[test]
fn a_second_read_sees_the_batch_that_the_first_has_seen() {
    let db = Db::memory();
    let tree = db.tree("t").unwrap();
    // So many keys that the two lie in different blobs.
    for number in 0..4000 {
        tree.put(format!("m{number:05}"), [0; 400]).unwrap();
    }
    tree.put("a", 0u64.to_le_bytes()).unwrap();
    tree.put("z", 0u64.to_le_bytes()).unwrap();
    let number = |key: &str| u64::from_le_bytes(tree.get(key).unwrap().unwrap()[..].try_into().unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (first, second) in [("a", "z"), ("z", "a")] {
            let (number, done) = (&number, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let before = number(first);
                    let after = number(second);
                    assert!(after >= before, "{first} {before}, then {second} {after}");
                }
            });
        }
        for round in 1..=setting("SPINNEY_BATCH_ROUNDS", 6000) {
            let mut batch = db.batch();
            // Sometimes one that works alone.
            for number in 0..if round % 500 == 0 { 4500 } else { 1 } {
                batch.put(&tree, format!("m{:05}", number % 4000), round.to_le_bytes());
            }
            batch.put(&tree, "z", round.to_le_bytes()).put(&tree, "a", round.to_le_bytes());
            batch.commit().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(db.check().unwrap().is_clean());
}

/// Writers of batches and of single keys together lose nothing, and come to an end.
#[test]
fn batches_beside_each_other_lose_nothing() {
    let backend = Arc::new(MemoryBackend::new());
    let options = Db::builder().cache_bytes(8 << 20).log_bytes(16 << 20).durability(Durability::Buffered);
    let db = options.open_backend(backend).unwrap();
    let tree = db.tree("t").unwrap();
    let rounds = setting("SPINNEY_BATCH_ROUNDS", 6000) / 20;
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (db, tree) = (&db, &tree);
            scope.spawn(move || {
                let mut random = Random::new(thread);
                for round in 0..rounds {
                    let mut batch = db.batch();
                    let large = thread == 3 && round % 40 == 0;
                    for step in 0..if large { 6000 } else { random.below(50) as u64 } {
                        batch.put(tree, format!("{:08x}/{thread}/{round}/{step}", random.next() >> 32), "v");
                    }
                    let counter = format!("count/{thread}");
                    let count = tree
                        .get(&counter)
                        .unwrap()
                        .map_or(0, |count| count[0] as usize * 256 + count[1] as usize);
                    let sum = count + batch.len();
                    batch.put(tree, counter, [(sum % 65536 / 256) as u8, (sum % 256) as u8]);
                    batch.commit().unwrap();
                    tree.put(format!("single/{thread}/{round}"), "v").unwrap();
                }
            });
        }
    });
    for thread in 0..4 {
        let found = tree.scan("").keys().filter(|key| {
            let key = key.as_ref().unwrap();
            key.len() > 10 && key[8..].starts_with(format!("/{thread}/").as_bytes()) && key[0] != b's'
        });
        let count = tree.get(format!("count/{thread}")).unwrap().unwrap();
        assert_eq!(found.count() % 65536, count[0] as usize * 256 + count[1] as usize, "thread {thread}");
        assert_eq!(tree.scan(format!("single/{thread}/")).count() as u64, rounds);
    }
    assert!(db.check().unwrap().is_clean());
    db.close().unwrap();
}
