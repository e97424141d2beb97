//! Frames: the memory of blobs, addressed by blob id, and beside each what `side` says.
//!
//! A frame's memory stays where it is until the store is dropped. So a reader that follows an outdated
//! link reads the wrong blob, finds its version moved, and restarts; it never reads memory that is gone.
//! An id is compared with the number of frames before any address is formed.

#![deny(unsafe_code)]

use crate::blob::header::{self, BLOB_PAGES, BlobKind};
use crate::blob::presence::SomePages;
use crate::blob::words::{BLOB_WORDS, PAGE_WORDS};
use crate::blob::{Ref, Words};

use super::capture::Captures;
use super::latch::{Latch, Version};

mod keeping;
mod leaving;
mod owing;
mod side;

pub(crate) use leaving::Leaving;
use leaving::Run;
pub(crate) use side::{Extent, Pages, Side};

cfg_if::cfg_if! {
    if #[cfg(all(unix, target_pointer_width = "64", not(miri), not(loom)))] {
        #[allow(unsafe_code)]
        mod reserved;
        pub(crate) use reserved::Frames;
    } else {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        mod fresh;
        mod table;
        pub(crate) use table::Frames;
    }
}

/// One frame: memory, version, root.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) id: u32,
    pub(crate) words: Words<'a>,
    side: &'a Side,
    captures: &'a Captures,
}

impl<'a> Frame<'a> {
    #[inline(always)]
    pub(crate) fn latch(self) -> &'a Latch {
        &self.side.latch
    }

    /// Takes the latch if the version is still this one.
    #[inline]
    pub(crate) fn try_hold(self, version: Version) -> Option<Held<'a>> {
        // `then_some` would make a `Held` that is not held, and give back another's latch by dropping it.
        self.latch().try_lock(version).then(|| Held::new(self, version))
    }

    /// Takes the latch as soon as it is free.
    pub(crate) fn hold(self) -> Held<'a> {
        let version = self.latch().lock();
        Held::new(self, version)
    }

    /// What of the frame a reader or writer of it may use. Pages may arrive beyond it; when one leaves, the
    /// version changes.
    pub(crate) fn presence(self) -> SomePages {
        SomePages::new(if self.is_whole() { Pages::MAX } else { self.present() })
    }

    /// Lets eviction know what was read.
    pub(crate) fn note_read(self, presence: &SomePages) {
        // Page 0 stands for the inner nodes.
        self.touch(presence.read() | 1);
    }

    /// Sets the cached root of a whole frame from the header. Only for a holder of the latch, and while
    /// loading.
    pub(crate) fn refresh_root(self) {
        self.set_root(header::root(self.words), header::kind(self.words), Extent::Whole);
    }

    /// The same after a change, which may be one of a partial frame: it has kept to the pages that are there.
    #[inline]
    fn refresh_root_of_changed(self) {
        let extent = self.extent();
        // A hostile image may have a link to a blob that has fallen free: then nothing of it is present.
        let is_freed = self.present() == 0;
        debug_assert!(extent == Extent::Whole || is_freed || self.words.dirty_pages() & !self.present() == 0);
        debug_assert!(extent != Extent::Cold || is_freed, "nothing of it can be read");
        let kind = header::kind(self.words).filter(|_| extent == Extent::Whole);
        self.set_root(header::root(self.words), kind, extent);
    }
}

/// What a holder of a latch has done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    Words,
    /// Words, while snapshots are open: what the changed pages held is to be published.
    Kept,
    /// Pages have left.
    Residency,
}

/// A frame whose latch this thread holds. Dropping it gives the latch back.
pub(crate) struct Held<'a> {
    pub(crate) frame: Frame<'a>,
    version: Version,
    change: Change,
    is_aside: bool,
}

impl<'a> Held<'a> {
    fn new(frame: Frame<'a>, version: Version) -> Self {
        Held { frame, version, change: Change::Nothing, is_aside: false }
    }

    /// What is changed here does not count as content: transactions cannot see it.
    pub(crate) fn change_aside(&mut self) {
        self.is_aside = true;
    }

