//! The parts of a run by the files of it that rules take: what there is for it that such a part is complete, and how long
//! what should still come of it is awaited.
//!
//! Pure, as the conditions are.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::view::{FileView, RunView};
use crate::observation::Coming;
use crate::sample::path_to_text;

/// How long nothing must have come to a part of a run before what should still come of a sample is no longer awaited,
/// though a marker says that it is complete. A share that is mirrored file by file shows half of a pair for as long as
/// the other half takes.
const AWAITS_THE_REST: Duration = Duration::from_secs(60 * 60);

/// For how many settle times nothing must have come before a marker is believed that the agent saw come, or that was
/// there before some of the files.
const CALM: u32 = 10;

fn calm(settle: Duration) -> Duration {
    settle.saturating_mul(CALM)
}

/// The times for which nothing must have come before what should still come is no longer awaited: behind a marker, and
/// where something tells of more.
pub(super) fn spans(settle: Duration) -> [Duration; 2] {
    [calm(settle), AWAITS_THE_REST]
}

/// What there is for it that a part of a run is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// More than markers: a list that is met, quiet. Or it is not complete.
    Sure,
    /// Nothing but markers, and all of it was there when the agent looked first.
    Marker,
    /// Nothing but markers, which came later than files did, and nothing after them so far. A mirror may show half of
    /// the files, and then the marker.
    LateMarker,
    /// Nothing but markers, found in one look with files that were written after them.
    EarlyMarker,
    /// Nothing but markers, and some of the files came after them.
    WrongMarker,
}

/// A part of a run by the files of it that rules take: those of one part are complete together.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The file that came last, as far as is known.
    pub last: &'a FileView,
    pub word: Word,
    /// For how long nothing has come to it, a late marker included.
    pub quiet_for: Duration,
}

impl<'a> Part<'a> {
    /// `files` are all of one part; of none, there is no part. `unchanged_for`: for how long the markers have been there
    /// that came so.
    fn of(view: &RunView, files: &[&'a FileView], unchanged_for: impl Fn(Coming) -> Duration) -> Option<Self> {
        let last = *files.iter().min_by_key(|file| file.unchanged_for)?;
        let comings = || files.iter().map(|file| file.observation.coming());
        let (first_coming, last_coming) = comings().min().zip(comings().max())?;
        let quiet_for = last.unchanged_for;
        let (word, quiet_for) = match view.marked(files) {
            None => (Word::Sure, quiet_for),
            Some(marker) if last_coming.look > marker.look => (Word::WrongMarker, quiet_for),
            Some(marker) if last_coming > marker => (Word::EarlyMarker, quiet_for),
            Some(marker) if marker.look > first_coming.look => (Word::LateMarker, quiet_for.min(unchanged_for(marker))),
            Some(_) => (Word::Marker, quiet_for),
        };
        Some(Self { last, word, quiet_for })
    }
}

/// The parts of a run in which rules take files. A part of a run folder whose marker came before the last of its files
/// is not over while one of them still changes. In a drop folder, whose samples have nothing to do with each other, each
/// is a part of its own.
pub struct Parts<'a> {
    view: &'a RunView,
    /// The run's markers, once somebody asks.
    markers: OnceCell<Vec<&'a FileView>>,
    /// Of a run folder, each with what has not settled in it.
    by_scope: BTreeMap<usize, (Part<'a>, Option<Unsettled>)>,
}

impl<'a> Parts<'a> {
    /// `taken`: the files of the view that rules take.
    pub fn of(view: &'a RunView, taken: impl IntoIterator<Item = &'a FileView>) -> Self {
        let mut files: BTreeMap<usize, Vec<&FileView>> = BTreeMap::new();
        for file in taken.into_iter().filter(|_| !view.is_drop_folder()) {
            files.entry(view.scope(file)).or_default().push(file);
        }
        let mut parts = Self { view, markers: OnceCell::new(), by_scope: BTreeMap::new() };
        for (scope, files) in files {
            let unsettled = Unsettled::of(files.iter().copied());
            let part = parts.part(&files).map(|part| (scope, (part, unsettled)));
            parts.by_scope.extend(part);
        }
        parts
    }

