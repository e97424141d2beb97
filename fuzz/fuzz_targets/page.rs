//! libFuzzer at pages of entries, as JavaScript reads them.

#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spinney_fuzz::page::run(data));
