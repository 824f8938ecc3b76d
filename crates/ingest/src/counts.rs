//! What the process counts, for metrics and for the log line of each minute.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::info;

/// Events that SQS has taken.
pub(crate) const EVENTS_ACCEPTED: &str = "headwater_ingest_events_accepted_total";
/// Events refused, by `code`.
pub(crate) const EVENTS_REJECTED: &str = "headwater_ingest_events_rejected_total";

/// Counts since the last log line, and the metrics that every request touches: looked up by name only once.
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

/// Counts as one open connection.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// The status of most answers.
const ACCEPTED: u16 = 202;

impl Default for Counts {
    /// The process must have its metrics recorder by now.
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
    /// SQS has taken `events` more.
    pub(crate) fn accepted(&self, events: usize) {
        self.accepted.fetch_add(events as u64, Relaxed);
        self.accepted_total.increment(events as u64);
    }

    pub(crate) fn rejected(&self, code: &'static str, events: u64) {
        self.rejected.fetch_add(events, Relaxed);
        counter!(EVENTS_REJECTED, "code" => code).increment(events);
    }

    pub(crate) fn request(&self, status: u16, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        if status == ACCEPTED {
            self.accepted_requests_total.increment(1);
        } else {
            requests_total(status).increment(1);
        }
        self.request_seconds.record(took);
    }

    pub(crate) fn body(&self, bytes: usize) {
        self.body_bytes.increment(bytes as u64);
    }

    /// A connection is open for as long as this lives.
    pub(crate) fn connection(&self) -> OpenConnection {
        self.connections.increment(1);
        OpenConnection(self.connections.clone())
    }

    pub(crate) fn sends_in_flight(&self, sends: usize) {
        self.sends_in_flight.set(sends as f64);
    }

    /// Logs the counts of each minute, for ever.
    pub(crate) async fn log_each_minute(&self) {
        const MINUTE: Duration = Duration::from_secs(60);
        let mut minutes = interval_at(Instant::now() + MINUTE, MINUTE);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            minutes.tick().await;
            self.log();
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
            requests,
            "accepted {count} events and refused {rejected} since the last such line"
        );
    }
}

fn requests_total(status: u16) -> Counter {
    counter!("headwater_ingest_requests_total", "status" => status.to_string())
}
