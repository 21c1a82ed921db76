//! `flow-ingest schema`: JSON Schemas of the config and the manifest, from which editors complete and check.
//!
//! The texts are those under `config/`. The readers go their own way, and tests see to it that both know the same keys
//! and take and refuse the same files.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::exit::Exit;
use super::output;

/// Of `flow-ingest.yaml`.
pub(super) const CONFIG: &str = include_str!("../../config/flow-ingest.schema.json");
/// Of `manifest.yaml`.
pub(super) const MANIFEST: &str = include_str!("../../config/manifest.schema.json");

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Of which file; without it, one schema that takes either, with both in its $defs
    #[arg(value_enum)]
    file: Option<Of>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    Config,
    Manifest,
}

pub(super) fn execute(arguments: &Arguments) -> Exit {
    match arguments.file {
        Some(Of::Config) => output::line(CONFIG.trim_end()),
        Some(Of::Manifest) => output::line(MANIFEST.trim_end()),
        None => output::json(&both()),
    }
    Exit::Success
}

/// A schema that takes either file. Each has an id of its own there, so that what it refers to is found within it.
fn both() -> Value {
    let part = |text, id: &str| {
        let mut part: Value = serde_json::from_str(text).expect("a schema is JSON");
        part["$id"] = id.into();
        part
    };
    let (config, manifest) = ("urn:flow-ingest:config", "urn:flow-ingest:manifest");
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A config or a manifest of flow-ingest",
        "oneOf": [{ "$ref": config }, { "$ref": manifest }],
        "$defs": { "config": part(CONFIG, config), "manifest": part(MANIFEST, manifest) },
    })
}
