//! Every call of the face in one world, at random, against sorted maps.
//!
//! * `life`: single keys, batches, transactions, bulk loads, directories that move to and fro.
//! * `trees`: trees that are made, renamed and dropped.
//! * `held`: snapshots that stay open for long, each with the maps of its time.
//! * `followed`: a copy that is kept up to date by what the database says of its changes.
//! * `homes`: where the database lives: in memory, in files, on a disk that dies or loses power in the middle
//!   of a call. It is closed and opened again, and goes from one place to another as an image or a backup.
//! * `crowd`: several threads, each with directories of its own, and crashes.
//! * `touched`: how many blobs a directory of very many keys touches when it moves or goes.
//!
//! `SPINNEY_WORLD_SEEDS` (8) and `SPINNEY_WORLD_OPERATIONS` (1,200 for each seed) set how much is done,
//! `SPINNEY_WORLD_FIRST` which seed comes first. A failure names its seed and operation: that seed alone,
//! with `SPINNEY_WORLD_FIRST` and `SPINNEY_WORLD_SEEDS=1`, does the same again. `SPINNEY_WORLD_VERIFY_EVERY`
//! (200) is how often everything is compared; `SPINNEY_MODEL_TRACE=1` prints all that is done.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

mod common;
#[path = "world/crowd.rs"]
mod crowd;
#[path = "durable/disk.rs"]
mod disk;
#[path = "durable/folder.rs"]
mod folder;
#[path = "world/followed.rs"]
mod followed;
#[path = "changes/follower.rs"]
mod follower;
#[path = "world/held.rs"]
mod held;
#[path = "world/homes.rs"]
mod homes;
#[path = "world/life.rs"]
mod life;
#[path = "durable/power.rs"]
mod power;
#[path = "world/touched.rs"]
mod touched;
#[path = "world/trees.rs"]
mod trees;

use std::collections::BTreeMap;
use std::sync::Mutex;

use common::{in_parallel, setting};
use life::Life;

/// What has to have its effect at least once in the whole run.
const CALLS: &[&str] = &[
    "put",
    "long value",
    "put_if_absent",
    "compare_and_put",
    "remove",
    "remove_if",
    "rename",
    "move",
    "move to where keys are",
    "move into itself",
    "move of nothing",
    "remove all of",
    "batch",
    "batch refused",
    "transact",
    "transact aborted",
    "load",
    "load into keys",
    "load refused",
    "load cancelled",
    "compact",
    "checkpoint",
    "sync",
    "follow",
    "changes applied",
    "snapshot",
    "image of a snapshot",
    "snapshot looked at",
    "snapshot compared",
    "make tree",
    "rename_tree",
    "rename_tree refused",
    "drop_tree",
    "image",
    "backup",
    "close",
    "read only",
    "crash",
    "crash inside a call",
    "crash that undid the call",
    "crash that kept the call",
    "crash in recovery",
    "power lost",
];

#[test]
fn whatever_is_called_every_answer_is_that_of_sorted_maps() {
    let seeds = setting("SPINNEY_WORLD_SEEDS", 8);
    let operations = setting("SPINNEY_WORLD_OPERATIONS", 1_200);
    let first = setting("SPINNEY_WORLD_FIRST", 0);
    let sums: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    in_parallel("world seed", first..first + seeds, |seed| {
        let mut life = Life::new(seed);
        for _ in 0..operations {
            life.step();
        }
        let counts = life.end();
        let mut sums = sums.lock().expect("nobody panics with it");
        counts.into_iter().for_each(|(what, count)| *sums.entry(what).or_default() += count);
    });
    let sums = sums.into_inner().expect("all have ended well");
    println!("seeds {first}..{}, {operations} operations each: {sums:?}", first + seeds);
    if seeds * operations >= 9_600 {
        let missing: Vec<_> = CALLS.iter().filter(|call| !sums.contains_key(*call)).collect();
        assert!(missing.is_empty(), "without effect in the whole run: {missing:?}");
    }
}
