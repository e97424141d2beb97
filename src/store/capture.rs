//! What a checkpoint writes: the changed pages of each blob as they were at its cut.
//!
//! The cut marks every changed frame. Whoever comes first then copies the changed pages: the checkpointer
//! as it goes through the marked frames, or a writer that is about to change one again. So a checkpoint
//! writes exactly the state of its cut, while writers go on, and each page is copied once.
//!
//! Must not know: where pages go, what a checkpoint is made of.

#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::backend::{PAGE_BYTES, room};
use crate::blob::header::BLOB_PAGES;
use crate::blob::words::{PAGE_WORDS, Ref, Words};
use crate::store::past::Past;

/// Some pages of a blob at the cut.
#[derive(Debug)]
pub(crate) struct Captured {
    /// One bit for each page; page 0 is always among them.
    pub(crate) pages: u128,
    /// The pages, one behind the other.
    pub(crate) bytes: Vec<u8>,
}

/// What a marked frame owes to the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Owed {
    Nothing = 0,
    /// The pages that were changed.
    Changed = 1,
    /// Every page: the last checkpoint does not hold the blob.
    Whole = 2,
}

impl Owed {
    pub(crate) fn from_number(number: u32) -> Owed {
        match number {
            1 => Owed::Changed,
            2 => Owed::Whole,
            _ => Owed::Nothing,
        }
    }
}

/// The pages that were copied and wait for the checkpointer, and how much is changed and not yet copied.
#[derive(Default)]
pub(crate) struct Captures {
    taken: Mutex<HashMap<u32, Captured>>,
    /// Memory for the next copy. To get it takes longer than to fill it, and a frame that is being copied is
    /// latched.
    room: Mutex<Vec<u8>>,
    /// Pages of all frames that were changed since they were last captured.
    changed_pages: AtomicU64,
    /// The frames that they are of, and perhaps some that have no such page any more: a cut need not look at
    /// all frames there are, which in a large database takes longer than a writer may wait.
    changed_frames: Mutex<BTreeSet<u32>>,
    /// What snapshots need of pages that have changed since.
    pub(crate) past: Past,
}

impl Captures {
    fn taken(&self) -> MutexGuard<'_, HashMap<u32, Captured>> {
        self.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn changed_frames(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.changed_frames.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn room(&self) -> MutexGuard<'_, Vec<u8>> {
        self.room.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Gets memory for the next copy, which is of so many pages, before the frame is latched.
    pub(crate) fn make_room(&self, pages: u32) -> io::Result<()> {
        let mut room = room::zeros(pages as usize * PAGE_BYTES)?;
        // What nobody wanted is given back without the mutex.
        std::mem::swap(&mut *self.room(), &mut room);
        Ok(())
    }

    /// So many bytes, of that memory if they are most of it.
    fn take_room(&self, bytes: usize) -> io::Result<Vec<u8>> {
        let room = Some(self.room()).filter(|room| (bytes..=2 * bytes).contains(&room.len()));
        let Some(mut room) = room.map(|mut room| std::mem::take(&mut *room)) else {
            return room::zeros(bytes);
        };
        room.truncate(bytes);
        Ok(room)
    }

    /// The frames, in order, among which all are that have changed pages. They are told once, unless their
    /// number of changed pages rises from 0 again.
    pub(crate) fn take_changed_frames(&self) -> BTreeSet<u32> {
        std::mem::take(&mut self.changed_frames())
    }

    /// A frame whose changed pages were not captured after all.
    pub(crate) fn tell_again(&self, id: u32) {
        self.changed_frames().insert(id);
    }

    /// Copies what a frame owes, before its holder changes it.
    pub(crate) fn copy(&self, id: u32, words: Words<'_>, owed: Owed) -> io::Result<u128> {
        let pages = if owed == Owed::Whole { u128::MAX } else { words.dirty_pages() };
        let mut bytes = self.take_room(pages.count_ones() as usize * PAGE_BYTES)?;
        copy_pages(words, pages, &mut bytes);
        self.taken().insert(id, Captured { pages, bytes });
        Ok(pages)
    }

    /// Hands a copy to the checkpointer.
    pub(crate) fn take(&self, id: u32) -> Option<Captured> {
        self.taken().remove(&id)
    }

    pub(crate) fn changed_pages(&self) -> u64 {
        self.changed_pages.load(Ordering::Relaxed)
    }

    /// A frame had `before` changed pages and has `after`.
    pub(crate) fn count_changed(&self, id: u32, before: u32, after: u32) {
        if before == 0 {
            self.changed_frames().insert(id);
        }
        // Wraps around for a decrease, and back.
        self.changed_pages.fetch_add(u64::from(after).wrapping_sub(u64::from(before)), Ordering::Relaxed);
    }
}

/// The numbers of the pages in a set, in order.
pub(crate) fn page_numbers(pages: u128) -> impl Iterator<Item = usize> {
    (0..BLOB_PAGES).filter(move |page| pages & (1 << page) != 0)
}

fn copy_pages(words: Words<'_>, pages: u128, bytes: &mut [u8]) {
    for (page, copy) in page_numbers(pages).zip(bytes.chunks_exact_mut(PAGE_BYTES)) {
        for (at, word) in (page * PAGE_WORDS..).zip(copy.chunks_exact_mut(8)) {
            word.copy_from_slice(&words.load(at as Ref).to_le_bytes());
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::blob::words::boxed_words;

    /// What a copy of the first pages has, and where it lies.
    fn copied(captures: &Captures, words: Words<'_>, pages: usize) -> (Captured, *const u8) {
        for page in 0..pages {
            words.store((page * PAGE_WORDS + 7) as Ref, page as u64 + 1);
        }
        captures.copy(3, words, Owed::Changed).expect("memory");
        let captured = captures.take(3).expect("was copied");
        let at = captured.bytes.as_ptr();
        (captured, at)
    }

    #[test]
    fn a_copy_takes_the_memory_that_was_made_ready_if_it_is_most_of_it() {
        for (ready, wanted, fits) in [(3, 3, true), (5, 3, true), (6, 3, true), (2, 3, false), (7, 3, false)]
        {
            let (captures, memory) = (Captures::default(), boxed_words());
            let words = Words::new(&memory);
            captures.make_room(ready).expect("memory");
            captures.room().fill(0xEE);
            let room_at = captures.room().as_ptr();
            let (captured, at) = copied(&captures, words, wanted);
            assert_eq!((captured.pages, captured.bytes.len()), (0b111, 3 * PAGE_BYTES), "{ready}");
            assert_eq!(at == room_at, fits, "{ready}");
            assert_eq!(captures.room().is_empty(), fits, "{ready}: used once, or still there");
            for (page, bytes) in captured.bytes.chunks_exact(PAGE_BYTES).enumerate() {
                let expected = (page * PAGE_WORDS..(page + 1) * PAGE_WORDS)
                    .flat_map(|at| words.load(at as Ref).to_le_bytes());
                assert!(bytes.iter().copied().eq(expected), "page {page} of a copy into {ready}");
            }
        }
    }
}
