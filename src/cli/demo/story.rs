//! What happens, in order, and what is said about it as it happens.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bytesize::ByteSize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use super::compare::Expected;
use super::screen::Screen;
use super::sequencer::{MARKER, PIECES, RUN, Sequencer};
use super::setup;
use crate::agent::Agent;
use crate::sandbox::{Fault, On, RequestLog, Sandbox};
use crate::status::{SampleStatus, Snapshot};

/// Between two pieces of the files.
const PIECE: Duration = Duration::from_millis(300);
/// How long the files lie still before the marker comes: longer than the settle time, so that it is not that which
/// keeps them back.
const STILL: Duration = Duration::from_millis(2500);
/// What the sandbox takes for a chunk, so that there is something to see.
const CHUNK: Duration = Duration::from_millis(150);
/// When the demo stops waiting: the promise is a minute, and what did not happen by then is told as it is.
const PATIENCE: Duration = Duration::from_secs(50);

/// Who takes part.
pub(super) struct Story<'a> {
    pub folder: &'a Path,
    pub screen: &'a Screen,
    pub agent: &'a Agent,
    pub sandbox: &'a Sandbox,
    pub expected: &'a Expected,
}

impl Story<'_> {
    /// Tells it all, and gives the uploads that the sandbox saw before the run was complete.
    pub async fn tell(&self) -> anyhow::Result<Vec<RequestLog>> {
        let deadline = Instant::now() + PATIENCE;
        self.introduce();
        let sequencer = self.write_run().await?;
        self.wait_for_marker(deadline).await?;

        self.sandbox.idle().await;
        let early = self.uploads();
        sequencer.mark_complete().context("the sequencer cannot write its marker")?;
        self.watch_uploads(deadline).await?;
        Ok(early)
    }

    fn introduce(&self) {
        self.screen.headline(&format!("Set up in {}", self.folder.display()));
        self.screen.line("flow-ingest.yaml   where the agent looks, and when a run is complete");
        self.screen.line("manifest.yaml      which files become which samples");
        self.screen.line("sequencer/         the watched folder, still empty");
        self.screen.line(&format!("sandbox/           Flow's stand-in, at {}", self.sandbox.base_url()));
    }

    async fn write_run(&self) -> anyhow::Result<Sequencer> {
        let cannot = "the sequencer cannot write its run";
        let watched = setup::watched(self.folder);
        let mut sequencer = blocking(move || Sequencer::start(&watched)).await.context(cannot)?;
        let files = sequencer.files().count();
        self.screen.headline(&format!("The sequencer writes run {RUN}"));
        self.screen.line(&format!("{files} gzipped FASTQ files grow under their final names, as on a MiSeq."));
        self.screen.line("The agent sees every one of them, and sends none: the run goes on.");
        let bar = self.screen.bar(PIECES);
        let mut pace = interval(PIECE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let (written, is_open) = blocking(move || {
                let is_open = sequencer.write_piece()?;
                Ok((sequencer, is_open))
            })
            .await
            .context(cannot)?;
            sequencer = written;
            if !is_open {
                break;
            }
            bar.set_message(format!("{files} files, {}", ByteSize(sequencer.bytes())));
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.screen.line(&format!("{files} files, {}: whole, closed, and still.", ByteSize(sequencer.bytes())));
        Ok(sequencer)
    }

    /// The files lie still, and nothing may happen. Says for what each sample waits, in the agent's own words.
    async fn wait_for_marker(&self, deadline: Instant) -> anyhow::Result<()> {
        self.screen.headline("Nothing grows any more, and yet nothing is sent");
        sleep(STILL).await;
        let samples = self.expected.samples.len() + 1;
        self.until(deadline, |snapshot| snapshot.count("waiting") == samples).await?;
        let snapshot = self.agent.snapshot("running")?;
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for sample in &snapshot.samples {
            *reasons.entry(sample.reason.as_deref().unwrap_or(&sample.state)).or_default() += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (reason, count) in reasons {
            let noun = if count == 1 { "sample: " } else { "samples:" };
            self.screen.labelled(&format!("{count} {noun}"), reason);
        }
        self.screen.line(&format!("The sandbox has had {} uploads so far.", self.uploads().len()));
        Ok(())
    }

    /// The uploads, until nothing more will happen; each sample is told as it comes to its end.
    async fn watch_uploads(&self, deadline: Instant) -> anyhow::Result<()> {
        self.sandbox.faults().add(Fault::on(On::Chunk).delay(CHUNK));
        self.screen.headline(&format!("The marker {MARKER} is there: the run is complete"));
        self.screen.line("A mirrored share may show it before the rest: it is believed");
        self.screen.line("once nothing more has come for ten settle times, here 5 s.");
        self.screen.line("Two at a time; the sandbox is slow on purpose, so that you see it.");
        let mut told: HashMap<String, String> = HashMap::new();
        let everything = self.expected.samples.len() + 1;
        self.until(deadline, |snapshot| {
            for sample in &snapshot.samples {
                let state = told.insert(sample.id.clone(), sample.state.clone());
                if state.as_ref() != Some(&sample.state) {
                    self.tell_sample(sample);
                }
            }
            snapshot.count("done") + snapshot.count("blocked") == everything
        })
        .await
    }

    fn tell_sample(&self, sample: &SampleStatus) {
        let paint = self.screen.paint;
        let name = &sample.name;
        match sample.state.as_str() {
            "done" => {
                let what = format!("{} files, {}", sample.files.len(), ByteSize(sample.bytes));
                self.screen.line(&format!("{name}  {}  {what}", paint.good("on Flow")));
            }
            "blocked" => self.screen.line(&format!("{name}  {}  needs a person", paint.notable("blocked"))),
            "retrying" => {
                let error = sample.error.as_deref().unwrap_or_default();
                self.screen.line(&format!("{name}  {}  {error}", paint.notable("retrying")));
            }
            _ => {}
        }
    }

    /// Shows each state of things to `is_enough`, until it is, or until the deadline.
    async fn until(&self, deadline: Instant, mut is_enough: impl FnMut(&Snapshot) -> bool) -> anyhow::Result<()> {
        let mut changes = self.agent.journal().changes();
        loop {
            changes.mark_unchanged();
            if is_enough(&self.agent.snapshot("running")?) {
                return Ok(());
            }
            // The journal's sender lives as long as the agent.
            if timeout_at(deadline, changes.changed()).await.is_err() {
                self.screen.line(&self.screen.paint.bad("It takes too long; this is how things are:"));
                return Ok(());
            }
        }
    }

    /// Every upload that the sandbox was asked for, in whole or in part.
    fn uploads(&self) -> Vec<RequestLog> {
        let is_upload = |request: &RequestLog| request.method == "POST" && request.path.starts_with("/upload");
        self.sandbox.requests().into_iter().filter(is_upload).collect()
    }
}

/// Work on files, off the threads that serve.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
