//! What is measured: one module a case, and what the cases share.
//!
//! A new case is a module here with a `CASE`, and one more line in `CASES`. It asks `families` for its data,
//! `stores::visit_all` for its contestants, and a `Session` for everything that is printed around its tables.

#![forbid(unsafe_code)]

#[cfg(unix)]
mod browser;
#[cfg(unix)]
pub mod disk;
mod families;
mod keys;
mod memory;
mod report;
mod session;
mod tally;

use crate::options::Options;
use crate::stores::Result;

pub struct Case {
    /// What the command line calls it.
    pub name: &'static str,
    /// One line of the usage.
    pub about: &'static str,
    /// The options that mean something to it; all others are refused.
    pub takes: &'static [&'static str],
    /// Whether all went well.
    pub run: fn(&Options) -> Result<Verdict>,
}

/// What the answers of all stores in a run were like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// All of Spinney's were right, and some of another store's were not: that is told beside the tables.
    OthersWrong,
    Wrong,
}

/// In the order of the usage.
pub const CASES: &[Case] = &[
    memory::CASE,
    #[cfg(unix)]
    disk::durable::CASE,
    #[cfg(unix)]
    disk::cold::CASE,
    #[cfg(unix)]
    disk::warm::CASE,
    #[cfg(unix)]
    disk::stall::CASE,
    #[cfg(unix)]
    disk::amplify::CASE,
    #[cfg(unix)]
    disk::directories::CASE,
    #[cfg(unix)]
    disk::sorted::CASE,
    #[cfg(unix)]
    browser::CASE,
    keys::CASE,
    report::CASE,
];
