//! What is counted per process, for metrics and the line a minute.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::info;

/// Events that SQS has.
pub(crate) const EVENTS_ACCEPTED: &str = "headwater_ingest_events_accepted_total";
/// Events refused, by `code`.
pub(crate) const EVENTS_REJECTED: &str = "headwater_ingest_events_rejected_total";

/// Counts since the last line, and the metrics that requests touch: looked up by name once.
pub(crate) struct Counts {
    accepted: AtomicU64,
    rejected: AtomicU64,
    requests: AtomicU64,
    accepted_total: Counter,
    accepted_requests_total: Counter,
    request_seconds: Histogram,
    body_bytes: Counter,
    connections: Gauge,
    sends_in_flight: Gauge,
}

/// Counts as one connection.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// The status of most answers.
const ACCEPTED: u16 = 202;

impl Default for Counts {
    /// To be made once the process has its recorder.
    fn default() -> Counts {
        Counts {
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            accepted_total: counter!(EVENTS_ACCEPTED),
            accepted_requests_total: requests_total(ACCEPTED),
            request_seconds: histogram!("headwater_ingest_request_seconds"),
            body_bytes: counter!("headwater_ingest_body_bytes_total"),
            connections: gauge!("headwater_ingest_connections"),
            sends_in_flight: gauge!("headwater_ingest_sends_in_flight"),
        }
    }
}

impl Counts {
    /// SQS has `events` more.
    pub(crate) fn accepted(&self, events: usize) {
        self.accepted.fetch_add(events as u64, Relaxed);
        self.accepted_total.increment(events as u64);
    }

    /// `events` were refused for the reason `code`.
    pub(crate) fn rejected(&self, code: &'static str, events: u64) {
        self.rejected.fetch_add(events, Relaxed);
        counter!(EVENTS_REJECTED, "code" => code).increment(events);
    }

    /// A request was answered with `status` after `took`.
    pub(crate) fn request(&self, status: u16, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        match status {
            ACCEPTED => self.accepted_requests_total.increment(1),
            other => requests_total(other).increment(1),
        }
        self.request_seconds.record(took);
    }

    /// A body of so many bytes has come.
    pub(crate) fn body(&self, bytes: usize) {
        self.body_bytes.increment(bytes as u64);
    }

    /// A connection is open for as long as this lives.
    pub(crate) fn connection(&self) -> OpenConnection {
        self.connections.increment(1);
        OpenConnection(self.connections.clone())
    }

    /// So many sends are in flight.
    pub(crate) fn sends_in_flight(&self, sends: usize) {
        self.sends_in_flight.set(sends as f64);
    }

    /// Logs the counts of each minute, for ever.
    pub(crate) async fn log_each_minute(&self, metrics: &PrometheusHandle) {
        const MINUTE: Duration = Duration::from_secs(60);
        let mut minutes = interval_at(Instant::now() + MINUTE, MINUTE);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            minutes.tick().await;
            self.log();
            // Histograms keep their samples until they are rendered or this is called.
            metrics.run_upkeep();
        }
    }

    /// Logs the counts since the last line.
    pub(crate) fn log(&self) {
        let [count, rejected, requests] = [&self.accepted, &self.rejected, &self.requests]
            .map(|counter| counter.swap(0, Relaxed));
        info!(
            event = "ingest_rate",
            count,
            unit = "per_minute",
            rejected,
            requests
        );
    }
}

fn requests_total(status: u16) -> Counter {
    counter!("headwater_ingest_requests_total", "status" => status.to_string())
}
