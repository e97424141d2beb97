//! The database as it was at a cut: making one, and reading pages as of it while writers go on.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::Store;
use super::frames::{Frame, Pages, run};
use super::residency::{Fault, Faults, Want};
use super::superblock::is_directory_blob;
use crate::backend::{BLOB_BYTES, PAGE_BYTES};
use crate::blob::words::{PAGE_WORDS, Ref};
use crate::error::Result;

/// A moment between writes: every write before it is in the frames, none after it.
#[derive(Debug)]
pub(crate) struct Cut {
    /// What [`Past`](super::past::Past) knows it by.
    pub(crate) number: u64,
    pub(crate) last_seq: u64,
    pub(crate) next_tree: u32,
    pub(crate) key_bytes_max: u32,
    /// All blob ids in use are below.
    pub(crate) end: u32,
    unused: BTreeSet<u32>,
}

impl Cut {
    /// The blobs that hold something, directory blobs not among them.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = u32> {
        (1..self.end).filter(|&id| !is_directory_blob(id) && !self.unused.contains(&id))
    }

    /// Bytes of the database as an image or a file.
    pub(crate) fn size_bytes(&self) -> u64 {
        u64::from(self.end) * BLOB_BYTES as u64
    }
}

/// After so many copies of which none was of one version, writers wait for the next: some never pause.
const TRIES_MAX: u32 = 16;

impl Store {
    /// Makes a cut, which is kept until [`Store::end_cut`].
    pub(crate) fn begin_cut(&self) -> Cut {
        let _alone = self.gate.enter_alone();
        let (end, unused) = self.ids.in_use();
        Cut {
            number: self.frames.captures.past.begin(),
            last_seq: self.last_seq(),
            next_tree: self.next_tree.load(Ordering::Relaxed),
            key_bytes_max: self.longest_key_bytes() as u32,
            end,
            unused,
        }
    }

    /// Nothing will be read at the cut any more of blobs below this one.
    pub(crate) fn pass_at_cut(&self, cut: &Cut, blob: u32) {
        self.frames.captures.past.pass(cut.number, blob);
    }

    pub(crate) fn end_cut(&self, cut: &Cut) {
        self.frames.captures.past.end(cut.number);
    }

    /// Fills `bytes` with the pages of a blob from `first` on, as they were at the cut. The caller holds
    /// neither gate nor latch.
    pub(crate) fn read_at_cut(&self, cut: u64, blob: u32, first: usize, bytes: &mut [u8]) -> Result<()> {
        let past = &self.frames.captures.past;
        let wanted = run(first, bytes.len() / PAGE_BYTES);
        let mut faults = Faults::new(self);
        let mut tries = 0;
        loop {
            tries += 1;
            let rest = wanted & !past.fill(cut, blob, first, bytes)?;
            if rest == 0 {
                return Ok(());
            }
            let Some(frame) = self.frames.get(blob) else {
                faults.resolve(Fault { blob, want: want(rest) })?;
                continue;
            };
            let held = (tries > TRIES_MAX).then(|| frame.hold());
            let version = held.is_none().then(|| frame.latch().read());
            let absent = rest & !present(frame);
            if absent != 0 {
                drop(held);
                faults.resolve(Fault { blob, want: want(absent) })?;
                continue;
            }
            copy_pages(frame, rest, first, bytes);
            if version.is_none_or(|version| frame.latch().is_unchanged(version)) {
                drop(held);
                // Whoever has changed a page before that has published what it was.
                past.fill(cut, blob, first, bytes)?;
                return Ok(());
            }
        }
    }
}

fn want(pages: Pages) -> Want {
    if pages == Pages::MAX { Want::Whole } else { Want::Leaves(pages) }
}

fn present(frame: Frame<'_>) -> Pages {
    if frame.is_whole() { Pages::MAX } else { frame.present() }
}

