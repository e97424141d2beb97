//! Batches: steps are added one by one, and committed together.

use wasm_bindgen::prelude::*;

use super::call_on;
use super::refusal::{Outcome, Refusal};
use crate::value::Version;

// The steps; `pkg-template/face/batch.js` has the same.
const PUT: u32 = 0;
const PUT_IF_ABSENT: u32 = 1;
const COMPARE_AND_PUT: u32 = 2;
const REMOVE: u32 = 3;
const REMOVE_IF: u32 = 4;
const RENAME: u32 = 5;
const EXPECT_VERSION: u32 = 6;
const EXPECT_ABSENT: u32 = 7;
const EXPECT_PRESENT: u32 = 8;
const EXPECT_EMPTY: u32 = 9;

/// An empty batch.
#[wasm_bindgen]
pub fn spinney_batch(database: u32) -> f64 {
    call_on(database, |_, open| {
        let batch = open.db.batch();
        Ok(f64::from(open.batches.put(batch)))
    })
}

/// Adds a step. Whatever is wrong with it is refused here, and nothing is added.
#[wasm_bindgen]
pub fn spinney_batch_step(
    database: u32,
    batch: u32,
    tree: u32,
    step: u32,
    key_bytes: u32,
    other_bytes: u32,
    version: f64,
) -> f64 {
    call_on(database, |memory, open| {
        let key = memory.key(key_bytes)?;
        let value = || memory.value(other_bytes);
        let version = Version::from_number(version as u64);
        let tree = open.tree_to_write(tree)?.clone();
        let batch = open.batches.get(batch)?;
        match step {
            PUT => batch.put(&tree, key, value()?),
            PUT_IF_ABSENT => batch.put_if_absent(&tree, key, value()?),
            COMPARE_AND_PUT => batch.compare_and_put(&tree, key, version, value()?),
            REMOVE => batch.remove(&tree, key),
            REMOVE_IF => batch.remove_if(&tree, key, version),
            RENAME => batch.rename(&tree, key, memory.second_key(other_bytes)?),
            EXPECT_VERSION => batch.expect_version(&tree, key, version),
            EXPECT_ABSENT => batch.expect_absent(&tree, key),
            EXPECT_PRESENT => batch.expect_present(&tree, key),
            EXPECT_EMPTY => batch.expect_empty(&tree, key),
            _ => return Err(Refusal::Closed),
        };
        Ok(batch.len() as f64)
    })
}

/// Applies all steps: a page with the version that each has written.
#[wasm_bindgen]
pub fn spinney_batch_commit(database: u32, batch: u32) -> f64 {
    call_on(database, |memory, open| {
        let versions = open.batches.get(batch)?.commit()?;
        let page = memory.empty_page();
        for version in versions {
            page.push_number(super::number_of_version(version));
        }
        Ok(memory.lend_page(0))
    })
}

/// Gives a batch back.
#[wasm_bindgen]
pub fn spinney_free_batch(database: u32, batch: u32) -> f64 {
    let free = |open: &mut super::Open| -> Outcome<f64> {
        drop(open.batches.take(batch));
        Ok(0.0)
    };
    call_on(database, |_, open| free(open))
}
