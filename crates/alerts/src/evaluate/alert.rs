//! The life of one alert: what a result makes of it.

use sha2::{Digest, Sha256};

use crate::evaluate::results::{Found, Key};
use crate::model::{Labels, Reason, State, Transition};
use crate::rules::{NoData, Rule};

/// Number of episodes of an alert within [`FLAP_SPAN`] from which on it flaps.
const FLAPS: usize = 5;

/// An hour, in milliseconds.
pub(super) const FLAP_SPAN: i64 = 3_600_000;

/// An alert that no data have come for is ended after a day, in milliseconds.
pub(super) const GONE_AFTER: i64 = 86_400_000;

/// An alert that is pending or firing. Times are window ends, in milliseconds since 1970 of event time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alert {
    /// The labels of the result that it began with.
    pub(super) labels: Labels,
    /// The part of its key that tells its series from others of the entity.
    pub(super) dimensions: Labels,
    pub(super) episode: String,
    /// Pending, firing or keeping.
    pub(super) state: State,
    pub(super) reason: Reason,
    pub(super) active_at: i64,
    pub(super) fired_at: Option<i64>,
    /// When the condition ceased, while the state is keeping.
    pub(super) ceased_at: Option<i64>,
    pub(super) value: Option<f64>,
    /// The last window end with data.
    pub(super) seen_at: i64,
    /// When earlier episodes fired within the last hour.
    pub(super) fired_before: Vec<i64>,
}

impl Alert {
    /// The alert as it was at `end`, if it had begun by then.
    pub(super) fn as_of(&self, end: i64) -> Option<Alert> {
        let by_then = |at: &i64| *at <= end;
        let fired_at = self.fired_at.filter(by_then);
        let ceased_at = self.ceased_at.filter(by_then);
        let state = match (fired_at, ceased_at) {
            (None, _) => State::Pending,
            (Some(_), None) => State::Firing,
            (Some(_), Some(_)) => State::Keeping,
        };
        by_then(&self.active_at).then(|| Alert {
            state,
            reason: fired_at.map_or(Reason::Condition, |_| self.reason),
            fired_at,
            ceased_at,
            seen_at: self.seen_at.min(end),
            ..self.clone()
        })
    }
}

/// How the alerts of a rule change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life<'r> {
    pub(super) rule: &'r Rule,
    /// How long a flapping alert must be quiet before it ends, in milliseconds; 0 turns the holding off.
    pub(super) quiet: i64,
}