    /// The words, for changing them: readers of the old ones will notice.
    #[inline]
    pub(crate) fn change(&mut self) -> Words<'a> {
        if self.change == Change::Nothing {
            self.change = Change::Words;
            self.pay_what_is_owed();
            self.keep_for_snapshots();
            self.frame.latch().begin();
        }
        self.frame.words
    }

    /// The words, for reading them.
    #[inline]
    pub(crate) fn words(&self) -> Words<'a> {
        self.frame.words
    }

    /// The version before the latch was taken.
    pub(crate) fn version(&self) -> Version {
        self.version
    }
}

/// Pages come and go.
impl<'a> Held<'a> {
    /// Copies a page into the frame that is not there yet. Readers need not notice: none reads it before
    /// `arrive`.
    pub(crate) fn install(&self, page: usize, bytes: &[u8]) {
        debug_assert!(self.frame.present() & (1 << page) == 0, "the page is there");
        let (words, _) = bytes.as_chunks::<8>();
        for (at, word) in (page * PAGE_WORDS..).zip(words).take(PAGE_WORDS) {
            self.frame.words.store_unnoted(at as Ref, u64::from_le_bytes(*word));
        }
    }

    /// The same for a page of zeros. What is not there of a frame is zeros, whatever was there before: so its
    /// memory is not touched.
    pub(crate) fn install_zeros(&self, page: usize) {
        debug_assert!(self.frame.present() & (1 << page) == 0, "the page is there");
        let mut refs = page * PAGE_WORDS..(page + 1) * PAGE_WORDS;
        debug_assert!(refs.all(|at| self.frame.words.load(at as Ref) == 0), "something was left behind");
    }

    /// Lets readers see pages that were installed, of which these are zeros.
    pub(crate) fn arrive(&self, pages: Pages, zeros: Pages) {
        self.frame.add_present(pages, zeros);
        let words = self.frame.words;
        let present = self.frame.present();
        let is_range = present & 1 != 0 && header::kind(words) == Some(BlobKind::Range);
        if is_range {
            self.frame.set_inner_pages_hint(inner_pages(words));
        }
        let extent = match present {
            Pages::MAX => Extent::Whole,
            _ if is_range && inner_pages(words) & !present == 0 => Extent::Partial,
            _ => Extent::Cold,
        };
        self.frame.set_root(header::root(words), header::kind(words), extent);
    }

    /// Takes pages out of those in memory, for [`Leaving`] to give it back.
    fn take_out(&mut self, pages: Pages) {
        debug_assert!(self.change == Change::Nothing && !self.frame.is_pinned());
        self.change = Change::Residency;
        self.frame.latch().begin();
        let words = self.frame.words;
        let root = header::root(words);
        if pages & 1 != 0 && header::kind(words) == Some(BlobKind::Range) {
            self.frame.set_inner_pages_hint(inner_pages(words));
        }
        self.frame.take_out_present(pages);
        let is_empty = self.frame.present() == 0;
        let extent = if is_empty { Extent::Cold } else { Extent::Partial };
        self.frame.set_root(root, None, extent);
    }

    /// Forgets all that the frame holds, because its blob has fallen free, and gives its memory back. Says
    /// how many pages were counted.
    pub(crate) fn discard(&mut self, frames: &Frames) -> u32 {
        debug_assert!(self.change == Change::Nothing);
        self.pay_what_is_owed();
        self.change = Change::Residency;
        self.frame.latch().begin();
        let present = self.frame.present();
        let counted = self.frame.counted(present).count_ones();
        self.frame.take_out_present(present);
        self.frame.set_inner_pages_hint(0);
        self.frame.set_root(0, None, Extent::Cold);
        // What has this id next may look the same to somebody who has read the blob: a load writes past the
        // frame.
        self.frame.raise_content();
        self.frame.words.forget_dirty_pages();
        self.frame.count_changed();
        frames.release(&[Run { frame: self.frame, first: 0, count: BLOB_PAGES }]);
        counted
    }

    /// Whether nothing was ever in the frame.
    fn is_untouched(&self) -> bool {
        self.frame.present() == 0 && self.frame.root_and_extent() == (0, Extent::Whole)
    }

