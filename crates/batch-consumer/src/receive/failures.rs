//! Receives that fail in a row.

use std::time::Duration;

use aws::CallError;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use metrics::counter;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::metrics::RECEIVE_FAILURES;

const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The failures since a receive last succeeded: logged at the first one and at the next success.
#[derive(Default)]
pub(super) struct FailuresInARow {
    began: Option<Instant>,
    count: u64,
    pauses: Option<ExponentialBackoff>,
}

impl FailuresInARow {
    /// Counts a failure and says how long to wait: 200 ms doubling to 30 s, and up to as much
    /// again by chance.
    pub(super) fn failed(&mut self, error: &CallError) -> Duration {
        counter!(RECEIVE_FAILURES).increment(1);
        if self.began.is_none() {
            warn!(event = "receive_failed", error = %error, "receiving goes on with pauses");
        }
        self.began.get_or_insert_with(Instant::now);
        self.count += 1;
        let pauses = self.pauses.get_or_insert_with(|| {
            ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(200))
                .with_max_delay(MAX_PAUSE)
                .without_max_times()
                .with_jitter()
                .build()
        });
        pauses.next().unwrap_or(MAX_PAUSE)
    }

    pub(super) fn succeeded(&mut self) {
        if let Some(began) = self.began.take() {
            info!(
                event = "receive_recovered", failures = self.count,
                after = %format_args!("{}s", began.elapsed().as_secs()),
                "receiving works again"
            );
            *self = FailuresInARow::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_with_the_failures_and_are_short_again_after_a_success() {
        let mut failures = FailuresInARow::default();
        let error = CallError::NotFound {
            operation: "sqs:ReceiveMessage",
            reason: "any".into(),
        };
        for _ in 0..40 {
            assert!(failures.failed(&error) <= Duration::from_secs(60));
        }
        assert_eq!(failures.count, 40);
        failures.succeeded();
        assert_eq!(failures.count, 0);
        assert!(failures.failed(&error) <= Duration::from_millis(400));
    }
}
