//! Ultima UG 100 [miso-lims/runscanner DefaultUltima.java, wtsi-npg/npg_tracking].

use super::{INDEXES_OF_FILES, Layout};

pub(super) const ULTIMA: Layout = Layout {
    name: "ultima",
    about: "run folders of Ultima UG 100: one CRAM a library",
    run_folder: &["**/{run_number:int}-{date:[0-9]{8}}_{time:[0-9]{4}}"],
    run_by_entries: None,
    // The library may contain a hyphen, the barcode not.
    reads: &["**/{run_number:int}-{sample}-{barcode:[^-]+}.cram"],
    captures: &["sample", "barcode", "run_number"],
    // Sometimes with the run in front.
    complete_when: "
  marker: '*UploadCompleted.json'
",
    described_by: &[],
    ignored: &[INDEXES_OF_FILES[2]],
    never_listed: &[],
    has_sample_sheet: false,
    keeps_folders_apart: false,
};
