//! Puts: a new store, filled with the whole family in one order.

#![forbid(unsafe_code)]

use super::world::{Order, World};
use crate::measure::{self, nanos_per_op};
use crate::stores::{Error, Place, Result, Shape, Store};

/// A store that holds the family.
pub struct Built<S> {
    pub store: S,
    /// What the allocator gave to the store, where it says so.
    allocated: Option<u64>,
}

impl<S: Store> Built<S> {
    /// What the store says about its form, with the allocator's word where it does not know its bytes.
    pub fn shape(&self) -> Result<Shape> {
        let mut shape = self.store.shape()?;
        shape.bytes = shape.bytes.or(self.allocated);
        Ok(shape)
    }
}

/// Also gives the nanoseconds per put.
pub fn build<S: Store>(world: &World, order: Order) -> Result<(Built<S>, f64)> {
    let before = measure::allocated();
    let mut store = S::open(Place::Memory { raw_bytes: world.family.raw_bytes() })?;
    let nanos = nanos_per_op(|| {
        let queries = world.in_order(order);
        for (key, id) in queries.iter() {
            store.put(key, &world.values.make(id, 0))?;
        }
        Ok::<_, Error>(queries.len())
    })?;
    let after = measure::allocated();
    let allocated = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    Ok((Built { store, allocated }, nanos))
}
