#![no_main]

#[path = "../cidr.rs"]
mod cidr;

libfuzzer_sys::fuzz_target!(|data: &[u8]| cidr::cidr(data));
