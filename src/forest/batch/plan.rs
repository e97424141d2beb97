//! The keys of a batch in order, so that each is looked for once, and those of one blob lie side by side.

#![forbid(unsafe_code)]

use std::ops::Range;

use super::{Batch, Step, What};
use crate::forest::scan::successor;
use crate::log::batch::Writes;

/// See the head of this file.
pub(super) struct Plan<'p> {
    pub(super) batch: &'p Batch,
    /// What goes into the log; none if the batch only looks.
    pub(super) writes: Option<Writes<'p>>,
    /// All keys, each once.
    pub(super) keys: Vec<&'p [u8]>,
    /// For each step the index of its key, and of the new key of a rename.
    places: Vec<[u32; 2]>,
    /// The prefixes that have to be empty, in the order of their steps.
    pub(super) prefixes: Vec<&'p [u8]>,
}

impl<'p> Plan<'p> {
    pub(super) fn new(batch: &'p Batch) -> Self {
        let mut all: Vec<(&'p [u8], u32, usize)> = Vec::with_capacity(batch.steps.len());
        let mut prefixes = Vec::new();
        for (index, step) in batch.steps.iter().enumerate() {
            match step.what {
                What::Empty => prefixes.push(batch.first(step)),
                _ => all.push((batch.first(step), index as u32, 0)),
            }
            if step.what == What::Rename {
                all.push((batch.second(step), index as u32, 1));
            }
        }
        all.sort_unstable();
        let mut keys: Vec<&'p [u8]> = Vec::with_capacity(all.len());
        let mut places = vec![[0; 2]; batch.steps.len()];
        for (key, step, part) in all {
            if keys.last() != Some(&key) {
                keys.push(key);
            }
            places[step as usize][part] = keys.len() as u32 - 1;
        }
        Plan { batch, writes: Writes::decode(&batch.writes), keys, places, prefixes }
    }

    /// The steps in order, with the places of their keys.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&'p Step, [usize; 2])> {
        self.batch.steps.iter().zip(&self.places).map(|(step, place)| (step, place.map(|it| it as usize)))
    }

    /// The keys that begin with `prefix`.
    pub(super) fn keys_under(&self, prefix: &[u8]) -> Range<usize> {
        let start = self.keys.partition_point(|&key| key < prefix);
        let end = successor(prefix);
        let end = end.map_or(self.keys.len(), |end| self.keys.partition_point(|&key| key < end.as_slice()));
        start..end
    }
}
