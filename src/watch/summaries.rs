//! MinKNOW's final summaries: which files each of them counts, and whether they are there.
//!
//! Pure. One folder may have the files of several acquisitions, of one flow cell or of many: where MinKNOW pools its
//! data, or a run was begun anew. A summary speaks for its own, as far as the names tell whose they are.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use super::papers::{Told, Whole, lacks};
use super::view::{FileView, Verdict};
use crate::outcome::{Count, FinalSummary, Kind, Origin, is_final_summary};
use crate::sample::path_to_text;

/// The final summaries of a run, by their folders: each speaks for files at and below its own.
#[derive(Default)]
pub(super) struct Summaries<'a>(BTreeMap<&'a Path, Vec<Summary<'a>>>);

struct Summary<'a> {
    file: &'a FileView,
    origin: Origin<'a>,
    counts: &'a [Count],
}

/// Reads in the folder of some summaries, or below it.
struct Reads<'a> {
    path: &'a Path,
    kind: Kind,
    origin: Origin<'a>,
}

/// Summaries whose files the names do not tell from each other, and how many there are of each kind.
#[derive(Default)]
struct Group<'a> {
    lists: Vec<&'a FileView>,
    counts: Vec<Count>,
    there: Vec<Kind>,
}

impl<'a> Summaries<'a> {
    /// Takes in what one says, or that it is there. What is no final summary is left aside.
    pub(super) fn add(&mut self, file: &'a FileView, said: Option<&'a FinalSummary>) {
        let name = name(&file.below_run);
        if said.is_none() && !is_final_summary(name) {
            return;
        }
        let of_lines = said.map(FinalSummary::origin).unwrap_or_default();
        let origin = Origin::of_summary(name).or(of_lines);
        let counts = said.map_or(&[][..], |summary| &summary.counts);
        self.0.entry(folder(file)).or_default().push(Summary { file, origin, counts });
    }

    /// Holds them against what is there: what can be told, and what is missing.
    pub(super) fn compared(mut self, whole: &Whole<'_>) -> Vec<Result<Told, Verdict>> {
        for summary in self.0.values_mut().flatten().filter(|summary| !summary.origin.tells_flow_cell()) {
            let name = name(&summary.file.below_run);
            let mut beside = whole.all().filter_map(Reads::of);
            if let Some(known) = beside.find_map(|one| Origin::of_summary_beside(name, &one.origin)) {
                summary.origin = summary.origin.or(known);
            }
        }
        self.0.iter().flat_map(|(folder, summaries)| self.compared_in(folder, summaries, whole)).collect()
    }

