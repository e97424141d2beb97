//! The crate on wasm32. Every test here runs twice: in Node and in headless Chromium.
//!
//! This file must not call `wasm_bindgen_test_configure!`: without it the runner's environment decides on
//! the place. A test that needs a worker or any other thing that only a browser has goes into a file
//! `tests/wasm_*.rs` of its own, which names its mode; such a file runs in Chromium alone.
//!
//! What a user of the JavaScript face sees is tested in JavaScript, in `wasm_common/face.js`; the package is
//! tested with the same file.

#![cfg(target_arch = "wasm32")]
#![forbid(unsafe_code)]

mod common;
mod workload;

use std::cell::Cell;

use js_sys::{Array, Uint8Array};
use spinney::Db;
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

/// What the tests below want of JavaScript.
mod js {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(module = "/tests/wasm_common/one_by_one.js")]
    extern "C" {
        #[wasm_bindgen(thread_local_v2, js_name = loaded)]
        pub static LOADED: js_sys::Array;

        pub fn attach(exports: &JsValue);

        #[wasm_bindgen(thread_local_v2, js_name = Spinney)]
        pub static SPINNEY: JsValue;

        #[wasm_bindgen(js_namespace = face, js_name = openAndClose)]
        pub fn open_and_close(class: &JsValue) -> JsValue;

        #[wasm_bindgen(js_namespace = face, js_name = openAndPut)]
        pub fn open_and_put(class: &JsValue, key: &str) -> JsValue;

        #[wasm_bindgen(js_namespace = face, js_name = putAndGet)]
        pub fn put_and_get(db: &JsValue, key: &str);

        #[wasm_bindgen(js_namespace = face, js_name = startAndEnd)]
        pub fn start_and_end(class: &JsValue);

        #[wasm_bindgen(js_namespace = face, js_name = imageOf)]
        pub fn image_of(class: &JsValue, bytes: js_sys::Uint8Array) -> Vec<u8>;
    }
}

/// The class `Spinney`, over the functions of this very module.
fn class() -> JsValue {
    thread_local! {
        static ATTACHED: Cell<bool> = const { Cell::new(false) };
    }
    if !ATTACHED.replace(true) {
        js::attach(&wasm_bindgen::exports());
    }
    js::SPINNEY.with(JsValue::clone)
}

/// Puts files beside the module under test: only what is named is there. Nothing of them is called from here,
/// so the module does not import them itself; `one_by_one.js` does.
macro_rules! carry {
    ($($name:ident = $path:literal),* $(,)?) => {
        mod carried {
            use wasm_bindgen::prelude::*;

            $(#[wasm_bindgen(module = $path)]
            extern "C" {
                pub type $name;
            })*
        }

        /// What is carried, in the order in which it has to be loaded: paths and contents.
        const CARRIED: &[(&str, &str)] =
            &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), $path)))),*];
    };
}

carry! {
    Errors = "/pkg-template/face/errors.js",
    Files = "/pkg-template/face/files.js",
    Memory = "/pkg-template/face/memory.js",
    Opfs = "/pkg-template/face/opfs.js",
    Scope = "/pkg-template/face/scope.js",
    Entries = "/pkg-template/face/entries.js",
    Tree = "/pkg-template/face/tree.js",
    Transaction = "/pkg-template/face/transaction.js",
    Batch = "/pkg-template/face/batch.js",
    Source = "/pkg-template/face/source.js",
    Remote = "/pkg-template/face/remote.js",
    Client = "/pkg-template/face/client.js",
    Keeper = "/pkg-template/face/keeper.js",
    Database = "/pkg-template/face/database.js",
    Face = "/pkg-template/face/face.js",
    TestsAssert = "/tests/wasm_common/assert.js",
    TestsFace = "/tests/wasm_common/face.js",
    TestsTogether = "/tests/wasm_common/together.js",
}

/// What a file imports or exports from files beside it.
fn neighbours(content: &str) -> impl Iterator<Item = &str> {
    content.split(" from \"./").skip(1).map(|rest| rest.split('"').next().expect("a quote"))
}

