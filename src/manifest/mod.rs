//! The manifest: which files of a run belong together, and what Flow is told about them.
//!
//! YAML goes in, compiled rules come out ([`Manifest::parse`]); a file's path goes in, the rule that takes it comes
//! out ([`Manifest::classify`]); and from what the rule captured it renders the sample's name and its [`Target`].
//! What a watch's layout knows (the default of `match`, reads that nobody wants) comes in as [`Defaults`].
//! The manifest groups nothing and reads nothing but its own file: that is assembly's part.

mod classify;
mod ignored;
mod read;
mod reads;
mod tables;
mod template;
mod trace;

use std::path::Path;
use std::sync::Arc;

use crate::layout::Layout;
use crate::pattern::{Captures, Patterns};
use crate::sample::{self, NameError, Target};
use crate::yaml::{Document, Problems, Spot, nearest};

pub use classify::{Verdict, Where};
use ignored::IgnoredReads;
use reads::Reads;
pub use tables::{Lookup, Missing, SheetRule, Table};
pub use template::Template;
pub use trace::{Outcome, Tried};

/// Captures that order or pair the files of one sample, so that its own values cannot depend on them.
pub const ORDERING: [&str; 4] = ["read", "lane", "part", "sample_number"];

/// Stands in a proposed manifest where only a person can say what belongs there: the type of samples. A wrong one could
/// not be undone.
pub const UNCHOSEN: &str = "CHANGE-ME";

/// The rules, in order.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub rules: Vec<Rule>,
    ignored: IgnoredReads,
    /// To say where a mistake stands that only a watch brings to light.
    document: Arc<Document>,
}

/// What a watch has for its manifest: its layout, whether that layout says which reads nobody wants, and what its rules
/// make of samples without reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults {
    pub layout: Option<&'static Layout>,
    pub ignores: bool,
    pub no_reads: NoReads,
}

impl Defaults {
    fn key(&self) -> (Option<(&'static str, bool)>, NoReads) {
        (self.layout.map(|layout| (layout.name, self.ignores)), self.no_reads)
    }
}

impl PartialEq for Defaults {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Defaults {}

impl Ord for Defaults {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Defaults {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Which files, grouped how, uploaded as what.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    /// Matched against the whole path below the run folder, in order.
    pub pattern: Patterns,
    reads: Reads,
    /// Names that its values and conditions use as if `pattern` captured them, which the run folder's name does.
    from_run: Vec<&'static str>,
    /// What the captured values must look like beside.
    pub conditions: Vec<Where>,
    /// `None`: `auto` in runs, `required` in a drop folder.
    pub paired: Option<Paired>,
    /// Where what people wrote down about its samples is found.
    pub sheet: Option<SheetRule>,
    /// The sheet of the watch's layout, of which it asks nothing, where it has no other.
    tacit_sheet: Option<SheetRule>,
    /// Whether files in two folders are never one sample, as the watch's layout has it of the pattern.
    pub keeps_folders_apart: bool,
    pub lookup: Option<Lookup>,
    pub no_reads: NoReads,
    pub release: Release,
    pub output: Output,
    /// The names that its values take from the run folder, and where.
    run_names: Vec<(String, Spot)>,
    /// Where [`UNCHOSEN`] stands.
    unchosen: Option<Spot>,
}

/// Whether a sample has both reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paired {
    /// Takes what is there once the run is complete.
    Auto,
    /// Waits for both.
    Required,
    /// Takes reads1 alone.
    Never,
}

/// What becomes of a sample whose files hold no reads, or that has none although a sheet declares it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoReads {
    #[default]
    Skip,
    /// Somebody must know.
    Block,
}

/// Who lets go what a rule makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Release {
    /// Nobody need: it is sent as soon as it is whole.
    #[default]
    Auto,
    /// A person, once it is whole.
    Manual,
}

#[derive(Debug, Clone)]
pub enum Output {
    Sample(SampleTemplate),
    /// Every file is one upload of its own.
    Data(DataTemplate),
    /// Pooled reads, put together as those of a sample, and the sheet that says whose they are.
    Multiplexed(MultiplexedTemplate),
}

