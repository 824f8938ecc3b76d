//! What is told of an episode.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How an anomaly was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The value of a pane is far from the level of the last minutes: a spike or a shift.
    Recent,
    /// The level of the last minutes is far from that of the last hours: a drift.
    Level,
}

/// An episode in which a series was not as usual. Told when it begins, and again when it is over. Times are
/// milliseconds since 1970, the starts of panes; values are means of panes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Follows from kind, entity, signal and `started_at`: 32 hexadecimal digits. No two episodes of a series begin in
    /// the same pane.
    pub moment_id: String,
    /// Name of the kind.
    pub kind: String,
    /// The entity's id.
    pub entity_id: String,
    /// Name of the signal.
    pub signal: String,
    /// The pane in which it began.
    pub started_at: i64,
    /// The pane with the highest score so far.
    pub peaked_at: i64,
    /// The end of the last pane with a high score; absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// The mean of the pane with the highest score, or with `level` the level of the last minutes there.
    pub value: f64,
    /// What was expected there.
    pub expected: f64,
    /// The standard deviation there.
    pub stddev: f64,
    /// The highest score: the distance of `value` from `expected` by `stddev`, 1,000 at most.
    pub score: f64,
    /// The score at which an episode begins.
    pub threshold: f64,
    /// The method with this score.
    pub method: Method,
    /// 0 when it is told first, 1 when its end is told.
    pub revision: u32,
}

/// The id of a moment. The texts are hashed with their lengths, so that no two of them run together.
pub(super) fn moment_id(kind: &str, entity: &str, signal: &str, started_at: i64) -> String {
    let mut hash = Sha256::new();
    for text in [kind, entity, signal] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.update(started_at.to_be_bytes());
    hash.finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
