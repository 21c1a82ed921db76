//! Samples that a sheet declares and that have no reads, and files that have none.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::sheet_tests::Lab;
use super::tests::{changing, complete_run, endless, file, open_run};
use super::*;
use crate::pattern::Pattern;
use crate::sample::Standing;
use crate::watch::{Completion, Condition, Folder, FolderCompletion};

const RULE: &str = r#"
version: 1
rules:
  - name: lanes
    match: "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz"
    sheet: {}
    sample: { name: "{sample}", type: RNA-Seq }
"#;

const SHEET: &str = "[Header]\nInvestigator,Ada\n[Data]\nLane,Sample_ID,Sample_Name,Sample_Project,Description\n\
                     1,a,a,P1,\n1,b,b,P2,\n2,b,b,P2,\n1,c,c,P1,\n";

const A: &str = "a_S1_L001_R1_001.fastq.gz";
const B: &str = "b_S2_L002_R1_001.fastq.gz";
const C: &str = "c_S3_L001_R1_001.fastq.gz";

/// A lab with the sheet in its run.
fn lab(manifest: &str) -> Lab {
    let lab = Lab::new(manifest);
    lab.write("run1/SampleSheet.csv", SHEET);
    lab
}

/// The samples, each with its rule, whether it has files, and its standing.
fn told(lab: &Lab, view: &RunView) -> Vec<String> {
    let told = |assembled: Assembled| {
        let Finding { sample, standing, .. } = assembled.finding;
        let files = if sample.slots.is_empty() { "no files" } else { "files" };
        let standing = match standing {
            Standing::Ready => "ready".to_owned(),
            Standing::AwaitsRelease(reason) => format!("held: {reason}"),
            Standing::Waiting(reason) => format!("waiting: {reason}"),
            Standing::Blocked(reason) => format!("blocked: {reason}"),
            Standing::Skipped(reason) => format!("skipped: {reason}"),
        };
        format!("{} {} ({files}) {standing}", sample.rule, sample.key.name)
    };
    lab.assemble(view).samples.into_iter().map(told).collect()
}

fn complete(lab: &Lab, reads: &[&str]) -> Vec<String> {
    told(lab, &complete_run(lab.files(reads)))
}

#[test]
fn lanes_and_samples_of_the_sheet_are_awaited_for_ten_settle_times_behind_a_marker_and_hold_up_nobody_else() {
    let lab = lab(RULE);
    let at = |seconds| {
        let mut files = lab.files(&[A, B]);
        files.iter_mut().for_each(|file| file.unchanged_for = Duration::from_secs(seconds));
        told(&lab, &complete_run(files).with_settle(Duration::from_secs(30)))
    };
    let lane = "waiting for lane 1, in which its sheet has it, until nothing has come for 5m";
    let holds = "marker done present";
    assert_eq!(
        at(299),
        [
            "lanes a (files) ready".to_owned(),
            format!("lanes b (files) waiting: 1 of 3 samples of SampleSheet.csv has no reads; {lane}; {holds}"),
            "lanes c (no files) waiting: no reads yet (SampleSheet.csv, line 8); waiting until nothing has come for 5m"
                .to_owned()
        ]
    );
    assert_eq!(
        at(300),
        [
            "lanes a (files) ready",
            "lanes b (files) ready",
            "lanes c (no files) skipped: no reads (SampleSheet.csv, line 8), and the run is complete"
        ]
    );
}

