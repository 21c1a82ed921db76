//! Whether a sample is on Flow already, and is the same: the journal is not the only memory of what was sent, since a
//! state folder can get lost, and somebody else can upload with the same account.
//!
//! It asks and compares, and decides nothing: what becomes of a finding is the transfer's affair. What any sample of the
//! journal is bound to, this one included, is left out of sight: that was sent from here, and its own upload settles it.
//!
//! The comparison is of names, sizes, and both ends of each file: of a gzip file, the header with the first reads, and
//! the checksum of what it ends with. Two files of one size that differ in their middle alone are taken for the same.

use std::ops::Range;

use super::disposition::HostError;
use super::parts::SlotReader;
use super::settings::IfExists;
use crate::flow::{Client, Data, FoundData, FoundWithoutId, SampleDetails};
use crate::journal::{FlowId, Journal, Record};
use crate::sample::{Sample, Slot, Target};

/// How much of each end of a file is compared, in bytes.
const END: u64 = 64 * 1024;
/// The place of the reads in a multiplexed set; before them stands the annotation sheet.
const READS: usize = 1;

/// What there is on Flow of a sample that nothing is known to have been sent of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Nothing,
    /// The first of its reads, and not all of them: a multiplexed set that was begun and is no longer known. One id for
    /// each slot that is there; empty for an annotation sheet.
    Begun(Vec<String>),
    /// The same.
    Same(OnFlow),
    /// Another one that it must not stand beside: which, why, and what to do.
    Other(String),
}

/// A sample, a file or a multiplexed set on Flow.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OnFlow {
    pub sample_id: Option<String>,
    /// One for each slot, in order; empty for an annotation sheet.
    pub data_ids: Vec<String>,
}

/// A look at Flow for one sample.
pub(super) struct Look<'a> {
    pub client: &'a Client,
    pub journal: &'a Journal,
    pub sample: &'a Sample,
    /// One for each slot. What they read here is not part of what they hash.
    pub readers: &'a mut [SlotReader],
}

