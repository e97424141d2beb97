//! Reads that no cache helps: the store's own holds a twentieth of the data, and the system's is empty.
//!
//! Each phase reads so little that the system's cache, which most stores lean on, stays nearly as empty.

#![forbid(unsafe_code)]

use super::TAKES;
use super::contest::{self, Contest, Plan};
use super::work::{self, Work, together};
use crate::cases::{Case, Verdict};
use crate::keys::{Directory, Queries, Values};
use crate::measure::{self, Latencies, Traffic};
use crate::options::Options;
use crate::report::{Goal, Metric, Table};
use crate::stores::Result;
use crate::stores::disk::{Ack, DiskStore, Session, Setup};
use std::time::Instant;

pub const CASE: Case = Case {
    name: "cold",
    about: "reads from disk with a cache of a twentieth of the data (1000000 keys)",
    takes: TAKES,
    run,
};

/// The tasks of the turns.
pub const LOAD: &str = "cold-load";
pub const READ: &str = "cold-read";
pub const RECOVER: &str = "cold-recover";

const OPEN: Metric = Metric::less("open", "ms", 2);
const GET_P50: Metric = Metric::less("cold get, p50", "us", 1);
const GET_P99: Metric = Metric::less("cold get, p99", "us", 1);
const GETS_ONE: Metric = Metric::more("cold gets, 1 thread", "gets/s", 0);
const GETS_MANY: Metric = Metric::more("cold gets, 1 thread, 64 at once", "gets/s", 0);
const GET_BYTES: Metric = Metric::less("bytes read a cold get", "B", 0);
const GETS_SIXTEEN: Metric = Metric::more("cold gets, 16 threads", "gets/s", 0);
/// Reads with all memory limited. How a store shares it with the page cache is its own affair.
pub struct Confined {
    task: &'static str,
    gets: Metric,
    /// Of all memory, for the store's own cache.
    quarters: usize,
}
const CONFINED: [Confined; 3] = [
    Confined {
        task: "cold-read-confined-1",
        gets: Metric::more("16 threads, all memory limited, own cache 1/4", "gets/s", 0),
        quarters: 1,
    },
    Confined {
        task: "cold-read-confined-2",
        gets: Metric::more("16 threads, all memory limited, own cache 1/2", "gets/s", 0),
        quarters: 2,
    },
    Confined {
        task: "cold-read-confined-3",
        gets: Metric::more("16 threads, all memory limited, own cache 3/4", "gets/s", 0),
        quarters: 3,
    },
];
const LIST: Metric = Metric::less("cold list of 100 directories", "us", 1);
const LIST_BYTES: Metric = Metric::less("bytes read for it", "B", 0);
const LIST_ANY: Metric = Metric::less("cold list of any directory", "us", 1);
const LIST_ANY_BYTES: Metric = Metric::less("bytes read for that", "B", 0);
const LIST_FIFTY: Metric = Metric::less("cold list of ~50 of many keys", "us", 1);
const LIST_FIFTY_BYTES: Metric = Metric::less("bytes read for these", "B", 0);
const LISTS: [(Metric, Metric); 3] =
    [(LIST, LIST_BYTES), (LIST_ANY, LIST_ANY_BYTES), (LIST_FIFTY, LIST_FIFTY_BYTES)];
const RESIDENT: Metric = Metric::less("resident memory", "MB", 1);
const SPACE: Metric = Metric::less("bytes on disk a key", "B", 1);

/// The data is so many times larger than the cache.
const DATA_TO_CACHE: usize = 20;
const THREADS: usize = 16;
/// Gets of one thread, and of each of many.
const GETS_ALONE: usize = 3_000;
const GETS_EACH: usize = 500;
/// Enough to fill what memory there may be, some times over.
const GETS_EACH_CONFINED: usize = 4_000;
/// The data is so many times larger than all memory that a store may have then, the page cache included.
const DATA_TO_MEMORY: usize = 4;
/// A store has buffers, too, however small the data is.
const MEMORY_MIN_BYTES: usize = 40 << 20;
/// Of a log, where the load needs one.
const LOG_BYTES: usize = 64 << 20;

