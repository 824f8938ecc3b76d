//! The task that opens notifications, beside the one that sends them.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join;
use metrics::gauge;
use planted::Defect;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::deliver::{deliver, send};
use super::message::Message;
use super::plan::Planner;
use super::routing::Routing;
use super::transport::Transport;
use crate::journal::{Entry, Journal, State, Status, WriteError};

/// Longest sleep of the planner: it looks again, in case the clock was set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Tells receivers of the alerts in a log. To be run while this process leads.
#[derive(Debug)]
pub struct Notifier {
    journal: Journal,
    routing: watch::Receiver<Arc<Routing>>,
    transport: Arc<dyn Transport>,
}

impl Notifier {
    /// Follows `routing`, which may change at any time: what was told stays told, and what was told as firing is
    /// resolved where it was told.
    pub fn new(
        journal: Journal,
        routing: watch::Receiver<Arc<Routing>>,
        transport: Arc<dyn Transport>,
    ) -> Notifier {
        Notifier {
            journal,
            routing,
            transport,
        }
    }

    /// Waits until this process leads, then opens and sends notifications until `stop`; then it opens none, lets the
    /// attempts under way end, which takes at most [`ATTEMPT_TIMEOUT`](super::ATTEMPT_TIMEOUT), and records them. The
    /// log must be written for as long as this runs.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the log is no longer written by this process.
    pub async fn run(&self, stop: &CancellationToken) -> Result<(), WriteError> {
        let Some(leads) = stop.run_until_cancelled(self.journal.until_leader()).await else {
            return Ok(());
        };
        leads?;
        let sending = deliver(&self.journal, &self.routing, &*self.transport, stop);
        let working = try_join(self.plan_until(stop), sending);
        tokio::select! {
            biased;
            ended = working => ended.map(|_| ()),
            () = self.journal.until_ended() => Err(WriteError::Ended),
        }
    }

    async fn plan_until(&self, stop: &CancellationToken) -> Result<(), WriteError> {
        let ended = stop.run_until_cancelled(self.plan()).await;
        ended.unwrap_or(Ok(()))
    }

    async fn plan(&self) -> Result<(), WriteError> {
        let (mut changes, mut routing) = (self.journal.changes(), self.routing.clone());
        let mut planner = Planner::new(routing.borrow_and_update().clone());
        let mut may_change = true;
        loop {
            changes.borrow_and_update();
            let now = self.journal.now();
            let plan = {
                let state = self.journal.state();
                publish(&state, now);
                planner.plan(&state, now)
            };
            if !plan.entries.is_empty() {
                if planted::has(Defect::SendBeforeRecord) {
                    self.send_unrecorded(&planner.routing, &plan.entries).await;
                }
                self.journal.write(plan.entries).await?;
                continue;
            }
            let wait = plan
                .due
                .map(|due| Duration::from_millis((due - now).max(0).unsigned_abs()));
            tokio::select! {
                biased;
                changed = changes.changed() => changed.map_err(|_| WriteError::Ended)?,
                changed = routing.changed(), if may_change => {
                    // The configuration cannot change any more once its sender is gone.
                    may_change = changed.is_ok();
                    planner = Planner::new(routing.borrow_and_update().clone());
                }
                () = sleep(wait.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)) => {}
            }
        }
    }
}

impl Notifier {
    /// The defect of a test: sends what the log does not have yet.
    async fn send_unrecorded(&self, routing: &Routing, entries: &[Entry]) {
        for entry in entries {
            let Entry::Opened(opened) = entry else {
                continue;
            };
            if let Some(channel) = routing.channel(&opened.channel) {
                let most = channel.max_alerts;
                let message =
                    Message::new(opened, &self.journal.state(), &routing.external_url, most);
                send(channel, &message, &*self.transport).await;
            }
        }
    }
}

/// Shows how the notifications stand.
fn publish(state: &State, now: i64) {
    let open = state.notifications.values();
    let open = open.filter(|n| n.status == Status::Open);
    let oldest = open.map(|n| n.opened_at).min();
    let age = oldest.map_or(0, |oldest| (now - oldest).max(0));
    gauge!("headwater_alerts_notifications_open").set(state.count(Status::Open) as f64);
    gauge!("headwater_alerts_notifications_stuck").set(state.count(Status::Stuck) as f64);
    gauge!("headwater_alerts_notifications_dropped").set(state.dropped as f64);
    gauge!("headwater_alerts_oldest_open_seconds").set(age as f64 / 1e3);
    gauge!("headwater_alerts_firing").set(state.firing() as f64);
}
