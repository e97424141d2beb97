//! Where the database of a world lives, and how it gets from one place to another: closed and opened, as an
//! image or a backup, and through crashes.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use spinney::{Db, Durability, Options};

use crate::common::oracle::Model;
use crate::common::world::Shelf;
use crate::common::{Random, short};
use crate::disk::{Disk, Event, Image, Kept};
use crate::life::Life;
use crate::power::Power;

/// How the databases of a world are opened.
#[derive(Clone, Debug)]
pub struct How {
    cache_bytes: u64,
    log_bytes: u64,
    snapshot_bytes: u64,
    durability: Durability,
}

impl How {
    pub fn any(random: &mut Random) -> How {
        How {
            cache_bytes: *random.pick(&[256 << 10, 1 << 20, 3 << 20, 16 << 20, 256 << 20]),
            log_bytes: *random.pick(&[8 << 20, 16 << 20, 64 << 20]),
            // The smallest is so little that snapshots end.
            snapshot_bytes: *random.pick(&[400 << 10, 1 << 30, 1 << 30, 1 << 30, 1 << 30]),
            durability: *random.pick(&[Durability::Sync, Durability::Buffered]),
        }
    }

    fn options(&self) -> Options {
        let options = Db::builder().cache_bytes(self.cache_bytes).log_bytes(self.log_bytes);
        options.snapshot_bytes(self.snapshot_bytes).durability(self.durability)
    }

    fn open(&self, disk: &Arc<Disk>, label: &str) -> Db {
        let opened = self.options().open_backend(disk.clone());
        opened.unwrap_or_else(|error| panic!("{label}: {error}"))
    }
}

/// Where the database is.
pub enum Home {
    Memory,
    Disk(Arc<Disk>),
    File(PathBuf),
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Home::Memory => "memory",
            Home::Disk(_) => "a disk",
            Home::File(_) => "a file",
        })
    }
}

impl Home {
    pub fn first(how: &How, random: &mut Random) -> (Home, Db) {
        if random.percent(20) {
            return (Home::Memory, Db::memory());
        }
        let disk = Disk::forgetful(Image::default());
        let db = how.open(&disk, "a new one");
        (Home::Disk(disk), db)
    }
}

/// Trees by name: how often each is used, and what it holds.
type State = BTreeMap<String, (usize, Model)>;

fn is_same(state: &State, found: &BTreeMap<String, Model>) -> bool {
    state.len() == found.len()
        && state.iter().zip(found).all(|((name, (_, model)), (other, found))| name == other && model == found)
}

/// What is not as it should be, in a few words.
fn difference(state: &State, found: &BTreeMap<String, Model>) -> String {
    if !state.keys().eq(found.keys()) {
        return format!("the trees are {:?}, not {:?}", found.keys(), state.keys());
    }
    for (name, (_, model)) in state {
        let other = &found[name];
        let mut all: Vec<_> = model.keys().chain(other.keys()).collect();
        all.sort();
        if let Some(key) = all.into_iter().find(|key| model.get(*key) != other.get(*key)) {
            let told = |entry: Option<&(Vec<u8>, u64)>| entry.map(|(value, version)| (value.len(), *version));
            let (is, should_be) = (told(other.get(key)), told(model.get(key)));
            let (have, want) = (other.len(), model.len());
            return format!("{name}: {} is {is:?}, not {should_be:?}; {have} keys, not {want}", short(key));
        }
    }
    "none".into()
}

/// Everything that a database holds.
fn contents(db: &Db, label: &str) -> BTreeMap<String, Model> {
    let fail = |error: spinney::Error| -> ! { panic!("{label}: {error}") };
    let mut all = BTreeMap::new();
    for name in db.trees().unwrap_or_else(|error| fail(error)) {
        let tree = db.tree(&name).unwrap_or_else(|error| fail(error));
        let mut model = Model::new();
        let mut scan = tree.scan("");
        while let Some(entry) = scan.next_ref().unwrap_or_else(|error| fail(error)) {
            model.insert(entry.key().to_vec(), (entry.value().to_vec(), entry.version().number()));
        }
        all.insert(name, model);
    }
    all
}

/// What was there before a call that was cut short, and how it ended.
struct Cut {
    label: String,
    call: &'static str,
    before: State,
    before_version: u64,
    /// What the storage held then.
    image: Image,
}

