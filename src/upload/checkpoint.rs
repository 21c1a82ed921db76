//! The client's words for how far an upload has got, and the journal's: neither room knows the other's, so that the
//! records on disk do not change when the protocol's code does.

use crate::flow::{Boundaries, FileProgress, Making, Progress, Stage as Sending, Submission, SubmissionFile};
use crate::journal::{FileUpload, Stage as Recorded, Upload};
use crate::sample::{Sample, Target};

/// What the client is told to upload for a sample.
pub(super) fn submission(sample: &Sample, final_wait: Option<std::time::Duration>) -> Submission {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut fields = Vec::new();
    let making = match &sample.target {
        // In the reference client's order.
        Target::Sample { name, sample_type, organism, project, metadata, project_name: _ } => {
            fields.push(field("sample_name", name));
            fields.push(field("sample_type", sample_type));
            fields.extend(metadata.iter().cloned());
            fields.extend(project.iter().map(|project| field("project", project)));
            fields.extend(organism.iter().map(|organism| field("organism", organism)));
            Making::Sample { name: name.clone() }
        }
        Target::Data { data_type, is_directory } => {
            fields.extend(data_type.iter().map(|data_type| field("data_type", data_type)));
            fields.extend(is_directory.then(|| field("is_directory", "true")));
            Making::File { is_directory: *is_directory }
        }
        Target::Multiplexed { ignore_warnings } => Making::Multiplexed { ignore_warnings: *ignore_warnings },
    };
    let file = |slot: &crate::sample::Slot| SubmissionFile { filename: slot.filename.clone(), size: slot.size() };
    Submission { making, fields, files: sample.slots.iter().map(file).collect(), final_wait }
}

/// What is known of a slot's bytes so far.
pub(super) struct Evidence {
    /// Of all of them, in hexadecimal, as the next two.
    pub sha256: Option<String>,
    /// Of each part, where there are several, and with that of all of them.
    pub parts_sha256: Vec<String>,
    /// Of those that Flow acknowledged.
    pub prefix: Option<String>,
    /// Which files they came from.
    pub identity: Option<String>,
}

/// Puts the client's progress into the record, with what is known of each slot.
pub(super) fn record(upload: &mut Upload, progress: &Progress, evidence: Vec<Evidence>) {
    let file = |(file, evidence): (&FileProgress, Evidence)| FileUpload {
        base: file.boundaries.base,
        size: file.boundaries.size,
        begun_anew: file.begun_anew,
        abandoned: file.abandoned.clone(),
        sha256: evidence.sha256,
        prefix_sha256: evidence.prefix,
        parts_sha256: evidence.parts_sha256,
        identity: evidence.identity,
        stage: match file.stage.clone() {
            Sending::Sending { data_id, chunks, strikes } => Recorded::Sending { data_id, chunks, strikes },
            Sending::Asking { data_id, asks, sent_again } => Recorded::Asking { data_id, asks, sent_again },
            Sending::Ready { data_id } => Recorded::Ready { data_id },
        },
    };
    upload.files = progress.files.iter().zip(evidence).map(file).collect();
    upload.sample_id.clone_from(&progress.sample_id);
    upload.warnings.clone_from(&progress.warnings);
}

/// The progress that a record holds; `None` when nothing was begun.
pub(super) fn recorded(upload: &Upload) -> Option<Progress> {
    let file = |file: &FileUpload| FileProgress {
        boundaries: Boundaries { base: file.base, size: file.size },
        begun_anew: file.begun_anew,
        abandoned: file.abandoned.clone(),
        stage: match file.stage.clone() {
            Recorded::Sending { data_id, chunks, strikes } => Sending::Sending { data_id, chunks, strikes },
            Recorded::Asking { data_id, asks, sent_again } => Sending::Asking { data_id, asks, sent_again },
            Recorded::Ready { data_id } => Sending::Ready { data_id },
        },
    };
    (!upload.files.is_empty()).then(|| Progress {
        files: upload.files.iter().map(file).collect(),
        sample_id: upload.sample_id.clone(),
        warnings: upload.warnings.clone(),
    })
}
