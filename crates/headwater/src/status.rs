//! The line on a terminal that tells what goes through the pipeline, written over in place.

use std::convert::Infallible;
use std::fmt::Write;
use std::time::Duration;

use service::prometheus::series;
use service::terminal::{HumanCount, ProgressBar};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Time between two looks at the metrics.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Events since the start, as the services count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    accepted: u64,
    rejected: u64,
    /// Written to `raw/`, those that came twice included.
    landed: u64,
    /// Taken into `curated/`.
    committed: u64,
}

impl Counts {
    /// Of a text in the Prometheus format.
    fn read(metrics: &str) -> Counts {
        let mut counts = Counts::default();
        for one in series(metrics) {
            let count = match one.name {
                "headwater_ingest_events_accepted_total" => &mut counts.accepted,
                "headwater_ingest_events_rejected_total" => &mut counts.rejected,
                "headwater_consumer_events_total" => &mut counts.landed,
                "headwater_aggregator_events_total" => &mut counts.committed,
                _ => continue,
            };
            *count += one.value as u64;
        }
        counts
    }

    fn words(&self, since_commit: Option<Duration>) -> String {
        let [accepted, landed, committed] =
            [self.accepted, self.landed, self.committed].map(HumanCount);
        let mut words =
            format!("events: {accepted} accepted, {landed} landed, {committed} committed");
        // Writing to a `String` cannot fail.
        if let Some(since) = since_commit {
            let _ = write!(words, " {} s ago", since.as_secs());
        }
        if self.rejected > 0 {
            let _ = write!(words, "; {} rejected", HumanCount(self.rejected));
        }
        words
    }
}

/// Tells on the bar what the services of this process count, until it is dropped.
///
/// # Errors
///
/// If the metrics of the process go elsewhere.
pub(crate) async fn follow(bar: &ProgressBar) -> anyhow::Result<Infallible> {
    if bar.is_hidden() {
        return Ok(std::future::pending().await);
    }
    let metrics = service::metrics::install()?;
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut committed, mut changed) = (0, None);
    loop {
        let now = ticks.tick().await;
        let counts = Counts::read(&metrics.render());
        if counts.committed != committed {
            (committed, changed) = (counts.committed, Some(now));
        }
        let since = changed.map(|changed: Instant| now - changed);
        bar.set_message(counts.words(since));
        bar.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_the_metrics_count() {
        let metrics = "# HELP x y\nheadwater_ingest_events_accepted_total 1240\n\
             headwater_ingest_events_rejected_total{code=\"wrong_type\"} 2\n\
             headwater_ingest_events_rejected_total{code=\"too_old\"} 1\n\
             headwater_consumer_events_total 1200\nheadwater_aggregator_events_total 1100\n";
        let counts = Counts::read(metrics);
        assert_eq!(
            counts.words(Some(Duration::from_millis(4_900))),
            "events: 1,240 accepted, 1,200 landed, 1,100 committed 4 s ago; 3 rejected"
        );
        assert_eq!(
            Counts::default().words(None),
            "events: 0 accepted, 0 landed, 0 committed"
        );
    }
}
