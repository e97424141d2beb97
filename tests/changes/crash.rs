//! A crash at any moment: a follower goes on where it was, with what was recovered.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::{Db, Durability, Version};

use crate::common::{Random, in_parallel, setting};
use crate::disk::{Disk, Event, Image, Kept};
use crate::follower::{Follower, loaded};
use crate::power::Power;

fn open(disk: &Arc<Disk>) -> Db {
    let how = Db::builder().log_bytes(8 << 20).cache_bytes(8 << 20).durability(Durability::Buffered);
    how.keep_changes_bytes(256 << 20).open_backend(disk.clone()).unwrap()
}

/// What a follower was at some moments of a run.
#[derive(Default)]
struct States(Vec<(Version, Vec<u8>)>);

impl States {
    fn note(&mut self, disk: &Disk, source: &Db, follower: &mut Follower) {
        follower.catch_up(source).unwrap();
        disk.note(Event::Wrote { thread: self.0.len(), begun: 0, acknowledged: 0 });
        self.0.push((follower.version, follower.db.image().unwrap()));
    }

    fn follower(&self, at: usize) -> Follower {
        let (version, image) = &self.0[at];
        Follower { db: Db::from_image(image).unwrap(), version: *version, ..Follower::empty() }
    }
}

fn long_batch(db: &Db) {
    let files = db.tree("files").unwrap();
    let mut batch = db.batch();
    for number in 0..30 {
        batch.put(&files, format!("long/{number}"), vec![number; 40_000]);
    }
    batch.commit().unwrap();
}

/// Writes of all kinds, followed now and then; some only buffered when a checkpoint stores them.
fn run(disk: &Arc<Disk>, with_load: bool) -> States {
    let (db, mut states, mut follower) = (open(disk), States::default(), Follower::empty());
    states.note(disk, &db, &mut follower);
    let files = db.tree("files").unwrap();
    let sync = files.with_durability(Durability::Sync);
    for round in 0..3 {
        for number in 0..6 {
            files.put(format!("a/{round}/{number}"), vec![round; 3_000]).unwrap();
        }
        sync.put("b", [round]).unwrap();
        states.note(disk, &db, &mut follower);
        files.rename_prefix(format!("a/{round}"), format!("c/{round}")).unwrap();
        db.checkpoint().unwrap();
        files.remove(format!("c/{round}/3")).unwrap();
        if with_load {
            let prefix = format!("load/{round}/");
            files.load(&prefix, loaded(prefix.as_bytes(), 50)).unwrap();
        } else if round == 1 {
            states.note(disk, &db, &mut follower);
            long_batch(&db);
        }
        db.rename_tree("tags", "labels").unwrap();
        db.tree("tags").unwrap().put("x", [round]).unwrap();
        states.note(disk, &db, &mut follower);
        db.drop_tree("labels").unwrap();
        files.put("b", [round, round]).unwrap();
        db.checkpoint().unwrap();
        files.put("e", [round]).unwrap();
    }
    disk.die();
    states
}

/// Opens what a crash has left; a follower of before goes on. Then the same once more, after another crash.
fn assert_goes_on(image: &Image, states: &States, noted: usize, has_loads: bool, label: &str) {
    let _kept = Kept { image, label };
    let disk = Disk::forgetful(image.clone());
    let db = open(&disk);
    let goes_on = |db: &Db| {
        let mut follower = Follower { knows_loads: !has_loads, ..states.follower(noted) };
        follower.catch_up(db).unwrap_or_else(|error| panic!("{label}: {error}"));
        follower.assert_same(db);
        assert!(has_loads || follower.begun_anew == 0, "{label}: all of the log is there");
    };
    goes_on(&db);
    let files = db.tree("files").unwrap();
    files.put("later", "1").unwrap();
    files.put("a/0/1", "2").unwrap();
    disk.die();
    drop((files, db));
    let disk = Disk::forgetful(disk.image());
    let db = open(&disk);
    assert_eq!(db.tree("files").unwrap().get("later").unwrap().as_deref(), Some(&b"1"[..]), "{label}");
    goes_on(&db);
    disk.die();
}

fn crash_everywhere(with_load: bool) {
    let disk = Disk::new(Image::default());
    let states = run(&disk, with_load);
    let events = disk.take_events();
    let every = setting("SPINNEY_CHANGES_CRASH_EVERY", 5) as usize;
    in_parallel("part", 0..2, |part| {
        let (mut image, mut power) = (Image::default(), Power::default());
        let (mut noted, mut random) = (None, Random::new(part));
        for (at, event) in events.iter().enumerate() {
            image.apply(event);
            power.apply(event);
            if let Event::Wrote { thread, .. } = event {
                noted = Some(*thread);
            }
            let is_ours = at % every == 0 && at / every % 2 == part as usize;
            let Some(noted) = noted.filter(|_| is_ours) else { continue };
            let label = format!("load {with_load}, after event {at}");
            assert_goes_on(&image, &states, noted, with_load, &label);
            let lost = power.lose(&mut random);
            assert_goes_on(&lost, &states, noted, with_load, &format!("{label}, without power"));
        }
    });
}

#[test]
fn a_follower_goes_on_after_any_crash() {
    crash_everywhere(false);
}

/// A load is never there without being told.
#[test]
fn a_follower_hears_of_loads_after_any_crash() {
    crash_everywhere(true);
}

/// Recovery dies, too: then a follower may have to begin anew, but is never wrong.
#[test]
fn a_follower_goes_on_after_a_crash_of_recovery() {
    let disk = Disk::new(Image::default());
    let states = run(&disk, false);
    let image = disk.image();
    let disk = Disk::new(image.clone());
    let db = open(&disk);
    db.tree("files").unwrap().put("later", "1").unwrap();
    db.sync().unwrap();
    disk.die();
    drop(db);
    let (mut image, noted) = (image, states.0.len() - 1);
    for event in disk.take_events() {
        image.apply(&event);
        let disk = Disk::forgetful(image.clone());
        let db = open(&disk);
        let mut follower = states.follower(noted);
        follower.catch_up(&db).unwrap();
        follower.assert_same(&db);
        disk.die();
    }
}
