//! A demo that came out right, spoilt in one way at a time: each must be found, and end with exit code 1.

use tempfile::TempDir;

use super::super::exit_of;
use super::*;
use crate::cli::exit::Exit;
use crate::sample::Kind;
use crate::status::{FileStatus, LeftOut, SampleStatus};

/// What a demo ends with.
struct World {
    expected: Expected,
    holdings: Holdings,
    snapshot: Snapshot,
    _dir: TempDir,
}

/// Two samples of two files each, as they ought to be.
fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = Vec::new();
    let mut stored = Vec::new();
    let mut statuses = vec![status("lonely", "blocked", Some("reads2 is missing: the run is complete without it"))];
    for name in ["one", "two"] {
        let mut done = status(name, "done", None);
        let mut files = Vec::new();
        let mut copies = Vec::new();
        for read in ["R1", "R2"] {
            let filename = format!("{name}_{read}.fastq.gz");
            let bytes = format!("the reads of {filename}");
            let (path, copy) = (dir.path().join(&filename), dir.path().join(format!("copy_of_{filename}")));
            fs::write(&path, &bytes).unwrap();
            fs::write(&copy, &bytes).unwrap();
            done.files.push(FileStatus {
                slot: read.to_owned(),
                filename: filename.clone(),
                bytes: bytes.len() as u64,
                sent: 0,
                data_id: None,
                parts: Vec::new(),
                sha256: Some(sha256(bytes.as_bytes())),
            });
            files.push(path);
            copies.push(stored_file(&filename, copy));
        }
        statuses.push(done);
        let metadata = BTreeMap::from([("strandedness".to_owned(), "reverse".to_owned())]);
        samples.push(ExpectedSample {
            name: name.to_owned(),
            sample_type: "RNA-Seq",
            organism: "Hs",
            project: "7",
            metadata: metadata.clone(),
            files,
        });
        stored.push(StoredSample {
            id: "1".to_owned(),
            name: name.to_owned(),
            sample_type: "RNA-Seq".to_owned(),
            project: Some("7".to_owned()),
            organism: Some("Hs".to_owned()),
            metadata,
            files: copies,
        });
    }
    let left_out = LeftOut::new(std::path::Path::new("/run/odd.fastq.gz"), "no rule matches".to_owned());
    World {
        expected: Expected { samples, blocked: "lonely".to_owned(), left_out: "odd.fastq.gz".to_owned() },
        holdings: Holdings { samples: stored, ..Holdings::default() },
        snapshot: Snapshot::new("finished", None, statuses, Vec::new(), vec![left_out]),
        _dir: dir,
    }
}

fn status(name: &str, state: &str, reason: Option<&str>) -> SampleStatus {
    SampleStatus {
        id: name.to_owned(),
        kind: Kind::Sample,
        watch: "miseq".to_owned(),
        run: "run".to_owned(),
        rule: "rnaseq".to_owned(),
        name: name.to_owned(),
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        blocked_by: None,
        captured: Default::default(),
        next_act: None,
        adopted: false,
        bytes: 0,
        sent: 0,
        attempts: 1,
        error: None,
        next_try: None,
        sample_id: None,
        changed: false,
        changes: Vec::new(),
        sent_as: None,
        decisions: Vec::new(),
        to_retract: Vec::new(),
        warnings: None,
        files: Vec::new(),
    }
}

fn stored_file(filename: &str, path: PathBuf) -> StoredFile {
    let (id, filename) = ("2".to_owned(), filename.to_owned());
    StoredFile { id, filename, path, size: 0, data_type: None, is_directory: false }
}

/// The problems of a world that was spoilt.
fn problems(spoil: impl FnOnce(&mut World)) -> Vec<String> {
    let mut world = world();
    spoil(&mut world);
    let comparison = compare(&world.expected, &world.holdings, &world.snapshot);
    let problems: Vec<String> = comparison.checks.iter().flat_map(|check| check.problems.clone()).collect();
    assert_eq!(comparison.ok, problems.is_empty());
    assert_eq!(exit_of(&comparison), if problems.is_empty() { Exit::Success } else { Exit::Failure });
    problems
}

#[test]
fn what_came_out_right_is_found_right() {
    assert_eq!(problems(|_| {}), [""; 0]);
    let world = world();
    let comparison = compare(&world.expected, &world.holdings, &world.snapshot);
    assert_eq!((comparison.files.len(), comparison.bytes), (4, 4 * 28));
    assert!(comparison.files.iter().all(|file| file.equal && file.sha256 == file.stored_sha256));
    assert!(comparison.checks.iter().all(|check| check.ok));
    assert_eq!(comparison.checks[0].what, "4 files, 112 bytes, SHA-256 equal on both sides");
}

