//! What is on Flow already: a state folder that is lost doubles nothing that was finished, and a sample that somebody
//! else put there is taken when it is the same, and never doubled or mistaken when it is not.

mod support;

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use flow_ingest::agent::Mode;
use flow_ingest::journal::{Journal, Record, State};
use flow_ingest::sample::{Fingerprint, Kind, Sample, SampleKey, Slot, Target};
use flow_ingest::sandbox::{self, Fault, On, Reply};
use flow_ingest::status::{SampleStatus, Snapshot};
use flow_ingest::upload::{Account, Disk, Gate, Keeper, Pool};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use support::{Facility, PAIR, Setup, bytes, each_at_once, only, read_name, until};

/// A project of the sandbox's account.
const PROJECT: &str = "788995297969977723";
/// Of a file whose middle is not compared.
const LONG: u64 = 300_000;

/// Somebody else with the same account.
struct Colleague<'a>(&'a Facility);

impl Colleague<'_> {
    /// Uploads files as one sample; gives its id.
    async fn sample(&self, name: &str, files: &[(String, Vec<u8>)], project: Option<&str>) -> String {
        let mut earlier: Vec<String> = Vec::new();
        let mut answer = Value::Null;
        for (n, (filename, bytes)) in files.iter().enumerate() {
            let mut form = Form::new()
                .text("sample_name", name.to_owned())
                .text("sample_type", "RNA-Seq")
                .text("is_last_sample", (n + 1 == files.len()).to_string());
            form = earlier.iter().fold(form, |form, id| form.text("previous_data", id.clone()));
            form = project.into_iter().fold(form, |form, id| form.text("project", id.to_owned()));
            answer = self.upload("/upload/sample", filename, bytes, form).await;
            earlier.push(answer["data_id"].as_str().unwrap().to_owned());
        }
        answer["sample_id"].as_str().unwrap().to_owned()
    }

    /// Uploads a generic file; gives its id.
    async fn file(&self, filename: &str, bytes: &[u8]) -> String {
        let answer = self.upload("/upload", filename, bytes, Form::new()).await;
        answer["data_id"].as_str().or(answer["id"].as_str()).unwrap().to_owned()
    }

    async fn upload(&self, path: &str, filename: &str, bytes: &[u8], form: Form) -> Value {
        let form = form
            .text("filename", filename.to_owned())
            .text("expected_file_size", "0")
            .text("is_last", "true")
            .part("blob", Part::bytes(bytes.to_vec()).file_name("blob"));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}{path}", self.0.sandbox.base_url())).multipart(form);
        let answer = request.bearer_auth(self.0.sandbox.token()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }
}

/// The pair of a sample as it lies on disk.
fn pair_on_disk(facility: &Facility, sample: &str) -> Vec<(String, Vec<u8>)> {
    let file = |read| (read_name(sample, read), fs::read(facility.read(sample, read)).unwrap());
    vec![file(1), file(2)]
}

fn lose_the_state_folder(facility: &Facility) {
    fs::remove_dir_all(facility.path("state")).unwrap();
}

fn named<'a>(snapshot: &'a Snapshot, name: &str) -> &'a SampleStatus {
    snapshot.samples.iter().find(|sample| sample.name == name).unwrap()
}