#[derive(Debug, Clone)]
pub struct SampleTemplate {
    pub name: Template,
    pub sample_type: Template,
    pub organism: Option<Template>,
    pub project: ProjectTemplate,
    /// Attribute and value, in the manifest's order.
    pub metadata: Vec<(String, Template)>,
}

/// A project, by its id, by its name, or by both, which must then agree.
#[derive(Debug, Clone, Default)]
pub struct ProjectTemplate {
    pub id: Option<Template>,
    pub name: Option<Template>,
}

#[derive(Debug, Clone)]
pub struct DataTemplate {
    /// `None`: the file's own name.
    pub filename: Option<Template>,
    pub data_type: Option<Template>,
}

#[derive(Debug, Clone)]
pub struct MultiplexedTemplate {
    /// `None`: what was captured that tells the sets of a run apart.
    pub name: Option<Template>,
    /// The path of the annotation sheet below the run folder.
    pub annotation: Template,
    /// Whether the reads go up although Flow warns about the sheet.
    pub ignore_warnings: bool,
}

/// A run folder, as values speak of it.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The folder's own name; of a drop folder, the watch's.
    pub name: &'a str,
    /// What the watch's `run_folder` captured.
    pub captures: &'a Captures,
}

impl Manifest {
    /// Reads a manifest from its file.
    ///
    /// # Errors
    /// Every mistake in it that can be told at once.
    pub fn load(path: &Path, defaults: Defaults) -> Result<Self, Problems> {
        Self::read(Document::load(path)?, defaults)
    }

    /// Reads a manifest from its document.
    ///
    /// # Errors
    /// Every mistake in it that can be told at once.
    pub fn read(document: Document, defaults: Defaults) -> Result<Self, Problems> {
        read::manifest(document, defaults)
    }

    /// Reads a manifest from a text, for a watch without a layout; `file_name` is what mistakes name.
    ///
    /// # Errors
    /// Every mistake in it that can be told at once.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Problems> {
        Self::read(Document::parse(file_name, text)?, Defaults::default())
    }

    /// Reads a manifest from a text, for a watch of a layout.
    #[cfg(test)]
    pub fn parse_with_layout(text: &str, layout: &str) -> Result<Self, Problems> {
        let defaults = Defaults { layout: crate::layout::find(layout), ignores: true, ..Defaults::default() };
        Self::read(Document::parse("manifest.yaml", text)?, defaults)
    }

    /// The file that it was read from.
    pub fn file(&self) -> &Path {
        self.document.file()
    }

    /// Of the file's content, in hexadecimal.
    pub fn sha256(&self) -> &str {
        self.document.sha256()
    }

    /// The folder that its relative paths are relative to.
    pub fn folder(&self) -> &Path {
        self.document.file().parent().unwrap_or(Path::new(""))
    }

    /// Checks that `{run.name}` is used only with names that the watch's `run_folder` captures.
    pub fn check_run_names(&self, names: &[&str]) -> Problems {
        let used = self.rules.iter().flat_map(|rule| &rule.run_names);
        let unknown = used.filter(|(name, _)| !names.contains(&name.as_str())).map(|(name, spot)| {
            let message = match (nearest(name, names.iter().copied()), names) {
                (_, []) => {
                    format!("{{run.{name}}} is captured by no run_folder of the watch; write {{run}}, or give it one")
                }
                (Some(meant), _) => format!("unknown name {{run.{name}}}; did you mean {{run.{meant}}}?"),
                (None, _) => {
                    format!("unknown name {{run.{name}}}; the watch's run_folder captures {}", names.join(", "))
                }
            };
            (spot.clone(), message)
        });
        self.document.problems_at(unknown.collect())
    }

    /// What a person has still to choose. Nothing may be sent before.
    pub fn unchosen(&self) -> Problems {
        let problem = |rule: &Rule| {
            let message = format!(
                "{UNCHOSEN} stands for the type of the samples of rule {}; write one that Flow has: `flow-ingest list \
                 types` shows them",
                rule.name
            );
            Some((rule.unchosen.clone()?, message))
        };
        self.document.problems_at(self.rules.iter().filter_map(problem).collect())
    }
}

