//! A run is complete when its instrument says that it ended well and all that it lists is there, and whoever waits is
//! told what holds and what does not.

#[path = "support/host.rs"]
mod host;

use std::fs;
use std::io::Write;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use host::{Host, Told, reason};
use serde_json::Value;

const RUN: &str = "20240531_LH00130_0061_A22CC55LT4";

/// A read of a sample in an analysis of a NovaSeq X.
fn read(analysis: u8, sample: &str, lane: u8, read: u8) -> String {
    format!("{RUN}/Analysis/{analysis}/Data/BCLConvert/fastq/{sample}_S1_L00{lane}_R{read}_001.fastq.gz")
}

fn markers(host: &Host, analysis: u8) {
    let analysis = format!("{RUN}/Analysis/{analysis}");
    host.write(&format!("{analysis}/CopyComplete.txt"), " ");
    host.write(&format!("{analysis}/Data/Secondary_Analysis_Complete.txt"), "");
}

async fn novaseq_x() -> Host {
    Host::new("illumina", "{sample}_{analysis}", "paired: required").await
}

fn states(host: &Host, document: &Value) -> Vec<(String, String)> {
    host.told(document).into_iter().map(|(name, (state, _)): (String, Told)| (name, state)).collect()
}

fn told(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
}

/// A list, as an analysis has it, of these reads and of some other files.
fn manifest(analysis: u8, reads: &[String]) -> String {
    let folder = format!("{RUN}/Analysis/{analysis}/");
    let line = |path: &str| format!("{path}\t0a1b2c3d\n");
    let reads = reads.iter().map(|read| line(read.strip_prefix(&folder).unwrap()));
    reads.chain([line("Data/Demux/Demultiplex_Stats.csv"), line("Data/InterOp/not/looked/into.bin")]).collect()
}

