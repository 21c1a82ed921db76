//! What became of one file or folder, and why: the watch, the run, the rules and what each says of it, the sample, what
//! that waits for, and when the agent acts next.
//!
//! [`Explanation::of`] is a statement about what it is given ([`Facts`]): it looks at nothing itself. A running service
//! gives what it has seen; without one, [`explain_offline`] looks once.

mod document;
mod facts;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::foresee::{Foreseen, foresee};
use crate::assemble::{Assembled, run_key, trace};
use crate::config::WatchConfig;
use crate::journal::{Journal, JournalError, Record};
use crate::manifest::Outcome;
use crate::observation::Moment;
use crate::sample::{ANNOTATION, path_to_text};
use crate::sheet::Shelf;
use crate::status::{Refusal, RuleTried, SampleStatus};
use crate::watch::{FileView, RunView, Stated, Verdict, outside_runs, sift};

pub use document::{Explanation, Next, Place, RowUsed, RunExplained, Short, in_future, rules_tried};
pub use facts::explain_offline;
pub(super) use facts::{Facts, Found, watch_of};

use facts::record_with;

impl Explanation {
    /// Explains a path that lies in no watch.
    ///
    /// # Errors
    /// When there is nothing there, and the journal does not know it.
    pub(super) fn of_no_watch(
        path: &Path,
        found: Found,
        watches: &[WatchConfig],
        journal: Option<&Journal>,
        is_running: bool,
    ) -> Result<Self, Refusal> {
        let record = match journal {
            Some(journal) => record_with(journal, path).map_err(|error| Refusal::Failed(error.to_string()))?,
            None => None,
        };
        let mut explanation = Self::about(path, found, is_running);
        if let Some(record) = &record {
            explanation.tell_record(record);
            explanation.notes.push("it lies in no watched folder".to_owned());
            return Ok(explanation);
        }
        if found == Found::Nothing {
            return Err(nothing_there(path));
        }
        let watched: Vec<String> = watches.iter().map(|watched| path_to_text(&watched.watch.path)).collect();
        explanation.left_out = true;
        explanation.reason = Some(format!("it lies in no watched folder; the config watches {}", watched.join(", ")));
        Ok(explanation)
    }

    /// Explains a path below a watch.
    ///
    /// # Errors
    /// When there is nothing there, and neither the watch nor the journal knows it.
    pub(super) fn of(facts: &Facts<'_>) -> Result<Self, Refusal> {
        let mut explanation = Self::about(facts.path, facts.found, facts.is_running);
        explanation.watch = Some(facts.watched.watch.name.clone());
        explanation.manifest = Some(path_to_text(&facts.watched.manifest_file));
        if let Some(condition) = &facts.condition {
            explanation.notes.push(format!("the watch is not well: {condition}"));
        }
        if !facts.is_running {
            explanation.notes.push("no service runs: nothing happens before flow-ingest run".to_owned());
        }
        let failed = |error: JournalError| Refusal::Failed(error.to_string());
        let view = facts.asked_about();
        if let Some(view) = view {
            explanation.run = Some(run_key(view));
            explanation.runs = vec![RunExplained::of(facts, view)];
        }
        if facts.found == Found::Folder {
            explanation.tell_folder(facts, view).map_err(failed)?;
        } else {
            explanation.tell_file(facts, view).map_err(failed)?;
        }
        if facts.found == Found::Nothing && explanation.sample.is_none() && explanation.settled.is_none() {
            return Err(nothing_there(facts.path));
        }
        if let (Some("queued" | "retrying"), Some(stopped)) = (explanation.state.as_deref(), &facts.stopped) {
            explanation.waits_for.push(format!("nothing is uploaded by anybody: {stopped}"));
        }
        explanation.next.extend(next_scan(facts));
        explanation.next.sort_by_key(|next| next.in_seconds);
        Ok(explanation)
    }

    fn about(path: &Path, found: Found, is_running: bool) -> Self {
        let kind = match found {
            Found::File => "file",
            Found::Folder => "folder",
            Found::Nothing => "gone",
        };
        let agent = if is_running { "running" } else { "offline" };
        Self { version: 1, path: path_to_text(path), kind: kind.to_owned(), agent: agent.to_owned(), ..Self::default() }
    }

