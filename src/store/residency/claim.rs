//! Who loads which pages: nobody reads a page that another thread is reading already.
//!
//! A loader claims all that it is going to read in one step, and waits while anything of it is claimed. It
//! holds no claim while it waits, so claims cannot block each other for ever. Whoever gives a claim back
//! wakes those who wait for a part of it, and nobody else: of sixteen threads in a cold database, those who
//! were woken in vain made most of the system calls.

#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard};
use std::thread::{self, Thread};

use super::Pages;

/// Pages of one blob.
pub(super) type Part = (u32, Pages);

/// All claims of one database.
pub(super) struct Claims(Mutex<State>);

#[derive(Default)]
struct State {
    claimed: Vec<Part>,
    waiting: Vec<Waiting>,
}

/// A thread that waits until nobody has any of these.
struct Waiting {
    thread: Thread,
    parts: Vec<Part>,
}

/// What one loader has claimed. Dropping it lets the others go on.
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    parts: &'a [Part],
}

impl Claims {
    pub(super) fn new() -> Self {
        Claims(Mutex::default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Claims all parts at once, as soon as nobody else has one of their pages. True if that was at once:
    /// else they may have been loaded meanwhile.
    pub(super) fn claim<'a>(&'a self, parts: &'a [Part]) -> (Claim<'a>, bool) {
        let mut state = self.state();
        let mut at_once = true;
        // Without threads there are no others.
        while !cfg!(target_family = "wasm") && overlap(parts, &state.claimed) {
            if at_once {
                at_once = false;
                state.waiting.push(Waiting { thread: thread::current(), parts: parts.to_vec() });
            }
            drop(state);
            // Ends at once if it was woken meanwhile; and sometimes for no reason.
            thread::park();
            state = self.state();
        }
        if !at_once {
            let this = thread::current().id();
            state.waiting.retain(|waiting| waiting.thread.id() != this);
        }
        state.claimed.extend_from_slice(parts);
        (Claim { claims: self, parts }, at_once)
    }
}

/// Whether a page is in both.
fn overlap(some: &[Part], others: &[Part]) -> bool {
    some.iter().any(|part| others.iter().any(|other| part.0 == other.0 && part.1 & other.1 != 0))
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.claims.state();
        for part in self.parts {
            if let Some(at) = state.claimed.iter().position(|other| other == part) {
                state.claimed.swap_remove(at);
            }
        }
        if cfg!(target_family = "wasm") || state.waiting.is_empty() {
            return;
        }
        let concerned = state.waiting.iter().filter(|waiting| overlap(&waiting.parts, self.parts));
        let concerned: Vec<Thread> = concerned.map(|waiting| waiting.thread.clone()).collect();
        drop(state);
        concerned.iter().for_each(Thread::unpark);
    }
}

#[cfg(all(test, not(loom), not(target_arch = "wasm32")))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn nobody_has_a_page_that_another_has_and_whoever_waits_is_woken() {
        let claims = Claims::new();
        let owners: [AtomicU32; 4] = std::array::from_fn(|_| AtomicU32::new(0));
        let rounds = if cfg!(miri) { 20 } else { 4_000 };
        thread::scope(|scope| {
            for number in 0..4_usize {
                let (claims, owners) = (&claims, &owners);
                scope.spawn(move || {
                    for round in 0..rounds {
                        let (one, other) = ((number + round) % 4, (number + round / 4 + 1) % 4);
                        let mut parts = vec![(one as u32, 0b110)];
                        if one != other {
                            parts.push((other as u32, 0b010));
                        }
                        let (claim, _) = claims.claim(&parts);
                        for part in &parts {
                            assert_eq!(
                                owners[part.0 as usize].fetch_add(1, Ordering::SeqCst),
                                0,
                                "two have it"
                            );
                        }
                        if round % 3 == 0 {
                            thread::yield_now();
                        }
                        for part in &parts {
                            owners[part.0 as usize].fetch_sub(1, Ordering::SeqCst);
                        }
                        drop(claim);
                    }
                });
            }
        });
        let state = claims.state();
        assert!(state.claimed.is_empty() && state.waiting.is_empty());
    }

    #[test]
    fn other_pages_are_claimed_at_once() {
        let claims = Claims::new();
        let first = [(1, 0b0011), (2, 0b0001)];
        let _first = claims.claim(&first);
        assert!(claims.claim(&[(1, 0b1100)]).1 && claims.claim(&[(3, 0b0011)]).1);
    }
}
