//! What a user reads when the config or a manifest is wrong: every mistake, in every file, with its place.

use std::path::Path;

use flow_ingest::config;

const MANIFEST: &str = r#"version: 1
rules:
  - name: rnaseq
    match: "{sample}_L{lane:int}_R{read}.fq"
    sample: { name: "{sample}", type: RNA-Seq, metadata: { flow_cell: "{run.flow_cell}" } }
  - name: single
    match: "{sample}.fq"
    paired: auto
    sample: { name: "{sample}", type: RNA-Seq }
"#;

/// The errors of a config, beside the manifest above, without the folder that they lie in.
fn errors(config: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("flow-ingest.yaml");
    std::fs::write(dir.path().join("manifest.yaml"), MANIFEST).unwrap();
    std::fs::write(dir.path().join("broken.yaml"), "version: 1\nrules:\n  - name: {a}_b\n").unwrap();
    std::fs::write(&file, config).unwrap();
    let error = config::load(&file).expect_err("a mistake");
    error.to_string().replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn every_mistake_of_a_config_is_told_at_once() {
    insta::assert_snapshot!(errors(
        r#"
flow:
  base_url: http://flow.example.org/api
  credentials:
    token_file: token
    username: alice
    token: abc
  chunk_size: 8
  chunk_size: 8MB
  request_timeout: 60
  upload_retries: many
  proxy: http://bob:secret@proxy:3128
  retries: 3
timezone: Europe/Londn
uploads: { concurrency: 0, rate_limit: 50MB/s, final_wait: 0s, if_exists: skip }
watch:
  - path: /data/a
    manifest: manifest.yaml
    run_folder: "{date}_{run}"
    settle: 30
    mode: inotify
    ignore: "*.bak"
    notify: [ada]
  - name: a
    path: 17
    manifest: missing.yaml
    existing: { since: yesterday }
    complete_when: { quiet: 10m, marker: x.txt }
  - path: /data/c
    manifest: broken.yaml
    existing: sometimes
    run_folder: "{date}"
    complete_when: done
    pole: 30s
  - name: d
    path: /data/d
    manifest: broken.yaml
    existing: upload
    complete_when: { any: [ { marker: /x }, { quite: 10m }, {} ] }
    ignore: ["[", 1]
status: { listen: localhost }
"#
    ));
}

#[test]
fn rules_across_keys_watches_and_manifests() {
    insta::assert_snapshot!(errors(
        r#"
state_dir: /data/a/state
watch:
  - { path: /data/a, manifest: manifest.yaml, existing: skip }
  - { path: /data/a, manifest: manifest.yaml, existing: skip, complete_when: { any: [settled, { quiet: 10m }] } }
  - { name: b, path: /data/a/b, manifest: manifest.yaml, existing: skip, run_folder: "{date}_{flowcell}" }
  - { name: c, path: /data/c, manifest: manifest.yaml, existing: skip, complete_when: { quiet: 10m } }
"#
    ));
}

#[test]
fn a_config_that_is_not_there_or_says_nothing() {
    let missing = config::load(Path::new("nowhere/flow-ingest.yaml")).unwrap_err().to_string();
    insta::assert_snapshot!([missing, errors("# nothing yet\n"), errors("watch: []\nstate_dir: ''\n")].join("\n\n"));
}
