//! Finds the end of a JSON string's plain part, eight bytes at a time.

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Where, from `at` on, the first `"`, `\` or control character stands; the length where there is
/// none. Such bytes alone need care in a JSON string, read or written (RFC 8259, section 7).
#[inline]
pub(crate) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight);
        let special = zeros(word ^ (ONES * u64::from(b'"')))
            | zeros(word ^ (ONES * u64::from(b'\\')))
            | (word.wrapping_sub(ONES * 0x20) & !word);
        // A borrow can mark bytes past the first one found, never before it.
        let found = special & HIGHS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    bytes[at..]
        .iter()
        .position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f))
        .map_or(bytes.len(), |past| at + past)
}

/// The high bit of each zero byte, up to the first of them exactly.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_special_byte_is_found_wherever_it_stands(
            bytes in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\'), 30 => 0x20_u8..0x80], 0..60),
            from in 0_usize..60,
        ) {
            let from = from.min(bytes.len());
            let slow = bytes[from..].iter().position(|b| *b == b'"' || *b == b'\\' || *b < 0x20);
            prop_assert_eq!(plain_end(&bytes, from), slow.map_or(bytes.len(), |past| from + past));
        }
    }
}
