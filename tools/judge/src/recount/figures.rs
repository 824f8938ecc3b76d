//! The figures of a signal's values, worked out in the plainest way that is exact.

/// Percentiles of up to this many values are exact (`docs/architecture.md`, "The lake").
const EXACT: usize = 128;

/// Past that, the value of each rank is within this share of itself.
const ACCURACY: f64 = 0.004;

/// Magnitudes below this may be counted as zero.
const SMALLEST: f64 = 1e-300;

/// Squares of larger values leave the range of a double: they are counted as shares of the largest.
const LARGE: f64 = 1e150;

/// A figure, and how far off an aggregate of it may be.
pub(super) type Figure = (f64, f64);

/// Min, max, mean, standard deviation of the sample, p50, p95 and p99 of `sorted`; `None` where it is empty.
pub(super) fn figures(sorted: &[f64]) -> Option<[Figure; 7]> {
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let size = min.abs().max(max.abs());
    let unit = if size > LARGE { size } else { 1.0 };
    let numbers = sorted.len() as f64;
    let mean = sum(sorted.iter().map(|value| value / unit)) / numbers;
    let squares = sum(sorted.iter().map(|value| (value / unit - mean).powi(2)));
    // Of one value there is no deviation: its place is not looked at.
    let stddev = unit * (squares / (numbers - 1.0)).sqrt();
    let mean = unit * mean;
    // Beside the share of the figure one of the values: a mean near 0 carries their rounding.
    let off = |figure: f64| 1e-9 * figure.abs() + 1e-13 * size;
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|q| percentile(sorted, q));
    Some([
        (min, 0.0),
        (max, 0.0),
        (mean, off(mean)),
        (stddev, off(stddev)),
        p50,
        p95,
        p99,
    ])
}

/// The sum, with what each addition rounds away added at the end (Neumaier 1974).
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut rest) = (0.0_f64, 0.0);
    for value in values {
        let next = sum + value;
        rest += if sum.abs() >= value.abs() {
            (sum - next) + value
        } else {
            (value - next) + sum
        };
        sum = next;
    }
    sum + rest
}

/// The quantile between its two ranks, as `percentile_cont` has it, and how far off it may be.
fn percentile(sorted: &[f64], q: f64) -> Figure {
    let rank = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    let share = rank.fract();
    let value = low * (1.0 - share) + high * share;
    let off = if sorted.len() <= EXACT {
        // Rounding alone, whichever way the two are brought together.
        4.0 * f64::EPSILON * (low.abs() + high.abs())
    } else {
        1.001 * ACCURACY * (low.abs() * (1.0 - share) + high.abs() * share) + SMALLEST
    };
    (value, off)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(figure: (f64, f64), to: f64) -> bool {
        (figure.0 - to).abs() <= to.abs() * 1e-12
    }

    #[test]
    fn figures_are_those_of_the_textbook() {
        assert!(figures(&[]).is_none());
        let [min, max, mean, stddev, p50, p95, p99] = figures(&[1.0, 2.0, 4.0, 9.0]).unwrap();
        assert_eq!((min, max), ((1.0, 0.0), (9.0, 0.0)));
        assert!(close(mean, 4.0) && close(stddev, (38.0_f64 / 3.0).sqrt()));
        assert!(close(p50, 3.0) && close(p95, 8.25) && close(p99, 8.85));
        assert!(p50.1 < 1e-14);
    }

    #[test]
    fn many_values_may_be_off_by_what_is_promised_and_few_may_not() {
        let values: Vec<f64> = (1..=129).map(f64::from).collect();
        let off = |values: &[f64]| figures(values).unwrap()[4].1;
        assert!(off(&values) > 0.2, "{}", off(&values));
        assert!(off(&values[..128]) < 1e-12);
    }

    #[test]
    fn sums_of_large_and_small_values_are_right() {
        let small = figures(&[-1e16, 1.0, 1e16]).unwrap();
        assert!(close(small[2], 1.0 / 3.0));
        let large = figures(&[-1e308, 1e308, 1e308]).unwrap();
        assert!(close(large[2], 1e308 / 3.0));
        assert!(
            close(large[3], 1e308 * (2.0 / 3.0_f64.sqrt())),
            "{:?}",
            large[3]
        );
    }
}
