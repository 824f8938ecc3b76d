//! State that outlives a process or a set of rules: by the log at a start, by rule and labels at a reload.

use std::collections::BTreeMap;
use std::sync::Arc;

use planted::Defect;
use windows::{PANE, Windows};

use crate::evaluate::alert::Alert;
use crate::evaluate::evaluator::Evaluator;
use crate::evaluate::results::{Key, Only, PER_ENTITY, results};
use crate::evaluate::slot::{Ended, Slot};
use crate::model::{Reason, State, Transition};
use crate::rules::{NoData, Rule, Rules};

impl Evaluator {
    /// Takes over the alerts that the log knows: the last transition of each, those of episodes that have ended within
    /// the last hour first: by them flapping is told. Gives the ends of alerts whose rules are gone.
    ///
    /// `is_dimension` says of a kind and the name of a label whether such labels tell its series apart. Releases that
    /// took all samples of an entity for one series recorded alerts without dimensions: where there should be some, the
    /// alert ends as if its rule were gone, for no series is like it.
    ///
    /// Before the next [`evaluate`](Evaluator::evaluate) the caller gives [`look_back`](Evaluator::look_back) the
    /// window ends before `evaluated_to`, as far as [`looks_back`](Evaluator::looks_back) says.
    pub fn restore(
        &mut self,
        last: impl IntoIterator<Item = Transition>,
        is_dimension: impl Fn(&str, &str) -> bool,
    ) -> Vec<Transition> {
        let mut gone = Vec::new();
        for told in last {
            let slot = self.slots.iter_mut().find(|slot| slot.rule.id == told.rule);
            let left = match slot {
                Some(slot) => slot.restore(told, self.evaluated_to, &is_dimension),
                None => Some(told),
            };
            gone.extend(left.and_then(|told| rule_gone(told, self.evaluated_to)));
        }
        for slot in &mut self.slots {
            slot.history.clear();
        }
        self.remember();
        gone
    }

    /// Learns when each alert, and each known set of labels, had data last, by a window end that was evaluated before.
    pub fn look_back(&mut self, windows: &Windows, end: i64) {
        for slot in &mut self.slots {
            slot.look_back(windows, end);
        }
    }

    /// How far before `evaluated_to` there are window ends that [`look_back`](Evaluator::look_back) needs, in
    /// milliseconds.
    pub fn looks_back(&self) -> i64 {
        let slots = self.slots.iter();
        let asking =
            slots.filter(|slot| slot.rule.no_data == NoData::Alert || !slot.alerts.is_empty());
        let each = asking.map(|slot| slot.rule.condition.longest_range() + slot.rule.no_data_after);
        each.max().unwrap_or_default()
    }

    /// Goes on with other rules. Alerts are kept by rule and labels; gives the ends of alerts whose rules are gone, or
    /// tell their alerts apart by other labels than before.
    pub fn set_rules(&mut self, rules: &Rules) -> Vec<Transition> {
        let old = std::mem::take(&mut self.slots);
        let mut old: BTreeMap<String, Slot> = old
            .into_iter()
            .map(|slot| (slot.rule.id.clone(), slot))
            .collect();
        let mut left = Vec::new();
        for rule in &rules.all {
            let key = |rule: &Rule| {
                let names = rule.condition.key_names().into_iter().map(str::to_owned);
                (names.collect::<Vec<_>>(), rule.condition.is_by_series())
            };
            self.slots.push(match old.remove(&rule.id) {
                Some(slot) if key(&slot.rule) == key(rule) => Slot {
                    rule: rule.clone(),
                    ..slot
                },
                other => {
                    left.extend(other);
                    Slot {
                        since: self.evaluated_to,
                        ..Slot::new(rule.clone(), self.settings)
                    }
                }
            });
        }
        left.extend(old.into_values());
        let gone = left.into_iter().flat_map(|slot| {
            let last = slot.alerts.values().map(|alert| {
                slot.life()
                    .transition(alert, alert.state, alert.reason, alert.active_at)
            });
            last.collect::<Vec<_>>()
        });
        let ends = gone
            .filter_map(|last| rule_gone(last, self.evaluated_to))
            .collect();
        for slot in &mut self.slots {
            if slot.history.is_empty() {
                slot.remember(self.evaluated_to);
            }
        }
        ends
    }
}

/// The end of an alert whose rule is gone; None if it has ended already.
fn rule_gone(last: Transition, at: i64) -> Option<Transition> {
    let to = match last.to {
        State::Pending => State::Dropped,
        State::Firing | State::Keeping => State::Resolved,
        State::Resolved | State::Dropped => return None,
    };
    Some(Transition {
        to,
        reason: Reason::RuleGone,
        at,
        ..last
    })
}

