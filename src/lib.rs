//! Spinney: an embedded store for path-shaped keys.

#![deny(missing_docs)]

mod sync;
