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
    /// Standard deviation of the numbers as a whole population (divided by n): at most half of the way from `min` to
    /// `max`, so that it is a finite number even where squares are past the largest double.
    pub deviation: f64,
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
            deviation: 0.0,
            sketch: Sketch::default(),
        }
    }
}

impl Stats {
    /// Statistics of finite values, which are sorted in place, and of a number of `texts`. Without `quantiles` none
    /// can be told of these values, nor of any that they are merged with.
    pub fn of(values: &mut [f64], texts: u64, quantiles: bool) -> Stats {
        values.sort_unstable_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first(), values.last()) else {
            return Stats {
                count: texts,
                texts,
                ..Stats::default()
            };
        };
        let (mean, deviation) = mean_and_deviation(values);
        Stats {
            count: values.len() as u64 + texts,
            texts,
            min: *min,
            max: *max,
            mean,
            deviation,
            sketch: if quantiles {
                Sketch::of_sorted(values)
            } else {
                Sketch::none()
            },
        }
    }

    /// Adds all values of `other` (Chan, Golub, LeVeque 1979).
    pub fn merge(&mut self, other: &Stats) {
        let (mine, theirs) = (self.numbers(), other.numbers());
        if theirs > 0.0 {
            let all = mine + theirs;
            let way = other.mean - self.mean;
            let mean = if way.is_finite() {
                self.mean + way * (theirs / all)
            } else {
                self.mean * (mine / all) + other.mean * (theirs / all)
            };
            // Roots of the sums of squares: no square of a large or small number is ever made.
            let within = (self.deviation * (mine / all).sqrt())
                .hypot(other.deviation * (theirs / all).sqrt());
            let half_way = other.mean * 0.5 - self.mean * 0.5;
            let between = half_way * (2.0 * (mine / all).sqrt() * (theirs / all).sqrt());
            self.min = self.min.min(other.min);
            self.max = self.max.max(other.max);
            self.mean = mean.max(self.min).min(self.max);
            self.deviation = within.hypot(between).min(half(self.min, self.max));
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

    /// Sample standard deviation (divided by n − 1) of the numbers; none of fewer than two, or if it is past the
    /// largest double.
    pub fn stddev(&self) -> Option<f64> {
        let numbers = self.numbers();
        let stddev = self.deviation * (numbers / (numbers - 1.0)).sqrt();
        (numbers >= 2.0 && stddev.is_finite()).then_some(stddev)
    }

    /// Sets what [`Stats::stddev`] gave; `None` of two numbers or more stands for one past the largest double.
    pub(crate) fn set_stddev(&mut self, stddev: Option<f64>) {
        let numbers = self.numbers();
        let known = stddev.filter(|stddev| stddev.is_finite());
        self.deviation = match (known, self.sketch.exact()) {
            (Some(stddev), _) => stddev * ((numbers - 1.0) / numbers).sqrt(),
            (None, _) if numbers < 2.0 => 0.0,
            (None, Some(values)) => mean_and_deviation(values).1,
            // Such a deviation is as large as it can be, to within a value of more than a hundred.
            (None, None) => half(self.min, self.max),
        };
        // Earlier versions wrote a mean past the largest double.
        if !self.mean.is_finite() {
            let values = self.sketch.exact();
            self.mean = values.map_or(self.min / 2.0 + self.max / 2.0, |values| {
                mean_and_deviation(values).0
            });
        }
    }

    /// The 50th, 95th and 99th percentile, clamped to the extremes; none if there is no number.
    pub fn percentiles(&self) -> Option<[f64; 3]> {
        let found = self.sketch.quantiles([0.5, 0.95, 0.99])?;
        Some(found.map(|value| value.clamp(self.min, self.max)))
    }
}

/// Half of the way from `min` to `max`.
fn half(min: f64, max: f64) -> f64 {
    max * 0.5 - min * 0.5
}

/// Mean and population standard deviation of ascending finite values, of which there is one at least. Both are finite.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let (min, max) = (values[0], values[values.len() - 1]);
    let largest = min.abs().max(max.abs());
    // Beyond these, squares of the values or of their last digits leave the range of doubles.
    if largest == 0.0 || (1e-130..=1e130).contains(&largest) {
        return near_one(values.iter().copied(), values[values.len() / 2]);
    }
    let power = (largest.log2() as i32).clamp(-1000, 1000);
    let (down, up) = (2_f64.powi(-power), 2_f64.powi(power));
    let near = values[values.len() / 2] * down;
    let (mean, deviation) = near_one(values.iter().map(|value| value * down), near);
    // Rounding may carry either past its bound, which may be the largest double.
    let mean = (mean * up).max(min).min(max);
    (mean, (deviation * up).min(half(min, max)))
}

