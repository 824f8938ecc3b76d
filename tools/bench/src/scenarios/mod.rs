//! What is measured: one file a scenario.

pub(crate) mod adaptive;
mod aggregator;
mod consumer;
mod growth;
mod ingest;
mod localstack;
mod memory;
mod requests;

use clap::ValueEnum;

use crate::bench::Bench;
use crate::cli::RunArgs;
use crate::report::Row;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    All,
    IngestBulk,
    IngestSingle,
    Consumer,
    Requests,
    Aggregator,
    #[value(name = "aggregator-20m")]
    Aggregator20m,
    LocalstackBulk,
    LocalstackSingle,
    PlainPlan,
    #[value(name = "localstack-10k")]
    Localstack10k,
    LocalstackTrickle,
    Growth,
    Adaptive,
    Memory,
}

/// When `all` has a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Always.
    Nothing,
    /// With `--long`.
    Time,
    /// With `--localstack`.
    LocalStack,
    /// Never.
    ToBeNamed,
}

/// What came of a scenario.
#[derive(Debug)]
pub(crate) enum Outcome {
    Rows(Vec<Row>),
    /// Not measured, and why.
    Skipped(String),
}

impl Name {
    /// What it measures, in a line.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Name::All => "the ones below, but those that say otherwise",
            Name::IngestBulk => "CPU of ingest, 500 events a post, against the floor; its memory",
            Name::IngestSingle => "CPU of ingest, one event a post, against a bare handler",
            Name::Consumer => "CPU and memory of a consumer that empties a full queue",
            Name::Requests => "requests and dollars for a million events through SQS and S3",
            Name::Aggregator => "CPU and memory of the aggregator, against DuckDB (needs Python)",
            Name::Aggregator20m => "the aggregator on ten times as many events (with --long)",
            Name::LocalstackBulk => "events/s end to end in bulk (LocalStack, with --localstack)",
            Name::LocalstackSingle => "events/s end to end, one a post (LocalStack)",
            Name::PlainPlan => "events/s against one event a message (LocalStack)",
            Name::Localstack10k => "time of 10,000 events into S3 (LocalStack)",
            Name::LocalstackTrickle => "latency of 100 single events a second (LocalStack)",
            Name::Growth => "how cost grows with the work (not in all)",
            Name::Adaptive => "latency against PUTs, with and without BATCH_ADAPTIVE (not in all)",
            Name::Memory => "memory under full load for 20 minutes (not in all)",
        }
    }

    fn needs(self) -> Needs {
        match self {
            Name::IngestBulk
            | Name::IngestSingle
            | Name::Consumer
            | Name::Requests
            | Name::Aggregator => Needs::Nothing,
            Name::Aggregator20m => Needs::Time,
            Name::LocalstackBulk
            | Name::LocalstackSingle
            | Name::PlainPlan
            | Name::Localstack10k
            | Name::LocalstackTrickle => Needs::LocalStack,
            Name::All | Name::Growth | Name::Adaptive | Name::Memory => Needs::ToBeNamed,
        }
    }
}

/// The scenarios that were asked for, `all` unfolded, each once.
pub(crate) fn chosen(asked: &[Name], args: &RunArgs) -> Vec<Name> {
    let in_all = |name: &Name| match name.needs() {
        Needs::Nothing => true,
        Needs::Time => args.long,
        Needs::LocalStack => args.localstack,
        Needs::ToBeNamed => false,
    };
    let all = asked.contains(&Name::All);
    let names = Name::value_variants().iter().copied();
    names
        .filter(|name| *name != Name::All && (asked.contains(name) || (all && in_all(name))))
        .collect()
}

/// Measures it.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn run(name: Name, bench: &Bench) -> anyhow::Result<Outcome> {
    if name.needs() == Needs::LocalStack
        && let Some(why) = localstack::missing(bench).await?
    {
        return Ok(Outcome::Skipped(why));
    }
    let rows = match name {
        Name::All => Vec::new(),
        Name::IngestBulk => ingest::bulk(bench).await?,
        Name::IngestSingle => ingest::single(bench).await?,
        Name::Consumer => consumer::run(bench).await?,
        Name::Requests => requests::run(bench).await?,
        Name::Aggregator => aggregator::run(bench).await?,
        Name::Aggregator20m => aggregator::ten_times(bench).await?,
        Name::LocalstackBulk => localstack::bulk(bench).await?,
        Name::LocalstackSingle => localstack::single(bench).await?,
        Name::PlainPlan => localstack::plain_plan(bench).await?,
        Name::Localstack10k => localstack::ten_thousand(bench).await?,
        Name::LocalstackTrickle => localstack::trickle(bench).await?,
        Name::Growth => growth::run(bench).await?,
        Name::Adaptive => adaptive::run(bench).await?,
        Name::Memory => memory::run(bench).await?,
    };
    Ok(Outcome::Rows(rows))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn of(arguments: &[&str]) -> Vec<Name> {
        let cli = Cli::try_parse_from(["bench"].iter().chain(arguments)).unwrap();
        chosen(&cli.scenarios, &cli.run)
    }

    #[test]
    fn all_has_what_needs_nothing_and_more_where_asked() {
        let all = of(&["all"]);
        assert!(all.contains(&Name::Aggregator) && all.contains(&Name::Requests));
        assert!(!all.contains(&Name::Memory) && !all.contains(&Name::PlainPlan));
        assert!(of(&["all", "--long"]).contains(&Name::Aggregator20m));
        assert!(of(&["all", "--localstack"]).contains(&Name::PlainPlan));
        assert_eq!(of(&["all", "memory", "consumer"]).len(), all.len() + 1);
        assert_eq!(of(&["memory", "memory"]), [Name::Memory]);
    }
}
