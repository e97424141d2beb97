//! Whole directories: one with nine of ten keys is renamed, counted and removed, and one of about a thousand
//! keys in it is renamed.
//!
//! The keys are those of the family, nine of ten of them with `home/` in front; the others lie before and
//! behind it. The store's cache holds everything, and everything was read once. Times are on the wall, up to
//! the moment when the result is on stable storage: the store is opened so that every acknowledged write is.
//! In memory nothing waits, and they are the process's processor time.
//!
//! A store that cannot move a directory moves its keys, in one transaction or batch, or, where one does not
//! hold so many, in steps of 10,000. After each operation the number of keys is compared, and of a sample of
//! keys whether they are where they should be, and not where they were.

#![forbid(unsafe_code)]

use super::TAKES;
use super::contest::{self, Contest, Plan};
use super::ledger::Ledger;
use super::work::{self, Work};
use crate::cases::{Case, Verdict};
use crate::keys::{Directory, Queries, Values};
use crate::measure::{Clock, Samples, Whose};
use crate::options::Options;
use crate::report::{Goal, HOME, Metric, Table};
use crate::stores::Result;
use crate::stores::disk::{Ack, DiskStore, Session, Setup};
use std::time::{Duration, Instant};

pub const CASE: Case = Case {
    name: "directories",
    about: "a directory of most keys is renamed, counted and removed, durably (1000000 keys)",
    takes: TAKES,
    run,
};

/// The tasks of the turns.
pub const ON_DISK: &str = "directories-on-disk";
pub const IN_MEMORY: &str = "directories-in-memory";

/// What is measured of one store.
struct Rows {
    rename: Metric,
    count: Metric,
    rename_inner: Metric,
    remove: Metric,
    timed: fn(&mut dyn FnMut() -> Result<()>) -> Result<Duration>,
}

