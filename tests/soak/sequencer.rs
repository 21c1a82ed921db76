//! The fake sequencer: pairs in a drop folder and on a share, and run folders with lanes, reports and a marker.
//!
//! Files grow in pieces, are written under another name and renamed, or are there at once; markers come last, or before
//! their files; the share disappears and returns while it is written to. What is written follows from the seed alone.
//! The one thing that a growing file must not do is to stand still for longer than it takes to settle: where the machine
//! was so slow that it did, the samples are excused, and counted as such.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::task::JoinSet;

/// How long a file must stay as it is, in the agent's config as well.
pub const SETTLE: Duration = Duration::from_secs(3);
/// The longest that a growing file may seem to stand still.
const LONGEST_GAP: Duration = Duration::from_millis(2500);
/// So few bytes that two lanes of them are one chunk.
const TINY: usize = 6_000;
/// What a run writes when it is over.
pub const MARKER: &str = "Complete.txt";

/// What the server should have in the end.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub is_report: bool,
    /// In the order of upload.
    pub files: Vec<WantedFile>,
}

#[derive(Debug, Clone)]
pub struct WantedFile {
    pub filename: String,
    /// In order.
    pub parts: Vec<Part>,
}

/// A file on disk.
#[derive(Debug, Clone)]
pub struct Part {
    pub folder: Arc<Folder>,
    /// Below the watched folder.
    pub path: PathBuf,
    content: Content,
}

#[derive(Debug, Clone, Copy)]
struct Content {
    seed: u64,
    /// Before it is compressed, which does not help: it is noise.
    length: usize,
    is_gzip: bool,
}

impl Part {
    pub fn bytes(&self) -> Vec<u8> {
        let Content { seed, length, is_gzip } = self.content;
        let mut noise = vec![0; length];
        StdRng::seed_from_u64(seed).fill_bytes(&mut noise);
        if !is_gzip {
            return noise;
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(&noise).expect("memory takes it");
        gzip.finish().expect("memory takes it")
    }

    /// Where it lies now.
    pub fn place(&self) -> PathBuf {
        self.folder.with(|root| root.join(&self.path))
    }
}

/// A watched folder. It may be elsewhere for a while, and be written to there, as a share is whose mount is lost.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    away: Mutex<Option<PathBuf>>,
}

impl Folder {
    pub fn new(path: PathBuf) -> Arc<Self> {
        fs::create_dir(&path).expect("the facility's folder is new");
        Arc::new(Self { path, away: Mutex::new(None) })
    }

    /// Does something with the folder while it does not move.
    fn with<T>(&self, work: impl FnOnce(&Path) -> T) -> T {
        let away = self.away.lock().expect("nobody panics with it");
        work(away.as_ref().unwrap_or(&self.path))
    }

    /// Takes it away; an empty folder may lie in its place.
    fn leave(&self, leaves_empty: bool) {
        let mut away = self.away.lock().expect("nobody panics with it");
        let elsewhere = self.path.with_extension("away");
        fs::rename(&self.path, &elsewhere).expect("it was there");
        if leaves_empty {
            fs::create_dir(&self.path).expect("its place is free");
        }
        *away = Some(elsewhere);
    }

    fn return_to_its_place(&self) {
        let mut away = self.away.lock().expect("nobody panics with it");
        if let Some(elsewhere) = away.take() {
            let _ = fs::remove_dir(&self.path);
            fs::rename(elsewhere, &self.path).expect("its place is free");
        }
    }
}

/// What was promised, by the sample's name; a report goes by its file's.
#[derive(Debug, Default)]
pub struct Ledger {
    wanted: Mutex<BTreeMap<String, Wanted>>,
    excused: Mutex<BTreeSet<String>>,
}

impl Ledger {
    /// Without those that are excused.
    pub fn wanted(&self) -> BTreeMap<String, Wanted> {
        let excused = self.excused();
        let mut wanted = self.wanted.lock().expect("nobody panics with it").clone();
        wanted.retain(|name, _| !excused.contains(name));
        wanted
    }

    /// Bytes of all that was written, what is excused included.
    pub fn bytes(&self) -> u64 {
        let wanted = self.wanted.lock().expect("nobody panics with it");
        let parts = wanted.values().flat_map(|wanted| &wanted.files).flat_map(|file| &file.parts);
        parts.map(|part| part.bytes().len() as u64).sum()
    }

    pub fn excused(&self) -> BTreeSet<String> {
        self.excused.lock().expect("nobody panics with it").clone()
    }

