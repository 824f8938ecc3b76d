//! What is told of an episode.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::{Identity, unpack};

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
    /// Follows from kind, entity, signal, labels and `started_at`: 32 hexadecimal digits. No two episodes of a series
    /// begin in the same pane.
    pub moment_id: String,
    /// Name of the kind.
    pub kind: String,
    /// The entity's id.
    pub entity_id: String,
    /// Name of the signal.
    pub signal: String,
    /// The [`dimensions`](crate::Observed::dimensions) of the series; absent where it has none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
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
pub(super) fn moment_id(identity: Identity<'_>, started_at: i64) -> String {
    let mut hash = Sha256::new();
    let dimensions = unpack(identity.dimensions).flat_map(|(name, value)| [name, value]);
    let names = [identity.kind, identity.entity, identity.signal];
    for text in names.into_iter().chain(dimensions) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_siblings_differ_and_those_of_series_without_dimensions_stay_as_they_were() {
        let id = |dimensions| {
            let identity = Identity {
                kind: "metric",
                entity: "host-1",
                signal: "requests_total",
                dimensions,
            };
            moment_id(identity, 1_795_716_000_000)
        };
        assert_eq!(id(""), "e2cc494f3d9926161d4a1e0e14b6bc35");
        let all = [
            "",
            "code\0ok\0",
            "code\0bad\0",
            "cod\0eok\0",
            "a\0b\0code\0ok\0",
        ]
        .map(id);
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
