//! What the records add up to.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::notification::{Notification, Outcome, Status};
use super::record::{Entry, Record};
use super::silence::{Acknowledgement, Silence};
use crate::model::{self, Labels, Transition};

/// Delivered notifications that are kept to be shown, and the most episodes that they tell of in all: notifications of
/// a group of thousands of alerts are large.
const KEPT_DELIVERED: usize = 1_000;
const KEPT_EPISODES: usize = 100_000;

/// Attempts of a notification that are kept: the first one and the last ones.
const KEPT_ATTEMPTS: usize = 100;

/// Notifications that may be stuck at a time; past it the oldest is dropped.
const MOST_STUCK: usize = 10_000;

/// How long the end of an episode is kept, in milliseconds of event time.
const KEPT_ENDED: i64 = 3_600_000;

/// How long an expired silence is shown, in milliseconds: five days, as Alertmanager's `--data.retention`.
const KEPT_SILENCE: i64 = 5 * DAY;

/// How long records are kept behind the snapshot, in days.
const KEPT_DAYS: i64 = 30;

pub(crate) const DAY: i64 = 86_400_000;

/// The state of the service after a record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last record that it counts; 0 before the first one.
    pub through: u64,
    /// The process that writes the log; none where the last one ended well, and in a new log.
    pub leader: Option<Uuid>,
    /// The window end that evaluation has come to, in milliseconds since 1970 of event time; none before the first.
    pub evaluated_to: Option<i64>,
    /// The window end that evaluation began with; none in a new log, and in one that older releases began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<i64>,
    /// Alerts that are pending or firing, and those that are resolved and of which somebody is still to be told, by
    /// episode.
    pub alerts: BTreeMap<String, Alert>,
    /// The ends of episodes that fired and ended within the last hour, the oldest first: by them evaluation tells what
    /// flaps, and which episodes late events do not make known for the first time.
    #[serde(default)]
    pub ended: VecDeque<Transition>,
    /// What each channel was told, by channel and group key.
    pub flows: BTreeMap<String, BTreeMap<String, Flow>>,
    /// Notifications that are open or stuck, by [`Notification::sequence`].
    pub notifications: BTreeMap<u64, Notification>,
    /// The last notifications that were delivered, the oldest first.
    pub delivered: VecDeque<Notification>,
    /// Number of notifications opened so far.
    pub opened: u64,
    /// Number of notifications dropped because too many were stuck.
    pub dropped: u64,
    /// Silences by id, expired ones for five days.
    pub silences: BTreeMap<String, Silence>,
    /// Acknowledgements by episode.
    pub acknowledgements: BTreeMap<String, Acknowledgement>,
    /// The last record of each day, by days since 1970, as far as records are kept.
    pub days: BTreeMap<i64, u64>,
    /// The records up to this one are deleted.
    pub pruned: u64,
}

/// An alert as its transitions left it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The last transition.
    pub last: Transition,
    /// When the log took in that it fires, in milliseconds since 1970; absent while it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<i64>,
}

impl Alert {
    /// Whether receivers are to think that it fires.
    pub fn is_firing(&self) -> bool {
        matches!(self.last.to, model::State::Firing | model::State::Keeping)
    }

    /// Whether it fired and no longer does.
    pub fn is_resolved(&self) -> bool {
        self.last.to == model::State::Resolved
    }

    /// Since when it fires, in milliseconds since 1970 of event time; while it is pending, since when its condition
    /// holds.
    pub fn starts_at(&self) -> i64 {
        self.last.fired_at.unwrap_or(self.last.active_at)
    }
}

/// What a channel was told of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Name of the receiver.
    pub receiver: String,
    /// The labels that the group has in common.
    pub group_labels: Labels,
    /// What was told last of each episode.
    pub told: BTreeMap<String, Told>,
    /// When the last notification was opened, in milliseconds since 1970.
    pub last_at: i64,
    /// Id of the first notification since the group began.
    pub thread: String,
    /// Open notifications; one, but for those that were stuck and are sent again.
    pub open: BTreeSet<u64>,
}

impl Flow {
    /// Whether the channel believes that an alert of the group fires.
    pub fn is_firing(&self) -> bool {
        self.told.values().any(|told| *told == Told::Firing)
    }

    /// Whether there is nothing to remember.
    fn is_idle(&self) -> bool {
        self.told.is_empty() && self.open.is_empty()
    }
}

