//! The directories of a set of paths, and those among them that are worth listing.
//!
//! What a listing must give is counted here from the keys alone, so that no store's answer is believed.

#![forbid(unsafe_code)]

use super::{Family, Keys};
use crate::random::Random;
use std::collections::BTreeMap;

/// Directories of one kind that are kept, at most.
const FLAT_MAX: usize = 20;
const HUNDREDS_MAX: usize = 200;
const SAMPLE_MAX: usize = 100;

/// A directory to list and what must come out: its child directories, in order.
#[derive(Clone)]
pub struct Directory {
    /// With its trailing delimiter.
    pub prefix: Vec<u8>,
    pub children: usize,
    /// Bytes of all child prefixes together.
    pub child_bytes: usize,
    /// Keys directly in it.
    pub keys: usize,
    /// Keys at any depth below it.
    pub beneath: usize,
}

impl Directory {
    /// Of the directories below `directory`, the one that is nearest to `beneath` keys.
    pub fn nearest(family: &Family, directory: &[u8], beneath: usize) -> Option<Self> {
        let keys: Keys = family.below(directory).map(|place| family.sorted.get(place)).collect();
        let below = all_directories(&keys).into_iter().filter(|found| found.prefix.len() > directory.len());
        below.min_by_key(|found| found.beneath.abs_diff(beneath))
    }
}

/// The directories of one family that are listed.
#[derive(Default)]
pub struct Directories {
    /// With exactly 100 child directories.
    pub hundreds: Vec<Directory>,
    /// The one of about 50 child directories with the most keys beneath.
    pub fifty: Option<Directory>,
    /// The largest that hold keys only.
    pub flat: Vec<Directory>,
    /// Any, drawn from all of them: mostly small ones.
    pub sample: Vec<Directory>,
}

impl Directories {
    pub fn choose(sorted: &Keys, seed: u64) -> Self {
        let mut directories = all_directories(sorted);
        let sample = sample(&directories, seed);
        let numbered = directories.iter().enumerate();
        let fifty = numbered
            .filter(|(_, directory)| (45..=55).contains(&directory.children) && directory.keys == 0)
            .max_by_key(|(_, directory)| (directory.beneath, directory.children))
            .map(|(i, _)| i)
            .map(|i| directories.swap_remove(i));
        let mut flat = Vec::new();
        let mut hundreds = Vec::new();
        for directory in directories {
            if directory.children == 0 && directory.keys >= 50 {
                flat.push(directory);
            } else if directory.children == 100 && directory.keys == 0 {
                hundreds.push(directory);
            }
        }
        flat.sort_by(|a, b| b.keys.cmp(&a.keys).then_with(|| a.prefix.cmp(&b.prefix)));
        flat.truncate(FLAT_MAX);
        // Listed in an order that is not the order of the keys.
        hundreds.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        Random::new(seed ^ 0x6869).shuffle(&mut hundreds);
        hundreds.truncate(HUNDREDS_MAX);
        Self { hundreds, fifty, flat, sample }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Directory> {
        self.hundreds.iter().chain(&self.fifty).chain(&self.flat).chain(&self.sample)
    }
}

fn sample(directories: &[Directory], seed: u64) -> Vec<Directory> {
    let mut places: Vec<usize> = (0..directories.len()).collect();
    Random::new(seed ^ 0x616E_7900).shuffle(&mut places);
    places.iter().take(SAMPLE_MAX).map(|&place| directories[place].clone()).collect()
}

/// Every directory of a sorted set of paths.
fn all_directories(sorted: &Keys) -> Vec<Directory> {
    let mut found: BTreeMap<&[u8], Directory> = BTreeMap::new();
    for key in sorted.iter() {
        let mut end = key.len();
        // The length of the directory one level deeper, if this key is the first in it.
        let mut fresh: Option<usize> = None;
        let mut deepest = true;
        while let Some(slash) = key[..end].iter().rposition(|&byte| byte == b'/') {
            let prefix = &key[..=slash];
            let mut new = false;
            let directory = found.entry(prefix).or_insert_with(|| {
                new = true;
                Directory { prefix: prefix.to_vec(), children: 0, child_bytes: 0, keys: 0, beneath: 0 }
            });
            directory.beneath += 1;
            directory.keys += usize::from(deepest);
            deepest = false;
            if let Some(child) = fresh.take() {
                directory.children += 1;
                directory.child_bytes += child;
            }
            if new {
                fresh = Some(prefix.len());
            }
            end = slash;
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_counted() {
        let keys: Keys = ["a/b/1", "a/b/2", "a/c/d/1", "a/z", "e"].into_iter().collect();
        let found = all_directories(&keys);
        let shapes = found.iter().map(|directory| {
            let prefix = std::str::from_utf8(&directory.prefix).unwrap();
            (prefix, directory.children, directory.child_bytes, directory.keys, directory.beneath)
        });
        let expected =
            [("a/", 2, 8, 1, 4), ("a/b/", 0, 0, 2, 2), ("a/c/", 1, 6, 0, 1), ("a/c/d/", 0, 0, 1, 1)];
        assert_eq!(shapes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_nearest_directory_is_found_below_another() {
        let keys =
            ["a/b/1", "a/b/2", "a/c/d/1", "a/z", "e/1", "e/2", "e/3"].map(|key| key.as_bytes().to_vec());
        let family = Family::of_paths("test", 1, keys.to_vec());
        let nearest = |directory: &str, beneath| {
            let found = Directory::nearest(&family, directory.as_bytes(), beneath);
            found.map(|found| (String::from_utf8(found.prefix).unwrap(), found.beneath))
        };
        assert_eq!(nearest("a/", 3), Some(("a/b/".to_owned(), 2)));
        assert_eq!(nearest("a/", 1), Some(("a/c/".to_owned(), 1)));
        assert_eq!(nearest("e/", 3), None);
    }
}
