//! What JavaScript does with files, by the number of a row in its table and the area's place in the row.
//!
//! Functions return a number from 0 on, or a negative one if they have failed; then `failure` has the text.

use wasm_bindgen::prelude::*;

/// Has failed because the browser gives no more space.
pub(super) const NO_SPACE: f64 = -2.0;

#[wasm_bindgen(module = "/pkg-template/face/files.js")]
extern "C" {
    /// The length of a file.
    #[wasm_bindgen(js_name = fileLength)]
    pub(super) fn length(row: u32, area: u32) -> f64;

    /// Makes a file longer, with zeros, or cuts it off.
    #[wasm_bindgen(js_name = fileTruncate)]
    pub(super) fn truncate(row: u32, area: u32, bytes: f64) -> f64;

    /// Fills the buffer. Returns how many bytes there were.
    #[wasm_bindgen(js_name = fileRead)]
    pub(super) fn read(row: u32, area: u32, at: f64, into: &mut [u8]) -> f64;

    /// Writes all of the buffer.
    #[wasm_bindgen(js_name = fileWrite)]
    pub(super) fn write(row: u32, area: u32, at: f64, from: &[u8]) -> f64;

    /// Brings a file to stable storage.
    #[wasm_bindgen(js_name = fileFlush)]
    pub(super) fn flush(row: u32, area: u32) -> f64;

    /// What went wrong last.
    #[wasm_bindgen(js_name = fileFailure)]
    pub(super) fn failure() -> String;

    /// 32 random bits.
    #[wasm_bindgen(js_name = randomWord)]
    pub(super) fn random_word() -> u32;
}
