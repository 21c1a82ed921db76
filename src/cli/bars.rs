//! Bars on a terminal: one a sample in flight for the service, one a file for uploads by hand; and a total.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use crate::journal::Journal;
use crate::sample::SampleId;
use crate::status::SampleStatus;

const REDRAW: Duration = Duration::from_millis(100);

/// The place where bars are drawn: a terminal, or nowhere.
pub(super) fn canvas(show: bool) -> MultiProgress {
    let target =
        if show && stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    MultiProgress::with_draw_target(target)
}

/// Draws until it is dropped; takes the bars away then.
pub(super) async fn draw(canvas: MultiProgress, journal: Journal) {
    if canvas.is_hidden() {
        return std::future::pending().await;
    }
    let mut shown: BTreeMap<SampleId, ProgressBar> = BTreeMap::new();
    let total =
        canvas.add(ProgressBar::no_length().with_style(style("{prefix:>8.bold} {wide_msg} {bytes}/{total_bytes}")));
    total.set_prefix("total");
    let _cleared = Cleared(canvas.clone());
    loop {
        let in_flight = journal.in_flight();
        shown.retain(|id, bar| {
            let goes_on = in_flight.iter().any(|sample| sample.id == *id);
            if !goes_on {
                bar.finish_and_clear();
            }
            goes_on
        });
        let mut sending = 0;
        for sample in in_flight {
            sending += sample.sent;
            let bar = shown.entry(sample.id).or_insert_with(|| {
                let bar = bar(sample.size, sample.sent, FILE).with_message(sample.name);
                // Whatever changes a bar draws it, and one that is not on the canvas yet would draw over the others.
                begun(canvas.insert_before(&total, bar))
            });
            bar.set_position(sample.sent);
            bar.tick();
        }
        let tally = journal.tally();
        let of = |state: &str| tally.get(state).cloned().unwrap_or_default();
        let open = ["queued", "uploading", "retrying"].map(of);
        total.set_length(of("done").bytes + open.iter().map(|tally| tally.bytes).sum::<u64>());
        total.set_position(of("done").bytes + sending);
        total.set_message(format!(
            "{} done, {} to go, {} waiting, {} blocked",
            of("done").samples,
            open.iter().map(|tally| tally.samples).sum::<usize>(),
            of("waiting").samples,
            of("blocked").samples
        ));
        tokio::time::sleep(REDRAW).await;
    }
}

/// Draws one bar for each file that is under way, and a total where there are several files; until it is dropped.
pub(super) async fn draw_files(canvas: MultiProgress, mut uploads: watch::Receiver<Vec<SampleStatus>>) {
    if canvas.is_hidden() {
        return std::future::pending().await;
    }
    let mut shown: BTreeMap<(String, usize), ProgressBar> = BTreeMap::new();
    let mut total: Option<ProgressBar> = None;
    let _cleared = Cleared(canvas.clone());
    loop {
        let now = uploads.borrow_and_update().clone();
        let files = now.iter().map(|upload| upload.files.len()).sum::<usize>();
        if files > 1 {
            let bytes: u64 = now.iter().map(|upload| upload.bytes).sum();
            let sent = now.iter().map(|upload| upload.sent).sum();
            let done = now.iter().filter(|upload| upload.state == "done").count();
            let bar = total.get_or_insert_with(|| begun(canvas.add(bar(bytes, sent, TOTAL).with_prefix("total"))));
            bar.set_length(bytes);
            bar.set_position(sent);
            bar.set_message(format!("{done} of {} done", now.len()));
        }
        let under_way = |id: &str| now.iter().find(|upload| upload.id == *id && upload.state == "uploading");
        shown.retain(|(id, _), bar| {
            let goes_on = under_way(id).is_some();
            if !goes_on {
                bar.finish_and_clear();
            }
            goes_on
        });
        for upload in now.iter().filter(|upload| upload.state == "uploading") {
            for (n, file) in upload.files.iter().enumerate() {
                let bar = shown.entry((upload.id.clone(), n)).or_insert_with(|| {
                    let bar = bar(file.bytes, file.sent, FILE).with_message(file.filename.clone());
                    begun(match &total {
                        Some(total) => canvas.insert_before(total, bar),
                        None => canvas.add(bar),
                    })
                });
                bar.set_position(file.sent);
                bar.tick();
            }
        }
        tokio::time::sleep(REDRAW).await;
    }
}

const FILE: &str =
    "{spinner} {wide_msg} [{bar:16.cyan/blue}] {bytes:>10}/{total_bytes:10} {binary_bytes_per_sec:>12} {eta:>3}";
const TOTAL: &str = "{prefix:>8.bold} {wide_msg} {bytes:>10}/{total_bytes:10} {binary_bytes_per_sec:>12} {eta:>3}";

/// A bar that is not on the canvas yet.
fn bar(size: u64, sent: u64, template: &str) -> ProgressBar {
    ProgressBar::new(size).with_style(style(template)).with_position(sent)
}

/// What was sent before the bar appeared counts for no rate.
fn begun(bar: ProgressBar) -> ProgressBar {
    bar.tick();
    bar.reset_eta();
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant").progress_chars("━╸─")
}

struct Cleared(MultiProgress);

impl Drop for Cleared {
    fn drop(&mut self) {
        // A terminal that has gone is not worth a word.
        let _ = self.0.clear();
    }
}
