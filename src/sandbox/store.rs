//! What was uploaded: an index in memory, and the files on disk.
//!
//! A file lies in a folder of the sandbox's own while it is under way, and moves when it is done: a generic file to
//! `data/<id>/<filename>`, a sample's files to `samples/<sample name>/<filename>` when the sample is made. A second
//! sample of one name goes to `samples/<name>~2`, so that a double catches the eye. The index decides nothing: the
//! rules of a chunk are in [`chunk`](super::chunk), those of a field in [`uploading`](super::uploading).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tempfile::TempDir;

use super::catalogue::{FOREIGN_DATA_ID, FOREIGN_FILENAME};

/// The first id that is given out: too large for a double, as the platform's are ([C]).
const FIRST_ID: u64 = 700_000_000_000_000_001;

/// How a file came, which says what it can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Sample,
    Multiplexed,
    Annotation,
}

/// A file's record.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) filename: String,
    pub(super) data_type: Option<String>,
    pub(super) is_directory: bool,
    /// The size that the rules of a chunk are held against. It may lag behind the bytes on disk.
    pub(super) recorded: u64,
    pub(super) ready: bool,
    pub(super) path: PathBuf,
    /// The first sample that it became part of.
    pub(super) sample: Option<u64>,
    pub(super) created: Timestamp,
    pub(super) ours: bool,
}

/// What a sample is made of, beside its files.
#[derive(Debug, Clone)]
pub(super) struct SampleSpec {
    pub(super) name: String,
    pub(super) sample_type: String,
    pub(super) project: Option<String>,
    pub(super) organism: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// A sample's record.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) id: u64,
    pub(super) spec: SampleSpec,
    pub(super) created: Timestamp,
    /// File ids and where this sample's copy lies.
    pub(super) files: Vec<(u64, PathBuf)>,
}

/// A sample on the sandbox, for tests to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSample {
    pub id: String,
    pub name: String,
    pub sample_type: String,
    /// The project's id.
    pub project: Option<String>,
    /// The organism's id.
    pub organism: Option<String>,
    /// As it was sent, annotations (`<identifier>__annotation`) included.
    pub metadata: BTreeMap<String, String>,
    /// In the order of upload: reads1 before reads2.
    pub files: Vec<StoredFile>,
}

/// A file on the sandbox, for tests to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    pub id: String,
    pub filename: String,
    /// Where its bytes lie now.
    pub path: PathBuf,
    /// In bytes, as the sandbox tells its clients. The truth lies at `path`.
    pub size: u64,
    pub data_type: Option<String>,
    pub is_directory: bool,
}

/// The index and the folders.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    /// Files under way, one folder each; and request bodies while they come in.
    incoming: TempDir,
    index: Mutex<Index>,
}

#[derive(Debug)]
struct Index {
    next_id: u64,
    files: BTreeMap<u64, File>,
    samples: BTreeMap<u64, Sample>,
}

