//! Packs: the events of many requests in one SQS message.
//!
//! A pack's body is the events' lines (NDJSON), compressed with zstd and written in base64, for
//! SQS takes text. Message attributes name the codec, its version and the number of events.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Largest body of a pack in bytes. AWS bills a request for each 64 KiB of payload (SQS pricing,
/// read 2026-11-21); 256 bytes are left for the message's attributes.
pub const MAX_PACK_BYTES: usize = 64 * 1024 - 256;

/// Most bytes that one message may unfold to: a bound on memory, far past what a pack holds.
const MAX_DECODED_BYTES: usize = 64 * 1024 * 1024;

/// Most memory that a packer or unpacker keeps in a buffer for the next pack.
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// Name of the attribute that holds the codec; a message without it is plain JSON or NDJSON.
pub const ATTRIBUTE_CODEC: &str = "codec";
/// Name of the attribute that holds the codec's version.
pub const ATTRIBUTE_VERSION: &str = "version";
/// Name of the attribute that holds the number of events.
pub const ATTRIBUTE_EVENTS: &str = "events";
/// The codec of packs.
pub const CODEC: &str = "ndjson+zstd+base64";
/// The version of that codec.
pub const VERSION: &str = "1";

/// zstd's level: level 1 takes 200-byte events to a sixth at 0.6 µs each; higher ones cost more
/// CPU than the bytes they save.
const LEVEL: i32 = 1;

/// One message's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// The encoded text, at most [`MAX_PACK_BYTES`].
    pub body: String,
    /// How many events it holds.
    pub events: usize,
}

/// Makes packs; learns from each how well the events compress, so that the next is well filled.
pub struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    /// What the compressor gave last, kept for its memory.
    compressed: Vec<u8>,
    /// Bytes of body for each byte of lines in the last pack.
    ratio: f64,
}

impl Packer {
    /// A packer with a fresh compressor.
    ///
    /// # Errors
    ///
    /// If zstd cannot set itself up, which is out of memory.
    pub fn new() -> std::io::Result<Packer> {
        Ok(Packer {
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            compressed: Vec::new(),
            ratio: 0.3,
        })
    }

    /// Packs `lines`, each ended by a line feed, into as few packs as hold them, evenly filled.
    ///
    /// # Errors
    ///
    /// If zstd fails, or one line alone does not fit a pack, which
    /// [`MAX_EVENT_BYTES`](crate::MAX_EVENT_BYTES) rules out.
    pub fn pack(&mut self, lines: &[u8]) -> std::io::Result<Vec<Pack>> {
        Ok(self.pack_some(lines, usize::MAX)?.0)
    }

    /// As [`pack`](Packer::pack), but makes at most `most` packs; also gives the lines that are left.
    ///
    /// # Errors
    ///
    /// As of [`pack`](Packer::pack).
    pub fn pack_some<'a>(
        &mut self,
        mut lines: &'a [u8],
        most: usize,
    ) -> std::io::Result<(Vec<Pack>, &'a [u8])> {
        let mut packs = Vec::new();
        while !lines.is_empty() && packs.len() < most {
            let fill = (MAX_PACK_BYTES as f64 * 0.97 / self.ratio) as usize;
            let share = lines.len().div_ceil(lines.len().div_ceil(fill.max(1)));
            let (pack, rest) = self.first_pack(lines, share)?;
            packs.push(pack);
            lines = rest;
        }
        Ok((packs, lines))
    }

    /// A pack of about the first `share` bytes, fewer if they compress worse than thought and more
    /// if far better, and the lines after them.
    fn first_pack<'a>(
        &mut self,
        lines: &'a [u8],
        mut share: usize,
    ) -> std::io::Result<(Pack, &'a [u8])> {
        let mut grown = false;
        loop {
            let cut = line_end(lines, share);
            let (chunk, rest) = lines.split_at(cut);
            let body = self.encode(chunk)?;
            let ratio = body.len() as f64 / chunk.len() as f64;
            let full = (MAX_PACK_BYTES as f64 * 0.9 / ratio) as usize;
            if body.len() > MAX_PACK_BYTES {
                if line_end(lines, full) >= cut {
                    return Err(std::io::Error::other(format!(
                        "a line of {cut} bytes does not fit a pack"
                    )));
                }
                share = full;
                grown = true;
            } else if body.len() < MAX_PACK_BYTES / 2 && !rest.is_empty() && !grown {
                share = full;
                grown = true;
            } else {
                // Small packs compress worse: what they teach says nothing of full ones.
                if body.len() > MAX_PACK_BYTES / 4 {
                    self.ratio = ratio;
                }
                let events = memchr::memchr_iter(b'\n', chunk).count();
                return Ok((Pack { body, events }, rest));
            }
        }
    }

    /// The body of a pack of these lines, however long it gets.
    fn encode(&mut self, lines: &[u8]) -> std::io::Result<String> {
        self.compressed.clear();
        self.compressed
            .reserve(zstd::zstd_safe::compress_bound(lines.len()));
        self.compressor
            .compress_to_buffer(lines, &mut self.compressed)?;
        let body = base64_simd::STANDARD.encode_to_string(&self.compressed);
        self.compressed.shrink_to(MAX_KEPT_BYTES);
        Ok(body)
    }
}

/// The end of the last whole line within `share` bytes, or else of the first line.
fn line_end(lines: &[u8], share: usize) -> usize {
    let within = lines[..share.min(lines.len())]
        .iter()
        .rposition(|b| *b == b'\n');
    within
        .or_else(|| lines.iter().position(|b| *b == b'\n'))
        .map_or(lines.len(), |at| at + 1)
}

