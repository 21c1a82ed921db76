//! Whether a gzip file is whole, told while its bytes pass by: nothing is kept but what the decoder itself needs.
//!
//! A file is one member or many (BGZF is many small ones), and zeros may follow the last, as `gzip` itself allows: tapes
//! and some copies fill up with them. The form is RFC 1952's; the block that ends a BAM file is the SAM specification's
//! (section 4.1.2).

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// The empty block at the end of every BAM file, by which one that was cut between two blocks is told.
const END_OF_BAM: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 0x06, 0, 0x42, 0x43, 0x02, 0, 0x1b, 0, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
/// Length of what every header begins with.
const FIXED: usize = 10;
const HAS_CRC: u8 = 0b10;
const HAS_EXTRA: u8 = 0b100;
const HAS_NAME: u8 = 0b1000;
const HAS_COMMENT: u8 = 0b1_0000;
const RESERVED: u8 = 0b1110_0000;

/// Bytes that are unpacked at once, and thrown away.
const UNPACKED: usize = 64 * 1024;

/// What is wrong with a gzip file. Offsets are in the file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it is no gzip file, whatever its name says")]
    NotGzip,
    #[error("it ends at byte {at}, in the middle of a gzip member")]
    Truncated { at: u64 },
    #[error("its compressed data is corrupt at about byte {at}")]
    Corrupt { at: u64 },
    #[error("the gzip member that ends at byte {at} does not have the checksum or the length that it states")]
    Checksum { at: u64 },
    #[error("the bytes from {at} on, after its last whole gzip member, are no gzip")]
    Garbage { at: u64 },
    #[error("the block that ends every BAM file is missing, so it was cut off between two blocks")]
    NoEndOfBam,
}

/// The check of one file, fed with its bytes in order.
pub(super) struct GzipCheck {
    is_bam: bool,
    state: State,
    /// Bytes taken.
    at: u64,
    /// Where the member began that is being read.
    member: u64,
    decoder: Decompress,
    /// Of the member's content.
    crc: Crc,
    /// Of the header, which may carry its own.
    header_crc: Crc,
    unpacked: Box<[u8]>,
    /// The last bytes of the file, for a BAM's end.
    last: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The fixed part of a header, so much of it is there.
    Fixed {
        bytes: [u8; FIXED],
        filled: usize,
    },
    /// Length of the extra field, and the flags.
    ExtraLength {
        flags: u8,
        low: Option<u8>,
    },
    Extra {
        flags: u8,
        left: u16,
    },
    /// A name or a comment, up to its zero byte.
    Text {
        flags: u8,
    },
    HeaderCrc {
        low: Option<u8>,
    },
    Body,
    Trailer {
        bytes: [u8; 8],
        filled: usize,
    },
    /// Zeros after the last member.
    Padding,
}

const BEGIN: State = State::Fixed { bytes: [0; FIXED], filled: 0 };