impl Life<'_> {
    /// An alert whose condition holds for the first time at `end`.
    pub(super) fn begin(
        self,
        key: &Key,
        found: &Found,
        end: i64,
        fired_before: Vec<i64>,
        out: &mut Vec<Transition>,
    ) -> Alert {
        let mut alert = Alert {
            labels: found.labels.clone(),
            dimensions: self.dimensions_of(key),
            episode: episode(&self.rule.id, key, end),
            state: State::Pending,
            reason: Reason::Condition,
            active_at: end,
            fired_at: None,
            ceased_at: None,
            value: Some(found.value),
            seen_at: end,
            fired_before,
        };
        if self.rule.hold == 0 {
            self.fire(&mut alert, end);
        }
        out.push(self.transition(&alert, alert.state, alert.reason, end));
        alert
    }

    /// An alert that fires because no data have come.
    pub(super) fn begin_without_data(
        self,
        key: &Key,
        labels: &Labels,
        (seen_at, end): (i64, i64),
        fired_before: Vec<i64>,
        out: &mut Vec<Transition>,
    ) -> Alert {
        let alert = Alert {
            labels: labels.clone(),
            dimensions: self.dimensions_of(key),
            episode: episode(&self.rule.id, key, end),
            state: State::Firing,
            reason: Reason::NoData,
            active_at: end,
            fired_at: Some(end),
            ceased_at: None,
            value: None,
            seen_at,
            fired_before,
        };
        out.push(self.transition(&alert, State::Firing, Reason::NoData, end));
        alert
    }

    /// What a key has beside the names that the condition says.
    fn dimensions_of(self, key: &Key) -> Labels {
        let mut dimensions = key.clone();
        for name in self.rule.condition.key_names() {
            dimensions.remove(name);
        }
        dimensions
    }

    /// What is left of `alert` after the window end `end`; None if it has ended. `found` is None where there are no
    /// data.
    pub(super) fn step(
        self,
        mut alert: Alert,
        found: Option<&Found>,
        end: i64,
        out: &mut Vec<Transition>,
    ) -> Option<Alert> {
        // It was told ahead of the watermark.
        if end < alert.active_at {
            return Some(alert);
        }
        if let Some(found) = found {
            alert.seen_at = end;
            // As in Prometheus: an alert that fires on shows the value with which its condition held last.
            if found.holds {
                alert.value = Some(found.value);
            }
        }
        let before = (alert.state, alert.reason);
        let ended = match found.map(|found| found.holds) {
            Some(true) => {
                self.go_on(&mut alert, end);
                None
            }
            Some(false) => self.cease(&mut alert, end),
            None => self.miss(&mut alert, end),
        };
        if let Some((to, reason)) = ended {
            // The end is told with the value that ended it.
            alert.value = found.map(|found| found.value).or(alert.value);
            out.push(self.transition(&alert, to, reason, end));
            return None;
        }
        // That data have come is recorded too: from then on the alert ends as any other.
        if (alert.state, alert.reason) != before {
            out.push(self.transition(&alert, alert.state, alert.reason, end));
        }
        Some(alert)
    }

    fn go_on(self, alert: &mut Alert, end: i64) {
        if alert.reason == Reason::NoData {
            alert.reason = Reason::Condition;
        }
        match alert.state {
            State::Pending if end - alert.active_at >= self.rule.hold => self.fire(alert, end),
            State::Keeping => (alert.state, alert.ceased_at) = (State::Firing, None),
            _ => {}
        }
    }

    fn cease(self, alert: &mut Alert, end: i64) -> Option<(State, Reason)> {
        if alert.state == State::Pending {
            return Some((State::Dropped, Reason::Condition));
        }
        let since = *alert.ceased_at.get_or_insert(end);
        if alert.reason == Reason::NoData || end - since >= self.keeps(alert) {
            return Some((State::Resolved, Reason::Condition));
        }
        alert.state = State::Keeping;
        None
    }

    fn miss(self, alert: &mut Alert, end: i64) -> Option<(State, Reason)> {
        if let Some(since) = alert.ceased_at {
            let is_over = end - since >= self.keeps(alert);
            return is_over.then_some((State::Resolved, Reason::Condition));
        }
        let missing = end - alert.seen_at;
        if missing < self.rule.no_data_after {
            return None;
        }
        match (alert.state, self.rule.no_data) {
            (State::Pending, NoData::Alert) => {
                self.fire(alert, end);
                (alert.reason, alert.value) = (Reason::NoData, None);
                None
            }
            (State::Pending, _) => Some((State::Dropped, Reason::NoData)),
            (_, NoData::Ok) => Some((State::Resolved, Reason::NoData)),
            _ => (missing >= GONE_AFTER).then_some((State::Resolved, Reason::NoData)),
        }
    }

    fn fire(self, alert: &mut Alert, end: i64) {
        alert.state = State::Firing;
        alert.fired_at = Some(end);
        if self.quiet > 0 && alert.fired_before.len() >= FLAPS {
            alert.reason = Reason::Flapping;
        }
    }

    /// How long the alert fires on after its condition has ceased.
    fn keeps(self, alert: &Alert) -> i64 {
        if alert.reason == Reason::Flapping {
            self.rule.keep_firing.max(self.quiet)
        } else {
            self.rule.keep_firing
        }
    }

    pub(super) fn transition(
        self,
        alert: &Alert,
        to: State,
        reason: Reason,
        at: i64,
    ) -> Transition {
        transition(self.rule, alert, to, reason, at)
    }
}

fn transition(rule: &Rule, alert: &Alert, to: State, reason: Reason, at: i64) -> Transition {
    let mut annotations = rule.annotations(&alert.labels, alert.value);
    if reason == Reason::Flapping {
        let times = alert.fired_before.len() + 1;
        annotations.insert(
            "flapping".to_owned(),
            format!(
                "fired {times} times within an hour: it ends when it has been quiet for a while"
            ),
        );
    }
    Transition {
        episode: alert.episode.clone(),
        rule: rule.id.clone(),
        labels: rule.alert_labels(&alert.labels),
        dimensions: alert.dimensions.clone(),
        annotations,
        to,
        reason,
        at,
        active_at: alert.active_at,
        fired_at: alert.fired_at,
        value: alert.value,
        fired_before: alert.fired_before.clone(),
    }
}

/// 32 hexadecimal digits of a hash of the rule, the key and the time at which the episode began.
pub(super) fn episode(rule: &str, key: &Key, active_at: i64) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    part(rule);
    for (name, value) in key {
        part(name);
        part(value);
    }
    hash.update(active_at.to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
