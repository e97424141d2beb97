//! Puts that are acknowledged when they are on stable storage, from 1 to 64 threads; and beside them what
//! each store does without a flush for each put.
//!
//! Each thread updates keys of its own. In the end the store is opened again and must hold every value that
//! was acknowledged last. The disk's own count of flushes says whether anything was flushed at all.

#![forbid(unsafe_code)]

use super::TAKES;
use super::contest::{self, Contest, Plan};
use super::ledger::Ledger;
use super::work::{Work, together};
use crate::cases::{Case, Verdict};
use crate::measure::flushes;
use crate::options::Options;
use crate::random::Random;
use crate::report::{Goal, Metric, Table};
use crate::stores::Result;
use crate::stores::disk::{Ack, DiskStore, Setup};
use std::time::{Duration, Instant};

pub const CASE: Case = Case {
    name: "durable",
    about: "puts on disk, each acknowledged when it is durable, 1 to 64 threads (100000 keys)",
    takes: TAKES,
    run,
};

/// The task of a turn.
pub const PUT: &str = "durable-put";

const ONE: Metric = Metric::more("durable puts, 1 thread", "puts/s", 0);
const FOUR: Metric = Metric::more("durable puts, 4 threads", "puts/s", 0);
const SIXTEEN: Metric = Metric::more("durable puts, 16 threads", "puts/s", 0);
const SIXTY_FOUR: Metric = Metric::more("durable puts, 64 threads", "puts/s", 0);
const FLUSHES: Metric = Metric::fact("disk flushes a put, 1 thread", "", 2);
const BUFFERED: Metric = Metric::more("buffered puts, 1 thread", "puts/s", 0);
const SYNC: Metric = Metric::less("sync after them", "ms", 2);
const THREADS: &[(Metric, usize)] = &[(ONE, 1), (FOUR, 4), (SIXTEEN, 16), (SIXTY_FOUR, 64)];

const THREADS_MAX: usize = 64;
const TIME: Duration = Duration::from_millis(1_500);
const LOG_BYTES: usize = 64 << 20;

const PLAN: Plan = Plan {
    name: CASE.name,
    keys: 100_000,
    keys_quick: 10_000,
    metrics: &[ONE, FOUR, SIXTEEN, SIXTY_FOUR, FLUSHES, BUFFERED, SYNC],
    goals,
    turns,
};

fn run(options: &Options) -> Result<Verdict> {
    contest::run(&PLAN, options)
}

fn turns(contest: &mut Contest<'_, '_>) {
    contest.in_fresh_directories(|contest, store, dir, round| _ = contest.turn(PUT, store, dir, round));
}

/// The stores that spinney should be ahead of.
fn goals(table: &Table) -> Vec<Goal> {
    let rows = [(ONE, 1.2), (FOUR, 2.0), (SIXTEEN, 3.0), (SIXTY_FOUR, 4.0), (BUFFERED, 2.0)];
    let goal = |(metric, least): (Metric, f64)| {
        let text = format!("{} at least {least}x faster than rocksdb", metric.name);
        Goal::new(text, table.ratio(metric, "rocksdb"), "x", |ratio| ratio >= least)
    };
    rows.map(goal).into()
}

pub fn put<S: DiskStore>(work: &Work) -> Result<()> {
    let buffered = work.setup(Ack::Buffered, LOG_BYTES);
    work.load::<S>(&buffered)?;
    let ledger = Ledger::new(work.family.len());

    for &(metric, threads) in THREADS {
        // Opened for so many: some stores share their cache out among the sessions.
        let store = S::open(&Setup { sessions: threads, ..work.setup(Ack::Synced, LOG_BYTES) })?;
        let before = flushes(&work.dir);
        let (puts, time) = put_for(work, &store, &ledger, threads)?;
        work.value(metric, puts as f64 / time.as_secs_f64());
        if let Some((before, after)) = before.zip(flushes(&work.dir)).filter(|_| threads == 1) {
            work.value(FLUSHES, (after - before) as f64 / puts as f64);
        }
        store.close()?;
    }
    work.verify::<S>(&buffered, &ledger)?;

    let store = S::open(&buffered)?;
    let (puts, time) = put_for(work, &store, &ledger, 1)?;
    work.value(BUFFERED, puts as f64 / time.as_secs_f64());
    let start = Instant::now();
    store.sync()?;
    work.value(SYNC, start.elapsed().as_secs_f64() * 1e3);
    store.close()?;
    work.verify::<S>(&buffered, &ledger)
}

/// How many puts so many threads did, and in which time.
fn put_for<S: DiskStore>(
    work: &Work,
    store: &S,
    ledger: &Ledger,
    threads: usize,
) -> Result<(usize, Duration)> {
    let time = work.time(TIME);
    let keys = work.family.len() / threads;
    let prepare = |thread| {
        let random =
            Random::new(work.family.seed ^ ((work.round * THREADS_MAX + thread) as u64) ^ 0x6475_7261);
        Ok((store.session()?, random, thread))
    };
    let (elapsed, puts) = together(threads, prepare, |(mut session, mut random, thread)| {
        let start = Instant::now();
        let mut puts = 0;
        while start.elapsed() < time {
            let id = random.below(keys) * threads + thread;
            ledger.put(work, &mut session, id as u32)?;
            puts += 1;
        }
        Ok(puts)
    })?;
    Ok((puts.iter().sum(), elapsed))
}
