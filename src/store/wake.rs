//! From a closed database to one that takes writes, when the first of them comes.
//!
//! Opening a closed database for writing writes nothing: it *sleeps*. Its log has a beginning and no place,
//! and takes no record. Whoever wants one appended, or has anything else to store, wakes it: log, ring and
//! journal are made and made durable, and only then the superblocks name them. Until then the database is a
//! closed one, whatever happens to the process, and closing it has nothing to do.
//!
//! Nothing was lost or half done by a failure before the superblocks: the next write tries again. One of a
//! sync, or of the superblocks, poisons the log: nobody knows what is stored.

#![forbid(unsafe_code)]

use super::Store;
use super::checkpoint::PoisonOnPanic;
use super::committed::Committed;
use super::durable::Durable;
use super::lifecycle::store_superblocks;
use crate::backend::{Area, PAGE_BYTES};
use crate::error::{Error, Result};

impl Store {
    /// Wakes a sleeping database. The caller holds neither gate nor latch, nor what is committed.
    #[cold]
    pub(crate) fn wake(&self) -> Result<()> {
        match self.durable.get() {
            Some(durable) if durable.is_closed() => Err(Error::Closed),
            Some(durable) => durable.wake(&mut durable.committed()),
            None => Ok(()),
        }
    }
}

impl Durable {
    /// Makes the log ready for records, unless it is.
    pub(crate) fn wake(&self, committed: &mut Committed) -> Result<()> {
        if !self.is_asleep() {
            return Ok(());
        }
        if self.has_ended() {
            return Err(Error::Closed);
        }
        if self.log.is_poisoned() {
            return Err(self.log.poisoned());
        }
        let backend = &*self.backend;
        let _whole = PoisonOnPanic::new(self);
        let is_new = !committed.is_unread();
        let mut next = match is_new {
            true => committed.next(),
            false => Committed::read(backend, committed.superblock)?,
        };
        let poison = |error: Error| {
            self.log.set_poison(format!("the log could not be made ready: {error}"));
            error
        };
        // A process that died may have written a superblock and not synced it, and the other one is about to
        // be written.
        backend.sync(Area::Data).map_err(|error| poison(error.into()))?;
        backend.remove_side_files()?;
        self.log.forget_places();
        let ring = backend.ring(true)?;
        self.log.make_first_place()?;
        // Blank, also where an earlier life's journal could not be deleted: recovery tells by that whether a
        // checkpoint has begun.
        backend.set_len(Area::Journal, 0)?;
        backend.set_len(Area::Journal, PAGE_BYTES as u64)?;
        let synced = backend.sync(Area::Journal).and_then(|()| backend.sync_directory());
        synced.map_err(|error| poison(error.into()))?;
        next.superblock.has_ring = ring.outlives_process();
        // Before it is named: it says whose it is from the first moment on.
        self.log.take_ring(ring);
        // The file is about to grow before a checkpoint says so.
        next.superblock.unused_is_zero = false;
        if !is_new {
            next.superblock.log_position = self.log.end();
            next.superblock.log_id = self.log.identity().log_id;
            next.superblock.incarnation = self.log.identity().incarnation;
            store_superblocks(backend, &mut next).map_err(poison)?;
        }
        *committed = next;
        self.log.begin();
        self.set_awake();
        Ok(())
    }
}
