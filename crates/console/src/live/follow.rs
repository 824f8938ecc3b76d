//! Follows what is new while somebody asks for something.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::arrival_stats::ArrivalStats;
use super::hub::Hub;
use super::{alerts, health, moments, series, top};

/// Time after which a topic is looked at that somebody has just asked for.
const SOON: Duration = Duration::from_millis(100);

/// Follows what is new while somebody asks for something, until `stop`.
pub(crate) async fn follow(hub: Arc<Hub>, stop: &CancellationToken) {
    let mut followed = hub.followed();
    loop {
        let asked = stop.run_until_cancelled(followed.wait_for(|followed| *followed));
        if !matches!(asked.await, Some(Ok(_))) {
            return;
        }
        tracing::debug!(event = "live_begins", "somebody follows the live stream");
        let stats = Mutex::new(ArrivalStats::default());
        let following = async {
            tokio::join!(
                series::follow(&hub, &stats),
                top::follow(&hub),
                health::follow(&hub, &stats),
                alerts::follow(&hub),
                moments::follow(&hub),
                expire(&hub),
            )
        };
        let mut over = hub.followed();
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = over.wait_for(|followed| !*followed) => {}
            _ = following => {}
        }
        tracing::debug!(
            event = "live_ends",
            "nobody follows the live stream any more"
        );
    }
}

async fn expire(hub: &Hub) {
    let mut pace = every(Duration::from_secs(1));
    loop {
        pace.tick().await;
        hub.table().expire();
        let (followed, topics) = {
            let table = hub.table();
            (table.is_followed(), table.topics())
        };
        metrics::gauge!("headwater_live_topics").set(topics as f64);
        if !followed {
            hub.look();
        }
    }
}

/// When topics that are no series are looked at: at this pace, and soon after somebody asks for something.
pub(super) struct Pace {
    pace: tokio::time::Interval,
    asked: watch::Receiver<()>,
}

impl Pace {
    pub(super) fn new(hub: &Hub, period: Duration) -> Pace {
        Pace {
            pace: every(period),
            asked: hub.asked(),
        }
    }

    /// Waits until it is time. Whether somebody asked is no reason to ask S3 or alerts more than ten times a second.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.pace.tick() => {}
            _ = self.asked.changed() => sleep(SOON).await,
        }
    }
}

/// Ticks at once and then at this pace; a tick that is late is not made up for.
fn every(period: Duration) -> tokio::time::Interval {
    let mut pace = interval(period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
