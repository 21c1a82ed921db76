//! What lies in a folder, as a watch and a rule would see it: the layout that explains most of it, its runs, its samples
//! under the name that tells them apart, and its sample sheet.
//!
//! What is said of samples is what assembly says of them, from the very texts that are proposed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::super::exit::CommandError;
use super::draft::Draft;
use super::guess::{self, are_reads};
use crate::assemble::{Assembled, assemble, wanted};
use crate::config::WatchConfig;
use crate::layout::{self, Layout};
use crate::manifest::{Run, Verdict};
use crate::pattern::Captures;
use crate::sample::{Closed, Standing, path_to_text};
use crate::sheet::{Library, Shelved, Wanted};
use crate::watch::{Glance, RunFolders, RunView, Settings};

/// Names that a layout captures and that tell samples from each other, in the order in which a name has them.
const OF_SAMPLES: [&str; 3] = ["sample", "cell", "barcode"];
/// Names that are needed only where samples would come out alike.
const APART: [&str; 3] = ["project", "sample_id", "analysis"];

/// Files below a run that say who wrote it, where several layouts explain the same reads.
const SIGNS: [(&str, &[&str]); 3] = [
    ("illumina", &["RunInfo.xml", "RTAComplete.txt", "RTAComplete.xml", "CompletedJobInfo.xml", "CopyComplete.txt"]),
    ("bcl-convert", &["Logs/FastqComplete.txt", "Reports/RunInfo.xml"]),
    ("bcl2fastq", &["Stats/Stats.json"]),
];

/// So many markers and reasons are told.
const MOST_TOLD: usize = 6;

/// What was seen.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    pub folder: String,
    /// How many files and folders were looked at.
    pub entries: usize,
    /// Whether there was more.
    pub is_cut: bool,
    pub is_network: bool,
    /// How many files and folders could not be read.
    pub unreadable: usize,
    /// What the layouts that were tried explain, the best first; empty where one was named.
    pub layouts: Vec<Explained>,
    /// How many files may hold reads, by their names.
    pub reads: usize,
    /// How many of them the rule takes.
    pub taken: usize,
    pub runs: Vec<String>,
    pub samples: Vec<SeenSample>,
    pub left_out: Vec<Reason>,
    /// Files that mark something as complete, below their runs.
    pub markers: Vec<String>,
    pub sheet: Option<SeenSheet>,
}

