//! What steady random updates cost beyond themselves: bytes written, bytes on disk, memory; and how long the
//! store takes to open after its process was killed with a full log.
//!
//! The system counts what a process writes when a page of its cache becomes dirty, or at once when a write
//! goes past it. Every store is told to move its log to where it belongs as often, so that none is better
//! only because it is late. Once more at a steady pace, where each decides for itself when to do so.

#![forbid(unsafe_code)]

use super::contest::{self, Contest, Plan};
use super::updates::Updates;
use super::work::Work;
use super::{CACHE_BYTES, TAKES};
use crate::cases::{Case, Verdict};
use crate::measure::{self, Traffic};
use crate::options::Options;
use crate::report::{Goal, Metric, Table};
use crate::stores::Result;
use crate::stores::disk::{Ack, DiskStore, Session, Setup};
use std::thread;
use std::time::{Duration, Instant};

pub const CASE: Case = Case {
    name: "amplify",
    about: "bytes written a byte updated, space, memory, opening after kill -9 (200000 keys)",
    takes: TAKES,
    run,
};

/// The tasks of the turns.
pub const UPDATE: &str = "amplify-update";
pub const FILL: &str = "amplify-fill";
pub const REOPEN: &str = "amplify-reopen";

const WRITTEN: Metric = Metric::less("written a byte, buffered", "x", 1);
const WRITTEN_PACED: Metric = Metric::less("written a byte, at a steady pace", "x", 1);
const WRITTEN_SMALL: Metric = Metric::less("written a byte, cache of a quarter", "x", 1);
const WRITTEN_SYNCED: Metric = Metric::less("written a byte, every put durable", "x", 1);
const RESIDENT: Metric = Metric::less("resident memory", "MB", 1);
const SPACE_LOADED: Metric = Metric::less("bytes on disk a key, loaded", "B", 1);
const SPACE: Metric = Metric::less("bytes on disk a key, updated", "B", 1);
const REOPENED: Metric = Metric::less("open after kill -9, full log", "ms", 1);
const LOST: Metric = Metric::fact("keys with lost puts after kill -9", "", 0);

/// Of the log while updates go on. A checkpoint follows each time that updates of as many bytes were put.
const LOG_BYTES: usize = 8 << 20;
/// Of the log that is full when the process is killed.
const LOG_BYTES_FULL: usize = 32 << 20;
/// Updates between two looks at the log.
const STEP: usize = 1_000;
/// Updates that fill most of it.
const FILL_PUTS: usize = 120_000;
const SYNCED_PUTS: usize = 2_000;
/// Updates of an application that is in no hurry, and how many of them come together, how often.
const PACED_PUTS: usize = 50_000;
const PACED_STEP: usize = 50;
const PACED_STEP_MS: u64 = 10;
/// What may wait in a log then, for a store that goes by bytes.
const LOG_BYTES_PACED: usize = 64 << 20;
/// Updates with a small cache; the data is so many times larger.
const SMALL_CACHE_PUTS: usize = 48_000;
const DATA_TO_SMALL_CACHE: usize = 4;

const PLAN: Plan = Plan {
    name: CASE.name,
    keys: 200_000,
    keys_quick: 20_000,
    metrics: &[
        WRITTEN,
        WRITTEN_PACED,
        WRITTEN_SMALL,
        WRITTEN_SYNCED,
        RESIDENT,
        SPACE_LOADED,
        SPACE,
        REOPENED,
        LOST,
    ],
    goals,
    turns,
};

fn run(options: &Options) -> Result<Verdict> {
    contest::run(&PLAN, options)
}

fn turns(contest: &mut Contest<'_, '_>) {
    contest.in_fresh_directories(|contest, store, dir, round| {
        let _ = contest.turn(UPDATE, store, dir, round)
            && contest.killed(FILL, store, dir, round)
            && contest.turn(REOPEN, store, dir, round);
    });
}

fn goals(table: &Table) -> Vec<Goal> {
    vec![
        Goal::new(
            "written a byte, buffered, at least 10x below holt",
            table.ratio(WRITTEN, "holt"),
            "x",
            |ratio| ratio >= 10.0,
        ),
        Goal::new(
            "written a byte, at a steady pace, at least 10x below holt",
            table.ratio(WRITTEN_PACED, "holt"),
            "x",
            |ratio| ratio >= 10.0,
        ),
        Goal::new("no put lost by kill -9", table.median(LOST, crate::report::HOME), "", |lost| lost == 0.0),
    ]
}