    fn compared_in(&self, folder: &Path, summaries: &[Summary<'a>], whole: &Whole<'_>) -> Vec<Result<Told, Verdict>> {
        let reads: Vec<Reads<'_>> = whole.all().filter(|path| path.starts_with(folder)).filter_map(Reads::of).collect();
        // The number of each one's group; those that one file may be of are one group.
        let mut groups: Vec<usize> = (0..summaries.len()).collect();
        let mut counted = Vec::new();
        let mut unspoken = None;
        for one in &reads {
            let mut may = candidates(summaries, &one.origin);
            let Some(first) = may.next() else {
                if !self.is_of_a_folder_below(folder, one) {
                    unspoken = unspoken.or(Some(one));
                }
                continue;
            };
            for other in may {
                let (from, to) = (groups[other], groups[first]);
                groups.iter_mut().filter(|group| **group == from).for_each(|group| *group = to);
            }
            counted.push((first, one.kind));
        }
        let mut by_number: BTreeMap<usize, Group<'_>> = BTreeMap::new();
        for (summary, group) in summaries.iter().zip(&groups) {
            by_number.entry(*group).or_default().add(summary);
        }
        for (summary, kind) in counted {
            by_number.entry(groups[summary]).or_default().there.push(kind);
        }
        // Its files must not stand in for those that are missing of another, nor be taken before its own end.
        let waits = unspoken.map(|one| {
            let file = name(one.path);
            let reason = format!("waiting for a final_summary of {}, of which {file} is", one.origin);
            Err(Verdict::Waits { reason, in_time: None })
        });
        let has_any = |kind: Kind| reads.iter().any(|one| one.kind == kind);
        let compared: Vec<_> = by_number.values().flat_map(|group| group.compared(whole, has_any)).collect();
        let first = summaries.iter().find(|summary| !summary.counts.is_empty());
        let marker = first.filter(|_| compared.is_empty()).map(|first| Ok(Told::marker(first.file)));
        waits.into_iter().chain(compared).chain(marker).collect()
    }

    /// Whether summaries of a folder below this one may speak for a file.
    fn is_of_a_folder_below(&self, folder: &Path, one: &Reads<'_>) -> bool {
        let above_it = one.path.ancestors().skip(1).take_while(|above| *above != folder);
        above_it.filter_map(|above| self.0.get(above)).any(|own| candidates(own, &one.origin).next().is_some())
    }
}

impl<'a> Reads<'a> {
    fn of(path: &'a Path) -> Option<Self> {
        let name = name(path);
        let kind = Kind::of(name).filter(|_| !name.starts_with('.'))?;
        Some(Self { path, kind, origin: Origin::of_reads(name) })
    }
}

impl<'a> Group<'a> {
    fn add(&mut self, summary: &Summary<'a>) {
        if !summary.counts.is_empty() {
            self.lists.push(summary.file);
        }
        for count in summary.counts {
            match self.counts.iter_mut().find(|sum| sum.kind == count.kind) {
                Some(sum) => {
                    sum.files = sum.files.saturating_add(count.files);
                    sum.in_fallback = sum.in_fallback.saturating_add(count.in_fallback);
                }
                None => self.counts.push(*count),
            }
        }
    }

    /// `has_any` tells whether the folder has files of a kind at all.
    fn compared(&self, whole: &Whole<'_>, has_any: impl Fn(Kind) -> bool) -> Vec<Result<Told, Verdict>> {
        let Some(first) = self.lists.first().map(|first| path_to_text(&first.below_run)) else { return Vec::new() };
        let list = match self.lists.len() {
            1 => first,
            n => format!("{first} and {} more", n - 1),
        };
        let compare = |sum: &Count| {
            let kind = sum.kind.name();
            let there = self.there.iter().filter(|kind| **kind == sum.kind).count();
            let all = usize::try_from(sum.files).unwrap_or(usize::MAX);
            if there >= all {
                return (all > 0).then(|| Ok(Told::said(format!("all {all} {kind} of {list} are there"))));
            }
            if let Some(folder) = whole.papers.unseen.first() {
                let folder = path_to_text(folder);
                return Some(Ok(Told::said(format!("{kind} of {list} are not counted, since {folder} is ignored"))));
            }
            // Whoever keeps none of a kind has no use for it.
            if !has_any(sum.kind) {
                return None;
            }
            let why = match sum.in_fallback {
                0 => String::new(),
                n => format!(" ({n} of them MinKNOW left in its fallback folder on the instrument)"),
            };
            Some(Err(lacks(all - there, all, &format!("{kind} of {list}"), &why)))
        };
        self.counts.iter().filter_map(compare).collect()
    }
}

/// Those of some summaries that may count a file: those of its own acquisition; else, those that do not tell of which
/// they are, or all of them where the file does not.
fn candidates<'s>(summaries: &'s [Summary<'_>], origin: &'s Origin<'_>) -> impl Iterator<Item = usize> + 's {
    let is_known = summaries.iter().any(|summary| summary.origin.is(origin) == Some(true));
    let wanted = is_known.then_some(true);
    summaries.iter().enumerate().filter(move |(_, summary)| summary.origin.is(origin) == wanted).map(|(n, _)| n)
}

/// A file's own name; none where it is no text, which MinKNOW never writes.
fn name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

fn folder(file: &FileView) -> &Path {
    file.below_run.parent().unwrap_or(Path::new(""))
}
