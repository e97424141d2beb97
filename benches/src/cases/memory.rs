//! Everything in memory: puts, gets, scans, lists, threads, space.
//!
//! Every store is built anew in each build round, random and sorted order; then the read phases
//! run in rounds over all stores, so that a slow minute of the machine meets all of them. Reads
//! come from a list of queries that was laid out before, so that the harness itself costs little.
//! Phases of one thread are timed by the process's processor time (`--wall` for the other clock),
//! those of several by both. The store's answers are verified: each get within the timed loop, everything once outside.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Options;
use crate::keys::{Directory, Family, Keys, OBJECTS, Queries, RANDOM32, VALUE_LEN, Values};
use crate::measure::{self, Clock, Neighbours, Rate, Whose, nanos_per_op};
use crate::report::{Goal, HOME, Metric, Notes, Output, Table};
use crate::stores::{self, Child, Place, Result, Shape, Shared, Store};

const PUT_RANDOM: Metric = Metric::less("put, random order", "ns", 0);
const PUT_SORTED: Metric = Metric::less("put, sorted order", "ns", 0);
const GET: Metric = Metric::less("get hit", "ns", 0);
const GET_INTO: Metric = Metric::less("get hit, into a buffer", "ns", 0);
const MISS: Metric = Metric::less("get miss", "ns", 0);
const OVERWRITE: Metric = Metric::less("overwrite, same length", "ns", 0);
const SCAN: Metric = Metric::less("scan, lending, an entry", "ns", 1);
const SCAN_OWNED: Metric = Metric::less("scan, owned, an entry", "ns", 1);
const SCAN_SORTED: Metric = Metric::less("scan, lending, built sorted", "ns", 1);
const SCAN_SORTED_OWNED: Metric = Metric::less("scan, owned, built sorted", "ns", 1);
const LIST: Metric = Metric::less("list 100 directories", "us", 2);
const LIST_SPREAD: Metric = Metric::less("the same, many such by turns", "us", 2);
const LIST_OWNED: Metric = Metric::less("list 100 directories, owned", "us", 2);
const LIST_CACHED: Metric = Metric::less("list 100 again, nothing written", "us", 2);
const LIST_FIFTY: Metric = Metric::less("list ~50 directories of many keys", "us", 2);
const LIST_FLAT: Metric = Metric::less("list a flat directory, a key", "ns", 1);
const ONE_READER: Metric = Metric::more("1 reader", "M gets/s", 3);
const TWO_READERS: Metric = Metric::more("2 readers", "M gets/s", 3);
const SCALING: Metric = Metric::more("2 readers against 1", "x", 2);
const SCALING_BUSY: Metric = Metric::more("2 readers against 1, processor time", "x", 2);
const READER_ALONE: Metric = Metric::more("a shared reader alone", "M gets/s", 3);
const READER_BESIDE: Metric = Metric::more("a reader beside a writer", "M gets/s", 3);
const KEPT: Metric = Metric::more("a reader beside a writer keeps", "%", 0);
const KEPT_BUSY: Metric = Metric::more("the same, processor time", "%", 0);
const WRITER_BESIDE: Metric = Metric::more("that writer", "M puts/s", 3);
const BYTES_RANDOM: Metric = Metric::less("bytes per key, put random", "B", 1);
const BYTES_SORTED: Metric = Metric::less("bytes per key, put sorted", "B", 1);
const FILL_RANDOM: Metric = Metric::fact("fill, put random", "", 3);
const FILL_SORTED: Metric = Metric::fact("fill, put sorted", "", 3);
const HOPS_RANDOM: Metric = Metric::fact("hops below the root, put random", "", 0);
const HOPS_SORTED: Metric = Metric::fact("hops below the root, put sorted", "", 0);

/// Queries of one timed loop.
const QUERIES: usize = 200_000;
/// Queries before the clock starts.
const WARM: usize = 40_000;
/// The limit of listings that a store may answer from a cache: the largest that holt caches.
const CACHED_LIMIT: usize = 256;
/// How long each list phase goes on at least.
const LIST_TIME: Duration = Duration::from_millis(20);
/// How long the phases with threads go on.
const THREAD_TIME: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Random,
    Sorted,
}

