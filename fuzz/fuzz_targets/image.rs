//! libFuzzer at hostile images, their checksums made good.

#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spinney_fuzz::image::run(data));
