//! A list of writes in the order of their versions, and the state after each of them.

#![forbid(unsafe_code)]
// Every test file compiles this anew and uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;

use spinney::{Db, Result, Tree, Version};

pub const TREE: &str = "files";

/// One write. The value of a put follows from its size and its place in the script.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub key: u32,
    /// Bytes of the value; none to remove the key.
    pub bytes: Option<usize>,
}

pub fn put(key: u32, bytes: usize) -> Step {
    Step { key, bytes: Some(bytes) }
}

pub fn remove(key: u32) -> Step {
    Step { key, bytes: None }
}

pub fn key(number: u32) -> Vec<u8> {
    format!("directory-{}/file-{number:05}.txt", number % 7).into_bytes()
}

pub fn value(at: usize, bytes: usize) -> Vec<u8> {
    let mut value = format!("write {at} ").into_bytes();
    // Not the same byte over and over: pages that were swapped must differ.
    let mut word = at as u32;
    while value.len() < bytes {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        value.extend_from_slice(&word.to_le_bytes());
    }
    value.truncate(bytes.max(8));
    value
}

impl Step {
    pub fn run(self, tree: &Tree, at: usize) -> Result<Option<Version>> {
        match self.bytes {
            Some(bytes) => tree.put(key(self.key), value(at, bytes)).map(Some),
            None => tree.remove(key(self.key)).map(|_| None),
        }
    }
}

/// Which write each key has its value from.
pub type Shape = BTreeMap<u32, (usize, usize)>;

pub fn shape_after(steps: &[Step]) -> Shape {
    let mut shape = Shape::new();
    for (at, step) in steps.iter().enumerate() {
        match step.bytes {
            Some(bytes) => drop(shape.insert(step.key, (at, bytes))),
            None => drop(shape.remove(&step.key)),
        }
    }
    shape
}

pub fn matches(shape: &Shape, found: &BTreeMap<Vec<u8>, Vec<u8>>) -> bool {
    found.len() == shape.len()
        && shape.iter().all(|(&number, &(at, bytes))| found.get(&key(number)) == Some(&value(at, bytes)))
}

/// Everything in the tree; nothing if the tree is not there.
pub fn contents(db: &Db) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    if !db.trees()?.iter().any(|name| name == TREE) {
        return Ok(BTreeMap::new());
    }
    db.tree(TREE)?.scan("").map(|entry| entry.map(|(key, value)| (key, value.to_vec()))).collect()
}
