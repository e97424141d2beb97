//! Iteration: what a cursor draws from, and the cursor itself.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use super::bundle::{Bundle, ENTRIES_FIRST, ENTRIES_MAX, with_bundle};
use super::error::{Outcome, Refusal};
use super::glue;
use super::handle::{Shared, Which};
use super::keys;
use super::options::{KeyForm, Options};
use crate::error::Result;
use crate::limits::TREE_ID_BYTES;
use crate::list::{Entry, List, ListRef};
use crate::scan::Scan;
use crate::tree::Tree;

/// Where the entries of a cursor come from.
pub(super) struct Source {
    entries: Entries,
    reverse: bool,
    values: bool,
    form: KeyForm,
    bundle_entries: usize,
}

enum Entries {
    None,
    Scan(Scan),
    List(List),
}

/// Which of the two iterations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scan,
    List,
}

/// The keys with a prefix from where the options say, without their limit. None: there cannot be any.
fn scan_of(tree: &Tree, prefix: &[u8], options: &Options) -> Option<Scan> {
    let Some(after) = options.start_after.as_deref().filter(|_| options.reverse) else {
        return Some(tree.scan(prefix));
    };
    // Backwards, behind a key is below it.
    if after.starts_with(prefix) {
        return Some(tree.range(prefix..after));
    }
    (after > prefix).then(|| tree.scan(prefix))
}

impl Source {
    fn new(tree: Option<&Tree>, kind: Kind, prefix: &[u8], options: Options) -> Self {
        let scan = tree.and_then(|tree| scan_of(tree, prefix, &options));
        let after = options.start_after.as_ref().filter(|_| !options.reverse);
        let entries = match (scan, kind) {
            (None, _) => Entries::None,
            (Some(mut scan), Kind::Scan) => {
                if let Some(after) = after {
                    scan = scan.start_after(after);
                }
                Entries::Scan(scan.limit(options.limit))
            }
            (Some(scan), Kind::List) => {
                let mut list = List::new(scan, TREE_ID_BYTES + prefix.len());
                if let Some(delimiter) = options.delimiter {
                    list = list.delimiter(delimiter);
                }
                if let Some(after) = after {
                    list = list.start_after(after);
                }
                Entries::List(list.limit(options.limit))
            }
        };
        Source {
            entries,
            reverse: options.reverse,
            values: options.values,
            form: options.keys,
            bundle_entries: ENTRIES_FIRST,
        }
    }

    /// Fills a bundle with the next entries: none are left if it stays empty.
    fn fill(&mut self, bundle: &mut Bundle) -> Result<()> {
        while !bundle.is_full(self.bundle_entries) && self.push_next(bundle)? {}
        self.bundle_entries = ENTRIES_MAX.min(self.bundle_entries * 2);
        Ok(())
    }

    fn push_next(&mut self, bundle: &mut Bundle) -> Result<bool> {
        let form = self.form;
        match (&mut self.entries, self.reverse) {
            (Entries::None, _) => return Ok(false),
            (Entries::Scan(scan), reverse) => {
                let entry = if reverse { scan.next_back_ref()? } else { scan.next_ref()? };
                let Some(entry) = entry else {
                    return Ok(false);
                };
                let value = self.values.then_some(entry.value());
                bundle.push_key(form, entry.key(), value, entry.version());
            }
            (Entries::List(list), false) => {
                let Some(child) = list.next_ref()? else {
                    return Ok(false);
                };
                match child {
                    ListRef::Prefix(prefix) => bundle.push_prefix(form, prefix),
                    ListRef::Key { key, value, version } => {
                        bundle.push_key(form, key, self.values.then_some(value), version);
                    }
                }
            }
            (Entries::List(list), true) => {
                let Some(child) = list.next_back() else {
                    return Ok(false);
                };
                match child? {
                    Entry::Prefix(prefix) => bundle.push_prefix(form, &prefix),
                    Entry::Key { key, value, version } => {
                        bundle.push_key(form, &key, self.values.then_some(&value), version);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// Draws the entries of an iteration from the database, a bundle at a time. The iterators that `list` and
/// `scan` return hold one each; nobody else needs it.
#[wasm_bindgen]
pub struct Cursor {
    shared: Rc<Shared>,
    slot: usize,
}

#[wasm_bindgen]
impl Cursor {
    /// The next entries as an array. Empty: there are no more.
    pub fn draw(&self) -> std::result::Result<JsValue, JsValue> {
        let drawn = self.shared.with(|open| {
            let source = open.cursors.get(self.slot).ok_or(Refusal::Closed)?;
            with_bundle(|bundle| {
                source.fill(bundle)?;
                Ok(bundle.unpack())
            })
        });
        Ok(drawn?)
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.shared.release(|open| drop(open.cursors.take(self.slot)));
    }
}

/// Starts an iteration, and returns the JavaScript iterator.
pub(super) fn iterate(
    shared: &Rc<Shared>,
    which: Which,
    kind: Kind,
    prefix: &JsValue,
    options: &JsValue,
) -> Outcome<JsValue> {
    let options = Options::read(options)?;
    let prefix = keys::own_key(prefix, "prefix")?;
    if options.delimiter.is_some() && kind == Kind::Scan {
        let (name, expected) = ("delimiter", "left out: scan goes into every directory, list is what stops");
        return Err(Refusal::Argument { name, expected });
    }
    let slot = shared.with(|open| {
        let source = Source::new(open.tree(which)?, kind, &prefix, options);
        Ok(open.cursors.put(source))
    })?;
    let shared = shared.clone();
    let token = shared.token.clone();
    Ok(glue::iterator(Cursor { shared, slot }, &token))
}
