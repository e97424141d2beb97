//! Blobs that a bulk load makes: nobody's until they are tied in.
//!
//! With a backend they are written straight to their places, and not kept in memory. A crash leaves bytes
//! there that no directory knows of.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::Store;
use super::durable::Durable;
use crate::backend::{AlignedBlobBuf, Area, BLOB_BYTES, WriteOp};
use crate::blob::{Words, checksum, replace};
use crate::error::{Error, Result};

/// A blob on its way to its place.
pub(crate) struct Outgoing {
    pub(crate) id: u32,
    pub(crate) checksum: u64,
    bytes: AlignedBlobBuf,
}

/// Ids for the blobs of one load.
#[derive(Default)]
pub(crate) struct Reservation {
    free: BTreeSet<u32>,
}

impl Store {
    /// Reserves the free ids that no stored state refers to, nor one that is being stored: what is written
    /// there can do no harm.
    pub(crate) fn begin_reserving(&self) -> Result<Reservation> {
        // Blobs are about to be written, and may be before anything is logged.
        self.wake()?;
        // What fell free before is free in storage then.
        self.checkpoint()?;
        let _no_checkpoint = self.durable.get().map(Durable::committed);
        Ok(Reservation { free: self.ids.reserve_free(|id| !self.is_stored(id)) })
    }

    /// An id for a new blob, which is not in use to anybody else.
    pub(crate) fn reserve_blob(&self, reservation: &mut Reservation) -> Result<u32> {
        let _structure = self.lock_structure();
        let id = reservation.free.pop_first().unwrap_or_else(|| self.ids.reserve_unused());
        let made = self.make_fresh(id).inspect_err(|_| self.ids.free(id))?;
        if self.durable.get().is_some() {
            // It will be read like any blob that is not in memory.
            self.discard_held(&mut made.hold());
        }
        Ok(id)
    }

    /// Gives back what was not needed.
    pub(crate) fn end_reserving(&self, reservation: Reservation) {
        reservation.free.into_iter().for_each(|id| self.ids.free(id));
    }

    /// Gives back what a load has reserved and come to nothing with; not what was tied in already.
    pub(crate) fn give_back(&self, ids: &[u32]) {
        let _structure = self.lock_structure();
        let ids = &self.ids.still_reserved(ids)[..];
        if let Some(residency) = &self.residency {
            ids.iter().for_each(|&id| residency.directory.set(id, 0));
        }
        for &id in ids {
            self.ids.free(id);
        }
        self.discard(ids);
    }

    /// Puts a reserved blob into its frame; or makes ready to be written what it is to be in storage.
    pub(crate) fn settle_words(&self, id: u32, words: Words<'_>) -> Result<Option<Outgoing>> {
        let Some(durable) = self.durable.get() else {
            let frame = self.frames.get(id).ok_or(Error::corrupt(id, "there is no such blob"))?;
            replace::replace(frame.hold().change(), words);
            return Ok(None);
        };
        let mut bytes = durable.backend.buffers().lease_blocking();
        replace::write_to(&mut bytes, words);
        let checksum = checksum::seal(&mut bytes);
        Ok(Some(Outgoing { id, checksum, bytes }))
    }

    /// Writes a blob to its place. `Closed` if the database was closed since the load began.
    pub(crate) fn write_out(&self, outgoing: &Outgoing) -> Result<()> {
        let (Some(Durable { backend, growth, .. }), Some(residency)) = (self.durable.get(), &self.residency)
        else {
            return Ok(());
        };
        let offset_bytes = u64::from(outgoing.id) * BLOB_BYTES as u64;
        growth.write(&**backend, WriteOp { area: Area::Data, offset_bytes, buf: &outgoing.bytes })?;
        residency.directory.set(outgoing.id, outgoing.checksum);
        Ok(())
    }
}
