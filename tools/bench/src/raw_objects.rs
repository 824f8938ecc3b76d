//! Raw objects as the consumer writes them, for the aggregator alone.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use aws::{Condition, Lake};
use chrono::{TimeDelta, Utc};
use contract::{Hour, Kinds, format_millis, parse_sent, raw_key, write_line};
use uuid::Uuid;

use crate::corpus::{Recipe, lines};

/// Bytes of lines in a raw object.
const OBJECT_BYTES: usize = 5_000_000;

/// From an event's own time to its receipt by ingest.
const ON_THE_WAY: TimeDelta = TimeDelta::milliseconds(800);

/// How far back the events' own times reach.
const SPAN: Duration = Duration::from_secs(24 * 3600);

/// Of this number of events, the first is repeated halfway through.
const REPEATED: usize = 200;

#[derive(Debug)]
struct RawObject {
    hour: Hour,
    body: Vec<u8>,
}

/// Puts the events of the recipe into the bucket as raw objects of 5 MB, in the order of arrival over a
/// day, one in 200 twice. Gives the number of lines written, repeats included.
pub(crate) async fn fill(lake: &Lake, recipe: Recipe) -> anyhow::Result<u64> {
    let (sender, mut objects) = tokio::sync::mpsc::channel(2);
    let making = tokio::task::spawn_blocking(move || make(recipe, &sender));
    let mut number = 0_u128;
    while let Some(RawObject { hour, body }) = objects.recv().await {
        number += 1;
        // Any id will do, as long as each is another.
        let id = Uuid::new_v5(
            &Uuid::from_u128(recipe.events.into()),
            &number.to_be_bytes(),
        );
        let kind = "application/x-ndjson";
        lake.put(
            &raw_key(hour, id),
            body.into(),
            kind,
            HashMap::new(),
            Condition::Always,
        )
        .await?;
    }
    making.await.context("the making of raw objects failed")?
}

fn make(recipe: Recipe, objects: &tokio::sync::mpsc::Sender<RawObject>) -> anyhow::Result<u64> {
    let send = |hour, body| {
        let sent = objects.blocking_send(RawObject { hour, body });
        sent.context("nobody takes the raw objects")
    };
    let kinds = Kinds::builtin();
    let now = Utc::now();
    let (mut body, mut hour, mut written) = (Vec::new(), None, 0);
    let mut waiting: Option<Vec<u8>> = None;
    for (at, text) in lines(recipe, now, SPAN)?.enumerate() {
        let event = parse_sent(&kinds, None, &text, now)
            .map_err(|refused| anyhow::anyhow!("{text}: {}", refused.message))?;
        let received = event.time + ON_THE_WAY;
        let arrival = Hour::of(received);
        let other_hour = hour.is_some_and(|hour| hour != arrival);
        if (other_hour || body.len() >= OBJECT_BYTES)
            && let Some(hour) = hour
        {
            send(hour, std::mem::take(&mut body))?;
        }
        hour = Some(arrival);
        let start = body.len();
        write_line(&mut body, &event, &format_millis(received), &text);
        written += 1;
        if at % REPEATED == 0 {
            waiting = Some(body[start..].to_vec());
        } else if at % REPEATED == REPEATED / 2
            && let Some(line) = waiting.take()
        {
            body.extend_from_slice(&line);
            written += 1;
        }
    }
    if let Some(hour) = hour {
        send(hour, body)?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_objects_hold_each_event_and_some_twice() {
        let recipe = Recipe {
            events: 30_000,
            vehicles: 20,
        };
        let (sender, mut objects) = tokio::sync::mpsc::channel(100);
        let written = make(recipe, &sender).unwrap();
        drop(sender);
        let kinds = Kinds::builtin();
        let (mut lines, mut ids) = (0, std::collections::HashSet::new());
        while let Ok(RawObject { hour, body }) = objects.try_recv() {
            for line in std::str::from_utf8(&body).unwrap().lines() {
                let event = contract::parse_line(&kinds, line).unwrap();
                ids.insert(event.event_id.unwrap().to_string());
                assert!(hour <= Hour::of(Utc::now() + ON_THE_WAY));
                lines += 1;
            }
        }
        assert_eq!((lines, ids.len() as u64), (written, recipe.events));
        assert_eq!(written, recipe.events + recipe.events / REPEATED as u64);
    }
}
