//! Spinney: an embedded store for path-shaped keys.

#![deny(missing_docs)]
#![allow(dead_code)]

mod art;
mod blob;
pub mod error;
mod sync;

pub use error::{Error, Result};
