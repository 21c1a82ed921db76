//! MGI DNBSEQ: FASTQ of whole lanes, as mgikit and public scripts know them. How the instrument names files of single
//! barcodes, and what marks the end of a run, was not found.

use super::Layout;

pub(super) const MGI: Layout = Layout {
    name: "mgi",
    about: "flow cell folders of MGI DNBSEQ: FASTQ of whole lanes",
    // V300086849, FT100037069, and with letters behind the number: DP8400023552BR.
    run_folder: &["**/{flow_cell:[A-Z]{1,3}[0-9]{8,}[A-Z]{0,3}}"],
    run_by_entries: None,
    reads: &["L{lane:int}/{flow_cell:[A-Z0-9]+}_L*_read_{read}.fq.gz"],
    captures: &["flow_cell", "lane", "read"],
    complete_when: "
  quiet: 1h
",
    described_by: &[],
    ignored: &[],
    never_listed: &[],
    has_sample_sheet: false,
    keeps_folders_apart: false,
};
