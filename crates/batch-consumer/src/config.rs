//! Settings, and what they must be.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws::{CreateSettings, DlqSettings, LakeSettings, QueueSettings};
use bytesize::ByteSize;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};
use contract::Kinds;
use service::emf::EmfSettings;
use service::logging::LogFormat;

/// Longest that a message may stay hidden (SQS API reference, `ReceiveMessage`, read 2026-11-21).
const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 3600);

/// Longest long poll (SQS API reference, `ReceiveMessage`, read 2026-11-21).
const MAX_POLL: Duration = Duration::from_secs(20);

/// What BATCH_MAX_BYTES may be: below it hardly an event fits, above it a few batches would take
/// more memory than a small machine has.
const BATCH_BYTES: RangeInclusive<ByteSize> = ByteSize::kb(1)..=ByteSize::gib(1);

/// Settings of the batch consumer.
///
/// Each flag can be given as an environment variable. AWS is reached by the SDK's own variables,
/// such as AWS_ENDPOINT_URL, AWS_REGION and AWS_PROFILE.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "batch-consumer",
    about = "SQS messages in, JSONL objects out",
    version
)]
pub struct Config {
    /// The queue of events.
    #[command(flatten)]
    pub queue: QueueSettings,
    /// The queue of dead letters.
    #[command(flatten)]
    pub dlq: DlqSettings,
    /// The bucket of the objects.
    #[command(flatten)]
    pub lake: LakeSettings,
    /// Whether to make queues and bucket where they are missing.
    #[command(flatten)]
    pub create: CreateSettings,
    /// Folder with declarations of further kinds (`*.toml`).
    #[arg(long, env, value_name = "FOLDER")]
    pub contracts: Option<PathBuf>,
    /// Form of the log lines.
    #[arg(long, env, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Metrics for CloudWatch.
    #[command(flatten)]
    pub emf: EmfSettings,
    /// Address that serves `/metrics`, `/livez` and `/readyz`.
    #[arg(long, env, default_value_t = METRICS_LISTEN, value_parser = service::settings::address)]
    pub metrics_listen: SocketAddr,
    /// Most messages of a batch.
    #[arg(long, env, default_value_t = 100)]
    pub batch_max_messages: usize,
    /// Longest time that a message waits for its batch to fill.
    #[arg(long, env, default_value = "2s", value_parser = humantime::parse_duration)]
    pub batch_max_wait: Duration,
    /// Most bytes of JSONL of a batch; one message alone may hold more.
    #[arg(long, env, default_value = "5MB")]
    pub batch_max_bytes: ByteSize,
    /// Close a batch as soon as the queue is empty and nothing is being written, at most five times
    /// a second, rather than wait for it to fill: events are in the lake sooner, in more and smaller
    /// objects. Under load batches fill as they do without it.
    #[arg(long, env, num_args = 0..=1, default_value_t = false, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub batch_adaptive: bool,
    /// Most receivers at once: one always polls, the others join while receives come back full.
    #[arg(long, env, default_value_t = 4)]
    pub receivers: usize,
    /// Longest time that a receive waits for a message, in whole seconds (1 to 20).
    #[arg(long, env, default_value = "10s", value_parser = humantime::parse_duration)]
    pub poll_wait: Duration,
    /// Pause after a receive that brought fewer than 10 messages, so that messages gather: each
    /// receive is billed, however few it brings. With BATCH_ADAPTIVE it ends once all is written.
    #[arg(long, env, default_value = "100ms", value_parser = humantime::parse_duration)]
    pub receive_pace: Duration,
    /// How long a received message stays hidden from other consumers, in whole seconds; extended
    /// while the message is held.
    #[arg(long, env, default_value = "60s", value_parser = humantime::parse_duration)]
    pub visibility_timeout: Duration,
    /// Longest time that a stop may take.
    #[arg(long, env, default_value = "20s", value_parser = humantime::parse_duration)]
    pub shutdown_grace: Duration,
}

/// Default of METRICS_LISTEN.
pub const METRICS_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9101);

