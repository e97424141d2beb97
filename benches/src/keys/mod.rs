//! Keys and values: made from a seed, the same on every machine, or read from a file.
//!
//! A `Family` is a sorted set of keys with the directories worth listing; `Queries` are laid out from it
//! before any clock starts. A new family is one more file here with its own `impl Family`. Must know nothing
//! of the stores, of the cases and of time.

#![forbid(unsafe_code)]

mod directories;
mod family;
mod files;
mod gathered;
mod objects;
mod packed;
mod pages;
mod paths;
mod queries;
mod random32;
mod values;

pub use directories::{Directories, Directory};
pub use family::Family;
pub use files::FILES;
pub use objects::OBJECTS;
pub use packed::Keys;
pub use pages::{PAGE_KEYS, Page};
pub use paths::PATHS;
pub use queries::Queries;
pub use random32::RANDOM32;
pub use values::{VALUE_LEN, Values};
