//! Lists: one level below a directory, in the forms that the stores have.

#![forbid(unsafe_code)]

use super::super::tally::Tally;
use super::verify::none_wrong;
use crate::keys::Directory;
use crate::measure::{Clock, Whose};
use crate::stores::{Child, Result, Store};
use std::time::{Duration, Instant};

/// How long each list phase goes on at least: a single call is shorter than the clock can tell.
const LIST_TIME: Duration = Duration::from_millis(20);

/// The limit of listings that a store may answer from a cache: the largest that holt caches.
pub const CACHED_LIMIT: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ListForm {
    Lending,
    Owned,
    /// With a limit and nothing written since: the store may answer from a cache of earlier listings.
    Cached,
}

/// Microseconds per call, by turns over the directories.
pub fn time<S: Store>(store: &S, directories: &[&Directory], form: ListForm) -> Result<f64> {
    let (mut wrong, mut calls) = (0, 0);
    let (start, clock) = (Instant::now(), Clock::start(Whose::Process));
    loop {
        for directory in directories {
            let mut tally = Tally::default();
            list(store, directory, form, |child| tally.see(child))?;
            wrong += usize::from(!tally.is_of(directory));
            calls += 1;
        }
        if start.elapsed() >= LIST_TIME {
            let micros = clock.elapsed().as_nanos() as f64 / 1e3;
            none_wrong("list", wrong)?;
            return Ok(micros / f64::from(calls));
        }
    }
}

pub fn list<S: Store>(
    store: &S,
    directory: &Directory,
    form: ListForm,
    see: impl FnMut(Child<'_>),
) -> Result<()> {
    match form {
        ListForm::Lending => store.list(&directory.prefix, see),
        ListForm::Owned => store.list_owned(&directory.prefix, see),
        ListForm::Cached => store.list_cached(&directory.prefix, CACHED_LIMIT, see),
    }
}
