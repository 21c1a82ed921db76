//! Bytes in sled: the keys, the versions of values, and a commit that survives a power cut.
//!
//! sled's `flush` ends in `sync_file_range`, which a power cut undoes (spacejam/sled#1351, #1452); an fsync of its
//! file behind the flush closes the gap. A kill while sled opens can leave a half-written snapshot that bricks the
//! next open (#1527, #1533); such leftovers are removed first. Values over 4 KB would spill into files that sled
//! does not sync, so longer ones are cut into pieces.
//!
//! A damaged sled can open without an error and with less than was written. So every commit has a number, which the
//! store and its [`Mark`] must agree about: a store that lost its end (a file that was cut or spoiled, an older copy) is
//! not believed, whatever the lost commits were about. An upload that went on from an older place would spoil its file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::Bound;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::atomic::AtomicI32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use super::JournalError;
use super::mark::{Mark, beside};

/// Longest value given to sled.
const PIECE: usize = 3 * 1024;
/// How long sled may go on with what it was closed over.
const LONGEST_CLOSE: Duration = Duration::from_secs(2);
/// The number of the last commit, big-endian.
const COMMIT: &[u8] = b"n";

pub(super) struct Store {
    dir: PathBuf,
    /// Held for writing while a batch goes in, so that who reads several pieces or keys never gets half of a batch.
    /// `None` when it could not be opened again.
    open: RwLock<Option<Open>>,
    #[cfg(test)]
    pub faults: Faults,
}

/// The system's errors with which a test has the store fail; 0: none.
#[cfg(test)]
#[derive(Default)]
pub(super) struct Faults {
    /// At every commit.
    pub commit: AtomicI32,
    /// At each value that is read.
    pub get: AtomicI32,
    /// Whenever it is opened again.
    pub reopen: AtomicI32,
}

#[cfg(test)]
impl Faults {
    fn fail(fault: &AtomicI32) -> std::io::Result<()> {
        match fault.load(Ordering::SeqCst) {
            0 => Ok(()),
            code => Err(std::io::Error::from_raw_os_error(code)),
        }
    }
}

struct Open {
    tree: sled::Db,
    /// sled's own data file, for the sync that its flush leaves out.
    file: File,
    /// The number of the last commit.
    commits: AtomicU64,
    mark: Mark,
}

/// A look at the store, during which nothing changes. It must be short, since it holds the writer up.
pub(super) struct Look<'a> {
    store: &'a Store,
    open: RwLockReadGuard<'a, Option<Open>>,
}

/// A key and its value, whole.
type Entry = (Vec<u8>, Vec<u8>);

/// How far one has walked through the keys with a prefix, from look to look.
pub(super) struct Walk {
    prefix: Vec<u8>,
    /// The last piece that was passed.
    passed: Vec<u8>,
}

