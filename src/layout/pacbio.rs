//! PacBio: Revio and Vega run folders [PacBio, FileStructure.rst v13].

use super::{INDEXES_OF_FILES, Ignored, Layout};

pub(super) const PACBIO: Layout = Layout {
    name: "pacbio",
    about: "run folders of PacBio instruments: HiFi reads, one folder a cell",
    run_folder: &["**/r{instrument:[0-9A-Za-z]+}_{date:[0-9]{8}}_{time:[0-9]{6}}"],
    run_by_entries: None,
    reads: &[
        "{cell:[0-9]_[A-H][0-9]{2}}/hifi_reads/{movie:[^.]+}.hifi_reads.{barcode:[^.]+}.bam",
        "{cell:[0-9]_[A-H][0-9]{2}}/hifi_reads/{movie:[^.]+}.hifi_reads.bam",
    ],
    captures: &["movie", "cell", "barcode"],
    // The list of what was sent comes last. A run's cells follow each other by the day.
    complete_when: r#"
  each:
    - folder: '{cell:[0-9]_[A-H][0-9]{2}}'
      own_unit: true
      complete_when: { listed: '{cell}/metadata/*.transferdone' }
  else: { listed: 'metadata/*.transferdone' }
"#,
    described_by: &[],
    ignored: &[
        Ignored { glob: "**/*.unassigned.bam", word: "unassigned", what: "reads that no barcode was found for" },
        Ignored { glob: "**/fail_reads/**/*.*", word: "fail", what: "failed reads" },
        INDEXES_OF_FILES[0],
        INDEXES_OF_FILES[1],
    ],
    never_listed: &[],
    has_sample_sheet: false,
    keeps_folders_apart: false,
};
