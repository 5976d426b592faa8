#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| udp_heartbeat::fuzzing::targets_list(data));
