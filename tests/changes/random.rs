//! All calls, by one thread, with checkpoints, closings and deaths of the process in between.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::{Db, Durability, Tree};

use crate::common::{Random, in_parallel, setting};
use crate::disk::Disk;
use crate::follower::Follower;
use crate::script::write;

/// So much that nothing of a run is recycled.
const ALL_BYTES: u64 = 1 << 30;

fn open(disk: &Arc<Disk>, keep_changes_bytes: u64, durability: Durability) -> Db {
    let how = Db::builder().log_bytes(8 << 20).cache_bytes(32 << 20).durability(durability);
    how.keep_changes_bytes(keep_changes_bytes).open_backend(disk.clone()).unwrap()
}

struct Run {
    disk: Arc<Disk>,
    db: Db,
    keep_changes_bytes: u64,
    durability: Durability,
    stale: Option<Tree>,
}

impl Run {
    fn new(keep_changes_bytes: u64, durability: Durability) -> Run {
        let disk = Disk::forgetful(Default::default());
        let db = open(&disk, keep_changes_bytes, durability);
        Run { disk, db, keep_changes_bytes, durability, stale: None }
    }

    fn reopen(&mut self) {
        self.stale = None;
        self.db.clone().close().unwrap();
        self.db = open(&self.disk, self.keep_changes_bytes, self.durability);
    }

    /// The process dies; the ring, as a mapped file, does not.
    fn die(&mut self) {
        self.stale = None;
        self.disk.die();
        self.disk = Disk::forgetful(self.disk.image());
        self.db = open(&self.disk, self.keep_changes_bytes, self.durability);
    }
}

/// Followers of several ages; all of them end with what is there.
fn run(seed: u64, keep_changes_bytes: u64) {
    let mut random = Random::new(seed);
    let durability = if seed.is_multiple_of(2) { Durability::Sync } else { Durability::Buffered };
    let mut run = Run::new(keep_changes_bytes, durability);
    let mut followers = vec![Follower::empty()];
    for _ in 0..setting("SPINNEY_CHANGES_STEPS", 500) {
        write(&run.db, &mut run.stale, &mut random);
        match random.below(100) {
            0..=4 => {
                let follower = random.below(followers.len());
                followers[follower].catch_up(&run.db).unwrap();
            }
            5 => {
                run.db.sync().unwrap();
                let follower = random.below(followers.len());
                followers[follower].catch_up(&run.db).unwrap();
                followers[follower].assert_same(&run.db);
            }
            6 if followers.len() < 5 => {
                followers.push(Follower::copy_of(&run.db));
                // What the copy has may not be taken back by a crash.
                run.db.sync().unwrap();
            }
            7..=9 => run.db.checkpoint().unwrap(),
            10 if random.percent(30) => drop(run.db.compact().unwrap()),
            11 if random.percent(50) => run.die(),
            12 if random.percent(20) => {
                // Closing removes the log: who has everything misses nothing.
                run.db.sync().unwrap();
                followers.iter_mut().for_each(|follower| follower.catch_up(&run.db).unwrap());
                run.reopen();
            }
            _ => {}
        }
    }
    run.db.sync().unwrap();
    for follower in &mut followers {
        follower.catch_up(&run.db).unwrap();
        follower.assert_same(&run.db);
        if keep_changes_bytes == ALL_BYTES {
            assert_eq!(follower.begun_anew, 0, "all of the log is there");
        }
    }
    assert!(run.db.check().unwrap().is_clean());
}

#[test]
fn followers_have_what_is_there_after_any_calls() {
    in_parallel("seed", 0..setting("SPINNEY_CHANGES_SEEDS", 8), |seed| run(seed, ALL_BYTES));
}

#[test]
fn followers_that_fall_behind_begin_anew_and_have_it_too() {
    in_parallel("seed", 100..100 + setting("SPINNEY_CHANGES_SEEDS", 6), |seed| {
        run(seed, if seed.is_multiple_of(3) { 0 } else { 4 << 20 });
    });
}
