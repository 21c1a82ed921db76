//! `flow-ingest init`: a commented config and manifest to start from.
//!
//! Without more, the texts are those under `config/`, which the tests load. With a layout or a folder to look at they
//! are proposed: `look` sees what lies there, `server` asks Flow where there are credentials, `draft` and `rule` write it
//! down. Beside them lie the schemas from which an editor completes. Nothing is ever overwritten, and nothing is written
//! into the folder that is looked at.

mod draft;
mod guess;
mod look;
mod rule;
mod server;
mod text;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::connection::ConnectionArguments;
use super::exit::{CommandError, Exit};
use super::{Globals, layouts, list, output, schema};
use crate::flow::DEFAULT_BASE_URL;
use crate::sample::path_to_text;
use draft::Draft;
use look::{Seen, look};
use server::{Asked, Server};

/// The files' names. The config names the manifest, which lies beside it.
const CONFIG: &str = "flow-ingest.yaml";
const MANIFEST: &str = "manifest.yaml";

/// A file that is written: name and text.
type Written = (&'static str, String);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to write them
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// What writes the runs, such as illumina [default with --from: what explains most of the folder]
    #[arg(long, value_name = "NAME")]
    layout: Option<String>,
    /// Look at this folder, in which runs lie, and propose a watch and a rule for it
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// The type of the samples, such as RNA-Seq
    #[arg(long = "type", alias = "sample-type", value_name = "TYPE")]
    sample_type: Option<String>,
    /// Look at so many files and folders at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    most_entries: usize,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// Why the files could not be written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("cannot write {}: the file exists, and is never overwritten; move it away, or name another folder", .0.display())]
    Exists(PathBuf),
    #[error(
        "cannot write into {}, which lies in the folder that is to be watched, where nothing is ever changed; name \
         another folder for the config", .0.display()
    )]
    Watched(PathBuf),
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Writes the examples into a folder, which is made if it is missing, and gives their paths, the config's first and the
/// manifest's second. They are on the disk when this returns.
///
/// # Errors
/// A file that exists is left as it is, and then nothing at all is written. A file that could not be written whole is
/// removed again.
pub fn write(dir: &Path) -> Result<Vec<PathBuf>, InitError> {
    let config = include_str!("../../../config/flow-ingest.yaml");
    let manifest = include_str!("../../../config/manifest.yaml");
    write_files(dir, &with_schemas(config.to_owned(), manifest.to_owned()))
}

fn with_schemas(config: String, manifest: String) -> [Written; 4] {
    [
        (CONFIG, config),
        (MANIFEST, manifest),
        ("flow-ingest.schema.json", schema::CONFIG.to_owned()),
        ("manifest.schema.json", schema::MANIFEST.to_owned()),
    ]
}

fn write_files(dir: &Path, files: &[Written]) -> Result<Vec<PathBuf>, InitError> {
    let folder = |source| InitError::Folder { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(folder)?;
    // Looked at first, lest the one file is written and then the other is found.
    refuse_existing(dir)?;
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = dir.join(name);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => InitError::Exists(path.clone()),
            _ => InitError::Write { path: path.clone(), source },
        };
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        if let Err(source) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
            // Half a file would stand in the way of the next try.
            let _ = std::fs::remove_file(&path);
            return Err(failed(source));
        }
        paths.push(path);
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(folder)?;
    Ok(paths)
}

fn refuse_existing(dir: &Path) -> Result<(), InitError> {
    let files = with_schemas(String::new(), String::new());
    let mut paths = files.iter().map(|(name, _)| dir.join(name));
    match paths.find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(InitError::Exists(path)),
        None => Ok(()),
    }
}

/// The command: writes them and says where.
pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    if arguments.layout.is_some() || arguments.from.is_some() {
        return propose(arguments, globals).await;
    }
    if arguments.sample_type.is_some() {
        return Err(CommandError::Input(
            "cannot propose anything of a type alone; name the folder with --from, or the instrument with --layout"
                .to_owned(),
        ));
    }
    let paths = write(&arguments.dir)?;
    say(globals, &paths, None);
    Ok(Exit::Success)
}

