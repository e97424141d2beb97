//! Readers, writers and scanners beside each other, while blobs split, share, join and compact.
//!
//! * `single`: what one key may answer, and what a scan has to show, whatever happens meanwhile.
//! * `steps`: counters that must not lose a step, and values that move between two keys.
//! * `grafts`: directories that move as a whole.
//! * `ends`: questions with one answer, about keys that move.
//! * `own`: random operations of several threads, each in trees of its own, against sorted maps.
//!
//! `SPINNEY_THREADS_SECONDS` (8) is how long each of them goes on.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

mod common;
#[path = "threads/ends.rs"]
mod ends;
#[path = "threads/grafts.rs"]
mod grafts;
#[path = "threads/own.rs"]
mod own;
#[path = "threads/single.rs"]
mod single;
#[path = "threads/steps.rs"]
mod steps;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::setting;

/// Nobody has done anything for so long: they wait for each other, or run in circles.
const STUCK: Duration = Duration::from_secs(60);

/// Threads that work for a while, and stop together when one of them fails.
pub struct Crowd {
    end: Instant,
    stop: AtomicBool,
    beats: AtomicU64,
}

type Job<'a> = Box<dyn FnOnce(&Crowd) + Send + 'a>;

impl Crowd {
    /// Runs all jobs to their ends.
    pub fn run(jobs: Vec<Job<'_>>) {
        let seconds = setting("SPINNEY_THREADS_SECONDS", 8);
        let crowd = Crowd {
            end: Instant::now() + Duration::from_secs(seconds),
            stop: AtomicBool::new(false),
            beats: AtomicU64::new(0),
        };
        let left = AtomicU64::new(jobs.len() as u64);
        std::thread::scope(|scope| {
            for job in jobs {
                let (crowd, left) = (&crowd, &left);
                scope.spawn(move || {
                    let _leaving = Leaving { crowd, left };
                    job(crowd);
                });
            }
            crowd.watch(&left);
        });
    }

    /// To be asked after every step.
    pub fn goes_on(&self) -> bool {
        !self.is_over() && Instant::now() < self.end
    }

    /// Whether one has failed: then even what must be finished is not.
    pub fn is_over(&self) -> bool {
        self.beats.fetch_add(1, SeqCst);
        self.stop.load(SeqCst)
    }

    fn watch(&self, left: &AtomicU64) {
        let mut last = (0, Instant::now());
        while left.load(SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(20));
            let beats = self.beats.load(SeqCst);
            if beats != last.0 {
                last = (beats, Instant::now());
            } else if last.1.elapsed() > STUCK {
                // They cannot be stopped, and a test that waits for them would never end.
                eprintln!("no thread has made a step for {STUCK:?}");
                std::process::abort();
            }
        }
    }
}

struct Leaving<'a> {
    crowd: &'a Crowd,
    left: &'a AtomicU64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.crowd.stop.store(true, SeqCst);
        }
        self.left.fetch_sub(1, SeqCst);
    }
}
