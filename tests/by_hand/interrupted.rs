//! Interrupted uploads, large ones, and two at a time.

use std::time::Duration;

use flow_ingest::sandbox::{Fault, Gate, On};

use crate::bench::{Bench, LONGEST, bytes, until};

/// Holds the chunk after so many more until the gate opens.
fn hold_after(bench: &Bench, chunks: usize, gate: &Gate) {
    bench.sandbox.faults().clear();
    bench.sandbox.faults().add(Fault::on(On::Chunk).nth(chunks + 1).delay(Duration::ZERO).until(gate));
}

fn reads() -> Vec<u8> {
    (0..2_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Each file began once, and each chunk begins where the one before it ended.
fn went_on_where_it_stopped(bench: &Bench) {
    let chunks = bench.chunks();
    let first = chunks.iter().filter(|chunk| chunk.field("data") == Some("")).count();
    assert_eq!(first, 1, "begun once");
    let mut next = 0;
    for chunk in chunks.iter().filter(|chunk| chunk.status == Some(200)) {
        let offset: u64 = chunk.field("expected_file_size").unwrap().parse().unwrap();
        // The one that was in flight when the process ended may come again.
        assert!(offset <= next, "{offset} after {next}");
        next = next.max(offset + chunk.blob_len.unwrap());
    }
    assert_eq!(next, 2_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_or_a_signal_the_same_command_goes_on() {
    let bench = Bench::new().await;
    let config = bench.config();
    bench.write("big.fastq", reads());
    let (never, gate) = (Gate::new(), Gate::new());
    hold_after(&bench, 4, &never);
    let command = [
        "upload",
        "sample",
        "--name",
        "S1",
        "--type",
        "RNA-Seq",
        "--reads1",
        "big.fastq",
        "--json",
        "--config",
        config.to_str().unwrap(),
    ];
    let killed = bench.start(&command);
    until(|| bench.sandbox.faults().fired() == 1).await;
    killed.kill();

    hold_after(&bench, 4, &gate);
    let stopped = bench.start(&command);
    until(|| bench.sandbox.faults().fired() == 2).await;
    // As long as it takes to hear of the signal, each chunk takes.
    bench.sandbox.faults().add(Fault::on(On::Chunk).delay(Duration::from_millis(500)));
    stopped.signal("-INT");
    gate.open();
    let stopped = stopped.ended().await;
    assert!(stopped.code == 130 && stopped.stderr.contains("the same command goes on"), "{stopped:?}");
    assert_eq!(bench.sandbox.samples(), []);
    bench.sandbox.faults().clear();

    let ended = bench.run(&command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    went_on_where_it_stopped(&bench);
    let samples = bench.sandbox.samples();
    assert_eq!((samples.len(), bytes(&samples[0].files[0].path)), (1, reads()));
    assert_eq!(ended.ids()[0][0], samples[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_in_between_is_begun_anew() {
    let bench = Bench::new().await;
    let config = bench.config();
    bench.write("big.fastq", reads());
    hold_after(&bench, 3, &Gate::new());
    let command = [
        "upload",
        "sample",
        "--name",
        "S1",
        "--type",
        "RNA-Seq",
        "--reads1",
        "big.fastq",
        "--config",
        config.to_str().unwrap(),
    ];
    let killed = bench.start(&command);
    until(|| bench.sandbox.faults().fired() == 1).await;
    killed.kill();
    bench.write("big.fastq", "other reads");
    let ended = bench.run(&command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let samples = bench.sandbox.samples();
    assert_eq!((samples.len(), bytes(&samples[0].files[0].path)), (1, b"other reads".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_a_time_take_turns() {
    let bench = Bench::new().await;
    let gate = Gate::new();
    hold_after(&bench, 0, &gate);
    let first = bench.start(&["upload", "data", "R1.fastq"]);
    until(|| bench.sandbox.faults().fired() == 1).await;
    let words = bench.path("words");
    let mut second = bench.command(&["upload", "data", "R2.fastq"]);
    second.stderr(std::fs::File::create(&words).unwrap());
    let waits = async {
        until(|| std::fs::read_to_string(&words).unwrap().contains("waiting for another upload")).await;
        gate.open();
    };
    let (second, ()) = tokio::join!(bench.end(second), waits);
    assert_eq!(second.code, 0, "{second:?}");
    assert_eq!(first.ended().await.code, 0);
    assert_eq!(bench.sandbox.data().len(), 2);
}

/// A large sparse file goes up in bounded memory; `FLOW_INGEST_LARGE` makes it larger.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_needs_little_memory() {
    let size = std::env::var("FLOW_INGEST_LARGE").map_or(100_000_000, |bytes| bytes.parse().unwrap());
    let bench = Bench::new().await;
    std::fs::File::create(bench.path("large.bin")).unwrap().set_len(size).unwrap();
    let running = bench.start(&["upload", "data", "large.bin"]);
    let status = format!("/proc/{}/status", running.id());
    let peak = || -> Option<u64> {
        let status = std::fs::read_to_string(&status).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let looks = async {
        let mut most = 0;
        while let Some(kilobytes) = peak() {
            most = most.max(kilobytes);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        most
    };
    let most = tokio::time::timeout(LONGEST, looks).await.expect("the upload ends");
    let ended = running.ended().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(bench.sandbox.data()[0].size, size);
    println!("{size} bytes in {most} kB");
    assert!(most < 150_000, "{most} kB");
}