#[test]
fn who_waits_says_how_many_have_no_reads_and_who_has_none_waits_by_name() {
    let lab = lab(RULE);
    let waiting = "waiting for the marker done";
    assert_eq!(
        told(&lab, &open_run(lab.files(&[A, B]))),
        [
            format!("lanes a (files) waiting: 1 of 3 samples of SampleSheet.csv has no reads; {waiting}"),
            format!("lanes b (files) waiting: 1 of 3 samples of SampleSheet.csv has no reads; {waiting}"),
            format!("lanes c (no files) waiting: no reads yet (SampleSheet.csv, line 8); {waiting}"),
        ]
    );
    let all = told(&lab, &open_run(lab.files(&[A, B, C])));
    assert!(all.iter().all(|told| told.ends_with(&format!("(files) waiting: {waiting}"))), "{all:?}");
    // No file has come at all.
    let none = told(&lab, &open_run(lab.files(&[])));
    let names: Vec<&str> = none.iter().map(|told| told.split(' ').nth(1).unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"], "{none:?}");
    assert!(none[1].ends_with(&format!("no reads yet (SampleSheet.csv, line 6); {waiting}")), "{none:?}");
}

#[test]
fn once_the_run_is_complete_who_is_there_goes_and_who_is_not_is_skipped_or_blocks() {
    let lab = lab(RULE);
    let skipped = "lanes c (no files) skipped: no reads (SampleSheet.csv, line 8), and the run is complete";
    assert_eq!(complete(&lab, &[A, B]), ["lanes a (files) ready", "lanes b (files) ready", skipped]);
    // A file of the run still changes.
    let mut files = lab.files(&[A]);
    files.push(changing(B, 10));
    let assembly = lab.assemble(&complete_run(files));
    let absent = &assembly.samples[2];
    assert_eq!(
        absent.finding.standing,
        Standing::Waiting(format!("no reads yet (SampleSheet.csv, line 8); {B} has not settled yet"))
    );
    assert_eq!(absent.in_time, Some(Duration::from_secs(20)));

    let blocking = self::lab(&RULE.replace("sheet: {}", "sheet: {}\n    no_reads: block"));
    assert_eq!(
        complete(&blocking, &[A, B])[2],
        "lanes c (no files) blocked: no reads (SampleSheet.csv, line 8), and the run is complete; once they are there it \
         goes on, or leave it: flow-ingest skip"
    );
    // A person said that what is there is all there will be.
    let closed = Closed { run: true, ..Closed::default() };
    let view = open_run(lab.files(&[A, B]));
    let shelf = lab.read(&view);
    let assembly = assemble("miseq", &lab.manifest, &view, &closed, &shelf);
    assert!(matches!(assembly.samples[2].finding.standing, Standing::Skipped(_)), "{assembly:?}");
}

#[test]
fn an_absent_sample_has_the_name_that_its_reads_will_have() {
    let named = |name: &str, sheet: &str| {
        let lab = lab(&RULE.replace("\"{sample}\"", &format!("\"{name}\"")));
        lab.write("run1/SampleSheet.csv", SHEET.replace("1,c,c,P1", sheet));
        let samples = lab.assemble(&complete_run(lab.files(&[A, B]))).samples;
        let absent = samples.iter().find(|assembled| assembled.finding.sample.slots.is_empty()).unwrap();
        absent.finding.sample.key.name.clone()
    };
    assert_eq!(named("{run}_{sample}", "1,c,c,P1"), "run1_c");
    assert_eq!(named("{sheet.Sample_Project}-{sample}", "1,c,c,P1"), "P1-c");
    assert_eq!(named("{sheet.Sample_Name}", "1,3,liver 3,P1"), "liver_3");
    // How the instrument writes it is not known; it is known by what stands in the sheet.
    assert_eq!(named("{run}_{sample}", "1,c 3,c 3,P1"), "c_3");
    // The files are named after either column, and here they differ.
    assert_eq!(named("{run}_{sample}", "1,3,c,P1"), "3");
    assert_eq!(named("{sample}_{sheet.Description}", "1,c,c,P1"), "c");
}

#[test]
fn nothing_is_declared_where_it_cannot_be_told() {
    // The files are named after something that the sheet does not have.
    let lab = lab(RULE);
    let other = complete(&lab, &["x_S1_L001_R1_001.fastq.gz"]);
    assert_eq!(other.len(), 1, "{other:?}");
    // A table of the lab, which may speak of other runs.
    let outside = Lab::new(&RULE.replace("sheet: {}", "sheet: {path: lab.csv}"));
    outside.write("lab.csv", SHEET);
    assert_eq!(complete(&outside, &[A]), ["lanes a (files) ready"]);
    let of_run = Lab::new(&RULE.replace("sheet: {}", "sheet: {path: '{run}.csv'}"));
    of_run.write("run1.csv", SHEET);
    assert_eq!(complete(&of_run, &[A]).len(), 3);
    // A folder that never ends, and a run of before.
    assert_eq!(told(&lab, &endless(lab.files(&[A]))).len(), 1);
    let mut existing = lab.files(&[A]);
    existing.iter_mut().for_each(|file| file.observation.existing = true);
    assert_eq!(told(&lab, &open_run(existing)).len(), 1);
    // A condition on what only a file tells.
    let project =
        RULE.replace("**/{sample}", "{project}/{sample}").replace("sheet: {}", "where: { project: P1 }\n    sheet: {}");
    let lab = self::lab(&project);
    assert_eq!(complete(&lab, &[&format!("P1/{A}")]), ["lanes a (files) ready"]);
    // A sheet that has not settled.
    let mut files = lab.files(&[&format!("P1/{A}")]);
    files.iter_mut().filter(|file| file.path.ends_with("SampleSheet.csv")).for_each(|file| file.settled = false);
    assert_eq!(told(&lab, &complete_run(files)).len(), 1);
}

#[test]
fn a_declared_sample_belongs_to_the_first_rule_whose_conditions_hold() {
    let rule = |name: &str, condition: &str, sheet: &str| {
        format!(
            "  - name: {name}\n    match: \"{{sample}}_S{{n:int}}_L{{lane:int}}_R{{read}}_001.fastq.gz\"\n    \
             {condition}\n    {sheet}\n    sample: {{ name: \"{name}_{{sample}}\", type: X }}\n"
        )
    };
    let rules = |rules: &[String]| self::lab(&format!("version: 1\nrules:\n{}", rules.concat()));
    let by_project = [
        rule("one", "where: { sheet.Sample_Project: P1 }", "sheet: {}"),
        rule("two", "where: { sheet.Sample_Project: \"P[2-9]\" }", "sheet: {}"),
    ];
    let lab = rules(&by_project);
    let absent = complete(&lab, &[A]);
    assert_eq!(absent[0], "one one_a (files) ready");
    assert!(absent[1].starts_with("one one_c (no files) skipped: no reads (SampleSheet.csv, line 8)"), "{absent:?}");
    assert!(absent[2].starts_with("two two_b (no files) skipped: no reads (SampleSheet.csv, line 6)"), "{absent:?}");
    let waiting = told(&lab, &open_run(lab.files(&[A])));
    assert!(waiting[0].contains("waiting: 2 of 3 samples of SampleSheet.csv have no reads; "), "{waiting:?}");

    // What no rule takes is not missed, and neither is what a rule without a sheet takes.
    let lab = rules(&by_project[..1]);
    assert_eq!(complete(&lab, &[A]).len(), 2);
    let lab = rules(&[rule("by-name", "where: { sample: \"[ab]\" }", ""), rule("rest", "", "sheet: {}")]);
    let samples = complete(&lab, &[A]);
    assert_eq!(samples.len(), 2, "{samples:?}");
    assert!(samples[1].starts_with("rest rest_c (no files) skipped"), "{samples:?}");
    // Reads that a rule leaves out are reads all the same.
    let lab = rules(&[rule("some", "where: { sample: \"[ab]\" }", "sheet: {}")]);
    assert_eq!(complete(&lab, &[A, B, C]).len(), 2);
}

#[test]
fn only_rows_of_the_runs_flow_cell_are_declared() {
    let rule = RULE
        .replace(
            "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz",
            "fastq_pass/{barcode}/*_{part:int}.fastq.gz",
        )
        .replace("sheet: {}", "sheet: { equals: \"{barcode}\" }")
        .replace("\"{sample}\"", "\"{run}_{sheet.alias}\"");
    let lab = Lab::new(&rule);
    lab.write(
        "run1/sample_sheet_FAX_1.csv",
        "flow_cell_id,experiment_id,sample_id,kit,alias,barcode\nFAX,e,s,k,liver,barcode01\nFAX,e,s,k,lung,barcode02\n\
         FAY,e,s,k,skin,barcode03\n",
    );
    let view = |reads: &[&str]| {
        let captures = Captures::from([("flow_cell".to_owned(), "FAX".to_owned())]);
        let mut files = lab.files(reads);
        files.push(file("done"));
        let marker = Condition::Marker(Pattern::parse("done").unwrap().into());
        let long = Duration::from_secs(1000);
        RunView::new("run1".into(), "run1".into(), captures, files, super::tests::BOOT, long, &marker.into())
    };
    let samples = told(&lab, &view(&["fastq_pass/barcode02/FAX_pass_x_0.fastq.gz"]));
    let absent =
        "lanes run1_liver (no files) skipped: no reads (sample_sheet_FAX_1.csv, line 2), and the run is complete";
    assert_eq!(samples, ["lanes run1_lung (files) ready", absent]);
    // The column that tells the rows apart is that of the samples, while no file tells.
    let none = told(&lab, &view(&[]));
    assert_eq!(none.len(), 2, "{none:?}");
    assert_eq!(none[0], absent);
}

#[test]
fn a_cell_that_has_not_begun_is_waited_for() {
    let rule = RULE
        .replace(
            "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz",
            "{cell}/hifi_reads/{movie}.{barcode}.bam",
        )
        .replace("sheet: {}", "sheet: { path: design.csv, key: Bio Sample Name, equals: \"{barcode}\" }");
    let lab = Lab::new(&rule.replace("\"{sample}\"", "\"{barcode}\""));
    lab.write("run1/design.csv", "Bio Sample Name,Plate Well\na,1_A01\nb,1_A01\nc,1_B01\nd,1_C01\ne,\n");
    let unit = FolderCompletion {
        folder: Folder::Named(Pattern::parse("{cell:[0-9]_[A-H][0-9]{2}}").unwrap()),
        complete_when: Condition::Marker(Pattern::parse("{cell}/done").unwrap().into()),
        is_own_unit: true,
    };
    let otherwise = Condition::Marker(Pattern::parse("done").unwrap().into());
    let complete_when = Completion { folders: vec![unit], ..otherwise.into() };
    let reads = ["1_A01/hifi_reads/m1.a.bam", "1_A01/done", "1_B01/hifi_reads/m2.x.bam"];
    let files = lab.files(&reads);
    let long = Duration::from_secs(1000);
    let view =
        RunView::new("run1".into(), "run1".into(), Captures::new(), files, super::tests::BOOT, long, &complete_when);
    let samples = told(&lab, &view);
    let absent: Vec<&String> = samples.iter().filter(|told| told.contains("no files")).collect();
    assert_eq!(
        absent,
        [
            "lanes b (no files) skipped: no reads (design.csv, line 3), and the run is complete",
            "lanes c (no files) waiting: no reads yet (design.csv, line 4); waiting for the marker 1_B01/done",
            "lanes d (no files) waiting: no reads yet (design.csv, line 5); nothing has come of the cell 1_C01",
        ]
    );
}

#[test]
fn a_barcode_that_each_cell_has_is_a_sample_in_each() {
    let rule = RULE
        .replace(
            "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz",
            "{cell}/hifi_reads/{movie}.{barcode}.bam",
        )
        .replace("sheet: {}", "sheet: { path: design.csv, equals: \"{barcode}\" }")
        .replace("name: \"{sample}\"", "name: \"{sheet.Bio Sample Name}_{cell}\"");
    let lab = Lab::new(&rule);
    let design =
        "Bio Sample Name,Plate Well,Adapter\nliver,1_A01,bc1\nlung,1_A01,bc2\nheart,1_B01,bc1\nskin,1_B01,bc2\n";
    lab.write("run1/design.csv", design);
    assert_eq!(
        complete(&lab, &["1_A01/hifi_reads/m1.bc1.bam", "1_A01/hifi_reads/m1.bc2.bam", "1_B01/hifi_reads/m2.bc2.bam"]),
        [
            "lanes liver_1_A01 (files) ready",
            "lanes lung_1_A01 (files) ready",
            "lanes skin_1_B01 (files) ready",
            "lanes heart_1_B01 (no files) skipped: no reads (design.csv, line 4), and the run is complete",
        ]
    );
}

#[test]
fn quiet_alone_does_not_say_that_nothing_will_come() {
    let lab = lab(RULE);
    let quiet = |reads: &[&str]| {
        let condition = Condition::Quiet(Duration::from_secs(600));
        let long = Duration::from_secs(1000);
        let (captures, files) = (Captures::new(), lab.files(reads));
        RunView::new("run1".into(), "run1".into(), captures, files, super::tests::BOOT, long, &condition.into())
    };
    let none = told(&lab, &quiet(&[]));
    assert!(
        none[0].contains("(no files) waiting: no reads yet (SampleSheet.csv, line 5); nothing in the run has"),
        "{none:?}"
    );
    let one = told(&lab, &quiet(&[A]));
    assert!(one[1].contains("b (no files) skipped: no reads"), "{one:?}");
}

/// A gzip file of nothing, as bcl2fastq and BCL Convert write it.
fn blank() -> Vec<u8> {
    GzEncoder::new(Vec::new(), Compression::default()).finish().unwrap()
}

fn reads() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"@r\nA\n+\nI\n").unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_without_reads_are_no_sample_and_half_of_the_mates_block() {
    const RULE: &str = "version: 1\nrules:\n  - name: lanes\n    match: \"{sample}_L{lane}_R{read}.fastq{end:(.gz)?}\"\n    \
                        sample: { name: \"{sample}\", type: X }\n";
    let told = |files: &[(&str, &[u8])]| {
        let lab = Lab::new(&RULE.replace("{end:(.gz)?}", "*"));
        files.iter().for_each(|(name, bytes)| lab.write(&format!("run1/{name}"), bytes));
        complete(&lab, &[]).join("; ")
    };
    let (blank, reads) = (blank(), reads());
    let skipped = |files: &str| format!("lanes a (files) skipped: no reads: {files} empty");
    let both: [(&str, &[u8]); 2] = [("a_L1_R1.fastq.gz", &blank), ("a_L1_R2.fastq.gz", &blank)];
    assert_eq!(told(&both), skipped("a_L1_R1.fastq.gz and a_L1_R2.fastq.gz are"));
    assert_eq!(told(&both[..1]), skipped("a_L1_R1.fastq.gz is"));
    assert_eq!(told(&[("a_L1_R1.fastq.gz", b"")]), skipped("a_L1_R1.fastq.gz is"));
    assert_eq!(told(&[("a_L1_R1.fastq", b"")]), skipped("a_L1_R1.fastq is"));
    let lanes = [both[0], both[1], ("a_L2_R1.fastq.gz", &blank[..]), ("a_L2_R2.fastq.gz", &blank[..])];
    assert_eq!(told(&lanes), skipped("a_L1_R1.fastq.gz and 3 more files are"));
    // One lane without reads is joined with the other.
    let half = [("a_L1_R1.fastq.gz", &blank[..]), ("a_L2_R1.fastq.gz", &reads[..])];
    assert_eq!(told(&half), "lanes a (files) ready");
    let mates = [("a_L1_R1.fastq.gz", &reads[..]), ("a_L1_R2.fastq.gz", &blank[..])];
    assert_eq!(
        told(&mates),
        "lanes a (files) blocked: a_L1_R1.fastq.gz has reads and a_L1_R2.fastq.gz has none: mates must have the same \
         reads; write both again"
    );
    // Cut off, and no blank file: the upload looks at it.
    assert_eq!(told(&[("a_L1_R1.fastq.gz", &blank[..blank.len() - 1])]), "lanes a (files) ready");

    let lab = Lab::new(&RULE.replace("{end:(.gz)?}", "*").replace("sample: {", "no_reads: block\n    sample: {"));
    lab.write("run1/a_L1_R1.fastq.gz", &blank);
    let blocked = "lanes a (files) blocked: no reads: a_L1_R1.fastq.gz is empty; once they are there it goes on, or leave \
                   it: flow-ingest skip";
    assert_eq!(complete(&lab, &[]), [blocked]);
}

