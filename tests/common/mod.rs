//! What the integration tests share: seeded random numbers, settings, keys that hurt, an oracle.
//!
//! Nothing here may know more of the crate than its face, but for `image`, which knows where the checksums
//! of the format stand. The same seed gives the same numbers, keys and operations on every machine.

#![forbid(unsafe_code)]
// Every test file compiles this anew and uses a part of it.
#![allow(dead_code)]

pub mod batches;
pub mod image;
pub mod keys;
pub mod oracle;
pub mod reads;
pub mod transactions;
pub mod world;

/// Numbers that look random and depend on the seed alone (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // So that neighbouring seeds have nothing in common.
        let mut random = Random(seed ^ 0x5149_4E4E_4559_0001);
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but without, `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        assert!(limit > 0);
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn bytes(&mut self, len: usize, alphabet: &[u8]) -> Vec<u8> {
        (0..len).map(|_| *self.pick(alphabet)).collect()
    }
}

/// Where in a random run a message comes from.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub seed: u64,
    pub step: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {}, operation {}", self.seed, self.step)
    }
}

/// A number from the environment, or the default.
pub fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.replace('_', "").parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// How many threads are worth starting for work that only computes.
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Runs `job` for every number of the range, on all processors; each job names itself when it panics.
pub fn in_parallel(what: &str, range: std::ops::Range<u64>, job: impl Fn(u64) + Sync) {
    let next = std::sync::atomic::AtomicU64::new(range.start);
    std::thread::scope(|scope| {
        for _ in 0..workers() {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= range.end {
                        break;
                    }
                    let _named = Named(what, number);
                    job(number);
                }
            });
        }
    });
}

struct Named<'a>(&'a str, u64);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was {} {}", self.0, self.1);
        }
    }
}

/// A key or value for a message: readable, and never 65,000 bytes long.
pub fn short(bytes: &[u8]) -> String {
    let shown = bytes.len().min(60);
    let rest = if shown < bytes.len() { format!("... ({} bytes)", bytes.len()) } else { String::new() };
    format!("\"{}\"{rest}", bytes[..shown].escape_ascii())
}
