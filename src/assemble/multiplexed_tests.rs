use super::tests::{changing, complete_run, endless, file, open_run};
use super::*;
use crate::sample::Standing;
use crate::sample::Target;

/// Pools in lanes, and another rule that would take their sheets.
const POOLS: &str = r#"
version: 1
rules:
  - name: tables
    match: "**/{table}.xlsx"
    data: {}
  - name: pooled
    match: "pooled/{pool}_L{lane:int}_R{read}.fastq.gz"
    paired: required
    multiplexed: { annotation: "pooled/{pool}.xlsx", ignore_warnings: false }
"#;

const READS: [&str; 4] =
    ["pooled/P1_L1_R1.fastq.gz", "pooled/P1_L2_R1.fastq.gz", "pooled/P1_L1_R2.fastq.gz", "pooled/P1_L2_R2.fastq.gz"];
const SHEET: &str = "pooled/P1.xlsx";

fn with(more: &[FileView]) -> Vec<FileView> {
    READS.iter().map(file).chain(more.iter().cloned()).collect()
}

fn assembly_of(manifest: &str, view: &RunView) -> Assembly {
    let manifest = Manifest::parse("manifest.yaml", manifest).unwrap_or_else(|problems| panic!("{problems}"));
    assemble("miseq", &manifest, view, &Closed::default(), &Shelf::default())
}

/// The one sample, and what else is left out.
#[track_caller]
fn only(view: &RunView) -> (Finding, Vec<String>) {
    let Assembly { samples, left_out, .. } = assembly_of(POOLS, view);
    let [only] = samples.as_slice() else { panic!("one set, not {samples:#?}") };
    let left_out = left_out.into_iter().map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned());
    (only.finding.clone(), left_out.collect())
}

#[track_caller]
fn standing(view: &RunView) -> Standing {
    let (finding, left_out) = only(view);
    let others: Vec<_> = left_out.iter().filter(|name| *name != "done").collect();
    assert!(others.is_empty(), "{others:?}");
    finding.standing
}

#[test]
fn reads_and_their_sheet_make_a_set_with_the_sheet_in_front() {
    let (set, left_out) = only(&complete_run(with(&[file(SHEET)])));
    assert_eq!((set.standing, left_out), (Standing::Ready, vec!["done".to_owned()]));
    let set = set.sample;
    assert_eq!((set.key.kind, set.key.name.as_str(), set.rule.as_str()), (Kind::Multiplexed, "P1", "pooled"));
    assert_eq!(set.target, Target::Multiplexed { ignore_warnings: false });
    let slots: Vec<_> =
        set.slots.iter().map(|slot| (slot.key.as_str(), slot.filename.as_str(), slot.parts.len())).collect();
    assert_eq!(slots, [("annotation", "P1.xlsx", 1), ("reads1", "P1_R1.fastq.gz", 2), ("reads2", "P1_R2.fastq.gz", 2)]);
}

#[test]
fn a_set_waits_for_its_sheet_by_name_and_is_blocked_without_it_in_the_end() {
    let waiting = |reason: &str| Standing::Waiting(reason.to_owned());
    let reads = with(&[]);
    assert_eq!(
        standing(&open_run(reads.clone())),
        waiting("waiting for the annotation pooled/P1.xlsx; waiting for the marker done")
    );
    assert_eq!(
        standing(&complete_run(reads.clone())),
        Standing::Blocked("the annotation pooled/P1.xlsx is missing: the run is complete without it".to_owned())
    );
    assert_eq!(standing(&endless(reads.clone())), waiting("waiting for the annotation pooled/P1.xlsx"));
    let half = reads.into_iter().filter(|file| !file.path.to_string_lossy().contains("_R2")).collect::<Vec<_>>();
    assert_eq!(
        standing(&complete_run(half)),
        Standing::Blocked(
            "reads2 and the annotation pooled/P1.xlsx are missing: the run is complete without them".into()
        )
    );
}

#[test]
fn a_sheet_must_have_settled_and_have_something_in_it() {
    let view = complete_run(with(&[changing(SHEET, 10)]));
    let reason = "pooled/P1.xlsx has not settled yet; marker done present".to_owned();
    assert_eq!(standing(&view), Standing::Waiting(reason));
    let mut empty = file(SHEET);
    empty.observation.fingerprint.size = 0;
    let reason = "pooled/P1.xlsx is empty, and Flow cannot take an empty file".to_owned();
    assert_eq!(standing(&complete_run(with(&[empty]))), Standing::Blocked(reason));
}

#[test]
fn a_person_can_close_a_set_without_a_mate_and_not_without_its_sheet() {
    let manifest = Manifest::parse("manifest.yaml", POOLS).unwrap();
    let closed = Closed { run: false, samples: ["P1".to_owned()].into() };
    let files = |more: &[FileView]| {
        let reads1 = with(more).into_iter().filter(|file| !file.path.to_string_lossy().contains("_R2"));
        endless(reads1.collect())
    };
    let standing = |view: &RunView| {
        assemble("miseq", &manifest, view, &closed, &Shelf::default()).samples[0].finding.standing.clone()
    };
    assert_eq!(standing(&files(&[file(SHEET)])), Standing::Ready);
    assert!(matches!(standing(&files(&[])), Standing::Blocked(reason) if reason.contains("the annotation")));
}

#[test]
fn one_sheet_may_be_that_of_several_sets_and_other_tables_stay_with_their_rule() {
    let manifest = POOLS.replace("pooled/{pool}.xlsx", "all.xlsx");
    let mut files = with(&[file("all.xlsx"), file("other.xlsx")]);
    files.extend(READS.map(|path| file(path.replace("P1", "P2"))));
    let Assembly { samples, .. } = assembly_of(&manifest, &complete_run(files));
    let told: Vec<_> = samples
        .iter()
        .map(|it| (it.finding.sample.key.name.as_str(), it.finding.sample.slots.len(), &it.finding.standing))
        .collect();
    let ready = &Standing::Ready;
    assert_eq!(told, [("other.xlsx", 1, ready), ("P1", 3, ready), ("P2", 3, ready)]);
    let sheets: Vec<_> = samples[1..].iter().map(|it| &it.finding.sample.slots[0].parts[0].path).collect();
    assert_eq!(sheets[0], sheets[1]);
    let own = |n: usize| samples[n].finding.sample.own_parts().count();
    assert_eq!((own(0), own(1)), (1, 4), "nobody owns the sheet");
}
