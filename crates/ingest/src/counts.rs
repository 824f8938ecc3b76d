//! What is counted per process, for metrics and the line a minute.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::info;

/// Counts since the last line.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    accepted: AtomicU64,
    rejected: AtomicU64,
    requests: AtomicU64,
}

impl Counts {
    /// SQS has `events` more.
    pub(crate) fn accepted(&self, events: usize) {
        self.accepted.fetch_add(events as u64, Relaxed);
        metrics::counter!("headwater_ingest_events_accepted_total").increment(events as u64);
    }

    /// `events` were refused for the reason `code`.
    pub(crate) fn rejected(&self, code: &'static str, events: u64) {
        self.rejected.fetch_add(events, Relaxed);
        metrics::counter!("headwater_ingest_events_rejected_total", "code" => code)
            .increment(events);
    }

    /// A request was answered with `status` after `took`.
    pub(crate) fn request(&self, status: u16, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        metrics::counter!("headwater_ingest_requests_total", "status" => status.to_string())
            .increment(1);
        metrics::histogram!("headwater_ingest_request_seconds").record(took);
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