impl Slot {
    /// Takes over what the log knows of an alert. Gives it back if it can be no alert of this rule: the rule told its
    /// alerts apart by other labels when it was recorded.
    fn restore(
        &mut self,
        told: Transition,
        evaluated_to: i64,
        is_dimension: impl Fn(&str, &str) -> bool,
    ) -> Option<Transition> {
        let names = self.rule.condition.key_names();
        let in_key = |(name, _): &(&String, &String)| names.contains(&name.as_str());
        let key = told.labels.iter().filter(in_key).chain(&told.dimensions);
        let key: Key = key
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if told.to == State::Resolved {
            self.ended(&key, &told);
            return None;
        }
        if !matches!(told.to, State::Pending | State::Firing | State::Keeping) {
            return None;
        }
        if !self.tells_apart(&told, is_dimension) || self.alerts.contains_key(&key) {
            return Some(told);
        }
        let ended = told.fired_before.iter().map(|fired_at| Ended {
            active_at: *fired_at,
            fired_at: Some(*fired_at),
            ended_at: told.active_at,
        });
        self.ended
            .entry(key.clone())
            .or_insert_with(|| ended.collect());
        let mut labels = told.labels;
        labels.remove("alertname");
        // The rule's own may have taken their place.
        labels.extend(told.dimensions.clone());
        let reason = if told.reason == Reason::LateData {
            Reason::Condition
        } else {
            told.reason
        };
        let silence = self.rule.no_data_after;
        // Until `look_back` finds otherwise, data are missing for as long as it looks back, or as it took to tell so.
        let seen_at = if told.reason == Reason::NoData {
            told.at - (silence + PANE - 1).div_euclid(PANE) * PANE
        } else {
            evaluated_to - self.rule.condition.longest_range() - silence
        };
        let begins_again = planted::has(Defect::RestartHold) && told.to == State::Pending;
        let alert = Alert {
            labels,
            dimensions: told.dimensions,
            episode: told.episode,
            state: told.to,
            reason,
            active_at: if begins_again {
                evaluated_to
            } else {
                told.active_at
            },
            fired_at: told.fired_at,
            ceased_at: (told.to == State::Keeping).then_some(told.at),
            value: told.value,
            seen_at,
            fired_before: told.fired_before,
        };
        Arc::make_mut(&mut self.alerts).insert(key, alert);
        None
    }

    /// Whether the rule tells an alert apart by the labels by which it was told apart when it was recorded.
    fn tells_apart(&self, told: &Transition, is_dimension: impl Fn(&str, &str) -> bool) -> bool {
        let names = self.rule.condition.key_names();
        let is_own = |name: &str| name == "alertname" || self.rule.labels.contains_key(name);
        let is_as_named =
            |name: &str| is_own(name) || told.labels.contains_key(name) == names.contains(&name);
        if !PER_ENTITY.into_iter().all(is_as_named) {
            return false;
        }
        let by_series = self.rule.condition.is_by_series();
        if !told.dimensions.is_empty() {
            return by_series;
        }
        let kind = told.labels.get("kind").map_or("", String::as_str);
        let is_left_out = |name: &String| !is_own(name) && is_dimension(kind, name);
        let mut others = told.labels.keys().filter(|name| !names.contains(&&***name));
        !(by_series && others.any(is_left_out))
    }

    fn look_back(&mut self, windows: &Windows, end: i64) {
        let knows_all = self.rule.no_data == NoData::Alert;
        if self.alerts.is_empty() && !knows_all {
            return;
        }
        let with_alerts: Vec<&Key> = self.alerts.keys().collect();
        let only = if knows_all {
            Only::All
        } else {
            Only::Of(&with_alerts)
        };
        let found = results(&self.rule.condition, windows, end, only);
        // Shared alerts would be copied at each window end.
        let last = self.history.pop_back();
        let alerts = Arc::make_mut(&mut self.alerts);
        for (key, found) in found {
            if let Some(alert) = alerts.get_mut(&key) {
                alert.seen_at = alert.seen_at.max(end);
                if alert.reason != Reason::NoData && found.holds {
                    alert.value = Some(found.value);
                }
            }
            if knows_all {
                self.known.insert(key, (end, found.labels));
            }
        }
        if let Some((last, _)) = last {
            self.history.push_back((last, self.alerts.clone()));
        }
    }
}
