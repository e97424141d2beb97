//! Every call of the backend fails, once and for good: errors with a name, never a panic, never a wait
//! without end; reads go on; nothing that was acknowledged is lost.
//!
//! `SPINNEY_FAULTS_EVERY` (3) leaves calls out; with 1 every call of the backend fails once. A failure names
//! the call.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

#[path = "faults/batches.rs"]
mod batches;
mod common;
#[path = "durable/disk.rs"]
mod disk;
#[path = "durable/faulty.rs"]
mod faulty;
#[cfg(unix)]
#[path = "durable/folder.rs"]
mod folder;
#[cfg(unix)]
#[path = "faults/full_disk.rs"]
mod full_disk;
#[path = "faults/long.rs"]
mod long;
#[path = "durable/script.rs"]
mod script;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{in_parallel, setting};
use disk::{Disk, Image};
use faulty::{Call, EIO, ENOSPC, Faulty, How, Plan};
use script::{Step, TREE, contents, key, put, remove, value};
use spinney::backend::Area;
use spinney::{Db, Durability, Error, Options, Result, Tree};

fn options() -> Options {
    Db::builder().log_bytes(8 << 20).cache_bytes(8 << 20).database_id(7)
}

/// What each key may hold: what was acknowledged last, and whatever has failed since.
#[derive(Default)]
struct Oracle {
    allowed: BTreeMap<u32, Vec<Option<Vec<u8>>>>,
    writes: usize,
    failures: Vec<String>,
}

impl Oracle {
    fn note(&mut self, result: &Result<()>) -> bool {
        if let Err(error) = result {
            self.expect(error);
        }
        result.is_ok()
    }

    fn expect(&mut self, error: &Error) {
        let is_expected = matches!(error, Error::Io(_) | Error::Poisoned { .. } | Error::Closed);
        assert!(is_expected, "{error:?} after {:?}", self.failures);
        self.failures.push(error.to_string());
    }

    fn write(&mut self, tree: &Tree, step: Step) {
        let at = self.writes;
        self.writes += 1;
        let result = step.run(tree, at).map(drop);
        let done = self.note(&result);
        let allowed = self.allowed.entry(step.key).or_insert_with(|| vec![None]);
        if done {
            allowed.clear();
        }
        allowed.push(step.bytes.map(|bytes| value(at, bytes)));
    }

    fn read(&mut self, tree: &Tree, reads_may_fail: bool) {
        for (&number, allowed) in &self.allowed {
            match tree.get(key(number)) {
                Ok(found) => assert!(allowed.contains(&found.map(|value| value.to_vec())), "key {number}"),
                Err(error) => assert!(reads_may_fail, "key {number}: {error} after {:?}", self.failures),
            }
        }
    }

    fn assert_holds(&self, image: Image) {
        let disk = Disk::forgetful(image);
        let db = options().open_backend(disk.clone()).unwrap_or_else(|error| {
            panic!("{error} after {:?}", self.failures);
        });
        let found = contents(&db).unwrap();
        for (&number, allowed) in &self.allowed {
            let found = found.get(&key(number)).cloned();
            assert!(allowed.contains(&found), "key {number} after {:?}", self.failures);
        }
        assert!(found.len() <= self.allowed.len());
        assert!(db.check().unwrap().is_clean());
        db.tree(TREE).unwrap().put("and it", "goes on").unwrap();
        disk.die();
    }
}

