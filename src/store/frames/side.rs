//! What stands beside the memory of a frame: its version, its root, and which of its pages are in memory.
//!
//! A frame is *whole* when all of it is in memory, as every frame of a database without a backend is. It is
//! *cold* when nothing of it can be read. In between it is *partial*: page 0 and all inner nodes of a range
//! blob are there, some pages of leaves are not. In the two latter states no kind stands beside the root, so
//! that a lookup asks about pages only where it finds no kind.
//!
//! Invariants:
//! * memory full of zeros is a valid start: a whole frame without a kind;
//! * pages arrive under the latch without changing the version, and their bits are set after their words;
//! * pages leave under the latch with a changed version, and neither the dirty nor the captured ones;
//! * who changes words of a partial frame has made sure, under the latch, that their pages are there.
//!
//! Must not know: where pages come from.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::super::latch::Latch;
use super::Frame;
use super::owing::Owing;
use crate::blob::Ref;
use crate::blob::header::BlobKind;

/// Pages of one blob, one bit each.
pub(crate) type Pages = u128;

/// What stands beside the memory of a frame. It fills a pair of cache lines, so that neighbours do not
/// disturb each other; a reader takes version and root from one line and never touches page 0.
#[repr(align(128))]
pub(crate) struct Side {
    pub(super) latch: Latch,
    /// Root ref, the kind of blob from bit 16 on, and flags.
    root: AtomicU64,
    /// Pages in memory. Says nothing where frames are always whole.
    present: [AtomicU64; 2],
    /// Pages in memory that take none, because they came as zeros, and no checkpoint has stored what somebody
    /// has written there.
    zeros: [AtomicU64; 2],
    /// Pages that a running checkpoint has captured and has not yet written to their place.
    writing: [AtomicU64; 2],
    /// Pages that were read since eviction last came by.
    touched: [AtomicU64; 2],
    /// Counts the changes of words, and unlike the version not what leaves memory. Raised under the latch.
    content: AtomicU64,
    /// Nothing is evicted while this is not 0. Raised under the latch.
    pins: AtomicU32,
    /// Rounds of eviction in which nothing was read.
    idle_rounds: AtomicU32,
    /// How many pages header and inner nodes had when they came or left; 0 if nobody knows.
    inner_pages: AtomicU32,
    /// What the frame owes to a checkpoint.
    pub(super) owing: Owing,
}

const _: () = assert!(size_of::<Side>() == 128);

const FLAG_COLD: u64 = 1 << 24;
const FLAG_PARTIAL: u64 = 1 << 25;
const KIND_SHIFT: u32 = 16;

/// How much of a frame is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// Page 0 and all inner nodes of a range blob, and perhaps some pages of leaves.
    Partial,
    /// Nothing that could be read.
    Cold,
}

impl Side {
    /// Of a whole frame.
    #[cfg(any(not(unix), not(target_pointer_width = "64"), miri, loom))]
    pub(super) fn new() -> Self {
        let none = || [AtomicU64::new(0), AtomicU64::new(0)];
        Side {
            latch: Latch::new(),
            root: AtomicU64::new(0),
            present: none(),
            zeros: none(),
            writing: none(),
            touched: none(),
            content: AtomicU64::new(0),
            pins: AtomicU32::new(0),
            idle_rounds: AtomicU32::new(0),
            inner_pages: AtomicU32::new(0),
            owing: Owing::default(),
        }
    }

    /// Of a cold frame.
    #[cfg(any(not(unix), not(target_pointer_width = "64"), miri, loom))]
    pub(super) fn cold() -> Self {
        Side { root: AtomicU64::new(FLAG_COLD), ..Side::new() }
    }
}

fn load(set: &[AtomicU64; 2], order: Ordering) -> Pages {
    Pages::from(set[0].load(order)) | Pages::from(set[1].load(order)) << 64
}

fn add(set: &[AtomicU64; 2], pages: Pages) {
    set[0].fetch_or(pages as u64, Ordering::Release);
    set[1].fetch_or((pages >> 64) as u64, Ordering::Release);
}

fn take_out(set: &[AtomicU64; 2], pages: Pages) {
    set[0].fetch_and(!(pages as u64), Ordering::AcqRel);
    set[1].fetch_and(!((pages >> 64) as u64), Ordering::AcqRel);
}

