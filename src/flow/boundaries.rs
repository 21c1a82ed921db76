//! Where a file is cut into chunks.
//!
//! The server checks a chunk's offset, appends, and records the new size in three steps, not one. So a chunk that
//! is sent again while its first copy is still at work can be appended twice. With chunks of one length the file can
//! then end with the right size and wrong bytes. Here every chunk is a byte longer than the one before: no sum of
//! lengths with one counted twice ever meets an offset again, and the mistake always shows, as a missing chunk or a
//! wrong size. (Of a chunk that is appended k times too often the sums can meet where chunks are shorter than about k²
//! bytes, which nobody's are.)

use serde::{Deserialize, Serialize};

/// The cuts of one file, fixed before its first chunk leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundaries {
    /// Length of chunk 0 in bytes; chunk n has `base + n`, but for the last.
    pub base: u64,
    /// Size of the file in bytes.
    pub size: u64,
}

/// One piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// Whether it ends the file.
    pub is_last: bool,
}

impl Boundaries {
    /// Cuts a file of `size` bytes. The first chunk is never the last one, because a lost answer to such a chunk
    /// leaves no id to ask about: what would fit into one chunk is cut into halves. Only a file of one byte cannot be.
    pub fn new(size: u64, chunk_size: u64) -> Self {
        let base = if size > chunk_size { chunk_size } else { size.div_ceil(2) };
        Self { base: base.max(1), size }
    }

    /// Chunk `n`, counted from 0. There are as many as it takes to reach one that `is_last`.
    pub fn chunk(&self, n: u64) -> Chunk {
        let offset = self.offset(n);
        let rest = self.size.saturating_sub(offset);
        let length = self.base + n;
        Chunk { offset, length: length.min(rest), is_last: length >= rest }
    }

    /// Bytes in the first `n` chunks.
    pub fn offset(&self, n: u64) -> u64 {
        (n * self.base + n * n.saturating_sub(1) / 2).min(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunks(boundaries: Boundaries) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        loop {
            let chunk = boundaries.chunk(chunks.len() as u64);
            chunks.push(chunk);
            if chunk.is_last {
                return chunks;
            }
        }
    }

    #[test]
    fn small_files_are_cut_in_two() {
        for (size, lengths) in [(1, vec![1]), (2, vec![1, 1]), (3, vec![2, 1]), (10, vec![5, 5]), (11, vec![10, 1])] {
            let found: Vec<_> = chunks(Boundaries::new(size, 10)).iter().map(|c| c.length).collect();
            assert_eq!(found, lengths, "{size} bytes");
        }
    }

    proptest! {
        #[test]
        fn chunks_cover_the_file_and_grow(size in 2u64..200_000, chunk_size in 1u64..5_000) {
            let chunks = chunks(Boundaries::new(size, chunk_size));
            let mut at = 0;
            for chunk in &chunks {
                prop_assert_eq!(chunk.offset, at);
                prop_assert!(chunk.length > 0);
                at += chunk.length;
            }
            prop_assert_eq!(at, size);
            prop_assert!(chunks.len() >= 2);
            for pair in chunks[..chunks.len() - 1].windows(2) {
                prop_assert_eq!(pair[1].length, pair[0].length + 1);
            }
        }

        /// A chunk that was appended twice never goes unseen: from then on, no middle chunk's offset is the server's
        /// size again, and the file never ends with the right one.
        #[test]
        fn a_chunk_stored_twice_always_shows(size in 3u64..100_000, chunk_size in 1u64..3_000, pick in any::<prop::sample::Index>()) {
            let chunks = chunks(Boundaries::new(size, chunk_size));
            prop_assume!(chunks.len() > 2);
            // The first chunk has no id yet: its second copy makes another file and harms nothing.
            let doubled = 1 + pick.index(chunks.len() - 2);
            let mut stored = chunks[doubled].offset + 2 * chunks[doubled].length;
            let mut closed = false;
            for chunk in &chunks[doubled + 1..] {
                if chunk.offset > stored {
                    return Ok(());
                }
                if chunk.offset == stored {
                    stored += chunk.length;
                    closed = chunk.is_last;
                }
            }
            prop_assert!(!closed || stored != size);
        }
    }
}
