//! Several threads in one database, each with directories of its own, so that each knows what must be there;
//! counters that all share; and one thread that makes snapshots, images, checkpoints, packs and checks. The
//! process dies in the middle of it, after any change of storage, and the next life goes on with what is
//! there.
//!
//! Of each thread everything that was acknowledged is there, and of the one call that was under way its whole
//! effect or none. In every snapshot nothing is half done.
//!
//! `SPINNEY_WORLD_LIVES` (6) is how many lives there are, `SPINNEY_WORLD_FIRST` another seed.

#![forbid(unsafe_code)]

#[path = "crowd_calls.rs"]
mod calls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use spinney::{Db, Durability, Error, Result, Snapshot, SnapshotTree, Tree};

use crate::common::{Random, setting, short};
use crate::disk::{Disk, Image, Kept};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const OWNERS: usize = 3;
/// Kinds of calls that each thread makes.
const CALLS: usize = 14;
const COUNTERS: usize = 8;
/// What each counter has at first.
const SHARE: i64 = 1_000;
/// Keys of the directory that only ever moves.
const CARAVAN: usize = 300;
const LIFE: Duration = Duration::from_millis(1_500);

fn number(value: Option<&[u8]>) -> i64 {
    value.and_then(|value| value.first_chunk()).map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

/// One thread, and what is in its directories.
struct Owner<'a> {
    name: String,
    db: &'a Db,
    disk: &'a Disk,
    files: Tree,
    counters: Tree,
    random: Random,
    model: Model,
    /// The same, had the call that failed its effect.
    pending: Option<Model>,
    /// Snapshots, and what there was then.
    held: Vec<(Snapshot, Model)>,
    done: &'a [AtomicU64; CALLS],
}

