//! What one key notices of another that floods ingest.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::bench::Bench;
use crate::corpus::Corpus;
use crate::deployment::Deployment;
use crate::load::{API_KEY, Amount, FLOOD_KEY, LoadReport, OfferedLoad, flood};
use crate::processes::RunningService;
use crate::row::{Bar, Row};

/// Connections of the flood.
const FLOOD: usize = 8;

/// Seconds of each load.
const SECONDS: f64 = 20.0;

/// Times that both loads are measured in a run, alone and with the flood in turn.
const ROUNDS: usize = 2;

/// The two loads of the key that is measured.
struct Beside {
    bulk: LoadReport,
    single: LoadReport,
}

/// `fair`: two rows.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(200_000)).await?;
    let (mut alone, mut flooded, mut refused) = (Vec::new(), Vec::new(), 0);
    let mut statuses = serde_json::Map::new();
    for run in 1..=bench.runs() {
        let mut deployment = Deployment::emulated(bench, &[]).await?;
        let keys = format!("{API_KEY},{FLOOD_KEY}");
        let ingest = deployment.ingest(&[("API_KEYS", &keys)]).await?;
        beside(bench, &ingest, &corpus, 2.0).await?;
        for round in 1..=ROUNDS {
            bench.say(format!("fair, run {run}, round {round}: alone"));
            alone.push(beside(bench, &ingest, &corpus, SECONDS).await?);
            bench.say(format!("fair, run {run}, round {round}: with the flood"));
            let stop = CancellationToken::new();
            let measured = async {
                let measured = beside(bench, &ingest, &corpus, SECONDS).await;
                stop.cancel();
                measured
            };
            let (measured, answers) =
                tokio::join!(measured, flood(ingest.address, FLOOD, stop.clone()));
            let measured = measured?;
            for load in [&measured.bulk, &measured.single] {
                refused += load.statuses.values().sum::<u64>() - load.posts;
            }
            flooded.push(measured);
            for (status, count) in answers.context("the flood failed")? {
                let total = statuses.entry(status.to_string()).or_insert(0.into());
                *total = (total.as_u64().unwrap_or_default() + count).into();
            }
        }
        ingest.stop().await?;
        deployment.end().await?;
    }
    let row = |name: &str, of: fn(&Beside) -> &LoadReport| {
        let p99 = |loads: &[Beside]| -> Vec<f64> {
            loads.iter().map(|load| of(load).latency_ms.p99).collect()
        };
        let p50 = |loads: &[Beside]| {
            let all: Vec<f64> = loads.iter().map(|load| of(load).latency_ms.p50).collect();
            crate::stats::median(&all)
        };
        let (alone_p99, flooded_p99) = (p99(&alone), p99(&flooded));
        Row::of(
            format!("fair: {name}"),
            "ms p99 beside a flood",
            &flooded_p99,
        )
        .against(&flooded_p99, &alone_p99)
        .ratio_bar(Bar::AtMost, 3.0)
        .with("p50_ms", p50(&flooded))
        .with("p50_alone_ms", p50(&alone))
        .with(
            "posts",
            flooded.iter().map(|load| of(load).posts).sum::<u64>(),
        )
    };
    let bulk = row("bulk", |load| &load.bulk).with("flood_answers", statuses);
    let single = row("single", |load| &load.single).with("refusals", refused);
    Ok(vec![bulk, single])
}

/// Posts in bulk and one by one, at once, well below what ingest can take.
async fn beside(
    bench: &Bench,
    ingest: &RunningService,
    corpus: &Corpus,
    seconds: f64,
) -> anyhow::Result<Beside> {
    let bulk = OfferedLoad {
        connections: 4,
        rate: Some(10_000.0),
        ..OfferedLoad::bulk(Amount::Seconds(seconds))
    };
    let single = OfferedLoad {
        rate: Some(100.0),
        ..OfferedLoad::single(8, Amount::Seconds(seconds))
    };
    let (bulk, single) = tokio::try_join!(
        bench.load(ingest, corpus, &bulk),
        bench.load(ingest, corpus, &single)
    )?;
    Ok(Beside { bulk, single })
}
