//! A first look at bytes that are said to be an image, before anything is made of them.

#![forbid(unsafe_code)]

use crate::backend::BLOB_BYTES;
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"SPINNEY";

/// Refuses bytes that are no whole number of blobs, and says whether they were cut off or never ours.
pub(crate) fn check_length(bytes: &[u8]) -> Result<()> {
    if !bytes.is_empty() && bytes.len().is_multiple_of(BLOB_BYTES) {
        return Ok(());
    }
    if !bytes.starts_with(MAGIC) {
        return Err(Error::NotSpinney { reason: "it does not begin with the magic bytes" });
    }
    let whole = bytes.len().next_multiple_of(BLOB_BYTES) as u64;
    Err(Error::Truncated { found_bytes: bytes.len() as u64, expected_bytes: whole })
}
