//! Databases: opening and closing, trees by name, images, reports.

use wasm_bindgen::prelude::*;

use super::handles::{Keys, Open};
use super::memory::Memory;
use super::page::KeyForm;
use super::refusal::Outcome;
use super::{call, call_on, number_of, report};
use crate::db::Db;
use crate::value::Version;

/// An empty database in memory.
#[wasm_bindgen]
pub fn spinney_memory() -> f64 {
    call(|_, databases| Ok(f64::from(databases.put(Open::new(Db::memory())))))
}

/// A database made of the image that lies in the input.
#[wasm_bindgen]
pub fn spinney_from_image(bytes: u32) -> f64 {
    call(|memory, databases| {
        let db = Db::from_image(memory.input(bytes)?)?;
        Ok(f64::from(databases.put(Open::new(db))))
    })
}

/// Closes a database, with all that was made from it.
#[wasm_bindgen]
pub fn spinney_close(database: u32) -> f64 {
    call(|_, databases| {
        drop(databases.take(database));
        Ok(0.0)
    })
}

/// Makes an image the output.
#[wasm_bindgen]
pub fn spinney_image(database: u32) -> f64 {
    call_on(database, |memory, open| Ok(memory.lend(open.db.image()?)))
}

/// The tree of this name, made if it does not exist.
#[wasm_bindgen]
pub fn spinney_tree(database: u32, name_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let tree = open.db.tree(memory.name(name_bytes)?)?;
        Ok(f64::from(open.trees.put(Keys::live(tree))))
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

/// Removes a tree with all its keys.
#[wasm_bindgen]
pub fn spinney_drop_tree(database: u32, name_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let name = memory.name(name_bytes)?;
        let is_dropped = open.db.drop_tree(name)?;
        open.forget_name(name);
        Ok(number_of(is_dropped))
    })
}

/// Gives a tree another name.
#[wasm_bindgen]
pub fn spinney_rename_tree(database: u32, from_bytes: u32, to_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let (from, to) = (memory.name(from_bytes)?, memory.second_name(to_bytes)?);
        let is_renamed = open.db.rename_tree(from, to)?;
        open.forget_name(from);
        open.forget_name(to);
        Ok(number_of(is_renamed))
    })
}

/// Makes an object of numbers the output.
#[wasm_bindgen]
pub fn spinney_stats(database: u32) -> f64 {
    call_on(database, |memory, open| Ok(memory.lend_text(report::stats(&open.db.stats()))))
}

/// Makes what a check has found the output.
#[wasm_bindgen]
pub fn spinney_check(database: u32) -> f64 {
    call_on(database, |memory, open| Ok(memory.lend_text(report::check(&open.db.check()?))))
}
