//! When a run is complete: the condition, judged over what was seen, with a reason where it waits.
//!
//! Pure: times come with the files. It knows markers, quiet and settled, and nothing of what a rule expects.

use std::path::Path;
use std::time::Duration;

use super::Condition;
use super::view::{FileView, Verdict};

/// How many changing files a reason names.
const NAMED: usize = 3;

/// A condition whose markers have been looked for, so that judging many groups of one drop folder costs no search
/// of the folder for each.
#[derive(Debug, Clone)]
pub(super) enum Check {
    Marker { pattern: String, found: bool },
    Quiet(Duration),
    Settled,
    Any(Vec<Check>),
    All(Vec<Check>),
}

impl Check {
    /// Looks for the condition's markers among all files of a run.
    pub(super) fn new(condition: &Condition, files: &[FileView]) -> Self {
        let each = |conditions: &[Condition]| conditions.iter().map(|c| Check::new(c, files)).collect();
        match condition {
            Condition::Marker(pattern) => Check::Marker {
                pattern: pattern.to_string(),
                found: files.iter().any(|file| pattern.is_match(&file.below_run.to_string_lossy())),
            },
            Condition::Quiet(time) => Check::Quiet(*time),
            Condition::Settled => Check::Settled,
            Condition::Any(conditions) => Check::Any(each(conditions)),
            Condition::All(conditions) => Check::All(each(conditions)),
        }
    }

    /// The verdict over `group`. `quiet_for` is the run's; `None` takes the group's own, the least of its files'.
    pub(super) fn judge(&self, group: &[&FileView], quiet_for: Option<Duration>) -> Verdict {
        let waits = |reason, in_time| Verdict::Waits { reason, in_time };
        if group.is_empty() {
            // Settled and quiet hold of nothing at all, but an empty run is not a complete one.
            return waits("no file has appeared yet".into(), None);
        }
        match self {
            Check::Marker { found: true, .. } => Verdict::Complete,
            Check::Marker { pattern, found: false } => waits(format!("waiting for the marker {pattern}"), None),
            Check::Quiet(time) => {
                let so_far =
                    quiet_for.unwrap_or_else(|| group.iter().map(|file| file.unchanged_for).min().unwrap_or_default());
                match time.checked_sub(so_far) {
                    None | Some(Duration::ZERO) => Verdict::Complete,
                    left => waits(format!("quiet for {} of {}", spoken(so_far), spoken(*time)), left),
                }
            }
            Check::Settled => {
                let changing: Vec<&FileView> = group.iter().filter(|file| !file.settled).copied().collect();
                match changing.iter().filter_map(|file| file.settles_in).max() {
                    _ if changing.is_empty() => Verdict::Complete,
                    last => waits(still_changing(&changing), last),
                }
            }
            Check::Any(checks) => {
                let verdicts: Vec<Verdict> = checks.iter().map(|c| c.judge(group, quiet_for)).collect();
                if verdicts.contains(&Verdict::Complete) {
                    return Verdict::Complete;
                }
                let (reasons, times) = reasons(verdicts);
                waits(reasons.join(", or "), times.into_iter().flatten().min())
            }
            Check::All(checks) => {
                let verdicts = checks.iter().map(|c| c.judge(group, quiet_for)).collect();
                let (reasons, times) = reasons(verdicts);
                if reasons.is_empty() {
                    return Verdict::Complete;
                }
                let last = times.into_iter().collect::<Option<Vec<_>>>().and_then(|times| times.into_iter().max());
                waits(reasons.join(", and "), last)
            }
        }
    }
}

/// The reasons and times of those that wait.
fn reasons(verdicts: Vec<Verdict>) -> (Vec<String>, Vec<Option<Duration>>) {
    verdicts
        .into_iter()
        .filter_map(|verdict| match verdict {
            Verdict::Complete => None,
            Verdict::Waits { reason, in_time } => Some((reason, in_time)),
        })
        .unzip()
}

fn still_changing(files: &[&FileView]) -> String {
    let name = |file: &&FileView| {
        crate::sample::path_to_text(file.below_run.file_name().map_or(file.below_run.as_path(), Path::new))
    };
    let mut names: Vec<String> = files.iter().take(NAMED).map(name).collect();
    if files.len() > NAMED {
        names.push("…".into());
    }
    match files.len() {
        1 => format!("1 file is still changing: {}", names[0]),
        n => format!("{n} files are still changing: {}", names.join(", ")),
    }
}

/// A duration as people say it: whole seconds from a second on, and no more than that.
fn spoken(time: Duration) -> String {
    let whole = if time < Duration::from_secs(1) {
        Duration::from_millis(time.as_millis() as u64)
    } else {
        Duration::from_secs(time.as_secs())
    };
    humantime::format_duration(whole).to_string()
}
