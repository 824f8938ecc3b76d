//! Histograms as the series that Prometheus makes of them: `_bucket` with `le`, `_sum`, `_count`.

use std::borrow::Cow;

/// Most buckets of an exponential histogram. SDKs of OpenTelemetry and Prometheus make 160 unless told otherwise.
pub(crate) const MAX_BUCKETS: usize = 1_000;

/// What is said of a histogram with more.
pub(crate) fn too_many_buckets() -> String {
    format!("the histogram has more than {MAX_BUCKETS} buckets")
}

/// One exponential histogram, of OTLP or of Prometheus (native).
#[derive(Debug, Clone, Default)]
pub(crate) struct Exponential {
    /// Buckets grow by the factor 2^(2^-scale); at most 20, as OTLP has it.
    pub(crate) scale: i32,
    pub(crate) zero_count: f64,
    /// Values up to this distance from 0 are in `zero_count`.
    pub(crate) zero_threshold: f64,
    /// Index and count of the buckets that are told: the bucket of index `i` holds `(base^(i-1), base^i]`.
    pub(crate) positive: Vec<(i32, f64)>,
    pub(crate) negative: Vec<(i32, f64)>,
}

impl Exponential {
    /// Upper bounds and how many values are up to them, in rising order, without the last, infinite one.
    pub(crate) fn cumulative(&self) -> Vec<(f64, f64)> {
        let mut sum = 0.0;
        let mut buckets = Vec::with_capacity(self.negative.len() + self.positive.len() + 1);
        // The upper bound of a negative bucket is that side of it which is nearer to 0.
        for (index, count) in self.negative.iter().rev() {
            sum += count;
            buckets.push((-bound(self.scale, index.saturating_sub(1)), sum));
        }
        sum += self.zero_count;
        if self.zero_count > 0.0 || !self.negative.is_empty() {
            buckets.push((self.zero_threshold, sum));
        }
        for (index, count) in &self.positive {
            sum += count;
            buckets.push((bound(self.scale, *index), sum));
        }
        buckets.retain(|(bound, _)| bound.is_finite());
        buckets
    }
}

/// The upper bound of a bucket, `2^(index * 2^-scale)`.
/// Source: <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>.
fn bound(scale: i32, index: i32) -> f64 {
    (f64::from(index) * f64::from(-scale).exp2()).exp2()
}

/// A bound as the label `le` has it.
pub(crate) fn le(bound: f64) -> Cow<'static, str> {
    if bound == f64::INFINITY {
        Cow::Borrowed("+Inf")
    } else {
        Cow::Owned(bound.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_on_both_sides_of_zero_add_up_in_rising_order() {
        let histogram = Exponential {
            scale: 0,
            zero_count: 3.0,
            zero_threshold: 0.0,
            positive: vec![(0, 1.0), (2, 2.0)],
            negative: vec![(1, 4.0), (2, 5.0)],
        };
        // Negative: (-4, -2] has 5, (-2, -1] has 4; positive: (1/2, 1] has 1, (2, 4] has 2.
        assert_eq!(
            histogram.cumulative(),
            [
                (-2.0, 5.0),
                (-1.0, 9.0),
                (0.0, 12.0),
                (1.0, 13.0),
                (4.0, 15.0)
            ]
        );
        assert_eq!(bound(3, 8), 2.0);
        assert_eq!(bound(-1, 1), 4.0);
        assert_eq!([le(0.5), le(f64::INFINITY)], ["0.5", "+Inf"]);
    }
}
