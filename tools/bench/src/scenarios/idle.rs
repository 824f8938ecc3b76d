//! A run of the aggregator with nothing to do, on a lake of a million raw objects.

use std::collections::HashMap;

use aws::Condition;
use chrono::{TimeDelta, Utc};
use contract::{Hour, raw_key, raw_part_name};
use futures::{StreamExt, TryStreamExt, stream};

use crate::bench::Bench;
use crate::hosted_lake::HostedLake;
use crate::raw_objects::line;
use crate::row::Row;

/// Raw objects, a part every 8.6 s over 100 days.
const OBJECTS: u64 = 1_000_000;
const SPAN: TimeDelta = TimeDelta::days(100);

/// Puts under way at a time.
const AT_ONCE: usize = 16;

/// `idle`: two rows, of the run that takes all in and of a run after it.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let objects = bench.scaled(OBJECTS);
    bench.say(format!("making {objects} raw objects"));
    let mut lake = HostedLake::in_memory(bench).await?;
    let bucket = lake.lake();
    let end = Utc::now() - TimeDelta::minutes(1);
    let between = SPAN / objects as i32;
    let puts = (0..objects).map(|number| {
        let received = end - between * (objects - number) as i32;
        let key = raw_key(Hour::of(received), raw_part_name(received, number.into()));
        let id = format!("idle-{number}");
        let text = line(received, &id, number % 20, received, "\"engine_rpm\":900").text;
        let bucket = bucket.clone();
        async move {
            let kind = "application/x-ndjson";
            let put = bucket.put(&key, text.into(), kind, HashMap::new(), Condition::Always);
            put.await.map(|_| ())
        }
    });
    let mut puts = stream::iter(puts).buffer_unordered(AT_ONCE);
    while puts.try_next().await?.is_some() {}
    bench.say(format!("aggregator, {objects} raw objects"));
    let first = lake.aggregate().await?;
    first.expect(objects, 0)?;
    let mut idle = Vec::new();
    for number in 1..=bench.runs() {
        bench.say(format!("aggregator with nothing to do, run {number}"));
        let run = lake.aggregate().await?;
        run.expect(0, 0)?;
        idle.push(run);
    }
    lake.end().await?;
    let seconds: Vec<f64> = idle.iter().map(|run| run.done.seconds).collect();
    let row = Row::of("idle", "s with nothing to do", &seconds).with("objects", objects);
    let mut rows = vec![idle.last().map_or(row.clone(), |run| run.describe(row))];
    let taken = Row::of("idle: the run before", "s", &[first.done.seconds]);
    rows.push(first.describe(taken.with("objects", objects)));
    Ok(rows)
}
