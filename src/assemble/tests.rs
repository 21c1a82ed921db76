use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::*;
use crate::observation::{Moment, Observation};
use crate::pattern::Pattern;
use crate::sample::{Fingerprint, Sample, SampleKey, Slot, Standing, Target};
use crate::watch::Condition;

pub(super) const BOOT: Moment = Moment { boot: 1, at: Duration::ZERO };
const SETTLE: u64 = 30;

/// Pairs, by the end of their names.
const PAIRS: &str = r#"
version: 1
rules:
  - name: pairs
    match: "**/{sample}_R{read}.fastq.gz"
    sample: { name: "{sample}", type: RNA-Seq }
"#;

/// Pairs in lanes and parts.
const LANES: &str = r#"
version: 1
rules:
  - name: lanes
    match: "**/{sample}_S{sample_number:int}_L{lane}_R{read}_{part:word}.*"
    sample: { name: "{run}_{sample}", type: RNA-Seq }
"#;

fn manifest(text: &str) -> Manifest {
    Manifest::parse("manifest.yaml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The pairs of [`PAIRS`], paired as told.
fn paired(how: &str) -> Manifest {
    manifest(&PAIRS.replace("sample:", &format!("paired: {how}\n    sample:")))
}

/// A settled file of ten bytes.
pub(super) fn file(path: impl AsRef<OsStr>) -> FileView {
    let path = Path::new(path.as_ref());
    FileView {
        path: Path::new("/data/watch/run1").join(path),
        below_run: path.to_owned(),
        observation: Observation {
            fingerprint: Fingerprint { size: 10, modified_ns: 1 },
            since: BOOT,
            look: 0,
            existing: false,
        },
        unchanged_for: Duration::from_secs(1000),
        settled: true,
        settles_in: None,
    }
}

/// A file that changed this many seconds ago.
pub(super) fn changing(path: &str, ago: u64) -> FileView {
    let settles_in = Some(Duration::from_secs(SETTLE - ago));
    FileView { unchanged_for: Duration::from_secs(ago), settled: false, settles_in, ..file(path) }
}

fn existing(path: &str) -> FileView {
    let mut file = file(path);
    file.observation.existing = true;
    file
}

fn empty(path: &str) -> FileView {
    let mut file = file(path);
    file.observation.fingerprint.size = 0;
    file
}

fn files(paths: &[&str]) -> Vec<FileView> {
    paths.iter().map(file).collect()
}

fn marker() -> Condition {
    Condition::Marker(Pattern::parse("done").unwrap().into())
}

fn view(name: &str, folder: &str, files: Vec<FileView>, quiet_for: u64, condition: &Condition) -> RunView {
    let quiet_for = Duration::from_secs(quiet_for);
    RunView::new(name.into(), folder.into(), Captures::new(), files, BOOT, quiet_for, &condition.clone().into())
}

/// A run folder whose marker has not come.
pub(super) fn open_run(files: Vec<FileView>) -> RunView {
    view("run1", "2026/run1", files, 1000, &marker())
}

/// A run folder whose marker has come.
pub(super) fn complete_run(mut files: Vec<FileView>) -> RunView {
    files.push(file("done"));
    open_run(files)
}

/// A drop folder that goes on for ever.
pub(super) fn endless(files: Vec<FileView>) -> RunView {
    view("drop", "", files, 0, &Condition::Settled)
}

/// Drop folders that tell an end, and have told it.
fn ended_drop_folders(files: &[FileView]) -> [RunView; 2] {
    let marked = files.iter().cloned().chain([file("done")]).collect();
    let quiet = Condition::Quiet(Duration::from_secs(600));
    [view("drop", "", marked, 0, &marker()), view("drop", "", files.to_vec(), 0, &quiet)]
}

fn samples(manifest: &Manifest, view: &RunView) -> Vec<Assembled> {
    assemble("miseq", manifest, view, &Closed::default(), &Shelf::default()).samples
}

#[track_caller]
fn only(manifest: &Manifest, view: &RunView) -> Assembled {
    let samples = samples(manifest, view);
    let [only] = samples.as_slice() else { panic!("one sample, not {samples:#?}") };
    only.clone()
}

#[track_caller]
fn ready(manifest: &Manifest, view: &RunView) -> Sample {
    let assembled = only(manifest, view);
    assert_eq!((assembled.finding.standing, assembled.in_time), (Standing::Ready, None));
    assembled.finding.sample
}

#[track_caller]
fn waits(manifest: &Manifest, view: &RunView, reason: &str, in_time: Option<u64>) {
    let assembled = only(manifest, view);
    let in_time = in_time.map(Duration::from_secs);
    assert_eq!((assembled.finding.standing, assembled.in_time), (Standing::Waiting(reason.to_owned()), in_time));
}

#[track_caller]
fn is_blocked(manifest: &Manifest, view: &RunView, reason: &str) {
    let assembled = only(manifest, view);
    assert_eq!((assembled.finding.standing, assembled.in_time), (Standing::Blocked(reason.to_owned()), None));
}

/// Groups of files that come out with one name: each is blocked and says so, the first under that name.
#[track_caller]
fn clash(manifest: &Manifest, view: &RunView, expected: &[(&str, &str)]) {
    let samples = samples(manifest, view).into_iter().map(|assembled| assembled.finding);
    let told: Vec<_> = samples.map(|finding| (finding.sample.key.name, finding.standing)).collect();
    let expected = expected.iter().map(|(name, of)| {
        let reason = format!(
            "two groups of files come out with the name {of}; capture what tells them apart and use it in the name"
        );
        ((*name).to_owned(), Standing::Blocked(reason))
    });
    assert_eq!(told, expected.collect::<Vec<_>>());
}

fn below_run(slot: &Slot) -> Vec<String> {
    let below = |path: &Path| path.strip_prefix("/data/watch/run1").unwrap().display().to_string();
    slot.parts.iter().map(|part| below(&part.path)).collect()
}

fn left_out(manifest: &Manifest, view: &RunView) -> Vec<(String, String)> {
    let left_out = assemble("miseq", manifest, view, &Closed::default(), &Shelf::default()).left_out;
    left_out.into_iter().map(|(path, reason)| (path_to_text(&path), reason)).collect()
}

#[test]
fn a_pair_is_ready_when_both_have_settled_and_the_run_is_complete() {
    let manifest = manifest(PAIRS);
    let pair = || vec![file("a_R1.fastq.gz"), file("a_R2.fastq.gz")];
    waits(&manifest, &open_run(pair()), "waiting for the marker done", None);
    let late = vec![file("a_R1.fastq.gz"), changing("a_R2.fastq.gz", 10)];
    waits(&manifest, &complete_run(late), "a_R2.fastq.gz has not settled yet; marker done present", Some(20));

    let sample = ready(&manifest, &complete_run(pair()));
    let key = SampleKey { kind: Kind::Sample, watch: "miseq".into(), run: "2026/run1".into(), name: "a".into() };
    assert_eq!((&sample.key, sample.rule.as_str()), (&key, "pairs"));
    let slots: Vec<_> = sample.slots.iter().map(|slot| (slot.key.as_str(), slot.filename.as_str())).collect();
    assert_eq!(slots, [("reads1", "a_R1.fastq.gz"), ("reads2", "a_R2.fastq.gz")]);
    assert_eq!(sample.slots[1].parts[0].path, Path::new("/data/watch/run1/a_R2.fastq.gz"));
    assert_eq!(sample.size(), 20);
    let target = Target::Sample {
        name: "a".into(),
        sample_type: "RNA-Seq".into(),
        organism: None,
        project: None,
        project_name: None,
        metadata: Vec::new(),
    };
    assert_eq!(sample.target, target);
}

#[test]
fn a_pair_of_a_drop_folder_belongs_to_the_watch() {
    let sample = ready(&manifest(PAIRS), &endless(files(&["x/a_R1.fastq.gz", "x/a_R2.fastq.gz"])));
    assert_eq!((sample.key.run.as_str(), sample.key.name.as_str()), ("drop", "a"));
}

#[test]
fn a_missing_mate_is_waited_for_by_name_until_the_run_is_complete_and_blocks_from_then_on() {
    let alone = || files(&["a_R1.fastq.gz"]);
    let manifest = paired("required");
    waits(&manifest, &open_run(alone()), "waiting for reads2; waiting for the marker done", None);
    let late = vec![changing("a_R1.fastq.gz", 10)];
    let reason = "waiting for reads2; a_R1.fastq.gz has not settled yet; marker done present";
    waits(&manifest, &complete_run(late), reason, Some(20));
    is_blocked(&manifest, &complete_run(alone()), "reads2 is missing: the run is complete without it");
}

#[test]
fn a_mate_may_always_come_in_a_drop_folder_that_goes_on_for_ever() {
    // What is said nothing of is paired in a drop folder.
    for manifest in [paired("required"), manifest(PAIRS)] {
        let late = endless(vec![changing("a_R1.fastq.gz", 10)]);
        waits(&manifest, &late, "waiting for reads2; 1 file is still changing: a_R1.fastq.gz", None);
        waits(&manifest, &endless(files(&["a_R1.fastq.gz"])), "waiting for reads2", None);
        waits(&manifest, &endless(files(&["a_R2.fastq.gz"])), "waiting for reads1", None);
    }
}

#[test]
fn a_mate_is_missing_once_a_drop_folder_has_told_its_end() {
    for manifest in [paired("required"), manifest(PAIRS)] {
        for view in ended_drop_folders(&files(&["a_R1.fastq.gz"])) {
            is_blocked(&manifest, &view, "reads2 is missing: the run is complete without it");
        }
    }
}

#[test]
fn auto_takes_reads1_alone_once_the_run_is_complete() {
    let alone = || files(&["a_R1.fastq.gz"]);
    // What is said nothing of is auto in a run folder.
    for manifest in [paired("auto"), manifest(PAIRS)] {
        waits(&manifest, &open_run(alone()), "waiting for the marker done", None);
        assert_eq!(ready(&manifest, &complete_run(alone())).slots.len(), 1);
    }
    for view in ended_drop_folders(&alone()) {
        assert_eq!(ready(&paired("auto"), &view).slots.len(), 1);
    }
}

#[test]
fn a_mate_that_the_runs_papers_tell_of_is_awaited_for_an_hour_behind_the_marker() {
    let both = || files(&["a_R1.fastq.gz", "b_R1.fastq.gz", "b_R2.fastq.gz", "done"]);
    let run = |mut files: Vec<FileView>, quiet_for| {
        files.iter_mut().for_each(|file| file.unchanged_for = Duration::from_secs(quiet_for));
        // What else goes on in the run, a log, has nothing to do with it.
        view("run1", "2026/run1", files, 0, &marker())
    };
    let told = |view: RunView| view.with_reads("Reports/RunInfo.xml", 2);
    let states = |manifest: &Manifest, view: &RunView| {
        let samples = samples(manifest, view);
        samples.into_iter().map(|sample| (sample.finding.standing, sample.in_time)).collect::<Vec<_>>()
    };
    let auto = paired("auto");
    let waits = "waiting for reads2, since Reports/RunInfo.xml tells of two reads, until nothing has come for an hour; \
                 marker done present";
    let hour = Some(Duration::from_secs(3000));
    assert_eq!(states(&auto, &told(run(both(), 600)))[0], (Standing::Waiting(waits.to_owned()), hour));
    assert_eq!(states(&auto, &told(run(both(), 600)))[1].0, Standing::Ready, "it holds up nobody else");
    let blocks = &states(&auto, &told(run(both(), 3600)))[0].0;
    assert!(
        matches!(blocks, Standing::Blocked(why) if why.starts_with("reads2 is missing: Reports/RunInfo.xml")),
        "{blocks:?}"
    );

    // Second reads that nobody has were masked, or are of no use to the lab.
    let alone = || files(&["a_R1.fastq.gz", "done"]);
    assert_eq!(states(&auto, &told(run(alone(), 3600))), [(Standing::Ready, None)]);
    for view in [run(alone(), 0), run(alone(), 0).with_reads("RunInfo.xml", 1)] {
        assert_eq!(states(&auto, &view), [(Standing::Ready, None)]);
    }
    assert_eq!(states(&paired("never"), &told(run(alone(), 0))), [(Standing::Ready, None)]);
    let mapped = manifest(&PAIRS.replace("sample:", "reads: { reads1: R1 }\n    sample:"));
    assert_eq!(states(&mapped, &told(run(alone(), 0))), [(Standing::Ready, None)]);
}

#[test]
fn reads2_without_reads1_blocks_whatever_the_pairing() {
    for manifest in [paired("auto"), paired("required")] {
        let run = complete_run(files(&["a_R2.fastq.gz"]));
        is_blocked(&manifest, &run, "reads1 is missing: the run is complete without it");
    }
}

#[test]
fn a_marker_that_nothing_waits_for_is_told_and_left_out_as_what_it_is() {
    let optional = crate::watch::Marker { is_optional: true, ..Pattern::parse("Copied.txt").unwrap().into() };
    let optional = Condition::Marker(optional);
    let condition = Condition::All(vec![optional, marker()]);
    let run = |paths: &[&str]| view("run1", "2026/run1", files(paths), 1000, &condition);
    let manifest = paired("required");
    let copied = run(&["Copied.txt", "a_R1.fastq.gz", "a_R2.fastq.gz"]);
    waits(&manifest, &copied, "waiting for the marker done; marker Copied.txt present", None);
    let told = "it is a marker for which nothing waits (complete_when)".to_owned();
    assert_eq!(left_out(&manifest, &copied), [("/data/watch/run1/Copied.txt".to_owned(), told)]);
    ready(&manifest, &run(&["a_R1.fastq.gz", "a_R2.fastq.gz", "done"]));
}

#[test]
fn never_leaves_reads2_out_and_says_which_rule_did() {
    let manifest = paired("never");
    let mut view = complete_run(vec![file("a_R1.fastq.gz"), changing("a_R2.fastq.gz", 0), file("b_R2.fastq.gz")]);
    assert_eq!(ready(&manifest, &view).slots.len(), 1, "what is left out holds nothing back");
    let reason = "rule pairs takes reads1 alone (paired: never)".to_owned();
    let other = "it marks the run as complete (complete_when)".to_owned();
    let expected = [("a_R2.fastq.gz", &reason), ("b_R2.fastq.gz", &reason), ("done", &other)]
        .map(|(path, reason)| (format!("/data/watch/run1/{path}"), reason.clone()));
    assert_eq!(left_out(&manifest, &view), expected);
    view = endless(files(&["a_R1.fastq.gz"]));
    assert_eq!(ready(&manifest, &view).slots.len(), 1);
}

#[test]
fn a_rule_without_reads_takes_each_file_alone() {
    let manifest = manifest(
        "version: 1\nrules: [{name: bams, match: '{sample}.bam', sample: {name: '{sample}', type: WGS, organism: Hs}}]",
    );
    let sample = ready(&manifest, &endless(files(&["a.bam"])));
    assert_eq!((sample.slots[0].key.as_str(), sample.slots[0].filename.as_str()), ("reads1", "a.bam"));
}

#[test]
fn two_files_for_one_slot_block_and_are_both_named() {
    let view = complete_run(files(&["x/a_R1.fastq.gz", "y/a_R1.fastq.gz", "x/a_R2.fastq.gz"]));
    let reason = "two files claim reads1: x/a_R1.fastq.gz and y/a_R1.fastq.gz; remove one, or capture what tells them \
                  apart (a lane, a part, a folder)";
    is_blocked(&manifest(PAIRS), &view, reason);
    is_blocked(&manifest(PAIRS), &open_run(view.files), reason);

    // One lane, written in two ways.
    let view = complete_run(files(&["a_S1_L1_R1_001.fastq.gz", "a_S1_L001_R1_1.fastq.gz"]));
    let reason = "two files claim reads1: a_S1_L001_R1_1.fastq.gz and a_S1_L1_R1_001.fastq.gz; remove one, or capture \
                  what tells them apart (a lane, a part, a folder)";
    is_blocked(&manifest(LANES), &view, reason);
}

#[test]
fn groups_of_one_name_block_each_and_name_each_other() {
    let one_rule = manifest(
        "version: 1\nrules: [{name: r, match: '{plate}/{sample}_R{read}.fq', sample: {name: '{sample}', type: x}}]",
    );
    let mut run = files(&["p1/a_R1.fq", "p2/a_R1.fq", "p3/a_R1.fq"]);
    let of_three = [
        ("a", "a: p1/a_R1.fq (rule r) and p2/a_R1.fq (rule r) and 1 more"),
        ("p2/a_R1.fq", "a: p1/a_R1.fq (rule r) and p2/a_R1.fq (rule r)"),
        ("p3/a_R1.fq", "a: p1/a_R1.fq (rule r) and p3/a_R1.fq (rule r)"),
    ];
    clash(&one_rule, &complete_run(run.clone()), &of_three);
    run[0].observation.existing = true;
    clash(&one_rule, &complete_run(run.clone()), &of_three);
    let are_existing =
        samples(&one_rule, &complete_run(run)).into_iter().map(|assembled| assembled.finding.is_existing);
    assert!(are_existing.eq([true, false, false]), "old and new are two");

    let two_rules = manifest(
        "version: 1\nrules:\n\
         - {name: left, match: 'l/{sample}.fq', sample: {name: '{sample}', type: x}}\n\
         - {name: right, match: 'r/{sample}.fq', sample: {name: '{sample}', type: y}}\n",
    );
    let both = "a: l/a.fq (rule left) and r/a.fq (rule right)";
    clash(&two_rules, &open_run(files(&["r/a.fq", "l/a.fq"])), &[("a", both), ("r/a.fq", both)]);
}

#[test]
fn lanes_and_mates_in_folders_of_their_own_are_joined_by_the_match_that_is_proposed() {
    let rule = |pattern: &str| {
        manifest(&format!(
            "version: 1\nrules: [{{name: r, match: '{pattern}', sample: {{name: '{{run}}_{{sample}}', type: x}}}}]"
        ))
    };
    let by_folder = "**/{folder}/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz";
    let lanes = |lane: u8, read: u8| format!("out/lane{lane}/fastq/a_S1_L00{lane}_R{read}_001.fastq.gz");
    let lanes = [lanes(1, 1), lanes(1, 2), lanes(2, 1), lanes(2, 2), lanes(3, 1), lanes(3, 2)];
    let mates = ["R1/a_R1.fq", "R2/a_R2.fq"].map(str::to_owned);
    let deeper = ["x/a_L001_R1.fq", "x/y/a_L002_R1.fq"].map(str::to_owned);
    for (pattern, paths, proposed) in [
        (
            // The folder is captured one above that of the lane as well.
            by_folder.replace("{folder}/", "{folder}/fastq/"),
            &lanes[..],
            "out/*/fastq/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz",
        ),
        ("{folder}/{sample}_R{read}.fq".to_owned(), &mates[..], "*/{sample}_R{read}.fq"),
        ("**/{folder}/{sample}_L{lane:int}_R{read}.fq".to_owned(), &deeper[..], "**/{sample}_L{lane:int}_R{read}.fq"),
    ] {
        let run = complete_run(paths.iter().map(file).collect());
        let [first, ..] = &samples(&rule(&pattern), &run)[..] else { panic!("{pattern}") };
        let Standing::Blocked(reason) = &first.finding.standing else { panic!("{first:?}") };
        let told = reason.split_once("(match: '").and_then(|(_, told)| told.split_once("')"));
        assert_eq!(told.map(|(told, _)| told), Some(proposed), "{reason}");
        assert!(reason.ends_with("if they are two samples, capture what tells them apart and use it in the name"));
        let parts: usize = ready(&rule(proposed), &run).slots.iter().map(|slot| slot.parts.len()).sum();
        assert_eq!(parts, paths.len(), "{proposed}");
    }
    // Whatever would claim one place is told as before.
    let same_lane = ["p1/a_S1_L001_R1_001.fastq.gz", "p2/a_S1_L001_R1_001.fastq.gz"];
    let both = format!("run1_a: {} (rule r) and {} (rule r)", same_lane[0], same_lane[1]);
    clash(&rule(by_folder), &complete_run(files(&same_lane)), &[("run1_a", &both), (same_lane[1], &both)]);
}

#[test]
fn a_sample_and_a_generic_file_may_share_a_name() {
    let manifest = manifest(
        "version: 1\nrules:\n\
         - {name: reads, match: '{sample}.fq', sample: {name: '{sample}', type: x}}\n\
         - {name: logs, match: 'logs/*', data: {}}\n",
    );
    let samples = samples(&manifest, &endless(files(&["a.fq", "logs/a"])));
    assert!(samples.iter().all(|assembled| assembled.finding.standing == Standing::Ready), "{samples:?}");
    assert_ne!(samples[0].finding.sample.id(), samples[1].finding.sample.id());
}

#[test]
fn lanes_and_then_parts_are_joined_as_numbers_before_words() {
    let paths: Vec<String> = ["10", "2", "001", "x"]
        .iter()
        .flat_map(|lane| {
            ["10", "100000000000000000000", "002", "99999999999999999999", "b", "a"].map(|part| (lane, part))
        })
        .flat_map(|(lane, part)| ["1", "2"].map(|read| format!("a_S1_L{lane}_R{read}_{part}.fastq.gz")))
        .collect();
    let sample = ready(&manifest(LANES), &complete_run(paths.iter().map(file).collect()));
    assert_eq!(sample.key.name, "run1_a");
    let slots: Vec<_> = sample.slots.iter().map(|slot| (slot.key.as_str(), slot.filename.as_str())).collect();
    assert_eq!(slots, [("reads1", "run1_a_R1.fastq.gz"), ("reads2", "run1_a_R2.fastq.gz")]);
    for (slot, read) in sample.slots.iter().zip(["1", "2"]) {
        let expected: Vec<String> = ["001", "2", "10", "x"]
            .iter()
            .flat_map(|lane| {
                ["002", "10", "99999999999999999999", "100000000000000000000", "a", "b"].map(|part| (lane, part))
            })
            .map(|(lane, part)| format!("a_S1_L{lane}_R{read}_{part}.fastq.gz"))
            .collect();
        assert_eq!(below_run(slot), expected);
    }
}

#[test]
fn a_slot_of_one_part_keeps_its_file_name() {
    let run = complete_run(files(&["a_S1_L001_R1_001.fastq.gz", "a_S1_L001_R2_001.fastq.gz"]));
    let sample = ready(&manifest(LANES), &run);
    let names: Vec<_> = sample.slots.iter().map(|slot| slot.filename.as_str()).collect();
    assert_eq!(names, ["a_S1_L001_R1_001.fastq.gz", "a_S1_L001_R2_001.fastq.gz"]);
}

#[test]
fn plain_parts_are_joined_under_a_plain_name() {
    let sample = ready(&manifest(LANES), &complete_run(files(&["a_S1_L1_R1_1.fastq", "a_S1_L2_R1_1.fastq"])));
    assert_eq!(sample.slots[0].filename, "run1_a_R1.fastq");
}

#[test]
fn mates_with_different_lanes_or_parts_block() {
    let manifest = manifest(LANES);
    let run = files(&["a_S1_L1_R1_1.fastq.gz", "a_S1_L2_R1_1.fastq.gz", "a_S1_L2_R2_1.fastq.gz"]);
    is_blocked(
        &manifest,
        &complete_run(run),
        "reads1 has lane 1 part 1, lane 2 part 1 and reads2 has lane 2 part 1: mates must have the same lanes and parts",
    );
    let run = files(&["a_S1_L1_R1_1.fastq.gz", "a_S1_L1_R2_2.fastq.gz"]);
    is_blocked(
        &manifest,
        &complete_run(run),
        "reads1 has lane 1 part 1 and reads2 has lane 1 part 2: mates must have the same lanes and parts",
    );
    let run = files(&["a_S1_L1_R1_1.fastq.gz", "a_S1_L001_R2_001.fastq.gz"]);
    ready(&manifest, &complete_run(run));
}

#[test]
fn a_file_of_all_lanes_is_not_joined_with_those_of_single_ones() {
    let manifest = manifest(&LANES.replace(
        "rules:",
        "rules:\n  - { name: both, match: [\"{sample}_S1_L{lane:int}_R{read}.fq\", \"{sample}_S1_R{read}.fq\"], \
         sample: { name: \"{sample}\", type: x } }",
    ));
    let blocked = "a_S1_R1.fq is of no lane and a_S1_L001_R1.fq of one: their reads may be the same; remove one";
    is_blocked(&manifest, &complete_run(files(&["a_S1_L001_R1.fq", "a_S1_R1.fq"])), blocked);
    ready(&manifest, &complete_run(files(&["a_S1_L001_R1.fq", "a_S1_L002_R1.fq"])));
}

#[test]
fn plain_and_gzipped_parts_of_one_slot_block() {
    let run = complete_run(files(&["a_S1_L1_R1_1.fastq", "a_S1_L2_R1_1.fastq.gz"]));
    is_blocked(&manifest(LANES), &run, "reads1 mixes plain and gzipped files, which cannot be joined");
    let run = complete_run(files(&["a_S1_L1_R1_1.fastq", "a_S1_L1_R2_1.fastq.gz"]));
    ready(&manifest(LANES), &run);
}

#[test]
fn only_fastq_is_joined() {
    let run = complete_run(files(&["x/a_S1_L1_R1_1.bam", "x/a_S1_L2_R1_1.bam"]));
    let reason = "x/a_S1_L1_R1_1.bam cannot be joined with others byte by byte: only FASTQ can";
    is_blocked(&manifest(LANES), &run, reason);
    ready(&manifest(LANES), &complete_run(files(&["x/a_S1_L1_R1_1.bam"])));
    for (paths, name) in [
        (["x/a_S1_L1_R1_1.bam", "x/a_S1_L2_R1_1.bam"], ""),
        (["x/a_S1_L1_R1_1.fastq", "x/a_S1_L2_R1_1.fastq.gz"], ""),
        (["x/a_S1_L1_R1_1.fastq", "x/a_S1_L2_R1_1.fastq"], "run1_a_R1.fastq"),
    ] {
        let slot = only(&manifest(LANES), &complete_run(files(&paths))).finding.sample.slots.remove(0);
        assert_eq!(slot.filename, name, "what is never sent has no name: {paths:?}");
    }
}

#[test]
fn an_empty_file_blocks_by_name() {
    let run = |files| complete_run(files);
    let lanes = manifest(LANES);
    // What is no FASTQ has a header at least.
    let one = run(vec![empty("a_S1_L1_R1_1.bam")]);
    is_blocked(&lanes, &one, "a_S1_L1_R1_1.bam is empty, and Flow cannot take an empty file");
    let both = run(vec![empty("a_S1_L1_R1_1.bam"), empty("a_S1_L2_R1_1.bam")]);
    is_blocked(&lanes, &both, "all files of reads1 are empty, and Flow cannot take an empty file");
    // A gzip file of no bytes is one that was cut off, and its lane's reads are missing.
    let cut = run(vec![file("a_S1_L1_R1_1.fastq.gz"), empty("a_S1_L2_R1_1.fastq.gz")]);
    let reason = "a_S1_L2_R1_1.fastq.gz is empty, which no gzip file is; it was cut off, so write it again";
    is_blocked(&lanes, &cut, reason);
    // A plain one is a lane without reads.
    ready(&lanes, &run(vec![file("a_S1_L1_R1_1.fastq"), empty("a_S1_L2_R1_1.fastq")]));
    let data = manifest("version: 1\nrules: [{name: all, match: '**', data: {}}]");
    is_blocked(&data, &endless(vec![empty("x/y")]), "x/y is empty, and Flow cannot take an empty file");
}

#[test]
fn names_with_spaces_become_acceptable() {
    let sample = ready(&manifest(PAIRS), &endless(files(&["liver 3_R1.fastq.gz", "liver 3_R2.fastq.gz"])));
    assert_eq!(sample.key.name, "liver_3");
    assert_eq!(sample.slots[0].filename, "liver_3_R1.fastq.gz");
    assert!(matches!(&sample.target, Target::Sample { name, .. } if name == "liver_3"));
}

#[test]
fn two_names_that_become_one_block() {
    let run = complete_run(files(&["a 1_R1.fastq.gz", "a\t1_R1.fastq.gz", "b_R1.fastq.gz"]));
    let samples = samples(&manifest(PAIRS), &run);
    let expected = "two groups of files come out with the name a_1: a\\x091_R1.fastq.gz (rule pairs) and \
                    a 1_R1.fastq.gz (rule pairs); capture what tells them apart and use it in the name";
    let blocked = || Standing::Blocked(expected.to_owned());
    let standings: Vec<_> = samples.into_iter().map(|assembled| assembled.finding.standing).collect();
    assert_eq!(standings, [blocked(), blocked(), Standing::Ready]);
}

#[test]
fn a_name_that_cannot_be_made_acceptable_blocks() {
    let manifest = manifest(
        "version: 1\nrules: [{name: dots, match: '{sample:[.]*}{x:[a-z]}_R{read}.fq', sample: {name: '{sample}', type: x}}]",
    );
    let run = complete_run(files(&["..a_R1.fq", "b_R1.fq"]));
    let samples = samples(&manifest, &run);
    let reasons: Vec<_> =
        samples.iter().map(|assembled| (&assembled.finding.sample.key.name[..], &assembled.finding.standing)).collect();
    let blocked = |reason: &str| Standing::Blocked(reason.to_owned());
    let folder = "cannot name what rule dots makes of ..a_R1.fq: the name \"..\" stands for a folder; make the rule \
                  render another";
    let nothing = "cannot name what rule dots makes of b_R1.fq: the name is empty; make the rule render at least one \
                   character";
    assert_eq!(reasons, [("..a_R1.fq", &blocked(folder)), ("b_R1.fq", &blocked(nothing))]);
}

#[test]
fn a_name_that_leaves_no_room_for_the_slots_name_blocks() {
    let manifest = manifest(&LANES.replace("{run}_{sample}", "{sample}{sample}{sample}"));
    let parts = ["1", "2"].map(|lane| format!("{}_S1_L{lane}_R1_1.fastq.gz", "s".repeat(82)));
    let reason = format!(
        "cannot name {}: the name is 258 bytes long, more than 255; make the rule render a shorter one",
        parts[0]
    );
    is_blocked(&manifest, &complete_run(parts.iter().map(file).collect()), &reason);
    ready(&manifest, &complete_run(parts[..1].iter().map(file).collect()));
}

#[test]
fn the_sample_number_tells_no_samples_apart() {
    let run = files(&["a_S1_L1_R1_1.fastq.gz", "a_S7_L2_R1_1.fastq.gz"]);
    assert_eq!(below_run(&ready(&manifest(LANES), &complete_run(run)).slots[0]).len(), 2);
}

#[test]
fn what_lay_there_at_the_first_start_is_told_and_a_new_mate_makes_it_new() {
    let manifest = manifest(PAIRS);
    let old = || vec![existing("a_R1.fastq.gz"), existing("a_R2.fastq.gz")];
    for view in [open_run(old()), complete_run(old()), endless(old())] {
        let assembled = only(&manifest, &view);
        assert!(assembled.finding.is_existing);
        assert_eq!(assembled.finding.sample.slots.len(), 2);
    }
    let half_new = vec![existing("a_R1.fastq.gz"), file("a_R2.fastq.gz")];
    assert!(!only(&manifest, &endless(half_new.clone())).finding.is_existing);
    assert_eq!(ready(&manifest, &endless(half_new)).slots.len(), 2);
}

#[test]
fn a_file_that_changes_after_the_marker_holds_back_the_whole_run_folder() {
    let manifest = manifest(PAIRS);
    let mut files = vec![file("a_R1.fastq.gz"), changing("b_R1.fastq.gz", 10), changing("c_R1.fastq.gz", 25)];
    let run = complete_run(files.clone());
    let samples = samples(&manifest, &run);
    let waiting = |reason: &str| Standing::Waiting(reason.to_owned());
    let standings: Vec<_> =
        samples.iter().map(|a| (a.finding.standing.clone(), a.in_time.unwrap().as_secs())).collect();
    assert_eq!(
        standings,
        [
            (waiting("2 files have not settled yet, b_R1.fastq.gz among them; marker done present"), 20),
            (waiting("b_R1.fastq.gz has not settled yet; marker done present"), 20),
            (waiting("c_R1.fastq.gz has not settled yet; marker done present"), 20),
        ]
    );
    // In a drop folder the others matter to nobody.
    files.push(file("done"));
    let samples = self::samples(&paired("auto"), &view("drop", "", files, 0, &marker()));
    assert_eq!(samples[0].finding.standing, Standing::Ready);
    assert_eq!(samples[1].finding.standing, waiting("b_R1.fastq.gz has not settled yet; marker done present"));
}

#[test]
fn what_no_rule_takes_holds_nothing_back() {
    let run = complete_run(vec![file("a_R1.fastq.gz"), changing("Logs/run.log", 0)]);
    ready(&manifest(PAIRS), &run);
}

#[test]
fn the_time_is_told_exactly_when_only_time_is_missing() {
    let manifest = manifest(PAIRS);
    let quiet = Condition::Quiet(Duration::from_secs(600));
    let run = |files, quiet_for, condition: &Condition| view("run1", "run1", files, quiet_for, condition);
    let both = |ago| vec![changing("a_R1.fastq.gz", ago), file("a_R2.fastq.gz")];
    waits(&manifest, &run(both(10), 580, &quiet), "quiet for 9m 40s of 10m", Some(20));
    waits(&manifest, &run(both(10), 595, &quiet), "quiet for 9m 55s of 10m", Some(20));
    waits(&manifest, &run(both(10), 0, &marker()), "waiting for the marker done", None);
    let any = Condition::Any(vec![marker(), quiet.clone()]);
    let reason = "waiting for the marker done, or quiet for 5m of 10m";
    waits(&manifest, &run(both(10), 300, &any), reason, Some(300));
    let drop_folder = endless(vec![changing("a_R1.fastq.gz", 10), changing("a_R2.fastq.gz", 5)]);
    waits(&manifest, &drop_folder, "2 files are still changing: a_R1.fastq.gz, a_R2.fastq.gz", Some(25));
    // Another sample's file must settle, too, before the run is taken.
    let mut files = vec![file("a_R1.fastq.gz"), changing("b_R1.fastq.gz", 0)];
    let times = |files: Vec<FileView>| -> Vec<_> {
        let samples = samples(&manifest, &run(files, 595, &quiet));
        samples.into_iter().map(|assembled| assembled.in_time.map(|time| time.as_secs())).collect()
    };
    assert_eq!(times(files.clone()), [Some(30), Some(30)]);
    // A mate that does not come by then blocks its sample.
    files.push(changing("c_R2.fastq.gz", 0));
    assert_eq!(times(files), [Some(30), Some(30), Some(30)]);
}

#[test]
fn a_run_with_a_blind_spot_waits_for_a_person() {
    let run = complete_run(files(&["a_R1.fastq.gz"])).with_unreadable(vec!["2026/run1/Data".into()]);
    let reason = "cannot read 2026/run1/Data; make it readable to the agent, or ignore it; marker done present";
    waits(&manifest(PAIRS), &run, reason, None);
}

#[test]
fn every_file_of_a_data_rule_is_an_upload_of_its_own() {
    let manifest = manifest(
        "version: 1\nrules:\n\
         - {name: reports, match: 'Reports/{report}.html', data: {filename: '{run}_{report}.html', data_type: report}}\n\
         - {name: rest, match: '{lane}/{read}/*', data: {}}\n",
    );
    let run = complete_run(files(&["Reports/a b.html", "Reports/c.html", "1/1/x y.txt", "2/1/z", "1/2/q"]));
    let samples = samples(&manifest, &run);
    let data: Vec<_> = samples
        .iter()
        .map(|assembled| {
            assert_eq!(assembled.finding.standing, Standing::Ready);
            let [slot] = assembled.finding.sample.slots.as_slice() else { panic!("one slot") };
            assert_eq!((slot.key.as_str(), &slot.filename), ("data", &assembled.finding.sample.key.name));
            assert_eq!(assembled.finding.sample.key.kind, Kind::Data);
            (slot.filename.as_str(), below_run(slot).remove(0), assembled.finding.sample.target.clone())
        })
        .collect();
    let report = || Target::Data { data_type: Some("report".to_owned()), is_directory: false };
    let other = || Target::Data { data_type: None, is_directory: false };
    let expected = [
        ("q", "1/2/q".to_owned(), other()),
        ("run1_a_b.html", "Reports/a b.html".to_owned(), report()),
        ("run1_c.html", "Reports/c.html".to_owned(), report()),
        ("x_y.txt", "1/1/x y.txt".to_owned(), other()),
        ("z", "2/1/z".to_owned(), other()),
    ];
    assert_eq!(data, expected);
}

#[test]
fn two_generic_files_of_one_name_block() {
    let manifest = manifest("version: 1\nrules: [{name: all, match: '**', data: {}}]");
    let both = "log.txt: x/log.txt (rule all) and y/log.txt (rule all)";
    clash(&manifest, &endless(files(&["x/log.txt", "y/log.txt"])), &[("log.txt", both), ("y/log.txt", both)]);
}

#[test]
fn what_no_rule_takes_is_left_out_with_the_manifests_reason() {
    let manifest = manifest(&PAIRS.replace("sample: {", "where: { sample: \"RNA_*\" }\n    sample: {"));
    let view = open_run(files(&["DNA_1_R1.fastq.gz", "x.txt"]));
    assert!(samples(&manifest, &view).is_empty());
    let expected =
        [("DNA_1_R1.fastq.gz", "no rule matches; nearest: pairs (where: sample)"), ("x.txt", "no rule matches")]
            .map(|(path, reason)| (format!("/data/watch/run1/{path}"), reason.to_owned()));
    assert_eq!(left_out(&manifest, &view), expected);
}

#[test]
fn a_name_that_is_not_utf8_is_taken_and_two_that_look_alike_are_kept_apart() {
    let manifest = manifest(PAIRS);
    let strange = |bytes: &[u8]| file(OsStr::from_bytes(bytes));
    let pair = vec![strange(b"a\xff_R1.fastq.gz"), strange(b"a\xff_R2.fastq.gz")];
    let sample = ready(&manifest, &endless(pair.clone()));
    assert_eq!((sample.key.name.as_str(), sample.slots[0].filename.as_str()), ("a_", "a__R1.fastq.gz"));
    assert_eq!(sample.slots[0].parts[0].path, pair[0].path, "the bytes of the path are kept");

    let alike = complete_run(vec![strange(b"a\xfe_R1.fastq.gz"), strange(b"a\xff_R1.fastq.gz")]);
    let reason = "two files claim reads1: a\\xfe_R1.fastq.gz and a\\xff_R1.fastq.gz; remove one, or capture what tells \
                  them apart (a lane, a part, a folder)";
    is_blocked(&manifest, &alike, reason);
    let data = self::manifest("version: 1\nrules: [{name: all, match: 'x/*', data: {}}]");
    let alike = endless(vec![strange(b"x/\xfe"), strange(b"x/\xff")]);
    let both = "_: x/\\xfe (rule all) and x/\\xff (rule all)";
    clash(&data, &alike, &[("_", both), ("x/\\xff", both)]);
}

#[test]
fn runs_of_one_name_in_two_folders_are_two_runs() {
    let pair = || files(&["a_R1.fastq.gz", "a_R2.fastq.gz"]);
    let [one, two] = ["x/run1", "y/run1"]
        .map(|folder| ready(&manifest(PAIRS), &view("run1", folder, pair(), 0, &Condition::Settled)).key);
    assert_ne!(one, two);
    assert_eq!(one.run, "x/run1");
}

#[test]
fn a_run_that_a_person_closed_is_taken_as_it_is_and_a_closed_sample_without_its_mate() {
    let manifest = paired("required");
    let standing = |files: Vec<FileView>, closed: &Closed| {
        let view = open_run(files);
        assemble("miseq", &manifest, &view, closed, &Shelf::default()).samples[0].finding.standing.clone()
    };
    let pair = || vec![file("a_R1.fastq.gz"), file("a_R2.fastq.gz")];
    let run = Closed { run: true, ..Closed::default() };
    assert_eq!(standing(pair(), &run), Standing::Ready);
    let late = vec![file("a_R1.fastq.gz"), changing("a_R2.fastq.gz", 10)];
    assert!(matches!(standing(late, &run), Standing::Waiting(_)), "what changes is not all there is");
    let single = || vec![file("a_R1.fastq.gz")];
    assert!(matches!(standing(single(), &run), Standing::Blocked(_)), "the rule wants both reads");
    let sample = Closed { samples: ["a".to_owned()].into(), ..Closed::default() };
    assert_eq!(standing(single(), &sample), Standing::Ready);
    let other = Closed { samples: ["b".to_owned()].into(), ..Closed::default() };
    assert!(matches!(standing(single(), &other), Standing::Waiting(_)));
}

#[test]
fn a_rule_that_asks_for_a_release_says_so_once_all_else_holds() {
    let manual = manifest(&PAIRS.replace("sample:", "release: manual\n    sample:"));
    let pair = ["a_R1.fastq.gz", "a_R2.fastq.gz"];
    let ready = only(&manual, &complete_run(files(&pair)));
    let id = ready.finding.sample.id();
    let reason = format!("rule pairs asks for a person's release: flow-ingest release {id}");
    assert_eq!(ready.finding.standing, Standing::AwaitsRelease(reason));
    let open = only(&manual, &open_run(files(&pair)));
    assert!(matches!(open.finding.standing, Standing::Waiting(_)), "{open:?}");
    let auto = manifest(&PAIRS.replace("sample:", "release: auto\n    sample:"));
    assert_eq!(only(&auto, &complete_run(files(&pair))).finding.standing, Standing::Ready);
    assert!(Manifest::parse("m.yaml", &PAIRS.replace("sample:", "release: later\n    sample:")).is_err());
}

#[test]
fn a_sample_says_what_its_files_captured_alike() {
    let sample = only(&manifest(LANES), &complete_run(files(&["a_S1_L1_R1_001.gz", "a_S1_L2_R1_001.gz"])));
    assert_eq!(sample.captured, Captures::from([("sample".to_owned(), "a".to_owned())]));
}
