//! Reading single keys, and counting directories.

use wasm_bindgen::prelude::*;

use super::page::KeyForm;
use super::{ABSENT, call_on, number_of};

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
            page.push_key(KeyForm::Text, &key, Some(&value), value.version());
        }
        Ok(memory.lend_page(0))
    })
}
