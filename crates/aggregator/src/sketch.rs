//! Quantiles in little memory, mergeable in any order with the same result.
//!
//! Up to [`EXACT`] values are kept as they are. Past that they are counted in bins whose bounds
//! grow by a constant factor, as in DDSketch (Masson, Rim, Lee, VLDB 2019, section 2): a value is
//! known to within [`ACCURACY`] of itself, however many there are.

use std::collections::BTreeMap;

/// Values kept as they are.
pub const EXACT: usize = 128;

/// Relative error of a value read from a bin.
pub const ACCURACY: f64 = 0.004;

/// Magnitudes below this are counted as zero; it is far below what any sensor resolves.
const SMALLEST: f64 = 1e-300;

/// A set of values, for quantiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch(Form);

#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// The values themselves, in the order in which they came.
    Exact(Vec<f64>),
    /// How many values each bin holds, by sign.
    Bins {
        negative: BTreeMap<i32, u64>,
        zero: u64,
        positive: BTreeMap<i32, u64>,
    },
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch(Form::Exact(Vec::new()))
    }
}

/// The state of a sketch that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the sketch is damaged: {0}")]
pub struct DamagedSketch(&'static str);

fn log_gamma() -> f64 {
    ((1.0 + ACCURACY) / (1.0 - ACCURACY)).ln()
}

fn bin_of(magnitude: f64) -> i32 {
    (magnitude.ln() / log_gamma()).ceil() as i32
}

/// The value that is within [`ACCURACY`] of every value in the bin.
fn value_of(bin: i32) -> f64 {
    let gamma = log_gamma().exp();
    2.0 * (f64::from(bin) * log_gamma()).exp() / (1.0 + gamma)
}

impl Sketch {
    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        match &mut self.0 {
            Form::Exact(values) if values.len() < EXACT => values.push(value),
            Form::Exact(_) => {
                self.spill();
                self.count(value, 1);
            }
            Form::Bins { .. } => self.count(value, 1),
        }
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Sketch) {
        match &other.0 {
            Form::Exact(values) => values.iter().for_each(|value| self.add(*value)),
            Form::Bins {
                negative,
                zero,
                positive,
            } => {
                self.spill();
                let Form::Bins {
                    negative: my_negative,
                    zero: my_zero,
                    positive: my_positive,
                } = &mut self.0
                else {
                    return;
                };
                *my_zero += zero;
                for (bin, count) in negative {
                    *my_negative.entry(*bin).or_default() += count;
                }
                for (bin, count) in positive {
                    *my_positive.entry(*bin).or_default() += count;
                }
            }
        }
    }

    fn spill(&mut self) {
        if let Form::Exact(values) = &mut self.0 {
            let values = std::mem::take(values);
            self.0 = Form::Bins {
                negative: BTreeMap::new(),
                zero: 0,
                positive: BTreeMap::new(),
            };
            values.into_iter().for_each(|value| self.count(value, 1));
        }
    }

    fn count(&mut self, value: f64, count: u64) {
        if let Form::Bins {
            negative,
            zero,
            positive,
        } = &mut self.0
        {
            if value.abs() < SMALLEST {
                *zero += count;
            } else if value < 0.0 {
                *negative.entry(bin_of(-value)).or_default() += count;
            } else {
                *positive.entry(bin_of(value)).or_default() += count;
            }
        }
    }

    /// The quantiles `qs` (0 to 1), each interpolated between the two nearest ranks as SQL's
    /// `percentile_cont` does; none of an empty sketch. Exact up to [`EXACT`] values; past that
    /// each rank's value has a relative error of at most [`ACCURACY`].
    pub fn quantiles<const N: usize>(&self, qs: [f64; N]) -> Option<[f64; N]> {
        match &self.0 {
            Form::Exact(values) if values.is_empty() => None,
            Form::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_unstable_by(f64::total_cmp);
                Some(qs.map(|q| contract::percentile(&sorted, q).unwrap_or_default()))
            }
            Form::Bins {
                negative,
                zero,
                positive,
            } => {
                let mut steps: Vec<(f64, u64)> =
                    Vec::with_capacity(negative.len() + positive.len() + 1);
                let mut seen = 0;
                let below = negative
                    .iter()
                    .rev()
                    .map(|(bin, count)| (-value_of(*bin), *count));
                let above = positive.iter().map(|(bin, count)| (value_of(*bin), *count));
                for (value, count) in below
                    .chain((*zero > 0).then_some((0.0, *zero)))
                    .chain(above)
                {
                    seen += count;
                    steps.push((value, seen));
                }
                let at = |rank: u64| {
                    steps
                        .iter()
                        .find(|(_, upto)| rank < *upto)
                        .map_or(0.0, |(value, _)| *value)
                };
                Some(qs.map(|q| {
                    let rank = q.clamp(0.0, 1.0) * (seen - 1) as f64;
                    let (low, high) = (at(rank.floor() as u64), at(rank.ceil() as u64));
                    low + (high - low) * rank.fract()
                }))
            }
        }
    }

    /// The state as bytes: a version, the form, then its numbers, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![1];
        match &self.0 {
            Form::Exact(values) => {
                out.push(0);
                values
                    .iter()
                    .for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }
            Form::Bins {
                negative,
                zero,
                positive,
            } => {
                out.push(1);
                out.extend_from_slice(&zero.to_le_bytes());
                out.extend_from_slice(&(negative.len() as u32).to_le_bytes());
                for (bin, count) in negative.iter().chain(positive) {
                    out.extend_from_slice(&bin.to_le_bytes());
                    out.extend_from_slice(&count.to_le_bytes());
                }
            }
        }
        out
    }

    /// Reads what [`to_bytes`](Sketch::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`DamagedSketch`] for any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Sketch, DamagedSketch> {
        let [1, form, rest @ ..] = bytes else {
            return Err(DamagedSketch("unknown version"));
        };
        match form {
            0 => {
                let (values, odd) = rest.as_chunks::<8>();
                if !odd.is_empty() || values.len() > EXACT {
                    return Err(DamagedSketch("wrong length"));
                }
                Ok(Sketch(Form::Exact(
                    values
                        .iter()
                        .map(|bytes| f64::from_le_bytes(*bytes))
                        .collect(),
                )))
            }
            1 => {
                let (head, rest) = rest
                    .split_at_checked(12)
                    .ok_or(DamagedSketch("too short"))?;
                let zero = u64::from_le_bytes(
                    head[..8]
                        .try_into()
                        .map_err(|_| DamagedSketch("too short"))?,
                );
                let split = u32::from_le_bytes(
                    head[8..]
                        .try_into()
                        .map_err(|_| DamagedSketch("too short"))?,
                );
                let (pairs, odd) = rest.as_chunks::<12>();
                if !odd.is_empty() || split as usize > pairs.len() {
                    return Err(DamagedSketch("wrong length"));
                }
                let bins = pairs.iter().map(|pair| {
                    let (mut bin, mut count) = ([0; 4], [0; 8]);
                    bin.copy_from_slice(&pair[..4]);
                    count.copy_from_slice(&pair[4..]);
                    (i32::from_le_bytes(bin), u64::from_le_bytes(count))
                });
                let negative = bins.clone().take(split as usize).collect();
                let positive = bins.skip(split as usize).collect();
                Ok(Sketch(Form::Bins {
                    negative,
                    zero,
                    positive,
                }))
            }
            _ => Err(DamagedSketch("unknown form")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QS: [f64; 5] = [0.0, 0.5, 0.95, 0.99, 1.0];

    fn of(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(
            prop_oneof![-1e6..1e6_f64, 0.0..100.0_f64, Just(0.0), -1e-9..1e-9_f64],
            1..600,
        )
    }

    proptest! {
        #[test]
        fn each_ranks_value_is_within_the_stated_accuracy(values in values()) {
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let sketch = of(&values);
            for (rank, value) in sorted.iter().enumerate() {
                // A hair inside the rank, so that rounding does not pick its neighbour.
                let q = rank as f64 / (sorted.len().max(2) - 1) as f64;
                let [found] = sketch.quantiles([q]).unwrap();
                let near = |other: &f64| (found - other).abs() <= other.abs() * ACCURACY * 1.001 + 1e-12;
                let neighbours = [rank.saturating_sub(1), rank, (rank + 1).min(sorted.len() - 1)];
                prop_assert!(neighbours.iter().any(|at| near(&sorted[*at])) || (found >= sorted[neighbours[0]] && found <= sorted[neighbours[2]]), "rank {rank}: {found} for {value}");
            }
        }

        #[test]
        fn merging_in_any_order_and_grouping_gives_the_same_quantiles(values in values(), at in 0.0..1.0_f64) {
            let cut = (values.len() as f64 * at) as usize;
            let (left, right) = values.split_at(cut);
            let whole = of(&values);
            let mut one = of(left);
            one.merge(&of(right));
            let mut other = of(right);
            other.merge(&of(left));
            prop_assert_eq!(one.quantiles(QS), whole.quantiles(QS));
            prop_assert_eq!(other.quantiles(QS), whole.quantiles(QS));
        }

        #[test]
        fn state_reads_back_the_same_and_damage_is_an_error(values in values(), noise in prop::collection::vec(any::<u8>(), 0..60)) {
            let sketch = of(&values);
            prop_assert_eq!(&Sketch::from_bytes(&sketch.to_bytes()).unwrap(), &sketch);
            let _ = Sketch::from_bytes(&noise);
            let bytes = sketch.to_bytes();
            prop_assert!(Sketch::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        }
    }

    #[test]
    fn few_values_are_exact() {
        assert_eq!(
            of(&[1.0, 2.0, 4.0, 8.0]).quantiles([0.5, 0.25]),
            Some([3.0, 1.75])
        );
        assert_eq!(Sketch::default().quantiles([0.5]), None);
    }
}
