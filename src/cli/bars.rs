//! One bar a sample in flight and a total, drawn from what the journal holds.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::journal::Journal;
use crate::sample::SampleId;

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
                let bar = ProgressBar::new(sample.size).with_message(sample.name).with_style(style(
                    "{spinner} {wide_msg} [{bar:16.cyan/blue}] {bytes:>10}/{total_bytes:10} {binary_bytes_per_sec:>12} {eta:>3}",
                ));
                // Whatever changes a bar draws it, and one that is not on the canvas yet would draw over the others.
                canvas.insert_before(&total, bar)
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
