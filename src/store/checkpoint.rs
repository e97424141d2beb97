//! The atomic checkpoint: from one complete state in storage to another, while writers go on.
//!
//! 1. The cut: for an instant the gate is held alone. Every write before log position L is in the frames,
//!    none after it; the changed frames are marked.
//! 2. Blobs that storage does not have yet are written to their place, and the data area is synced.
//! 3. All other changed pages, those of the directory and the superblocks go to the journal, which is
//!    synced: this is the commit.
//! 4. The same pages are written in place and synced.
//! 5. Only now may the journal be overwritten, and the log before L be used again.
//!
//! A failure before the commit leaves everything as it was, changed pages included: the next checkpoint
//! tries again. A failure after it, or of any sync, poisons the log, because nobody knows what is stored.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::TryLockError;
use std::sync::atomic::Ordering;

use super::Store;
use super::capture::{Captured, Owed, page_numbers};
use super::committed::Committed;
use super::directory::Directory;
use super::durable::Durable;
use super::journal;
use super::page_writer::PageWriter;
use super::residency::Residency;
use super::superblock::{Superblock, is_directory_blob, set_word};
use crate::backend::{Area, BLOB_BYTES, Backend, PAGE_BYTES};
use crate::blob::checksum;
use crate::blob::header::{BLOB_PAGES, CHECKSUMS_AT};
use crate::blob::words::{NOTE_WORDS, Ref};
use crate::error::{Error, Result};
use crate::log::record::Identity;

const GENERATION_AT: usize = 2;

/// The state that a checkpoint writes.
struct Cut {
    log_position: u64,
    next_seq: u64,
    next_tree: u32,
    key_bytes_max: u32,
    /// All blob ids in use are below.
    end: u32,
    free: BTreeSet<u32>,
    /// Frames that were changed since the last cut.
    marked: Vec<u32>,
    /// New blobs that lie in their places already, and the checksums of their first pages.
    adopted: Vec<(u32, u64)>,
}

impl Cut {
    /// Whether nothing was written since the last checkpoint of this life. The log may be longer, by the
    /// filling of its last group: whether it is must not show in storage.
    fn is_stored(&self, durable: &Durable, superblock: &Superblock) -> bool {
        let Identity { log_id, incarnation } = durable.log.identity();
        self.marked.is_empty()
            && !durable.log.has_parts()
            && self.next_seq == superblock.next_seq
            && (log_id, incarnation) == (superblock.log_id, superblock.incarnation)
    }

    fn is_free(&self, id: u32) -> bool {
        id >= self.end || self.free.contains(&id)
    }
}

/// A blob of the cut, ready to be written.
struct Ready {
    id: u32,
    pages: u128,
    bytes: Vec<u8>,
    is_new: bool,
}

impl Ready {
    /// The pages and their numbers in the data area.
    fn pages(&self) -> impl Iterator<Item = journal::Page<'_>> {
        let first = u64::from(self.id) * BLOB_PAGES as u64;
        page_numbers(self.pages).map(move |page| first + page as u64).zip(self.bytes.chunks_exact(PAGE_BYTES))
    }
}

/// A backend that panics in the middle of a checkpoint leaves frames of which nobody knows whether they are
/// stored; while the log is made ready, superblocks of which nobody knows what they name. So nothing is
/// stored after that, and recovery reads the log.
pub(super) struct PoisonOnPanic<'a> {
    durable: &'a Durable,
    /// A thread that panics elsewhere may drop, and so close, the database on its way.
    was_panicking: bool,
}

impl<'a> PoisonOnPanic<'a> {
    pub(super) fn new(durable: &'a Durable) -> Self {
        PoisonOnPanic { durable, was_panicking: std::thread::panicking() }
    }
}

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.was_panicking {
            self.durable.log.set_poison("the backend has panicked".into());
        }
    }
}

