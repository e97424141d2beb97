//! The feed of changes: whoever does all of it in order to a copy has what is there, whatever was written, by
//! how many, and whatever happened in between.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

mod common;
#[path = "changes/crash.rs"]
mod crash;
#[path = "durable/disk.rs"]
mod disk;
#[path = "changes/follower.rs"]
mod follower;
#[path = "changes/limits.rs"]
mod limits;
#[path = "durable/power.rs"]
mod power;
#[path = "changes/random.rs"]
mod random;
#[path = "changes/script.rs"]
mod script;
#[path = "changes/threads.rs"]
mod threads;
#[path = "changes/told.rs"]
mod told;
