//! What a rule says.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::expr::Condition;
use crate::model::Labels;
use crate::rules::template::Template;

/// The kind that `alerts` itself writes.
pub(crate) const OWN_KIND: &str = "headwater";

/// The signals of that kind.
pub(crate) const OWN_SIGNALS: [&str; 9] = [
    "lake_lag_seconds",
    "events_per_second",
    "queue_messages",
    "queue_age_seconds",
    "dead_letters",
    "series",
    "series_left_out_per_minute",
    "notifications_open",
    "notifications_stuck",
];

/// `no_data_after` where a rule does not say it: 5 minutes.
pub const NO_DATA_AFTER_MS: i64 = 300_000;

/// The rules that are looked at, in the order of the files and of the rules in them.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The rules.
    pub all: Vec<Arc<Rule>>,
    /// What the files say that changes nothing, in words for the log.
    pub notes: Vec<String>,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `<group>/<alert>`; where several rules have that name, followed by the labels that tell them apart:
    /// `cells/Hot{severity="page"}`.
    pub id: String,
    /// The name of its group.
    pub group: String,
    /// The name of its alerts.
    pub alert: String,
    /// The file that it stands in, as it was named; `default.yml` for the built-in ones.
    pub file: String,
    /// The condition, as written.
    pub expr: String,
    /// The condition.
    pub condition: Condition,
    /// `for`, in milliseconds.
    pub hold: i64,
    /// `keep_firing_for`, in milliseconds.
    pub keep_firing: i64,
    /// Labels that its alerts get beside those of the expression.
    pub labels: BTreeMap<String, Template>,
    /// Texts of its alerts.
    pub annotations: BTreeMap<String, Template>,
    /// What missing data mean.
    pub no_data: NoData,
    /// How long data must be missing before that, in milliseconds.
    pub no_data_after: i64,
}

/// What it means for an alert that no data have come for `no_data_after`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NoData {
    /// A firing alert fires on, for at most a day; a pending one is dropped.
    #[default]
    Keep,
    /// The alert ends.
    Ok,
    /// The alert fires, also where the condition never held.
    Alert,
}

impl Rule {
    /// The labels of the alert that the expression's labels `labels` give.
    pub fn alert_labels(&self, labels: &Labels) -> Labels {
        let mut all = labels.clone();
        for (name, template) in &self.labels {
            let value = template.render(labels, None);
            // As in Prometheus, a label with no text is none.
            if value.is_empty() {
                all.remove(name);
            } else {
                all.insert(name.clone(), value);
            }
        }
        all.insert("alertname".to_owned(), self.alert.clone());
        all
    }

    /// The annotations for an alert that the expression's labels and value give.
    pub fn annotations(&self, labels: &Labels, value: Option<f64>) -> Labels {
        let filled =
            |(name, template): (&String, &Template)| (name.clone(), template.render(labels, value));
        self.annotations.iter().map(filled).collect()
    }
}

impl Rules {
    /// Takes out the rules that are about the kind `headwater` alone.
    pub fn take_own(&mut self) -> Rules {
        let own = |rule: &Arc<Rule>| {
            let mut is_own = true;
            rule.condition.each_over_time(&mut |selector, _| {
                is_own &= selector.kind() == Some(OWN_KIND);
            });
            is_own
        };
        let all = std::mem::take(&mut self.all);
        let (own, others) = all.into_iter().partition(own);
        self.all = others;
        Rules {
            all: own,
            notes: Vec::new(),
        }
    }

    /// The longest range of all conditions, in milliseconds; 0 without a rule.
    pub fn longest_range(&self) -> i64 {
        let ranges = self.all.iter().map(|rule| rule.condition.longest_range());
        ranges.max().unwrap_or_default()
    }
}
