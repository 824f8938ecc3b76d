//! How fast a start catches up with what came to the lake meanwhile: `catch_up [--rate N] [--seconds N]`.
//!
//! Puts `--rate` events for each of the last `--seconds` into an embedded lake, an object a second, each event with
//! four signals of one of 10,000 vehicles. Then starts as after a restart, under a rule on an average, and prints how
//! long it takes to read and look at all that a start needs: the last 430 s.

use std::collections::HashMap;
use std::sync::Arc;

use alerts::live::{Begin, Follow, FollowSettings, Waiting};
use alerts::rules::read_file;
use anyhow::Context;
use aws::{Aws, Condition, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kinds};
use local_aws::LocalAws;
use tokio::time::Instant;

const RULES: &str = r#"
groups:
  - name: vehicles
    rules:
      - alert: Revs
        expr: avg_over_time(engine_rpm{kind="vehicle"}[60s]) > 6000
"#;

/// A value of `/proc/self/status` in MiB, or 0 where there is none.
fn memory_mib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    number.unwrap_or(0) >> 10
}

fn argument(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1).and_then(|value| value.parse().ok());
    value.unwrap_or(default)
}

async fn put_second(
    lake: &Lake,
    kinds: &Kinds,
    at: DateTime<Utc>,
    rate: u64,
) -> anyhow::Result<()> {
    let (mut lines, received) = (Vec::new(), contract::format_millis(at));
    for number in 0..rate {
        let vehicle = number % 10_000;
        let value = (number * 7 + at.timestamp().unsigned_abs()) % 100;
        let text = format!(
            r#"{{"timestamp":"{received}","vehicle_id":"veh-{vehicle:05}","can_id":"0x1F0","event_id":"{}-{number}","payload":{{"engine_rpm":{},"vehicle_speed_kmh":{value},"coolant_temp_c":{value},"throttle_pct":{value}}}}}"#,
            at.timestamp(),
            2_000 + value
        );
        let event = contract::parse_sent(kinds, kinds.get("vehicle"), &text, at)
            .map_err(|refused| anyhow::anyhow!("{refused}"))?;
        contract::write_line(&mut lines, &event, &received, &text);
    }
    let key = contract::raw_key(Hour::of(at), contract::raw_part_name(at, 1));
    let kind = "application/x-ndjson";
    lake.put(&key, lines.into(), kind, HashMap::new(), Condition::Always)
        .await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (rate, seconds) = (argument("--rate", 10_000), argument("--seconds", 430));
    let cloud = LocalAws::in_process();
    let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
    aws::setup::create_bucket(&aws, "lake")
        .await
        .context("cannot make the bucket")?;
    let (lake, kinds) = (aws.lake("lake"), Arc::new(Kinds::builtin()));
    let begin = Utc::now() - TimeDelta::seconds(i64::try_from(seconds)?);
    for second in 0..seconds {
        let at = begin + TimeDelta::seconds(i64::try_from(second)?);
        put_second(&lake, &kinds, at, rate).await?;
    }
    let before = memory_mib("VmRSS:");
    let settings = FollowSettings::default();
    let planned = settings.watermark.delay + settings.watermark.way;
    let evaluated_to = begin.timestamp_millis() + i64::try_from(seconds)? * 1_000 - planned;
    let rules = read_file("rules.yml", RULES)?;
    let (clock, begun) = (aws.clock(), Instant::now());
    let (mut follow, _) = Follow::start(
        lake,
        kinds,
        clock,
        rules,
        settings,
        Begin::after(evaluated_to),
    );
    while !follow.step(Waiting::default()).await?.reached_end {}
    let took = begun.elapsed().as_secs_f64();
    let events = follow.tail_counts().events;
    println!(
        "{events} events in {took:.1} s: {:.0} events/s; {} series, {} MiB more at most",
        events as f64 / took,
        follow.series(),
        memory_mib("VmHWM:").saturating_sub(before)
    );
    Ok(())
}
