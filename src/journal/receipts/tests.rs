use std::fs;

use super::*;

fn withdrawn(id: &str) -> Event {
    Event::Withdrawn { id: SampleId::typed(id), reason: "a person\nsaid \"so\"".to_owned() }
}

/// Opens the receipts; what they say, too.
fn open(dir: &tempfile::TempDir) -> (Receipts, Survey, Vec<Receipt>) {
    let mut said = Vec::new();
    let (receipts, survey) = Receipts::open(dir.path(), |line| said.extend(line.receipt())).unwrap();
    (receipts, survey, said)
}

fn add(receipts: &mut Receipts, ids: &[&str]) {
    let lines = receipts.lines(ids.iter().map(|id| withdrawn(id)).collect(), 0, None);
    receipts.append(&lines).unwrap();
}

fn ids(said: &[Receipt]) -> Vec<String> {
    let id = |receipt: &Receipt| match &receipt.event {
        Event::Withdrawn { id, .. } => id.to_string(),
        other => panic!("{other:?}"),
    };
    said.iter().map(id).collect()
}

#[test]
fn what_was_added_is_read_again_in_order_under_the_numbers_of_its_commits() {
    let dir = tempfile::tempdir().unwrap();
    let (mut receipts, ..) = open(&dir);
    add(&mut receipts, &["a"]);
    add(&mut receipts, &["b", "c"]);
    let head = receipts.head().clone();
    let (mut receipts, survey, said) = open(&dir);
    assert_eq!((receipts.head(), survey.breaks.len(), survey.torn), (&head, 0, 0));
    assert_eq!((head.seq, head.commit), (3, 2));
    assert_eq!(ids(&said), ["a", "b", "c"]);
    assert_eq!(said.iter().map(|receipt| (receipt.seq, receipt.commit)).collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 2)]);
    add(&mut receipts, &["d"]);
    assert_eq!(open(&dir).1.breaks, Vec::<String>::new());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(dir.path().join(RECEIPTS)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_line_that_was_cut_at_any_byte_is_cut_off_and_the_next_ones_follow() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(RECEIPTS);
    let (mut receipts, ..) = open(&dir);
    add(&mut receipts, &["a"]);
    let one = fs::read(&path).unwrap();
    add(&mut receipts, &["b", "c"]);
    let all = fs::read(&path).unwrap();
    let second_ends = one.len() + all[one.len()..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in one.len()..=all.len() {
        fs::write(&path, &all[..length]).unwrap();
        let (mut receipts, survey, said) = open(&dir);
        let (whole, expected): (_, &[&str]) = match length {
            _ if length == all.len() => (all.len(), &["a", "b", "c"]),
            _ if length >= second_ends => (second_ends, &["a", "b"]),
            _ => (one.len(), &["a"]),
        };
        assert_eq!(
            (ids(&said), survey.torn as usize),
            (expected.iter().map(|id| (*id).to_owned()).collect(), length - whole)
        );
        assert_eq!(fs::metadata(&path).unwrap().len() as usize, whole);
        add(&mut receipts, &["d"]);
        let (_, survey, said) = open(&dir);
        assert_eq!((survey.breaks.len(), survey.torn), (0, 0), "{length}");
        assert_eq!(ids(&said).last().unwrap(), "d");
    }
}

#[test]
fn a_line_that_was_changed_taken_out_or_put_in_shows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(RECEIPTS);
    let (mut receipts, ..) = open(&dir);
    ["a", "b", "c", "d"].iter().for_each(|id| add(&mut receipts, &[id]));
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let with = |lines: &[&str]| {
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let (_, survey, said) = open(&dir);
        (survey.breaks, ids(&said).concat())
    };
    assert_eq!(with(&lines), (vec![], "abcd".to_owned()));
    let follows = |n| vec![format!("line {n} does not follow from the line before it")];
    let other = lines[1].replace("\"b\"", "\"x\"");
    assert_eq!(with(&[lines[0], &other, lines[2], lines[3]]), (follows(3), "axcd".to_owned()));
    assert_eq!(with(&[lines[0], lines[2], lines[3]]), (follows(2), "acd".to_owned()));
    assert_eq!(with(&[lines[1], lines[2], lines[3]]), (follows(1), "bcd".to_owned()));
    let twice = with(&[lines[0], lines[1], lines[1], lines[2], lines[3]]);
    assert_eq!((twice.0, twice.1.as_str()), (follows(3), "abbcd"));
    let (breaks, said) = with(&[lines[0], "no line", lines[2], lines[3]]);
    assert_eq!((breaks.len(), said.as_str()), (2, "acd"), "{breaks:?}");
    assert!(breaks[0].starts_with("line 2 cannot be read"), "{breaks:?}");
}

