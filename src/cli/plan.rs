//! `flow-ingest plan`: what would be uploaded, as what, and what is left out and why. It looks, and touches nothing.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::exit::{CommandError, Exit};
use super::holder::Holder;
use super::{Globals, output};
use crate::agent::{Expected, Foreseen, foresee, in_future, remembered, rules_tried};
use crate::assemble::{Assembled, Expectation, assemble, run_key, trace, wanted};
use crate::config::{Config, Tree, WatchConfig};
use crate::journal::{Journal, State};
use crate::observation::Moment;
use crate::sample::{SampleId, Standing};
use crate::sheet::{Library, Shelf};
use crate::status::{Condition, LeftOut, RuleTried, SampleStatus, Snapshot, WatchStatus, render};
use crate::watch::{FileView, News, Remembered, RunFolders, RunView, look_once};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Look at this folder alone, as it lies there: no config, no state, no network
    #[arg(long, value_name = "DIR", requires = "manifest")]
    tree: Option<PathBuf>,
    /// With --tree: the manifest
    #[arg(long, value_name = "FILE", requires = "tree")]
    manifest: Option<PathBuf>,
    /// With --tree: the instrument's layout, as in the config
    #[arg(long, value_name = "NAME", requires = "tree")]
    layout: Option<String>,
    /// With --tree: which folders are runs, as in the config
    #[arg(long, value_name = "PATTERN", requires = "tree")]
    run_folder: Option<String>,
    /// With --tree: when a run is complete, as in the config; quiet is taken as fulfilled
    #[arg(long, value_name = "CONDITION", requires = "tree")]
    complete_when: Option<String>,
}

pub(super) async fn execute(arguments: Arguments, globals: &Globals) -> Result<Exit, CommandError> {
    let tree = arguments.tree.as_deref().zip(arguments.manifest.as_deref());
    let (watches, known) = match tree {
        Some((dir, manifest)) => (vec![arguments.watch(dir, manifest)?], Known::default()),
        None => {
            let config = globals.load_config()?;
            let known = Known::of(&config).await?;
            (config.watches, known)
        }
    };
    let mut plan = Plan { known, has_rules: globals.json, is_tree: tree.is_some(), ..Plan::default() };
    for watched in watches {
        plan.add(watched).await?;
    }
    let mut snapshot = Snapshot::new("plan", None, plan.samples, plan.watches, plan.left_out);
    snapshot.conditions = plan.conditions;
    if globals.json {
        output::json(&snapshot);
    } else {
        output::line(render(&snapshot).trim_end());
    }
    Ok(Exit::Success)
}

impl Arguments {
    fn watch(&self, dir: &Path, manifest: &Path) -> Result<WatchConfig, CommandError> {
        if !dir.is_dir() {
            return Err(CommandError::Input(format!("cannot look at {}: there is no such folder", dir.display())));
        }
        let (layout, run_folder) = (self.layout.as_deref(), self.run_folder.as_deref());
        let tree = Tree { dir, manifest, layout, run_folder, complete_when: self.complete_when.as_deref() };
        Ok(tree.watch()?)
    }
}

/// What has been planned so far.
#[derive(Default)]
struct Plan {
    known: Known,
    /// Whether what is left out says what each rule says of it.
    has_rules: bool,
    /// Whether nothing is waited for, since nobody comes back to look.
    is_tree: bool,
    samples: Vec<SampleStatus>,
    watches: Vec<WatchStatus>,
    conditions: Vec<Condition>,
    left_out: Vec<LeftOut>,
}

impl Plan {
    async fn add(&mut self, watched: WatchConfig) -> Result<(), CommandError> {
        let remembered = self.known.remembered.remove(&watched.watch.name).unwrap_or_default();
        let (root, is_tree) = (watched.watch.path.clone(), self.is_tree);
        let settings = watched.watch.clone();
        let look = move || match is_tree {
            true => look_at_tree(settings),
            false => look_once(&settings, remembered),
        };
        let news = tokio::task::spawn_blocking(look).await.expect("looking does not panic");
        let left_out = news.left_out.unwrap_or_default().into_iter();
        self.left_out.extend(left_out.map(|it| LeftOut::new(&root.join(it.path), it.reason)));
        // As for all other files: as they are once they have settled.
        let mut library = Library::new(Duration::ZERO);
        let mut expected = Expected::new(watched.watch.name.clone(), watched.watch.expect_within);
        expected.set_outage(news.outage);
        for view in news.runs {
            let settled = if is_tree { view.clone().as_if_quiet() } else { view.clone().as_if_settled() };
            let wanted = wanted(&watched.manifest, &settled);
            let shelf;
            (shelf, library) = tokio::task::spawn_blocking(move || (library.read(&wanted), library))
                .await
                .expect("reading a sheet does not panic");
            self.add_run(&watched, &view, &settled, &shelf, &mut expected)?;
        }
        self.conditions.extend(self.known.conditions(&expected));
        self.watches.push(WatchStatus {
            name: watched.watch.name,
            // Nothing was set up that could say whether events arrive.
            mode: "once".to_owned(),
            condition: news.condition,
        });
        Ok(())
    }

