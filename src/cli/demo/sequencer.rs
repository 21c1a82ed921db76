//! A sequencer for the demo: writes a run folder as a MiSeq does, a piece at a time, the marker last.
//!
//! The reads are made up and the same every time, but whoever opens a file finds what an instrument leaves: names
//! that pair up, mates from the two ends of one fragment, qualities that fall towards the end, a gzip that is whole
//! only when it is closed. It decides nothing of the agent's, and shares no code with it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// The run folder's name. The flow cell is KD3M7; a MiSeq writes nine zeros and a dash before it.
pub(super) const RUN: &str = "240115_M01234_0042_000000000-KD3M7";

/// What the instrument writes when it is done, empty or not: it says so by being there.
pub(super) const MARKER: &str = "CompletedJobInfo.xml";

/// Where a MiSeq under Windows 10 puts its FASTQ files, below the run folder.
const FASTQ: &str = "Alignment_1/20240116_084522/Fastq";

/// In so many pieces every file is written.
pub(super) const PIECES: usize = 16;

/// Bases of a read; a kit of 150 cycles, read from both ends.
const READ: usize = 76;

/// Length of the sequence that all fragments come from, in bases: so long that a gzip finds no read twice.
const TRANSCRIPTOME: usize = 200_000;

const SEED: u64 = 20_240_115;

/// What was loaded, in the order of the sample sheet.
pub(super) struct Library {
    pub id: &'static str,
    /// Fragments, each of which gives a read in each of the files.
    fragments: usize,
    /// Files that are written: 2, or 1 where the mate never comes.
    reads: usize,
}

impl Library {
    /// Whether both files are written.
    pub fn is_paired(&self) -> bool {
        self.reads == 2
    }
}

pub(super) const LIBRARIES: [Library; 5] = [
    Library { id: "RNA-Brain-1", fragments: 4100, reads: 2 },
    Library { id: "RNA-Brain-2", fragments: 3500, reads: 2 },
    Library { id: "RNA-Liver-1", fragments: 4600, reads: 2 },
    Library { id: "RNA-Liver-2", fragments: 3800, reads: 2 },
    Library { id: "RNA-Heart-1", fragments: 3300, reads: 1 },
];

/// The reads that no index claims; the instrument numbers them 0.
const UNDETERMINED: Library = Library { id: "Undetermined", fragments: 900, reads: 1 };

/// A FASTQ file of the run, below the run folder. `number` is the library's place in the sheet, from 1; `read` 1 or 2.
pub(super) fn fastq(id: &str, number: usize, read: usize) -> PathBuf {
    Path::new(FASTQ).join(format!("{id}_S{number}_L001_R{read}_001.fastq.gz"))
}

/// The file that no rule takes, below the run folder.
pub(super) fn undetermined() -> PathBuf {
    fastq(UNDETERMINED.id, 0, 1)
}

/// A run that is being written.
pub(super) struct Sequencer {
    run: PathBuf,
    transcriptome: Vec<u8>,
    growing: Vec<Growing>,
    pieces_written: usize,
}

/// A library on its way into its files.
struct Growing {
    number: usize,
    library: &'static Library,
    rng: StdRng,
    written: usize,
    /// `None` once a file is closed.
    files: Vec<(PathBuf, Option<GzEncoder<File>>)>,
}