#[derive(Clone, Copy)]
enum Form {
    Lending,
    Owned,
    Cached,
}

/// A data set and all questions about it, laid out.
struct World {
    family: Family,
    values: Values,
    shuffled: Queries,
    ordered: Queries,
    hits: Queries,
    misses: Queries,
    overwrites: Queries,
    readers: Vec<Queries>,
    /// Keys that the writer beside the reader adds.
    fresh: Queries,
}

impl World {
    fn new(family: Family) -> Self {
        Self {
            values: Values::new(family.seed),
            shuffled: family.shuffled(),
            ordered: family.ordered(),
            hits: family.uniform(QUERIES, 1),
            misses: family.near_misses(QUERIES, 2),
            overwrites: family.uniform(QUERIES, 3),
            readers: (0..2).map(|i| family.uniform(QUERIES, 10 + i)).collect(),
            fresh: family.near_misses((family.len() / 5).max(1), 4),
            family,
        }
    }

    fn build_order(&self, order: Order) -> &Queries {
        match order {
            Order::Random => &self.shuffled,
            Order::Sorted => &self.ordered,
        }
    }
}

/// A store with its state of this case, behind a face that can be put into one list. Every method
/// is one phase, so the virtual call is outside of each loop.
trait Contestant {
    fn name(&self) -> &'static str;
    /// A new store, filled in that order; nanoseconds per put.
    fn build(&mut self, world: &World, order: Order) -> Result<f64>;
    fn verify(&self, world: &World, order: Order) -> Result<()>;
    fn get(&self, world: &World) -> Result<f64>;
    fn get_into(&self, world: &World) -> Result<f64>;
    fn miss(&self, world: &World) -> Result<f64>;
    fn overwrite(&mut self, world: &World, generation: u32) -> Result<f64>;
    fn scan(&self, world: &World, order: Order, form: Form) -> Result<f64>;
    /// Microseconds per call.
    fn list(&self, directories: &[&Directory], form: Form) -> Result<f64>;
    /// Gets of all threads together.
    fn readers(&self, world: &World, threads: usize) -> Result<Rate>;
    /// The reader alone, the reader beside the writer, the writer.
    fn beside(&mut self, world: &World, share: f64) -> Result<(Rate, Rate, Rate)>;
    fn verify_after_writers(&self, world: &World) -> Result<()>;
    fn shape(&self, order: Order) -> Result<Shape>;
}

struct Run<S> {
    random: Option<S>,
    sorted: Option<S>,
    /// What the allocator gave to the store, by order.
    allocated: [Option<u64>; 2],
    fresh_used: usize,
}

impl<S: Store> Run<S> {
    fn boxed<'a>() -> Box<dyn Contestant + 'a>
    where
        S: 'a,
    {
        Box::new(Self { random: None, sorted: None, allocated: [None; 2], fresh_used: 0 })
    }

    fn store(&self, order: Order) -> Result<&S> {
        let store = match order {
            Order::Random => &self.random,
            Order::Sorted => &self.sorted,
        };
        store.as_ref().ok_or_else(|| "was not built".into())
    }

    fn random_mut(&mut self) -> Result<&mut S> {
        self.random.as_mut().ok_or_else(|| "was not built".into())
    }
}

fn none_wrong(what: &str, wrong: usize) -> Result<()> {
    if wrong == 0 { Ok(()) } else { Err(format!("{what}: {wrong} wrong answers").into()) }
}

fn hits<S: Store>(store: &S, queries: &Queries, n: usize) -> Result<usize> {
    let mut wrong = 0;
    for (key, id) in queries.iter().take(n) {
        let right = store.get(key, |value| Values::belongs(value, id))?;
        wrong += usize::from(right != Some(true));
    }
    none_wrong("get", wrong)?;
    Ok(n.min(queries.len()))
}

fn hits_into<S: Store>(store: &S, queries: &Queries, n: usize) -> Result<usize> {
    let mut wrong = 0;
    let mut buffer = Vec::with_capacity(2 * VALUE_LEN);
    for (key, id) in queries.iter().take(n) {
        let right = store.get_into(key, &mut buffer)? && Values::belongs(&buffer, id);
        wrong += usize::from(!right);
    }
    none_wrong("get into a buffer", wrong)?;
    Ok(n.min(queries.len()))
}

