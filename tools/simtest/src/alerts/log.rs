//! The log of alerts as an onlooker reads it: straight from the bucket, record by record.

use std::collections::{BTreeMap, BTreeSet};

use alerts::journal::{Entry, Notification, Outcome, Record};
use alerts::model::{State, Transition};
use lake::key::alert_record_key;
use uuid::Uuid;

use crate::attack::Attack;
use crate::world::{BUCKET, World};

/// What the records say that were read so far.
#[derive(Debug, Default)]
pub struct Log {
    /// Number of the last record that was read; records are numbered from 1 on.
    read_to: u64,
    /// The window end that evaluation came to first, in milliseconds since 1970.
    pub first: Option<i64>,
    /// The window end that evaluation has come to.
    pub evaluated_to: Option<i64>,
    /// Notifications by id.
    pub opened: BTreeMap<String, Notification>,
    /// Notifications that are not delivered.
    pub open: BTreeSet<u64>,
    /// When a notification was opened or tried last, in milliseconds since 1970.
    pub told_at: i64,
    leader: Option<Uuid>,
    /// The last transition of each episode.
    last: BTreeMap<String, Transition>,
}

impl Log {
    /// Reads the records that are new, and holds each against those before it.
    pub fn read_on(&mut self, world: &World) {
        loop {
            let key = alert_record_key(self.read_to + 1);
            let Some(body) = world.cloud.object(BUCKET, &key) else {
                return;
            };
            self.read_to += 1;
            match serde_json::from_slice(&body) {
                Ok(record) => self.take(world, record),
                Err(error) => world.fail(format!("cannot read `{key}`: {error}")),
            }
        }
    }

    fn take(&mut self, world: &World, record: Record) {
        for entry in record.entries {
            match entry {
                Entry::Leads => {
                    if self.leader.is_some_and(|leader| leader != record.writer) {
                        world.fire(Attack::AnotherLeads);
                    }
                    self.leader = Some(record.writer);
                }
                Entry::Evaluated { to, transitions } => {
                    if self.evaluated_to.is_some_and(|before| to < before) {
                        world.fail(format!(
                            "record {} goes back to {to} from {:?}",
                            record.number, self.evaluated_to
                        ));
                    }
                    self.first.get_or_insert(to);
                    self.evaluated_to = Some(to);
                    for transition in transitions {
                        world.tell("log", format_args!("{to}: {}", show(&transition)));
                        self.step(world, transition);
                    }
                }
                Entry::Opened(notification) => {
                    self.told_at = record.written_at;
                    self.open.insert(notification.sequence);
                    let id = notification.id.clone();
                    if self.opened.insert(id.clone(), notification).is_some() {
                        world.fail(format!("notification {id} is opened twice"));
                    }
                }
                Entry::Attempted {
                    notification,
                    attempt,
                } => {
                    self.told_at = record.written_at;
                    if attempt.outcome == Outcome::Delivered {
                        self.open.remove(&notification);
                    }
                }
                Entry::Stuck { notification } => {
                    world.fail(format!("notification {notification} is stuck"));
                }
                _ => {}
            }
        }
    }

    /// An episode goes on as it was: through restarts it keeps its beginning, and once people were told of its end it
    /// does not come again.
    fn step(&mut self, world: &World, transition: Transition) {
        if let Some(before) = self.last.get(&transition.episode) {
            let is_moved = before.active_at != transition.active_at
                || before.fired_at.is_some() && before.fired_at != transition.fired_at;
            if before.to == State::Resolved || is_moved && before.to != State::Dropped {
                world.fail(format!("{before:?} is followed by {transition:?}"));
            }
        }
        self.last.insert(transition.episode.clone(), transition);
    }
}

fn show(transition: &Transition) -> String {
    let label = |name| transition.labels.get(name).map_or("", String::as_str);
    format!(
        "{} of {} {:?} by {:?} at {}, active at {}, fired at {:?}",
        label("alertname"),
        label("entity_id"),
        transition.to,
        transition.reason,
        transition.at,
        transition.active_at,
        transition.fired_at
    )
}
