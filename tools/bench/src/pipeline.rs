//! One ingest and one consumer, on a deployment of their own.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use crate::bench::Bench;
use crate::corpus::Corpus;
use crate::deployment::{DRAIN, Deployment, EVENTS_WRITTEN};
use crate::load::{LoadReport, OfferedLoad};
use crate::processes::RunningService;
use crate::scrape::Samples;

/// Time between two looks at what is written.
const LOOK: Duration = Duration::from_millis(10);

/// Environment variables of a service.
type Settings<'a> = &'a [(&'a str, &'a str)];

/// The pipeline up to `raw/`.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) deployment: Deployment,
    pub(crate) ingest: RunningService,
    pub(crate) consumer: RunningService,
}

impl Pipeline {
    pub(crate) async fn start(
        mut deployment: Deployment,
        ingest: Settings<'_>,
        consumer: Settings<'_>,
    ) -> anyhow::Result<Pipeline> {
        Ok(Pipeline {
            ingest: deployment.ingest(ingest).await?,
            consumer: deployment.consumer(consumer).await?,
            deployment,
        })
    }

    /// Loads ingest and waits until all of it is written. Gives the load's report, and what ingest and
    /// consumer counted meanwhile.
    pub(crate) async fn load(
        &self,
        bench: &Bench,
        corpus: &Corpus,
        load: &OfferedLoad,
    ) -> anyhow::Result<(LoadReport, Samples)> {
        let before = self.counted().await?;
        let sent = bench.load(&self.ingest, corpus, load).await?;
        self.drained(sent.events).await?;
        Ok((sent, self.counted().await?.since(&before)))
    }

    /// What ingest and consumer have counted together since their start.
    async fn counted(&self) -> anyhow::Result<Samples> {
        let ingest = self.ingest.metrics().await?;
        Ok(ingest.plus(&self.consumer.metrics().await?))
    }

    /// Waits until the consumer has written `events`, repeats counted.
    pub(crate) async fn written(&self, events: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + DRAIN;
        while self.consumer.metrics().await?.get(EVENTS_WRITTEN) < events as f64 {
            ensure!(
                Instant::now() < deadline,
                "{events} events are not written within {DRAIN:?}"
            );
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until the consumer has written `events` and the queue is empty.
    pub(crate) async fn drained(&self, events: u64) -> anyhow::Result<()> {
        self.deployment.drained(&[&self.consumer], events).await
    }

    /// Stops everything.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.ingest.stop().await?;
        self.consumer.stop().await?;
        self.deployment.end().await
    }
}
