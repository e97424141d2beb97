//! Snapshots that are held while the world goes on, each with the maps of its time.

#![forbid(unsafe_code)]

use spinney::{Db, Error, Snapshot};

use crate::common::Place;
use crate::common::oracle::Model;
use crate::common::reads::{self, Look};
use crate::homes::Home;
use crate::life::Life;

const HELD_MAX: usize = 5;

/// A snapshot, and what was there when it was made.
pub struct Held {
    snapshot: Snapshot,
    shelves: Vec<(String, Model)>,
    made: Place,
}

impl Held {
    /// Compares all of it.
    fn compare(&self, now: Place) {
        let place = format!("{now}: the snapshot of operation {}", self.made.step);
        let names: Vec<&String> = self.shelves.iter().map(|(name, _)| name).collect();
        let found = self.snapshot.trees().unwrap_or_else(|error| panic!("{place}: {error}"));
        assert!(found.iter().eq(names), "{place}: {found:?}");
        for (name, model) in &self.shelves {
            let tree = self.snapshot.tree(name).unwrap_or_else(|error| panic!("{place}: {error}"));
            reads::verify(&tree, model, &format!("{place}, tree {name}"));
            assert_eq!(tree.count("").expect("counts"), model.len() as u64, "{place}, tree {name}");
        }
    }

    /// Compares its image, as a database of its own.
    fn compare_image(&self, now: Place) {
        let place = format!("{now}: the image of the snapshot of operation {}", self.made.step);
        let image = self.snapshot.image().unwrap_or_else(|error| panic!("{place}: {error}"));
        let copy = Db::from_image(image).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert!(copy.trees().expect("reads").iter().eq(self.shelves.iter().map(|(name, _)| name)), "{place}");
        for (name, model) in &self.shelves {
            reads::verify(&copy.tree(name).expect("is there"), model, &format!("{place}, tree {name}"));
        }
        assert!(copy.check().expect("checks").is_clean(), "{place}");
    }

    /// Compares as much as can be read; an error is one that may be. Whether there was none.
    fn compare_until(&self, now: Place, may_be: impl Fn(&Error) -> bool) -> bool {
        let place = format!("{now}: the snapshot of operation {}", self.made.step);
        for (name, model) in &self.shelves {
            let tree = match self.snapshot.tree(name) {
                Ok(tree) => tree,
                Err(error) => {
                    assert!(may_be(&error), "{place}: {error}");
                    return false;
                }
            };
            let (mut scan, mut expected) = (tree.scan(""), model.iter());
            loop {
                match scan.next_ref() {
                    Ok(Some(entry)) => {
                        let found = (entry.key(), entry.value(), entry.version().number());
                        let next = expected.next().map(|(key, (value, at))| (&key[..], &value[..], *at));
                        assert!(Some(found) == next, "{place}, tree {name}");
                    }
                    Ok(None) => break assert!(expected.next().is_none(), "{place}, tree {name}"),
                    Err(error) => {
                        assert!(may_be(&error), "{place}: {error}");
                        return false;
                    }
                }
            }
        }
        true
    }
}

impl Life {
    pub fn take_snapshot(&mut self) {
        if self.held.len() >= HELD_MAX {
            self.let_go();
        }
        self.trace("snapshot");
        let snapshot = self.world.db.snapshot();
        assert_eq!(snapshot.version().number(), self.world.version, "{}", self.world.place());
        let shelves = self.world.shelves.iter();
        let mut shelves: Vec<_> = shelves.map(|shelf| (shelf.name.clone(), shelf.model.clone())).collect();
        shelves.sort_by(|one, other| one.0.cmp(&other.0));
        self.held.push(Held { snapshot, shelves, made: self.world.place() });
        self.world.did("snapshot");
    }

    /// A few reads in one of them, as in any tree.
    pub fn look_at_held(&mut self) {
        if self.held.is_empty() {
            return self.take_snapshot();
        }
        let nth = self.world.random.below(self.held.len());
        let held = &self.held[nth];
        // Then none is made in the background, which might find that a blob cannot be kept.
        self.world.db.checkpoint().expect("stores");
        if self.world.db.stats().snapshots.open as usize != self.held.len() {
            let what = self.how_it_went(held.compare_until(self.world.place(), is_too_old));
            return self.world.did(what);
        }
        self.trace(&format!("look at the snapshot of operation {}", held.made.step));
        let place = self.world.place();
        for _ in 0..10 {
            let (name, model) = self.world.random.pick(&held.shelves);
            let tree = held.snapshot.tree(name).unwrap_or_else(|error| panic!("{place}: {error}"));
            let (keys, random) = (&self.world.keys, &mut self.world.random);
            let mut look = Look { tree: &tree, model, keys, random, place };
            look.read();
            look.count();
        }
        if self.world.random.percent(20) {
            held.compare_image(place);
            self.world.did("image of a snapshot");
        }
        let held = &self.held[nth];
        assert!(held.snapshot.tree("never there").and_then(|tree| tree.is_empty()).expect("reads"));
        self.world.did("snapshot looked at");
    }

    fn how_it_went(&self, is_whole: bool) -> &'static str {
        // In memory everything can be kept. Elsewhere a blob may fall free that has left memory.
        assert!(is_whole || !matches!(self.home, Home::Memory), "{}: too old", self.world.place());
        if is_whole { "snapshot compared" } else { "snapshot too old" }
    }

    /// Compares all of one of them, and drops it.
    pub fn let_go(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let nth = self.world.random.below(self.held.len());
        let held = self.held.swap_remove(nth);
        self.trace(&format!("let go of the snapshot of operation {}", held.made.step));
        let is_whole = match self.home {
            Home::Memory if self.world.db.stats().snapshots.open as usize > self.held.len() => {
                held.compare(self.world.place());
                true
            }
            _ => held.compare_until(self.world.place(), is_too_old),
        };
        drop(held);
        let what = self.how_it_went(is_whole);
        self.world.did(what);
        if self.held.is_empty() {
            let kept = self.world.db.stats().snapshots;
            assert_eq!((kept.open, kept.kept_pages, kept.kept_bytes), (0, 0, 0), "{}", self.world.place());
        }
    }

    pub fn let_all_go(&mut self) {
        while !self.held.is_empty() {
            self.let_go();
        }
    }

    /// After closing, what a snapshot still tells is right, or it is an error.
    pub fn outlive(&mut self) {
        for held in std::mem::take(&mut self.held) {
            held.compare_until(self.world.place(), |error| {
                matches!(error, Error::Closed) || is_too_old(error)
            });
            self.world.did("snapshot after closing");
        }
    }
}

fn is_too_old(error: &Error) -> bool {
    matches!(error, Error::SnapshotTooOld)
}
