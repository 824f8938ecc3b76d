//! What must hold at the end of a run: what each receiver was told is what the reference finds in the accepted events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use alerts::journal::{Journal, JournalSettings};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Kinds, parse_line, raw_arrival_of};
use lake::key::ALERT_SNAPSHOT;
use uuid::Uuid;

use crate::alerts::Town;
use crate::alerts::load::Sent;
use crate::alerts::receivers::{RECEIVERS, Told};
use crate::alerts::rules::{Episode, PANE, RULES, Rule, Sample, episodes, holds};
use crate::world::{BUCKET, World, lock};

/// How far the watermark is behind the newest arrival at least: `WATERMARK_DELAY`, and 2 s that arrivals of one object
/// may lie apart.
const BEHIND: i64 = 12_000;

/// How soon after its time an event must have landed, so that no clock or pause can make it late: less than `BEHIND`.
const IN_TIME: i64 = 10_000;

/// A part whose name is older than the newest one by more than this is found by a sweep, which comes within a minute
/// and the time that a listing takes. A message that has waited long gives such a name to the younger ones beside it.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
const SWEEP: i64 = 60_000;

/// How old a look at the queue may be, besides what its answer is late.
const LOOK: i64 = 5_000;

/// A value of a device, and when it could be read.
#[derive(Debug, Clone, Copy)]
struct Landed {
    sample: Sample,
    at: i64,
    /// Whether its part is found by a sweep.
    is_swept: bool,
}

/// What is known of the events of a signal of a device.
#[derive(Debug, Default)]
struct Series {
    /// In the order in which they landed.
    landed: Vec<Landed>,
    /// Whether none was late.
    is_in_time: bool,
    /// Whether none may have been too late to count.
    is_counted: bool,
}

/// Holds what was told against the events.
pub(super) async fn hold(town: &Town) {
    let world = &town.world;
    let range = {
        let mut log = lock(&town.log);
        log.read_on(world);
        log.first.zip(log.evaluated_to)
    };
    let Some(range) = range else {
        return;
    };
    let devices = devices(town);
    let told = lock(&town.told).clone();
    let mut found = 0;
    for (device, series) in &devices {
        for rule in &RULES {
            let samples = sorted(&series[rule.signal].landed);
            let episodes = episodes(rule, &samples, range);
            found += episodes.len();
            for receiver in RECEIVERS {
                let heard = Heard::of(&told, receiver, rule, device);
                hold_one(world, rule, &series[rule.signal], &episodes, &heard);
            }
        }
    }
    hold_ids(world, &told);
    let in_time = devices
        .values()
        .filter(|series| series[0].is_in_time)
        .count();
    world.tell(
        "judge",
        format_args!(
            "{} messages about {found} episodes; events of {in_time} of {} devices were in time",
            told.len(),
            devices.len()
        ),
    );
    hold_snapshot(world).await;
}

/// What a receiver was told about a rule and a device.
struct Heard {
    what: String,
    /// The beginning of each episode that it heard of as firing, and when it was told first.
    firing: BTreeMap<i64, DateTime<Utc>>,
    /// The beginning and end of each episode that it heard of as resolved.
    resolved: BTreeMap<i64, i64>,
}

impl Heard {
    fn of(told: &[Told], receiver: &str, rule: &Rule, device: &str) -> Heard {
        let mut heard = Heard {
            what: format!("{} of {device} to {receiver}", rule.name),
            firing: BTreeMap::new(),
            resolved: BTreeMap::new(),
        };
        for told in told.iter().filter(|told| told.receiver == receiver) {
            for alert in &told.message.alerts {
                let labels = &alert.labels;
                if labels.alertname != rule.name || labels.entity_id != device {
                    continue;
                }
                let starts_at = alert.starts_at.timestamp_millis();
                if alert.status == "firing" {
                    heard.firing.entry(starts_at).or_insert(told.at);
                } else {
                    let ends_at = alert.ends_at.timestamp_millis();
                    heard.resolved.insert(starts_at, ends_at);
                }
            }
        }
        heard
    }

    /// The episodes that it heard of, as it heard of them.
    fn episodes(&self) -> Vec<Episode> {
        let firing = self.firing.keys();
        let episodes = firing.map(|fired_at| Episode {
            fired_at: *fired_at,
            ended_at: self.resolved.get(fired_at).copied(),
        });
        episodes.collect()
    }
}

