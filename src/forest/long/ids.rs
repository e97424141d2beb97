//! Ids for all long values of one bulk load: the keys of their parts, and no others, begin with one prefix.
//! So the parts are tied in as the keys of the load are, and nobody knows of them before.

#![forbid(unsafe_code)]

use super::{Pointer, part_key, parts_prefix};
use crate::error::{Error, Result};
use crate::forest::Forest;

/// Bytes at the end of an id that count within a block.
const COUNTER_BYTES: usize = 4;

/// See the head of this file.
pub(crate) struct IdBlock {
    first: u64,
    taken: u64,
}

impl IdBlock {
    /// One that nobody has had. It was prepared for long values before.
    pub(crate) fn fresh(forest: &Forest) -> Self {
        IdBlock { first: forest.store.long.fresh_block(8 * COUNTER_BYTES as u32), taken: 0 }
    }

    /// Where the next value is to lie, which has so many bytes.
    pub(crate) fn next(&mut self, forest: &Forest, value_bytes: usize) -> Result<Pointer> {
        if self.taken >> (8 * COUNTER_BYTES) != 0 {
            return Err(Error::OutOfSpace { limit_blobs: forest.store.ids.in_use().0 });
        }
        let id = self.first + self.taken;
        self.taken += 1;
        Ok(forest.pointer(id, value_bytes))
    }

    /// What the keys of all parts begin with, if this is one of them.
    pub(crate) fn prefix_of(part_key: &[u8]) -> Vec<u8> {
        let prefix_bytes = parts_prefix(0).len() - COUNTER_BYTES;
        part_key[..prefix_bytes].to_vec()
    }
}

impl Pointer {
    /// The parts of a value in their order: the key of each, and its bytes.
    pub(crate) fn parts_of(self, value: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
        let parts = (0..).zip(value.chunks(self.part_bytes as usize));
        parts.map(move |(part, bytes)| (part_key(self.id, part), bytes))
    }
}

impl Forest {
    /// Where a value of so many bytes lies under an id.
    pub(super) fn pointer(&self, id: u64, value_bytes: usize) -> Pointer {
        Pointer { id, length_bytes: value_bytes as u32, part_bytes: self.part_bytes() as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::Shape;

    #[test]
    fn all_parts_of_a_block_and_no_others_begin_with_one_prefix() {
        let forest = Forest::new(0, Shape::default()).unwrap();
        forest.prepare_long().unwrap();
        let mut block = IdBlock::fresh(&forest);
        let (first, second) = (block.next(&forest, 200_000).unwrap(), block.next(&forest, 70_000).unwrap());
        let alone = forest.store.long.fresh_ids(1);
        let mut other = IdBlock::fresh(&forest);
        let prefix = IdBlock::prefix_of(&part_key(first.id, 0));
        let keys = first.parts_of(&[0; 200_000]).chain(second.parts_of(&[0; 70_000]));
        let keys: Vec<Vec<u8>> = keys.map(|(key, _)| key).collect();
        assert_eq!(keys.len(), 4 + 2);
        assert!(keys.is_sorted() && keys.iter().all(|key| key.starts_with(&prefix)));
        for id in [alone, other.next(&forest, 1).unwrap().id, first.id - 1] {
            assert!(!part_key(id, 0).starts_with(&prefix), "{id}");
        }
    }
}