#[derive(Debug, Serialize)]
pub(super) struct Explained {
    pub layout: &'static str,
    /// How many files of reads it takes.
    pub files: usize,
    pub runs: usize,
    #[serde(skip)]
    signs: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct SeenSample {
    pub name: String,
    pub run: String,
    /// `ready`, `waiting` or `blocked`.
    pub state: &'static str,
    pub reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Reason {
    pub reason: String,
    pub files: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct SeenSheet {
    /// Below the folder.
    pub path: String,
    /// The column in which the samples were found.
    pub column: String,
    pub columns: Vec<String>,
    /// How many samples have a row in their run's sheet.
    pub found: usize,
    /// How many samples there are.
    pub of: usize,
    /// What the rule must say with `equals`; empty where its default does.
    pub equals: &'static str,
    /// Whether every sample has one, so that the rule can have the sheet.
    pub has_all: bool,
}

/// Looks at a folder, and drafts a watch and a rule for it; blocking.
///
/// # Errors
/// A folder that cannot be looked at, or is a run itself.
pub(super) fn look(draft: Draft, most: usize) -> Result<(Draft, Seen), CommandError> {
    let (mut draft, layouts) = match draft.layout {
        Some(_) => (draft, Vec::new()),
        None => choose(draft, most)?,
    };
    let watched = draft.load()?;
    let glance = Glance::of(&watched.watch, most).map_err(CommandError::Input)?;
    let (runs, outside) = glance.runs(&watched.watch);
    if runs.is_empty()
        && let Some(layout) = draft.layout
    {
        refuse_a_run(&draft.path, layout, &watched, &glance)?;
    }
    let captured = captured(&watched, &runs);
    let mut eyes = Eyes { runs, library: Library::new(Duration::ZERO) };
    let mut made = eyes.name(&mut draft, &captured)?;
    let sheet = eyes.sheet(&mut draft, &mut made, &captured)?;
    let text = |path: &Path| path_to_text(path);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let left_out = made.left_out.iter().map(|(_, reason)| reason).chain(outside.iter().map(|it| &it.reason));
    left_out.for_each(|reason| *reasons.entry(reason.clone()).or_default() += 1);
    let mut left_out: Vec<Reason> = reasons.into_iter().map(|(reason, files)| Reason { reason, files }).collect();
    left_out.sort_by_key(|reason| Reverse(reason.files));
    left_out.truncate(MOST_TOLD);
    let marks = |run: &RunView| {
        let marks = run.files.iter().filter(|file| run.is_marker(file));
        marks.map(|file| text(&file.below_run)).collect::<Vec<_>>()
    };
    let markers: BTreeSet<String> = eyes.runs.iter().flat_map(marks).collect();
    let seen = Seen {
        folder: text(&draft.path),
        entries: glance.entries,
        is_cut: glance.is_cut,
        is_network: glance.is_network,
        unreadable: glance.unread.len(),
        layouts,
        reads: glance.files().filter(|path| are_reads(&path.to_string_lossy())).count(),
        taken: made.samples.iter().map(|(_, it)| it.finding.sample.parts().count()).sum(),
        runs: eyes.runs.iter().filter(|run| !run.is_drop_folder()).map(|run| run.name.clone()).collect(),
        samples: made.samples.iter().map(|(run, assembled)| seen_sample(run, assembled)).collect(),
        left_out,
        markers: markers.into_iter().take(MOST_TOLD).collect(),
        sheet,
    };
    Ok((draft, seen))
}

/// Completes a draft for a folder that nobody looks at.
///
/// # Errors
/// As for [`look`].
pub(super) fn without_folder(mut draft: Draft) -> Result<Draft, CommandError> {
    let mut eyes = Eyes { runs: Vec::new(), library: Library::new(Duration::ZERO) };
    eyes.name(&mut draft, &BTreeMap::new())?;
    Ok(draft)
}

fn seen_sample(run: &str, assembled: &Assembled) -> SeenSample {
    let (state, reason) = match &assembled.finding.standing {
        Standing::Ready => ("ready", None),
        Standing::AwaitsRelease(reason) => ("held", Some(reason.clone())),
        Standing::Waiting(reason) => ("waiting", Some(reason.clone())),
        Standing::Blocked(reason) => ("blocked", Some(reason.clone())),
        Standing::Skipped(reason) => ("skipped", Some(reason.clone())),
    };
    SeenSample { name: assembled.finding.sample.key.name.clone(), run: run.to_owned(), state, reason }
}

/// Chooses the layout that explains most of what lies there; where none does, a drop folder, with a pattern that is
/// guessed from the names where the common ones do not fit.
fn choose(mut draft: Draft, most: usize) -> Result<(Draft, Vec<Explained>), CommandError> {
    let load = |layout| Ok((layout, Draft { layout: Some(layout), ..draft.clone() }.load()?));
    let tried = layout::all().map(load).collect::<Result<Vec<_>, CommandError>>()?;
    let of = |name: &str| tried.iter().find(|(layout, _)| layout.name == name).expect("it is built in");
    let (drop_folder, of_drop_folder) = of("drop-folder");
    // Base calls and images lie there by the million, and no layout has reads among them.
    let all = Settings { ignore: of("illumina").1.watch.ignore.clone(), ..of_drop_folder.watch.clone() };
    let glance = Glance::of(&all, most).map_err(CommandError::Input)?;
    let mut explained = Vec::new();
    for (layout, watched) in &tried {
        let (runs, _) = glance.runs(&watched.watch);
        if runs.is_empty() {
            refuse_a_run(&draft.path, layout, watched, &glance)?;
        }
        let taken = |run: &RunView| taken(watched, run).count();
        let files = runs.iter().map(taken).sum();
        let signs = runs.iter().filter(|run| is_signed(run, layout)).count();
        let runs = if layout.run_folder.is_empty() { 0 } else { runs.len() };
        explained.push(Explained { layout: layout.name, files, runs, signs });
    }
    // The sort is stable: of equals, the first that is listed.
    explained.sort_by_key(|it| Reverse((it.files, it.signs)));
    explained.retain(|it| it.files > 0);
    let loose = explained.iter().find(|it| it.layout == drop_folder.name).map_or(0, |it| it.files);
    let best = explained.iter().position(|it| it.layout != drop_folder.name && it.files * 2 >= loose);
    if let Some(best) = best {
        let best = explained.remove(best);
        draft.layout = layout::find(best.layout);
        explained.insert(0, best);
        return Ok((draft, explained));
    }
    let paths: Vec<_> = glance.files().map(|path| path.to_string_lossy()).collect();
    draft.guess = guess::guess(paths.iter().map(AsRef::as_ref)).filter(|guess| guess.files > loose);
    if draft.guess.is_none() {
        draft.layout = Some(drop_folder);
    }
    Ok((draft, explained))
}

/// What the draft's rule captures from each file of reads that it takes.
fn taken<'a>(watched: &'a WatchConfig, run: &'a RunView) -> impl Iterator<Item = Captures> + 'a {
    let reads = run.files.iter().map(|file| file.below_run.to_string_lossy()).filter(|path| are_reads(path));
    reads.filter_map(|path| match watched.manifest.classify(&path, &run.captures) {
        Verdict::Taken { captures, .. } => Some(captures),
        _ => None,
    })
}

fn is_signed(run: &RunView, layout: &Layout) -> bool {
    let signs = SIGNS.iter().find(|(name, _)| *name == layout.name).map_or(&[][..], |(_, signs)| signs);
    run.files.iter().any(|file| signs.iter().any(|sign| file.below_run == Path::new(sign)))
}

/// Refuses a folder that is a run of the layout itself: what is to be watched lies above it.
fn refuse_a_run(folder: &Path, layout: &Layout, watched: &WatchConfig, glance: &Glance) -> Result<(), CommandError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let whole = watched.watch.run_folder.as_ref().and_then(RunFolders::whole);
    let run = whole.and_then(|patterns| patterns.captures(&name));
    let Some(run) = run.filter(|captures| !captures.is_empty()) else { return Ok(()) };
    let is_taken = |path: &Path| {
        let path = path.to_string_lossy();
        are_reads(&path) && matches!(watched.manifest.classify(&path, &run), Verdict::Taken { .. })
    };
    if !glance.files().any(is_taken) {
        return Ok(());
    }
    Err(CommandError::Input(format!(
        "cannot propose to watch {}: it looks like a run itself (layout {}), and a watch is the folder that runs lie in; \
         name that with --from",
        folder.display(),
        layout.name
    )))
}

/// The values of each name that is captured, over all files; empty ones aside.
fn captured(watched: &WatchConfig, runs: &[RunView]) -> BTreeMap<String, BTreeSet<String>> {
    let mut captured: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for captures in runs.iter().flat_map(|run| taken(watched, run)) {
        for (name, value) in captures.into_iter().filter(|(_, value)| !value.is_empty()) {
            captured.entry(name).or_default().insert(value);
        }
    }
    captured
}

/// What a draft makes of the runs.
struct Made {
    /// With the name of the run.
    samples: Vec<(String, Assembled)>,
    left_out: Vec<(PathBuf, String)>,
}

impl Made {
    fn blocked(&self) -> usize {
        self.samples.iter().filter(|(_, it)| matches!(it.finding.standing, Standing::Blocked(_))).count()
    }
}

struct Eyes {
    runs: Vec<RunView>,
    library: Library,
}

impl Eyes {
    fn make(&mut self, draft: &Draft) -> Result<Made, CommandError> {
        let watched = draft.load()?;
        let mut made = Made { samples: Vec::new(), left_out: Vec::new() };
        for run in &self.runs {
            let shelf = self.library.read(&wanted(&watched.manifest, run));
            let assembly = assemble(&watched.watch.name, &watched.manifest, run, &Closed::default(), &shelf);
            // Of what lies there already nobody expects what a sheet declares beside.
            let there = assembly.samples.into_iter().filter(|it| !it.finding.sample.slots.is_empty());
            made.samples.extend(there.map(|assembled| (run.name.clone(), assembled)));
            made.left_out.extend(assembly.left_out);
        }
        Ok(made)
    }

    /// Chooses the shortest name under which the fewest samples are blocked.
    fn name(&mut self, draft: &mut Draft, captured: &BTreeMap<String, BTreeSet<String>>) -> Result<Made, CommandError> {
        let known = |name: &&str| match captured.is_empty() {
            // Nothing lies there yet: what the layout promises to capture.
            true => draft.layout.is_none_or(|layout| layout.captures.contains(name)),
            false => captured.contains_key(*name),
        };
        let own: Vec<&str> = OF_SAMPLES.into_iter().filter(known).collect();
        let own = if draft.layout.is_none() { vec!["sample"] } else { own };
        let is_apart = |name: &&str| captured.get(*name).is_some_and(|values| values.len() > 1);
        let apart: Vec<&str> = APART.into_iter().filter(is_apart).collect();
        let mut choices: Vec<usize> = (0..1 << apart.len()).collect();
        choices.sort_by_key(|choice| choice.count_ones());
        let is_in_runs = draft.layout.is_some_and(|layout| !layout.run_folder.is_empty());
        let mut best: Option<(String, Made)> = None;
        for choice in choices {
            let chosen = apart.iter().enumerate().filter(|(n, _)| choice >> n & 1 == 1).map(|(_, name)| *name);
            let names = is_in_runs.then_some("run").into_iter().chain(own.iter().copied()).chain(chosen);
            let name = names.map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join("_");
            draft.name.clone_from(&name);
            let made = self.make(draft)?;
            if best.as_ref().is_none_or(|(_, best)| made.blocked() < best.blocked()) {
                best = Some((name, made));
            }
            if best.as_ref().is_some_and(|(_, best)| best.blocked() == 0) {
                break;
            }
        }
        let (name, made) = best.unwrap_or_else(|| unreachable!("one name is tried at least"));
        draft.name = name;
        Ok(made)
    }

    /// Finds the sample sheet, and what of the samples stands in it; the draft gets it where it has them all.
    fn sheet(
        &mut self,
        draft: &mut Draft,
        made: &mut Made,
        captured: &BTreeMap<String, BTreeSet<String>>,
    ) -> Result<Option<SeenSheet>, CommandError> {
        let mut best: Option<(SeenSheet, Made)> = None;
        let of = made.samples.len();
        let has = |name: &str| captured.contains_key(name);
        // The rule's own default first: it knows what the layout's files are named after.
        let choices =
            [("", has("sample") || has("barcode")), ("{sample}", has("sample")), ("{barcode}", has("barcode"))];
        for (equals, _) in choices.into_iter().filter(|(_, is_captured)| *is_captured) {
            let with = Draft { sheet: Some(equals), ..draft.clone() };
            let made_with = self.make(&with)?;
            let used: Vec<&Path> = made_with
                .samples
                .iter()
                .filter_map(|(_, it)| it.finding.sample.sheets.first())
                .map(|used| used.path.as_path())
                .collect();
            let is_sheet = |reason: &str| reason.starts_with("it is a sample sheet");
            let there = made_with.left_out.iter().find(|(_, reason)| is_sheet(reason)).map(|(path, _)| path.as_path());
            let Some(path) = used.first().copied().or(there) else { continue };
            let (column, columns) = self.columns(path, &self.asked(&with)?);
            let has_all = used.len() == of && made_with.blocked() <= made.blocked();
            let path = path_to_text(path.strip_prefix(&draft.path).unwrap_or(path));
            let seen = SeenSheet { path, column, columns, found: used.len(), of, equals, has_all };
            // Of equals, the first.
            if best.as_ref().is_none_or(|(best, _)| seen.found > best.found) {
                best = Some((seen, made_with));
            }
        }
        let Some((seen, made_with)) = best else { return Ok(None) };
        if seen.has_all {
            draft.sheet = Some(seen.equals);
            *made = made_with;
        }
        Ok(Some(seen))
    }

    /// What a draft's rule asks sheets for.
    fn asked(&self, draft: &Draft) -> Result<BTreeSet<String>, CommandError> {
        let watched = draft.load()?;
        let sheet = watched.manifest.rules.first().and_then(|rule| rule.sheet.as_ref());
        let equals = |run: &RunView, captures: &Captures| {
            Some(sheet?.equals(&Run { name: &run.name, captures: &run.captures }, captures))
        };
        let of_run = |run| taken(&watched, run).filter_map(move |captures| equals(run, &captures));
        Ok(self.runs.iter().flat_map(of_run).collect())
    }

    /// The column of a sheet that has most of these names, and all of its columns.
    fn columns(&mut self, path: &Path, names: &BTreeSet<String>) -> (String, Vec<String>) {
        let shelf = self.library.read(&Wanted { outside: [path.to_owned()].into(), ..Wanted::default() });
        let Some(Shelved::Read(read)) = shelf.file(path) else { return Default::default() };
        let Ok(sheet) = &read.sheet else { return Default::default() };
        let column = sheet.keyed(None, names.iter().cloned()).map(|keyed| keyed.column()).unwrap_or_default();
        (column, sheet.names().map(str::to_owned).collect())
    }
}
