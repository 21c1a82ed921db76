//! `flow-ingest layouts`: what is known of instruments, listed, or one as the YAML that a user would have written.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::{CommandError, Exit};
use super::{Globals, output};
use crate::layout::{self, Layout};
use crate::yaml::nearest;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print one as YAML, to paste into a watch and change
    Show {
        /// Such as illumina
        name: String,
    },
}

pub(super) fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    match arguments.command {
        None if globals.json => {
            let layouts: Vec<Value> = layout::all().map(as_json).collect();
            output::json(&json!({ "version": 1, "layouts": layouts }));
        }
        None => {
            let width = layout::all().map(|layout| layout.name.len()).max().unwrap_or_default();
            for layout in layout::all() {
                let indent = " ".repeat(width);
                output::line(&format!("{:width$}  {}", layout.name, layout.about));
                output::line(&format!("{indent}  captures {}", layout.captures.join(", ")));
            }
            output::line("One as YAML, to paste into a watch and change: flow-ingest layouts show NAME");
        }
        Some(Command::Show { name }) => {
            let layout = find(&name)?;
            if globals.json {
                output::json(&json!({ "version": 1, "layout": as_json(layout), "yaml": layout.yaml() }));
            } else {
                output::line(layout.yaml().trim_end());
            }
        }
    }
    Ok(Exit::Success)
}

/// The layout that a person names.
///
/// # Errors
/// A name that there is none of, and which was probably meant.
pub(super) fn find(name: &str) -> Result<&'static Layout, CommandError> {
    layout::find(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> CommandError {
    let hint = match nearest(name, layout::all().map(|layout| layout.name)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "see: flow-ingest layouts".to_owned(),
    };
    CommandError::Input(format!("cannot find the layout {name:?}: there is none of this name; {hint}"))
}

fn as_json(layout: &Layout) -> Value {
    let ignored = layout.ignored.iter().map(|ignored| ignored.glob);
    let by_entries = layout.run_by_entries.map(|it| json!({ "folder": it.folder, "entries": it.entries }));
    let run_folder: Vec<Value> = layout.run_folder.iter().map(|it| json!(it)).chain(by_entries).collect();
    json!({
        "name": layout.name,
        "about": layout.about,
        "captures": layout.captures,
        "run_folder": run_folder,
        "match": layout.reads,
        "ignore": ignored.chain(layout.never_listed.iter().copied()).collect::<Vec<_>>(),
    })
}
