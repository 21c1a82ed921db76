//! The words of the domain: what a sample is, from the files on disk that make it to the record that Flow keeps.
//!
//! Every room speaks these words; none of them does I/O. A [`Sample`] is made once, by assembly, and goes
//! unchanged through the journal to the upload.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What kind of thing Flow makes of a group of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A sample, with reads or other named files.
    Sample,
    /// A generic file.
    Data,
    /// Pooled reads with their annotation sheet.
    Multiplexed,
}

/// What tells one sample from another: the watch, the run folder, and the name that the rule renders.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SampleKey {
    pub kind: Kind,
    pub watch: String,
    pub run: String,
    pub name: String,
}

impl SampleKey {
    /// The short name of the sample in commands and reports. It follows from the key alone, so a rebuilt
    /// journal gives every sample the id that it had.
    pub fn id(&self) -> SampleId {
        let mut hash = Sha256::new();
        let kind = match self.kind {
            Kind::Sample => "sample",
            Kind::Data => "data",
            Kind::Multiplexed => "multiplexed",
        };
        for field in [kind, &self.watch, &self.run, &self.name] {
            // The length in front keeps ("ab", "c") apart from ("a", "bc").
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        let encoded = data_encoding::BASE32_DNSCURVE.encode(&hash.finalize());
        SampleId(encoded[..12].to_owned())
    }
}

/// A sample's short id: twelve letters and digits, the same on every host and after every restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SampleId(String);

impl SampleId {
    /// An id as a person types it. There need be no such sample.
    pub fn typed(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file looks like from outside. Two looks that differ mean that the file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since the epoch, as the file system tells it.
    pub modified_ns: i64,
}

impl Fingerprint {
    /// Reads the fingerprint out of a file's metadata.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            size: metadata.size(),
            modified_ns: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        }
    }
}

/// A file on disk, as assembly saw it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// Absolute path.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    pub fingerprint: Fingerprint,
}

/// A file of the sample as Flow knows it: one part, or several concatenated in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// `reads1`, `reads2`, or the name of another key.
    pub key: String,
    /// The name under which Flow stores it.
    pub filename: String,
    /// In the order in which they are concatenated; never empty.
    pub parts: Vec<Part>,
}

impl Slot {
    /// Size of the slot in bytes: the sum of its parts.
    pub fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.fingerprint.size).sum()
    }
}

/// What a metadata field's name ends in that holds the free text beside an attribute.
pub const ANNOTATION_SUFFIX: &str = "__annotation";

/// The slot of a multiplexed set's annotation sheet.
pub const ANNOTATION: &str = "annotation";

/// The watch of what a person uploads by hand, which no folder's watch may be called.
pub const BY_HAND: &str = "by hand";

/// What Flow is told about a sample or a generic file, beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Target {
    Sample {
        name: String,
        sample_type: String,
        organism: Option<String>,
        /// The project's id.
        project: Option<String>,
        /// What the project is called. Without an id, Flow is asked for the one that is called so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_name: Option<String>,
        /// Attribute and value, in the manifest's order.
        metadata: Vec<(String, String)>,
    },
    Data {
        data_type: Option<String>,
        /// Whether Flow unpacks the file: a zip, tar or tar.gz.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_directory: bool,
    },
    /// The first slot is the annotation sheet.
    Multiplexed {
        /// Whether warnings about the sheet are taken down and the reads sent all the same.
        ignore_warnings: bool,
    },
}

/// The unit of work: a group of files that goes to Flow as one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    pub key: SampleKey,
    /// Name of the rule that made it.
    pub rule: String,
    pub target: Target,
    /// In the order in which they are uploaded: `reads1` before `reads2`. Empty where a sheet declares it and no file
    /// is there, so that nothing can be sent.
    pub slots: Vec<Slot>,
    /// The sheets that its values were taken from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sheets: Vec<SheetUsed>,
}

/// A sheet that values were taken from, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SheetUsed {
    /// Absolute path.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Of the whole file, in hexadecimal.
    pub sha256: String,
}

impl Sample {
    pub fn id(&self) -> SampleId {
        self.key.id()
    }

