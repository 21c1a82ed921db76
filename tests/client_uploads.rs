//! Uploads and downloads of the client library against the sandbox: what arrives, what is refused, what survives.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flow_ingest::flow::{
    Checkpoint, Client, ClientConfig, Error, ErrorKind, FileError, NewData, NewMultiplexed, NewSample, Saved, Spoiled,
    TokenCredentials, UsernamePasswordCredentials,
};
use flow_ingest::sandbox::{Fault, On, Reply, Sandbox, Settings};
use futures_util::future::join_all;
use tempfile::TempDir;

const CHUNK: u64 = 1000;

/// A sandbox, a client that is logged in, and a folder for local files.
struct Bench {
    sandbox: Sandbox,
    client: Client,
    dir: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(Settings::new(dir.path().join("sandbox"))).await.unwrap();
        let config = ClientConfig {
            chunk_size: CHUNK,
            connection_retries: 0,
            request_timeout: Duration::from_secs(2),
            upload_retries: 1,
            ..ClientConfig::default()
        };
        let client = Client::new(sandbox.base_url(), config).unwrap();
        client.log_in(&TokenCredentials::new(sandbox.token())).await.unwrap();
        Self { sandbox, client, dir }
    }

    fn file(&self, name: &str, size: u64) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes(size)).unwrap();
        path
    }

    /// Chunks that the sandbox has seen, whatever became of them.
    fn chunks(&self) -> usize {
        self.sandbox.requests().iter().filter(|request| request.path.starts_with("/upload")).count()
    }

    /// What the sandbox holds of a sample's files is what lies on disk.
    fn assert_same_bytes(&self, local: &[&Path]) {
        let samples = self.sandbox.samples();
        assert_eq!(samples.len(), 1);
        let found: Vec<_> = samples[0].files.iter().map(|file| fs::read(&file.path).unwrap()).collect();
        let expected: Vec<_> = local.iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(found == expected);
    }
}

fn bytes(size: u64) -> Vec<u8> {
    (0..size).map(|n| (n * 31 + n / 251) as u8).collect()
}

#[tokio::test]
async fn a_paired_sample_arrives_with_all_that_is_said_of_it() {
    let bench = Bench::new().await;
    let (reads1, reads2) = (bench.file("a_R1.fastq.gz", 2500), bench.file("a_R2.fastq.gz", 3500));
    let sample = NewSample::new("S1", "CLIP")
        .file("reads2", &reads2)
        .file("reads1", &reads1)
        .metadata("purification_target", "FUS")
        .metadata("purification_target__annotation", "tagged")
        .project("788995297969977723")
        .organism("Hs");
    let sent = bench.client.samples().upload_sample(&sample).await.unwrap();
    bench.assert_same_bytes(&[&reads1, &reads2]);

    let read = bench.client.samples().get_sample(&sent.id).await.unwrap();
    assert_eq!(read.project.as_ref().unwrap().name.as_deref(), Some("Sequencing core"));
    assert_eq!(read.organism.as_ref().unwrap().id, "Hs");
    let target = &read.metadata["purification_target"];
    assert_eq!((target.value.as_deref(), target.annotation.as_deref()), (Some("FUS"), Some("tagged")));
    let files: Vec<_> = read.files().map(|file| (file.id.clone(), file.size)).collect();
    assert_eq!(files, [(sent.data_ids[0].clone(), Some(2500)), (sent.data_ids[1].clone(), Some(3500))]);
    let data = bench.client.data().get_data(&sent.data_ids[1]).await.unwrap().unwrap();
    assert_eq!((data.sample.unwrap().id, data.filename.as_str()), (sent.id, "a_R2.fastq.gz"));
}

#[tokio::test]
async fn other_files_keep_the_callers_order() {
    let bench = Bench::new().await;
    let (b, a) = (bench.file("b.raw", 10), bench.file("a.csv", 20));
    let sample = NewSample::new("S1", "Proteomics").file("spectra", &b).file("input", &a);
    bench.client.samples().upload_sample(&sample).await.unwrap();
    bench.assert_same_bytes(&[&b, &a]);
}

