//! Followers beside several writers, checkpoints and recycling.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use spinney::{Db, Durability, Error};

use crate::common::{Random, setting};
use crate::follower::Follower;
use crate::script::write;

#[path = "../durable/folder.rs"]
mod folder;

use folder::Folder;

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Goes on until everything was written, and then to the end.
fn follow(db: &Db, is_done: &AtomicBool) -> Follower {
    let mut follower = Follower::copy_of(db);
    loop {
        let mut changes = match db.changes_since(follower.version) {
            Err(Error::ChangesRecycled { .. }) => {
                follower.begin_anew(db);
                continue;
            }
            changes => changes.unwrap(),
        };
        loop {
            let was_done = is_done.load(Ordering::Acquire);
            if !follower.follow(db, &mut changes).unwrap() {
                break;
            }
            let wait = Duration::from_millis(if was_done { 0 } else { 20 });
            match changes.wait(wait) {
                Ok(false) if was_done => return follower,
                Ok(_) => {}
                Err(Error::ChangesRecycled { .. }) => {
                    follower.begin_anew(db);
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn run(keep_changes_bytes: u64, durability: Durability, seed: u64) {
    let folder = Folder::new(&format!("changes-threads-{seed}"));
    let how = Db::builder().log_bytes(8 << 20).cache_bytes(16 << 20).durability(durability);
    let db = how.keep_changes_bytes(keep_changes_bytes).open(folder.path("x.spinney")).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&is_done);
        let followers: Vec<_> = (0..2).map(|_| scope.spawn(|| follow(&db, &is_done))).collect();
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let db = &db;
                scope.spawn(move || {
                    let (mut random, mut stale) = (Random::new(seed * 10 + writer), None);
                    for _ in 0..setting("SPINNEY_CHANGES_THREAD_STEPS", 800) {
                        write(db, &mut stale, &mut random);
                        if random.percent(1) {
                            db.checkpoint().unwrap();
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        db.sync().unwrap();
        is_done.store(true, Ordering::Release);
        for follower in followers {
            let follower = follower.join().unwrap();
            follower.assert_same(&db);
            if keep_changes_bytes > 1 << 30 {
                assert_eq!(follower.begun_anew, 0);
                assert!(follower.applied > 1_000, "{}", follower.applied);
            }
        }
    });
    assert!(db.check().unwrap().is_clean());
}

#[test]
fn followers_of_several_writers_end_with_what_is_there() {
    run(2 << 30, Durability::Sync, 1);
    run(2 << 30, Durability::Buffered, 2);
}

#[test]
fn followers_that_lose_the_log_end_with_it_too() {
    run(0, Durability::Buffered, 3);
    run(4 << 20, Durability::Buffered, 4);
}