    fn part(&self, files: &[&'a FileView]) -> Option<Part<'a>> {
        let markers = || self.view.files.iter().filter(|file| self.view.is_marker(file)).collect();
        Part::of(self.view, files, |coming| {
            let came_so = self.markers.get_or_init(markers).iter().filter(|file| file.observation.coming() == coming);
            came_so.map(|file| file.unchanged_for).min().unwrap_or(Duration::MAX)
        })
    }

    /// The parts in which the group lies, each once, since a barcode has thousands of files in one; all of them where
    /// the group is empty.
    pub fn with(&self, group: impl IntoIterator<Item = &'a FileView>) -> Vec<Part<'a>> {
        if self.view.is_drop_folder() {
            return self.part(&group.into_iter().collect::<Vec<_>>()).into_iter().collect();
        }
        let mut scopes: BTreeSet<usize> = group.into_iter().map(|file| self.view.scope(file)).collect();
        if scopes.is_empty() {
            scopes.extend(self.by_scope.keys());
        }
        scopes.into_iter().filter_map(|scope| self.by_scope.get(&scope)).map(|(part, _)| *part).collect()
    }

    /// What has not settled in the part of the run in which a file lies; in a drop folder nothing that it could wait
    /// for.
    pub fn unsettled_beside(&self, file: &FileView) -> Option<&Unsettled> {
        self.by_scope.get(&self.view.scope(file))?.1.as_ref()
    }

    /// What has not settled in any part of a run folder.
    pub fn unsettled(&self) -> Option<&Unsettled> {
        self.by_scope.values().find_map(|(_, unsettled)| unsettled.as_ref())
    }

    /// What there is for it that all parts are complete in which the group lies.
    pub fn word(&self, group: impl IntoIterator<Item = &'a FileView>) -> Word {
        self.with(group).into_iter().map(|part| part.word).max().unwrap_or(Word::Sure)
    }

    /// For how long nothing has come to the parts in which the group lies.
    pub fn quiet_for(&self, group: impl IntoIterator<Item = &'a FileView>) -> Duration {
        self.with(group).into_iter().map(|part| part.quiet_for).min().unwrap_or(Duration::MAX)
    }
}

/// For how long nothing must come before what should still come is no longer awaited.
#[derive(Clone, Copy)]
pub struct Patience {
    time: Duration,
    /// For how long nothing has.
    passed: Duration,
}

impl Patience {
    /// With what should come although the run is complete, or behind a marker that was there before some of the files.
    pub fn hour(passed: Duration) -> Self {
        Self { time: AWAITS_THE_REST, passed }
    }

    /// With a marker that may be there before some of the files: until it is believed.
    pub(super) fn calm(settle: Duration, passed: Duration) -> Self {
        Self { time: calm(settle), passed }
    }

    /// How long it takes until it is over; `None` once it is.
    pub fn left(&self) -> Option<Duration> {
        self.time.checked_sub(self.passed).filter(|left| !left.is_zero())
    }

    /// The time for which nothing must come, for a person.
    pub fn spoken(&self) -> String {
        match self.time {
            AWAITS_THE_REST => "an hour".to_owned(),
            time => humantime::format_duration(time).to_string(),
        }
    }
}

/// Files that have not settled.
pub struct Unsettled {
    first: String,
    count: usize,
    /// When all of them will have settled if nothing changes.
    pub settles_in: Option<Duration>,
}

impl Unsettled {
    /// Those of some files, if there are any.
    pub fn of<'f>(files: impl Iterator<Item = &'f FileView>) -> Option<Self> {
        let mut unsettled: Option<Self> = None;
        for file in files.filter(|file| !file.settled) {
            let entry = unsettled.get_or_insert_with(|| Self {
                first: path_to_text(&file.below_run),
                count: 0,
                settles_in: Some(Duration::ZERO),
            });
            entry.count += 1;
            entry.settles_in = entry.settles_in.zip(file.settles_in).map(|(a, b)| a.max(b));
        }
        unsettled
    }

    /// That they have not, for a person.
    pub fn reason(&self) -> String {
        match self.count {
            1 => format!("{} has not settled yet", self.first),
            count => format!("{count} files have not settled yet, {} among them", self.first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Condition;
    use super::*;
    use crate::observation::{Moment, Observation};
    use crate::pattern::Pattern;
    use crate::sample::Fingerprint;

    const MOMENT: Moment = Moment { boot: 1, at: Duration::ZERO };

    /// A file that this look found, last written at this time, and as it is for so many seconds.
    fn file(path: &str, look: u64, modified_ns: i64, unchanged_for: u64) -> FileView {
        FileView {
            path: format!("/watch/run/{path}").into(),
            below_run: path.into(),
            observation: Observation {
                fingerprint: Fingerprint { size: 1, modified_ns },
                since: MOMENT,
                look,
                existing: false,
            },
            unchanged_for: Duration::from_secs(unchanged_for),
            settled: true,
            settles_in: None,
        }
    }

    fn view(folder: &str, files: Vec<FileView>, condition: Condition) -> RunView {
        let captures = BTreeMap::new();
        RunView::new("run".into(), folder.into(), captures, files, MOMENT, Duration::ZERO, &condition.into())
    }

    #[test]
    fn a_marker_is_doubted_by_the_look_that_found_a_file_and_within_one_by_when_that_was_written() {
        let marker = || Condition::Marker(Pattern::parse("done").unwrap().into());
        let word = |folder: &str, look, modified_ns, condition| {
            let view = view(folder, vec![file("a.gz", look, modified_ns, 60), file("done", 10, 5, 90)], condition);
            let taken = [&view.files[0]];
            Parts::of(&view, taken).word(taken)
        };
        assert_eq!(word("run", 9, 6, marker()), Word::LateMarker, "what the agent saw itself counts first");
        assert_eq!(word("run", 10, 5, marker()), Word::Marker);
        assert_eq!(word("run", 10, 6, marker()), Word::EarlyMarker);
        assert_eq!(word("run", 11, 4, marker()), Word::WrongMarker);
        assert_eq!(word("run", 11, 4, Condition::Settled), Word::Sure);
        assert_eq!(word("run", 11, 4, Condition::Any(vec![marker(), Condition::Settled])), Word::Sure);
        assert_eq!(word("", 11, 4, marker()), Word::WrongMarker, "in a drop folder, of each sample by itself");
    }

    #[test]
    fn a_marker_that_came_late_is_among_what_came_to_its_part() {
        let marker = Condition::Marker(Pattern::parse("done").unwrap().into());
        let quiet_for = |marker_since| {
            let files = vec![file("a.gz", 9, 1, 60), file("done", 10, 5, marker_since), file("log", 10, 5, 1)];
            let view = view("run", files, marker.clone());
            Parts::of(&view, [&view.files[0]]).quiet_for([&view.files[0]]).as_secs()
        };
        assert_eq!([quiet_for(20), quiet_for(90)], [20, 60]);
    }

    #[test]
    fn a_part_is_quiet_for_as_long_as_the_last_of_its_files() {
        let files = vec![file("a.gz", 1, 1, 60), file("b.gz", 1, 1, 20)];
        let view = view("run", files, Condition::Settled);
        let parts = Parts::of(&view, &view.files);
        assert_eq!(parts.quiet_for([&view.files[0]]), Duration::from_secs(20));
        let patience = Patience::hour(parts.quiet_for([]));
        assert_eq!((patience.left(), patience.spoken()), (Some(Duration::from_secs(3580)), "an hour".to_owned()));
        let calm = |passed| Patience::calm(Duration::from_secs(30), Duration::from_secs(passed));
        assert_eq!((calm(299).left(), calm(300).left()), (Some(Duration::from_secs(1)), None));
        assert_eq!(calm(0).spoken(), "5m");
    }
}