fn misses<S: Store>(store: &S, queries: &Queries, n: usize) -> Result<usize> {
    let mut wrong = 0;
    for (key, _) in queries.iter().take(n) {
        wrong += usize::from(store.get(key, |_| ())?.is_some());
    }
    none_wrong("get miss", wrong)?;
    Ok(n.min(queries.len()))
}

/// What a scan must add up to; key order and full contents are verified outside of the clock.
#[derive(Default, PartialEq, Eq, Debug)]
struct Sums {
    entries: usize,
    key_bytes: usize,
    ids: u64,
    last_bytes: u64,
}

impl Sums {
    #[inline]
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.entries += 1;
        self.key_bytes += key.len();
        self.ids = self.ids.wrapping_add(Values::id(value));
        self.last_bytes += u64::from(key.last().copied().unwrap_or(0));
    }

    fn of(keys: &Keys) -> Self {
        let n = keys.len() as u64;
        Self {
            entries: keys.len(),
            key_bytes: keys.total_bytes(),
            ids: n * n.saturating_sub(1) / 2,
            last_bytes: keys.iter().map(|key| u64::from(key.last().copied().unwrap_or(0))).sum(),
        }
    }
}

/// Everything in order, byte for byte, as it was put.
struct Exact<'a> {
    world: &'a World,
    next: usize,
    wrong: usize,
}

impl Exact<'_> {
    fn see(&mut self, key: &[u8], value: &[u8]) {
        let right = self.next < self.world.family.len()
            && key == self.world.family.sorted.get(self.next)
            && value == self.world.values.make(self.next as u32, 0);
        self.wrong += usize::from(!right);
        self.next += 1;
    }

    fn done(self, what: &str) -> Result<()> {
        if self.next != self.world.family.len() {
            return Err(format!("{what}: {} entries of {}", self.next, self.world.family.len()).into());
        }
        none_wrong(what, self.wrong)
    }
}