impl Look<'_> {
    /// Looks for the sample.
    ///
    /// # Errors
    /// What keeps Flow from being asked, or the files from being read.
    pub async fn look(&mut self, if_exists: IfExists) -> Result<Finding, HostError> {
        // An empty file is refused by the upload itself.
        if self.sample.slots.iter().any(|slot| slot.size() == 0) {
            return Ok(Finding::Nothing);
        }
        match &self.sample.target {
            Target::Sample { name, project, .. } => self.look_for_sample(name, project.as_deref(), if_exists).await,
            // Of an archive that Flow unpacked there are no bytes to compare: it is not adopted.
            Target::Data { is_directory: true, .. } => Ok(Finding::Nothing),
            Target::Data { .. } => self.look_for_files(0, if_exists).await,
            Target::Multiplexed { .. } => self.look_for_files(READS, if_exists).await,
        }
    }

    /// Looks for what came of the last file's only chunk, whose answer was lost with the id in it. Where the sample has
    /// earlier files, those lead to it.
    ///
    /// # Errors
    /// As for [`Look::look`].
    pub async fn look_for_lost(&mut self) -> Result<Option<FoundWithoutId>, HostError> {
        match &self.sample.target {
            Target::Sample { name, project, .. } if self.sample.slots.len() == 1 => {
                let found = self.look_for_sample(name, project.as_deref(), IfExists::Adopt).await?;
                let Finding::Same(OnFlow { sample_id, mut data_ids }) = found else { return Ok(None) };
                Ok(data_ids.pop().map(|data_id| FoundWithoutId { sample_id, data_id }))
            }
            Target::Sample { .. } | Target::Data { is_directory: true, .. } => Ok(None),
            Target::Data { .. } | Target::Multiplexed { .. } => {
                let found = self.same_file(self.sample.slots.len() - 1, &[]).await?;
                Ok(found.map(|data_id| FoundWithoutId { sample_id: None, data_id }))
            }
        }
    }

    async fn look_for_sample(
        &mut self,
        name: &str,
        project: Option<&str>,
        if_exists: IfExists,
    ) -> Result<Finding, HostError> {
        let journal = self.journal;
        let is_free = |id: &str| journal.bound(&FlowId::Sample(id.to_owned())).is_none();
        let mut own = self.client.samples().own_by_name(name, |found| is_free(&found.id)).await?;
        own.retain(|sample| {
            let is_in_project = sample.project.as_ref().map(|project| project.id.as_str()) == project;
            is_in_project && !sample.files().any(|file| journal.bound(&FlowId::Data(file.id.clone())).is_some())
        });
        let mut other = None;
        for found in own {
            let what = format!("Flow has a sample {name} already, {}", found.id);
            let remedy = "rename or remove it there, or give this one another name in the manifest";
            if if_exists == IfExists::Block {
                return Ok(Finding::Other(format!("{what}, and uploads.if_exists is block; {remedy}")));
            }
            match self.compare(&found).await? {
                Ok(data_ids) => return Ok(Finding::Same(OnFlow { sample_id: Some(found.id), data_ids })),
                Err(_) if self.may_be_another_runs(&found).await? => {}
                Err(why) => {
                    let ours = self.sample.id();
                    other = Some(format!("{what}, which is not the sample {ours} here: {why}; {remedy}"));
                }
            }
        }
        Ok(other.map_or(Finding::Nothing, Finding::Other))
    }

    /// The ids of the sample's files in the order of our slots; or what tells the two samples apart.
    async fn compare(&mut self, found: &SampleDetails) -> Result<Result<Vec<String>, String>, HostError> {
        let pairs = match pair(&self.sample.slots, found) {
            Ok(pairs) => pairs,
            Err(why) => return Ok(Err(why)),
        };
        let mut data_ids = Vec::new();
        for (n, data_id) in pairs.into_iter().enumerate() {
            let Slot { filename, .. } = &self.sample.slots[n];
            let Some(data) = self.client.data().get_own_data(&data_id).await? else {
                return Ok(Err(format!("its {filename} (data {data_id}) cannot be looked at")));
            };
            if let Some(why) = size_difference(&self.sample.slots[n], Some(data.size)) {
                return Ok(Err(why));
            }
            if let Some(why) = self.difference(n, &data).await? {
                return Ok(Err(why));
            }
            data_ids.push(data_id);
        }
        Ok(Ok(data_ids))
    }

    /// Whether a sample on Flow has the files of another of our samples of that name, which has just not been looked for
    /// yet: two runs may name their samples alike, and then it is for that one to take it.
    async fn may_be_another_runs(&self, found: &SampleDetails) -> Result<bool, HostError> {
        let (journal, id, target) = (self.journal.clone(), self.sample.id(), self.sample.target.clone());
        let found = found.clone();
        let is_another = move |record: &Record| {
            let is_alike = is_called_alike(&record.sample.target, &target);
            let is_another = record.sample.id() != id && is_alike && has_nothing_on_flow(record);
            is_another && pair(&record.sample.slots, &found).is_ok()
        };
        // Reading every record is work for a blocking thread.
        let search = move || {
            for record in journal.records() {
                if is_another(&record?) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        tokio::task::spawn_blocking(search).await.expect("reading does not panic")
    }

    /// Looks for a file of ours for each slot from `first` on. Names are no identity here: files of the same name that
    /// are others hinder nothing.
    async fn look_for_files(&mut self, first: usize, if_exists: IfExists) -> Result<Finding, HostError> {
        let mut data_ids = vec![String::new(); first];
        for n in first..self.sample.slots.len() {
            match self.same_file(n, &data_ids).await? {
                Some(data_id) => data_ids.push(data_id),
                None if n > first && if_exists == IfExists::Adopt => return Ok(Finding::Begun(data_ids)),
                None => return Ok(Finding::Nothing),
            }
        }
        if if_exists == IfExists::Block {
            let files: Vec<_> = self.sample.slots.iter().zip(&data_ids).skip(first).collect();
            let files: Vec<_> = files.iter().map(|(slot, id)| format!("{} (data {id})", slot.filename)).collect();
            let files = files.join(" and ");
            return Ok(Finding::Other(format!(
                "Flow has {files} already, and uploads.if_exists is block; remove it there, or set if_exists: adopt"
            )));
        }
        Ok(Finding::Same(OnFlow { sample_id: None, data_ids }))
    }

    /// A file on Flow that is the same as a slot, is in no sample, and is none of `taken`.
    async fn same_file(&mut self, n: usize, taken: &[String]) -> Result<Option<String>, HostError> {
        let (slot, journal) = (&self.sample.slots[n], self.journal);
        let is_free = |id: &String| !taken.contains(id) && journal.bound(&FlowId::Data(id.to_owned())).is_none();
        let has_size = |size: Option<u64>| size_difference(slot, size).is_none();
        let is_wanted = |found: &FoundData| has_size(found.size) && is_free(&found.id);
        for data in self.client.data().own_by_filename(&slot.filename, is_wanted).await? {
            if has_size(Some(data.size)) && !data.is_directory && self.difference(n, &data).await?.is_none() {
                return Ok(Some(data.id));
            }
        }
        Ok(None)
    }

    /// What tells a file on Flow of the right size from a slot, by both of its ends.
    async fn difference(&mut self, n: usize, data: &Data) -> Result<Option<String>, HostError> {
        let filename = &self.sample.slots[n].filename;
        for end in ends(data.size) {
            let mut there = Vec::new();
            match self.client.data().download(data, Some(end.clone()), &mut there).await {
                Ok(_) => {}
                Err(error) if error.status() == Some(404) => {
                    return Ok(Some(format!("its {filename} (data {}) cannot be downloaded to be compared", data.id)));
                }
                Err(error) => return Err(error.into()),
            }
            if there != self.readers[n].peek(end.start, end.end - end.start).await? {
                let Range { start, end } = end;
                return Ok(Some(format!(
                    "{filename} is as long there, but its bytes from {start} to {end} are others"
                )));
            }
        }
        Ok(None)
    }
}

/// Whether two samples have one name in one project. A project may be known by its name alone, as long as nothing was
/// sent.
fn is_called_alike(a: &Target, b: &Target) -> bool {
    let Target::Sample { name, project, project_name, .. } = a else { return false };
    let Target::Sample { name: other, project: other_project, project_name: other_project_name, .. } = b else {
        return false;
    };
    let is_in_one = match (project, other_project) {
        (Some(project), Some(other)) => project == other,
        (None, None) => project_name == other_project_name,
        _ => project_name.is_some() && project_name == other_project_name,
    };
    name == other && is_in_one
}

/// Whether nothing of a sample is known to have been sent.
fn has_nothing_on_flow(record: &Record) -> bool {
    let upload = record.state.upload();
    record.state.sent().is_none()
        && upload.is_none_or(|upload| upload.files.iter().all(|file| file.data_id().is_none()))
}

/// The id of a file on Flow for each slot, by name and, as far as it is said, by size; or what tells the two samples
/// apart.
fn pair(slots: &[Slot], found: &SampleDetails) -> Result<Vec<String>, String> {
    let mut left: Vec<_> = found.files().collect();
    let mut ids = Vec::new();
    for slot in slots {
        let with_name = |at: &usize| left[*at].filename == slot.filename;
        let fits = |at: &usize| with_name(at) && size_difference(slot, left[*at].size).is_none();
        let Some(at) = (0..left.len()).find(fits) else {
            let size = (0..left.len()).find(with_name).and_then(|at| size_difference(slot, left[at].size));
            return Err(size.unwrap_or_else(|| format!("it has no {}", slot.filename)));
        };
        ids.push(left.remove(at).id.clone());
    }
    match left.first() {
        Some(more) => Err(format!("it has {} as well", more.filename)),
        None => Ok(ids),
    }
}

fn size_difference(slot: &Slot, there: Option<u64>) -> Option<String> {
    let (filename, here) = (&slot.filename, slot.size());
    let there = there.filter(|there| *there != here)?;
    Some(format!("{filename} has {there} bytes there and {here} here"))
}

/// The two ends of a file that are compared; of a short one, all of it.
fn ends(size: u64) -> Vec<Range<u64>> {
    if size <= 2 * END { vec![Range { start: 0, end: size }] } else { vec![0..END, size - END..size] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Fingerprint, Part};
    use serde_json::{Value, json};

    fn slot(filename: &str, sizes: &[u64]) -> Slot {
        let part =
            |size: &u64| Part { path: filename.into(), fingerprint: Fingerprint { size: *size, modified_ns: 0 } };
        Slot { key: "reads1".into(), filename: filename.into(), parts: sizes.iter().map(part).collect() }
    }

    fn found(files: Value) -> SampleDetails {
        serde_json::from_value(json!({"id": "7", "name": "s", "filesets": [{"data": files}]})).unwrap()
    }

    #[test]
    fn a_sample_on_flow_is_paired_by_names_and_sizes_in_whatever_order_it_lists_them() {
        let slots = [slot("a", &[3, 4]), slot("b", &[5])];
        let same = found(json!([{"id": 2, "filename": "b", "size": 5}, {"id": "1", "filename": "a"}]));
        assert_eq!(pair(&slots, &same).unwrap(), ["1", "2"]);
        let why = |files| pair(&slots, &found(files)).unwrap_err();
        assert_eq!(why(json!([])), "it has no a");
        assert_eq!(why(json!([{"id": "1", "filename": "a"}])), "it has no b");
        assert_eq!(why(json!([{"id": "1", "filename": "a", "size": 8}])), "a has 8 bytes there and 7 here");
        let three = json!([
            {"id": "1", "filename": "a"}, {"id": "2", "filename": "b"}, {"id": "3", "filename": "b"}
        ]);
        assert_eq!(why(three), "it has b as well");
    }

    #[test]
    fn files_of_one_name_are_told_apart_by_their_sizes() {
        let slots = [slot("a", &[3]), slot("a", &[4])];
        let both = found(json!([{"id": "4", "filename": "a", "size": 4}, {"id": "3", "filename": "a", "size": 3}]));
        assert_eq!(pair(&slots, &both).unwrap(), ["3", "4"]);
    }

    #[test]
    fn samples_are_called_alike_in_one_project_however_that_is_named() {
        let target = |name: &str, project: Option<&str>, project_name: Option<&str>| Target::Sample {
            name: name.into(),
            sample_type: "RNA-Seq".into(),
            organism: None,
            project: project.map(str::to_owned),
            project_name: project_name.map(str::to_owned),
            metadata: Vec::new(),
        };
        // What is about to be sent knows the project's id, and what waits for its turn may not.
        let ours = target("S", Some("7"), Some("Atlas"));
        let alike = [target("S", None, Some("Atlas")), target("S", Some("7"), None), ours.clone()];
        assert!(alike.iter().all(|other| is_called_alike(other, &ours) && is_called_alike(&ours, other)));
        let others = [target("S", None, Some("Core")), target("S", Some("8"), Some("Atlas")), target("S", None, None)];
        assert!(others.iter().all(|other| !is_called_alike(other, &ours) && !is_called_alike(&ours, other)));
        assert!(!is_called_alike(&target("T", Some("7"), None), &ours));
        assert!(is_called_alike(&target("S", None, None), &target("S", None, None)));
        assert!(!is_called_alike(&ours, &Target::Multiplexed { ignore_warnings: true }));
    }

    #[test]
    fn both_ends_are_compared_and_of_a_short_file_all_of_it() {
        assert_eq!(ends(1), [Range { start: 0, end: 1 }]);
        assert_eq!(ends(131_072), [Range { start: 0, end: 131_072 }]);
        assert_eq!(ends(131_073), [0..65_536, 65_537..131_073]);
    }
}
