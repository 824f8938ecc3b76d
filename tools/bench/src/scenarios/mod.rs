//! Measures the scenarios, one file for each or for those that share their means. A scenario gets the
//! [`Bench`], and gives rows; every process that it starts must have ended by then.

mod adaptive;
mod aggregator;
mod consumer;
mod fair;
mod growth;
mod heard;
mod hours;
mod idle;
mod ingest;
mod localstack;
mod memory;
mod query;
mod requests;
mod stray;
mod tls;

use crate::bench::Bench;
use crate::row::Row;
use crate::scenario::Scenario;

/// What came of a scenario.
#[derive(Debug)]
pub(crate) enum Measured {
    Rows(Vec<Row>),
    /// Not measured, and why.
    Skipped(String),
}

/// Measures a scenario.
pub(crate) async fn run(scenario: Scenario, bench: &Bench) -> anyhow::Result<Measured> {
    if scenario.needs_localstack()
        && let Some(why) = localstack::missing(bench).await?
    {
        return Ok(Measured::Skipped(why));
    }
    let rows = match scenario {
        Scenario::All => Vec::new(),
        Scenario::IngestBulk => ingest::bulk(bench).await?,
        Scenario::IngestSingle => ingest::single(bench).await?,
        Scenario::Consumer => consumer::run(bench).await?,
        Scenario::Requests => requests::run(bench).await?,
        Scenario::Aggregator => aggregator::run(bench).await?,
        Scenario::Aggregator20m => aggregator::ten_times(bench).await?,
        Scenario::AggregatorHour => hours::one(bench).await?,
        Scenario::AggregatorMinutes => hours::by_minutes(bench).await?,
        Scenario::AggregatorStray => stray::run(bench).await?,
        Scenario::AggregatorYear => hours::year(bench).await?,
        Scenario::AggregatorShuffled => hours::shuffled(bench).await?,
        Scenario::Idle => idle::run(bench).await?,
        Scenario::LocalstackBulk => localstack::bulk(bench).await?,
        Scenario::LocalstackSingle => localstack::single(bench).await?,
        Scenario::PlainPlan => localstack::plain_plan(bench).await?,
        Scenario::Localstack10k => localstack::ten_thousand(bench).await?,
        Scenario::LocalstackTrickle => localstack::trickle(bench).await?,
        Scenario::LocalstackFresh => heard::fresh(bench).await?,
        Scenario::LocalstackAlerts => heard::alerts(bench).await?,
        Scenario::Growth => growth::run(bench).await?,
        Scenario::Adaptive => adaptive::run(bench).await?,
        Scenario::Fair => fair::run(bench).await?,
        Scenario::Tls => tls::run(bench).await?,
        Scenario::Memory => memory::run(bench).await?,
        Scenario::Query => query::run(bench).await?,
    };
    Ok(Measured::Rows(rows))
}