impl Owner<'_> {
    fn key(&self, rest: &str) -> Vec<u8> {
        format!("{}/{rest}", self.name).into_bytes()
    }

    /// The last three are filled by loads and moves alone.
    fn some_directory(&mut self) -> Vec<u8> {
        let directory = self.random.below(9);
        self.key(&format!("d{directory}/"))
    }

    fn some_file(&mut self) -> Vec<u8> {
        let (directory, file) = (self.random.below(6), self.random.below(200));
        self.key(&format!("d{directory}/{file:04}"))
    }

    fn some_value(&mut self) -> Vec<u8> {
        let len = if self.random.percent(10) { self.random.below(20_000) } else { self.random.below(400) };
        vec![self.random.next() as u8; len]
    }

    fn under(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let all = self.model.range(prefix.to_vec()..).map(|(key, _)| key);
        all.take_while(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Takes note of how a call ended that makes the map to `next`.
    fn settle<T>(&mut self, call: usize, next: Model, outcome: Result<T>) -> Result<T> {
        match outcome {
            Ok(done) => {
                self.model = next;
                self.done[call].fetch_add(1, SeqCst);
                Ok(done)
            }
            Err(error) => {
                self.pending = Some(next);
                Err(error)
            }
        }
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        let mut next = self.model.clone();
        next.insert(key.clone(), value.clone());
        let outcome = self.files.put(&key, &value);
        self.settle(0, next, outcome).map(drop)
    }

    fn remove(&mut self) -> Result<()> {
        let (key, mut next) = (self.some_file(), self.model.clone());
        let was_there = next.remove(&key).is_some();
        let outcome = self.files.remove(&key);
        let removed = self.settle(1, next, outcome)?.is_some();
        assert_eq!(removed, was_there, "{}", short(&key));
        Ok(())
    }

    fn move_directory(&mut self, from: Vec<u8>, to: Vec<u8>) -> Result<()> {
        let (moving, taken) = (self.under(&from), !self.under(&to).is_empty());
        let mut next = self.model.clone();
        for key in moving.iter().filter(|_| !taken && from != to) {
            let value = next.remove(key).expect("was listed");
            next.insert([&to, &key[from.len()..]].concat(), value);
        }
        match self.files.rename_prefix(&from, &to) {
            Err(Error::RenameIntoItself) if from == to => Ok(()),
            Err(Error::TargetExists) if taken && !moving.is_empty() => Ok(()),
            outcome => {
                let moved = self.settle(2, next, outcome)?.is_some();
                assert_eq!(moved, !moving.is_empty(), "{}", short(&from));
                Ok(())
            }
        }
    }

    fn remove_directory(&mut self) -> Result<()> {
        let prefix = self.some_directory();
        let mut next = self.model.clone();
        next.retain(|key, _| !key.starts_with(&prefix));
        let outcome = self.files.remove_prefix(&prefix);
        self.settle(3, next, outcome).map(drop)
    }

    /// A few files, and two keys that always have the same value.
    fn batch(&mut self) -> Result<()> {
        let (mut batch, mut next) = (self.db.batch(), self.model.clone());
        for _ in 0..1 + self.random.below(12) {
            let (key, value) = (self.some_file(), self.some_value());
            batch.put(&self.files, &key, &value);
            next.insert(key, value);
        }
        let twin = number(next.get(&self.key("twin")).map(|value| &value[..])) + 1;
        for key in [self.key("a-twin"), self.key("twin")] {
            batch.put(&self.files, &key, twin.to_le_bytes());
            next.insert(key, twin.to_le_bytes().to_vec());
        }
        let outcome = batch.commit();
        self.settle(4, next, outcome).map(drop)
    }

    /// Takes from one counter of all and gives to another, and counts that.
    fn transfer(&mut self) -> Result<()> {
        let (from, to) = (self.random.below(COUNTERS), self.random.below(COUNTERS));
        let (own, amount) = (self.key("transfers"), self.random.below(50) as i64);
        let mut next = self.model.clone();
        let count = number(next.get(&own).map(|value| &value[..])) + 1;
        next.insert(own.clone(), count.to_le_bytes().to_vec());
        let (files, counters) = (&self.files, &self.counters);
        let outcome = self.db.transact(|tx| {
            for (counter, change) in [(from, -amount), (to, amount)] {
                let key = format!("{counter}");
                let now = number(tx.get(counters, &key)?.as_deref()) + change;
                tx.put(counters, &key, now.to_le_bytes())?;
            }
            tx.put(files, &own, count.to_le_bytes())
        });
        self.settle(5, next, outcome)
    }

    fn load(&mut self) -> Result<()> {
        let prefix = self.some_directory();
        let mut items = Model::new();
        for _ in 0..self.random.below(200) {
            let file = self.random.below(1_000);
            items.insert([&prefix[..], format!("{file:04}").as_bytes()].concat(), self.some_value());
        }
        let taken = !self.under(&prefix).is_empty();
        let mut next = self.model.clone();
        if !taken {
            next.extend(items.clone());
        }
        match self.files.load(&prefix, &items) {
            Err(Error::TargetExists) if taken => Ok(()),
            outcome => self.settle(6, next, outcome).map(drop),
        }
    }

    /// One goes ahead of the other by one at most.
    fn mark(&mut self) -> Result<()> {
        let [ahead, behind] = ["ahead", "z-behind"].map(|rest| self.key(rest));
        let [first, second] =
            [&ahead, &behind].map(|key| number(self.model.get(key).map(|value| &value[..])));
        match first == second {
            true => self.put(ahead, (first + 1).to_le_bytes().to_vec()),
            false => self.put(behind, first.to_le_bytes().to_vec()),
        }
    }

    fn look(&mut self) -> Result<()> {
        let prefix = self.key("");
        let mut expected = self.model.iter().filter(|(key, _)| key.starts_with(&prefix));
        for pair in self.files.scan(&prefix) {
            let (key, value) = pair?;
            let next = expected.next();
            assert!(
                next == Some((&key, &value.to_vec())),
                "{} instead of {:?}",
                short(&key),
                next.map(|it| short(it.0))
            );
        }
        assert!(expected.next().is_none(), "the scan ended too early");
        let directory = self.some_directory();
        assert_eq!(self.files.count(&directory)?, self.under(&directory).len() as u64);
        self.done[7].fetch_add(1, SeqCst);
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        match self.random.below(60) {
            0..=9 => {
                let (key, value) = (self.some_file(), self.some_value());
                self.put(key, value)
            }
            10..=13 => self.remove(),
            14..=17 => {
                let (from, to) = (self.some_directory(), self.some_directory());
                self.move_directory(from, to)
            }
            18 | 19 => {
                let places = ["caravan-0/", "caravan-1/"].map(|rest| self.key(rest));
                let at = usize::from(self.under(&places[0]).is_empty());
                self.move_directory(places[at].clone(), places[1 - at].clone())
            }
            20 | 21 => self.remove_directory(),
            22..=26 => self.batch(),
            27..=31 => self.transfer(),
            32..=34 => self.load(),
            35..=38 => self.mark(),
            39 => self.look(),
            40..=42 => self.put_if_absent(),
            43..=45 => self.compare_and_put(),
            46..=48 => self.rename_file(),
            49 => self.put_long(),
            50..=54 => self.change_trees(),
            55..=57 => self.hold(),
            _ => self.compare_held(),
        }
    }

    /// Works until the disk dies.
    fn live(mut self) -> (Model, Option<Model>) {
        while let Ok(()) = self.step().inspect_err(|error| assert_dead(self.disk, error)) {}
        (self.model, self.pending)
    }
}

/// Nothing may fail before the disk has died.
fn assert_dead(disk: &Disk, error: &Error) {
    let codes = ["Io", "Poisoned", "Closed", "OutcomeUnknown"];
    assert!(disk.is_dead() && codes.contains(&error.code()), "{error}");
}

/// What a snapshot says of each thread: how far its twins and marks are.
type Marks = [(i64, i64); OWNERS];

fn look_at(snapshot: &Snapshot, before: &Marks) -> Result<Marks> {
    let (files, counters) = (snapshot.tree("files")?, snapshot.tree("counters")?);
    let mut sum = 0;
    for pair in counters.scan("") {
        sum += number(Some(&pair?.1));
    }
    assert_eq!(sum, SHARE * COUNTERS as i64, "money is neither made nor lost");
    let mut marks = *before;
    for (owner, mark) in marks.iter_mut().enumerate() {
        let get = |rest: &str| Ok::<_, Error>(number(files.get(format!("t{owner}/{rest}"))?.as_deref()));
        let (ahead, behind, twin) = (get("ahead")?, get("z-behind")?, get("twin")?);
        assert!(ahead == behind || ahead == behind + 1, "{ahead}, {behind}");
        assert_eq!(get("a-twin")?, twin, "half a batch");
        assert!(twin >= mark.0 && ahead >= mark.1, "back to {twin} and {ahead} from {mark:?}");
        *mark = (twin, ahead);
        let places = [0, 1].map(|place| files.count(format!("t{owner}/caravan-{place}/")));
        let [here, there] = places;
        let (here, there) = (here?, there?);
        assert!(here + there == CARAVAN as u64 && here.min(there) == 0, "{here} keys here and {there} there");
    }
    same_from_both_ends(&files)?;
    Ok(marks)
}

fn same_from_both_ends(tree: &SnapshotTree) -> Result<()> {
    let forward: Vec<Vec<u8>> = tree.scan("").keys().collect::<Result<_>>()?;
    let mut backward: Vec<Vec<u8>> = tree.scan("").keys().rev().collect::<Result<_>>()?;
    backward.reverse();
    assert!(forward.is_sorted() && forward == backward);
    Ok(())
}

/// Snapshots, checkpoints, packing and checks, until the disk dies. How many snapshots were whole.
fn tend(db: &Db, disk: &Disk, is_over: &AtomicBool, seed: u64) -> u64 {
    let (mut random, mut marks, mut looked) = (Random::new(seed), Marks::default(), 0);
    let mut held = None;
    while !is_over.load(SeqCst) {
        let outcome = match random.below(9) {
            0 => db.checkpoint(),
            1 => db.compact().map(drop),
            2 => db.check().map(|report| assert!(report.is_clean() || disk.is_dead(), "{report:?}")),
            3 => {
                let copy = db.image().and_then(Db::from_image);
                copy.and_then(|copy| look_at(&copy.snapshot(), &marks)).map(|now| marks = now)
            }
            _ => {
                let snapshot = db.snapshot();
                // One that was held a while beside the writers still says the same.
                let again = match held.take() {
                    Some((old, then)) => look_at(&old, &then).map(|now| assert_eq!(now, then)),
                    None => Ok(()),
                };
                let seen = look_at(&snapshot, &marks).map(|now| marks = now);
                if seen.is_ok() {
                    held = Some((snapshot, marks));
                }
                looked += u64::from(seen.is_ok() && again.is_ok());
                seen.and(again)
            }
        };
        match outcome {
            Ok(()) => {}
            // A blob that had left memory has fallen free.
            Err(Error::SnapshotTooOld) => held = None,
            Err(error) => assert_dead(disk, &error),
        }
    }
    looked
}

fn options(random: &mut Random) -> spinney::Options {
    let durability = *random.pick(&[Durability::Sync, Durability::Buffered]);
    let cache_bytes = *random.pick(&[512 << 10, 4 << 20, 64 << 20]);
    let options = Db::builder().cache_bytes(cache_bytes).log_bytes(16 << 20);
    options.snapshot_bytes(1 << 30).durability(durability)
}

/// What every life begins with, if it is not there.
fn furnish(db: &Db) {
    let (files, counters) = (db.tree("files").unwrap(), db.tree("counters").unwrap());
    let mut batch = db.batch();
    for counter in 0..COUNTERS {
        batch.put_if_absent(&counters, format!("{counter}"), SHARE.to_le_bytes());
    }
    batch.commit().unwrap();
    for owner in 0..OWNERS {
        let items =
            (0..CARAVAN).map(|file| (format!("t{owner}/caravan-0/{file:04}"), vec![owner as u8; 700]));
        files.load(format!("t{owner}/caravan-0/"), items).unwrap();
    }
}

fn contents(db: &Db, owner: usize) -> Model {
    calls::contents(db, &format!("t{owner}")).unwrap()
}

/// One life; what each thread has had acknowledged, and what else may be there.
fn live(
    db: &Db,
    disk: &Arc<Disk>,
    random: &mut Random,
    done: &[AtomicU64; CALLS],
) -> (Vec<(Model, Option<Model>)>, u64) {
    let is_over = AtomicBool::new(false);
    disk.die_after(20 + random.below(2_500) as u64);
    std::thread::scope(|scope| {
        let tender = {
            let (is_over, seed) = (&is_over, random.next());
            scope.spawn(move || tend(db, disk, is_over, seed))
        };
        let owners = (0..OWNERS).map(|owner| Owner {
            name: format!("t{owner}"),
            db,
            disk,
            files: db.tree("files").unwrap(),
            counters: db.tree("counters").unwrap(),
            random: Random::new(random.next()),
            model: contents(db, owner),
            pending: None,
            held: Vec::new(),
            done,
        });
        let owners: Vec<_> = owners.collect();
        let owners: Vec<_> = owners.into_iter().map(|owner| scope.spawn(move || owner.live())).collect();
        let start = Instant::now();
        while !disk.is_dead() && start.elapsed() < LIFE && !owners.iter().any(|owner| owner.is_finished()) {
            std::thread::sleep(Duration::from_millis(2));
        }
        disk.die();
        let ended: Vec<_> = owners.into_iter().map(|owner| owner.join()).collect();
        // Before anybody is asked how it went: who waits for the tender otherwise waits for ever.
        is_over.store(true, SeqCst);
        let snapshots = tender.join().expect("has told why");
        (ended.into_iter().map(|owner| owner.expect("has told why")).collect(), snapshots)
    })
}

#[test]
fn whenever_it_dies_every_thread_finds_what_was_acknowledged() {
    let seed = setting("SPINNEY_WORLD_FIRST", 0);
    let mut random = Random::new(seed ^ 0x6372_6F77);
    let disk = Disk::forgetful(Image::default());
    let db = options(&mut random).open_backend(disk.clone()).unwrap();
    furnish(&db);
    db.close().unwrap();
    let mut image = disk.image();
    let (done, mut looked, mut undecided) = (std::array::from_fn(|_| AtomicU64::new(0)), 0, 0);
    for life in 0..setting("SPINNEY_WORLD_LIVES", 6) {
        let label = format!("crowd of seed {seed}, life {life}");
        let disk = Disk::forgetful(image);
        let how = options(&mut random);
        let db = how.clone().open_backend(disk.clone()).unwrap();
        let (ended, snapshots) = live(&db, &disk, &mut random, &done);
        drop(db);
        looked += snapshots;
        image = disk.image();
        let _kept = Kept { image: &image, label: &label };
        let again = Disk::forgetful(image.clone());
        let db = how.open_backend(again.clone()).unwrap_or_else(|error| panic!("{label}: {error}"));
        for (owner, (model, pending)) in ended.iter().enumerate() {
            let found = contents(&db, owner);
            let is_pending = pending.as_ref() == Some(&found);
            undecided += usize::from(is_pending && found != *model);
            assert!(found == *model || is_pending, "{label}: {}", difference(&found, model));
        }
        let report = db.check().unwrap();
        assert!(report.is_clean(), "{label}: {:?}", report.problems);
        look_at(&db.snapshot(), &Marks::default()).unwrap();
        again.die();
    }
    let done = done.map(AtomicU64::into_inner);
    println!("seed {seed}: calls {done:?}, {looked} snapshots, {undecided} calls that nobody was told of");
    assert!(done.iter().all(|&count| count > 0) && looked > 0);
}

fn difference(found: &Model, model: &Model) -> String {
    let keys = found.keys().chain(model.keys()).find(|key| found.get(*key) != model.get(*key));
    let told = |model: &Model, key: &Vec<u8>| model.get(key).map(|value| short(value));
    keys.map_or(String::new(), |key| {
        format!("{} is {:?}, not {:?}", short(key), told(found, key), told(model, key))
    })
}