impl Sequencer {
    /// Begins a run below `folder`, which is made: what the instrument knows before the first read.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let run = folder.join(RUN);
        fs::create_dir_all(run.join(FASTQ))?;
        fs::write(run.join("RunInfo.xml"), run_info())?;
        fs::write(run.join("SampleSheet.csv"), sample_sheet())?;
        let numbered = (1..).zip(&LIBRARIES).chain([(0, &UNDETERMINED)]);
        let growing =
            numbered.map(|(number, library)| Growing::open(&run, number, library)).collect::<io::Result<_>>()?;
        Ok(Self { run, transcriptome: transcriptome(), growing, pieces_written: 0 })
    }

    /// Writes the next piece of every file, all the way to the disk's file; the last one closes them. False when
    /// there is nothing left to write.
    pub fn write_piece(&mut self) -> io::Result<bool> {
        if self.pieces_written == PIECES {
            return Ok(false);
        }
        self.pieces_written += 1;
        for library in &mut self.growing {
            library.write_to(self.pieces_written, &self.transcriptome)?;
        }
        Ok(true)
    }

    /// Every FASTQ file, absolute.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.growing.iter().flat_map(|library| &library.files).map(|(path, _)| path.as_path())
    }

    /// Bytes of FASTQ on disk now.
    pub fn bytes(&self) -> u64 {
        self.files().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
    }

    /// Says that the run is over.
    pub fn mark_complete(&self) -> io::Result<()> {
        fs::write(self.run.join(MARKER), "<?xml version=\"1.0\"?>\r\n<AnalysisJobInfo />\r\n")
    }
}

impl Growing {
    fn open(run: &Path, number: usize, library: &'static Library) -> io::Result<Self> {
        let open = |read| {
            let path = run.join(fastq(library.id, number, read));
            let file = GzEncoder::new(File::create_new(&path)?, Compression::new(4));
            Ok((path, Some(file)))
        };
        let files = (1..=library.reads).map(open).collect::<io::Result<_>>()?;
        Ok(Self { number, library, rng: StdRng::seed_from_u64(SEED + number as u64), written: 0, files })
    }

    /// Writes up to the end of a piece, counted from 1.
    fn write_to(&mut self, piece: usize, transcriptome: &[u8]) -> io::Result<()> {
        let end = self.library.fragments * piece / PIECES;
        let mut texts = vec![Vec::new(); self.files.len()];
        while self.written < end {
            let fragment = Fragment::draw(&mut self.rng, transcriptome, self.written * 19 / self.library.fragments);
            for (text, read) in texts.iter_mut().zip(1..) {
                fragment.write(text, read, self.number, &mut self.rng);
            }
            self.written += 1;
        }
        for ((_, file), text) in self.files.iter_mut().zip(&texts) {
            let Some(gzip) = file else { continue };
            gzip.write_all(text)?;
            // Without this the compressor keeps the piece to itself, and the file does not grow.
            gzip.flush()?;
            if piece == PIECES
                && let Some(gzip) = file.take()
            {
                gzip.finish()?;
            }
        }
        Ok(())
    }
}

/// A piece of RNA on the flow cell, read from both ends.
struct Fragment {
    /// Where it lies: tile, x, y.
    place: (usize, u32, u32),
    ends: [Vec<u8>; 2],
}

impl Fragment {
    fn draw(rng: &mut StdRng, transcriptome: &[u8], tile: usize) -> Self {
        let length = rng.random_range(150..400);
        let start = rng.random_range(0..transcriptome.len() - length);
        let fragment = &transcriptome[start..start + length];
        let ahead = fragment[..READ].to_vec();
        let back = fragment.iter().rev().take(READ).map(|base| complement(*base)).collect();
        // Either strand may be read first.
        let ends = if rng.random() { [ahead, back] } else { [back, ahead] };
        Self { place: (1101 + tile, rng.random_range(1_500..28_500), rng.random_range(1_000..29_000)), ends }
    }

