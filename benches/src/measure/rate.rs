//! How many operations a thread does in a time, by both clocks at once.

#![forbid(unsafe_code)]

use super::{Clock, Whose};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Millions of operations per second of one thread.
#[derive(Clone, Copy, Default)]
pub struct Rate {
    /// By the clock on the wall.
    pub wall: f64,
    /// By the thread's processor time: waiting does not count, neither for a lock nor because
    /// other processes have the processors.
    pub busy: f64,
}

impl std::ops::Add for Rate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, busy: self.busy + other.busy }
    }
}

/// Repeats `step`, which says how many operations it did, until the time is over or `stop` is set.
pub fn rate<E>(
    time: Duration,
    stop: &AtomicBool,
    mut step: impl FnMut() -> Result<usize, E>,
) -> Result<Rate, E> {
    let start = Instant::now();
    let busy = Clock::start(Whose::Thread);
    let mut operations = 0;
    loop {
        operations += step()?;
        let elapsed = start.elapsed();
        if elapsed >= time || stop.load(Ordering::Relaxed) {
            let millions = operations as f64 / 1e6;
            return Ok(Rate {
                wall: millions / elapsed.as_secs_f64(),
                busy: millions / busy.elapsed().as_secs_f64(),
            });
        }
    }
}
