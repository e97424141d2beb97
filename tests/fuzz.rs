//! The bodies of the fuzz targets, on stable Rust: every stored input, and random ones. What libFuzzer finds
//! is stored in `fuzz/corpus`, and is tried in every run from then on.
//!
//! `SPINNEY_FUZZ_RUNS` (60) is how many random inputs each target gets, and `SPINNEY_FUZZ_FIRST` (0) the seed
//! of the first of them. `SPINNEY_FUZZ_ONLY=log/some-file` runs one stored input alone.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

mod common;

#[path = "../fuzz/src/bases.rs"]
mod bases;
#[path = "../fuzz/src/bytes.rs"]
mod bytes;
#[path = "../fuzz/src/exercise.rs"]
mod exercise;
#[path = "../fuzz/src/image.rs"]
mod image;
#[path = "../fuzz/src/journal.rs"]
mod journal;
#[path = "../fuzz/src/log.rs"]
mod log;
#[path = "../fuzz/src/operations.rs"]
mod operations;
#[path = "../fuzz/src/page.rs"]
mod page;
#[path = "../src/wasm/page.rs"]
mod wasm_page;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::image as format;
use common::{Random, in_parallel, setting};

/// Where the packing of the wasm face looks for what a version is.
mod value {
    pub use spinney::Version;
}

/// Longer ones find nothing more, and take longer.
const INPUT_BYTES_MAX: usize = 300;

fn stored(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let only = std::env::var("SPINNEY_FUZZ_ONLY").ok();
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&folder).expect("every target has stored inputs") {
        let path = entry.expect("reads").path();
        let name = format!("{target}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if only.as_ref().is_none_or(|only| *only == name) {
            inputs.push((name, fs::read(path).expect("reads")));
        }
    }
    inputs
}

fn run_all(target: &str, run: fn(&[u8])) {
    let stored = stored(target);
    let failed = AtomicBool::new(false);
    let try_one = |name: &str, input: &[u8]| {
        // One is enough.
        if !failed.load(Ordering::Relaxed) && catch_unwind(|| run(input)).is_err() {
            failed.store(true, Ordering::Relaxed);
            eprintln!("{name} fails: {input:?}");
        }
    };
    in_parallel("stored input", 0..stored.len() as u64, |nth| {
        let (name, input) = &stored[nth as usize];
        try_one(&format!("SPINNEY_FUZZ_ONLY={name}"), input);
    });
    let (first, runs) = (setting("SPINNEY_FUZZ_FIRST", 0), setting("SPINNEY_FUZZ_RUNS", 60));
    let runs = if std::env::var_os("SPINNEY_FUZZ_ONLY").is_some() { 0 } else { runs };
    in_parallel("random input", first..first + runs, |seed| {
        let mut random = Random::new(seed);
        let length = 1 + random.below(INPUT_BYTES_MAX);
        let input: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        try_one(&format!("SPINNEY_FUZZ_RUNS=1 SPINNEY_FUZZ_FIRST={seed}"), &input);
    });
    assert!(!failed.into_inner(), "{target}: an input fails");
    println!("{target}: {} stored inputs, {runs} random ones", stored.len());
}

#[test]
fn calls_of_all_kinds_agree_with_a_map() {
    run_all("operations", operations::run);
}

#[test]
fn hostile_images_do_no_harm() {
    run_all("image", image::run);
}

#[test]
fn hostile_logs_do_no_harm() {
    run_all("log", log::run);
}

#[test]
fn hostile_journals_do_no_harm() {
    run_all("journal", journal::run);
}

#[test]
fn pages_for_javascript_come_out_as_they_went_in() {
    run_all("page", page::run);
}
