//! A message that says that it is a test, to see whether a receiver is reached.

use tokio::time::Instant;

use super::deliver::send;
use super::message::Message;
use super::receivers::VerdictKind;
use super::routing::Routing;
use super::transport::Transport;
use crate::journal::{Alert, Notification, State, Status, Why};
use crate::model::{self, Labels, Reason, Transition};

/// How a channel took a test message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// `<receiver>/<kind>/<place>`.
    pub channel: String,
    /// `firing` or `resolved`: what it was told.
    pub status: &'static str,
    /// Whether it was taken.
    pub is_delivered: bool,
    /// The answer, or why there was none.
    pub answer: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Sends a firing and then a resolved test alert to each channel of a receiver, past the log; `now` is in milliseconds
/// since 1970. None if there is no such receiver.
pub async fn notify_test(
    routing: &Routing,
    receiver: &str,
    transport: &dyn Transport,
    now: i64,
) -> Option<Vec<Tested>> {
    let channels = &routing.receivers.get(receiver)?.channels;
    let mut tested = Vec::new();
    for channel in channels {
        for to in [model::State::Firing, model::State::Resolved] {
            let began = Instant::now();
            let (state, notification) = test_notification(&channel.name, receiver, to, now);
            let message = Message::new(
                &notification,
                &state,
                &routing.external_url,
                channel.max_alerts,
            );
            let verdict = send(channel, &message, transport).await;
            tested.push(Tested {
                channel: channel.name.clone(),
                status: message.status,
                is_delivered: verdict.kind == VerdictKind::Delivered,
                answer: verdict.answer,
                took_ms: began.elapsed().as_millis() as u64,
            });
        }
    }
    Some(tested)
}

fn test_notification(
    channel: &str,
    receiver: &str,
    to: model::State,
    now: i64,
) -> (State, Notification) {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let labels = Labels::from([pair("alertname", "HeadwaterTest"), pair("severity", "info")]);
    let summary = pair(
        "summary",
        "This is a test of the receiver: nothing is wrong",
    );
    let episode = "test".to_owned();
    let alert = Alert {
        last: Transition {
            episode: episode.clone(),
            rule: "headwater/HeadwaterTest".to_owned(),
            labels: labels.clone(),
            dimensions: Labels::new(),
            annotations: Labels::from([summary]),
            to,
            reason: Reason::Condition,
            at: now,
            active_at: now,
            fired_at: Some(now),
            value: Some(1.0),
            fired_before: Vec::new(),
        },
        seen_at: Some(now),
    };
    let is_firing = alert.is_firing();
    let mut state = State::default();
    state.alerts.insert(episode.clone(), alert);
    let id = |what: &str| {
        let name = format!("{channel}\n{what}\n{now}");
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
    };
    let (firing, resolved) = if is_firing {
        (vec![episode], vec![])
    } else {
        (vec![], vec![episode])
    };
    let notification = Notification {
        sequence: 0,
        id: id(if is_firing { "firing" } else { "resolved" }),
        thread: id("firing"),
        channel: channel.to_owned(),
        receiver: receiver.to_owned(),
        group_key: r#"{}:{alertname="HeadwaterTest"}"#.to_owned(),
        group_labels: labels
            .into_iter()
            .filter(|(name, _)| name == "alertname")
            .collect(),
        why: if is_firing {
            Why::First
        } else {
            Why::AllResolved
        },
        opened_at: now,
        tried_since: now,
        firing,
        resolved,
        status: Status::Open,
        attempts: Vec::new(),
        attempts_left_out: 0,
    };
    (state, notification)
}
