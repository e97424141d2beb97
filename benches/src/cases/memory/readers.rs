//! Readers: several threads that get at once, and nobody writes.

#![forbid(unsafe_code)]

use super::gets;
use super::verify::none_wrong;
use super::world::World;
use crate::keys::{Queries, Values};
use crate::measure::{self, Rate};
use crate::stores::{Result, Store};
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

/// How long the phases with threads go on.
const THREAD_TIME: Duration = Duration::from_millis(250);
/// Gets between two looks at the clock.
const GETS_PER_STEP: usize = 256;

/// The gets of all threads together. All are warm before the first one's clock starts.
pub fn together<S: Store>(store: &S, world: &World, threads: usize) -> Result<Rate> {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let reader = |queries| {
            let barrier = &barrier;
            scope.spawn(move || {
                let warm = gets::warm(store, queries);
                // Waits also after an error: the others would wait for this one for ever.
                barrier.wait();
                warm?;
                read("get in a thread", queries, |key, id| store.get(key, |value| Values::belongs(value, id)))
            })
        };
        let handles: Vec<_> = world.readers.iter().cycle().take(threads).map(reader).collect();
        let mut total = Rate::default();
        for handle in handles {
            total = total + handle.join().map_err(|_| "a reader panicked")??;
        }
        Ok(total)
    })
}

/// What one thread reads. `get` says whether the value belongs to the number, if there is one.
pub fn read(what: &str, queries: &Queries, get: impl Fn(&[u8], u32) -> Result<Option<bool>>) -> Result<Rate> {
    let never = AtomicBool::new(false);
    let mut at = 0;
    measure::rate(THREAD_TIME, &never, || {
        let mut wrong = 0;
        for _ in 0..GETS_PER_STEP {
            let (key, id) = queries.get(at % queries.len());
            at += 1;
            wrong += usize::from(get(key, id)? != Some(true));
        }
        none_wrong(what, wrong)?;
        Ok(GETS_PER_STEP)
    })
}
