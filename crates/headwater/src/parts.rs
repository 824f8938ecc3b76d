//! The services, started in one process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use aws::{Aws, Lake, Meter, Queue};
use clap::Parser;
use local_aws::LocalAws;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Names of the queues and the bucket: the services' own defaults.
const QUEUE: &str = "headwater-events";
const DLQ: &str = "headwater-events-dlq";
pub(crate) const BUCKET: &str = "headwater-lake";

/// Longest that a receive waits for a message. In this process a receive costs nothing, and a stop
/// waits for it.
const POLL_WAIT: Duration = Duration::from_secs(1);

/// How the parts are set up.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// Folder for queues and lake.
    pub(crate) folder: &'a Path,
    pub(crate) api_key: &'a SecretString,
    pub(crate) contracts: Option<PathBuf>,
}

/// Emulation, ingest and consumer, running.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) cloud: LocalAws,
    /// For looking at what the services do; not counted among their requests.
    pub(crate) aws: Aws,
    pub(crate) ingest: Part,
    pub(crate) consumer: Part,
    pub(crate) aggregator: Aggregator,
    /// Where ingest is: `http://127.0.0.1:3000`.
    pub(crate) ingest_url: String,
}

/// A service that runs as a task.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    meter: Meter,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// The aggregator, which runs when it is told to.
#[derive(Debug, Clone)]
pub(crate) struct Aggregator {
    pub(crate) config: aggregator::Config,
    pub(crate) aws: Aws,
}

impl Parts {
    /// Makes queues and bucket, and starts ingest on `listener` and the consumer.
    ///
    /// # Errors
    ///
    /// If the folder cannot be used or a setting in the environment is wrong.
    pub(crate) async fn start(
        settings: &Settings<'_>,
        listener: TcpListener,
    ) -> anyhow::Result<Parts> {
        let cloud = LocalAws::builder()
            .folder(settings.folder)
            .build()
            .with_context(|| format!("cannot use the folder `{}`", settings.folder.display()))?;
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        aws::setup::create_queues(&aws, QUEUE, DLQ)
            .await
            .context("cannot make the queues")?;
        aws::setup::create_bucket(&aws, BUCKET)
            .await
            .context("cannot make the bucket")?;
        let address = listener
            .local_addr()
            .context("ingest's listener has no address")?;
        let configs = Configs::read(settings)?;
        // Meters of their own: what each service costs is its own.
        let (for_ingest, for_consumer) = (aws.with_own_meter(), aws.with_own_meter());
        let aggregator = Aggregator {
            config: configs.aggregator,
            aws: aws.with_own_meter(),
        };
        let meter = for_ingest.meter().clone();
        let ingest = Part::spawn("ingest", meter, |stop| {
            ingest::run(configs.ingest, for_ingest, listener, stop)
        });
        let meter = for_consumer.meter().clone();
        let consumer = Part::spawn("batch-consumer", meter, |stop| {
            batch_consumer::run(configs.consumer, for_consumer, stop)
        });
        Ok(Parts {
            cloud,
            aws,
            ingest,
            consumer,
            aggregator,
            ingest_url: format!("http://{address}"),
        })
    }

    pub(crate) async fn queue(&self) -> anyhow::Result<Queue> {
        self.aws.queue(QUEUE).await.context("the queue is gone")
    }

    pub(crate) fn lake(&self) -> Lake {
        self.aws.lake(BUCKET)
    }

    /// The meters of the three services.
    pub(crate) fn meters(&self) -> [&Meter; 3] {
        [
            &self.ingest.meter,
            &self.consumer.meter,
            self.aggregator.aws.meter(),
        ]
    }

    /// Ends when one of the two services has ended by itself, with the reason.
    ///
    /// # Errors
    ///
    /// Always: that should not be.
    pub(crate) async fn broken(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            ended = &mut self.ingest.task => self.ingest.explain(ended),
            ended = &mut self.consumer.task => self.consumer.explain(ended),
        }
    }
}

impl Part {
    fn spawn<F>(name: &'static str, meter: Meter, run: impl FnOnce(CancellationToken) -> F) -> Part
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        Part {
            name,
            meter,
            task: tokio::spawn(run(stop.clone())),
            stop,
        }
    }

    /// Stops it and waits until it has finished what it holds.
    ///
    /// # Errors
    ///
    /// What it failed with.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let name = self.name;
        let ended = self.task.await;
        ended
            .with_context(|| format!("{name} broke off"))?
            .with_context(|| format!("{name} failed"))
    }

    fn explain(
        &self,
        ended: Result<anyhow::Result<()>, tokio::task::JoinError>,
    ) -> anyhow::Result<()> {
        let name = self.name;
        match ended {
            Ok(Ok(())) => bail!("{name} ended by itself"),
            Ok(Err(error)) => Err(error.context(format!("{name} failed"))),
            Err(error) => bail!("{name} broke off: {error}"),
        }
    }
}

/// The services' settings: their defaults and what the environment says, but for what must agree
/// between them.
struct Configs {
    ingest: ingest::Config,
    consumer: batch_consumer::Config,
    aggregator: aggregator::Config,
}

impl Configs {
    fn read(settings: &Settings<'_>) -> anyhow::Result<Configs> {
        // On the command line rather than in the environment, where it may be longer than its last byte.
        let keys = format!("--api-keys={}", settings.api_key.expose_secret());
        let queue = ["--queue-name", QUEUE, "--dlq-name", DLQ];
        let bucket = ["--lake-bucket", BUCKET];
        let ingest = [&["ingest", &keys][..], &queue].concat();
        let mut ingest = ingest::Config::try_parse_from(ingest).context("settings of ingest")?;
        ingest.contracts = settings.contracts.clone();
        let consumer = [&["batch-consumer"][..], &queue, &bucket].concat();
        let mut consumer = batch_consumer::Config::try_parse_from(consumer)
            .context("settings of batch-consumer")?;
        consumer.contracts = settings.contracts.clone();
        consumer.poll_wait = POLL_WAIT;
        let aggregator = [&["aggregator"][..], &bucket].concat();
        let mut aggregator = aggregator::Cli::try_parse_from(aggregator)
            .context("settings of the aggregator")?
            .config;
        aggregator.contracts = settings.contracts.clone();
        ingest.check().context("settings of ingest")?;
        consumer.check().context("settings of batch-consumer")?;
        aggregator.check().context("settings of the aggregator")?;
        Ok(Configs {
            ingest,
            consumer,
            aggregator,
        })
    }
}
