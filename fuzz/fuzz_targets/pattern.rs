//! See `flow_ingest::fuzzing::pattern`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flow_ingest::fuzzing::pattern(bytes));
