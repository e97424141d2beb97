//! Databases that last: in files of the browser's origin private file system, which a dedicated worker reads
//! and writes at once.
//!
//! JavaScript opens the files, which takes promises, and puts them into a table of its own; from then on this
//! module reads and writes them by the number of their row. There are no threads here. So what they do
//! natively JavaScript asks for, between two calls, with `spinney_attend`.

mod backend;
mod files;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use wasm_bindgen::prelude::*;

use self::backend::OpfsBackend;
use super::handles::{Keys, Open};
use super::refusal::{Outcome, Refusal};
use super::{call, call_on, number_of};
use crate::db::Db;
use crate::store::durable::Durability;

// How a database is opened, as bits of one number; `pkg-template/face/opfs.js` has the same.
const BUFFERED: u32 = 1;
const READ_ONLY: u32 = 2;
const MUST_EXIST: u32 = 4;

fn durability_of(buffered: u32) -> Durability {
    if buffered == 0 { Durability::Sync } else { Durability::Buffered }
}

/// So many bits, of which none can be guessed: the seeds of the standard library are constants here.
fn random_bits() -> u128 {
    (0..4).fold(0, |bits, _| bits << 32 | u128::from(files::random_word()))
}

/// Opens the database in a row of files, or makes one there.
#[wasm_bindgen]
pub fn spinney_open_files(row: u32, how: u32, cache_bytes: f64, log_bytes: f64) -> f64 {
    call(|_, databases| {
        let backend = OpfsBackend::new(row).map_err(crate::Error::from)?;
        let db = Db::builder()
            .durability(durability_of(how & BUFFERED))
            .read_only(how & READ_ONLY != 0)
            .create(how & MUST_EXIST == 0)
            .cache_bytes(cache_bytes as u64)
            .log_bytes(log_bytes as u64)
            .database_id(random_bits())
            .life(random_bits() as u64)
            .open_backend(Arc::new(backend))?;
        Ok(f64::from(databases.put(Open::new(db))))
    })
}

/// Closes a database, with all that was made from it, so that one file is all there is of it. If that is
/// refused it is closed nevertheless, and the next opening recovers what was acknowledged.
#[wasm_bindgen]
pub fn spinney_end(database: u32) -> f64 {
    call(|_, databases| {
        let Open { db, .. } = databases.take(database).ok_or(Refusal::Closed)?;
        db.close()?;
        Ok(0.0)
    })
}

/// Returns when everything written so far is on stable storage.
#[wasm_bindgen]
pub fn spinney_sync(database: u32) -> f64 {
    call_on(database, |_, open| {
        open.db.sync()?;
        Ok(0.0)
    })
}

/// Brings everything into the data file.
#[wasm_bindgen]
pub fn spinney_checkpoint(database: u32) -> f64 {
    call_on(database, |_, open| {
        open.db.checkpoint()?;
        Ok(0.0)
    })
}

/// Does one of the things that wait to be done. Returns 1 if there are more of them.
#[wasm_bindgen]
pub fn spinney_attend(database: u32) -> f64 {
    call_on(database, |_, open| Ok(number_of(open.db.attend()?)))
}

/// Another handle of a tree, whose writes are acknowledged otherwise: `buffered` is 0 or 1.
#[wasm_bindgen]
pub fn spinney_with_durability(database: u32, tree: u32, buffered: u32) -> f64 {
    call_on(database, |_, open| -> Outcome<f64> {
        let tree = open.tree_to_write(tree)?.with_durability(durability_of(buffered));
        Ok(f64::from(open.trees.put(Keys::live(tree))))
    })
}

/// Lets a batch be acknowledged otherwise than the database says: `buffered` is 0 or 1.
#[wasm_bindgen]
pub fn spinney_batch_durability(database: u32, batch: u32, buffered: u32) -> f64 {
    call_on(database, |_, open| {
        open.batches.get(batch)?.durability(durability_of(buffered));
        Ok(0.0)
    })
}
