//! Ion Torrent: BAM files of the base caller. How run folders are named and what marks their end was not found, so each
//! folder of the watch is a run.

use super::{INDEXES_OF_FILES, Ignored, Layout};

pub(super) const ION_TORRENT: Layout = Layout {
    name: "ion-torrent",
    about: "folders of Ion Torrent base calling, each folder of the watch a run: one BAM a barcode",
    run_folder: &["*"],
    run_by_entries: None,
    reads: &["**/{barcode:Ion(?:Xpress|Code)_[0-9]+}_rawlib.basecaller.bam"],
    captures: &["barcode"],
    complete_when: "
  quiet: 1h
",
    described_by: &[],
    ignored: &[
        Ignored { glob: "**/nomatch_*", word: "nomatch", what: "reads that no barcode was found for" },
        // A pattern cannot say which of a barcode's two files is the only one, and both are one sample.
        Ignored {
            glob: "**/Ion{Xpress,Code}_*_rawlib.bam",
            word: "_rawlib.bam",
            what: "reads aligned to a reference, which the base caller's BAM has, too, where it was kept",
        },
        INDEXES_OF_FILES[1],
    ],
    never_listed: &[],
    has_sample_sheet: false,
    keeps_folders_apart: false,
};
