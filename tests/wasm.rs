//! The crate on wasm32. Every test here runs twice: in Node and in headless Chromium.
//!
//! This file must not call `wasm_bindgen_test_configure!`: without it the runner's environment decides on
//! the place. A test that needs a worker or any other thing that only a browser has goes into a file
//! `tests/wasm_*.rs` of its own, which names its mode; such a file runs in Chromium alone.

#![cfg(target_arch = "wasm32")]
#![forbid(unsafe_code)]

use spinney as _;
use wasm_bindgen_test::wasm_bindgen_test;

/// Files hold little-endian words, and no page is swapped on its way in or out: memory must agree,
/// and JavaScript's view of it too.
#[wasm_bindgen_test]
fn words_are_little_endian() {
    let words = [0x5350_494E_4E45_5901_u64, u64::MAX, 0, 1];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let seen = js_sys::Uint8Array::from(&bytes[..]);
    assert_eq!(seen.length(), 32);
    assert_eq!(seen.get_index(0), 0x01);
    assert_eq!(seen.get_index(7), 0x53);
    assert_eq!(seen.to_vec(), words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>());
}