/// What a channel was told last of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// That it fires.
    Firing,
    /// That it is resolved.
    Resolved,
}

impl State {
    /// The transition that made each pending or firing alert what it is: what an evaluation goes on from.
    pub fn active(&self) -> impl Iterator<Item = &Transition> {
        let alerts = self.alerts.values();
        alerts
            .filter(|alert| !alert.is_resolved())
            .map(|alert| &alert.last)
    }

    /// Number of notifications that stand so.
    pub(crate) fn count(&self, status: Status) -> usize {
        let all = self.notifications.values();
        all.filter(|notification| notification.status == status)
            .count()
    }

    /// Number of alerts that fire.
    pub(crate) fn firing(&self) -> usize {
        self.alerts
            .values()
            .filter(|alert| alert.is_firing())
            .count()
    }

    /// The flow of a channel and group, if it was told anything.
    pub fn flow(&self, channel: &str, group_key: &str) -> Option<&Flow> {
        self.flows.get(channel)?.get(group_key)
    }

    /// Takes in the next record.
    pub(crate) fn apply(&mut self, record: Record) {
        let now = record.written_at;
        self.leader = Some(record.writer);
        for entry in record.entries {
            self.apply_entry(entry, now);
        }
        self.through = record.number;
        self.days.insert(now.div_euclid(DAY), record.number);
        self.silences
            .retain(|_, silence| now < silence.ends_at.saturating_add(KEPT_SILENCE));
    }

    fn apply_entry(&mut self, entry: Entry, now: i64) {
        match entry {
            Entry::Leads => {}
            Entry::Left => self.leader = None,
            Entry::Evaluated { to, transitions } => {
                if self.evaluated_to.is_none() {
                    self.begun_at = Some(to);
                }
                self.evaluated_to = Some(to);
                while self
                    .ended
                    .front()
                    .is_some_and(|ended| to - ended.at >= KEPT_ENDED)
                {
                    self.ended.pop_front();
                }
                for transition in transitions {
                    if transition.to == model::State::Resolved && transition.fired_at.is_some() {
                        self.ended.push_back(transition.clone());
                    }
                    self.transition(transition, now);
                }
            }
            Entry::Opened(notification) => self.open(notification),
            Entry::Attempted {
                notification,
                attempt,
            } => {
                let Some(open) = self.notifications.get_mut(&notification) else {
                    return;
                };
                let outcome = attempt.outcome;
                open.attempts.push(attempt);
                if open.attempts.len() > KEPT_ATTEMPTS {
                    open.attempts.remove(1);
                    open.attempts_left_out += 1;
                }
                match outcome {
                    Outcome::Delivered => self.delivered(notification),
                    Outcome::Refused => self.stuck(notification),
                    Outcome::Failed => {}
                }
            }
            Entry::Stuck { notification } => self.stuck(notification),
            Entry::Retried { notifications, at } => {
                for sequence in notifications {
                    self.retried(sequence, at);
                }
            }
            Entry::Forgotten { notifications } => {
                for sequence in notifications {
                    self.forgotten(sequence);
                }
            }
            Entry::Closed { episodes } => self.closed(episodes),
            Entry::SilenceSet(silence) => {
                self.silences.insert(silence.id.clone(), silence);
            }
            Entry::SilenceExpired { id, at } => {
                if let Some(silence) = self.silences.get_mut(&id) {
                    silence.ends_at = silence.ends_at.min(at);
                    silence.starts_at = silence.starts_at.min(at);
                    silence.updated_at = at;
                }
            }
            Entry::Acknowledged(acknowledgement) => {
                let episode = acknowledgement.episode.clone();
                if self
                    .alerts
                    .get(&episode)
                    .is_some_and(|alert| !alert.is_resolved())
                {
                    self.acknowledgements.insert(episode, acknowledgement);
                }
            }
        }
    }

    fn transition(&mut self, transition: Transition, now: i64) {
        use model::State as S;
        let episode = transition.episode.clone();
        let known = self.alerts.get(&episode);
        let seen_at = known.and_then(|alert| alert.seen_at);
        let seen_at = match transition.to {
            S::Dropped => {
                self.alerts.remove(&episode);
                return;
            }
            // It never fired, so there is nobody to tell.
            S::Resolved if seen_at.is_none() => {
                self.alerts.remove(&episode);
                return;
            }
            S::Pending => None,
            S::Firing | S::Keeping | S::Resolved => seen_at.or(Some(now)),
        };
        if transition.to == S::Resolved {
            self.acknowledgements.remove(&episode);
        }
        let alert = Alert {
            last: transition,
            seen_at,
        };
        self.alerts.insert(episode, alert);
    }

