//! The buffers through which everything passes, and the table that says where they lie.
//!
//! JavaScript writes into `keys` and `input` and reads the others, between two calls. So whatever it has to
//! know of them is told in the table, whose own place never changes. Addresses are exposed, since to Rust it
//! is foreign code that reads and writes through them.

use wasm_bindgen::prelude::*;

use super::page::Page;
use super::refusal::{Outcome, Refusal};
use super::{ABSENT, call};
use crate::error::Error;
use crate::limits::{KEY_BYTES_MAX, TREE_NAME_BYTES_MAX, VALUE_BYTES_MAX};
use crate::value::Version;

/// Places in the table, and their number. `pkg-template/face/memory.js` has the same.
const INPUT: usize = 0;
const INPUT_BYTES: usize = 1;
const OUTPUT: usize = 2;
const OUTPUT_BYTES: usize = 3;
const VERSION: usize = 4;
const ROWS: usize = 5;
const TEXT: usize = 6;
const TEXT_BYTES: usize = 7;
const CURSOR: usize = 8;
const PLACES: usize = 9;

/// Beyond this, a buffer that was needed once is not kept.
const KEPT_BYTES: usize = 1 << 20;

pub(super) struct Memory {
    /// Room for two keys.
    keys: Vec<u8>,
    /// What comes in beside keys: values, images, lists of keys.
    input: Vec<u8>,
    /// What goes out: values, images, texts, and the bytes of a page.
    output: Vec<u8>,
    pub(super) page: Page,
    table: [f64; PLACES],
}

/// The address of a buffer for JavaScript to write.
fn address_mut(buffer: &mut [u8]) -> f64 {
    buffer.as_mut_ptr().expose_provenance() as f64
}

/// The address of a buffer for JavaScript to read.
fn address<T>(buffer: &[T]) -> f64 {
    buffer.as_ptr().expose_provenance() as f64
}

fn checked_key(bytes: Option<&[u8]>, length_bytes: u32) -> Outcome<&[u8]> {
    let length_bytes = length_bytes as usize;
    let too_long = Error::KeyTooLong { length_bytes, limit_bytes: KEY_BYTES_MAX };
    if length_bytes > KEY_BYTES_MAX {
        return Err(too_long.into());
    }
    bytes.ok_or(too_long.into())
}

fn checked_name(bytes: &[u8]) -> Outcome<&str> {
    let (length_bytes, limit_bytes) = (bytes.len(), TREE_NAME_BYTES_MAX);
    // JavaScript writes nothing but UTF-8 here.
    str::from_utf8(bytes).map_err(|_| Error::TreeName { length_bytes, limit_bytes }.into())
}

impl Memory {
    pub(super) fn new() -> Self {
        Memory {
            keys: vec![0; 2 * KEY_BYTES_MAX],
            input: Vec::new(),
            output: Vec::new(),
            page: Page::new(),
            table: [0.0; PLACES],
        }
    }

    /// The first key, which has so many bytes.
    pub(super) fn key(&self, length_bytes: u32) -> Outcome<&[u8]> {
        checked_key(self.keys.get(..length_bytes as usize), length_bytes)
    }

    /// The second one.
    pub(super) fn second_key(&self, length_bytes: u32) -> Outcome<&[u8]> {
        checked_key(self.keys[KEY_BYTES_MAX..].get(..length_bytes as usize), length_bytes)
    }

    /// The key, and room for a value.
    pub(super) fn key_and_output(&mut self, length_bytes: u32) -> Outcome<(&[u8], &mut Vec<u8>)> {
        let key = checked_key(self.keys.get(..length_bytes as usize), length_bytes)?;
        self.output.shrink_to(KEPT_BYTES);
        Ok((key, &mut self.output))
    }

    /// The name of a tree, where the first key lies.
    pub(super) fn name(&self, length_bytes: u32) -> Outcome<&str> {
        checked_name(self.key(length_bytes)?)
    }

    /// That where the second key lies.
    pub(super) fn second_name(&self, length_bytes: u32) -> Outcome<&str> {
        checked_name(self.second_key(length_bytes)?)
    }

    /// The input.
    pub(super) fn input(&self, length_bytes: u32) -> Outcome<&[u8]> {
        self.input.get(..length_bytes as usize).ok_or(Refusal::Memory { bytes: length_bytes.into() })
    }

    /// The input as a value. One that is too long has not been written.
    pub(super) fn value(&self, length_bytes: u32) -> Outcome<&[u8]> {
        if length_bytes as usize > VALUE_BYTES_MAX {
            let (length_bytes, limit_bytes) = (length_bytes as usize, VALUE_BYTES_MAX);
            return Err(Error::ValueTooLarge { length_bytes, limit_bytes }.into());
        }
        self.input(length_bytes)
    }

