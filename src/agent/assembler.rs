//! One watch's news, on its way into the journal: remembered first, then assembled, then written down.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch as signal};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::AgentError;
use super::conditions::Conditions;
use super::contents::Suspects;
use super::explain::{Explanation, Facts, Found};
use super::left_out::kept;
use super::reload::Foresight;
use super::seeing::in_json;
use super::tasks::blocking;
use crate::assemble::{self, Assembly, Expectation, assemble, wanted};
use crate::config::WatchConfig;
use crate::journal::{self, Journal, JournalError, LeftOut, Record, State};
use crate::manifest::Manifest;
use crate::observation::Moment;
use crate::sample::{Sample, SampleId, path_to_text};
use crate::sheet::{Library, Shelf, Wanted};
use crate::status::{Answer, Board, Refusal, WatchStatus};
use crate::watch::{News, RunView, Settings};

/// So often, at the most, are sheets outside of the watch looked at.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);
/// How long the folder gets to show what an upload has stumbled upon, before the same view is assembled again.
const RECHECK: Duration = Duration::from_secs(2);

/// How far a watch has been looked at, for a run that ends by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub watch: String,
    /// Whether all of the folder has been seen since the start.
    pub is_scanned: bool,
    /// Whether it can be looked at now.
    pub is_reachable: bool,
    /// What is wrong with it.
    pub condition: Option<String>,
    /// How long it takes until the first of the samples is ready that only time keeps back, or until what a sheet says of
    /// them is known; `None` when nothing changes with time alone.
    pub ready_in: Option<Duration>,
}

/// What an assembler is asked to do beside its own work.
pub(super) enum Request {
    /// An upload found the files other than they were seen.
    LookAgain,
    /// To say what became of a path, and why; `below` is the same below the watched folder.
    Explain { path: PathBuf, below: PathBuf, found: Found, answer: oneshot::Sender<Answer> },
    /// To say what other settings would make of the runs; those of the watch itself are the same.
    Foresee { watched: Box<WatchConfig>, answer: oneshot::Sender<Result<Foresight, AgentError>> },
    /// To go by other settings; likewise.
    Take { watched: Box<WatchConfig> },
}

pub(super) struct Assembler {
    watch: String,
    /// The watched folder, and how its runs are assembled.
    watched: WatchConfig,
    journal: Journal,
    board: Board,
    conditions: Conditions,
    wake: Arc<Notify>,
    /// Samples on Flow whose files look different now.
    suspects: Suspects,
    report: signal::Sender<Report>,
    views: HashMap<PathBuf, RunView>,
    /// When each view was shown.
    seen_at: HashMap<PathBuf, Moment>,
    /// When the whole folder is scanned next, as it was told last.
    next_scan: Option<Moment>,
    /// How often that is.
    scan_every: Duration,
    /// When all runs are assembled again, since an upload found files other than they were seen.
    recheck_at: Option<Instant>,
    /// The sheets of the watch's runs.
    library: Arc<Mutex<Library>>,
    /// How often sheets outside of the watch are looked at, which tell nobody when they change.
    look_at_sheets: Duration,
    /// The samples of each run that the journal has, by the run's key.
    made: HashMap<String, HashSet<SampleId>>,
    /// By run folder, how long its samples wait that only time keeps back.
    ready_in: HashMap<PathBuf, Duration>,
    /// Samples on their way whose end is awaited, since a sheet calls them otherwise now.
    awaited: HashSet<SampleId>,
}

