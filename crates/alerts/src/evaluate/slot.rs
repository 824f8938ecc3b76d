//! A rule with its alerts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use windows::Windows;

use crate::evaluate::alert::{Alert, FLAP_SPAN, GONE_AFTER, Life};
use crate::evaluate::results::{Found, Key, Only, results};
use crate::evaluate::settings::EvaluatorSettings;
use crate::model::{Labels, State, Transition};
use crate::rules::{NoData, Rule};

pub(super) type Alerts = BTreeMap<Key, Alert>;

/// An episode that was told and has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// With rule and key it makes the id, which is not given again.
    pub(super) active_at: i64,
    /// None if it was dropped.
    pub(super) fired_at: Option<i64>,
    pub(super) ended_at: i64,
}

/// A rule with its alerts.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) rule: Arc<Rule>,
    pub(super) settings: EvaluatorSettings,
    pub(super) alerts: Arc<Alerts>,
    /// The alerts as of the last window ends, within the lateness.
    pub(super) history: VecDeque<(i64, Arc<Alerts>)>,
    /// Episodes of the last hour that have ended.
    pub(super) ended: BTreeMap<Key, Vec<Ended>>,
    /// Where missing data mean an alert: when each set of labels had data last, and all of its labels.
    pub(super) known: BTreeMap<Key, (i64, Labels)>,
    /// Alerts that were not made because there were too many.
    pub(super) left_out: u64,
    /// The rule is looked at as of the window ends after this one. [`i64::MIN`] where that is not known.
    pub(super) since: i64,
}

impl Slot {
    pub(super) fn new(rule: Arc<Rule>, settings: EvaluatorSettings) -> Slot {
        Slot {
            rule,
            settings,
            alerts: Arc::default(),
            history: VecDeque::new(),
            ended: BTreeMap::new(),
            known: BTreeMap::new(),
            left_out: 0,
            since: i64::MIN,
        }
    }

    pub(super) fn life(&self) -> Life<'_> {
        Life {
            rule: &self.rule,
            quiet: self.settings.flap_quiet,
        }
    }

    /// Looks at the rule as of `end`.
    pub(super) fn evaluate(&mut self, windows: &Windows, end: i64, out: &mut Vec<Transition>) {
        let with_alerts: Vec<&Key> = self.alerts.keys().collect();
        let only = if self.rule.no_data == NoData::Alert {
            Only::All
        } else {
            Only::HoldingOr(&with_alerts)
        };
        let found = results(&self.rule.condition, windows, end, only);
        self.forget(end);
        let mut alerts = std::mem::take(Arc::make_mut(&mut self.alerts));
        let holding = found.iter().filter(|(_, found)| found.holds);
        let keys: BTreeSet<Key> = holding
            .map(|(key, _)| key)
            .chain(alerts.keys())
            .cloned()
            .collect();
        for key in &keys {
            let (alert, found) = (alerts.remove(key), found.get(key));
            if let Some(alert) = self.step(key, alert, found, end, alerts.len(), out) {
                alerts.insert(key.clone(), alert);
            }
        }
        if self.rule.no_data == NoData::Alert {
            self.miss(&found, &keys, &mut alerts, end, out);
        }
        self.alerts = Arc::new(alerts);
        self.remember(end);
    }

    /// What becomes of an alert, or of none, by a result.
    fn step(
        &mut self,
        key: &Key,
        alert: Option<Alert>,
        found: Option<&Found>,
        end: i64,
        others: usize,
        out: &mut Vec<Transition>,
    ) -> Option<Alert> {
        let Some(alert) = alert else {
            let found = found.filter(|found| found.holds)?;
            if others >= self.settings.most_alerts {
                self.left_out += 1;
                return None;
            }
            let before = self.fired_before(key, end);
            return Some(self.life().begin(key, found, end, before, out));
        };
        let from = out.len();
        let left = self.life().step(alert, found, end, out);
        let ends = |told: &&Transition| matches!(told.to, State::Resolved | State::Dropped);
        for told in out[from..].iter().filter(ends) {
            self.ended(key, told);
        }
        left
    }

    /// Begins alerts of known labels that have had no data for too long, but for those `looked_at` already: one that has
    /// just ended begins 10 s later.
    fn miss(
        &mut self,
        found: &BTreeMap<Key, Found>,
        looked_at: &BTreeSet<Key>,
        alerts: &mut Alerts,
        end: i64,
        out: &mut Vec<Transition>,
    ) {
        for (key, found) in found {
            self.known.insert(key.clone(), (end, found.labels.clone()));
        }
        self.known
            .retain(|_, (seen_at, _)| end - *seen_at < GONE_AFTER);
        for (key, (seen_at, labels)) in &self.known {
            let is_missing = end - seen_at >= self.rule.no_data_after;
            if !is_missing || looked_at.contains(key) {
                continue;
            }
            if alerts.len() >= self.settings.most_alerts {
                self.left_out += 1;
                continue;
            }
            let before = self.fired_before(key, end);
            let times = (*seen_at, end);
            let alert = self
                .life()
                .begin_without_data(key, labels, times, before, out);
            alerts.insert(key.clone(), alert);
        }
    }

    /// Notes that the episode of `told` has ended by it.
    pub(super) fn ended(&mut self, key: &Key, told: &Transition) {
        self.ended.entry(key.clone()).or_default().push(Ended {
            active_at: told.active_at,
            fired_at: told.fired_at,
            ended_at: told.at,
        });
    }

    pub(super) fn fired_before(&self, key: &Key, end: i64) -> Vec<i64> {
        let ended = self.ended.get(key).into_iter().flatten();
        let fired = ended.filter_map(|ended| ended.fired_at);
        fired
            .filter(|fired_at| end - fired_at < FLAP_SPAN)
            .collect()
    }

    fn forget(&mut self, end: i64) {
        self.ended.retain(|_, ended| {
            ended.retain(|ended| end - ended.ended_at < FLAP_SPAN);
            !ended.is_empty()
        });
    }

    /// Keeps the alerts as of `end`, for late events.
    pub(super) fn remember(&mut self, end: i64) {
        self.history.push_back((end, self.alerts.clone()));
        while let Some((first, _)) = self.history.get(1)
            && *first < end - self.settings.lateness
        {
            self.history.pop_front();
        }
    }
}
