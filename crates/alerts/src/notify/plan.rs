//! Decides when whom is told what: the state and the time come in, entries for the log go out. Pure.
//!
//! Two rules hold whatever the routes say. An episode that fired is told as firing, also where it is resolved by the
//! time that it can be told, unless it was muted. Where it was told as firing, it is told as resolved.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::mute::Mutes;
use super::routing::{Route, Routing, Target};
use crate::journal::{Alert, Entry, Flow, Notification, State, Status, Told, Why};

/// A minute: how often routes with `time_intervals` are looked at.
const MINUTE: i64 = 60_000;

/// What follows from a state at a time.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Notifications to open, and episodes to close. All in one record.
    pub(crate) entries: Vec<Entry>,
    /// When to look again if nothing changes, in milliseconds since 1970.
    pub(crate) due: Option<i64>,
}

/// Plans by one configuration; remembers which groups each alert belongs to.
#[derive(Debug)]
pub(crate) struct Planner {
    pub(crate) routing: Arc<Routing>,
    targets: HashMap<String, Arc<[Target]>>,
}

/// What a channel could be told of a group.
struct Group<'s> {
    route: Option<usize>,
    /// Told as firing, and firing: told again with each notification.
    firing: Vec<(&'s str, &'s Alert)>,
    /// To be told as firing.
    new: Vec<(&'s str, &'s Alert)>,
    /// To be told as resolved.
    resolved: Vec<(&'s str, &'s Alert)>,
    /// Whether the channel believes in a firing alert that still fires.
    stays: bool,
    labels: &'s crate::model::Labels,
}

impl Planner {
    pub(crate) fn new(routing: Arc<Routing>) -> Planner {
        Planner {
            routing,
            targets: HashMap::new(),
        }
    }

    /// `now` is in milliseconds since 1970.
    pub(crate) fn plan(&mut self, state: &State, now: i64) -> Plan {
        self.targets
            .retain(|episode, _| state.alerts.contains_key(episode));
        for (episode, alert) in &state.alerts {
            if alert.seen_at.is_some() && !self.targets.contains_key(episode) {
                self.targets.insert(
                    episode.clone(),
                    self.routing.targets(&alert.last.labels).into(),
                );
            }
        }
        let mutes = Mutes::at(state, &self.routing, now);
        let mut waits: HashSet<&str> = HashSet::new();
        let groups = self.groups(state, &mutes, now, &mut waits);
        let mut plan = Plan {
            entries: Vec::new(),
            due: self.next_change(state, now),
        };
        for ((channel, group_key), group) in groups {
            let flow = state.flow(channel, group_key);
            let Some((due, why)) = self.due(&group, flow, state, now) else {
                continue;
            };
            if due > now {
                plan.due = Some(plan.due.map_or(due, |earliest| earliest.min(due)));
                continue;
            }
            let sequence = state.opened + 1 + plan.entries.len() as u64;
            let notification = open(channel, group_key, group, flow, why, sequence, now);
            plan.entries.push(Entry::Opened(notification));
        }
        let opened = plan.entries.iter().filter_map(|entry| match entry {
            Entry::Opened(opened) => Some(opened),
            _ => None,
        });
        let held = state.notifications.values().chain(opened);
        let held: HashSet<&str> = held
            .flat_map(|n| n.firing.iter().chain(&n.resolved))
            .map(String::as_str)
            .collect();
        let over = state.alerts.iter().filter(|(_, alert)| alert.is_resolved());
        let over = over.map(|(episode, _)| episode);
        let over = over.filter(|episode| {
            !waits.contains(episode.as_str()) && !held.contains(episode.as_str())
        });
        let episodes: Vec<String> = over.cloned().collect();
        if !episodes.is_empty() {
            plan.entries.push(Entry::Closed { episodes });
        }
        plan
    }