impl Assembler {
    pub fn new(
        watched: &WatchConfig,
        journal: Journal,
        board: Board,
        wake: Arc<Notify>,
        suspects: Suspects,
    ) -> Result<(Self, signal::Receiver<Report>), JournalError> {
        let watch = watched.watch.name.clone();
        let mut made: HashMap<String, HashSet<SampleId>> = HashMap::new();
        for record in journal.records() {
            let sample = record?.sample;
            if sample.key.watch == watch {
                made.entry(sample.key.run.clone()).or_default().insert(sample.id());
            }
        }
        let (report, to_report) = signal::channel(Report { watch: watch.clone(), ..Report::default() });
        let assembler = Self {
            watch,
            watched: watched.clone(),
            journal,
            conditions: Conditions::new(watched.watch.name.clone(), board.clone(), watched.watch.expect_within),
            board,
            wake,
            suspects,
            report,
            views: HashMap::new(),
            seen_at: HashMap::new(),
            next_scan: None,
            scan_every: watched.watch.rescan,
            recheck_at: None,
            library: Arc::new(Mutex::new(Library::new(watched.watch.shortest_settle()))),
            look_at_sheets: watched.watch.poll.min(watched.watch.shortest_settle().max(SHORTEST_LOOK)),
            made,
            ready_in: HashMap::new(),
            awaited: HashSet::new(),
        };
        Ok((assembler, to_report))
    }

    /// Takes in news until `shutdown`, and does what it is asked.
    pub async fn run(
        mut self,
        news: mpsc::Receiver<News>,
        requests: mpsc::UnboundedReceiver<Request>,
        shutdown: CancellationToken,
    ) -> Result<(), AgentError> {
        tokio::select! {
            ended = self.work(news, requests) => ended,
            // A sheet on a share that hangs must keep nobody from ending. What was begun is as a kill leaves it.
            () = shutdown.cancelled() => Ok(()),
        }
    }

