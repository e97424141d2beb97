//! Spinney: an embedded store for path-shaped keys.
//!
//! Object names, file paths, tenant namespaces, artifact catalogs: keys that are paths. The tree *is* the
//! hierarchy, so listing a directory costs its children, not the keys beneath them.
//!
//! ```
//! # fn main() -> spinney::Result<()> {
//! use spinney::{Db, Entry};
//!
//! let db = Db::memory();
//! let files = db.tree("files")?;
//! files.put("photos/2026/a.jpg", "...")?;
//! files.put("photos/readme.txt", "hello")?;
//!
//! if let Some(value) = files.get("photos/readme.txt")? {
//!     assert_eq!(&*value, b"hello");
//! }
//! for entry in files.list("photos/") {
//!     match entry? {
//!         Entry::Prefix(directory) => assert_eq!(directory, b"photos/2026/"),
//!         Entry::Key { key, .. } => assert_eq!(key, b"photos/readme.txt"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Handles are cheap clones, usable from any thread. Reads take no lock, but after many tries
//! against a stream of changes; a write locks one blob of 512 KiB for the microsecond it takes.

#![deny(missing_docs)]
#![deny(unsafe_code)]
// What only reads is linked from the same crate, and most of it is not called then.
#![cfg_attr(spinney_remote_only, allow(dead_code))]

mod art;
pub mod backend;
#[cfg(unix)]
mod backup;
mod batch;
mod blob;
mod blobs;
mod changes;
mod check;
mod compact;
mod db;
mod error;
mod forest;
mod hash;
mod image;
mod limits;
mod list;
mod log;
mod open;
mod options;
mod scan;
mod snapshot;
mod stats;
mod store;
mod sync;
mod transaction;
mod transaction_list;
mod transaction_scan;
mod tree;
mod tree_ends;
mod tree_names;
mod value;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_ahead;
#[cfg(test)]
mod tests_attend;
#[cfg(test)]
mod tests_batch;
#[cfg(test)]
mod tests_cold;
#[cfg(test)]
mod tests_compact;
#[cfg(test)]
mod tests_graft;
#[cfg(test)]
mod tests_load;
#[cfg(test)]
mod tests_long;
#[cfg(test)]
mod tests_snapshot;

#[cfg(unix)]
pub use backup::Backup;
pub use batch::Batch;
pub use blobs::{BlobInfo, BlobKind};
pub use changes::{Change, Changed, Changes};
pub use check::{CheckReport, Problem};
pub use compact::{CompactProgress, CompactReport};
pub use db::Db;
pub use error::{Error, Result};
pub use limits::{KEY_BYTES_MAX, SHORT_VALUE_BYTES_MAX, TREE_NAME_BYTES_MAX, VALUE_BYTES_MAX};
pub use list::{Entry, List, ListRef};
pub use options::Options;
pub use scan::{EntryRef, Keys, Scan};
pub use snapshot::{Snapshot, SnapshotTree};
pub use stats::{CheckpointStats, LogStats, SnapshotStats, Stats};
pub use store::durable::Durability;
pub use transaction::Transaction;
pub use transaction_list::TransactionList;
pub use transaction_scan::TransactionScan;
pub use tree::{Pair, Tree};
pub use value::{Value, Version};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDocTests;
