//! Late events: windows that were evaluated are evaluated again, and what was told is set right.
//!
//! The alerts of the series in question are gone through again from before the first changed window on. An episode
//! that was not seen in time is told with its end; one that is not so ends with [`Reason::LateData`]. An episode that
//! goes on keeps its id, also where it turns out to have begun earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windows::{Changed, PANE, Windows};

use crate::evaluate::alert::{Alert, episode};
use crate::evaluate::evaluator::Evaluator;
use crate::evaluate::results::{Found, Key, Only, PER_ENTITY, entity_key, key_of, label, results};
use crate::evaluate::slot::{Alerts, Slot};
use crate::model::{Reason, State, Transition};

impl Evaluator {
    /// Looks again at the windows that late events have changed.
    pub fn revise(&mut self, windows: &Windows, changed: &[Changed]) -> Vec<Transition> {
        let mut out = Vec::new();
        let evaluated_to = self.evaluated_to;
        let is_late = |change: &&Changed| {
            change
                .given_to
                .is_some_and(|given_to| change.pane < given_to)
        };
        let late: Vec<_> = changed.iter().filter(is_late).collect();
        if late.is_empty() {
            return out;
        }
        for slot in &mut self.slots {
            let mut keys = BTreeSet::new();
            let mut first = i64::MAX;
            for change in &late {
                let Some(series) = windows.describe(change.series) else {
                    continue;
                };
                slot.rule.condition.each_over_time(&mut |selector, _| {
                    if selector.signal == series.signal
                        && selector.matches(|name| label(&series, name))
                    {
                        // A side may be a group by entity.
                        keys.extend([key_of(&series), entity_key(&series)]);
                        first = first.min(change.pane + PANE);
                    }
                });
            }
            if first <= evaluated_to {
                slot.revise(windows, (first, evaluated_to), &keys, &mut out);
            }
        }
        out
    }
}

/// An episode that began and ended while windows were gone through again.
struct Closed {
    key: Key,
    fired: Transition,
    resolved: Transition,
}

impl Slot {
    fn revise(
        &mut self,
        windows: &Windows,
        (first, last): (i64, i64),
        changed: &BTreeSet<Key>,
        out: &mut Vec<Transition>,
    ) {
        let by_entity = self.rule.condition.key_names() == PER_ENTITY;
        let is_concerned = |key: &Key| !by_entity || changed.contains(key);
        let changed: Vec<&Key> = changed.iter().collect();
        let Some((first, mut alerts)) = self.base(first, last, is_concerned) else {
            return;
        };
        let mut closed = Vec::new();
        // What fired before may turn out to have ended before it was told, too.
        let fired = alerts.iter().filter_map(|(key, alert)| {
            let at = alert.fired_at?;
            let fired = self
                .life()
                .transition(alert, State::Firing, alert.reason, at);
            Some((key.clone(), fired))
        });
        let mut firing: BTreeMap<Key, Transition> = fired.collect();
        for end in (first..=last).step_by(PANE as usize) {
            let only = if by_entity {
                Only::Of(&changed)
            } else {
                Only::All
            };
            let found = results(&self.rule.condition, windows, end, only);
            alerts = self.go_through(alerts, &found, end, (&mut firing, &mut closed));
            if let Some((_, then)) = self.history.iter_mut().find(|(then, _)| *then == end) {
                replace(then, &alerts, is_concerned);
            }
        }
        closed.retain(|closed: &Closed| !self.was_told(closed));
        for Closed {
            key,
            mut fired,
            mut resolved,
        } in closed
        {
            let active_at = self.unused(&key, fired.active_at);
            if active_at != fired.active_at {
                fired.active_at = active_at;
                fired.episode = episode(&self.rule.id, &key, active_at);
                (resolved.active_at, resolved.episode) = (active_at, fired.episode.clone());
            }
            self.ended(&key, &resolved);
            out.extend([fired, resolved]);
        }
        let mut current = Alerts::clone(&self.alerts);
        let mut keys: Vec<Key> = current
            .keys()
            .filter(|key| is_concerned(key))
            .cloned()
            .collect();
        keys.extend(
            alerts
                .keys()
                .filter(|key| !current.contains_key(*key))
                .cloned(),
        );
        for key in keys {
            let (old, new) = (current.remove(&key), alerts.remove(&key));
            if let Some(alert) = self.reconcile(&key, old, new, last, out) {
                current.insert(key, alert);
            }
        }
        self.alerts = Arc::new(current);
        if let Some((_, newest)) = self.history.back_mut() {
            *newest = self.alerts.clone();
        }
    }