/// As many updates as there are keys, some with a small cache, then some that are durable one by one.
pub fn update<S: DiskStore>(work: &Work) -> Result<()> {
    let buffered = work.setup(Ack::Buffered, LOG_BYTES);
    work.load::<S>(&buffered)?;
    work.value(SPACE_LOADED, space(work)?);
    let mut updates = Updates::new(work);

    measure::trim();
    let count = work.family.len() / STEP * STEP;
    let before = measure::resident();
    let (written, resident) = update_and_weigh::<S>(work, &buffered, &mut updates, count)?;
    work.value(WRITTEN, written);
    work.value(RESIDENT, resident.saturating_sub(before) as f64 / 1e6);
    work.value(SPACE, space(work)?);

    let paced = work.setup(Ack::Buffered, LOG_BYTES_PACED);
    work.value(WRITTEN_PACED, update_at_a_pace::<S>(work, &paced, &mut updates)?);

    let small = Setup { cache_bytes: work.family.raw_bytes() / DATA_TO_SMALL_CACHE, ..buffered };
    let (written, _) = update_and_weigh::<S>(work, &small, &mut updates, work.count(SMALL_CACHE_PUTS))?;
    work.value(WRITTEN_SMALL, written);

    let store = S::open(&work.setup(Ack::Synced, LOG_BYTES))?;
    let traffic = Traffic::now();
    let bytes = updates.put(work, &mut store.session()?, work.count(SYNCED_PUTS))?;
    work.value(WRITTEN_SYNCED, Traffic::now().since(traffic).written as f64 / bytes as f64);
    store.close()?;
    work.verify::<S>(&buffered, &updates.ledger)
}

/// Bytes written a byte updated, and the memory used in the end. Every store makes its checkpoints as often.
fn update_and_weigh<S: DiskStore>(
    work: &Work,
    setup: &Setup<'_>,
    updates: &mut Updates,
    count: usize,
) -> Result<(f64, u64)> {
    let store = S::open(setup)?;
    let traffic = Traffic::now();
    let mut session = store.session()?;
    let mut bytes = 0;
    for _ in 0..count / STEP {
        let logged = bytes % LOG_BYTES;
        bytes += updates.put(work, &mut session, STEP)?;
        if bytes % LOG_BYTES < logged {
            store.checkpoint()?;
        }
    }
    drop(session);
    store.checkpoint()?;
    let written = Traffic::now().since(traffic).written as f64 / bytes as f64;
    let resident = measure::resident();
    store.close()?;
    Ok((written, resident))
}

/// Bytes written a byte updated, where the store makes its checkpoints when it likes, and one in the end.
fn update_at_a_pace<S: DiskStore>(work: &Work, setup: &Setup<'_>, updates: &mut Updates) -> Result<f64> {
    let store = S::open(setup)?;
    let traffic = Traffic::now();
    let mut session = store.session()?;
    let start = Instant::now();
    let mut bytes = 0;
    for step in 1..=work.count(PACED_PUTS).div_ceil(PACED_STEP) {
        bytes += updates.put(work, &mut session, PACED_STEP)?;
        let due = Duration::from_millis(PACED_STEP_MS * step as u64);
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    drop(session);
    store.checkpoint()?;
    let written = Traffic::now().since(traffic).written as f64 / bytes as f64;
    store.close()?;
    Ok(written)
}

/// Bytes on disk of a key.
fn space(work: &Work) -> Result<f64> {
    Ok(measure::bytes_on_disk(&work.dir)? as f64 / work.family.len() as f64)
}

/// Updates before this process.
fn updated(work: &Work) -> Updates {
    let mut updates = Updates::new(work);
    updates.pass(work.family.len() / STEP * STEP);
    updates.pass(work.count(PACED_PUTS).div_ceil(PACED_STEP) * PACED_STEP);
    updates.pass(work.count(SMALL_CACHE_PUTS) + work.count(SYNCED_PUTS));
    updates
}

/// With a cache that holds everything and more: some stores write changed pages early where it is small, and
/// then the log is never full.
fn full_log(work: &Work) -> Setup<'_> {
    let cache_bytes = CACHE_BYTES.max(16 * work.family.raw_bytes());
    Setup { cache_bytes, ..work.setup(Ack::Buffered, LOG_BYTES_FULL) }
}

/// Fills the log and waits for the end.
pub fn fill<S: DiskStore>(work: &Work) -> Result<()> {
    let mut updates = updated(work);
    let store = S::open(&full_log(work))?;
    updates.put(work, &mut store.session()?, work.count(FILL_PUTS))?;
    println!("ready");
    loop {
        thread::park();
    }
}

/// Opens what the killed process left.
pub fn reopen<S: DiskStore>(work: &Work) -> Result<()> {
    let mut updates = updated(work);
    updates.pass(work.count(FILL_PUTS));
    let start = Instant::now();
    let store = S::open(&full_log(work))?;
    let mut session = store.session()?;
    // A store that opens at once and recovers at the first read is no faster.
    session.get(work.family.sorted.get(0), |_| ())?;
    work.value(REOPENED, start.elapsed().as_secs_f64() * 1e3);
    let entries = session.count()?;
    if entries != work.family.len() {
        return Err(format!("{entries} entries of {}", work.family.len()).into());
    }
    work.value(LOST, updates.ledger.wrong(work, &mut session)? as f64);
    drop(session);
    store.close()
}
