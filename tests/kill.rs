//! Kill -9 at random moments: of writers on many threads with checkpoints going on, of recovery, of close.
//! Every acknowledged write is there again, the state is the one after some write, and `check` is clean.
//!
//! The test starts itself as a child process, which does the writing, and kills it. `SPINNEY_KILL_ROUNDS`
//! says how often for each setting; `scripts/kill` shows what came of it. `SPINNEY_KILL_FIRST` is
//! another seed: for how long a child lives, not for where in its work that ends.

#![cfg(all(unix, not(miri)))]
#![forbid(unsafe_code)]

#[path = "kill/child.rs"]
mod child;
mod common;
#[path = "durable/folder.rs"]
mod folder;
#[path = "kill/notes.rs"]
mod notes;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use child::{Job, Own, TREE, Write, value};
use common::{Random, setting};
use folder::Folder;
use notes::Notes;
use spinney::{Db, Tree};

/// Counts of one setting.
#[derive(Default)]
struct Tally {
    kills: u64,
    while_opening: u64,
    while_closing: u64,
    writes: u64,
    opens: u64,
    open_time: Duration,
    open_time_max: Duration,
}

/// What the parent knows for sure, from round to round.
struct Known {
    own: Vec<Own>,
    /// The last write of each shared key: its version, thread and number.
    shared: BTreeMap<String, (u64, u64, u64)>,
    /// The version of the last write of all.
    seq: u64,
}

/// Since when a child has so long to live.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    Start,
    Open,
}

/// Starts a child and kills it after a while.
fn one_life(job: &Job, since: Since, kill_after: Duration, tally: &mut Tally) {
    let notes = Notes::create(&job.notes, job.threads);
    let mut command = Command::new(std::env::current_exe().unwrap());
    let (name, text) = job.to_environment();
    command.args(["--exact", "the_child", "--nocapture"]).env(name, text);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    while since == Since::Open && !notes.is_open() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(300));
    }
    std::thread::sleep(kill_after);
    // A child that has ended by itself has closed everything: nothing is wrong with that.
    let _ = child.kill();
    let status = child.wait().unwrap();
    assert!(status.success() || status.signal() == Some(9), "the child ended with {status}");
    tally.kills += u64::from(!status.success());
    tally.while_opening += u64::from(!status.success() && !notes.is_open());
    tally.while_closing += u64::from(!status.success() && notes.is_closing());
}

fn open(job: &Job, tally: &mut Tally, label: &str) -> Db {
    let started = Instant::now();
    let db = job.options().open(&job.path).unwrap_or_else(|error| panic!("{label}: {error}"));
    let time = started.elapsed();
    tally.opens += 1;
    tally.open_time += time;
    tally.open_time_max = tally.open_time_max.max(time);
    db
}

/// Compares the database with what the child has said. In the order of their versions, the writes that are
/// there are the first so and so many.
fn verify(tree: &Tree, job: &mut Job, known: &mut Known, tally: &mut Tally, label: &str) {
    let notes = Notes::open(&job.notes, job.threads);
    let (mut versions, mut in_flight, mut counted) = (BTreeSet::new(), Vec::new(), 0);
    for thread in 0..job.threads {
        let (own, first) = (&mut known.own[thread as usize], job.first[thread as usize]);
        let before = own.versions;
        let acknowledged = notes.acknowledged(thread);
        for (&version, number) in acknowledged.iter().zip(first..) {
            own.apply(thread, number);
            if version != 0 {
                assert!(versions.insert(version), "{label}: version {version} twice");
            }
            if let Write::Shared(key) = child::write(thread, number) {
                let last = known.shared.entry(key).or_default();
                *last = (*last).max((version, thread, number));
            }
        }
        let mut done = first + acknowledged.len() as u64;
        counted += own.versions - before;
        tally.writes += acknowledged.len() as u64;
        let is_right = own.is_in(tree, thread).unwrap();
        if notes.begun(thread) > acknowledged.len() as u64 {
            in_flight.push((thread, done));
            let mut more = own.clone();
            more.apply(thread, done);
            assert!(is_right || more.is_in(tree, thread).unwrap(), "{label}: thread {thread}, {done} writes");
            *own = if is_right { Own { versions: 0, ..own.clone() } } else { Own { versions: 0, ..more } };
            done += 1;
        } else {
            assert!(is_right, "{label}: thread {thread}, {done} writes, none of them in flight");
        }
        job.first[thread as usize] = done;
    }
    verify_shared(tree, known, &in_flight, label);
    let seq = tree.put("probe", "x").unwrap().number() - 1;
    let last = versions.last().copied().unwrap_or(0);
    assert!(last <= seq, "{label}: version {last} was acknowledged, and the last one is {seq}");
    let there = seq - known.seq;
    // One more for the tree itself.
    let possible = counted..=counted + in_flight.len() as u64 + u64::from(known.seq == 0);
    assert!(possible.contains(&there), "{label}: {there} writes where {possible:?} were made");
    known.seq = seq + 1;
}

