//! Illumina: the instruments' own run folders, and the output folders of the two demultiplexers.

use super::{Ignored, Layout};

/// FASTQ in some folders, lanes apart and together [irida-uploader, docs/parsers; listings of NovaSeq X, MiSeq].
macro_rules! fastq {
    ($($folder:literal),* $(,)?) => {
        &[$(
            concat!($folder, "{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz"),
            concat!($folder, "{sample}_S{sample_number:int}_R{read}_001.fastq.gz"),
        )*]
    };
}

/// Six or eight digits of date: `220422_M11111_0222_000000000-K9H97`, `20231108_LH00188_0028_B22F52TLT3`.
const RUN_FOLDER: &str =
    "**/{date:[0-9]{6}|[0-9]{8}}_{instrument:[A-Za-z0-9-]+}_{run_number:int}_{flow_cell:[A-Za-z0-9-]+}";

/// A demultiplexer's output is named after its run, and sites put words of their own behind that.
const OUTPUT_FOLDER: &str =
    "**/{date:[0-9]{6}|[0-9]{8}}_{instrument:[A-Za-z0-9-]+}_{run_number:int}_{flow_cell:[A-Za-z0-9-]+}*";

/// Index reads are written only when asked for, and `Undetermined_S0` is what no sample was found for; what wraps a
/// demultiplexer may write it small.
pub(super) const IGNORED: &[Ignored] = &[
    Ignored { glob: "**/[Uu]ndetermined_S0_*", word: "ndetermined", what: "reads that no sample was found for" },
    Ignored { glob: "**/*_I1_001.fastq.gz", word: "_I1_", what: "index reads" },
    Ignored { glob: "**/*_I2_001.fastq.gz", word: "_I2_", what: "index reads" },
];

/// Base calls and images: a NovaSeq S1 run has 5,492 files, nearly all of them here. FASTQ of a MiSeq lie between them,
/// directly in `BaseCalls`.
const NEVER_LISTED: &[&str] = &[
    "**/InterOp",
    "**/Images",
    "**/Thumbnail_Images",
    "**/Data/TileStatus",
    "**/Data/Intensities/L[0-9][0-9][0-9]",
    "**/Data/Intensities/Offsets",
    "**/Data/Intensities/BaseCalls/L[0-9][0-9][0-9]",
    "**/Data/Intensities/BaseCalls/Matrix",
    "**/Data/Intensities/BaseCalls/Phasing",
];

/// The instrument's own, BCL Convert's copy of it, what bcl2fastq says, and what was planned.
const DESCRIBED_BY: &[&str] = &["RunInfo.xml", "**/Reports/RunInfo.xml", "**/Stats/Stats.json", "SampleSheet.csv"];

