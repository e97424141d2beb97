//! The ring of a simulated disk: memory that outlives the process that is simulated.
//!
//! Must not know: what the words mean.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::page::Page;
use super::storage::Pages;
use crate::backend::{PAGE_BYTES, RING_TOTAL_BYTES, RingMemory};

const PAGE_WORDS: usize = PAGE_BYTES / 8;

thread_local! {
    /// Memory of rings that are gone. To ask the system for 4 MiB anew would take most of a short test.
    static SPARE: RefCell<Vec<Box<[AtomicU64]>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
pub(super) struct Words(Box<[AtomicU64]>);

impl Words {
    pub(super) fn new(pages: &Pages) -> Words {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        let words = match spare {
            Some(mut words) => {
                words.iter_mut().for_each(|word| *word.get_mut() = 0);
                words
            }
            None => (0..RING_TOTAL_BYTES / 8).map(|_| AtomicU64::new(0)).collect(),
        };
        for (&number, page) in pages {
            let there = &words[number as usize * PAGE_WORDS..];
            for (word, bytes) in there.iter().zip(page.bytes().as_chunks::<8>().0) {
                word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
            }
        }
        Words(words)
    }

    /// The pages that are not as these are.
    pub(super) fn changed(&self, known: &Pages) -> Vec<(u64, Page)> {
        let zero = Page::default();
        let mut changed = Vec::new();
        for (number, words) in (0..).zip(self.0.chunks_exact(PAGE_WORDS)) {
            let page = known.get(&number).unwrap_or(&zero);
            // Without a branch for each word: nearly all pages are as they were.
            let difference = |all: u64, (word, bytes): (&AtomicU64, &[u8; 8])| {
                all | word.load(Ordering::Relaxed) ^ u64::from_ne_bytes(*bytes)
            };
            if words.iter().zip(page.bytes().as_chunks::<8>().0).fold(0, difference) != 0 {
                let bytes: Vec<u8> =
                    words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
                changed.push((number, Page::new(&bytes)));
            }
        }
        changed
    }
}

/// Some of the moments while somebody writes to a ring, the first and the last of them included. Records are
/// written from their first word to their last.
pub(super) fn between(before: &Pages, after: &Pages) -> Vec<Pages> {
    let page_of = |pages: &Pages, number: &u64| pages.get(number).cloned().unwrap_or_default();
    let mut changed = Vec::new();
    for number in after.keys() {
        let (old, new) = (page_of(before, number), page_of(after, number));
        let words = old.bytes().as_chunks::<8>().0.iter().zip(new.bytes().as_chunks::<8>().0).enumerate();
        changed.extend(words.filter(|(_, (old, new))| old != new).map(|(at, (_, new))| (*number, at, *new)));
    }
    let (mut moments, mut done) = (vec![before.clone()], 0);
    let count = changed.len();
    // Few words at first and nearly all at last: there are the heads and the checksums.
    let mut ends = vec![1, 2, 3, count / 2, count * 3 / 4, count.saturating_sub(1), count];
    ends.retain(|&end| end <= count);
    for end in ends {
        let mut ring = moments.last().cloned().unwrap_or_default();
        for (number, at, word) in changed.get(done..end).unwrap_or_default() {
            let mut bytes = *page_of(&ring, number).bytes();
            bytes[at * 8..at * 8 + 8].copy_from_slice(word);
            super::storage::set(&mut ring, *number, Page::new(&bytes));
        }
        done = done.max(end);
        if moments.last() != Some(&ring) {
            moments.push(ring);
        }
    }
    moments
}

impl RingMemory for Words {
    fn words(&self) -> &[AtomicU64] {
        &self.0
    }

    fn outlives_process(&self) -> bool {
        true
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        let words = std::mem::take(&mut self.0);
        // A thread that ends has no use for it.
        let _ = SPARE.try_with(|spare| {
            if let Ok(mut spare) = spare.try_borrow_mut()
                && spare.len() < 2
            {
                spare.push(words);
            }
        });
    }
}
