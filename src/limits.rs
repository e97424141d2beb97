//! The limits of keys, values and names.

#![forbid(unsafe_code)]

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 65_000;

/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 65_535;

/// The longest name of a tree, in bytes.
pub const TREE_NAME_BYTES_MAX: usize = 255;

/// Bytes of the tree id in front of every stored key.
pub(crate) const TREE_ID_BYTES: usize = 4;

/// The tree whose keys are the names of all others, and whose values are their ids.
pub(crate) const NAMES: u32 = 0;

/// The tree id that is never given out.
pub(crate) const TREE_ID_NONE: u32 = u32::MAX;