    /// The alerts from which windows are gone through again, and the first window end after them, to change what holds
    /// from `first` on. After a start, history begins later, and the log does not tell what stood then: what was
    /// dropped, and since when an episode would have fired by events that came late. So all windows that are held are
    /// gone through, but for those from before the rule was looked at.
    fn base(
        &self,
        first: i64,
        last: i64,
        is_concerned: impl Fn(&Key) -> bool,
    ) -> Option<(i64, Alerts)> {
        let concerned = |alerts: &Arc<Alerts>, as_of: &dyn Fn(&Alert) -> Option<Alert>| {
            let alerts = alerts.iter().filter(|(key, _)| is_concerned(key));
            let then = alerts.filter_map(|(key, alert)| Some((key.clone(), as_of(alert)?)));
            then.collect()
        };
        let held_from = last - self.settings.lateness.div_euclid(PANE) * PANE + PANE;
        // Older windows are no longer whole.
        let first = first.max(held_from);
        let mut history = self.history.iter().rev();
        if let Some((_, base)) = history.find(|(end, _)| *end < first) {
            return Some((first, concerned(base, &|alert| Some(alert.clone()))));
        }
        let (_, known) = self.history.front()?;
        let first = held_from.max(self.since.saturating_add(PANE));
        if first > last {
            return None;
        }
        let base = concerned(known, &|alert| alert.as_of(first - PANE));
        Some((first, base))
    }

    fn go_through(
        &self,
        alerts: Alerts,
        found: &BTreeMap<Key, Found>,
        end: i64,
        (firing, closed): (&mut BTreeMap<Key, Transition>, &mut Vec<Closed>),
    ) -> Alerts {
        let mut left = Alerts::new();
        let mut told = Vec::new();
        for (key, found) in found.iter().filter(|(_, found)| found.holds) {
            if !alerts.contains_key(key) {
                let before = self.fired_before(key, end);
                let alert = self.life().begin(key, found, end, before, &mut told);
                left.insert(key.clone(), alert);
            }
        }
        for (key, alert) in alerts {
            let from = told.len();
            let next = self.life().step(alert, found.get(&key), end, &mut told);
            for transition in told.split_off(from) {
                match transition.to {
                    State::Firing => {
                        firing.entry(key.clone()).or_insert(transition);
                    }
                    State::Resolved => {
                        if let Some(mut fired) = firing.remove(&key) {
                            let mut resolved = transition;
                            (fired.reason, resolved.reason) = (Reason::LateData, Reason::LateData);
                            let key = key.clone();
                            closed.push(Closed {
                                key,
                                fired,
                                resolved,
                            });
                        }
                    }
                    _ => {}
                }
            }
            if let Some(alert) = next {
                left.insert(key, alert);
            }
        }
        for (key, alert) in &left {
            if alert.state == State::Firing && alert.fired_at == Some(end) {
                let fired = self
                    .life()
                    .transition(alert, State::Firing, alert.reason, end);
                firing.entry(key.clone()).or_insert(fired);
            }
        }
        left
    }

    /// The first window end from `active_at` on with which no episode of `key` begins that people were told of.
    fn unused(&self, key: &Key, active_at: i64) -> i64 {
        let current = self.alerts.get(key).map(|alert| alert.active_at);
        let ended = self.ended.get(key).into_iter().flatten();
        let ended = ended.filter(|ended| ended.fired_at.is_some());
        let taken: BTreeSet<i64> = ended.map(|ended| ended.active_at).chain(current).collect();
        let ends = std::iter::successors(Some(active_at), |end| Some(end + PANE));
        let mut unused = ends.filter(|end| !taken.contains(end));
        unused.next().unwrap_or(active_at)
    }

