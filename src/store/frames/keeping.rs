//! Keeping what pages hold before they are changed, where a snapshot is open.

#![forbid(unsafe_code)]

use super::{Change, Held};
use crate::blob::before;

impl Held<'_> {
    /// Before the first change under this latch: sees to it that stores keep what a snapshot needs.
    #[inline]
    pub(super) fn keep_for_snapshots(&mut self) {
        // Cuts are made by who holds the gate alone, so this is the latest.
        let cut = self.frame.captures.past.cut();
        if self.frame.words.cut() != cut {
            self.frame.words.begin_cut(cut, self.frame.id);
        }
        if cut != 0 {
            self.change = Change::Kept;
        }
    }

    /// Keeps all of a frame, which is about to be given to another blob.
    pub(crate) fn keep_all(&self) {
        self.frame.captures.past.publish(before::all_of(self.frame.words, self.frame.id));
    }

    /// Before the latch is given back: a reader who sees the new words finds the old ones.
    #[cold]
    pub(super) fn publish_kept(&mut self) {
        let pages = before::take(self.frame.id);
        if !pages.is_empty() {
            self.frame.captures.past.publish(pages);
        }
    }
}