fn on_the_wall(work: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn on_the_processor(work: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
    let clock = Clock::start(Whose::Process);
    work()?;
    Ok(clock.elapsed())
}

const DISK: Rows = Rows {
    rename: Metric::less("rename a directory of 90 % of the keys", "ms", 2),
    count: Metric::less("count the keys below it", "ms", 3),
    rename_inner: Metric::less("rename one of ~1000 keys in it", "ms", 2),
    remove: Metric::less("remove the large one", "ms", 2),
    timed: on_the_wall,
};
const MEMORY: Rows = Rows {
    rename: Metric::less("in memory: rename the large one", "ms", 2),
    count: Metric::less("in memory: count", "ms", 3),
    rename_inner: Metric::less("in memory: rename the small one", "ms", 2),
    remove: Metric::less("in memory: remove", "ms", 2),
    timed: on_the_processor,
};

/// The directory, and where it goes: another length, another depth, another place among the other keys.
const FROM: &[u8] = b"home/";
const TO: &[u8] = b"archive/2026/all/";
/// Keys of the small one, about.
const INNER_KEYS: usize = 1_000;

/// Keys whose places are looked at after each operation.
const SAMPLE: usize = 20_000;
/// Counts, of which the median is printed.
const COUNTS: usize = 5;
const LOG_BYTES: usize = 64 << 20;

const PLAN: Plan = Plan {
    name: CASE.name,
    keys: 1_000_000,
    keys_quick: 50_000,
    metrics: &[
        DISK.rename,
        DISK.count,
        DISK.rename_inner,
        DISK.remove,
        MEMORY.rename,
        MEMORY.count,
        MEMORY.rename_inner,
        MEMORY.remove,
    ],
    goals,
    turns,
};

fn run(options: &Options) -> Result<Verdict> {
    contest::run(&PLAN, options)
}

fn turns(contest: &mut Contest<'_, '_>) {
    contest.in_fresh_directories(|contest, store, dir, round| {
        contest.turn(ON_DISK, store, dir, round);
        contest.turn(IN_MEMORY, store, dir, round);
    });
}

fn goals(table: &Table) -> Vec<Goal> {
    let rows = [
        (DISK.rename, 10.0),
        (MEMORY.rename, 2.0),
        (DISK.remove, 10.0),
        (DISK.count, 1.0),
        (MEMORY.count, 1.0),
    ];
    let goal = |(metric, most): (Metric, f64)| {
        let text = format!("{} below {most} ms", metric.name);
        Goal::new(text, table.median(metric, HOME), " ms", |millis| millis < most)
    };
    rows.map(goal).into()
}

pub fn on_disk<S: DiskStore>(work: &Work) -> Result<()> {
    let work = &gathered(work);
    let cache_bytes = super::CACHE_BYTES.max(8 * work.family.raw_bytes());
    work.load::<S>(&Setup { cache_bytes, ..work.setup(Ack::Buffered, LOG_BYTES) })?;
    let setup = Setup { cache_bytes, ..work.setup(Ack::Synced, LOG_BYTES) };
    let store = S::open(&setup)?;
    let mut turn = Turn::new(work);
    let mut session = store.session()?;
    turn.operate(&mut session, &DISK)?;
    drop(session);
    store.close()?;
    let store = S::open(&setup)?;
    turn.verify(&mut store.session()?).map_err(|error| format!("opened again: {error}"))?;
    store.close()
}

/// Nothing, for stores that are not measured there.
pub fn in_memory<S: DiskStore>(work: &Work) -> Result<()> {
    let Some(store) = S::in_memory() else {
        return Ok(());
    };
    let (work, store) = (&gathered(work), store?);
    let entries = work.family.shuffled();
    store.load(entries.iter().map(|(key, id)| (key, work.values.make(id, 0))))?;
    Turn::new(work).operate(&mut store.session()?, &MEMORY)?;
    store.close()
}

fn gathered(work: &Work) -> Work {
    let family = work.family.gathered(FROM);
    let values = Values::new(family.seed);
    Work { family, values, dir: work.dir.clone(), round: work.round, quick: work.quick }
}

/// Something that happened to all keys below a prefix.
struct Change {
    prefix: Vec<u8>,
    /// Where they went, unless they are gone.
    to: Option<Vec<u8>>,
}

struct Turn<'w> {
    work: &'w Work,
    inner: Option<Directory>,
    sample: Queries,
    /// In the order of time.
    changes: Vec<Change>,
}

impl<'w> Turn<'w> {
    fn new(work: &'w Work) -> Self {
        let family = &work.family;
        let inner = Directory::nearest(family, FROM, INNER_KEYS).filter(|_| family.is_paths);
        let sample = family.distinct(SAMPLE, 70 + work.round as u64);
        Self { work, inner, sample, changes: Vec::new() }
    }

    /// All operations, one after the other, each timed and then verified.
    fn operate(&mut self, session: &mut impl Session, rows: &Rows) -> Result<()> {
        // Brings everything into the cache, too.
        work::none_wrong(Ledger::new(self.work.family.len()).wrong(self.work, session)?)?;
        // The first write to a closed database may have to make a log. That is part of opening it.
        let (key, id) = self.sample.get(0);
        session.put(key, &self.work.values.make(id, 0))?;
        self.rename(session, rows, rows.rename, FROM.to_vec(), TO.to_vec())?;
        self.count(session, rows)?;
        if let Some(inner) = &self.inner {
            let from = [TO, &inner.prefix[FROM.len()..]].concat();
            let to = [&from[..from.len() - 1], b"-moved/"].concat();
            self.rename(session, rows, rows.rename_inner, from, to)?;
        }
        self.change(session, rows, rows.remove, Change { prefix: TO.to_vec(), to: None })
    }

