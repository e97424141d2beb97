//! The hash of all checksums: xxh3-64.
//!
//! Must not know: what is hashed.

#![forbid(unsafe_code)]

use xxhash_rust::xxh3;

/// Of these bytes.
// Called from many places, it is a part of the size of the module that a page loads.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline)]
pub(crate) fn xxh3_64(bytes: &[u8]) -> u64 {
    xxh3::xxh3_64(bytes)
}
