//! What belongs to which sample: files on disk, and things on Flow; and which samples are alike.

use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::path::Path;

use super::record::Record;
use super::stored::FileUpload;
use crate::sample::{BY_HAND, Kind, Sample, SampleId};

/// A thing on Flow, by the id that it has there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlowId {
    Sample(String),
    Data(String),
}

#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Ownership {
    /// The sample that each file belongs to, by a hash of its path: it is on Flow, on its way there, or kept back by a
    /// person.
    owners: HashMap<u64, SampleId>,
    /// The other way round.
    owned: HashMap<SampleId, Owned>,
    /// Samples on Flow, or on their way there, by a hash of their files' names and sizes.
    alike: HashMap<u64, BTreeSet<SampleId>>,
    /// Whose each thing on Flow is that was made for a sample, or is being made.
    bound: HashMap<FlowId, SampleId>,
    /// The other way round.
    bindings: HashMap<SampleId, Vec<FlowId>>,
}

/// What a sample that has files of its own is found by.
#[cfg_attr(test, derive(Debug, PartialEq))]
struct Owned {
    places: Vec<u64>,
    likeness: u64,
}

impl Ownership {
    /// Takes in what became of a sample.
    pub fn put(&mut self, record: &Record, id: &SampleId) {
        self.forget(id);
        if record.is_spoken_for() {
            let places = record.sample.own_parts().map(|part| ownership(owning_kind(&record.sample), &part.path));
            let places: Vec<_> = places.collect();
            self.owners.extend(places.iter().map(|place| (*place, id.clone())));
            let likeness = likeness(&record.sample);
            self.owned.insert(id.clone(), Owned { places, likeness });
            if record.state.is_begun() {
                self.alike.entry(likeness).or_default().insert(id.clone());
            }
        }
        let ids = flow_ids(record);
        if !ids.is_empty() {
            self.bound.extend(ids.iter().map(|flow_id| (flow_id.clone(), id.clone())));
            self.bindings.insert(id.clone(), ids);
        }
    }

    /// Forgets a sample.
    pub fn forget(&mut self, id: &SampleId) {
        if let Some(owned) = self.owned.remove(id) {
            for place in owned.places {
                if self.owners.get(&place) == Some(id) {
                    self.owners.remove(&place);
                }
            }
            if let Some(alike) = self.alike.get_mut(&owned.likeness) {
                alike.remove(id);
                if alike.is_empty() {
                    self.alike.remove(&owned.likeness);
                }
            }
        }
        for flow_id in self.bindings.remove(id).unwrap_or_default() {
            if self.bound.get(&flow_id) == Some(id) {
                self.bound.remove(&flow_id);
            }
        }
    }

    /// The other samples, on Flow or on their way there, whose files have the same names and sizes.
    pub fn alike(&self, sample: &Sample) -> Vec<SampleId> {
        let id = sample.id();
        self.alike.get(&likeness(sample)).into_iter().flatten().filter(|other| **other != id).cloned().collect()
    }

    /// The sample that a thing on Flow was made for, or is being made for.
    pub fn bound(&self, flow_id: &FlowId) -> Option<SampleId> {
        self.bound.get(flow_id).cloned()
    }

    /// Another sample that one of these files belongs to already.
    pub fn owner(&self, sample: &Sample) -> Option<SampleId> {
        let id = sample.id();
        let places = sample
            .own_parts()
            .flat_map(|part| [None, Some(sample.key.kind)].map(|kind| self.owners.get(&ownership(kind, &part.path))));
        places.flatten().find(|owner| **owner != id).cloned()
    }
}

/// All that Flow made for a sample, or began to make, as far as its ids are known.
pub(super) fn flow_ids(record: &Record) -> Vec<FlowId> {
    // What was sent before it was sent again is still its own.
    let sent = record.state.sent().into_iter().chain(&record.history.earlier);
    let sent = sent.map(|sent| (&sent.sample_id, sent.files.iter().map(|file| &*file.data_id).collect::<Vec<_>>()));
    let under_way = record.state.upload().into_iter();
    let under_way = under_way.map(|upload| (&upload.sample_id, upload.files.iter().flat_map(ids_of_file).collect()));
    let ids = |(sample_id, data_ids): (&Option<String>, Vec<&str>)| {
        let data_ids = data_ids.into_iter().filter(|id| !id.is_empty()).map(|id| FlowId::Data(id.to_owned()));
        sample_id.clone().map(FlowId::Sample).into_iter().chain(data_ids).collect::<Vec<_>>()
    };
    sent.chain(under_way).flat_map(ids).collect()
}

fn ids_of_file(file: &FileUpload) -> impl Iterator<Item = &str> {
    file.abandoned.iter().map(String::as_str).chain(file.data_id())
}

/// A file of a watch belongs to one sample, of whatever kind: one rule takes it. What a person gives by hand as another
/// kind is another thing.
fn owning_kind(sample: &Sample) -> Option<Kind> {
    (sample.key.watch == BY_HAND).then_some(sample.key.kind)
}

fn ownership(kind: Option<Kind>, path: &Path) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (kind, path).hash(&mut hasher);
    hasher.finish()
}

/// What samples of the same files have in common, wherever those lie: their kind, and the names and sizes of the files.
pub(super) fn likeness(sample: &Sample) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    sample.key.kind.hash(&mut hasher);
    for slot in &sample.slots {
        slot.key.hash(&mut hasher);
        for part in &slot.parts {
            (part.path.file_name(), part.fingerprint.size).hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::journal::tests::{file_upload, sample};
    use crate::journal::{Stage, Upload};
    use crate::sample::Standing;

    #[test]
    fn what_is_on_flow_belongs_to_the_sample_that_it_was_made_for_until_that_lets_go_of_it() {
        let file = |abandoned: &[&str], stage| FileUpload {
            abandoned: abandoned.iter().map(|id| (*id).to_owned()).collect(),
            ..file_upload(stage)
        };
        let files = vec![
            file(&["0"], Stage::Ready { data_id: "1".into() }),
            file(&[], Stage::Sending { data_id: Some("2".into()), chunks: 1, strikes: 0 }),
        ];
        let upload = Upload { files, sample_id: Some("1".into()), ..Default::default() };
        let taken = Record::new(sample("a"), Standing::Ready, Timestamp::now()).taken().unwrap();
        let id = taken.sample.id();
        let mut ownership = Ownership::default();
        let data = |ownership: &Ownership, id: &str| ownership.bound(&FlowId::Data(id.into()));

        ownership.put(&taken.clone().advanced(upload).unwrap(), &id);
        for data_id in ["0", "1", "2"] {
            assert_eq!(data(&ownership, data_id), Some(id.clone()), "{data_id}");
        }
        assert_eq!(ownership.bound(&FlowId::Sample("1".into())), Some(id.clone()));
        assert_eq!((data(&ownership, "3"), ownership.bound(&FlowId::Sample("2".into()))), (None, None));

        ownership.put(&taken.must_wait("changed".into(), None).unwrap(), &id);
        assert_eq!((data(&ownership, "1"), ownership.bound(&FlowId::Sample("1".into()))), (None, None));
        assert!(ownership.bound.is_empty() && ownership.bindings.is_empty());
    }
}
