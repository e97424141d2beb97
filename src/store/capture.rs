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
        let captured = Captured { pages, bytes: copy_pages(words, pages)? };
        self.taken().insert(id, captured);
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

fn copy_pages(words: Words<'_>, pages: u128) -> io::Result<Vec<u8>> {
    let mut bytes = room::zeros(pages.count_ones() as usize * PAGE_BYTES)?;
    for (page, copy) in page_numbers(pages).zip(bytes.chunks_exact_mut(PAGE_BYTES)) {
        for (at, word) in (page * PAGE_WORDS..).zip(copy.chunks_exact_mut(8)) {
            word.copy_from_slice(&words.load(at as Ref).to_le_bytes());
        }
    }
    Ok(bytes)
}