    async fn work(
        &mut self,
        mut news: mpsc::Receiver<News>,
        mut requests: mpsc::UnboundedReceiver<Request>,
    ) -> Result<(), AgentError> {
        let mut orders = self.journal.orders();
        let mut changes = self.journal.changes();
        let mut look_at_sheets = tokio::time::interval(self.look_at_sheets);
        look_at_sheets.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let recheck_at = self.recheck_at;
            let rechecking = async {
                match recheck_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(news) = news.recv() => self.take(news).await?,
                Some(request) = requests.recv() => match request {
                    Request::LookAgain => {
                        self.wake.notify_one();
                        self.recheck_at = Some(Instant::now() + RECHECK);
                        self.show_ready_in();
                    }
                    // Who asked may have gone away meanwhile.
                    Request::Explain { path, below, found, answer } => {
                        let explained = self.explain(&path, &below, found).await;
                        let failed = |error: AgentError| Refusal::Failed(error.to_string());
                        let _ = answer.send(explained.map_err(failed).flatten());
                    }
                    Request::Foresee { watched, answer } => {
                        let _ = answer.send(self.foresee(&watched).await);
                    }
                    Request::Take { watched } => {
                        self.watched = *watched;
                        self.assemble_all().await?;
                    }
                },
                () = rechecking => {
                    self.recheck_at = None;
                    self.assemble_all().await?;
                }
                _ = look_at_sheets.tick() => {
                    if self.with_library(Library::has_changed).await? {
                        self.assemble_all().await?;
                    }
                    self.show_conditions();
                }
                // The journal's sender lives as long as the journal.
                Ok(()) = orders.changed() => self.assemble_all().await?,
                Ok(()) = changes.changed(), if !self.awaited.is_empty() => {
                    if self.has_one_ended() {
                        self.assemble_all().await?;
                    }
                }
            }
        }
    }

    async fn foresee(&self, watched: &WatchConfig) -> Result<Foresight, AgentError> {
        let is_whole = self.report.borrow().is_scanned;
        let mut foresight = Foresight { is_whole, ..Foresight::default() };
        for view in self.views.values() {
            let shelf = self.shelf(&watched.manifest, view).await?;
            foresight.of_run(&self.journal, watched, view, &shelf)?;
        }
        Ok(foresight)
    }

    async fn explain(&self, path: &Path, below: &Path, found: Found) -> Result<Answer, AgentError> {
        let left_out = self.journal.left_out()?;
        let mut facts = Facts {
            watched: &self.watched,
            path,
            below,
            found,
            views: self.views.values().collect(),
            seen_at: self.seen_at.clone(),
            shelves: HashMap::new(),
            left_out: left_out.into_iter().map(|left_out| (left_out.path, left_out.reason)).collect(),
            journal: Some(&self.journal),
            is_running: true,
            stopped: self.board.stopped(),
            condition: self.report.borrow().condition.clone(),
            next_scan: self.next_scan,
            scan_every: self.scan_every,
        };
        if let Some(view) = facts.asked_about() {
            let shelf = self.shelf(&self.watched.manifest, view).await?;
            facts.shelves.insert(view.folder.clone(), shelf);
        }
        Ok(Explanation::of(&facts).map(|explanation| in_json(&explanation)))
    }

    async fn take(&mut self, news: News) -> Result<(), AgentError> {
        self.say_conditions(&news);
        self.next_scan = news.next_scan;
        let Settings { rescan, poll, .. } = self.watched.watch;
        self.scan_every = if news.mode == "native" { rescan } else { poll };
        // What was seen is remembered before anything follows from it, the first start's baseline above all.
        self.journal.observe(&self.watch, &news.changed, news.baseline.as_ref()).await?;

        for folder in &news.gone_runs {
            self.views.remove(folder);
            self.seen_at.remove(folder);
            self.ready_in.remove(folder);
            self.conditions.expect(folder.clone(), None);
            self.journal.set_left_out(&self.watch, &path_to_text(folder), &[]).await?;
            if let Some(made) = self.made.get(&path_to_text(folder)) {
                self.journal.unmade(made.iter().cloned().collect(), |_| false).await?;
            }
        }
        for view in &news.runs {
            self.seen_at.insert(view.folder.clone(), Moment::now());
            if self.views.insert(view.folder.clone(), view.clone()).is_none() && !view.is_drop_folder() {
                tracing::info!(watch = self.watch, run = view.name, files = view.files.len(), "run folder seen");
            }
        }
        self.assemble(news.runs).await?;
        if news.scanned && !self.report.borrow().is_scanned {
            self.unmake_unseen_runs().await?;
        }
        if let Some(left_out) = news.left_out {
            let in_watch = |left_out: crate::watch::LeftOut| LeftOut {
                path: self.watched.watch.path.join(left_out.path),
                reason: left_out.reason,
            };
            let left_out: Vec<_> = left_out.into_iter().map(in_watch).collect();
            self.journal.set_left_out(&self.watch, "", &left_out).await?;
        }
        // What is on record is sent once it has been looked at again, and not while its folder cannot be seen.
        self.journal.admit(&self.watch, news.scanned && news.reachable);
        self.board.set_watch(WatchStatus {
            name: self.watch.clone(),
            mode: news.mode.to_owned(),
            condition: news.condition.clone(),
        });
        self.conditions.set_outage(news.outage);
        self.show_conditions();
        self.report.send_modify(|report| {
            report.is_scanned = news.scanned;
            report.is_reachable = news.reachable;
            report.condition = news.condition;
        });
        self.show_ready_in();
        Ok(())
    }

    /// Whether the upload of a sample that is awaited has come to an end.
    fn has_one_ended(&self) -> bool {
        let is_under_way = |id| self.journal.is_under_way(id);
        !self.awaited.iter().all(is_under_way)
    }

    /// Assembles every run as it was seen last.
    async fn assemble_all(&mut self) -> Result<(), AgentError> {
        self.awaited.clear();
        self.assemble(self.views.values().cloned().collect()).await?;
        self.show_ready_in();
        Ok(())
    }

    /// Assembles runs and writes down what came of it.
    async fn assemble(&mut self, views: Vec<RunView>) -> Result<(), AgentError> {
        for view in views {
            let run = assemble::run_key(&view);
            let closed = self.journal.closed(&self.watch, &run);
            let shelf = self.shelf(&self.watched.manifest, &view).await?;
            let Assembly { samples, left_out, awaits_sheets } =
                assemble(&self.watch, &self.watched.manifest, &view, &closed, &shelf);
            let left_out = kept(left_out, &self.watched.watch.path.join(&view.folder));
            self.journal.set_left_out(&self.watch, &run, &left_out).await?;
            let awaited = samples.iter().filter(|assembled| !assembled.finding.is_existing);
            let sheet = awaits_sheets.then_some(RECHECK);
            let papers = view.papers_settle_in().filter(|_| !samples.is_empty());
            match awaited.filter_map(|assembled| assembled.in_time).chain(sheet).chain(papers).min() {
                Some(wait) => self.ready_in.insert(view.folder.clone(), wait),
                None => self.ready_in.remove(&view.folder),
            };

            self.conditions.expect(view.folder.clone(), Expectation::of(&view, &samples, &closed));

            let findings = samples.into_iter().map(|assembled| assembled.finding).collect();
            let journal::Assembled { samples, changed, to_compare, awaited } = self.journal.assembled(findings).await?;
            changed.iter().for_each(say);
            self.awaited.extend(awaited);
            for (id, found) in to_compare {
                self.suspects.add(id, found);
            }
            let ids: HashSet<_> = samples.into_iter().collect();
            let made = self.made.entry(run).or_default();
            let unmade: Vec<_> = made.difference(&ids).cloned().collect();
            made.extend(ids);
            // Until a sheet has settled, nobody knows whom it no longer declares.
            if !unmade.is_empty() && !awaits_sheets {
                let present: HashSet<_> = view.files.into_iter().map(|file| file.path).collect();
                let is_regrouped = move |sample: &Sample| sample.parts().any(|part| present.contains(&part.path));
                self.journal.unmade(unmade, is_regrouped).await?;
            }
        }
        Ok(())
    }

    /// Reads the sheets that a run may need.
    async fn shelf(&self, manifest: &Manifest, view: &RunView) -> Result<Shelf, AgentError> {
        let wanted = wanted(manifest, view);
        if wanted == Wanted::default() {
            return Ok(Shelf::default());
        }
        self.with_library(move |library| library.read(&wanted)).await
    }

    async fn with_library<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Library) -> T + Send + 'static,
    ) -> Result<T, AgentError> {
        let library = self.library.clone();
        let asked = move || ask(&mut library.lock().unwrap_or_else(PoisonError::into_inner));
        blocking(&format!("sheets of {}", self.watch), asked).await
    }

    /// After the first scan: runs that the journal knows and the folder no longer has.
    async fn unmake_unseen_runs(&mut self) -> Result<(), AgentError> {
        let seen: HashSet<_> = self.views.values().map(assemble::run_key).collect();
        let unseen = self.made.iter().filter(|(run, _)| !seen.contains(*run));
        let ids = unseen.flat_map(|(_, ids)| ids.iter().cloned()).collect();
        self.journal.unmade(ids, |_| false).await?;
        Ok(())
    }

    /// Shows what is overdue now.
    fn show_conditions(&mut self) {
        let journal = &self.journal;
        let is_awaited = |id: &SampleId| {
            // What cannot be read now is told elsewhere.
            let record = journal.record(id).ok().flatten();
            record.is_some_and(|record| matches!(record.state, State::Waiting { .. }))
        };
        self.conditions.show(Moment::now(), is_awaited);
    }

    fn show_ready_in(&self) {
        let recheck = (self.recheck_at.is_some() || !self.awaited.is_empty()).then_some(RECHECK);
        let first = self.ready_in.values().copied().chain(recheck).min();
        self.report.send_modify(|report| report.ready_in = first);
    }

    fn say_conditions(&self, news: &News) {
        let before = self.report.borrow();
        let (watch, mode) = (&self.watch, news.mode);
        match (&before.condition, &news.condition) {
            (old, Some(condition)) if old.as_ref() != Some(condition) => tracing::warn!(watch, condition, "watch"),
            (Some(_), None) => tracing::info!(watch, "the watch is well again"),
            _ => {}
        }
        if news.scanned && !before.is_scanned {
            tracing::info!(watch, mode, runs = news.runs.len(), left_out = news.left_out_count, "watching");
        }
    }
}

