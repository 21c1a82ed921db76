//! What the sandbox knows of biology: sample types, metadata attributes, organisms, projects, data types.
//!
//! Fixed, and small enough to read, with at least one of each kind that a client has to tell apart: an attribute
//! that one type alone requires, one closed to its options, one with more options than a list shows, one that takes
//! terms of the user's own, one with an annotation, one with a pattern, one that is a list.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::answer::Refusal;

/// The account's id and the name people know it by.
pub(super) const ACCOUNT_ID: u64 = 700_000_000_000_000_000;
pub(super) const ACCOUNT_NAME: &str = "Sandbox User";

/// A ready, private file of another account. It cannot be read, downloaded, continued, or made part of a sample.
pub const FOREIGN_DATA_ID: &str = "699999999999999999";
/// The name of [`FOREIGN_DATA_ID`].
pub const FOREIGN_FILENAME: &str = "someone_elses.fastq.gz";

/// The companion field that an attribute's annotation travels in ([C]).
const ANNOTATION_SUFFIX: &str = "__annotation";

/// A kind of sample.
pub(super) struct SampleType {
    pub(super) identifier: &'static str,
    name: &'static str,
    description: &'static str,
}

pub(super) const SAMPLE_TYPES: &[SampleType] = &[
    SampleType { identifier: "RNA-Seq", name: "RNA-Seq", description: "Sequencing of RNA, as cDNA" },
    SampleType { identifier: "ChIP-Seq", name: "ChIP-Seq", description: "DNA bound by a protein of interest" },
    SampleType { identifier: "CLIP", name: "CLIP", description: "RNA crosslinked to a protein of interest" },
    SampleType { identifier: "ATAC-Seq", name: "ATAC-Seq", description: "Accessible chromatin" },
    SampleType { identifier: "Whole-genome", name: "Whole genome", description: "Sequencing of a whole genome" },
    SampleType { identifier: "Proteomics", name: "Proteomics", description: "Mass spectrometry; not sequencing" },
];

/// A species that samples come from.
pub(super) struct Organism {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    latin_name: &'static str,
}

pub(super) const ORGANISMS: &[Organism] = &[
    Organism { id: "Hs", name: "Human", latin_name: "Homo sapiens" },
    Organism { id: "Mm", name: "Mouse", latin_name: "Mus musculus" },
    Organism { id: "Dm", name: "Fruit fly", latin_name: "Drosophila melanogaster" },
    Organism { id: "Sc", name: "Yeast", latin_name: "Saccharomyces cerevisiae" },
];

/// A project of the account.
pub(super) struct Project {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    description: &'static str,
}

pub(super) const PROJECTS: &[Project] = &[
    Project { id: "788995297969977723", name: "Sequencing core", description: "Where the facility's samples go" },
    Project { id: "788995297969977724", name: "RNA atlas", description: "Expression across tissues" },
    Project { id: "788995297969977725", name: "Binding sites", description: "CLIP and ChIP of RNA-binding proteins" },
    Project { id: "788995297969977726", name: "Genomes", description: "Whole genomes" },
    Project { id: "788995297969977727", name: "Pilot", description: "First tries" },
];

/// A kind of generic file.
pub(super) struct DataType {
    pub(super) identifier: &'static str,
    name: &'static str,
    description: &'static str,
}

pub(super) const DATA_TYPES: &[DataType] = &[
    DataType { identifier: "fastq", name: "FASTQ", description: "Reads" },
    DataType { identifier: "bam", name: "BAM", description: "Aligned reads" },
    DataType { identifier: "counts", name: "Counts", description: "A table of counts" },
    DataType { identifier: "report", name: "Report", description: "A report for people" },
    DataType { identifier: "genome", name: "Genome", description: "A reference sequence" },
];

/// Something that is said about a sample.
pub(super) struct Attribute {
    pub(super) identifier: &'static str,
    name: &'static str,
    description: &'static str,
    /// Required of every sample.
    required: bool,
    required_for_public: bool,
    /// The sample types it belongs to; empty: all.
    sample_types: &'static [&'static str],
    /// The sample types that require it.
    required_for: &'static [&'static str],
    options: Options,
    allow_user_terms: bool,
    allow_annotation: bool,
    regex: Option<&'static str>,
    is_list: bool,
}