/// A message's body that cannot be read.
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
    /// Not base64.
    #[error("not base64")]
    Base64(#[from] base64::DecodeError),
    /// Not zstd, or cut off.
    #[error("not zstd")]
    Zstd(#[source] std::io::Error),
    /// Unfolds to more than is taken.
    #[error("unfolds to more than {MAX_DECODED_BYTES} bytes")]
    TooLarge,
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
}

/// Reads a pack's lines. `version` is as the message's attributes name it.
///
/// # Errors
///
/// [`DecodeError`]; no message that gives one can be read later either, unless by a newer build.
pub fn decode(body: &str, codec: &str, version: &str) -> Result<String, DecodeError> {
    Unpacker::default().unpack(body, codec, version)
}

/// Reads packs one after the other in the same memory.
#[derive(Default)]
pub struct Unpacker {
    decompressor: zstd::bulk::Decompressor<'static>,
    /// The compressed bytes of the last pack, kept for their memory.
    compressed: Vec<u8>,
}

impl Unpacker {
    /// Reads a pack's lines, as [`decode`] does.
    ///
    /// # Errors
    ///
    /// As of [`decode`].
    pub fn unpack(
        &mut self,
        body: &str,
        codec: &str,
        version: &str,
    ) -> Result<String, DecodeError> {
        if codec != CODEC || version != VERSION {
            return Err(DecodeError::UnknownCodec {
                codec: codec.to_owned(),
                version: version.to_owned(),
            });
        }
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

    /// The lines, where the frame says how long they are, as those of [`Packer`] do, and is sound.
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

/// Unfolds any frames bit by bit, and so never takes more memory than [`MAX_DECODED_BYTES`].
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

    fn unpack(packs: &[Pack]) -> String {
        packs
            .iter()
            .map(|pack| decode(&pack.body, CODEC, VERSION).unwrap())
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_packed_unpacks_the_same_and_every_pack_fits(
            lines in prop::collection::vec("[ -~]{0,400}", 1..400),
            repeat in 1_usize..40,
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect::<String>().repeat(repeat);
            let packs = Packer::new().unwrap().pack(text.as_bytes()).unwrap();
            prop_assert!(packs.iter().all(|pack| pack.body.len() <= MAX_PACK_BYTES));
            prop_assert_eq!(packs.iter().map(|pack| pack.events).sum::<usize>(), lines.len() * repeat);
            prop_assert_eq!(unpack(&packs), text);
        }

        #[test]
        fn no_body_makes_decode_panic(body in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body, CODEC, VERSION);
            let _ = decode(&STANDARD.encode(bytes), CODEC, VERSION);
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
                let read = unpacker.unpack(&STANDARD.encode(frame), CODEC, VERSION);
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
    fn packs_are_well_filled_once_the_ratio_is_known() {
        let line = |n: usize| {
            format!(
                "{{\"vehicle_id\":\"veh-{:05}\",\"timestamp\":\"2025-10-04T12:34:{:02}.{:03}Z\",\"payload\":{{\"engine_rpm\":{}}}}}\n",
                n * 7919 % 500,
                n / 1000 % 60,
                n % 1000,
                n * 104_729 % 6000
            )
        };
        let text: String = (0..20_000).map(line).collect();
        let packs = Packer::new().unwrap().pack(text.as_bytes()).unwrap();
        let total: usize = packs.iter().map(|pack| pack.body.len()).sum();
        assert!(
            packs.len() <= total.div_ceil(MAX_PACK_BYTES) + 2,
            "{} packs for {total} bytes",
            packs.len()
        );
    }

    #[test]
    fn packed_a_few_at_a_time_the_lines_are_the_same() {
        let text: String = (0..30_000)
            .map(|n| format!("{{\"n\":{n},\"m\":{}}}\n", n * 7919 % 104_729))
            .collect();
        let mut packer = Packer::new().unwrap();
        let (mut packs, mut rest) = (Vec::new(), text.as_bytes());
        while !rest.is_empty() {
            let (some, left) = packer.pack_some(rest, 2).unwrap();
            assert!((1..=2).contains(&some.len()));
            packs.extend(some);
            rest = left;
        }
        assert!(packs.len() > 2, "{} packs", packs.len());
        assert_eq!(unpack(&packs), text);
    }

    #[test]
    fn a_line_as_long_as_an_event_may_be_fits_even_if_it_does_not_compress() {
        let mut noise = 1_u64;
        let line: String = (0..crate::MAX_EVENT_BYTES)
            .map(|_| {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                char::from(b'!' + ((noise >> 33) % 90) as u8)
            })
            .collect();
        let packs = Packer::new()
            .unwrap()
            .pack(format!("{line}\n").repeat(3).as_bytes())
            .unwrap();
        assert_eq!(packs.iter().map(|pack| pack.events).sum::<usize>(), 3);
    }

    #[test]
    fn a_body_of_another_codec_or_version_is_refused_by_name() {
        let error = decode("", "avro", "1").unwrap_err().to_string();
        assert!(error.contains("avro"), "{error}");
        assert!(
            decode("", CODEC, "2")
                .unwrap_err()
                .to_string()
                .contains("version `2`")
        );
    }

    #[test]
    fn a_bomb_is_cut_off() {
        let bomb = zstd::bulk::compress(&vec![b'a'; MAX_DECODED_BYTES + 1], 1).unwrap();
        assert!(matches!(
            decode(&STANDARD.encode(bomb), CODEC, VERSION),
            Err(DecodeError::TooLarge)
        ));
    }
}
