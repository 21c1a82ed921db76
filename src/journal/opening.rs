//! The start: whether the store holds what the receipts say, and what is done when one of the two lost something.
//!
//! A store that cannot be opened, or has less than the receipts say, is set aside and made anew from them; what they do
//! not know is looked at anew, on disk and on Flow. Receipts that say less than the store are added to. In between lies
//! a crash between the two halves of one commit, which is finished here.

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use jiff::Timestamp;

use super::JournalError;
use super::batches::Batches;
use super::claims::{Claim, Claims, claim_of, put, put_head, withdrawn};
use super::decision::{RunName, RunOrders};
use super::form::{self, StateValue, decode, encode, head_key, records, run_key, state_key};
use super::index::Index;
use super::mark::Mark;
use super::receipts::{self, Event, Head, Line, RECEIPTS, Receipts, Survey};
use super::state::State;
use super::store::{Store, Writes, sync_folder};
use crate::sample::SampleId;

/// A journal that is ready.
pub(super) struct Opened {
    pub store: Store,
    pub receipts: Receipts,
    pub index: Index,
    /// What was damaged, and what was done about it: for people.
    pub notices: Vec<String>,
}

/// Opens what lies in a state folder, which the caller has locked.
pub(super) fn open(state_dir: &Path) -> Result<Opened, JournalError> {
    let dir = state_dir.join("journal");
    let was_there = dir.exists();
    let mut said = Said::default();
    let (mut receipts, survey) = Receipts::open(state_dir, |line| said.take(line))?;
    let mut notices = Vec::new();
    if !survey.breaks.is_empty() {
        notice(&mut notices, altered(&survey));
    }
    let reason = if !was_there && survey.head.seq > 0 {
        "it is gone".to_owned()
    } else {
        match guarded(|| {
            let store = Store::open(&dir)?;
            store.read_through()?;
            let index = examine(&store, &mut receipts, &said, state_dir, &mut notices)?;
            Ok((store, index))
        }) {
            Ok((store, index)) => return Ok(Opened { store, receipts, index, notices }),
            Err(JournalError::Damaged { reason }) => reason,
            Err(error) => return Err(error),
        }
    };
    let aside = set_aside(state_dir, &dir)?;
    let store = Store::open(&dir)?;
    rebuild(&store, &receipts, state_dir)?;
    let mut none = Vec::new();
    let index = examine(&store, &mut receipts, &said, state_dir, &mut none)?;
    notice(&mut notices, rebuilt(&reason, aside.as_deref(), &said));
    Ok(Opened { store, receipts, index, notices })
}

/// What the receipts say.
#[derive(Default)]
pub(super) struct Said {
    pub claims: Claims,
    /// Number of the last commit, and where in the file it begins.
    last: Option<(u64, u64)>,
    /// The samples that the last commit is about.
    pub last_samples: HashSet<SampleId>,
}

impl Said {
    /// How many samples are on Flow, and how many more may be.
    pub fn counts(&self) -> (usize, usize) {
        let done = self.claims.samples.values().filter(|claim| **claim == Claim::Done).count();
        (done, self.claims.samples.len() - done)
    }

    pub fn take(&mut self, line: &Line<'_>) {
        if self.last.is_none_or(|(commit, _)| commit != line.commit) {
            self.last = Some((line.commit, line.at));
            self.last_samples.clear();
        }
        let Some(receipt) = line.receipt() else { return };
        if let Event::Decided { id, .. } | Event::Intent { id, .. } | Event::Doubt { id, .. } | Event::Done { id, .. } =
            &receipt.event
        {
            self.last_samples.insert(id.clone());
        }
        self.claims.take(receipt.event);
    }
}

/// How the store and the receipts stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Even,
    /// The receipts have a commit whose other half never got into the store.
    Unfinished,
    /// The receipts lost something, or are others.
    Less,
}