    /// `settled` is the view as it is once its files have settled; of a tree, once it is quiet as well.
    fn add_run(
        &mut self,
        watched: &WatchConfig,
        view: &RunView,
        settled: &RunView,
        shelf: &Shelf,
        expected: &mut Expected,
    ) -> Result<(), CommandError> {
        let (name, journal) = (&watched.watch.name, self.known.journal.as_ref());
        let Foreseen { samples, left_out } = foresee(journal, name, &watched.manifest, settled, shelf)?;
        let mut times = HashMap::new();
        if !self.is_tree {
            let closed = journal.map(|journal| journal.closed(name, &run_key(view))).unwrap_or_default();
            let now = assemble(name, &watched.manifest, view, &closed, shelf).samples;
            expected.expect(view.folder.clone(), Expectation::of(view, &now, &closed));
            times = ready_in(now);
        }
        for (record, assembled) in samples {
            // A running service has seen more than a single look can.
            let told = self.known.told.get(record.sample.id().as_str()).cloned();
            let is_told = told.is_some();
            let mut status = told.unwrap_or_else(|| SampleStatus::of(&record, Moment::now()));
            status.captured = assembled.captured;
            let is_ahead = !is_told && matches!(status.state.as_str(), "queued" | "waiting" | "held");
            status.next_act = times.remove(&record.sample.id()).filter(|_| is_ahead).map(in_future);
            self.samples.push(status);
        }
        let mut rules = if self.has_rules { rules(watched, settled, shelf, &left_out) } else { BTreeMap::new() };
        self.left_out.extend(left_out.into_iter().map(|(path, reason)| {
            let rules = rules.remove(&path).unwrap_or_default();
            LeftOut { rules, ..LeftOut::new(&path, reason) }
        }));
        Ok(())
    }
}

/// How long it takes until those samples are ready that only time keeps back.
fn ready_in(samples: Vec<Assembled>) -> HashMap<SampleId, Duration> {
    let waits = samples.into_iter().filter(|it| matches!(it.finding.standing, Standing::Waiting(_)));
    waits.filter_map(|it| Some((it.finding.sample.id(), it.in_time?))).collect()
}

/// What each rule says of what is left out.
fn rules(
    watched: &WatchConfig,
    view: &RunView,
    shelf: &Shelf,
    left_out: &[(PathBuf, String)],
) -> BTreeMap<PathBuf, Vec<RuleTried>> {
    let is_left_out: std::collections::HashSet<&PathBuf> = left_out.iter().map(|(path, _)| path).collect();
    let files: Vec<&FileView> = view.files.iter().filter(|file| is_left_out.contains(&file.path)).collect();
    let tried = trace(&watched.manifest, view, shelf, &files);
    files.into_iter().map(|file| file.path.clone()).zip(tried.into_iter().map(rules_tried)).collect()
}

/// Looks at a tree. Where it holds no run folder and is one itself, it is the one run.
fn look_at_tree(settings: crate::watch::Settings) -> News {
    let news = look_once(&settings, Remembered::default());
    let name = settings.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let whole = settings.run_folder.as_ref().and_then(RunFolders::whole);
    let captures = whole.and_then(|patterns| patterns.captures(&name));
    let Some(captures) = captures.filter(|_| news.runs.is_empty()) else { return news };
    let mut news = look_once(&crate::watch::Settings { run_folder: None, ..settings }, Remembered::default());
    news.runs = news.runs.into_iter().map(|view| view.into_run_folder(name.clone(), captures.clone())).collect();
    news
}

/// What is known of samples and files already.
#[derive(Default)]
struct Known {
    /// Of the state folder, when no service holds it.
    journal: Option<Journal>,
    remembered: HashMap<String, Remembered>,
    /// What a running service told.
    told: HashMap<String, SampleStatus>,
    /// Likewise what is overdue, gone or empty, by the watches that it watches.
    told_conditions: HashMap<String, Vec<Condition>>,
}

impl Known {
    /// From the running service, else from the state folder, if there is one.
    async fn of(config: &Config) -> Result<Self, CommandError> {
        let mut known = Self::default();
        if !config.state_dir.join("journal").exists() {
            return Ok(known);
        }
        match Holder::of(&config.state_dir).await? {
            Holder::Nobody(journal) => {
                for watched in &config.watches {
                    let name = &watched.watch.name;
                    known.remembered.insert(name.clone(), remembered(&journal, name)?);
                }
                known.journal = Some(journal);
            }
            Holder::Process(socket) => {
                let told = socket.status().await?;
                known.told = told.samples.into_iter().map(|sample| (sample.id.clone(), sample)).collect();
                known.told_conditions = told.watches.into_iter().map(|watch| (watch.name, Vec::new())).collect();
                for condition in told.conditions {
                    known.told_conditions.entry(condition.watch.clone()).or_default().push(condition);
                }
            }
        }
        Ok(known)
    }

    /// What is overdue, gone or empty in a watch that was looked at.
    fn conditions(&self, expected: &Expected) -> Vec<Condition> {
        if let Some(told) = self.told_conditions.get(expected.watch()) {
            return told.clone();
        }
        let is_awaited = |id: &SampleId| {
            let record = self.journal.as_ref().and_then(|journal| journal.record(id).ok().flatten());
            record.is_none_or(|record| matches!(record.state, State::Waiting { .. }))
        };
        expected.conditions(Moment::now(), is_awaited)
    }
}
