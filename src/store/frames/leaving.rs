//! Pages that leave memory together: their frames are held until the system has all of it back.
//!
//! To take one page away the system stops every other processor for an instant, so that none goes on with
//! what it remembers of the page. On two virtual processors that took 18 us a page, and 1.3 us in one call
//! for 16.

#![forbid(unsafe_code)]

use super::{Frame, Frames, Held, Pages, run};
use crate::blob::Ref;
use crate::blob::words::PAGE_WORDS;

/// Frames that are held at a time, and that are looked at meanwhile: nobody waits long for one of them.
const FRAMES_MAX: usize = 32;
const PASSED_MAX: usize = 256;

/// Neighbouring pages of a frame.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) first: usize,
    pub(super) count: usize,
}

impl Run<'_> {
    /// Where memory cannot be given back, it is filled with what it would hold then.
    pub(super) fn zero(&self) {
        for at in self.first * PAGE_WORDS..(self.first + self.count) * PAGE_WORDS {
            self.frame.words.store_unnoted(at as Ref, 0);
        }
    }
}

/// Pages that are about to leave. What was taken is given back when this is dropped.
pub(crate) struct Leaving<'a> {
    frames: &'a Frames,
    held: Vec<Held<'a>>,
    runs: Vec<Run<'a>>,
    /// Frames that were looked at since the first of these was taken.
    passed: usize,
}

impl<'a> Leaving<'a> {
    pub(crate) fn new(frames: &'a Frames) -> Self {
        Leaving { frames, held: Vec::new(), runs: Vec::new(), passed: 0 }
    }

    /// Another frame is about to be looked at.
    pub(crate) fn pass(&mut self) {
        self.passed += usize::from(!self.held.is_empty());
        if self.passed >= PASSED_MAX {
            self.give_back();
        }
    }

    /// Takes pages out of those in memory. They are neither dirty nor captured, and either all that is there
    /// or leaves alone.
    pub(crate) fn take(&mut self, mut held: Held<'a>, pages: Pages) {
        held.take_out(pages);
        let mut left = pages;
        while left != 0 {
            let first = left.trailing_zeros() as usize;
            let count = (left >> first).trailing_ones() as usize;
            self.runs.push(Run { frame: held.frame, first, count });
            left &= !run(first, count);
        }
        self.held.push(held);
        if self.held.len() == FRAMES_MAX {
            self.give_back();
        }
    }

    /// Gives back what was taken. Whoever waits for one of the frames goes on.
    pub(crate) fn give_back(&mut self) {
        self.frames.release(&self.runs);
        self.runs.clear();
        self.held.clear();
        self.passed = 0;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}
