//! Frames: the memory of blobs, addressed by blob id, and beside each a version and a cached root.
//!
//! A frame's memory stays where it is until the store is dropped. So a reader that follows an outdated
//! link reads the wrong blob, finds its version moved, and restarts; it never reads memory that is gone.
//! An id is compared with the number of frames before any address is formed.

#![deny(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::blob::header::{self, BlobKind};
use crate::blob::{Ref, Words};

use super::capture::Captures;
use super::latch::{Latch, Version};

mod owing;

use owing::Owing;

cfg_if::cfg_if! {
    if #[cfg(all(unix, target_pointer_width = "64", not(miri), not(loom)))] {
        #[allow(unsafe_code)]
        mod reserved;
        pub(crate) use reserved::Frames;
    } else {
        mod table;
        pub(crate) use table::Frames;
    }
}

/// What stands beside the memory of a frame. It fills a pair of cache lines, so that neighbours do not
/// disturb each other; a reader takes version and root from one line and never touches page 0.
#[repr(align(128))]
pub(crate) struct Side {
    latch: Latch,
    /// Root ref, and the kind of blob from bit 16 on.
    root: AtomicU64,
    /// What the frame owes to a checkpoint.
    owing: Owing,
}

const _: () = assert!(size_of::<Side>() == 128);

impl Side {
    #[cfg(any(not(unix), not(target_pointer_width = "64"), miri, loom))]
    fn new() -> Self {
        Side { latch: Latch::new(), root: AtomicU64::new(0), owing: Owing::default() }
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

    /// The root and the kind of the blob as of its last change.
    #[inline(always)]
    pub(crate) fn root(self) -> (Ref, Option<BlobKind>) {
        let root = self.side.root.load(Ordering::Relaxed);
        (root as Ref, BlobKind::from_byte((root >> 16) as u8))
    }

    /// Takes the latch if the version is still this one.
    #[inline]
    pub(crate) fn try_hold(self, version: Version) -> Option<Held<'a>> {
        // `then_some` would make a `Held` that is not held, and give back another's latch by dropping it.
        self.latch().try_lock(version).then(|| Held { frame: self, version, changed: false })
    }

    /// Takes the latch as soon as it is free.
    pub(crate) fn hold(self) -> Held<'a> {
        let version = self.latch().lock();
        Held { frame: self, version, changed: false }
    }

    /// Sets the cached root from the header. Only for a holder of the latch, and while loading.
    pub(crate) fn refresh_root(self) {
        let kind = header::kind(self.words).map_or(0, |kind| kind as u64);
        let root = u64::from(header::root(self.words)) | (kind << 16);
        self.side.root.store(root, Ordering::Relaxed);
    }
}

/// A frame whose latch this thread holds. Dropping it gives the latch back.
pub(crate) struct Held<'a> {
    pub(crate) frame: Frame<'a>,
    version: Version,
    changed: bool,
}

impl<'a> Held<'a> {
    /// The words, for changing them: readers of the old ones will notice.
    #[inline]
    pub(crate) fn change(&mut self) -> Words<'a> {
        if !self.changed {
            self.changed = true;
            self.pay_what_is_owed();
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

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.changed {
            self.frame.refresh_root();
            self.frame.count_changed();
        }
        self.frame.latch().unlock(self.version, self.changed);
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