    /// The groups with something to tell, by channel and key. Resolved alerts of which somebody is still to be told
    /// are put into `waits`.
    fn groups<'s>(
        &'s self,
        state: &'s State,
        mutes: &Mutes<'_>,
        now: i64,
        waits: &mut HashSet<&'s str>,
    ) -> BTreeMap<(&'s str, &'s str), Group<'s>> {
        let mut groups: BTreeMap<(&str, &str), Group<'s>> = BTreeMap::new();
        for (episode, alert) in &state.alerts {
            let Some(targets) = self.targets.get(episode) else {
                continue;
            };
            let is_muted = mutes.mutes(alert);
            for target in targets.iter() {
                let route = &self.routing.routes[target.route];
                if is_muted || is_off(route, now) {
                    continue;
                }
                for channel in self.routing.channels_of(route) {
                    let flow = state.flow(&channel.name, &target.group_key);
                    let told = flow.and_then(|flow| flow.told.get(episode));
                    if alert.is_resolved() && told.is_some() {
                        continue;
                    }
                    let key = (channel.name.as_str(), target.group_key.as_str());
                    let group = groups
                        .entry(key)
                        .or_insert_with(|| Group::new(&target.group_labels));
                    group.route = Some(target.route);
                    if told == Some(&Told::Firing) {
                        group.firing.push((episode, alert));
                    } else {
                        group.new.push((episode, alert));
                    }
                    if alert.is_resolved() {
                        waits.insert(episode);
                    }
                }
            }
        }
        // What was told stands in the flows, whatever the routes say now.
        for (channel, flows) in &state.flows {
            let Some(channel) = self.routing.channel(channel) else {
                continue;
            };
            for (group_key, flow) in flows {
                let told = flow.told.iter().filter(|(_, told)| **told == Told::Firing);
                let alerts = told.filter_map(|(episode, _)| {
                    Some((episode.as_str(), state.alerts.get(episode)?))
                });
                for (episode, alert) in alerts {
                    let key = (channel.name.as_str(), group_key.as_str());
                    let group = groups
                        .entry(key)
                        .or_insert_with(|| Group::new(&flow.group_labels));
                    if !alert.is_resolved() {
                        group.stays = true;
                    } else if channel.send_resolved {
                        group.resolved.push((episode, alert));
                        waits.insert(episode);
                    }
                }
            }
        }
        groups
    }

    /// When the channel is to be told of the group, and why; none if there is nothing to tell.
    fn due(
        &self,
        group: &Group<'_>,
        flow: Option<&Flow>,
        state: &State,
        now: i64,
    ) -> Option<(i64, Why)> {
        if flow.is_some_and(|flow| !flow.open.is_empty()) {
            return None;
        }
        let last_at = flow.map_or(now, |flow| flow.last_at);
        let timing = group.route.map(|route| self.routing.routes[route].timing);
        let timing = timing.unwrap_or(self.routing.routes[0].timing);
        let was_firing = flow.is_some_and(Flow::is_firing);
        if !group.new.is_empty() {
            let first_seen = group
                .new
                .iter()
                .filter_map(|(_, alert)| alert.seen_at)
                .min()
                .unwrap_or(now);
            return Some(if was_firing {
                (after(last_at, timing.group_interval, now), Why::New)
            } else {
                (after(first_seen, timing.group_wait, now), Why::First)
            });
        }
        if !group.resolved.is_empty() {
            return Some(if group.stays {
                (
                    after(last_at, timing.group_interval, now),
                    Why::SomeResolved,
                )
            } else {
                (now, Why::AllResolved)
            });
        }
        let is_acknowledged = |episode: &str| state.acknowledgements.contains_key(episode);
        let wants_repeat = group
            .firing
            .iter()
            .any(|(episode, _)| !is_acknowledged(episode));
        wants_repeat.then(|| (after(last_at, timing.repeat_interval, now), Why::Repeat))
    }

    /// When silences or intervals of time next begin or end.
    fn next_change(&self, state: &State, now: i64) -> Option<i64> {
        if state.alerts.is_empty() {
            return None;
        }
        let ends = state
            .silences
            .values()
            .flat_map(|silence| [silence.starts_at, silence.ends_at]);
        let next = ends.filter(|at| *at > now).min();
        let has_intervals =
            |route: &Route| !route.muted_in.is_empty() || !route.active_in.is_empty();
        let minute = (now.div_euclid(MINUTE) + 1) * MINUTE;
        let minute = self
            .routing
            .routes
            .iter()
            .any(has_intervals)
            .then_some(minute);
        next.into_iter().chain(minute).min()
    }
}

impl<'s> Group<'s> {
    fn new(labels: &'s crate::model::Labels) -> Group<'s> {
        Group {
            route: None,
            firing: Vec::new(),
            new: Vec::new(),
            resolved: Vec::new(),
            stays: false,
            labels,
        }
    }
}

/// `from + wait`, or `now` where a clock that was set back put `from` into the future.
fn after(from: i64, wait: i64, now: i64) -> i64 {
    if from > now {
        now
    } else {
        from.saturating_add(wait)
    }
}

/// Whether the route is quiet by its intervals of time.
fn is_off(route: &Route, now: i64) -> bool {
    let within = |intervals: &[super::intervals::Interval]| {
        intervals.iter().any(|interval| interval.contains(now))
    };
    within(&route.muted_in) || (!route.active_in.is_empty() && !within(&route.active_in))
}

fn open(
    channel: &str,
    group_key: &str,
    mut group: Group<'_>,
    flow: Option<&Flow>,
    why: Why,
    sequence: u64,
    now: i64,
) -> Notification {
    group.firing.append(&mut group.new);
    let sorted = |mut alerts: Vec<(&str, &Alert)>| {
        alerts.sort_by(|(one, alert), (other, than)| {
            let place = (alert.starts_at(), &alert.last.labels, one);
            place.cmp(&(than.starts_at(), &than.last.labels, other))
        });
        alerts
            .into_iter()
            .map(|(episode, _)| episode.to_owned())
            .collect::<Vec<_>>()
    };
    let id = format!("{channel}\n{group_key}\n{sequence}\n{now}");
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string();
    let thread = flow
        .filter(|flow| flow.is_firing())
        .map(|flow| flow.thread.clone());
    Notification {
        sequence,
        thread: thread.unwrap_or_else(|| id.clone()),
        id,
        channel: channel.to_owned(),
        receiver: channel
            .rsplitn(3, '/')
            .last()
            .unwrap_or_default()
            .to_owned(),
        group_key: group_key.to_owned(),
        group_labels: group.labels.clone(),
        why,
        opened_at: now,
        tried_since: now,
        firing: sorted(group.firing),
        resolved: sorted(group.resolved),
        status: Status::Open,
        attempts: Vec::new(),
        attempts_left_out: 0,
    }
}