impl Rule {
    /// Whether its pattern captures a name.
    pub fn captures(&self, name: &str) -> bool {
        self.pattern.names().contains(&name)
    }

    /// Whether a second read has a place in what it makes.
    pub fn has_place_for_mates(&self) -> bool {
        self.joins_files() && self.captures("read") && self.reads.have_mates()
    }

    /// Whether files are put together, with their mates, into one thing; else each is an upload of its own.
    pub fn joins_files(&self) -> bool {
        !matches!(self.output, Output::Data(_))
    }

    /// Where below the run folder the annotation sheet of a multiplexed set lies; `None` where it makes no such sets.
    pub fn annotation(&self, run: &Run, captures: &Captures) -> Option<String> {
        match &self.output {
            Output::Multiplexed(multiplexed) => Some(multiplexed.annotation.render(run, captures)),
            Output::Sample(_) | Output::Data(_) => None,
        }
    }

    /// The sample's name, or the name under which a generic file is stored: rendered, and made acceptable to Flow.
    ///
    /// # Errors
    /// A name that has no acceptable form.
    pub fn sample_name(&self, run: &Run, captures: &Captures, file_name: &str) -> Result<String, NameError> {
        sample::acceptable_name(&self.rendered_name(run, captures, file_name))
    }

    /// What Flow is told beside the bytes. The name is the acceptable one where there is one; the other values go as
    /// they are rendered. Metadata for which a sheet has an empty cell is left out, and so is an organism, a project or
    /// a type of data for which nothing was captured.
    pub fn target(&self, run: &Run, captures: &Captures) -> Target {
        let render = |template: &Template| template.render(run, captures);
        let render_if_any = |template: &Option<Template>| template.as_ref().map(render).filter(|text| !text.is_empty());
        match &self.output {
            Output::Sample(sample) => Target::Sample {
                name: self.sample_name(run, captures, "").unwrap_or_else(|_| render(&sample.name)),
                sample_type: render(&sample.sample_type),
                organism: render_if_any(&sample.organism),
                project: render_if_any(&sample.project.id),
                project_name: render_if_any(&sample.project.name),
                metadata: {
                    let told = sample.metadata.iter().filter(|(_, value)| value.lacking(captures).is_none());
                    told.map(|(key, value)| (key.clone(), render(value))).collect()
                },
            },
            Output::Data(data) => Target::Data { data_type: render_if_any(&data.data_type), is_directory: false },
            Output::Multiplexed(multiplexed) => Target::Multiplexed { ignore_warnings: multiplexed.ignore_warnings },
        }
    }

    fn rendered_name(&self, run: &Run, captures: &Captures, file_name: &str) -> String {
        match &self.output {
            Output::Sample(sample) => sample.name.render(run, captures),
            Output::Data(DataTemplate { filename: Some(filename), .. }) => filename.render(run, captures),
            Output::Data(DataTemplate { filename: None, .. }) => file_name.to_owned(),
            Output::Multiplexed(MultiplexedTemplate { name: Some(name), .. }) => name.render(run, captures),
            Output::Multiplexed(MultiplexedTemplate { name: None, .. }) => {
                let telling = self.pattern.names().into_iter().filter(|name| !ORDERING.contains(name));
                let told: Vec<_> = telling.filter_map(|name| captures.get(name)).collect();
                let told: Vec<_> = told.into_iter().filter(|text| !text.is_empty()).map(String::as_str).collect();
                if told.is_empty() { self.name.clone() } else { told.join("_") }
            }
        }
    }
}

/// Two manifests of one text, for watches of the same layout.
impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        let of = |manifest: &Self| (manifest.file().to_owned(), manifest.sha256().to_owned(), manifest.ignored.key());
        of(self) == of(other)
    }
}

impl Eq for Manifest {}

#[cfg(test)]
mod tests;