fn completion(status: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<RunCompletionStatus>\n  <RunEndTime>2026-11-20T00:00:01Z</RunEndTime>\n  \
         <RunStatus>{status}</RunStatus>\n</RunCompletionStatus>\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn markers_that_come_before_the_files_of_the_list_do_no_harm() {
    let host = novaseq_x().await;
    let reads = [read(1, "a", 1, 1), read(1, "a", 1, 2), read(1, "a", 2, 1), read(1, "a", 2, 2)];
    host.add(&[&reads[0], &reads[1]]);
    host.write(&format!("{RUN}/Analysis/1/Data/Demux/Demultiplex_Stats.csv"), "Lane\n");
    host.write(&format!("{RUN}/Analysis/1/Data/InterOp/x"), "");
    host.write(&format!("{RUN}/Analysis/1/Manifest.tsv"), manifest(1, &reads));
    markers(&host, 1);
    // What one lane is short of is no sample: the list says so, before and while it runs.
    let named = |lane: u8, read: u8| format!("Data/BCLConvert/fastq/a_S1_L00{lane}_R{read}_001.fastq.gz");
    let lacks = format!(
        "2 of 6 files of Analysis/1/Manifest.tsv are not there: {}, {}; marker Analysis/1/CopyComplete.txt present since ",
        named(2, 1),
        named(2, 2)
    );
    let plan = host.plan().await;
    assert_eq!(states(&host, &plan), told(&[("a_1", "waiting")]));
    assert!(reason(&plan, "a_1").starts_with(&lacks), "{}", reason(&plan, "a_1"));
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a_1", "waiting")]));
    let said = reason(&once, "a_1");
    assert!(said.starts_with(&lacks), "{said}");
    let (_, since) = said[lacks.len()..].split_at(5);
    let clock = &said[lacks.len()..lacks.len() + 5];
    assert!(clock.as_bytes()[2] == b':' && since.starts_with("; marker Analysis/1/Data/Secondary_"), "{said}");

    host.add(&[&reads[2]]);
    let once = host.once().await;
    assert!(reason(&once, "a_1").starts_with("1 of 6 files of Analysis/1/Manifest.tsv is not there: "), "{once:#}");
    host.add(&[&reads[3]]);
    assert_eq!(states(&host, &host.plan().await), told(&[("a_1", "queued")]));
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a_1", "done")]));
    host.check_arrived(&host.told(&once));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_come_after_the_marker_of_a_run_without_a_list_are_simply_taken() {
    let host = Host::with("layout: bcl-convert", "{sample}", "paired: required").await;
    let file = |lane: u8, read: u8| format!("{RUN}/b_S1_L00{lane}_R{read}_001.fastq.gz");
    host.write(&format!("{RUN}/Logs/FastqComplete.txt"), "");
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[]));
    host.add(&[&file(1, 1), &file(2, 1), &file(2, 2)]);
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("b", "blocked")]), "a lane without its mate is no sample: {once:#}");
    host.add(&[&file(1, 2)]);
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("b", "done")]));
    host.check_arrived(&host.told(&once));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_analysis_blocks_itself_alone_and_a_person_can_take_what_is_there() {
    let host = novaseq_x().await;
    for analysis in [1, 2] {
        host.add(&[&read(analysis, "a", 1, 1), &read(analysis, "a", 1, 2)]);
        markers(&host, analysis);
    }
    host.write(&format!("{RUN}/RunCompletionStatus.xml"), completion("RunCompleted"));
    let errors = "{\"errors\": [{\"sample\": \"a\", \"message\": \"lane 3 could not be read\"}]}";
    host.write(&format!("{RUN}/Analysis/2/Data/Error_Summary.json"), errors);
    assert_eq!(states(&host, &host.plan().await), told(&[("a_1", "queued"), ("a_2", "blocked")]));
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a_1", "done"), ("a_2", "blocked")]));
    let why =
        "it failed: Analysis/2/Data/Error_Summary.json says errors: lane 3 could not be read; see to it, or close";
    assert!(reason(&once, "a_2").starts_with(why), "{}", reason(&once, "a_2"));

    let id = once["samples"].as_array().unwrap().iter().find(|sample| sample["name"] == "a_2").unwrap()["id"].clone();
    let (exit, said) = host.flow_ingest(&["close", id.as_str().unwrap(), "--reason", "only lane 1 matters"]).await;
    assert_eq!(exit, 0, "{said:#}");
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a_1", "done"), ("a_2", "done")]), "{once:#}");
    host.check_arrived(&host.told(&once));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_blocks_all_of_it_and_xml_that_cannot_be_read_blocks_nothing() {
    let host = novaseq_x().await;
    host.add(&[&read(1, "a", 1, 1), &read(1, "a", 1, 2), &format!("{RUN}/c_S1_R1_001.fastq.gz")]);
    host.add(&[&format!("{RUN}/c_S1_R2_001.fastq.gz"), &format!("{RUN}/Logs/FastqComplete.txt")]);
    // The output of a demultiplexer, which is complete by the marker in it.
    let off_board = |name: &str| format!("{RUN}/Unaligned/{name}");
    host.add(
        &["P/d_S2_R1_001.fastq.gz", "P/d_S2_R2_001.fastq.gz", "Logs/FastqComplete.txt"]
            .map(off_board)
            .each_ref()
            .map(String::as_str),
    );
    markers(&host, 1);
    let status = format!("{RUN}/RunCompletionStatus.xml");
    host.write(&status, completion("RunErrored"));
    let plan = host.plan().await;
    assert_eq!(states(&host, &plan), told(&[("a_1", "blocked"), ("c_", "blocked"), ("d_", "blocked")]));
    let why = "it failed: RunCompletionStatus.xml says RunStatus RunErrored; ";
    for name in ["a_1", "c_", "d_"] {
        assert!(reason(&plan, name).starts_with(why), "{}", reason(&plan, name));
    }

    for broken in ["<RunCompletionStatus><RunStatus>RunErr", "", "\u{0}\u{1}", "<RunCompletionStatus/>"] {
        host.write(&status, broken);
        let queued = told(&[("a_1", "queued"), ("c_", "queued"), ("d_", "queued")]);
        assert_eq!(states(&host, &host.plan().await), queued, "{broken:?}");
    }
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a_1", "done"), ("c_", "done"), ("d_", "done")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn minknow_counts_passed_failed_unclassified_and_ignored_files() {
    let host = Host::with("layout: nanopore, ignore: ['**/*_fail_*']", "{barcode}", "paired: never").await;
    let run = "exp/lib/20250603_1201_3E_PAA12345_e05460c6";
    let part = |folder: &str, barcode: &str, n: u8| {
        format!("{run}/fastq_{folder}/{barcode}/PAA12345_{folder}_{barcode}_e05460c6_0f1d7e9e_{n}.fastq.gz")
    };
    host.add(&[&part("pass", "barcode01", 0), &part("pass", "unclassified", 0), &part("fail", "barcode01", 0)]);
    let summary = format!("{run}/final_summary_PAA12345_e05460c6_0f1d7e9e.txt");
    host.write(
        &summary,
        "position=3E\nfastq_files_in_final_dest=5\nfastq_files_in_fallback=0\npod5_files_in_final_dest=9\n",
    );
    let plan = host.plan().await;
    let lacks = "2 of 5 FASTQ of final_summary_PAA12345_e05460c6_0f1d7e9e.txt are not there";
    assert_eq!(reason(&plan, "barcode01"), lacks);
    // One that nobody takes and one that the watch ignores count as well.
    host.add(&[&part("fail", "barcode02", 0)]);
    assert_eq!(states(&host, &host.once().await), told(&[("barcode01", "waiting")]));
    host.add(&[&part("pass", "unclassified", 1)]);
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("barcode01", "done")]));

    // What is not looked into cannot be counted, and keeps nobody waiting.
    let host = Host::with("layout: nanopore, ignore: ['**/fastq_fail']", "{barcode}", "paired: never").await;
    host.add(&[&part("pass", "barcode01", 0), &part("fail", "barcode01", 0)]);
    host.write(&summary, "fastq_files_in_final_dest=7\n");
    assert_eq!(states(&host, &host.plan().await), told(&[("barcode01", "queued")]));
}

