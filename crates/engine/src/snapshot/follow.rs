//! Refreshes the snapshot until the service stops.

use std::time::Duration;

use service::ready::Ready;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::snapshot::keeper::Snapshots;

/// What a failed refresh is called in [`Ready`].
const LAKE: &str = "lake";

/// Time after which the log tells again that the hot rows have no room.
const TELL_AGAIN: Duration = Duration::from_secs(60);

impl Snapshots {
    /// Refreshes each [`poll`](crate::snapshot::SnapshotSettings::poll), or at once while there is more to read, until
    /// `stop`. `ready` serves once all that is in the lake has been read; it is told whether the last refresh
    /// succeeded.
    pub async fn follow(mut self, stop: &CancellationToken, ready: &Ready) {
        let mut pace = interval(self.settings().poll.max(Duration::from_millis(10)));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut is_failing, mut is_behind) = (false, false);
        let mut told_full: Option<Instant> = None;
        loop {
            let step = async {
                if !is_behind {
                    pace.tick().await;
                }
                self.refresh().await
            };
            let Some(refreshed) = stop.run_until_cancelled(step).await else {
                return;
            };
            metrics::refreshed(refreshed.is_err());
            match refreshed {
                Ok(refreshed) => {
                    if is_failing {
                        tracing::info!(event = "lake_reached", "the lake can be read again");
                    }
                    is_failing = false;
                    ready.succeeded(LAKE);
                    if refreshed.is_complete {
                        ready.set(true);
                    }
                    is_behind = !refreshed.is_complete && !refreshed.is_full;
                    let is_told = told_full.is_some_and(|at| at.elapsed() < TELL_AGAIN);
                    if refreshed.is_full && !is_told {
                        told_full = Some(Instant::now());
                        tracing::warn!(
                            event = "hot_full",
                            "events that are not committed take HOT_LIMIT: newer ones are not seen until the \
                             aggregator has committed some, or the limit is raised"
                        );
                    }
                }
                Err(error) => {
                    is_behind = false;
                    if !is_failing {
                        tracing::warn!(
                            event = "refresh_failed",
                            error = %service::errors::chain(&error),
                            "the lake cannot be read: the last snapshot stays until it can"
                        );
                    }
                    is_failing = true;
                    ready.failed(LAKE, "lake_unreachable", Duration::MAX);
                }
            }
        }
    }
}