#[tokio::test]
async fn files_of_every_size_arrive_whole() {
    for size in [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 1, 10 * CHUNK] {
        let bench = Bench::new().await;
        let path = bench.file("a.fastq.gz", size);
        let sample = NewSample::new("S1", "RNA-Seq").file("reads1", &path);
        bench.client.samples().upload_sample(&sample).await.unwrap();
        bench.assert_same_bytes(&[&path]);
        let data = bench.client.data().upload_data(&path).await.unwrap();
        assert_eq!(data.size, size);
        assert!(fs::read(&bench.sandbox.data()[0].path).unwrap() == bytes(size), "{size} bytes");
    }
}

#[tokio::test]
async fn a_generic_file_takes_a_name_a_type_and_unpacking() {
    let bench = Bench::new().await;
    let path = bench.file("counts.tsv", 30);
    let named = NewData::new(&path).filename("run7.tar.gz").data_type("counts").is_directory(true);
    let sent = bench.client.data().upload_data(named).await.unwrap();
    let stored = &bench.sandbox.data()[0];
    assert_eq!((&stored.id, stored.filename.as_str()), (&sent.id, "run7.tar.gz"));
    assert_eq!((stored.data_type.as_deref(), stored.is_directory), (Some("counts"), true));

    let found = bench.client.data().search("run7").collect_all().await.unwrap();
    assert_eq!((found.len(), &found[0].id, found[0].size), (1, &sent.id, Some(30)));
}

#[tokio::test]
async fn what_cannot_be_uploaded_is_said_before_anything_is_sent() {
    let bench = Bench::new().await;
    let (good, empty) = (bench.file("good.gz", 10), bench.file("empty.gz", 0));
    let upload = async |reads2: &Path| {
        let sample = NewSample::new("S1", "RNA-Seq").file("reads1", &good).file("reads2", reads2);
        bench.client.samples().upload_sample(&sample).await.unwrap_err()
    };
    let error = upload(&empty).await;
    assert!(matches!(&error, Error::Spoiled(Spoiled::Empty { .. })), "{error}");
    assert_eq!(error.to_string(), "empty.gz is empty, and Flow cannot take an empty file");
    for path in [Path::new("/no/such/file.gz"), bench.dir.path()] {
        let error = upload(path).await;
        assert!(matches!(&error, Error::File(FileError::Unreadable { .. })), "{error}");
    }
    let error = bench.client.data().upload_data(Path::new("/")).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid { .. }), "{error}");
    assert!(bench.sandbox.requests().is_empty());
}

#[tokio::test]
async fn what_the_server_refuses_is_told_as_it_says_it() {
    let bench = Bench::new().await;
    let path = bench.file("a b.gz", 10);
    for (sample, field) in [
        (NewSample::new("S1", "RNA-Seq"), "filename"),
        (NewSample::new("S 1", "RNA-Seq"), "sample_name"),
        (NewSample::new("S1", "typo"), "sample_type"),
    ] {
        let path = if field == "filename" { path.clone() } else { bench.file("a.gz", 10) };
        let error = bench.client.samples().upload_sample(&sample.file("reads1", path)).await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::BadRequest));
        assert!(error.api().unwrap().message.starts_with(field), "{error}");
    }
    assert!(bench.sandbox.samples().is_empty() && bench.sandbox.unfinished().is_empty());
}

/// Text that a careless client would let out of its field.
fn odd_texts() -> Vec<String> {
    let forging = "x\"\r\nContent-Disposition: form-data; name=\"is_last\"\r\n\r\ntrue\r\n--";
    let texts = [
        "a\"b;c",
        "100%25%0D%0A%",
        "line\r\nline",
        "\r\n\r\n",
        "🧬é\u{202e}",
        "name=\"is_last\"; x",
        "\t\x07\x7f\x0b",
        forging,
    ];
    texts.into_iter().map(str::to_owned).chain(["y".repeat(4096), "\"%\r\n;🧬".repeat(500)]).collect()
}

