//! Sends what is open, and records what became of it.

use std::sync::Arc;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use metrics::{counter, histogram};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::message::Message;
use super::receivers::{Channel, Outgoing, Verdict, VerdictKind, judge_mail};
use super::routing::Routing;
use super::schedule::Schedule;
use super::transport::Transport;
use crate::journal::{Attempt, Entry, Journal, Notification, Outcome, WriteError};

/// How long a notification is tried, in milliseconds: 24 hours.
const TRIED_FOR: i64 = 24 * 3_600_000;

/// Sends notifications until `stop`, then lets the attempts under way end.
pub(crate) async fn deliver(
    journal: &Journal,
    routing: &watch::Receiver<Arc<Routing>>,
    transport: &dyn Transport,
    stop: &CancellationToken,
) -> Result<(), WriteError> {
    let mut schedule = Schedule::default();
    let mut attempts = FuturesUnordered::new();
    let mut changes = journal.changes();
    loop {
        let next = if stop.is_cancelled() {
            if attempts.is_empty() {
                return Ok(());
            }
            None
        } else {
            changes.borrow_and_update();
            let state = journal.state();
            let due = schedule.due(&state, Instant::now());
            for sequence in due.now {
                if let Some(notification) = state.notifications.get(&sequence) {
                    let routing = routing.borrow().clone();
                    let attempt = attempt(journal, routing, transport, notification.clone());
                    attempts.push(Box::pin(attempt));
                }
            }
            due.next
        };
        tokio::select! {
            biased;
            Some(ended) = attempts.next() => {
                // One record ends several attempts: all of them before the next are chosen.
                let mut ended = Some(ended);
                while let Some(attempt) = ended {
                    let (notification, verdict) = attempt?;
                    schedule.ended(&notification, &verdict, Instant::now());
                    ended = attempts.next().now_or_never().flatten();
                }
            }
            changed = changes.changed(), if !stop.is_cancelled() => {
                changed.map_err(|_| WriteError::Ended)?;
            }
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            () = stop.cancelled(), if !stop.is_cancelled() => {}
        }
    }
}

async fn attempt(
    journal: &Journal,
    routing: Arc<Routing>,
    transport: &dyn Transport,
    notification: Notification,
) -> Result<(Notification, Verdict), WriteError> {
    let sending = journal.ready_to_send().await?;
    let (began, at) = (Instant::now(), journal.now());
    let verdict = match routing.channel(&notification.channel) {
        Some(channel) => {
            let most = channel.max_alerts;
            let message =
                Message::new(&notification, &journal.state(), &routing.external_url, most);
            send(channel, &message, transport).await
        }
        None => Verdict::new(
            VerdictKind::Refused,
            "the configuration no longer has this receiver",
        ),
    };
    let outcome = match verdict.kind {
        VerdictKind::Delivered => Outcome::Delivered,
        VerdictKind::Refused => Outcome::Refused,
        VerdictKind::ChannelFails | VerdictKind::MessageFails => Outcome::Failed,
    };
    let attempt = Attempt {
        at,
        took_ms: began.elapsed().as_millis() as u64,
        outcome,
        answer: verdict.answer.clone(),
    };
    let is_over = outcome == Outcome::Failed && at - notification.tried_since >= TRIED_FOR;
    tell(&notification, &attempt, is_over);
    let sequence = notification.sequence;
    let mut entries = vec![Entry::Attempted {
        notification: sequence,
        attempt,
    }];
    if is_over {
        entries.push(Entry::Stuck {
            notification: sequence,
        });
    }
    journal.sent(sending, entries).await?;
    Ok((notification, verdict))
}

/// Sends a message once.
pub(crate) async fn send(
    channel: &Channel,
    message: &Message,
    transport: &dyn Transport,
) -> Verdict {
    match channel.outgoing(message) {
        Ok(Outgoing::Http(request)) => channel.judge(transport.http(*request).await),
        Ok(Outgoing::Mail(email, mail)) => judge_mail(transport.mail(&email.smtp, *mail).await),
        Ok(Outgoing::Lines(lines)) => {
            lines.iter().for_each(|line| transport.print(line));
            Verdict::new(VerdictKind::Delivered, "printed")
        }
        Err(reason) => Verdict::new(VerdictKind::MessageFails, &reason),
    }
}

fn tell(notification: &Notification, attempt: &Attempt, is_over: bool) {
    let Notification { id, channel, .. } = notification;
    let earlier = notification.attempts.len() as u64 + notification.attempts_left_out;
    let (answer, number) = (&attempt.answer, earlier + 1);
    let outcome = match attempt.outcome {
        Outcome::Delivered => "delivered",
        Outcome::Failed => "failed",
        Outcome::Refused => "refused",
    };
    counter!("headwater_alerts_attempts_total", "channel" => channel.clone(), "outcome" => outcome)
        .increment(1);
    if attempt.outcome == Outcome::Delivered {
        let lag = (attempt.at - notification.opened_at).max(0) as f64 / 1e3;
        histogram!("headwater_alerts_delivery_seconds", "channel" => channel.clone()).record(lag);
        info!(
            event = "notified",
            notification = %id,
            %channel,
            firing = notification.firing.len(),
            resolved = notification.resolved.len(),
            attempt = number,
            "told {channel} of {} firing and {} resolved alerts",
            notification.firing.len(),
            notification.resolved.len()
        );
    } else if is_over || attempt.outcome == Outcome::Refused {
        counter!("headwater_alerts_stuck_total", "channel" => channel.clone()).increment(1);
        error!(
            event = "notification_stuck",
            notification = %id,
            %channel,
            attempt = number,
            %answer,
            "{channel} was not told, and is no longer tried: mend it, then `alerts retry`"
        );
    } else {
        warn!(
            event = "notification_failed",
            notification = %id,
            %channel,
            attempt = number,
            %answer,
            "{channel} was not told, and is tried again"
        );
    }
}
