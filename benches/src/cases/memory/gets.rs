//! Gets of one thread: keys that are there, the same into a buffer and 32 at once, and keys that are not
//! there.
//!
//! Each answer is verified within the timed loop, so that no store is fast by being wrong.

#![forbid(unsafe_code)]

use super::verify::none_wrong;
use super::world::World;
use crate::keys::{Queries, VALUE_LEN, Values};
use crate::measure::nanos_per_op;
use crate::stores::{Result, Store};

/// Queries before the clock starts.
const WARM: usize = 40_000;
/// Keys of one call, where many are asked for at once.
const AT_ONCE: usize = 32;

/// Reads for a while, so that the clock does not see what the phase before left in the caches.
pub fn warm<S: Store>(store: &S, queries: &Queries) -> Result<()> {
    hits(store, queries, WARM).map(|_| ())
}

pub fn time_hits<S: Store>(store: &S, world: &World) -> Result<f64> {
    warm(store, &world.readers[0])?;
    nanos_per_op(|| hits(store, &world.hits, usize::MAX))
}

pub fn time_hits_into<S: Store>(store: &S, world: &World) -> Result<f64> {
    hits_into(store, &world.readers[0], WARM)?;
    nanos_per_op(|| hits_into(store, &world.hits, usize::MAX))
}

pub fn time_many<S: Store>(store: &S, world: &World) -> Result<f64> {
    many(store, &world.readers[0], WARM)?;
    nanos_per_op(|| many(store, &world.hits, usize::MAX))
}

pub fn time_misses<S: Store>(store: &S, world: &World) -> Result<f64> {
    warm(store, &world.readers[0])?;
    nanos_per_op(|| misses(store, &world.misses, usize::MAX))
}

/// Asks for the first `limit` keys, which must all be there; how many these are.
pub fn hits<S: Store>(store: &S, queries: &Queries, limit: usize) -> Result<usize> {
    let mut wrong = 0;
    for (key, id) in queries.iter().take(limit) {
        let right = store.get(key, |value| Values::belongs(value, id))?;
        wrong += usize::from(right != Some(true));
    }
    none_wrong("get", wrong)?;
    Ok(limit.min(queries.len()))
}

/// The same, into a buffer.
pub fn hits_into<S: Store>(store: &S, queries: &Queries, limit: usize) -> Result<usize> {
    let mut wrong = 0;
    let mut buffer = Vec::with_capacity(2 * VALUE_LEN);
    for (key, id) in queries.iter().take(limit) {
        let right = store.get_into(key, &mut buffer)? && Values::belongs(&buffer, id);
        wrong += usize::from(!right);
    }
    none_wrong("get into a buffer", wrong)?;
    Ok(limit.min(queries.len()))
}

/// The same, many at once.
pub fn many<S: Store>(store: &S, queries: &Queries, limit: usize) -> Result<usize> {
    let mut wrong = 0;
    let mut asked = queries.iter().take(limit);
    let (mut keys, mut ids) = (Vec::with_capacity(AT_ONCE), Vec::with_capacity(AT_ONCE));
    loop {
        keys.clear();
        ids.clear();
        for (key, id) in asked.by_ref().take(AT_ONCE) {
            keys.push(key);
            ids.push(id);
        }
        if keys.is_empty() {
            break;
        }
        let mut right = 0;
        store.get_many(&keys, |place, value| right += usize::from(Values::belongs(value, ids[place])))?;
        wrong += keys.len() - right;
    }
    none_wrong("get many", wrong)?;
    Ok(limit.min(queries.len()))
}

/// Asks for the first `limit` keys, none of which may be there.
pub fn misses<S: Store>(store: &S, queries: &Queries, limit: usize) -> Result<usize> {
    let mut wrong = 0;
    for (key, _) in queries.iter().take(limit) {
        wrong += usize::from(store.get(key, |_| ())?.is_some());
    }
    none_wrong("get miss", wrong)?;
    Ok(limit.min(queries.len()))
}
