//! Oxford Nanopore: what MinKNOW writes [nanoporetech/ont-output-specifications].

use super::{INDEXES_OF_FILES, Ignored, Layout};

pub(super) const NANOPORE: Layout = Layout {
    name: "nanopore",
    about: "run folders of MinKNOW: MinION, GridION, PromethION",
    // {experiment}/{sample}/{run}; a site may keep less of it.
    run_folder: &[
        "**/{experiment}/{sample}/{date:[0-9]{8}}_{time:[0-9]{4}}_{position:[A-Za-z0-9-]+}_{flow_cell:[A-Za-z0-9-]+}_{protocol:[0-9a-f]{8}}",
        "{sample}/{date:[0-9]{8}}_{time:[0-9]{4}}_{position:[A-Za-z0-9-]+}_{flow_cell:[A-Za-z0-9-]+}_{protocol:[0-9a-f]{8}}",
        "{date:[0-9]{8}}_{time:[0-9]{4}}_{position:[A-Za-z0-9-]+}_{flow_cell:[A-Za-z0-9-]+}_{protocol:[0-9a-f]{8}}",
    ],
    // The folder is the barcode, or the alias that the sample sheet gives it. MinKNOW of 2020 wrote plain FASTQ, and
    // barcodes without a folder.
    reads: &[
        "fastq_pass/{barcode}/{flow_cell:[A-Za-z0-9-]+}_pass_*_{part:int}.fastq.gz",
        "fastq_pass/{barcode}/{flow_cell:[A-Za-z0-9-]+}_pass_*_{part:int}.fastq",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_pass_{barcode:barcode[0-9]+}_*_{part:int}.fastq.gz",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_pass_{barcode:barcode[0-9]+}_*_{part:int}.fastq",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_pass_*_{part:int}.fastq.gz",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_pass_*_{part:int}.fastq",
    ],
    captures: &["experiment", "sample", "barcode", "flow_cell", "part"],
    // Parts come by the hour, so quiet says little. It was seen before the last files
    // [NationalGenomicsInfrastructure/TACA#353], which it counts.
    complete_when: "
  listed: 'final_summary_*.txt'
",
    described_by: &[],
    // The globs fit files, not folders: a folder that the watch does not look into leaves its files out of the count.
    ignored: &[
        Ignored { glob: "**/unclassified/**/*.*", word: "unclassified", what: "reads that no barcode was found for" },
        Ignored { glob: "**/*_unclassified_*.*", word: "unclassified", what: "reads that no barcode was found for" },
        Ignored { glob: "**/fastq_fail/**/*.*", word: "fail", what: "failed reads" },
        Ignored { glob: "**/bam_fail/**/*.*", word: "fail", what: "failed reads" },
        INDEXES_OF_FILES[0],
        INDEXES_OF_FILES[1],
    ],
    never_listed: &[],
    has_sample_sheet: false,
};
