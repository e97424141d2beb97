//! What the turns of all cases share: the data set, the loaded store, and the answer.

#![forbid(unsafe_code)]

use super::super::tally::Tally;
use super::CACHE_BYTES;
use super::ledger::Ledger;
use crate::keys::{Directories, Directory, Family, Queries, Values};
use crate::report::Metric;
use crate::stores::Result;
use crate::stores::disk::{Ack, DiskStore, Session, Setup};
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

pub struct Work {
    pub family: Family,
    pub values: Values,
    pub dir: PathBuf,
    pub round: usize,
    pub quick: bool,
}

impl Work {
    pub fn setup(&self, ack: Ack, log_bytes: usize) -> Setup<'_> {
        Setup { dir: &self.dir, ack, cache_bytes: CACHE_BYTES, log_bytes, sessions: 1, bulk: false }
    }

    /// This long, or a fraction of it with `--quick`.
    pub fn time(&self, full: Duration) -> Duration {
        if self.quick { full / 8 } else { full }
    }

    /// So many, or a fraction of it with `--quick`.
    pub fn count(&self, full: usize) -> usize {
        if self.quick { full / 8 } else { full }
    }

    pub fn value(&self, metric: Metric, value: f64) {
        println!("value\t{}\t{value}", metric.name);
    }

    pub fn wrong(&self, what: &str, wrong: impl Display) {
        println!("wrong\t{what}\t{}", wrong.to_string().replace('\n', " "));
    }

    /// The value, or what went wrong; then the next row may go well.
    pub fn note(&self, metric: Metric, result: Result<f64>) {
        match result {
            Ok(value) => self.value(metric, value),
            Err(error) => self.wrong(metric.name, error),
        }
    }

    /// A store in an empty directory, filled with the family in random order, closed.
    pub fn load<S: DiskStore>(&self, setup: &Setup<'_>) -> Result<()> {
        let store = S::open(&Setup { bulk: true, ..*setup })?;
        let queries = self.family.shuffled();
        store.load(queries.iter().map(|(key, id)| (key, self.values.make(id, 0))))?;
        store.checkpoint()?;
        store.close()
    }

    /// Opened again, the store holds exactly the family, with the values of the ledger.
    pub fn verify<S: DiskStore>(&self, setup: &Setup<'_>, ledger: &Ledger) -> Result<()> {
        let store = S::open(setup)?;
        let mut session = store.session()?;
        let entries = session.count()?;
        let wrong = ledger.wrong(self, &mut session)?;
        drop(session);
        store.close()?;
        match (entries, wrong) {
            (entries, 0) if entries == self.family.len() => Ok(()),
            _ => Err(format!("{entries} entries of {}, {wrong} wrong", self.family.len()).into()),
        }
    }
}

/// Directories of one kind that are listed, at most.
const LISTS_MAX: usize = 50;

/// Keys that are asked for at once.
pub const BATCH: usize = 64;

/// Asks for all of these, which must be there, many at once.
pub fn get_in_batches(session: &mut impl Session, queries: &Queries) -> Result<()> {
    let mut keys = Vec::with_capacity(BATCH);
    let mut right = 0;
    for first in (0..queries.len()).step_by(BATCH) {
        keys.clear();
        keys.extend((first..queries.len().min(first + BATCH)).map(|i| queries.get(i).0));
        session.get_many(&keys, &mut |place, value| {
            right += usize::from(Values::belongs(value, queries.get(first + place).1));
        })?;
    }
    none_wrong(queries.len() - right)
}

/// The directories that are listed, by kind; a family of real paths may lack one. Those of many keys stand
/// alone: there holt 0.9.2, opened from its files, gives the first child only.
pub fn kinds_of_directories(directories: &Directories) -> [Vec<&Directory>; 3] {
    [
        directories.hundreds.iter().take(LISTS_MAX).collect(),
        directories.sample.iter().take(LISTS_MAX).collect(),
        directories.fifty.iter().collect(),
    ]
}

/// Lists every one of these once.
pub fn list_all(session: &mut impl Session, directories: &[&Directory]) -> Result<()> {
    for directory in directories {
        let mut tally = Tally::default();
        session.list(&directory.prefix, &mut |child| tally.see(child))?;
        if !tally.is_of(directory) {
            let prefix = String::from_utf8_lossy(&directory.prefix);
            let found = format!("{} directories and {} keys", tally.prefixes, tally.keys);
            let expected = format!("{} and {}", directory.children, directory.keys);
            return Err(format!("list of {prefix}: {found}, not {expected}").into());
        }
    }
    Ok(())
}

pub fn none_wrong(wrong: usize) -> Result<()> {
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} wrong answers").into()) }
}

/// Runs `work` in so many threads, from one moment on. `prepare` is done by each thread before it, `work`
/// gets what that gave. How long the slowest took, and what all gave.
pub fn together<P, R: Send>(
    threads: usize,
    prepare: impl Fn(usize) -> Result<P> + Sync,
    work: impl Fn(P) -> Result<R> + Sync,
) -> Result<(Duration, Vec<R>)> {
    let barrier = Barrier::new(threads);
    let one = |thread| {
        let prepared = prepare(thread);
        // Waits also after an error: the others would wait for this one for ever.
        barrier.wait();
        let start = Instant::now();
        let result = work(prepared?)?;
        Ok::<_, crate::stores::Error>((start.elapsed(), result))
    };
    thread::scope(|scope| {
        let one = &one;
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        let mut longest = Duration::ZERO;
        let mut results = Vec::new();
        for handle in handles {
            let (elapsed, result) = handle.join().map_err(|_| "a thread panicked")??;
            longest = longest.max(elapsed);
            results.push(result);
        }
        Ok((longest, results))
    })
}
