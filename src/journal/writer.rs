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

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::claims::{Claim, event_of, put_head, withdrawn};
use super::decision::{RunName, RunOrders};
use super::form::{self, PartHashes, StateValue, encode, run_key, sample_key, state_key};
use super::index::Index;
use super::ownership::{FlowId, flow_ids as flow_ids_of};
use super::receipts::{Event, Receipts};
use super::record::{Circumstances, Record};
use super::renamed::Renaming;
use super::store::{Store, Walk, Writes};
use super::trouble::TroubleSign;
use super::{JournalError, UNPOISONED};
use crate::sample::{Finding, Sample, SampleId, SampleKey, path_to_text};

/// So many changes share one commit at most.
const GROUP: usize = 256;
/// So many files of new output are named.
const NAMED: usize = 3;
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
            let mut transaction = Transaction { trouble: Some(trouble), ..Transaction::new(&store, &index) };
            let mut acknowledge = vec![first(&mut transaction)];
            while acknowledge.len() < GROUP
                && let Ok(job) = jobs.try_recv()
            {
                acknowledge.push(job(&mut transaction));
            }
            let Transaction { writes, touched, events, .. } = transaction;
            let has_written = !writes.is_empty();
            let committed = if has_written { self.commit(writes, events, trouble) } else { Ok(()) };
            if committed.is_ok() {
                let mut index = self.index.lock().expect(UNPOISONED);
                for touched in touched {
                    match touched {
                        Touched::Put(record) => index.put(&record),
                        Touched::Forgot(key) => index.forget(&key),
                        Touched::Ordered(run, orders) => index.put_orders(run, *orders),
                    }
                }
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

/// Changes that become durable together. What one of them wrote, the next one reads.
pub(super) struct Transaction<'a> {
    store: &'a Store,
    index: &'a Mutex<Index>,
    writes: Writes,
    touched: Vec<Touched>,
    /// What the receipts are to say of it.
    events: Vec<Event>,
    /// Where the writer shows its trouble; whoever only looks waits for no disk.
    trouble: Option<&'a TroubleSign>,
}

/// What a finding comes to.
#[derive(Debug)]
pub(super) struct Intake {
    /// The sample that it is of.
    pub id: SampleId,
    /// That one's record, as it was.
    old: Option<Record>,
    /// What it becomes; `None` where there is nothing to put down.
    new: Option<Record>,
    /// Another id under which it was known.
    forgets: Option<SampleId>,
    /// What was found, where its content must be compared with what was sent.
    pub compare: Option<Sample>,
    /// The sample whose upload must come to an end before this can be taken in as it is.
    pub awaits: Option<SampleId>,
}

impl Intake {
    fn nothing(id: SampleId) -> Self {
        Self { id, old: None, new: None, forgets: None, compare: None, awaits: None }
    }

    /// What the sample's record would be.
    pub fn foreseen(self, transaction: &Transaction<'_>) -> Result<Option<Record>, JournalError> {
        match self.new {
            Some(new) => Ok(Some(new)),
            None => transaction.record(&self.id),
        }
    }
}

enum Touched {
    Put(Box<Record>),
    Forgot(SampleKey),
    Ordered(RunName, Box<RunOrders>),
}

impl<'a> Transaction<'a> {
    pub fn new(store: &'a Store, index: &'a Mutex<Index>) -> Self {
        Self { store, index, writes: Writes::default(), touched: Vec::new(), events: Vec::new(), trouble: None }
    }

    pub fn record(&self, id: &SampleId) -> Result<Option<Record>, JournalError> {
        form::read(id, |key| self.get(key))
    }

