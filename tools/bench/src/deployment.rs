//! SQS and S3 with a queue and a bucket of one measurement, and the services beside them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws::{Aws, Lake};
use stand::{Emulation, Process, ProcessSpec, aws_at, free_port, program};
use tokio::time::{Instant, sleep};

use crate::bench::Bench;
use crate::load::API_KEY;
use crate::processes::RunningService;

/// The consumer's count of events written.
pub(crate) const EVENTS_WRITTEN: &str = "headwater_consumer_events_total";

/// Time between two looks at whether the queue is empty.
const LOOK: Duration = Duration::from_millis(50);

/// Longest that a backlog may take to be written.
pub(crate) const DRAIN: Duration = Duration::from_secs(900);

/// Where one measurement runs.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// `None` on LocalStack.
    emulation: Option<Emulation>,
    pub(crate) aws: Aws,
    endpoint: String,
    /// Name of queue and bucket.
    pub(crate) name: String,
    /// Where logs go.
    folder: PathBuf,
    /// Processes started so far, by which their logs are told apart.
    started: usize,
}

impl Deployment {
    /// The embedded emulation, in memory unless `arguments` say `--data=FOLDER`.
    pub(crate) async fn emulated(
        bench: &Bench,
        arguments: &[String],
    ) -> anyhow::Result<Deployment> {
        let folder = bench.fresh_folder()?;
        let emulation = Emulation::start(&folder, arguments).await?;
        let endpoint = emulation.endpoint().to_owned();
        Ok(Deployment::at(bench, endpoint, folder, Some(emulation)))
    }

    /// The LocalStack that the settings name.
    pub(crate) fn localstack(bench: &Bench) -> anyhow::Result<Deployment> {
        let endpoint = bench.args.localstack_endpoint();
        Ok(Deployment::at(bench, endpoint, bench.fresh_folder()?, None))
    }

    fn at(
        bench: &Bench,
        endpoint: String,
        folder: PathBuf,
        emulation: Option<Emulation>,
    ) -> Deployment {
        Deployment {
            emulation,
            aws: aws_at(&endpoint),
            endpoint,
            name: bench.fresh_name(),
            folder,
            started: 0,
        }
    }

    /// Starts ingest and waits until it is ready.
    pub(crate) async fn ingest(
        &mut self,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<RunningService> {
        let address = local(free_port()?);
        let listen = address.to_string();
        let settings = [settings, &[("LISTEN", &*listen)]].concat();
        self.service("ingest", &settings, Some(address)).await
    }

    /// Starts a batch consumer and waits until it is ready.
    pub(crate) async fn consumer(
        &mut self,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<RunningService> {
        self.service("batch-consumer", settings, None).await
    }

    async fn service(
        &mut self,
        name: &str,
        settings: &[(&str, &str)],
        clients: Option<SocketAddr>,
    ) -> anyhow::Result<RunningService> {
        let admin = local(free_port()?);
        let mut spec = self.spec(name, &[])?;
        let settings = settings.iter().copied();
        for (name, value) in settings.chain([("METRICS_LISTEN", admin.to_string().as_str())]) {
            spec.variables.push((name.to_owned(), value.to_owned()));
        }
        RunningService::start(&spec, clients.unwrap_or(admin), admin).await
    }

    /// Starts a program that ends by itself, such as `aggregator once`.
    pub(crate) fn command(&mut self, name: &str, arguments: &[&str]) -> anyhow::Result<Process> {
        self.spec(name, arguments)?.start()
    }

    fn spec(&mut self, name: &str, arguments: &[&str]) -> anyhow::Result<ProcessSpec> {
        self.started += 1;
        let dlq = format!("{}-dlq", self.name);
        let variables = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("QUEUE_NAME", &self.name),
            ("DLQ_NAME", &dlq),
            ("LAKE_BUCKET", &self.name),
            ("API_KEYS", API_KEY),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(ProcessSpec {
            name: format!("{name}-{}", self.started),
            binary: program(name)?,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            variables: variables.to_vec(),
            folder: self.folder.clone(),
        })
    }

    pub(crate) fn lake(&self) -> Lake {
        self.aws.lake(&self.name)
    }

    /// Deletes all objects whose keys begin with `prefix`.
    pub(crate) async fn delete_objects(&self, prefix: &str) -> anyhow::Result<()> {
        let lake = self.lake();
        let objects = lake.list(prefix, None).await?;
        let keys: Vec<String> = objects.into_iter().map(|object| object.key).collect();
        lake.delete(&keys).await?;
        Ok(())
    }

    /// Waits until the consumers have written `events` between them and the queue is empty.
    pub(crate) async fn drained(
        &self,
        consumers: &[&RunningService],
        events: u64,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + DRAIN;
        let queue = self.aws.queue(&self.name).await?;
        loop {
            let mut written = 0.0;
            for consumer in consumers {
                written += consumer.metrics().await?.get(EVENTS_WRITTEN);
            }
            // The depth is asked for only where it can be the answer: asking costs the emulation.
            if written >= events as f64 && queue.depth().await?.total() == 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{written} of {events} events are written {DRAIN:?} after they could be"
            );
            sleep(LOOK).await;
        }
    }

    /// Ends the emulation. On LocalStack empties the bucket, and leaves it and the queues there.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        match self.emulation {
            Some(emulation) => emulation.stop().await,
            None => self.delete_objects("").await,
        }
        .context("cannot clear up after a measurement")
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
