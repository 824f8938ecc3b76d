//! The rules, as the API shows them.

use crate::model::Labels;

/// Shows the rules that are looked at.
pub trait RulesView: Send + Sync {
    /// The groups, in the order of their files.
    fn groups(&self) -> Vec<RuleGroup>;
}

/// A group of rules.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleGroup {
    /// The name of the group.
    pub name: String,
    /// The file that it stands in.
    pub file: String,
    /// The rules, in the order of the file.
    pub rules: Vec<RuleView>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleView {
    /// [`Transition::rule`](crate::model::Transition::rule) of its alerts.
    pub id: String,
    /// The name of its alerts.
    pub name: String,
    /// The condition, as written.
    pub query: String,
    /// `for`, in milliseconds.
    pub hold_ms: i64,
    /// `keep_firing_for`, in milliseconds.
    pub keep_firing_ms: i64,
    /// Labels, with their templates as written.
    pub labels: Labels,
    /// Annotations, with their templates as written.
    pub annotations: Labels,
    /// Why it could not be looked at the last time; none where it could.
    pub last_error: Option<String>,
    /// The last window end that it was looked at for, in milliseconds since 1970 of event time; none before the first.
    pub evaluated_to: Option<i64>,
}
