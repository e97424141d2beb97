//! One blob: 65,536 words, and the only code that knows where a byte of it lives.
//!
//! A pointer inside a blob (`Ref`) is 16 bits, so it cannot leave its blob whatever the bytes say. Every
//! access is a relaxed load or store of one aligned 64-bit atomic: a reader may race with a writer, gets
//! some mixture of old and new words, and finds out afterwards that the blob's version moved.
//!
//! Nothing here knows about other blobs, latches, files or trees of names.

// Not `forbid`, which would reach down into `simd`, the one file here that needs unsafe code.
#![deny(unsafe_code)]

pub(crate) mod before;
pub(crate) mod bucket;
pub(crate) mod checksum;
pub(crate) mod fields;
pub(crate) mod fork;
pub(crate) mod header;
pub(crate) mod inner;
pub(crate) mod key;
pub(crate) mod leaf;
pub(crate) mod node;
pub(crate) mod presence;
pub(crate) mod replace;
pub(crate) mod run;
#[allow(unsafe_code)]
pub(crate) mod simd;
pub(crate) mod space;
pub(crate) mod swar;
pub(crate) mod words;

pub(crate) use key::Key;
pub(crate) use words::{BLOB_WORDS, Ref, RefSlot, Words};

/// What a reader answers when words make no sense. Either the blob is being changed at this moment, and
/// the caller's validation will fail and restart it, or nothing changed, and the blob is corrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Torn;