/// A rule of a watch with a layout that asks no sheet.
fn with_layout(rule: &str) -> Manifest {
    let text =
        format!("version: 1\nrules:\n  - name: r\n    {rule}\n    sample: {{ name: \"{{sample}}\", type: RNA-Seq }}\n");
    Manifest::parse_with_layout(&text, "illumina").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_sheet_of_a_layout_tells_who_has_no_reads_though_no_rule_asks_it() {
    let mut lab = lab(RULE);
    lab.manifest = with_layout("paired: auto");
    assert_eq!(
        told(&lab, &open_run(lab.files(&[A]))),
        [
            "r a (files) waiting: 2 of 3 samples of SampleSheet.csv have no reads; waiting for the marker done",
            "r b (no files) waiting: no reads yet (SampleSheet.csv, line 6); waiting for the marker done",
            "r c (no files) waiting: no reads yet (SampleSheet.csv, line 8); waiting for the marker done",
        ]
    );
    assert_eq!(
        complete(&lab, &[A, B]),
        [
            "r a (files) ready",
            "r b (files) ready",
            "r c (no files) skipped: no reads (SampleSheet.csv, line 8), and the run is complete",
        ]
    );
}

#[test]
fn a_sheet_that_no_rule_asks_keeps_nobody_waiting_and_says_nothing_of_others() {
    let ready = ["r a (files) ready", "r z (files) ready"];
    let mut lab = lab(RULE);
    lab.manifest = with_layout("paired: auto");
    // The sheet does not have z: it is not the one by which these were made.
    assert_eq!(complete(&lab, &[A, "z_S9_L001_R1_001.fastq.gz"]), ready);
    // Nothing lies there: they may be made elsewhere.
    assert_eq!(complete(&lab, &["Reports/x.html"]), [""; 0]);
    for sheet in ["a,b,a\n\"", "[Data]\nLane,Sample_ID,x\n1,a\n", "\0\0"] {
        lab.write("run1/SampleSheet.csv", sheet);
        assert_eq!(complete(&lab, &[A, "z_S9_L001_R1_001.fastq.gz"]), ready, "{sheet}");
    }
}
