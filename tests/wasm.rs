//! The crate on wasm32. Every test here runs twice: in Node and in headless Chromium.
//!
//! This file must not call `wasm_bindgen_test_configure!`: without it the runner's environment decides on
//! the place. A test that needs a worker or any other thing that only a browser has goes into a file
//! `tests/wasm_*.rs` of its own, which names its mode; such a file runs in Chromium alone.
//!
//! What a user of the JavaScript face sees is tested in JavaScript, in `wasm_common/face.js`.

#![cfg(target_arch = "wasm32")]
#![forbid(unsafe_code)]

mod workload;

use std::collections::BTreeMap;

use js_sys::{Array, Reflect, Uint8Array};
use spinney::Db;
use spinney::wasm::{Spinney, Tree};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

/// Files hold little-endian words, and no page is swapped on its way in or out: memory must agree,
/// and JavaScript's view of it too.
#[wasm_bindgen_test]
fn words_are_little_endian() {
    let words = [0x5350_494E_4E45_5901_u64, u64::MAX, 0, 1];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let seen = Uint8Array::from(&bytes[..]);
    assert_eq!(seen.length(), 32);
    assert_eq!(seen.get_index(0), 0x01);
    assert_eq!(seen.get_index(7), 0x53);
    assert_eq!(seen.to_vec(), words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>());
}

/// The class, as JavaScript has it.
fn class() -> JsValue {
    let spinney = JsValue::from(Spinney::memory());
    Reflect::get(&spinney, &"constructor".into()).expect("an object has a constructor")
}

/// Declares the functions of `wasm_common/face.js`, and a test for each.
macro_rules! face {
    ($($test:ident = $name:literal),* $(,)?) => {
        mod face {
            use wasm_bindgen::prelude::*;

            #[wasm_bindgen(module = "/tests/wasm_common/face.js")]
            extern "C" {
                $(#[wasm_bindgen(js_name = $name)]
                pub fn $test(class: &JsValue);)*

                #[wasm_bindgen(js_name = openAndClose)]
                pub fn open_and_close(class: &JsValue) -> JsValue;

                #[wasm_bindgen(js_name = putAndGet)]
                pub fn put_and_get(db: &JsValue, key: &str);

                #[wasm_bindgen(js_name = startAndEnd)]
                pub fn start_and_end(db: &JsValue);
            }
        }

        $(#[wasm_bindgen_test]
        fn $test() {
            face::$test(&class());
        })*
    };
}

face! {
    puts_gets_and_removes = "putGetRemove",
    gets_into_a_buffer = "getInto",
    keys_are_bytes = "keysAreBytes",
    takes_typed_arrays_of_all_kinds = "typedArraysOfAllKinds",
    has_trees = "trees",
    scans = "scans",
    scans_with_options = "scanOptions",
    lists = "lists",
    iterators_keep_to_the_protocol = "iteratorProtocol",
    iterates_beside_writes = "writesDuringAnIteration",
    carries_large_values = "largeValues",
    images_go_round = "images",
    has_stats = "stats",
    refuses_what_is_too_long = "limits",
    refuses_wrong_arguments = "wrongArguments",
    names_the_damage_of_an_image = "damagedImages",
    refuses_a_newer_format = "newerFormat",
    is_closed_after_close = "closing",
}

fn memory_bytes() -> u32 {
    let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    let buffer: js_sys::ArrayBuffer = memory.buffer().unchecked_into();
    buffer.byte_length()
}

/// What JavaScript has seen of the memory is not the memory any more once it has grown.
#[wasm_bindgen_test]
fn works_on_while_the_memory_grows() {
    let before = memory_bytes();
    let mut held = Vec::new();
    let mut grown = 0;
    while grown < 3 {
        let seen = memory_bytes();
        let db = JsValue::from(Spinney::memory());
        face::put_and_get(&db, &format!("directory/{}", held.len()));
        held.push(db);
        grown += u32::from(memory_bytes() > seen);
        assert!(memory_bytes() - before < 1 << 30, "the memory grows without end");
    }
    for db in &held {
        face::put_and_get(db, "more");
    }
}