impl<S: Store> Contestant for Run<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn build(&mut self, world: &World, order: Order) -> Result<f64> {
        let place = match order {
            Order::Random => &mut self.random,
            Order::Sorted => &mut self.sorted,
        };
        *place = None;
        self.fresh_used = 0;
        let before = measure::allocated();
        let mut store = S::open(Place::Memory { raw_bytes: world.family.raw_bytes() })?;
        let nanos = nanos_per_op(|| {
            let queries = world.build_order(order);
            for (key, id) in queries.iter() {
                store.put(key, &world.values.make(id, 0))?;
            }
            Ok::<_, stores::Error>(queries.len())
        })?;
        let after = measure::allocated();
        self.allocated[order as usize] =
            before.zip(after).map(|(before, after)| after.saturating_sub(before));
        *place = Some(store);
        Ok(nanos)
    }

    fn verify(&self, world: &World, order: Order) -> Result<()> {
        let store = self.store(order)?;
        let mut exact = Exact { world, next: 0, wrong: 0 };
        store.scan(|key, value| exact.see(key, value))?;
        exact.done("scan")?;
        let mut exact = Exact { world, next: 0, wrong: 0 };
        store.scan_owned(|key, value| exact.see(&key, value))?;
        exact.done("owned scan")?;
        hits(store, &world.shuffled, usize::MAX)?;
        hits_into(store, &world.hits, usize::MAX)?;
        misses(store, &world.misses, usize::MAX)?;
        misses(store, &world.fresh, usize::MAX)?;
        let family = &world.family;
        for directory in family.directories.iter() {
            let expected = family.children(&directory.prefix);
            for form in [Form::Lending, Form::Owned, Form::Cached, Form::Cached] {
                if matches!(form, Form::Cached) && expected.len() > CACHED_LIMIT {
                    continue;
                }
                let mut found: Vec<Vec<u8>> = Vec::new();
                let see = |child: Child<'_>| match child {
                    Child::Key(key) | Child::Prefix(key) => found.push(key.to_vec()),
                };
                list(store, directory, form, see)?;
                if found != expected {
                    let prefix = String::from_utf8_lossy(&directory.prefix);
                    return Err(
                        format!("list of {prefix}: {} children of {}", found.len(), expected.len()).into()
                    );
                }
            }
        }
        Ok(())
    }

    fn get(&self, world: &World) -> Result<f64> {
        let store = self.store(Order::Random)?;
        hits(store, &world.readers[0], WARM)?;
        nanos_per_op(|| hits(store, &world.hits, usize::MAX))
    }

    fn get_into(&self, world: &World) -> Result<f64> {
        let store = self.store(Order::Random)?;
        hits_into(store, &world.readers[0], WARM)?;
        nanos_per_op(|| hits_into(store, &world.hits, usize::MAX))
    }

    fn miss(&self, world: &World) -> Result<f64> {
        let store = self.store(Order::Random)?;
        hits(store, &world.readers[0], WARM)?;
        nanos_per_op(|| misses(store, &world.misses, usize::MAX))
    }

    fn overwrite(&mut self, world: &World, generation: u32) -> Result<f64> {
        let store = self.random_mut()?;
        hits(store, &world.readers[0], WARM)?;
        let nanos = nanos_per_op(|| {
            for (key, id) in world.overwrites.iter() {
                store.overwrite(key, &world.values.make(id, generation))?;
            }
            Ok::<_, stores::Error>(world.overwrites.len())
        })?;
        let mut wrong = 0;
        for (key, id) in world.overwrites.iter() {
            let right = store.get(key, |value| value == world.values.make(id, generation))?;
            wrong += usize::from(right != Some(true));
        }
        none_wrong("overwrite", wrong)?;
        Ok(nanos)
    }

    fn scan(&self, world: &World, order: Order, form: Form) -> Result<f64> {
        let store = self.store(order)?;
        let mut sums = Sums::default();
        let nanos = nanos_per_op(|| {
            match form {
                Form::Owned => store.scan_owned(|key, value| sums.add(&key, value))?,
                _ => store.scan(|key, value| sums.add(key, value))?,
            }
            Ok::<_, stores::Error>(world.family.len())
        })?;
        if sums != Sums::of(&world.family.sorted) {
            return Err(format!("scan: {sums:?}").into());
        }
        Ok(nanos)
    }

    fn list(&self, directories: &[&Directory], form: Form) -> Result<f64> {
        let store = self.store(Order::Random)?;
        let (mut wrong, mut calls) = (0, 0);
        let (start, clock) = (Instant::now(), Clock::start(Whose::Process));
        loop {
            for directory in directories {
                let (mut prefixes, mut bytes, mut keys) = (0, 0, 0);
                list(store, directory, form, |child| match child {
                    Child::Prefix(prefix) => {
                        prefixes += 1;
                        bytes += prefix.len();
                    }
                    Child::Key(_) => keys += 1,
                })?;
                let right = prefixes == directory.children
                    && bytes == directory.child_bytes
                    && keys == directory.keys;
                wrong += usize::from(!right);
                calls += 1;
            }
            if start.elapsed() >= LIST_TIME {
                let micros = clock.elapsed().as_nanos() as f64 / 1e3;
                none_wrong("list", wrong)?;
                return Ok(micros / f64::from(calls));
            }
        }
    }

    fn readers(&self, world: &World, threads: usize) -> Result<Rate> {
        let store = self.store(Order::Random)?;
        let stop = AtomicBool::new(false);
        let barrier = Barrier::new(threads);
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads)
                .map(|thread| {
                    let queries = &world.readers[thread % world.readers.len()];
                    let (stop, barrier) = (&stop, &barrier);
                    scope.spawn(move || {
                        let warm = hits(store, queries, WARM);
                        barrier.wait();
                        warm?;
                        let mut at = 0;
                        measure::rate(THREAD_TIME, stop, || {
                            let mut wrong = 0;
                            for _ in 0..256 {
                                let (key, id) = queries.get(at % queries.len());
                                at += 1;
                                let right = store.get(key, |value| Values::belongs(value, id))?;
                                wrong += usize::from(right != Some(true));
                            }
                            none_wrong("get in a thread", wrong)?;
                            Ok::<_, stores::Error>(256)
                        })
                    })
                })
                .collect();
            let mut total = Rate::default();
            for handle in handles {
                total = total + handle.join().map_err(|_| "a reader panicked")??;
            }
            Ok(total)
        })
    }

    fn beside(&mut self, world: &World, share: f64) -> Result<(Rate, Rate, Rate)> {
        let used = AtomicUsize::new(self.fresh_used);
        let limit = (world.fresh.len() as f64 * share) as usize;
        let shared = self.random_mut()?.share();
        let reader = |queries: &Queries, stop: &AtomicBool| {
            let mut at = 0;
            measure::rate(THREAD_TIME, stop, || {
                let mut wrong = 0;
                for _ in 0..256 {
                    let (key, id) = queries.get(at % queries.len());
                    at += 1;
                    let right = shared.get(key, |value| Values::belongs(value, id))?;
                    wrong += usize::from(right != Some(true));
                }
                none_wrong("get beside a writer", wrong)?;
                Ok::<_, stores::Error>(256)
            })
        };
        // One put in eight adds a key, while there are any left; the others overwrite.
        let writer = |stop: &AtomicBool| {
            let (mut at, mut next) = (0, used.load(Ordering::Relaxed));
            let rate = measure::rate(Duration::MAX, stop, || {
                for i in 0..64 {
                    let (key, id) = if i % 8 == 0 && next < limit {
                        next += 1;
                        world.fresh.get(next - 1)
                    } else {
                        at += 1;
                        world.overwrites.get(at % world.overwrites.len())
                    };
                    shared.put(key, &world.values.make(id, at as u32))?;
                }
                Ok::<_, stores::Error>(64)
            });
            used.store(next, Ordering::Relaxed);
            rate
        };
        let never = AtomicBool::new(false);
        let over = AtomicBool::new(false);
        let queries = &world.readers[0];
        // Both ways on a thread of its own, so that only the writer differs.
        let alone = std::thread::scope(|scope| {
            scope.spawn(|| reader(queries, &never)).join().map_err(|_| "a reader panicked")?
        })?;
        let (beside, puts) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| writer(&over));
            let reader = scope.spawn(|| reader(queries, &never)).join();
            over.store(true, Ordering::Relaxed);
            let puts = writer.join().map_err(|_| "a writer panicked")??;
            Ok::<_, stores::Error>((reader.map_err(|_| "a reader panicked")??, puts))
        })?;
        drop(shared);
        self.fresh_used = used.into_inner();
        Ok((alone, beside, puts))
    }

    fn verify_after_writers(&self, world: &World) -> Result<()> {
        let store = self.store(Order::Random)?;
        hits(store, &world.shuffled, usize::MAX)?;
        hits(store, &world.fresh, self.fresh_used)?;
        let (mut last, mut entries, mut wrong) = (None::<Vec<u8>>, 0, 0);
        store.scan_owned(|key, value| {
            let id = Values::id(value);
            let right = last.as_ref().is_none_or(|last| *last < key)
                && u32::try_from(id).is_ok_and(|id| Values::belongs(value, id));
            wrong += usize::from(!right);
            entries += 1;
            last = Some(key);
        })?;
        let expected = world.family.len() + self.fresh_used;
        if entries != expected {
            return Err(format!("after the writers: {entries} entries of {expected}").into());
        }
        none_wrong("scan after the writers", wrong)
    }

    fn shape(&self, order: Order) -> Result<Shape> {
        let mut shape = self.store(order)?.shape()?;
        shape.bytes = shape.bytes.or(self.allocated[order as usize]);
        Ok(shape)
    }
}

