//! Processor time and time on the wall.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whose time a [`Clock`] counts.
#[derive(Clone, Copy)]
pub enum Whose {
    /// All threads of this process. For phases of one thread that never waits: what the neighbours
    /// of a shared machine take is left out, what a store does in the background is not.
    Process,
    /// This thread.
    Thread,
}

/// Processor time, or time on the wall where there is no such clock or `--wall` was given.
pub struct Clock {
    whose: Whose,
    wall: Instant,
    processor: Option<Duration>,
}

static WALL: AtomicBool = AtomicBool::new(false);

/// From now on every clock is one on the wall.
pub fn use_wall() {
    WALL.store(true, Ordering::Relaxed);
}

impl Clock {
    pub fn start(whose: Whose) -> Self {
        Self { whose, processor: processor_time(whose), wall: Instant::now() }
    }

    pub fn elapsed(&self) -> Duration {
        let wall = self.wall.elapsed();
        match self.processor.zip(processor_time(self.whose)) {
            Some((start, now)) if now > start => now - start,
            _ => wall,
        }
    }
}

fn processor_time(whose: Whose) -> Option<Duration> {
    if WALL.load(Ordering::Relaxed) {
        return None;
    }
    #[cfg(unix)]
    {
        let id = match whose {
            Whose::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
            Whose::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
        };
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid place for the answer.
        let failed = unsafe { libc::clock_gettime(id, &raw mut time) } != 0;
        (!failed).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }
    #[cfg(not(unix))]
    {
        let _ = whose;
        None
    }
}

/// Runs `work`, which says how many operations it did; gives nanoseconds of the processor per
/// operation.
pub fn nanos_per_op<E>(work: impl FnOnce() -> Result<usize, E>) -> Result<f64, E> {
    let clock = Clock::start(Whose::Process);
    let operations = std::hint::black_box(work()?);
    Ok(clock.elapsed().as_nanos() as f64 / operations.max(1) as f64)
}
