//! What Flow has is byte for byte what the disk had: files that are cut, corrupt, or not what their checksums say never
//! become a sample, whatever size and time they show; and what was sent can be read back.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flow_ingest::agent::Mode;
use flow_ingest::sandbox::{Fault, Gate, On};
use flow_ingest::status::Snapshot;
use sha2::{Digest, Sha256};
use support::{CHUNK, Facility, PAIR, Setup, bytes, each_at_once, only, other_bytes, read_name, until};

/// The block at the end of every BAM file (SAM specification, 4.1.2).
const END_OF_BAM: &[u8] = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0\x42\x43\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0\0";

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

fn state(snapshot: &Snapshot) -> (&str, &str) {
    let sample = only(snapshot);
    (&sample.state, sample.reason.as_deref().unwrap_or_default())
}

/// A file in place of another, with the old one's modification time.
fn put_back_in_time(path: &Path, change: impl FnOnce(&Path)) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    change(path);
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// A way of giving a file other bytes.
type Change = fn(&Path, &[u8]);

/// Where an upload is held meanwhile.
type Hold = fn() -> Fault;

fn overwrite(path: &Path, bytes: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("tmp");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_whole_is_blocked_in_the_end_and_becomes_no_sample() {
    type Spoil = fn(Vec<u8>) -> Vec<u8>;
    let spoils: [(&str, Spoil, &str); 5] = [
        ("cut", |bytes| bytes[..bytes.len() - 1_000].to_vec(), "in the middle of a gzip member"),
        (
            "its size reserved, its end not written",
            |mut bytes| {
                let end = bytes.len();
                bytes[end - 3_000..].fill(0);
                bytes
            },
            "gzip",
        ),
        (
            "a wrong checksum",
            |mut bytes| {
                let end = bytes.len();
                bytes[end - 6] ^= 1;
                bytes
            },
            "checksum",
        ),
        (
            "a wrong byte",
            |mut bytes| {
                bytes[12_000] ^= 1;
                bytes
            },
            "checksum",
        ),
        ("more after its end", |bytes| [&bytes[..], b"more"].concat(), "no gzip"),
    ];
    let mut cases = Vec::new();
    for (name, spoil, said) in spoils {
        for read in [1, 2] {
            cases.push((format!("reads{read}: {name}"), (spoil, said, read)));
        }
    }
    each_at_once(5, cases, |(spoil, said, read)| async move {
        let facility = Facility::with_a_pair().await;
        let path = facility.read("S1", read);
        fs::write(&path, spoil(fs::read(&path).unwrap())).unwrap();
        let ended = facility.once().await;
        let (state, reason) = state(&ended.snapshot);
        assert_eq!(state, "blocked", "{reason}");
        assert!(reason.contains(path.to_str().unwrap()) && reason.contains(said), "{reason}");
        assert!(reason.contains("copy it again") && reason.contains("check_gzip: false"), "{reason}");
        facility.check_samples(&["S1"]).await;
        let firsts = facility.chunks().iter().filter(|chunk| chunk.field("data") == Some("")).count();
        assert!(firsts <= 2, "nothing is sent again while it waits: {firsts} files were begun");

        // Copied again, it goes on by itself.
        fs::write(&path, bytes(PAIR[read - 1] + 7)).unwrap();
        let ended = facility.once().await;
        facility.check_all_done(&ended).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_rest_arrives_late_is_waited_for() {
    // It is waited for ten times as long as it takes to settle.
    let facility = Facility::with(Setup { settle: "1s", ..Setup::default() }, |_| {}).await;
    facility.add("S1", &PAIR);
    let (path, whole) = (facility.read("S1", 2), bytes(PAIR[1]));
    // As over SMB: the full size from the start, and zeros where the rest will be.
    let (head, tail) = whole.split_at(15_000);
    fs::write(&path, [head, &vec![0; tail.len()]].concat()).unwrap();
    let agent = facility.agent().await;
    let script = async {
        let waits = || {
            let snapshot = agent.snapshot("running").unwrap();
            let Some(sample) = snapshot.samples.first() else { return false };
            let is_told = sample.reason.as_ref().is_some_and(|reason| reason.contains("still be on its way"));
            sample.state == "waiting" && is_told
        };
        until("it waits", waits).await;
        assert!(only(&agent.snapshot("running").unwrap()).next_try.is_some());
        put_back_in_time(&path, |path| fs::write(path, &whole).unwrap());
        until("it is done", || agent.snapshot("running").unwrap().count("done") == 1).await;
    };
    agent.run(Mode::Service, script).await.unwrap();
    facility.check_samples(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_files_of_every_form_go_up() {
    let facility = Facility::new().await;
    facility.add("S1", &PAIR);
    fs::write(facility.read("S2", 1), [bytes(12_345), bytes(23), bytes(7_000)].concat()).unwrap();
    fs::write(facility.read("S2", 2), [bytes(9_000), vec![0; 2_000]].concat()).unwrap();
    let block = |n: u8| {
        // One stored block of BGZF, which states its own length less one.
        let stored = bytes(3_000 + u64::from(n));
        let (body, size) = (&stored[10..], stored.len() as u16 + 8 - 1);
        [b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0\x42\x43\x02\0", &size.to_le_bytes()[..], body].concat()
    };
    let blocks: Vec<u8> = (0..8).flat_map(block).collect();
    fs::write(facility.read("S3", 1), [&blocks[..], END_OF_BAM].concat()).unwrap();
    fs::write(facility.read("S3", 2), &blocks).unwrap();
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bam_file_goes_up_only_with_its_last_block() {
    let facility = Facility::new().await;
    let manifest = "version: 1
rules:
  - name: alignments
    match: \"{name}.bam\"
    data: { filename: \"{name}.bam\" }
";
    fs::write(facility.path("manifest.yaml"), manifest).unwrap();
    fs::write(facility.path("drop/whole.bam"), [&bytes(25_000)[..], END_OF_BAM].concat()).unwrap();
    fs::write(facility.path("drop/cut.bam"), bytes(25_000)).unwrap();
    let ended = facility.once().await;
    let of = |name: &str| ended.snapshot.samples.iter().find(|sample| sample.name == name).unwrap();
    assert_eq!(of("whole.bam").state, "done");
    assert_eq!(of("cut.bam").state, "blocked");
    assert!(of("cut.bam").reason.as_ref().unwrap().contains("BAM"), "{:?}", of("cut.bam").reason);
    let stored = facility.sandbox.data();
    assert_eq!(stored.len(), 1);
    assert!(fs::read(&stored[0].path).unwrap() == fs::read(facility.path("drop/whole.bam")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_check_files_go_up_as_they_are() {
    let facility = Facility::with(Setup { check_gzip: false, ..Setup::default() }, |_| {}).await;
    facility.add("S1", &PAIR);
    fs::write(facility.read("S1", 1), &bytes(PAIR[0])[..20_000]).unwrap();
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checksum_files_beside_the_reads_must_agree() {
    let facility = Facility::with_a_pair().await;
    let list = |digests: [String; 2]| {
        let line = |(n, digest): (usize, String)| format!("{digest}  {}\n", read_name("S1", n + 1));
        digests.into_iter().enumerate().map(line).collect::<String>()
    };
    let right = PAIR.map(|size| hex(&bytes(size)));
    let wrong = [right[0].clone(), hex(b"other")];
    fs::write(facility.path("drop/sha256sums.txt"), list(wrong)).unwrap();
    let ended = facility.once().await;
    let (state, reason) = state(&ended.snapshot);
    assert_eq!(state, "blocked", "{reason}");
    assert!(reason.contains("sha256sums.txt") && reason.contains(&hex(b"other")), "{reason}");
    facility.check_samples(&["S1"]).await;

    fs::write(facility.path("drop/sha256sums.txt"), list(right)).unwrap();
    let id = only(&ended.snapshot).id.clone();
    let output = facility.output(&["retry", &id]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
}

/// Neither size nor time tells, and the agent that had read the first part is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_the_agent_is_down_is_noticed_whatever_its_time_says() {
    let holds: [(&str, Hold); 2] = [
        ("in the middle of reads1", || Fault::on(On::MiddleChunk).nth(1)),
        ("in the middle of reads2", || Fault::on(On::MiddleChunk).of_file(read_name("S1", 2)).nth(1)),
    ];
    let changes: [(&str, Change); 2] = [("overwritten", overwrite), ("replaced", replace)];
    let mut cases = Vec::new();
    for (hold, fault) in holds {
        for (change, how) in &changes {
            for (content, is_other) in [("another content", true), ("the same content", false)] {
                cases.push((format!("{change} with {content} {hold}"), (fault, *how, is_other)));
            }
        }
    }
    each_at_once(8, cases, |(fault, change, is_other)| async move {
        let (facility, gate) = (Facility::with_a_pair().await, Gate::new());
        facility.sandbox.faults().add(fault().delay(Duration::ZERO).until(&gate).times(1));
        facility.cut_off_when("a chunk is held", || facility.sandbox.faults().fired() == 1).await;
        gate.open();
        facility.sandbox.idle().await;
        let path = facility.read("S1", 1);
        let content = if is_other { other_bytes(PAIR[0]) } else { bytes(PAIR[0]) };
        put_back_in_time(&path, |path| change(path, &content));
        let ended = facility.once().await;
        facility.check_all_done(&ended).await;
        let firsts = facility.chunks().iter().filter(|chunk| chunk.field("data") == Some("")).count();
        assert!(firsts <= if is_other { 4 } else { 2 }, "{firsts} files were begun");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_under_the_agent_is_noticed_whatever_its_time_says() {
    let changes: [(&str, Change); 2] = [("overwritten", overwrite), ("replaced", replace)];
    let mut cases = Vec::new();
    for (change, how) in changes {
        for (content, is_other) in [("another content", true), ("the same content", false)] {
            cases.push((format!("{change} with {content}"), (how, is_other)));
        }
    }
    each_at_once(4, cases, |(change, is_other)| async move {
        let (facility, gate) = (Facility::with_a_pair().await, Gate::new());
        let at_reads2 = Fault::on(On::MiddleChunk).of_file(read_name("S1", 2)).nth(1);
        facility.sandbox.faults().add(at_reads2.delay(Duration::ZERO).until(&gate));
        let changed = async {
            until("reads2 is under way", || facility.sandbox.faults().fired() == 1).await;
            let content = if is_other { other_bytes(PAIR[0]) } else { bytes(PAIR[0]) };
            put_back_in_time(&facility.read("S1", 1), |path| change(path, &content));
            gate.open();
        };
        let (ended, ()) = tokio::join!(facility.once(), changed);
        facility.check_all_done(&ended).await;
        let firsts = facility.chunks().iter().filter(|chunk| chunk.field("data") == Some("")).count();
        assert!(firsts <= if is_other { 4 } else { 2 }, "{firsts} files were begun");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_stands_in_the_receipt_with_its_own_hash_whenever_the_agent_was_killed() {
    // In the second part of a file's three, and when a first file is whole and a second one is under way.
    let cases = [("in the first file", 2), ("in the second file", 9)].map(|(name, at)| (name.to_owned(), at));
    each_at_once(2, cases.to_vec(), |at| async move {
        let facility = Facility::new().await;
        let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
        let settles = "    complete_when: { quiet: 200ms }\nstatus:";
        fs::write(facility.path("flow-ingest.yaml"), config.replace("status:", settles)).unwrap();
        let manifest = fs::read_to_string(facility.path("manifest.yaml")).unwrap();
        fs::write(facility.path("manifest.yaml"), manifest.replace("{sample}_R{read}", "{sample}_L{lane}_R{read}"))
            .unwrap();
        let name = |lane: u64, read: u64| format!("S1_L{lane}_R{read}.fastq.gz");
        let content = |lane: u64, read: u64| bytes(21_000 + 1_000 * lane + read);
        for (lane, read) in [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)] {
            fs::write(facility.path("drop").join(name(lane, read)), content(lane, read)).unwrap();
        }
        facility.sandbox.faults().add(Fault::on(On::Chunk).nth(at).delay(Duration::from_secs(60)));
        let service = facility.start(&["run"]);
        until("a chunk is held up", || facility.sandbox.faults().fired() == 1).await;
        service.kill();
        let once = facility.output(&["run", "--once"]).await;
        assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));

        let report = facility.output(&["report", "--format", "json"]).await;
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        for (file, read) in report["samples"][0]["files"].as_array().unwrap().iter().zip(1..) {
            let whole: Vec<u8> = (1..=3).flat_map(|lane| content(lane, read)).collect();
            assert_eq!(file["sha256"], hex(&whole));
            for (part, lane) in file["parts"].as_array().unwrap().iter().zip(1..) {
                assert_eq!(
                    (&part["sha256"], &part["bytes"]),
                    (&hex(&content(lane, read)).into(), &content(lane, read).len().into())
                );
            }
            assert_eq!(file["parts"].as_array().unwrap().len(), 3);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_read_back_after_the_last_chunk() {
    let facility = Facility::with_a_pair().await;
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    let requests = facility.sandbox.requests();
    let last_chunk = requests.iter().rposition(|request| request.method == "POST").unwrap();
    for file in &only(&ended.snapshot).files {
        let path = format!("/data/{}", file.data_id.as_ref().unwrap());
        let is_read_back = |request: &flow_ingest::sandbox::RequestLog| request.method == "GET" && request.path == path;
        assert!(requests[last_chunk..].iter().any(is_read_back), "{path} is not read back");
    }
}

/// Holds the agent at the answer to its sample's last chunk, and hands over what Flow has.
async fn with_downloads(spoil: impl Fn(&Facility) + Send) -> (Facility, support::Ended) {
    let facility = Facility::with(Setup { verify: "download", ..Setup::default() }, |_| {}).await;
    facility.add("S1", &PAIR);
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::FinalChunk).delay_after(Duration::ZERO).until(&gate).times(1));
    facility.sandbox.faults().add(Fault::on(On::Download).cut_mid_answer().times(2));
    let spoiled = async {
        until("the sample is there", || facility.sandbox.samples().len() == 1).await;
        spoil(&facility);
        gate.open();
    };
    let (ended, ()) = tokio::join!(facility.once(), spoiled);
    (facility, ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flow_has_is_downloaded_and_compared_where_that_is_asked_for() {
    let (facility, ended) = with_downloads(|_| ()).await;
    facility.check_all_done(&ended).await;
    assert_eq!(only(&ended.snapshot).attempts, 1, "to compare again is no try");
    let downloads = facility.sandbox.requests().into_iter().filter(|request| request.path.starts_with("/downloads/"));
    assert!(downloads.count() >= 4, "two were cut, and both files are read in the end");
    assert_eq!(facility.chunks().len(), 6, "nothing is sent again for it");

    let (facility, ended) = with_downloads(|facility| {
        let stored = &facility.sandbox.samples()[0].files[1];
        assert_eq!(fs::metadata(&stored.path).unwrap().len(), PAIR[1]);
        fs::write(&stored.path, other_bytes(PAIR[1])).unwrap();
    })
    .await;
    let (state, reason) = state(&ended.snapshot);
    assert_eq!(state, "blocked", "{reason}");
    let id = &facility.sandbox.samples()[0].files[1].id;
    assert!(reason.contains(&read_name("S1", 2)) && reason.contains(id.as_str()), "{reason}");
    assert!(reason.contains(&hex(&bytes(PAIR[1]))), "{reason}");
    assert_eq!(facility.chunks().len(), 6, "in doubt nothing is sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_compares_it_compares_again_and_sends_nothing() {
    let facility = Facility::with(Setup { verify: "download", ..Setup::default() }, |_| {}).await;
    facility.add("S1", &PAIR);
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::Download).nth(2).delay(Duration::ZERO).until(&gate));
    facility.cut_off_when("the second download is held", || facility.sandbox.faults().fired() == 1).await;
    gate.open();
    let stored = &facility.sandbox.samples()[0].files[0];
    fs::write(&stored.path, other_bytes(PAIR[0])).unwrap();
    let ended = facility.once().await;
    let (state, reason) = state(&ended.snapshot);
    assert_eq!(state, "blocked", "{reason}");
    assert!(reason.contains(&read_name("S1", 1)), "{reason}");
    assert_eq!(facility.chunks().len(), 6);
    fs::write(&stored.path, bytes(PAIR[0])).unwrap();
    facility.check_samples(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_a_files_place_holds_nothing_up() {
    let facility = Facility::with_a_pair().await;
    let gate = Gate::new();
    facility.sandbox.faults().add(Fault::on(On::LastChunk).nth(1).delay(Duration::ZERO).until(&gate));
    let agent = facility.agent().await;
    let path = facility.read("S1", 2);
    let script = async {
        until("reads1 is under way", || facility.sandbox.faults().fired() == 1).await;
        fs::remove_file(&path).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        gate.open();
        let waits = || only(&agent.snapshot("running").unwrap()).state == "waiting";
        until("the sample waits", waits).await;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes(PAIR[1])).unwrap();
        until("it is done", || agent.snapshot("running").unwrap().count("done") == 1).await;
    };
    agent.run(Mode::Service, script).await.unwrap();
    facility.check_samples(&[]).await;
    assert!(facility.chunks().iter().all(|chunk| chunk.blob_len.unwrap_or_default() <= CHUNK + 2));
}
