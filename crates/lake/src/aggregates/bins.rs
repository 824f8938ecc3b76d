//! Counts of values in bins whose bounds grow by a constant factor, as in DDSketch (Masson, Rim, Lee, VLDB 2019,
//! section 2).

use std::sync::LazyLock;

use crate::aggregates::merge_sorted::merge_sorted;

/// Largest relative error of a value that is read from a bin.
pub const ACCURACY: f64 = 0.004;

/// Magnitudes below this count as zero: no sensor resolves them.
const SMALLEST: f64 = 1e-300;

/// Values by sign and bin: pairs of a bin's number and its count, ascending by bin. Bin `n` holds the magnitudes above
/// `gamma^(n-1)` up to `gamma^n`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bins {
    pub(crate) negative: Vec<(i32, u64)>,
    pub(crate) zero: u64,
    pub(crate) positive: Vec<(i32, u64)>,
}

/// Logarithm of gamma, the factor from one bound to the next.
fn log_gamma() -> f64 {
    static LOG_GAMMA: LazyLock<f64> = LazyLock::new(|| ((1.0 + ACCURACY) / (1.0 - ACCURACY)).ln());
    *LOG_GAMMA
}

fn upper_bound(bin: i32) -> f64 {
    (f64::from(bin) * log_gamma()).exp()
}

fn bin_of(magnitude: f64) -> i32 {
    (magnitude.ln() / log_gamma()).ceil() as i32
}

/// The value within [`ACCURACY`] of every value in the bin.
fn value_of(bin: i32) -> f64 {
    2.0 * upper_bound(bin) / (1.0 + log_gamma().exp())
}

impl Bins {
    /// Bins of ascending finite values.
    pub(crate) fn of_sorted(values: &[f64]) -> Bins {
        let negatives = values.partition_point(|value| *value <= -SMALLEST);
        let zeros = values[negatives..].partition_point(|value| *value < SMALLEST);
        let (zero, positive) = values[negatives..].split_at(zeros);
        Bins {
            negative: counted(values[..negatives].iter().rev().map(|value| -value)),
            zero: zero.len() as u64,
            positive: counted(positive.iter().copied()),
        }
    }

    pub(crate) fn merge(&mut self, other: &Bins) {
        self.zero += other.zero;
        let by_bin = |a: &(i32, u64), b: &(i32, u64)| a.0.cmp(&b.0);
        for (mine, theirs) in [
            (&mut self.negative, &other.negative),
            (&mut self.positive, &other.positive),
        ] {
            merge_sorted(mine, theirs, by_bin, |mine, theirs| mine.1 += theirs.1);
        }
    }

    /// The quantiles `qs` (0 to 1), interpolated between the two nearest ranks; zeros if there is no value.
    pub(crate) fn quantiles<const N: usize>(&self, qs: [f64; N]) -> [f64; N] {
        let (negative, positive) = (self.negative.iter().rev(), self.positive.iter());
        let steps = negative
            .map(|(bin, count)| (Some((*bin, -1.0)), *count))
            .chain([(None, self.zero)])
            .chain(positive.map(|(bin, count)| (Some((*bin, 1.0)), *count)));
        let mut upto = Vec::with_capacity(self.negative.len() + self.positive.len() + 1);
        let mut seen = 0;
        for (bin, count) in steps {
            seen += count;
            upto.push((seen, bin));
        }
        let at = |rank: u64| {
            let step = upto.partition_point(|(upto, _)| *upto <= rank);
            let bin = upto.get(step).and_then(|(_, bin)| *bin);
            bin.map_or(0.0, |(bin, sign)| sign * value_of(bin))
        };
        qs.map(|q| {
            let rank = q.clamp(0.0, 1.0) * seen.saturating_sub(1) as f64;
            let (low, high) = (at(rank.floor() as u64), at(rank.ceil() as u64));
            low + (high - low) * rank.fract()
        })
    }
}

/// Bins of ascending magnitudes.
fn counted(magnitudes: impl Iterator<Item = f64>) -> Vec<(i32, u64)> {
    let mut bins: Vec<(i32, u64)> = Vec::new();
    // Upper bound of the last bin, minus a margin for rounding; computed when a second value lands in the bin.
    let mut below = 0.0;
    for magnitude in magnitudes {
        if magnitude < below
            && let Some((_, count)) = bins.last_mut()
        {
            *count += 1;
            continue;
        }
        let bin = bin_of(magnitude);
        match bins.last_mut() {
            Some((last, count)) if *last == bin => {
                *count += 1;
                below = upper_bound(bin) * (1.0 - 1e-9);
            }
            _ => bins.push((bin, 1)),
        }
    }
    bins
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_value_is_counted_in_its_own_bin(mut values in prop::collection::vec(prop_oneof![-1e3..1e3_f64, Just(0.0), Just(-0.0), 0.9..1.1_f64, (-300..300_i32).prop_map(value_of), (-300..300_i32).prop_map(|bin| (f64::from(bin) * log_gamma()).exp())], 0..400)) {
            values.sort_unstable_by(f64::total_cmp);
            let bins = Bins::of_sorted(&values);
            let mut singly = Bins::default();
            for value in &values {
                singly.merge(&Bins::of_sorted(&[*value]));
            }
            prop_assert_eq!(bins, singly);
        }
    }
}
