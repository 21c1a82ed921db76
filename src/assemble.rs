//! Files that belong together become a sample, or it is said by name what keeps them from it.
//!
//! A run's view, a manifest and the sheets that were read go in; samples with their standing, and the files that no
//! rule takes, come out. Nothing is decided by chance or by order of arrival: two files that claim one place, and two
//! groups that come out with one name, are blocked, naming both. Pure: no I/O, no clock, no memory of earlier calls.

mod candidates;
mod clash;
mod declared;
mod group;
mod missing;
mod overdue;
mod rest;
mod sheets;
mod slots;
mod standing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::manifest::{Manifest, Run, Tried};
use crate::pattern::Captures;
use crate::sample::{Closed, Finding, Kind, path_to_text};
use crate::sheet::Shelf;
use crate::watch::{FileView, Parts, RunView};

pub use candidates::wanted;
pub use overdue::{Expectation, Overdue};
pub use sheets::RowsUsed;

use clash::clash;
use declared::Expected;
use group::{Group, Sorted};
use sheets::Desk;
use slots::is_second_read;
use standing::Context;

/// What became of the files of one run.
#[derive(Debug, Default)]
pub struct Assembly {
    pub samples: Vec<Assembled>,
    /// What no rule takes, by absolute path.
    pub left_out: Vec<(PathBuf, String)>,
    /// Whether a sheet has not settled, so that what it declares is not known now.
    pub awaits_sheets: bool,
}

/// A sample, and what assembly says of it.
#[derive(Debug, Clone)]
pub struct Assembled {
    pub finding: Finding,
    /// When it will be ready if nothing changes; `None` when more than the passing of time is missing, or nothing.
    pub in_time: Option<Duration>,
    /// What its files captured alike, and what sheets say of it.
    pub captured: Captures,
    /// Where sheets say it.
    pub rows: Vec<RowsUsed>,
}

/// Makes samples of a run's files. `closed` is what people said of its end, `shelf` what was read of what is
/// [`wanted`].
pub fn assemble(watch: &str, manifest: &Manifest, view: &RunView, closed: &Closed, shelf: &Shelf) -> Assembly {
    let run = Run { name: &view.name, captures: &view.captures };
    let desk = Desk::new(manifest, view, run, shelf);
    let Sorted { groups, taken, left_out } = Sorted::of(&desk);
    let expected = Expected::of(&desk, &groups);
    let mut assembly = Assembly { samples: Vec::new(), left_out, awaits_sheets: expected.awaits_sheets };
    let has_reads = groups.iter().any(|group| group.kind() == Kind::Sample);
    let is_marked = || view.files.iter().any(|file| view.is_marker(file));
    let shows_an_end = has_reads || (!expected.absent.is_empty() && is_marked());
    let has_mate = |group: &&Group<'_>| group.files.iter().any(|file| is_second_read(&file.captures));
    let paired = groups.iter().filter(has_mate).map(|group| group.rule.name.as_str()).collect();
    let mut by_name: BTreeMap<(Kind, String), Vec<Group<'_>>> = BTreeMap::new();
    for group in groups {
        by_name.entry((group.kind(), group.name(&run))).or_default().push(group);
    }
    let parts = Parts::of(view, taken);
    let context = Context { watch, run, view, closed, shelf, expected: &expected, paired, shows_an_end, parts };
    // The name is that of the first group; the others are known by their files, so that none of them is silent.
    for ((_, name), groups) in by_name {
        let (first, others) = (&groups[0], &groups[1..]);
        let of_first = others.first().map(|second| clash(&name, first, second, others.len() - 1));
        assembly.samples.push(context.assembled(name.clone(), first, of_first));
        for other in others {
            let own_name = path_to_text(&other.first().below_run);
            assembly.samples.push(context.assembled(own_name, other, Some(clash(&name, first, other, 0))));
        }
    }
    assembly.samples.extend(expected.absent.iter().map(|absent| context.without_reads(absent)));
    assembly
}

/// What each rule says of files of a run, in order; decides as [`assemble`] does. One list for each file.
pub fn trace(manifest: &Manifest, view: &RunView, shelf: &Shelf, files: &[&FileView]) -> Vec<Vec<Tried>> {
    let desk = Desk::new(manifest, view, Run { name: &view.name, captures: &view.captures }, shelf);
    let of_file = |file: &&FileView| {
        let columns = |rule, captures: &Captures| desk.of_file(rule, file, captures);
        manifest.trace(&file.below_run.to_string_lossy(), &view.captures, columns)
    };
    files.iter().map(of_file).collect()
}

/// What tells a run from the others of its watch: run folders of one name in two places are two runs, so that it is the
/// folder's path below the watch.
pub fn run_key(view: &RunView) -> String {
    if view.is_drop_folder() { view.name.clone() } else { path_to_text(&view.folder) }
}

#[cfg(test)]
mod declared_tests;
#[cfg(test)]
mod multiplexed_tests;
#[cfg(test)]
mod sheet_tests;
#[cfg(test)]
mod tests;
