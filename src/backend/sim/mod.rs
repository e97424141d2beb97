//! A disk in memory that crashes, loses, tears, flips and fails on command, and every time in the same way.
//!
//! For testing an application, or this library, against storage as bad as it gets. Compiled with the feature
//! `sim` alone.
//!
//! ```
//! use spinney::Db;
//! use spinney::backend::sim::{Crash, Fault, FaultBackend, Grain, When};
//!
//! # fn main() -> spinney::Result<()> {
//! // Everything that happens by chance follows from this number.
//! let disk = FaultBackend::new(42);
//! let db = Db::builder().open_backend(disk.clone())?;
//! let files = db.tree("files")?;
//! files.put("a/1", "acknowledged")?;
//!
//! // The power fails at the third change of storage from now on.
//! disk.crash_after(2);
//! let mut acknowledged = 0;
//! while files.put(format!("b/{acknowledged}"), "perhaps").is_ok() {
//!     acknowledged += 1;
//! }
//! drop((files, db));
//!
//! // Of what was not synced any sectors may be there. What was acknowledged is there in any case.
//! let disk = disk.restart(Crash::PowerLoss(Grain::Sector));
//! let db = Db::builder().open_backend(disk.clone())?;
//! let files = db.tree("files")?;
//! assert!(files.contains("a/1")? && files.count("b/")? >= acknowledged);
//!
//! // A disk that fails is an error, and then every write is refused: nobody knows what is stored.
//! disk.inject(When::nth(0), Fault::EIO);
//! assert!(files.put("c", "1").is_err() && files.put("c", "2").is_err());
//! assert!(files.contains("a/1")?, "reads go on");
//! println!("{}", disk.story());
//! # Ok(())
//! # }
//! ```
//!
//! Invariants:
//! * the same seed, the same calls and the same commands give the same bytes and the same failures;
//! * an operation has happened as a whole when its call returns, to everybody who reads; what survives a loss
//!   of power is another matter, and `disk` knows it.
//!
//! Must not know: what a byte means.

#![forbid(unsafe_code)]

mod backend;
mod choices;
mod disk;
mod fault;
mod page;
mod random;
mod ring;
mod storage;
#[cfg(all(test, not(loom)))]
mod tests;

pub use backend::{FaultBackend, Kind, Moment};
pub use choices::Choices;
pub use disk::Disk;
pub use fault::{Call, Done, Fault, When};
pub use storage::Storage;

/// What a disk writes at once, at least.
pub const SECTOR_BYTES: usize = 512;

/// How finely a loss of power tears what was being written.
///
/// ```
/// use spinney::backend::sim::{Crash, FaultBackend, Grain};
///
/// // The same crash of the same disk, torn more finely and less finely.
/// for grain in [Grain::Sector, Grain::Page] {
///     let disk = FaultBackend::new(7).restart(Crash::PowerLoss(grain));
///     assert!(spinney::Db::builder().open_backend(disk).is_ok());
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grain {
    /// Each 512 bytes are there or not.
    Sector,
    /// Each 4 KiB are there or not.
    Page,
}

/// How things come to an end.
///
/// ```
/// use spinney::Db;
/// use spinney::backend::sim::{Crash, FaultBackend};
///
/// # fn main() -> spinney::Result<()> {
/// let disk = FaultBackend::new(1);
/// let db = Db::builder().open_backend(disk.clone())?;
/// db.tree("files")?.put("a", "acknowledged")?;
/// std::mem::forget(db); // as a process that is killed leaves it: nothing is closed
/// let db = Db::builder().open_backend(disk.restart(Crash::Death))?;
/// assert!(db.tree("files")?.contains("a")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crash {
    /// The process dies. What has returned stays, synced or not, and so does the ring; of what was under way
    /// any part may land, before the lock on the file is gone and others can open it.
    Death,
    /// The power fails. What was synced stays; of what was not, any part in any order, and each page of the
    /// ring as it was at any moment.
    PowerLoss(Grain),
}
