//! Trees as instruments write them, with nothing but `layout` and a rule of five lines: the right samples with the right
//! files in the right order, nothing of what nobody wants, at the right moment and not before.
//!
//! The listings of real trees lie in a folder `shared` beside the clone (or where `FLOW_INGEST_SHARED` says). Without it,
//! the test of listings says so on stderr, and passes; the other trees are written here.

#[path = "support/host.rs"]
mod host;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use host::{Host, reason, sample};

#[tokio::test(flavor = "multi_thread")]
async fn each_analysis_of_a_novaseq_x_is_complete_by_itself() {
    let host = Host::new("illumina", "{run}_{sample}_{analysis}", "paired: required").await;
    let run = "deep/20231108_LH00188_0028_B22F52TLT3";
    let reads = |analysis: u8, application: &str, name: &str, lane: u8, read: u8| {
        format!("{run}/Analysis/{analysis}/Data/{application}/fastq/{name}_L00{lane}_R{read}_001.fastq.gz")
    };
    let mut files = Vec::new();
    for (lane, read) in [(2, 2), (1, 1), (1, 2), (2, 1)] {
        files.push(reads(1, "BCLConvert", "ACC_1_S1", lane, read));
        files.push(reads(1, "BCLConvert", "Undetermined_S0", lane, read));
        files.push(reads(2, "DragenGermline", "ACC_1_S1", lane, read));
    }
    for marker in ["RTAExited.txt", "RTAComplete.txt", "CopyComplete.txt", "Analysis/1/CopyComplete.txt"] {
        files.push(format!("{run}/{marker}"));
    }
    files.push(format!("{run}/Analysis/1/Data/BCLConvert/fastq/Logs/FastqComplete.txt"));
    files.push(format!("{run}/Data/Intensities/BaseCalls/L001/C1.1/L001_1.cbcl"));
    host.add(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let run_name = "20231108_LH00188_0028_B22F52TLT3";
    let (first, second) = (format!("{run_name}_ACC_1_1"), format!("{run_name}_ACC_1_2"));
    let slots = |analysis, application: &'static str| {
        let of_read = |read| [1, 2].map(|lane| reads(analysis, application, "ACC_1_S1", lane, read)).to_vec();
        vec![("reads1".to_owned(), of_read(1)), ("reads2".to_owned(), of_read(2))]
    };
    let expected = |one: &str, two: &str| {
        BTreeMap::from([
            (first.clone(), (one.to_owned(), slots(1, "BCLConvert"))),
            (second.clone(), (two.to_owned(), slots(2, "DragenGermline"))),
        ])
    };

    let plan = host.plan().await;
    assert_eq!(host.told(&plan), expected("waiting", "waiting"));
    let wait = "waiting for the marker Analysis/1/Data/Secondary_Analysis_Complete.txt";
    let said = reason(&plan, &first).strip_prefix(wait).unwrap_or_else(|| panic!("{plan:#}"));
    // The run's own says that the base calls are there, and decides nothing here.
    assert!(said.starts_with("; marker CopyComplete.txt present since "), "{said}");
    assert!(said.contains("; marker Analysis/1/CopyComplete.txt present since "), "{said}");
    let left_out = host.left_out(&plan);
    let undetermined = &left_out[&reads(1, "BCLConvert", "Undetermined_S0", 1, 1)];
    assert!(undetermined.starts_with("ignored by the layout illumina: reads that no sample was found for"));
    assert!(left_out.contains_key(&format!("{run}/Data/Intensities/BaseCalls/L001")), "its folder, not its files");
    assert_eq!(host.told(&host.once().await), expected("waiting", "waiting"));

    let complete = |n: u8| format!("{run}/Analysis/{n}/Data/Secondary_Analysis_Complete.txt");
    host.add(&[&complete(1)]);
    assert_eq!(host.told(&host.plan().await), expected("queued", "waiting"));
    let document = host.once().await;
    assert_eq!(host.told(&document), expected("done", "waiting"));
    host.check_arrived(&host.told(&document));

    host.add(&[&complete(2), &format!("{run}/Analysis/2/CopyComplete.txt")]);
    let told = host.told(&host.once().await);
    // It was seen before the first was sent, so it is not late; it is complete, and another sample.
    assert_eq!(told, expected("done", "done"));
    host.check_arrived(&told);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_that_comes_after_the_first_was_delivered_is_held() {
    let host = Host::new("illumina", "{run}_{sample}_{analysis}", "paired: never").await;
    let analysis = |n: u8, below: &str| format!("20231108_LH00188_0028_B22F52TLT3/Analysis/{n}/{below}");
    let add = |n: u8| {
        for below in [
            "Data/BCLConvert/fastq/A_S1_L001_R1_001.fastq.gz",
            "CopyComplete.txt",
            "Data/Secondary_Analysis_Complete.txt",
        ] {
            host.add(&[&analysis(n, below)]);
        }
    };
    add(1);
    assert_eq!(host.once().await["counts"]["done"], 1);
    add(2);
    let document = host.once().await;
    assert_eq!((&document["counts"]["done"], &document["counts"]["held"]), (&1.into(), &1.into()), "{document:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fastq_off_board_wait_for_the_demultiplexer_and_its_projects_stay_apart() {
    let host = Host::new("illumina", "{run}_{project}_{sample}", "paired: required").await;
    let run = "230912_A00187_1009_AHK33MDRX3";
    let file = |project: &str, read: &str| format!("{run}/Fastq/{project}/S_1_S7_{read}_001.fastq.gz");
    for project in ["ProjA", "ProjB"] {
        host.add(&[&file(project, "R1"), &file(project, "R2"), &file(project, "I1")]);
    }
    for marker in ["RTAComplete.txt", "CopyComplete.txt", "RunCompletionStatus.xml"] {
        host.add(&[&format!("{run}/{marker}")]);
    }
    let expected = |state: &str| {
        BTreeMap::from(["ProjA", "ProjB"].map(|project| {
            let (r1, r2) = (file(project, "R1"), file(project, "R2"));
            sample(&format!("{run}_{project}_S_1"), state, &[("reads1", &[&r1]), ("reads2", &[&r2])])
        }))
    };
    let document = host.once().await;
    assert_eq!(host.told(&document), expected("waiting"));
    let wait = reason(&document, &format!("{run}_ProjA_S_1"));
    let (wait, holds) = wait.split_once(" of 1h; ").unwrap_or_else(|| panic!("{wait}"));
    let demultiplexers =
        "waiting for the marker **/Logs/FastqComplete.txt, or waiting for the marker **/Stats/Stats.json";
    assert!(wait.starts_with(&format!("{demultiplexers}, or **/*.fastq.gz quiet for ")), "{wait}");
    // Whoever sees the run wait looks for this one.
    let clock = holds.strip_prefix("marker CopyComplete.txt present since ").unwrap_or_else(|| panic!("{holds}"));
    assert!(clock.len() == "14:02".len(), "{clock}");
    let left_out = host.left_out(&document);
    for marker in ["RTAComplete.txt", "CopyComplete.txt"] {
        let why = &left_out[&format!("{run}/{marker}")];
        assert_eq!(why, "it is a marker for which nothing waits (complete_when)", "{marker}");
    }
    host.add(&[&format!("{run}/Fastq/Logs/FastqComplete.txt")]);
    let document = host.once().await;
    assert_eq!(host.told(&document), expected("done"));
    host.check_arrived(&host.told(&document));
    assert!(host.left_out(&document)[&file("ProjA", "I1")].contains("index reads"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_a_run_wait_is_told_that_its_base_calls_are_there() {
    let host = Host::new("illumina", "{run}_{sample}", "paired: never\n    sheet: {}").await;
    let [copied, old, early] = ["230912_A00187_9_AHK3", "140822_NS500_1_AHK4", "230914_A00187_10_AHK5"];
    let read = |run: &str| format!("{run}/out/P/S_S1_R1_001.fastq.gz");
    for run in [copied, old, early] {
        host.add(&[&read(run)]);
        host.write(&format!("{run}/SampleSheet.csv"), "[Data]\nSample_ID\nS\nT\n");
    }
    host.add(&[&format!("{copied}/CopyComplete.txt"), &format!("{copied}/RTAComplete.txt")]);
    host.add(&[&format!("{old}/RTAComplete.xml")]);
    let plan = host.plan().await;
    let holds = |run: &str| {
        let reason = reason(&plan, &format!("{run}_S"));
        let lacks = "1 of 2 samples of SampleSheet.csv has no reads; waiting for the marker ";
        assert!(reason.starts_with(lacks), "{reason}");
        let holds = reason.split(" of 1h").nth(1).unwrap();
        holds.split(" since ").next().unwrap().to_owned()
    };
    assert_eq!(holds(copied), "; marker CopyComplete.txt present");
    assert_eq!(holds(old), "; marker RTAComplete.xml present");
    assert_eq!(holds(early), "");
    // It is no sign of an end: what the sheet declares and has nothing of is awaited.
    assert_eq!(host.told(&plan)[&format!("{copied}_T")].0, "waiting");
    let path = host.dir.path().join("runs").join(read(copied));
    let (exit, explained) = host.flow_ingest(&["explain", path.to_str().unwrap()]).await;
    assert_eq!(exit, 0, "{explained:#}");
    let holds = explained["holds"].as_array().unwrap();
    assert!(holds[0].as_str().unwrap().starts_with("marker CopyComplete.txt present since "), "{explained:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_overtakes_its_files_does_no_harm_where_a_sheet_tells_of_them() {
    let host = Host::new("bcl-convert", "{sample}", "paired: auto").await;
    let run = "230912_A00187_1009_AHK33MDRX3";
    let file = |name: &str| format!("{run}/{name}_001.fastq.gz");
    host.add(&[&format!("{run}/Logs/FastqComplete.txt")]);
    host.write(&format!("{run}/SampleSheet.csv"), "[BCLConvert_Data]\nSample_ID,Index\nEarly,A\nLate,C\nNever,G\n");
    host.add(&[&file("Early_S1_R1"), &file("Early_S1_R2")]);
    let states = |document| host.told(document).into_iter().map(|(name, (state, _))| (name, state)).collect::<Vec<_>>();
    let expected = |late: &str| {
        let states = [("Early", "done"), ("Late", late), ("Never", "skipped")];
        states.map(|(name, state)| (name.to_owned(), state.to_owned())).to_vec()
    };
    let document = host.once().await;
    assert_eq!(states(&document), expected("skipped"));
    assert!(reason(&document, "Never").starts_with("no reads (SampleSheet.csv, line 5)"));
    host.add(&[&file("Late_S2_R1"), &file("Late_S2_R2")]);
    assert_eq!(states(&host.once().await), expected("done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_call_waits_for_the_sheet_to_settle_though_the_run_goes_on() {
    let host = Host::new("bcl-convert", "{sheet.Sample_Name}", "sheet: {}").await;
    let run = "230912_A00187_1009_AHK33MDRX3";
    host.add(&[&format!("{run}/S_S1_R1_001.fastq.gz")]);
    let sheet = "[BCLConvert_Data]\nSample_ID,Sample_Name,Index\nS,liver,A\nT,lung,C\n";
    host.write(&format!("{run}/SampleSheet.csv"), sheet);
    let document = host.once().await;
    let wait = reason(&document, "liver");
    assert!(wait.starts_with("1 of 2 samples of SampleSheet.csv has no reads; waiting for the marker"), "{wait}");
    assert_eq!(document["counts"]["waiting"], 2);
}

/// Its quiet time is for another call, and must not hide that of the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_over_keeps_a_single_call_from_no_other() {
    let host = Host::new("bcl-convert", "{run}_{sample}", "paired: auto").await;
    let [over, going_on] = ["230912_A00187_1009_AHK33MDRX3", "230913_A00187_1010_AHK33MDRX4"];
    let files = [over, going_on].map(|run| format!("{run}/S_S1_R1_001.fastq.gz"));
    host.add(&[&files[0], &files[1], &format!("{over}/Logs/FastqComplete.txt")]);
    let expected = BTreeMap::from([
        sample(&format!("{over}_S"), "done", &[("reads1", &[&files[0]])]),
        sample(&format!("{going_on}_S"), "waiting", &[("reads1", &[&files[1]])]),
    ]);
    let plan = host.plan().await;
    assert_eq!(host.told(&plan)[&format!("{over}_S")].0, "queued");
    assert_eq!(host.told(&plan)[&format!("{going_on}_S")].0, "waiting", "an hour of quiet is still to come");
    assert_eq!(host.told(&host.once().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_analysis_under_the_names_of_the_first_is_held_too() {
    let host = Host::new("illumina", "{run}_{sample}", "paired: never").await;
    let run = "20231108_LH00188_0028_B22F52TLT3";
    let add = |analysis: u8| {
        let within = |path: &str| format!("{run}/Analysis/{analysis}/{path}");
        let read = within("Data/BCLConvert/fastq/S_S1_L001_R1_001.fastq.gz");
        host.add(&[&read, &within("CopyComplete.txt"), &within("Data/Secondary_Analysis_Complete.txt")]);
        read
    };
    let first = add(1);
    let done = sample(&format!("{run}_S"), "done", &[("reads1", &[&first])]);
    assert_eq!(host.told(&host.once().await), BTreeMap::from([done.clone()]));
    let second = add(2);
    let document = host.once().await;
    let name = second.strip_prefix(&format!("{run}/")).unwrap();
    assert_eq!(host.told(&document), BTreeMap::from([done, sample(name, "held", &[("reads1", &[&second])])]));
    assert!(reason(&document, name).starts_with("it is new in a run of which 1 sample had been sent before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_pair_that_a_marker_overtook_is_not_sent_alone() {
    let host = Host::new("bcl-convert", "{sample}", "paired: auto").await;
    let run = "230912_A00187_1009_AHK33MDRX3";
    let file = |name: &str| format!("{run}/{name}_001.fastq.gz");
    let read = "<Read Number=\"1\" NumCycles=\"151\" IsIndexedRead=\"N\" />";
    let info = format!("<?xml version=\"1.0\"?><RunInfo><Run><Reads>{read}{read}</Reads></Run></RunInfo>");
    host.write(&format!("{run}/Reports/RunInfo.xml"), info);
    host.add(&[&format!("{run}/Logs/FastqComplete.txt"), &file("S_S1_R1")]);
    let document = host.once().await;
    let expected = |state: &str, slots: &[(&str, &[&str])]| BTreeMap::from([sample("S", state, slots)]);
    let (r1, r2) = (file("S_S1_R1"), file("S_S1_R2"));
    assert_eq!(host.told(&document), expected("waiting", &[("reads1", &[&r1])]));
    let wait = reason(&document, "S");
    assert!(wait.starts_with("waiting for reads2, since Reports/RunInfo.xml tells of two reads"), "{wait}");
    host.add(&[&r2]);
    let document = host.once().await;
    assert_eq!(host.told(&document), expected("done", &[("reads1", &[&r1]), ("reads2", &[&r2])]));
    host.check_arrived(&host.told(&document));

    let host = Host::new("element", "{sample}", "paired: auto").await;
    let file = |read: &str| format!("20230404_AV223406_run/Samples/S/S_{read}.fastq.gz");
    host.write("20230404_AV223406_run/RunStats.json", r#"{"Reads": [{"Read": "R1"}, {"Read": "R2"}]}"#);
    host.add(&[&file("R1")]);
    let document = host.once().await;
    assert!(reason(&document, "S").starts_with("waiting for reads2, since RunStats.json tells of two reads"));
    host.add(&[&file("R2")]);
    assert_eq!(host.once().await["counts"]["done"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marker_of_one_demultiplexer_says_nothing_of_anothers_output() {
    let host = Host::new("illumina", "{sample}", "paired: required").await;
    let run = "230912_A00187_1009_AHK33MDRX3";
    let file = |output: &str, read: &str| format!("{run}/{output}/P/{output}_S7_{read}_001.fastq.gz");
    for output in ["early", "late"] {
        host.add(&[&file(output, "R1"), &file(output, "R2")]);
    }
    host.add(&[&format!("{run}/CopyComplete.txt"), &format!("{run}/early/Logs/FastqComplete.txt")]);
    let document = host.once().await;
    let states =
        |told: &BTreeMap<String, (String, _)>| told.values().map(|(state, _)| state.clone()).collect::<Vec<_>>();
    assert_eq!(states(&host.told(&document)), ["done", "waiting"]);
    let wait = reason(&document, "late");
    assert!(wait.starts_with("waiting for the marker **/Logs/FastqComplete.txt, or "), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_sample_in_two_projects_under_one_name_is_never_merged() {
    for layout in ["bcl-convert", "bcl2fastq"] {
        let host = Host::new(layout, "{run}_{sample}", "paired: never").await;
        let run = "230912_A00187_1009_AHK33MDRX3_out";
        host.add(&[
            &format!("{run}/ProjA/S_S1_L001_R1_001.fastq.gz"),
            &format!("{run}/ProjB/S_S2_L001_R1_001.fastq.gz"),
            &format!("{run}/ProjB/T_S3_L001_R1_001.fastq.gz"),
            &format!("{run}/Logs/FastqComplete.txt"),
            &format!("{run}/Stats/Stats.json"),
        ]);
        let plan = host.plan().await;
        let told = host.told(&plan);
        assert_eq!(told[&format!("{run}_T")].0, "queued", "{layout}");
        assert_eq!(told[&format!("{run}_S")].0, "blocked", "{layout}");
        let why = reason(&plan, &format!("{run}_S"));
        assert!(
            why.contains("ProjA/S_S1_L001_R1_001.fastq.gz") && why.contains("ProjB/S_S2_L001_R1_001.fastq.gz"),
            "{why}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_sample_in_two_analyses_under_one_name_is_never_merged() {
    let host = Host::new("illumina", "{run}_{sample}", "paired: never").await;
    let run = "20231108_LH00188_0028_B22F52TLT3";
    let file = |n: u8, lane: u8| format!("Analysis/{n}/Data/BCLConvert/fastq/S_S1_L00{lane}_R1_001.fastq.gz");
    for n in [1, 2] {
        let markers = ["CopyComplete.txt", "Data/Secondary_Analysis_Complete.txt"];
        host.add(&markers.map(|marker| format!("{run}/Analysis/{n}/{marker}")).each_ref().map(String::as_str));
        host.add(&[&format!("{run}/{}", file(n, n))]);
    }
    let document = host.once().await;
    let name = format!("{run}_S");
    assert_eq!(host.told(&document)[&name].0, "blocked");
    let why = reason(&document, &name);
    assert!(why.contains(&file(1, 1)) && why.contains(&file(2, 2)), "{why}");
    assert!(host.sandbox.samples().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_without_a_place_blocks_its_sample_until_the_rule_maps_it() {
    let run = "230912_A00187_1009_AHK33MDRX3";
    let file = |sample: &str, read: &str| format!("{run}/{sample}_S1_L001_{read}_001.fastq.gz");
    let files: Vec<String> =
        [("atac", "R1"), ("atac", "R2"), ("atac", "R3"), ("atac", "I1"), ("rna", "R1"), ("rna", "R2"), ("rna", "I1")]
            .map(|(sample, read)| file(sample, read))
            .to_vec();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let complete = format!("{run}/Logs/FastqComplete.txt");

    let host = Host::new("bcl-convert", "{sample}", "paired: required").await;
    host.add(&files);
    host.add(&[&complete]);
    let plan = host.plan().await;
    assert_eq!(host.told(&plan)["rna"].0, "queued");
    assert_eq!(host.told(&plan)["atac"].0, "blocked");
    let why = reason(&plan, "atac");
    assert!(why.contains("atac_S1_L001_R3_001.fastq.gz") && why.contains("reads: {reads1: R1, reads2: R3}"), "{why}");

    let host = Host::new("bcl-convert", "{sample}", "reads: { reads1: R1, reads2: R3 }").await;
    host.add(&files);
    host.add(&[&complete]);
    let document = host.once().await;
    let (r1, r3, rna) = (file("atac", "R1"), file("atac", "R3"), file("rna", "R1"));
    // A rule that names two reads takes no sample that has another pair.
    let expected = [
        sample("atac", "done", &[("reads1", &[&r1]), ("reads2", &[&r3])]),
        sample("rna", "blocked", &[("reads1", &[&rna])]),
    ];
    assert_eq!(host.told(&document), expected.into());
    assert_eq!(reason(&document, "rna"), "reads2 is missing: the run is complete without it");
    host.check_arrived(&host.told(&document));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_barcode_are_joined_by_number_once_minknow_is_done() {
    let host = Host::new("nanopore", "{experiment}_{sample}_{barcode}", "paired: never").await;
    let run = "exp/lib/20250603_1201_3E_PAA12345_e05460c6";
    let part = |folder: &str, kind: &str, barcode: &str, n: u8| {
        format!("{run}/{folder}/{barcode}/PAA12345_{kind}_{barcode}_e05460c6_0f1d7e9e_{n}.fastq.gz")
    };
    let mut files = Vec::new();
    for n in 1..=11 {
        files.push(part("fastq_pass", "pass", "barcode01", n));
        files.push(part("fastq_pass", "pass", "mouse_liver", n));
        files.push(part("fastq_pass", "pass", "unclassified", n));
        files.push(part("fastq_fail", "fail", "barcode01", n));
    }
    host.add(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let expected = |state: &str| {
        BTreeMap::from(["barcode01", "mouse_liver"].map(|barcode| {
            let parts: Vec<String> = (1..=11).map(|n| part("fastq_pass", "pass", barcode, n)).collect();
            (format!("exp_lib_{barcode}"), (state.to_owned(), vec![("reads1".to_owned(), parts)]))
        }))
    };
    let plan = host.plan().await;
    assert_eq!(host.told(&plan), expected("waiting"));
    assert!(host.left_out(&plan)[&part("fastq_fail", "fail", "barcode01", 3)].contains("failed reads"));
    host.add(&[&format!("{run}/final_summary_PAA12345_e05460c6_0f1d7e9e.txt")]);
    assert_eq!(host.told(&host.plan().await), expected("queued"));
    let document = host.once().await;
    assert_eq!(host.told(&document), expected("done"));
    host.check_arrived(&host.told(&document));
}

/// What MinKNOW writes into the folder of a sample where data pooling is on.
fn pooled(folder: &str, below: &str, barcode: &str, n: u8) -> String {
    let kind = below.rsplit('_').next().unwrap();
    format!("{folder}/{below}/{barcode}/PAA12345_{kind}_{barcode}_e05460c6_0f1d7e9e_{n}.fastq.gz")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_a_sample_is_the_run_where_minknow_pools_its_data() {
    let host = Host::new("nanopore", "{experiment}_{run}_{barcode}_{flow_cell}", "paired: never").await;
    let parts: Vec<String> = (0..=10).map(|n| pooled("exp/lib", "fastq_pass", "barcode01", n)).collect();
    // Of another flow cell, which goes on after the first is done.
    let other = |path: &str| path.replace("PAA12345", "PBB54321").replace("e05460c6_0f1d7e9e", "f05460c6_1f1d7e9e");
    let others: Vec<String> = parts[..2].iter().map(|part| other(part)).collect();
    host.add(&parts.iter().chain(&others).map(String::as_str).collect::<Vec<_>>());
    let failed = pooled("exp/lib", "fastq_fail", "barcode01", 0);
    let strays = ["exp/lib/notes.txt", "exp/lib/mine/fastq_pass/x.fastq.gz", "exp/notes.txt"];
    host.add(&[&failed, "exp/lib/pod5/PAA12345_e05460c6_0f1d7e9e_0.pod5"]);
    host.add(&strays);
    let name = "exp_lib_barcode01_PAA12345";
    let expected = |state: &str| {
        let one = |name: &str, parts: &[String]| {
            (name.to_owned(), (state.to_owned(), vec![("reads1".to_owned(), parts.to_vec())]))
        };
        BTreeMap::from([one(name, &parts), one("exp_lib_barcode01_PBB54321", &others)])
    };
    let plan = host.plan().await;
    assert_eq!(host.told(&plan), expected("waiting"));
    assert!(reason(&plan, name).starts_with("waiting for the marker final_summary_*.txt"), "{plan:#}");
    assert_eq!(plan["samples"][0]["run"], "exp/lib");
    let left_out = host.left_out(&plan);
    assert!(left_out[&failed].contains("failed reads"), "{left_out:#?}");
    for stray in strays {
        assert!(left_out[stray].starts_with("not inside a run folder ("), "{left_out:#?}");
    }
    assert_eq!(host.told(&host.once().await), expected("waiting"));

    let summary = "exp/lib/final_summary_PAA12345_e05460c6_0f1d7e9e.txt";
    host.write(summary, "fastq_files_in_final_dest=12\nfastq_files_in_fallback=0\n");
    let going_on = host.plan().await;
    assert_eq!(host.told(&going_on), expected("waiting"));
    let wait = reason(&going_on, name);
    let of = "waiting for a final_summary of acquisition 1f1d7e9e, of which PBB54321_pass_barcode01_f05460c6_1f1d7e9e_";
    assert!(wait.starts_with(of), "{wait}");
    host.write(&other(summary), "fastq_files_in_final_dest=3\n");
    let lacking = host.plan().await;
    assert_eq!(host.told(&lacking), expected("waiting"));
    // What lies in no run does not count.
    let wait = reason(&lacking, name);
    assert!(wait.starts_with("1 of 3 FASTQ of final_summary_PBB54321_f05460c6_1f1d7e9e.txt is not there"), "{wait}");
    host.write(&other(summary), "fastq_files_in_final_dest=2\n");
    assert_eq!(host.told(&host.plan().await), expected("queued"));

    let document = host.once().await;
    assert_eq!(host.told(&document), expected("done"));
    host.check_arrived(&host.told(&document));

    let at = |below: &str| host.dir.path().join("runs").join(below).to_str().unwrap().to_owned();
    let (_, file) = host.flow_ingest(&["explain", &at(&parts[0])]).await;
    let captured = &file["captured"];
    assert_eq!((&file["run"], &file["state"]), (&"exp/lib".into(), &"done".into()), "{file:#}");
    for (key, value) in [("barcode", "barcode01"), ("flow_cell", "PAA12345"), ("part", "0")] {
        assert_eq!(captured[key], value, "{file:#}");
    }
    let of_run = &file["runs"][0]["captured"];
    assert_eq!((&of_run["experiment"], &of_run["sample"]), (&"exp".into(), &"lib".into()), "{file:#}");
    let (_, run) = host.flow_ingest(&["explain", &at("exp/lib")]).await;
    assert_eq!((&run["kind"], run["runs"].as_array().unwrap().len()), (&"run".into(), 1), "{run:#}");
    assert!(run["files"].to_string().contains("notes.txt"), "what is left out in it is told as well: {run:#}");
    let (_, above) = host.flow_ingest(&["explain", &at("exp")]).await;
    assert_eq!((&above["kind"], &above["runs"][0]["run"]), (&"folder".into(), &"exp/lib".into()), "{above:#}");
    let (_, stray) = host.flow_ingest(&["explain", &at(strays[0])]).await;
    assert_eq!((&stray["left_out"], &stray["run"]), (&true.into(), &serde_json::Value::Null), "{stray:#}");
    let (_, stray) = host.flow_ingest(&["explain", &at("exp/lib/mine")]).await;
    assert!(stray["reason"].as_str().unwrap().starts_with("it is no run folder of the watch"), "{stray:#}");
}

/// Runs of one flow cell follow each other in the folder that MinKNOW pools, or in the folder of one run.
#[tokio::test(flavor = "multi_thread")]
async fn an_acquisition_that_goes_on_is_not_over_with_an_earlier_one_of_its_flow_cell() {
    for (folder, second) in [
        ("exp/lib", "f05460c6_1f1d7e9e"),
        ("exp/lib", "e05460c6_1f1d7e9e"),
        ("exp/lib/20250603_1201_3E_PAA12345_e05460c6", "e05460c6_1f1d7e9e"),
    ] {
        let host = Host::new("nanopore", "{barcode}", "paired: never").await;
        let file = |barcode: &str, ids: &str, n: u8| {
            pooled(folder, "fastq_pass", barcode, n).replace("e05460c6_0f1d7e9e", ids)
        };
        let first = "e05460c6_0f1d7e9e";
        let summary = |ids: &str| format!("{folder}/final_summary_PAA12345_{ids}.txt");
        let of_first = [file("barcode01", first, 0), file("barcode01", first, 1)];
        let of_second = [file("barcode02", second, 0), file("barcode02", second, 1)];
        host.add(&[&of_first[0], &of_first[1], &of_second[0], &of_second[1]]);
        host.write(&summary(first), "fastq_files_in_final_dest=2\n");
        let expected = |state: &str, of_second: &[String]| {
            let one = |name: &str, parts: &[String]| {
                (name.to_owned(), (state.to_owned(), vec![("reads1".to_owned(), parts.to_vec())]))
            };
            BTreeMap::from([one("barcode01", &of_first), one("barcode02", of_second)])
        };
        let document = host.once().await;
        assert_eq!(host.told(&document), expected("waiting", &of_second), "{folder} {second}");
        let wait = "waiting for a final_summary of acquisition 1f1d7e9e, of which PAA12345_pass_barcode02_";
        assert!(reason(&document, "barcode01").starts_with(wait), "{document:#}");

        // More than one counts do not stand in for what another one lacks.
        host.write(&summary(first), "fastq_files_in_final_dest=1\n");
        host.write(&summary(second), "fastq_files_in_final_dest=3\n");
        let lacking = host.plan().await;
        assert_eq!(host.told(&lacking), expected("waiting", &of_second), "{folder} {second}");
        let wait = format!("1 of 3 FASTQ of final_summary_PAA12345_{second}.txt is not there");
        assert!(reason(&lacking, "barcode01").starts_with(&wait), "{lacking:#}");
        let last = file("barcode02", second, 2);
        host.add(&[&last]);
        let all = [of_second.as_slice(), &[last]].concat();
        let document = host.once().await;
        assert_eq!(host.told(&document), expected("done", &all), "{folder} {second}: {document:#}");
        host.check_arrived(&host.told(&document));
    }
}

/// The ids that MinKNOW gives may have no letter in them, and its summaries no counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_summary_is_of_its_acquisition_alone_with_ids_of_digits_and_nothing_in_it() {
    let first = "PAA12345 e05460c6_11111111";
    for (second, content) in [
        ("PBB54321 f05460c6_22222222", ""),
        ("PBB54321 33333333_22222222", "final summary\n"),
        ("PAA12345 f05460c6_22222222", "fastq_files_in_final_dest=1\n"),
        ("PAA12345 f05460c6_22222222", " "),
        ("PAA12345 e05460c6_22222222", ""),
    ] {
        let host = Host::new("nanopore", "{barcode}", "paired: never").await;
        let named = |path: &str, origin: &str| {
            let (flow_cell, ids) = origin.split_once(' ').unwrap();
            path.replace("PAA12345", flow_cell).replace("e05460c6_0f1d7e9e", ids)
        };
        let file = |barcode: &str, origin: &str, n: u8| named(&pooled("exp/lib", "fastq_pass", barcode, n), origin);
        let summary = |origin: &str| named("exp/lib/final_summary_PAA12345_e05460c6_0f1d7e9e.txt", origin);
        let (of_first, of_second) = (file("barcode01", first, 0), [0, 1].map(|n| file("barcode02", second, n)));
        host.add(&[&of_first, &of_second[0]]);
        host.write(&summary(first), content);
        let expected = |state: &str, of_second: &[&str]| {
            let of_first = sample("barcode01", state, &[("reads1", &[&of_first])]);
            BTreeMap::from([of_first, sample("barcode02", state, &[("reads1", of_second)])])
        };
        let document = host.once().await;
        assert_eq!(host.told(&document), expected("waiting", &[&of_second[0]]), "{second} {content:?}: {document:#}");
        let wait = "waiting for a final_summary of acquisition 22222222, of which ";
        assert!(reason(&document, "barcode01").starts_with(wait), "{document:#}");
        host.add(&[&of_second[1]]);
        host.write(&summary(second), "");
        let document = host.once().await;
        assert_eq!(host.told(&document), expected("done", &[&of_second[0], &of_second[1]]), "{second} {content:?}");
        host.check_arrived(&host.told(&document));
    }
}

/// Pooling that is switched on later leaves both side by side; and a site may watch the folder of one experiment.
#[tokio::test(flavor = "multi_thread")]
async fn run_folders_and_pooled_data_lie_side_by_side_and_one_level_higher() {
    for folder in ["exp/lib", "lib"] {
        let host = Host::new("nanopore", "{experiment}_{sample}_{run}_{barcode}", "paired: never").await;
        let run = "20250603_1201_3E_PAA12345_e05460c6";
        let in_run = pooled(&format!("{folder}/{run}"), "fastq_pass", "barcode01", 0);
        let side = pooled(folder, "fastq_pass", "barcode01", 0);
        host.add(&[&in_run, &side]);
        let experiment = if folder == "lib" { "" } else { "exp" };
        let expected = |of_run: &str, of_side: &str| {
            BTreeMap::from([
                sample(&format!("{experiment}_lib_{run}_barcode01"), of_run, &[("reads1", &[&in_run])]),
                sample(&format!("{experiment}_lib_lib_barcode01"), of_side, &[("reads1", &[&side])]),
            ])
        };
        assert_eq!(host.told(&host.plan().await), expected("waiting", "waiting"), "{folder}");
        let summary = |folder: &str| format!("{folder}/final_summary_PAA12345_e05460c6_0f1d7e9e.txt");
        host.write(&summary(folder), "fastq_files_in_final_dest=1\n");
        let plan = host.plan().await;
        assert_eq!(host.told(&plan), expected("waiting", "queued"), "{plan:#}");
        let path = host.dir.path().join("runs").join(folder);
        let (_, explained) = host.flow_ingest(&["explain", path.to_str().unwrap()]).await;
        let runs: Vec<&str> =
            explained["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
        assert_eq!(runs, [folder, &format!("{folder}/{run}")], "{explained:#}");
        // Two where one was made: it would be short of one if it counted by the other's.
        host.write(&summary(&format!("{folder}/{run}")), "fastq_files_in_final_dest=2\n");
        let document = host.once().await;
        assert_eq!(host.told(&document), expected("waiting", "done"), "{document:#}");
        host.check_arrived(&host.told(&document));
        host.write(&summary(&format!("{folder}/{run}")), "fastq_files_in_final_dest=1\n");
        let document = host.once().await;
        assert_eq!(host.told(&document), expected("done", "done"), "{document:#}");
        host.check_arrived(&host.told(&document));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_of_minknow_is_found_in_a_pooled_folder_and_samples_are_proposed_there() {
    let rule = "paired: never\n    sheet: { equals: \"{barcode}\" }";
    let host = Host::new("nanopore", "{sheet.alias}", rule).await;
    let part = pooled("exp/lib", "fastq_pass", "barcode01", 0);
    host.add(&[&part, "exp/lib/final_summary_PAA12345_e05460c6_0f1d7e9e.txt"]);
    host.write(
        "exp/lib/sample_sheet_PAA12345_20250603_1204_e05460c6.csv",
        "flow_cell_id,kit,alias,barcode\nPAA12345,SQK-RBK114-24,liver,barcode01\n",
    );
    let plan = host.plan().await;
    assert_eq!(host.told(&plan), BTreeMap::from([sample("liver", "queued", &[("reads1", &[&part])])]), "{plan:#}");

    for from in ["runs", "runs/exp"] {
        let [from, to] = [from, &from.replace('/', "_of_")].map(|at| host.dir.path().join(at));
        let to = to.with_extension("proposed");
        let arguments = ["init", to.to_str().unwrap(), "--type", "RNA-Seq", "--from", from.to_str().unwrap()];
        let (exit, proposed) = host.flow_ingest(&arguments).await;
        assert_eq!(exit, 0, "{proposed:#}");
        let seen = &proposed["seen"];
        assert_eq!(
            (&seen["runs"], seen["samples"].as_array().unwrap().len()),
            (&serde_json::json!(["lib"]), 1),
            "{seen:#}"
        );
        assert_eq!(seen["layouts"][0]["layout"], "nanopore", "{seen:#}");
        assert!(seen["samples"][0]["name"].as_str().unwrap().ends_with("barcode01"), "{seen:#}");
    }
}

/// Where such a folder lies is all that tells that it is one: it may be a run folder that the site has named anew.
#[tokio::test(flavor = "multi_thread")]
async fn parts_that_lie_where_no_run_does_are_told_what_one_looks_like() {
    let host = Host::new("nanopore", "{run}_{barcode}", "paired: never").await;
    let strays = ["exp/lib/first_run", "."].map(|folder| pooled(folder, "fastq_pass", "barcode01", 1));
    let [stray, of_watch] = strays.each_ref().map(|stray| stray.trim_start_matches("./"));
    host.add(&[stray, of_watch]);
    let plan = host.plan().await;
    let said = "not inside a run folder (no folder above it matches {date}_{time}_{position}_{flow_cell}_{protocol}, nor \
                {experiment}/{sample} or {sample} for fastq_pass, fastq_fail, bam_pass, … in it); where runs are named \
                otherwise, say how by the watch's run_folder; where files lie in no runs, use layout: drop-folder";
    for stray in [stray, of_watch] {
        assert_eq!(host.left_out(&plan)[stray], said, "{plan:#}");
    }
    assert!(host.told(&plan).is_empty());
    let path = host.dir.path().join("runs").join(stray);
    let (_, explained) = host.flow_ingest(&["explain", path.to_str().unwrap()]).await;
    assert_eq!((&explained["left_out"], &explained["reason"]), (&true.into(), &said.into()), "{explained:#}");
    let (_, explained) = host.flow_ingest(&["explain", path.parent().unwrap().to_str().unwrap()]).await;
    let reason = explained["reason"].as_str().unwrap();
    assert!(reason.contains("there is none in it (no folder there matches {date}_{time}_"), "{explained:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cell_of_a_pacbio_run_is_complete_by_itself_and_the_next_is_not_late() {
    let host = Host::new("pacbio", "{run}_{cell}_{barcode}", "paired: auto").await;
    let run = "r84001_20220722_134701";
    let movie = |cell: &str| if cell == "1_A01" { "m84001_220722_134701_s1" } else { "m84001_220723_134701_s2" };
    let bam = |cell: &str, barcode: &str| format!("{run}/{cell}/hifi_reads/{}.hifi_reads.{barcode}.bam", movie(cell));
    let done = |cell: &str| format!("{run}/{cell}/metadata/{}.transferdone", movie(cell));
    let name = |cell: &str| format!("{run}_{cell}_bc2001");
    for cell in ["1_A01", "1_B01"] {
        let (reads, rest) = (bam(cell, "bc2001"), bam(cell, "unassigned"));
        let failed = reads.replace("hifi", "fail");
        host.add(&[&reads, &format!("{reads}.pbi"), &rest, &failed]);
        let waiting = host.once().await;
        assert_eq!(host.told(&waiting)[&name(cell)].0, "waiting", "{waiting:#}");
        let marker = format!("waiting for the marker {cell}/metadata/*.transferdone");
        assert_eq!(reason(&waiting, &name(cell)), marker);
        host.add(&[&done(cell)]);
        let document = host.once().await;
        let told = host.told(&document);
        assert_eq!(told[&name(cell)], sample("", "done", &[("reads1", &[&reads])]).1, "{document:#}");
        host.check_arrived(&told);
        let left_out = host.left_out(&document);
        assert!(left_out[&rest].contains("no barcode") && left_out[&failed].contains("failed reads"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bases2fastq_is_done_with_its_own_statistics_not_the_instruments() {
    let host = Host::new("element", "{run}_{sample}", "paired: required").await;
    let run = "20240506_AV1_Example-2x150";
    let file = |sample: &str, read: &str| format!("{run}/Samples/P1/{sample}/{sample}_{read}.fastq.gz");
    host.add(&[
        &file("a_1", "R1"),
        &file("a_1", "R2"),
        &file("a_1", "I1"),
        &format!("{run}/Samples/Unassigned/Unassigned_R1.fastq.gz"),
        &format!("{run}/Samples/P1/P1_RunStats.json"),
        &format!("{run}/AvitiRunStats.json"),
        &format!("{run}/RunUploaded.json"),
        &format!("{run}/BaseCalls/R1_C001.zip"),
    ]);
    let (r1, r2) = (file("a_1", "R1"), file("a_1", "R2"));
    let expected =
        |state| BTreeMap::from([sample(&format!("{run}_a_1"), state, &[("reads1", &[&r1]), ("reads2", &[&r2])])]);
    let waiting = host.once().await;
    assert_eq!(host.told(&waiting), expected("waiting"));
    let wait = "waiting for the marker *RunStats.json";
    assert!(reason(&waiting, &format!("{run}_a_1")).starts_with(wait), "{waiting:#}");
    let path = host.dir.path().join("runs").join(&r1);
    let (_, explained) = host.flow_ingest(&["explain", path.to_str().unwrap()]).await;
    let waits_for = explained["waits_for"].to_string();
    assert!(waits_for.contains(wait) && !waits_for.contains("(?"), "{explained:#}");
    host.add(&[&format!("{run}/RunStats.json")]);
    let document = host.once().await;
    assert_eq!(host.told(&document), expected("done"));
    host.check_arrived(&host.told(&document));
    assert!(host.left_out(&document).contains_key(&format!("{run}/BaseCalls")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statistics_of_one_output_of_bases2fastq_say_nothing_of_another() {
    let host = Host::new("element", "{sample}", "paired: auto").await;
    let run = "20240506_AV1_Example";
    let file =
        |output: &str, sample: &str, read: &str| format!("{run}/{output}Samples/P/{sample}/{sample}_{read}.fastq.gz");
    for (output, sample) in
        [("", "main"), ("out1/", "one"), ("out2/", "two"), ("fastq/v1/", "deep"), ("fastq/v2/", "half")]
    {
        host.add(&[&file(output, sample, "R1"), &file(output, sample, "R2")]);
    }
    let stats = |output: &str| format!("{run}/{output}RunStats.json");
    for output in ["old/", "out1/", "fastq/v1/"] {
        host.add(&[&stats(output)]);
    }
    let states = |document: serde_json::Value| {
        host.told(&document).into_iter().map(|(name, (state, _))| (name, state)).collect::<Vec<_>>()
    };
    let expected = |two: &str, main: &str| {
        let states = [("deep", "done"), ("half", "waiting"), ("main", main), ("one", "done"), ("two", two)];
        states.map(|(name, state)| (name.to_owned(), state.to_owned())).to_vec()
    };
    assert_eq!(states(host.once().await), expected("waiting", "waiting"));
    host.add(&[&stats("out2/")]);
    assert_eq!(states(host.once().await), expected("done", "waiting"));
    // What the instrument says of its run counts for each of them.
    host.add(&[&stats(""), &stats("fastq/v2/")]);
    host.write(&format!("{run}/RunUploaded.json"), "{\"outcome\": \"OutcomeFailed\"}");
    let plan = host.plan().await;
    for name in ["main", "half"] {
        assert!(reason(&plan, name).starts_with("it failed: RunUploaded.json says outcome OutcomeFailed"), "{plan:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_of_bases2fastq_is_the_folder_with_samples_and_complete_by_statistics_right_in_it() {
    let host = Host::new("element", "{sample}", "paired: auto").await;
    let run = "20240506_AV1_Example";
    let outputs = [("", "main"), ("out1/", "one"), ("out2/", "two"), ("rerun/", "again"), ("fastq/v1/", "deep")];
    for (output, sample) in outputs {
        for read in ["R1", "R2"] {
            host.add(&[&format!("{run}/{output}Samples/P/{sample}/{sample}_{read}.fastq.gz")]);
        }
        // A project's and a sample's speak for no more than that, and the instrument's come before the FASTQ.
        host.add(&[&format!("{run}/{output}Samples/P/P_RunStats.json")]);
        host.add(&[&format!("{run}/{output}Samples/P/{sample}/RunStats.json")]);
        host.add(&[&format!("{run}/{output}AvitiRunStats.json")]);
    }
    let states = |document: &serde_json::Value| {
        let states = host.told(document).into_iter().map(|(name, (state, _))| (name, state));
        states.collect::<BTreeMap<_, _>>()
    };
    let mut expected: BTreeMap<String, String> =
        outputs.iter().map(|(_, sample)| ((*sample).to_owned(), "waiting".to_owned())).collect();
    let document = host.plan().await;
    assert_eq!(states(&document), expected);
    assert_eq!(reason(&document, "deep"), "waiting for the marker fastq/v1/*RunStats.json");
    assert_eq!(reason(&document, "main"), "waiting for the marker *RunStats.json");
    for (marker, sample) in [
        ("out1/Example_RunStats.json", "one"),
        ("RunStats.json", "main"),
        ("fastq/v1/Example_RunStats.json", "deep"),
        ("rerun/RunStats.json", "again"),
        ("out2/Example_RunStats.json", "two"),
    ] {
        host.add(&[&format!("{run}/{marker}")]);
        expected.insert(sample.to_owned(), "done".to_owned());
        let document = host.once().await;
        assert_eq!(states(&document), expected, "{marker}: {document:#}");
    }
}

/// bases2fastq writes its statistics beside `Samples`; what lies elsewhere is of another output.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_of_bases2fastq_without_statistics_of_its_own_waits() {
    let host = Host::new("element", "{sample}", "paired: auto").await;
    let file = |output: &str, read: &str| format!("20240506_AV1_Example/{output}/Samples/P/S/S_{read}.fastq.gz");
    host.add(&[&file("out", "R1"), &file("out", "R2")]);
    for stats in ["RunStats.json", "Example_RunStats.json", "old/RunStats.json", "old/Example_RunStats.json"] {
        host.add(&[&format!("20240506_AV1_Example/{stats}")]);
    }
    let document = host.once().await;
    assert_eq!(document["counts"]["waiting"], 1, "{document:#}");
    assert_eq!(reason(&document, "S"), "waiting for the marker out/*RunStats.json");
}

/// What bases2fastq writes with each of its options, and in which sample, project and lane that is.
#[tokio::test(flavor = "multi_thread")]
async fn bases2fastq_may_group_files_and_split_lanes_under_either_kind_of_name() {
    let of_lanes = |folder: &str, name: fn(&str, u8, u8) -> String, sample: &str| {
        [1, 2].map(|read| [1, 2].map(|lane| format!("{folder}/{}", name(sample, lane, read))).to_vec())
    };
    let split = |sample: &str, lane: u8, read: u8| format!("{sample}_L{lane}_R{read}.fastq.gz");
    let legacy = |sample: &str, lane: u8, read: u8| format!("{sample}_S12_L00{lane}_R{read}_001.fastq.gz");
    let plain = |folder: &str, sample: &str| [1, 2].map(|read| vec![format!("{folder}/{sample}_R{read}.fastq.gz")]);
    let host = Host::new("element", "{run.run_name}_{project}_{sample}", "paired: auto").await;
    let mut expected = BTreeMap::new();
    let outputs = [
        ("default", "P1_s_0", plain("P1/s_0", "s_0")),
        ("noprojects", "_s_0", plain("s_0", "s_0")),
        ("group", "P1_s_0", plain("P1", "s_0")),
        ("group", "P2_s_0", plain("P2", "s_0")),
        ("flat", "_s_0", plain("", "s_0")),
        ("split", "P1_s_0", of_lanes("P1/s_0", split, "s_0")),
        ("splitnoprojects", "_s_0", of_lanes("s_0", split, "s_0")),
        ("splitgroup", "P1_s_0", of_lanes("P1", split, "s_0")),
        ("splitflat", "_s_0", of_lanes("", split, "s_0")),
        ("legacy", "P1_s_0", of_lanes("P1/s_0", legacy, "s_0")),
        ("legacynoprojects", "_s_0", of_lanes("s_0", legacy, "s_0")),
        ("legacygroup", "P1_s_0", of_lanes("P1", legacy, "s_0")),
        ("legacyflat", "_s_0", of_lanes("", legacy, "s_0")),
        // The folder says what of the file's name is the sample's.
        ("default", "P1_a_L1", plain("P1/a_L1", "a_L1")),
        ("noprojects", "_a_L1", plain("a_L1", "a_L1")),
        ("split", "P1_a_L1", of_lanes("P1/a_L1", split, "a_L1")),
    ];
    for (output, name, reads) in outputs {
        let run = format!("20240506_AV1_{output}");
        let below = |path: &String| format!("{run}/Samples/{path}").replace("//", "/");
        let reads = reads.map(|parts| parts.iter().map(below).collect::<Vec<_>>());
        for part in reads.iter().flatten().rev() {
            host.add(&[part]);
        }
        host.add(&[&format!("{run}/RunStats.json")]);
        let [one, two] = reads.each_ref().map(|parts| parts.iter().map(String::as_str).collect::<Vec<_>>());
        expected.extend([sample(&format!("{output}_{name}"), "queued", &[("reads1", &one), ("reads2", &two)])]);
    }
    let nobodys = [
        "split/Samples/Unassigned/Unassigned_L1_R1.fastq.gz",
        "legacy/Samples/Undetermined/Undetermined_S0_L001_R1_001.fastq.gz",
        "legacy/Samples/P1/PhiX_Third/PhiX_Third_S10_L001_R1_001.fastq.gz",
        "legacyflat/Samples/PhiX_S9_L002_R2_001.fastq.gz",
        "legacyflat/Samples/s_0_S12_L001_I1_001.fastq.gz",
        "legacyflat/Samples/s_0_S12_L001_I2_001.fastq.gz",
    ]
    .map(|path| format!("20240506_AV1_{path}"));
    host.add(&nobodys.each_ref().map(String::as_str));
    let plan = host.plan().await;
    assert_eq!(host.told(&plan), expected);
    let left_out = host.left_out(&plan);
    for path in &nobodys {
        assert!(left_out[path].starts_with("ignored by the layout element: "), "{path}: {}", left_out[path]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_cell_of_mgi_may_have_letters_behind_its_number() {
    let host = Host::new("mgi", "{run}", "paired: required").await;
    let cells = ["V300086849", "G99000123", "DP8400023552BR", "DP8400016999TR"];
    let mut expected = BTreeMap::new();
    for cell in cells {
        let file = |lane: u8, read: u8| format!("{cell}/L0{lane}/{cell}_L0{lane}_read_{read}.fq.gz");
        let files = [(2, 1), (1, 1), (1, 2), (2, 2)].map(|(lane, read)| file(lane, read));
        host.add(&files.each_ref().map(String::as_str));
        let [b1, a1, a2, b2] = files.each_ref().map(String::as_str);
        expected.extend([sample(cell, "waiting", &[("reads1", &[a1, b1]), ("reads2", &[a2, b2])])]);
    }
    assert_eq!(host.told(&host.plan().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn aligned_reads_of_an_ion_torrent_are_taken_by_a_rule_that_names_them() {
    let files = ["run/IonCode_0101_rawlib.bam", "run/nomatch_rawlib.bam"];
    let host = Host::new("ion-torrent", "{barcode}", "paired: never").await;
    let base_callers = "run/IonCode_0101_rawlib.basecaller.bam";
    host.add(&[&files[..], &[base_callers]].concat());
    let plan = host.plan().await;
    assert_eq!(host.told(&plan), [sample("IonCode_0101", "waiting", &[("reads1", &[base_callers])])].into());
    let said = &host.left_out(&plan)[files[0]];
    assert!(said.starts_with("ignored by the layout ion-torrent: reads aligned to a reference"), "{said}");
    let rule = "match: '**/{barcode:Ion(?:Xpress|Code)_[0-9]+}_rawlib.bam'";
    let host = Host::new("ion-torrent", "{barcode}", rule).await;
    host.add(&files);
    let told = host.told(&host.plan().await);
    assert_eq!(told, [sample("IonCode_0101", "waiting", &[("reads1", &[files[0]])])].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn layouts_are_listed_and_shown() {
    let host = Host::new("illumina", "{sample}", "paired: auto").await;
    let (exit, list) = host.flow_ingest(&["layouts"]).await;
    let names: Vec<&str> =
        list["layouts"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let all = [
        "illumina",
        "bcl-convert",
        "bcl2fastq",
        "nanopore",
        "pacbio",
        "element",
        "ultima",
        "singular",
        "mgi",
        "ion-torrent",
        "drop-folder",
    ];
    assert_eq!((exit, names), (0, all.to_vec()));
    let (exit, shown) = host.flow_ingest(&["layouts", "show", "illumina"]).await;
    assert_eq!(exit, 0);
    assert!(shown["yaml"].as_str().unwrap().contains("marker: 'Analysis/{analysis}/CopyComplete.txt'"));
    let (_, shown) = host.flow_ingest(&["layouts", "show", "nanopore"]).await;
    let by_entries =
        "  - folder:\n      - '{experiment}/{sample}'\n      - '{sample}'\n    entries:\n      - 'fastq_pass'\n";
    assert!(shown["yaml"].as_str().unwrap().contains(by_entries), "{shown:#}");
    assert_eq!(shown["layout"]["run_folder"][3]["folder"][0], "{experiment}/{sample}", "{shown:#}");
    let (exit, error) = host.flow_ingest(&["layouts", "show", "ilumina"]).await;
    assert!(exit == 2 && error["error"].as_str().unwrap().contains("did you mean illumina?"), "{error}");
}

/// The shared listings, or a word on stderr about what is skipped.
fn listings() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let listings = std::env::var_os("FLOW_INGEST_SHARED").map_or_else(beside, PathBuf::from).join("data/listings");
    if listings.is_dir() {
        return Some(listings);
    }
    // Not eprintln, which the test harness keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: real listings: none at {} (FLOW_INGEST_SHARED)", listings.display());
    None
}

/// A listing of a real tree, and what must come of it.
struct Listing {
    file: &'static str,
    layout: &'static str,
    name: &'static str,
    /// Which of its files are reads that somebody wants.
    is_wanted: fn(&str) -> bool,
    samples: usize,
    state: &'static str,
    /// One of the samples, and how many parts each of its slots has.
    one: Option<(&'static str, &'static [usize])>,
}

fn is_assigned_fastq(path: &str) -> bool {
    path.ends_with(".fastq.gz") && !path.contains("Undetermined") && !path.contains("Unassigned")
}

fn is_passed(path: &str) -> bool {
    path.contains("fastq_pass") && !path.contains("unclassified")
}

const LISTINGS: [Listing; 10] = [
    Listing {
        file: "illumina_novaseqx_onboard_bclconvert.tsv",
        layout: "illumina",
        name: "{run}_{sample}",
        is_wanted: is_assigned_fastq,
        samples: 18,
        state: "queued",
        one: None,
    },
    Listing {
        file: "illumina_clinical_genomics_fixture.tsv",
        layout: "bcl-convert",
        name: "{run}_{sample}",
        is_wanted: is_assigned_fastq,
        samples: 6,
        state: "waiting",
        one: Some(("20231108_LH00188_0028_B22F52TLT3_ACC13169A1", &[1, 1])),
    },
    Listing {
        file: "element_bases2fastq_output.tsv",
        layout: "element",
        name: "{run}_{project}_{sample}",
        is_wanted: is_assigned_fastq,
        samples: 2,
        state: "queued",
        one: Some(("output_Project1_sample_0", &[1, 1])),
    },
    Listing {
        file: "element_aviti_run.tsv",
        layout: "element",
        name: "{sample}",
        is_wanted: |_| false,
        samples: 0,
        state: "queued",
        one: None,
    },
    Listing {
        file: "mgi_dnbseq.tsv",
        layout: "mgi",
        name: "{run}",
        is_wanted: |path| path.contains("_read_"),
        samples: 3,
        state: "waiting",
        one: Some(("V300086849", &[1, 1])),
    },
    Listing {
        file: "ont_minknow_2020_barcoded.tsv",
        layout: "nanopore",
        name: "{run}_{barcode}",
        is_wanted: is_passed,
        samples: 3,
        state: "waiting",
        one: Some(("20200311_1427_X4_FAK72834_a3787181_barcode07", &[1])),
    },
    Listing {
        file: "ont_promethion_clinical_genomics_fixture.tsv",
        layout: "nanopore",
        name: "{run}_{sample}",
        is_wanted: is_passed,
        samples: 2,
        state: "queued",
        one: Some(("20231205_1618_3D_PAS97781_595b5663_sample_2", &[2])),
    },
    Listing {
        file: "ont_minknow_spec_24barcodes_24h.SYNTHETIC.tsv",
        layout: "nanopore",
        name: "{run}_{barcode}",
        is_wanted: is_passed,
        samples: 24,
        state: "queued",
        one: Some(("20250603_1201_3E_PAA12345_e05460c6_barcode24", &[24])),
    },
    Listing {
        file: "pacbio_revio_spec_layout.tsv",
        layout: "pacbio",
        name: "{run}_{barcode}",
        is_wanted: |path| path.ends_with("hifi_reads.bc2001.bam"),
        samples: 1,
        state: "queued",
        one: Some(("r84001_20220722_134701_bc2001", &[1])),
    },
    Listing {
        file: "ultima_ug100.tsv",
        layout: "ultima",
        name: "{run}_{sample}_{barcode}",
        is_wanted: |path| path.ends_with(".cram"),
        samples: 1,
        state: "queued",
        one: Some(("424090-20250822_0117_s1_Z0001", &[1])),
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn real_listings_become_the_right_samples() {
    let Some(listings) = listings() else { return };
    for listing in LISTINGS {
        let text = fs::read_to_string(listings.join(listing.file)).unwrap();
        let paths: Vec<&str> =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split('\t').nth(1)).collect();
        let host = Host::new(listing.layout, listing.name, "paired: auto").await;
        host.add(&paths);
        let plan = host.plan().await;
        let told = host.told(&plan);
        assert_eq!(told.len(), listing.samples, "{}: {told:#?}", listing.file);
        for (name, (state, _)) in &told {
            assert_eq!(state, listing.state, "{}: {name}: {}", listing.file, reason(&plan, name));
        }
        let mut wanted: Vec<&str> = paths.iter().copied().filter(|path| (listing.is_wanted)(path)).collect();
        let mut taken: Vec<&str> =
            told.values().flat_map(|(_, slots)| slots).flat_map(|(_, parts)| parts).map(String::as_str).collect();
        wanted.sort_unstable();
        taken.sort_unstable();
        assert_eq!(taken, wanted, "{}", listing.file);
        for (slot, parts) in told.values().flat_map(|(_, slots)| slots) {
            let is_second = parts.iter().all(|part| part.contains("_R2") || part.contains("_read_2"));
            assert_eq!(slot == "reads2", is_second, "{}: {slot}: {parts:?}", listing.file);
        }
        if let Some((name, parts)) = listing.one {
            let of = told.get(name).unwrap_or_else(|| panic!("{}: no {name} in {:?}", listing.file, told.keys()));
            assert_eq!(of.1.iter().map(|(_, parts)| parts.len()).collect::<Vec<_>>(), parts, "{name}");
        }
    }
}

/// Trees of instruments with an analysis on board, each with a marker of its own, and the same without it.
#[tokio::test(flavor = "multi_thread")]
async fn analyses_on_board_wait_for_their_instruments_marker() {
    let host = Host::new("illumina", "{run}_{sample}", "paired: required").await;
    let trees = [
        ("220422_M11111_0222_000000000-K9H97", "Data/Intensities/BaseCalls", &["CompletedJobInfo.xml"][..], "queued"),
        ("220422_MN11111_0001_A000H3", "Alignment_1/20220423_010101/Fastq", &["CompletedJobInfo.xml"], "queued"),
        (
            "220422_FS1_2_BPC",
            "Alignment_1/20220423_010101/Fastq",
            &["CopyComplete.txt", "RunCompletionStatus.xml"],
            "queued",
        ),
        ("220422_FS1_3_BPC", "Alignment_1/20220423_010101/Fastq", &["CopyComplete.txt", "RTAComplete.txt"], "waiting"),
        ("220422_VH1_4_AAC", "Analysis/1/Data/fastq", &["RTAComplete.txt", "RunCompletionStatus.xml"], "waiting"),
        ("220422_VH1_6_AAC", "Analysis/1/Data/fastq", &["RTAComplete.txt", "CopyComplete.txt"], "queued"),
        // Half of the analysis's own pair is there, so that the run's does not speak for it.
        ("220422_VH1_8_AAC", "Analysis/1/Data/fastq", &["CopyComplete.txt", "Analysis/1/CopyComplete.txt"], "waiting"),
        ("220422_VH1_7_AAC", "Analysis/2/Data/fastq", &["RTAComplete.txt", "CopyComplete.txt"], "waiting"),
        (
            "220422_VH1_5_AAC",
            "Analysis/1/Data/fastq",
            &["Analysis/1/CopyComplete.txt", "Analysis/1/Data/Secondary_Analysis_Complete.txt"],
            "queued",
        ),
    ];
    let mut expected = BTreeMap::new();
    for (run, folder, markers, state) in trees {
        let files = ["R1", "R2"].map(|read| format!("{run}/{folder}/01-1111_S1_L001_{read}_001.fastq.gz"));
        files.iter().chain(&markers.iter().map(|marker| format!("{run}/{marker}")).collect::<Vec<_>>()).for_each(
            |file| {
                host.add(&[file]);
            },
        );
        let slots: [(&str, &[&str]); 2] = [("reads1", &[&files[0]]), ("reads2", &[&files[1]])];
        expected.extend([sample(&format!("{run}_01-1111"), state, &slots)]);
    }
    assert_eq!(host.told(&host.plan().await), expected);
}

/// Reads of one library in two folders, in a lane each.
fn in_two_folders(folders: [&str; 2]) -> Vec<String> {
    let of = |(n, folder): (usize, &str)| [1, 2].map(|read| format!("{folder}/s_S1_L00{}_R{read}_001.fastq.gz", n + 1));
    folders.into_iter().enumerate().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_two_folders_is_never_one_sample() {
    let run = "230912_A00187_1009_AHK33MDRX3";
    let cases = [
        ("illumina", ["out/ProjA/ID1", "out/ProjB/ID1"]),
        ("illumina", ["Analysis/1/Data/DragenGermline/fastq", "Analysis/1/Data/DragenRna/fastq"]),
        ("bcl-convert", ["deep/out/ProjA/ID1", "deep/out/ProjB/ID1"]),
        ("bcl2fastq", ["deep/out/ProjA/ID1", "deep/out/ProjB/ID1"]),
    ];
    for (layout, folders) in cases {
        let host = Host::new(layout, "{run}_{sample}", "paired: required").await;
        let files = in_two_folders(folders.map(|folder| format!("{run}/{folder}")).each_ref().map(String::as_str));
        host.add(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let plan = host.plan().await;
        let told = host.told(&plan);
        assert!(told.values().all(|(state, _)| state == "blocked") && told.len() == 2, "{layout}: {plan:#}");
        let said = reason(&plan, &format!("{run}_s"));
        assert!(said.contains(folders[0]) && said.contains(folders[1]), "{layout}: {said}");
        assert!(said.contains("give the rule a match that captures the folder"), "{layout}: {said}");
        // They are a lane each.
        let (_, told) = said.split_once("(match: '").unwrap_or_else(|| panic!("{layout}: {said}"));
        let (pattern, _) = told.split_once("')").unwrap();
        let host = Host::new(layout, "{run}_{sample}", &format!("match: '{pattern}'")).await;
        host.add(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let lanes = [0, 1].map(|read| [files[read].as_str(), files[read + 2].as_str()]);
        let slots = [("reads1", lanes[0].as_slice()), ("reads2", lanes[1].as_slice())];
        let (name, (_, joined)) = sample(&format!("{run}_s"), "waiting", &slots);
        let told = host.told(&host.plan().await);
        assert_eq!(told.get(&name).map(|(_, slots)| slots), Some(&joined), "{layout}: {pattern}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_the_folder_above_that_of_a_sample_id() {
    let run = "230912_A00187_1009_AHK33MDRX3";
    for (layout, output) in [
        ("illumina", "Data/Intensities/BaseCalls/"),
        ("illumina", "Unaligned/"),
        ("bcl-convert", ""),
        ("bcl2fastq", ""),
        ("bcl2fastq", "Unaligned/"),
    ] {
        let host = Host::new(layout, "{project}_{sample}", "paired: required").await;
        let folders = ["ProjA/ID1", "ProjB/ID1"].map(|folder| format!("{run}/{output}{folder}"));
        let files = in_two_folders(folders.each_ref().map(String::as_str));
        host.add(&files.iter().map(String::as_str).collect::<Vec<_>>());
        let slots = |n: usize| [("reads1", [files[n].as_str()]), ("reads2", [files[n + 1].as_str()])];
        let expected = [("ProjA_s", slots(0)), ("ProjB_s", slots(2))].map(|(name, slots)| {
            let slots = slots.each_ref().map(|(key, parts)| (*key, parts.as_slice()));
            sample(name, "waiting", &slots)
        });
        assert_eq!(host.told(&host.plan().await), expected.into(), "{layout} {output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_folder_takes_pairs_under_their_common_names() {
    let host = Host::new("drop-folder", "{sample}", "paired: required").await;
    let files = [
        "x/a_S1_L002_R1_001.fastq.gz",
        "x/a_S1_L002_R2_001.fastq.gz",
        "x/a_S1_L001_R1_001.fastq.gz",
        "x/a_S1_L001_R2_001.fastq.gz",
        "b_1.fq.gz",
        "b_2.fq.gz",
        "c_R1.fastq",
        "c_R2.fastq",
        "d_S4_R1_001.fq.gz",
        "d_S4_R2_001.fq.gz",
        "Undetermined_S0_L001_R1_001.fastq.gz",
    ];
    host.add(&files);
    let expected = [
        sample("a", "waiting", &[("reads1", &[files[2], files[0]]), ("reads2", &[files[3], files[1]])]),
        sample("b", "waiting", &[("reads1", &[files[4]]), ("reads2", &[files[5]])]),
        sample("c", "waiting", &[("reads1", &[files[6]]), ("reads2", &[files[7]])]),
        sample("d", "waiting", &[("reads1", &[files[8]]), ("reads2", &[files[9]])]),
    ];
    assert_eq!(host.told(&host.plan().await), expected.into());

    // As compressed, so not.
    let host = Host::new("drop-folder", "{sample}", "paired: required").await;
    let mut expected = BTreeMap::new();
    for (n, form) in
        ["_S4_L001_R?_001", "_S4_R?_001", "_L001_R?_001", "_L001_R?", "_R?_001", "_R?", "_?"].iter().enumerate()
    {
        for ending in ["fastq.gz", "fq.gz", "fastq", "fq"] {
            let name = format!("{}{n}", ending.replace('.', "-"));
            let files = ["1", "2"].map(|read| format!("{name}{}.{ending}", form.replace('?', read)));
            host.add(&files.each_ref().map(String::as_str));
            expected.extend([sample(&name, "waiting", &[("reads1", &[&files[0]]), ("reads2", &[&files[1]])])]);
        }
    }
    assert_eq!(host.told(&host.plan().await), expected);
}