/// Writes that become durable together.
#[derive(Default)]
pub(super) struct Writes(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Open {
    fn at(dir: &Path) -> Result<Self, JournalError> {
        let error = |source| JournalError::Open { dir: dir.to_owned(), source };
        let of_sled = |source| open_error(dir, source);
        if !dir.exists() {
            make(dir)?;
        }
        remove_half_written_snapshots(dir).map_err(error)?;
        let tree = open_when_free(dir).map_err(of_sled)?;
        tree.flush().map_err(of_sled)?;
        let file = File::open(dir.join("db")).map_err(error)?;
        file.sync_all().map_err(error)?;
        // The names of new files are durable only when their folder is, and its name when its parent is.
        for folder in [Some(dir), dir.parent()].into_iter().flatten() {
            sync_folder(folder).map_err(error)?;
        }
        let mark = Mark::open(dir).map_err(error)?;
        let kept = tree.get(piece_key(COMMIT, 0)).map_err(of_sled)?;
        let kept = kept.and_then(|kept| kept.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes);
        let written = mark.read();
        if kept < written {
            let reason = format!("it ends with write {kept}, and there were {written}");
            return Err(JournalError::Damaged { reason });
        }
        Ok(Self { tree, file, commits: kept.into(), mark })
    }
}

impl Store {
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let open = RwLock::new(Some(Open::at(dir)?));
        Ok(Self {
            dir: dir.to_owned(),
            open,
            #[cfg(test)]
            faults: Faults::default(),
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads all that it holds. sled opens with a spoiled page that it does not need yet, and whoever comes to that page
    /// later would end there, at every start anew.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read_through(&self) -> Result<(), JournalError> {
        for entry in self.look().tree()?.iter() {
            entry.map_err(|e| self.read_error(e))?;
        }
        Ok(())
    }

    /// Closes it and opens it again: after a failed write, sled fails for good. What was flushed is there.
    pub fn reopen(&self) -> Result<(), JournalError> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // It admits one at a time.
        *open = None;
        #[cfg(test)]
        Faults::fail(&self.faults.reopen).map_err(|source| JournalError::Open { dir: self.dir.clone(), source })?;
        *open = Some(Open::at(&self.dir)?);
        Ok(())
    }

    /// Begins a look. No two at once on one thread: the second would wait for a writer that waits for the first.
    pub fn look(&self) -> Look<'_> {
        Look { store: self, open: self.open.read().unwrap_or_else(PoisonError::into_inner) }
    }

    /// The value of `key`, whole.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        #[cfg(test)]
        Faults::fail(&self.faults.get).map_err(|source| JournalError::Read { dir: self.dir.clone(), source })?;
        self.look().get(key)
    }

    /// Makes all of `writes` durable, or none.
    pub fn commit(&self, writes: &Writes) -> Result<(), JournalError> {
        #[cfg(test)]
        Faults::fail(&self.faults.commit).map_err(|source| JournalError::Write { dir: self.dir.clone(), source })?;
        let mut batch = self.batch(writes)?;
        let number = {
            let unseen = self.open.write().unwrap_or_else(PoisonError::into_inner);
            let open = self.opened(&unseen)?;
            let number = open.commits.load(Ordering::Relaxed) + 1;
            batch.insert(piece_key(COMMIT, 0), &number.to_be_bytes());
            open.tree.apply_batch(batch).map_err(|e| self.write_error(e))?;
            number
        };
        let look = self.look();
        let open = self.opened(&look.open)?;
        open.tree.flush().map_err(|e| self.write_error(e))?;
        open.file.sync_all().map_err(|source| JournalError::Write { dir: self.dir.clone(), source })?;
        open.commits.store(number, Ordering::Relaxed);
        // A mark that stays behind claims less than it could, and nothing that is wrong.
        let _ = open.mark.write(number);
        Ok(())
    }

    fn batch(&self, writes: &Writes) -> Result<sled::Batch, JournalError> {
        let look = self.look();
        let mut batch = sled::Batch::default();
        for (key, value) in &writes.0 {
            let count = value.as_ref().map_or(0, |value| value.len() / PIECE + 1);
            if count > usize::from(u16::MAX) {
                let source = std::io::Error::other("a value is too large for its pieces");
                return Err(JournalError::Write { dir: self.dir.clone(), source });
            }
            for n in 0..count {
                let value = value.as_deref().unwrap_or_default();
                let piece = &value[n * PIECE..value.len().min((n + 1) * PIECE)];
                batch.insert(piece_key(key, n as u16), piece);
            }
            // A longer value before left pieces behind this one's end.
            for n in count as u16.. {
                let stale = piece_key(key, n);
                if !look.tree()?.contains_key(&stale).map_err(|e| self.read_error(e))? {
                    break;
                }
                batch.remove(stale);
            }
        }
        Ok(batch)
    }

    fn opened<'a>(&self, open: &'a Option<Open>) -> Result<&'a Open, JournalError> {
        open.as_ref().ok_or_else(|| JournalError::Shut { dir: self.dir.clone() })
    }

    fn read_error(&self, error: sled::Error) -> JournalError {
        match refusal(error) {
            Refusal::Disk(source) => JournalError::Read { dir: self.dir.clone(), source },
            Refusal::Damage(reason) => JournalError::Damaged { reason },
        }
    }

    fn write_error(&self, error: sled::Error) -> JournalError {
        match refusal(error) {
            Refusal::Disk(source) => JournalError::Write { dir: self.dir.clone(), source },
            Refusal::Damage(reason) => JournalError::Damaged { reason },
        }
    }
}

