//! Transactions. JavaScript runs the closure, and begins again when told to.

use wasm_bindgen::prelude::*;

use super::memory::Memory;
use super::page::Page;
use super::refusal::{Outcome, Refusal};
use super::scan::Wanted;
use super::{ABSENT, Open, call_on, number_of};
use crate::error::Result;
use crate::forest::scan::successor;
use crate::list::Entry;
use crate::transaction::Transaction;
use crate::transaction_list::TransactionList;
use crate::transaction_scan::TransactionScan;
use crate::tree::Tree;

/// How often a transaction is run before it is given up.
#[wasm_bindgen]
pub fn spinney_tries_max() -> f64 {
    f64::from(Transaction::TRIES_MAX)
}

/// Begins a run.
#[wasm_bindgen]
pub fn spinney_begin(database: u32) -> f64 {
    call_on(database, |_, open| {
        let tx = Transaction::begin(&open.db);
        Ok(f64::from(open.transactions.put(tx)))
    })
}

/// Ends a run without applying anything. Returns 1 if what it has read was not of one moment, so that it has
/// to be run again.
#[wasm_bindgen]
pub fn spinney_abort(database: u32, tx: u32) -> f64 {
    call_on(database, |_, open| {
        let tx = open.transactions.take(tx).ok_or(Refusal::Closed)?;
        Ok(number_of(tx.is_broken()))
    })
}

/// Ends a run. Returns 1 if it was applied, and 0 if it has to be run again.
#[wasm_bindgen]
pub fn spinney_commit(database: u32, tx: u32) -> f64 {
    call_on(database, |_, open| {
        let tx = open.transactions.take(tx).ok_or(Refusal::Closed)?;
        Ok(number_of(tx.commit()?))
    })
}

/// Runs a call of a transaction on a tree.
fn step(
    database: u32,
    tx: u32,
    tree: u32,
    run: impl FnOnce(&mut Memory, &Transaction, &Tree) -> Outcome<f64>,
) -> f64 {
    call_on(database, |memory, open: &mut Open| {
        let tree = open.tree_to_write(tree)?.clone();
        run(memory, open.transactions.get(tx)?, &tree)
    })
}

/// Makes the value of a key the output, as the transaction sees it.
#[wasm_bindgen]
pub fn spinney_tx_get(database: u32, tx: u32, tree: u32, key_bytes: u32) -> f64 {
    step(database, tx, tree, |memory, tx, tree| {
        let Some(value) = tx.get(tree, memory.key(key_bytes)?)? else {
            return Ok(ABSENT);
        };
        let version = value.version();
        memory.lend(value.into_vec());
        Ok(memory.lend_output(version))
    })
}

/// Sets the value of a key.
#[wasm_bindgen]
pub fn spinney_tx_put(database: u32, tx: u32, tree: u32, key_bytes: u32, value_bytes: u32) -> f64 {
    step(database, tx, tree, |memory, tx, tree| {
        tx.put(tree, memory.key(key_bytes)?, memory.value(value_bytes)?)?;
        Ok(0.0)
    })
}

/// Removes a key.
#[wasm_bindgen]
pub fn spinney_tx_remove(database: u32, tx: u32, tree: u32, key_bytes: u32) -> f64 {
    step(database, tx, tree, |memory, tx, tree| {
        tx.remove(tree, memory.key(key_bytes)?)?;
        Ok(0.0)
    })
}

/// Gives a key another name.
#[wasm_bindgen]
pub fn spinney_tx_rename(database: u32, tx: u32, tree: u32, from_bytes: u32, to_bytes: u32) -> f64 {
    step(database, tx, tree, |memory, tx, tree| {
        let is_renamed = tx.rename(tree, memory.key(from_bytes)?, memory.second_key(to_bytes)?)?;
        Ok(number_of(is_renamed))
    })
}

/// A page of a scan or a list, from behind a key on. In the table: 1 if there may be more behind it.
#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "numbers are all that crosses")]
pub fn spinney_tx_scan(
    database: u32,
    tx: u32,
    tree: u32,
    prefix_bytes: u32,
    after_bytes: u32,
    bits: u32,
    limit: f64,
    delimiter: u32,
) -> f64 {
    step(database, tx, tree, |memory, tx, tree| {
        let wanted = Wanted::new(bits, limit, delimiter);
        let (prefix, after) = (memory.key(prefix_bytes)?, wanted.start_after(memory, after_bytes)?);
        let (mut start, end) = tree.span_of_prefix(prefix);
        if let Some(name) = after {
            let name_start = [&tree.id_bytes(), name].concat();
            let behind = match wanted.is_directory(name, prefix) {
                true => successor(&name_start).unwrap_or_else(|| end.clone()),
                false => [&name_start[..], &[0]].concat(),
            };
            start = start.max(behind);
        }
        let prefix_len = prefix.len();
        let scan = TransactionScan::new(tx, (start, end));
        let page = memory.empty_page();
        let has_more = match wanted.is_list() {
            true => fill_list(page, TransactionList::new(scan, prefix_len), wanted)?,
            false => fill_scan(page, scan, wanted)?,
        };
        Ok(memory.lend_page(u32::from(has_more)))
    })
}

fn fill_scan(page: &mut Page, mut scan: TransactionScan<'_>, wanted: Wanted) -> Result<bool> {
    while !page.is_full(wanted.entries_max()) {
        let Some(entry) = scan.next() else {
            return Ok(false);
        };
        let (key, value) = entry?;
        page.push_key(wanted.form(), &key, wanted.with_values().then_some(&*value), value.version());
    }
    Ok(true)
}

fn fill_list(page: &mut Page, list: TransactionList<'_>, wanted: Wanted) -> Result<bool> {
    let mut list = list.delimiter(wanted.delimiter());
    while !page.is_full(wanted.entries_max()) {
        let Some(entry) = list.next() else {
            return Ok(false);
        };
        match entry? {
            Entry::Prefix(prefix) => page.push_prefix(wanted.form(), &prefix),
            Entry::Key { key, value, version } => {
                page.push_key(wanted.form(), &key, wanted.with_values().then_some(&*value), version);
            }
        }
    }
    Ok(true)
}
