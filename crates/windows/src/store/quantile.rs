//! Values of a pane for quantiles.

use std::collections::BTreeMap;

/// Values of a pane that are kept as they are. Past them, values are counted in bins.
const EXACT: usize = 128;
/// Largest relative error of a value that is read from a bin, as in the sketches of the lake.
const ACCURACY: f64 = 0.004;
/// Magnitudes below this count as zero: no sensor resolves them.
const SMALLEST: f64 = 1e-300;

/// The values of one series in one pane. A function of the values, whatever their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// In the order in which they came.
    Exact(Vec<f64>),
    /// Number of values by bin. Bin `n` above 0 holds magnitudes above `gamma^(n - OFFSET - 1)` up to `gamma^(n -
    /// OFFSET)`, as in DDSketch (Masson, Rim, Lee, VLDB 2019, section 2); bin `-n` the negative ones, and bin 0 zero.
    Bins(BTreeMap<i32, u64>),
}

/// More than the number of any bin: the logarithm of the least magnitude by that of gamma is above -90,000.
const OFFSET: i32 = 100_000;

fn log_gamma() -> f64 {
    ((1.0 + ACCURACY) / (1.0 - ACCURACY)).ln()
}

fn bin_of(value: f64) -> i32 {
    if value.abs() < SMALLEST {
        return 0;
    }
    let bin = (value.abs().ln() / log_gamma()).ceil() as i32 + OFFSET;
    if value > 0.0 { bin } else { -bin }
}

/// The value within [`ACCURACY`] of every value in the bin.
fn value_of(bin: i32) -> f64 {
    if bin == 0 {
        return 0.0;
    }
    // By logarithms, for the upper bound itself may be past the largest double.
    let below_upper = ((1.0 + log_gamma().exp()) / 2.0).ln();
    let magnitude = (f64::from(bin.abs() - OFFSET) * log_gamma() - below_upper).exp();
    magnitude.min(f64::MAX) * f64::from(bin.signum())
}

impl Values {
    pub(super) fn add(&mut self, value: f64) {
        match self {
            Values::Exact(values) if values.len() < EXACT => values.push(value),
            Values::Exact(values) => {
                let mut bins = BTreeMap::new();
                for value in values.iter().chain([&value]) {
                    *bins.entry(bin_of(*value)).or_insert(0) += 1;
                }
                *self = Values::Bins(bins);
            }
            Values::Bins(bins) => *bins.entry(bin_of(value)).or_insert(0) += 1,
        }
    }

    fn counted(&self, into: &mut Vec<(f64, u64)>) {
        match self {
            Values::Exact(values) => into.extend(values.iter().map(|value| (*value, 1))),
            Values::Bins(bins) => {
                into.extend(bins.iter().map(|(bin, count)| (value_of(*bin), *count)))
            }
        }
    }
}

impl Default for Values {
    fn default() -> Values {
        Values::Exact(Vec::new())
    }
}

/// The quantile `q` (0 to 1) of all values of some panes, interpolated between the two nearest ranks as PromQL and
/// SQL's `percentile_cont` do. None of no value.
pub(crate) fn quantile<'a>(panes: impl Iterator<Item = &'a Values>, q: f64) -> Option<f64> {
    let mut counted = Vec::new();
    panes.for_each(|values| values.counted(&mut counted));
    counted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let count: u64 = counted.iter().map(|(_, count)| count).sum();
    let rank = q.clamp(0.0, 1.0) * count.checked_sub(1)? as f64;
    let at = |rank: u64| {
        let mut passed = 0;
        let reaches = |(_, count): &&(f64, u64)| {
            passed += count;
            passed > rank
        };
        counted.iter().find(reaches).map(|(value, _)| *value)
    };
    let (low, high) = (at(rank.floor() as u64)?, at(rank.ceil() as u64)?);
    let fraction = rank.fract();
    // Not `low + (high - low) * fraction`: the difference may be beyond the largest double.
    Some(if low == high {
        low
    } else {
        low * (1.0 - fraction) + high * fraction
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Values {
        let mut all = Values::default();
        values.iter().for_each(|value| all.add(*value));
        all
    }

    #[test]
    fn few_values_are_exact_over_panes() {
        let panes = [of(&[8.0, 1.0]), of(&[4.0, 2.0])];
        assert_eq!(quantile(panes.iter(), 0.5), Some(3.0));
        assert_eq!(quantile(panes.iter(), 1.0), Some(8.0));
        assert_eq!(quantile([].iter(), 0.5), None);
    }

    #[test]
    fn many_values_are_within_the_accuracy() {
        for scale in [1e-200, -3.0, 1.0, 1e300] {
            let values: Vec<f64> = (1..=1000).map(|n| f64::from(n) * scale).collect();
            for (q, n) in [(0.0, 1.0), (0.5, 500.5), (0.95, 950.05), (1.0, 1000.0)] {
                let expected = if scale > 0.0 {
                    n * scale
                } else {
                    (1001.0 - n) * scale
                };
                let found = quantile([of(&values)].iter(), q).unwrap();
                assert!(
                    (found - expected).abs() <= expected.abs() * 0.0041,
                    "{found} {expected}"
                );
            }
        }
    }
}
