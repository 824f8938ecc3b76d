//! What a notification says, in the terms of Alertmanager's templates.

use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde::Serialize;
use service::terminal::printable;

use super::labels::{fingerprint, format_labels};
use crate::journal::{Alert, Notification, State};
use crate::model::Labels;

/// Alertmanager's and Prometheus' time of what has not been.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// What is escaped in the query of a link.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A message, ready for any receiver. The fields up to `truncatedAlerts` are those of Alertmanager's webhook, version
/// 4, in its order (source: its repository, `notify/webhook` and `template`, read 2026-11-26).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    pub(crate) receiver: String,
    /// `firing` or `resolved`.
    pub(crate) status: &'static str,
    pub(crate) alerts: Vec<MessageAlert>,
    #[serde(rename = "notification_reason")]
    pub(crate) reason: crate::journal::Why,
    pub(crate) group_labels: Labels,
    pub(crate) common_labels: Labels,
    pub(crate) common_annotations: Labels,
    pub(crate) route_labels: Labels,
    #[serde(rename = "externalURL")]
    pub(crate) external_url: String,
    pub(crate) version: &'static str,
    pub(crate) group_key: String,
    /// Alerts left out because there are too many.
    pub(crate) truncated_alerts: usize,
    /// Of the notification.
    #[serde(skip)]
    pub(crate) id: String,
    /// See [`Notification::thread`].
    #[serde(skip)]
    pub(crate) thread: String,
    /// When it was opened, in milliseconds since 1970.
    #[serde(skip)]
    pub(crate) opened_at: i64,
    /// Alerts of the notification that fire, those left out among them.
    #[serde(skip)]
    pub(crate) firing: usize,
}

/// An alert of a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageAlert {
    pub(crate) status: &'static str,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) starts_at: String,
    pub(crate) ends_at: String,
    #[serde(rename = "generatorURL")]
    pub(crate) generator_url: String,
    pub(crate) fingerprint: String,
    #[serde(skip)]
    pub(crate) value: Option<f64>,
}

impl Message {
    /// The message of a notification, with at most `most` alerts. Alerts that the state no longer has are left out.
    pub(crate) fn new(
        notification: &Notification,
        state: &State,
        external_url: &str,
        most: usize,
    ) -> Message {
        let firing = notification.firing.iter().map(|episode| (episode, true));
        let resolved = notification.resolved.iter().map(|episode| (episode, false));
        let told = firing.chain(resolved).take(most);
        let alerts = told.filter_map(|(episode, is_firing)| {
            Some(MessageAlert::new(
                state.alerts.get(episode)?,
                is_firing,
                external_url,
            ))
        });
        let alerts: Vec<MessageAlert> = alerts.collect();
        let all = notification.firing.len() + notification.resolved.len();
        Message {
            receiver: notification.receiver.clone(),
            status: status(!notification.firing.is_empty()),
            reason: notification.why,
            group_labels: notification.group_labels.clone(),
            common_labels: common(alerts.iter().map(|alert| &alert.labels)),
            common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
            route_labels: Labels::new(),
            external_url: external_url.to_owned(),
            version: "4",
            group_key: notification.group_key.clone(),
            truncated_alerts: all.saturating_sub(most),
            id: notification.id.clone(),
            thread: notification.thread.clone(),
            opened_at: notification.opened_at,
            firing: notification.firing.len(),
            alerts,
        }
    }

    pub(crate) fn is_firing(&self) -> bool {
        self.firing > 0
    }

    /// `[FIRING:2] CellOverloaded (cell page)`, as Alertmanager's default template: the labels of the group, and those
    /// that its alerts have in common besides.
    pub(crate) fn title(&self) -> String {
        let values = |labels: &mut dyn Iterator<Item = &String>| {
            labels.cloned().collect::<Vec<_>>().join(" ")
        };
        let group = values(&mut self.group_labels.values());
        let others = self
            .common_labels
            .iter()
            .filter(|(name, _)| !self.group_labels.contains_key(*name));
        let others = values(&mut others.map(|(_, value)| value));
        let mut title = if self.is_firing() {
            format!("[FIRING:{}] {group}", self.firing)
        } else {
            format!("[RESOLVED] {group}")
        };
        if !others.is_empty() {
            title += &format!(" ({others})");
        }
        one_line(&title)
    }

    /// A line for each alert, and one for those left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.alerts.iter().map(MessageAlert::line).collect();
        if self.truncated_alerts > 0 {
            lines.push(format!("and {} more alerts", self.truncated_alerts));
        }
        lines
    }

    /// Where people see the alerts.
    pub(crate) fn link(&self) -> String {
        format!("{}/alerts", self.external_url)
    }
}

impl MessageAlert {
    fn new(alert: &Alert, is_firing: bool, external_url: &str) -> MessageAlert {
        let last = &alert.last;
        MessageAlert {
            status: status(is_firing),
            labels: last.labels.clone(),
            annotations: last.annotations.clone(),
            starts_at: time(alert.starts_at()),
            ends_at: if is_firing {
                NEVER.to_owned()
            } else {
                time(last.at)
            },
            generator_url: generator_url(external_url, &last.labels),
            fingerprint: fingerprint(&last.labels),
            value: last.value,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }

    /// What the alert's annotations say, or its labels where they say nothing.
    pub(crate) fn line(&self) -> String {
        let says = |name: &str| self.annotations.get(name).filter(|text| !text.is_empty());
        let text = match says("summary").or_else(|| says("description")) {
            Some(text) => text.clone(),
            None => format_labels(&self.labels),
        };
        one_line(&text)
    }
}

/// The text without what steers terminals or breaks lines and headers.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}

fn status(is_firing: bool) -> &'static str {
    if is_firing { "firing" } else { "resolved" }
}

/// A time in milliseconds since 1970 as in RFC 3339, without a fraction where that is 0.
pub(crate) fn time(millis: i64) -> String {
    let time = DateTime::<Utc>::from_timestamp_millis(millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Where people see the alerts of a rule.
pub(crate) fn generator_url(external_url: &str, labels: &Labels) -> String {
    let name = labels.get("alertname").map_or("", String::as_str);
    let name = percent_encoding::utf8_percent_encode(name, ESCAPED);
    format!("{external_url}/alerts?rule={name}")
}

/// The labels that all have with the same value.
fn common<'l>(mut all: impl Iterator<Item = &'l Labels>) -> Labels {
    let mut common = all.next().cloned().unwrap_or_default();
    for labels in all {
        common.retain(|name, value| labels.get(name) == Some(value));
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rules_are_escaped_in_links() {
        let labels = Labels::from([("alertname".into(), "Zu heiß/1".into())]);
        assert_eq!(
            generator_url("http://h", &labels),
            "http://h/alerts?rule=Zu%20hei%C3%9F%2F1"
        );
    }
}