/// One life of a database, whatever fails in it.
fn live(backend: &Arc<Faulty>, oracle: &mut Oracle, steps: &[Step]) {
    let db = match options().open_backend(backend.clone()) {
        Ok(db) => db,
        Err(error) => return oracle.expect(&error),
    };
    let failed_while_opening = backend.failed().len();
    let tree = match db.tree(TREE) {
        Ok(tree) => tree,
        Err(error) => return oracle.expect(&error),
    };
    for (nth, &step) in steps.iter().enumerate() {
        let durability = if nth % 5 == 0 { Durability::Sync } else { Durability::Buffered };
        oracle.write(&tree.with_durability(durability), step);
        if nth % 8 == 7 {
            let result = if nth % 16 == 7 { db.checkpoint() } else { db.sync() };
            oracle.note(&result);
        }
        let failed = &backend.failed()[failed_while_opening..];
        let is_fatal = |call: &(Call, Option<Area>)| matches!(call.0, Call::Sync | Call::WriteDurable);
        if failed.iter().any(is_fatal) {
            assert_poisoned(&db, &tree, backend);
        }
    }
    let reads_fail = backend.failed().iter().any(|(call, _)| *call == Call::Read);
    oracle.read(&tree, reads_fail);
    drop(tree);
    oracle.note(&db.close());
}

fn assert_poisoned(db: &Db, tree: &Tree, backend: &Faulty) {
    let started = Instant::now();
    // A thread in the background may have met the failure, and not yet told of it.
    while !matches!(db.checkpoint(), Err(Error::Poisoned { .. })) {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", backend.failed());
    }
    let result = tree.put("more", "x");
    // Where the write would go has to be read first.
    let reads_fail = backend.failed().iter().any(|(call, _)| *call == Call::Read);
    match result {
        Err(Error::Poisoned { .. }) => {}
        Err(Error::Io(_)) if reads_fail => {}
        other => panic!("{other:?} after {:?}", backend.failed()),
    }
}

fn first_steps() -> Vec<Step> {
    let small = (0..6).map(|key| put(key, 200));
    let large = (10..22).map(|key| put(key, 60_000));
    let gone = [remove(1), put(2, 9), remove(10), remove(11)];
    small.chain(large).chain(gone).chain((10..14).map(|key| put(key, 5000))).collect()
}

fn second_steps() -> Vec<Step> {
    (12..22).map(remove).chain((30..34).map(|key| put(key, 50_000))).chain([put(0, 1), put(1, 2)]).collect()
}

fn lives(plan: Option<Plan>) -> (Arc<Disk>, Arc<Faulty>, Oracle) {
    let disk = Disk::forgetful(Image::default());
    let backend = Faulty::new(disk.clone());
    backend.set(plan);
    let mut oracle = Oracle::default();
    live(&backend, &mut oracle, &first_steps());
    oracle.assert_holds(disk.image());
    live(&backend, &mut oracle, &second_steps());
    (disk, backend, oracle)
}

/// Fails if `work` takes so long that it must be waiting for something that never comes.
fn in_time(label: String, work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::Builder::new().name(label.clone()).spawn(move || {
        work();
        let _ = done.send(());
    });
    let outcome = wait.recv_timeout(Duration::from_secs(60));
    assert!(!matches!(outcome, Err(mpsc::RecvTimeoutError::Timeout)), "{label} does not come to an end");
    assert!(thread.unwrap().join().is_ok(), "{label} has panicked");
}

/// Lets every call fail in turn, or one in a few.
fn every_call(what: &'static str, plan: Plan) {
    let (_, counted, oracle) = lives(Some(Plan { nth: u64::MAX, ..plan }));
    assert!(oracle.failures.is_empty());
    let every = setting("SPINNEY_FAULTS_EVERY", 3);
    // Not the same calls in every plan.
    let first = what.len() as u64 % every;
    in_parallel(what, 0..(counted.calls() - first).div_ceil(every), |number| {
        let nth = first + number * every;
        in_time(format!("{what}, call {nth}"), move || {
            let (disk, backend, oracle) = lives(Some(Plan { nth, ..plan }));
            oracle.assert_holds(disk.image());
            if backend.failed().is_empty() {
                assert!(oracle.failures.is_empty(), "{:?}", oracle.failures);
            }
        });
    });
}

const ONCE: Plan = Plan { nth: 0, for_good: false, errno: EIO, how: How::Undone, only_space: false };

