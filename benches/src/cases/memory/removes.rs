//! Removals: keys in random order. They are put again outside of the clock, so that there are more rounds.

#![forbid(unsafe_code)]

use super::gets;
use super::verify::{entries_in_order, none_wrong};
use super::world::World;
use crate::measure::nanos_per_op;
use crate::stores::{Error, Result, Store};

/// Nanoseconds per removal. `fresh_used` of the fresh keys are in the store as well.
pub fn time<S: Store>(store: &mut S, world: &World, fresh_used: usize) -> Result<f64> {
    gets::warm(store, &world.readers[0])?;
    let mut wrong = 0;
    let nanos = nanos_per_op(|| {
        for (key, _) in world.removals.iter() {
            wrong += usize::from(!store.remove(key)?);
        }
        Ok::<_, Error>(world.removals.len())
    })?;
    none_wrong("remove", wrong)?;
    gets::misses(store, &world.removals, usize::MAX)?;
    let expected = world.family.len() + fresh_used - world.removals.len();
    let entries = entries_in_order(store)?;
    if entries != expected {
        return Err(format!("after the removals: {entries} entries of {expected}").into());
    }
    for (key, id) in world.removals.iter() {
        store.put(key, &world.values.make(id, 0))?;
    }
    Ok(nanos)
}