fn list<S: Store>(store: &S, directory: &Directory, form: Form, see: impl FnMut(Child<'_>)) -> Result<()> {
    match form {
        Form::Lending => store.list(&directory.prefix, see),
        Form::Owned => store.list_owned(&directory.prefix, see),
        Form::Cached => store.list_cached(&directory.prefix, CACHED_LIMIT, see),
    }
}

fn contestants(options: &Options) -> Vec<Box<dyn Contestant>> {
    let mut all: Vec<Box<dyn Contestant>> = Vec::new();
    #[cfg(feature = "spinney")]
    all.push(Run::<stores::spinney::Spinney>::boxed());
    all.push(Run::<stores::holt::Holt>::boxed());
    all.push(Run::<stores::btreemap::Btree>::boxed());
    all.retain(|contestant| options.wants_store(contestant.name()));
    all
}

/// Runs the case; whether every store answered rightly.
pub fn run(options: &Options) -> Result<bool> {
    let output = Output::new(options.json);
    if options.wall {
        measure::use_wall();
    }
    let neighbours = Neighbours::watch();
    let mut wrong = Vec::new();
    let mut tables = Vec::new();
    if contestants(options).is_empty() {
        return Err("no such store".into());
    }
    if let Some(path) = &options.paths {
        let limits: Vec<Option<usize>> = match options.keys.as_slice() {
            [] => vec![None],
            sizes => sizes.iter().map(|&size| Some(size)).collect(),
        };
        for limit in limits {
            let family = Family::from_file(path, limit, options.seed)?;
            tables.push(one(family, options, &output, &mut wrong)?);
        }
    } else {
        let sizes = if options.keys.is_empty() { &[20_000, 1_000_000][..] } else { &options.keys };
        for &size in sizes {
            if options.wants_family(OBJECTS) {
                tables.push(one(Family::objects(size, options.seed), options, &output, &mut wrong)?);
            }
        }
        for &size in sizes {
            if options.wants_family(RANDOM32) {
                tables.push(one(Family::random32(size, options.seed), options, &output, &mut wrong)?);
            }
        }
    }
    if contestants(options).iter().any(|contestant| contestant.name() == HOME) {
        output.say("goals");
        for goal in tables.iter().flat_map(goals) {
            output.say(&goal.to_string());
            output.lines(&goal.json("memory"));
        }
        output.say("");
    }
    if let Some(share) = neighbours.share() {
        output.say(&format!("other processes took {:.0} % of the machine meanwhile", share * 100.0));
    }
    for line in &wrong {
        output.say(&format!("WRONG  {line}"));
    }
    Ok(wrong.is_empty())
}

fn one(family: Family, options: &Options, output: &Output, wrong: &mut Vec<String>) -> Result<Table> {
    if family.len() < 100 {
        return Err("too few keys: 100 at least".into());
    }
    let mut contestants = contestants(options);
    let names = contestants.iter().map(|contestant| contestant.name()).collect();
    output.say(&format!(
        "{}: {} keys of {:.1} bytes, values of {VALUE_LEN}, {:.1} MB raw; {} directories of 100, flat ones of {} keys",
        family.name,
        family.len(),
        family.sorted.total_bytes() as f64 / family.len() as f64,
        family.raw_bytes() as f64 / 1e6,
        family.directories.hundreds.len(),
        family.directories.flat.first().map_or(0, |d| d.keys),
    ));
    let table = Table::new("memory", family.name, family.len(), family.raw_bytes(), names);
    let mut notes = Notes::new(table, wrong);
    // Random bytes have nothing to list; the second family is about space.
    let full = family.is_paths;
    let world = World::new(family);
    let n = contestants.len();

    let builds = if world.family.len() <= 100_000 { options.builds * 5 } else { options.builds };
    for (order, metric) in [(Order::Random, PUT_RANDOM), (Order::Sorted, PUT_SORTED)] {
        if order == Order::Sorted && !full {
            continue;
        }
        let builds = if full { builds } else { 1 };
        for round in 0..builds {
            for i in measure::order(round, n) {
                let contestant = &mut contestants[i];
                let result = contestant.build(&world, order);
                notes.add(metric, contestant.name(), result);
            }
        }
        for contestant in &contestants {
            let result = contestant.verify(&world, order);
            notes.take(contestant.name(), "verification", result);
        }
    }

    // Space and form, before anything is overwritten.
    for contestant in &contestants {
        let name = contestant.name();
        let per_key = |bytes: u64| bytes as f64 / world.family.len() as f64;
        for (order, bytes, fill, hops) in [
            (Order::Random, BYTES_RANDOM, FILL_RANDOM, HOPS_RANDOM),
            (Order::Sorted, BYTES_SORTED, FILL_SORTED, HOPS_SORTED),
        ] {
            if order == Order::Sorted && !full {
                continue;
            }
            let Some(shape) = notes.take(name, "shape", contestant.shape(order)) else {
                continue;
            };
            for (metric, value) in [(bytes, shape.bytes.map(per_key)), (fill, shape.fill), (hops, shape.hops)]
            {
                if let Some(value) = value {
                    notes.table.add(metric, name, value);
                }
            }
        }
    }

    for round in 0..options.rounds {
        read_round(&mut contestants, &world, round, full, &mut notes);
    }
    if full {
        for round in 0..options.rounds {
            thread_round(&mut contestants, &world, round, options.rounds, &mut notes);
        }
        for contestant in &contestants {
            let result = contestant.verify_after_writers(&world);
            notes.take(contestant.name(), "verification after the writers", result);
        }
    }
    output.say(&notes.table.render());
    output.lines(&notes.table.json());
    Ok(notes.table)
}

type Phase<'a> = (Metric, Box<dyn Fn(&mut dyn Contestant) -> Result<f64> + 'a>);