#[test]
fn every_call_fails_once() {
    every_call("failing once", ONCE);
}

#[test]
fn every_call_fails_and_all_after_it() {
    every_call("failing for good", Plan { for_good: true, ..ONCE });
}

/// The answer is an error, and yet all or a part was done.
#[test]
fn every_call_is_done_and_reported_as_failed() {
    every_call("done and failed", Plan { how: How::Done, ..ONCE });
    every_call("begun and failed", Plan { how: How::Begun, ..ONCE });
}

#[test]
fn the_disk_is_full_for_a_moment_or_for_ever() {
    every_call("full once", Plan { errno: ENOSPC, only_space: true, how: How::Begun, ..ONCE });
    let for_good = Plan { errno: ENOSPC, only_space: true, for_good: true, ..ONCE };
    every_call("full for good", for_good);
}

/// No space for a checkpoint before its commit: it is said, and once there is space again all goes on.
#[test]
fn a_checkpoint_without_space_is_no_end() {
    let full = Plan { errno: ENOSPC, for_good: true, only_space: true, ..ONCE };
    for how in [How::Undone, How::Begun, How::Done] {
        let mut committed = false;
        for nth in 0.. {
            let disk = Disk::forgetful(Image::default());
            let backend = Faulty::new(disk.clone());
            let db = options().open_backend(backend.clone()).unwrap();
            let tree = db.tree(TREE).unwrap();
            let mut oracle = Oracle::default();
            first_steps().into_iter().for_each(|step| oracle.write(&tree, step));
            backend.set(Some(Plan { nth, how, ..full }));
            let result = db.checkpoint();
            backend.set(None);
            if backend.failed().is_empty() {
                result.unwrap();
                assert!(nth > 3);
                break;
            }
            oracle.assert_holds(disk.image());
            assert!(result.is_err());
            // The pages that go to their place come last.
            committed = matches!(tree.put("more", "x"), Err(Error::Poisoned { .. }));
            assert!(!committed || backend.failed()[0] == (Call::Write, Some(Area::Data)));
            if !committed {
                second_steps().into_iter().for_each(|step| oracle.write(&tree, step));
                oracle.assert_holds(disk.image());
                db.checkpoint().unwrap();
                assert!(oracle.failures.is_empty());
            }
            oracle.read(&tree, false);
            drop(tree);
            drop(db);
            oracle.allowed.insert(0, oracle.allowed[&0].clone());
        }
        assert!(committed, "the last call that failed was behind the commit");
    }
}

/// Writers that wait for space in the log while no checkpoint can make any get an error, and no more of it
/// once there is space.
#[test]
fn writers_do_not_wait_for_checkpoints_that_fail() {
    in_time("waiting for space".into(), || {
        let disk = Disk::forgetful(Image::default());
        let backend = Faulty::new(disk.clone());
        let db = options().durability(Durability::Buffered).open_backend(backend.clone()).unwrap();
        let tree = db.tree(TREE).unwrap();
        let mut oracle = Oracle::default();
        (0..20).for_each(|key| oracle.write(&tree, put(key, 60_000)));
        // Both segments are ready by now, or are made before this.
        let full = Plan { errno: ENOSPC, for_good: true, only_space: true, ..ONCE };
        backend.set(Some(full));
        for round in 0..400 {
            oracle.write(&tree, put(round % 30, 60_000));
        }
        assert!(!oracle.failures.is_empty(), "the log is 8 MiB long");
        oracle.read(&tree, false);
        oracle.assert_holds(disk.image());
        backend.set(None);
        let failures = oracle.failures.len();
        for round in 0..400 {
            oracle.write(&tree, put(round % 30, 60_000));
        }
        assert_eq!(oracle.failures.len(), failures, "{:?}", oracle.failures.last());
        db.close().unwrap();
        oracle.assert_holds(disk.image());
    });
}
