//! The `flow-ingest` command: parses, runs, exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    flow_ingest::cli::main()
}
