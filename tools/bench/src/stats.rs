//! Medians, spreads and percentiles of a few runs or of many samples.

/// The middle value, or the mean of the middle two; 0 without values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The least and the greatest value; zeros without values.
pub(crate) fn spread(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().min_by(f64::total_cmp);
    let greatest = values.iter().copied().max_by(f64::total_cmp);
    (least.unwrap_or_default(), greatest.unwrap_or_default())
}

/// Percentiles in milliseconds of samples in microseconds; zeros without samples.
pub(crate) fn latencies_ms(samples: &mut [u32]) -> Latencies {
    samples.sort_unstable();
    let at = |quantile: f64| {
        let rank = (quantile * samples.len() as f64).ceil() as usize;
        let sample = samples.get(rank.saturating_sub(1)).copied();
        f64::from(sample.unwrap_or_default()) / 1e3
    };
    Latencies {
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        max: at(1.0),
    }
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Latencies {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_middle_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 3.0));
    }

    #[test]
    fn a_percentile_is_a_sample_at_least_that_share_of_samples_do_not_exceed() {
        let mut samples: Vec<u32> = (1..=100).rev().map(|ms| ms * 1000).collect();
        let found = latencies_ms(&mut samples);
        assert_eq!(
            (found.p50, found.p95, found.p99, found.max),
            (50.0, 95.0, 99.0, 100.0)
        );
        assert_eq!(latencies_ms(&mut []), Latencies::default());
        assert_eq!(latencies_ms(&mut [7000]).p99, 7.0);
    }
}