fn copy_pages(frame: Frame<'_>, pages: Pages, first: usize, bytes: &mut [u8]) {
    for (page, copy) in (first..).zip(bytes.chunks_exact_mut(PAGE_BYTES)) {
        if pages & (1 << page) == 0 {
            continue;
        }
        let (words, _) = copy.as_chunks_mut::<8>();
        for (at, word) in (page * PAGE_WORDS..).zip(words) {
            *word = frame.words.load(at as Ref).to_le_bytes();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::store::frames::Frames;
    use std::sync::atomic::{AtomicBool, AtomicU64};

    fn store() -> Store {
        let store = Store::new(Frames::new(), 0);
        for _ in 0..3 {
            store.allocate_blob().expect("room");
        }
        store
    }

    /// Adds one to a word in each of three pages, in a blob and then in the next.
    fn write(store: &Store, blob: u32) {
        let _gate = store.gate.enter();
        for blob in [blob, blob + 1] {
            let frame = store.frames.get(blob).expect("there");
            let mut held = frame.hold();
            let words = held.change();
            for at in [300, 5_000, 40_000] {
                words.store(at, words.load(at) + 1);
            }
        }
    }

    fn read(store: &Store, cut: &Cut, blob: u32) -> Result<[u64; 3]> {
        let mut bytes = vec![0; BLOB_BYTES];
        store.read_at_cut(cut.number, blob, 0, &mut bytes)?;
        let word = |at: usize| u64::from_le_bytes(bytes[at * 8..][..8].try_into().expect("eight"));
        Ok([word(300), word(5_000), word(40_000)])
    }

    /// The word in the second page alone.
    fn read_page(store: &Store, cut: &Cut, blob: u32) -> u64 {
        let mut bytes = vec![0; PAGE_BYTES];
        store.read_at_cut(cut.number, blob, 5_000 / PAGE_WORDS, &mut bytes).expect("open");
        let at = 5_000 % PAGE_WORDS * 8;
        u64::from_le_bytes(bytes[at..][..8].try_into().expect("eight"))
    }

    #[test]
    fn every_cut_reads_what_was_there_and_what_nobody_needs_is_dropped() {
        let store = store();
        let past = &store.frames.captures.past;
        let mut cuts = Vec::new();
        for round in 0..5 {
            cuts.push((round, store.begin_cut()));
            write(&store, 1);
        }
        // Beyond the first change after a cut nothing more is kept.
        assert_eq!(past.kept().pages, 5 * 6, "three pages of two blobs");
        write(&store, 1);
        assert_eq!(past.kept().pages, 5 * 6);
        for (round, cut) in &cuts {
            for blob in [1, 2] {
                assert_eq!(read(&store, cut, blob).expect("open"), [*round; 3]);
            }
            assert_eq!(read(&store, cut, 3).expect("open"), [0; 3]);
        }
        for dropped in [2, 0, 2] {
            let (_, cut) = cuts.remove(dropped);
            store.end_cut(&cut);
            assert!(matches!(read(&store, &cut, 1), Err(Error::SnapshotTooOld)));
            for (round, cut) in &cuts {
                assert_eq!(read(&store, cut, 1).expect("open"), [*round; 3]);
            }
            assert_eq!(past.kept().pages, cuts.len() as u64 * 6);
        }
        cuts.iter().for_each(|(_, cut)| store.end_cut(cut));
        assert_eq!((past.kept().pages, past.kept().bytes, past.cut()), (0, 0, 0));
        write(&store, 1);
        assert_eq!(past.kept().pages, 0);
    }

    #[test]
    fn beyond_the_limit_the_oldest_snapshot_ends_and_the_others_stay() {
        let store = store();
        let past = &store.frames.captures.past;
        past.set_limit_bytes(20 * 4200);
        let cuts: Vec<Cut> = (0..4)
            .map(|_| {
                let cut = store.begin_cut();
                write(&store, 1);
                cut
            })
            .collect();
        assert!(past.kept().bytes <= 20 * 4200);
        let answers: Vec<bool> = cuts.iter().map(|cut| read(&store, cut, 1).is_ok()).collect();
        assert_eq!(answers, [false, true, true, true], "all zeros take less");
        assert_eq!(read(&store, &cuts[3], 2).expect("open"), [3; 3]);
    }

    #[test]
    fn what_was_passed_is_not_kept() {
        let store = store();
        let past = &store.frames.captures.past;
        write(&store, 1);
        let cut = store.begin_cut();
        write(&store, 1);
        assert_eq!(past.kept().pages, 6);
        past.pass(cut.number, 2);
        assert_eq!(past.kept().pages, 3);
        assert_eq!(read(&store, &cut, 2).expect("open"), [1; 3]);
        past.pass(cut.number, 4);
        assert_eq!(past.kept().pages, 0);
        let other = store.begin_cut();
        write(&store, 1);
        assert_eq!(past.kept().pages, 6, "the new one needs them");
        store.end_cut(&other);
        assert_eq!(past.kept().pages, 0);
        store.end_cut(&cut);
    }

    /// The same blobs in storage, and none of them in memory.
    #[cfg(not(miri))]
    fn cold() -> Store {
        let (live, backend) = (store(), crate::backend::MemoryBackend::new());
        for id in 1..4 {
            let mut held = live.frames.get(id).expect("there").hold();
            crate::blob::header::format(held.change(), id, crate::blob::header::BlobKind::Range);
        }
        let cut = live.begin_cut();
        crate::store::image::write(&live, &cut, true, &backend, &mut |_, _| {}).expect("writes");
        crate::store::open::open_cold(std::sync::Arc::new(backend), 1 << 20).expect("sound")
    }

    // Not under Miri, which takes long to write an image.
    #[cfg(not(miri))]
    #[test]
    fn a_blob_that_fell_free_unseen_ends_snapshots_when_its_id_is_used_again() {
        let cold = cold();
        let cut = cold.begin_cut();
        cold.ids.free(2);
        cold.discard(&[2]);
        assert!(read(&cold, &cut, 3).is_ok());
        let later = cold.begin_cut();
        assert_eq!(cold.allocate_blob().expect("room").id, 2);
        assert!(matches!(read(&cold, &cut, 3), Err(Error::SnapshotTooOld)));
        assert!(read(&cold, &later, 3).is_ok(), "it never had blob 2");
    }

    /// The same after the snapshot that knew the blob: it waits for nobody.
    #[cfg(not(miri))]
    #[test]
    fn a_blob_that_fell_free_before_a_snapshot_is_none_of_its_business() {
        let cold = cold();
        let first = cold.begin_cut();
        cold.ids.free(2);
        cold.discard(&[2]);
        cold.end_cut(&first);
        let cut = cold.begin_cut();
        assert_eq!(cold.allocate_blob().expect("room").id, 2);
        assert!(read(&cold, &cut, 3).is_ok());
        assert_eq!(cold.frames.captures.past.kept().pages, 0);
    }

    /// It is whole, so it is kept, once, for the snapshot that knew it alone.
    #[cfg(not(miri))]
    #[test]
    fn a_snapshot_that_begins_before_memory_is_given_back_does_not_count() {
        let cold = cold();
        let first = cold.begin_cut();
        cold.load(&[Fault::whole(2)]).expect("sound");
        cold.ids.free(2);
        cold.note_freed(&[2]);
        let second = cold.begin_cut();
        cold.discard(&[2]);
        for (cut, blob) in [(&first, 2), (&first, 3), (&second, 3)] {
            assert!(read(&cold, cut, blob).is_ok(), "blob {blob} at cut {}", cut.number);
        }
    }

    /// A writer that never pauses: no copy of many pages is of one version.
    // Not under Miri, whose threads take turns.
    #[cfg(not(miri))]
    #[test]
    fn a_blob_that_is_always_being_changed_is_read_all_the_same() {
        let store = store();
        let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let _stop = Stop(&done);
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    write(&store, 1);
                }
            });
            for _ in 0..200 {
                let cut = store.begin_cut();
                let words = read(&store, &cut, 1).expect("open");
                assert_eq!(words, [words[0]; 3], "all at one cut");
                store.end_cut(&cut);
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert_eq!(reads.into_inner(), 200);
    }

    /// Lets the writers end, however the reader does.
    struct Stop<'a>(&'a AtomicBool);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Blob 1 is written before blob 2, so at any cut between writes all six words are the same.
    #[test]
    fn cuts_are_whole_while_threads_write() {
        let store = store();
        let done = AtomicBool::new(false);
        let rounds = if cfg!(miri) { 3 } else { 4_000 };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        // Together with the other writer: each takes one latch at a time.
                        write(&store, 1);
                    }
                });
            }
            let _stop = Stop(&done);
            let mut least = 0;
            for round in 0..rounds {
                let cut = store.begin_cut();
                // At once, while the first changes after the cut are made.
                let early = read_page(&store, &cut, 1 + round % 2);
                for blob in [1, 2, 1] {
                    assert_eq!(read_page(&store, &cut, blob), early, "all at one cut");
                }
                if round % 100 == 0 {
                    assert_eq!(read(&store, &cut, 2).expect("open"), [early; 3]);
                }
                assert!(early >= least, "cuts do not go back");
                least = early;
                store.end_cut(&cut);
            }
        });
        assert_eq!(store.frames.captures.past.kept().pages, 0);
    }
}
