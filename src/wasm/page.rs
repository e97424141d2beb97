//! A page of entries, packed for one crossing.
//!
//! Three buffers: the *rows* with three numbers for each entry, the *text* of all keys that are UTF-8, which
//! JavaScript decodes at one go, and the *arena* of all other bytes, which it copies at one go. The typed
//! arrays of the entries are views of that one copy.
//!
//! | Number | Meaning |
//! |---|---|
//! | key | 0 and up: so many UTF-16 units of the text; below: minus one minus so many bytes of the arena |
//! | value | so many bytes of the arena, behind those of the key; [`NO_VALUE`]; [`IS_PREFIX`] |
//! | version | the number of the write |

use crate::value::Version;

/// A page with this many bytes is full.
const FULL_BYTES: usize = 128 << 10;

const NO_VALUE: f64 = -1.0;
const IS_PREFIX: f64 = -2.0;

/// How keys leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// As strings; as bytes where they are not UTF-8.
    Text,
    /// As bytes.
    Bytes,
}

/// See the head of this file.
pub(super) struct Page {
    pub(super) rows: Vec<[f64; 3]>,
    pub(super) text: Vec<u8>,
    pub(super) arena: Vec<u8>,
}

impl Page {
    pub(super) fn new() -> Self {
        Page { rows: Vec::new(), text: Vec::new(), arena: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.text.clear();
        self.arena.clear();
    }

    /// Gives the memory back.
    pub(super) fn shrink(&mut self) {
        *self = Page::new();
    }

    pub(super) fn is_full(&self, entries_max: usize) -> bool {
        self.rows.len() >= entries_max || self.text.len() + self.arena.len() >= FULL_BYTES
    }

    pub(super) fn push_key(&mut self, form: KeyForm, key: &[u8], value: Option<&[u8]>, version: Version) {
        let key = self.push_name(form, key);
        if let Some(value) = value {
            self.arena.extend_from_slice(value);
        }
        let value = value.map_or(NO_VALUE, |value| value.len() as f64);
        self.rows.push([key, value, version.number() as f64]);
    }

    pub(super) fn push_prefix(&mut self, form: KeyForm, prefix: &[u8]) {
        let key = self.push_name(form, prefix);
        self.rows.push([key, IS_PREFIX, 0.0]);
    }

    /// A value without a key.
    pub(super) fn push_value(&mut self, value: Option<(&[u8], Version)>) {
        let version = value.map_or(0.0, |(_, version)| version.number() as f64);
        let bytes = value.map(|(value, _)| value);
        self.arena.extend_from_slice(bytes.unwrap_or_default());
        self.rows.push([0.0, bytes.map_or(NO_VALUE, |value| value.len() as f64), version]);
    }

    /// A number alone.
    pub(super) fn push_number(&mut self, number: f64) {
        self.rows.push([0.0, NO_VALUE, number]);
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
