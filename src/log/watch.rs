//! Waiting for the log to become durable further than it was, without taking part in making it so.
//!
//! Who waits sleeps; where nobody waits, telling costs a look at one number.
//!
//! Must not know: positions, records.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Watch {
    waiting: AtomicU32,
    has_ended: AtomicBool,
    lock: Mutex<()>,
    news: Condvar,
}

impl Watch {
    /// To be called after what the waiting look at has changed.
    pub(crate) fn tell(&self) {
        // Against `wait_while`: either the change is seen there, or that somebody waits is seen here.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            // Who has looked and not yet gone to sleep holds the lock.
            drop(self.lock.lock());
            self.news.notify_all();
        }
    }

    /// There will be no news any more.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.tell();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Sleeps while `nothing_new` says so, for that long at most, and no longer than until the end.
    pub(crate) fn wait_while(&self, nothing_new: impl Fn() -> bool, time_max: Duration) {
        if cfg!(target_arch = "wasm32") {
            // Nobody else could bring news there.
            return;
        }
        let guard = self.lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.waiting.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let goes_on = |_: &mut ()| nothing_new() && !self.has_ended();
        drop(self.news.wait_timeout_while(guard, time_max, goes_on));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom), not(target_arch = "wasm32")))]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Instant;

    use super::*;

    #[test]
    fn who_waits_is_woken_by_what_was_waited_for() {
        let (watch, count) = (Watch::default(), AtomicU64::new(0));
        let rounds = if cfg!(miri) { 20 } else { 2_000 };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 1..=rounds {
                    count.store(number, Ordering::Release);
                    watch.tell();
                }
            });
            let mut seen = 0;
            while seen < rounds {
                watch.wait_while(|| count.load(Ordering::Acquire) == seen, Duration::MAX);
                assert!(count.load(Ordering::Acquire) > seen, "nothing else ends the wait");
                seen = count.load(Ordering::Acquire);
            }
        });
    }

    #[test]
    fn a_wait_ends_with_its_time_and_with_the_watch() {
        let watch = Watch::default();
        let started = Instant::now();
        watch.wait_while(|| true, Duration::from_millis(20));
        assert!(started.elapsed() >= Duration::from_millis(20));
        std::thread::scope(|scope| {
            scope.spawn(|| watch.wait_while(|| true, Duration::MAX));
            watch.end();
        });
        assert!(watch.has_ended());
    }
}
