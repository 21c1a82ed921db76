//! A barcode of MinKNOW is hundreds of small files, which come by the hour: one file on Flow, in the order of the parts'
//! numbers, whatever happens on the way.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flow_ingest::agent::{Agent, Mode};
use flow_ingest::sandbox::{Fault, Gate, On};
use flow_ingest::status::SampleStatus;
use serde_json::Value;
use support::{DEADLINE, Facility, Setup, until};

const RUN: &str = "exp/pool/20260301_1200_MN12345_FAX00001_abcdef01";

/// The second flow cell of the same library.
const TOP_UP: &str = "exp/pool/20260303_0900_MN12345_FAX00002_fedcba98";

/// A facility that watches MinKNOW's folders, with a rule that says this beside its sample's name.
async fn facility(rule: &str, name: &str) -> Facility {
    let setup = Setup { settle: "200ms", chunk_size: "100kB".to_owned(), request_timeout: "20s", ..Setup::default() };
    let facility = Facility::with(setup, |_| {}).await;
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    fs::write(facility.path("flow-ingest.yaml"), config.replace("status:", "    layout: nanopore\nstatus:")).unwrap();
    let manifest =
        format!("version: 1\nrules:\n  - name: r\n    {rule}\n    sample: {{ name: \"{name}\", type: RNA-Seq }}\n");
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    facility
}

fn in_run(facility: &Facility, run: &str, below: &str) -> PathBuf {
    facility.path("drop").join(run).join(below)
}

fn part(facility: &Facility, run: &str, n: usize) -> PathBuf {
    in_run(facility, run, &format!("fastq_pass/barcode01/FAX_pass_barcode01_abcdef01_12345678_{n}.fastq.gz"))
}

