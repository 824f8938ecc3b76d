//! Statistics of one entity's signal in one hour; they merge, so late events change an hour without reading its other
//! events again.

use crate::aggregates::sketch::Sketch;

/// Count, extremes, mean, spread and quantiles of a signal's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Number of values, texts included.
    pub count: u64,
    /// Number of texts: they are counted, and enter no other statistic.
    pub texts: u64,
    /// Least number; infinite if there is no number.
    pub min: f64,
    /// Greatest number; minus infinity if there is no number.
    pub max: f64,
    /// Mean of the numbers; booleans count as 0 and 1.
    pub mean: f64,
    /// Sum of the squared distances of the numbers from their mean.
    pub m2: f64,
    /// The numbers, for quantiles.
    pub sketch: Sketch,
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            count: 0,
            texts: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            m2: 0.0,
            sketch: Sketch::default(),
        }
    }
}

impl Stats {
    /// Statistics of finite values, which are sorted in place, and of a number of `texts`.
    pub fn of(values: &mut [f64], texts: u64) -> Stats {
        values.sort_unstable_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first(), values.last()) else {
            return Stats {
                count: texts,
                texts,
                ..Stats::default()
            };
        };
        let numbers = values.len() as f64;
        // Two passes, with distances from the median: as exact as value by value, and faster.
        let near = values[values.len() / 2];
        let mean = near + values.iter().map(|value| value - near).sum::<f64>() / numbers;
        let squares = values.iter().map(|value| (value - mean) * (value - mean));
        let mut stats = Stats {
            count: values.len() as u64 + texts,
            texts,
            min: *min,
            max: *max,
            mean,
            m2: squares.sum(),
            sketch: Sketch::of_sorted(values),
        };
        if !stats.mean.is_finite() {
            // The sum is past the largest double: value by value instead (Welford 1962).
            (stats.mean, stats.m2) = (0.0, 0.0);
            for (at, value) in values.iter().enumerate() {
                let delta = value - stats.mean;
                stats.mean += delta / (at + 1) as f64;
                stats.m2 += delta * (value - stats.mean);
            }
        }
        stats
    }

    /// Adds all values of `other` (Chan, Golub, LeVeque 1979).
    pub fn merge(&mut self, other: &Stats) {
        let (mine, theirs) = (self.numbers(), other.numbers());
        if theirs > 0.0 {
            let delta = other.mean - self.mean;
            let all = mine + theirs;
            self.mean += delta * theirs / all;
            self.m2 += other.m2 + delta * delta * mine * theirs / all;
            self.min = self.min.min(other.min);
            self.max = self.max.max(other.max);
            self.sketch.merge(&other.sketch);
        }
        self.count += other.count;
        self.texts += other.texts;
    }

    fn numbers(&self) -> f64 {
        (self.count - self.texts) as f64
    }

    /// Whether there is a number; without one, extremes and mean mean nothing.
    pub fn is_numeric(&self) -> bool {
        self.count > self.texts
    }

    /// Sample standard deviation (divided by n − 1) of the numbers; none of fewer than two.
    pub fn stddev(&self) -> Option<f64> {
        (self.numbers() >= 2.0).then(|| (self.m2.max(0.0) / (self.numbers() - 1.0)).sqrt())
    }

    /// The 50th, 95th and 99th percentile, clamped to the extremes; none if there is no number.
    pub fn percentiles(&self) -> Option<[f64; 3]> {
        let found = self.sketch.quantiles([0.5, 0.95, 0.99])?;
        Some(found.map(|value| value.clamp(self.min, self.max)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Stats {
        Stats::of(&mut values.to_vec(), 0)
    }

    fn close(a: f64, b: f64, scale: f64) -> bool {
        (a - b).abs() <= 1e-9 * scale.max(1e-12)
    }

    proptest! {
        #[test]
        fn merged_parts_equal_the_whole(parts in prop::collection::vec(prop::collection::vec(-1e6..1e6_f64, 0..40), 1..6)) {
            let whole = of(&parts.concat());
            let mut merged = Stats::default();
            parts.iter().for_each(|part| merged.merge(&of(part)));
            prop_assert_eq!((merged.count, merged.min.to_bits(), merged.max.to_bits()), (whole.count, whole.min.to_bits(), whole.max.to_bits()));
            prop_assert!(close(merged.mean, whole.mean, 1e6));
            match (merged.stddev(), whole.stddev()) {
                (Some(a), Some(b)) => prop_assert!(close(a, b, b)),
                (a, b) => prop_assert_eq!(a, b),
            }
            prop_assert_eq!(merged.percentiles(), whole.percentiles());
        }
    }

    #[test]
    fn a_constant_signal_has_no_spread_and_one_value_has_no_deviation() {
        assert_eq!(of(&[7.0, 7.0, 7.0]).stddev(), Some(0.0));
        assert_eq!(of(&[7.0]).stddev(), None);
        assert_eq!(of(&[]).percentiles(), None);
    }

    #[test]
    fn values_near_the_end_of_doubles_have_a_mean() {
        let stats = of(&[0.0, 0.0, 0.0, 1.7e308, 1.7e308]);
        assert!((stats.mean / 6.8e307 - 1.0).abs() < 1e-9, "{}", stats.mean);
    }

    #[test]
    fn texts_are_counted_alone() {
        let mut stats = Stats::of(&mut [], 1);
        assert!((stats.count, stats.is_numeric(), stats.percentiles()) == (1, false, None));
        stats.merge(&of(&[1.0, 3.0]));
        assert_eq!((stats.count, stats.mean), (3, 2.0));
    }
}