async fn propose(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let layout = arguments.layout.as_deref().map(layouts::find).transpose()?;
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| CommandError::Other(error.into()));
    let from = arguments.from.as_deref().map(absolute).transpose()?;
    if let Some(from) = from.as_ref().filter(|from| from.to_str().is_none()) {
        let folder = path_to_text(from);
        return Err(CommandError::Input(format!(
            "cannot write {folder} into a config, which is UTF-8; rename the folder"
        )));
    }
    refuse_existing(&arguments.dir)?;
    if let Some(from) = &from {
        refuse_watched(&arguments.dir, from)?;
    }
    let server = Server::ask(&arguments.connection, globals).await?;
    if let (Some(sample_type), types @ [_, ..]) = (&arguments.sample_type, server.types())
        && !types.iter().any(|one| one.identifier == *sample_type)
    {
        return Err(list::unknown_type(sample_type, types));
    }
    if let Asked::Failed(error) = &server.asked {
        eprintln!("flow-ingest: cannot ask {} for its sample types: {error}; proposing without them", server.base_url);
    }
    let draft = Draft {
        path: from.clone().unwrap_or_else(|| "/data/runs".into()),
        layout,
        guess: None,
        name: "{run}".to_owned(),
        sheet: None,
        sample_type: arguments.sample_type.clone(),
        base_url: Some(server.base_url.clone()).filter(|url| server.is_named && url != DEFAULT_BASE_URL),
        token_file: arguments.connection.token_file().map(absolute).transpose()?,
    };
    let most = arguments.most_entries;
    let is_there = from.is_some();
    let (draft, seen) = tokio::task::spawn_blocking(move || match is_there {
        true => look(draft, most).map(|(draft, seen)| (draft, Some(seen))),
        false => look::without_folder(draft).map(|draft| (draft, None)),
    })
    .await
    .expect("looking does not panic")?;
    let files = with_schemas(draft.config(seen.as_ref()), draft.manifest(seen.as_ref(), Some(&server)));
    let paths = write_files(&arguments.dir, &files)?;
    say(globals, &paths, Some((&draft, seen.as_ref(), &server)));
    Ok(Exit::Success)
}

/// The agent changes nothing in a watched folder, and neither does what prepares it.
fn refuse_watched(dir: &Path, from: &Path) -> Result<(), CommandError> {
    let dir_there = dir.ancestors().find_map(|folder| match folder.as_os_str().is_empty() {
        true => Path::new(".").canonicalize().ok(),
        false => folder.canonicalize().ok(),
    });
    match (dir_there, from.canonicalize()) {
        (Some(there), Ok(from)) if there.starts_with(&from) => Err(InitError::Watched(dir.to_owned()).into()),
        _ => Ok(()),
    }
}

fn say(globals: &Globals, paths: &[PathBuf], proposed: Option<(&Draft, Option<&Seen>, &Server)>) {
    if globals.json {
        let files: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let mut document = json!({ "version": 1, "files": files });
        if let Some((draft, seen, server)) = proposed {
            document["proposed"] = json!({
                "layout": draft.layout.map(|layout| layout.name),
                "match": draft.guess.as_ref().map(|guess| &guess.pattern),
                "name": draft.name,
                "type": draft.sample_type,
                "sheet": draft.sheet.is_some(),
            });
            document["seen"] = json!(seen);
            document["server"] = told_by(server);
        }
        return output::json(&document);
    }
    for path in paths {
        output::line(&format!("wrote {}", path.display()));
    }
    match proposed {
        None => output::line("edit both, then try them: flow-ingest check, flow-ingest plan"),
        Some((draft, seen, _)) => {
            if let Some(seen) = seen {
                output::line(&summary(draft, seen));
            }
            let choose = if draft.sample_type.is_none() { "choose the type in manifest.yaml, and " } else { "" };
            let config = output::cell(&paths[0].display().to_string());
            output::line(&format!(
                "{choose}read both; what would become of the files: flow-ingest plan --config {config}"
            ));
        }
    }
}

/// What was seen, in a line.
fn summary(draft: &Draft, seen: &Seen) -> String {
    let layout = match (draft.layout, &draft.guess) {
        (Some(layout), _) => format!("layout {}", layout.name),
        (None, Some(guess)) => format!("no layout fits; guessed {}", output::cell(&guess.pattern)),
        (None, None) => "no layout".to_owned(),
    };
    let cut = if seen.is_cut { "; stopped there, and there is more" } else { "" };
    let (runs, samples) = (output::count(seen.runs.len(), "run"), output::count(seen.samples.len(), "sample"));
    format!("{layout}: {runs}, {samples}, among {} files and folders{cut}", seen.entries)
}

fn told_by(server: &Server) -> Value {
    match &server.asked {
        Asked::NoCredentials => Value::Null,
        Asked::Failed(error) => json!({ "base_url": server.base_url, "error": error }),
        Asked::Answered { types, attributes } => {
            json!({ "base_url": server.base_url, "types": types, "metadata": attributes })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_loads() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("new/etc");
        let paths = write(&dir).unwrap();
        assert_eq!(paths[..2], [dir.join("flow-ingest.yaml"), dir.join("manifest.yaml")]);
        assert_eq!(paths[2..], [dir.join("flow-ingest.schema.json"), dir.join("manifest.schema.json")]);
        let config = crate::config::load(&paths[0]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.watches[0].manifest_file, paths[1]);
        assert_eq!(config.state_dir, dir.join("state"));
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_half_done() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("manifest.yaml");
        std::fs::write(&manifest, "mine").unwrap();
        let error = write(dir.path()).unwrap_err();
        assert!(matches!(&error, InitError::Exists(path) if *path == manifest), "{error}");
        assert_eq!(std::fs::read_to_string(&manifest).unwrap(), "mine");
        assert!(!dir.path().join("flow-ingest.yaml").exists());
    }
}
