//! The version latch of a frame: a sequence lock.
//!
//! The word is even when free. A reader remembers it, reads frame words with relaxed loads, and looks
//! again: if the word is the same, nothing it read was being changed. A writer makes it odd, stores, and
//! leaves it two higher; if it changed nothing it restores the old value, so that readers do not restart
//! for nothing.
//!
//! Why it holds: a writer's first relaxed store comes after `begin` (a release fence behind the odd word),
//! and a reader's second look comes after an acquire fence. A reader that saw any such store therefore
//! sees the odd word, or a later one. loom checks exactly this, see the tests.

#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering, fence, spin_hint};

const LOCKED: u64 = 1;
const STEP: u64 = 2;

/// Looks at a held latch before the thread gives its time slice away.
#[cfg(not(loom))]
const SPINS: u32 = 64;
#[cfg(loom)]
const SPINS: u32 = 0;

/// What a reader remembers.
pub(crate) type Version = u64;

/// One frame's version word.
pub(crate) struct Latch {
    word: AtomicU64,
}

impl Latch {
    #[cfg(any(test, not(unix), not(target_pointer_width = "64"), miri, loom))]
    pub(crate) fn new() -> Self {
        Latch { word: AtomicU64::new(0) }
    }

    /// The version, if nobody holds the latch.
    #[inline(always)]
    pub(crate) fn try_read(&self) -> Option<Version> {
        let word = self.word.load(Ordering::Acquire);
        (word & LOCKED == 0).then_some(word)
    }

    /// The version, as soon as nobody holds the latch. Holders never wait for anything, so this ends.
    #[inline]
    pub(crate) fn read(&self) -> Version {
        match self.try_read() {
            Some(version) => version,
            None => self.read_when_free(),
        }
    }

    #[cold]
    fn read_when_free(&self) -> Version {
        let mut spins = 0;
        loop {
            if let Some(version) = self.try_read() {
                return version;
            }
            wait(&mut spins);
        }
    }

    /// Whether nothing has changed since `version` was read. Everything read before is then sound.
    #[inline(always)]
    pub(crate) fn is_unchanged(&self, version: Version) -> bool {
        fence(Ordering::Acquire);
        self.word.load(Ordering::Relaxed) == version
    }

    /// Takes the latch if the version still is the one that was read.
    #[inline]
    pub(crate) fn try_lock(&self, version: Version) -> bool {
        let exchanged =
            self.word.compare_exchange(version, version | LOCKED, Ordering::Acquire, Ordering::Relaxed);
        // The path above is checked next, and must not be read before the latch is taken.
        fence(Ordering::Acquire);
        exchanged.is_ok()
    }

    /// Takes the latch as soon as it is free; returns the version that it had.
    pub(crate) fn lock(&self) -> Version {
        loop {
            let version = self.read();
            if self.try_lock(version) {
                return version;
            }
        }
    }

    /// Must stand before the first store of a holder.
    #[inline]
    pub(crate) fn begin(&self) {
        fence(Ordering::Release);
    }

    /// Gives the latch back; `version` is what it was before it was taken.
    #[inline]
    pub(crate) fn unlock(&self, version: Version, changed: bool) {
        let version = if changed { version.wrapping_add(STEP) } else { version };
        self.word.store(version, Ordering::Release);
    }
}

/// Spins a little, then yields: on a machine with few cores the holder may need this one.
#[inline]
pub(crate) fn wait(spins: &mut u32) {
    *spins += 1;
    if *spins < SPINS {
        spin_hint();
    } else {
        #[cfg(not(loom))]
        std::thread::yield_now();
        #[cfg(loom)]
        spin_hint();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn versions_move_only_with_changes() {
        let latch = Latch::new();
        let version = latch.read();
        assert!(latch.is_unchanged(version));
        assert!(latch.try_lock(version));
        assert!(!latch.try_lock(version), "taken already");
        assert_eq!(latch.try_read(), None);
        latch.unlock(version, false);
        assert!(latch.is_unchanged(version));
        assert_eq!(latch.lock(), version);
        latch.begin();
        latch.unlock(version, true);
        assert!(!latch.is_unchanged(version));
        assert!(!latch.try_lock(version), "too old");
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    struct Shared {
        latch: Latch,
        words: [AtomicU64; 2],
    }

    fn shared() -> Arc<Shared> {
        Arc::new(Shared { latch: Latch::new(), words: [AtomicU64::new(0), AtomicU64::new(0)] })
    }

    fn add_one(shared: &Shared) -> bool {
        let Some(version) = shared.latch.try_read() else {
            return false;
        };
        if !shared.latch.try_lock(version) {
            return false;
        }
        shared.latch.begin();
        for word in &shared.words {
            let value = word.load(Ordering::Relaxed);
            word.store(value + 1, Ordering::Relaxed);
        }
        shared.latch.unlock(version, true);
        true
    }

    /// A reader whose version still holds has seen both words of one write, or of none.
    #[test]
    fn validated_reads_are_never_torn() {
        loom::model(|| {
            let shared = shared();
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    let shared = shared.clone();
                    thread::spawn(move || add_one(&shared))
                })
                .collect();
            if let Some(version) = shared.latch.try_read() {
                let left = shared.words[0].load(Ordering::Relaxed);
                let right = shared.words[1].load(Ordering::Relaxed);
                if shared.latch.is_unchanged(version) {
                    assert_eq!(left, right);
                }
            }
            let done =
                writers.into_iter().filter(|_| true).map(|w| u64::from(w.join().unwrap())).sum::<u64>();
            assert_eq!(shared.words[0].load(Ordering::Relaxed), done);
            assert_eq!(shared.words[1].load(Ordering::Relaxed), done);
        });
    }

    /// Two frames, a router and a range: who latches the range and finds the router unchanged may write
    /// there, because a structure change latches the router before it touches the range.
    #[test]
    fn a_writer_never_writes_into_a_range_that_has_moved() {
        loom::model(|| {
            let router = Arc::new(Latch::new());
            // Word 0: which range the key belongs to. Words 1 and 2: what was written into each range.
            let words: Arc<Vec<AtomicU64>> = Arc::new((0..3).map(|_| AtomicU64::new(0)).collect());
            let ranges: Arc<Vec<Latch>> = Arc::new((0..2).map(|_| Latch::new()).collect());
            let mover = {
                let (router, words, ranges) = (router.clone(), words.clone(), ranges.clone());
                thread::spawn(move || {
                    let top = router.lock();
                    let from = ranges[0].lock();
                    router.begin();
                    ranges[0].begin();
                    words[0].store(1, Ordering::Relaxed);
                    // What was written so far moves along.
                    words[2].store(words[1].load(Ordering::Relaxed), Ordering::Relaxed);
                    words[1].store(0, Ordering::Relaxed);
                    ranges[0].unlock(from, true);
                    router.unlock(top, true);
                })
            };
            let mut wrote = false;
            if let Some(top) = router.try_read() {
                let range = words[0].load(Ordering::Relaxed) as usize;
                if let Some(version) = ranges[range].try_read() {
                    if ranges[range].try_lock(version) {
                        if router.is_unchanged(top) {
                            ranges[range].begin();
                            words[1 + range].store(7, Ordering::Relaxed);
                            wrote = true;
                        }
                        ranges[range].unlock(version, wrote);
                    }
                }
            }
            mover.join().unwrap();
            let place = words[0].load(Ordering::Relaxed) as usize;
            let found = words[1 + place].load(Ordering::Relaxed);
            assert_eq!(found, if wrote { 7 } else { 0 }, "a write was lost");
        });
    }
}
