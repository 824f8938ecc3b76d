//! What AWS would bill for a million events sent in bulk.

use std::collections::BTreeMap;

use serde_json::json;

use crate::bench::{Amount, Bench};
use crate::report::{Bar, Row};
use crate::scenarios::consumer::LONGEST;
use crate::scenarios::ingest::{VEHICLES, bulk_load};
use crate::scrape::Samples;
use crate::stand::{Service, Stand};

/// What ingest and consumers have counted together.
///
/// # Errors
///
/// If one does not answer.
pub(crate) async fn counted(services: &[&Service]) -> anyhow::Result<Samples> {
    let mut sum = Samples::default();
    for service in services {
        sum = sum.plus(&service.metrics().await?);
    }
    Ok(sum)
}

/// The sum over the operations whose names begin so.
fn of(requests: &BTreeMap<String, f64>, prefix: &str) -> f64 {
    let found = requests.iter().filter(|(name, _)| name.starts_with(prefix));
    found.map(|(_, count)| count).sum()
}

/// `requests`: three rows.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000), VEHICLES).await?;
    let million = 1e6 / corpus.recipe.events as f64;
    let (mut billed, mut puts, mut dollars) = (Vec::new(), Vec::new(), Vec::new());
    let (mut by_operation, mut billed_by_operation) = (BTreeMap::new(), BTreeMap::new());
    for run in 1..=bench.runs() {
        bench.say(format!("requests, run {run}"));
        let mut stand = Stand::local(bench).await?;
        let ingest = stand.ingest(&[]).await?;
        let consumer = stand.consumer(&[]).await?;
        let before = counted(&[&ingest, &consumer]).await?;
        let load = bulk_load(Amount::Corpus);
        let sent = bench.load(&ingest, &corpus, &load).await?;
        stand.drained(&[&consumer], sent.events, LONGEST).await?;
        let used = counted(&[&ingest, &consumer]).await?.since(&before);
        (by_operation, billed_by_operation) = (used.requests(), used.billed());
        billed.push(of(&billed_by_operation, "sqs:") * million);
        puts.push(of(&by_operation, "s3:PutObject") * million);
        dollars.push(used.dollars() * million);
        consumer.process.stop().await?;
        ingest.process.stop().await?;
        stand.end().await?;
    }
    Ok(vec![
        Row::of("requests-sqs", "billed SQS requests per million", &billed)
            .bar(Bar::AtMost, 2_000.0)
            .with("requests", json!(by_operation))
            .with("billed", json!(billed_by_operation)),
        Row::of("requests-s3", "PUTs per million", &puts).bar(Bar::AtMost, 60.0),
        Row::of("requests-dollars", "$ per million", &dollars).bar(Bar::AtMost, 0.0015),
    ])
}
