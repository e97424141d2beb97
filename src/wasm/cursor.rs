//! Scans and lists that are held between two calls.
//!
//! The call that starts one has its first page already; so a short one is one crossing, and leaves nothing
//! behind that would have to be given back.

use wasm_bindgen::prelude::*;

use super::call_on;
use super::scan::{Source, Wanted};

/// Starts a scan or a list: its first page, and in the table a cursor for the next ones.
#[wasm_bindgen]
pub fn spinney_scan(
    database: u32,
    tree: u32,
    prefix_bytes: u32,
    after_bytes: u32,
    bits: u32,
    limit: f64,
    delimiter: u32,
) -> f64 {
    call_on(database, |memory, open| {
        let wanted = Wanted::new(bits, limit, delimiter);
        let (prefix, after) = (memory.key(prefix_bytes)?, wanted.start_after(memory, after_bytes)?);
        let source = open.tree(tree)?.and_then(|keys| Source::new(keys, prefix, after, wanted));
        let page = memory.empty_page();
        let mut cursor = 0;
        if let Some(mut source) = source
            && source.fill(page)?
        {
            cursor = open.cursors.put(source);
        }
        Ok(memory.lend_page(cursor))
    })
}

/// The next page of a cursor. With the last one the cursor is gone.
#[wasm_bindgen]
pub fn spinney_next(database: u32, cursor: u32) -> f64 {
    call_on(database, |memory, open| {
        let filled = open.cursors.get(cursor)?.fill(memory.empty_page());
        let has_more = matches!(filled, Ok(true));
        if !has_more {
            drop(open.cursors.take(cursor));
        }
        filled?;
        Ok(memory.lend_page(if has_more { cursor } else { 0 }))
    })
}

/// Gives a cursor back before its end.
#[wasm_bindgen]
pub fn spinney_free_cursor(database: u32, cursor: u32) -> f64 {
    call_on(database, |_, open| {
        drop(open.cursors.take(cursor));
        Ok(0.0)
    })
}
