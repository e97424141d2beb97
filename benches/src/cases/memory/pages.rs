//! Pages: the first keys above a given one.

#![forbid(unsafe_code)]

use super::verify::none_wrong;
use crate::keys::{PAGE_KEYS, Page};
use crate::measure::{Clock, Whose};
use crate::stores::{Result, Store};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long the phase goes on at least.
const PAGE_TIME: Duration = Duration::from_millis(20);

/// Microseconds per page, by turns over all of them. Within the clock only sums are taken.
pub fn time<S: Store>(store: &S, pages: &[Page]) -> Result<f64> {
    let (mut wrong, mut calls) = (0, 0);
    let (start, clock) = (Instant::now(), Clock::start(Whose::Process));
    loop {
        for page in pages {
            let (mut keys, mut bytes) = (0, 0);
            store.page(&page.after, PAGE_KEYS, |key| {
                keys += 1;
                bytes += key.len();
                // Read, because some stores lend keys that they never looked at themselves.
                black_box(key.last().copied());
            })?;
            wrong += usize::from(keys != page.keys || bytes != page.key_bytes);
            calls += 1;
        }
        if start.elapsed() >= PAGE_TIME {
            let micros = clock.elapsed().as_nanos() as f64 / 1e3;
            none_wrong("page", wrong)?;
            return Ok(micros / f64::from(calls));
        }
    }
}
