//! Single keys and whole directories of a tree.

use wasm_bindgen::prelude::*;

use super::{ABSENT, call_on, number_of, number_of_version};
use crate::value::Version;

/// Makes the value of a key the output. Returns its length.
#[wasm_bindgen]
pub fn spinney_get(database: u32, tree: u32, key_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let (key, out) = memory.key_and_output(key_bytes)?;
        let found = match open.tree(tree)? {
            Some(keys) => keys.tree.get_into(key, out)?,
            None => None,
        };
        Ok(found.map_or(ABSENT, |version| memory.lend_output(version)))
    })
}

/// Looks up the keys that lie in the input: a page of values.
#[wasm_bindgen]
pub fn spinney_get_many(database: u32, tree: u32, count: u32, bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let (wanted, page) = memory.keys_and_page(count, bytes)?;
        let values = match open.tree(tree)? {
            Some(keys) => keys.tree.get_many(&wanted)?,
            None => vec![None; wanted.len()],
        };
        for value in &values {
            page.push_value(value.as_ref().map(|value| (&**value, value.version())));
        }
        Ok(memory.lend_page(0))
    })
}

/// Whether a key is there.
#[wasm_bindgen]
pub fn spinney_contains(database: u32, tree: u32, key_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let key = memory.key(key_bytes)?;
        let is_there = match open.tree(tree)? {
            Some(keys) => keys.tree.contains(key)?,
            None => false,
        };
        Ok(number_of(is_there))
    })
}

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

/// How many keys begin with a prefix.
#[wasm_bindgen]
pub fn spinney_count(database: u32, tree: u32, prefix_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let prefix = memory.key(prefix_bytes)?;
        Ok(match open.tree(tree)? {
            Some(keys) => keys.count(prefix)? as f64,
            None => 0.0,
        })
    })
}

/// The longest key that a path begins with, as a page of one entry.
#[wasm_bindgen]
pub fn spinney_longest_prefix(database: u32, tree: u32, path_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let path = memory.key(path_bytes)?;
        let found = match open.tree(tree)? {
            Some(keys) => keys.tree.longest_prefix(path)?,
            None => None,
        };
        let page = memory.empty_page();
        if let Some((key, value)) = found {
            page.push_key(super::page::KeyForm::Text, &key, Some(&value), value.version());
        }
        Ok(memory.lend_page(0))
    })
}
