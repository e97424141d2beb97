//! What a frame owes to a checkpoint, and paying it before the frame is changed.

#![forbid(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Frame, Held};
use crate::blob::header::BLOB_PAGES;
use crate::blob::words::BlobWords;
use crate::store::capture::Owed;

/// A part of a frame's side. Changed under the latch, or by whoever holds the gate alone.
#[derive(Default)]
pub(super) struct Owing {
    /// How many pages were changed since they were last captured, as counted when the latch was last given
    /// back.
    changed_pages: AtomicU32,
    /// An [`Owed`].
    owed: AtomicU32,
}

impl Frame<'_> {
    /// How many pages were changed since they were last captured.
    pub(crate) fn changed_pages(self) -> u32 {
        self.side.owing.changed_pages.load(Ordering::Relaxed)
    }

    /// Counts the changed pages again.
    #[inline(never)]
    pub(crate) fn count_changed(self) {
        let changed_pages = self.words.dirty_pages().count_ones();
        let before = self.changed_pages();
        if changed_pages != before {
            self.side.owing.changed_pages.store(changed_pages, Ordering::Relaxed);
            self.captures.count_changed(self.id, before, changed_pages);
        }
    }

    /// How many pages the next checkpoint wants to have copied; without the latch, a guess.
    pub(crate) fn pages_owed(self) -> u32 {
        match Owed::from_number(self.side.owing.owed.load(Ordering::Relaxed)) {
            Owed::Nothing => 0,
            Owed::Changed => self.words.dirty_pages().count_ones(),
            Owed::Whole => BLOB_PAGES as u32,
        }
    }

    /// From now on nobody changes the frame before it has paid. Only for who holds the gate alone.
    pub(crate) fn set_owed(self, owed: Owed) {
        self.side.owing.owed.store(owed as u32, Ordering::Relaxed);
    }
}

impl Held<'_> {
    fn owed(&self) -> Owed {
        Owed::from_number(self.frame.side.owing.owed.load(Ordering::Relaxed))
    }

    /// Copies what a checkpoint wants of the frame as it is, for those who cannot turn back any more.
    #[inline]
    pub(crate) fn pay_what_is_owed(&mut self) {
        if self.owed() != Owed::Nothing && self.pay().is_err() {
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<BlobWords>());
        }
    }

    /// Copies what a checkpoint wants of the frame as it is. Without memory nothing has changed.
    #[cold]
    pub(crate) fn pay(&mut self) -> io::Result<()> {
        let (frame, owed) = (self.frame, self.owed());
        if owed != Owed::Nothing {
            let pages = frame.captures.copy(frame.id, frame.words, owed)?;
            frame.set_writing(pages);
            frame.words.forget_dirty_pages();
            frame.count_changed();
            frame.set_owed(Owed::Nothing);
        }
        Ok(())
    }

    /// The checkpoint does without. Whether the frame had not paid yet: then its changes are noted as they
    /// were, and the next checkpoint is told of it again.
    pub(crate) fn forgive(&mut self) -> bool {
        let had_not_paid = self.owed() != Owed::Nothing;
        if had_not_paid {
            self.frame.set_owed(Owed::Nothing);
            self.frame.captures.tell_again(self.frame.id);
        }
        had_not_paid
    }
}
