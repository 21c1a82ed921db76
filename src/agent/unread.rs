//! Settings that changed on disk and were not taken: noticed, said once, and left until somebody wants them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch as signal;
use tokio_util::sync::CancellationToken;

use super::AgentError;
use super::tasks::blocking;
use crate::config::{self, Config, Source};
use crate::sample::path_to_text;
use crate::status::{Board, ReloadStatus};
use crate::yaml::sha256;

/// How often the files are looked at. One `stat` each.
const LOOK: Duration = Duration::from_secs(2);

/// The settings that the agent goes by.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub sources: Vec<Source>,
    /// What of them takes effect only at the next start.
    pub at_next_start: Vec<String>,
}

impl Taken {
    pub fn of(config: &Config) -> Self {
        Self { sources: config.sources.clone(), at_next_start: Vec::new() }
    }
}

/// Pins up what has changed on disk since it was taken, until `shutdown`.
///
/// # Errors
/// A fault of the agent itself.
pub(super) async fn notice(
    config_file: PathBuf,
    mut taken: signal::Receiver<Taken>,
    board: Board,
    shutdown: CancellationToken,
) -> Result<(), AgentError> {
    let mut notice = Notice { config_file, contents: BTreeMap::new(), named: Vec::new(), told: None };
    loop {
        let now = taken.borrow_and_update().clone();
        let look = move || {
            let status = notice.look(&now);
            (notice, status)
        };
        let (returned, status) = blocking("settings", look).await?;
        notice = returned;
        board.set_reload(status);
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            Ok(()) = taken.changed() => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

struct Notice {
    config_file: PathBuf,
    /// What was in each file when it looked like this.
    contents: BTreeMap<PathBuf, (Look, Option<String>)>,
    /// Files that the changed settings name beside those that were taken.
    named: Vec<PathBuf>,
    /// What was said last, and of which contents.
    told: Option<(Contents, ReloadStatus)>,
}

/// Files and what their content is known by; `None`: it cannot be read.
type Contents = Vec<(PathBuf, Option<String>)>;

/// Size, modification and change time, and inode; `None`: it cannot be looked at.
type Look = Option<(u64, i64, i64, i64, i64, u64)>;

impl Notice {
    fn look(&mut self, taken: &Taken) -> Option<ReloadStatus> {
        let is_taken = |file: &Path| taken.sources.iter().any(|source| source.file == file);
        let files: Vec<PathBuf> = taken.sources.iter().map(|source| source.file.clone()).collect();
        let named = self.named.clone().into_iter().filter(|file| !is_taken(file));
        let now: Contents = files
            .into_iter()
            .chain(named)
            .map(|file| {
                let content = self.content(&file);
                (file, content)
            })
            .collect();
        let differs = |(file, content): &&(PathBuf, Option<String>)| {
            let source = taken.sources.iter().find(|source| source.file == *file);
            source.is_some_and(|source| content.as_ref() != Some(&source.sha256))
        };
        let changed: Vec<String> = now.iter().filter(differs).map(|(file, _)| path_to_text(file)).collect();
        if changed.is_empty() {
            if self.told.take().is_some() {
                tracing::info!("the settings on disk are those that are taken");
            }
            self.named.clear();
            let at_next_start = taken.at_next_start.clone();
            let since = Timestamp::now();
            let rest = ReloadStatus { changed, since, errors: Vec::new(), at_next_start };
            return (!rest.at_next_start.is_empty()).then_some(rest);
        }
        let before = self.told.as_ref().filter(|(contents, _)| *contents == now);
        let status = before.map(|(_, status)| status.clone()).unwrap_or_else(|| self.tell(changed, taken));
        self.told = Some((now, status.clone()));
        Some(status)
    }

    /// Tries what has changed, and says it.
    fn tell(&mut self, changed: Vec<String>, taken: &Taken) -> ReloadStatus {
        let since = self.told.as_ref().map_or_else(Timestamp::now, |(_, status)| status.since);
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        let files = changed.join(", ");
        let mut errors = Vec::new();
        match config::load(&self.config_file) {
            Ok(new) => {
                self.named = new.sources.into_iter().map(|source| source.file).collect();
                tracing::info!(files, "settings have changed on disk; to take them: flow-ingest reload");
            }
            Err(error) => {
                self.named = error.files.iter().map(|problems| problems.file.clone()).collect();
                errors = error.to_string().lines().map(str::to_owned).collect();
                let error = errors.join("; ");
                tracing::warn!(files, error, "settings have changed on disk and cannot be taken; the old ones go on");
            }
        }
        ReloadStatus { changed, since, errors, at_next_start: taken.at_next_start.clone() }
    }

    /// What a file's content is known by; read only where it looks different from before.
    fn content(&mut self, file: &Path) -> Option<String> {
        let look = fs::metadata(file)
            .ok()
            .map(|look| (look.size(), look.mtime(), look.mtime_nsec(), look.ctime(), look.ctime_nsec(), look.ino()));
        if let Some((before, content)) = self.contents.get(file)
            && look.is_some()
            && *before == look
        {
            return content.clone();
        }
        let content = fs::read(file).ok().map(|bytes| sha256(&bytes));
        self.contents.insert(file.to_owned(), (look, content.clone()));
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_with_its_mistakes_and_taken_back_with_the_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::create_dir(file("drop")).unwrap();
        let manifest = "version: 1\nrules:\n- {name: a, match: '{s}.fq', sample: {name: '{s}', type: RNA-Seq}}\n";
        let config = "state_dir: state\nwatch: [{path: drop, manifest: m.yaml, existing: skip}]\n";
        fs::write(file("m.yaml"), manifest).unwrap();
        fs::write(file("c.yaml"), config).unwrap();
        let taken = Taken::of(&config::load(&file("c.yaml")).unwrap());
        assert_eq!(taken.sources.len(), 2);
        let mut notice =
            Notice { config_file: file("c.yaml"), contents: BTreeMap::new(), named: Vec::new(), told: None };
        assert_eq!(notice.look(&taken), None);
        fs::write(file("m.yaml"), manifest).unwrap();
        assert_eq!(notice.look(&taken), None, "written anew is not changed");

        fs::write(file("m.yaml"), "version: 2\n").unwrap();
        let status = notice.look(&taken).unwrap();
        assert_eq!(status.changed, [path_to_text(&file("m.yaml"))]);
        assert!(status.errors.iter().any(|error| error.contains("m.yaml:1:10")), "{status:?}");
        assert_eq!(notice.look(&taken).unwrap(), status, "nothing is new");

        fs::write(file("m.yaml"), manifest.replace("RNA", "DNA")).unwrap();
        let mended = notice.look(&taken).unwrap();
        assert_eq!((mended.errors.len(), mended.since), (0, status.since));

        // A manifest that only the changed config names.
        fs::write(file("c.yaml"), config.replace("m.yaml", "n.yaml")).unwrap();
        fs::write(file("n.yaml"), "version: 2\n").unwrap();
        assert!(!notice.look(&taken).unwrap().errors.is_empty());
        fs::write(file("n.yaml"), manifest).unwrap();
        assert_eq!(notice.look(&taken).unwrap().errors, [""; 0]);

        fs::write(file("c.yaml"), config).unwrap();
        fs::write(file("m.yaml"), manifest).unwrap();
        assert_eq!(notice.look(&taken), None, "the change was taken back");
        fs::remove_file(file("m.yaml")).unwrap();
        assert!(notice.look(&taken).unwrap().errors[0].contains("m.yaml"));
    }
}