impl Default for Config {
    /// The defaults of the flags, whatever the environment says.
    fn default() -> Config {
        let flags = Config::command().mut_args(|flag| flag.env(None::<&'static str>));
        let defaults = flags.get_matches_from(["batch-consumer"]);
        Config::from_arg_matches(&defaults).expect("each flag has a default or may be missing")
    }
}

impl Config {
    /// Checks the bounds of settings and what several must be together, and that the declarations
    /// of kinds can be read.
    ///
    /// # Errors
    ///
    /// If a setting is wrong; the error says which one to change, and to what.
    pub fn check(&self) -> anyhow::Result<()> {
        let shown = humantime::format_duration;
        self.dlq.check(&self.queue).map_err(anyhow::Error::msg)?;
        ensure!(
            self.batch_max_messages >= 1,
            "BATCH_MAX_MESSAGES is 0: set it to 1 or more"
        );
        ensure!(
            BATCH_BYTES.contains(&self.batch_max_bytes),
            "BATCH_MAX_BYTES is {}: set it to {} at least and {} at most",
            self.batch_max_bytes,
            BATCH_BYTES.start(),
            BATCH_BYTES.end()
        );
        ensure!(self.receivers >= 1, "RECEIVERS is 0: set it to 1 or more");
        ensure!(
            whole_seconds(self.poll_wait) && self.poll_wait <= MAX_POLL,
            "POLL_WAIT is {}: SQS takes whole seconds from 1 to 20",
            shown(self.poll_wait)
        );
        ensure!(
            whole_seconds(self.visibility_timeout) && self.visibility_timeout <= MAX_VISIBILITY,
            "VISIBILITY_TIMEOUT is {}: SQS takes whole seconds from 1 s to 12 h",
            shown(self.visibility_timeout)
        );
        ensure!(
            self.visibility_timeout > self.batch_max_wait,
            "VISIBILITY_TIMEOUT ({}) must be longer than BATCH_MAX_WAIT ({}), or messages come again \
             while their batch fills",
            shown(self.visibility_timeout),
            shown(self.batch_max_wait)
        );
        ensure!(
            self.poll_wait < self.shutdown_grace,
            "POLL_WAIT ({}) must be shorter than SHUTDOWN_GRACE ({}): a stop waits for the poll in flight",
            shown(self.poll_wait),
            shown(self.shutdown_grace)
        );
        self.kinds().map(drop)
    }

    /// The declared kinds: the built-in ones and those of `CONTRACTS`.
    ///
    /// # Errors
    ///
    /// If a declaration cannot be read; the error names the file and what is wrong with it.
    pub fn kinds(&self) -> anyhow::Result<Kinds> {
        Kinds::load(self.contracts.as_deref()).context("CONTRACTS cannot be read")
    }

    pub(crate) fn max_bytes(&self) -> usize {
        usize::try_from(self.batch_max_bytes.as_u64()).unwrap_or(usize::MAX)
    }
}

fn whole_seconds(time: Duration) -> bool {
    time.as_secs() >= 1 && time.subsec_nanos() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound() {
        Config::default().check().unwrap();
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        for (flags, named) in [
            (["--batch-max-wait=60s", ""], "VISIBILITY_TIMEOUT (1m)"),
            (
                ["--poll-wait=20s", "--shutdown-grace=20s"],
                "SHUTDOWN_GRACE",
            ),
            (["--poll-wait=21s", "--shutdown-grace=60s"], "1 to 20"),
            (["--poll-wait=1500ms", ""], "whole seconds"),
            (["--visibility-timeout=13h", ""], "12 h"),
            (["--batch-max-messages=0", ""], "BATCH_MAX_MESSAGES"),
            (["--batch-max-bytes=5", ""], "BATCH_MAX_BYTES"),
            (["--batch-max-bytes=100GB", ""], "BATCH_MAX_BYTES"),
            (["--dlq-name=headwater-events", ""], "QUEUE_NAME"),
            (["--receivers=0", ""], "RECEIVERS"),
            (["--contracts=/does/not/exist", ""], "CONTRACTS"),
        ] {
            let flags = flags.into_iter().filter(|flag| !flag.is_empty());
            let config = Config::try_parse_from(std::iter::once("batch-consumer").chain(flags));
            let error = config.unwrap().check().unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
