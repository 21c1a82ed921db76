//! What becomes of what assembly finds: which sample it is, and what stands around it in the journal.

use jiff::Timestamp;

use super::JournalError;
use super::decision::RunName;
use super::record::Record;
use super::renamed::Renaming;
use super::state::Circumstances;
use super::transaction::Transaction;
use crate::sample::{Finding, Sample, SampleId, path_to_text};

/// So many files of new output are named.
const NAMED: usize = 3;

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

impl Transaction<'_> {
    /// What a finding comes to.
    pub fn take_in(&self, finding: Finding) -> Result<Intake, JournalError> {
        let id = finding.sample.id();
        let old = self.record(&id)?;
        if old.is_none() && self.is_afterthought(&finding) {
            return Ok(Intake::nothing(id));
        }
        let Some(owner) = self.owner(&finding.sample)? else { return Ok(self.put_in(old, finding, None)) };
        let owner_id = owner.sample.id();
        // One of a watch that is no more may never have its turn.
        let is_of_watch = owner.sample.key.watch == finding.sample.key.watch;
        let under_way = (is_of_watch && owner.state.is_under_way()).then(|| owner_id.clone());
        match owner.renaming(&finding) {
            Renaming::Itself => {
                let stray = old.filter(Record::is_forgettable).map(|_| id);
                Ok(Intake { forgets: stray, ..self.put_in(Some(owner), finding, None) })
            }
            Renaming::Moves if old.is_none() => {
                let moved = owner.moved(finding.sample.clone());
                let intake = self.put_in(Some(moved), finding, None);
                Ok(Intake { old: None, forgets: Some(owner_id), ..intake })
            }
            Renaming::Follows if old.as_ref().is_none_or(Record::is_forgettable) => {
                let followed = owner.followed(finding.sample.clone());
                let intake = self.put_in(Some(followed), finding, None);
                Ok(Intake { old: None, forgets: Some(owner_id), ..intake })
            }
            Renaming::Moves | Renaming::Waits => Ok(Intake { awaits: under_way, ..Intake::nothing(owner_id) }),
            // What is on Flow does not change for files that are another's.
            Renaming::No if old.as_ref().is_some_and(|old| old.state.sent().is_some()) => Ok(Intake::nothing(id)),
            Renaming::Follows | Renaming::No => {
                Ok(Intake { awaits: under_way, ..self.put_in(old, finding, Some(&owner)) })
            }
        }
    }

    /// `owner`: another sample that its files belong to.
    fn put_in(&self, old: Option<Record>, finding: Finding, owner: Option<&Record>) -> Intake {
        // What was declared before its run was sent is not new, however late its files are: a marker may overtake them.
        let is_new = old.is_none() && !finding.sample.slots.is_empty();
        let around = self.around(&finding, finding.in_ending_run && is_new, owner);
        let is_to_compare = old.as_ref().is_some_and(|old| old.must_be_compared(&finding));
        let compare = is_to_compare.then(|| finding.sample.clone());
        let new = match old.clone() {
            Some(old) => old.assembled(finding, around),
            None => Record::found(finding, around, Timestamp::now()),
        };
        Intake { id: new.sample.id(), old, new: Some(new), forgets: None, compare, awaits: None }
    }

    /// Another sample that one of its files belongs to. (One that was begun in this very transaction is not seen;
    /// assembly gives each file to one sample.)
    fn owner(&self, sample: &Sample) -> Result<Option<Record>, JournalError> {
        let owner = self.index(|index| index.ownership.owner(sample));
        owner.map_or(Ok(None), |owner| self.record(&owner))
    }

    /// Whether a sample that was not known before is nothing but declared by a sheet, in a run of which something was sent.
    /// Then its files may have been sent under another name and cleared away, and nothing is said of it.
    fn is_afterthought(&self, finding: &Finding) -> bool {
        let run = RunName::of(&finding.sample.key);
        let delivered = || self.index(|index| index.delivered(&run));
        finding.sample.slots.is_empty() && delivered() > 0
    }

    /// What stands around a sample that assembly found. `is_late` asks whether something of its run was sent before it.
    fn around(&self, finding: &Finding, is_late: bool, owner: Option<&Record>) -> Circumstances {
        let run = RunName::of(&finding.sample.key);
        let (orders, delivered) = self.index(|index| (index.orders(&run), index.delivered(&run)));
        // A rule that was renamed, or names its samples anew, does not send again what is on Flow, and does not send what
        // a person keeps back.
        let owner = owner.map(Record::is_why_its_files_are_not_sent);
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
        Circumstances { owner, of_run: orders.state(), delivered }
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
}
