//! What is sent to a receiver, and what became of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::Labels;

/// A message about the alerts of one group, to one integration of a receiver. It is recorded before it is sent, and
/// each repeat of it has the same id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notification {
    /// Number of the notification, from 1 on, in the order in which they were opened.
    pub sequence: u64,
    /// A UUID. Receivers get it as `Idempotency-Key`, `Message-ID` or as words of the text.
    pub id: String,
    /// The id of the first notification of the group since the group began: mail clients thread by it.
    pub thread: String,
    /// `<receiver>/<kind>/<place>`, such as `ops/webhook/0`.
    pub channel: String,
    /// Name of the receiver.
    pub receiver: String,
    /// Alertmanager's key of the group: the matchers of its routes, and the labels that it is grouped by.
    pub group_key: String,
    /// The labels that the group has in common by `group_by`.
    pub group_labels: Labels,
    /// Why it is sent.
    pub why: Why,
    /// When it was recorded, in milliseconds since 1970.
    pub opened_at: i64,
    /// From when on it is tried, in milliseconds since 1970: since it was opened, or since somebody asked for it again.
    pub tried_since: i64,
    /// Episodes that it tells of as firing, the earliest first.
    pub firing: Vec<String>,
    /// Episodes that it tells of as resolved, the earliest first.
    pub resolved: Vec<String>,
    /// How it stands.
    #[serde(default)]
    pub status: Status,
    /// The attempts to send it: the first one, and the last 99.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Attempts after the first one that are not shown any more; the log has them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts_left_out: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Why a notification is sent; written as in Alertmanager's `notification_reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Why {
    /// Nobody was told of the group.
    #[serde(rename = "first notification")]
    First,
    /// Alerts of the group began to fire.
    #[serde(rename = "new alerts added")]
    New,
    /// Some alerts of the group no longer fire.
    #[serde(rename = "some alerts resolved")]
    SomeResolved,
    /// No alert of the group fires any more.
    #[serde(rename = "all alerts resolved")]
    AllResolved,
    /// `repeat_interval` is over.
    #[serde(rename = "repeat interval elapsed")]
    Repeat,
}

/// How a notification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is being sent, or tried again.
    #[default]
    Open,
    /// The receiver has taken it.
    Delivered,
    /// It is given up until somebody asks for it again.
    Stuck,
}

/// An attempt to send a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// When it began, in milliseconds since 1970.
    pub at: i64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What the receiver answered, or why it could not be asked: at most 300 characters.
    pub answer: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The receiver has taken it.
    Delivered,
    /// It is tried again.
    Failed,
    /// The receiver says that it never takes it.
    Refused,
}