/// A file that is loaded before one that it imports would make several requests at once, and the runner would
/// hang now and then: see `one_by_one.js`.
#[wasm_bindgen_test]
fn files_are_loaded_one_by_one() {
    let loaded: Vec<String> =
        js::LOADED.with(|paths| paths.iter().filter_map(|path| path.as_string()).collect());
    let carried: Vec<&str> = CARRIED.iter().map(|&(path, _)| path).collect();
    assert_eq!(loaded, carried);
    let mut imports = 0;
    for (at, &(path, content)) in CARRIED.iter().enumerate() {
        let folder = &path[..=path.rfind('/').expect("a folder")];
        for name in neighbours(content) {
            assert!(carried[..at].contains(&&*format!("{folder}{name}")), "{path} imports {name}");
            imports += 1;
        }
    }
    assert!(imports > 30, "{imports} imports were found");
}

/// Declares the functions of a file of tests, and a test for each.
macro_rules! face {
    ($module:ident, $($test:ident = $name:literal),* $(,)?) => {
        mod $module {
            use wasm_bindgen::prelude::*;

            #[wasm_bindgen(module = "/tests/wasm_common/one_by_one.js")]
            extern "C" {
                $(#[wasm_bindgen(js_namespace = $module, js_name = $name)]
                pub fn $test(class: &JsValue);)*
            }
        }

        $(#[wasm_bindgen_test]
        fn $test() {
            $module::$test(&class());
        })*
    };
}

face! { face,
    puts_gets_and_removes = "putGetRemove",
    gets_into_a_buffer = "getInto",
    gets_texts_and_entries = "textsAndEntries",
    gets_many = "getMany",
    puts_under_conditions = "conditions",
    keys_are_bytes = "keysAreBytes",
    takes_typed_arrays_of_all_kinds = "typedArraysOfAllKinds",
    has_trees = "trees",
    renames_trees = "renamedTrees",
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

face! { together,
    renames_keys = "renames",
    moves_and_removes_directories = "directories",
    commits_batches = "batches",
    refuses_batches = "refusedBatches",
    transacts = "transactions",
    transacts_again_after_a_conflict = "conflicts",
    reads_ranges_in_transactions = "transactionRanges",
    has_snapshots = "snapshots",
    agrees_with_a_plain_map = "model",
}

fn memory_bytes() -> u32 {
    let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    let buffer: js_sys::ArrayBuffer = memory.buffer().unchecked_into();
    buffer.byte_length()
}

/// What JavaScript has seen of the memory is not the memory any more once it has grown.
#[wasm_bindgen_test]
fn works_on_while_the_memory_grows() {
    let class = class();
    let before = memory_bytes();
    let mut held = Vec::new();
    let mut grown = 0;
    while grown < 3 {
        let seen = memory_bytes();
        held.push(js::open_and_put(&class, &format!("directory/{}", held.len())));
        grown += u32::from(memory_bytes() > seen);
        assert!(memory_bytes() - before < 1 << 30, "the memory grows without end");
    }
    for db in &held {
        js::put_and_get(db, "more");
    }
}

#[wasm_bindgen_test]
fn iterators_give_their_memory_back() {
    let class = class();
    let before = memory_bytes();
    js::start_and_end(&class);
    assert!(memory_bytes() - before < 16 << 20);
}

#[wasm_bindgen_test]
fn closing_gives_the_memory_back() {
    let class = class();
    let held = Array::new();
    for _ in 0..3 {
        held.push(&js::open_and_close(&class));
    }
    let before = memory_bytes();
    for _ in 0..20 {
        held.push(&js::open_and_close(&class));
    }
    assert_eq!(memory_bytes(), before);
}

/// The same operations, keys that hurt among them, as in `tests/model.rs`, against the same oracle.
#[wasm_bindgen_test]
fn every_answer_is_that_of_a_sorted_map() {
    let mut world = common::world::World::new(7);
    for step in 1..=3_000 {
        world.step();
        if step % 500 == 0 {
            world.verify();
        }
    }
    world.reopen();
    world.verify();
}

#[wasm_bindgen_test]
fn the_workload_gives_the_same_bytes_as_natively() {
    let db = Db::memory();
    let model = workload::run(&db);
    let report = db.check().expect("check");
    assert!(report.is_clean(), "{:?}", report.problems);
    workload::assert_eventful(&db.stats());
    workload::assert_same(&db, &model);
    let image = db.image().expect("image");
    workload::assert_identical(&image);
    // And through JavaScript.
    workload::assert_identical(&js::image_of(&class(), Uint8Array::from(&image[..])));
}
