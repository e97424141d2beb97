//! Who loads which pages: nobody reads a page that another thread is reading already.
//!
//! A loader claims all that it is going to read in one step, and waits while anything of it is claimed. It
//! holds no claim while it waits, so claims cannot block each other for ever.

#![forbid(unsafe_code)]

use std::sync::{Condvar, Mutex, MutexGuard};

use super::Pages;

/// Pages of one blob.
pub(super) type Part = (u32, Pages);

/// All claims of one database.
pub(super) struct Claims {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    claimed: Vec<Part>,
    /// Who waits for a claim to be released. Waking nobody is a system call all the same, at every fault.
    waiting: u32,
}

/// What one loader has claimed. Dropping it lets the others go on.
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    parts: &'a [Part],
}

impl Claims {
    pub(super) fn new() -> Self {
        Claims { state: Mutex::default(), released: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Claims all parts at once, as soon as nobody else has one of their pages. True if that was at once:
    /// else they may have been loaded meanwhile.
    pub(super) fn claim<'a>(&'a self, parts: &'a [Part]) -> (Claim<'a>, bool) {
        let is_part_of = |part: &Part, others: &[Part]| {
            others.iter().any(|other| part.0 == other.0 && part.1 & other.1 != 0)
        };
        let mut state = self.state();
        let mut at_once = true;
        while parts.iter().any(|part| is_part_of(part, &state.claimed)) {
            at_once = false;
            state.waiting += 1;
            state = self.released.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
            state.waiting -= 1;
        }
        state.claimed.extend_from_slice(parts);
        (Claim { claims: self, parts }, at_once)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.claims.state();
        for part in self.parts {
            if let Some(at) = state.claimed.iter().position(|other| other == part) {
                state.claimed.swap_remove(at);
            }
        }
        if state.waiting > 0 {
            self.claims.released.notify_all();
        }
    }
}
