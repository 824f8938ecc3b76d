//! Latency against requests, with and without BATCH_ADAPTIVE, at rates from a trickle to a flood.

use crate::bench::{Amount, Bench, Load};
use crate::lake;
use crate::report::Row;
use crate::scenarios::consumer::LONGEST;
use crate::scenarios::ingest::VEHICLES;
use crate::scenarios::requests::counted;
use crate::stand::Stand;
use crate::stats::median;

/// Events a second, and how many of them in a post.
const RATES: [(u32, usize); 4] = [(10, 1), (100, 1), (1_000, 10), (10_000, 100)];

/// How long each rate is kept, in seconds.
const SECONDS: f64 = 30.0;

/// The unit of the rows, by which the chart knows them.
pub(crate) const UNIT: &str = "s from ingest to S3, p99";

/// `adaptive`: a row for each rate, off and on.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(100_000, VEHICLES).await?;
    let mut rows = Vec::new();
    for (rate, batch) in RATES {
        let load = Load {
            batch,
            connections: 16,
            amount: Amount::Seconds(if bench.args.quick { 5.0 } else { SECONDS }),
            rate: Some(f64::from(rate)),
        };
        for (setting, shown) in [("false", "off"), ("true", "on")] {
            let (mut p50, mut p99) = (Vec::new(), Vec::new());
            let (mut puts, mut dollars) = (Vec::new(), Vec::new());
            for run in 1..=bench.runs() {
                bench.say(format!("adaptive {shown}, {rate} events/s, run {run}"));
                let mut stand = Stand::local(bench).await?;
                let ingest = stand.ingest(&[]).await?;
                let consumer = stand.consumer(&[("BATCH_ADAPTIVE", setting)]).await?;
                let before = counted(&[&ingest, &consumer]).await?;
                let sent = bench.load(&ingest, &corpus, &load).await?;
                stand.drained(&[&consumer], sent.events, LONGEST).await?;
                let used = counted(&[&ingest, &consumer]).await?.since(&before);
                let million = 1e6 / sent.events as f64;
                let put = used.requests().get("s3:PutObject").copied();
                puts.push(put.unwrap_or_default() * million);
                dollars.push(used.dollars() * million);
                let logs = consumer.process.log()?;
                let (found, _) = lake::latencies(&stand.cloud, &stand.name, &logs).await?;
                p50.push(found.p50 / 1e3);
                p99.push(found.p99 / 1e3);
                ingest.process.stop().await?;
                consumer.process.stop().await?;
                stand.end().await?;
            }
            rows.push(
                Row::of(format!("adaptive: {rate} events/s, {shown}"), UNIT, &p99)
                    .with("events_per_second", rate)
                    .with("adaptive", shown)
                    .with("p50_seconds", median(&p50))
                    .with("puts_per_million", median(&puts))
                    .with("dollars_per_million", median(&dollars)),
            );
        }
    }
    Ok(rows)
}
