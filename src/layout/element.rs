//! Element AVITI: run folders, and the output of bases2fastq in or beside them [docs.elembio.io, run output and
//! bases2fastq inputs and outputs].

use super::{Ignored, Layout};

pub(super) const ELEMENT: Layout = Layout {
    name: "element",
    about: "output folders of bases2fastq for Element AVITI, in or beside the run folder",
    // The last is the name that the vendor's pages give the output folder.
    run_folder: &["**/{date:[0-9]{8}}_{instrument:[A-Za-z0-9-]+}_{run_name}", "output"],
    run_by_entries: None,
    // A folder a sample, in one a project; --no-projects and --group-fastq leave out either or both, --split-lanes and
    // --legacy-fastq name lanes [bases2fastq --help; tests of biobox for each]. A folder that is named as the file in it
    // is a sample's, and any other right below Samples a project's. It tells, too, whether _L1 is of the sample's name;
    // where there is none, it is a lane.
    reads: &[
        "**/Samples/{project}/*/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz",
        "**/Samples/{sample}/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz",
        "**/Samples/{project}/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz",
        "**/Samples/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz",
        "**/Samples/{project}/{sample}/{sample}_R{read}.fastq.gz",
        "**/Samples/{project}/*/{sample}_L{lane:[1-9]}_R{read}.fastq.gz",
        "**/Samples/{project}/*/{sample}_R{read}.fastq.gz",
        "**/Samples/{sample}/{sample}_R{read}.fastq.gz",
        "**/Samples/{sample}/{sample}_L{lane:[1-9]}_R{read}.fastq.gz",
        "**/Samples/{project}/{sample}_L{lane:[1-9]}_R{read}.fastq.gz",
        "**/Samples/{project}/{sample}_R{read}.fastq.gz",
        "**/Samples/{sample}_L{lane:[1-9]}_R{read}.fastq.gz",
        "**/Samples/{sample}_R{read}.fastq.gz",
    ],
    captures: &["sample", "sample_number", "lane", "read", "project"],
    // An output is a folder with Samples in it, and complete by the statistics beside that, and by no other's: a project
    // has some of its own below Samples, and the instrument's AvitiRunStats.json comes before the FASTQ. A site may put
    // the run's name before theirs, and may keep no Samples. The instrument's own word on the run is there where the
    // output lies in the run folder.
    complete_when: r#"
  always: { outcome: RunUploaded.json, optional: true }
  each:
    - holds: Samples/
      marker: '{prefix:(?:.+_)?}RunStats.json'
    - holds: '{prefix:(?:.+_)?}RunStats.json'
  else: { marker: '{prefix:(?:.+_)?}RunStats.json' }
"#,
    described_by: &[
        "**/RunStats.json",
        "{prefix:.+_}RunStats.json",
        "*/{prefix:.+_}RunStats.json",
        "*/*/{prefix:.+_}RunStats.json",
    ],
    ignored: &[
        // A sample's name may begin so. That of the control is the template's for run manifests, in which each lot of
        // its indices has a row among the samples [docs.elembio.io, run manifest, PhiX index sequences].
        Ignored {
            glob: "**/PhiX_{[RI][1-4].*,L[0-9]_*,S[0-9]*_L[0-9][0-9][0-9]_*,Third_[RI][1-4].*,Third_L[0-9]_*,Third_S[0-9]*_L[0-9][0-9][0-9]_*}",
            word: "PhiX",
            what: "the control, PhiX",
        },
        Ignored {
            glob: "**/Unassigned_{[RI][1-4].*,L[0-9]_*}",
            word: "Unassigned",
            what: "reads that no sample was found for",
        },
        // So with --legacy-fastq.
        Ignored { glob: "**/Undetermined_S0_*", word: "Undetermined", what: "reads that no sample was found for" },
        Ignored { glob: "**/*_{I1,I1_001}.fastq.gz", word: "_I1", what: "index reads" },
        Ignored { glob: "**/*_{I2,I2_001}.fastq.gz", word: "_I2", what: "index reads" },
    ],
    never_listed: &["**/BaseCalls", "**/*_*_*/Alignment", "**/*_*_*/Filter", "**/*_*_*/Location"],
    has_sample_sheet: false,
    keeps_folders_apart: true,
};
