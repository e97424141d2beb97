//! Every call that a file backend makes of the operating system fails: once, or with all of its kind after
//! it, on the way through the life of a database in files. Each ends in an error or is made up for; what was
//! acknowledged is there when the files are opened again without failures; nothing panics, nothing waits.
//!
//! `SPINNEY_FILE_FAULTS_EVERY` (40) is one of how many calls of a kind fails; 1 is each, in all ways.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

mod common;
#[path = "durable/folder.rs"]
mod folder;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use common::{in_parallel, setting};
use folder::Folder;
use spinney::backend::{FileCall, FileFaults, IoChoice};
use spinney::{Db, Error, Options, Result, Tree};

type Model = BTreeMap<String, Vec<u8>>;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Far more than a life should take on a busy machine.
const LIFE_LIMIT: Duration = Duration::from_secs(120);

const CALLS: [FileCall; 13] = [
    FileCall::Open,
    FileCall::Lock,
    FileCall::SetLen,
    FileCall::Read,
    FileCall::Write,
    FileCall::WriteThrough,
    FileCall::SyncData,
    FileCall::SyncAll,
    FileCall::Remove,
    FileCall::Map,
    FileCall::UringSetup,
    FileCall::UringSubmit,
    FileCall::UringAnswer,
];

/// What was done, as far as it is known.
#[derive(Default)]
struct Seen {
    /// All that was acknowledged.
    model: Model,
    /// The same with the call that has failed: it may have had its effect.
    or: Option<Model>,
    error: Option<Error>,
}

fn options(io: IoChoice, life: u64) -> Options {
    // Nothing in the background: all calls come from this thread, in the same order each time.
    Db::builder().log_bytes(8 << 20).cache_bytes(8 << 20).repeatable(life).io(io)
}

fn value(seed: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 5 + at * at / 4096 + seed * 31) as u8).collect()
}

impl Seen {
    /// One call that changes something. After the first failure none is made any more.
    fn write(&mut self, call: impl FnOnce() -> Result<()>, effect: impl FnOnce(&mut Model)) {
        if self.error.is_some() {
            return;
        }
        let mut after = self.model.clone();
        effect(&mut after);
        match call() {
            Ok(()) => self.model = after,
            Err(error) => (self.error, self.or) = (Some(error), Some(after)),
        }
    }

    /// One call that changes nothing that can be read.
    fn arrange<T>(&mut self, call: impl FnOnce() -> Result<T>) -> Option<T> {
        if self.error.is_some() {
            return None;
        }
        call().map_err(|error| self.error = Some(error)).ok()
    }

    fn put(&mut self, tree: &Tree, key: &str, value: Vec<u8>) {
        let call = || tree.put(key, &value).map(drop);
        self.write(call, |model| drop(model.insert(key.into(), value.clone())));
    }

    fn read(&mut self, tree: &Tree) {
        let model = self.model.clone();
        self.arrange(|| {
            let found = contents(tree)?;
            assert!(found == model, "something else is read, and no error told");
            Ok(())
        });
    }
}

fn contents(tree: &Tree) -> Result<Model> {
    let entry = |pair: Result<spinney::Pair>| {
        pair.map(|(key, value)| (String::from_utf8_lossy(&key).into_owned(), value.to_vec()))
    };
    tree.scan("").map(entry).collect()
}

/// Writes of all kinds, and what brings them to the files.
fn work(db: &Db, tree: &Tree, seen: &mut Seen) {
    for number in 0..4 {
        seen.put(tree, &format!("a/{number}"), value(number, 700));
    }
    seen.arrange(|| db.checkpoint());
    seen.put(tree, "long", value(9, 200_000));
    let call = || db.batch().put(tree, "b/1", "batch").remove(tree, "a/0").commit().map(drop);
    seen.write(call, |model| {
        model.insert("b/1".into(), b"batch".to_vec());
        model.remove("a/0");
    });
    let items: Model = (0..30).map(|number| (format!("l/{number:02}"), value(number, 30_000))).collect();
    let call = || tree.load("l/", &items).map(drop);
    seen.write(call, |model| model.extend(items.clone()));
    let moved = |model: &mut Model, from: &str, to: &str| {
        let names: Vec<String> = model.keys().filter(|key| key.starts_with(from)).cloned().collect();
        for name in names {
            let value = model.remove(&name).unwrap_or_default();
            model.insert(format!("{to}{}", &name[from.len()..]), value);
        }
    };
    seen.write(|| tree.rename_prefix("a/", "c/").map(drop), |model| moved(model, "a/", "c/"));
    seen.arrange(|| db.sync());
    seen.write(
        || tree.remove_prefix("l/1").map(drop),
        |model| model.retain(|key, _| !key.starts_with("l/1")),
    );
    seen.arrange(|| db.checkpoint());
    seen.arrange(|| db.compact());
    seen.put(tree, "c/1", value(77, 900));
    seen.read(tree);
}

