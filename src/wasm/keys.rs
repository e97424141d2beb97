//! Keys and values on their way in, and values on their way out, through buffers that are kept.
//!
//! A module has one thread, so one set of buffers serves every database. They are only borrowed around the
//! engine's work and around functions of `glue.js` that run no foreign code.

use std::cell::RefCell;

use wasm_bindgen::JsValue;

use super::error::{Outcome, Refusal};
use super::glue;
use crate::error::Error;
use crate::limits::{KEY_BYTES_MAX, SHORT_VALUE_BYTES_MAX, TREE_NAME_BYTES_MAX, VALUE_BYTES_MAX};

const KEY_EXPECTED: &str = "a string or a Uint8Array";
const BYTES_EXPECTED: &str = "a Uint8Array";
const WELL_FORMED: &str = "well-formed: it has half a surrogate pair";

/// Buffers for one call.
pub(super) struct Buffers {
    key: Vec<u8>,
    value_in: Vec<u8>,
    /// Where the engine puts a value.
    pub(super) value_out: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = const { RefCell::new(Buffers::new()) };
}

/// Runs a call with the buffers.
pub(super) fn with_buffers<R>(call: impl FnOnce(&mut Buffers) -> R) -> R {
    BUFFERS.with_borrow_mut(call)
}

/// The address of a buffer, for `glue.js` to fill.
fn address_mut(buffer: &mut [u8]) -> usize {
    buffer.as_mut_ptr().expose_provenance()
}

/// The address of a buffer, for `glue.js` to read.
pub(super) fn address<T>(buffer: &[T]) -> usize {
    buffer.as_ptr().expose_provenance()
}

/// A length that `glue.js` returned.
fn length(returned: f64, name: &'static str, expected: &'static str) -> Outcome<usize> {
    if returned == glue::WRONG_TYPE {
        return Err(Refusal::Argument { name, expected });
    }
    if returned == glue::ILL_FORMED {
        return Err(Refusal::Argument { name, expected: WELL_FORMED });
    }
    Ok(returned as usize)
}

fn take_key<'b>(buffer: &'b mut Vec<u8>, key: &JsValue, name: &'static str) -> Outcome<&'b [u8]> {
    buffer.resize(KEY_BYTES_MAX, 0);
    let returned = glue::take_key(key, address_mut(buffer), KEY_BYTES_MAX);
    let length_bytes = length(returned, name, KEY_EXPECTED)?;
    let Some(bytes) = buffer.get(..length_bytes) else {
        let limit_bytes = KEY_BYTES_MAX;
        return Err(Error::KeyTooLong { length_bytes, limit_bytes }.into());
    };
    Ok(bytes)
}

impl Buffers {
    const fn new() -> Self {
        Buffers { key: Vec::new(), value_in: Vec::new(), value_out: Vec::new() }
    }

    /// The bytes of a key, and room for a value.
    pub(super) fn key(&mut self, key: &JsValue) -> Outcome<(&[u8], &mut Vec<u8>)> {
        let key = take_key(&mut self.key, key, "key")?;
        Ok((key, &mut self.value_out))
    }

    /// The bytes of a key and of a value.
    pub(super) fn pair(&mut self, key: &JsValue, value: &JsValue) -> Outcome<(&[u8], &[u8])> {
        let key = take_key(&mut self.key, key, "key")?;
        // Most values are short. A long one says how long it is, and is asked for again.
        let mut room_bytes = SHORT_VALUE_BYTES_MAX;
        loop {
            self.value_in.resize(room_bytes, 0);
            self.value_in.shrink_to(room_bytes);
            let returned = glue::take_bytes(value, address_mut(&mut self.value_in), room_bytes);
            let length_bytes = length(returned, "value", BYTES_EXPECTED)?;
            if length_bytes <= room_bytes {
                return Ok((key, &self.value_in[..length_bytes]));
            }
            if length_bytes > VALUE_BYTES_MAX {
                return Err(Error::ValueTooLarge { length_bytes, limit_bytes: VALUE_BYTES_MAX }.into());
            }
            room_bytes = length_bytes;
        }
    }
}

/// A copy of a key that outlives the call: a prefix, or where to start.
pub(super) fn own_key(key: &JsValue, name: &'static str) -> Outcome<Vec<u8>> {
    with_buffers(|buffers| Ok(take_key(&mut buffers.key, key, name)?.to_vec()))
}

/// The name of a tree.
pub(super) fn tree_name(name: &JsValue) -> Outcome<String> {
    if !name.is_string() {
        let expected = "a string";
        return Err(Refusal::Argument { name: "name", expected });
    }
    let limit_bytes = TREE_NAME_BYTES_MAX;
    with_buffers(|buffers| {
        buffers.key.resize(KEY_BYTES_MAX, 0);
        let returned = glue::take_key(name, address_mut(&mut buffers.key), limit_bytes);
        let length_bytes = length(returned, "name", KEY_EXPECTED)?;
        if length_bytes > limit_bytes {
            return Err(Error::TreeName { length_bytes, limit_bytes }.into());
        }
        Ok(String::from_utf8_lossy(&buffers.key[..length_bytes]).into_owned())
    })
}

/// All bytes of a `Uint8Array` of any size.
pub(super) fn own_bytes(bytes: &JsValue, name: &'static str) -> Outcome<Vec<u8>> {
    let length_bytes = length(glue::take_bytes(bytes, 0, 0), name, BYTES_EXPECTED)?;
    let mut own = vec![0; length_bytes];
    let returned = glue::take_bytes(bytes, address_mut(&mut own), length_bytes);
    debug_assert_eq!(returned, length_bytes as f64);
    Ok(own)
}

/// These bytes as a `Uint8Array` of their own.
pub(super) fn give(bytes: &[u8]) -> JsValue {
    glue::give_bytes(address(bytes), bytes.len())
}

/// Copies these bytes into a `Uint8Array`, if they fit there.
pub(super) fn copy_into(bytes: &[u8], target: &JsValue) -> Outcome<()> {
    if glue::copy_bytes(address(bytes), bytes.len(), target) {
        return Ok(());
    }
    let expected = BYTES_EXPECTED;
    Err(Refusal::Argument { name: "target", expected })
}