    /// Writes one of the two reads as a FASTQ record. An Illumina name says instrument, run, flow cell, lane, tile,
    /// x, y; behind the space: the read, whether it was filtered, control bits, and the sample's number.
    fn write(&self, out: &mut Vec<u8>, read: usize, sample: usize, rng: &mut StdRng) {
        let (tile, x, y) = self.place;
        let name = format!("@M01234:42:000000000-KD3M7:1:{tile}:{x}:{y} {read}:N:0:{sample}\n");
        out.extend_from_slice(name.as_bytes());
        let mut noise = [0; READ];
        rng.fill_bytes(&mut noise);
        let mut qualities = [b'#'; READ];
        let mut before = u8::MAX;
        for (cycle, ((base, quality), noise)) in self.ends[read - 1].iter().zip(&mut qualities).zip(noise).enumerate() {
            // A base that was not called has the lowest quality, written #.
            let is_called = noise > 0 || before > 40;
            out.push(if is_called { *base } else { b'N' });
            if is_called {
                let dip = if noise < 8 { 14 + noise } else { noise % 4 };
                let fall = (cycle * cycle / 900) as u8;
                *quality = b'!' + 38 - dip - fall;
            }
            before = noise;
        }
        out.extend_from_slice(b"\n+\n");
        out.extend_from_slice(&qualities);
        out.push(b'\n');
    }
}

fn complement(base: u8) -> u8 {
    match base {
        b'A' => b'T',
        b'C' => b'G',
        b'G' => b'C',
        _ => b'A',
    }
}

fn transcriptome() -> Vec<u8> {
    let mut noise = vec![0; TRANSCRIPTOME];
    StdRng::seed_from_u64(SEED).fill_bytes(&mut noise);
    // 46 % G and C, as in human transcripts.
    noise
        .into_iter()
        .map(|noise| match noise {
            0..69 => b'A',
            69..128 => b'C',
            128..187 => b'G',
            _ => b'T',
        })
        .collect()
}

