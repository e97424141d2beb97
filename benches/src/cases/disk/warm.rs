//! Reads of a store on disk whose cache holds everything: what its files cost when they are not needed.
//!
//! A store that reads in transactions keeps one open all the time. Times are the process's processor time, as
//! in memory.

#![forbid(unsafe_code)]

use super::TAKES;
use super::contest::{self, Contest, Plan};
use super::ledger::Ledger;
use super::work::{self, Work};
use crate::cases::{Case, Verdict};
use crate::keys::{Directory, Queries, Values};
use crate::measure::{self, nanos_per_op};
use crate::options::Options;
use crate::report::{Goal, Metric, Table};
use crate::stores::disk::{Ack, DiskStore, Session, Setup};
use crate::stores::{Error, Result};

pub const CASE: Case = Case {
    name: "warm",
    about: "reads of stores on disk whose caches hold everything (200000 keys)",
    takes: TAKES,
    run,
};

/// The tasks of the turns.
pub const LOAD: &str = "warm-load";
pub const READ: &str = "warm-read";

const GET: Metric = Metric::less("get hit", "ns", 0);
const GET_MANY: Metric = Metric::less("get hit, 64 at once, a key", "ns", 0);
const MISS: Metric = Metric::less("get miss", "ns", 0);
const LIST: Metric = Metric::less("list 100 directories", "us", 2);
const LIST_ANY: Metric = Metric::less("list any directory", "us", 2);
const LIST_FIFTY: Metric = Metric::less("list ~50 directories of many keys", "us", 2);
const RESIDENT: Metric = Metric::less("resident memory", "MB", 1);

/// Queries of one timed loop.
const QUERIES: usize = 200_000;
/// Listings of one timed loop, at least.
const LISTS: usize = 1_000;
const LOG_BYTES: usize = 64 << 20;

const PLAN: Plan = Plan {
    name: CASE.name,
    keys: 200_000,
    keys_quick: 20_000,
    metrics: &[GET, GET_MANY, MISS, LIST, LIST_ANY, LIST_FIFTY, RESIDENT],
    goals,
    turns,
};

fn run(options: &Options) -> Result<Verdict> {
    contest::run(&PLAN, options)
}

fn turns(contest: &mut Contest<'_, '_>) {
    contest.loaded_once(LOAD, |contest, store, dir, round| {
        contest.turn(READ, store, dir, round);
    });
}

fn goals(table: &Table) -> Vec<Goal> {
    vec![Goal::new("file-backed get hit as fast as lmdb's", table.ratio(GET, "lmdb"), "x", |ratio| {
        ratio >= 1.0
    })]
}

/// Room for everything, in blobs that are an eighth full, too.
fn setup(work: &Work) -> Setup<'_> {
    let cache_bytes = super::CACHE_BYTES.max(8 * work.family.raw_bytes());
    Setup { cache_bytes, ..work.setup(Ack::Buffered, LOG_BYTES) }
}

pub fn load<S: DiskStore>(work: &Work) -> Result<()> {
    work.load::<S>(&setup(work))
}

pub fn read<S: DiskStore>(work: &Work) -> Result<()> {
    let family = &work.family;
    let salt = 40 + work.round as u64 * 100;
    let queries = family.uniform(work.count(QUERIES), salt);
    let absent = family.near_misses(work.count(QUERIES), salt + 1);
    measure::trim();
    let before = measure::resident();
    let store = S::open(&setup(work))?;
    let mut session = store.session()?;
    session.hold()?;
    // Verifies everything, and brings it into the cache.
    work::none_wrong(Ledger::new(family.len()).wrong(work, &mut session)?)?;
    misses(&mut session, &absent)?;

    work.note(GET, nanos_per_op(|| gets(&mut session, &queries)));
    work.note(GET_MANY, nanos_per_op(|| many(&mut session, &queries)));
    work.note(MISS, nanos_per_op(|| misses(&mut session, &absent)));
    let kinds = work::kinds_of_directories(&family.directories);
    for (metric, kind) in [LIST, LIST_ANY, LIST_FIFTY].into_iter().zip(kinds) {
        if !kind.is_empty() {
            work.note(metric, lists(&mut session, &kind));
        }
    }
    work.value(RESIDENT, measure::resident().saturating_sub(before) as f64 / 1e6);
    drop(session);
    store.close()
}

/// Microseconds of a listing, all of them by turns.
fn lists(session: &mut impl Session, directories: &[&Directory]) -> Result<f64> {
    work::list_all(session, directories)?;
    let nanos = nanos_per_op(|| {
        let calls = LISTS.next_multiple_of(directories.len());
        for _ in 0..calls / directories.len() {
            work::list_all(session, directories)?;
        }
        Ok::<_, Error>(calls)
    })?;
    Ok(nanos / 1e3)
}

fn gets(session: &mut impl Session, queries: &Queries) -> Result<usize> {
    let mut wrong = 0;
    for (key, id) in queries.iter() {
        wrong += usize::from(session.get(key, |value| Values::belongs(value, id))? != Some(true));
    }
    work::none_wrong(wrong)?;
    Ok(queries.len())
}

fn many(session: &mut impl Session, queries: &Queries) -> Result<usize> {
    work::get_in_batches(session, queries)?;
    Ok(queries.len())
}

fn misses(session: &mut impl Session, queries: &Queries) -> Result<usize> {
    let mut wrong = 0;
    for (key, _) in queries.iter() {
        wrong += usize::from(session.get(key, |_| ())?.is_some());
    }
    work::none_wrong(wrong)?;
    Ok(queries.len())
}