impl Look<'_> {
    fn tree(&self) -> Result<&sled::Db, JournalError> {
        Ok(&self.store.opened(&self.open)?.tree)
    }

    /// The value of `key`, whole.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        let mut whole: Option<Vec<u8>> = None;
        for n in 0.. {
            let piece = self.tree()?.get(piece_key(key, n)).map_err(|e| self.store.read_error(e))?;
            let Some(piece) = piece else { break };
            whole.get_or_insert_default().extend_from_slice(&piece);
            if piece.len() < PIECE {
                break;
            }
        }
        Ok(whole)
    }

    /// The next entry of a walk.
    pub fn next(&self, walk: &mut Walk) -> Result<Option<Entry>, JournalError> {
        let mut next: Option<Entry> = None;
        for piece in self.tree()?.range((Bound::Excluded(walk.passed.clone()), Bound::Unbounded)) {
            let (piece_key, piece) = piece.map_err(|e| self.store.read_error(e))?;
            if !piece_key.starts_with(&walk.prefix) {
                break;
            }
            let key = &piece_key[..piece_key.len() - 2];
            // What was passed may have grown since.
            if next.is_none() && walk.passed.len() == piece_key.len() && walk.passed.starts_with(key) {
                continue;
            }
            match &mut next {
                None => next = Some((key.to_vec(), piece.to_vec())),
                Some((same, value)) if same == key => value.extend_from_slice(&piece),
                Some(_) => break,
            }
            walk.passed = piece_key.to_vec();
        }
        Ok(next)
    }
}

impl Walk {
    /// Through all keys that begin with `prefix`, in order.
    pub fn through(prefix: &[u8]) -> Self {
        // Every key is longer than its prefix, by its piece's number if by nothing else.
        Self { prefix: prefix.to_vec(), passed: prefix.to_vec() }
    }
}

impl Writes {
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, Some(value));
    }

    pub fn remove(&mut self, key: Vec<u8>) {
        self.0.insert(key, None);
    }

    /// What this commit will have made of `key`: `None` when it does not touch it.
    pub fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.0.get(key).map(Option::as_deref)
    }

    pub fn extend(&mut self, other: Writes) {
        self.0.extend(other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes of all values.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.0.values().flatten().map(Vec::len).sum()
    }
}

/// Pieces of a value lie side by side, in order.
fn piece_key(key: &[u8], n: u16) -> Vec<u8> {
    let mut piece = Vec::with_capacity(key.len() + 2);
    piece.extend_from_slice(key);
    piece.extend_from_slice(&n.to_be_bytes());
    piece
}

/// Makes a store with nothing in it, under another name until it is whole: sled writes its settings in two steps, and
/// refuses to open what was killed in between.
fn make(dir: &Path) -> Result<(), JournalError> {
    let draft = beside(dir, ".making");
    let error = |source| JournalError::Open { dir: dir.to_owned(), source };
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(error)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&draft).map_err(error)?;
    open_when_free(&draft).and_then(|empty| empty.flush()).map_err(|source| open_error(dir, source))?;
    for file in ["conf", "db"] {
        File::open(draft.join(file)).and_then(|file| file.sync_all()).map_err(error)?;
    }
    sync_folder(&draft).and_then(|()| fs::rename(&draft, dir)).map_err(error)
}

/// Opens sled. Nobody else has it, says the lock on the state folder; but a task of sled's own can outlive the one who
/// closed it here, by a moment.
fn open_when_free(dir: &Path) -> Result<sled::Db, sled::Error> {
    let asked = Instant::now();
    loop {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(64 * 1024 * 1024)
            // Every commit flushes; a second flusher would only get in its way.
            .flush_every_ms(None);
        match config.open() {
            Err(sled::Error::Io(error)) if is_lock(&error) && asked.elapsed() < LONGEST_CLOSE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

/// Whether sled's file is still open somewhere.
fn is_lock(error: &std::io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn remove_half_written_snapshots(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %entry.path().display(), "removing a snapshot that was never finished");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Why sled did not do what it was told.
enum Refusal {
    /// The system's fault: the files may be whole.
    Disk(std::io::Error),
    /// The files are not what was written.
    Damage(String),
}

/// Why a store could not be opened.
fn open_error(dir: &Path, error: sled::Error) -> JournalError {
    match refusal(error) {
        Refusal::Disk(source) => JournalError::Open { dir: dir.to_owned(), source },
        Refusal::Damage(reason) => JournalError::Damaged { reason },
    }
}

fn refusal(error: sled::Error) -> Refusal {
    let sled::Error::Io(error) = error else { return Refusal::Damage(error.to_string()) };
    let is_damage = match error.kind() {
        // What cannot be understood, or leads beyond the end, comes as an error of reading.
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof | ErrorKind::NotFound => true,
        // sled's own words; a lock that another holds is among them.
        ErrorKind::Other => error.raw_os_error().is_none() && !is_lock(&error),
        _ => false,
    };
    if is_damage { Refusal::Damage(error.to_string()) } else { Refusal::Disk(error) }
}