fn read_round(
    contestants: &mut [Box<dyn Contestant>],
    world: &World,
    round: usize,
    full: bool,
    notes: &mut Notes<'_>,
) {
    let mut phases: Vec<Phase<'_>> = vec![
        (GET, Box::new(|c| c.get(world))),
        (GET_INTO, Box::new(|c| c.get_into(world))),
        (MISS, Box::new(|c| c.miss(world))),
        (OVERWRITE, Box::new(move |c| c.overwrite(world, round as u32 + 1))),
        (SCAN, Box::new(|c| c.scan(world, Order::Random, Form::Lending))),
        (SCAN_OWNED, Box::new(|c| c.scan(world, Order::Random, Form::Owned))),
    ];
    if full {
        phases.extend([
            (
                SCAN_SORTED,
                Box::new(|c: &mut dyn Contestant| c.scan(world, Order::Sorted, Form::Lending)) as Box<_>,
            ),
            (
                SCAN_SORTED_OWNED,
                Box::new(|c: &mut dyn Contestant| c.scan(world, Order::Sorted, Form::Owned)) as Box<_>,
            ),
        ]);
        // One directory again and again, or all of them by turns, whose nodes then lie in no cache.
        let hundreds: Vec<&Directory> = world.family.directories.hundreds.iter().collect();
        if let Some(&one) = hundreds.first() {
            phases.push((LIST, Box::new(move |c| c.list(&[one], Form::Lending))));
            phases.push((LIST_SPREAD, Box::new(move |c| c.list(&hundreds, Form::Lending))));
            phases.push((LIST_OWNED, Box::new(move |c| c.list(&[one], Form::Owned))));
            phases.push((LIST_CACHED, Box::new(move |c| c.list(&[one], Form::Cached))));
        }
        if let Some(fifty) = &world.family.directories.fifty {
            phases.push((LIST_FIFTY, Box::new(move |c| c.list(&[fifty], Form::Lending))));
        }
        let flat: Vec<&Directory> = world.family.directories.flat.iter().collect();
        if !flat.is_empty() {
            let keys = flat.iter().map(|d| d.keys).sum::<usize>() as f64 / flat.len() as f64;
            phases.push((LIST_FLAT, Box::new(move |c| Ok(c.list(&flat, Form::Lending)? * 1e3 / keys))));
        }
    }
    for (metric, phase) in &phases {
        for i in measure::order(round, contestants.len()) {
            let contestant = &mut contestants[i];
            let name = contestant.name();
            notes.add(*metric, name, phase(contestant.as_mut()));
        }
    }
}

