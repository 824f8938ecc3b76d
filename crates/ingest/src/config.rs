//! Settings: read once, checked at start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws::{CreateSettings, DlqSettings, QueueSettings};
use bytesize::ByteSize;
use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand, ValueEnum};
use contract::Kinds;
use protocols::Mapping;
use secrecy::SecretString;
use service::emf::EmfSettings;
use service::keys::Source;
use service::keys::settings::{API_KEYS, KeysFileSettings};
use service::logging::LogFormat;
use service::settings::Uses;
use service::tls::TlsSettings;

/// Bytes that a request may need for each byte of its body: for the body, and for its events' lines, which are
/// longest in proportion when events are small, because of the fields that the server adds.
const BYTES_PER_BODY_BYTE: u64 = 4;

/// Default of METRICS_LISTEN.
pub const METRICS_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9100);

/// Takes vehicle and cell telemetry over HTTP into SQS.
///
/// Each flag can be given as an environment variable. AWS is reached by the SDK's own variables,
/// such as AWS_ENDPOINT_URL, AWS_REGION and AWS_PROFILE.
#[derive(Debug, Clone, Parser)]
#[command(name = "ingest", version)]
pub struct Config {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Address to listen on.
    #[arg(long, env, default_value = "127.0.0.1:3000", value_parser = service::settings::address)]
    pub listen: SocketAddr,

    /// Address that serves `/metrics`, `/livez` and `/readyz`, which take no seat from clients.
    #[arg(long, env, default_value_t = METRICS_LISTEN, global = true, value_parser = service::settings::address)]
    pub metrics_listen: SocketAddr,

    /// The queue of events.
    #[command(flatten)]
    pub queue: QueueSettings,

    /// The dead-letter queue, for when ingest makes both.
    #[command(flatten)]
    pub dlq: DlqSettings,

    /// Whether missing queues are made.
    #[command(flatten)]
    pub create: CreateSettings,

    /// API keys that clients may send in `x-api-key`, separated by commas; several, so that they
    /// can be rotated. Each has at least 8 characters.
    #[arg(long, env, hide_env_values = true, value_delimiter = ',', value_parser = secret)]
    pub api_keys: Vec<SecretString>,

    /// File of further such keys, one a line or separated by commas; read at the start.
    #[arg(long, env)]
    pub api_keys_file: Option<PathBuf>,

    /// Keys with names, scopes and limits.
    #[command(flatten)]
    pub keys: KeysFileSettings,

    /// Whether `POST /metrics` takes metrics without a key, for programs on this machine: LISTEN must be a loopback
    /// address.
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub metrics_open: bool,

    /// TLS towards clients.
    #[command(flatten)]
    pub tls: TlsSettings,

    /// Whether a client may send events only of the entities that its certificate names: as common name, or as DNS name
    /// or URI among its alternative names.
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub tls_client_entity: bool,

    /// Folder of further kinds of events, one TOML declaration each.
    #[arg(long, env)]
    pub contracts: Option<PathBuf>,

    /// File that says which metrics of OpenTelemetry, Prometheus and InfluxDB become events of which kinds; without one
    /// all become samples of the kind `metric`.
    #[arg(long, env)]
    pub senders: Option<PathBuf>,

    /// How log lines are written.
    #[arg(long, env, value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Metrics for CloudWatch.
    #[command(flatten)]
    pub emf: EmfSettings,

    /// Longest time that events wait for those of concurrent requests to share a message with.
    #[arg(long, env, default_value = "25ms", value_parser = humantime::parse_duration)]
    pub linger: Duration,

    /// Most bytes that may wait for SQS; past it requests are answered 429. At least four times
    /// MAX_BODY_BYTES.
    #[arg(long, env, default_value = "32MiB")]
    pub max_pending_bytes: ByteSize,

    /// Largest body, as sent and unfolded.
    #[arg(long, env, default_value = "8MiB")]
    pub max_body_bytes: ByteSize,

    /// Most events of a body; past it the answer is 413.
    #[arg(long, env, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_body_events: u32,

    /// Longest time that a request waits for SQS to have its events; past it the answer is 503.
    #[arg(long, env, default_value = "10s", value_parser = humantime::parse_duration)]
    pub send_timeout: Duration,

    /// Longest time that a body may take to arrive; past it the answer is 408.
    #[arg(long, env, default_value = "30s", value_parser = humantime::parse_duration)]
    pub body_timeout: Duration,

    /// Most connections at a time. Past it a new connection takes the place of one that is idle or slow,
    /// or is answered 503.
    #[arg(long, env, default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// Most sends to SQS at a time.
    #[arg(long, env, default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub max_in_flight: u16,

    /// How events are put into SQS messages. `none` is for queues that others read too, and for
    /// comparison: it costs many times more requests.
    #[arg(long, env, value_enum, default_value_t)]
    pub packing: Packing,

    /// Longest time to finish what is in flight after SIGTERM.
    #[arg(long, env, default_value = "20s", value_parser = humantime::parse_duration)]
    pub shutdown_grace: Duration,
}

/// How events are put into SQS messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Packing {
    /// As many events a message as fit a billed unit of 64 KiB, compressed.
    #[default]
    Zstd,
    /// One event a message, as a line of plain JSON, ten messages a call.
    None,
}