    /// Makes the frame ready for a new blob: all zero, and there. Says how many pages were counted before.
    ///
    /// Storage may still hold what was in the frame before, or get it from a checkpoint that runs. So every
    /// page counts as changed: the next checkpoint writes them all.
    pub(crate) fn renew(&mut self, frames: &Frames) -> u32 {
        if self.is_untouched() {
            return 0;
        }
        let counted = self.discard(frames);
        self.frame.set_root(0, None, Extent::Whole);
        self.frame.words.note_run(0, BLOB_WORDS);
        self.frame.count_changed();
        counted
    }

    /// Counts all pages of a fresh frame as present; says how many were not.
    pub(crate) fn count_whole(&self) -> u32 {
        let absent = !self.frame.present();
        self.frame.add_present(absent, 0);
        if !self.frame.is_whole() {
            self.frame.set_root(0, None, Extent::Whole);
        }
        absent.count_ones()
    }

    /// Keeps the frame from eviction until the pin is dropped.
    pub(crate) fn pin(&self) -> Pin<'a> {
        self.frame.pin();
        Pin { frame: self.frame }
    }
}

/// Keeps all of a frame that is in memory there.
pub(crate) struct Pin<'a> {
    pub(crate) frame: Frame<'a>,
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.frame.unpin();
    }
}

/// `count` pages from `first` on.
pub(crate) fn run(first: usize, count: usize) -> Pages {
    debug_assert!(first + count <= BLOB_PAGES);
    if count == 0 { 0 } else { (Pages::MAX >> (BLOB_PAGES - count)) << first }
}

/// Page 0 and the pages of the inner region, whatever the header says.
pub(crate) fn inner_pages(words: Words<'_>) -> Pages {
    inner_pages_to(header::inner_end(words))
}

/// The same for an inner region that ends at this word.
pub(crate) fn inner_pages_to(inner_end: u32) -> Pages {
    run(0, (inner_end as usize).div_ceil(PAGE_WORDS).clamp(1, BLOB_PAGES))
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.change == Change::Kept {
            self.publish_kept();
        }
        if matches!(self.change, Change::Words | Change::Kept) {
            if !self.is_aside {
                self.frame.raise_content();
            }
            self.frame.refresh_root_of_changed();
            if self.frame.words.take_recount() {
                self.frame.count_changed();
            }
        }
        self.frame.latch().unlock(self.version, self.change != Change::Nothing);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_latch_that_was_not_taken_is_not_given_back() {
        let frames = Frames::new();
        let frame = frames.commit(0).expect("one frame");
        let held = frame.hold();
        let version = held.version();
        assert!(frame.try_hold(version).is_none(), "another has it");
        assert_eq!(frame.latch().try_read(), None, "the other still has it");
        drop(held);
        assert!(frame.try_hold(version).is_some());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// Who holds a frame is alone, whoever else has tried: nobody gives back what another has taken.
    #[test]
    fn whoever_fails_to_hold_a_frame_leaves_it_to_its_holder() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let frames = Arc::new(Frames::new());
            frames.commit(0).expect("one frame");
            let inside = Arc::new(crate::sync::AtomicU64::new(0));
            let add = {
                let inside = inside.clone();
                move |frames: &Frames| {
                    let frame = frames.get(0).expect("committed");
                    let Some(version) = frame.latch().try_read() else { return 0 };
                    let Some(mut held) = frame.try_hold(version) else { return 0 };
                    assert_eq!(inside.fetch_add(1, crate::sync::Ordering::Relaxed), 0, "two hold it");
                    let words = held.change();
                    words.store(300, words.load(300) + 1);
                    inside.fetch_sub(1, crate::sync::Ordering::Relaxed);
                    1
                }
            };
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let (frames, add) = (frames.clone(), add.clone());
                    thread::spawn(move || add(&frames))
                })
                .collect();
            let done: u64 = others.into_iter().map(|other| other.join().expect("no panic")).sum();
            let frame = frames.get(0).expect("committed");
            assert_eq!(frame.words.load(300), done);
            assert_eq!(frame.latch().try_read(), Some(2 * done), "free, and one step for each change");
        });
    }
}
