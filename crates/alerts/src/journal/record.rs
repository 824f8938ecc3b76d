//! A record of the log and its entries.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::notification::{Attempt, Notification};
use super::silence::{Acknowledgement, Silence};
use crate::model::Transition;

/// An object of the log. Without entries it says only that its writer is alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// From 1 on, without gaps.
    pub number: u64,
    /// The process that wrote it; one whose answer was lost recognises its own record by it.
    pub writer: Uuid,
    /// By the writer's clock, in milliseconds since 1970.
    pub written_at: i64,
    /// In the order in which they take effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
}

/// A change of the state. Times are milliseconds since 1970 by the writer's clock, unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The writer leads from here on.
    Leads,
    /// The writer ended well: another may lead at once.
    Left,
    /// Evaluation has come to `to`, in event time.
    Evaluated {
        /// The window end, in milliseconds since 1970 of event time.
        to: i64,
        /// What changed.
        transitions: Vec<Transition>,
    },
    /// A notification is to be sent.
    Opened(Notification),
    /// A notification was sent, or could not be.
    Attempted {
        /// [`Notification::sequence`].
        notification: u64,
        /// How it went.
        attempt: Attempt,
    },
    /// The notification is given up until somebody asks for it again.
    Stuck {
        /// [`Notification::sequence`].
        notification: u64,
    },
    /// Notifications that were stuck are to be sent again.
    Retried {
        /// [`Notification::sequence`] of each.
        notifications: Vec<u64>,
        /// When somebody asked for it.
        at: i64,
    },
    /// Notifications that were stuck are given up for good.
    Forgotten {
        /// [`Notification::sequence`] of each.
        notifications: Vec<u64>,
    },
    /// Episodes that are over, and of which nobody is to be told any more.
    Closed {
        /// Ids of the episodes.
        episodes: Vec<String>,
    },
    /// A silence is set or changed.
    SilenceSet(Silence),
    /// A silence ends now.
    SilenceExpired {
        /// Its id.
        id: String,
        /// When it ended.
        at: i64,
    },
    /// Somebody looks after an episode.
    Acknowledged(Acknowledgement),
}
