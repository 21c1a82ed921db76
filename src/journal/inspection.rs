//! A look at a state folder for people: whether receipts and journal are whole and agree. It mends nothing; the next
//! start does, as [`super::opening`] has it.

use std::path::Path;

use super::JournalError;
use super::claims::Claims;
use super::lock::Lock;
use super::opening::{Said, Standing, guarded, kept_head, lost, standing};
use super::receipts::{self, RECEIPTS, Survey};
use super::store::Store;

/// What a look at a state folder shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Inspection {
    /// Whether another process has the journal open: then the receipts alone were looked at.
    pub in_use: bool,
    /// Lines of the receipts.
    pub receipts: u64,
    /// Samples that are on Flow, as the receipts have it.
    pub done: usize,
    /// Samples that may be.
    pub intended: usize,
    /// Samples that the journal holds; `None` when it was not looked at.
    pub samples: Option<usize>,
    /// What is wrong.
    pub findings: Vec<String>,
    /// What the next start does by itself, and needs nobody.
    pub remarks: Vec<String>,
}

/// Looks whether the receipts and the journal of a state folder are whole and agree. It mends nothing.
///
/// # Errors
/// When they cannot be read for a reason that says nothing about them.
pub fn inspect(state_dir: &Path) -> Result<Inspection, JournalError> {
    let mut inspection = Inspection::default();
    let lock = match Lock::take(state_dir) {
        Ok(lock) => Some(lock),
        Err(JournalError::InUse { .. }) => None,
        Err(error) => return Err(error),
    };
    inspection.in_use = lock.is_none();
    let mut said = Said::default();
    let survey = receipts::look(state_dir, |line| said.take(line))?;
    inspection.receipts = survey.head.seq;
    (inspection.done, inspection.intended) = said.counts();
    inspection.findings.extend(survey.breaks.iter().map(|found| format!("{RECEIPTS}: {found}")));
    if inspection.in_use {
        // A last line without an end is one that is just being written.
        return Ok(inspection);
    }
    if survey.torn > 0 {
        inspection.remarks.push(format!("{RECEIPTS} ends in the middle of a line; the next start cuts it off"));
    }
    let dir = state_dir.join("journal");
    if !dir.exists() {
        if survey.head.seq > 0 {
            inspection.findings.push("the journal is gone; the next start makes it anew".to_owned());
        }
        return Ok(inspection);
    }
    match guarded(|| compare(&dir, &said, &survey, &mut inspection)) {
        Err(JournalError::Damaged { reason }) => {
            inspection.findings.push(format!("the journal is damaged: {reason}; the next start makes it anew"));
        }
        compared => compared?,
    }
    Ok(inspection)
}

fn compare(dir: &Path, said: &Said, survey: &Survey, inspection: &mut Inspection) -> Result<(), JournalError> {
    let store = Store::open(dir)?;
    store.read_through()?;
    let kept = kept_head(&store)?;
    let standing = standing(&kept.clone().unwrap_or_default(), &survey.head)?;
    let mut samples = 0;
    let claims = Claims::of(&store, |_| samples += 1)?;
    inspection.samples = Some(samples);
    match standing {
        Standing::Less => inspection.findings.push(format!(
            "{RECEIPTS} is missing, or shorter or other than the journal says; the next start adds what is missing"
        )),
        Standing::Unfinished => {
            inspection.remarks.push("the last commit was cut off; the next start finishes it".to_owned());
        }
        Standing::Even => {}
    }
    let mut expected = Claims { samples: said.claims.samples.clone(), ..Claims::default() };
    match standing {
        // Its other half is not there yet.
        Standing::Unfinished => expected.samples.retain(|id, _| !said.last_samples.contains(id)),
        Standing::Less => expected.samples.clear(),
        Standing::Even => {
            expected.existing.clone_from(&said.claims.existing);
            expected.baselines.clone_from(&said.claims.baselines);
        }
    }
    if let Some(lost) = lost(&claims, &expected, &store)? {
        return Err(JournalError::Damaged { reason: format!("it has lost {lost}") });
    }
    let without = claims.samples.iter().filter(|(id, claim)| said.claims.samples.get(*id) != Some(claim)).count();
    match (standing, kept, without) {
        (_, _, 0) | (Standing::Unfinished, ..) => {}
        (_, None, _) => inspection.remarks.push(format!(
            "{without} samples were sent by a version that wrote no receipts; the next start writes them"
        )),
        _ => inspection.findings.push(format!("{without} samples that were sent have no receipt in {RECEIPTS}")),
    }
    Ok(())
}
