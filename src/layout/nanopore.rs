//! Oxford Nanopore: what MinKNOW writes [nanoporetech/ont-output-specifications].

use super::{INDEXES_OF_FILES, Ignored, Layout, RunByEntries};

pub(super) const NANOPORE: Layout = Layout {
    name: "nanopore",
    about: "run folders of MinKNOW: MinION, GridION, PromethION",
    // {experiment}/{sample}/{run}; a site may keep less of it.
    run_folder: &[
        "**/{experiment}/{sample}/{date:[0-9]{8}}_{time:[0-9]{4}}_{position:[A-Za-z0-9-]+}_{flow_cell:[A-Za-z0-9-]+}_{protocol:[0-9a-f]{8}}",
        "{sample}/{date:[0-9]{8}}_{time:[0-9]{4}}_{position:[A-Za-z0-9-]+}_{flow_cell:[A-Za-z0-9-]+}_{protocol:[0-9a-f]{8}}",
        "{date:[0-9]{8}}_{time:[0-9]{4}}_{position:[A-Za-z0-9-]+}_{flow_cell:[A-Za-z0-9-]+}_{protocol:[0-9a-f]{8}}",
    ],
    // With data pooling on there is no run folder: what the samples of an experiment have of all their runs lies side by
    // side [minknow/output_structure]. Where such a folder lies is all that tells it from one that a site has named
    // itself, so it may not lie deeper.
    run_by_entries: Some(RunByEntries {
        folder: &["{experiment}/{sample}", "{sample}"],
        // Names that a person might give a file as well are asked for all that MinKNOW puts into them.
        entries: &[
            "fastq_pass",
            "fastq_fail",
            "bam_pass",
            "bam_fail",
            "pod5",
            "pod5_pass",
            "pod5_fail",
            "pod5_skip",
            "fast5_pass",
            "fast5_fail",
            "fast5_skip",
            "final_summary_*.txt",
            "sequencing_summary_*.txt",
            "sample_sheet_*_*_*_*.csv",
            "report_*_*_*_*.html",
            "report_*_*_*_*.md",
            "report_*_*_*_*.json",
            "output_hash_*.csv",
            "barcode_alignment_*.tsv",
            "pore_activity_*.csv",
            "throughput_*.csv",
            "other_reports",
        ],
    }),
    // The folder is the barcode, or the alias that the sample sheet gives it. MinKNOW of 2020 wrote plain FASTQ, and
    // barcodes without a folder; that they passed, a name need not say. A hash has eight digits, or forty.
    reads: &[
        "fastq_pass/{barcode}/{flow_cell:[A-Za-z0-9-]+}_pass_*_{part:int}.fastq.gz",
        "fastq_pass/{barcode}/{flow_cell:[A-Za-z0-9-]+}_pass_*_{part:int}.fastq",
        "fastq_pass/{barcode}/{flow_cell:[A-Za-z0-9-]+}_????????*_{part:int}.fastq.gz",
        "fastq_pass/{barcode}/{flow_cell:[A-Za-z0-9-]+}_????????*_{part:int}.fastq",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_pass_{barcode:barcode[0-9]+}_*_{part:int}.fastq.gz",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_pass_{barcode:barcode[0-9]+}_*_{part:int}.fastq",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_{barcode:barcode[0-9]+}_*_{part:int}.fastq.gz",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_{barcode:barcode[0-9]+}_*_{part:int}.fastq",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_pass_*_{part:int}.fastq.gz",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_pass_*_{part:int}.fastq",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_????????*_{part:int}.fastq.gz",
        "fastq_pass/{flow_cell:[A-Za-z0-9-]+}_????????*_{part:int}.fastq",
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
        // An alias may have the word in it; what follows the word itself is the run's hash.
        Ignored {
            glob: "**/*_{pass,fail}_unclassified_[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*_*.*",
            word: "unclassified",
            what: "reads that no barcode was found for",
        },
        Ignored {
            glob: "**/{fastq,bam}_pass/{??????,???????,????????}_unclassified_*.*",
            word: "unclassified",
            what: "reads that no barcode was found for",
        },
        Ignored { glob: "**/fastq_fail/**/*.*", word: "fail", what: "failed reads" },
        Ignored { glob: "**/bam_fail/**/*.*", word: "fail", what: "failed reads" },
        INDEXES_OF_FILES[0],
        INDEXES_OF_FILES[1],
    ],
    never_listed: &[],
    has_sample_sheet: false,
    keeps_folders_apart: false,
};