#[wasm_bindgen_test]
fn iterators_give_their_memory_back() {
    let db = JsValue::from(Spinney::memory());
    let before = memory_bytes();
    face::start_and_end(&db);
    assert!(memory_bytes() - before < 16 << 20);
}

#[wasm_bindgen_test]
fn closing_gives_the_memory_back() {
    let class = class();
    let held = Array::new();
    for _ in 0..3 {
        held.push(&face::open_and_close(&class));
    }
    let before = memory_bytes();
    for _ in 0..20 {
        held.push(&face::open_and_close(&class));
    }
    assert_eq!(memory_bytes(), before);
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn key(&mut self) -> String {
        let folder = ["photos", "caf\u{e9}", "a/b/c", "\u{1f332}"][self.below(4) as usize];
        let numbers = (self.below(20), self.below(100));
        format!("{folder}/{}/{:02}", numbers.0, numbers.1)
    }
}

type Model = BTreeMap<String, Vec<u8>>;

fn property(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).expect("an object has properties")
}

/// The tree holds what the model holds below a prefix, in the same order.
fn assert_same_below(tree: &Tree, model: &Model, prefix: &str) {
    let scan = tree.scan(&prefix.into(), &JsValue::UNDEFINED).expect("scan");
    let entries = Array::from(&scan);
    let expected = model.range(prefix.to_string()..).take_while(|(key, _)| key.starts_with(prefix));
    let mut count = 0;
    for (key, value) in expected {
        let entry = entries.get(count);
        assert_eq!(property(&entry, "key").as_string().as_deref(), Some(&key[..]));
        let found: Uint8Array = property(&entry, "value").unchecked_into();
        assert_eq!(&found.to_vec(), value);
        count += 1;
    }
    assert_eq!(entries.length(), count);
}

/// Random operations through the face, beside a plain map.
#[wasm_bindgen_test]
fn agrees_with_a_plain_map() {
    let db = Spinney::memory();
    let name = JsValue::from("model");
    let tree = db.tree(&name).expect("tree");
    let mut model = Model::new();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for operation in 0..10_000 {
        let key = random.key();
        let js_key = JsValue::from(&key[..]);
        match random.below(10) {
            0..5 => {
                let value = vec![operation as u8; random.below(600) as usize];
                tree.put(&js_key, &Uint8Array::from(&value[..])).expect("put");
                model.insert(key, value);
            }
            5..7 => {
                let removed = tree.remove(&js_key).expect("remove");
                assert_eq!(removed, model.remove(&key).is_some());
            }
            7 => {
                let found = tree.get(&js_key).expect("get");
                let found = found.dyn_into::<Uint8Array>().ok();
                assert_eq!(found.map(|found| found.to_vec()).as_ref(), model.get(&key));
            }
            8 => assert_eq!(tree.contains(&js_key).expect("contains"), model.contains_key(&key)),
            _ if operation % 20 == 0 => {
                let prefix = key.rsplit_once('/').map_or("", |(folder, _)| folder);
                assert_same_below(&tree, &model, prefix);
            }
            _ => {}
        }
    }
    assert_same_below(&tree, &model, "");
    let report = db.check().expect("check");
    assert_eq!(property(&report, "isClean").as_bool(), Some(true));

    let copy = Spinney::from_image(&db.image().expect("image")).expect("from_image");
    assert_same_below(&copy.tree(&name).expect("tree"), &model, "");
}

#[wasm_bindgen_test]
fn the_workload_gives_the_same_bytes_as_natively() {
    let db = Db::memory();
    let model = workload::run(&db);
    let report = db.check().expect("check");
    assert!(report.is_clean(), "{:?}", report.problems);
    workload::assert_eventful(&db.stats());
    workload::assert_same(&db, &model);
    workload::assert_identical(&db.image().expect("image"));
}