impl Store {
    /// Makes the folders where they are missing. What an earlier sandbox left stays, and is not known to this one.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir.join("samples"))?;
        fs::create_dir_all(dir.join("data"))?;
        let incoming = tempfile::Builder::new().prefix(".incoming-").tempdir_in(dir)?;
        let mut next_id = FIRST_ID;
        for entry in fs::read_dir(dir.join("data"))? {
            if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()) {
                next_id = next_id.max(id + 1);
            }
        }
        let foreign = foreign_file(incoming.path())?;
        let index = Index { next_id, files: BTreeMap::from([(foreign.id, foreign)]), samples: BTreeMap::new() };
        Ok(Self { dir: dir.to_owned(), incoming, index: Mutex::new(index) })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where request bodies are kept while they come in.
    pub(super) fn spool_dir(&self) -> &Path {
        self.incoming.path()
    }

    /// An id that nothing else has.
    pub(super) fn new_id(&self) -> u64 {
        self.index().new_id()
    }

    /// A record of a file that is not ready, and an empty file.
    pub(super) fn begin(
        &self,
        kind: Kind,
        filename: &str,
        data_type: Option<&str>,
        is_directory: bool,
    ) -> io::Result<u64> {
        let id = self.new_id();
        let folder = self.incoming.path().join(id.to_string());
        fs::create_dir(&folder)?;
        let path = folder.join(filename);
        fs::File::create_new(&path)?;
        let file = File {
            id,
            kind,
            filename: filename.to_owned(),
            data_type: data_type.map(str::to_owned),
            is_directory,
            recorded: 0,
            ready: false,
            path,
            sample: None,
            created: Timestamp::now(),
            ours: true,
        };
        self.index().files.insert(id, file);
        Ok(id)
    }

    /// The record of one of the account's files, ready or not.
    pub(super) fn file(&self, id: u64) -> Option<File> {
        self.index().files.get(&id).filter(|file| file.ours).cloned()
    }

    /// Records the size.
    pub(super) fn record(&self, id: u64, size: u64) {
        if let Some(file) = self.index().files.get_mut(&id) {
            file.recorded = size;
        }
    }

    /// Makes a file ready, and moves it where it belongs; a sample's file waits for its sample.
    pub(super) fn make_ready(&self, id: u64) -> io::Result<()> {
        let mut index = self.index();
        let Some(file) = index.files.get_mut(&id) else { return Ok(()) };
        if !file.ready && file.kind != Kind::Sample {
            let folder = self.dir.join("data").join(id.to_string());
            fs::create_dir_all(&folder)?;
            let path = folder.join(&file.filename);
            fs::rename(&file.path, &path)?;
            file.path = path;
        }
        file.ready = true;
        Ok(())
    }

    /// Makes a sample of these files, in this order. A file that is part of a sample already is part of both.
    pub(super) fn create_sample(&self, spec: SampleSpec, files: &[u64]) -> io::Result<u64> {
        let mut index = self.index();
        let id = index.new_id();
        let folder = self.new_folder(&spec.name)?;
        let mut placed = Vec::new();
        for file in files {
            let Some(file) = index.files.get_mut(file) else { continue };
            let path = free_name(&folder, &file.filename);
            if file.sample.is_some() || file.kind != Kind::Sample {
                fs::hard_link(&file.path, &path).or_else(|_| fs::copy(&file.path, &path).map(|_| ()))?;
            } else {
                fs::rename(&file.path, &path)?;
                file.path.clone_from(&path);
            }
            file.sample.get_or_insert(id);
            placed.push((file.id, path));
        }
        index.samples.insert(id, Sample { id, spec, created: Timestamp::now(), files: placed });
        Ok(id)
    }

    /// A folder for a sample of this name that is not there yet.
    fn new_folder(&self, name: &str) -> io::Result<PathBuf> {
        let folder = free_name(&self.dir.join("samples"), &as_file_name(name));
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// The record of a sample.
    pub(super) fn sample(&self, id: u64) -> Option<Sample> {
        self.index().samples.get(&id).cloned()
    }

    /// Every sample's record, newest first.
    pub(super) fn newest_samples(&self) -> Vec<Sample> {
        self.index().samples.values().rev().cloned().collect()
    }

    /// The account's ready files, newest first.
    pub(super) fn newest_files(&self) -> Vec<File> {
        self.index().files.values().rev().filter(|file| file.ours && file.ready).cloned().collect()
    }

    pub(super) fn samples(&self) -> Vec<StoredSample> {
        let index = self.index();
        let view = |sample: &Sample| StoredSample {
            id: sample.id.to_string(),
            name: sample.spec.name.clone(),
            sample_type: sample.spec.sample_type.clone(),
            project: sample.spec.project.clone(),
            organism: sample.spec.organism.clone(),
            metadata: sample.spec.metadata.clone(),
            files: sample
                .files
                .iter()
                .filter_map(|(id, path)| Some(StoredFile { path: path.clone(), ..index.files.get(id)?.view() }))
                .collect(),
        };
        index.samples.values().map(view).collect()
    }

    pub(super) fn ready_files(&self, kind: Kind) -> Vec<StoredFile> {
        self.views(|file| file.ready && file.kind == kind)
    }

    pub(super) fn unfinished(&self) -> Vec<StoredFile> {
        self.views(|file| !file.ready)
    }

    fn views(&self, which: impl Fn(&File) -> bool) -> Vec<StoredFile> {
        self.index().files.values().filter(|file| file.ours && which(file)).map(File::view).collect()
    }
}

impl Index {
    fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}

impl File {
    fn view(&self) -> StoredFile {
        StoredFile {
            id: self.id.to_string(),
            filename: self.filename.clone(),
            path: self.path.clone(),
            size: self.recorded,
            data_type: self.data_type.clone(),
            is_directory: self.is_directory,
        }
    }
}

/// The file that another account owns.
fn foreign_file(incoming: &Path) -> io::Result<File> {
    let path = incoming.join(FOREIGN_FILENAME);
    let content = b"not yours\n";
    fs::write(&path, content)?;
    Ok(File {
        id: FOREIGN_DATA_ID.parse().expect("the constant is a number"),
        kind: Kind::Sample,
        filename: FOREIGN_FILENAME.to_owned(),
        data_type: None,
        is_directory: false,
        recorded: content.len() as u64,
        ready: true,
        path,
        sample: None,
        created: Timestamp::now(),
        ours: false,
    })
}

/// `name` in `folder`, or `name~2`, `name~3`… when it is taken.
fn free_name(folder: &Path, name: &str) -> PathBuf {
    let numbered = (2u32..).map(|number| folder.join(format!("{name}~{number}")));
    std::iter::once(folder.join(name))
        .chain(numbered)
        .find(|path| !path.exists())
        .expect("a folder has fewer than four billion entries of one name")
}

/// A sample's name as one folder's name: what would lead elsewhere is written as `%XX`.
fn as_file_name(name: &str) -> String {
    let escaped = name.replace('%', "%25").replace('/', "%2F").replace('\0', "%00");
    match escaped.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => escaped,
    }
}
