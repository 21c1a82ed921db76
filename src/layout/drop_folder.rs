//! A folder into which people and programs put FASTQ, under the names that are common for them.

use super::{INDEXES_OF_FILES, Ignored, Layout};

pub(super) const DROP_FOLDER: Layout = Layout {
    name: "drop-folder",
    about: "a folder into which pairs of FASTQ are put, without run folders",
    run_folder: &[],
    run_by_entries: None,
    // FASTQ are called .fastq or .fq. What says more comes first: a lane that nobody names would tell samples apart.
    reads: &[
        "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.f*q.gz",
        "**/{sample}_S{sample_number:int}_R{read}_001.f*q.gz",
        "**/{sample}_L{lane:[0-9]{3}}_R{read}_001.f*q.gz",
        "**/{sample}_L{lane:[0-9]{3}}_R{read}.f*q.gz",
        "**/{sample}_R{read}_001.f*q.gz",
        "**/{sample}_R{read}.f*q.gz",
        "**/{sample}_{read}.f*q.gz",
        "**/{sample}_R{read}.f*q",
        "**/{sample}_{read}.f*q",
    ],
    captures: &["sample", "sample_number", "lane", "read"],
    complete_when: "
  quiet: 10m
",
    described_by: &[],
    ignored: &[
        Ignored { glob: "**/Undetermined_*", word: "Undetermined", what: "reads that no sample was found for" },
        Ignored { glob: "**/Unassigned_*", word: "Unassigned", what: "reads that no sample was found for" },
        Ignored { glob: "**/*_I1*.f*q.gz", word: "_I1", what: "index reads" },
        Ignored { glob: "**/*_I2*.f*q.gz", word: "_I2", what: "index reads" },
        INDEXES_OF_FILES[0],
        INDEXES_OF_FILES[1],
    ],
    never_listed: &[],
    has_sample_sheet: false,
    keeps_folders_apart: false,
};
