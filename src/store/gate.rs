//! The gate: every write passes it together with others; a few operations want it alone for a moment.
//!
//! Passing is one addition to a counter that this thread shares with few others. Whoever wants the gate
//! alone closes it, waits until all inside have left, and opens it again; newcomers park meanwhile.
//! Whoever is inside waits at most for a latch, whose holder waits for nothing.

#![forbid(unsafe_code)]

use crate::sync::{AtomicU32, AtomicU64, Condvar, Mutex, Ordering, fence};

use super::latch::wait;

#[cfg(not(loom))]
const STRIPES: usize = 16;
#[cfg(loom)]
const STRIPES: usize = 2;

/// Each counter has a pair of cache lines of its own.
#[repr(align(128))]
struct Stripe {
    inside: AtomicU64,
}

/// See the head of this file.
pub(crate) struct Gate {
    stripes: [Stripe; STRIPES],
    closed: AtomicU32,
    /// Held by the one that wants the gate alone, from closing to opening.
    alone: Mutex<()>,
    parked: Mutex<()>,
    opened: Condvar,
}

/// The way out for who passes with others.
pub(crate) struct Shared<'a> {
    stripe: &'a Stripe,
}

/// The way out for who is alone.
pub(crate) struct Exclusive<'a> {
    gate: &'a Gate,
    #[cfg(not(loom))]
    _alone: std::sync::MutexGuard<'a, ()>,
    #[cfg(loom)]
    _alone: loom::sync::MutexGuard<'a, ()>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Gate {
            stripes: std::array::from_fn(|_| Stripe { inside: AtomicU64::new(0) }),
            closed: AtomicU32::new(0),
            alone: Mutex::new(()),
            parked: Mutex::new(()),
            opened: Condvar::new(),
        }
    }

    /// Passes with others; waits while someone is alone inside.
    #[inline]
    pub(crate) fn enter(&self) -> Shared<'_> {
        self.enter_by(stripe_of_this_thread())
    }

    fn enter_by(&self, stripe: usize) -> Shared<'_> {
        let stripe = &self.stripes[stripe % STRIPES];
        loop {
            stripe.inside.fetch_add(1, Ordering::Relaxed);
            // With the fence of the closer: one of the two sees the other.
            fence(Ordering::SeqCst);
            if self.closed.load(Ordering::Acquire) == 0 {
                return Shared { stripe };
            }
            stripe.inside.fetch_sub(1, Ordering::Release);
            self.wait_until_open();
        }
    }

    #[cold]
    fn wait_until_open(&self) {
        let mut parked = self.parked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while self.closed.load(Ordering::Acquire) != 0 {
            parked = self.opened.wait(parked).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Closes the gate and waits until everyone inside has left.
    pub(crate) fn enter_alone(&self) -> Exclusive<'_> {
        let alone = self.alone.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.closed.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        for stripe in &self.stripes {
            let mut spins = 0;
            while stripe.inside.load(Ordering::Acquire) != 0 {
                wait(&mut spins);
            }
        }
        Exclusive { gate: self, _alone: alone }
    }
}

impl Drop for Shared<'_> {
    #[inline]
    fn drop(&mut self) {
        self.stripe.inside.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        // Under the mutex, so that nobody parks between looking and waiting.
        let _parked = self.gate.parked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.gate.closed.store(0, Ordering::Release);
        self.gate.opened.notify_all();
    }
}

#[cfg(not(loom))]
fn stripe_of_this_thread() -> usize {
    use std::cell::Cell;
    use std::sync::atomic::AtomicUsize;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    STRIPE.with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        stripe.get()
    })
}

#[cfg(loom)]
fn stripe_of_this_thread() -> usize {
    0
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn who_is_alone_is_alone() {
        let gate = Gate::new();
        let inside = AtomicUsize::new(0);
        let rounds = if cfg!(miri) { 20 } else { 5_000 };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let _shared = gate.enter();
                        inside.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
            for _ in 0..rounds / 10 {
                let _exclusive = gate.enter_alone();
                assert_eq!(inside.load(Ordering::SeqCst), 0);
            }
        });
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn shared_and_alone_never_overlap() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let gate = Arc::new(Gate::new());
            let value = Arc::new(AtomicU64::new(0));
            let other = {
                let (gate, value) = (gate.clone(), value.clone());
                thread::spawn(move || {
                    let _shared = gate.enter_by(1);
                    let seen = value.load(Ordering::Relaxed);
                    assert!(seen == 0 || seen == 2, "in the middle of what was done alone");
                })
            };
            {
                let _alone = gate.enter_alone();
                value.store(1, Ordering::Relaxed);
                value.store(2, Ordering::Relaxed);
            }
            other.join().unwrap();
        });
    }
}
