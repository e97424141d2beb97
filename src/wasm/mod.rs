//! The JavaScript face: the class [`Spinney`], as the npm package hands it out.
//!
//! It is the Rust face with JavaScript's manners, and decides nothing about keys, blobs or files. How a thing
//! crosses the boundary has a file of its own: keys and values (`keys.rs`), options (`options.rs`), errors
//! (`error.rs`), entries that come out a bundle at a time (`bundle.rs`). What JavaScript holds are handles to
//! slots of one shared table (`handle.rs`), so `close` gives the memory back whatever is still held.
//!
//! What costs time here is the crossing, not the work. Hence:
//! * a key is written by a loop in `glue.js` straight into the memory of this module;
//! * a value leaves into the caller's buffer (`getInto`), or in one copy for a whole bundle of entries;
//! * an iterator crosses once for up to 256 entries.
//!
//! No JavaScript that a user wrote may run while a [`std::cell::RefCell`] of this module is borrowed: options
//! are read, and getters thereby run, before anything is borrowed.

// Macros of wasm-bindgen generate `unsafe`; none is written here.
#![allow(unsafe_code)]

mod bundle;
mod db;
mod error;
mod glue;
mod handle;
mod iterate;
mod keys;
mod options;
mod report;
mod tree;

pub use db::Spinney;
pub use iterate::Cursor;
pub use tree::Tree;