    fn rename(
        &mut self,
        session: &mut impl Session,
        rows: &Rows,
        metric: Metric,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> Result<()> {
        if session.count_below(&to)? != 0 {
            return Err(format!("{}: there are keys at the new place", metric.name).into());
        }
        self.change(session, rows, metric, Change { prefix: from, to: Some(to) })
    }

    fn change(
        &mut self,
        session: &mut impl Session,
        rows: &Rows,
        metric: Metric,
        change: Change,
    ) -> Result<()> {
        let time = (rows.timed)(&mut || match &change.to {
            Some(to) => session.rename_below(&change.prefix, to),
            None => session.remove_below(&change.prefix),
        })?;
        self.work.value(metric, time.as_secs_f64() * 1e3);
        self.changes.push(change);
        self.verify(session).map_err(|error| format!("{}: {error}", metric.name).into())
    }

    fn count(&self, session: &mut impl Session, rows: &Rows) -> Result<()> {
        let expected = self.work.family.below(FROM).len();
        let mut samples = Samples::default();
        for _ in 0..COUNTS {
            let mut found = 0;
            let time = (rows.timed)(&mut || {
                found = session.count_below(TO)?;
                Ok(())
            })?;
            samples.push(time.as_secs_f64() * 1e3);
            if found != expected {
                return Err(format!("{}: {found}, not {expected}", rows.count.name).into());
            }
        }
        self.work.value(rows.count, samples.median());
        Ok(())
    }

    /// Whether all keys are there that should be, and the sample is where it should be and nowhere else.
    fn verify(&self, session: &mut impl Session) -> Result<()> {
        let family = &self.work.family;
        let removed = if self.is_removed() { family.below(FROM).len() } else { 0 };
        let (found, expected) = (session.count()?, family.len() - removed);
        if found != expected {
            return Err(format!("{found} keys, not {expected}").into());
        }
        let inner = self.inner.iter().flat_map(|inner| family.below(&inner.prefix));
        let inner = inner.map(|place| (family.sorted.get(place), place as u32));
        let mut wrong = 0;
        for (key, id) in self.sample.iter().chain(inner) {
            let places = places(&self.changes, key);
            let (now, former) = places.split_last().ok_or("a key has been nowhere")?;
            for place in former.iter().flatten() {
                wrong += usize::from(session.get(place, |_| ())?.is_some());
            }
            if let Some(now) = now {
                let expected = self.work.values.make(id, 0);
                wrong += usize::from(session.get(now, |value| value == expected)? != Some(true));
            }
        }
        work::none_wrong(wrong)
    }

    fn is_removed(&self) -> bool {
        self.changes.iter().any(|change| change.to.is_none())
    }
}

/// Where a key has been, one place after the other, up to where it is now: none, if it is gone.
fn places(changes: &[Change], key: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut places = vec![Some(key.to_vec())];
    for change in changes {
        let now = places.last().and_then(Option::as_deref);
        if let Some(rest) = now.and_then(|now| now.strip_prefix(change.prefix.as_slice())) {
            let next = change.to.as_ref().map(|to| [to, rest].concat());
            places.push(next);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_followed_from_place_to_place() {
        let change = |prefix: &str, to: Option<&str>| Change {
            prefix: prefix.as_bytes().to_vec(),
            to: to.map(|to| to.as_bytes().to_vec()),
        };
        let changes = [change("a/", Some("b/c/")), change("b/c/x/", Some("b/c/y/")), change("b/", None)];
        let followed = |key: &str| {
            let text = |place: Option<Vec<u8>>| place.map(|place| String::from_utf8(place).unwrap());
            places(&changes, key.as_bytes()).into_iter().map(text).collect::<Vec<_>>()
        };
        let some = |place: &str| Some(place.to_owned());
        assert_eq!(followed("a/x/1"), [some("a/x/1"), some("b/c/x/1"), some("b/c/y/1"), None]);
        assert_eq!(followed("a/z"), [some("a/z"), some("b/c/z"), None]);
        assert_eq!(followed("c"), [some("c")]);
    }
}
