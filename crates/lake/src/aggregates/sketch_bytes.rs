//! The column `sketch` of the aggregates: a [`Sketch`] as bytes.
//!
//! The bytes begin with the version and the form. Numbers are varints (LEB128), signed ones in zigzag order, and
//! ascending ones are stored as differences: readings mostly have one or two decimals, so as multiples of 0.1 or 0.01
//! most values take a byte or two.
//!
//! - 2, 0: doubles of 8 bytes, little-endian, ascending.
//! - 2, 1: count of zeros; then for negative and for positive values the number of bins, and bin and count of each.
//! - 2, 2, scale: number of values, and each value times 10^scale.
//! - 2, 3: no value is kept.

use crate::aggregates::bins::{Bins, collapsed};
use crate::aggregates::sketch::{EXACT, Form, Sketch};

const VERSION: u8 = 2;
const DOUBLES: u8 = 0;
const BINS: u8 = 1;
const DECIMALS: u8 = 2;
const NONE: u8 = 3;

const TENS: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];

/// 2^53: each whole number below has a double of its own.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Bytes that are no sketch: the text says what is wrong with them.
#[derive(Debug, thiserror::Error)]
#[error("the sketch is damaged: {0}")]
pub struct DamagedSketch(&'static str);

impl Sketch {
    /// Appends the sketch's bytes, for [`from_bytes`](Sketch::from_bytes).
    pub fn write_bytes(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Exact(values) => {
                let start = out.len();
                if (0..TENS.len()).any(|scale| {
                    out.truncate(start);
                    out.extend_from_slice(&[VERSION, DECIMALS, scale as u8]);
                    decimals(values, TENS[scale], out)
                }) {
                    return;
                }
                out.truncate(start);
                out.extend_from_slice(&[VERSION, DOUBLES]);
                for value in values {
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }
            Form::None => out.extend_from_slice(&[VERSION, NONE]),
            Form::Bins(bins) => {
                out.extend_from_slice(&[VERSION, BINS]);
                varint(bins.zero, out);
                for half in [&bins.negative, &bins.positive] {
                    varint(half.len() as u64, out);
                    let mut before = 0;
                    for (bin, count) in half {
                        varint(zigzag(i64::from(*bin) - before), out);
                        varint(*count, out);
                        before = i64::from(*bin);
                    }
                }
            }
        }
    }

    /// The sketch of bytes that [`write_bytes`](Sketch::write_bytes) wrote; [`DamagedSketch`] for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Sketch, DamagedSketch> {
        match bytes {
            [VERSION, DOUBLES, rest @ ..] => {
                let (values, odd) = rest.as_chunks::<8>();
                let values = values.iter().map(|bytes| f64::from_le_bytes(*bytes));
                exact(values.collect(), odd)
            }
            [VERSION, DECIMALS, scale, rest @ ..] => {
                let tens = TENS.get(usize::from(*scale));
                let tens = *tens.ok_or(DamagedSketch("unknown scale"))?;
                let mut rest = rest;
                let count = read_varint(&mut rest)?;
                let mut values = Vec::with_capacity(count.min(EXACT as u64) as usize);
                let mut whole = 0_i64;
                for _ in 0..count {
                    whole = whole.wrapping_add(read_zigzag(&mut rest)?);
                    values.push(whole as f64 / tens);
                }
                exact(values, rest)
            }
            [VERSION, BINS, rest @ ..] => {
                let mut rest = rest;
                let zero = read_varint(&mut rest)?;
                let negative = read_bins(&mut rest)?;
                let positive = read_bins(&mut rest)?;
                if !rest.is_empty() {
                    return Err(DamagedSketch("wrong length"));
                }
                Ok(Sketch(Form::Bins(Bins {
                    negative: collapsed(negative),
                    zero,
                    positive: collapsed(positive),
                })))
            }
            [VERSION, NONE] => Ok(Sketch::none()),
            [VERSION, ..] => Err(DamagedSketch("unknown form")),
            _ => Err(DamagedSketch("unknown version")),
        }
    }
}

/// Appends the values as multiples of 1 / `tens`. False, with some values appended, if one of them is no multiple.
fn decimals(values: &[f64], tens: f64, out: &mut Vec<u8>) -> bool {
    varint(values.len() as u64, out);
    let mut before = 0;
    values.iter().all(|value| {
        let scaled = value * tens;
        let whole = (scaled + 0.5_f64.copysign(scaled)) as i64;
        if scaled.abs() >= MAX_EXACT || (whole as f64 / tens).to_bits() != value.to_bits() {
            return false;
        }
        varint(zigzag(whole - before), out);
        before = whole;
        true
    })
}