    /// What the watch leaves out at the path or above it.
    fn tell_left_out(&mut self, facts: &Facts<'_>) -> bool {
        let at = facts.at();
        let above = |(path, _): &&(PathBuf, String)| at.starts_with(path);
        // Of a run's files the run's folder may stand for what is too much to list.
        let listed = facts.left_out.iter().filter(|(path, _)| *path == at || !is_run(facts, path)).find(above);
        let sifted = || sift(&facts.watched.watch, facts.below).left_out;
        let (path, reason) = match listed {
            Some((path, reason)) => (path.clone(), reason.clone()),
            None => match sifted() {
                Some((path, reason)) => (facts.watched.watch.path.join(path), reason),
                None => return false,
            },
        };
        self.left_out = true;
        self.reason = Some(match path == at {
            true => reason,
            false => format!("{}: {reason}", path_to_text(&path)),
        });
        true
    }

    fn tell_file(&mut self, facts: &Facts<'_>, view: Option<&RunView>) -> Result<(), JournalError> {
        let at = facts.at();
        let file = view.and_then(|view| Some((view, view.files.iter().find(|file| file.path == at)?)));
        if let Some((view, file)) = file {
            return self.tell_seen(facts, view, file);
        }
        if let Some(record) = facts.journal.map(|journal| record_with(journal, &at)).transpose()?.flatten() {
            self.tell_record(&record);
            return Ok(());
        }
        if facts.found == Found::Nothing || self.tell_left_out(facts) {
            return Ok(());
        }
        self.reason = Some(match (view, &facts.watched.watch.run_folder) {
            (None, Some(run_folder)) => {
                self.left_out = true;
                outside_runs(run_folder, false)
            }
            _ => {
                self.waits_for.push("the agent's next look at the folder".to_owned());
                "the agent has not seen it yet".to_owned()
            }
        });
        Ok(())
    }

    /// A file that the watch has seen.
    fn tell_seen(&mut self, facts: &Facts<'_>, view: &RunView, file: &FileView) -> Result<(), JournalError> {
        let manifest = &facts.watched.manifest;
        let none = Shelf::default();
        let shelf = facts.shelves.get(&view.folder).unwrap_or(&none);
        let tried = trace(manifest, view, shelf, &[file]).pop().unwrap_or_default();
        if let Some((rule, captures)) = tried.iter().find_map(|tried| match &tried.outcome {
            Outcome::Takes(captures) => Some((&tried.rule, captures)),
            _ => None,
        }) {
            self.rule = Some(rule.clone());
            self.captured = captures.clone();
        }
        self.rules = rules_tried(tried);
        self.existing = file.observation.existing;
        if self.existing {
            self.notes.push(format!("it lay there at the watch's first start ({})", facts.existing()));
        }
        self.settled = Some(file.settled);
        if let Some(time) = file.settles_in.filter(|_| facts.is_running) {
            self.next.push(Next::within("the file has settled, if it does not change", facts.left(view, time)));
        }
        let Foreseen { samples, left_out } = foresee(facts.journal, &facts.watched.watch.name, manifest, view, shelf)?;
        let has_it =
            |(_, assembled): &&(Record, Assembled)| assembled.finding.sample.parts().any(|part| part.path == file.path);
        let mut having = samples.iter().filter(has_it);
        match having.next() {
            Some((record, assembled)) => {
                self.tell_sample(facts, view, file, record, assembled);
                if self.slot.as_deref() == Some(ANNOTATION) {
                    self.tell_annotation(record, having.map(|(record, _)| record).collect());
                }
            }
            None => {
                let reason = left_out.into_iter().find(|(path, _)| *path == file.path);
                self.left_out = true;
                self.reason = reason.map(|(_, reason)| reason);
            }
        }
        Ok(())
    }

    /// An annotation sheet, which its rules know by its name, and no other rule takes. One can be that of several sets.
    fn tell_annotation(&mut self, of: &Record, others: Vec<&Record>) {
        self.rule = Some(of.sample.rule.clone());
        self.captured.clear();
        for tried in &mut self.rules {
            let is_its = std::iter::once(&of).chain(&others).any(|record| record.sample.rule == tried.rule);
            if is_its {
                let reason = "it is the annotation of its sets".to_owned();
                *tried = RuleTried { rule: tried.rule.clone(), takes: true, condition: None, reason };
            } else if tried.takes {
                let reason = format!("it is an annotation of rule {}", of.sample.rule);
                *tried = RuleTried { rule: tried.rule.clone(), takes: false, condition: Some("match".into()), reason };
            }
        }
        for Record { sample, .. } in others {
            self.notes.push(format!("it is the annotation of {} ({}), too", sample.key.name, sample.id()));
        }
    }

