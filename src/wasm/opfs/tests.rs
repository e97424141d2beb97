//! What every backend must do, on files of the browser, and that a database comes back from them. Runs in a
//! dedicated worker of Chromium alone: `cargo test --target wasm32-unknown-unknown --lib`.

use std::io::ErrorKind;
use std::sync::Arc;

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

use super::backend::OpfsBackend;
use super::random_bits;
use crate::backend::contract::demands;
use crate::backend::{Area, Backend};
use crate::{Db, Durability};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

mod js {
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen(module = "/tests/wasm_common/opfs.js")]
    extern "C" {
        /// Opens some rows of empty files, once for all tests.
        #[wasm_bindgen(js_name = openRows)]
        pub fn open_rows() -> js_sys::Promise;

        /// The next of these rows.
        #[wasm_bindgen(js_name = nextRow)]
        pub fn next_row() -> u32;

        /// Lets every write of a row fail from now on, as if there were no space, or whole again.
        #[wasm_bindgen(js_name = limitRow)]
        pub fn limit_row(row: u32, is_full: bool);

        /// Lets a row read and write a part of what is asked for.
        #[wasm_bindgen(js_name = shortenRow)]
        pub fn shorten_row(row: u32);
    }
}

async fn some_files() {
    js::open_rows().await.expect("a browser with such files");
}

fn files() -> (u32, OpfsBackend) {
    let row = js::next_row();
    (row, OpfsBackend::new(row).expect("three open files"))
}

fn open(row: u32) -> Db {
    let backend = OpfsBackend::new(row).expect("three open files");
    Db::builder().life(random_bits() as u64).open_backend(Arc::new(backend)).expect("open")
}

#[wasm_bindgen_test]
async fn files_of_the_browser_keep_the_contract() {
    some_files().await;
    for demand in demands() {
        demand(&files().1);
    }
}

#[wasm_bindgen_test]
async fn what_is_read_and_written_in_parts_is_whole() {
    some_files().await;
    let (row, backend) = files();
    js::shorten_row(row);
    demands()[0](&backend);
}

#[wasm_bindgen_test]
async fn a_full_disk_has_a_kind_of_its_own() {
    some_files().await;
    let (row, backend) = files();
    backend.set_len(Area::Log, 8192).expect("space");
    js::limit_row(row, true);
    let refused = backend.set_len(Area::Log, 1 << 20).expect_err("no space");
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert_eq!(backend.len(Area::Log).expect("a number"), 8192);
}

#[wasm_bindgen_test]
async fn a_database_comes_back_closed_or_not() {
    some_files().await;
    let (row, _) = files();
    let db = open(row);
    let files = db.tree("files").expect("a tree");
    for i in 0..3_000 {
        files.put(format!("a/{i}"), [7; 300]).expect("put");
    }
    let buffered = files.with_durability(Durability::Buffered);
    buffered.put("b", "not yet stored").expect("put");
    // As if the worker had died: nothing is closed.
    std::mem::forget((db, files, buffered));
    let db = open(row);
    let files = db.tree("files").expect("a tree");
    assert_eq!(files.count("").expect("count"), 3_000);
    files.with_durability(Durability::Buffered).put("c", "stored soon").expect("put");
    while db.attend().expect("attend") {}
    std::mem::forget((db, files));
    let db = open(row);
    assert!(db.tree("files").expect("a tree").contains("c").expect("get"), "it was attended to");
    assert!(db.check().expect("check").is_clean());
    db.close().expect("close");
    let backend = OpfsBackend::new(row).expect("three open files");
    assert_eq!([Area::Log, Area::Journal].map(|area| backend.len(area).expect("a number")), [0, 0]);
    assert_eq!(open(row).tree("files").expect("a tree").count("").expect("count"), 3_001);
}