/// Where an attribute's options come from.
enum Options {
    None,
    Listed(&'static [&'static str]),
    /// So many options that a list of them is cut: a prefix and numbers from 1.
    Numbered(&'static str, usize),
}

pub(super) const ATTRIBUTES: &[Attribute] = &[
    Attribute {
        identifier: "strandedness",
        name: "Strandedness",
        description: "Which strand the reads come from",
        sample_types: &["RNA-Seq", "CLIP"],
        options: Options::Listed(&["forward", "reverse", "unstranded"]),
        ..EMPTY
    },
    Attribute {
        identifier: "purification_target",
        name: "Purification target",
        description: "The protein that was purified",
        sample_types: &["CLIP", "ChIP-Seq"],
        required_for: &["CLIP"],
        options: Options::Listed(&["FUS", "PTBP1", "TARDBP", "U2AF2"]),
        allow_user_terms: true,
        allow_annotation: true,
        ..EMPTY
    },
    Attribute {
        identifier: "cell_line",
        name: "Cell line",
        description: "The cell line, from a list longer than a page",
        options: Options::Numbered("CL", 240),
        ..EMPTY
    },
    Attribute {
        identifier: "source",
        name: "Source",
        description: "The cell or tissue",
        options: Options::Listed(&["Brain", "HEK293", "HeLa", "Liver"]),
        allow_user_terms: true,
        allow_annotation: true,
        required_for_public: true,
        ..EMPTY
    },
    Attribute {
        identifier: "five_prime_barcode",
        name: "5' barcode",
        description: "The barcode at the reads' start",
        regex: Some("^[ACGTN]+$"),
        ..EMPTY
    },
    Attribute {
        identifier: "keywords",
        name: "Keywords",
        description: "Any number of words, separated by commas",
        is_list: true,
        ..EMPTY
    },
    Attribute { identifier: "scientist", name: "Scientist", description: "Who made the library", ..EMPTY },
    Attribute { identifier: "pi", name: "PI", description: "Whose laboratory it is", ..EMPTY },
    Attribute { identifier: "comments", name: "Comments", description: "Anything else", ..EMPTY },
];

/// What an attribute is unless it says otherwise.
const EMPTY: Attribute = Attribute {
    identifier: "",
    name: "",
    description: "",
    required: false,
    required_for_public: false,
    sample_types: &[],
    required_for: &[],
    options: Options::None,
    allow_user_terms: false,
    allow_annotation: false,
    regex: None,
    is_list: false,
};

impl Attribute {
    /// Its options, in the order of the list.
    pub(super) fn options(&self) -> Vec<String> {
        match self.options {
            Options::None => Vec::new(),
            Options::Listed(options) => options.iter().map(|option| (*option).to_owned()).collect(),
            Options::Numbered(prefix, count) => (1..=count).map(|number| format!("{prefix}-{number:04}")).collect(),
        }
    }

    fn has_options(&self) -> bool {
        !matches!(self.options, Options::None)
    }

    fn required_of(&self, sample_type: &str) -> bool {
        self.required || self.required_for.contains(&sample_type)
    }