    fn tell_sample(
        &mut self,
        facts: &Facts<'_>,
        view: &RunView,
        file: &FileView,
        record: &Record,
        assembled: &Assembled,
    ) {
        self.tell_record(record);
        let sample = &assembled.finding.sample;
        for slot in &sample.slots {
            if let Some(at) = slot.parts.iter().position(|part| part.path == file.path) {
                self.slot = Some(slot.key.clone());
                self.part = Some(Place { number: at + 1, of: slot.parts.len() });
            }
        }
        self.sheets = assembled.rows.iter().map(RowUsed::of).collect();
        let is_waiting = self.state.as_deref() == Some("waiting");
        if is_waiting {
            let paths: Vec<&Path> = sample.parts().map(|part| part.path.as_path()).collect();
            let group = view.files.iter().filter(|file| paths.contains(&file.path.as_path()));
            let own = self.reason.clone().unwrap_or_default();
            let (of_run, holds) = conditions(view, group);
            let of_run = of_run.into_iter().filter(|condition| !own.contains(condition.as_str()));
            self.waits_for = std::iter::once(own.clone()).chain(of_run).collect();
            self.holds = holds;
        }
        let in_time = assembled.in_time.filter(|_| is_waiting).map(|time| facts.left(view, time));
        if let Some(time) = in_time.filter(|_| facts.is_running) {
            self.next.push(Next::within("the sample is ready, if nothing changes", time));
        }
        if let Some(status) = &mut self.sample {
            status.captured = assembled.captured.clone();
            status.next_act = in_time.map(in_future);
        }
    }

    /// What the journal says of the sample.
    fn tell_record(&mut self, record: &Record) {
        let status = SampleStatus::of(record, Moment::now());
        self.state = Some(status.state.clone());
        self.reason = status.reason.clone().or_else(|| status.error.clone());
        self.run.get_or_insert_with(|| status.run.clone());
        self.rule.get_or_insert_with(|| status.rule.clone());
        let slot = status.files.iter().find(|file| file.parts.contains(&self.path));
        self.slot = slot.map(|file| file.slot.clone());
        if let Some(at) = status.next_try {
            let left = at.duration_since(Timestamp::now()).unsigned_abs();
            self.next.push(Next { what: "the next try".to_owned(), at, in_seconds: left.as_secs() });
        }
        match self.state.as_deref() {
            Some("waiting") => self.waits_for = self.reason.clone().into_iter().collect(),
            Some("held") => self.waits_for = vec![format!("a person: flow-ingest release {}", status.id)],
            Some("blocked") => self.waits_for = vec!["a person: mend what the reason says".to_owned()],
            Some("queued") => self.waits_for = vec!["its turn among the uploads".to_owned()],
            _ => {}
        }
        self.sample = Some(Box::new(status));
    }

    fn tell_folder(&mut self, facts: &Facts<'_>, view: Option<&RunView>) -> Result<(), JournalError> {
        let at = facts.at();
        let Some(view) = view else {
            let below = facts.views.iter().filter(|view| view.folder.starts_with(facts.below));
            self.runs = below.map(|view| RunExplained::of(facts, view)).collect();
            if self.runs.is_empty() && !self.tell_left_out(facts) {
                self.reason = facts.watched.watch.run_folder.as_ref().map(|patterns| outside_runs(patterns, true));
            }
            return Ok(());
        };
        if view.folder != facts.below {
            if self.tell_left_out(facts) {
                return Ok(());
            }
        } else if !view.is_drop_folder() {
            self.kind = "run".to_owned();
        }
        let none = Shelf::default();
        let shelf = facts.shelves.get(&view.folder).unwrap_or(&none);
        let foreseen = foresee(facts.journal, &facts.watched.watch.name, &facts.watched.manifest, view, shelf)?;
        self.files = shorts(view.files.iter().filter(|file| file.path.starts_with(&at)), &foreseen);
        // A folder that is a run for some of its entries may have runs beside them.
        let beside = facts.views.iter().filter(|it| it.folder != view.folder && it.folder.starts_with(facts.below));
        let beside: Vec<&RunView> = beside.copied().collect();
        self.runs.extend(beside.iter().map(|view| RunExplained::of(facts, view)));
        let is_beside =
            |path: &Path| beside.iter().any(|view| path.starts_with(facts.watched.watch.path.join(&view.folder)));
        let left_out = facts.left_out.iter().filter(|(path, _)| path.starts_with(&at) && *path != at);
        let left_out = left_out.filter(|(path, _)| !is_beside(path));
        let known: std::collections::HashSet<String> = self.files.iter().map(|file| file.path.clone()).collect();
        let left_out = left_out.map(|(path, reason)| Short::left_out(path, reason));
        self.files.extend(left_out.filter(|file| !known.contains(&file.path)));
        if let Some(run) = self.runs.first() {
            self.waits_for = run.waits_for.clone();
            self.holds = run.holds.clone();
        }
        if let Verdict::Waits { in_time: Some(time), .. } = view.verdict([])
            && facts.is_running
        {
            self.next.push(Next::within("the run is complete, if nothing changes", facts.left(view, time)));
        }
        Ok(())
    }
}

