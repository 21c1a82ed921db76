//! What an explanation follows from: what lies at a path, and what the watch, the service and the journal know of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Explanation;
use crate::agent::tasks::blocking;
use crate::agent::{AgentError, remembered};
use crate::assemble::wanted;
use crate::config::{Config, WatchConfig};
use crate::journal::{Journal, JournalError, Record};
use crate::observation::Moment;
use crate::sheet::{Library, Shelf};
use crate::status::Refusal;
use crate::watch::{Existing, Remembered, RunView, look_once, sift};

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    File,
    Folder,
    Nothing,
}

impl Found {
    /// Looks; a share that hangs blocks the thread.
    pub fn at(path: &Path) -> Self {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => Self::Folder,
            Ok(_) => Self::File,
            Err(_) => Self::Nothing,
        }
    }
}

/// All that an explanation follows from.
pub struct Facts<'a> {
    pub watched: &'a WatchConfig,
    pub path: &'a Path,
    /// The same below the watched folder.
    pub below: &'a Path,
    pub found: Found,
    pub views: Vec<&'a RunView>,
    /// When each view was shown, by its folder.
    pub seen_at: HashMap<PathBuf, Moment>,
    /// What was read for the runs that are [asked about](Facts::asked_about), by their folders.
    pub shelves: HashMap<PathBuf, Shelf>,
    /// What the watch leaves out, absolute.
    pub left_out: Vec<(PathBuf, String)>,
    pub journal: Option<&'a Journal>,
    pub is_running: bool,
    /// Why nothing can be uploaded.
    pub stopped: Option<String>,
    /// What is wrong with the watched folder.
    pub condition: Option<String>,
    pub next_scan: Option<Moment>,
    pub scan_every: Duration,
}

impl<'a> Facts<'a> {
    /// The run that the path lies in, or is.
    pub fn asked_about(&self) -> Option<&'a RunView> {
        let run = sift(&self.watched.watch, self.below).run?;
        self.views.iter().find(|view| view.folder == run).copied()
    }

    /// The path as the watch writes it.
    pub(super) fn at(&self) -> PathBuf {
        self.watched.watch.path.join(self.below)
    }

    /// What is left of a time that was told with a view.
    pub(super) fn left(&self, view: &RunView, time: Duration) -> Duration {
        let age = self.seen_at.get(&view.folder).and_then(|seen| Moment::now().since(seen));
        time.saturating_sub(age.unwrap_or_default())
    }

    pub(super) fn existing(&self) -> &'static str {
        match self.watched.watch.existing {
            Existing::Upload => "existing: upload",
            Existing::Skip => "existing: skip",
            Existing::Since(_) => "existing: since a date",
        }
    }
}

/// The watch in which a path lies, and the path below it, whichever way around links it is written.
pub fn watch_of<'a>(watches: &'a [WatchConfig], path: &Path) -> Option<(&'a WatchConfig, PathBuf)> {
    let below = |root: &Path, path: &Path| path.strip_prefix(root).ok().map(Path::to_owned);
    let as_written = watches.iter().find_map(|watched| Some((watched, below(&watched.watch.path, path)?)));
    as_written.or_else(|| {
        // The last component is the path's own: a link is explained as what it is.
        let real = path.parent()?.canonicalize().ok()?.join(path.file_name()?);
        watches.iter().find_map(|watched| Some((watched, below(&watched.watch.path.canonicalize().ok()?, &real)?)))
    })
}

/// Explains a path where no service runs. Without a journal nothing is known of any sample.
///
/// # Errors
/// A path that nobody knows, and what cannot be read.
pub async fn explain_offline(
    config: &Config,
    journal: Option<&Journal>,
    path: &Path,
) -> Result<Result<Explanation, Refusal>, AgentError> {
    let Some((watched, below)) = watch_of(&config.watches, path) else {
        return Ok(Explanation::of_no_watch(path, Found::at(path), &config.watches, journal, false));
    };
    let name = &watched.watch.name;
    let remembered = match journal {
        Some(journal) => remembered(journal, name)?,
        None => Remembered::default(),
    };
    let settings = watched.watch.clone();
    let task = format!("look at {name}");
    let news = blocking(&task, move || look_once(&settings, remembered)).await?;
    let left_out = news.left_out.unwrap_or_default().into_iter();
    let mut facts = Facts {
        watched,
        path,
        below: &below,
        found: Found::at(path),
        views: news.runs.iter().collect(),
        seen_at: HashMap::new(),
        shelves: HashMap::new(),
        left_out: left_out.map(|it| (watched.watch.path.join(it.path), it.reason)).collect(),
        journal,
        is_running: false,
        stopped: None,
        condition: news.condition.clone(),
        next_scan: None,
        scan_every: watched.watch.rescan,
    };
    if let Some(view) = facts.asked_about() {
        let wanted = wanted(&watched.manifest, view);
        let mut library = Library::new(watched.watch.shortest_settle());
        let shelf = blocking(&task, move || library.read(&wanted)).await?;
        facts.shelves.insert(view.folder.clone(), shelf);
    }
    Ok(Explanation::of(&facts))
}

/// The sample that has a file, among all that the journal knows.
pub(super) fn record_with(journal: &Journal, path: &Path) -> Result<Option<Record>, JournalError> {
    let has_it = |record: &Result<Record, JournalError>| {
        record.as_ref().map_or(true, |record| record.sample.parts().any(|part| part.path == path))
    };
    journal.records().find(has_it).transpose()
}
