//! What a measurement stands on: SQS and S3, and the services beside them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::{Instant, sleep};

use crate::bench::Bench;
use crate::http::{self, Cloud};
use crate::load::API_KEY;
use crate::process::{Process, Variables, free_port, program};
use crate::scrape::Samples;

/// The consumer's count of events written.
pub(crate) const EVENTS_WRITTEN: &str = "headwater_consumer_events_total";

/// Time between two looks at whether the queue is empty.
const LOOK: Duration = Duration::from_millis(50);

/// SQS and S3, with a queue and a bucket of this measurement's own.
#[derive(Debug)]
pub(crate) struct Stand {
    /// The embedded emulation, where it is not LocalStack.
    emulation: Option<Process>,
    pub(crate) cloud: Cloud,
    endpoint: String,
    /// Name of queue and bucket.
    pub(crate) name: String,
    /// Where logs go, and the emulation keeps its objects.
    pub(crate) folder: PathBuf,
    services: usize,
}

/// A service under test.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
}

impl Stand {
    /// The embedded emulation, in memory.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub(crate) async fn local(bench: &Bench) -> anyhow::Result<Stand> {
        Stand::emulated(bench, &[]).await
    }

    /// The embedded emulation with further arguments: `--data` and a folder.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub(crate) async fn emulated(bench: &Bench, arguments: &[String]) -> anyhow::Result<Stand> {
        let folder = bench.fresh_folder()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut all = vec![format!("--listen={address}")];
        all.extend_from_slice(arguments);
        let binary = program("local-aws")?;
        let mut process = Process::start("local-aws", &binary, &all, &Vec::new(), &folder)?;
        let endpoint = format!("http://{address}");
        process.ready(&format!("{endpoint}/_local/health")).await?;
        Stand::at(bench, endpoint, folder, Some(process))
    }

    /// LocalStack at this endpoint.
    ///
    /// # Errors
    ///
    /// If there is no folder for the logs.
    pub(crate) fn localstack(bench: &Bench, endpoint: &str) -> anyhow::Result<Stand> {
        Stand::at(bench, endpoint.to_owned(), bench.fresh_folder()?, None)
    }

    fn at(
        bench: &Bench,
        endpoint: String,
        folder: PathBuf,
        emulation: Option<Process>,
    ) -> anyhow::Result<Stand> {
        Ok(Stand {
            emulation,
            cloud: Cloud::new(&endpoint)?,
            endpoint,
            name: bench.fresh_name(),
            folder,
            services: 0,
        })
    }

    /// Starts ingest and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If it does not become ready.
    pub(crate) async fn ingest(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Service> {
        self.service("ingest", "LISTEN", &[], settings).await
    }

    /// Starts a batch consumer and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If it does not become ready.
    pub(crate) async fn consumer(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Service> {
        self.service("batch-consumer", "METRICS_LISTEN", &[], settings)
            .await
    }

    /// Starts a program that ends by itself, such as `aggregator once`.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn command(&mut self, name: &str, arguments: &[&str]) -> anyhow::Result<Process> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        self.services += 1;
        let label = format!("{name}-{}", self.services);
        let variables = self.variables(&[]);
        Process::start(
            &label,
            &program(name)?,
            &arguments,
            &variables,
            &self.folder,
        )
    }

    async fn service(
        &mut self,
        name: &str,
        listen: &str,
        arguments: &[String],
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Service> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut variables = self.variables(settings);
        variables.push((listen.to_owned(), address.to_string()));
        self.services += 1;
        let label = format!("{name}-{}", self.services);
        let binary = program(name)?;
        let mut process = Process::start(&label, &binary, arguments, &variables, &self.folder)?;
        process.ready(&format!("http://{address}/readyz")).await?;
        Service::new(process, address)
    }

    fn variables(&self, settings: &[(&str, &str)]) -> Variables {
        let dlq = format!("{}-dlq", self.name);
        let fixed = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("QUEUE_NAME", &self.name),
            ("DLQ_NAME", &dlq),
            ("LAKE_BUCKET", &self.name),
            ("API_KEYS", API_KEY),
        ];
        let all = fixed.into_iter().chain(settings.iter().copied());
        all.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Waits until the consumers have written `events` between them and the queue is empty.
    ///
    /// # Errors
    ///
    /// If that takes longer than `longest`; says how far it has come.
    pub(crate) async fn drained(
        &self,
        consumers: &[&Service],
        events: u64,
        longest: Duration,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + longest;
        loop {
            let mut written = 0.0;
            for consumer in consumers {
                written += consumer.metrics().await?.get(EVENTS_WRITTEN);
            }
            // The depth is asked for only where it can be the answer: asking costs the emulation.
            if written >= events as f64 && self.cloud.depth(&self.name).await? == 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{written} of {events} events are written {longest:?} after they could be"
            );
            sleep(LOOK).await;
        }
    }

    /// Where the emulation keeps the bucket's objects, started with `--data` and this stand's folder.
    pub(crate) fn bucket_folder(&self, data: &Path) -> PathBuf {
        data.join(&self.name)
    }

    /// Ends the emulation, or removes from LocalStack what this measurement made there.
    ///
    /// # Errors
    ///
    /// If something cannot be removed or stopped.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        match self.emulation {
            Some(process) => process.stop().await,
            None => {
                self.cloud.delete_queue(&self.name).await?;
                let dlq = format!("{}-dlq", self.name);
                self.cloud.delete_queue(&dlq).await?;
                self.cloud.delete_bucket(&self.name).await
            }
        }
        .context("cannot clear up after a measurement")
    }
}

impl Service {
    /// A process that listens there.
    ///
    /// # Errors
    ///
    /// If no HTTP client can be set up.
    pub(crate) fn new(process: Process, address: SocketAddr) -> anyhow::Result<Service> {
        Ok(Service {
            process,
            address,
            http: http::client()?,
        })
    }

    /// Its metrics now.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub(crate) async fn metrics(&self) -> anyhow::Result<Samples> {
        Samples::of(&self.http, &format!("http://{}/metrics", self.address)).await
    }
}
