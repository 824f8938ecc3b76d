//! A lake on the emulation in this process: filled quickly, and with its requests counted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Map, Value};

use crate::bench::Bench;
use crate::deployment::Deployment;
use crate::processes::Finished;
use crate::raw_objects::{Cut, Line, RawObjects};
use crate::row::Row;

/// A lake without anything but raw objects, until it is aggregated.
#[derive(Debug)]
pub(crate) struct HostedLake {
    deployment: Deployment,
    /// Where the objects are, unless they are in memory.
    folder: Option<PathBuf>,
}

/// One run of the aggregator.
#[derive(Debug)]
pub(crate) struct Aggregation {
    pub(crate) done: Finished,
    /// Requests by operation, `PutObject`, as they arrived at the emulation: retries are among them.
    pub(crate) requests: BTreeMap<String, u64>,
}

impl HostedLake {
    pub(crate) async fn in_memory(bench: &Bench) -> anyhow::Result<HostedLake> {
        HostedLake::start(bench, None).await
    }

    pub(crate) async fn on_disk(bench: &Bench) -> anyhow::Result<HostedLake> {
        HostedLake::start(bench, Some(bench.fresh_folder()?)).await
    }

    async fn start(bench: &Bench, folder: Option<PathBuf>) -> anyhow::Result<HostedLake> {
        let deployment = Deployment::hosted(bench, folder.as_deref()).await?;
        aws::setup::create_bucket(&deployment.aws, &deployment.name).await?;
        Ok(HostedLake { deployment, folder })
    }

    pub(crate) fn lake(&self) -> aws::Lake {
        self.deployment.lake()
    }

    /// Adds lines, which must come in the order of their receipt; gives their number.
    pub(crate) async fn add(
        &self,
        lines: impl Iterator<Item = Line> + Send + 'static,
    ) -> anyhow::Result<u64> {
        RawObjects::of(lines, Cut::Hours).put(&self.lake()).await
    }

    /// Lets each request wait for `latency` from now on.
    pub(crate) fn slow_down(&self, latency: Duration) {
        self.deployment.slow_down(latency);
    }

    /// Runs `aggregator once`.
    pub(crate) async fn aggregate(&mut self) -> anyhow::Result<Aggregation> {
        let before = self.deployment.requests();
        let process = self.deployment.command("aggregator", &["once"], &[])?;
        let done = Finished::of(process).await?;
        let requests = self.deployment.requests().into_iter();
        let requests = requests.map(|(operation, count)| {
            let before = before.get(&operation).copied().unwrap_or_default();
            (operation, count - before)
        });
        Ok(Aggregation {
            done,
            requests: requests.filter(|(_, count)| *count > 0).collect(),
        })
    }

    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.deployment.end().await?;
        match self.folder {
            Some(folder) => std::fs::remove_dir_all(folder).context("cannot remove the lake"),
            None => Ok(()),
        }
    }
}

impl Aggregation {
    /// A number of the summary that the aggregator printed: `events` of `events 7, duplicates 0`.
    pub(crate) fn counted(&self, what: &str) -> anyhow::Result<u64> {
        let parts = self.done.out.trim().split(", ");
        let found = parts
            .filter_map(|part| part.rsplit_once(' '))
            .find(|(name, _)| *name == what)
            .and_then(|(_, number)| number.parse().ok());
        found.with_context(|| format!("the aggregator does not tell its {what}: {}", self.done.out))
    }

    /// Checks how many events were new, and how many lines repeated them.
    pub(crate) fn expect(&self, events: u64, duplicates: u64) -> anyhow::Result<()> {
        let counted = (self.counted("events")?, self.counted("duplicates")?);
        ensure!(
            counted == (events, duplicates),
            "the aggregator says `{}` where {events} events and {duplicates} duplicates are right",
            self.done.out.trim()
        );
        Ok(())
    }

    /// CPU seconds for a million of these lines.
    pub(crate) fn per_million(&self, lines: u64) -> f64 {
        self.done.cpu * 1e6 / lines as f64
    }

    /// Adds time, memory and requests to a row.
    pub(crate) fn describe(&self, row: Row) -> Row {
        let requests: Map<String, Value> = self
            .requests
            .iter()
            .map(|(operation, count)| (operation.clone(), (*count).into()))
            .collect();
        row.with("seconds", self.done.seconds)
            .with("cpu_seconds", self.done.cpu)
            .with("peak_mib", self.done.peak_mib)
            .with("requests", requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read() {
        let aggregation = Aggregation {
            done: Finished {
                cpu: 2.0,
                peak_mib: 1.0,
                seconds: 3.0,
                out:
                    "commits 1, objects 2, events 30, duplicates 4, conflicts 0, hours touched 5\n"
                        .to_owned(),
            },
            requests: BTreeMap::from([("PutObject".to_owned(), 7)]),
        };
        assert_eq!(aggregation.counted("hours touched").unwrap(), 5);
        assert!(aggregation.counted("nothing").is_err());
        assert!(aggregation.expect(30, 4).is_ok() && aggregation.expect(30, 0).is_err());
        assert_eq!(aggregation.per_million(1_000_000), 2.0);
        let row = aggregation.describe(Row::of("x", "s", &[3.0]));
        assert_eq!(row.details["requests"]["PutObject"], 7);
    }
}
