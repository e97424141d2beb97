//! The limits of keys, values and names.

#![forbid(unsafe_code)]

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 65_000;

/// The longest value, in bytes: 64 MiB.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// The longest value that lies beside its key. Longer ones lie in parts of their own: they cost a few writes
/// more, and another lookup or more to read.
pub const SHORT_VALUE_BYTES_MAX: usize = 65_535;

/// The longest name of a tree, in bytes.
pub const TREE_NAME_BYTES_MAX: usize = 255;

/// Bytes of the tree id in front of every stored key.
pub(crate) const TREE_ID_BYTES: usize = 4;

/// The tree whose keys are the names of all others, and whose values are their ids.
pub(crate) const NAMES: u32 = 0;

/// From here on ids are not given out to trees of users.
pub(crate) const SYSTEM_TREES: u32 = 0xFFFF_0000;

/// The tree of long values, which no name leads to. The ids between are for what was removed and is still to
/// be taken apart.
pub(crate) const LONG_VALUES: u32 = 0xFFFF_FFFE;

/// The tree id that is never given out.
pub(crate) const TREE_ID_NONE: u32 = u32::MAX;
