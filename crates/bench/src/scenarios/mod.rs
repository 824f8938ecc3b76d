//! What is measured: one file a scenario.

mod consumer;
mod ingest;
mod requests;

use clap::ValueEnum;

use crate::bench::Bench;
use crate::cli::RunArgs;
use crate::report::Row;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// All that takes less than ten minutes and needs no LocalStack.
    All,
    IngestBulk,
    IngestSingle,
    Consumer,
    Requests,
}

/// What needs more than the programs themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
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
            Name::All => "all of these but those that say otherwise",
            Name::IngestBulk => {
                "CPU of ingest, 500 events a post over 16 connections, against the floor; its memory"
            }
            Name::IngestSingle => {
                "CPU of ingest, one event a post over 64 connections, against a bare handler"
            }
            Name::Consumer => "CPU and memory of the consumer that empties a full queue",
            Name::Requests => "requests and dollars for a million events through SQS and S3",
        }
    }

    fn needs(self) -> Needs {
        Needs::Nothing
    }
}

/// The scenarios that were asked for, `all` unfolded.
pub(crate) fn chosen(asked: &[Name], _: &RunArgs) -> Vec<Name> {
    let in_all = |name: &Name| match name.needs() {
        Needs::Nothing => *name != Name::All,
    };
    let mut chosen = Vec::new();
    for name in asked {
        match name {
            Name::All => chosen.extend(Name::value_variants().iter().copied().filter(in_all)),
            name => chosen.push(*name),
        }
    }
    chosen
}

/// Measures it.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn run(name: Name, bench: &Bench) -> anyhow::Result<Outcome> {
    let rows = match name {
        Name::All => Vec::new(),
        Name::IngestBulk => ingest::bulk(bench).await?,
        Name::IngestSingle => ingest::single(bench).await?,
        Name::Consumer => consumer::run(bench).await?,
        Name::Requests => requests::run(bench).await?,
    };
    Ok(Outcome::Rows(rows))
}