/// What keeps a run, or the parts of it in which some files lie, from being taken, and what holds already.
fn conditions<'a>(view: &RunView, files: impl IntoIterator<Item = &'a FileView> + Clone) -> (Vec<String>, Vec<String>) {
    let is_complete = view.verdict(files.clone()) == Verdict::Complete;
    let (holds, waits): (Vec<_>, Vec<_>) = view.conditions(files).into_iter().partition(|stated| stated.holds);
    let told = |stated: Vec<Stated>| stated.iter().map(Stated::to_string).collect();
    // Of several conditions of which any is enough, the others are waited for no more.
    (if is_complete { Vec::new() } else { told(waits) }, told(holds))
}

fn shorts<'a>(files: impl Iterator<Item = &'a FileView>, foreseen: &Foreseen) -> Vec<Short> {
    let mut by_path: HashMap<&Path, Short> = HashMap::new();
    for (path, reason) in &foreseen.left_out {
        by_path.insert(path, Short::left_out(path, reason));
    }
    for (record, assembled) in &foreseen.samples {
        let status = SampleStatus::of(record, Moment::now());
        for slot in &assembled.finding.sample.slots {
            for part in &slot.parts {
                let short = Short {
                    path: path_to_text(&part.path),
                    rule: Some(status.rule.clone()),
                    sample: Some(status.name.clone()),
                    slot: Some(slot.key.clone()),
                    state: Some(status.state.clone()),
                    reason: status.reason.clone().or_else(|| status.error.clone()),
                };
                by_path.insert(&part.path, short);
            }
        }
    }
    files.filter_map(|file| by_path.remove(file.path.as_path())).collect()
}

impl RunExplained {
    fn of(facts: &Facts<'_>, view: &RunView) -> Self {
        // Conditions are judged over the files of each sample there, and over none they say that there is none.
        let is_judged = !view.is_drop_folder();
        let (waits_for, holds) = if is_judged { conditions(view, []) } else { Default::default() };
        Self {
            run: run_key(view),
            path: path_to_text(&facts.watched.watch.path.join(&view.folder)),
            captured: view.captures.clone(),
            complete: is_judged.then(|| view.verdict([]) == Verdict::Complete),
            waits_for,
            holds,
            files: view.files.len(),
        }
    }
}

/// The next full scan. What was told of it may have passed since; then it has come again, one period after the other.
fn next_scan(facts: &Facts<'_>) -> Option<Next> {
    let (at, now) = (facts.next_scan?, Moment::now());
    let period = facts.scan_every.max(Duration::from_secs(1));
    let left = match now.since(&at).filter(|late| !late.is_zero()) {
        None => at.at.saturating_sub(now.at),
        Some(late) => period.saturating_sub(Duration::from_nanos((late.as_nanos() % period.as_nanos()) as u64)),
    };
    Some(Next::within("the whole folder is looked at, at the latest", left))
}

fn is_run(facts: &Facts<'_>, path: &Path) -> bool {
    facts.views.iter().any(|view| facts.watched.watch.path.join(&view.folder) == path)
}

fn nothing_there(path: &Path) -> Refusal {
    Refusal::Unknown(format!(
        "cannot explain {}: there is no such file or folder, and no sample has it",
        path.display()
    ))
}

#[cfg(test)]
mod tests;
