//! The cases on disk: what survives, how fast reads are that no cache helps, what the background costs, how
//! much is written, and what whole directories cost.
//!
//! Every store's turn is a process of its own (`child` starts it, `worker` is it), so that no store sees what
//! another left in memory, and what the system counts for a process is one store's. A case says in which
//! order the turns come (`contest`), and what is done in them (`work` is what the turns share).

#![forbid(unsafe_code)]

pub mod amplify;
mod child;
pub mod cold;
mod contest;
pub mod directories;
pub mod durable;
mod ledger;
mod place;
pub mod sorted;
pub mod stall;
mod updates;
pub mod warm;
mod work;
pub mod worker;

/// The options that mean something to all cases on disk.
const TAKES: &[&str] =
    &["--keys", "--filter", "--families", "--paths", "--rounds", "--seed", "--json", "--dir", "--quick"];

/// A store's own cache, where the case is not about it: many times the data, because spinney has a checkpoint
/// whenever an eighth of its cache has changed.
const CACHE_BYTES: usize = 256 << 20;
