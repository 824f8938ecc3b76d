//! A file of which some pieces are in memory, as Parquet's reader wants it.

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Pieces of a file, each with the place of its first byte.
#[derive(Debug, Clone)]
pub(crate) struct SparseFile {
    size: u64,
    /// Ascending by place.
    pieces: Vec<(u64, Bytes)>,
}

impl SparseFile {
    pub(crate) fn new(size: u64, mut pieces: Vec<(u64, Bytes)>) -> SparseFile {
        pieces.sort_by_key(|(start, _)| *start);
        SparseFile { size, pieces }
    }

    /// What the piece that holds the byte `start` has from there on.
    fn from(&self, start: u64) -> Result<Bytes> {
        let at = self.pieces.partition_point(|(first, _)| *first <= start);
        let piece = at.checked_sub(1).and_then(|at| self.pieces.get(at));
        let rest = piece.and_then(|(first, bytes)| {
            let skipped = usize::try_from(start - first).ok()?;
            (skipped <= bytes.len()).then(|| bytes.slice(skipped..))
        });
        rest.ok_or_else(|| ParquetError::EOF(format!("byte {start} was not asked for")))
    }
}

impl Length for SparseFile {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for SparseFile {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Reader<Bytes>> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let rest = self.from(start)?;
        if rest.len() < length {
            let end = start + length as u64;
            return Err(ParquetError::EOF(format!(
                "bytes {start} to {end} were not asked for"
            )));
        }
        Ok(rest.slice(..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_pieces_are_given_and_others_are_an_error() {
        let piece = |text: &'static str| Bytes::from_static(text.as_bytes());
        let file = SparseFile::new(100, vec![(50, piece("world")), (10, piece("hello"))]);
        assert_eq!(file.len(), 100);
        assert_eq!(file.get_bytes(12, 3).unwrap(), "llo");
        assert_eq!(file.get_bytes(50, 5).unwrap(), "world");
        assert_eq!(file.get_read(51).unwrap().into_inner(), "orld");
        for (start, length) in [(0, 1), (9, 2), (12, 4), (20, 1), (54, 2), (99, 1)] {
            assert!(file.get_bytes(start, length).is_err(), "{start} {length}");
        }
    }
}
