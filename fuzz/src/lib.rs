//! What the fuzz targets do with their bytes. The test `tests/fuzz.rs` runs the same code on stable Rust, on
//! the stored inputs and on random ones, so that an input that once failed is tried in every run.
//!
//! | Module | What the bytes are |
//! |---|---|
//! | `operations` | calls of a database in memory or on a simulated disk; all answers as of a map |
//! | `image` | changes of an image whose checksums are made good again |
//! | `log` | the records of a log that a crash has left, with good checksums, one behind the other |
//! | `journal` | changes of a journal in the middle of a checkpoint, made good again |
//! | `page` | entries for JavaScript: packed by the wasm face, unpacked as its classes do |

#![forbid(unsafe_code)]

pub mod image;
pub mod journal;
pub mod log;
pub mod operations;
pub mod page;

mod bases;
mod bytes;
mod exercise;
#[path = "../../tests/common/image.rs"]
mod format;
#[path = "../../src/wasm/page.rs"]
mod wasm_page;

/// Where the packing of the wasm face looks for what a version is.
mod value {
    pub use spinney::Version;
}
