//! See `flow_ingest::fuzzing::outcome`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flow_ingest::fuzzing::outcome(bytes));
