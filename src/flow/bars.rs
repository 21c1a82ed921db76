//! A bar a file in bytes, with rate and time left, while local files go up: on a terminal, or nowhere.

use std::io::{IsTerminal, stderr};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::upload::{Progress, Submission};

const TEMPLATE: &str =
    "{spinner} {wide_msg} [{bar:24.cyan/blue}] {bytes:>10}/{total_bytes:10} {bytes_per_sec:>12} {eta:>4}";

/// The place where bars are drawn. All uploads of a client share it, so that none draws over another.
pub(super) fn canvas(show: bool) -> MultiProgress {
    let is_shown = show && stderr().is_terminal();
    MultiProgress::with_draw_target(if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() })
}

/// The bars of one submission's files. They go when they are dropped.
pub(super) struct Bars(Vec<ProgressBar>);

impl Bars {
    pub(super) fn new(canvas: &MultiProgress, submission: &Submission, progress: &Progress) -> Self {
        if canvas.is_hidden() {
            return Self(Vec::new());
        }
        let style = ProgressStyle::with_template(TEMPLATE).expect("the template is a constant").progress_chars("━╸─");
        let bars = submission.files.iter().zip(&progress.files).map(|(file, progress)| {
            let bar = ProgressBar::new(file.size).with_style(style.clone()).with_message(file.filename.clone());
            let bar = canvas.add(bar);
            // What went up in an earlier life says nothing about the rate of this one.
            bar.set_position(progress.sent());
            bar.reset_eta();
            bar.tick();
            bar
        });
        Self(bars.collect())
    }

    pub(super) fn show(&self, progress: &Progress) {
        for (bar, file) in self.0.iter().zip(&progress.files) {
            bar.set_position(file.sent());
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for bar in &self.0 {
            bar.finish_and_clear();
        }
    }
}
