//! What the background costs a writer: buffered puts at a steady rate from one thread, while everything in
//! the log is moved to where it belongs once a second, and whatever else the store does on its own.
//!
//! A put that takes long also counts for those that should have begun meanwhile and would have waited.

#![forbid(unsafe_code)]

use super::TAKES;
use super::contest::{self, Contest, Plan};
use super::updates::Updates;
use super::work::Work;
use crate::cases::{Case, Verdict};
use crate::measure::{Latencies, Samples};
use crate::options::Options;
use crate::report::{Goal, HOME, Metric, Table};
use crate::stores::Result;
use crate::stores::disk::{Ack, DiskStore, Setup};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub const CASE: Case = Case {
    name: "stall",
    about: "how long puts take while checkpoints, compactions and flushes go on (200000 keys)",
    takes: TAKES,
    run,
};

/// The task of a turn.
pub const PUT: &str = "stall-put";

const P50: Metric = Metric::less("put, p50", "us", 1);
const P90: Metric = Metric::less("put, p90", "us", 1);
const P99: Metric = Metric::less("put, p99", "us", 1);
const P999: Metric = Metric::less("put, p99.9", "us", 1);
const P9999: Metric = Metric::less("put, p99.99", "us", 1);
const LONGEST: Metric = Metric::less("put, longest", "ms", 2);
const KEPT: Metric = Metric::more("of 20000 puts a second kept", "%", 1);
const CHECKPOINTS: Metric = Metric::fact("checkpoints meanwhile", "", 0);
const CHECKPOINT: Metric = Metric::fact("a checkpoint", "ms", 1);

const TIME: Duration = Duration::from_secs(6);
const PUTS_PER_SECOND: u32 = 20_000;
/// The writer wakes so often and puts what is due; a shorter sleep would be none.
const WAKE: Duration = Duration::from_millis(1);
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// A log of a few seconds.
const LOG_BYTES: usize = 8 << 20;

const PLAN: Plan = Plan {
    name: CASE.name,
    keys: 200_000,
    keys_quick: 20_000,
    metrics: &[P50, P90, P99, P999, P9999, LONGEST, KEPT, CHECKPOINTS, CHECKPOINT],
    goals,
    turns,
};

fn run(options: &Options) -> Result<Verdict> {
    contest::run(&PLAN, options)
}

fn turns(contest: &mut Contest<'_, '_>) {
    contest.in_fresh_directories(|contest, store, dir, round| _ = contest.turn(PUT, store, dir, round));
}

fn goals(table: &Table) -> Vec<Goal> {
    vec![Goal::new("the longest put below 5 ms", table.median(LONGEST, HOME), " ms", |millis| millis < 5.0)]
}

pub fn put<S: DiskStore>(work: &Work) -> Result<()> {
    let setup: Setup<'_> = work.setup(Ack::Buffered, LOG_BYTES);
    work.load::<S>(&setup)?;
    let mut updates = Updates::new(work);
    let store = S::open(&setup)?;
    let over = AtomicBool::new(false);
    let (latencies, checkpoints) = thread::scope(|scope| {
        let background = scope.spawn(|| checkpoints(&store, &over));
        let latencies = put_steadily(work, &store, &mut updates);
        over.store(true, Ordering::Relaxed);
        let checkpoints = background.join().map_err(|_| "the background panicked")?;
        Ok::<_, crate::stores::Error>((latencies?, checkpoints?))
    })?;
    let (mut latencies, kept) = latencies;
    work.value(P50, latencies.micros(0.5));
    work.value(P90, latencies.micros(0.9));
    work.value(P99, latencies.micros(0.99));
    work.value(P999, latencies.micros(0.999));
    work.value(P9999, latencies.micros(0.9999));
    work.value(LONGEST, latencies.micros(1.0) / 1e3);
    work.value(KEPT, kept * 100.0);
    work.value(CHECKPOINTS, checkpoints.len() as f64);
    work.value(CHECKPOINT, checkpoints.median());
    store.close()?;
    work.verify::<S>(&setup, &updates.ledger)
}

/// How long each put took, and which share of the rate was kept.
fn put_steadily<S: DiskStore>(work: &Work, store: &S, updates: &mut Updates) -> Result<(Latencies, f64)> {
    let mut session = store.session()?;
    let mut latencies = Latencies::default();
    // The first write to a closed database may have to make a log. That is part of opening it.
    let first = updates.next_id();
    updates.ledger.put(work, &mut session, first)?;
    let interval = Duration::from_secs(1) / PUTS_PER_SECOND;
    let time = work.time(TIME);
    let start = Instant::now();
    let mut puts = 0;
    loop {
        let elapsed = start.elapsed();
        if elapsed >= time {
            let due = time.as_secs_f64() * f64::from(PUTS_PER_SECOND);
            return Ok((latencies, f64::from(puts) / due));
        }
        let due = (elapsed.as_secs_f64() * f64::from(PUTS_PER_SECOND)) as u32;
        // After a stall, what it held up is not made up for: its waiting was counted already.
        let batch = (due - puts.min(due)).min(2 * (WAKE.as_micros() / interval.as_micros()) as u32);
        for _ in 0..batch {
            let id = updates.next_id();
            let before = Instant::now();
            updates.ledger.put(work, &mut session, id)?;
            latencies.push_expected(before.elapsed(), interval);
        }
        puts += batch;
        thread::sleep(WAKE);
    }
}

/// How long each of them took, in milliseconds.
fn checkpoints<S: DiskStore>(store: &S, over: &AtomicBool) -> Result<Samples> {
    let mut samples = Samples::default();
    let mut next = Instant::now() + CHECKPOINT_EVERY / 2;
    while !over.load(Ordering::Relaxed) {
        if Instant::now() < next {
            thread::sleep(WAKE * 5);
            continue;
        }
        let start = Instant::now();
        store.checkpoint()?;
        samples.push(start.elapsed().as_secs_f64() * 1e3);
        next += CHECKPOINT_EVERY;
    }
    Ok(samples)
}
