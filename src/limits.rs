//! The limits of keys, values and names.

#![forbid(unsafe_code)]

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 65_000;

/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 65_535;

/// The longest name of a tree, in bytes.
pub const TREE_NAME_BYTES_MAX: usize = 255;
