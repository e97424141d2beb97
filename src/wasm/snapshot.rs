//! Snapshots: all trees as they were at one moment.

use wasm_bindgen::prelude::*;

use super::call_on;
use super::database::lend_names;
use super::handles::Keys;

/// A snapshot of this moment.
#[wasm_bindgen]
pub fn spinney_snapshot(database: u32) -> f64 {
    call_on(database, |_, open| {
        let snapshot = open.db.snapshot();
        Ok(f64::from(open.snapshots.put(snapshot)))
    })
}

/// The number of the last write that is in it.
#[wasm_bindgen]
pub fn spinney_snapshot_version(database: u32, snapshot: u32) -> f64 {
    call_on(database, |_, open| Ok(open.snapshots.get(snapshot)?.version().number() as f64))
}

/// A tree of this name as it was then; an empty one if there was none.
#[wasm_bindgen]
pub fn spinney_snapshot_tree(database: u32, snapshot: u32, name_bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let tree = open.snapshots.get(snapshot)?.tree(memory.name(name_bytes)?)?;
        Ok(f64::from(open.trees.put(Keys::past(tree, snapshot))))
    })
}

/// The names that there were then, as a page.
#[wasm_bindgen]
pub fn spinney_snapshot_trees(database: u32, snapshot: u32) -> f64 {
    call_on(database, |memory, open| lend_names(memory, &open.snapshots.get(snapshot)?.trees()?))
}

/// Gives a snapshot back, with all of its trees and cursors.
#[wasm_bindgen]
pub fn spinney_free_snapshot(database: u32, snapshot: u32) -> f64 {
    call_on(database, |_, open| {
        open.cursors.drop_where(|source| source.snapshot == snapshot);
        open.trees.drop_where(|tree| tree.snapshot() == snapshot);
        drop(open.snapshots.take(snapshot));
        Ok(0.0)
    })
}
