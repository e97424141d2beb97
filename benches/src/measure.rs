//! Clocks and medians.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The measurements of one thing, one a round.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

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

/// The order in which round `round` visits `n` contestants: nobody is always first.
pub fn order(round: usize, n: usize) -> impl Iterator<Item = usize> {
    (0..n).map(move |i| (i + round) % n)
}

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

/// Bytes that the allocator has handed out and not got back, where it can say so.
pub fn allocated() -> Option<u64> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: mallinfo2 has no preconditions; it only sums the counters of the arenas.
        let info = unsafe { libc::mallinfo2() };
        Some((info.uordblks + info.hblkhd) as u64)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

/// How busy the machine was with other things.
pub struct Neighbours {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    start: Option<(f64, f64, f64)>,
}

impl Neighbours {
    pub fn watch() -> Self {
        Self { start: Self::now() }
    }

    /// The share of all processors' time since `watch` that went to other processes.
    pub fn share(&self) -> Option<f64> {
        let (busy, all, own) = self.start?;
        let (busy_now, all_now, own_now) = Self::now()?;
        let share = ((busy_now - busy) - (own_now - own)) / (all_now - all);
        share.is_finite().then_some(share.max(0.0))
    }

    /// Busy and all seconds of the machine, busy seconds of this process.
    #[cfg(target_os = "linux")]
    fn now() -> Option<(f64, f64, f64)> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let ticks: Vec<f64> =
            stat.lines().next()?.split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        let own: Vec<f64> =
            own.rsplit_once(')')?.1.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
        let all: f64 = ticks.iter().sum();
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some((all - idle, all, own.iter().sum()))
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Option<(f64, f64, f64)> {
        None
    }
}
