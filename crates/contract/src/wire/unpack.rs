//! Reads packs, whoever made them: a body from the queue may hold anything.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::wire::pack::{CODEC, MAX_KEPT_BYTES, VERSION};

/// Most bytes that one message may unfold to: a bound on memory, far past what a pack holds.
const MAX_DECODED_BYTES: usize = 64 * 1024 * 1024;

/// Why a message's body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The attributes name a codec or version that this build does not know.
    #[error(
        "codec `{codec}`, version `{version}` is not known: this build reads `{CODEC}`, version `{VERSION}`"
    )]
    UnknownCodec {
        /// The codec as named.
        codec: String,
        /// The version as named.
        version: String,
    },
    /// The body is not base64.
    #[error("not base64")]
    Base64(#[from] base64::DecodeError),
    /// The bytes are not zstd, or are cut off.
    #[error("not zstd")]
    Zstd(#[source] std::io::Error),
    /// The body unfolds to more than 64 MiB.
    #[error("unfolds to more than {MAX_DECODED_BYTES} bytes")]
    TooLarge,
    /// The lines are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
}

/// What unpacking needs: reads packs one after the other in the same memory, up to 1 MiB of it kept
/// in between. [`Envelope::text`](crate::Envelope::text) takes it.
#[derive(Default)]
pub struct Unpacker {
    decompressor: zstd::bulk::Decompressor<'static>,
    /// The compressed bytes of the last pack, kept for their memory.
    compressed: Vec<u8>,
}

impl Unpacker {
    /// A pack's lines.
    pub(crate) fn unpack(&mut self, body: &str) -> Result<String, DecodeError> {
        self.compressed.clear();
        self.compressed.shrink_to(MAX_KEPT_BYTES);
        if base64_simd::STANDARD
            .decode_append(body, &mut self.compressed)
            .is_err()
        {
            // The slower library says what is wrong, and where.
            self.compressed = STANDARD.decode(body)?;
        }
        let lines = match self.decompress_at_once() {
            Some(lines) => lines,
            None => decompress_stream(&self.compressed)?,
        };
        String::from_utf8(lines).map_err(|_| DecodeError::NotUtf8)
    }

    /// The lines, if the frame says how long they are, as those of a packer do, and is sound.
    fn decompress_at_once(&mut self) -> Option<Vec<u8>> {
        // No bytes at all are no frame, and an error.
        let size = zstd::bulk::Decompressor::upper_bound(&self.compressed)
            .filter(|size| *size <= MAX_DECODED_BYTES && !self.compressed.is_empty())?;
        let mut lines = Vec::with_capacity(size);
        self.decompressor
            .decompress_to_buffer(&self.compressed, &mut lines)
            .ok()?;
        Some(lines)
    }
}

/// Unfolds any frames bit by bit, so that a frame which lies about its size takes no more memory than
/// [`MAX_DECODED_BYTES`].
fn decompress_stream(compressed: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let decoder =
        zstd::stream::read::Decoder::with_buffer(compressed).map_err(DecodeError::Zstd)?;
    let mut lines = Vec::with_capacity(compressed.len() * 8);
    decoder
        .take(MAX_DECODED_BYTES as u64 + 1)
        .read_to_end(&mut lines)
        .map_err(DecodeError::Zstd)?;
    if lines.len() > MAX_DECODED_BYTES {
        return Err(DecodeError::TooLarge);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_body_makes_decode_panic(body in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Unpacker::default().unpack(&body);
            let _ = Unpacker::default().unpack(&STANDARD.encode(bytes));
        }
    }

    proptest! {
        #[test]
        fn one_unpacker_reads_whatever_comes_as_a_new_one_would(
            parts in prop::collection::vec(("[ -~]{0,80}", 0..4_u8, prop::option::of(0_usize..60)), 1..8),
        ) {
            let mut unpacker = Unpacker::default();
            for (text, form, cut) in parts {
                let mut frame = match form {
                    // A stream does not know the size beforehand.
                    0 => zstd::stream::encode_all(text.as_bytes(), 1).unwrap(),
                    1 => [zstd::bulk::compress(text.as_bytes(), 1).unwrap(), zstd::bulk::compress(b"x", 1).unwrap()].concat(),
                    2 => Vec::new(),
                    _ => zstd::bulk::compress(text.as_bytes(), 1).unwrap(),
                };
                frame.truncate(cut.unwrap_or(frame.len()));
                let stream = decompress_stream(&frame).map_err(|error| error.to_string());
                let read = unpacker.unpack(&STANDARD.encode(frame));
                prop_assert_eq!(read.map(String::into_bytes).map_err(|error| error.to_string()), stream);
            }
        }

        #[test]
        fn the_fast_base64_takes_nothing_that_the_strict_one_refuses(
            text in prop_oneof!["[A-Za-z0-9+/]{0,6}={0,3}", "[A-D+/= _\n-]{0,40}", "([A-Za-z0-9+/]{4}){0,20}[A-Za-z0-9+/]{2,3}=?"],
        ) {
            if let Ok(bytes) = base64_simd::STANDARD.decode_to_vec(&text) {
                prop_assert_eq!(Ok(bytes), STANDARD.decode(&text));
            }
        }
    }

    #[test]
    fn a_bomb_is_cut_off() {
        let bomb = zstd::bulk::compress(&vec![b'a'; MAX_DECODED_BYTES + 1], 1).unwrap();
        assert!(matches!(
            Unpacker::default().unpack(&STANDARD.encode(bomb)),
            Err(DecodeError::TooLarge)
        ));
    }
}
