//! A reader beside a writer: what the one costs the other.

#![forbid(unsafe_code)]

use super::readers;
use super::world::World;
use crate::keys::Values;
use crate::measure::{self, Rate};
use crate::stores::{Result, Shared, Store};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Puts between two looks at the clock.
const PUTS_PER_STEP: usize = 64;
/// One put in so many adds a key, while there are any left; the others overwrite.
const PUTS_PER_FRESH: usize = 8;

pub struct Beside {
    /// The reader with the same shared form, but no writer.
    pub alone: Rate,
    /// The reader while the writer writes.
    pub beside: Rate,
    pub writer: Rate,
}

/// `fresh_used` is how many of the fresh keys are in the store, and goes on to be; the writer may use up to
/// `share` of them.
pub fn reader_beside_writer<S: Store>(
    store: &mut S,
    world: &World,
    share: f64,
    fresh_used: &mut usize,
) -> Result<Beside> {
    let limit = (world.fresh.len() as f64 * share) as usize;
    let shared = store.share();
    let reader = || {
        readers::read("get beside a writer", &world.readers[0], |key, id| {
            shared.get(key, |value| Values::belongs(value, id))
        })
    };
    // Both ways on a thread of its own, so that only the writer differs.
    let alone = thread::scope(|scope| scope.spawn(reader).join().map_err(|_| "a reader panicked")?)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&shared, world, limit, fresh_used, &over));
        let beside = scope.spawn(reader).join();
        over.store(true, Ordering::Relaxed);
        let writer = writer.join().map_err(|_| "a writer panicked")??;
        Ok(Beside { alone, beside: beside.map_err(|_| "a reader panicked")??, writer })
    })
}

fn write(
    shared: &impl Shared,
    world: &World,
    limit: usize,
    fresh_used: &mut usize,
    over: &AtomicBool,
) -> Result<Rate> {
    let mut at = 0;
    measure::rate(Duration::MAX, over, || {
        for i in 0..PUTS_PER_STEP {
            let (key, id) = if i % PUTS_PER_FRESH == 0 && *fresh_used < limit {
                *fresh_used += 1;
                world.fresh.get(*fresh_used - 1)
            } else {
                at += 1;
                world.overwrites.get(at % world.overwrites.len())
            };
            shared.put(key, &world.values.make(id, at as u32))?;
        }
        Ok(PUTS_PER_STEP)
    })
}
