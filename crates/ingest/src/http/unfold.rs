//! Decompresses bodies, never past their bound.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use crate::http::body::Encoding;
use crate::http::refusal::Refusal;
use crate::memory::budget::Buffer;

/// Largest zstd window that is taken, as a power of two: 8 MiB, which zstd levels up to 19 stay within. A frame may
/// ask for far more memory than it has data.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The body as it was before compression, put into the empty buffer `unfolded`. More than `limit` bytes are refused.
pub(crate) fn unfold(
    encoding: Encoding,
    body: Buffer,
    limit: usize,
    mut unfolded: Buffer,
) -> Result<Buffer, Refusal> {
    let (encoding, decoder): (_, io::Result<Box<dyn Read + '_>>) = match encoding {
        Encoding::Identity => return Ok(body),
        Encoding::Gzip => ("gzip", Ok(Box::new(MultiGzDecoder::new(&body[..])))),
        Encoding::Zstd => ("zstd", zstd_decoder(&body)),
    };
    let not_encoded = |error: io::Error| Refusal::NotEncoded {
        encoding,
        reason: error.to_string(),
    };
    let mut decoder = decoder.map_err(not_encoded)?;
    let mut piece = vec![0; 64 * 1024];
    loop {
        match decoder.read(&mut piece) {
            Ok(0) => break,
            Ok(count) if unfolded.len() + count > limit => {
                return Err(Refusal::UnfoldsTooLarge { limit });
            }
            Ok(count) => unfolded.append(&piece[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(not_encoded(error)),
        }
    }
    unfolded.shrink_to_fit();
    Ok(unfolded)
}

fn zstd_decoder(body: &[u8]) -> io::Result<Box<dyn Read + '_>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(Box::new(decoder))
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
}