fn hold_one(world: &World, rule: &Rule, series: &Series, expected: &[Episode], heard: &Heard) {
    let what = &heard.what;
    let fail = |text: String| world.fail(format!("{what}: {text}"));
    for fired_at in heard
        .resolved
        .keys()
        .filter(|at| !heard.firing.contains_key(at))
    {
        fail(format!(
            "{fired_at} was told as resolved, and never as firing"
        ));
    }
    let told = heard.episodes();
    if series.is_in_time && !rule.is_at_once() {
        if told != expected {
            fail(format!("was told {told:?} instead of {expected:?}"));
        }
        return;
    }
    for (fired_at, at) in &heard.firing {
        if !held_about(rule, series, *fired_at, at.timestamp_millis()) {
            fail(format!("was told of {fired_at}, when it did not hold"));
        }
    }
    if !series.is_counted {
        return;
    }
    for episode in expected {
        let end = |episode: &Episode| episode.ended_at.unwrap_or(i64::MAX);
        let overlaps =
            |other: &&Episode| other.fired_at <= end(episode) && episode.fired_at <= end(other);
        let Some(told) = told.iter().find(overlaps) else {
            fail(format!("was not told of {episode:?}, but of {told:?}"));
            continue;
        };
        if episode.ended_at.is_some() && told.ended_at.is_none() {
            fail(format!(
                "was not told of the end of {episode:?}, but of {told:?}"
            ));
        }
    }
}

/// Whether the condition held in the minute before `fired_at`, by the events that had been found at some moment before
/// `at`: those that had landed, but for the last ones of those that a sweep finds.
fn held_about(rule: &Rule, series: &Series, fired_at: i64, at: i64) -> bool {
    let from = fired_at - 6 * PANE - rule.range;
    let near = series.landed.iter().filter(|landed| {
        landed.at <= at && landed.sample.at >= from && landed.sample.at < fired_at
    });
    let near: Vec<&Landed> = near.collect();
    let swept = near.iter().filter(|landed| landed.is_swept);
    let mut sweeps = swept.map(|landed| landed.at).chain([i64::MAX]);
    sweeps.any(|swept_to| {
        let found = near
            .iter()
            .filter(|landed| !landed.is_swept || landed.at < swept_to);
        let mut known = Vec::new();
        found.into_iter().any(|landed| {
            let place = known.partition_point(|sample: &Sample| sample.at <= landed.sample.at);
            known.insert(place, landed.sample);
            let mut ends = (0..=6).map(|panes| fired_at - panes * PANE);
            ends.any(|end| holds(rule, &known, end) == Some(true))
        })
    })
}

/// A message brings news: an alert in a state in which no message with another id told of it, unless it is time to
/// repeat. Beside the news a message tells what else of its group fires, also where labels are equal: of an alert that
/// began while the receiver could not be told of the end of the one before.
fn hold_ids(world: &World, told: &[Told]) {
    for receiver in RECEIVERS {
        let mut first_by = BTreeMap::new();
        for told in told.iter().filter(|told| told.receiver == receiver) {
            let mut is_news = told.message.notification_reason == "repeat interval elapsed";
            for alert in &told.message.alerts {
                let key = (alert.labels.clone(), alert.status.clone(), alert.starts_at);
                is_news |= *first_by.entry(key).or_insert_with(|| told.id.clone()) == told.id;
            }
            if !is_news {
                world.fail(format!(
                    "{receiver} was told by {} nothing that is new: {:?}",
                    told.id, told.message
                ));
            }
        }
    }
}

fn sorted(landed: &[Landed]) -> Vec<Sample> {
    let mut samples: Vec<_> = landed.iter().map(|landed| landed.sample).collect();
    samples.sort_by_key(|sample| sample.at);
    samples
}

