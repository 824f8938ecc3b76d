//! What AWS would bill for a million events sent in bulk.

use std::collections::BTreeMap;

use serde_json::json;

use crate::bench::Bench;
use crate::deployment::Deployment;
use crate::load::{Amount, OfferedLoad};
use crate::pipeline::Pipeline;
use crate::row::{Bar, Row};

/// The sum over the operations whose names begin with `prefix`.
fn sum_of(requests: &BTreeMap<String, f64>, prefix: &str) -> f64 {
    let found = requests.iter().filter(|(name, _)| name.starts_with(prefix));
    found.map(|(_, count)| count).sum()
}

/// `requests`: three rows.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000)).await?;
    let million = 1e6 / corpus.recipe.events as f64;
    let (mut billed, mut puts, mut dollars) = (Vec::new(), Vec::new(), Vec::new());
    let (mut by_operation, mut billed_by_operation) = (BTreeMap::new(), BTreeMap::new());
    for run in 1..=bench.runs() {
        bench.say(format!("requests, run {run}"));
        let pipeline = Pipeline::start(Deployment::emulated(bench, &[]).await?, &[], &[]).await?;
        let load = OfferedLoad::bulk(Amount::Corpus);
        let (_, used) = pipeline.load(bench, &corpus, &load).await?;
        (by_operation, billed_by_operation) = (used.requests(), used.billed());
        billed.push(sum_of(&billed_by_operation, "sqs:") * million);
        puts.push(sum_of(&by_operation, "s3:PutObject") * million);
        dollars.push(used.dollars() * million);
        pipeline.end().await?;
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
