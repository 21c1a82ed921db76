//! Singular G4.

use super::{Ignored, Layout};

pub(super) const SINGULAR: Layout = Layout {
    name: "singular",
    about: "run folders of Singular Genomics G4",
    run_folder: &[
        "**/{date:[0-9]{6}}_{instrument:[A-Za-z0-9-]+}_{run_number:[0-9]{4}}_{position:[1-4]}_{flow_cell:[A-Za-z0-9]+}",
    ],
    run_by_entries: None,
    reads: &[
        "**/demux_filtered_fastqs/{sample}_S{sample_number:int}_L{lane:int}_R{read}.fastq.gz",
        "**/demux_filtered_fastqs/{project}/{sample}_S{sample_number:int}_L{lane:int}_R{read}.fastq.gz",
    ],
    captures: &["sample", "sample_number", "lane", "read", "project"],
    // run_complete.txt comes first, and the files are still on their way then.
    complete_when: "
  marker: transfer_complete.txt
",
    described_by: &[],
    ignored: &[
        Ignored { glob: "**/[Uu]ndetermined_S0_*", word: "ndetermined", what: "reads that no sample was found for" },
        Ignored { glob: "**/*_I1.fastq.gz", word: "_I1", what: "index reads" },
        Ignored { glob: "**/*_I2.fastq.gz", word: "_I2", what: "index reads" },
    ],
    never_listed: &[],
    has_sample_sheet: false,
    keeps_folders_apart: true,
};
