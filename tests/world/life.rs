//! One database and everything that is done to it, by one thread.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use spinney::{Durability, Error, KEY_BYTES_MAX};

use crate::common::batches::{self, Draft};
use crate::common::keys::Sizes;
use crate::common::oracle::{Model, under};
use crate::common::world::World;
use crate::common::{Random, keys, setting, short, transactions};
use crate::folder::Folder;
use crate::follower::Follower;
use crate::held::Held;
use crate::homes::{Home, How};

/// See the head of this file.
pub struct Life {
    pub world: World,
    pub home: Home,
    pub how: How,
    pub held: Vec<Held>,
    /// A copy that follows what is done, unless it has to begin anew.
    pub follower: Option<Follower>,
    pub folder: Folder,
    /// Files made so far.
    pub files: u32,
    verify_every: u64,
    steps: u64,
    is_traced: bool,
}

impl Life {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x776F_726C);
        let how = How::any(&mut random);
        let folder = Folder::new(&format!("world-{seed}"));
        let (home, db) = Home::first(&how, &mut random);
        let mut world = World::of(db, seed);
        let large_percent = *random.pick(&[0, 5, 15, 30]);
        world.sizes = Sizes { large_percent, long_percent: *random.pick(&[0, 0, 4]) };
        let is_traced = setting("SPINNEY_MODEL_TRACE", 0) != 0;
        let verify_every = setting("SPINNEY_WORLD_VERIFY_EVERY", 200);
        println!("seed {seed}: {how:?}, {home:?}, {:?}", world.sizes);
        let (held, follower) = (Vec::new(), None);
        let mut life =
            Life { world, home, how, held, follower, folder, files: 0, verify_every, steps: 0, is_traced };
        // So that there are blobs from the beginning.
        for _ in 0..4 {
            life.load();
        }
        life
    }

    /// Says what comes, for finding what did a damage.
    pub fn trace(&self, what: &str) {
        if self.is_traced {
            eprintln!("{}: {what}", self.world.place());
        }
    }

    /// One random call.
    pub fn step(&mut self) {
        self.steps += 1;
        self.world.catch_up();
        match self.world.random.below(1000) {
            0..=769 => self.world.step(),
            770..=799 => self.follow(),
            800..=834 => self.batch(),
            835..=854 => self.transact(),
            855..=869 => self.load(),
            870..=899 => self.shuttle(),
            900..=909 => self.move_or_remove(),
            910..=924 => {
                let at = self.world.some_tree();
                self.world.look(at).count();
            }
            925..=934 => self.take_snapshot(),
            935..=949 => self.look_at_held(),
            950..=955 => self.let_go(),
            956..=965 => self.change_trees(),
            966..=971 => self.checkpoint(),
            972..=974 => self.compact(),
            975..=979 => self.sync(),
            980..=982 => self.image(),
            983..=985 => self.backup(),
            986..=989 => self.close(),
            _ => self.crash(),
        }
        if self.steps.is_multiple_of(self.verify_every) {
            self.world.verify();
        }
    }

    /// Compares everything for the last time, and says what was done.
    pub fn end(mut self) -> BTreeMap<&'static str, u64> {
        while !self.held.is_empty() {
            self.let_go();
        }
        self.world.verify();
        self.close();
        self.world.verify();
        println!("{}: {:?}", self.world.place(), self.world.totals());
        self.world.counts
    }

    pub fn checkpoint(&mut self) {
        self.trace("checkpoint");
        self.world.db.checkpoint().expect("stores");
        self.world.did("checkpoint");
    }

    pub fn compact(&mut self) {
        self.trace("compact");
        let before = self.world.db.stats().total_blobs;
        let report = self.world.db.compact().expect("packs");
        assert!(report.blobs_after <= report.blobs_before.max(before), "{}: {report:?}", self.world.place());
        self.world.did("compact");
    }

    fn sync(&mut self) {
        self.trace("sync");
        self.world.db.sync().expect("syncs");
        let log = self.world.db.stats().log;
        assert_eq!(log.durable_bytes, log.end_bytes, "{}", self.world.place());
        self.world.did("sync");
    }

    pub fn move_or_remove(&mut self) {
        let at = self.world.some_tree();
        match self.world.random.percent(70) {
            true => self.world.move_directory(at),
            false => self.world.remove_directory(at),
        }
    }

    /// Two trees, or one and the same.
    fn some_two(&mut self) -> Vec<usize> {
        let (one, other) = (self.world.some_tree(), self.world.some_tree());
        if one == other { vec![one] } else { vec![one, other] }
    }

    pub fn batch(&mut self) {
        self.trace("batch");
        let trees = self.some_two();
        let world = &mut self.world;
        let (mut batch, place, last) = (world.db.batch(), world.place(), world.version);
        let sides = trees.iter().map(|&at| (&world.shelves[at].tree, &world.shelves[at].model)).collect();
        let mut draft = Draft::new(sides, world.sizes);
        for _ in 0..1 + world.random.below(if world.random.clone().percent(10) { 400 } else { 40 }) {
            draft.step(&mut batch, &world.keys, &mut world.random);
        }
        if world.random.percent(30) {
            batch.durability(Durability::Buffered);
        }
        match draft.settle(batch.commit(), last, &place) {
            Some(edits) => {
                for (nth, &at) in trees.iter().enumerate() {
                    batches::apply(&mut world.shelves[at].model, &edits, nth);
                }
                world.version = world.db.stats().last_version;
                let highest = edits.iter().filter_map(|(_, _, entry)| Some(entry.as_ref()?.1)).max();
                assert!(highest.is_none_or(|highest| highest <= world.version), "{place}");
                world.did("batch");
            }
            None => world.did("batch refused"),
        }
    }

    pub fn transact(&mut self) {
        self.trace("transact");
        let trees = self.some_two();
        let world = &mut self.world;
        let (place, last) = (world.place(), world.version);
        let mut models = Vec::new();
        let (keys, random) = (&world.keys, &mut world.random);
        let (changes, aborts, sizes) = (random.below(30), random.percent(25), world.sizes);
        let (shelves, mut runs) = (&world.shelves, 0);
        let outcome = world.db.transact(|tx| {
            runs += 1;
            models = trees.iter().map(|&at| shelves[at].model.clone()).collect::<Vec<Model>>();
            for _ in 0..changes {
                let nth = random.below(trees.len());
                let tree = &shelves[trees[nth]].tree;
                transactions::change(tx, tree, &mut models[nth], keys, random, sizes)?;
                if random.percent(10) {
                    transactions::look(tx, tree, &models[nth], keys, random)?;
                }
            }
            if aborts { Err(tx.abort()) } else { Ok(()) }
        });
        // Nobody disturbs, but making room moves keys that were read: once for each blob that is full.
        assert!(runs <= 20, "{place}: {runs} runs");
        if runs > 1 {
            world.did("transact again");
        }
        match outcome {
            Ok(()) if !aborts => {}
            Err(Error::Aborted) if aborts => return world.did("transact aborted"),
            other => panic!("{place}: {other:?}"),
        }
        world.version = world.db.stats().last_version;
        let mut versions = BTreeSet::new();
        for (&at, mut model) in trees.iter().zip(models) {
            let tree = &world.shelves[at].tree;
            // They come with the commit, each once.
            for (key, (_, version)) in model.iter_mut().filter(|(_, (_, version))| *version == 0) {
                *version = tree.get(key).expect("reads").expect("was put").version().number();
                assert!(*version > last && *version <= world.version, "{place}: {}", short(key));
                assert!(versions.insert(*version), "{place}: version {version} twice");
            }
            world.shelves[at].model = model;
        }
        world.did("transact");
    }

    /// Keys for a bulk load, in order.
    fn some_items(&mut self, prefix: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let world = &mut self.world;
        let count = *world.random.pick(&[0, 1, 20, 300, 1_500]);
        // Not hundreds of long ones.
        let long_percent = if count > 20 { 0 } else { 3 * world.sizes.long_percent };
        let sizes = Sizes { large_percent: world.sizes.large_percent / 2, long_percent };
        let mut items = BTreeMap::new();
        for _ in 0..if count > 1 { world.random.below(count) } else { count } {
            let mut tail = world.keys.key(&mut world.random);
            tail.truncate((KEY_BYTES_MAX - prefix.len()).min(6_000));
            let value = keys::mixed_value(&mut world.random, sizes);
            items.insert([prefix, &tail].concat(), value);
        }
        items
    }

    pub fn load(&mut self) {
        let at = self.world.some_tree();
        let mut prefix = self.world.some_prefix(at);
        if self.world.random.percent(80) {
            prefix.extend_from_slice(format!("{:x}/", self.world.random.below(4_000)).as_bytes());
        }
        prefix.truncate(KEY_BYTES_MAX);
        let items = self.some_items(&prefix);
        self.trace(&format!("load {} keys under {}", items.len(), short(&prefix)));
        let fault = self.world.random.below(100);
        self.load_items(at, &prefix, items, fault);
    }

    fn load_items(&mut self, at: usize, prefix: &[u8], items: BTreeMap<Vec<u8>, Vec<u8>>, fault: usize) {
        let world = &mut self.world;
        let (place, version) = (world.place(), world.version);
        let taken = !under(&world.shelves[at].model, prefix).is_empty();
        let mut list: Vec<(Vec<u8>, Vec<u8>)> = items.into_iter().collect();
        let broken = spoil(&mut list, prefix, fault, &mut world.random);
        let cancels = broken.is_none() && fault > 95 && !list.is_empty();
        let loaded = world.shelves[at].tree.load_with(prefix, list.iter().cloned(), |_| !cancels);
        let told = format!("{place}: load {} keys under {}", list.len(), short(prefix));
        match loaded {
            Err(Error::TargetExists) if taken => return world.did("load into keys"),
            Err(Error::LoadRefused { key, .. }) if !taken && broken == Some(key.clone()) => {
                return world.did("load refused");
            }
            Err(Error::Cancelled) if !taken && cancels => return world.did("load cancelled"),
            Ok(count) if !taken && broken.is_none() && !cancels => {
                assert_eq!(count, list.len() as u64, "{told}");
            }
            other => panic!("{told}: {other:?}, taken {taken}, broken {broken:?}, cancels {cancels}"),
        }
        world.version = world.db.stats().last_version;
        let is_empty = list.is_empty();
        assert_eq!(world.version, version + u64::from(!is_empty), "{told}");
        // All have the version of the last write before the load.
        world.shelves[at].model.extend(list.into_iter().map(|(key, value)| (key, (value, version))));
        if !is_empty {
            world.did("load");
        }
    }

    /// A directory goes elsewhere, something happens, and it goes back.
    pub fn shuttle(&mut self) {
        let at = self.world.some_tree();
        let from = self.world.some_prefix(at);
        let mut to = from.clone();
        let random = &mut self.world.random;
        match random.below(6) {
            0 => to = [b"\0", &from[..]].concat(),
            1 => to = [b"\xFF", &from[..]].concat(),
            2 => to = format!("{:x}/", random.below(1 << 20)).into_bytes(),
            3 => to = [&from[..from.len() / 2], b"\xFF\xFF"].concat(),
            4 => {
                to.pop();
                to.extend_from_slice(format!("{:x}", random.below(1 << 12)).as_bytes());
            }
            _ => to = random.pick(&[&b""[..], b"\0", b"\xFF", b"a", b"wide", b"region-2/"]).to_vec(),
        }
        to.truncate(KEY_BYTES_MAX);
        if !self.world.move_prefix(at, &from, &to) {
            return;
        }
        for _ in 0..self.world.random.below(8) {
            self.world.step();
        }
        match self.world.random.below(10) {
            0 => self.checkpoint(),
            1 => self.take_snapshot(),
            _ => {}
        }
        self.world.move_prefix(at, &to, &from);
    }
}

/// Puts something among the items that cannot be loaded; the key that must be named.
fn spoil(
    list: &mut Vec<(Vec<u8>, Vec<u8>)>,
    prefix: &[u8],
    fault: usize,
    random: &mut Random,
) -> Option<Vec<u8>> {
    if list.len() < 2 {
        return None;
    }
    let at = random.below(list.len() - 1);
    match fault {
        0..=7 => {
            list.swap(at, at + 1);
            Some(list[at + 1].0.clone())
        }
        8..=12 => {
            list.insert(at + 1, list[at].clone());
            Some(list[at].0.clone())
        }
        13..=16 if !prefix.is_empty() => {
            let mut foreign = prefix.to_vec();
            foreign.pop();
            list[at].0 = foreign.clone();
            Some(foreign)
        }
        _ => None,
    }
}