fn run_info() -> String {
    let reads = [(READ, 'N'), (8, 'Y'), (8, 'Y'), (READ, 'N')];
    let reads: String = (1..)
        .zip(reads)
        .map(|(number, (cycles, is_index))| {
            format!("      <Read Number=\"{number}\" NumCycles=\"{cycles}\" IsIndexedRead=\"{is_index}\" />\r\n")
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?>\r\n<RunInfo Version=\"2\">\r\n  <Run Id=\"{RUN}\" Number=\"42\">\r\n    \
         <Flowcell>000000000-KD3M7</Flowcell>\r\n    <Instrument>M01234</Instrument>\r\n    <Date>240115</Date>\r\n    \
         <Reads>\r\n{reads}    </Reads>\r\n    <FlowcellLayout LaneCount=\"1\" SurfaceCount=\"2\" SwathCount=\"1\" \
         TileCount=\"19\" />\r\n  </Run>\r\n</RunInfo>\r\n"
    )
}

/// Version 1, with the line ends of the instrument's Windows.
fn sample_sheet() -> String {
    let indexes = ["ATTACTCG", "TCCGGAGA", "CGCTCATT", "GAGATTCC", "ATTCAGAA"];
    let mut sheet = format!(
        "[Header]\r\nIEMFileVersion,4\r\nDate,1/15/2024\r\nWorkflow,GenerateFASTQ\r\n\r\n[Reads]\r\n{READ}\r\n{READ}\
         \r\n\r\n[Data]\r\nSample_ID,Sample_Name,index,index2,Sample_Project\r\n"
    );
    for (library, index) in LIBRARIES.iter().zip(indexes) {
        sheet.push_str(&format!("{0},{0},{index},TATAGCCT,atlas\r\n", library.id));
    }
    sheet
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// A whole run, but for the marker.
    fn written(folder: &Path) -> Sequencer {
        let mut sequencer = Sequencer::start(folder).unwrap();
        while sequencer.write_piece().unwrap() {}
        sequencer
    }

    fn unzipped(path: &Path) -> io::Result<String> {
        let mut text = String::new();
        GzDecoder::new(File::open(path)?).read_to_string(&mut text).map(|_| text)
    }

    /// The records of a FASTQ file: name, sequence, qualities.
    fn records(text: &str) -> Vec<(&str, &str, &str)> {
        let lines: Vec<&str> = text.lines().collect();
        assert!(text.ends_with('\n') && lines.len().is_multiple_of(4), "{} lines", lines.len());
        lines
            .chunks(4)
            .map(|record| {
                let (name, sequence, qualities) = (record[0], record[1], record[3]);
                assert!(name.starts_with('@') && record[2] == "+", "{record:?}");
                assert!(sequence.len() == READ && sequence.bytes().all(|base| b"ACGTN".contains(&base)), "{record:?}");
                assert!(qualities.len() == READ && qualities.bytes().all(|q| (b'#'..=b'G').contains(&q)), "{record:?}");
                let uncalled = |(base, quality): (u8, u8)| (base == b'N') == (quality == b'#');
                assert!(sequence.bytes().zip(qualities.bytes()).all(uncalled), "{record:?}");
                (name, sequence, qualities)
            })
            .collect()
    }

    #[test]
    fn every_file_is_a_whole_gzip_of_well_formed_reads_that_pair_up() {
        let dir = tempfile::tempdir().unwrap();
        let sequencer = written(dir.path());
        assert_eq!(sequencer.files().count(), 10);
        let run = dir.path().join(RUN);
        for (number, library) in (1..).zip(&LIBRARIES) {
            let text = unzipped(&run.join(fastq(library.id, number, 1))).unwrap();
            let first = records(&text);
            assert_eq!(first.len(), library.fragments);
            let names: HashSet<_> = first.iter().map(|record| record.0).collect();
            assert_eq!(names.len(), first.len(), "no name twice");
            let mate = run.join(fastq(library.id, number, 2));
            assert_eq!(mate.exists(), library.is_paired());
            if library.is_paired() {
                let mates = unzipped(&mate).unwrap();
                let names = |records: Vec<(&str, &str, &str)>, read: &str| {
                    let bare = |(name, _, _): (&str, &str, &str)| {
                        let (place, rest) = name.split_once(' ').unwrap();
                        assert_eq!(rest, format!("{read}:N:0:{number}"));
                        place.to_owned()
                    };
                    records.into_iter().map(bare).collect::<Vec<_>>()
                };
                assert_eq!(names(first, "1"), names(records(&mates), "2"));
            }
        }
        assert!(!records(&unzipped(&run.join(undetermined())).unwrap()).is_empty());
    }

    #[test]
    fn every_file_grows_with_every_piece_and_is_whole_only_after_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let mut sequencer = Sequencer::start(dir.path()).unwrap();
        let mut before = vec![0; sequencer.files().count()];
        for piece in 1..=PIECES {
            assert!(sequencer.write_piece().unwrap());
            let sizes: Vec<u64> = sequencer.files().map(|path| fs::metadata(path).unwrap().len()).collect();
            assert!(before.iter().zip(&sizes).all(|(before, now)| before < now), "{before:?} {sizes:?}");
            before = sizes;
            if piece == PIECES / 2 {
                let read = unzipped(sequencer.files().next().unwrap());
                assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
        }
        assert!(!sequencer.write_piece().unwrap());
        assert_eq!(before.iter().sum::<u64>(), sequencer.bytes());
        unzipped(sequencer.files().next().unwrap()).unwrap();
    }

    #[test]
    fn a_run_is_the_same_every_time_and_its_marker_comes_when_told() {
        let contents = |folder: &Path| {
            let sequencer = written(folder);
            let files: BTreeMap<PathBuf, Vec<u8>> = sequencer
                .files()
                .map(|path| (path.strip_prefix(folder).unwrap().to_owned(), fs::read(path).unwrap()))
                .collect();
            let marker = folder.join(RUN).join(MARKER);
            assert!(!marker.exists());
            sequencer.mark_complete().unwrap();
            assert!(marker.exists());
            files
        };
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let contents_of_one = contents(one.path());
        assert!(contents_of_one == contents(other.path()));
        let distinct: HashSet<_> = contents_of_one.values().collect();
        assert_eq!(distinct.len(), contents_of_one.len(), "no two files are the same");
    }
}