#[tokio::test]
async fn odd_text_arrives_unchanged_and_forges_nothing() {
    let bench = Bench::new().await;
    let path = bench.file("a.gz", 10);
    let texts = odd_texts();
    // The sandbox names folders by samples, and a file system has no room for the long ones.
    let name = |text: &str| if text.len() < 200 { text.replace(' ', "_") } else { format!("S{}", text.len()) };
    for text in &texts {
        let sample = NewSample::new(name(text), "RNA-Seq").file("reads1", &path);
        let sample = sample.metadata("comments", text).metadata("pi", "P");
        bench.client.samples().upload_sample(&sample).await.unwrap();
    }
    let samples = bench.sandbox.samples();
    assert_eq!(samples.len(), texts.len());
    for (sample, text) in samples.iter().zip(&texts) {
        assert_eq!((&sample.metadata["comments"], &sample.name), (text, &name(text)));
        assert_eq!(sample.metadata.len(), 2);
    }
    let fields = [
        "filename",
        "expected_file_size",
        "is_last",
        "data",
        "is_last_sample",
        "sample_name",
        "sample_type",
        "comments",
        "pi",
    ];
    for request in bench.sandbox.requests().iter().filter(|request| request.path == "/upload/sample") {
        let names: Vec<_> = request.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, fields);
    }
}

#[tokio::test]
async fn odd_file_names_arrive_unchanged_and_forge_nothing() {
    let bench = Bench::new().await;
    let path = bench.file("a.gz", 10);
    for text in odd_texts() {
        let name = text.replace(' ', "_");
        // Longer than a file system's name: the sandbox could not keep it.
        if name.len() > 200 {
            continue;
        }
        let sent = bench.client.data().upload_data(NewData::new(&path).filename(&name)).await.unwrap();
        assert_eq!(bench.sandbox.data().pop().unwrap().filename, name);
        let data = bench.client.data().get_data(&sent.id).await.unwrap().unwrap();
        let mut content = Vec::new();
        bench.client.data().download(&data, None, &mut content).await.unwrap();
        assert_eq!(content, bytes(10), "{name:?}");
    }
    for request in bench.sandbox.requests().iter().filter(|request| request.path == "/upload") {
        let names: Vec<_> = request.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["filename", "expected_file_size", "is_last", "data"]);
    }
}

#[tokio::test]
async fn lost_answers_make_no_second_sample_and_no_wrong_byte() {
    join_all([On::FirstChunk, On::MiddleChunk, On::LastChunk, On::FinalChunk].map(async |on| {
        let bench = Bench::new().await;
        bench.sandbox.faults().add(Fault::on(on.clone()).times(1).drop_after());
        let (reads1, reads2) = (bench.file("a_R1.gz", 5 * CHUNK), bench.file("a_R2.gz", 5 * CHUNK));
        let sample = NewSample::new("S1", "RNA-Seq").file("reads1", &reads1).file("reads2", &reads2);
        bench.client.samples().upload_sample(&sample).await.unwrap_or_else(|error| panic!("{on:?}: {error}"));
        bench.assert_same_bytes(&[&reads1, &reads2]);
        assert_eq!(bench.sandbox.faults().fired(), 1);
    }))
    .await;
}

#[tokio::test]
async fn passing_faults_are_outlasted_as_often_as_is_set() {
    join_all([500, 502, 503, 504, 429].map(async |status| {
        let bench = Bench::new().await;
        let path = bench.file("a.gz", 3 * CHUNK);
        let sample = NewSample::new("S1", "RNA-Seq").file("reads1", &path);
        bench.sandbox.faults().add(Fault::on(On::MiddleChunk).times(1).status(status));
        bench.client.samples().upload_sample(&sample).await.unwrap();
        bench.assert_same_bytes(&[&path]);

        bench.sandbox.faults().add(Fault::on(On::MiddleChunk).status(status));
        let before = bench.chunks();
        let error = bench.client.samples().upload_sample(&sample).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!(bench.chunks() - before, 3, "the first chunk, and the second one twice");
    }))
    .await;
}

