//! Bytes that are not what was written: of the log, and of the data file. Each page that counts is damaged in
//! several ways, and the answer is the right one, or an error that names the place.
//!
//! `SPINNEY_DAMAGE_EVERY` (8) leaves pages and bytes out, 1 damages all; a failure names page and way.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

mod common;
#[path = "damage/data.rs"]
mod data;
#[path = "durable/disk.rs"]
mod disk;
#[path = "damage/log.rs"]
mod log;
#[path = "damage/resident.rs"]
mod resident;
#[path = "durable/script.rs"]
mod script;

use spinney::{Db, Options};

fn options() -> Options {
    Db::builder().log_bytes(8 << 20).cache_bytes(8 << 20).database_id(7)
}
