//! Raw objects as the consumer writes them, for the aggregator alone, and what they tell of
//! latency.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kinds, format_millis, parse_sent, raw_key, write_line};
use uuid::Uuid;

use crate::corpus::{Recipe, lines};
use crate::http::Cloud;
use crate::stats::{Latencies, latencies_ms};

/// Bytes of lines in a raw object.
const OBJECT_BYTES: usize = 5_000_000;

/// How long events are on their way to ingest.
const ON_THE_WAY: TimeDelta = TimeDelta::milliseconds(800);

/// The event times of a lake reach back this far.
const SPAN: Duration = Duration::from_secs(24 * 3600);

/// Every event of this number comes a second time, a while later.
const REPEATED: usize = 200;

/// A raw object.
#[derive(Debug)]
struct Part {
    hour: Hour,
    body: Vec<u8>,
}

/// Puts the events of the recipe into the bucket as raw objects of 5 MB, in the order of arrival
/// over a day; one in 200 twice. Gives how many lines were written, repeats among them.
///
/// # Errors
///
/// If an event cannot be made, or S3 refuses an object.
pub(crate) async fn fill(cloud: &Cloud, bucket: &str, recipe: Recipe) -> anyhow::Result<u64> {
    let (sender, mut parts) = tokio::sync::mpsc::channel(2);
    let making = tokio::task::spawn_blocking(move || make(recipe, &sender));
    let mut number = 0_u128;
    while let Some(Part { hour, body }) = parts.recv().await {
        number += 1;
        // Any id will do, as long as each is another.
        let id = Uuid::new_v5(
            &Uuid::from_u128(recipe.events.into()),
            &number.to_be_bytes(),
        );
        cloud.put(bucket, &raw_key(hour, id), body).await?;
    }
    making.await.context("the making of raw objects failed")?
}

fn make(recipe: Recipe, parts: &tokio::sync::mpsc::Sender<Part>) -> anyhow::Result<u64> {
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
            let body = std::mem::take(&mut body);
            parts
                .blocking_send(Part { hour, body })
                .context("nobody takes the raw objects")?;
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
        parts
            .blocking_send(Part { hour, body })
            .context("nobody takes the raw objects")?;
    }
    Ok(written)
}

/// From when ingest had each event, as its line in `raw/` says, to when the consumer logged its
/// object as written.
///
/// # Errors
///
/// If the objects cannot be read, or are not those of the log.
pub(crate) async fn latencies(
    cloud: &Cloud,
    bucket: &str,
    logs: &str,
) -> anyhow::Result<(Latencies, u64)> {
    let mut objects = Vec::new();
    for key in cloud.keys(bucket, contract::RAW).await? {
        let body = cloud.get(bucket, &key).await?;
        objects.push((body.len(), received(&body)?));
    }
    match_up(objects, logs)
}

/// When ingest had the event of each line.
fn received(body: &str) -> anyhow::Result<Vec<DateTime<Utc>>> {
    let times = body.lines().map(|line| {
        let rest = line.split_once("\"ingest_received_at\":\"");
        let time = rest.and_then(|(_, rest)| rest.split_once('"'));
        let (time, _) = time.with_context(|| format!("a line without receipt: {line}"))?;
        time.parse().with_context(|| format!("not a time: {time}"))
    });
    times.collect()
}

/// Finds each object's line of the log by its size; of those of one size, the first arrived is the
/// first written.
fn match_up(
    mut objects: Vec<(usize, Vec<DateTime<Utc>>)>,
    logs: &str,
) -> anyhow::Result<(Latencies, u64)> {
    let mut written: BTreeMap<usize, VecDeque<DateTime<Utc>>> = BTreeMap::new();
    for line in logs
        .lines()
        .filter(|line| line.contains("event=write_batch"))
    {
        let field = |name: &str| {
            let mut fields = line.split(' ');
            fields.find_map(|field| field.strip_prefix(name))
        };
        let (time, bytes) = (field("time="), field("bytes="));
        let (time, bytes) = time
            .zip(bytes)
            .with_context(|| format!("cannot read `{line}`"))?;
        written
            .entry(bytes.parse()?)
            .or_default()
            .push_back(time.parse()?);
    }
    objects.sort_by_key(|(_, times)| times.iter().max().copied());
    let (mut samples, mut unmatched) = (Vec::new(), 0);
    for (bytes, times) in objects {
        match written.get_mut(&bytes).and_then(VecDeque::pop_front) {
            Some(written) => samples.extend(times.iter().map(|time| {
                let micros = (written - time).num_microseconds().unwrap_or(i64::MAX);
                u32::try_from(micros.max(0)).unwrap_or(u32::MAX)
            })),
            // A batch over the turn of an hour has two objects and one line.
            None => unmatched += times.len() as u64,
        }
    }
    ensure!(
        samples.len() as u64 > 10 * unmatched,
        "{unmatched} events are in objects that the log does not name, and {} in others",
        samples.len()
    );
    let events = samples.len() as u64;
    Ok((latencies_ms(&mut samples), events))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn latency_is_from_receipt_to_the_line_of_the_log() {
        let logs = "INFO time=2026-11-21T12:00:02.500Z event=write_batch size=2 objects=1 bytes=100\n\
            INFO time=2026-11-21T12:00:01.000Z event=start\n\
            INFO time=2026-11-21T12:00:04.000Z event=write_batch size=1 objects=1 bytes=100\n";
        let early = vec![
            time("2026-11-21T12:00:01.500Z"),
            time("2026-11-21T12:00:02.400Z"),
        ];
        let late = vec![time("2026-11-21T12:00:03.800Z")];
        let (found, events) = match_up(vec![(100, late.clone()), (100, early)], logs).unwrap();
        assert_eq!(events, 3);
        assert_eq!((found.p50, found.max), (200.0, 1000.0));
        assert!(match_up(vec![(7, late)], logs).is_err());
    }

    #[test]
    fn receipts_are_read_from_lines() {
        let body =
            "{\"kind\":\"vehicle\",\"ingest_received_at\":\"2026-11-21T12:00:01.500Z\",\"a\":1}\n";
        assert_eq!(received(body).unwrap(), [time("2026-11-21T12:00:01.500Z")]);
        assert!(received("{}\n").is_err());
    }

    #[test]
    fn raw_objects_hold_each_event_and_some_twice() {
        let recipe = Recipe {
            events: 30_000,
            vehicles: 20,
        };
        let (sender, mut parts) = tokio::sync::mpsc::channel(100);
        let written = make(recipe, &sender).unwrap();
        drop(sender);
        let kinds = Kinds::builtin();
        let (mut lines, mut ids) = (0, std::collections::HashSet::new());
        while let Ok(Part { hour, body }) = parts.try_recv() {
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
