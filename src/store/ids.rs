//! Which blob ids are in use. The smallest free one is taken first, so that equal workloads give equal
//! files and the end of a file can be given back.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use super::superblock::is_directory_blob;

struct State {
    /// All ids from here on are unused.
    end: u32,
    /// Unused ids below `end`.
    free: BTreeSet<u32>,
    /// Ids of blobs that are made and belong to nobody yet: not free, and to all others not in use.
    reserved: BTreeSet<u32>,
    /// No stored state refers to an id from here on, nor one that is being stored: the highest `end` there
    /// was since ids were last reserved.
    highest_end: u32,
}

/// The ids of one database.
pub(crate) struct Ids(Mutex<State>);

impl Ids {
    pub(crate) fn new() -> Self {
        Ids(Mutex::new(State { end: 1, free: BTreeSet::new(), reserved: BTreeSet::new(), highest_end: 1 }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn allocate(&self) -> u32 {
        let mut state = self.state();
        if let Some(id) = state.free.pop_first() {
            return id;
        }
        while is_directory_blob(state.end) {
            state.end += 1;
        }
        state.end += 1;
        state.highest_end = state.highest_end.max(state.end);
        state.end - 1
    }

    /// All ids from here on are unused.
    pub(crate) fn end(&self) -> u32 {
        self.state().end
    }

    /// Reserves all free ids of which `is_safe` says so, and has `reserve_unused` begin behind the last id
    /// that is not.
    pub(crate) fn reserve_free(&self, is_safe: impl Fn(u32) -> bool) -> BTreeSet<u32> {
        let mut state = self.state();
        while state.highest_end > state.end && is_safe(state.highest_end - 1) {
            state.highest_end -= 1;
        }
        let taken: BTreeSet<u32> = state.free.iter().copied().filter(|&id| is_safe(id)).collect();
        state.free.retain(|id| !taken.contains(id));
        state.reserved.extend(&taken);
        taken
    }

    /// Reserves an id that was not in use since ids were last reserved.
    pub(crate) fn reserve_unused(&self) -> u32 {
        let mut state = self.state();
        let mut id = state.end.max(state.highest_end);
        while is_directory_blob(id) {
            id += 1;
        }
        let between = (state.end..id).filter(|&id| !is_directory_blob(id));
        let between: Vec<u32> = between.collect();
        state.free.extend(between);
        state.end = id + 1;
        state.highest_end = state.end;
        state.reserved.insert(id);
        id
    }

    /// Makes reserved ids ordinary ones.
    pub(crate) fn settle(&self, ids: &[u32]) {
        let mut state = self.state();
        for id in ids {
            state.reserved.remove(id);
        }
    }

    pub(crate) fn is_free(&self, id: u32) -> bool {
        let state = self.state();
        id >= state.end || state.free.contains(&id)
    }

    /// Those of the ids that are still reserved.
    pub(crate) fn still_reserved(&self, ids: &[u32]) -> Vec<u32> {
        let state = self.state();
        ids.iter().copied().filter(|id| state.reserved.contains(id)).collect()
    }

    pub(crate) fn free(&self, id: u32) {
        let mut state = self.state();
        state.reserved.remove(&id);
        state.free.insert(id);
        while let Some(last) = state.end.checked_sub(1).filter(|&last| last > 0) {
            if !state.free.remove(&last) && !is_directory_blob(last) {
                break;
            }
            state.end = last;
        }
    }

    /// Sets the state that a directory describes.
    pub(crate) fn restore(&self, end: u32, free: BTreeSet<u32>) {
        *self.state() = State { end, free, reserved: BTreeSet::new(), highest_end: end };
    }

    /// The last id in use, if there is a free one before it.
    pub(crate) fn last_behind_a_gap(&self) -> Option<u32> {
        let state = self.state();
        state.free.first().map(|_| state.end - 1)
    }

    /// One past the highest id in use, and whether each id below it is in use.
    pub(crate) fn in_use(&self) -> (u32, BTreeSet<u32>) {
        let state = self.state();
        (state.end, state.free.union(&state.reserved).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::superblock::DIRECTORY_SLOTS;

    #[test]
    fn the_smallest_free_id_comes_first_and_the_end_shrinks() {
        let ids = Ids::new();
        assert_eq!((0..5).map(|_| ids.allocate()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        ids.free(4);
        ids.free(2);
        assert_eq!(ids.allocate(), 2);
        ids.free(5);
        assert_eq!(ids.in_use(), (4, BTreeSet::new()));
        assert_eq!(ids.last_behind_a_gap(), None);
        ids.free(1);
        assert_eq!(ids.last_behind_a_gap(), Some(3));
        assert_eq!(ids.allocate(), 1);
        assert_eq!(ids.allocate(), 4);
    }

    #[test]
    fn reserved_ids_are_nobodys() {
        let ids = Ids::new();
        assert_eq!((0..6).map(|_| ids.allocate()).max(), Some(6));
        [2, 3, 6].into_iter().for_each(|id| ids.free(id));
        assert_eq!(ids.reserve_free(|id| id != 3 && id != 6), BTreeSet::from([2]));
        assert_eq!(ids.in_use(), (6, BTreeSet::from([2, 3])));
        assert_eq!((ids.reserve_unused(), ids.allocate(), ids.allocate()), (7, 3, 6));
        ids.settle(&[2]);
        assert_eq!(ids.still_reserved(&[2, 7]), [7]);
        ids.free(7);
        assert_eq!(ids.in_use(), (7, BTreeSet::new()));
    }

    #[test]
    fn behind_the_end_what_was_in_use_and_is_safe_is_reserved_again() {
        let ids = Ids::new();
        assert_eq!((0..6).map(|_| ids.allocate()).max(), Some(6));
        (3..7).for_each(|id| ids.free(id));
        assert_eq!((ids.end(), ids.reserve_unused()), (3, 7), "nobody has said that it is safe");
        ids.free(7);
        assert_eq!(ids.reserve_free(|id| id != 4), BTreeSet::new());
        assert_eq!((ids.reserve_unused(), ids.allocate(), ids.allocate()), (5, 3, 4));
        assert_eq!((ids.allocate(), ids.reserve_unused()), (6, 7));
    }

    #[test]
    fn ids_of_directory_blobs_are_passed_over() {
        let ids = Ids::new();
        ids.restore(DIRECTORY_SLOTS - 1, BTreeSet::new());
        assert_eq!(ids.allocate(), DIRECTORY_SLOTS);
        ids.free(DIRECTORY_SLOTS);
        assert_eq!(ids.in_use().0, DIRECTORY_SLOTS - 1);
    }
}
