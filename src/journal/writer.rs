//! The one thread that writes: it gathers what waits, commits it together, and acknowledges it when it is durable. What
//! the receipts are to say of it goes there first.
//!
//! A disk that is full, read-only or failing fails nobody: the writer keeps what it has, says so, and tries again until
//! it is written. Its callers wait meanwhile, so that nothing goes on that is not on record.

use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use super::claims::put_head;
use super::index::Index;
use super::receipts::{Event, Receipts};
use super::store::{Store, Writes};
use super::transaction::Transaction;
use super::trouble::TroubleSign;
use super::{JournalError, UNPOISONED};

/// So many changes share one commit at most.
const GROUP: usize = 256;
/// Room that there must be before a disk is tried again: with less, it would be full again at once.
const ROOM: usize = 256 * 1024;

/// Does its work in a transaction, and hands back what to do when that is durable, or has failed.
type Job = Box<dyn FnOnce(&mut Transaction<'_>) -> Acknowledge + Send>;
type Acknowledge = Box<dyn FnOnce(Result<(), JournalError>) + Send>;

pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    trouble: TroubleSign,
}

/// What the writer works on.
pub(super) struct Desk {
    pub store: Arc<Store>,
    pub receipts: Receipts,
    pub index: Arc<Mutex<Index>>,
    pub changes: watch::Sender<u64>,
    /// Who is logged in to Flow.
    pub account: Arc<Mutex<Option<String>>>,
}

impl Writer {
    pub fn start(mut desk: Desk, trouble: TroubleSign) -> Self {
        let (jobs, waiting) = mpsc::channel();
        let sign = trouble.clone();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || desk.write(&waiting, &sign))
            .expect("the system gives a thread at the start");
        Self { jobs: Some(jobs), thread: Some(thread), trouble }
    }

    /// Does `work` on the writer's thread; returns when what it wrote is durable.
    pub async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let done = work(transaction);
            Box::new(move |committed| {
                // A caller that has gone does not wait for the answer; the record stands all the same.
                let _ = answer.send(committed.and(done));
            })
        });
        let jobs = self.jobs.as_ref().ok_or(JournalError::Closed)?;
        jobs.send(job).map_err(|_| JournalError::Closed)?;
        answered.await.map_err(|_| JournalError::Closed)?
    }
}

impl Drop for Writer {
    /// Waits until all that was handed over is durable. What a disk does not take now is lost, as in a crash: nobody was
    /// told that it is there.
    fn drop(&mut self) {
        self.jobs = None;
        self.trouble.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn write(&mut self, jobs: &mpsc::Receiver<Job>, trouble: &TroubleSign) {
        while let Ok(first) = jobs.recv() {
            let (store, index) = (self.store.clone(), self.index.clone());
            let mut transaction = Transaction::new(&store, &index, Some(trouble));
            let mut acknowledge = vec![first(&mut transaction)];
            while acknowledge.len() < GROUP
                && let Ok(job) = jobs.try_recv()
            {
                acknowledge.push(job(&mut transaction));
            }
            let (writes, events, touched) = transaction.end();
            let has_written = !writes.is_empty();
            let committed = if has_written { self.commit(writes, events, trouble) } else { Ok(()) };
            if committed.is_ok() {
                let mut index = self.index.lock().expect(UNPOISONED);
                touched.into_iter().for_each(|touched| touched.show(&mut index));
            }
            let failure = committed.err().map(|error| error.to_string());
            for acknowledge in acknowledge {
                acknowledge(match &failure {
                    None => Ok(()),
                    Some(reason) => Err(JournalError::Commit { reason: reason.clone() }),
                });
            }
            if has_written {
                self.changes.send_modify(|count| *count += 1);
            }
        }
    }

    /// Makes a commit durable: what the receipts say of it, then the store's part. Waits for a disk that cannot be
    /// written.
    fn commit(&mut self, mut writes: Writes, events: Vec<Event>, trouble: &TroubleSign) -> Result<(), JournalError> {
        let before = self.receipts.head().clone();
        let account = self.account.lock().expect(UNPOISONED).clone();
        let lines = (!events.is_empty()).then(|| self.receipts.lines(events, before.commit, account.as_deref()));
        if let Some(lines) = &lines {
            put_head(&lines.head, &mut writes);
            self.in_the_end(trouble, |desk| desk.receipts.append(lines))?;
        }
        let committed = self.in_the_end(trouble, |desk| desk.store.commit(&writes));
        // Left where it is when the end comes first: the next start puts the store's part after it.
        if let (Err(error), Some(lines)) = (&committed, &lines)
            && !error.is_passing()
        {
            self.receipts.retract(lines, before);
        }
        committed
    }

    /// Does `work`; while the disk is at fault, again and again.
    fn in_the_end(
        &mut self,
        trouble: &TroubleSign,
        mut work: impl FnMut(&mut Self) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let done = work(self);
        trouble.wait_out("written", done, || {
            make_sure_of_room(self.store.dir()).and_then(|()| self.store.reopen()).and_then(|()| work(self))
        })
    }
}

/// Whether there is room on the disk of a folder, by taking it: a store that is opened on a full disk may stay shut.
fn make_sure_of_room(dir: &Path) -> Result<(), JournalError> {
    let room = tempfile::tempfile_in(dir).and_then(|mut file| {
        file.write_all(&vec![0; ROOM])?;
        file.sync_all()
    });
    room.map_err(|source| JournalError::Write { dir: dir.to_owned(), source })
}
