//! Operations of a world on whole directories: everything that begins with some bytes.

#![forbid(unsafe_code)]

use spinney::{Error, KEY_BYTES_MAX};

use super::World;
use crate::common::oracle::under;
use crate::common::short;

impl World {
    pub fn some_prefix(&mut self, at: usize) -> Vec<u8> {
        self.keys.some_prefix(&self.shelves[at].model, &mut self.random)
    }

    /// Any directory, to any place.
    pub fn move_directory(&mut self, at: usize) {
        let (from, mut to) = (self.some_prefix(at), self.some_prefix(at));
        if self.random.percent(70) {
            to.extend_from_slice(format!("{:x}", self.random.below(4_000)).as_bytes());
        }
        to.truncate(KEY_BYTES_MAX);
        self.move_prefix(at, &from, &to);
    }

    /// Moves what begins with `from`, if it can be moved: true if so.
    pub fn move_prefix(&mut self, at: usize, from: &[u8], to: &[u8]) -> bool {
        let model = &self.shelves[at].model;
        let moving = under(model, from);
        let in_the_way = under(model, to).iter().any(|key| !key.starts_with(from));
        let longest = moving.iter().map(|key| key.len() - from.len() + to.len()).max();
        let moved = self.shelves[at].tree.rename_prefix(from, to);
        let told = format!("{}: move {} to {}", self.place(), short(from), short(to));
        if to.starts_with(from) {
            assert!(matches!(moved, Err(Error::RenameIntoItself)), "{told}: {moved:?}");
            return self.refused("move into itself");
        }
        if longest.is_some_and(|longest| longest > KEY_BYTES_MAX) {
            assert!(matches!(moved, Err(Error::KeyTooLong { .. })), "{told}: {moved:?}");
            return self.refused("move to keys too long");
        }
        if moving.is_empty() {
            assert!(matches!(moved, Ok(None)), "{told}: {moved:?}");
            return self.refused("move of nothing");
        }
        if in_the_way {
            assert!(matches!(moved, Err(Error::TargetExists)), "{told}: {moved:?}");
            return self.refused("move to where keys are");
        }
        let version = moved.expect("moves").unwrap_or_else(|| panic!("{told}: nothing there"));
        self.wrote("move", from, version.number());
        let model = &mut self.shelves[at].model;
        for key in moving {
            // Versions move along.
            let entry = model.remove(&key).expect("was listed");
            model.insert([to, &key[from.len()..]].concat(), entry);
        }
        true
    }

    pub fn remove_directory(&mut self, at: usize) {
        let prefix = self.some_prefix(at);
        let gone = under(&self.shelves[at].model, &prefix);
        // Now and then nearly everything, else the trees would never grow.
        if gone.len() > 400 && self.random.percent(90) {
            return;
        }
        let removed = self.shelves[at].tree.remove_prefix(&prefix).expect("removes");
        assert_eq!(removed.is_some(), !gone.is_empty(), "{}: remove all of {}", self.place(), short(&prefix));
        if let Some(version) = removed {
            self.wrote("remove all of", &prefix, version.number());
        }
        for key in gone {
            self.shelves[at].model.remove(&key);
        }
    }
}
