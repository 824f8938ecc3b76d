//! How long events took.

use std::fmt;
use std::time::Duration;

use contract::percentile;

/// Time from an event's acceptance (its `202` had come) until its raw object was first seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Half of the events took at most this long.
    pub p50: Duration,
    /// 95 % of the events.
    pub p95: Duration,
    /// 99 % of the events.
    pub p99: Duration,
    /// The slowest event.
    pub max: Duration,
    /// How many events were measured.
    pub events: u64,
    /// Time between two looks: an object may have been there this much longer than was measured.
    pub resolution: Duration,
}

impl Latency {
    /// From the latencies in milliseconds, in any order; `None` if there are none.
    pub(crate) fn of(mut millis: Vec<f64>, resolution: Duration) -> Option<Latency> {
        millis.sort_unstable_by(f64::total_cmp);
        let at = |q| percentile(&millis, q).map(|millis| Duration::from_secs_f64(millis / 1e3));
        Some(Latency {
            p50: at(0.5)?,
            p95: at(0.95)?,
            p99: at(0.99)?,
            max: at(1.0)?,
            events: millis.len() as u64,
            resolution,
        })
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.2} s, p95 {:.2} s, p99 {:.2} s, max {:.2} s from 202 to seen in raw/ (looked every {} ms)",
            self.p50.as_secs_f64(),
            self.p95.as_secs_f64(),
            self.p99.as_secs_f64(),
            self.max.as_secs_f64(),
            self.resolution.as_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_events() {
        let latency = Latency::of(
            (0..=100).rev().map(f64::from).collect(),
            Duration::from_millis(200),
        )
        .unwrap();
        let millis =
            [latency.p50, latency.p95, latency.p99, latency.max].map(|time| time.as_millis());
        assert_eq!((millis, latency.events), ([50, 95, 99, 100], 101));
        assert_eq!(Latency::of(Vec::new(), Duration::ZERO), None);
    }
}
