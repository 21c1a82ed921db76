//! Layouts: what is known of the folders that sequencers and demultiplexers write, one file a vendor.
//!
//! A layout is data: run folders, the reads in them, what says that they are complete, what is nobody's reads, and which
//! folders are never looked into. What a user could write it holds as they would write it, so that everything it sets
//! can be shown ([`Layout::yaml`]) and overridden. No I/O, and no knowledge of who uses it: the config takes the watch's
//! keys from it, the manifest the default of `match`.
//!
//! Facts carry their source where they stand. Those of vendors and of public tools were read on 2026-11-24.

mod drop_folder;
mod element;
mod illumina;
mod ion_torrent;
mod mgi;
mod nanopore;
mod pacbio;
mod singular;
mod ultima;

/// What is known of one kind of run.
#[derive(Debug)]
pub struct Layout {
    pub name: &'static str,
    /// For a list: what writes such folders.
    pub about: &'static str,
    /// Patterns of run folders, in order; none for a drop folder.
    pub run_folder: &'static [&'static str],
    /// Folders that are a run for some of their entries.
    pub run_by_entries: Option<RunByEntries>,
    /// Patterns of reads below the run folder, in order.
    pub reads: &'static [&'static str],
    /// What a rule's values may use: the captured names that the layout promises to keep. Those that `reads` does not
    /// capture are the run folder's.
    pub captures: &'static [&'static str],
    /// The key `complete_when` as YAML, from its second line on.
    pub complete_when: &'static str,
    /// Patterns of the files of a run that tell how many reads it has.
    pub described_by: &'static [&'static str],
    /// Reads that no rule takes unless it names them.
    pub ignored: &'static [Ignored],
    /// Globs of folders, below the watch, that are never listed.
    pub never_listed: &'static [&'static str],
    /// Whether the demultiplexer's sample sheet lies in such a run, and files are named after its samples: it tells which
    /// samples there should be, whether or not a rule asks it for values.
    pub has_sample_sheet: bool,
    /// Whether all reads of a sample lie in one folder, so that files of one name in two folders are two samples: of two
    /// projects, two demultiplexings, two analyses, whether or not that is captured.
    pub keeps_folders_apart: bool,
}

/// Folders that are a run for some of their entries alone, and only where they have one.
#[derive(Debug, Clone, Copy)]
pub struct RunByEntries {
    /// Patterns of such folders, in order.
    pub folder: &'static [&'static str],
    /// Globs of the entries' names.
    pub entries: &'static [&'static str],
}

/// Files that no rule takes unless it names them.
#[derive(Debug, Clone, Copy)]
pub struct Ignored {
    /// Of their paths below the watch, or below the run. It must not fit folders: in a watch's own `ignore` it would
    /// keep them from being listed, and what is in them from being counted.
    pub glob: &'static str,
    /// What of the path a rule must say in so many words; the part of them that is the same however they are written.
    pub word: &'static str,
    /// What they are, for a person.
    pub what: &'static str,
}

/// Indexes, which belong to another file and can be made again.
const INDEXES_OF_FILES: [Ignored; 3] = [
    Ignored { glob: "**/*.pbi", word: ".pbi", what: "an index of a BAM file" },
    Ignored { glob: "**/*.bai", word: ".bai", what: "an index of a BAM file" },
    Ignored { glob: "**/*.crai", word: ".crai", what: "an index of a CRAM file" },
];

const LAYOUTS: [&Layout; 11] = [
    &illumina::ILLUMINA,
    &illumina::BCL_CONVERT,
    &illumina::BCL2FASTQ,
    &nanopore::NANOPORE,
    &pacbio::PACBIO,
    &element::ELEMENT,
    &ultima::ULTIMA,
    &singular::SINGULAR,
    &mgi::MGI,
    &ion_torrent::ION_TORRENT,
    &drop_folder::DROP_FOLDER,
];

/// All layouts, in the order in which they are listed.
pub fn all() -> impl Iterator<Item = &'static Layout> {
    LAYOUTS.into_iter()
}

/// The layout of a name.
pub fn find(name: &str) -> Option<&'static Layout> {
    all().find(|layout| layout.name == name)
}

impl Layout {
    /// The keys that it sets on a watch, as a user would have written them. What a rule without `match` takes stands
    /// behind them in a comment, since that is a key of the manifest.
    pub fn yaml(&self) -> String {
        let ignored = self.ignored.iter().map(|ignored| ignored.glob);
        let mut yaml = format!("# {}: {}\n", self.name, self.about);
        yaml += &list("run_folder", self.run_folder.iter().copied());
        if let Some(RunByEntries { folder, entries }) = self.run_by_entries {
            let keys = list("folder", folder.iter().copied()) + &list("entries", entries.iter().copied());
            let lines = keys.lines().enumerate();
            yaml.extend(lines.map(|(n, line)| format!("  {} {line}\n", if n == 0 { "-" } else { " " })));
        }
        yaml += &list("ignore", ignored.chain(self.never_listed.iter().copied()));
        yaml += &format!("complete_when:\n{}\n", self.complete_when.trim_matches('\n'));
        let default = list("match", self.reads.iter().copied());
        yaml += &format!(
            "# In the manifest, a rule without match has this one, and captures {}:\n",
            self.captures.join(", ")
        );
        yaml + &default.lines().map(|line| format!("#   {line}\n")).collect::<String>()
    }
}

/// A key with a list, unless that is empty.
fn list<'t>(key: &str, items: impl Iterator<Item = &'t str>) -> String {
    let items: String = items.map(|item| format!("  - '{}'\n", item.replace('\'', "''"))).collect();
    if items.is_empty() { items } else { format!("{key}:\n{items}") }
}
