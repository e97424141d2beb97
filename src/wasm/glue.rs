//! The functions of `glue.js`, declared.
//!
//! An address that is passed to them is that of a buffer of this module, which they read or fill before they
//! return. Who passes it exposes its provenance first: to Rust they are foreign code that writes through it.

use wasm_bindgen::prelude::*;

use super::iterate::Cursor;

/// What the functions that take keys and bytes return for neither a string nor a `Uint8Array`.
pub(super) const WRONG_TYPE: f64 = -1.0;
/// What they return for a string with half a surrogate pair, which UTF-8 cannot spell.
pub(super) const ILL_FORMED: f64 = -2.0;

#[wasm_bindgen(module = "/src/wasm/glue.js")]
extern "C" {
    /// Lets the others reach the memory of this module; `closed` is a `Spinney` to find its prototype by.
    pub(super) fn attach(memory: JsValue, closed: JsValue);

    /// Writes a string as UTF-8, or a `Uint8Array`, to `address`, and returns its length in bytes. When that
    /// is beyond `limit_bytes`, what was written is incomplete.
    #[wasm_bindgen(js_name = takeKey)]
    pub(super) fn take_key(key: &JsValue, address: usize, limit_bytes: usize) -> f64;

    /// The same for a `Uint8Array` alone. When it is too long, nothing is written.
    #[wasm_bindgen(js_name = takeBytes)]
    pub(super) fn take_bytes(bytes: &JsValue, address: usize, limit_bytes: usize) -> f64;

    /// A new `Uint8Array` with these bytes.
    #[wasm_bindgen(js_name = giveBytes)]
    pub(super) fn give_bytes(address: usize, length_bytes: usize) -> JsValue;

    /// Copies these bytes into a `Uint8Array`, if they fit. False if it is none.
    #[wasm_bindgen(js_name = copyBytes)]
    pub(super) fn copy_bytes(address: usize, length_bytes: usize, target: &JsValue) -> bool;

    /// The entries of a bundle as an array; see [`super::bundle`].
    pub(super) fn unpack(
        table: usize,
        entries: usize,
        text: usize,
        text_bytes: usize,
        arena: usize,
        arena_bytes: usize,
    ) -> JsValue;

    /// An iterator that draws from a cursor, and ends when the token says closed.
    pub(super) fn iterator(cursor: Cursor, token: &JsValue) -> JsValue;

    /// A token that says open.
    pub(super) fn token() -> JsValue;

    /// Makes a token say closed.
    #[wasm_bindgen(js_name = closeToken)]
    pub(super) fn close_token(token: &JsValue);

    /// A `SpinneyError`.
    pub(super) fn failure(code: &str, message: &str) -> JsValue;
}
