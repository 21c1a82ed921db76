//! How values stand on disk: a program of another day must read them.

use super::*;

/// What is stored, as text: the version, then the value.
fn text(value: &impl Serialize) -> String {
    let bytes = encode(value);
    format!("{} {}", bytes[0], std::str::from_utf8(&bytes[1..]).unwrap())
}

fn bytes(text: &str) -> Vec<u8> {
    let (version, json) = text.split_once(' ').unwrap();
    [&[version.parse().unwrap()], json.as_bytes()].concat()
}

/// Journals of version 1 lie on people's disks: what is written here never changes. A change of the stored form
/// gets a version of its own, and reads this one.
#[track_caller]
fn is_stored_as<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, golden: &str) {
    assert_eq!(text(value), golden);
    assert_eq!(&decode::<T>("golden", &bytes(golden)).unwrap(), value);
}

#[track_caller]
fn state_is_stored_as(state: State, golden: &str) {
    let history = History::default();
    let value = StateValue { first_seen: "2026-11-24T08:00:00.123456789Z".parse().unwrap(), history, state };
    assert_eq!(text(&value), golden);
    let read = decode::<StateValue>("golden", &bytes(golden)).unwrap();
    assert_eq!((read.first_seen, read.state), (value.first_seen, value.state));
}

#[test]
fn samples() {
    is_stored_as(
        &sample("a 1"),
        r#"1 {"key":{"kind":"sample","watch":"miseq","run":"run1","name":"a 1"},"rule":"rnaseq","target":{"kind":"sample","name":"a 1","sample_type":"RNA-Seq","organism":"Hs","project":null,"metadata":[["strandedness","reverse"]]},"slots":[{"key":"reads1","filename":"a 1_R1.fastq.gz","parts":[{"path":"/data/miseq/run1/a 1_R1.fastq.gz","fingerprint":{"size":10,"modified_ns":1700000000123456789}}]},{"key":"reads2","filename":"a 1_R2.fastq.gz","parts":[{"path":"/data/miseq/run1/a 1_R2.fastq.gz","fingerprint":{"size":10,"modified_ns":1700000000123456789}}]}]}"#,
    );
    let path = path_from_text("/d/a\\xff\\x0a\u{e9}").unwrap();
    let part = Part { path, fingerprint: Fingerprint { size: u64::MAX, modified_ns: i64::MIN } };
    let data = Sample {
        key: SampleKey { kind: Kind::Data, watch: "w".into(), run: "w".into(), name: "x.html".into() },
        rule: "reports".into(),
        target: Target::Data { data_type: None, is_directory: false },
        slots: vec![Slot { key: "data".into(), filename: "x.html".into(), parts: vec![part] }],
        sheets: Vec::new(),
    };
    is_stored_as(
        &data,
        r#"1 {"key":{"kind":"data","watch":"w","run":"w","name":"x.html"},"rule":"reports","target":{"kind":"data","data_type":null},"slots":[{"key":"data","filename":"x.html","parts":[{"path":"/d/a\\xff\\x0aé","fingerprint":{"size":18446744073709551615,"modified_ns":-9223372036854775808}}]}]}"#,
    );
}

#[test]
fn the_key_of_a_sample() {
    assert_eq!(sample("a 1").id().as_str(), "8knvup1qh0bq");
}

#[test]
fn waiting_held_and_skipped() {
    let reason = || "for \"what\"".to_owned();
    state_is_stored_as(
        State::Waiting { reason: reason(), again: None },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"waiting","reason":"for \"what\""}"#,
    );
    let moment = |seconds| Moment { boot: 7, at: Duration::from_secs(seconds) };
    state_is_stored_as(
        State::Waiting { reason: reason(), again: Some(Again { at: moment(5), until: moment(9) }) },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"waiting","reason":"for \"what\"","again":{"at":{"boot":7,"at":{"secs":5,"nanos":0}},"until":{"boot":7,"at":{"secs":9,"nanos":0}}}}"#,
    );
    state_is_stored_as(
        State::Held { reason: reason(), by: Holder::Person, upload: None },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"held","reason":"for \"what\"","by":"person"}"#,
    );
    state_is_stored_as(
        State::Held { reason: reason(), by: Holder::Rule, upload: None },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"held","reason":"for \"what\"","by":"rule"}"#,
    );
    state_is_stored_as(
        State::Skipped { reason: reason(), by: Skipper::Assembly },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"skipped","reason":"for \"what\""}"#,
    );
}

#[test]
fn blocked() {
    state_is_stored_as(
        State::Blocked { reason: "x".into(), by: Blocker::Assembly },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"blocked","reason":"x","by":"assembly"}"#,
    );
    state_is_stored_as(
        State::Blocked { reason: "x".into(), by: Blocker::Upload },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"blocked","reason":"x","by":"upload"}"#,
    );
}

