//! Counts of values in bins whose bounds grow by a constant factor, as in DDSketch (Masson, Rim, Lee, VLDB 2019,
//! section 2).

use std::sync::LazyLock;

use crate::aggregates::merge_sorted::merge_sorted;

/// Largest relative error of a value that is read from a bin.
pub const ACCURACY: f64 = 0.004;

/// Magnitudes below this count as zero: no sensor resolves them.
const SMALLEST: f64 = 1e-300;

/// The most bins of a sign. They span a ratio of 10^28 from the least magnitude to the greatest; magnitudes below are
/// counted in the lowest of these bins, and so read as at most 10^-28 of the greatest. Without a bound, noise over all
/// exponents would take 175,000 bins.
pub(crate) const MOST_BINS: i32 = 8192;

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

/// The bins, ascending, with those that are too far below the last one counted in the lowest that is kept. Which bins
/// these are follows from the last one alone, so that merging in any order gives the same.
pub(crate) fn collapsed(mut bins: Vec<(i32, u64)>) -> Vec<(i32, u64)> {
    let Some((last, _)) = bins.last() else {
        return bins;
    };
    let lowest = last.saturating_sub(MOST_BINS - 1);
    let below = bins.partition_point(|(bin, _)| *bin < lowest);
    if below > 0 {
        let count = bins.drain(..below).map(|(_, count)| count).sum::<u64>();
        match bins.first_mut() {
            Some((bin, first)) if *bin == lowest => *first += count,
            _ => bins.insert(0, (lowest, count)),
        }
    }
    bins
}

fn upper_bound(bin: i32) -> f64 {
    (f64::from(bin) * log_gamma()).exp()
}

fn bin_of(magnitude: f64) -> i32 {
    (magnitude.ln() / log_gamma()).ceil() as i32
}

/// The value within [`ACCURACY`] of every value in the bin.
fn value_of(bin: i32) -> f64 {
    // By logarithms, for the upper bound itself may be past the largest double.
    let below_upper = ((1.0 + log_gamma().exp()) / 2.0).ln();
    (f64::from(bin) * log_gamma() - below_upper)
        .exp()
        .min(f64::MAX)
}

impl Bins {
    /// Bins of ascending finite values.
    pub(crate) fn of_sorted(values: &[f64]) -> Bins {
        let negatives = values.partition_point(|value| *value <= -SMALLEST);
        let zeros = values[negatives..].partition_point(|value| *value < SMALLEST);
        let (zero, positive) = values[negatives..].split_at(zeros);
        Bins {
            negative: collapsed(counted(
                values[..negatives].iter().rev().map(|value| -value),
            )),
            zero: zero.len() as u64,
            positive: collapsed(counted(positive.iter().copied())),
        }
    }

    /// Counts finite values, in any order: without sorting them, which takes three times as long.
    pub(crate) fn add(&mut self, values: &[f64]) {
        let (mut negative, mut positive) = (Vec::new(), Vec::new());
        for value in values {
            if *value >= SMALLEST {
                positive.push(bin_of(*value));
            } else if *value <= -SMALLEST {
                negative.push(bin_of(-value));
            } else {
                self.zero += 1;
            }
        }
        self.merge(&Bins {
            negative: collapsed(tallied(negative)),
            zero: 0,
            positive: collapsed(tallied(positive)),
        });
    }

    pub(crate) fn merge(&mut self, other: &Bins) {
        self.zero += other.zero;
        let by_bin = |a: &(i32, u64), b: &(i32, u64)| a.0.cmp(&b.0);
        for (mine, theirs) in [
            (&mut self.negative, &other.negative),
            (&mut self.positive, &other.positive),
        ] {
            merge_sorted(mine, theirs, by_bin, |mine, theirs| mine.1 += theirs.1);
            *mine = collapsed(std::mem::take(mine));
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
            contract::interpolate(low, high, rank.fract())
        })
    }
}

/// How often each bin is there, ascending.
fn tallied(mut bins: Vec<i32>) -> Vec<(i32, u64)> {
    let (Some(first), Some(last)) = (bins.iter().min().copied(), bins.iter().max().copied()) else {
        return Vec::new();
    };
    let span = (last - first) as usize + 1;
    // A slot for each bin, unless most would stay empty.
    if span <= bins.len() * 4 {
        let mut slots = vec![0_u64; span];
        for bin in bins {
            slots[(bin - first) as usize] += 1;
        }
        let slots = (first..).zip(slots);
        return slots.filter(|(_, count)| *count > 0).collect();
    }
    bins.sort_unstable();
    let runs = bins.chunk_by(|a, b| a == b);
    runs.map(|run| (run[0], run.len() as u64)).collect()
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
        fn noise_over_all_exponents_takes_bounded_bins_in_whatever_order_it_is_merged(
            seeds in prop::collection::vec((-299.0..308.0_f64, any::<bool>()), 1..2000), at in 0.0..1.0_f64,
        ) {
            let mut values: Vec<f64> = seeds.iter().map(|(power, negative)| {
                let magnitude = 10_f64.powf(*power);
                if *negative { -magnitude } else { magnitude }
            }).collect();
            let (left, right) = values.split_at((values.len() as f64 * at) as usize);
            let sorted = |values: &[f64]| {
                let mut values = values.to_vec();
                values.sort_unstable_by(f64::total_cmp);
                Bins::of_sorted(&values)
            };
            let mut merged = sorted(right);
            merged.merge(&sorted(left));
            values.sort_unstable_by(f64::total_cmp);
            let whole = Bins::of_sorted(&values);
            prop_assert_eq!(&merged, &whole);
            prop_assert!(whole.negative.len().max(whole.positive.len()) <= MOST_BINS as usize);
            // Each value is as near as stated: by its own size, or by that of the greatest of its sign.
            let greatest = |negative: bool| {
                let of_sign = values.iter().filter(|value| value.is_sign_negative() == negative);
                of_sign.fold(0.0_f64, |most, value| most.max(value.abs()))
            };
            for (rank, value) in values.iter().enumerate() {
                let q = rank as f64 / (values.len().max(2) - 1) as f64;
                let [found] = whole.quantiles([q]);
                let near = |other: f64| {
                    (found - other).abs() <= other.abs() * ACCURACY * 1.001 + greatest(other < 0.0) * 1e-27
                };
                let around = [rank.saturating_sub(1), rank, (rank + 1).min(values.len() - 1)];
                let between = found >= values[around[0]] && found <= values[around[2]];
                prop_assert!(between || around.iter().any(|at| near(values[*at])), "{found} for {value}");
            }
        }

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