pub(super) const ILLUMINA: Layout = Layout {
    name: "illumina",
    about: "run folders of MiSeq, MiniSeq, iSeq, NextSeq, NovaSeq: FASTQ made on board and off board, DRAGEN analyses",
    run_folder: &[RUN_FOLDER],
    run_by_entries: None,
    reads: fastq![
        // NextSeq 1000/2000: Data/fastq; NovaSeq X: Data/BCLConvert/fastq and Data/Dragen<App>/fastq.
        "Analysis/{analysis}/Data/**/fastq/",
        "Analysis/{analysis}/Data/**/fastq/{project}/",
        "Analysis/{analysis}/Data/**/fastq/{project}/*/",
        // MiSeq on Windows 10, MiniSeq, iSeq, NextSeq 500/550 with analysis on board.
        "Alignment_{analysis:int}/*/Fastq/",
        "Alignment_{analysis:int}/*/Fastq/{project}/",
        // MiSeq (MCS 2.6), and where bcl2fastq writes unless told otherwise.
        "Data/Intensities/BaseCalls/",
        "Data/Intensities/BaseCalls/{project}/",
        "Data/Intensities/BaseCalls/{project}/*/",
        // Off board, wherever the demultiplexer was told to write. A Sample_ID other than the Sample_Name has a folder of its
        // own below the project's.
        "",
        "Unaligned/",
        "Unaligned/{project}/",
        "Unaligned/{project}/*/",
        "**/{project}/",
    ],
    captures: &["sample", "sample_number", "lane", "read", "analysis", "project"],
    complete_when: r#"
  always:
    all:
      # Present is not successful [cleve, runscanner]. Older instruments write no outcome.
      - { outcome: RunCompletionStatus.xml, optional: true }
      # What is there once the base calls are, which whoever sees the run wait looks for: the first is told.
      - { marker: '{base_calls:CopyComplete\.txt|RTAComplete\.(?:txt|xml)}', optional: true }
  each:
    # DRAGEN on board has a pair of markers of its own for each analysis [npg_tracking, cleve]. A NextSeq 1000/2000
    # without it has the run's own [irida-uploader, nextseq2k], which speaks of the first analysis. Markers overtake the
    # large files on a mirrored share [Clinical-Genomics/cg#2403]: the analysis lists what it has.
    - folder: Analysis/1/Data/fastq
      complete_when:
        all:
          - any:
              - all:
                  - marker: Analysis/1/CopyComplete.txt
                  - marker: Analysis/1/Data/Secondary_Analysis_Complete.txt
              # Half of the pair shows that the other half is to come.
              - marker: CopyComplete.txt
                unless: [Analysis/1/CopyComplete.txt, Analysis/1/Data/Secondary_Analysis_Complete.txt]
          - { listed: Analysis/1/Manifest.tsv, optional: true }
          - { outcome: Analysis/1/Data/Error_Summary.json, optional: true }
    - folder: 'Analysis/{analysis}/Data/fastq'
      complete_when:
        all:
          - any:
              - all:
                  - marker: 'Analysis/{analysis}/CopyComplete.txt'
                  - marker: 'Analysis/{analysis}/Data/Secondary_Analysis_Complete.txt'
              - all:
                  - marker: CopyComplete.txt
                  - quiet: 1h
          - { listed: 'Analysis/{analysis}/Manifest.tsv', optional: true }
          - { outcome: 'Analysis/{analysis}/Data/Error_Summary.json', optional: true }
    - folder: 'Analysis/{analysis}'
      complete_when:
        all:
          - marker: 'Analysis/{analysis}/CopyComplete.txt'
          - marker: 'Analysis/{analysis}/Data/Secondary_Analysis_Complete.txt'
          - { listed: 'Analysis/{analysis}/Manifest.tsv', optional: true }
          - { outcome: 'Analysis/{analysis}/Data/Error_Summary.json', optional: true }
    # The run's markers speak of its first analysis on board; a later one has its own, or an hour of quiet.
    - folder: 'Alignment_1/{time}'
      complete_when:
        all:
          - any:
              - marker: CompletedJobInfo.xml
              - marker: 'Alignment_1/{time}/CompletedJobInfo.xml'
              - all:
                  - marker: CopyComplete.txt
                  - marker: RunCompletionStatus.xml
              - quiet: 1h
          # It tells of an error, too [cleve].
          - { outcome: CompletedJobInfo.xml, optional: true }
          - { outcome: 'Alignment_1/{time}/CompletedJobInfo.xml', optional: true }
    - folder: 'Alignment_{analysis}/{time}'
      complete_when:
        all:
          - any:
              - marker: 'Alignment_{analysis}/{time}/CompletedJobInfo.xml'
              - quiet: 1h
          - { outcome: 'Alignment_{analysis}/{time}/CompletedJobInfo.xml', optional: true }
    - folder: Data/Intensities/BaseCalls
      complete_when:
        all:
          - any:
              - marker: CompletedJobInfo.xml
              - marker: Data/Intensities/BaseCalls/Logs/FastqComplete.txt
              - marker: Data/Intensities/BaseCalls/Stats/Stats.json
              - { quiet: 1h, of: '**/*.fastq.gz' }
          - { outcome: CompletedJobInfo.xml, optional: true }
    # What a demultiplexer writes is covered by the marker in its own output folder, and by no other's.
    - holds: Logs/FastqComplete.txt
    - holds: Stats/Stats.json
  # RTAComplete.txt and the root's CopyComplete.txt speak of base calls; bcl2fastq goes on for hours after them
  # [irida-uploader, docs/parsers/nextseq.md]. Without a marker, all FASTQ of the run count, whoever takes them, and
  # nothing else does.
  else:
    any:
      - marker: '**/Logs/FastqComplete.txt'
      - marker: '**/Stats/Stats.json'
      - { quiet: 1h, of: '**/*.fastq.gz' }
"#,
    described_by: DESCRIBED_BY,
    ignored: IGNORED,
    never_listed: NEVER_LISTED,
    has_sample_sheet: true,
    keeps_folders_apart: true,
};

pub(super) const BCL_CONVERT: Layout = Layout {
    name: "bcl-convert",
    about: "output folders of BCL Convert and DRAGEN, one a run",
    run_folder: &[OUTPUT_FOLDER],
    run_by_entries: None,
    reads: fastq![
        "",
        "**/fastq/",
        "Unaligned/",
        "Unaligned/{project}/",
        "Unaligned/{project}/*/",
        "{project}/",
        "{project}/*/",
        "**/{project}/",
    ],
    captures: &["sample", "sample_number", "lane", "read", "project"],
    complete_when: r#"
  always: { outcome: RunCompletionStatus.xml, optional: true }
  each:
    - holds: Logs/FastqComplete.txt
  else:
    any:
      - marker: '**/Logs/FastqComplete.txt'
      - { quiet: 1h, of: '**/*.fastq.gz' }
"#,
    described_by: DESCRIBED_BY,
    ignored: IGNORED,
    never_listed: NEVER_LISTED,
    has_sample_sheet: true,
    keeps_folders_apart: true,
};

pub(super) const BCL2FASTQ: Layout = Layout {
    name: "bcl2fastq",
    about: "output folders of bcl2fastq, one a run",
    run_folder: &[OUTPUT_FOLDER],
    run_by_entries: None,
    // A Sample_ID other than the Sample_Name has a folder of its own below the project's.
    reads: fastq![
        "",
        "Unaligned/",
        "Unaligned/{project}/",
        "Unaligned/{project}/{sample_id}/",
        "{project}/",
        "{project}/{sample_id}/",
        "**/{project}/",
    ],
    captures: &["sample", "sample_number", "lane", "read", "project", "sample_id"],
    complete_when: r#"
  always: { outcome: RunCompletionStatus.xml, optional: true }
  each:
    - holds: Stats/Stats.json
  else:
    any:
      - marker: '**/Stats/Stats.json'
      - { quiet: 1h, of: '**/*.fastq.gz' }
"#,
    described_by: DESCRIBED_BY,
    ignored: IGNORED,
    never_listed: NEVER_LISTED,
    has_sample_sheet: true,
    keeps_folders_apart: true,
};