/// The life of a database: made, closed, opened, left as by a crash, recovered, closed.
fn live(path: &Path, io: IoChoice) -> Seen {
    let mut seen = Seen::default();
    let open = |seen: &mut Seen, life: u64| {
        let opened = seen.arrange(|| options(io, life).open(path))?;
        let tree = seen.arrange(|| opened.tree("files"))?;
        Some((opened, tree))
    };
    if let Some((db, tree)) = open(&mut seen, 1) {
        work(&db, &tree, &mut seen);
        drop(tree);
        seen.arrange(|| db.close());
    }
    if let Some((db, tree)) = open(&mut seen, 2) {
        seen.read(&tree);
        seen.put(&tree, "e/1", value(1, 50));
        seen.put(&tree, "e/2", value(2, 70_000));
        drop((db, tree));
    }
    if let Some((db, tree)) = open(&mut seen, 3) {
        seen.read(&tree);
        seen.put(&tree, "e/3", value(3, 50));
        drop(tree);
        seen.arrange(|| db.close());
    }
    seen
}

/// After the failures are over.
fn verify(path: &Path, io: IoChoice, seen: &Seen) {
    let open = |life| options(io, life).open(path).expect("sound files");
    let db = open(8);
    let tree = db.tree("files").expect("sound files");
    let found = contents(&tree).expect("sound files");
    let is_known = found == seen.model || seen.or.as_ref() == Some(&found);
    let keys = |model: &Model| model.keys().cloned().collect::<Vec<_>>();
    assert!(is_known, "there is {:?}, not {:?}", keys(&found), keys(&seen.model));
    let report = db.check().expect("sound files");
    assert!(report.is_clean(), "{report:?}");
    tree.put("probe", "1").expect("sound files");
    drop(tree);
    db.close().expect("sound files");
    let db = open(9);
    let tree = db.tree("files").expect("sound files");
    assert_eq!(contents(&tree).expect("sound files").len(), found.len() + 1);
    drop(tree);
    db.close().expect("sound files");
}

/// How a failure ended.
enum Ending {
    NotMet,
    /// By an error, of this kind.
    Told(&'static str),
    /// In another way, with the same answers.
    MadeUpFor,
}

/// A call that fails.
#[derive(Clone, Copy, Debug)]
struct Failure {
    io: IoChoice,
    call: FileCall,
    nth: u64,
    errno: i32,
    for_good: bool,
}

/// One life with a failure.
fn fail(failure: Failure, number: u64) -> Ending {
    let Failure { io, call, nth, errno, for_good } = failure;
    let folder = Folder::new(&format!("file-faults-{io:?}-{number}"));
    let path = folder.path("catalog.spinney");
    let begin = if for_good { FileFaults::from_nth } else { FileFaults::nth };
    let faults = begin(call, nth, errno);
    let seen = live(&path, io);
    let was_met = faults.calls() > nth;
    drop(faults);
    verify(&path, io, &seen);
    match seen.error {
        Some(error) => {
            assert!(was_met, "{error}: nothing had failed");
            Ending::Told(error.code())
        }
        None if was_met => Ending::MadeUpFor,
        None => Ending::NotMet,
    }
}

/// How many calls of a kind there are where nothing fails.
fn count(io: IoChoice, call: FileCall) -> u64 {
    let folder = Folder::new(&format!("file-faults-{io:?}"));
    let faults = FileFaults::nth(call, u64::MAX, EIO);
    let seen = live(&folder.path("catalog.spinney"), io);
    assert!(seen.error.is_none(), "{:?}", seen.error);
    faults.calls()
}

/// All failures that are tried.
fn failures(io: IoChoice) -> Vec<Failure> {
    let every = setting("SPINNEY_FILE_FAULTS_EVERY", 40);
    let ways = [(EIO, false), (ENOSPC, true), (ENOSPC, false), (EIO, true)];
    let mut failures = Vec::new();
    for call in CALLS {
        let calls = count(io, call);
        println!("{io:?}: {calls} calls of {call:?}");
        for nth in (0..calls).filter(|nth| nth % every == 0 || nth + 1 == calls) {
            // Half of the ways where not all calls fail.
            let ways = ways
                .iter()
                .enumerate()
                .filter(|(way, _)| every == 1 || (*way as u64 + nth).is_multiple_of(2));
            failures.extend(ways.map(|(_, &(errno, for_good))| Failure { io, call, nth, errno, for_good }));
        }
    }
    failures
}

fn fail_everywhere(io: IoChoice) {
    let failures = failures(io);
    let endings: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    in_parallel("failure", 0..failures.len() as u64, |number| {
        let failure = failures[number as usize];
        let (tell, answer) = mpsc::channel();
        // Not scoped: one that hangs must not keep the test from saying so.
        std::thread::spawn(move || tell.send(fail(failure, number)));
        let ending = answer.recv_timeout(LIFE_LIMIT);
        let ending = ending.unwrap_or_else(|error| panic!("{failure:?} panics or hangs: {error}"));
        let name = match ending {
            Ending::NotMet => panic!("{failure:?}: the calls are others than before"),
            Ending::Told(code) => code,
            Ending::MadeUpFor => "made up for",
        };
        *endings.lock().expect("no panic").entry(name).or_default() += 1;
    });
    let endings = endings.into_inner().expect("no panic");
    println!("{io:?}: {} lives with a call that fails: {endings:?}", failures.len());
    assert!(endings.keys().any(|&name| name != "made up for"));
}

#[test]
fn every_call_of_the_system_may_fail() {
    fail_everywhere(IoChoice::Auto);
}

#[test]
fn every_call_of_the_system_may_fail_without_io_uring() {
    fail_everywhere(IoChoice::Plain);
}

/// Where a lost write is told once, and not to whom it concerns.
#[test]
fn every_call_of_the_system_may_fail_through_the_page_cache() {
    fail_everywhere(IoChoice::Buffered);
}
