//! How the stores are named and colored, in plots and above columns.

#![forbid(unsafe_code)]

use crate::report::HOME;

/// No store, but what the browser takes without any.
pub const BY_HAND: &str = "by hand";

pub struct Look {
    pub store: &'static str,
    pub name: &'static str,
    pub color: &'static str,
}

const fn look(store: &'static str, name: &'static str, color: &'static str) -> Look {
    Look { store, name, color }
}

/// In the order of the columns.
const LOOKS: &[Look] = &[
    look(HOME, "Spinney", "#1a7f37"),
    look("holt", "holt", "#8250df"),
    look("btreemap", "BTreeMap", "#6e7781"),
    look("map", "Map", "#6e7781"),
    look("blart", "blart", "#bf3989"),
    look("rocksdb", "RocksDB", "#cf222e"),
    look("lmdb", "LMDB", "#0969da"),
    look("redb", "redb", "#9a6700"),
    look("fjall", "fjall", "#e16f24"),
    look("sqlite", "SQLite", "#1b7c83"),
    look("indexeddb", "IndexedDB", "#d9822b"),
    look(BY_HAND, "a page by hand", "#afb8c1"),
];

const UNKNOWN: Look = look("", "another", "#57606a");

pub fn of(store: &str) -> &'static Look {
    LOOKS.iter().find(|look| look.store == store).unwrap_or(&UNKNOWN)
}

/// The place of a store among the columns.
pub fn rank(store: &str) -> usize {
    LOOKS.iter().position(|look| look.store == store).unwrap_or(LOOKS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinney_is_first_and_others_are_known() {
        assert_eq!((rank(HOME), of(HOME).name), (0, "Spinney"));
        assert!(rank("holt") < rank("sqlite") && rank("sqlite") < rank("nobody"));
        assert_eq!(of("nobody").name, "another");
    }
}
