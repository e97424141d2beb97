//! Random operations against a sorted map, over keys that hurt.
//!
//! Every answer is compared. After each thousand operations the structure is checked and everything is
//! scanned from both ends; now and then the database goes on as a copy made of its own image.
//!
//! `SPINNEY_MODEL_SEEDS` (4) and `SPINNEY_MODEL_OPERATIONS` (40,000 for each seed) set how much is done,
//! `SPINNEY_MODEL_FIRST` which seed comes first. A failure names its seed and operation; to find the
//! operation that did the damage, set `SPINNEY_MODEL_VERIFY_EVERY` (1,000) to 1 and
//! `SPINNEY_MODEL_TRACE` to 1.

#![cfg(not(target_arch = "wasm32"))]
#![forbid(unsafe_code)]

mod common;

use common::world::World;
use common::{in_parallel, setting};

const REOPEN_EVERY: u64 = 25_000;

fn run(seed: u64, operations: u64) {
    let mut world = World::new(seed);
    let verify_every = setting("SPINNEY_MODEL_VERIFY_EVERY", 1_000);
    for step in 1..=operations {
        world.step();
        if step % verify_every == 0 {
            world.verify();
        }
        if step % REOPEN_EVERY == 0 {
            world.reopen();
            world.verify();
        }
    }
    world.verify();
    world.reopen();
    world.verify();
    world.clear();
    world.verify();
    let (stats, totals) = (world.db.stats(), world.totals());
    assert!(stats.range_blobs <= 2 && stats.hops <= 1, "seed {seed}: {stats:?} is left of nothing");
    eprintln!("seed {seed}: {totals:?}");
}

#[test]
fn every_answer_is_that_of_a_sorted_map() {
    let seeds = setting("SPINNEY_MODEL_SEEDS", 4);
    let operations = setting("SPINNEY_MODEL_OPERATIONS", 40_000);
    let first = setting("SPINNEY_MODEL_FIRST", 0);
    in_parallel("seed", first..first + seeds, |seed| run(seed, operations));
}
