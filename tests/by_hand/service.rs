//! Uploads by hand while the service holds the state folder.

use crate::bench::{Bench, bytes, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_service_takes_the_work_over() {
    let bench = Bench::new().await;
    let config = bench.config();
    let config = config.to_str().unwrap();
    let service = bench.start(&["run", "--config", config]);
    until(|| bench.path("state/agent.sock").exists()).await;

    let command =
        ["upload", "sample", "--name", "S1", "--type", "RNA-Seq", "--reads1", "R1.fastq", "--json", "--config", config];
    let handed_over = bench.run(&command).await;
    assert_eq!(handed_over.code, 0, "{handed_over:?}");
    assert_eq!(handed_over.json()["service"], bench.sandbox.base_url());
    assert!(handed_over.stderr.contains("handed over to the service"), "{handed_over:?}");
    let samples = bench.sandbox.samples();
    assert_eq!((samples.len(), bytes(&samples[0].files[0].path)), (1, b"reads one".to_vec()));

    let chunks = bench.chunks().len();
    let again = bench.run(&command).await;
    assert_eq!((again.code, again.ids(), bench.chunks().len()), (0, handed_over.ids(), chunks), "{again:?}");

    let refused = bench
        .run(&["upload", "sample", "--name", "S 2", "--type", "RNA-Seq", "--reads1", "R1.fastq", "--config", config])
        .await;
    assert!(refused.code == 5 && refused.stderr.contains("Spaces in sample name"), "{refused:?}");

    let status = bench.run(&["status", "--json", "--config", config]).await.json();
    assert_eq!((&status["counts"]["done"], &status["counts"]["blocked"]), (&1.into(), &1.into()));

    let mut elsewhere = bench.command(&["upload", "data", "R1.fastq", "--state-dir", "state"]);
    elsewhere.env("FLOW_API_URL", "http://127.0.0.1:9/api");
    let elsewhere = bench.end(elsewhere).await;
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains("a service that uploads to"), "{elsewhere:?}");

    // What the service did is known without it, too.
    service.signal("-TERM");
    assert_eq!(service.ended().await.code, 0);
    let alone = bench.run(&command).await;
    assert_eq!((alone.code, alone.ids(), bench.chunks().len()), (0, handed_over.ids(), chunks + 1), "{alone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_another_server_is_not_mixed_in() {
    let bench = Bench::new().await;
    let config = bench.config();
    let other = Bench::new().await;
    let mut command = bench.command(&["upload", "data", "R1.fastq", "--config", config.to_str().unwrap()]);
    command.env("FLOW_API_URL", other.sandbox.base_url()).env("FLOW_API_TOKEN", other.sandbox.token());
    assert_eq!(bench.end(command).await.code, 0);
    assert_eq!((bench.sandbox.data().len(), other.sandbox.data().len()), (0, 1));
    assert!(!bench.path("state").exists() && bench.path("home/.local/state/flow-ingest/journal").exists());

    let command = ["upload", "data", "R1.fastq", "--config", config.to_str().unwrap()];
    assert_eq!(bench.run(&command).await.code, 0);
    assert_eq!(bench.sandbox.data().len(), 1, "what went elsewhere is not here");
}
