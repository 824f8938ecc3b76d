//! Latency from ingest to S3, told by the raw objects and the consumer's log.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context, ensure};
use aws::ObjectInfo;
use chrono::{DateTime, Utc};

use crate::pipeline::Pipeline;
use crate::stats::{Latencies, latencies_ms};

/// The latencies of all events in `raw/`, from `ingest_received_at` to the consumer's log line that their
/// object is written, and the number of events.
pub(crate) async fn ingest_to_s3(pipeline: &Pipeline) -> anyhow::Result<(Latencies, u64)> {
    let lake = pipeline.deployment.lake();
    let mut objects = Vec::new();
    for ObjectInfo { key, .. } in lake.list(contract::RAW, None).await? {
        let object = lake.get(&key).await?;
        let object = object.with_context(|| format!("`{key}` is gone"))?;
        let text = std::str::from_utf8(&object.body)?;
        objects.push((text.len(), received(text)?));
    }
    match_up(objects, &pipeline.consumer.log()?)
}

/// When ingest received the event of each line.
fn received(body: &str) -> anyhow::Result<Vec<DateTime<Utc>>> {
    let times = body.lines().map(|line| {
        let rest = line.split_once("\"ingest_received_at\":\"");
        let time = rest.and_then(|(_, rest)| rest.split_once('"'));
        let (time, _) = time.with_context(|| format!("a line without receipt: {line}"))?;
        time.parse().with_context(|| format!("not a time: {time}"))
    });
    times.collect()
}

/// Finds each object's line of the log by its size. Among objects of one size, the one received first is
/// taken to be written first.
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
}