/// A host whose watch and rule have what `layouts show` prints, in place of the layout's name.
async fn pasted(layout: &str, name: &str) -> Host {
    let host = Host::new(layout, name, "paired: never").await;
    let (exit, shown) = host.flow_ingest(&["layouts", "show", layout]).await;
    assert_eq!(exit, 0, "{shown:#}");
    let (watch, rule) = shown["yaml"].as_str().unwrap().split_once("# In the manifest").unwrap();
    let edit = |name: &str, from: &str, to: String| {
        let path = host.dir.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        let (before, after) = text.split_once(from).unwrap();
        fs::write(path, format!("{before}{to}{after}")).unwrap();
    };
    let watch: String = watch.lines().map(|line| format!("\n    {line}")).collect();
    let keys = "  - name: w\n    path: runs\n    manifest: manifest.yaml\n    existing: upload\n    settle: 300ms";
    let by_name = format!(
        "  - {{ name: w, path: runs, manifest: manifest.yaml, existing: upload, settle: 300ms, layout: {layout} }}"
    );
    edit("flow-ingest.yaml", &by_name, format!("{keys}{watch}"));
    let rule: String = rule.lines().skip(1).map(|line| format!("\n {}", line.trim_start_matches('#'))).collect();
    edit("manifest.yaml", "\n    paired: never", format!("\n    paired: never{rule}"));
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_layout_count_as_the_layout_does() {
    let run = "exp/lib/20250603_1201_3E_PAA12345_e05460c6";
    let part = |folder: &str, barcode: &str, n: u8| {
        format!("{run}/fastq_{folder}/{barcode}/PAA12345_{folder}_{barcode}_e05460c6_0f1d7e9e_{n}.fastq.gz")
    };
    let summary = "final_summary_PAA12345_e05460c6_0f1d7e9e.txt";
    for host in [Host::new("nanopore", "{barcode}", "paired: never").await, pasted("nanopore", "{barcode}").await] {
        host.add(&[&part("pass", "barcode01", 0), &part("pass", "unclassified", 0)]);
        host.add(&[&part("fail", "barcode01", 0), &part("fail", "unclassified", 0)]);
        host.write(&format!("{run}/{summary}"), "fastq_files_in_final_dest=6\n");
        let plan = host.plan().await;
        assert_eq!(states(&host, &plan), told(&[("barcode01", "waiting")]), "{plan:#}");
        assert_eq!(reason(&plan, "barcode01"), format!("2 of 6 FASTQ of {summary} are not there"));
        let left_out = host.left_out(&plan);
        for path in [part("pass", "unclassified", 0), part("fail", "barcode01", 0), part("fail", "unclassified", 0)] {
            assert!(left_out[&path].contains("ignore"), "{left_out:#?}");
        }
        host.add(&[&part("fail", "barcode02", 0), &part("pass", "barcode01", 1)]);
        assert_eq!(states(&host, &host.plan().await), told(&[("barcode01", "queued")]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_has_all_that_was_sent_of_it_under_whatever_path() {
    let host = Host::new("pacbio", "{cell}_{barcode}", "paired: never").await;
    let run = "r84001_20220722_134701";
    let bam = |cell: &str, barcode: &str| format!("{run}/{cell}/hifi_reads/m84001_{cell}.hifi_reads.{barcode}.bam");
    let sent = |cell: &str, barcodes: &[&str]| {
        let files = barcodes.iter().map(|barcode| {
            let path = bam(cell, barcode);
            format!("/data/icc/m84001_{cell}/hifi_reads/{}\n", path.rsplit('/').next().unwrap())
        });
        format!("Transfer Manifest nfiles: {}\n{}", barcodes.len(), files.collect::<String>())
    };
    let list = |cell: &str| format!("{run}/{cell}/metadata/m84001_{cell}.transferdone");
    host.add(&[&bam("1_A01", "bc1"), &bam("1_B01", "bc1")]);
    host.write(&list("1_A01"), sent("1_A01", &["bc1", "bc2"]));
    host.write(&list("1_B01"), "");
    let once = host.once().await;
    assert_eq!(
        states(&host, &once),
        told(&[("1_A01_bc1", "waiting"), ("1_B01_bc1", "done")]),
        "an empty list is a marker"
    );
    let lacks =
        "1 of 2 files of 1_A01/metadata/m84001_1_A01.transferdone is not there: m84001_1_A01.hifi_reads.bc2.bam";
    assert_eq!(reason(&once, "1_A01_bc1"), lacks);
    host.add(&[&bam("1_A01", "bc2")]);
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("1_A01_bc1", "done"), ("1_A01_bc2", "done"), ("1_B01_bc1", "done")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aviti_says_whether_its_run_ended_well() {
    let host = Host::new("element", "{sample}", "paired: required").await;
    let run = "20240506_AV1_Example";
    let file = |read: u8| format!("{run}/Samples/P1/a/a_R{read}.fastq.gz");
    host.add(&[&file(1), &file(2)]);
    let uploaded = format!("{run}/RunUploaded.json");
    host.write(&uploaded, "{\"instrument\": \"AV1\", \"outcome\": \"OutcomeFailed\"}");
    let (exit, once) = host.flow_ingest(&["run", "--once"]).await;
    assert_eq!((exit, states(&host, &once)), (1, told(&[("a", "blocked")])), "the first call waits for its word");
    host.add(&[&format!("{run}/RunStats.json")]);
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a", "blocked")]));
    assert!(reason(&once, "a").starts_with("it failed: RunUploaded.json says outcome OutcomeFailed; "), "{once:#}");
    // The instrument has the last word.
    host.write(&uploaded, "{\"instrument\": \"AV1\", \"outcome\": \"OutcomeCompleted\"}");
    assert_eq!(states(&host, &host.once().await), told(&[("a", "done")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_on_board_with_an_error_is_no_success() {
    let host = Host::new("illumina", "{sample}", "paired: required").await;
    let job = |inner: &str| format!("<?xml version=\"1.0\"?><AnalysisJobInfo>{inner}</AnalysisJobInfo>");
    let runs = [
        ("220422_M1_1_000000000-A", "Data/Intensities/BaseCalls", "a", "CompletedJobInfo.xml"),
        ("220422_MN1_1_A000H3", "Alignment_1/20220423_010101/Fastq", "b", "CompletedJobInfo.xml"),
        (
            "220422_MN1_2_A000H4",
            "Alignment_2/20220423_010101/Fastq",
            "c",
            "Alignment_2/20220423_010101/CompletedJobInfo.xml",
        ),
    ];
    for (run, folder, sample, marker) in runs {
        host.add(
            &[1, 2]
                .map(|read| format!("{run}/{folder}/{sample}_S1_L001_R{read}_001.fastq.gz"))
                .each_ref()
                .map(String::as_str),
        );
        host.write(&format!("{run}/{marker}"), job("<Error>Sequencing failed</Error>"));
    }
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a", "blocked"), ("b", "blocked"), ("c", "blocked")]), "{once:#}");
    let said = reason(&once, "a");
    assert!(said.starts_with("it failed: CompletedJobInfo.xml says Error Sequencing failed; "), "{said}");
    // Whatever else is in it, or nothing, is a marker and no more.
    for ((run, _, _, marker), text) in runs.iter().zip([job("<Error />"), String::new(), "no XML <".to_owned()]) {
        host.write(&format!("{run}/{marker}"), text);
    }
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a", "done"), ("b", "done"), ("c", "done")]), "{once:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mate_that_rsync_keeps_in_a_folder_of_its_own_is_awaited() {
    let host = Host::new("bcl-convert", "{sample}", "paired: auto").await;
    let run = "230912_A00187_1009_AHK33MDRX3_out";
    let file = |folder: &str, sample: &str, read: u8| format!("{run}/{folder}{sample}_S1_L001_R{read}_001.fastq.gz");
    let kept = [("a", ".rsync-partial/"), ("b", ".~tmp~/")];
    for (sample, folder) in kept {
        host.add(&[&file("", sample, 1), &file(folder, sample, 2)]);
    }
    host.add(&[&file("", "c", 1), &file(".other/", "c", 2), &format!("{run}/Logs/FastqComplete.txt")]);
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a", "waiting"), ("b", "waiting"), ("c", "done")]), "{once:#}");
    let said = reason(&once, "a");
    assert!(
        said.starts_with("a file of it is still being written (.rsync-partial/a_S1_L001_R2_001.fastq.gz): "),
        "{said}"
    );
    let runs = host.dir.path().join("runs");
    for (sample, folder) in kept {
        fs::rename(runs.join(file(folder, sample, 2)), runs.join(file("", sample, 2))).unwrap();
    }
    let once = host.once().await;
    assert_eq!(states(&host, &once), told(&[("a", "done"), ("b", "done"), ("c", "done")]), "{once:#}");
    assert_eq!(host.told(&once)["a"].1.len(), 2);
}

/// Appends to a file below the watch, as an instrument does to its log, until it is ended or dropped.
struct Log {
    stop: Option<std::sync::mpsc::Sender<()>>,
    writer: Option<std::thread::JoinHandle<Duration>>,
}

impl Log {
    fn written(host: &Host, below: &str) -> Self {
        host.write(below, "");
        let path = host.dir.path().join("runs").join(below);
        let (stop, stopped) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            let mut log = fs::OpenOptions::new().append(true).open(path).unwrap();
            let (mut written, mut longest) = (Instant::now(), Duration::ZERO);
            while stopped.recv_timeout(Duration::from_millis(50)) == Err(RecvTimeoutError::Timeout) {
                log.write_all(b"a cycle\n").unwrap();
                longest = longest.max(written.elapsed());
                written = Instant::now();
            }
            longest.max(written.elapsed())
        });
        Self { stop: Some(stop), writer: Some(writer) }
    }

    /// The longest that nothing was written: on a machine that stalls it may be as long as what settles.
    fn end(mut self) -> Duration {
        drop(self.stop.take());
        self.writer.take().unwrap().join().unwrap()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.writer.take().map(std::thread::JoinHandle::join);
    }
}

/// Tries a test again in which a log stood still for too long.
async fn until_it_kept_its_pace(test: impl AsyncFn() -> bool) {
    for _ in 0..5 {
        if test().await {
            return;
        }
    }
    panic!("this machine stalls all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_is_being_written_is_awaited_though_nothing_is_asked_of_it() {
    until_it_kept_its_pace(async || {
        let host = Host::new("bcl-convert", "{sample}", "paired: auto").await;
        let config = host.dir.path().join("flow-ingest.yaml");
        let slowly = fs::read_to_string(&config).unwrap().replace("settle: 300ms", "settle: 1s");
        fs::write(config, slowly).unwrap();
        host.add(&["240115_A01234_0042_AHXXXXDSX7/a_S1_L001_R1_001.fastq.gz"]);
        host.add(&["240115_A01234_0042_AHXXXXDSX7/Logs/FastqComplete.txt"]);
        let below = "240115_A01234_0042_AHXXXXDSX7/Reports/SampleSheet.csv";
        let sheet = Log::written(&host, below);
        let (_, once) = host.flow_ingest(&["run", "--once", "--give-up-after", "5s"]).await;
        if sheet.end() >= Duration::from_secs(1) {
            return false;
        }
        assert_eq!(states(&host, &once), told(&[("a", "waiting")]), "{once:#}");
        assert!(reason(&once, "a").starts_with("the sheet Reports/SampleSheet.csv has not settled yet"), "{once:#}");
        host.write(below, "[BCLConvert_Data]\nLane,Sample_ID,Index\n1,a,AAAA\n2,a,AAAA\n");
        let plan = host.plan().await;
        assert_eq!(states(&host, &plan), told(&[("a", "queued")]), "what will come of it: {plan:#}");
        host.add(&["240115_A01234_0042_AHXXXXDSX7/a_S1_L002_R1_001.fastq.gz"]);
        let once = host.once().await;
        assert_eq!(states(&host, &once), told(&[("a", "done")]));
        assert_eq!(once["samples"][0]["files"][0]["parts"].as_array().unwrap().len(), 2, "{once:#}");
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_are_quiet_are_taken_though_the_log_of_the_run_goes_on() {
    until_it_kept_its_pace(async || {
        let watch = "run_folder: \"{name}\", complete_when: { quiet: 2s, of: ['**/*.fastq.gz'] }";
        let rule = "match: \"**/{sample}_R{read}.fastq.gz\"\n    where: { sample: \"[!U]*\" }\n    paired: never";
        let host = Host::with(watch, "{sample}", rule).await;
        let log = Log::written(&host, "run1/RTA.log");
        assert_eq!(states(&host, &host.once().await), told(&[]));
        host.add(&["run1/a_R1.fastq.gz"]);
        assert_eq!(reason(&host.plan().await, "a"), "**/*.fastq.gz quiet for 0s of 2s");
        let once = host.once().await;
        if log.end() >= Duration::from_secs(2) {
            return false;
        }
        assert_eq!(states(&host, &once), told(&[("a", "done")]), "{once:#}");
        // One that no rule takes counts as well.
        host.add(&["run2/b_R1.fastq.gz"]);
        let undetermined = Log::written(&host, "run2/Undetermined_R1.fastq.gz");
        let (exit, once) = host.flow_ingest(&["run", "--once", "--give-up-after", "5s"]).await;
        if undetermined.end() >= Duration::from_secs(2) {
            return false;
        }
        assert_eq!((exit, states(&host, &once)), (1, told(&[("a", "done"), ("b", "waiting")])), "{once:#}");
        let wait = reason(&once, "b");
        assert!(wait.starts_with("**/*.fastq.gz quiet for ") && wait.ends_with(" of 2s"), "{wait}");
        assert_eq!(states(&host, &host.once().await), told(&[("a", "done"), ("b", "done")]));
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_can_ask_for_lists_and_outcomes_of_its_own() {
    let watch = "run_folder: \"{name}\", complete_when: { all: [ { listed: expected.tsv }, { outcome: done.json } ] }";
    let host = Host::with(watch, "{sample}", "match: \"**/{sample}_R{read}.fastq.gz\"\n    paired: never").await;
    host.add(&["run1/a_R1.fastq.gz"]);
    let wait = "waiting for the marker expected.tsv, and waiting for the outcome done.json";
    assert_eq!(reason(&host.plan().await, "a"), wait);
    host.write("run1/expected.tsv", "run1/a_R1.fastq.gz\t0a1b2c3d\nb_R1.fastq.gz\t0a1b2c3d\n");
    host.write("run1/done.json", "{\"outcome\": \"OutcomeCompleted\"}");
    let wait = "1 of 2 files of expected.tsv is not there: b_R1.fastq.gz; done.json says outcome OutcomeCompleted";
    assert_eq!(reason(&host.plan().await, "a"), wait);
    host.add(&["run1/b_R1.fastq.gz"]);
    assert_eq!(states(&host, &host.plan().await), told(&[("a", "queued"), ("b", "queued")]));
}