    /// Has it sent to Flow under the name of its key.
    pub fn name_target(&mut self) {
        if let Target::Sample { name, .. } = &mut self.target {
            name.clone_from(&self.key.name);
        }
    }

    /// Bytes of all slots together.
    pub fn size(&self) -> u64 {
        self.slots.iter().map(Slot::size).sum()
    }

    /// Every file of every slot.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.slots.iter().flat_map(|slot| &slot.parts)
    }

    /// The files that belong to this sample alone: one annotation sheet may describe several multiplexed sets.
    pub fn own_parts(&self) -> impl Iterator<Item = &Part> {
        let is_shared = |slot: &&Slot| self.key.kind == Kind::Multiplexed && slot.key == ANNOTATION;
        self.slots.iter().filter(move |slot| !is_shared(slot)).flat_map(|slot| &slot.parts)
    }

    /// Every file with the slot that it belongs to.
    fn placed_parts(&self) -> impl Iterator<Item = (&str, &Part)> {
        self.slots.iter().flat_map(|slot| slot.parts.iter().map(|part| (slot.key.as_str(), part)))
    }

    /// Whether the other sends the same to the same place. A sheet that says the same in other bytes makes no other
    /// sample.
    pub fn is_sent_as(&self, other: &Sample) -> bool {
        let Self { key, rule, target, slots, sheets: _ } = self;
        (key, rule, target, slots) == (&other.key, &other.rule, &other.target, &other.slots)
    }

    /// Whether `found`, the same sample as it lies there now, has a file that this one has not, or that looks
    /// different.
    pub fn differs_on_disk(&self, found: &Sample) -> bool {
        let known: HashSet<_> = self.placed_parts().collect();
        found.placed_parts().any(|part| !known.contains(&part))
    }
}

/// A sample as assembly finds it on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub sample: Sample,
    pub standing: Standing,
    /// Whether all of its files lay there at the watch's first start.
    pub is_existing: bool,
    /// Whether something tells when its run is over, so that a sample that appears after others were sent is late.
    pub in_ending_run: bool,
}

/// What people said of a run that will not end by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// The whole run is taken as it is.
    pub run: bool,
    /// These of its samples, by name, are taken as they are, a missing mate included.
    pub samples: BTreeSet<String>,
}

/// What assembly says of a sample that is not yet on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Whole and settled, and its run is complete.
    Ready,
    /// Likewise, and its rule asks for a person's release; the text says so.
    AwaitsRelease(String),
    Waiting(String),
    Blocked(String),
    Skipped(String),
}

impl Standing {
    /// Whether all that it is made of is there, and believed.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Ready | Self::AwaitsRelease(_))
    }
}

impl Target {
    /// What Flow is told, by the manifest's names: `name`, `type`, `metadata.scientist`. What is not given is not
    /// there.
    pub fn values(&self) -> Vec<(String, String)> {
        let mut values = Vec::new();
        let mut tell = |name: &str, value: Option<&String>| {
            values.extend(value.map(|value| (name.to_owned(), value.clone())));
        };
        match self {
            Self::Sample { name, sample_type, organism, project, project_name, metadata } => {
                tell("name", Some(name));
                tell("type", Some(sample_type));
                tell("organism", organism.as_ref());
                tell("project", project.as_ref());
                tell("project.name", project_name.as_ref());
                for (attribute, value) in metadata {
                    tell(&format!("metadata.{attribute}"), Some(value));
                }
            }
            Self::Data { data_type, is_directory: _ } => tell("data_type", data_type.as_ref()),
            Self::Multiplexed { .. } => {}
        }
        values
    }
}

/// The fields of an upload itself, as Flow's endpoints name them.
const UPLOAD_FIELDS: [&str; 14] = [
    "filename",
    "expected_file_size",
    "is_last",
    "data",
    "blob",
    "is_last_sample",
    "previous_data",
    "sample_name",
    "sample_type",
    "project",
    "organism",
    "data_type",
    "is_directory",
    "ignore_warnings",
];