fn thread_round(
    contestants: &mut [Box<dyn Contestant>],
    world: &World,
    round: usize,
    rounds: usize,
    notes: &mut Notes<'_>,
) {
    for i in measure::order(round, contestants.len()) {
        let contestant = &mut contestants[i];
        let name = contestant.name();
        let one = notes.take(name, ONE_READER.name, contestant.readers(world, 1));
        let two = notes.take(name, TWO_READERS.name, contestant.readers(world, 2));
        if let Some((one, two)) = one.zip(two) {
            notes.table.add(ONE_READER, name, one.wall);
            notes.table.add(TWO_READERS, name, two.wall);
            notes.table.add(SCALING, name, two.wall / one.wall);
            notes.table.add(SCALING_BUSY, name, two.busy / one.busy);
        }
    }
    for i in measure::order(round, contestants.len()) {
        let contestant = &mut contestants[i];
        let name = contestant.name();
        let share = (round + 1) as f64 / rounds as f64;
        let result = contestant.beside(world, share);
        if let Some((alone, beside, puts)) = notes.take(name, KEPT.name, result) {
            notes.table.add(READER_ALONE, name, alone.wall);
            notes.table.add(READER_BESIDE, name, beside.wall);
            notes.table.add(KEPT, name, beside.wall / alone.wall * 100.0);
            notes.table.add(KEPT_BUSY, name, beside.busy / alone.busy * 100.0);
            notes.table.add(WRITER_BESIDE, name, puts.wall);
        }
    }
}

