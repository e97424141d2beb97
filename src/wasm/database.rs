//! Databases, however they were opened: their trees by name, and closing.

use wasm_bindgen::prelude::*;

use super::memory::Memory;
use super::page::KeyForm;
use super::refusal::Outcome;
use super::{call, call_on};
use crate::value::Version;

/// Closes a database, with all that was made from it.
#[wasm_bindgen]
pub fn spinney_close(database: u32) -> f64 {
    call(|_, databases| {
        drop(databases.take(database));
        Ok(0.0)
    })
}

/// Gives a handle of a tree back.
#[wasm_bindgen]
pub fn spinney_free_tree(database: u32, tree: u32) -> f64 {
    call_on(database, |_, open| {
        drop(open.trees.take(tree));
        Ok(0.0)
    })
}

/// The names of trees, as a page.
pub(super) fn lend_names(memory: &mut Memory, names: &[String]) -> Outcome<f64> {
    let page = memory.empty_page();
    for name in names {
        page.push_key(KeyForm::Text, name.as_bytes(), None, Version::from_number(0));
    }
    Ok(memory.lend_page(0))
}

/// The names of all trees, as a page.
#[wasm_bindgen]
pub fn spinney_trees(database: u32) -> f64 {
    call_on(database, |memory, open| lend_names(memory, &open.db.trees()?))
}
