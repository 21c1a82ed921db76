//! Where the sheets of a run may be, and which files are to be read before a run is assembled.

use std::path::PathBuf;

use super::slots::is_zipped_fastq;
use crate::manifest::{Manifest, Run};
use crate::sheet::{Wanted, path_glob};
use crate::watch::{FileView, RunView};

/// What instruments and demultiplexers call their sheets, in the order in which one folder is searched.
pub(super) const NAMES: [&str; 4] = ["SampleSheet.csv", "SampleSheetUsed.csv", "sample_sheet_*.csv", "RunManifest.csv"];

/// Where a demultiplexer leaves the copy that it used, below the folder with its files.
pub(super) const REPORTS: &str = "Reports";

/// The files that assembly may want to see of a run.
pub fn wanted(manifest: &Manifest, view: &RunView) -> Wanted {
    let run = Run { name: &view.name, captures: &view.captures };
    let mut wanted = Wanted::default();
    for rule in &manifest.rules {
        if let Some(sheet) = rule.declaring() {
            let path = sheet.path(&run);
            for candidate in candidates(path.as_deref(), view) {
                if candidate.file.settled {
                    let fingerprint = candidate.file.observation.fingerprint;
                    wanted.inside.insert(candidate.file.path.clone(), fingerprint);
                }
            }
            wanted.outside.extend(path.map(|path| beside(manifest, &path)));
        }
        wanted.outside.extend(rule.lookup.as_ref().map(|lookup| lookup.file.clone()));
    }
    for file in view.files.iter().filter(|file| file.settled && is_zipped_fastq(&file.below_run)) {
        wanted.ask_for_reads(&file.path, file.observation.fingerprint);
    }
    wanted
}

/// Where a path leads outside of a run: an absolute one where it says, another from the manifest's folder.
pub(super) fn beside(manifest: &Manifest, path: &str) -> PathBuf {
    manifest.folder().join(path)
}

/// A file of the run that may be a sheet.
pub(super) struct Candidate<'a> {
    pub file: &'a FileView,
    /// The folder below the run in which the path was found.
    pub folder: PathBuf,
    /// Which of the names it has.
    pub rank: usize,
}

pub(super) fn candidates<'a>(path: Option<&str>, view: &'a RunView) -> Vec<Candidate<'a>> {
    let paths = path.map_or(NAMES.to_vec(), |path| vec![path]);
    let mut found = Vec::new();
    for (rank, path) in paths.into_iter().enumerate().filter(|(_, path)| !path.starts_with('/')) {
        let depth = path.split('/').count();
        let Some(glob) = path_glob(path) else { continue };
        for file in &view.files {
            let below_run = file.below_run.as_path();
            let Some(folder) = below_run.ancestors().nth(depth) else { continue };
            if below_run.strip_prefix(folder).is_ok_and(|rest| glob.is_match(rest)) {
                found.push(Candidate { file, folder: folder.to_owned(), rank });
            }
        }
    }
    found
}
