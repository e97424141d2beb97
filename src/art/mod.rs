//! The radix tree inside one range blob: find, insert, remove, walk, rebuild.
//!
//! Keys are read from `base` on: the router has spelled the bytes before it. Readers may run on words
//! that are being changed; they end in bounded time with some answer, which their caller validates.
//! Writers hold the blob's latch. Nothing here knows of other blobs, of latches or of storage.

#![forbid(unsafe_code)]

pub(crate) mod ahead;
pub(crate) mod bound;
pub(crate) mod build;
pub(crate) mod burst;
pub(crate) mod check;
pub(crate) mod cursor;
pub(crate) mod entries;
pub(crate) mod find;
pub(crate) mod insert;
pub(crate) mod locate;
pub(crate) mod remove;
pub(crate) mod shape;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_partial;
