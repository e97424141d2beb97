//! The options of `list` and `scan`.

use wasm_bindgen::prelude::*;

use super::error::{Outcome, Refusal};
use super::keys;

#[wasm_bindgen]
extern "C" {
    /// An options object as the user made it. Reading one property costs no string that crosses.
    type Given;

    #[wasm_bindgen(method, getter, structural, catch, js_name = startAfter)]
    fn start_after(this: &Given) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, structural, catch)]
    fn limit(this: &Given) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, structural, catch)]
    fn reverse(this: &Given) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, structural, catch)]
    fn delimiter(this: &Given) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, structural, catch)]
    fn values(this: &Given) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, structural, catch)]
    fn keys(this: &Given) -> Result<JsValue, JsValue>;
}

/// How keys leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyForm {
    /// As strings; as bytes where they are not UTF-8.
    Text,
    /// As bytes.
    Bytes,
}

/// What to iterate over, beside the prefix.
pub(super) struct Options {
    /// Where to go on: behind this key, in the order of the iteration.
    pub(super) start_after: Option<Vec<u8>>,
    /// How many entries at most.
    pub(super) limit: usize,
    /// From the last to the first.
    pub(super) reverse: bool,
    /// What separates directories.
    pub(super) delimiter: Option<u8>,
    /// Whether values are wanted.
    pub(super) values: bool,
    pub(super) keys: KeyForm,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            start_after: None,
            limit: usize::MAX,
            reverse: false,
            delimiter: None,
            values: true,
            keys: KeyForm::Text,
        }
    }
}

impl Options {
    /// Reads an options object. This may run getters, hence foreign code.
    pub(super) fn read(options: &JsValue) -> Outcome<Self> {
        let mut read = Options::default();
        if options.is_undefined() {
            return Ok(read);
        }
        if !options.is_object() {
            return Err(Refusal::Argument { name: "options", expected: "an object" });
        }
        let given: &Given = options.unchecked_ref();
        if let Some(key) = set(given.start_after())? {
            read.start_after = Some(keys::own_key(&key, "startAfter")?);
        }
        if let Some(value) = set(given.limit())? {
            read.limit = limit(&value)?;
        }
        if let Some(value) = set(given.reverse())? {
            read.reverse = switch(&value, "reverse")?;
        }
        if let Some(value) = set(given.delimiter())? {
            read.delimiter = Some(delimiter(&value)?);
        }
        if let Some(value) = set(given.values())? {
            read.values = switch(&value, "values")?;
        }
        if let Some(value) = set(given.keys())? {
            read.keys = key_form(&value)?;
        }
        Ok(read)
    }
}

/// An option, if it is set.
fn set(option: Result<JsValue, JsValue>) -> Outcome<Option<JsValue>> {
    let value = option.map_err(Refusal::Thrown)?;
    Ok((!value.is_undefined()).then_some(value))
}

fn switch(value: &JsValue, name: &'static str) -> Outcome<bool> {
    value.as_bool().ok_or(Refusal::Argument { name, expected: "true or false" })
}

fn limit(value: &JsValue) -> Outcome<usize> {
    match value.as_f64() {
        // The cast saturates, and Infinity means no limit.
        Some(limit) if limit >= 0.0 && (limit.fract() == 0.0 || limit.is_infinite()) => Ok(limit as usize),
        _ => Err(Refusal::Argument { name: "limit", expected: "a whole number, 0 or above" }),
    }
}

fn delimiter(value: &JsValue) -> Outcome<u8> {
    let expected = "a string of one ASCII character";
    match value.as_string().unwrap_or_default().as_bytes() {
        &[delimiter] => Ok(delimiter),
        _ => Err(Refusal::Argument { name: "delimiter", expected }),
    }
}

fn key_form(value: &JsValue) -> Outcome<KeyForm> {
    match value.as_string().as_deref() {
        Some("text") => Ok(KeyForm::Text),
        Some("bytes") => Ok(KeyForm::Bytes),
        _ => Err(Refusal::Argument { name: "keys", expected: "\"text\" or \"bytes\"" }),
    }
}
