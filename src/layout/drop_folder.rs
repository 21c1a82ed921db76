//! A folder into which people and programs put FASTQ, under the names that are common for them.

use super::{INDEXES_OF_FILES, Ignored, Layout};

/// FASTQ are called .fastq or .fq, compressed or not.
macro_rules! fastq {
    ($($name:literal),* $(,)?) => {
        &[$(concat!($name, ".f*q.gz"), concat!($name, ".f*q"),)*]
    };
}

pub(super) const DROP_FOLDER: Layout = Layout {
    name: "drop-folder",
    about: "a folder into which pairs of FASTQ are put, without run folders",
    run_folder: &[],
    run_by_entries: None,
    // What says more comes first: a lane that nobody names would tell samples apart.
    reads: fastq![
        "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001",
        "**/{sample}_S{sample_number:int}_R{read}_001",
        "**/{sample}_L{lane:[0-9]{3}}_R{read}_001",
        "**/{sample}_L{lane:[0-9]{3}}_R{read}",
        "**/{sample}_R{read}_001",
        "**/{sample}_R{read}",
        "**/{sample}_{read}",
    ],
    captures: &["sample", "sample_number", "lane", "read"],
    complete_when: "
  quiet: 10m
",
    described_by: &[],
    ignored: &[
        // Demultiplexers' own names, and not those of samples that begin or go on with such a word.
        Ignored {
            glob: "**/[Uu]ndetermined_{S0_*,L[0-9][0-9][0-9]_*,[RI][1-4].*,[RI][1-4]_001.*,[12].*}",
            word: "ndetermined",
            what: "reads that no sample was found for",
        },
        Ignored {
            glob: "**/[Uu]nassigned_{S0_*,L[0-9][0-9][0-9]_*,[RI][1-4].*,[RI][1-4]_001.*,[12].*}",
            word: "nassigned",
            what: "reads that no sample was found for",
        },
        Ignored { glob: "**/*_{I1,I1_001}.{fastq.gz,fq.gz,fastq,fq}", word: "_I1", what: "index reads" },
        Ignored { glob: "**/*_{I2,I2_001}.{fastq.gz,fq.gz,fastq,fq}", word: "_I2", what: "index reads" },
        INDEXES_OF_FILES[0],
        INDEXES_OF_FILES[1],
    ],
    never_listed: &[],
    has_sample_sheet: false,
    keeps_folders_apart: false,
};