pub(super) fn standing(kept: &Head, said: &Head) -> Result<Standing, JournalError> {
    if kept == said {
        Ok(Standing::Even)
    } else if said.commit == kept.commit + 1 {
        Ok(Standing::Unfinished)
    } else if said.commit > kept.commit {
        let reason = format!("it ends with commit {}, and {RECEIPTS} has {}", kept.commit, said.commit);
        Err(JournalError::Damaged { reason })
    } else {
        Ok(Standing::Less)
    }
}

pub(super) fn kept_head(store: &Store) -> Result<Option<Head>, JournalError> {
    store.get(&head_key())?.map(|value| decode("the receipts", &value)).transpose()
}

/// Compares store and receipts, and makes them agree where the store has all that the receipts say; gives the index of
/// what the store holds.
///
/// # Errors
/// [`JournalError::Damaged`] when the store lost something.
fn examine(
    store: &Store,
    receipts: &mut Receipts,
    said: &Said,
    state_dir: &Path,
    notices: &mut Vec<String>,
) -> Result<Index, JournalError> {
    let kept = kept_head(store)?;
    let standing = standing(&kept.clone().unwrap_or_default(), receipts.head())?;
    if let (Standing::Unfinished, Some((commit, at))) = (standing, said.last) {
        tracing::info!(commit, "finishing a commit that was cut off");
        replay(store, state_dir, at)?;
        settle(store, receipts.head())?;
    }
    let mut index = Index::default();
    let mut interrupted = Writes::default();
    let claims = Claims::of(store, |record| {
        let is_interrupted = matches!(record.state, State::Uploading { .. });
        let record = record.interrupted();
        if is_interrupted {
            interrupted.put(state_key(&record.sample.id()), encode(&StateValue::of(&record)));
        }
        index.put(&record);
    })?;
    if standing != Standing::Less
        && let Some(lost) = lost(&claims, &said.claims, store)?
    {
        return Err(JournalError::Damaged { reason: format!("it has lost {lost}") });
    }
    let kept_commit = kept.as_ref().map_or(0, |head| head.commit);
    let missing = missing(&claims, said, store, standing)?;
    if !missing.is_empty() || standing == Standing::Less {
        // A state folder of the version that had no receipts gets them.
        if kept.is_some() {
            notice(notices, short(missing.len()));
        }
        // Without any there is no line to bear the number of a commit.
        if !missing.is_empty() {
            let lines = receipts.lines(missing, kept_commit, None);
            receipts.append(&lines)?;
        }
        put_head(receipts.head(), &mut interrupted);
    }
    if !interrupted.is_empty() {
        store.commit(&interrupted)?;
    }
    Ok(index)
}

/// What the receipts say and the store does not hold, for people.
pub(super) fn lost(claims: &Claims, said: &Claims, store: &Store) -> Result<Option<String>, JournalError> {
    let is_lost = |(id, claim): &(&SampleId, &Claim)| claims.samples.get(*id).is_none_or(|kept| kept < *claim);
    let mut lost: Vec<&SampleId> = said.samples.iter().filter(is_lost).map(|(id, _)| id).collect();
    lost.sort_unstable();
    if let Some(first) = lost.first() {
        return Ok(Some(format!("{} samples that were sent ({first}, …)", lost.len())));
    }
    said.lost_first_start(store)
}

/// The lines that the receipts lack.
fn missing(claims: &Claims, said: &Said, store: &Store, standing: Standing) -> Result<Vec<Event>, JournalError> {
    let mut missing = Vec::new();
    for (id, claim) in &claims.samples {
        if said.claims.samples.get(id) == Some(claim) {
            continue;
        }
        let look = store.look();
        let record = form::read(id, |key| look.get(key))?;
        missing.extend(record.as_ref().and_then(claim_of));
    }
    let stale = said.claims.samples.keys().filter(|id| !claims.samples.contains_key(*id));
    missing.extend(stale.map(|id| withdrawn(id.clone(), "not sent")));
    // To look through all files takes time, and what the receipts had of them they have, unless they lost something.
    if standing == Standing::Less || said.last.is_none() {
        missing.extend(said.claims.missing_first_starts(store)?);
    }
    Ok(missing)
}

