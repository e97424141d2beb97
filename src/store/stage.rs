//! A batch that is too long for one record of the log, between its parts and the record that makes them
//! count.
//!
//! While it is open no checkpoint is made: it would have to keep the parts in front of its log position. So
//! whoever holds it must not wait for a checkpoint.

#![forbid(unsafe_code)]

use std::sync::MutexGuard;

use super::Store;
use super::committed::Committed;
use super::durable::Durable;
use crate::error::{Error, Result};
use crate::log::batch::Ticket;
use crate::log::record::PAYLOAD_BYTES_MAX;
use crate::log::ring::Full;

/// See the head of this file. If it is dropped before its ticket is in the log, the parts mean nothing.
pub(crate) struct Staged<'a> {
    pub(crate) ticket: Ticket,
    durable: &'a Durable,
    _no_checkpoint: MutexGuard<'a, Committed>,
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // Parts take space whether they count or not.
        self.durable.log_has_grown();
    }
}

impl Store {
    /// Puts a long batch into the log in parts. None if it fits one record, or there is no log.
    pub(crate) fn stage(&self, bytes: &[u8]) -> Result<Option<Staged<'_>>> {
        let Some(durable) = self.durable.get().filter(|_| bytes.len() > PAYLOAD_BYTES_MAX) else {
            return Ok(None);
        };
        loop {
            let mut no_checkpoint = durable.committed();
            if durable.is_closed() {
                return Err(Error::Closed);
            }
            durable.wake(&mut no_checkpoint)?;
            if durable.log.can_stage() {
                let ticket = durable.log.stage(bytes, || self.last_seq())?;
                return Ok(Some(Staged { ticket, durable, _no_checkpoint: no_checkpoint }));
            }
            drop(no_checkpoint);
            // Segments are free when a checkpoint has passed them, and all of them is on stable storage.
            durable.log.wait_durable(durable.log.end())?;
            self.checkpoint()?;
        }
    }

    /// After the log was full for a staged batch. The caller holds neither gate nor latch.
    pub(crate) fn make_log_space_for_staged(&self, full: Full) -> Result<()> {
        self.durable.get().map_or(Ok(()), |durable| durable.log.make_space_for_staged(full))
    }
}