fn verify_shared(tree: &Tree, known: &mut Known, in_flight: &[(u64, u64)], label: &str) {
    let keys = (0..1000).map(child::shared_key).collect::<BTreeSet<_>>();
    for key in keys {
        let found = tree.get(&key).unwrap();
        let version = found.as_ref().map_or(0, |value| value.version().number());
        let last = known.shared.get(&key).copied().unwrap_or_default();
        assert!(version >= last.0, "{label}: {key} is of version {version}, and {last:?} was acknowledged");
        let Some(found) = found else { continue };
        let is = |thread: u64, number: u64| *found == *value(thread, number).as_bytes();
        if version == last.0 {
            assert!(is(last.1, last.2), "{label}: {key} has another value than {last:?}");
        } else {
            let write = in_flight.iter().find(|(thread, number)| is(*thread, *number));
            let &(thread, number) = write.unwrap_or_else(|| panic!("{label}: {key} of version {version}"));
            known.shared.insert(key, (version, thread, number));
        }
    }
}

/// Returns how often a child was killed.
fn kill_and_verify(threads: u64, is_sync: bool, rounds: u64) -> u64 {
    let name = format!("{threads} threads, {}", if is_sync { "sync" } else { "buffered" });
    let folder = Folder::new(&format!("kill-{threads}-{is_sync}"));
    let (path, notes) = (folder.path("killed.spinney"), folder.path("notes"));
    let first = vec![0; threads as usize];
    let mut job = Job { path, notes, threads, is_sync, checkpoints: false, run: Duration::ZERO, first };
    let mut known = Known { own: vec![Own::default(); threads as usize], shared: BTreeMap::new(), seq: 0 };
    let seed = setting("SPINNEY_KILL_FIRST", 0) * 100 + threads * 2 + u64::from(is_sync);
    let (mut tally, mut random) = (Tally::default(), Random::new(seed));
    let started = Instant::now();
    for round in 0..rounds {
        let label = format!("{name}, round {round}");
        job.checkpoints = random.percent(50);
        job.run = Duration::from_millis(20 + random.next() % 200);
        // Mostly while it writes, at times while it opens or closes.
        let since = if random.percent(80) { Since::Open } else { Since::Start };
        let most = job.run.as_millis() as u64 + if since == Since::Open { 15 } else { 60 };
        one_life(&job, since, Duration::from_millis(random.next() % most), &mut tally);
        let mut recovering = Job { run: Duration::ZERO, ..job.clone() };
        recovering.notes = folder.path("other-notes");
        recovering.threads = 0;
        while random.percent(40) {
            // Recovered, and killed at that, or while it is closed right afterwards.
            let time = Duration::from_millis(1 + random.next() % 60);
            one_life(&recovering, Since::Start, time, &mut tally);
        }
        let db = open(&job, &mut tally, &label);
        let tree = db.tree(TREE).unwrap();
        verify(&tree, &mut job, &mut known, &mut tally, &label);
        let report = db.check().unwrap();
        assert!(report.is_clean(), "{label}: {report:?}");
    }
    let Tally { kills, while_opening, while_closing, writes, opens, open_time, open_time_max } = tally;
    println!(
        "{name}: {kills} kills ({while_opening} while opening, {while_closing} while closing), \
         {writes} writes acknowledged and there, {opens} opens of {:.1} ms on average and {:.1} ms at most, \
         {:.1} s in all",
        open_time.as_secs_f64() * 1e3 / opens.max(1) as f64,
        open_time_max.as_secs_f64() * 1e3,
        started.elapsed().as_secs_f64()
    );
    kills
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let rounds = setting("SPINNEY_KILL_ROUNDS", 3);
    let started = Instant::now();
    let settings = [1, 4, 16].into_iter().flat_map(|threads| [(threads, false), (threads, true)]);
    let kills: u64 = settings.map(|(threads, is_sync)| kill_and_verify(threads, is_sync, rounds)).sum();
    println!("{kills} kills in all, {:.1} s", started.elapsed().as_secs_f64());
    let least = setting("SPINNEY_KILL_LEAST", rounds);
    assert!(kills >= least, "only {kills} kills, {least} were wanted: too many children came to their end");
}

/// Not a test of its own: it does what the environment says, in a process of its own.
#[test]
fn the_child() {
    if let Some(job) = Job::from_environment() {
        job.work();
    }
}