    pub fn len(&self) -> usize {
        self.wanted.lock().expect("nobody panics with it").len()
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Growing,
    /// Under a name that the agent leaves out.
    Renamed(&'static str),
    AtOnce,
}

/// Files that are written together.
struct Delivery {
    names: Vec<String>,
    files: Vec<(Part, Manner)>,
    marker: Option<Marker>,
    steps: usize,
    pause: Duration,
}

struct Marker {
    folder: Arc<Folder>,
    path: PathBuf,
    is_first: bool,
}

/// The folders, and everything that is to come into them.
pub struct Sequencer {
    seed: u64,
    dice: StdRng,
    drop: Arc<Folder>,
    runs: Arc<Folder>,
    share: Arc<Folder>,
    pub ledger: Arc<Ledger>,
    number: usize,
    is_over: Arc<AtomicBool>,
}

impl Sequencer {
    pub fn new(seed: u64, root: &Path) -> Self {
        let folder = |name| Folder::new(root.join(name));
        Self {
            seed,
            dice: StdRng::seed_from_u64(seed),
            drop: folder("drop"),
            runs: folder("runs"),
            share: folder("share"),
            ledger: Arc::default(),
            number: 0,
            is_over: Arc::default(),
        }
    }

    /// Ends the writing, once what was begun is written.
    pub fn off_switch(&self) -> Arc<AtomicBool> {
        self.is_over.clone()
    }

    /// The share, which goes and comes until the writing is over; how often.
    pub fn restless_share(&self) -> impl Future<Output = usize> + use<> {
        let (share, is_over) = (self.share.clone(), self.is_over.clone());
        let mut dice = StdRng::seed_from_u64(self.seed ^ 0x5a5a);
        async move {
            let mut times = 0;
            loop {
                let rest = Duration::from_millis(dice.random_range(1_000..8_000));
                if !crate::rest_unless(rest, || is_over.load(Ordering::Relaxed)).await {
                    return times;
                }
                share.leave(dice.random());
                tokio::time::sleep(Duration::from_millis(dice.random_range(100..3_000))).await;
                share.return_to_its_place();
                times += 1;
            }
        }
    }

    /// Writes until it is told that it is enough, and at least `least` samples; never so far ahead of the server, which
    /// has `arrived` of them, that more than `ahead` wait.
    pub async fn write(mut self, least: usize, ahead: usize, arrived: Arc<AtomicUsize>) {
        let mut writers = JoinSet::new();
        loop {
            let written = self.ledger.len();
            if self.is_over.load(Ordering::Relaxed) && written >= least {
                break;
            }
            if written.saturating_sub(arrived.load(Ordering::Relaxed)) < ahead {
                let (delivery, wanted) = self.draw();
                self.ledger.wanted.lock().expect("nobody panics with it").extend(wanted);
                let ledger = self.ledger.clone();
                // On a thread of its own: among the server's tasks it would stand still whenever they are busy.
                writers.spawn_blocking(move || delivery.write(&ledger));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while let Some(ended) = writers.join_next().await {
            ended.expect("a writer does not panic");
        }
    }

    /// The next delivery, and what should come of it.
    fn draw(&mut self) -> (Delivery, Vec<(String, Wanted)>) {
        self.number += 1;
        match self.dice.random_range(0..100) {
            0..45 => self.draw_pair("D", self.drop.clone()),
            45..65 => self.draw_pair("H", self.share.clone()),
            _ => self.draw_run(),
        }
    }

    fn draw_pair(&mut self, letter: &str, folder: Arc<Folder>) -> (Delivery, Vec<(String, Wanted)>) {
        let sample = format!("{letter}{}", self.number);
        let reads = [1, 2].map(|read| self.draw_part(&folder, format!("{sample}_R{read}.fastq.gz").into(), read == 1));
        let files = reads.iter().map(|part| wanted_file(&sample, 1, std::slice::from_ref(part))).collect();
        let wanted = vec![(sample, Wanted { is_report: false, files })];
        (self.deliver(reads.into(), &wanted, None), wanted)
    }

    fn draw_run(&mut self) -> (Delivery, Vec<(String, Wanted)>) {
        let folder = self.runs.clone();
        let run = format!("240115_SOAK_{}_AHSOAK{:04}", self.number, self.number);
        let (mut parts, mut wanted): (Vec<Part>, Vec<_>) = (Vec::new(), Vec::new());
        for n in 1..=self.dice.random_range(1..=4) {
            let name = format!("R{}-{n}", self.number);
            let (lanes, reads) = (self.dice.random_range(1..=2), if self.dice.random_bool(0.3) { 1 } else { 2 });
            // A lone read of one chunk: where the answer to it is lost, its id is lost as well.
            let is_tiny = reads == 1 && self.dice.random_bool(0.6);
            let mut files = Vec::new();
            for read in 1..=reads {
                let of_read: Vec<Part> = (1..=lanes)
                    .map(|lane| {
                        let path = format!("{run}/Fastq/{name}_S{n}_L00{lane}_R{read}_001.fastq.gz").into();
                        let mut part = self.draw_part(&folder, path, parts.is_empty() && read == 1);
                        if is_tiny {
                            part.content.length = part.content.length.min(TINY);
                        }
                        part
                    })
                    .collect();
                files.push(wanted_file(&format!("{run}_{name}"), read, &of_read));
                parts.extend(of_read);
            }
            wanted.push((format!("{run}_{name}"), Wanted { is_report: false, files }));
        }
        if self.dice.random_bool(0.5) {
            let filename = format!("{run}_summary.html");
            let mut part = self.draw_part(&folder, format!("{run}/Reports/summary.html").into(), false);
            // Of one byte, nobody could tell whether it has arrived.
            part.content = Content { is_gzip: false, length: part.content.length.max(2), ..part.content };
            let files = vec![WantedFile { filename: filename.clone(), parts: vec![part.clone()] }];
            wanted.push((filename, Wanted { is_report: true, files }));
            parts.push(part);
        }
        let is_first = self.dice.random_bool(0.3);
        let marker = Marker { folder, path: Path::new(&run).join(MARKER), is_first };
        (self.deliver(parts, &wanted, Some(marker)), wanted)
    }

    /// A file of a few bytes to a few hundred kilobytes.
    fn draw_part(&mut self, folder: &Arc<Folder>, path: PathBuf, is_growing: bool) -> Part {
        let length = match self.dice.random_range(0..4) {
            0 => self.dice.random_range(1..200),
            1 | 2 => 10f64.powf(self.dice.random_range(3.0..5.0)) as usize,
            _ => self.dice.random_range(100_000..300_000),
        };
        let length = if is_growing { length.max(500) } else { length };
        Part { folder: folder.clone(), path, content: Content { seed: self.dice.random(), length, is_gzip: true } }
    }

    /// The first file grows until all others are there: before that, nothing that belongs to it is over.
    fn deliver(&mut self, parts: Vec<Part>, wanted: &[(String, Wanted)], marker: Option<Marker>) -> Delivery {
        let manner = |(n, part)| {
            let manner = match self.dice.random_range(0..5) {
                _ if n == 0 => Manner::Growing,
                0 | 1 => Manner::Growing,
                2 => Manner::Renamed(".part"),
                3 => Manner::Renamed(".tmp"),
                _ => Manner::AtOnce,
            };
            (part, manner)
        };
        Delivery {
            names: wanted.iter().map(|(name, _)| name.clone()).collect(),
            files: parts.into_iter().enumerate().map(manner).collect(),
            marker,
            steps: self.dice.random_range(3..9),
            pause: Duration::from_millis(self.dice.random_range(20..200)),
        }
    }
}

/// A slot of one part keeps the file's name; of several, it is named after the sample.
fn wanted_file(sample: &str, read: usize, parts: &[Part]) -> WantedFile {
    let filename = match parts {
        [part] => part.path.file_name().expect("it has a name").to_string_lossy().into_owned(),
        _ => format!("{sample}_R{read}.fastq.gz"),
    };
    WantedFile { filename, parts: parts.to_vec() }
}

impl Delivery {
    fn write(self, ledger: &Ledger) {
        let marker_first = self.marker.as_ref().is_some_and(|marker| marker.is_first);
        let contents: Vec<Vec<u8>> = self.files.iter().map(|(part, _)| part.bytes()).collect();
        if marker_first {
            self.mark();
        }
        let mut longest = Duration::ZERO;
        let mut before = Instant::now();
        for step in 1..=self.steps {
            let began = Instant::now();
            for ((part, manner), bytes) in self.files.iter().zip(&contents) {
                self.write_piece(part, *manner, bytes, step);
            }
            longest = longest.max(before.elapsed());
            before = began;
            if step < self.steps {
                std::thread::sleep(self.pause);
            }
        }
        // A run's own marker says when its files are whole, unless it came too early.
        if longest > LONGEST_GAP && (marker_first || self.marker.is_none()) {
            ledger.excused.lock().expect("nobody panics with it").extend(self.names.iter().cloned());
        }
        if !marker_first {
            std::thread::sleep(self.pause);
            self.mark();
        }
    }

    fn mark(&self) {
        if let Some(marker) = &self.marker {
            marker.folder.with(|root| append(&root.join(&marker.path), b"done\n"));
        }
    }

    fn write_piece(&self, part: &Part, manner: Manner, bytes: &[u8], step: usize) {
        let up_to = |step: usize| bytes.len() * step / self.steps;
        let piece = &bytes[up_to(step - 1)..up_to(step)];
        let last_but_one = self.steps - 1;
        part.folder.with(|root| {
            let path = root.join(&part.path);
            match manner {
                Manner::Growing => append(&path, piece),
                Manner::AtOnce if step == last_but_one => append(&path, bytes),
                Manner::AtOnce => {}
                Manner::Renamed(extension) => {
                    let mut hidden = path.clone().into_os_string();
                    hidden.push(extension);
                    let hidden = PathBuf::from(hidden);
                    match step.cmp(&last_but_one) {
                        std::cmp::Ordering::Less => append(&hidden, piece),
                        std::cmp::Ordering::Equal => {
                            append(&hidden, &bytes[up_to(step - 1)..]);
                            fs::rename(&hidden, &path).expect("it was written");
                        }
                        std::cmp::Ordering::Greater => {}
                    }
                }
            }
        });
    }
}

fn append(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("the folder can be made");
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).expect("the file can be written");
    file.write_all(bytes).expect("the file can be written");
}
