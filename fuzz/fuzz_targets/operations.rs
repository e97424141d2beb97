//! libFuzzer at calls of all kinds, against a sorted map.

#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spinney_fuzz::operations::run(data));
