//! A bundle of entries, packed for one crossing.
//!
//! Three buffers: the *table* with three numbers for each entry, the *text* of all keys that are UTF-8, which
//! JavaScript decodes at one go, and the *arena* of all other bytes, which it copies at one go. The entries'
//! typed arrays are views of that one copy.
//!
//! | Number | Meaning |
//! |---|---|
//! | key | 0 and up: so many UTF-16 units of the text; below: minus one minus so many bytes of the arena |
//! | value | so many bytes of the arena; `NO_VALUE`; `IS_PREFIX` |
//! | version | the number of the write |

use std::cell::RefCell;

use wasm_bindgen::JsValue;

use super::glue;
use super::keys::address;
use super::options::KeyForm;
use crate::value::Version;

/// Entries of the first bundle; each has twice as many as the one before it. An iteration that is broken off
/// early has not read far ahead.
pub(super) const ENTRIES_FIRST: usize = 16;
/// Entries of a bundle.
pub(super) const ENTRIES_MAX: usize = 256;
/// A bundle with this many bytes is full.
const FULL_BYTES: usize = 64 << 10;

const NO_VALUE: f64 = -1.0;
const IS_PREFIX: f64 = -2.0;

/// Entries that wait to cross.
pub(super) struct Bundle {
    table: Vec<[f64; 3]>,
    text: Vec<u8>,
    arena: Vec<u8>,
}

thread_local! {
    static BUNDLE: RefCell<Bundle> = const { RefCell::new(Bundle::new()) };
}

/// Runs a call with an empty bundle.
pub(super) fn with_bundle<R>(call: impl FnOnce(&mut Bundle) -> R) -> R {
    BUNDLE.with_borrow_mut(|bundle| {
        bundle.table.clear();
        bundle.text.clear();
        bundle.arena.clear();
        call(bundle)
    })
}

impl Bundle {
    const fn new() -> Self {
        Bundle { table: Vec::new(), text: Vec::new(), arena: Vec::new() }
    }

    pub(super) fn is_full(&self, entries_max: usize) -> bool {
        self.table.len() >= entries_max || self.text.len() + self.arena.len() >= FULL_BYTES
    }

    pub(super) fn push_key(&mut self, form: KeyForm, key: &[u8], value: Option<&[u8]>, version: Version) {
        let key = self.push_name(form, key);
        if let Some(value) = value {
            self.arena.extend_from_slice(value);
        }
        let value = value.map_or(NO_VALUE, |value| value.len() as f64);
        self.table.push([key, value, version.number() as f64]);
    }

    pub(super) fn push_prefix(&mut self, form: KeyForm, prefix: &[u8]) {
        let key = self.push_name(form, prefix);
        self.table.push([key, IS_PREFIX, 0.0]);
    }

    fn push_name(&mut self, form: KeyForm, name: &[u8]) -> f64 {
        let units = match form {
            KeyForm::Text => utf16_units(name),
            KeyForm::Bytes => None,
        };
        let Some(units) = units else {
            self.arena.extend_from_slice(name);
            return -1.0 - name.len() as f64;
        };
        self.text.extend_from_slice(name);
        units as f64
    }

    /// The entries as a JavaScript array.
    pub(super) fn unpack(&self) -> JsValue {
        glue::unpack(
            address(&self.table),
            self.table.len(),
            address(&self.text),
            self.text.len(),
            address(&self.arena),
            self.arena.len(),
        )
    }
}

/// The length that JavaScript gives this string: one unit for each scalar, a second one beyond U+FFFF. None
/// if it is not UTF-8.
fn utf16_units(name: &[u8]) -> Option<usize> {
    // A fifth of the time of a scan went into the loop below before ASCII was told apart by whole words.
    if name.is_ascii() {
        return Some(name.len());
    }
    let text = str::from_utf8(name).ok()?;
    Some(text.chars().map(char::len_utf16).sum())
}
