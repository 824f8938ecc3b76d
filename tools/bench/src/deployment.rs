//! SQS and S3 with a queue and a bucket of one measurement, and the services beside them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use aws::{Aws, Lake};
use local_aws::{Faults, LocalAws};
use stand::{Emulation, Process, ProcessSpec, aws_at, free_port, program};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::bench::Bench;
use crate::load::API_KEY;
use crate::processes::RunningService;

/// The consumer's count of events written.
pub(crate) const EVENTS_WRITTEN: &str = "headwater_consumer_events_total";

/// Time between two looks at whether the queue is empty.
const LOOK: Duration = Duration::from_millis(50);

/// Longest that a backlog may take to be written.
pub(crate) const DRAIN: Duration = Duration::from_secs(900);

/// Who answers for SQS and S3.
#[derive(Debug)]
enum Server {
    Emulation(Emulation),
    /// The emulation in this process, whose objects are made without a request each, and which counts requests.
    Hosted {
        cloud: LocalAws,
        stop: CancellationToken,
        serving: JoinHandle<std::io::Result<()>>,
    },
    LocalStack,
}

/// Where one measurement runs.
#[derive(Debug)]
pub(crate) struct Deployment {
    server: Server,
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
        let aws = aws_at(&endpoint);
        let server = Server::Emulation(emulation);
        Ok(Deployment::at(bench, aws, endpoint, folder, server))
    }

    /// The LocalStack that the settings name.
    pub(crate) fn localstack(bench: &Bench) -> anyhow::Result<Deployment> {
        let endpoint = bench.args.localstack_endpoint();
        let aws = aws_at(&endpoint);
        let folder = bench.fresh_folder()?;
        Ok(Deployment::at(
            bench,
            aws,
            endpoint,
            folder,
            Server::LocalStack,
        ))
    }

    /// The emulation in this process, on a port for the services; what [`lake`](Deployment::lake) does needs no port.
    /// In memory unless there is a folder for its `data`.
    pub(crate) async fn hosted(bench: &Bench, data: Option<&Path>) -> anyhow::Result<Deployment> {
        let mut cloud = LocalAws::builder();
        if let Some(data) = data {
            cloud = cloud.folder(data);
        }
        let cloud = cloud.build().context("cannot use the data folder")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("cannot listen on a port")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let serving = local_aws::serve(cloud.clone(), listener, stop.clone());
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        let server = Server::Hosted {
            serving: tokio::spawn(serving),
            cloud,
            stop,
        };
        let folder = bench.fresh_folder()?;
        Ok(Deployment::at(bench, aws, endpoint, folder, server))
    }

    fn at(
        bench: &Bench,
        aws: Aws,
        endpoint: String,
        folder: PathBuf,
        server: Server,
    ) -> Deployment {
        Deployment {
            server,
            aws,
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
        self.listening("ingest", settings).await
    }

    /// Starts query and waits until it is ready.
    pub(crate) async fn query(
        &mut self,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<RunningService> {
        let settings = [settings, &[("PG_LISTEN", "127.0.0.1:0")]].concat();
        self.listening("query", &settings).await
    }

    /// Starts alerts and waits until it is ready.
    pub(crate) async fn alerts(
        &mut self,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<RunningService> {
        self.listening("alerts", settings).await
    }

    /// Starts a batch consumer and waits until it is ready.
    pub(crate) async fn consumer(
        &mut self,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<RunningService> {
        self.service("batch-consumer", settings, None).await
    }

    /// Starts a service that has a port for clients.
    async fn listening(
        &mut self,
        name: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<RunningService> {
        let address = local(free_port()?);
        let listen = address.to_string();
        let settings = [settings, &[("LISTEN", &*listen)]].concat();
        self.service(name, &settings, Some(address)).await
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

    /// Starts a program that ends by itself, such as `aggregator once`, with further environment variables.
    pub(crate) fn command(
        &mut self,
        name: &str,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Process> {
        let mut spec = self.spec(name, arguments)?;
        let settings = settings.iter();
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        spec.variables.extend(settings);
        spec.start()
    }

    /// Lets each request to the emulation in this process wait for `latency` from now on.
    pub(crate) fn slow_down(&self, latency: Duration) {
        if let Server::Hosted { cloud, .. } = &self.server {
            cloud.set_faults(Faults::seeded(0).slow("*", 1.0, latency..latency));
        }
    }

    /// Requests so far by operation, `PutObject`; empty unless the emulation is in this process.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        match &self.server {
            Server::Hosted { cloud, .. } => cloud.requests(),
            _ => BTreeMap::new(),
        }
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
        match self.server {
            Server::Emulation(emulation) => emulation.stop().await,
            Server::Hosted { stop, serving, .. } => {
                stop.cancel();
                serving.await?.context("the emulation failed")
            }
            Server::LocalStack => self.delete_objects("").await,
        }
        .context("cannot clear up after a measurement")
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