#[tokio::test]
async fn an_expired_token_is_refreshed_in_the_middle_of_a_file() {
    let bench = Bench::new().await;
    bench.client.log_in(&UsernamePasswordCredentials::new("sandbox", "sandbox")).await.unwrap();
    bench.sandbox.faults().add(Fault::on(On::MiddleChunk).nth(2).expire_token());
    let path = bench.file("a.gz", 5 * CHUNK);
    bench.client.samples().upload_sample(&NewSample::new("S1", "RNA-Seq").file("reads1", &path)).await.unwrap();
    bench.assert_same_bytes(&[&path]);
}

#[tokio::test]
async fn an_upload_whose_end_nobody_could_tell_says_so() {
    let bench = Bench::new().await;
    bench.sandbox.faults().add(Fault::on(On::FinalChunk).drop_after());
    bench.sandbox.faults().add(Fault::on(On::DataLookup).status(503));
    let path = bench.file("a.gz", 3 * CHUNK);
    let error =
        bench.client.samples().upload_sample(&NewSample::new("S1", "RNA-Seq").file("reads1", &path)).await.unwrap_err();
    assert!(matches!(&error, Error::Unsettled { what, .. } if what == "S1"), "{error}");
    assert_eq!(error.status(), Some(503));
    assert!(error.to_string().contains("look there before it is sent again"), "{error}");
}

/// A record in memory, with something that happens when it is stored for the nth time.
#[derive(Default)]
struct Memory<F> {
    saved: Option<Saved>,
    stores: usize,
    at: usize,
    happens: F,
}

impl<F: FnMut() -> io::Result<()> + Send> Checkpoint for Memory<F> {
    fn load(&mut self) -> io::Result<Option<Saved>> {
        Ok(self.saved.clone())
    }

    fn store(&mut self, saved: &Saved) -> io::Result<()> {
        // Through its form on disk, as a record in a file would come back.
        self.saved = Some(serde_json::from_str(&serde_json::to_string(saved)?)?);
        self.stores += 1;
        if self.stores == self.at { (self.happens)() } else { Ok(()) }
    }
}

fn memory<F: FnMut() -> io::Result<()> + Send>(at: usize, happens: F) -> Memory<F> {
    Memory { saved: None, stores: 0, at, happens }
}

#[tokio::test]
async fn an_upload_that_was_cut_off_anywhere_goes_on_where_it_was() {
    let whole = {
        let bench = Bench::new().await;
        let (reads1, reads2) = (bench.file("a_R1.gz", 3 * CHUNK), bench.file("a_R2.gz", 3 * CHUNK));
        let sample = NewSample::new("S1", "RNA-Seq").file("reads1", &reads1).file("reads2", &reads2);
        let mut checkpoint = memory(0, || Ok(()));
        bench.client.samples().upload_sample_with(&sample, &mut checkpoint).await.unwrap();
        checkpoint.stores
    };
    join_all((1..=whole).map(async |at| {
        let bench = Bench::new().await;
        let (reads1, reads2) = (bench.file("a_R1.gz", 3 * CHUNK), bench.file("a_R2.gz", 3 * CHUNK));
        let sample = NewSample::new("S1", "RNA-Seq").file("reads1", &reads1).file("reads2", &reads2);
        let mut checkpoint = memory(at, || Err(io::Error::other("power cut")));
        let error = bench.client.samples().upload_sample_with(&sample, &mut checkpoint).await.unwrap_err();
        assert!(error.to_string().contains("power cut"), "{error}");
        let sent = bench.client.samples().upload_sample_with(&sample, &mut checkpoint).await.unwrap();
        bench.assert_same_bytes(&[&reads1, &reads2]);

        // Finished, it says its ids again and sends nothing.
        let chunks = bench.chunks();
        assert_eq!(bench.client.samples().upload_sample_with(&sample, &mut checkpoint).await.unwrap(), sent);
        assert_eq!(bench.chunks(), chunks);
    }))
    .await;
}

