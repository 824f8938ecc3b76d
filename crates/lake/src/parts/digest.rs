//! A digest of a part's ids, in the part's file between the rows and the footer, so that a later commit of the same
//! hour can tell which of its ids the part may hold without reading the ids. Readers of Parquet pass over it.
//!
//! It holds the upper bits of each id's hash, ascending, as differences in LEB128. There are so many bits that an id
//! that is not in the part is taken for one that is with a probability of 2^-26 at most.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};

use crate::rows::stable_hash;

/// Name of the digest in the metadata of the file; the value is `offset,length,bits`.
pub(crate) const NAME: &str = "headwater.ids";

/// Bits of a difference, about, and of the probability.
const SPACING_BITS: u32 = 26;

/// A Parquet file ends with the length of its footer and `PAR1`.
const TAIL: usize = 8;

/// Hashes of ids, ascending: what a commit wants to find in parts.
pub struct IdHashes(Vec<u64>);

impl IdHashes {
    /// The hashes of these ids.
    pub fn of<'i>(ids: impl Iterator<Item = &'i str>) -> IdHashes {
        IdHashes::of_hashes(ids.map(stable_hash).collect())
    }

    pub(crate) fn of_hashes(mut hashes: Vec<u64>) -> IdHashes {
        hashes.sort_unstable();
        IdHashes(hashes)
    }

    /// The digest of these ids, and the number of bits that it keeps of each hash.
    pub(crate) fn digest(&self) -> (Vec<u8>, u32) {
        let bits = (self.0.len().max(1).ilog2() + 1 + SPACING_BITS).min(u64::BITS);
        let mut digest = Vec::with_capacity(self.0.len() * 4 + 8);
        let mut before = 0;
        for hash in &self.0 {
            let value = hash >> (u64::BITS - bits);
            let mut rest = value - before;
            before = value;
            while rest >= 0x80 {
                digest.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            digest.push(rest as u8);
        }
        (digest, bits)
    }

    /// Whether a part with this digest may hold one of the ids.
    fn meet(&self, digest: &[u8], bits: u32) -> bool {
        let shift = u64::BITS - bits;
        let mut mine = self.0.iter().map(|hash| hash >> shift).peekable();
        let (mut value, mut difference, mut at) = (0_u64, 0_u64, 0);
        for byte in digest {
            difference |= u64::from(byte & 0x7f).unbounded_shl(at);
            at += 7;
            if byte & 0x80 != 0 {
                continue;
            }
            value = value.wrapping_add(difference);
            (difference, at) = (0, 0);
            while mine.next_if(|hash| *hash < value).is_some() {}
            match mine.peek() {
                Some(hash) if *hash == value => return true,
                Some(_) => {}
                None => return false,
            }
        }
        false
    }
}

/// The digest's entry in the metadata of a file.
pub(crate) fn entry(offset: usize, digest: &[u8], bits: u32) -> KeyValue {
    KeyValue::new(NAME.to_owned(), format!("{offset},{},{bits}", digest.len()))
}

/// What the end of a part tells about ids.
#[derive(Debug, PartialEq)]
pub enum Meeting {
    /// The part may hold one of the ids.
    Possible,
    /// The part holds none of the ids.
    None,
    /// These last bytes of the file are needed to tell.
    Needs(u64),
}

/// Whether a part of `size` bytes may hold one of the ids; `end` are the last bytes of its file, at least 8. A part
/// without a digest may hold any id.
///
/// # Errors
///
/// If the file is no Parquet.
pub fn meeting(ids: &IdHashes, end: &Bytes, size: u64) -> Result<Meeting> {
    let Some((_, tail)) = end.split_last_chunk::<TAIL>() else {
        return Err(ParquetError::EOF("a part has at least 8 bytes".to_owned()));
    };
    let [a, b, c, d, ..] = *tail;
    let footer = TAIL + u32::from_le_bytes([a, b, c, d]) as usize;
    if footer as u64 > size {
        return Err(ParquetError::General(
            "the footer is longer than the file".to_owned(),
        ));
    }
    if footer > end.len() {
        return Ok(Meeting::Needs(footer as u64));
    }
    let footer = &end[end.len() - footer..end.len() - TAIL];
    let metadata = ParquetMetaDataReader::decode_metadata(footer)?;
    let notes = metadata.file_metadata().key_value_metadata();
    let note = notes.into_iter().flatten().find(|note| note.key == NAME);
    let Some((offset, length, bits)) = note.and_then(|note| parse(note.value.as_deref()?)) else {
        return Ok(Meeting::Possible);
    };
    let from_end = size.saturating_sub(offset);
    let Some(start) = (end.len() as u64).checked_sub(from_end) else {
        return Ok(Meeting::Needs(from_end));
    };
    let digest = end
        .get(start as usize..)
        .and_then(|rest| rest.get(..length));
    let digest =
        digest.ok_or_else(|| ParquetError::General("the digest of ids is cut".to_owned()))?;
    Ok(if ids.meet(digest, bits) {
        Meeting::Possible
    } else {
        Meeting::None
    })
}

fn parse(value: &str) -> Option<(u64, usize, u32)> {
    let mut numbers = value.split(',');
    let offset = numbers.next()?.parse().ok()?;
    let length = numbers.next()?.parse().ok()?;
    let bits = numbers.next()?.parse().ok()?;
    (1..=u64::BITS)
        .contains(&bits)
        .then_some((offset, length, bits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(ids: &[u32]) -> IdHashes {
        let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
        IdHashes::of(ids.iter().map(String::as_str))
    }

    proptest! {
        #[test]
        fn an_id_of_the_part_is_always_found(
            part in prop::collection::vec(any::<u32>(), 1..200),
            mut wanted in prop::collection::vec(any::<u32>(), 0..50),
            at in any::<prop::sample::Index>(),
        ) {
            let (digest, bits) = of(&part).digest();
            wanted.push(*at.get(&part));
            prop_assert!(of(&wanted).meet(&digest, bits));
        }
    }

    #[test]
    fn other_ids_are_hardly_ever_taken_for_ids_of_the_part() {
        let all: Vec<u32> = (0..20_000).collect();
        let (digest, bits) = of(&all[..10_000]).digest();
        assert!(digest.len() < 45_000, "{}", digest.len());
        assert!(!of(&all[10_000..]).meet(&digest, bits));
        assert!(!of(&[]).meet(&digest, bits));
        assert!(!of(&[1]).meet(&of(&[]).digest().0, 27));
    }
}