/// The flags that each command makes use of.
pub const USES: &Uses = &[("health", &["metrics_listen"])];

/// What `ingest` can do beside serving.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Command {
    /// Ask the ingest that serves METRICS_LISTEN whether it is ready, for container health checks.
    Health {
        /// Ask only whether it answers, whatever SQS does: for orchestrators that replace what is
        /// unhealthy, because a new process would find SQS no better.
        #[arg(long)]
        live: bool,
    },
}

impl Config {
    /// Checks what clap cannot: the keys, the declarations, and settings that depend on each other.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong and what to do.
    pub fn check(&self) -> anyhow::Result<()> {
        let (unnamed, file) = (&self.api_keys, self.api_keys_file.as_deref());
        self.keys.check(API_KEYS, unnamed, file)?;
        ensure!(
            !self.metrics_open || self.listen.ip().is_loopback(),
            "METRICS_OPEN takes metrics without a key, and LISTEN ({}) can be reached from other machines: set LISTEN to \
             an address of 127.0.0.0/8 or METRICS_OPEN=false",
            self.listen
        );
        self.dlq.check(&self.queue).map_err(anyhow::Error::msg)?;
        self.mapping(&self.kinds()?)?;
        self.tls.load()?;
        ensure!(
            !self.tls_client_entity || self.tls.tls_client_ca.is_some(),
            "TLS_CLIENT_ENTITY is set and TLS_CLIENT_CA is not: without it no client shows a certificate"
        );
        ensure!(
            self.max_body_bytes.0 > 0,
            "MAX_BODY_BYTES must be more than 0"
        );
        let least = ByteSize(self.max_body_bytes.0.saturating_mul(BYTES_PER_BODY_BYTE));
        ensure!(
            self.max_pending_bytes >= least,
            "MAX_PENDING_BYTES ({}) must be at least {BYTES_PER_BODY_BYTE} times MAX_BODY_BYTES ({}), that is {least}, \
             or the largest body could never be taken",
            self.max_pending_bytes,
            self.max_body_bytes,
        );
        ensure!(
            self.linger <= Duration::from_secs(1),
            "LINGER must be at most 1s: every request may wait for it"
        );
        for (name, value) in [
            ("SEND_TIMEOUT", self.send_timeout),
            ("BODY_TIMEOUT", self.body_timeout),
        ] {
            ensure!(!value.is_zero(), "{name} must be more than 0s");
        }
        ensure!(
            self.linger < self.send_timeout,
            "LINGER ({}) must be shorter than SEND_TIMEOUT ({})",
            humantime::format_duration(self.linger),
            humantime::format_duration(self.send_timeout),
        );
        Ok(())
    }

    /// Where the keys come from.
    pub(crate) fn keys(&self) -> anyhow::Result<Source> {
        let (unnamed, file) = (&self.api_keys, self.api_keys_file.as_deref());
        self.keys.source(API_KEYS, unnamed, file)
    }

    pub(crate) fn kinds(&self) -> anyhow::Result<Kinds> {
        Kinds::load(self.contracts.as_deref()).context("cannot use CONTRACTS")
    }

    pub(crate) fn mapping(&self, kinds: &Kinds) -> anyhow::Result<Mapping> {
        match &self.senders {
            None => Ok(Mapping::default()),
            Some(path) => Mapping::load(path, kinds),
        }
    }
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Config {
        Config::try_parse_from([&["ingest"], arguments].concat()).unwrap()
    }

    fn complaint(arguments: &[&str]) -> String {
        format!("{:#}", parse(arguments).check().unwrap_err())
    }

    #[test]
    fn without_a_usable_key_the_message_says_how_to_set_one() {
        for (arguments, said) in [
            (vec![], "no API key"),
            (vec!["--api-keys="], "API key 1 is empty"),
            (vec!["--api-keys=long-enough,"], "API key 2 is empty"),
            (vec!["--api-keys=short"], "API key 1 has 5 characters"),
            (vec!["--api-keys=with space in"], "visible ASCII"),
        ] {
            let complaint = complaint(&arguments);
            assert!(
                complaint.contains(said) && complaint.contains("openssl rand -hex 16"),
                "{complaint}"
            );
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let with = |more: &[&'static str]| {
            complaint(&[&["--api-keys=first-key,second-key"], more].concat())
        };
        assert!(with(&["--max-body-bytes=16MiB"]).contains("MAX_PENDING_BYTES"));
        assert!(with(&["--linger=2s"]).contains("LINGER"));
        assert!(with(&["--metrics-open", "--listen=0.0.0.0:3000"]).contains("METRICS_OPEN"));
        assert!(with(&["--contracts=/no/such/folder"]).contains("/no/such/folder"));
        assert!(with(&["--senders=/no/such/file"]).contains("SENDERS, /no/such/file"));
        assert!(with(&["--tls-client-entity"]).contains("TLS_CLIENT_CA"));
    }

    #[test]
    fn the_defaults_are_sound_and_keys_stay_out_of_debug() {
        let config = parse(&["--api-keys=first-key,second-key"]);
        config.check().unwrap();
        assert_eq!(config.api_keys.len(), 2);
        assert!(!format!("{config:?}").contains("first-key"));
    }
}