fn exact(values: Vec<f64>, odd: &[u8]) -> Result<Sketch, DamagedSketch> {
    if !odd.is_empty() || values.len() > EXACT {
        return Err(DamagedSketch("wrong length"));
    }
    if !values.is_sorted_by(|a, b| a.total_cmp(b).is_le()) {
        return Err(DamagedSketch("values out of order"));
    }
    Ok(Sketch(Form::Exact(values)))
}

fn read_bins(rest: &mut &[u8]) -> Result<Vec<(i32, u64)>, DamagedSketch> {
    let count = read_varint(rest)?;
    let mut bins = Vec::new();
    let mut bin = 0_i64;
    for at in 0..count {
        let step = read_zigzag(rest)?;
        if at > 0 && step <= 0 {
            return Err(DamagedSketch("bins out of order"));
        }
        bin = bin.wrapping_add(step);
        let bin = i32::try_from(bin).map_err(|_| DamagedSketch("no such bin"))?;
        bins.push((bin, read_varint(rest)?));
    }
    Ok(bins)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(rest: &mut &[u8]) -> Result<u64, DamagedSketch> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(DamagedSketch("too short"))?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DamagedSketch("a number has too many bytes"))
}

fn read_zigzag(rest: &mut &[u8]) -> Result<i64, DamagedSketch> {
    let value = read_varint(rest)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregates::bins::MOST_BINS;

    fn of(values: &[f64]) -> Sketch {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Sketch::of_sorted(&sorted)
    }

    fn bytes(sketch: &Sketch) -> Vec<u8> {
        let mut out = Vec::new();
        sketch.write_bytes(&mut out);
        out
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            4 => (-99_999..99_999_i32).prop_map(|value| f64::from(value) / 10.0),
            1 => (-99_999..99_999_i32).prop_map(|value| f64::from(value) / 1000.0),
            1 => prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL,
            1 => Just(-0.0),
        ];
        prop_oneof![
            prop::collection::vec(value, 0..300),
            prop::collection::vec(
                (-99_999..99_999_i32).prop_map(|value| f64::from(value) / 100.0),
                0..200
            ),
        ]
    }

    proptest! {
        #[test]
        fn state_reads_back_the_same_and_damage_is_an_error(values in values(), noise in prop::collection::vec(any::<u8>(), 0..60)) {
            let sketch = of(&values);
            let bytes = bytes(&sketch);
            let read = Sketch::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&read, &sketch);
            if let (Form::Exact(one), Form::Exact(two)) = (&read.0, &sketch.0) {
                let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(one), bits(two));
            }
            prop_assert!(Sketch::from_bytes(&bytes[..bytes.len() - 1]).is_err());
            let _ = Sketch::from_bytes(&noise);
        }
    }

    #[test]
    fn a_sketch_without_values_reads_back() {
        let none = Sketch::none();
        assert_eq!(Sketch::from_bytes(&bytes(&none)).unwrap(), none);
        assert!(Sketch::from_bytes(&[VERSION, NONE, 0]).is_err());
    }

    #[test]
    fn a_sketch_of_more_bins_than_are_kept_now_is_read() {
        let wide = Bins {
            negative: Vec::new(),
            zero: 1,
            positive: (-80_000..80_000).step_by(2).map(|bin| (bin, 1)).collect(),
        };
        let read = Sketch::from_bytes(&bytes(&Sketch(Form::Bins(wide)))).unwrap();
        let Form::Bins(read) = read.0 else {
            panic!("{read:?}")
        };
        // Every other bin of those kept, and the lowest, in which the others are counted.
        assert_eq!(read.positive.len(), MOST_BINS as usize / 2 + 1);
        assert_eq!(read.positive.iter().map(|bin| bin.1).sum::<u64>(), 80_000);
    }

    #[test]
    fn readings_with_a_decimal_take_a_byte_or_two() {
        let sketch = of(&(0..100)
            .map(|n| 80.0 + f64::from(n) / 10.0)
            .collect::<Vec<_>>());
        assert!(bytes(&sketch).len() < 110);
    }
}