const PLAN: Plan = Plan {
    name: CASE.name,
    keys: 1_000_000,
    keys_quick: 50_000,
    metrics: &[
        OPEN,
        GET_P50,
        GET_P99,
        GETS_ONE,
        GET_BYTES,
        GETS_MANY,
        GETS_SIXTEEN,
        CONFINED[0].gets,
        CONFINED[1].gets,
        CONFINED[2].gets,
        LIST,
        LIST_BYTES,
        LIST_ANY,
        LIST_ANY_BYTES,
        LIST_FIFTY,
        LIST_FIFTY_BYTES,
        RESIDENT,
        SPACE,
    ],
    goals,
    turns,
};

fn run(options: &Options) -> Result<Verdict> {
    contest::run(&PLAN, options)
}

fn turns(contest: &mut Contest<'_, '_>) {
    let can_confine = measure::can_confine();
    if !can_confine {
        eprintln!("no control group can be made here: no rows with all memory limited");
    }
    contest.loaded_once(LOAD, |contest, store, dir, round| {
        contest.turn(READ, store, dir, round);
        if can_confine {
            for confined in &CONFINED {
                if !contest.confined(confined.task, store, dir, round) {
                    contest.turn(RECOVER, store, dir, round);
                }
            }
        }
    });
}

fn goals(table: &Table) -> Vec<Goal> {
    let home = |metric| table.median(metric, crate::report::HOME);
    let at_least = |peer| {
        let name =
            format!("16 threads, all memory limited, each with its best cache: as many gets as {peer}");
        let best = |store| CONFINED.iter().filter_map(|it| table.median(it.gets, store)).reduce(f64::max);
        let ratio = best(crate::report::HOME).zip(best(peer)).map(|(home, peer)| home / peer);
        Goal::new(name, ratio, "x", |ratio| ratio >= 1.0)
    };
    vec![
        Goal::new("bytes read a cold get at most 8192", home(GET_BYTES), " B", |bytes| bytes <= 8192.0),
        Goal::new(
            "cold get, p50 at most that of lmdb and a tenth more",
            table.ratio(GET_P50, "lmdb"),
            "x",
            |ratio| ratio >= 0.91,
        ),
        at_least("lmdb"),
        at_least("fjall"),
    ]
}

fn setup(work: &Work, cache_bytes: usize) -> Setup<'_> {
    let (dir, ack, log_bytes, sessions) = (&work.dir, Ack::Buffered, LOG_BYTES, THREADS + 1);
    Setup { dir, ack, cache_bytes, log_bytes, sessions, bulk: false }
}

pub fn load<S: DiskStore>(work: &Work) -> Result<()> {
    // Loading is not what is measured: a cache that holds everything, whatever the store makes of it.
    work.load::<S>(&setup(work, super::CACHE_BYTES.max(8 * work.family.raw_bytes())))?;
    let bytes = measure::bytes_on_disk(&work.dir)?;
    work.value(SPACE, bytes as f64 / work.family.len() as f64);
    Ok(())
}

pub fn read<S: DiskStore>(work: &Work) -> Result<()> {
    let salt = 20 + work.round as u64 * 100;
    let alone = work.family.uniform(work.count(GETS_ALONE), salt);
    let many = work.family.uniform(work.count(GETS_ALONE), salt + THREADS as u64 + 1);
    let each: Vec<Queries> = (1..=THREADS as u64)
        .map(|thread| work.family.uniform(work.count(GETS_EACH), salt + thread))
        .collect();
    measure::forget(&work.dir)?;
    measure::trim();
    let before = measure::resident();
    let start = Instant::now();
    let store = S::open(&setup(work, work.family.raw_bytes() / DATA_TO_CACHE))?;
    work.value(OPEN, start.elapsed().as_secs_f64() * 1e3);

    if let Err(error) = one_thread(work, &store, &alone) {
        work.wrong(GET_P50.name, error);
    }
    measure::forget(&work.dir)?;
    work.note(GETS_MANY, store.session().and_then(|mut session| at_once(&mut session, &many)));
    measure::forget(&work.dir)?;
    work.note(GETS_SIXTEEN, many_threads(&store, &each));
    for ((time, bytes), kind) in LISTS.into_iter().zip(work::kinds_of_directories(&work.family.directories)) {
        measure::forget(&work.dir)?;
        if let Err(error) = lists(work, &store, time, bytes, &kind) {
            work.wrong(time.name, error);
        }
    }
    work.value(RESIDENT, measure::resident().saturating_sub(before) as f64 / 1e6);
    store.close()
}