impl Life {
    fn state(&self) -> State {
        let shelves = self.world.shelves.iter();
        shelves.map(|shelf| (shelf.name.clone(), (shelf.weight, shelf.model.clone()))).collect()
    }

    fn go_on_in(&mut self, home: Home, db: Db) {
        self.trace(&format!("go on in {home:?}"));
        // Of another log, or of what a crash has taken back.
        self.follower = None;
        self.world.go_on_in(db);
        self.home = home;
        for shelf in &mut self.world.shelves {
            if self.world.random.percent(30) {
                shelf.tree = shelf.tree.with_durability(Durability::Buffered);
            }
        }
    }

    /// Goes on in a copy that is made of an image, in memory or on a disk.
    pub fn image(&mut self) {
        let bytes = self.world.db.image().expect("writes");
        self.let_all_go();
        self.world.did("image");
        let place = self.world.place();
        if self.world.random.percent(30) {
            let copy = Db::from_image(&bytes).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(copy.image().expect("writes") == bytes, "{place}: the copy has another image");
            return self.go_on_in(Home::Memory, copy);
        }
        let disk = Disk::forgetful(Image { areas: [bytes, Vec::new(), Vec::new()], ring: None });
        let db = self.how.open(&disk, &format!("{place}: an image"));
        self.go_on_in(Home::Disk(disk), db);
    }

    /// Goes on in a backup, or looks at it and throws it away.
    pub fn backup(&mut self) {
        let place = self.world.place();
        self.files += 1;
        let path = self.folder.path(&format!("{}.spinney", self.files));
        self.world.db.backup_to(&path).unwrap_or_else(|error| panic!("{place}: backup: {error}"));
        self.world.did("backup");
        let goes_on = self.world.random.percent(50);
        let options = self.how.options().read_only(!goes_on);
        let db = options.open(&path).unwrap_or_else(|error| panic!("{place}: the backup: {error}"));
        if goes_on {
            self.let_all_go();
            return self.go_on_in(Home::File(path), db);
        }
        let (state, found) = (self.state(), contents(&db, "the backup"));
        assert!(is_same(&state, &found), "{place}: the backup: {}", difference(&state, &found));
        drop(db);
        std::fs::remove_file(path).expect("is there");
    }

    /// Closes and opens again.
    pub fn close(&mut self) {
        if matches!(self.home, Home::Memory) {
            return self.image();
        }
        self.trace("close");
        let outlive = self.world.random.percent(40);
        if !outlive {
            self.let_all_go();
        }
        let place = self.world.place();
        self.world.db.clone().close().unwrap_or_else(|error| panic!("{place}: close: {error}"));
        if outlive {
            self.outlive();
        }
        self.world.did("close");
        self.open_again(&format!("{place}: closed"));
        assert_eq!(self.world.db.stats().last_version, self.world.version, "{place}: closed");
    }

    fn open_again(&mut self, label: &str) {
        let looks_first = self.world.random.percent(30);
        let (state, how) = (self.state(), self.how.clone());
        let open = |options: Options, home: &Home| {
            let opened = match home {
                Home::Disk(disk) => options.open_backend(disk.clone()),
                Home::File(path) => options.open(path),
                Home::Memory => unreachable!("nothing is kept"),
            };
            opened.unwrap_or_else(|error| panic!("{label}: {error}"))
        };
        if looks_first {
            let db = open(how.options().read_only(true), &self.home);
            let found = contents(&db, label);
            assert!(is_same(&state, &found), "{label}, read only: {}", difference(&state, &found));
            assert_eq!(db.stats().last_version, self.world.version, "{label}, read only");
            self.world.did("read only");
        }
        let db = open(how.options(), &self.home);
        let home = std::mem::replace(&mut self.home, Home::Memory);
        self.go_on_in(home, db);
    }

    /// The process dies, between two calls or in the middle of one.
    pub fn crash(&mut self) {
        self.let_all_go();
        let Home::Disk(disk) = &self.home else {
            return self.image();
        };
        let disk = disk.clone();
        if self.world.random.percent(30) {
            return self.die(&disk);
        }
        self.crash_inside(&disk);
    }

