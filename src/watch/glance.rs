//! A first look at a folder that nobody watches yet: what lies there, up to a number, and which runs that would make.
//!
//! It settles nothing and remembers nothing. By the same rules as a scan it says what is left out by its name, and goes
//! into no folder that the watch would not go into.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::observation::{Moment, Observation};
use crate::sample::Fingerprint;

use super::root::Root;
use super::sieve::Sieve;
use super::view::{FileView, RunView};
use super::{LeftOut, Settings};

/// What lies in a folder.
#[derive(Debug)]
pub struct Glance {
    /// Regular files that no rule about names leaves out, by path below the folder.
    files: BTreeMap<PathBuf, Fingerprint>,
    /// How many files and folders were looked at.
    pub entries: usize,
    /// Whether there was more than was to be looked at.
    pub is_cut: bool,
    /// Whether the folder lies on a file system where events of other hosts' writing do not arrive.
    pub is_network: bool,
    /// Folders and files below it that cannot be read.
    pub unread: Vec<PathBuf>,
}

impl Glance {
    /// Looks at the watch's folder; at `most` files and folders, those with the last names first, which are a
    /// sequencer's newest. Links are not followed.
    ///
    /// # Errors
    /// A folder that cannot be looked at: a sentence for a person.
    pub fn of(settings: &Settings, most: usize) -> Result<Self, String> {
        let root = Root::find(&settings.path)?;
        fs::read_dir(&root.canonical).map_err(|error| super::root::trouble(&settings.path, &error))?;
        let sieve = Sieve::new(settings);
        let mut glance =
            Self { files: BTreeMap::new(), entries: 0, is_cut: false, is_network: root.network, unread: Vec::new() };
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(root.canonical.join(&folder)) else {
                glance.unread.push(folder);
                continue;
            };
            let mut entries: Vec<DirEntry> = entries.flatten().take(most + 1).collect();
            glance.is_cut |= entries.len() > most;
            entries.sort_by_key(DirEntry::file_name);
            for entry in entries.iter().filter(|entry| sieve.leaves_out(&folder.join(entry.file_name())).is_none()) {
                if glance.entries >= most {
                    glance.is_cut = true;
                    return Ok(glance);
                }
                glance.entries += 1;
                glance.take(entry, folder.join(entry.file_name()), &sieve, &mut folders);
            }
        }
        Ok(glance)
    }

    fn take(&mut self, entry: &DirEntry, path: PathBuf, sieve: &Sieve, folders: &mut Vec<PathBuf>) {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                let probe = path.join("file");
                if sieve.run_above(&probe).is_some() || sieve.leads_to_runs(&path) {
                    folders.push(path);
                }
            }
            Ok(kind) if kind.is_file() => match entry.metadata() {
                Ok(metadata) => drop(self.files.insert(path, Fingerprint::of(&metadata))),
                Err(_) => self.unread.push(path),
            },
            Ok(_) => {}
            Err(_) => self.unread.push(path),
        }
    }

    /// The paths of the files, below the folder.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// The runs that a watch of these settings would make of the files, as they will be if nothing changes; and the
    /// files that it would leave out.
    pub fn runs(&self, settings: &Settings) -> (Vec<RunView>, Vec<LeftOut>) {
        let sieve = Sieve::new(settings);
        let mut runs: BTreeMap<PathBuf, Vec<FileView>> = BTreeMap::new();
        let mut left_out = Vec::new();
        let now = Moment::now();
        for (path, fingerprint) in &self.files {
            let left_out_above = sieve.leaves_out_above(path);
            let run = sieve.run_above(path).filter(|_| left_out_above.is_none());
            let Some(run) = run else {
                let (at, reason) = left_out_above.unwrap_or_else(|| (path.clone(), super::sieve::Reason::NoRunFolder));
                let reason = sieve.explain(&at, reason);
                left_out.push(LeftOut { path: path.clone(), reason });
                continue;
            };
            runs.entry(run.to_owned()).or_default().push(FileView {
                path: settings.path.join(path),
                below_run: path.strip_prefix(run).unwrap_or(path).to_owned(),
                observation: Observation { fingerprint: *fingerprint, since: now, look: 0, existing: false },
                unchanged_for: Duration::MAX,
                settled: true,
                settles_in: None,
            });
        }
        let view = |(folder, files): (PathBuf, Vec<FileView>)| {
            let name = folder.file_name().map_or(settings.name.clone(), |name| name.to_string_lossy().into_owned());
            let captures = sieve.captures(&folder).unwrap_or_default();
            RunView::new(name, folder, captures, files, now, Duration::MAX, &settings.complete_when)
        };
        (runs.into_iter().map(view).collect(), left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;
    use crate::watch::{Condition, Existing, Ignore, Mode, RunByEntries, RunFolders};

    fn settings(path: &Path, ignore: &str) -> Settings {
        let glob = globset::GlobBuilder::new(ignore).literal_separator(true).build().unwrap();
        Settings {
            name: "w".into(),
            path: path.into(),
            existing: Existing::Skip,
            run_folder: Some(Pattern::parse("{date:int}_{rest}").unwrap().into()),
            complete_when: Condition::Settled.into(),
            described_by: None,
            settle: None,
            mode: Mode::Auto,
            poll: Duration::from_secs(30),
            rescan: Duration::from_secs(900),
            expect_within: None,
            ignore: Ignore::new(&[], &[glob]).unwrap(),
        }
    }

    #[test]
    fn the_newest_come_first_and_nothing_is_looked_at_that_a_watch_would_not() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["1_a/x.gz", "2_b/x.gz", "2_b/.hid", "2_b/y.tmp", "2_b/Images/i.jpg", "other/z.gz", "loose.gz"] {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), "").unwrap();
        }
        let settings = settings(dir.path(), "**/Images");
        let glance = Glance::of(&settings, 100).unwrap();
        let files: Vec<&str> = glance.files().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(files, ["1_a/x.gz", "2_b/x.gz", "loose.gz"], "neither Images nor what is no run is entered");
        assert!(!glance.is_cut && glance.entries == 6, "{glance:?}");
        let (runs, left_out) = glance.runs(&settings);
        assert_eq!(runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>(), ["1_a", "2_b"]);
        assert_eq!((left_out.len(), left_out[0].path.to_str()), (1, Some("loose.gz")));

        let glance = Glance::of(&settings, 5).unwrap();
        assert!(glance.is_cut && glance.files().any(|path| path.starts_with("2_b")), "{glance:?}");
        assert!(!glance.files().any(|path| path.starts_with("1_a")), "{glance:?}");
        assert!(Glance::of(&Settings { path: dir.path().join("gone"), ..settings }, 5).unwrap_err().contains("exist"));
    }

    #[test]
    fn a_run_by_entries_is_gone_into_no_further_than_a_watch_would() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["lib/reads/b/x.gz", "lib/other/y.gz", "lib/1_a/z.gz", "lib/notes.txt"] {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), "").unwrap();
        }
        let entries = [globset::Glob::new("reads").unwrap()];
        let by_entries = RunByEntries::new(Pattern::parse("{sample}").unwrap().into(), &entries).unwrap();
        let whole = Pattern::parse("{sample}/{date:int}_{rest}").unwrap();
        let run_folder = RunFolders::new(vec![whole], vec![by_entries]);
        let settings = Settings { run_folder, ..settings(dir.path(), "**/Images") };
        let glance = Glance::of(&settings, 100).unwrap();
        let files: Vec<&str> = glance.files().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(files, ["lib/1_a/z.gz", "lib/notes.txt", "lib/reads/b/x.gz"]);
        let (runs, left_out) = glance.runs(&settings);
        let runs: Vec<(&str, &Path)> =
            runs.iter().map(|run| (run.name.as_str(), run.files[0].below_run.as_path())).collect();
        assert_eq!(runs, [("lib", Path::new("reads/b/x.gz")), ("1_a", Path::new("z.gz"))]);
        assert_eq!((left_out.len(), left_out[0].path.to_str()), (1, Some("lib/notes.txt")));
    }
}
