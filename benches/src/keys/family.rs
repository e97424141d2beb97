//! One data set: its keys in order, and what lies below a prefix of them.
//!
//! The keys are sorted and without duplicates from the beginning, because the number of a key is its place
//! among them, and every value carries that number.

#![forbid(unsafe_code)]

use super::directories::Directories;
use super::{Keys, VALUE_LEN};

pub struct Family {
    pub name: &'static str,
    pub seed: u64,
    /// Sorted, without duplicates. The number of a key is its place here.
    pub sorted: Keys,
    /// Are the keys paths? If not, there is nothing to list.
    pub is_paths: bool,
    pub directories: Directories,
    /// Lines of a file that became no keys, because they were too long.
    pub too_long: usize,
}

impl Family {
    /// A family of paths, with the directories that are worth listing.
    pub(super) fn of_paths(name: &'static str, seed: u64, keys: Vec<Vec<u8>>) -> Self {
        let sorted = sorted(keys);
        let directories = Directories::choose(&sorted, seed);
        Self { name, seed, sorted, is_paths: true, directories, too_long: 0 }
    }

    /// A family of keys that are no paths: a delimiter in one means nothing.
    pub(super) fn of_bytes(name: &'static str, seed: u64, keys: Vec<Vec<u8>>) -> Self {
        Self {
            name,
            seed,
            sorted: sorted(keys),
            is_paths: false,
            directories: Directories::default(),
            too_long: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Key and value bytes of all entries together.
    pub fn raw_bytes(&self) -> usize {
        self.sorted.total_bytes() + self.len() * VALUE_LEN
    }

    /// What one level below `prefix` holds, found by walking all keys beneath.
    pub fn children(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut children: Vec<Vec<u8>> = Vec::new();
        for at in self.sorted.lower_bound(prefix)..self.len() {
            let key = self.sorted.get(at);
            let Some(rest) = key.strip_prefix(prefix) else {
                break;
            };
            let delimiter = rest.iter().position(|&byte| byte == b'/');
            let end = delimiter.map_or(key.len(), |at| prefix.len() + at + 1);
            if children.last().is_none_or(|last| *last != key[..end]) {
                children.push(key[..end].to_vec());
            }
        }
        children
    }
}

fn sorted(mut keys: Vec<Vec<u8>>) -> Keys {
    keys.sort_unstable();
    keys.dedup();
    keys.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_once_and_in_order() {
        let keys = ["b/1", "a/y/1", "a/x", "a/y/2", "a/x", "a", "a/z/1"].map(|key| key.as_bytes().to_vec());
        let family = Family::of_paths("test", 1, keys.to_vec());
        assert_eq!(family.len(), 6);
        assert_eq!(family.children(b"a/"), [&b"a/x"[..], b"a/y/", b"a/z/"]);
        assert_eq!(family.children(b""), [&b"a"[..], b"a/", b"b/"]);
        assert!(family.children(b"c/").is_empty());
    }
}
