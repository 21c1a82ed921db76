//! What the picture tells: news for whoever assembles, and which papers it wants read for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Picture, Seen, Untold, within};
use crate::observation::Moment;
use crate::sample::Fingerprint;
use crate::watch::Paper;
use crate::watch::news::{LEFT_OUT_LIMIT, LeftOut, News, Outage};
use crate::watch::papers::{Papers, ReadPaper};
use crate::watch::reading::Question;
use crate::watch::sieve::{Reason, finished};
use crate::watch::view::{FileView, RunView};

impl Picture {
    /// The papers of runs with news that have not been read as they are now: those that have settled, or all of them
    /// where nothing will settle. Paths are below the watch.
    pub fn unread_papers(&self, even_unsettled: bool) -> Vec<(PathBuf, Fingerprint, Question)> {
        let [outcomes, lists] = self.settings.complete_when.papers();
        let described_by = self.settings.described_by.as_ref();
        if outcomes.is_empty() && lists.is_empty() && described_by.is_none() {
            return Vec::new();
        }
        let mut unread = Vec::new();
        for folder in &self.untold.runs {
            for (path, seen) in within(&self.sieve, &self.files, folder) {
                let Some(below_run) = path.strip_prefix(folder).ok().map(Path::to_string_lossy) else { continue };
                let asks = |papers: &[&Paper]| papers.iter().any(|paper| paper.pattern.is_match(&below_run));
                let reads = described_by.is_some_and(|patterns| patterns.is_match(&below_run));
                let question = Question { outcome: asks(&outcomes), list: asks(&lists), reads };
                let look = seen.observation.fingerprint;
                let is_known = || self.papers.knows(path, look);
                let is_settled = || even_unsettled || seen.due(&[self.settle]).is_none();
                if question.is_any() && is_settled() && !is_known() {
                    unread.push((path.clone(), look, question));
                }
            }
        }
        unread
    }

    /// Takes in what was read of a paper that looked like this, or why it could not be read.
    pub fn take_paper(&mut self, path: PathBuf, look: Fingerprint, paper: Result<ReadPaper, String>) {
        self.papers.take(path, look, paper);
    }

    fn papers_of(&self, folder: &Path) -> Papers {
        let look = |path: &Path| self.files.get(path).map(|seen| seen.observation.fingerprint);
        let mut papers = self.papers.of_run(folder, look, within(&self.sieve, &self.left_out, folder));
        if let Some(described_by) = &self.settings.described_by {
            let files = within(&self.sieve, &self.files, folder).filter_map(|(path, _)| path.strip_prefix(folder).ok());
            let is_known = |path: &Path| papers.read.contains_key(path) || papers.unread.contains_key(path);
            let mut unread = files.filter(|path| described_by.is_match(&path.to_string_lossy()) && !is_known(path));
            papers.undescribed = unread.next().map(Path::to_owned);
        }
        papers
    }

    /// What could not be read, and why.
    pub fn unread(&self) -> &BTreeMap<PathBuf, String> {
        &self.unread
    }

    pub fn has_news(&self) -> bool {
        let Untold { files, runs, gone_runs, left_out, state } = &self.untold;
        let content = !files.is_empty() || !runs.is_empty() || !gone_runs.is_empty() || *left_out;
        *state || self.scanned && content
    }

    /// Everything that has changed since the last call.
    pub fn take_news(&mut self, condition: Option<String>, outage: Option<Outage>, mode: &'static str) -> News {
        let now = Moment::now();
        self.clock = self.clock.kept();
        // Before the first scan, all is hearsay from before the restart.
        let untold = if self.scanned { std::mem::take(&mut self.untold) } else { Untold::default() };
        self.untold.state = false;
        let observation = |path: PathBuf| {
            let observation = self.files.get(&path).map(|seen| seen.observation);
            (path, observation)
        };
        let news = News {
            watch: self.settings.name.clone(),
            baseline: self.first_start.untold(),
            changed: untold.files.into_iter().map(observation).collect(),
            runs: untold.runs.iter().filter_map(|folder| self.view(folder, now)).collect(),
            gone_runs: untold.gone_runs.into_iter().filter(|folder| !self.runs.contains_key(folder)).collect(),
            left_out: untold.left_out.then(|| self.left_out()),
            left_out_count: self.left_out.len(),
            condition,
            outage,
            reachable: true,
            mode,
            scanned: self.scanned,
            next_scan: None,
            next: self.next().map(|at| at.since(&now).unwrap_or_default()),
        };
        self.first_start.told();
        news
    }

    fn left_out(&self) -> Vec<LeftOut> {
        let entry = |(path, reason): (&PathBuf, &Reason)| LeftOut {
            path: path.clone(),
            reason: self.sieve.explain(path, *reason),
        };
        self.left_out.iter().take(LEFT_OUT_LIMIT).map(entry).collect()
    }

    fn view(&self, folder: &Path, now: Moment) -> Option<RunView> {
        let run = self.runs.get(folder)?;
        let file = |(path, seen): (&PathBuf, &Seen)| {
            let settles_in = seen.due(&[self.settle]).map(|at| at.since(&now).unwrap_or_default());
            FileView {
                path: self.settings.path.join(path),
                below_run: path.strip_prefix(folder).unwrap_or(path).to_owned(),
                observation: seen.observation,
                unchanged_for: seen.unchanged_for(),
                settled: settles_in.is_none(),
                settles_in,
            }
        };
        let name = folder.file_name().map_or(self.settings.name.clone(), |name| name.to_string_lossy().into_owned());
        let files = within(&self.sieve, &self.files, folder).map(file).collect();
        let (captures, quiet_for) = (run.captures.clone(), run.quiet_for());
        let unreadable = within(&self.sieve, &self.unread, folder).map(|(path, _)| path.clone()).collect();
        let papers = self.papers_of(folder);
        let (folder, complete_when) = (folder.to_owned(), &self.settings.complete_when);
        let view = RunView::new(name, folder, captures, files, run.first_seen, quiet_for, complete_when);
        let below_run = |path: PathBuf| path.strip_prefix(&view.folder).map(Path::to_owned).unwrap_or(path);
        let unfinished = within(&self.sieve, &self.left_out, &view.folder)
            .filter(|(_, reason)| matches!(reason, Reason::DotName | Reason::Unfinished))
            .filter_map(|(path, _)| Some((below_run(finished(path)?), below_run(path.clone()))))
            .collect();
        let view = view.with_unreadable(unreadable).with_unfinished(unfinished).with_settle(self.settle);
        Some(view.with_papers(papers, self.clock))
    }
}