/// The one that the task is.
pub fn confined(task: &str) -> Option<&'static Confined> {
    CONFINED.iter().find(|confined| confined.task == task)
}

/// All memory is limited, so that no store has more of it because its cache is the system's.
pub fn read_confined<S: DiskStore>(work: &Work, how: &Confined) -> Result<()> {
    let salt = 1_000 + work.round as u64 * 100;
    let count = work.count(GETS_EACH_CONFINED);
    let each = |salt: u64| -> Vec<Queries> {
        (1..=THREADS as u64).map(|thread| work.family.uniform(count, salt + thread)).collect()
    };
    let (first, then) = (each(salt), each(salt + 50));
    let memory_bytes = MEMORY_MIN_BYTES.max(work.family.raw_bytes() / DATA_TO_MEMORY);
    measure::forget(&work.dir)?;
    measure::trim();
    let confined = measure::confine(memory_bytes)?;
    let store = S::open(&setup(work, memory_bytes / 4 * how.quarters))?;
    let warm = many_threads(&store, &first);
    work.note(how.gets, warm.and_then(|_| many_threads(&store, &then)));
    store.close()?;
    drop(confined);
    Ok(())
}

/// After a turn that was killed: what a store does to recover is not to be part of the next one.
pub fn recover<S: DiskStore>(work: &Work) -> Result<()> {
    S::open(&setup(work, super::CACHE_BYTES))?.close()
}

fn one_thread<S: DiskStore>(work: &Work, store: &S, queries: &Queries) -> Result<()> {
    let mut session = store.session()?;
    let traffic = Traffic::now();
    let start = Instant::now();
    let mut latencies = gets(&mut session, queries)?;
    let seconds = start.elapsed().as_secs_f64();
    let read = Traffic::now().since(traffic).read;
    work.value(GET_P50, latencies.micros(0.5));
    work.value(GET_P99, latencies.micros(0.99));
    work.value(GETS_ONE, queries.len() as f64 / seconds);
    work.value(GET_BYTES, read as f64 / queries.len() as f64);
    Ok(())
}

/// Gets a second of one thread that asks for many keys at once.
fn at_once(session: &mut impl Session, queries: &Queries) -> Result<f64> {
    let start = Instant::now();
    work::get_in_batches(session, queries)?;
    Ok(queries.len() as f64 / start.elapsed().as_secs_f64())
}

/// Gets a second, of all threads together.
fn many_threads<S: DiskStore>(store: &S, each: &[Queries]) -> Result<f64> {
    let prepare = |thread| Ok((store.session()?, &each[thread]));
    let (elapsed, _) = together(each.len(), prepare, |(mut session, queries)| gets(&mut session, queries))?;
    Ok(each.iter().map(Queries::len).sum::<usize>() as f64 / elapsed.as_secs_f64())
}

fn gets(session: &mut impl Session, queries: &Queries) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    let mut wrong = 0;
    for (key, id) in queries.iter() {
        let start = Instant::now();
        let right = session.get(key, |value| Values::belongs(value, id))?;
        latencies.push(start.elapsed());
        wrong += usize::from(right != Some(true));
    }
    work::none_wrong(wrong)?;
    Ok(latencies)
}

/// Every directory once.
fn lists<S: DiskStore>(
    work: &Work,
    store: &S,
    time: Metric,
    bytes: Metric,
    directories: &[&Directory],
) -> Result<()> {
    if directories.is_empty() {
        return Ok(());
    }
    let mut session = store.session()?;
    let traffic = Traffic::now();
    let start = Instant::now();
    work::list_all(&mut session, directories)?;
    let micros = start.elapsed().as_secs_f64() * 1e6;
    let read = Traffic::now().since(traffic).read;
    work.value(time, micros / directories.len() as f64);
    work.value(bytes, read as f64 / directories.len() as f64);
    Ok(())
}