/// One line for what a person would want to know.
fn say(record: &Record) {
    let key = &record.sample.key;
    let (sample, run, bytes) = (&key.name, &key.run, record.sample.size());
    match &record.state {
        State::Queued { .. } => tracing::info!(sample, run, bytes, "complete"),
        State::Blocked { reason, .. } => tracing::warn!(sample, run, reason, "blocked"),
        State::Held { reason, .. } => tracing::warn!(sample, run, reason, "held"),
        State::Waiting { reason, .. } => tracing::debug!(sample, run, reason, "waiting"),
        State::Skipped { reason, .. } => tracing::debug!(sample, run, reason, "skipped"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::super::prepare::{Asker, Outlook, Preparing};
    use super::*;
    use crate::config;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A sheet on a share that hangs, here one that somebody else has for as long as the test likes.
    #[tokio::test(flavor = "multi_thread")]
    async fn sheets_that_hang_keep_neither_a_reload_nor_the_end_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::create_dir(file("drop")).unwrap();
        let manifest = "version: 1\nrules:\n- {name: a, match: '{s}.fq', sample: {name: '{s}', type: RNA-Seq}}\n";
        fs::write(file("m.yaml"), manifest).unwrap();
        let text = "state_dir: state\nwatch: [{path: drop, manifest: m.yaml, existing: skip}]\n";
        fs::write(file("c.yaml"), text).unwrap();
        let config = config::load(&file("c.yaml")).unwrap();
        let watched = config.watches[0].clone();
        let journal = Journal::open(&config.state_dir).unwrap();
        let (board, wake, suspects) = (Board::default(), Arc::default(), Suspects::default());
        let (assembler, _report) = Assembler::new(&watched, journal.clone(), board, wake, suspects).unwrap();

        let library = assembler.library.clone();
        let (let_go, told) = std::sync::mpsc::channel::<()>();
        let (is_held, held) = oneshot::channel();
        let share = std::thread::spawn({
            let library = library.clone();
            move || {
                let _held = library.lock().unwrap();
                is_held.send(()).unwrap();
                // Until the test is over, however it ends.
                let _ = told.recv();
            }
        });
        held.await.unwrap();
        let stop = CancellationToken::new();
        let (_news, to_assemble) = mpsc::channel(1);
        let (requests, to_do) = mpsc::unbounded_channel();
        let running = tokio::spawn(assembler.run(to_assemble, to_do, stop.clone()));
        let began = Instant::now();
        // This test, the share, the assembler, and its look at the sheets.
        while Arc::strong_count(&library) < 4 {
            assert!(began.elapsed() < PATIENCE, "it never looks at its sheets");
            tokio::task::yield_now().await;
        }

        fs::write(file("m.yaml"), manifest.replace("RNA", "DNA")).unwrap();
        let prepare = |asker| {
            let watches = BTreeMap::from([(watched.watch.name.clone(), (watched.clone(), requests.clone()))]);
            Preparing::begin(Outlook { config: config.clone(), journal: journal.clone(), watches }, asker)
        };
        let (answer, answered) = oneshot::channel();
        prepare(Asker::Command(answer)).give_up();
        let refused = answered.await.unwrap();
        assert!(matches!(&refused, Err(Refusal::Refused(reason)) if reason.contains("another reload")), "{refused:?}");

        // One that leaves the watch out does not ask it.
        fs::create_dir(file("elsewhere")).unwrap();
        fs::write(file("c.yaml"), text.replace("drop", "elsewhere")).unwrap();
        let ended = tokio::time::timeout(PATIENCE, async {
            let mut preparing = Some(prepare(Asker::Signal));
            Preparing::ended(&mut preparing).await.1
        });
        let document = ended.await.unwrap().map(|prepared| prepared.document);
        assert_eq!(document.map(|document| document.removed()), Ok(vec![watched.watch.name.clone()]));

        stop.cancel();
        tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
        drop(let_go);
        share.join().unwrap();
    }
}