/// What the case should reach, as far as this table is about it.
fn goals(table: &Table) -> Vec<Goal> {
    let label = match table.keys {
        n if n % 1_000_000 == 0 => format!("{} M", n / 1_000_000),
        n if n % 1_000 == 0 => format!("{} k", n / 1_000),
        n => n.to_string(),
    };
    let times = |metric: Metric, peer: &str, least: f64| {
        Goal::new(
            format!("{label} {}: {} at least {least}x faster than {peer}", table.family, metric.name),
            table.ratio(metric, peer),
            "x",
            move |ratio| ratio >= least,
        )
    };
    let home = |metric: Metric| table.median(metric, HOME);
    let raw = table.raw_bytes as f64 / table.keys as f64;
    let space = |metric: Metric, most: f64| {
        Goal::new(
            format!("{label} {}: {} at most {most}x raw", table.family, metric.name),
            home(metric).map(|bytes| bytes / raw),
            "x",
            move |ratio| ratio <= most,
        )
    };
    let at_least = |metric: Metric, least: f64, unit: &str| {
        Goal::new(
            format!("{label} {}: {} at least {least}{unit}", table.family, metric.name),
            home(metric),
            unit,
            move |value| value >= least,
        )
    };
    let large = table.keys >= 500_000;
    let mut goals = Vec::new();
    if table.family == RANDOM32 {
        if large {
            goals.push(space(BYTES_RANDOM, 1.6));
        }
        return goals;
    }
    if table.keys <= 50_000 {
        goals.push(times(GET, "btreemap", 1.0));
        goals.push(times(GET_INTO, "btreemap", 1.0));
    }
    if large {
        goals.push(times(GET, "holt", 3.0));
        goals.push(times(GET, "btreemap", 1.8));
        goals.push(times(GET_INTO, "btreemap", 1.8));
        goals.push(times(MISS, "holt", 5.0));
        goals.push(times(MISS, "btreemap", 3.0));
        goals.push(times(PUT_RANDOM, "holt", 3.0));
        goals.push(times(OVERWRITE, "holt", 4.0));
        for metric in [SCAN, SCAN_SORTED] {
            let btreemap = table.median(metric, "btreemap").unwrap_or(0.0);
            goals.push(Goal::new(
                format!("{label} {}: {} under 25 ns or the btreemap's", table.family, metric.name),
                home(metric),
                " ns",
                move |nanos| nanos < 25.0 || nanos < btreemap,
            ));
        }
        goals.push(times(LIST, "holt", 30.0));
        for metric in [HOPS_RANDOM, HOPS_SORTED] {
            goals.push(Goal::new(
                format!("{label} {}: {} exactly 1", table.family, metric.name),
                home(metric),
                "",
                |hops| hops == 1.0,
            ));
        }
        goals.push(space(BYTES_RANDOM, 1.12));
        goals.push(space(BYTES_SORTED, 0.95));
        goals.push(at_least(FILL_RANDOM, 0.78, ""));
        goals.push(at_least(FILL_SORTED, 0.92, ""));
        goals.push(at_least(SCALING, 1.8, "x"));
        goals.push(at_least(SCALING_BUSY, 1.8, "x"));
        goals.push(at_least(KEPT, 70.0, " %"));
        goals.push(at_least(KEPT_BUSY, 70.0, " %"));
    }
    goals
}
