//! `flow-ingest init`: a commented config and manifest to start from.
//!
//! The texts are those under `config/`, which the tests load, so what a user begins with is known to be right.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::exit::{CommandError, Exit};
use super::{Globals, output};

/// What is written: name and text. The config names the manifest, which lies beside it.
const EXAMPLES: [(&str, &str); 2] = [
    ("flow-ingest.yaml", include_str!("../../config/flow-ingest.yaml")),
    ("manifest.yaml", include_str!("../../config/manifest.yaml")),
];

/// Why the examples could not be written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("cannot write {}: the file exists, and is never overwritten; move it away, or name another folder", .0.display())]
    Exists(PathBuf),
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Writes the examples into a folder, which is made if it is missing, and gives their paths. They are on the disk
/// when this returns.
///
/// # Errors
/// A file that exists is left as it is, and then nothing at all is written. A file that could not be written whole is
/// removed again.
pub fn write(dir: &Path) -> Result<Vec<PathBuf>, InitError> {
    let folder = |source| InitError::Folder { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(folder)?;
    let paths: Vec<PathBuf> = EXAMPLES.iter().map(|(name, _)| dir.join(name)).collect();
    // Looked at first, lest the one file is written and then the other is found.
    if let Some(path) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(InitError::Exists(path.clone()));
    }
    for (path, (_, text)) in paths.iter().zip(EXAMPLES) {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => InitError::Exists(path.clone()),
            _ => InitError::Write { path: path.clone(), source },
        };
        let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
        if let Err(source) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
            // Half an example would stand in the way of the next try.
            let _ = std::fs::remove_file(path);
            return Err(failed(source));
        }
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(folder)?;
    Ok(paths)
}

/// The command: writes them and says where.
pub(super) fn execute(dir: &Path, globals: &Globals) -> Result<Exit, CommandError> {
    let paths = write(dir)?;
    if globals.json {
        let files: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        output::json(&serde_json::json!({ "version": 1, "files": files }));
    } else {
        for path in &paths {
            output::line(&format!("wrote {}", path.display()));
        }
        output::line("edit both, then try them: flow-ingest check, flow-ingest plan");
    }
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_loads() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("new/etc");
        let paths = write(&dir).unwrap();
        assert_eq!(paths, [dir.join("flow-ingest.yaml"), dir.join("manifest.yaml")]);
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