/// As [`mean_and_deviation`], of values whose squares are doubles. `near` is one in their middle.
fn near_one(values: impl ExactSizeIterator<Item = f64> + Clone, near: f64) -> (f64, f64) {
    // Two passes, with distances from the median: as exact as value by value, and faster.
    let numbers = values.len() as f64;
    let mean = near + values.clone().map(|value| value - near).sum::<f64>() / numbers;
    let squares = values.map(|value| (value - mean) * (value - mean));
    (mean, (squares.sum::<f64>() / numbers).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Stats {
        Stats::of(&mut values.to_vec(), 0, true)
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

    /// Doubles of every size, most of them at the ends of their range.
    fn extreme() -> impl Strategy<Value = f64> {
        use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
        prop_oneof![
            NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE,
            prop::sample::select(vec![
                f64::MAX,
                f64::MIN,
                1.7e308,
                -1.7e308,
                1e308,
                5e-324,
                -5e-324,
                1e-200,
                0.0
            ]),
        ]
    }

    proptest! {
        #[test]
        fn finite_values_have_finite_statistics_however_they_are_merged(
            values in prop::collection::vec(extreme(), 1..300), at in 0.0..1.0_f64,
        ) {
            let whole = of(&values);
            let (left, right) = values.split_at((values.len() as f64 * at) as usize);
            let mut merged = of(left);
            merged.merge(&of(right));
            for stats in [&whole, &merged] {
                prop_assert!(stats.mean.is_finite() && stats.deviation.is_finite());
                prop_assert!(stats.min <= stats.mean && stats.mean <= stats.max);
                prop_assert!(stats.stddev().is_none_or(f64::is_finite));
                let percentiles = stats.percentiles().unwrap();
                prop_assert!(percentiles.iter().all(|value| value.is_finite()));
            }
            // The least doubles are rounded to steps of 5e-324.
            let near = 1e-9 * whole.min.abs().max(whole.max.abs()) + 1e-320;
            prop_assert!((merged.mean - whole.mean).abs() <= near);
            prop_assert!((merged.deviation - whole.deviation).abs() <= near);
            prop_assert_eq!(merged.percentiles(), whole.percentiles());
        }
    }

    #[test]
    fn the_two_ends_of_doubles_have_zero_in_their_middle() {
        let stats = of(&[1.7e308, -1.7e308]);
        assert_eq!((stats.mean, stats.percentiles().unwrap()[0]), (0.0, 0.0));
        // It would be 2.4e308.
        assert_eq!(stats.stddev(), None);
        let mut merged = of(&[1.7e308]);
        merged.merge(&of(&[-1.7e308]));
        assert_eq!((merged.mean, merged.stddev()), (0.0, None));
        let four = of(&[1e308, -1e308, 1e308, -1e308]);
        assert!((four.stddev().unwrap() / 1e308 - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn values_of_any_size_have_a_spread() {
        let small = of(&[1e-200, 3e-200]);
        assert!((small.stddev().unwrap() / 1e-200 - 2.0_f64.sqrt()).abs() < 1e-12);
        let mut merged = of(&[1e-200]);
        merged.merge(&of(&[3e-200]));
        assert!((merged.stddev().unwrap() / 1e-200 - 2.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_signal_without_quantiles_keeps_all_else() {
        let mut stats = Stats::of(&mut [48.1, 48.2], 0, false);
        assert_eq!((stats.percentiles(), stats.max), (None, 48.2));
        stats.merge(&of(&[48.3]));
        assert_eq!((stats.percentiles(), stats.count), (None, 3));
        let mut other = of(&[48.3]);
        other.merge(&Stats::of(&mut [48.1, 48.2], 0, false));
        assert_eq!((other.percentiles(), other.count), (None, 3));
        assert!((other.stddev().unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn values_near_the_end_of_doubles_have_a_mean() {
        let stats = of(&[0.0, 0.0, 0.0, 1.7e308, 1.7e308]);
        assert!((stats.mean / 6.8e307 - 1.0).abs() < 1e-9, "{}", stats.mean);
    }

    #[test]
    fn texts_are_counted_alone() {
        let mut stats = Stats::of(&mut [], 1, true);
        assert!((stats.count, stats.is_numeric(), stats.percentiles()) == (1, false, None));
        stats.merge(&of(&[1.0, 3.0]));
        assert_eq!((stats.count, stats.mean), (3, 2.0));
    }
}
