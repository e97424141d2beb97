//! A data set and all questions about it, laid out before any clock starts, so that the harness itself costs
//! little. Must know nothing of the stores.

#![forbid(unsafe_code)]

use crate::keys::{Family, Page, Queries, Values};

/// Queries of one timed loop.
const QUERIES: usize = 200_000;
/// Reading threads, at most.
pub const READERS_MAX: usize = 2;

/// In which order the keys were put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Random,
    Sorted,
}

pub struct World {
    pub family: Family,
    pub values: Values,
    shuffled: Queries,
    ordered: Queries,
    pub hits: Queries,
    pub misses: Queries,
    pub overwrites: Queries,
    /// Keys that are removed and put again.
    pub removals: Queries,
    pub pages: Vec<Page>,
    /// One list for each reading thread.
    pub readers: Vec<Queries>,
    /// Keys that the writer beside the reader adds.
    pub fresh: Queries,
}

impl World {
    pub fn new(family: Family) -> Self {
        Self {
            values: Values::new(family.seed),
            shuffled: family.shuffled(),
            ordered: family.ordered(),
            hits: family.uniform(QUERIES, 1),
            misses: family.near_misses(QUERIES, 2),
            overwrites: family.uniform(QUERIES, 3),
            removals: family.distinct((family.len() / 4).clamp(1, QUERIES), 5),
            pages: family.pages(),
            readers: (0..READERS_MAX as u64).map(|i| family.uniform(QUERIES, 10 + i)).collect(),
            fresh: family.near_misses((family.len() / 5).max(1), 4),
            family,
        }
    }

    /// Every key once, in this order.
    pub fn in_order(&self, order: Order) -> &Queries {
        match order {
            Order::Random => &self.shuffled,
            Order::Sorted => &self.ordered,
        }
    }
}
