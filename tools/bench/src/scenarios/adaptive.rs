//! Latency against requests, with and without BATCH_ADAPTIVE, at rates from a trickle to a flood.

use crate::bench::Bench;
use crate::deployment::Deployment;
use crate::latency;
use crate::load::{Amount, OfferedLoad};
use crate::pipeline::Pipeline;
use crate::row::Row;
use crate::stats::median;

/// Events a second, and how many of them in a post.
const RATES: [(u32, usize); 4] = [(10, 1), (100, 1), (1_000, 10), (10_000, 100)];

/// How long each rate is kept, in seconds.
const SECONDS: f64 = 30.0;

/// `adaptive`: a row for each rate, off and on.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(100_000).await?;
    let mut rows = Vec::new();
    for (rate, batch) in RATES {
        let load = OfferedLoad {
            batch,
            connections: 16,
            amount: Amount::Seconds(if bench.args.quick { 5.0 } else { SECONDS }),
            rate: Some(f64::from(rate)),
            ca: None,
        };
        for (setting, shown) in [("false", "off"), ("true", "on")] {
            let (mut p50, mut p99) = (Vec::new(), Vec::new());
            let (mut puts, mut dollars) = (Vec::new(), Vec::new());
            for run in 1..=bench.runs() {
                bench.say(format!("adaptive {shown}, {rate} events/s, run {run}"));
                let deployment = Deployment::emulated(bench, &[]).await?;
                let adaptive = [("BATCH_ADAPTIVE", setting)];
                let pipeline = Pipeline::start(deployment, &[], &adaptive).await?;
                let (sent, used) = pipeline.load(bench, &corpus, &load).await?;
                let million = 1e6 / sent.events as f64;
                let put = used.requests().get("s3:PutObject").copied();
                puts.push(put.unwrap_or_default() * million);
                dollars.push(used.dollars() * million);
                let (found, _) = latency::ingest_to_s3(&pipeline).await?;
                p50.push(found.p50 / 1e3);
                p99.push(found.p99 / 1e3);
                pipeline.end().await?;
            }
            let name = format!("adaptive: {rate} events/s, {shown}");
            rows.push(
                Row::of(name, "s from ingest to S3, p99", &p99)
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
