//! Which write of each key was acknowledged last. Whatever a store says later is held against it.

#![forbid(unsafe_code)]

use super::work::Work;
use crate::stores::Result;
use crate::stores::disk::Session;
use std::sync::atomic::{AtomicU32, Ordering};

/// The generation of each key's value. Threads may share it, as long as each has keys of its own.
pub struct Ledger(Vec<AtomicU32>);

impl Ledger {
    /// Of a family as it was loaded.
    pub fn new(keys: usize) -> Self {
        Self((0..keys).map(|_| AtomicU32::new(0)).collect())
    }

    pub fn get(&self, id: u32) -> u32 {
        self.0[id as usize].load(Ordering::Relaxed)
    }

    pub fn set(&self, id: u32, generation: u32) {
        self.0[id as usize].store(generation, Ordering::Relaxed);
    }

    /// Puts the next value of a key, and notes it when it is acknowledged.
    pub fn put(&self, work: &Work, session: &mut impl Session, id: u32) -> Result<()> {
        let generation = self.get(id) + 1;
        session.put(work.family.sorted.get(id as usize), &work.values.make(id, generation))?;
        self.set(id, generation);
        Ok(())
    }

    /// How many keys do not have the value that was acknowledged last.
    pub fn wrong(&self, work: &Work, session: &mut impl Session) -> Result<usize> {
        let mut wrong = 0;
        for (key, id) in work.family.sorted.iter().zip(0..) {
            let expected = work.values.make(id, self.get(id));
            wrong += usize::from(session.get(key, |value| value == expected)? != Some(true));
        }
        Ok(wrong)
    }
}