/// A part with reads unlike those of all others.
fn content(n: usize) -> Vec<u8> {
    let read = format!("@read-of-part-{n}\n{}\n+\n{}\n", "ACGT".repeat(140), "I".repeat(560));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(read.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn write_parts(facility: &Facility, run: &str, parts: std::ops::Range<usize>) {
    parts.for_each(|n| write(&part(facility, run, n), content(n)));
}

fn finish(facility: &Facility, run: &str) {
    write(&in_run(facility, run, "final_summary_FAX_abcdef01_12345678.txt"), "fastq_files_in_final_dest=1\n");
}

/// All parts, by their numbers.
fn joined(facility: &Facility, run: &str, parts: usize) -> Vec<u8> {
    (0..parts).flat_map(|n| fs::read(part(facility, run, n)).unwrap()).collect()
}

/// The only file of the only sample of a name on the server.
fn stored(facility: &Facility, name: &str) -> (String, Vec<u8>) {
    let mut samples = facility.sandbox.samples();
    samples.retain(|sample| sample.name == name);
    assert_eq!(samples.len(), 1, "{name}");
    assert_eq!(samples[0].files.len(), 1, "{samples:?}");
    (samples[0].files[0].filename.clone(), fs::read(&samples[0].files[0].path).unwrap())
}

#[track_caller]
fn assert_equal(stored: &[u8], expected: &[u8]) {
    let differs = stored.iter().zip(expected).position(|(a, b)| a != b);
    assert!(stored == expected, "{} bytes for {}, the first other one at {differs:?}", stored.len(), expected.len());
}

/// How many files of the facility's runs this process has open.
fn open_parts(facility: &Facility) -> usize {
    let folder = facility.path("drop");
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|path| path.starts_with(&folder) && path.extension().is_some_and(|end| end == "gz")).count()
}

fn only(agent: &Agent) -> Option<SampleStatus> {
    let mut samples = agent.snapshot("running").unwrap().samples;
    assert!(samples.len() < 2, "{samples:?}");
    samples.pop()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_parts_over_twenty_minutes_are_one_file_in_the_order_of_their_numbers() {
    const PARTS: usize = 2000;
    const MINUTES: usize = 20;
    let facility = facility("paired: never", "{run}_{barcode}").await;
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(8).delay(Duration::ZERO).until(&gate));
    let begin = SystemTime::now() - Duration::from_secs(60 * MINUTES as u64);
    let agent = facility.agent().await;
    let most_open = std::cell::Cell::new(0);
    let look = || most_open.set(most_open.get().max(open_parts(&facility)));
    let watched = async {
        let mut bytes = 0;
        for minute in 0..MINUTES {
            let of_minute = PARTS / MINUTES * minute..PARTS / MINUTES * (minute + 1);
            for n in of_minute.clone() {
                write(&part(&facility, RUN, n), content(n));
                let written = begin + Duration::from_secs_f64(60.0 * (MINUTES * n) as f64 / PARTS as f64);
                let file = fs::File::options().write(true).open(part(&facility, RUN, n)).unwrap();
                file.set_modified(written).unwrap();
            }
            bytes += of_minute.map(|n| content(n).len() as u64).sum::<u64>();
            until("the minute's parts are seen, and wait for the end of the run", || {
                agent
                    .journal()
                    .tally()
                    .get("waiting")
                    .is_some_and(|waiting| (waiting.samples, waiting.bytes) == (1, bytes))
            })
            .await;
        }
        assert!(facility.chunks().is_empty(), "nothing leaves before the run is over");
        finish(&facility, RUN);
        until("the upload is held", || {
            look();
            facility.sandbox.faults().fired() == 1
        })
        .await;
        assert_eq!(open_parts(&facility), 1, "the part that is being read, and no other");
        gate.open();
        until("the sample is on Flow", || {
            look();
            agent.journal().tally().get("done").is_some_and(|done| done.samples == 1)
        })
        .await;
    };
    tokio::time::timeout(DEADLINE * 4, agent.run(Mode::Service, watched)).await.unwrap().unwrap();
    assert_eq!(most_open.get(), 1, "parts are opened one at a time");

    let sample = only(&agent).unwrap();
    let file = &sample.files[0];
    let names: Vec<&str> = file.parts.iter().map(|path| path.rsplit(['_', '.']).nth(2).unwrap()).collect();
    assert_eq!(names[8..12], ["8", "9", "10", "11"]);
    assert_eq!(names[98..101], ["98", "99", "100"]);
    let run = Path::new(RUN).file_name().unwrap().to_str().unwrap();
    let (filename, stored) = stored(&facility, &format!("{run}_barcode01"));
    assert_eq!(filename, format!("{run}_barcode01_R1.fastq.gz"));
    let expected = joined(&facility, RUN, PARTS);
    assert_equal(&stored, &expected);
    let sha256 = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(&expected));
    assert_eq!(file.sha256.as_ref(), Some(&sha256));
    // Members that were put one behind the other are one gzip file.
    let mut reads = String::new();
    MultiGzDecoder::new(stored.as_slice()).read_to_string(&mut reads).unwrap();
    let names = reads.lines().filter_map(|line| line.strip_prefix("@read-of-part-"));
    assert!(names.map(|n| n.parse::<usize>().unwrap()).eq(0..PARTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_two_parts_it_goes_on_from_there() {
    const PARTS: usize = 600;
    let facility = facility("paired: never", "{barcode}").await;
    write_parts(&facility, RUN, 0..PARTS);
    finish(&facility, RUN);
    let expected = joined(&facility, RUN, PARTS);
    for _ in 0..2 {
        facility.sandbox.faults().clear();
        let fired = facility.sandbox.faults().fired();
        facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(2).delay_after(Duration::from_secs(60)));
        let process = facility.start(&["run"]);
        let done = || facility.sandbox.unfinished().first().map_or(0, |file| file.size);
        let before = done();
        until("a chunk is there, and its answer is not", || {
            facility.sandbox.faults().fired() > fired && done() > before
        })
        .await;
        process.kill();
    }
    facility.sandbox.faults().clear();
    let mut process = facility.start(&["run", "--once"]);
    assert_eq!(process.ended().await.code(), Some(0), "{}", facility.log());
    assert_equal(&stored(&facility, "barcode01").1, &expected);
    let sent: u64 = facility.chunks().iter().filter_map(|chunk| chunk.blob_len).sum();
    // What was acknowledged is not sent again: of each kill, one chunk at the most.
    assert!(sent <= expected.len() as u64 + 2 * 101_000, "{sent} bytes sent for {}", expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_changes_after_it_was_read_is_noticed() {
    const PARTS: usize = 400;
    let facility = facility("paired: never", "{barcode}").await;
    write_parts(&facility, RUN, 0..PARTS);
    finish(&facility, RUN);
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(2).delay(Duration::ZERO).until(&gate));
    let process = facility.start(&["run"]);
    until("the upload is held", || facility.sandbox.faults().fired() == 1).await;
    // Long read, and of the same size.
    let changed = part(&facility, RUN, 3);
    fs::write(&changed, content(7)).unwrap();
    gate.open();
    until("the sample is on Flow", || !facility.sandbox.samples().is_empty()).await;
    process.kill();
    assert_equal(&stored(&facility, "barcode01").1, &joined(&facility, RUN, PARTS));
    assert!(facility.log().contains("_3.fastq.gz changed after it had settled"), "{}", facility.log());
}

async fn only_reason(facility: &Facility) -> (String, String) {
    let output = facility.output(&["plan", "--json"]).await;
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [sample] = plan["samples"].as_array().unwrap().as_slice() else { panic!("{plan:#}") };
    let text = |key: &str| sample[key].as_str().unwrap().to_owned();
    (text("state"), text("reason"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_joined_byte_by_byte_blocks_and_says_why() {
    let bam = "match: \"bam_pass/{barcode}/*_{part:int}.bam\"";
    let facility = self::facility(bam, "{barcode}").await;
    for n in [9, 10] {
        write(&in_run(&facility, RUN, &format!("bam_pass/barcode01/FAX_pass_barcode01_{n}.bam")), content(n));
    }
    finish(&facility, RUN);
    let reason =
        "bam_pass/barcode01/FAX_pass_barcode01_9.bam cannot be joined with others byte by byte: only FASTQ can";
    assert_eq!(only_reason(&facility).await, ("blocked".to_owned(), reason.to_owned()));

    let facility = self::facility("paired: never", "{barcode}").await;
    write_parts(&facility, RUN, 0..1);
    let plain = part(&facility, RUN, 1).with_extension("");
    write(&plain, "@r\nA\n+\nI\n");
    finish(&facility, RUN);
    let reason = "reads1 mixes plain and gzipped files, which cannot be joined";
    assert_eq!(only_reason(&facility).await, ("blocked".to_owned(), reason.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_flow_cell_of_a_library_is_another_sample() {
    for (name, in_first, in_second) in [
        (
            "{run}_{barcode}",
            "20260301_1200_MN12345_FAX00001_abcdef01_barcode01",
            "20260303_0900_MN12345_FAX00002_fedcba98_barcode01",
        ),
        ("{barcode}", "barcode01", "barcode01"),
    ] {
        let facility = self::facility("paired: never", name).await;
        write_parts(&facility, RUN, 0..3);
        finish(&facility, RUN);
        let first = facility.once().await;
        assert_eq!(first.snapshot.count("done"), 1, "{first:#?}");
        for n in 0..3 {
            write(&part(&facility, TOP_UP, n), content(n + 50));
        }
        finish(&facility, TOP_UP);
        let both = facility.once().await;
        assert_eq!(both.snapshot.count("done"), 2, "{both:#?}");
        let mut samples: Vec<(String, Vec<u8>)> = facility
            .sandbox
            .samples()
            .iter()
            .map(|sample| (sample.name.clone(), fs::read(&sample.files[0].path).unwrap()))
            .collect();
        samples.sort_by_key(|(_, bytes)| bytes.len());
        let expected = [(in_first, RUN), (in_second, TOP_UP)];
        let expected = expected.map(|(name, run)| (name.to_owned(), joined(&facility, run, 3)));
        assert!(samples == expected, "never joined with the first: {name}");
    }
}
