//! Databases of one's own: made in memory or of an image, their trees made and removed, images, reports.

use wasm_bindgen::prelude::*;

use super::handles::{Keys, Open};
use super::{call, call_on, number_of, report};
use crate::db::Db;

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
