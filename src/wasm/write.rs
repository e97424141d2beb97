//! Writing single keys, and moving and removing whole directories.

use wasm_bindgen::prelude::*;

use super::{ABSENT, call_on, number_of_version};
use crate::value::Version;

/// Sets the value of a key. Returns its version.
#[wasm_bindgen]
pub fn spinney_put(database: u32, tree: u32, key_bytes: u32, value_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let (key, value) = (memory.key(key_bytes)?, memory.value(value_bytes)?);
        Ok(open.tree_to_write(tree)?.put(key, value)?.number() as f64)
    })
}

/// The same, if the key is not there.
#[wasm_bindgen]
pub fn spinney_put_if_absent(database: u32, tree: u32, key_bytes: u32, value_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let (key, value) = (memory.key(key_bytes)?, memory.value(value_bytes)?);
        Ok(number_of_version(open.tree_to_write(tree)?.put_if_absent(key, value)?))
    })
}

/// The same, if the key has this version.
#[wasm_bindgen]
pub fn spinney_compare_and_put(
    database: u32,
    tree: u32,
    key_bytes: u32,
    version: f64,
    value_bytes: u32,
) -> f64 {
    call_on(database, |memory, open| {
        let (key, value) = (memory.key(key_bytes)?, memory.value(value_bytes)?);
        let version = Version::from_number(version as u64);
        Ok(number_of_version(open.tree_to_write(tree)?.compare_and_put(key, version, value)?))
    })
}

/// Removes a key; if `version` is not negative, only with that version.
#[wasm_bindgen]
pub fn spinney_remove(database: u32, tree: u32, key_bytes: u32, version: f64) -> f64 {
    call_on(database, |memory, open| {
        let key = memory.key(key_bytes)?;
        if open.tree(tree)?.is_none() {
            return Ok(ABSENT);
        }
        let tree = open.tree_to_write(tree)?;
        let removed = match version >= 0.0 {
            true => tree.remove_if(key, Version::from_number(version as u64))?,
            false => tree.remove(key)?,
        };
        Ok(number_of_version(removed))
    })
}

/// What is moved or removed.
#[derive(Clone, Copy)]
enum Move {
    Key,
    Prefix,
}

fn rename(what: Move, database: u32, tree: u32, from_bytes: u32, to_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let (from, to) = (memory.key(from_bytes)?, memory.second_key(to_bytes)?);
        if open.tree(tree)?.is_none() {
            return Ok(ABSENT);
        }
        let tree = open.tree_to_write(tree)?;
        let moved = match what {
            Move::Key => tree.rename(from, to)?,
            Move::Prefix => tree.rename_prefix(from, to)?,
        };
        Ok(number_of_version(moved))
    })
}

/// Gives a key another name.
#[wasm_bindgen]
pub fn spinney_rename(database: u32, tree: u32, from_bytes: u32, to_bytes: u32) -> f64 {
    rename(Move::Key, database, tree, from_bytes, to_bytes)
}

/// Moves a directory.
#[wasm_bindgen]
pub fn spinney_rename_prefix(database: u32, tree: u32, from_bytes: u32, to_bytes: u32) -> f64 {
    rename(Move::Prefix, database, tree, from_bytes, to_bytes)
}

/// Removes a directory.
#[wasm_bindgen]
pub fn spinney_remove_prefix(database: u32, tree: u32, prefix_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let prefix = memory.key(prefix_bytes)?;
        if open.tree(tree)?.is_none() {
            return Ok(ABSENT);
        }
        Ok(number_of_version(open.tree_to_write(tree)?.remove_prefix(prefix)?))
    })
}