/// The series of each device whose clock is right.
fn devices(town: &Town) -> BTreeMap<String, [Series; 2]> {
    let world = &town.world;
    let sent = lock(&town.sent);
    let mut landings = BTreeMap::new();
    let kinds = Kinds::builtin();
    let mut order = Vec::new();
    let mut newest_name = None;
    for (at, key) in world.landed() {
        let name = raw_arrival_of(&key);
        let is_swept = name
            .zip(newest_name)
            .is_some_and(|(name, newest)| name < newest - OVERLAP);
        newest_name = newest_name.max(name);
        let body = world.cloud.object(BUCKET, &key).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        for line in body.lines() {
            let event = parse_line(&kinds, line).ok();
            let Some(id) = event.and_then(|event| Some(event.event_id?.into_owned())) else {
                world.fail(format!("`{key}` holds {line}"));
                continue;
            };
            if !landings.contains_key(&id) {
                landings.insert(id.clone(), (at.timestamp_millis(), is_swept));
                order.push(id);
            }
        }
    }
    for id in sent.keys().filter(|id| !landings.contains_key(*id)) {
        world.fail(format!("{id} was accepted and did not land"));
    }
    let lateness = town.plan.lateness.as_millis() as i64;
    let clock_error = world.plan.clock_error.num_milliseconds();
    let queued = |sent: &Sent| sent.accepted.unwrap_or(sent.received);
    let mut waiting: BTreeSet<(i64, &String)> =
        sent.iter().map(|(id, sent)| (queued(sent), id)).collect();
    // A message that waits as a dead letter is not in the queue.
    let had_letters = town.had_letters.load(Ordering::Relaxed);
    let mut newest = i64::MIN;
    let mut devices: BTreeMap<String, [Series; 2]> = BTreeMap::new();
    for id in &order {
        let Some(event) = sent.get(id) else {
            world.fail(format!("{id} landed and was not sent"));
            continue;
        };
        let (landed, is_swept) = landings[id];
        // How far the watermark can have been when it was found, at most.
        let oldest = waiting.first().map_or(landed, |(queued, _)| *queued);
        let quiet = landed.min(oldest) + LOOK + clock_error;
        let swept = landed + SWEEP + world.plan.slowness.end.as_millis() as i64;
        let watermark = if is_swept { swept } else { newest.max(quiet) } - BEHIND;
        waiting.remove(&(queued(event), id));
        newest = newest.max(event.received);
        let is_in_time = !is_swept && landed <= event.at + IN_TIME;
        let is_lucky = !had_letters || landed <= event.at + 3 * IN_TIME;
        let is_counted = is_lucky && watermark - lateness <= event.at - PANE;
        if event.device == "fast" {
            continue;
        }
        let series = devices.entry(event.device.clone()).or_insert_with(|| {
            [(); 2].map(|()| Series {
                is_in_time: true,
                is_counted: true,
                ..Series::default()
            })
        });
        for (series, value) in series.iter_mut().zip(event.values) {
            series.is_in_time &= is_in_time;
            series.is_counted &= is_in_time || is_counted;
            let sample = Sample {
                at: event.at,
                value,
            };
            series.landed.push(Landed {
                sample,
                at: landed,
                is_swept,
            });
        }
    }
    devices
}

/// The state by the snapshot and the records after it is the state by all records.
async fn hold_snapshot(world: &World) {
    let lake = world.onlooker().lake(BUCKET);
    let open = || Journal::open(lake.clone(), world.clock, JournalSettings::new(Uuid::nil()));
    let opened = open().await.map(|(journal, _)| journal.state().clone());
    if let Err(error) = lake.delete(&[ALERT_SNAPSHOT.to_owned()]).await {
        return world.fail(format!("cannot delete the snapshot: {error}"));
    }
    let whole = open().await.map(|(journal, _)| journal.state().clone());
    match (opened, whole) {
        (Ok(opened), Ok(whole)) if opened == whole => {}
        // Records that say nothing are deleted after an hour: then only the snapshot is whole.
        (Ok(opened), Err(_)) if opened.through > 1_000 => {}
        (opened, whole) => world.fail(format!(
            "the snapshot gives {opened:?}, the records {whole:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sweep_finds_later_may_have_been_missing() {
        let rule = RULES[1];
        for is_swept in [false, true] {
            let landed = |at, value, landed, is_swept| Landed {
                sample: Sample { at, value },
                at: landed,
                is_swept,
            };
            // Both make a mean of 45, and the high value alone one of 90.
            let series = Series {
                landed: vec![
                    landed(1_000, 0.0, 3_000, is_swept),
                    landed(2_000, 90.0, 4_000, false),
                ],
                ..Series::default()
            };
            assert_eq!(held_about(&rule, &series, PANE, 20_000), is_swept);
        }
    }
}