    /// Makes the input so large; what is in it stays.
    fn reserve_input(&mut self, bytes: f64) -> Outcome<()> {
        let refusal = Refusal::Memory { bytes: bytes as u64 };
        if bytes > f64::from(u32::MAX) {
            return Err(refusal);
        }
        let more = (bytes as usize).saturating_sub(self.input.len());
        self.input.try_reserve_exact(more).map_err(|_| refusal)?;
        self.input.resize(self.input.len() + more, 0);
        self.tell_input();
        Ok(())
    }

    fn tell_input(&mut self) {
        self.table[INPUT] = address_mut(&mut self.input);
        self.table[INPUT_BYTES] = self.input.len() as f64;
    }

    /// Tells where the output lies, and which version it has.
    pub(super) fn lend_output(&mut self, version: Version) -> f64 {
        self.table[OUTPUT] = address(&self.output);
        self.table[OUTPUT_BYTES] = self.output.len() as f64;
        self.table[VERSION] = version.number() as f64;
        self.output.len() as f64
    }

    /// Makes these bytes the output.
    pub(super) fn lend(&mut self, bytes: Vec<u8>) -> f64 {
        self.output = bytes;
        self.lend_output(Version::from_number(0))
    }

    /// Makes this text the output.
    pub(super) fn lend_text(&mut self, text: String) -> f64 {
        self.lend(text.into_bytes())
    }

    /// Empties the page, to be filled.
    pub(super) fn empty_page(&mut self) -> &mut Page {
        self.page.clear();
        &mut self.page
    }

    /// Tells where the page lies, and where more of it can be had: 0 if this was all.
    pub(super) fn lend_page(&mut self, cursor: u32) -> f64 {
        let page = &self.page;
        self.table[ROWS] = address(&page.rows);
        self.table[TEXT] = address(&page.text);
        self.table[TEXT_BYTES] = page.text.len() as f64;
        self.table[OUTPUT] = address(&page.arena);
        self.table[OUTPUT_BYTES] = page.arena.len() as f64;
        self.table[CURSOR] = f64::from(cursor);
        page.rows.len() as f64
    }

    /// The page and a list of keys that lies in the input: so many lengths of four bytes, then the keys.
    pub(super) fn keys_and_page(&mut self, count: u32, bytes: u32) -> Outcome<(Vec<&[u8]>, &mut Page)> {
        let refusal = || Refusal::Memory { bytes: bytes.into() };
        let input = self.input.get(..bytes as usize).ok_or_else(refusal)?;
        let (lengths, mut rest) = input.split_at_checked(count as usize * 4).ok_or_else(refusal)?;
        let mut keys = Vec::with_capacity(count as usize);
        for length in lengths.as_chunks().0 {
            let length_bytes = u32::from_le_bytes(*length);
            let (key, behind) = rest.split_at_checked(length_bytes as usize).ok_or_else(refusal)?;
            keys.push(checked_key(Some(key), length_bytes)?);
            rest = behind;
        }
        self.page.clear();
        Ok((keys, &mut self.page))
    }
}

/// The address of the table.
#[wasm_bindgen]
pub fn spinney_table() -> f64 {
    let mut at = 0.0;
    call(|memory, _| {
        at = address(&memory.table);
        Ok(at)
    })
}

/// The address of the room for two keys; each has half of it.
#[wasm_bindgen]
pub fn spinney_keys() -> f64 {
    call(|memory, _| Ok(address_mut(&mut memory.keys)))
}

/// The longest key, value or name of a tree: 0, 1, 2.
#[wasm_bindgen]
pub fn spinney_limit_bytes(of: u32) -> f64 {
    match of {
        0 => KEY_BYTES_MAX as f64,
        1 => VALUE_BYTES_MAX as f64,
        2 => TREE_NAME_BYTES_MAX as f64,
        _ => ABSENT,
    }
}

/// Makes the input so large; what is in it stays.
#[wasm_bindgen]
pub fn spinney_reserve_input(bytes: f64) -> f64 {
    call(|memory, _| memory.reserve_input(bytes).map(|()| 0.0))
}

/// Gives back what large inputs and outputs have taken.
#[wasm_bindgen]
pub fn spinney_shrink() -> f64 {
    call(|memory, _| {
        memory.input.truncate(KEPT_BYTES);
        memory.input.shrink_to_fit();
        memory.tell_input();
        memory.output = Vec::new();
        memory.page.shrink();
        Ok(0.0)
    })
}