impl GzipCheck {
    /// A check of the file at `path`, if its name says that it is gzip: `.gz`, `.bgz` or `.bam`, in any case.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.as_bytes();
        let is = |name: &str| extension.eq_ignore_ascii_case(name.as_bytes());
        (is("gz") || is("bgz") || is("bam")).then(|| Self::new(is("bam")))
    }

    fn new(is_bam: bool) -> Self {
        Self {
            is_bam,
            state: BEGIN,
            at: 0,
            member: 0,
            decoder: Decompress::new(false),
            crc: Crc::new(),
            header_crc: Crc::new(),
            unpacked: vec![0; UNPACKED].into_boxed_slice(),
            last: Vec::new(),
        }
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// What is wrong with it, as soon as that shows.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        if self.is_bam {
            self.remember(bytes);
        }
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Body => self.unpack(bytes)?,
                State::Padding => match bytes.iter().position(|byte| *byte != 0) {
                    Some(zeros) => return Err(Fault::Garbage { at: self.at + zeros as u64 }),
                    None => bytes.len(),
                },
                _ => {
                    self.step(bytes[0])?;
                    1
                }
            };
            self.at += taken as u64;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// The file ends here.
    ///
    /// # Errors
    /// When it cannot end here.
    pub fn end(&self) -> Result<(), Fault> {
        match self.state {
            State::Fixed { filled: 0, .. } | State::Padding if self.at > 0 => {}
            _ => return Err(Fault::Truncated { at: self.at }),
        }
        if self.is_bam && self.last != END_OF_BAM {
            return Err(Fault::NoEndOfBam);
        }
        Ok(())
    }

    fn remember(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(END_OF_BAM.len())..];
        self.last.extend_from_slice(new);
        self.last.drain(..self.last.len().saturating_sub(END_OF_BAM.len()));
    }

    /// Takes one byte of a header, or of a trailer.
    fn step(&mut self, byte: u8) -> Result<(), Fault> {
        if !matches!(self.state, State::Trailer { .. } | State::HeaderCrc { .. }) {
            self.header_crc.update(&[byte]);
        }
        self.state = match self.state {
            State::Fixed { filled: 0, .. } if byte == 0 && self.at > 0 => State::Padding,
            State::Fixed { mut bytes, filled } => {
                if filled == 0 {
                    self.member = self.at;
                    self.header_crc.reset();
                    self.header_crc.update(&[byte]);
                }
                let is_wrong = MAGIC.get(filled).is_some_and(|magic| *magic != byte);
                if is_wrong || filled == MAGIC.len() && byte & RESERVED != 0 {
                    return Err(if self.member == 0 { Fault::NotGzip } else { Fault::Garbage { at: self.member } });
                }
                bytes[filled] = byte;
                match filled + 1 {
                    FIXED => self.after(bytes[MAGIC.len()], 0),
                    filled => State::Fixed { bytes, filled },
                }
            }
            State::ExtraLength { flags, low: None } => State::ExtraLength { flags, low: Some(byte) },
            State::ExtraLength { flags, low: Some(low) } => match u16::from_le_bytes([low, byte]) {
                0 => self.after(flags, HAS_EXTRA),
                left => State::Extra { flags, left },
            },
            State::Extra { flags, left: 1 } => self.after(flags, HAS_EXTRA),
            State::Extra { flags, left } => State::Extra { flags, left: left - 1 },
            State::Text { flags } if byte == 0 && flags & HAS_NAME != 0 => self.after(flags, HAS_NAME),
            State::Text { flags } if byte == 0 => self.after(flags, HAS_COMMENT),
            State::Text { flags } => State::Text { flags },
            State::HeaderCrc { low: None } => State::HeaderCrc { low: Some(byte) },
            State::HeaderCrc { low: Some(low) } => {
                if u32::from(u16::from_le_bytes([low, byte])) != self.header_crc.sum() & 0xffff {
                    return Err(Fault::Corrupt { at: self.at });
                }
                self.begin_body()
            }
            State::Trailer { mut bytes, filled } => {
                bytes[filled] = byte;
                match filled + 1 {
                    8 => {
                        let [a, b, c, d, e, f, g, h] = bytes;
                        let stated = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
                        // Lengths are stated modulo 2^32.
                        if stated != (self.crc.sum(), self.decoder.total_out() as u32) {
                            return Err(Fault::Checksum { at: self.at + 1 });
                        }
                        BEGIN
                    }
                    filled => State::Trailer { bytes, filled },
                }
            }
            state @ (State::Body | State::Padding) => state,
        };
        Ok(())
    }

    /// What of a header comes after the field `done` (0: the fixed part) of those that its flags announce.
    fn after(&mut self, flags: u8, done: u8) -> State {
        let flags = if done == 0 { flags } else { flags & !done };
        if flags & HAS_EXTRA != 0 {
            State::ExtraLength { flags, low: None }
        } else if flags & (HAS_NAME | HAS_COMMENT) != 0 {
            State::Text { flags }
        } else if flags & HAS_CRC != 0 {
            State::HeaderCrc { low: None }
        } else {
            self.begin_body()
        }
    }

    fn begin_body(&mut self) -> State {
        self.decoder.reset(false);
        self.crc.reset();
        State::Body
    }

    /// Unpacks what it can of these bytes; how many those were.
    fn unpack(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut taken = 0;
        loop {
            let (in_before, out_before) = (self.decoder.total_in(), self.decoder.total_out());
            let status = self.decoder.decompress(&bytes[taken..], &mut self.unpacked, FlushDecompress::None);
            let read = (self.decoder.total_in() - in_before) as usize;
            let written = (self.decoder.total_out() - out_before) as usize;
            taken += read;
            self.crc.update(&self.unpacked[..written]);
            match status {
                Err(_) => return Err(Fault::Corrupt { at: self.at + taken as u64 }),
                Ok(Status::StreamEnd) => {
                    self.state = State::Trailer { bytes: [0; 8], filled: 0 };
                    return Ok(taken);
                }
                // It waits for more bytes: a full output would have made it go on.
                Ok(_) if taken == bytes.len() && written < self.unpacked.len() => return Ok(taken),
                // It has bytes and room, and gets no further.
                Ok(_) if read == 0 && written == 0 => return Err(Fault::Corrupt { at: self.at + taken as u64 }),
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use std::io::Write;

    fn reads(seed: u32, length: usize) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b"ACGT\n#-5"[(state >> 29) as usize]
        };
        (0..length).map(|_| next()).collect()
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// One block of BGZF: a member that states its own length in an extra field.
    fn bgzf(content: &[u8]) -> Vec<u8> {
        let block = |size: u16| {
            let extra = [b"BC\x02\0", &size.to_le_bytes()[..]].concat();
            let mut encoder = GzBuilder::new().extra(extra).write(Vec::new(), Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        };
        block(block(0).len() as u16 - 1)
    }

    /// Checks the bytes in pieces of several lengths, which must all come to the same.
    fn check(name: &str, bytes: &[u8]) -> Result<(), Fault> {
        let in_pieces_of = |length: usize| {
            let mut check = GzipCheck::of(Path::new(name)).expect("it is checked");
            bytes.chunks(length).try_for_each(|piece| check.take(piece))?;
            check.end()
        };
        let whole = in_pieces_of(bytes.len().max(1));
        for length in [1, 7, 1000, 70_000] {
            let piecewise = in_pieces_of(length);
            match (whole, piecewise) {
                // How far the decoder had read when it saw the fault depends on the pieces.
                (Err(Fault::Corrupt { .. }), Err(Fault::Corrupt { .. })) => {}
                _ => assert_eq!(whole, piecewise, "in pieces of {length}"),
            }
        }
        whole
    }

    #[test]
    fn names_say_what_is_checked() {
        for name in ["a.gz", "a.fastq.GZ", "/d/a.bgz", "a.bam", "a.Bam"] {
            assert!(GzipCheck::of(Path::new(name)).is_some(), "{name}");
        }
        for name in ["a.fastq", "gz", ".gz", "a.gz.md5", "a.zip", "a.cram"] {
            assert!(GzipCheck::of(Path::new(name)).is_none(), "{name}");
        }
    }

    #[test]
    fn whole_files_pass() {
        let (a, b) = (gzip(&reads(1, 200_000)), gzip(&reads(2, 30_000)));
        check("a.gz", &a).unwrap();
        check("a.gz", &[a.clone(), b.clone(), gzip(b"")].concat()).unwrap();
        check("a.gz", &[a.clone(), b, vec![0; 1000]].concat()).unwrap();
        check("a.gz", &gzip(&vec![0; 3_000_000])).unwrap();
        let mut blocks: Vec<u8> = (0..20).flat_map(|n| bgzf(&reads(n, 20_000))).collect();
        check("a.gz", &blocks).unwrap();
        blocks.extend(END_OF_BAM);
        check("a.bgz", &blocks).unwrap();
        check("a.bam", &blocks).unwrap();
    }

    #[test]
    fn headers_of_every_form_are_read() {
        let content = reads(3, 1000);
        for flags in 0..16 {
            let mut builder = GzBuilder::new().mtime(7);
            if flags & 1 != 0 {
                builder = builder.extra(vec![0; 300]);
            }
            if flags & 2 != 0 {
                builder = builder.filename("reads.fastq");
            }
            if flags & 4 != 0 {
                builder = builder.comment("1:N:0");
            }
            let mut encoder = builder.write(Vec::new(), Compression::fast());
            encoder.write_all(&content).unwrap();
            let mut bytes = encoder.finish().unwrap();
            if flags & 8 != 0 {
                // The header's own checksum stands at its end, which lies where the plain one's does, and the fields.
                let header = FIXED
                    + if flags & 1 != 0 { 302 } else { 0 }
                    + if flags & 2 != 0 { 12 } else { 0 }
                    + if flags & 4 != 0 { 6 } else { 0 };
                bytes[3] |= HAS_CRC;
                let mut crc = Crc::new();
                crc.update(&bytes[..header]);
                let sum = (crc.sum() as u16).to_le_bytes();
                bytes.splice(header..header, sum);
                check("a.gz", &bytes).unwrap();
                bytes[header] ^= 1;
                assert!(matches!(check("a.gz", &bytes), Err(Fault::Corrupt { .. })), "flags {flags}");
            } else {
                check("a.gz", &bytes).unwrap();
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_not_whole() {
        let whole = [gzip(&reads(4, 3000)), gzip(&reads(5, 100))].concat();
        let boundary = gzip(&reads(4, 3000)).len();
        for length in 0..whole.len() {
            let verdict = check("a.gz", &whole[..length]);
            // A cut between two members cannot be told: that is why BAM has a block for it.
            let expected = if length == boundary { Ok(()) } else { Err(Fault::Truncated { at: length as u64 }) };
            assert_eq!(verdict, expected);
        }
        // A copy that reserves the size first has zeros where the rest will be.
        let mut reserved = whole.clone();
        reserved[boundary / 2..].fill(0);
        assert!(check("a.gz", &reserved).is_err());
    }

    #[test]
    fn a_byte_that_is_wrong_shows_wherever_it_is() {
        let whole = gzip(&reads(6, 3000));
        for at in 0..whole.len() {
            // Time, extra flags and system mean nothing.
            if (4..10).contains(&at) {
                continue;
            }
            let mut wrong = whole.clone();
            wrong[at] ^= 0x55;
            assert!(check("a.gz", &wrong).is_err(), "byte {at}");
        }
        let mut wrong = whole.clone();
        let end = wrong.len();
        wrong[end - 8] ^= 1;
        assert_eq!(check("a.gz", &wrong), Err(Fault::Checksum { at: end as u64 }));
        assert_eq!(check("a.gz", &[&whole[..], b"more"].concat()), Err(Fault::Garbage { at: end as u64 }));
        assert_eq!(check("a.gz", &[&whole[..], b"\0\0x"].concat()), Err(Fault::Garbage { at: end as u64 + 2 }));
        assert_eq!(check("a.gz", b"@read 1\nACGT"), Err(Fault::NotGzip));
    }

    #[test]
    fn a_bam_file_needs_its_last_block() {
        let blocks: Vec<u8> = (0..3).flat_map(|n| bgzf(&reads(n, 5000))).collect();
        assert_eq!(check("a.bam", &blocks), Err(Fault::NoEndOfBam));
        assert_eq!(check("a.bam", &[&blocks[..], &END_OF_BAM, &blocks].concat()), Err(Fault::NoEndOfBam));
        assert_eq!(check("a.bam", b"BAM\x01"), Err(Fault::NotGzip));
    }
}
