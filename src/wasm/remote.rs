//! Databases that are read from somewhere else: JavaScript fetches what is wanted, hands it in, and makes the
//! same call again.
//!
//! The calls are those of any database; they return [`AWAITED`](super::AWAITED) where pages are missing.
//! Scans have no cursor here: each page goes on behind the last key of the one before it, so that between two
//! calls nothing is held, and all memory can be given back.

use std::sync::Arc;

use wasm_bindgen::prelude::*;

use super::handles::{Keys, Open};
use super::memory::Memory;
use super::refusal::{Outcome, Refusal};
use super::scan::{Source, Wanted};
use super::{ABSENT, call, call_on};
use crate::backend::FetchedBackend;
use crate::db::Db;
use crate::error::Error;

/// Where the pages of a database come in.
pub(super) struct Remote {
    backend: Arc<FetchedBackend>,
    /// What was opened first, by its id and its last version; before that there is an empty one in its place.
    opened: Option<(u128, u64)>,
}

impl Open {
    fn remote(&self) -> Outcome<&Remote> {
        self.remote.as_ref().ok_or(Refusal::Closed)
    }

    /// Opens the database, or opens it anew, with all handles that there are.
    fn open_remote(&mut self) -> Outcome<()> {
        let backend = self.remote()?.backend.clone();
        // What frames take here is never given back, so that nothing is won by evicting pages of them.
        let db = Db::builder().cache_bytes(u64::MAX).open_remote(backend)?;
        let store = &db.forest().store;
        let found = (store.database_id, store.last_seq());
        if self.remote()?.opened.is_some_and(|opened| opened != found) {
            // Whatever the server says of it: handles and scans are of another content.
            return Err(Error::Changed.into());
        }
        self.trees.each(|keys| *keys = Keys::live(db.tree_of(u32::from_be_bytes(keys.tree.id_bytes()))));
        self.default_tree = None;
        self.db = db;
        if let Some(remote) = &mut self.remote {
            remote.opened = Some(found);
        }
        Ok(())
    }
}

/// A database of so many bytes, of which nothing is here, and which is not open yet.
#[wasm_bindgen]
pub fn spinney_remote(size_bytes: f64) -> f64 {
    call(|_, databases| {
        // The cast saturates.
        let backend = Arc::new(FetchedBackend::new(size_bytes as u64));
        let mut open = Open::new(Db::memory());
        open.remote = Some(Remote { backend, opened: None });
        Ok(f64::from(databases.put(open)))
    })
}

/// Opens it.
#[wasm_bindgen]
pub fn spinney_open_remote(database: u32) -> f64 {
    call_on(database, |_, open| open.open_remote().map(|()| 0.0))
}

/// Takes in the bytes that lie in the input, which are pages.
#[wasm_bindgen]
pub fn spinney_hand_in(database: u32, offset_bytes: f64, bytes: u32) -> f64 {
    call_on(database, |memory, open| {
        let handed_in = open.remote()?.backend.hand_in(offset_bytes as u64, memory.input(bytes)?);
        handed_in.map(|()| 0.0).map_err(|error| Error::from(error).into())
    })
}

/// What is wanted, as a page of numbers: beginning and end of each run of bytes.
#[wasm_bindgen]
pub fn spinney_wanted(database: u32) -> f64 {
    call_on(database, |memory, open| {
        let wanted = open.remote()?.backend.take_wanted();
        let page = memory.empty_page();
        for run in wanted {
            page.push_number(run.start as f64);
            page.push_number(run.end as f64);
        }
        Ok(memory.lend_page(0))
    })
}

/// Gives the memory of all blobs back if they take more than this. For the beginning of an operation: what
/// others have fetched is gone.
#[wasm_bindgen]
pub fn spinney_make_room(database: u32, cache_bytes: f64) -> f64 {
    call_on(database, |_, open| {
        let residency = open.db.forest().store.residency.as_ref();
        let made_bytes = residency.map_or(0, |residency| residency.made_bytes());
        if made_bytes as f64 > cache_bytes && open.remote()?.opened.is_some() {
            open.open_remote()?;
        }
        Ok(0.0)
    })
}

/// How many pages are in memory.
#[wasm_bindgen]
pub fn spinney_pages(database: u32) -> f64 {
    call_on(database, |_, open| {
        let residency = open.db.forest().store.residency.as_ref();
        Ok(residency.map_or(0.0, |residency| residency.resident_pages() as f64))
    })
}

/// A tree that exists.
#[wasm_bindgen]
pub fn spinney_existing_tree(database: u32, name_bytes: u32) -> f64 {
    call_on(database, |memory, open| match open.db.existing_tree(memory.name(name_bytes)?)? {
        Some(tree) => Ok(f64::from(open.trees.put(Keys::live(tree)))),
        None => Ok(ABSENT),
    })
}

/// A page of a scan or a list; in the table, in the place of a cursor, whether there may be more. `ahead` is
/// how many entries may be wanted in all.
#[wasm_bindgen]
#[allow(clippy::too_many_arguments)]
pub fn spinney_scan_remote(
    database: u32,
    tree: u32,
    prefix_bytes: u32,
    after_bytes: u32,
    bits: u32,
    limit: f64,
    delimiter: u32,
    ahead: f64,
) -> f64 {
    call_on(database, |memory, open| {
        let wanted = Wanted::new(bits, limit, delimiter);
        scan(memory, open, tree, [prefix_bytes, after_bytes], wanted, ahead as usize)
    })
}

fn scan(
    memory: &mut Memory,
    open: &mut Open,
    tree: u32,
    [prefix_bytes, after_bytes]: [u32; 2],
    wanted: Wanted,
    ahead: usize,
) -> Outcome<f64> {
    let (prefix, after) = (memory.key(prefix_bytes)?, wanted.start_after(memory, after_bytes)?);
    let source = open.tree(tree)?.and_then(|keys| Source::new(keys, prefix, after, wanted));
    let page = memory.empty_page();
    let has_more = match source {
        Some(source) => source.look_ahead(ahead).fill_what_is_here(page)?,
        None => false,
    };
    Ok(memory.lend_page(u32::from(has_more)))
}