/// Chunks that the agent sent, whatever was answered.
fn sent(facility: &Facility) -> usize {
    facility.chunks().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_is_lost_after_half_of_the_samples_doubles_none() {
    let facility = Facility::new().await;
    for n in 0..8 {
        facility.add(&format!("S{n}"), &[200_000 + n, 24_000 + n]);
    }
    facility.cut_off_when("half is on Flow", || facility.sandbox.samples().len() >= 4).await;
    facility.sandbox.idle().await;
    let done: HashSet<_> = facility.sandbox.samples().into_iter().map(|sample| sample.name).collect();
    assert!(done.len() < 8);
    lose_the_state_folder(&facility);
    let before = sent(&facility);
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    for sample in &ended.snapshot.samples {
        assert_eq!(sample.adopted, done.contains(&sample.name), "{sample:?}");
        assert!(sample.files.iter().all(|file| file.sha256.is_some()), "{sample:?}");
        assert_eq!(sample.attempts, u32::from(!sample.adopted), "{sample:?}");
    }
    let again = facility.chunks().split_off(before);
    let again: HashSet<_> = again.iter().map(|chunk| chunk.field("sample_name").unwrap()).collect();
    assert!(again.iter().all(|name| !done.contains(*name)), "{again:?}");

    drop(ended);
    let before = sent(&facility);
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    assert_eq!(sent(&facility), before, "what was adopted is on record");
    let status = facility.output(&["status"]).await;
    assert!(String::from_utf8_lossy(&status.stdout).contains(", was there already"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_costs_two_searches_and_a_sample_that_is_there_one() {
    let facility = Facility::with_a_pair().await;
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    drop(ended);
    let count = |what: &str| {
        let requests = facility.sandbox.requests();
        requests.iter().filter(|request| request.method == "GET" && request.path.starts_with(what)).count()
    };
    // One answer of GET /me closes a search and opens the next; the first of them is the log-in's.
    assert_eq!((count("/samples/search"), count("/downloads"), count("/me")), (2, 0, 3));
    lose_the_state_folder(&facility);
    drop(facility.once().await);
    assert_eq!((count("/samples/search"), count("/downloads"), count("/me")), (3, 2, 5));
}

type Change = fn(&mut Vec<(String, Vec<u8>)>);

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_the_same_name_with_other_files_blocks_and_both_are_named() {
    let cases: Vec<(&str, Change, &str)> = vec![
        ("another end", |files| *files[1].1.last_mut().unwrap() ^= 1, "S1_R2.fastq.gz is as long there"),
        ("another beginning", |files| files[0].1[5] ^= 1, "bytes from 0 to 65536 are others"),
        ("another size", |files| files[1].1.push(7), "S1_R2.fastq.gz has 300003 bytes there and 300002 here"),
        ("another file name", |files| files[1].0 = "S1_2.fastq.gz".to_owned(), "it has no S1_R2.fastq.gz"),
        ("a single file", |files| drop(files.pop()), "it has no S1_R2.fastq.gz"),
        ("one file more", |files| files.push(("x.fastq.gz".to_owned(), vec![1])), "it has x.fastq.gz as well"),
    ];
    let cases = cases.into_iter().map(|(name, change, words)| (name.to_owned(), (change, words))).collect();
    each_at_once(6, cases, |(change, words)| async move {
        let facility = Facility::new().await;
        facility.add("S1", &[LONG, LONG + 2]);
        let mut files = pair_on_disk(&facility, "S1");
        change(&mut files);
        let id = Colleague(&facility).sample("S1", &files, None).await;
        let before = sent(&facility);
        let ended = facility.once().await;
        let sample = only(&ended.snapshot);
        let reason = sample.reason.as_deref().unwrap_or_default();
        assert_eq!(sample.state, "blocked", "{sample:?}");
        assert!(reason.contains(words) && reason.contains(&id) && reason.contains(&sample.id), "{reason}");
        assert_eq!(sent(&facility), before);
    })
    .await;
}

/// The limit of the comparison, which the documents tell: both ends, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_differs_in_its_middle_alone_is_taken_for_the_same() {
    let facility = Facility::with(Setup { check_gzip: false, ..Setup::default() }, |_| {}).await;
    facility.add("S1", &[LONG, 10]);
    let mut files = pair_on_disk(&facility, "S1");
    files[0].1[LONG as usize / 2] ^= 1;
    let id = Colleague(&facility).sample("S1", &files, None).await;
    let ended = facility.once().await;
    let sample = only(&ended.snapshot);
    assert_eq!((sample.adopted, sample.sample_id.as_ref()), (true, Some(&id)), "{sample:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_gives_no_parts_of_files_is_read_through() {
    let facility = Facility::with(Setup::default(), |sandbox| sandbox.ranges = false).await;
    for name in ["same", "other"] {
        facility.add(name, &[LONG, LONG + 1]);
    }
    let mut other = pair_on_disk(&facility, "other");
    *other[1].1.last_mut().unwrap() ^= 1;
    Colleague(&facility).sample("same", &pair_on_disk(&facility, "same"), None).await;
    Colleague(&facility).sample("other", &other, None).await;
    let ended = facility.once().await;
    assert!(named(&ended.snapshot, "same").adopted, "{ended:#?}");
    assert_eq!(named(&ended.snapshot, "other").state, "blocked", "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_of_other_projects_owners_and_names_are_no_hindrance() {
    let cases = ["project", "owner", "name"].map(|case| (case.to_owned(), case)).to_vec();
    each_at_once(3, cases, |case| async move {
        let facility = Facility::with_a_pair().await;
        let files = pair_on_disk(&facility, "S1");
        let (name, project) = match case {
            "project" => ("S1", Some(PROJECT)),
            "name" => ("S1_again", None),
            _ => ("S1", None),
        };
        let id = Colleague(&facility).sample(name, &files, project).await;
        if case == "owner" {
            let theirs = json!({"id": id, "name": "S1", "owner": {"username": "somebody"}, "filesets": []});
            facility.sandbox.faults().add(Fault::on(On::SampleLookup).answer(Reply::json(200, &theirs)));
        }
        let ended = facility.once().await;
        let sample = only(&ended.snapshot);
        assert_eq!((sample.state.as_str(), sample.adopted), ("done", false), "{sample:?}");
        assert_ne!(sample.sample_id.as_ref(), Some(&id));
        assert_eq!(facility.sandbox.samples().len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_found_behind_a_page_of_others_whose_names_contain_its_own() {
    let facility = Facility::with_a_pair().await;
    let id = Colleague(&facility).sample("S1", &pair_on_disk(&facility, "S1"), None).await;
    for n in 0..110 {
        Colleague(&facility).sample(&format!("S1_{n}"), &[("x.fastq".to_owned(), vec![1])], None).await;
    }
    let ended = facility.once().await;
    let sample = only(&ended.snapshot);
    assert_eq!((sample.adopted, sample.sample_id.as_ref()), (true, Some(&id)), "{sample:?}");
    let searched = facility.sandbox.requests().into_iter().filter(|request| request.path == "/samples/search");
    assert_eq!(searched.count(), 2, "two pages");
}

/// Two drop folders whose samples are named alike.
fn add_a_second_watch(facility: &Facility) {
    let config = fs::read_to_string(facility.path("flow-ingest.yaml")).unwrap();
    let second = "  - { name: twin, path: twin, manifest: manifest.yaml, existing: upload, settle: 100ms }\nstatus: {";
    fs::write(facility.path("flow-ingest.yaml"), config.replace("status: {", second)).unwrap();
    fs::create_dir(facility.path("twin")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_samples_of_ours_of_one_name_are_two_on_flow_before_and_after_the_state_is_lost() {
    let cases = [("other bytes", PAIR), ("other sizes", [41_000, 42_000])];
    let cases = cases.map(|(name, case)| (name.to_owned(), case)).to_vec();
    each_at_once(2, cases, |twins| async move {
        let facility = Facility::new().await;
        add_a_second_watch(&facility);
        facility.add("S1", &PAIR);
        for (n, size) in twins.iter().enumerate() {
            fs::write(facility.path("twin").join(read_name("S1", n + 1)), support::other_bytes(*size)).unwrap();
        }
        for is_adopted in [false, true] {
            let ended = facility.once().await;
            let samples = &ended.snapshot.samples;
            assert_eq!(samples.len(), 2, "{samples:#?}");
            for sample in samples {
                assert_eq!((sample.state.as_str(), sample.adopted), ("done", is_adopted), "{sample:#?}");
            }
            assert_ne!(samples[0].sample_id, samples[1].sample_id);
            assert_eq!(facility.sandbox.samples().len(), 2);
            drop(ended);
            lose_the_state_folder(&facility);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_nobody_was_known_to_have_asked_is_not_believed() {
    let cases = ["a cookie", "a new token"].map(|case| (case.to_owned(), case)).to_vec();
    each_at_once(2, cases, |case| async move {
        let credentials = match case {
            "a cookie" => "{ username: sandbox, password_file: password }",
            _ => "{ token_file: token }",
        };
        let setup = Setup { credentials: credentials.to_owned(), ..Setup::default() };
        let facility = Facility::with(setup, |_| {}).await;
        facility.write_secret("password", "sandbox\n");
        facility.add("S1", &PAIR);
        let id = Colleague(&facility).sample("S1", &pair_on_disk(&facility, "S1"), None).await;
        let before = sent(&facility);
        facility.sandbox.faults().add(Fault::on(On::SampleSearch).expire_token().times(1));
        let agent = facility.agent().await;
        let snapshot = || agent.snapshot("running").unwrap();
        let script = async {
            if case == "a new token" {
                until("all is stopped", || snapshot().agent.state == "stopped").await;
                facility.sandbox.set_token("a-new-token");
                facility.write_token("a-new-token");
            }
            until("it is done", || snapshot().count("done") == 1).await;
        };
        agent.run(Mode::Service, script).await.unwrap();
        let sample = only(&snapshot()).clone();
        assert_eq!((sample.adopted, sample.sample_id), (true, Some(id)));
        assert_eq!(sent(&facility), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_uploads_meanwhile_is_found_before_the_last_chunk_leaves() {
    let facility = Facility::with_a_pair().await;
    let (faults, gate) = (facility.sandbox.faults(), sandbox::Gate::new());
    faults.add(Fault::on(On::MiddleChunk).of_file(read_name("S1", 2)).delay(Duration::ZERO).until(&gate));
    let meanwhile = async {
        until("the last file is under way", || faults.fired() == 1).await;
        let id = Colleague(&facility).sample("S1", &pair_on_disk(&facility, "S1"), None).await;
        gate.open();
        id
    };
    let (ended, id) = tokio::join!(facility.once(), meanwhile);
    let sample = only(&ended.snapshot);
    assert_eq!((sample.adopted, sample.sample_id.as_ref()), (true, Some(&id)), "{sample:?}");
    facility.check_all_done(&ended).await;
    assert_eq!(facility.final_chunks().len(), 1, "the colleague's alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_by_then_is_found_before_a_file_is_begun_anew() {
    let facility = Facility::impatient().await;
    facility.add("S1", &PAIR);
    let (faults, gate) = (facility.sandbox.faults(), sandbox::Gate::new());
    faults.add(Fault::on(On::LastChunk).of_file(read_name("S1", 1)).die_hashing(false).times(1));
    // What became of it is not told before the colleague is done.
    faults.add(Fault::on(On::DataLookup).delay(Duration::ZERO).until(&gate));
    let meanwhile = async {
        until("the last chunk was lost", || faults.fired() > 0).await;
        let id = Colleague(&facility).sample("S1", &pair_on_disk(&facility, "S1"), None).await;
        gate.open();
        id
    };
    let (ended, id) = tokio::join!(facility.once(), meanwhile);
    let sample = only(&ended.snapshot);
    assert_eq!((sample.adopted, sample.sample_id.as_ref()), (true, Some(&id)), "{sample:?}");
    facility.check_all_done(&ended).await;
    let is_first = |chunk: &&flow_ingest::sandbox::RequestLog| {
        chunk.field("filename") == Some("S1_R1.fastq.gz") && chunk.field("data").unwrap_or_default().is_empty()
    };
    assert_eq!(facility.chunks().iter().filter(is_first).count(), 2, "ours, and the colleague's");
}

#[tokio::test(flavor = "multi_thread")]
async fn generic_files_are_adopted_and_others_of_their_name_are_no_hindrance() {
    let facility = Facility::new().await;
    for name in ["same.html", "other.html", "in_a_sample.html"] {
        fs::write(facility.path("drop").join(name), bytes(5000)).unwrap();
    }
    let id = Colleague(&facility).file("same.html", &bytes(5000)).await;
    let mut other = bytes(5000);
    other[2500] ^= 1;
    Colleague(&facility).file("other.html", &other).await;
    Colleague(&facility).sample("x", &[("in_a_sample.html".to_owned(), bytes(5000))], None).await;
    let ended = facility.once().await;
    assert_eq!(ended.snapshot.count("done"), 3, "{ended:#?}");
    let same = named(&ended.snapshot, "same.html");
    assert_eq!((same.adopted, same.files[0].data_id.as_ref()), (true, Some(&id)));
    assert!(!named(&ended.snapshot, "other.html").adopted && !named(&ended.snapshot, "in_a_sample.html").adopted);
    assert_eq!(facility.sandbox.data().len(), 4);
    drop(ended);
    lose_the_state_folder(&facility);
    let ended = facility.once().await;
    assert!(ended.snapshot.samples.iter().all(|sample| sample.adopted), "{ended:#?}");
    assert_eq!(facility.sandbox.data().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_blocks_where_the_config_says_so() {
    let facility = Facility::with(Setup { if_exists: "block", ..Setup::default() }, |_| {}).await;
    facility.add("same", &PAIR);
    facility.add("other", &PAIR);
    facility.add("new", &PAIR);
    for name in ["same.html", "other.html"] {
        fs::write(facility.path("drop").join(name), bytes(5000)).unwrap();
    }
    Colleague(&facility).sample("same", &pair_on_disk(&facility, "same"), None).await;
    Colleague(&facility).sample("other", &[("x.fastq".to_owned(), vec![1])], None).await;
    Colleague(&facility).file("same.html", &bytes(5000)).await;
    Colleague(&facility).file("other.html", &bytes(5001)).await;
    let ended = facility.once().await;
    for (name, state) in
        [("same", "blocked"), ("other", "blocked"), ("new", "done"), ("same.html", "blocked"), ("other.html", "done")]
    {
        let sample = named(&ended.snapshot, name);
        assert_eq!(sample.state, state, "{sample:?}");
        let says_why = sample.reason.as_deref().unwrap_or_default().contains("if_exists is block");
        assert_eq!(says_why, state == "blocked", "{sample:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_byte_whose_answer_was_lost_is_found_where_it_arrived_and_blocked_where_it_did_not() {
    let setup = Setup { paired: "never", final_wait: "300ms", check_gzip: false, ..Setup::default() };
    let facility = Facility::with(setup, |_| {}).await;
    for name in ["arrived", "lost"] {
        facility.add(name, &[1]);
        fs::write(facility.path("drop").join(format!("{name}.html")), [7]).unwrap();
    }
    for suffix in ["_R1.fastq.gz", ".html"] {
        let of = |name: &str| Fault::on(On::FirstChunk).of_file(format!("{name}{suffix}"));
        facility.sandbox.faults().add(of("arrived").drop_after().times(1));
        facility.sandbox.faults().add(of("lost").drop_before().times(1));
    }
    let ended = facility.once().await;
    for suffix in ["", ".html"] {
        let arrived = named(&ended.snapshot, &format!("arrived{suffix}"));
        assert_eq!((arrived.state.as_str(), arrived.adopted), ("done", false), "{arrived:?}");
        let lost = named(&ended.snapshot, &format!("lost{suffix}"));
        assert_eq!(lost.state, "blocked", "{lost:?}");
        assert!(lost.reason.as_deref().unwrap().contains("has a single byte"), "{lost:?}");
    }
    assert_eq!((facility.sandbox.samples().len(), facility.sandbox.data().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_flow_could_be_asked() {
    let facility = Facility::with_a_pair().await;
    facility.sandbox.faults().add(Fault::on(On::SampleSearch).status(503).times(1));
    let ended = facility.once().await;
    facility.check_all_done(&ended).await;
    assert_eq!(only(&ended.snapshot).attempts, 1, "it is the server's fault");

    let facility = Facility::with_a_pair().await;
    facility.sandbox.faults().add(Fault::on(On::SampleSearch).status(404));
    let ended = facility.once().await;
    let sample = only(&ended.snapshot);
    assert_eq!(sample.state, "blocked", "{sample:?}");
    assert!(sample.reason.as_deref().unwrap().contains("cannot be asked whether the sample is there"), "{sample:?}");
    assert_eq!(sent(&facility), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_uploads_by_hand_is_uploaded() {
    let facility = Facility::new().await;
    let report = facility.path("drop").join("run.html");
    fs::write(&report, bytes(5000)).unwrap();
    Colleague(&facility).file("run.html", &bytes(5000)).await;
    let ended = facility.output(&["upload", "data", report.to_str().unwrap(), "--json"]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(facility.sandbox.data().len(), 2);
}

/// A multiplexed set of two files, put down in the drop folder.
fn multiplexed(facility: &Facility, name: &str, reads: &[u8]) -> Sample {
    let slot = |key: &str, filename: String, bytes: &[u8]| {
        let path = facility.path("drop").join(&filename);
        fs::write(&path, bytes).unwrap();
        let fingerprint = Fingerprint::of(&fs::metadata(&path).unwrap());
        let parts = vec![flow_ingest::sample::Part { path, fingerprint }];
        Slot { key: key.into(), filename, parts }
    };
    Sample {
        key: SampleKey { kind: Kind::Multiplexed, watch: "drop".into(), run: "run".into(), name: name.into() },
        rule: "pooled".into(),
        target: Target::Multiplexed { ignore_warnings: false },
        slots: vec![
            slot("annotation", format!("{name}.csv"), b"Sample Name,Sample Type,Organism\nA,RNA-Seq,Hs\n"),
            slot("reads1", format!("{name}_R1.fastq.gz"), reads),
        ],
        sheets: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multiplexed_set_is_adopted_by_its_reads() {
    let facility = Facility::new().await;
    let samples = [multiplexed(&facility, "same", &bytes(5000)), multiplexed(&facility, "other", &bytes(6000))];
    let colleague = Colleague(&facility);
    let id = colleague.upload("/upload/multiplexed", "same_R1.fastq.gz", &bytes(5000), Form::new()).await;
    colleague.upload("/upload/multiplexed", "other_R1.fastq.gz", &bytes(6001), Form::new()).await;

    let config = facility.config();
    let (journal, gate) = (Journal::open(&config.state_dir).unwrap(), Gate::default());
    let (client, stop) = (config.flow.client().unwrap(), CancellationToken::new());
    let (look_again, _) = tokio::sync::mpsc::unbounded_channel();
    let ids = samples.each_ref().map(Sample::id);
    journal.submit(samples.into()).await.unwrap();
    let pool = Pool {
        client: client.clone(),
        journal: journal.clone(),
        settings: config.uploads.clone(),
        gate: gate.clone(),
        only: None,
        look_again,
        disk: Disk::default(),
    };
    let record = |n: usize| -> Record { journal.record(&ids[n]).unwrap().unwrap() };
    let done = async {
        let is_done = |n| matches!(record(n).state, State::Done { .. });
        until("both are done", || is_done(0) && is_done(1)).await;
        stop.cancel();
    };
    let account = Account::new(journal.clone(), &config.flow.base_url, config.state_dir.clone(), false);
    let keeper = Keeper { gate, client, source: config.flow.credentials.clone(), account };
    let (ended, (), ()) = tokio::join!(pool.run(stop.clone()), keeper.run(stop.clone()), done);
    ended.unwrap();
    let status = |n| SampleStatus::of(&record(n), flow_ingest::observation::Moment::now());
    let (same, other) = (status(0), status(1));
    assert_eq!((same.adopted, same.files[0].data_id.as_deref()), (true, None), "the sheet is not looked for");
    assert_eq!(same.files[1].data_id.as_deref(), id["data_id"].as_str().or(id["id"].as_str()));
    assert!(!other.adopted && other.files.iter().all(|file| file.data_id.is_some()), "{other:?}");
    assert_eq!((facility.sandbox.annotations().len(), facility.sandbox.multiplexed().len()), (1, 3));
}
