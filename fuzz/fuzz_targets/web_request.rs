#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| udp_core::fuzzing::web::request(data));