/// Puts the lines from `at` on into the store, which does not count as having them before it is [settled](settle).
fn replay(store: &Store, state_dir: &Path, at: u64) -> Result<(), JournalError> {
    let mut batches = Batches::into(store);
    let mut added = Ok(());
    receipts::look(state_dir, |line| {
        if line.at >= at
            && added.is_ok()
            && let Some(receipt) = line.receipt()
        {
            added = batches.add(|writes| put(receipt.event, writes));
        }
    })?;
    added?;
    batches.end()
}

/// Says that the store has all that the receipts have. It comes last: without it, all before it is done once more.
fn settle(store: &Store, head: &Head) -> Result<(), JournalError> {
    let mut writes = Writes::default();
    put_head(head, &mut writes);
    store.commit(&writes)
}

fn rebuild(store: &Store, receipts: &Receipts, state_dir: &Path) -> Result<(), JournalError> {
    replay(store, state_dir, 0)?;
    // What had been seen of a run and not sent is in no receipt: it must not be taken for new in a delivered run.
    let mut runs = HashSet::new();
    for record in records(store) {
        runs.insert(RunName::of(&record?.sample.key));
    }
    let mut batches = Batches::into(store);
    for run in runs {
        let orders = store.get(&run_key(&run))?.map(|value| decode(&run.run, &value)).transpose()?;
        let orders = RunOrders { is_made_anew: true, ..orders.unwrap_or_default() };
        batches.add(|writes| writes.put(run_key(&run), encode(&orders)))?;
    }
    batches.end()?;
    settle(store, receipts.head())
}

/// Moves a journal out of the way, under a name that says when; `None` when there is none.
fn set_aside(state_dir: &Path, dir: &Path) -> Result<Option<String>, JournalError> {
    let error = |source| JournalError::Open { dir: dir.to_owned(), source };
    if !dir.exists() {
        Mark::remove(dir).map_err(error)?;
        return Ok(None);
    }
    let time = Timestamp::now().strftime("%Y-%m-%dT%H%M%SZ").to_string();
    let names = (1..).map(|n| match n {
        1 => format!("journal.damaged-{time}"),
        n => format!("journal.damaged-{time}-{n}"),
    });
    let free = names.into_iter().find(|name| !state_dir.join(name).exists());
    let name = free.unwrap_or_else(|| unreachable!("there are more numbers than files"));
    fs::rename(dir, state_dir.join(&name)).and_then(|()| sync_folder(state_dir)).map_err(error)?;
    Mark::remove(dir).map_err(error)?;
    Ok(Some(name))
}

/// Does `work`; a panic, of which the store has many for files that it cannot understand, is damage.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no word why");
        Err(JournalError::Damaged { reason: format!("its files cannot be understood ({text})") })
    })
}

fn notice(notices: &mut Vec<String>, text: String) {
    tracing::error!("{text}");
    notices.push(text);
}

fn altered(survey: &Survey) -> String {
    let more = survey.breaks.len().saturating_sub(3);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let first: Vec<_> = survey.breaks.iter().take(3).map(String::as_str).collect();
    format!(
        "{RECEIPTS} is not as it was written: {}{more}; somebody or something changed it: compare it with a backup",
        first.join("; ")
    )
}

fn short(lines: usize) -> String {
    format!(
        "{RECEIPTS} was missing, or shorter or other than the journal says; {lines} lines were added from the journal; \
         compare it with a backup for what it said before"
    )
}

fn rebuilt(reason: &str, aside: Option<&str>, said: &Said) -> String {
    let (done, intended) = said.counts();
    let aside = aside.map_or_else(String::new, |name| format!("its files are kept as {name}; "));
    format!(
        "the journal was damaged: {reason}; {aside}it was made anew from {RECEIPTS}: {done} samples are on Flow, \
         {intended} more may be, and everything else is looked at anew"
    )
}

#[cfg(test)]
mod tests;