    /// Whether an episode was told that has a time in common with this one.
    fn was_told(&self, closed: &Closed) -> bool {
        let overlaps = |from: i64, to: i64| from <= closed.resolved.at && closed.fired.at <= to;
        let ended = self.ended.get(&closed.key).into_iter().flatten();
        let fired = ended.filter_map(|ended| Some((ended.fired_at?, ended.ended_at)));
        let mut ended = fired.map(|(from, to)| overlaps(from, to));
        let current = self
            .alerts
            .get(&closed.key)
            .and_then(|alert| alert.fired_at);
        ended.any(|overlaps| overlaps) || current.is_some_and(|from| overlaps(from, i64::MAX))
    }

    /// What an alert becomes that was `old` and should have been `new`.
    fn reconcile(
        &mut self,
        key: &Key,
        old: Option<Alert>,
        new: Option<Alert>,
        last: i64,
        out: &mut Vec<Transition>,
    ) -> Option<Alert> {
        let was_told_firing = old.as_ref().is_some_and(|old| old.fired_at.is_some());
        let (alert, changed_at) = match (old, new) {
            // It was told ahead of the watermark.
            (Some(old), _) if old.active_at > last => return Some(old),
            // Data are looked for again at the next window end.
            (Some(old), None) if old.reason == Reason::NoData => return Some(old),
            // Nobody was told of a pending alert. One that began at another time is another, and waits from then on.
            (Some(old), Some(new)) if old.fired_at.is_none() && old.active_at != new.active_at => {
                self.reconcile(key, Some(old), None, last, out);
                return self.reconcile(key, None, Some(new), last, out);
            }
            (Some(old), None) => {
                let is_told = old.fired_at.is_some();
                let to = if is_told {
                    State::Resolved
                } else {
                    State::Dropped
                };
                let told = self.life().transition(&old, to, Reason::LateData, last);
                self.ended(key, &told);
                out.push(told);
                return None;
            }
            (Some(mut old), Some(new)) => {
                (old.seen_at, old.value) = (new.seen_at.max(old.seen_at), new.value);
                let is_as_before = (old.state, old.ceased_at) == (new.state, new.ceased_at);
                if is_as_before || new.state == State::Pending {
                    return Some(old);
                }
                if old.fired_at.is_none() {
                    old.fired_at = new.fired_at.map(|at| at.max(old.active_at));
                }
                (old.state, old.ceased_at) = (new.state, new.ceased_at);
                let changed_at = old.ceased_at.unwrap_or(last);
                (old, changed_at)
            }
            (None, Some(_)) if self.alerts.len() >= self.settings.most_alerts => {
                self.left_out += 1;
                return None;
            }
            (None, Some(mut new)) => {
                let ended = self.ended.get(key).into_iter().flatten();
                let ended = ended.filter(|ended| ended.fired_at.is_some());
                let ended = ended.map(|ended| ended.ended_at).max();
                // What is left of an episode that was told with its end.
                if new.ceased_at.is_some_and(|ceased| ended >= Some(ceased)) {
                    return None;
                }
                let active_at = self.unused(key, new.active_at);
                if active_at != new.active_at {
                    new.active_at = active_at;
                    new.episode = episode(&self.rule.id, key, active_at);
                }
                // People heard that it was over until then.
                let earliest = ended.unwrap_or(active_at).max(active_at);
                new.fired_at = new.fired_at.map(|at| at.max(earliest));
                let at = new.ceased_at.or(new.fired_at);
                let at = at.unwrap_or(new.active_at);
                (new, at)
            }
            (None, None) => return None,
        };
        if let (State::Keeping, Some(fired_at), false) =
            (alert.state, alert.fired_at, was_told_firing)
        {
            let fired = (State::Firing, Reason::LateData);
            out.push(self.life().transition(&alert, fired.0, fired.1, fired_at));
        }
        out.push(
            self.life()
                .transition(&alert, alert.state, Reason::LateData, changed_at),
        );
        Some(alert)
    }
}

/// Puts `alerts` in the place of those that are concerned.
fn replace(then: &mut Arc<Alerts>, alerts: &Alerts, is_concerned: impl Fn(&Key) -> bool) {
    let then = Arc::make_mut(then);
    then.retain(|key, _| !is_concerned(key));
    let alerts = alerts.iter();
    then.extend(alerts.map(|(key, alert)| (key.clone(), alert.clone())));
}
