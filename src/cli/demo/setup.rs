//! What lies in the demo's folder before the first read: config, manifest and token, as an operator would have
//! written them; and what ought to come of it, written down by hand so that it is not asked of those it judges.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::compare::{Expected, ExpectedSample};
use super::sequencer::{self, LIBRARIES, RUN};
use crate::sandbox::Sandbox;

/// The rule of the demo.
const MANIFEST: &str = r#"# The manifest of `flow-ingest demo`: which files become which samples on Flow.
version: 1
rules:
  - name: rnaseq
    match: "**/{sample}_S{sample_number:int}_L{lane:int}_R{read}_001.fastq.gz"
    where: { sample: "RNA-*" }
    paired: required
    sample:
      name: "{run.flow_cell}_{sample}"
      type: RNA-Seq
      organism: Hs
      project: "788995297969977723"
      metadata:
        strandedness: reverse
        comments: "{run.instrument}, run {run.run_number}"
"#;

/// Writes what the agent reads, and gives the config's path.
pub(super) fn prepare(folder: &Path, sandbox: &Sandbox) -> io::Result<PathBuf> {
    // Settles fast and sends small chunks: people are watching.
    let config = format!(
        r#"# The config of `flow-ingest demo`: where the agent looks, and when a run is complete.
flow:
  base_url: {}
  credentials: {{ token_file: token }}
  chunk_size: 64kB
state_dir: state
uploads: {{ concurrency: 2 }}
watch:
  - name: miseq
    path: sequencer
    manifest: manifest.yaml
    existing: upload
    run_folder: "{{date:[0-9]+}}_{{instrument}}_{{run_number:int}}_000000000-{{flow_cell}}"
    complete_when: {{ marker: {} }}
    settle: 500ms
    poll: 1s
status: {{ listen: none }}
"#,
        sandbox.base_url(),
        sequencer::MARKER
    );
    fs::create_dir(watched(folder))?;
    fs::write(folder.join("manifest.yaml"), MANIFEST)?;
    let token = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join("token"));
    writeln!(token?, "{}", sandbox.token())?;
    let path = folder.join("flow-ingest.yaml");
    fs::write(&path, config)?;
    Ok(path)
}

/// Where the sequencer writes.
pub(super) fn watched(folder: &Path) -> PathBuf {
    folder.join("sequencer")
}

/// Where the sandbox keeps what it is sent.
pub(super) fn uploaded(folder: &Path) -> PathBuf {
    folder.join("sandbox")
}

/// What ought to become of the run.
pub(super) fn expected(folder: &Path) -> Expected {
    let run = watched(folder).join(RUN);
    let name = |id: &str| format!("KD3M7_{id}");
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let numbered = (1..).zip(&LIBRARIES);
    let samples = numbered.filter(|(_, library)| library.is_paired()).map(|(number, library)| ExpectedSample {
        name: name(library.id),
        sample_type: "RNA-Seq",
        organism: "Hs",
        project: "788995297969977723",
        metadata: BTreeMap::from([text("strandedness", "reverse"), text("comments", "M01234, run 0042")]),
        files: [1, 2].map(|read| run.join(sequencer::fastq(library.id, number, read))).to_vec(),
    });
    let lonely = LIBRARIES.iter().find(|library| !library.is_paired()).map(|library| name(library.id));
    let left_out = sequencer::undetermined().file_name().map(|name| name.to_string_lossy().into_owned());
    Expected { samples: samples.collect(), blocked: lonely.unwrap_or_default(), left_out: left_out.unwrap_or_default() }
}
