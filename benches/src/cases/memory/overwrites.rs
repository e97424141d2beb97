//! Overwrites: values replaced by others of the same length.

#![forbid(unsafe_code)]

use super::gets;
use super::verify::none_wrong;
use super::world::World;
use crate::measure::nanos_per_op;
use crate::stores::{Error, Result, Store};

/// Nanoseconds per overwrite. The generation must be another in each round, or a store that writes nothing
/// would go unnoticed.
pub fn time<S: Store>(store: &mut S, world: &World, generation: u32) -> Result<f64> {
    gets::warm(store, &world.readers[0])?;
    let nanos = nanos_per_op(|| {
        for (key, id) in world.overwrites.iter() {
            store.overwrite(key, &world.values.make(id, generation))?;
        }
        Ok::<_, Error>(world.overwrites.len())
    })?;
    let mut wrong = 0;
    for (key, id) in world.overwrites.iter() {
        let right = store.get(key, |value| value == world.values.make(id, generation))?;
        wrong += usize::from(right != Some(true));
    }
    none_wrong("overwrite", wrong)?;
    Ok(nanos)
}