    /// Nothing is under way: everything that was acknowledged is there.
    fn die(&mut self, disk: &Arc<Disk>) {
        self.trace("die");
        disk.die();
        let image = disk.image();
        let label = format!("{}: died", self.world.place());
        let _kept = Kept { image: &image, label: &label };
        self.home = Home::Disk(Disk::forgetful(image.clone()));
        self.world.did("crash");
        self.open_again(&label);
        let (state, found) = (self.state(), contents(&self.world.db, &label));
        assert!(is_same(&state, &found), "{label}: {}", difference(&state, &found));
        assert_eq!(self.world.db.stats().last_version, self.world.version, "{label}");
    }

    /// One call that is one write at most.
    fn any_call(&mut self) -> &'static str {
        let at = self.world.some_tree();
        match self.world.random.below(14) {
            0 => self.batch(),
            1 => self.transact(),
            2 | 3 => self.load(),
            4 | 5 => self.world.move_directory(at),
            6 => self.world.remove_directory(at),
            7 => self.make_tree(),
            8 => self.drop_tree(),
            9 => self.rename_tree(),
            10 => self.checkpoint(),
            11 => self.compact(),
            12 => self.world.put(at),
            _ => {
                self.world.db.clone().close().expect("closes");
                return "close";
            }
        }
        "a call"
    }

    /// A call is cut short after any of the changes of storage that it makes, by the death of the process or
    /// by a loss of power. It has had its effect or none.
    fn crash_inside(&mut self, disk: &Arc<Disk>) {
        self.trace("sync, and a call that is cut short");
        self.world.db.sync().expect("syncs");
        let (before, before_version) = (self.state(), self.world.version);
        let image = disk.begin_recording();
        let call = self.any_call();
        disk.die();
        let events = disk.end_recording();
        self.world.did("crash inside a call");
        let label = format!("{}: {call} cut short", self.world.place());
        let cut = Cut { label, call, before, before_version, image };
        self.recover(cut, &events);
    }

    /// After so many of these events, the process dies or the power goes.
    fn end_after(&mut self, start: &Image, events: &[Event]) -> Image {
        let kept = &events[..self.world.random.below(events.len() + 1)];
        let (mut image, mut power) = (start.clone(), Power::new(start.clone()));
        for event in kept {
            image.apply(event);
            power.apply(event);
        }
        if self.world.random.percent(50) {
            self.world.did("power lost");
            return power.lose(&mut self.world.random);
        }
        image
    }

    /// The recovery is cut short as well.
    fn crash_again(&mut self, image: &Image, label: &str) -> Image {
        let _kept = Kept { image, label };
        let disk = Disk::new(image.clone());
        let db = self.how.open(&disk, &format!("{label}, first time"));
        disk.die();
        drop(db);
        self.world.did("crash in recovery");
        let events = disk.end_recording();
        self.end_after(image, &events)
    }

    fn recover(&mut self, cut: Cut, events: &[Event]) {
        let mut image = self.end_after(&cut.image, events);
        let label = cut.label.clone();
        if self.world.random.percent(30) {
            image = self.crash_again(&image, &label);
        }
        let _kept = Kept { image: &image, label: &label };
        let disk = Disk::forgetful(image.clone());
        let db = self.how.open(&disk, &label);
        let (after, found) = (self.state(), contents(&db, &label));
        let (kept, undone) = (is_same(&after, &found), is_same(&cut.before, &found));
        assert!(
            kept || undone,
            "{label}: not as before: {}; not as after: {}",
            difference(&cut.before, &found),
            difference(&after, &found)
        );
        let last = db.stats().last_version;
        let versions = [cut.before_version, self.world.version];
        let may_be = versions.contains(&last) || (self.world.sizes.long_percent > 0 && last > versions[0]);
        assert!(may_be, "{label} ({}): version {last}, not {versions:?}", cut.call);
        let what = if kept { "crash that kept the call" } else { "crash that undid the call" };
        self.world.did(what);
        let state = if kept { after } else { cut.before };
        self.world.version = last;
        let shelf = |(name, (weight, model)): (String, (usize, Model))| {
            let tree = db.tree(&name).expect("is there");
            Shelf { name, tree, model, weight }
        };
        self.world.shelves = state.into_iter().map(shelf).collect();
        self.go_on_in(Home::Disk(disk), db);
        let report = self.world.db.check().expect("checks");
        assert!(report.is_clean(), "{label}: {:?}", report.problems);
    }
}
