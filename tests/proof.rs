//! The claim that nothing is lost, on a disk that may do anything: every short row of calls, crashed at every
//! change of storage in every way, again within the recovery; every call of the disk failing or lying; every
//! bit of it flipped.
//!
//! Everything follows from numbers, so a failure names itself, and `SPINNEY_PROOF_ONLY` does that one again.
//! How much is done: `docs/testing.md`. `scripts/proof` runs all of it.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

mod common;
#[path = "proof/corruption.rs"]
mod corruption;
#[path = "proof/crashes.rs"]
mod crashes;
#[path = "proof/faults.rs"]
mod faults;
#[path = "proof/judge.rs"]
mod judge;
#[path = "proof/long.rs"]
mod long;
#[path = "proof/operations.rs"]
mod operations;
#[path = "proof/patient.rs"]
mod patient;
#[path = "proof/rows.rs"]
mod rows;
#[path = "proof/session.rs"]
mod session;
#[path = "proof/starts.rs"]
mod starts;
