//! Putting a batch that is too long for one record into the log in parts, ahead of the record that makes it
//! count.
//!
//! The caller holds back checkpoints until that record is there or will never be: so the log's beginning does
//! not pass the parts, and no checkpoint is needed to find room for them, because they may go further than
//! other records. There is one such batch at a time.
//!
//! Must not know: what the bytes mean.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::batch::{self, PART_BYTES, Ticket};
use super::record::Kind;
use super::ring::Full;
use super::{Log, Refused};
use crate::error::{Error, Result};

impl Log {
    /// Whether a batch can be staged now. If not, a checkpoint has to come before.
    pub(crate) fn can_stage(&self) -> bool {
        let (used, max) = self.segments.used();
        used <= max + 1
    }

    /// Whether the log holds parts that only a checkpoint sets free.
    pub(crate) fn has_parts(&self) -> bool {
        self.has_parts.load(Ordering::Relaxed)
    }

    /// Appends all parts. The caller holds neither gate nor latch, and keeps checkpoints away.
    pub(crate) fn stage(&self, bytes: &[u8], last_seq: impl Fn() -> u64) -> Result<Ticket> {
        let batch_id = self.last_batch.fetch_add(1, Ordering::Relaxed) + 1;
        self.has_parts.store(true, Ordering::Relaxed);
        for (part, chunk) in bytes.chunks(PART_BYTES).enumerate() {
            let encode = |payload: &mut Vec<u8>| batch::encode_part(batch_id, part as u32, chunk, payload);
            loop {
                match self.append_payload(Kind::BatchPart, encode, &last_seq) {
                    Ok(_) => break,
                    Err(Refused::Full(full)) => self.make_space_for_staged(full)?,
                    Err(Refused::Poisoned) => return Err(self.poisoned()),
                    Err(Refused::Closed) => return Err(Error::Closed),
                }
            }
        }
        Ok(Ticket::new(batch_id, bytes))
    }

    /// After `Full`, for a part or what makes the parts count.
    pub(crate) fn make_space_for_staged(&self, full: Full) -> Result<()> {
        match full {
            Full::Ring => self.wait_durable(self.ring.end()),
            Full::Segments if self.prepare_segment(true)? => Ok(()),
            Full::Segments => {
                let reason = "no space in the log for a long batch";
                Err(Error::Io(std::io::Error::new(std::io::ErrorKind::StorageFull, reason)))
            }
        }
    }
}