#[tokio::test]
async fn a_record_serves_its_own_upload_alone() {
    let bench = Bench::new().await;
    let path = bench.file("a.gz", 2 * CHUNK);
    let mut checkpoint = memory(0, || Ok(()));
    let data = NewData::new(&path);
    bench.client.data().upload_data_with(&data, &mut checkpoint).await.unwrap();
    let error = bench.client.data().upload_data_with(&data.filename("b.gz"), &mut checkpoint).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid { .. }), "{error}");
    fs::write(&path, bytes(2 * CHUNK)).unwrap();
    let error = bench.client.data().upload_data_with(&NewData::new(&path), &mut checkpoint).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid { .. }), "{error}");
    assert_eq!(bench.sandbox.data().len(), 1);
}

#[tokio::test]
async fn a_file_that_changes_on_its_way_becomes_no_sample() {
    type Change = fn(&Path) -> io::Result<()>;
    let changes: [Change; 4] = [
        |path| fs::write(path, bytes(4 * CHUNK)),
        |path| {
            fs::OpenOptions::new().append(true).open(path).and_then(|mut file| io::Write::write_all(&mut file, b"more"))
        },
        |path| fs::OpenOptions::new().write(true).open(path)?.set_len(10),
        |path| fs::remove_file(path),
    ];
    for change in changes {
        let bench = Bench::new().await;
        let path = bench.file("a.gz", 4 * CHUNK);
        let local = path.clone();
        let mut checkpoint = memory(2, move || change(&local));
        let sample = NewSample::new("S1", "RNA-Seq").file("reads1", &path);
        let error = bench.client.samples().upload_sample_with(&sample, &mut checkpoint).await.unwrap_err();
        assert!(matches!(&error, Error::File(FileError::Changed { .. })), "{error}");
        assert!(bench.sandbox.samples().is_empty());
    }
}

#[tokio::test]
async fn downloads_are_streamed_whole_or_in_part() {
    let bench = Bench::new().await;
    let path = bench.file("a.gz", 200_000);
    let sent = bench.client.data().upload_data(&path).await.unwrap();
    let data = bench.client.data().get_data(&sent.id).await.unwrap().unwrap();
    let read = async |range| {
        let mut content = Vec::new();
        bench.client.data().download(&data, range, &mut content).await.map(|written| (written, content))
    };
    let all = bytes(200_000);
    assert!(read(None).await.unwrap() == (200_000, all.clone()));
    assert!(read(Some(150_000..199_999)).await.unwrap() == (49_999, all[150_000..199_999].to_vec()));
    assert!(read(Some(199_999..200_000)).await.unwrap() == (1, all[199_999..].to_vec()));
    assert_eq!(read(Some(7..7)).await.unwrap(), (0, Vec::new()));
    assert!(matches!(read(Some(0..200_001)).await, Err(Error::Invalid { .. })));

    let to = bench.dir.path().join("copy.gz");
    assert_eq!(bench.client.data().download_to(&data, &to).await.unwrap(), 200_000);
    assert!(fs::read(&to).unwrap() == all);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_start() {
    let bench = Bench::new().await;
    let sent = bench.client.data().upload_data(&bench.file("a.gz", 8)).await.unwrap();
    let data = bench.client.data().get_data(&sent.id).await.unwrap().unwrap();
    bench.sandbox.faults().add(Fault::on(On::Download).answer(Reply::json(200, &"bcdefg".into())));
    let read = async |range| {
        let mut content = Vec::new();
        bench.client.data().download(&data, range, &mut content).await.unwrap();
        String::from_utf8(content).unwrap()
    };
    assert_eq!(read(Some(1..4)).await, "bcd");
    assert_eq!(read(Some(6..8)).await, "g\"");
    assert_eq!(read(None).await, "\"bcdefg\"");
}

#[tokio::test]
async fn a_download_that_is_cut_off_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let path = bench.file("a.gz", 200_000);
    let sent = bench.client.data().upload_data(&path).await.unwrap();
    let data = bench.client.data().get_data(&sent.id).await.unwrap().unwrap();
    let folder = bench.dir.path().join("downloads");
    fs::create_dir(&folder).unwrap();
    bench.sandbox.faults().add(Fault::on(On::Download).times(1).cut_mid_answer());
    let error = bench.client.data().download_to(&data, &folder.join("a.gz")).await.unwrap_err();
    assert!(matches!(&error, Error::Lost { .. }), "{error}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);

    let gone = flow_ingest::flow::Data { id: "1".into(), ..data };
    let error = bench.client.data().download_to(&gone, &folder.join("a.gz")).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::NotFound));
}