#[allow(dead_code)]
impl Frame<'_> {
    /// The root and the kind of the blob as of its last change; no kind unless the frame is whole.
    #[inline(always)]
    pub(crate) fn root(self) -> (Ref, Option<BlobKind>) {
        // Acquire pairs with the release of who made the frame whole: then its words are there.
        let root = self.side.root.load(Ordering::Acquire);
        (root as Ref, BlobKind::from_byte((root >> KIND_SHIFT) as u8))
    }

    /// The root, if it can be told, and how much of the frame is in memory: both of one moment.
    pub(crate) fn root_and_extent(self) -> (Ref, Extent) {
        let root = self.side.root.load(Ordering::Acquire);
        let extent = match root {
            root if root & FLAG_COLD != 0 => Extent::Cold,
            root if root & FLAG_PARTIAL != 0 => Extent::Partial,
            _ => Extent::Whole,
        };
        (root as Ref, extent)
    }

    /// How much of the frame is in memory.
    pub(crate) fn extent(self) -> Extent {
        self.root_and_extent().1
    }

    pub(crate) fn is_whole(self) -> bool {
        self.extent() == Extent::Whole
    }

    /// Sets root and extent. Only for a holder of the latch, or before others see the frame.
    pub(super) fn set_root(self, root: Ref, kind: Option<BlobKind>, extent: Extent) {
        let kind = kind.map_or(0, |kind| kind as u64) << KIND_SHIFT;
        let root = match extent {
            Extent::Whole => u64::from(root) | kind,
            Extent::Partial => u64::from(root) | FLAG_PARTIAL,
            Extent::Cold => FLAG_COLD,
        };
        self.side.root.store(root, Ordering::Release);
    }

    /// The pages that are in memory, as far as that is known.
    pub(crate) fn present(self) -> Pages {
        // Acquire pairs with the release in `add`: the words of these pages are there.
        load(&self.side.present, Ordering::Acquire)
    }

    /// Those of these pages, which are in memory, that take any, as far as that is known.
    pub(crate) fn counted(self, pages: Pages) -> Pages {
        pages & !load(&self.side.zeros, Ordering::Acquire)
    }

    pub(super) fn add_present(self, pages: Pages, zeros: Pages) {
        add(&self.side.zeros, zeros);
        add(&self.side.present, pages);
    }

    pub(super) fn take_out_present(self, pages: Pages) {
        take_out(&self.side.present, pages);
        take_out(&self.side.zeros, pages);
    }

    /// These pages were written to: says how many of them take memory since then. Only for a holder of the
    /// latch.
    pub(crate) fn count_written(self, pages: Pages) -> u32 {
        let written = load(&self.side.zeros, Ordering::Acquire) & pages;
        take_out(&self.side.zeros, written);
        written.count_ones()
    }

    /// The pages that a checkpoint has captured and not yet written to their place: they are not evicted.
    pub(crate) fn writing(self) -> Pages {
        load(&self.side.writing, Ordering::Acquire)
    }

    /// Keeps pages from being evicted until `clear_writing`. Call it under the latch, before the notes of
    /// dirty pages are cleared.
    pub(crate) fn set_writing(self, pages: Pages) {
        add(&self.side.writing, pages);
    }

    /// The pages are in their place, and what was written there is what page 0 and directory say.
    pub(crate) fn clear_writing(self, pages: Pages) {
        take_out(&self.side.writing, pages);
    }

    /// Notes that pages were read, unless that is known.
    #[inline]
    pub(crate) fn touch(self, pages: Pages) {
        if load(&self.side.touched, Ordering::Relaxed) & pages != pages {
            add(&self.side.touched, pages);
        }
    }

    /// The pages that were read since the last call.
    pub(crate) fn take_touched(self) -> Pages {
        let touched = load(&self.side.touched, Ordering::Relaxed);
        if touched != 0 {
            take_out(&self.side.touched, touched);
        }
        touched
    }

    /// Counts one more round of eviction, in which something was read or not; how many there were since
    /// anything was. Only eviction calls it, one thread at a time.
    pub(crate) fn count_idle(self, was_read: bool) -> u32 {
        let rounds =
            if was_read { 0 } else { self.side.idle_rounds.load(Ordering::Relaxed).saturating_add(1) };
        self.side.idle_rounds.store(rounds, Ordering::Relaxed);
        rounds
    }

    /// How many pages header and inner nodes most likely have, although they are not there; 0 if nobody
    /// knows.
    pub(crate) fn inner_pages_hint(self) -> usize {
        self.side.inner_pages.load(Ordering::Relaxed) as usize
    }

    pub(super) fn set_inner_pages_hint(self, pages: Pages) {
        self.side.inner_pages.store(pages.count_ones(), Ordering::Relaxed);
    }

    /// A number that moves with every change of what the blob holds, but not when it leaves memory or comes
    /// back. To be validated by the version, like words.
    pub(crate) fn content(self) -> u64 {
        self.side.content.load(Ordering::Relaxed)
    }

    /// Only for a holder of the latch that has changed words, or has let the blob go.
    pub(super) fn raise_content(self) {
        self.side.content.store(self.content() + 1, Ordering::Relaxed);
    }

    pub(crate) fn is_pinned(self) -> bool {
        self.side.pins.load(Ordering::Acquire) != 0
    }

    /// Keeps what is in memory there. Only for a holder of the latch.
    pub(super) fn pin(self) {
        self.side.pins.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn unpin(self) {
        self.side.pins.fetch_sub(1, Ordering::AcqRel);
    }
}
