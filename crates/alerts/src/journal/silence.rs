//! Silences and acknowledgements.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::matcher::{Matcher, all_match};
use crate::model::Labels;

/// Nobody is told of the alerts that it matches. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// A UUID.
    pub id: String,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// From when on.
    pub starts_at: i64,
    /// Until when.
    pub ends_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
    /// Who set it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// Whether a silence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SilenceStatus {
    /// It begins later.
    Pending,
    /// It holds.
    Active,
    /// It is over.
    Expired,
}

impl Silence {
    /// Whether it holds at a time, in milliseconds since 1970.
    pub fn status(&self, now: i64) -> SilenceStatus {
        if now >= self.ends_at {
            SilenceStatus::Expired
        } else if now >= self.starts_at {
            SilenceStatus::Active
        } else {
            SilenceStatus::Pending
        }
    }

    /// Whether it keeps an alert with these labels quiet at that time.
    pub fn mutes(&self, labels: &Labels, now: i64) -> bool {
        self.status(now) == SilenceStatus::Active && all_match(&self.matchers, labels)
    }
}

/// Somebody looks after an episode: it is not repeated. It ends with the episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledgement {
    /// Id of the episode.
    pub episode: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Who.
    pub created_by: String,
    /// What they say about it; may be empty.
    #[serde(default)]
    pub comment: String,
}