    fn open(&mut self, notification: Notification) {
        let flows = self.flows.entry(notification.channel.clone()).or_default();
        let flow = flows.entry(notification.group_key.clone()).or_default();
        flow.receiver.clone_from(&notification.receiver);
        flow.group_labels.clone_from(&notification.group_labels);
        flow.thread.clone_from(&notification.thread);
        flow.last_at = notification.opened_at;
        flow.open.insert(notification.sequence);
        let told = |episodes: &[String], told| {
            episodes
                .iter()
                .map(move |e| (e.clone(), told))
                .collect::<Vec<_>>()
        };
        flow.told.extend(told(&notification.firing, Told::Firing));
        flow.told
            .extend(told(&notification.resolved, Told::Resolved));
        self.opened = self.opened.max(notification.sequence);
        self.notifications
            .insert(notification.sequence, notification);
    }

    fn delivered(&mut self, sequence: u64) {
        let Some(mut notification) = self.notifications.remove(&sequence) else {
            return;
        };
        self.no_longer_open(&notification);
        notification.status = Status::Delivered;
        self.delivered.push_back(notification);
        let tells_of = |n: &Notification| n.firing.len() + n.resolved.len();
        let mut episodes: usize = self.delivered.iter().map(tells_of).sum();
        while self.delivered.len() > KEPT_DELIVERED
            || (episodes > KEPT_EPISODES && self.delivered.len() > 1)
        {
            let oldest = self.delivered.pop_front();
            episodes -= oldest.as_ref().map_or(0, tells_of);
        }
    }

    fn stuck(&mut self, sequence: u64) {
        let Some(notification) = self.notifications.get_mut(&sequence) else {
            return;
        };
        notification.status = Status::Stuck;
        let notification = notification.clone();
        self.no_longer_open(&notification);
        let stuck = || {
            self.notifications
                .values()
                .filter(|n| n.status == Status::Stuck)
        };
        if stuck().count() > MOST_STUCK
            && let Some(oldest) = stuck().next().map(|oldest| oldest.sequence)
        {
            self.notifications.remove(&oldest);
            self.dropped += 1;
        }
    }

    fn retried(&mut self, sequence: u64, at: i64) {
        let Some(notification) = self.notifications.get_mut(&sequence) else {
            return;
        };
        if notification.status != Status::Stuck {
            return;
        }
        notification.status = Status::Open;
        notification.tried_since = at;
        let flows = self.flows.entry(notification.channel.clone()).or_default();
        let flow = flows.entry(notification.group_key.clone()).or_default();
        flow.open.insert(sequence);
    }

    fn forgotten(&mut self, sequence: u64) {
        let notification = self.notifications.get(&sequence);
        if notification.is_some_and(|notification| notification.status == Status::Stuck) {
            self.notifications.remove(&sequence);
        }
    }

    fn no_longer_open(&mut self, notification: &Notification) {
        let Some(flows) = self.flows.get_mut(&notification.channel) else {
            return;
        };
        if let Some(flow) = flows.get_mut(&notification.group_key) {
            flow.open.remove(&notification.sequence);
            if flow.is_idle() {
                flows.remove(&notification.group_key);
            }
        }
    }

    fn closed(&mut self, episodes: Vec<String>) {
        let episodes: HashSet<String> = episodes.into_iter().collect();
        self.alerts.retain(|episode, _| !episodes.contains(episode));
        for flow in self.flows.values_mut().flat_map(BTreeMap::values_mut) {
            flow.told.retain(|episode, _| !episodes.contains(episode));
        }
        for flows in self.flows.values_mut() {
            flows.retain(|_, flow| !flow.is_idle());
        }
        self.flows.retain(|_, flows| !flows.is_empty());
    }

    /// The last record that is too old to be kept.
    pub(crate) fn prunable(&self, now: i64) -> u64 {
        let first_kept = now.div_euclid(DAY) - KEPT_DAYS;
        let old = self.days.range(..first_kept).map(|(_, last)| *last);
        old.max().unwrap_or(self.pruned)
    }

    /// Notes that the records up to this one are deleted.
    pub(crate) fn pruned_through(&mut self, number: u64) {
        self.pruned = number;
        self.days.retain(|_, last| *last > number);
    }
}