    /// Whether the value is one that the attribute takes.
    fn check(&self, value: &str) -> Result<(), String> {
        let items: Vec<&str> = if self.is_list { value.split(',').map(str::trim).collect() } else { vec![value] };
        for item in items {
            if self.has_options() && !self.allow_user_terms && !self.options().iter().any(|option| option == item) {
                return Err(format!("'{item}' is not a valid option for {}", self.identifier));
            }
            if self.regex.is_some() && !self.pattern().is_some_and(|pattern| pattern.is_match(item)) {
                return Err(format!("'{item}' does not match {}", self.regex.unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn pattern(&self) -> Option<&'static Regex> {
        static PATTERNS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
            let patterns = ATTRIBUTES.iter().filter_map(|attribute| attribute.regex);
            patterns.map(|text| (text, Regex::new(text).expect("the catalogue's patterns are valid"))).collect()
        });
        PATTERNS.iter().find(|(text, _)| Some(*text) == self.regex).map(|(_, pattern)| pattern)
    }

    fn describe(&self) -> Value {
        let links: Vec<Value> = SAMPLE_TYPES
            .iter()
            .filter(|kind| self.sample_types.contains(&kind.identifier))
            .map(|kind| {
                let required = self.required_for.contains(&kind.identifier);
                json!({"sample_type_identifier": kind.identifier, "required": required})
            })
            .collect();
        json!({
            "identifier": self.identifier, "name": self.name, "description": self.description,
            "required": self.required, "required_for_public": self.required_for_public,
            "all_sample_types": self.sample_types.is_empty(), "sample_type_links": links,
            "has_options": self.has_options(), "allow_user_terms": self.allow_user_terms,
            "allow_annotation": self.allow_annotation, "regex_validator": self.regex, "is_list": self.is_list,
        })
    }
}

pub(super) fn attribute(identifier: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|attribute| attribute.identifier == identifier)
}

pub(super) fn organism(id: &str) -> Option<&'static Organism> {
    ORGANISMS.iter().find(|organism| organism.id == id)
}

pub(super) fn project(id: &str) -> Option<&'static Project> {
    PROJECTS.iter().find(|project| project.id == id)
}

/// Whether a sample of this type may say this about itself. An unknown type is refused first.
///
/// # Errors
/// Names the first field that is at fault: the type, an attribute that is unknown, closed to its options or held to
/// a pattern, or one that is required and missing.
pub(super) fn check_sample(sample_type: &str, metadata: &[(&str, &str)]) -> Result<(), Refusal> {
    if !SAMPLE_TYPES.iter().any(|kind| kind.identifier == sample_type) {
        return Err(Refusal::field("sample_type", format!("'{sample_type}' is not a valid sample type")));
    }
    for (index, (field, value)) in metadata.iter().enumerate() {
        if metadata[..index].iter().any(|(earlier, _)| earlier == field) {
            return Err(Refusal::field(*field, "This field was given more than once."));
        }
        if let Some(attribute) = attribute(field) {
            if !value.is_empty() {
                attribute.check(value).map_err(|message| Refusal::field(*field, message))?;
            }
        } else {
            let annotated = field.strip_suffix(ANNOTATION_SUFFIX).and_then(attribute);
            if !annotated.is_some_and(|attribute| attribute.allow_annotation) {
                return Err(Refusal::field(*field, "Unknown field."));
            }
        }
    }
    let given = |identifier| metadata.iter().any(|(field, value)| *field == identifier && !value.is_empty());
    match ATTRIBUTES.iter().find(|attribute| attribute.required_of(sample_type) && !given(attribute.identifier)) {
        Some(missing) => Err(Refusal::field(missing.identifier, "This field is required.")),
        None => Ok(()),
    }
}

/// `GET /samples/types`.
pub(super) fn sample_types() -> Value {
    let describe =
        |kind: &SampleType| json!({"identifier": kind.identifier, "name": kind.name, "description": kind.description});
    SAMPLE_TYPES.iter().map(describe).collect()
}

/// `GET /samples/metadata`.
pub(super) fn attributes() -> Value {
    ATTRIBUTES.iter().map(Attribute::describe).collect()
}

/// `GET /organisms`.
pub(super) fn organisms() -> Value {
    ORGANISMS.iter().map(|o| json!({"id": o.id, "name": o.name, "latin_name": o.latin_name})).collect()
}

/// `GET /projects/owned`.
pub(super) fn projects() -> Vec<Value> {
    PROJECTS.iter().map(|p| json!({"id": p.id, "name": p.name, "description": p.description})).collect()
}

/// `GET /data/types`.
pub(super) fn data_types() -> Value {
    let describe =
        |kind: &DataType| json!({"identifier": kind.identifier, "name": kind.name, "description": kind.description});
    DATA_TYPES.iter().map(describe).collect()
}