#[test]
fn queued() {
    state_is_stored_as(
        State::Queued { upload: None },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"queued","upload":null}"#,
    );
    state_is_stored_as(
        State::Queued { upload: Some(Upload::default()) },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"queued","upload":{"attempts":0,"faults":0,"files":[],"sample_id":null}}"#,
    );
}

#[test]
fn uploading() {
    state_is_stored_as(
        State::Uploading { upload: upload(sending()) },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"uploading","upload":{"attempts":2,"faults":1,"files":[{"base":8000000,"size":20000000,"begun_anew":0,"abandoned":[],"sha256":"abababababababababababababababababababababababababababababababab","stage":{"stage":"ready","data_id":"71"}},{"base":8000000,"size":20000000,"begun_anew":0,"abandoned":[],"sha256":null,"stage":{"stage":"sending","data_id":"72","chunks":2,"strikes":1}}],"sample_id":null}}"#,
    );
}

#[test]
fn retrying() {
    let mut upload = upload(asking());
    upload.files[1].abandoned = vec!["69".into()];
    upload.files[1].begun_anew = 1;
    upload.sample_id = Some("70".into());
    let next_try = Moment { boot: u64::MAX, at: Duration::new(86_400, 5) };
    state_is_stored_as(
        State::Retrying { upload, next_try, error: "lost".into() },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"retrying","upload":{"attempts":2,"faults":1,"files":[{"base":8000000,"size":20000000,"begun_anew":0,"abandoned":[],"sha256":"abababababababababababababababababababababababababababababababab","stage":{"stage":"ready","data_id":"71"}},{"base":8000000,"size":20000000,"begun_anew":1,"abandoned":["69"],"sha256":null,"stage":{"stage":"asking","data_id":"72","asks":3,"sent_again":false}}],"sample_id":"70"},"next_try":{"boot":18446744073709551615,"at":{"secs":86400,"nanos":5}},"error":"lost"}"#,
    );
}

#[test]
fn done_with_parts_and_values_of_a_corrected_sheet() {
    let mut sent = sent();
    sent.files[1].parts = vec!["cd".into(), "ef".into()];
    let target = Target::Data { data_type: Some("report".into()), is_directory: false };
    let sheets = vec![SheetUsed { path: "/r/s.csv".into(), sha256: "12".into() }];
    sent.retold = Some(Box::new(Retold { target, sheets }));
    state_is_stored_as(
        State::Done { sent },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"done","sent":{"attempts":1,"sample_id":"70","files":[{"data_id":"71","sha256":"abababababababababababababababababababababababababababababababab"},{"data_id":"72","sha256":null,"parts":["cd","ef"]}],"finished":"2026-11-24T09:00:00.5Z","changed":false,"retold":{"target":{"kind":"data","data_type":"report"},"sheets":[{"path":"/r/s.csv","sha256":"12"}]}}}"#,
    );
}

#[test]
fn done() {
    state_is_stored_as(
        State::Done { sent: sent() },
        r#"1 {"first_seen":"2026-11-24T08:00:00.123456789Z","state":"done","sent":{"attempts":1,"sample_id":"70","files":[{"data_id":"71","sha256":"abababababababababababababababababababababababababababababababab"},{"data_id":"72","sha256":null}],"finished":"2026-11-24T09:00:00.5Z","changed":false}}"#,
    );
}

#[test]
fn observations_and_baselines() {
    let observation = Observation {
        fingerprint: Fingerprint { size: 10, modified_ns: -1 },
        since: Moment { boot: 7, at: Duration::from_millis(1500) },
        look: 3,
        existing: true,
    };
    let stored = r#"1 {"fingerprint":{"size":10,"modified_ns":-1},"since":{"boot":7,"at":{"secs":1,"nanos":500000000}},"look":3,"existing":true}"#;
    is_stored_as(&observation, stored);
    let unnumbered = stored.replace("\"look\":3,", "").replacen("1 ", "\u{1}", 1);
    let read: Observation = decode("a.gz", unnumbered.as_bytes()).unwrap();
    assert_eq!(read, Observation { look: 0, ..observation });
    let baseline = Baseline {
        device: u64::MAX,
        files: 3,
        network: true,
        unread: vec![PathText(path_from_text("run1/\\xff").unwrap())],
    };
    is_stored_as(&baseline, r#"1 {"device":18446744073709551615,"files":3,"network":true,"unread":["run1/\\xff"]}"#);
}

#[test]
fn keys() {
    let sample = sample("a 1");
    let text = |key: Vec<u8>| String::from_utf8(key).unwrap();
    assert_eq!(text(sample_key(&sample.id())), "s8knvup1qh0bq");
    assert_eq!(text(state_key(&sample.id())), "t8knvup1qh0bq");
    assert_eq!(text(watch_key("mi seq")), "wmi seq");
    assert_eq!(text(file_key("mi seq", Path::new("run1/a b"))), "fmi seq\0run1/a b");
}
