//! What pages held before they were changed, for snapshots that are open.
//!
//! The first store to a page after a cut comes by here. The page is copied and set aside for its thread,
//! which holds the blob's latch; whoever gives the latch back takes what was set aside, and publishes it
//! first.
//!
//! Must not know: snapshots, latches, where copies go.

#![forbid(unsafe_code)]

use std::cell::RefCell;

use super::header::BLOB_PAGES;
use super::words::{PAGE_WORDS, Ref, Words};

/// The words of a page; none if all of them were zero, as in a blob that is new.
pub(crate) type PageWords = Option<Box<[u64; PAGE_WORDS]>>;

/// A page as it was before it was changed.
#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) blob: u32,
    pub(crate) page: usize,
    pub(crate) words: PageWords,
}

thread_local! {
    static SET_ASIDE: RefCell<Vec<Before>> = const { RefCell::new(Vec::new()) };
}

/// Sets a page aside that is about to be changed.
#[cold]
pub(super) fn keep(words: Words<'_>, blob: u32, page: usize) {
    let before = Before { blob, page, words: copy_page(words, page) };
    SET_ASIDE.with_borrow_mut(|all| all.push(before));
}

/// Takes what this thread has set aside of a blob.
pub(crate) fn take(blob: u32) -> Vec<Before> {
    SET_ASIDE.with_borrow_mut(|all| all.extract_if(.., |before| before.blob == blob).collect())
}

/// All pages of a blob.
pub(crate) fn all_of(words: Words<'_>, blob: u32) -> Vec<Before> {
    (0..BLOB_PAGES).map(|page| Before { blob, page, words: copy_page(words, page) }).collect()
}

fn copy_page(words: Words<'_>, page: usize) -> PageWords {
    let first = (page * PAGE_WORDS) as Ref;
    let load = |at: usize| words.load(first.wrapping_add(at as Ref));
    if (0..PAGE_WORDS).all(|at| load(at) == 0) {
        return None;
    }
    let mut copy = Box::new([0; PAGE_WORDS]);
    for (at, word) in copy.iter_mut().enumerate() {
        *word = load(at);
    }
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::words::boxed_words;

    #[test]
    fn the_first_store_to_a_page_after_a_cut_sets_it_aside_and_no_other_does() {
        let memory = boxed_words();
        let words = Words::new(&memory);
        words.store(600, 1);
        assert!(take(7).is_empty(), "no cut");
        words.begin_cut(1, 7);
        words.store(600, 2);
        words.store(601, 3);
        words.zero(1500, 100);
        assert!(take(8).is_empty(), "another blob");
        let kept = take(7);
        let pages: Vec<usize> = kept.iter().map(|before| before.page).collect();
        assert_eq!(pages, [1, 2, 3]);
        let first = kept[0].words.as_ref().expect("not all zeros");
        assert_eq!((first[88], first[89]), (1, 0), "as it was before the first store");
        assert!(kept[1].words.is_none(), "all zeros");
        words.begin_cut(2, 7);
        words.store(600, 4);
        assert_eq!(take(7)[0].words.as_ref().expect("not all zeros")[88], 2);
        words.begin_cut(0, 7);
        words.store(600, 5);
        assert!(take(7).is_empty(), "nobody wants it any more");
    }
}
