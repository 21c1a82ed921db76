//! See `flow_ingest::fuzzing::answer_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flow_ingest::fuzzing::answer_json(bytes));
