//! What evaluation tells the log, and the log tells the notifier: alerts and their transitions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Names and values, sorted by name.
pub type Labels = BTreeMap<String, String>;

/// Names and values of labels.
pub(crate) fn pairs(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Where an alert stands. An alert that is not listed is inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The condition holds, for less than the rule's `for`.
    Pending,
    /// The condition has held for `for`, or the rule asks so of missing data. Comes again for the same episode, with
    /// the same `fired_at`, when the condition of a [`Keeping`](State::Keeping) alert holds again: only the first one
    /// is news.
    Firing,
    /// It fires, the condition has ceased at `at`, and `keep_firing_for` is not over. Recorded, so that a restart does
    /// not begin that time again; to receivers it is firing, and nobody is told.
    Keeping,
    /// It fired and no longer does. The end of an episode.
    Resolved,
    /// It was pending and the condition no longer holds. Nobody is told.
    Dropped,
}

/// Why an alert has its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// What the expression gave.
    Condition,
    /// No data came for `no_data_after`, and the rule says what that means.
    NoData,
    /// The rule is no longer in the files.
    RuleGone,
    /// It fired so often within an hour that it is held until it has been quiet for a while.
    Flapping,
    /// Events that came late changed what had been found: an episode that was not seen in time, or one that was not so.
    LateData,
}

/// A change of an alert's state. Times are milliseconds since 1970 of *event time*, the ends of windows, so that an
/// evaluation that is repeated gives the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Follows from rule, labels and `active_at`: the same at each evaluation of the same events. 32 hexadecimal
    /// digits.
    pub episode: String,
    /// `<group>/<alert>`; where several rules have that name, followed by the labels that tell them apart.
    pub rule: String,
    /// Labels of the alert, `alertname` among them.
    pub labels: Labels,
    /// Labels that tell its series from others of the same kind and entity, as the series has them: a label that the
    /// rule sets may have taken the place of one in `labels`. Absent where there are none.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub dimensions: Labels,
    /// Annotations with their templates filled in.
    pub annotations: Labels,
    /// What it has become.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// The window end at which it changed.
    pub at: i64,
    /// Since when the condition holds.
    pub active_at: i64,
    /// Since when it fires; absent while it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<i64>,
    /// What the expression gave. Absent without data.
    #[serde(default, with = "value", skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The times at which earlier episodes of this alert fired within the last hour, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fired_before: Vec<i64>,
}

/// Values in JSON, which has no infinity and no NaN: these are texts.
mod value {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        let written = value.map(|value| match value.is_finite() {
            true => Written::Number(value),
            false => Written::Text(value.to_string()),
        });
        written.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        match Option::<Written>::deserialize(from)? {
            None => Ok(None),
            Some(Written::Number(value)) => Ok(Some(value)),
            Some(Written::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
        }
    }
}