impl Store {
    /// Brings everything written so far into the data area. One checkpoint runs at a time; others wait.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.checkpoint_unless(|_| false)
    }

    /// For who needs what a checkpoint sets free: makes one, or waits for the one that runs. That one may
    /// have been too early to help; the caller looks again anyway.
    pub(crate) fn next_checkpoint(&self) -> Result<()> {
        let count = |durable: &Durable| durable.counters.checkpoints.get();
        let before = self.durable.get().map_or(0, count);
        self.checkpoint_unless(|durable| count(durable) != before)
    }

    fn checkpoint_unless(&self, is_superfluous: impl FnOnce(&Durable) -> bool) -> Result<()> {
        let (Some(durable), Some(residency)) = (self.durable.get(), &self.residency) else {
            return Ok(());
        };
        let mut committed = durable.committed();
        if durable.has_ended() {
            return Err(Error::Closed);
        }
        if is_superfluous(durable) {
            return Ok(());
        }
        if durable.log.is_poisoned() {
            return Err(durable.log.poisoned());
        }
        if durable.is_asleep() {
            // Without a log there are no writes. What else changes pages is to be seen by no one.
            if self.frames.captures.changed_pages() == 0 {
                return Ok(());
            }
            durable.wake(&mut committed)?;
        }
        let cut = {
            let _alone = self.gate.enter_alone();
            self.cut(durable, &residency.directory)
        };
        if cut.is_stored(durable, &committed.superblock) {
            return Ok(());
        }
        self.commit(durable, residency, &mut committed, cut)
    }

    /// Makes a change with structure mutex and gate held alone, and a checkpoint holding it before anything
    /// else is written. The change needs blobs that lie in their places already, but not for sure: `adopted`.
    /// A failure to commit leaves what was stored before, and poisons the log: the change has been seen.
    pub(crate) fn checkpoint_with<P, E: From<Error>>(
        &self,
        adopted: &[(u32, u64)],
        prepare: impl FnOnce() -> Result<P>,
        change: impl FnOnce(&P) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let (Some(durable), Some(residency)) = (self.durable.get(), &self.residency) else {
            let _structure = self.lock_structure();
            let prepared = prepare()?;
            let _alone = self.gate.enter_alone();
            return change(&prepared);
        };
        // What others have changed is stored before, so that writers have little to wait for.
        self.checkpoint()?;
        let mut committed = durable.committed();
        if durable.is_closed() {
            return Err(Error::Closed.into());
        }
        durable.wake(&mut committed)?;
        let _structure = self.lock_structure();
        let prepared = prepare()?;
        let _alone = self.gate.enter_alone();
        change(&prepared)?;
        let cut = Cut { adopted: adopted.to_vec(), ..self.cut(durable, &residency.directory) };
        self.commit(durable, residency, &mut committed, cut).map_err(|error| {
            durable.log.set_poison(format!("a bulk load could not be stored: {error}"));
            error.into()
        })
    }

    fn commit(
        &self,
        durable: &Durable,
        residency: &Residency,
        committed: &mut Committed,
        cut: Cut,
    ) -> Result<()> {
        let _whole = PoisonOnPanic::new(durable);
        let mut ready = Vec::new();
        let mut next = committed.next();
        match self.write(durable, &cut, &mut next, &mut ready) {
            Ok(()) => {
                self.publish(residency, committed, &next, &ready);
                durable.log.recycle_before(cut.log_position);
                durable.counters.checkpoints.add_one();
                *committed = next;
                residency.keep_budget(&self.frames);
                Ok(())
            }
            Err(error) => {
                self.take_back(&cut, ready);
                Err(error)
            }
        }
    }

    /// Gives the end of the data file back that no blob uses.
    pub(crate) fn shrink(&self) -> Result<()> {
        let Some(durable) = self.durable.get() else {
            return Ok(());
        };
        let mut committed = durable.committed();
        if durable.has_ended() {
            return Err(Error::Closed);
        }
        // Blobs of a bulk load are written before the superblock knows of them.
        let _no_load = match self.loading.try_lock() {
            Ok(no_load) => no_load,
            // One has panicked, and was given back.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        let used_bytes = u64::from(committed.superblock.blobs) * BLOB_BYTES as u64;
        if durable.backend.len(Area::Data)? > used_bytes {
            let end = committed.superblock.blobs;
            committed.forget_from(end);
            durable.backend.set_len(Area::Data, used_bytes)?;
        }
        Ok(())
    }

    /// How many blobs the data file has room for; without a file, how many there are.
    pub(crate) fn length_blobs(&self) -> Result<u32> {
        let stored_bytes = self.durable.get().map_or(Ok(0), |durable| durable.backend.len(Area::Data))?;
        Ok(self.ids.in_use().0.max((stored_bytes / BLOB_BYTES as u64) as u32))
    }

    /// The state of this moment. The caller holds the gate alone.
    fn cut(&self, durable: &Durable, directory: &Directory) -> Cut {
        let (end, free) = self.ids.in_use();
        let log_position = durable.log.end();
        let mut marked = Vec::new();
        let changed = self.frames.captures.take_changed_frames();
        for frame in changed.into_iter().filter_map(|id| self.frames.get(id)) {
            if frame.changed_pages() > 0 {
                let owed = if directory.get(frame.id) == 0 { Owed::Whole } else { Owed::Changed };
                frame.set_owed(owed);
                marked.push(frame.id);
            }
        }
        let next_tree = self.next_tree.load(Ordering::Relaxed);
        let (next_seq, key_bytes_max) = (self.last_seq() + 1, self.longest_key_bytes() as u32);
        Cut { log_position, next_seq, next_tree, key_bytes_max, end, free, marked, adopted: Vec::new() }
    }

    /// Steps 2 to 4.
    fn write(
        &self,
        durable: &Durable,
        cut: &Cut,
        next: &mut Committed,
        ready: &mut Vec<Ready>,
    ) -> Result<()> {
        let backend = &*durable.backend;
        if durable.log.keeps_more() {
            // What is committed is not replayed. Who reads changes is to find it after a loss of power, too.
            durable.log.wait_durable(cut.log_position)?;
        }
        let poison = |error: Error| {
            durable.log.set_poison(format!("a checkpoint failed: {error}"));
            error
        };
        let superblock = &mut next.superblock;
        superblock.generation += 1;
        superblock.log_position = cut.log_position;
        superblock.next_seq = cut.next_seq;
        superblock.next_tree = cut.next_tree;
        superblock.key_bytes_max = cut.key_bytes_max;
        superblock.unused_is_zero = false;
        superblock.incarnation = durable.log.identity().incarnation;
        superblock.log_id = durable.log.identity().log_id;
        superblock.may_be_stored()?;
        let old_end = superblock.blobs;
        superblock.blobs = cut.end;
        next.cover(cut.end.max(old_end))?;
        durable.growth.make_room(backend, u64::from(cut.end) * BLOB_BYTES as u64)?;
        if durable.journal_is_doubtful.load(Ordering::Relaxed) {
            // It may be that of the checkpoint that failed. Then it names the blobs that this one is about to
            // write otherwise.
            journal::blank(backend)?;
            backend.sync(Area::Journal).map_err(|error| poison(error.into()))?;
            durable.journal_is_doubtful.store(false, Ordering::Relaxed);
        }
        let mut written_bytes = self.write_new(backend, cut, next, ready)?;
        for &(id, checksum) in &cut.adopted {
            next.enter(id, checksum)?;
        }
        // Ids that a load has taken make the area longer, too, though nothing is in them yet.
        if written_bytes > 0 || !cut.adopted.is_empty() || cut.end > old_end {
            backend.sync(Area::Data).map_err(|error| poison(error.into()))?;
        }
        let free = cut.free.range(..old_end).copied().chain(cut.end..old_end);
        free.filter(|&id| !is_directory_blob(id)).try_for_each(|id| next.enter(id, 0))?;
        let (generation, database_id) = (next.superblock.generation, next.superblock.database_id);
        let identity = journal::Identity { generation, database_id, log_id: next.superblock.log_id };
        let mut pages: Vec<journal::Page<'_>> = Vec::new();
        for blob in ready.iter().filter(|blob| !blob.is_new) {
            pages.try_reserve(blob.pages.count_ones() as usize)?;
            pages.extend(blob.pages());
        }
        pages.extend(next.seal()?);
        durable.journal_is_doubtful.store(true, Ordering::Relaxed);
        written_bytes += journal::write(backend, identity, &pages)?;
        durable.journal_is_doubtful.store(false, Ordering::Relaxed);
        backend.sync(Area::Journal).map_err(|error| poison(error.into()))?;
        // The checkpoint has committed: from here on there is no way back.
        let mut writer = PageWriter::new(backend);
        let put = pages
            .iter()
            .try_for_each(|(number, bytes)| writer.put(Area::Data, number * PAGE_BYTES as u64, bytes));
        written_bytes += put.and_then(|()| writer.flush()).map_err(|error| poison(error.into()))?;
        backend.sync(Area::Data).map_err(|error| poison(error.into()))?;
        durable.counters.pages.add(pages.len() as u64);
        durable.counters.bytes.add(written_bytes);
        Ok(())
    }

    /// Captures every marked frame, and writes those that storage does not have to their place.
    fn write_new(
        &self,
        backend: &dyn Backend,
        cut: &Cut,
        next: &mut Committed,
        ready: &mut Vec<Ready>,
    ) -> Result<u64> {
        let mut writer = PageWriter::new(backend);
        for &id in &cut.marked {
            let Some(captured) = self.captured(id)? else { continue };
            let is_new = next.entry(id) == 0;
            let mut blob = Ready { id, pages: captured.pages, bytes: captured.bytes, is_new };
            if cut.is_free(id) {
                // What it holds is nobody's; only the marks must go.
                blob.bytes = Vec::new();
                ready.push(blob);
                continue;
            }
            let checksum = seal(&mut blob, next.superblock.generation);
            // Here already: whatever fails, it is known what was captured.
            ready.push(blob);
            next.enter(id, checksum)?;
            if let Some(blob) = ready.last_mut().filter(|blob| blob.is_new) {
                writer.put(Area::Data, u64::from(id) * BLOB_BYTES as u64, &blob.bytes)?;
                // Only page 0 is needed any more.
                blob.bytes.truncate(PAGE_BYTES);
                blob.bytes.shrink_to_fit();
            }
        }
        Ok(writer.flush()?)
    }

    /// What a marked frame had at the cut.
    fn captured(&self, id: u32) -> Result<Option<Captured>> {
        let Some(frame) = self.frames.get(id) else {
            return Ok(None);
        };
        let pages = frame.pages_owed();
        if pages > 0 {
            self.frames.captures.make_room(pages)?;
            frame.hold().pay()?;
            // A writer who waited for the latch on this processor goes on now, not when this time slice ends.
            std::thread::yield_now();
        }
        Ok(self.frames.captures.take(id))
    }

    /// Lets faults know what storage has now, and pages leave memory again.
    fn publish(&self, residency: &Residency, before: &Committed, after: &Committed, ready: &[Ready]) {
        let directory = &residency.directory;
        let changed = after.entered().filter(|&id| before.entry(id) != after.entry(id));
        let (freed, stored): (Vec<u32>, Vec<u32>) = changed.partition(|&id| after.entry(id) == 0);
        // First: what was changed of them was not written, so none of it may leave memory as if it had been
        // while a snapshot may still want it.
        for id in freed {
            self.keep_if_freed(id);
            directory.set(id, 0);
        }
        for blob in ready {
            let Some(frame) = self.frames.get(blob.id) else { continue };
            let held = frame.hold();
            // Without bytes it was free at the cut. Since then a load may have taken it, and entered it.
            if let Some(page) = blob.bytes.get(..PAGE_BYTES) {
                let word = |at: usize| u64::from_le_bytes(*page[at * 8..].first_chunk().unwrap_or(&[0; 8]));
                frame.words.store_unnoted(GENERATION_AT as Ref, word(GENERATION_AT));
                for at in usize::from(CHECKSUMS_AT)..usize::from(CHECKSUMS_AT) + BLOB_PAGES {
                    frame.words.store_unnoted(at as Ref, word(at));
                }
                directory.set(blob.id, after.entry(blob.id));
            }
            debug_assert!(
                !blob.bytes.is_empty() || before.entry(blob.id) == 0 || directory.get(blob.id) == 0
            );
            frame.clear_writing(blob.pages);
            residency.count_written(frame, blob.pages);
            drop(held);
        }
        for id in stored {
            directory.set(id, after.entry(id));
        }
    }

    /// A checkpoint has failed: what it wanted to write is to be written by the next.
    fn take_back(&self, cut: &Cut, ready: Vec<Ready>) {
        // Whoever has paid by now is here or there.
        let captured = |id: u32| {
            let had_not_paid = self.frames.get(id)?.hold().forgive();
            let captured = self.frames.captures.take(id).filter(|_| !had_not_paid)?;
            Some((id, captured.pages))
        };
        let done: Vec<(u32, u128)> = ready.into_iter().map(|blob| (blob.id, blob.pages)).collect();
        // They are in the order of the marked ones, some of which are left out.
        let mut done_ids = done.iter().map(|(id, _)| id).peekable();
        let others = cut.marked.iter().filter(|id| done_ids.next_if_eq(id).is_none());
        let others: Vec<_> = others.filter_map(|&id| captured(id)).collect();
        for (id, pages) in done.into_iter().chain(others) {
            let Some(frame) = self.frames.get(id) else { continue };
            let held = frame.hold();
            for page in page_numbers(pages) {
                frame.words.note_dirty(page);
            }
            frame.clear_writing(pages);
            frame.count_changed();
            drop(held);
        }
    }
}

/// Fills in what belongs to the place of the pages, not to their content; returns the checksum of page 0.
fn seal(blob: &mut Ready, generation: u64) -> u64 {
    let checksums: Vec<(usize, u64)> = page_numbers(blob.pages)
        .zip(blob.bytes.chunks_exact(PAGE_BYTES))
        .skip(1)
        .map(|(page, bytes)| (page, checksum::of_page(bytes)))
        .collect();
    let first = &mut blob.bytes[..PAGE_BYTES];
    set_word(first, GENERATION_AT, generation);
    for at in NOTE_WORDS {
        set_word(first, at, 0);
    }
    for (page, checksum) in checksums {
        set_word(first, usize::from(CHECKSUMS_AT) + page, checksum);
    }
    let own = checksum::of_first_page(first);
    set_word(first, usize::from(CHECKSUMS_AT), own);
    own
}
