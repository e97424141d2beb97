//! Whether storage still holds what the last checkpoint left there, also where memory has a copy of it: that
//! copy was verified when it came in, and nobody reads the stored one again before it has left.

#![forbid(unsafe_code)]

use super::Store;
use super::committed::Committed;
use super::superblock::is_directory_blob;
use crate::backend::{Area, Backend, ReadOp};
use crate::blob::checksum;
use crate::blob::words::BLOB_BYTES;
use crate::error::{Error, Result};

impl Store {
    /// Tells `problem` of each blob of which memory holds pages, and whose stored ones do not have the
    /// checksums that they should have; and of the directory. All other blobs are verified as they come in.
    ///
    /// No checkpoint may be under way: the caller holds `committed`, where there is one.
    pub(crate) fn verify_stored(
        &self,
        committed: Option<&Committed>,
        problem: &mut dyn FnMut(u32, String),
    ) -> Result<()> {
        // After a failure a checkpoint may be half in place, which the next opening repairs; after closing,
        // the file may be somebody else's.
        let is_over =
            self.durable.get().is_some_and(|durable| durable.log.is_poisoned() || durable.is_closed());
        let Some(residency) = self.residency.as_ref().filter(|residency| residency.verifies && !is_over)
        else {
            return Ok(());
        };
        if residency.is_remote {
            // What comes from there was just read from there.
            return Ok(());
        }
        let backend = residency.backend();
        if let Some(committed) = committed {
            verify_directory(backend, committed, problem)?;
        }
        let mut buffer = backend.buffers().lease_blocking();
        for id in (1..self.ids.end()).filter(|&id| !is_directory_blob(id)) {
            let expected = residency.directory.get(id);
            let is_cached = self.frames.get(id).is_some_and(|frame| frame.is_whole() || frame.present() != 0);
            if expected == 0 || !is_cached {
                continue;
            }
            let offset_bytes = u64::from(id) * BLOB_BYTES as u64;
            backend.read(&mut [ReadOp { area: Area::Data, offset_bytes, buf: &mut buffer }])?;
            if let Some(page) = checksum::first_damaged_page(&buffer, expected) {
                problem(id, format!("page {page} is damaged in storage"));
            }
        }
        Ok(())
    }
}

fn verify_directory(
    backend: &dyn Backend,
    committed: &Committed,
    problem: &mut dyn FnMut(u32, String),
) -> Result<()> {
    if committed.superblock.generation == 0 {
        // Nothing was stored yet.
        return Ok(());
    }
    match Committed::read(backend, committed.superblock) {
        Ok(_) => {}
        Err(Error::Corrupt { blob, page, reason }) => {
            problem(blob, format!("page {page} is damaged in storage: {reason}"))
        }
        Err(error @ (Error::NotSpinney { .. } | Error::NewerFormat { .. })) => problem(0, error.to_string()),
        Err(error) => return Err(error),
    }
    Ok(())
}