#[tokio::test]
async fn a_download_with_an_expired_token_is_no_missing_file() {
    let bench = Bench::new().await;
    bench.client.log_in(&UsernamePasswordCredentials::new("sandbox", "sandbox")).await.unwrap();
    let sent = bench.client.data().upload_data(&bench.file("a.gz", 10)).await.unwrap();
    let data = bench.client.data().get_data(&sent.id).await.unwrap().unwrap();
    bench.sandbox.expire_token();
    let mut content = Vec::new();
    assert_eq!(bench.client.data().download(&data, None, &mut content).await.unwrap(), 10);
}

#[tokio::test]
async fn multiplexed_reads_go_up_after_their_sheet() {
    let bench = Bench::new().await;
    let (reads1, reads2) = (bench.file("pool_R1.fastq.gz", 2500), bench.file("pool_R2.fastq.gz", 1));
    let sheet = bench.dir.path().join("pool.csv");
    fs::write(&sheet, "Sample Name,Sample Type,Organism\nS1,RNA-Seq,Hs\n").unwrap();
    let pool = NewMultiplexed::new(&reads1, &sheet).reads2(&reads2);
    let sent = bench.client.samples().upload_multiplexed_data(&pool).await.unwrap();
    assert!(sent.warnings.is_empty());
    let ids: Vec<_> = bench.sandbox.multiplexed().into_iter().map(|file| file.id).collect();
    assert_eq!((ids, bench.sandbox.annotations().remove(0).id), (sent.data_ids.clone(), sent.annotation_id));
    for (file, size) in bench.sandbox.multiplexed().iter().zip([2500, 1]) {
        assert!(fs::read(&file.path).unwrap() == bytes(size));
    }
    let requests = bench.sandbox.requests();
    let uploads: Vec<_> = requests.iter().filter(|request| request.path.starts_with("/upload")).collect();
    assert_eq!(uploads[0].path, "/upload/annotation");
    assert_eq!(uploads.last().unwrap().field("reads1"), Some(sent.data_ids[0].as_str()));
}

#[tokio::test]
async fn a_sheets_warnings_are_ignored_and_told_or_end_the_upload() {
    let bench = Bench::new().await;
    let reads = bench.file("pool.fastq.gz", 100);
    let sheet = bench.dir.path().join("pool.csv");
    fs::write(&sheet, "Sample Name,Sample Type\nS1,RNA-Seq\n").unwrap();
    let pool = NewMultiplexed::new(&reads, &sheet);
    let strict = pool.clone().ignore_warnings(false);
    let error = bench.client.samples().upload_multiplexed_data(&strict).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::AnnotationValidation));
    assert!(error.kind().unwrap().is_bad_request());
    assert_eq!(error.api().unwrap().annotation_problems().unwrap()[0]["message"], "No organism is given");

    let sent = bench.client.samples().upload_multiplexed_data(&pool).await.unwrap();
    assert_eq!(sent.warnings[0]["message"], "No organism is given");
    assert_eq!(bench.sandbox.multiplexed().len(), 1);
}

#[tokio::test]
async fn a_bad_sheet_costs_no_upload_of_reads() {
    let bench = Bench::new().await;
    let reads = bench.file("pool.fastq.gz", 100);
    let sheet = bench.dir.path().join("pool.csv");
    fs::write(&sheet, "Sample Name,Sample Type\nS1,typo\nS 2,CLIP\n").unwrap();
    let error = bench.client.samples().upload_multiplexed_data(&NewMultiplexed::new(&reads, &sheet)).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::AnnotationValidation));
    assert_eq!(error.api().unwrap().annotation_problems().unwrap().len(), 2);
    assert!(bench.sandbox.multiplexed().is_empty());
    assert!(bench.sandbox.requests().iter().all(|request| request.path != "/upload/multiplexed"));
}