/// Whether a metadata attribute of this name would be taken for something else: for a field of the upload itself, or,
/// with a quote or a control character, for the end of its own name.
pub fn is_reserved_attribute(name: &str) -> bool {
    UPLOAD_FIELDS.contains(&name) || name.chars().any(|c| c == '"' || c.is_control())
}

/// The longest name, in bytes, that a file system or Flow is known to take.
const LONGEST_NAME: usize = 255;

/// Why a name cannot be made acceptable to Flow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name is empty; make the rule render at least one character")]
    Empty,
    #[error("the name {0:?} stands for a folder; make the rule render another")]
    Folder(String),
    #[error("the name is {0} bytes long, more than {LONGEST_NAME}; make the rule render a shorter one")]
    TooLong(usize),
}

/// Makes a rendered name acceptable to Flow, in the one documented way: every white space, control character,
/// slash, backslash and undecodable byte becomes `_`, one for one.
///
/// Flow refuses spaces in names ("Spaces in filename", endpoint notes); the others would be refused by, or mean
/// something else to, a file system or a header on the way.
///
/// # Errors
/// A name that is empty, `.` or `..`, or too long has no acceptable form.
pub fn acceptable_name(name: &str) -> Result<String, NameError> {
    let name: String = name
        .chars()
        .map(|c| match c {
            c if c.is_whitespace() || c.is_control() => '_',
            '/' | '\\' | char::REPLACEMENT_CHARACTER => '_',
            c => c,
        })
        .collect();
    match name.as_str() {
        "" => Err(NameError::Empty),
        "." | ".." => Err(NameError::Folder(name)),
        _ if name.len() > LONGEST_NAME => Err(NameError::TooLong(name.len())),
        _ => Ok(name),
    }
}

/// A path as printable text that can be read back: Linux allows any byte but `/` and NUL in a name, JSON and
/// logs do not. Control characters, backslashes and bytes that are not UTF-8 are written `\xNN`.
pub fn path_to_text(path: &Path) -> String {
    use fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    let _ = write!(text, "\\x{byte:02x}");
                }
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Reads back what [`path_to_text`] wrote; `None` when the text is not of that form.
pub fn path_from_text(text: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let hex = rest[at..].strip_prefix("\\x")?.get(..2)?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// Serde form of a path: [`path_to_text`] and [`path_from_text`].
pub mod path_text {
    use super::{Path, PathBuf};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::path_to_text(path))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::path_from_text(&text).ok_or_else(|| D::Error::custom("not the text of a path"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn an_id_follows_from_the_key_and_from_nothing_else() {
        let key = |run: &str, name: &str| SampleKey {
            kind: Kind::Sample,
            watch: "miseq".into(),
            run: run.into(),
            name: name.into(),
        };
        assert_eq!(key("r1", "S0").id(), key("r1", "S0").id());
        assert_ne!(key("r1", "S0").id(), key("r1S", "0").id());
        assert_eq!(key("r1", "S0").id().as_str().len(), 12);
    }

    #[test]
    fn names_become_acceptable_in_one_way_or_not_at_all() {
        assert_eq!(acceptable_name("liver 3\n(left)").unwrap(), "liver_3_(left)");
        assert_eq!(acceptable_name("a/b\\c\u{a0}d").unwrap(), "a_b_c_d");
        assert_eq!(acceptable_name("é🧬").unwrap(), "é🧬");
        assert_eq!(acceptable_name(""), Err(NameError::Empty));
        assert_eq!(acceptable_name(".."), Err(NameError::Folder("..".into())));
        assert_eq!(acceptable_name(&"x".repeat(256)), Err(NameError::TooLong(256)));
    }

    #[test]
    fn any_path_survives_its_text() {
        for name in [&b"plain"[..], b"tab\there", b"back\\slash", b"\\x41", b"not utf8 \xff\xfe!", "é\u{85}".as_bytes()]
        {
            let path = Path::new(OsStr::from_bytes(name));
            let text = path_to_text(path);
            assert!(!text.chars().any(char::is_control), "{text:?}");
            assert_eq!(path_from_text(&text).as_deref(), Some(path));
        }
        assert_eq!(path_from_text("broken \\x4"), None);
    }
}
