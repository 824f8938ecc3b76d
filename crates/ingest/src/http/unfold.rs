//! Decompresses bodies, never past their bound.

use std::io::{self, Read};

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::http::body::Encoding;
use crate::http::refusal::Refusal;
use crate::memory::budget::Buffer;

/// Largest zstd window that is taken, as a power of two: 8 MiB, which zstd levels up to 19 stay within. A frame may
/// ask for far more memory than it has data.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Most gzip members or zstd frames of a body: an empty one has 20 bytes, and costs as much as one with data. Programs
/// that compress in parallel write one for each 64 KiB or more.
const MAX_MEMBERS: usize = 1_000;

/// Bytes that are unfolded at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// The body as it was before compression, put into the empty buffer `unfolded`. More than `limit` bytes are refused.
pub(crate) fn unfold(
    encoding: Encoding,
    body: Buffer,
    limit: usize,
    mut unfolded: Buffer,
) -> Result<Buffer, Refusal> {
    let name = match encoding {
        Encoding::Identity => return Ok(body),
        Encoding::Gzip => "gzip",
        Encoding::Zstd => "zstd",
        Encoding::Snappy => return unfold_snappy(&body, limit, unfolded),
    };
    let (mut rest, mut members) = (&body[..], 0);
    let mut piece = vec![0; PIECE_BYTES];
    while !rest.is_empty() || members == 0 {
        members += 1;
        if members > MAX_MEMBERS {
            return Err(Refusal::EncodedPastBound {
                encoding: name,
                reason: format!(
                    "it has more than {MAX_MEMBERS} parts, each with a head of its own; compress the body as one"
                ),
            });
        }
        let mut member = member(encoding, &mut rest).map_err(|error| not_unfolded(name, &error))?;
        loop {
            match member.read(&mut piece) {
                Ok(0) => break,
                Ok(count) if unfolded.len() + count > limit => {
                    return Err(Refusal::UnfoldsTooLarge { limit });
                }
                Ok(count) => unfolded.append(&piece[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(not_unfolded(name, &error)),
            }
        }
    }
    unfolded.shrink_to_fit();
    Ok(unfolded)
}

/// A block says first how long it is unfolded, and its decoder wants room for all of it at once.
fn unfold_snappy(body: &[u8], limit: usize, mut unfolded: Buffer) -> Result<Buffer, Refusal> {
    let refused = |error: snap::Error| Refusal::NotEncoded {
        encoding: "snappy",
        reason: error.to_string(),
    };
    let length = snap::raw::decompress_len(body).map_err(refused)?;
    if length > limit {
        return Err(Refusal::UnfoldsTooLarge { limit });
    }
    let mut share = unfolded.budget().reserve();
    share.grow(length)?;
    let mut whole = vec![0; length];
    let length = snap::raw::Decoder::new()
        .decompress(body, &mut whole)
        .map_err(refused)?;
    unfolded.append(&whole[..length])?;
    Ok(unfolded)
}

/// A decoder of the first gzip member or zstd frame of `rest`, which it takes from `rest` as it is read.
fn member<'r>(encoding: Encoding, rest: &'r mut &[u8]) -> io::Result<Box<dyn Read + 'r>> {
    if encoding == Encoding::Gzip {
        return Ok(Box::new(GzDecoder::new(rest)));
    }
    let mut decoder = ZstdDecoder::with_buffer(rest)?.single_frame();
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(Box::new(decoder))
}

/// What the decoder's error says of the body.
fn not_unfolded(encoding: &'static str, error: &io::Error) -> Refusal {
    let reason = error.to_string();
    // The one error that a sound frame meets; zstd's words are all that tells it.
    if reason.contains("requires too much memory") {
        let window = (1 << ZSTD_WINDOW_LOG) / (1024 * 1024);
        return Refusal::EncodedPastBound {
            encoding,
            reason: format!(
                "its window is larger than {window} MiB; compress with a smaller one, as levels up to 19 without \
                 `--long` do"
            ),
        };
    }
    Refusal::NotEncoded { encoding, reason }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::memory::budget::Budget;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn unfold_within(
        encoding: Encoding,
        body: Vec<u8>,
        limit: usize,
        budget: &Budget,
    ) -> Result<Vec<u8>, Refusal> {
        let unfolded = unfold(encoding, budget.buffer_of(&body), limit, budget.buffer())?;
        Ok(unfolded.to_vec())
    }

    #[test]
    fn gzip_and_zstd_unfold_members_and_frames_alike() {
        let budget = Budget::new(usize::MAX);
        let two = [gzip(b"{\"a\":1}\n"), gzip(b"{\"a\":2}\n")].concat();
        assert_eq!(
            unfold_within(Encoding::Gzip, two, 100, &budget).unwrap(),
            b"{\"a\":1}\n{\"a\":2}\n"
        );
        let two = [
            zstd::encode_all(&b"[1,"[..], 3).unwrap(),
            zstd::encode_all(&b"2]"[..], 19).unwrap(),
        ]
        .concat();
        assert_eq!(
            unfold_within(Encoding::Zstd, two, 100, &budget).unwrap(),
            b"[1,2]"
        );
    }

    #[test]
    fn a_bomb_is_refused_without_unfolding_it_past_the_bound() {
        let zeros = vec![b' '; 64 * 1024 * 1024];
        for (encoding, bomb) in [
            (Encoding::Gzip, gzip(&zeros)),
            (Encoding::Zstd, zstd::encode_all(&zeros[..], 3).unwrap()),
        ] {
            assert!(bomb.len() < 100_000);
            // The budget holds little more than the bound: unfolding past it would pass it too.
            let budget = Budget::new(1024 * 1024 + bomb.len());
            let refused = unfold_within(encoding, bomb, 1024 * 1024, &budget);
            assert!(
                matches!(refused, Err(Refusal::UnfoldsTooLarge { limit: 1_048_576 })),
                "{refused:?}"
            );
            assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn what_is_not_compressed_or_cut_off_is_refused() {
        let budget = Budget::new(usize::MAX);
        let mut cut = gzip(b"{\"a\":1}");
        cut.truncate(12);
        for (encoding, body) in [
            (Encoding::Gzip, b"{\"a\":1}".to_vec()),
            (Encoding::Gzip, cut),
            (Encoding::Zstd, b"{\"a\":1}".to_vec()),
        ] {
            assert!(matches!(
                unfold_within(encoding, body, 100, &budget),
                Err(Refusal::NotEncoded { .. })
            ));
        }
    }

    #[test]
    fn a_body_of_many_members_is_refused_though_they_hold_nothing() {
        let budget = Budget::new(usize::MAX);
        let frame = zstd::encode_all(&b""[..], 3).unwrap();
        for (encoding, empty) in [(Encoding::Gzip, gzip(b"")), (Encoding::Zstd, frame)] {
            let full = empty.repeat(MAX_MEMBERS);
            assert_eq!(unfold_within(encoding, full, 100, &budget).unwrap(), b"");
            let over = empty.repeat(MAX_MEMBERS + 1);
            let refused = unfold_within(encoding, over, 100, &budget).unwrap_err();
            assert!(refused.to_string().contains("as one"), "{refused}");
        }
    }

    #[test]
    fn a_window_past_the_bound_is_named() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"{}").unwrap();
        let body = encoder.finish().unwrap();
        let refused = unfold_within(Encoding::Zstd, body, 100, &Budget::new(usize::MAX));
        let message = refused.unwrap_err().to_string();
        assert!(
            message.contains("larger than 8 MiB") && message.contains("--long"),
            "{message}"
        );
    }
}
