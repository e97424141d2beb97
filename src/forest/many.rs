//! Many lookups at once: each takes a step in turn, so that their waits for memory overlap; and what is not
//! in memory is read for all of them as one batch.
//!
//! Each lookup is validated by itself, like a single one: the answers need not be of one moment.

#![forbid(unsafe_code)]

use super::Forest;
use super::read::{Get, Tried, value_of};
use super::route::Route;
use crate::art::find::{Descent, Pause};
use crate::blob::{Key, Torn};
use crate::error::Result;
use crate::store::residency::{Fault, merge};

/// Lookups that are under way together. (At a million keys in memory: 287 ns a key, one by one 478. What is
/// left is no waiting: 1,990 instructions a key, 1,520 one by one, a quarter of them to allocate the value.)
pub(crate) const GROUP: usize = 32;

/// Lookups whose missing pages are read as one batch: the longer it is, the less a disk waits at its end.
/// With what all of them want at most, what was read for the first is not pushed out again.
const BATCH: usize = 3 * GROUP;

/// After so many batches of loading, what is still missing is looked up one by one: the cache is too small
/// for the group.
const BATCHES_MAX: u32 = 4;

const _: () = assert!(GROUP == u32::BITS as usize);

/// A value and its version.
pub(crate) type Found = Option<(Vec<u8>, u64)>;

/// A lookup under way.
struct Lookup<'a> {
    index: usize,
    route: Route<'a>,
    descent: Descent,
}

/// In a smaller cache a group is a batch: what several threads want at once must find room together.
const BATCH_BUDGET_PAGES: u64 = 4096;

impl Forest {
    /// How many keys are to be looked up at once.
    pub(crate) fn keys_in_batch(&self) -> usize {
        match &self.store.residency {
            Some(residency) if residency.budget_pages < BATCH_BUDGET_PAGES => GROUP,
            _ => BATCH,
        }
    }

    /// Looks up at most a batch of keys. Answers are put where the keys are; they begin as none.
    pub(crate) fn get_batch(&self, keys: &[Key<'_>], answers: &mut [Found]) -> Result<()> {
        let (open, _) = self.try_batch(keys, answers)?;
        for index in open {
            let mut value = Vec::new();
            let version = self.get(&keys[index], &mut value)?;
            answers[index] = version.map(|version| (value, version));
        }
        Ok(())
    }

    /// Brings at most a batch of keys into memory, or the places where they would be, if nothing hinders it.
    /// Whether anything was missing.
    pub(super) fn load_batch(&self, keys: &[Key<'_>]) -> bool {
        let mut answers: Vec<Found> = vec![None; keys.len()];
        self.try_batch(keys, &mut answers).is_ok_and(|(_, was_missing)| was_missing)
    }

    /// Keys that have no answer yet, after some tries, and whether anything had to be loaded.
    fn try_batch(&self, keys: &[Key<'_>], answers: &mut [Found]) -> Result<(Vec<usize>, bool)> {
        let mut open: Vec<usize> = (0..keys.len()).collect();
        let mut was_missing = false;
        for _ in 0..BATCHES_MAX {
            let mut faults = Vec::new();
            let mut again = Vec::new();
            for group in open.chunks(GROUP) {
                again.extend(self.try_group(keys, group, answers, &mut faults)?);
            }
            open = again;
            if faults.is_empty() {
                break;
            }
            was_missing = true;
            if self.store.load(&merge(faults)).is_err() {
                // A lookup of its own tells which key it is about; or that it was an old way.
                break;
            }
        }
        Ok((open, was_missing))
    }

    /// One try for each key; the keys that have no answer yet.
    fn try_group(
        &self,
        keys: &[Key<'_>],
        open: &[usize],
        answers: &mut [Found],
        faults: &mut Vec<Fault>,
    ) -> Result<Vec<usize>> {
        let mut again = Vec::new();
        let mut lookups = Vec::with_capacity(open.len());
        for &index in open {
            let mut route = match self.start() {
                Ok(route) => route,
                // Nothing but a lookup of its own can tell why.
                Err(_) => return Ok(open.to_vec()),
            };
            match route.find(self, &keys[index]) {
                Ok(()) => {
                    let descent = Descent::new(route.frame.words, route.root, route.base);
                    lookups.push(Lookup { index, route, descent });
                }
                found => {
                    let mut value = Vec::new();
                    let mut reading = Get::new(&keys[index], &mut value);
                    match self.try_reading(&mut reading, &route, found)? {
                        // A lookup of its own goes on from there.
                        Tried::Done(_) if reading.is_pointer => again.push(index),
                        Tried::Done(version) => answers[index] = version.map(|version| (value, version)),
                        Tried::Restart => again.push(index),
                        Tried::Fault(fault) => {
                            faults.push(fault);
                            again.push(index);
                        }
                    }
                }
            }
        }
        // One bit for each that is under way: moving those that are left would cost more.
        let mut live = if lookups.is_empty() { 0 } else { u32::MAX >> (GROUP - lookups.len()) };
        while live != 0 {
            let mut turn = live;
            while turn != 0 {
                let at = turn.trailing_zeros() as usize;
                turn &= turn - 1;
                let Lookup { index, route, descent } = &mut lookups[at];
                let words = route.frame.words;
                let found = match descent.advance(words, &keys[*index]) {
                    Ok(Pause::Again) => continue,
                    Ok(Pause::Found(Some(leaf))) if leaf.is_pointer() => None,
                    Ok(Pause::Found(leaf)) => Some(leaf.map(|leaf| (value_of(words, leaf), leaf.seq(words)))),
                    Err(Torn) => None,
                };
                live &= !(1 << at);
                match found {
                    Some(found) if route.is_unchanged() => answers[*index] = found,
                    // Changed, corrupt, or a long value: a lookup of its own finds out.
                    _ => again.push(*index),
                }
            }
        }
        Ok(again)
    }
}