#[test]
fn what_is_taken_back_was_never_there() {
    let dir = tempfile::tempdir().unwrap();
    let (mut receipts, ..) = open(&dir);
    add(&mut receipts, &["a"]);
    let before = receipts.head().clone();
    let lines = receipts.lines(vec![withdrawn("b"), withdrawn("c")], 0, None);
    receipts.append(&lines).unwrap();
    receipts.retract(&lines, before);
    add(&mut receipts, &["d"]);
    let (_, survey, said) = open(&dir);
    assert_eq!((survey.breaks.len(), ids(&said).concat().as_str()), (0, "ad"));
}

#[test]
fn what_a_failed_addition_left_behind_is_cut_off_before_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (mut receipts, ..) = open(&dir);
    add(&mut receipts, &["a"]);
    let mut file = OpenOptions::new().append(true).open(dir.path().join(RECEIPTS)).unwrap();
    io::Write::write_all(&mut file, &[b'x'; 10_000]).unwrap();
    add(&mut receipts, &["b"]);
    let (_, survey, said) = open(&dir);
    assert_eq!((survey.breaks.len(), survey.torn, ids(&said).concat().as_str()), (0, 0, "ab"));
}

#[test]
fn receipts_of_a_newer_version_are_refused_and_events_of_one_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(RECEIPTS);
    let line = |version| {
        format!(
            r#"{{"version":{version},"seq":1,"previous":"{NOTHING}","commit":1,"time":"2026-11-24T09:00:00Z","event":"praised","by":"all"}}"#
        ) + "\n"
    };
    fs::write(&path, line(1)).unwrap();
    assert_eq!(open(&dir).2[0].event, Event::Unknown);
    fs::write(&path, line(2)).unwrap();
    let refused = Receipts::open(dir.path(), |_| ()).err().expect("refused").to_string();
    assert!(refused.contains("its version is 2, and this program knows 1"), "{refused}");
}

/// Receipts of version 1 lie on people's disks: what is written here never changes.
#[test]
fn golden() {
    let sample = crate::journal::tests::sample("a 1");
    let (id, first_seen) = (sample.id(), "2026-11-24T08:00:00Z".parse().unwrap());
    let receipt = |event| Receipt {
        version: 1,
        seq: 7,
        previous: "ab".repeat(32),
        commit: 4,
        time: "2026-11-24T09:00:01Z".parse().unwrap(),
        account: None,
        event,
    };
    let is_written_as = |receipt: Receipt, golden: &str| {
        assert_eq!(serde_json::to_string(&receipt).unwrap(), golden);
        assert_eq!(serde_json::from_str::<Receipt>(golden).unwrap(), receipt);
    };
    let sent = crate::journal::tests::sent();
    is_written_as(
        Receipt {
            account: Some("alice".into()),
            ..receipt(Event::Done { id, sample, first_seen, history: History::default(), sent })
        },
        r#"{"version":1,"seq":7,"previous":"abababababababababababababababababababababababababababababababab","commit":4,"time":"2026-11-24T09:00:01Z","account":"alice","event":"done","id":"8knvup1qh0bq","sample":{"key":{"kind":"sample","watch":"miseq","run":"run1","name":"a 1"},"rule":"rnaseq","target":{"kind":"sample","name":"a 1","sample_type":"RNA-Seq","organism":"Hs","project":null,"metadata":[["strandedness","reverse"]]},"slots":[{"key":"reads1","filename":"a 1_R1.fastq.gz","parts":[{"path":"/data/miseq/run1/a 1_R1.fastq.gz","fingerprint":{"size":10,"modified_ns":1700000000123456789}}]},{"key":"reads2","filename":"a 1_R2.fastq.gz","parts":[{"path":"/data/miseq/run1/a 1_R2.fastq.gz","fingerprint":{"size":10,"modified_ns":1700000000123456789}}]}]},"first_seen":"2026-11-24T08:00:00Z","sent":{"attempts":1,"sample_id":"70","files":[{"data_id":"71","sha256":"abababababababababababababababababababababababababababababababab"},{"data_id":"72","sha256":null}],"finished":"2026-11-24T09:00:00.5Z","changed":false}}"#,
    );
    let path = crate::sample::path_from_text("run1/a\\xff").unwrap();
    let files = vec![ExistingFile { path, fingerprint: Fingerprint { size: 3, modified_ns: -1 } }];
    is_written_as(
        receipt(Event::Existing { watch: "w".into(), files }),
        r#"{"version":1,"seq":7,"previous":"abababababababababababababababababababababababababababababababab","commit":4,"time":"2026-11-24T09:00:01Z","event":"existing","watch":"w","files":[{"path":"run1/a\\xff","fingerprint":{"size":3,"modified_ns":-1}}]}"#,
    );
    is_written_as(
        receipt(Event::FirstStart { watch: "w".into(), baseline: serde_json::json!({"device": u64::MAX}) }),
        r#"{"version":1,"seq":7,"previous":"abababababababababababababababababababababababababababababababab","commit":4,"time":"2026-11-24T09:00:01Z","event":"first_start","watch":"w","baseline":{"device":18446744073709551615}}"#,
    );
}
