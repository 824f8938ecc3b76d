//! Raw objects as the consumer writes them, for the aggregator alone.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use aws::{Condition, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kinds, format_millis, parse_sent, raw_key, raw_part_name, write_line};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::corpus::{Recipe, lines};

/// Bytes of lines in a raw object.
const OBJECT_BYTES: usize = 5_000_000;

/// From an event's own time to its receipt by ingest.
const ON_THE_WAY: TimeDelta = TimeDelta::milliseconds(800);

/// Of this number of events, the first is repeated halfway through.
const REPEATED: usize = 200;

/// A line of `raw/`, with its line feed.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) received: DateTime<Utc>,
    pub(crate) text: Vec<u8>,
}

/// Lines in the order of their receipt, cut into objects of 5 MB; an object has lines of one arrival hour, and of one
/// minute where that is asked for. They are made on a thread of their own, a few ahead.
#[derive(Debug)]
pub(crate) struct RawObjects {
    objects: Receiver<RawObject>,
    making: JoinHandle<anyhow::Result<()>>,
}

#[derive(Debug)]
pub(crate) struct RawObject {
    /// Receipt of the first line.
    pub(crate) received: DateTime<Utc>,
    pub(crate) lines: u64,
    key: String,
    body: Vec<u8>,
}

/// How objects are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Hours,
    Minutes,
}

impl Cut {
    fn parts(self, one: DateTime<Utc>, other: DateTime<Utc>) -> bool {
        match self {
            Cut::Hours => Hour::of(one) != Hour::of(other),
            Cut::Minutes => minute(one) != minute(other),
        }
    }
}

/// The minute in which the time lies, counted from 1970.
pub(crate) fn minute(time: DateTime<Utc>) -> i64 {
    time.timestamp().div_euclid(60)
}

impl RawObjects {
    pub(crate) fn of(lines: impl Iterator<Item = Line> + Send + 'static, cut: Cut) -> RawObjects {
        let (sender, objects) = channel(2);
        let making = tokio::task::spawn_blocking(move || make(lines, cut, &sender));
        RawObjects { objects, making }
    }

    /// The next object; none at the end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<RawObject>> {
        if let Some(object) = self.objects.recv().await {
            return Ok(Some(object));
        }
        let made = (&mut self.making).await;
        made.context("the making of raw objects failed")?
            .map(|()| None)
    }

    /// Puts all into the bucket; gives the number of lines.
    pub(crate) async fn put(mut self, lake: &Lake) -> anyhow::Result<u64> {
        let mut lines = 0;
        while let Some(object) = self.next().await? {
            lines += object.lines;
            object.put(lake).await?;
        }
        Ok(lines)
    }
}

impl RawObject {
    pub(crate) async fn put(self, lake: &Lake) -> anyhow::Result<()> {
        let kind = "application/x-ndjson";
        let put = lake.put(
            &self.key,
            self.body.into(),
            kind,
            HashMap::new(),
            Condition::Always,
        );
        put.await.map(|_| ()).context("cannot put a raw object")
    }
}

fn make(
    lines: impl Iterator<Item = Line>,
    cut: Cut,
    objects: &Sender<RawObject>,
) -> anyhow::Result<()> {
    let mut number = 0_u128;
    let mut send = |received: DateTime<Utc>, body: Vec<u8>, lines| {
        number += 1;
        let object = RawObject {
            received,
            lines,
            // Any hash will do, as long as each is another.
            key: raw_key(Hour::of(received), raw_part_name(received, number)),
            body,
        };
        let sent = objects.blocking_send(object);
        sent.context("nobody takes the raw objects")
    };
    let (mut body, mut count, mut first) = (Vec::new(), 0, None);
    for Line { received, text } in lines {
        let at = *first.get_or_insert(received);
        if body.len() >= OBJECT_BYTES || cut.parts(at, received) {
            send(at, std::mem::take(&mut body), count)?;
            (count, first) = (0, Some(received));
        }
        body.extend_from_slice(&text);
        count += 1;
    }
    match first {
        Some(at) => send(at, body, count),
        None => Ok(()),
    }
}

