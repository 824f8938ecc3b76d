//! The settings of the services that run in this process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use service::settings::try_parse_from;
use service::tls::TlsSettings;

/// Names of the queues and the bucket: the services' own defaults.
pub(crate) const QUEUE: &str = "headwater-events";
pub(crate) const DLQ: &str = "headwater-events-dlq";
pub(crate) const BUCKET: &str = "headwater-lake";

/// Longest wait of a receive: shorter than in production, because here a receive costs nothing and a stop
/// waits for it.
const POLL_WAIT: Duration = Duration::from_secs(1);

/// Settings that the services share.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// Folder for queues and lake.
    pub(crate) folder: &'a Path,
    /// Where the emulation listens, which the services then name in their logs; `None` if it does not.
    pub(crate) aws_listen: Option<SocketAddr>,
    pub(crate) api_key: &'a SecretString,
    /// Towards clients of ingest, query and alerts.
    pub(crate) tls: TlsSettings,
    pub(crate) contracts: Option<PathBuf>,
    /// Whether alerts are looked at as well.
    pub(crate) with_alerts: bool,
    /// Whether ingest, consumer and aggregator can be killed and frozen.
    pub(crate) with_faults: bool,
}

/// The services' settings: defaults and environment, except for the settings that must agree.
pub(crate) struct Configs {
    pub(crate) ingest: ingest::Config,
    pub(crate) consumer: batch_consumer::Config,
    pub(crate) aggregator: aggregator::Config,
    pub(crate) query: query::Config,
    pub(crate) alerts: Option<alerts::Config>,
}

impl Configs {
    /// Reads them for an ingest that listens on `listen`.
    ///
    /// # Errors
    ///
    /// Names the service whose settings are wrong.
    pub(crate) fn read(settings: &Settings<'_>, listen: SocketAddr) -> anyhow::Result<Configs> {
        // A program cannot change its environment safely, so the keys go by the command line.
        let keys = format!("--api-keys={}", settings.api_key.expose_secret());
        let queue = ["--queue-name", QUEUE, "--dlq-name", DLQ];
        let bucket = ["--lake-bucket", BUCKET];
        let ingest = [&["ingest", &keys][..], &queue].concat();
        let mut ingest = try_parse_from::<ingest::Config>(ingest).context("settings of ingest")?;
        ingest.contracts = settings.contracts.clone();
        ingest.listen = listen;
        ingest.tls = settings.tls.clone();
        ingest.tls_client_entity &= settings.tls.tls_client_ca.is_some();
        // Metrics need no key, where they come from this machine alone.
        ingest.metrics_open |= listen.ip().is_loopback();
        let consumer = [&["batch-consumer"][..], &queue, &bucket].concat();
        let mut consumer = try_parse_from::<batch_consumer::Config>(consumer)
            .context("settings of batch-consumer")?;
        consumer.contracts = settings.contracts.clone();
        consumer.poll_wait = POLL_WAIT;
        let aggregator = [&["aggregator"][..], &bucket].concat();
        let mut aggregator = try_parse_from::<aggregator::Cli>(aggregator)
            .context("settings of the aggregator")?
            .config;
        aggregator.contracts = settings.contracts.clone();
        let keys = format!("--read-keys={}", settings.api_key.expose_secret());
        let query = [&["query", &keys][..], &bucket].concat();
        let mut query = try_parse_from::<query::Config>(query).context("settings of query")?;
        query.contracts = settings.contracts.clone();
        query.tls = settings.tls.clone();
        let alerts = match settings.with_alerts {
            true => {
                let alerts = [&["alerts", &keys][..], &queue, &bucket].concat();
                let mut alerts =
                    try_parse_from::<alerts::Config>(alerts).context("settings of alerts")?;
                alerts.contracts = settings.contracts.clone();
                alerts.tls = settings.tls.clone();
                let own = format!("{}://{listen}", settings.tls.scheme());
                alerts.external_url.get_or_insert(own);
                alerts.check().context("settings of alerts")?;
                Some(alerts)
            }
            false => None,
        };
        ingest.check().context("settings of ingest")?;
        consumer.check().context("settings of batch-consumer")?;
        aggregator.check().context("settings of the aggregator")?;
        Ok(Configs {
            ingest,
            consumer,
            aggregator,
            query,
            alerts,
        })
    }
}
