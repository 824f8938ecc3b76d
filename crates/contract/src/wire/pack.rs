//! Packs: the events of many requests in one SQS message.
//!
//! A pack's body is the events' lines (NDJSON), compressed with zstd and written in base64, for
//! SQS takes text. The [`Envelope`](crate::Envelope) says so.

/// Largest body of a pack in bytes. AWS bills a request for each 64 KiB of payload (SQS pricing,
/// read 2026-11-21); 256 bytes are left for the message's attributes.
pub const MAX_PACK_BYTES: usize = 64 * 1024 - 256;

/// Most memory that a packer or unpacker keeps in a buffer for the next pack.
pub(crate) const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// The codec of packs, as the envelope names it.
pub(crate) const CODEC: &str = "ndjson+zstd+base64";
/// The version of that codec: another one for each change that older builds cannot read.
pub(crate) const VERSION: &str = "1";

/// zstd's level: level 1 takes 200-byte events to a sixth at 0.6 µs each; higher ones cost more
/// CPU than the bytes they save.
const LEVEL: i32 = 1;

/// The body of one message, to be sent with its [`attributes`](Pack::attributes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// The encoded text, at most [`MAX_PACK_BYTES`] bytes.
    pub body: String,
    /// How many events the pack holds, at least 1.
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

    /// Packs `lines`, each ended by a line feed, into as few packs as hold them, evenly filled. A line
    /// is never cut, and the packs are in the order of the lines.
    ///
    /// # Errors
    ///
    /// If zstd fails, or one line alone does not fit a pack, which
    /// [`MAX_EVENT_BYTES`](crate::MAX_EVENT_BYTES) rules out.
    pub fn pack(&mut self, lines: &[u8]) -> std::io::Result<Vec<Pack>> {
        Ok(self.pack_some(lines, usize::MAX)?.0)
    }

    /// As [`pack`](Packer::pack), but makes at most `most` packs; also gives the lines that are left:
    /// whole ones, the last of `lines`.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Unpacker;

    fn unpack(packs: &[Pack]) -> String {
        packs
            .iter()
            .map(|pack| Unpacker::default().unpack(&pack.body).unwrap())
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
}