/// The events of the recipe over the `span` before `end`, as ingest would have received them; one in 200 comes twice.
pub(crate) fn simulated(
    recipe: Recipe,
    end: DateTime<Utc>,
    span: Duration,
) -> anyhow::Result<impl Iterator<Item = Line> + Send + 'static> {
    let kinds = Kinds::builtin();
    let mut waiting = None;
    let all = lines(recipe, end, span)?.enumerate();
    Ok(all.flat_map(move |(at, text)| {
        // The simulator makes sound events alone, which a test of it shows.
        let event = parse_sent(&kinds, None, &text, end).ok();
        let line = event.map(|event| {
            let received = event.time + ON_THE_WAY;
            let mut line = Vec::with_capacity(text.len() + 128);
            write_line(&mut line, &event, &format_millis(received), &text);
            Line {
                received,
                text: line,
            }
        });
        let mut again = None;
        if at % REPEATED == 0 {
            waiting = line.clone();
        } else if at % REPEATED == REPEATED / 2 {
            again = waiting
                .take()
                .zip(line.as_ref())
                .map(|(earlier, line)| Line {
                    received: line.received,
                    ..earlier
                });
        }
        [line, again].into_iter().flatten()
    }))
}

/// How many lines [`simulated`] gives for a number of events.
pub(crate) fn with_repeats(events: u64) -> u64 {
    let rest = events % REPEATED as u64;
    events + events / REPEATED as u64 + u64::from(rest > REPEATED as u64 / 2)
}

/// The start of the hour in which we are.
pub(crate) fn this_hour() -> DateTime<Utc> {
    Hour::of(Utc::now()).start()
}

/// An event of a vehicle as a line that was received at `received`; `signals` is the inside of its payload.
pub(crate) fn line(
    received: DateTime<Utc>,
    id: &str,
    vehicle: u64,
    time: DateTime<Utc>,
    signals: &str,
) -> Line {
    let text = format!(
        r#"{{"kind":"vehicle","event_id":"{id}","ingest_received_at":"{}","timestamp":"{}","vehicle_id":"veh-{vehicle:05}","can_id":"0x1F0","payload":{{{signals}}}}}"#,
        format_millis(received),
        format_millis(time),
    );
    Line {
        received,
        text: (text + "\n").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn raw_objects_hold_each_event_and_some_twice() {
        let recipe = Recipe {
            events: 30_101,
            vehicles: 20,
        };
        let (end, span) = (this_hour(), Duration::from_secs(3600));
        for (cut, least) in [(Cut::Hours, 2), (Cut::Minutes, 60)] {
            let mut objects = RawObjects::of(simulated(recipe, end, span).unwrap(), cut);
            let kinds = Kinds::builtin();
            let (mut written, mut lines, mut ids) = (0, 0, std::collections::HashSet::new());
            let mut before = None;
            let mut number = 0;
            while let Some(object) = objects.next().await.unwrap() {
                let (hour, arrival) = (
                    contract::raw_hour_of(&object.key),
                    contract::raw_arrival_of(&object.key),
                );
                assert_eq!(
                    (hour, arrival),
                    (Some(Hour::of(object.received)), Some(object.received))
                );
                assert!(before < Some(object.key.clone()), "{}", object.key);
                before = Some(object.key);
                for line in std::str::from_utf8(&object.body).unwrap().lines() {
                    let event = contract::parse_line(&kinds, line).unwrap();
                    ids.insert(event.event_id.unwrap().to_string());
                    assert!(event.time < end && event.time >= end - span);
                    lines += 1;
                }
                written += object.lines;
                number += 1;
            }
            assert_eq!((lines, ids.len() as u64), (written, recipe.events));
            assert_eq!(written, with_repeats(recipe.events));
            assert!(number >= least, "{number} objects");
        }
    }

    #[test]
    fn a_line_made_by_hand_is_an_event() {
        let now = this_hour();
        let made = line(now, "a-1", 7, now, "\"s1\":1,\"s2\":2.5");
        let kinds = Kinds::builtin();
        let text = String::from_utf8(made.text).unwrap();
        let event = contract::parse_line(&kinds, &text).unwrap();
        assert_eq!((&*event.entity, event.signals.len()), ("veh-00007", 2));
        assert_eq!(event.received_at, Some(now));
    }
}
