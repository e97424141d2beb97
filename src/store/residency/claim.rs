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
    claimed: Mutex<Vec<Part>>,
    released: Condvar,
}

/// What one loader has claimed. Dropping it lets the others go on.
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    parts: &'a [Part],
}

impl Claims {
    pub(super) fn new() -> Self {
        Claims { claimed: Mutex::new(Vec::new()), released: Condvar::new() }
    }

    fn claimed(&self) -> MutexGuard<'_, Vec<Part>> {
        self.claimed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Claims all parts at once, as soon as nobody else has one of their pages. True if that was at once:
    /// else they may have been loaded meanwhile.
    pub(super) fn claim<'a>(&'a self, parts: &'a [Part]) -> (Claim<'a>, bool) {
        let mut claimed = self.claimed();
        let mut at_once = true;
        while parts.iter().any(|part| claimed.iter().any(|other| part.0 == other.0 && part.1 & other.1 != 0))
        {
            at_once = false;
            claimed = self.released.wait(claimed).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        claimed.extend_from_slice(parts);
        (Claim { claims: self, parts }, at_once)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claimed = self.claims.claimed();
        for part in self.parts {
            if let Some(at) = claimed.iter().position(|other| other == part) {
                claimed.swap_remove(at);
            }
        }
        self.claims.released.notify_all();
    }
}