    /// The value of a key, as this transaction leaves it. Waits for a disk that cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        match self.writes.get(key) {
            Some(written) => Ok(written.map(<[u8]>::to_vec)),
            None => self.in_the_end(|store| store.get(key)),
        }
    }

    /// The keys in the store that begin with `prefix`. Waits for a disk that cannot be read.
    pub fn stored_keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, JournalError> {
        self.in_the_end(|store| {
            let (mut walk, mut keys) = (Walk::through(prefix), Vec::new());
            while let Some((key, _)) = store.look().next(&mut walk)? {
                keys.push(key);
            }
            Ok(keys)
        })
    }

    fn in_the_end<T>(&self, read: impl Fn(&Store) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let done = read(self.store);
        match self.trouble {
            None => done,
            Some(trouble) => trouble.wait_out("read", done, || self.store.reopen().and_then(|()| read(self.store))),
        }
    }

    /// What a finding comes to.
    pub fn take_in(&self, finding: Finding, run_ends: bool) -> Result<Intake, JournalError> {
        let id = finding.sample.id();
        let old = self.record(&id)?;
        if old.is_none() && self.is_afterthought(&finding) {
            return Ok(Intake::nothing(id));
        }
        let Some(owner) = self.owner(&finding.sample)? else { return self.put_in(old, finding, run_ends, true) };
        let owner_id = owner.sample.id();
        // One of a watch that is no more may never have its turn.
        let is_of_watch = owner.sample.key.watch == finding.sample.key.watch;
        let under_way = (is_of_watch && owner.state.is_under_way()).then(|| owner_id.clone());
        match owner.renaming(&finding) {
            Renaming::Itself => {
                let stray = old.filter(Record::is_forgettable).map(|_| id);
                Ok(Intake { forgets: stray, ..self.put_in(Some(owner), finding, run_ends, true)? })
            }
            Renaming::Moves if old.is_none() => {
                let moved = owner.moved(finding.sample.clone());
                let intake = self.put_in(Some(moved), finding, run_ends, true)?;
                Ok(Intake { old: None, forgets: Some(owner_id), ..intake })
            }
            Renaming::Follows if old.as_ref().is_none_or(Record::is_forgettable) => {
                let followed = owner.followed(finding.sample.clone());
                let intake = self.put_in(Some(followed), finding, run_ends, true)?;
                Ok(Intake { old: None, forgets: Some(owner_id), ..intake })
            }
            Renaming::Moves | Renaming::Waits => Ok(Intake { awaits: under_way, ..Intake::nothing(owner_id) }),
            // What is on Flow does not change for files that are another's.
            Renaming::No if old.as_ref().is_some_and(|old| old.state.sent().is_some()) => Ok(Intake::nothing(id)),
            Renaming::Follows | Renaming::No => {
                Ok(Intake { awaits: under_way, ..self.put_in(old, finding, run_ends, false)? })
            }
        }
    }

    /// `is_own`: its files are no other sample's.
    fn put_in(
        &self,
        old: Option<Record>,
        finding: Finding,
        run_ends: bool,
        is_own: bool,
    ) -> Result<Intake, JournalError> {
        // What was declared before its run was sent is not new, however late its files are: a marker may overtake them.
        let is_new = old.is_none() && !finding.sample.slots.is_empty();
        let around = self.around(&finding, run_ends && is_new, is_own)?;
        let is_to_compare = old.as_ref().is_some_and(|old| old.must_be_compared(&finding));
        let compare = is_to_compare.then(|| finding.sample.clone());
        let new = match old.clone() {
            Some(old) => old.assembled(finding, around),
            None => Record::found(finding, around, Timestamp::now()),
        };
        Ok(Intake { id: new.sample.id(), old, new: Some(new), forgets: None, compare, awaits: None })
    }

    /// Another sample that one of these files belongs to. (One that was begun in this very transaction is not seen;
    /// assembly gives each file to one sample.)
    fn owner(&self, sample: &Sample) -> Result<Option<Record>, JournalError> {
        let owner = self.index.lock().expect(UNPOISONED).ownership.owner(sample);
        owner.map_or(Ok(None), |owner| self.record(&owner))
    }

    /// Whether a sample that was not known before is nothing but declared by a sheet, in a run of which something was sent.
    /// Then its files may have been sent under another name and cleared away, and nothing is said of it.
    fn is_afterthought(&self, finding: &Finding) -> bool {
        let run = RunName::of(&finding.sample.key);
        let delivered = || self.index.lock().expect(UNPOISONED).delivered(&run);
        finding.sample.slots.is_empty() && delivered() > 0
    }

    /// What stands around a sample that assembly found. `is_late` asks whether something of its run was sent before it.
    fn around(&self, finding: &Finding, is_late: bool, is_own: bool) -> Result<Circumstances, JournalError> {
        let run = RunName::of(&finding.sample.key);
        let (orders, delivered) = {
            let index = self.index.lock().expect(UNPOISONED);
            (index.orders(&run), index.delivered(&run))
        };
        // A rule that was renamed, or names its samples anew, does not send again what is on Flow, and does not send what
        // a person keeps back.
        let owner = if is_own { None } else { self.owner(&finding.sample)? };
        let owner = owner.map(|owner| owner.is_why_its_files_are_not_sent());
        let delivered = (is_late && delivered > 0 && !orders.is_made_anew).then(|| {
            let files: Vec<_> = finding.sample.parts().take(NAMED).map(|part| path_to_text(&part.path)).collect();
            let samples = if delivered == 1 { "sample" } else { "samples" };
            format!(
                "it is new in a run of which {delivered} {samples} had been sent before ({}{}); look at it, then: \
                 flow-ingest release or skip",
                files.join(", "),
                if finding.sample.parts().count() > NAMED { ", …" } else { "" }
            )
        });
        Ok(Circumstances { owner, of_run: orders.state(), delivered })
    }

    /// Puts down what a person said of a run as a whole, for what is yet to come of it.
    pub fn put_orders(&mut self, run: RunName, orders: RunOrders) {
        self.events.push(Event::Orders { run: run.clone(), orders: orders.clone() });
        self.keep_orders(run, orders);
    }

    fn keep_orders(&mut self, run: RunName, orders: RunOrders) {
        self.writes.put(run_key(&run), encode(&orders));
        self.touched.push(Touched::Ordered(run, Box::new(orders)));
    }

    /// Takes down that the run of these findings has been looked at since the journal was made anew. No receipt tells of
    /// it: what was found is in none either, and a store that lacks the one must lack the other.
    pub fn looked_at(&mut self, finding: &Finding) {
        let run = RunName::of(&finding.sample.key);
        let orders = self.orders(&run);
        if orders.is_made_anew {
            self.keep_orders(run, RunOrders { is_made_anew: false, ..orders });
        }
    }

    /// What people said of a run before this transaction.
    pub fn orders(&self, run: &RunName) -> RunOrders {
        self.index.lock().expect(UNPOISONED).orders(run)
    }

    /// Another sample that one of these things on Flow was made for, one that took it in this very transaction included.
    pub fn binder(&self, flow_ids: &[FlowId], of: &SampleId) -> Option<SampleId> {
        let touched = self.touched.iter().filter_map(|touched| match touched {
            Touched::Put(record) => Some(record),
            Touched::Forgot(_) | Touched::Ordered(..) => None,
        });
        let binds = |record: &Record| flow_ids_of(record).iter().any(|id| flow_ids.contains(id));
        let now = touched.filter(|record| binds(record)).map(|record| record.sample.id());
        let index = self.index.lock().expect(UNPOISONED);
        now.chain(flow_ids.iter().filter_map(|id| index.ownership.bound(id))).find(|binder| binder != of)
    }

    /// Whether there is something under this key.
    pub fn has(&self, key: &[u8]) -> Result<bool, JournalError> {
        Ok(self.get(key)?.is_some())
    }

    pub fn put(&mut self, old: Option<&Record>, new: Record) {
        let id = new.sample.id();
        if old.is_none_or(|old| old.sample != new.sample) {
            self.writes.put(sample_key(&id), encode(&new.sample));
        }
        self.writes.put(state_key(&id), encode(&StateValue::of(&new)));
        let hashes = PartHashes::of(&new);
        if old.map(PartHashes::of).unwrap_or_default() != hashes {
            hashes.write(&id, &mut self.writes);
        }
        self.events.extend(event_of(old, &new));
        self.touched.push(Touched::Put(Box::new(new)));
    }

    /// Puts down what a finding came to; gives the record that changed.
    pub fn put_down(&mut self, intake: Intake) -> Result<Option<Record>, JournalError> {
        let Intake { old, new, forgets, .. } = intake;
        if let Some(forgotten) = forgets
            && let Some(record) = self.record(&forgotten)?
        {
            self.forget(&record);
        }
        let Some(new) = new.filter(|new| old.as_ref() != Some(new)) else { return Ok(None) };
        self.put(old.as_ref(), new.clone());
        Ok(Some(new))
    }

    /// Forgets a sample whose files are called otherwise now, or that never had any.
    pub fn forget(&mut self, record: &Record) {
        let id = record.sample.id();
        if Claim::of(record).is_some() {
            self.events.push(withdrawn(id.clone(), "known by another name"));
        }
        form::remove(&id, &mut self.writes);
        self.touched.push(Touched::Forgot(record.sample.key.clone()));
    }

    /// Bytes of all values that it would write.
    #[cfg(test)]
    pub fn written(&self) -> usize {
        self.writes.bytes()
    }

    pub fn write(&mut self, writes: Writes) {
        self.writes.extend(writes);
    }

    /// Has the receipts say this, too.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }
}
