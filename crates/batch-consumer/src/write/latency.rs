//! Latencies of a batch: quantiles for the log line, and a histogram for Prometheus.
//!
//! The histogram is counted here, once a batch, as the series that Prometheus makes of one: `_bucket` with its `le`,
//! `_count` and `_sum`. `_sum` is a gauge because counters of the metrics library are integers, and its seconds have a
//! fraction. The library's own histogram keeps each value until it is asked for: 24 bytes an event for seconds.

use metrics::{counter, describe_counter, describe_gauge, gauge};
use service::metrics::LATENCY_BUCKETS;

/// Gives the histogram its help texts, and shows it empty.
pub(crate) fn describe(name: &str, help: &'static str) {
    describe_counter!(format!("{name}_bucket"), help);
    describe_counter!(format!("{name}_count"), help);
    describe_gauge!(format!("{name}_sum"), help);
    record(name, &[]);
}

/// Adds a batch's latencies, ascending, to the histogram of that name.
pub(crate) fn record(name: &str, sorted_ms: &[i64]) {
    let bucket = |bound: String, count: usize| {
        counter!(format!("{name}_bucket"), "le" => bound).increment(count as u64);
    };
    for bound in LATENCY_BUCKETS {
        let within = sorted_ms.partition_point(|ms| *ms as f64 <= bound * 1000.0);
        bucket(bound.to_string(), within);
    }
    bucket("+Inf".to_owned(), sorted_ms.len());
    counter!(format!("{name}_count")).increment(sorted_ms.len() as u64);
    // Negative if the sender's clock is ahead; the sum must not shrink.
    let sum_ms: i64 = sorted_ms.iter().map(|ms| (*ms).max(0)).sum();
    gauge!(format!("{name}_sum")).increment(sum_ms as f64 / 1000.0);
}

/// The quantile (0 to 1) in whole milliseconds: `812ms`; of no values, `0ms`.
pub(crate) fn shown(sorted_ms: &[i64], quantile: f64) -> String {
    let last = sorted_ms.len().saturating_sub(1);
    let rank = quantile * last as f64;
    // `percentile` needs the two values next to the rank only.
    let between = [rank.floor(), rank.ceil()]
        .map(|at| sorted_ms.get(at as usize).copied().unwrap_or_default() as f64);
    let value = contract::percentile(&between, rank.fract()).unwrap_or_default();
    format!("{}ms", value.round() as i64)
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn batches_add_up_to_a_histogram_as_prometheus_shows_it() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe("h", "help");
            record("h", &[-5, 2, 3, 1000, 700_000]);
            record("h", &[10]);
        });
        let page = recorder.handle().render();
        for line in [
            "h_bucket{le=\"0.001\"} 1",
            "h_bucket{le=\"0.0025\"} 2",
            "h_bucket{le=\"0.005\"} 3",
            "h_bucket{le=\"0.01\"} 4",
            "h_bucket{le=\"0.5\"} 4",
            "h_bucket{le=\"1\"} 5",
            "h_bucket{le=\"600\"} 5",
            "h_bucket{le=\"+Inf\"} 6",
            "h_count 6",
            "h_sum 701.015",
        ] {
            assert!(
                page.lines().any(|one| one == line),
                "no `{line}` in\n{page}"
            );
        }
    }

    #[test]
    fn quantiles_are_whole_milliseconds() {
        assert_eq!(shown(&[1, 2], 0.5), "2ms");
        assert_eq!(shown(&[-5], 0.95), "-5ms");
        assert_eq!(shown(&[100, 200, 300], 0.5), "200ms");
        assert_eq!(shown(&[0, 100, 200], 0.95), "190ms");
        assert_eq!(shown(&[], 0.5), "0ms");
    }
}
