//! Sorted keys into an empty store, each in the way that it likes best: until all is on stable storage, in
//! files from which it is read as it is.

#![forbid(unsafe_code)]

use super::TAKES;
use super::contest::{self, Contest, Plan};
use super::ledger::Ledger;
use super::work::Work;
use crate::cases::{Case, Verdict};
use crate::measure;
use crate::options::Options;
use crate::report::{Goal, HOME, Metric, Table};
use crate::stores::Result;
use crate::stores::disk::{Ack, DiskStore, Setup};
use std::time::Instant;

pub const CASE: Case = Case {
    name: "load",
    about: "sorted keys into an empty file, as one bulk load (1000000 keys)",
    takes: TAKES,
    run,
};

/// The task of a turn.
pub const LOAD: &str = "sorted-load";

const RATE: Metric = Metric::more("sorted load", "keys/s", 0);
const SPACE: Metric = Metric::less("bytes on disk for a raw byte", "", 3);
const RESIDENT: Metric = Metric::less("resident memory for it", "MB", 1);
/// Of a log, where the load needs one.
const LOG_BYTES: usize = 64 << 20;

const PLAN: Plan = Plan {
    name: CASE.name,
    keys: 1_000_000,
    keys_quick: 50_000,
    metrics: &[RATE, SPACE, RESIDENT],
    goals,
    turns,
};

fn run(options: &Options) -> Result<Verdict> {
    contest::run(&PLAN, options)
}

fn turns(contest: &mut Contest<'_, '_>) {
    contest.in_fresh_directories(|contest, store, dir, round| _ = contest.turn(LOAD, store, dir, round));
}

fn goals(table: &Table) -> Vec<Goal> {
    let home = |metric| table.median(metric, HOME);
    vec![
        Goal::new("more than 3 million keys a second", home(RATE), " keys/s", |rate| rate > 3e6),
        Goal::new("at most raw bytes and 5 %", home(SPACE), "x", |ratio| ratio <= 1.05),
    ]
}

pub fn load<S: DiskStore>(work: &Work) -> Result<()> {
    let setup = Setup { bulk: true, ..work.setup(Ack::Buffered, LOG_BYTES) };
    measure::trim();
    let before = measure::resident();
    let store = S::open(&setup)?;
    let start = Instant::now();
    let entries = work.family.sorted.iter().zip(0..);
    store.load_sorted(&work.dir, entries.map(|(key, id)| (key, work.values.make(id, 0))))?;
    store.checkpoint()?;
    store.sync()?;
    work.value(RATE, work.family.len() as f64 / start.elapsed().as_secs_f64());
    work.value(RESIDENT, measure::resident().saturating_sub(before) as f64 / 1e6);
    store.close()?;
    work.value(SPACE, measure::bytes_on_disk(&work.dir)? as f64 / work.family.raw_bytes() as f64);
    work.verify::<S>(&setup, &Ledger::new(work.family.len()))
}
