//! Updates of random keys, the same in every process, so that one process can verify what another put.

#![forbid(unsafe_code)]

use super::ledger::Ledger;
use super::work::Work;
use crate::random::Random;
use crate::stores::Result;
use crate::stores::disk::Session;

/// An endless row of updates of one data set.
pub struct Updates {
    random: Random,
    keys: usize,
    pub ledger: Ledger,
}

impl Updates {
    pub fn new(work: &Work) -> Self {
        let keys = work.family.len();
        Self { random: Random::new(work.family.seed ^ 0x7570_6474), keys, ledger: Ledger::new(keys) }
    }

    /// Puts the next `count` of them; how many bytes of keys and values these are.
    pub fn put(&mut self, work: &Work, session: &mut impl Session, count: usize) -> Result<usize> {
        let mut bytes = 0;
        for _ in 0..count {
            let id = self.next_id();
            self.ledger.put(work, session, id)?;
            bytes += work.family.sorted.get(id as usize).len() + crate::keys::VALUE_LEN;
        }
        Ok(bytes)
    }

    /// The next `count` of them were put by somebody else.
    pub fn pass(&mut self, count: usize) {
        for _ in 0..count {
            let id = self.next_id();
            self.ledger.set(id, self.ledger.get(id) + 1);
        }
    }

    pub fn next_id(&mut self) -> u32 {
        self.random.below(self.keys) as u32
    }
}
