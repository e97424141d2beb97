//! Operations of a world on whole directories: everything that begins with some bytes.

#![forbid(unsafe_code)]

use spinney::{Error, KEY_BYTES_MAX};

use super::World;
use crate::common::oracle::Model;
use crate::common::short;

/// The keys that begin with `prefix`.
fn under(model: &Model, prefix: &[u8]) -> Vec<Vec<u8>> {
    let from = model.range::<[u8], _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
    from.map(|(key, _)| key.clone()).take_while(|key| key.starts_with(prefix)).collect()
}

impl World {
    /// The beginning of a key: mostly a directory, else it ends anywhere.
    fn some_prefix(&mut self, at: usize) -> Vec<u8> {
        let mut key = self.some_key(at);
        let slashes: Vec<usize> = (0..key.len()).filter(|&index| key[index] == b'/').collect();
        let end = match slashes.is_empty() || self.random.percent(30) {
            true => self.random.below(key.len() + 1),
            false => *self.random.pick(&slashes) + 1,
        };
        key.truncate(end);
        key
    }

    pub(super) fn move_directory(&mut self, at: usize) {
        let (from, mut to) = (self.some_prefix(at), self.some_prefix(at));
        if self.random.percent(70) {
            to.extend_from_slice(format!("{:x}", self.random.below(4_000)).as_bytes());
        }
        let model = &self.shelves[at].model;
        let moving = under(model, &from);
        let in_the_way = under(model, &to).iter().any(|key| !key.starts_with(&from));
        let longest = moving.iter().map(|key| key.len() - from.len() + to.len()).max();
        let moved = self.shelves[at].tree.rename_prefix(&from, &to);
        let told = format!("{}: move {} to {}", self.place(), short(&from), short(&to));
        if to.starts_with(&from) {
            return assert!(matches!(moved, Err(Error::RenameIntoItself)), "{told}: {moved:?}");
        }
        if longest.is_some_and(|longest| longest > KEY_BYTES_MAX) {
            return assert!(matches!(moved, Err(Error::KeyTooLong { .. })), "{told}: {moved:?}");
        }
        if moving.is_empty() {
            return assert!(matches!(moved, Ok(None)), "{told}: {moved:?}");
        }
        if in_the_way {
            return assert!(matches!(moved, Err(Error::TargetExists)), "{told}: {moved:?}");
        }
        let version = moved.expect("moves").unwrap_or_else(|| panic!("{told}: nothing there"));
        self.wrote("move", &from, version.number());
        let model = &mut self.shelves[at].model;
        for key in moving {
            // Versions move along.
            let entry = model.remove(&key).expect("was listed");
            model.insert([&to, &key[from.len()..]].concat(), entry);
        }
    }

    pub(super) fn remove_directory(&mut self, at: usize) {
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

    pub(super) fn count(&mut self, at: usize) {
        let prefix = self.some_prefix(at);
        let expected = under(&self.shelves[at].model, &prefix).len() as u64;
        let counted = self.shelves[at].tree.count(&prefix).expect("counts");
        assert_eq!(counted, expected, "{}: count {}", self.place(), short(&prefix));
    }
}