#[test]
fn a_byte_that_differs_is_found_on_either_side() {
    let flipped = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[9] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let on_the_sandbox = problems(|world| flipped(&world.holdings.samples[1].files[0].path));
    assert_eq!(on_the_sandbox, ["two_R1.fastq.gz: differs from byte 9 on"]);
    let on_disk = problems(|world| flipped(&world.expected.samples[1].files[0]));
    assert_eq!(
        on_disk,
        ["two_R1.fastq.gz: differs from byte 9 on", "two_R1.fastq.gz: the receipt's SHA-256 is another"]
    );
}

#[test]
fn a_file_that_is_longer_shorter_missing_or_in_another_place_is_found() {
    let longer = problems(|world| {
        let path = &world.holdings.samples[0].files[1].path;
        fs::write(path, [fs::read(path).unwrap(), b"!".to_vec()].concat()).unwrap();
    });
    assert_eq!(longer, ["one_R2.fastq.gz: has 28 bytes on disk and 29 on the sandbox"]);
    let gone = problems(|world| fs::remove_file(&world.holdings.samples[0].files[1].path).unwrap());
    assert!(gone[0].starts_with("one_R2.fastq.gz: the sandbox's copy cannot be read: "), "{gone:?}");
    let missing = problems(|world| drop(world.holdings.samples[0].files.pop()));
    assert_eq!(missing[0], "one_R2.fastq.gz: is not on the sandbox");
    assert!(missing[1].starts_with("one: the list of files is one_R1.fastq.gz, and ought to be"), "{missing:?}");
    let swapped = problems(|world| world.holdings.samples[0].files.swap(0, 1));
    assert!(swapped[0].starts_with("one: the list of files is one_R2.fastq.gz, one_R1.fastq.gz"), "{swapped:?}");
}

#[test]
fn a_sample_that_is_doubled_missing_or_strange_is_found() {
    let doubled = problems(|world| {
        let double = world.holdings.samples[0].clone();
        world.holdings.samples.push(double);
    });
    assert_eq!(doubled, ["one: is on the sandbox 2 times"]);
    let missing = problems(|world| drop(world.holdings.samples.remove(0)));
    assert!(missing.contains(&"one: is on the sandbox 0 times".to_owned()), "{missing:?}");
    assert_eq!(missing.len(), 3, "{missing:?}");
    let strange = problems(|world| {
        let lonely = StoredSample { name: "lonely".to_owned(), ..world.holdings.samples[0].clone() };
        world.holdings.samples.push(lonely);
    });
    assert_eq!(strange, ["the sample lonely is on the sandbox"]);
    let orphan = problems(|world| world.holdings.others.push(stored_file("odd.fastq.gz", PathBuf::new())));
    assert_eq!(orphan, ["the file odd.fastq.gz is on the sandbox, in no sample"]);
}

#[test]
fn every_wrong_field_is_found() {
    let found = |spoil: fn(&mut StoredSample)| problems(|world| spoil(&mut world.holdings.samples[0]));
    let ought = |what: &str| [format!("one: {what}")];
    assert_eq!(found(|s| s.sample_type = "CLIP".into()), ought("the type is CLIP, and ought to be RNA-Seq"));
    assert_eq!(found(|s| s.project = None), ought("the project is missing, and ought to be 7"));
    assert_eq!(found(|s| s.organism = Some("Mm".into())), ought("the organism is Mm, and ought to be Hs"));
    assert_eq!(found(|s| s.metadata.clear()).len(), 1);
    assert_eq!(found(|s| drop(s.metadata.insert("pi".into(), "Franklin".into()))).len(), 1);
}

#[test]
fn what_was_sent_too_early_is_found() {
    let early = problems(|world| {
        let now = std::time::Instant::now();
        world.holdings.early.push(RequestLog {
            came: now,
            answered: now,
            method: "POST".to_owned(),
            path: "/upload/sample".to_owned(),
            query: String::new(),
            fields: vec![("filename".to_owned(), "one_R1.fastq.gz".to_owned())],
            blob_len: Some(1),
            blob_filename: None,
            status: Some(200),
        });
    });
    assert_eq!(early, ["/upload/sample of one_R1.fastq.gz came too early"]);
}

#[test]
fn an_account_that_says_otherwise_is_found() {
    let retrying = problems(|world| world.snapshot.samples[1].state = "retrying".to_owned());
    assert_eq!(retrying, ["one: is retrying, and ought to be done"]);
    let receipt = problems(|world| world.snapshot.samples[2].files[0].sha256 = None);
    assert_eq!(receipt, ["two_R1.fastq.gz: the receipt's SHA-256 is another"]);
    let lonely = |spoil: fn(&mut SampleStatus)| problems(|world| spoil(&mut world.snapshot.samples[0]));
    assert_eq!(lonely(|s| s.state = "waiting".into()), ["lonely: ought to be blocked for reads2"]);
    assert_eq!(lonely(|s| s.reason = Some("no".into())), ["lonely: ought to be blocked for reads2"]);
    assert_eq!(
        problems(|world| world.snapshot.left_out.clear()),
        ["odd.fastq.gz: ought to be left out, with a reason"]
    );
}

#[test]
fn numbers_are_easy_to_read() {
    assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
}
