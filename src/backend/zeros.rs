//! Writing zeros with the means that every backend has.
//!
//! Invariants:
//! * zeros are written like any other bytes: no backend may answer with a hole;
//! * one buffer serves all operations, so this takes one lease however much there is to write.
//!
//! Must not know: why a page must have its place on the medium beforehand.

#![forbid(unsafe_code)]

use std::io;

use super::{Area, BLOB_BYTES, Backend, PAGE_BYTES, WriteOp};

/// Operations in one batch: 16 MiB, more than a disk needs to be busy.
const BATCH_OPS: usize = 32;

/// Writes `len_bytes` zeros at `offset_bytes` of an area.
pub(super) fn write<B: Backend + ?Sized>(
    backend: &B,
    area: Area,
    offset_bytes: u64,
    len_bytes: u64,
) -> io::Result<()> {
    let area_bytes = backend.len(area)?;
    let is_aligned = (offset_bytes | len_bytes).is_multiple_of(PAGE_BYTES as u64);
    let end_bytes = offset_bytes.checked_add(len_bytes).filter(|end_bytes| *end_bytes <= area_bytes);
    let Some(end_bytes) = end_bytes.filter(|_| is_aligned) else {
        let text = format!(
            "cannot write {len_bytes} zeros at offset {offset_bytes} of the {area:?} area \
             ({area_bytes} bytes): not whole pages inside the area"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    if len_bytes == 0 {
        return Ok(());
    }
    let mut zeros = backend.buffers().lease_blocking();
    zeros.fill(0);
    let mut batch = Vec::with_capacity(BATCH_OPS);
    let mut at_bytes = offset_bytes;
    while at_bytes < end_bytes {
        batch.clear();
        while at_bytes < end_bytes && batch.len() < BATCH_OPS {
            let step_bytes = (end_bytes - at_bytes).min(BLOB_BYTES as u64);
            batch.push(WriteOp { area, offset_bytes: at_bytes, buf: &zeros[..step_bytes as usize] });
            at_bytes += step_bytes;
        }
        backend.write(&batch)?;
    }
    Ok(())
}
