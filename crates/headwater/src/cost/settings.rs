//! The load and the times of retention that a bill is for.

use std::time::Duration;

use anyhow::ensure;
use bytesize::ByteSize;
use clap::Args;
use clap::builder::FalseyValueParser;

/// Hours of a month, as in AWS's price examples.
pub(super) const MONTH_HOURS: f64 = 730.0;

/// Settings of `cost`: the load, and how long data is kept.
#[derive(Debug, Clone, Args)]
pub struct CostConfig {
    /// Events a second, all month.
    #[arg(long, env = "HEADWATER_RATE", default_value_t = 100.0)]
    pub rate: f64,
    /// Bytes of an event's JSON as sent.
    #[arg(long, env = "HEADWATER_BYTES", default_value_t = 200.0)]
    pub bytes: f64,
    /// Vehicles, cells and others that send events; if not given, HEADWATER_RATE of them, one event a second each.
    #[arg(long, env = "HEADWATER_ENTITIES")]
    pub entities: Option<f64>,
    /// How long `curated/` and `aggregates/` are kept; the bill is for the month after that time.
    #[arg(long, env = "HEADWATER_RETENTION", default_value = "365d", value_parser = humantime::parse_duration)]
    pub retention: Duration,
    /// How long `raw/` is kept.
    #[arg(long, env = "HEADWATER_RAW_RETENTION", default_value = "7d", value_parser = humantime::parse_duration)]
    pub raw_retention: Duration,
    /// Events in each post of a client. The bill for one event a post stands beside it.
    #[arg(long, env = "HEADWATER_BATCH", default_value_t = 500.0)]
    pub batch: f64,
    /// Ingest's LINGER: longest time that a post waits for other posts to share a message with.
    #[arg(long, env = "HEADWATER_LINGER", default_value = "25ms", value_parser = humantime::parse_duration)]
    pub linger: Duration,
    /// Kinds of events that come all the time.
    #[arg(long, env = "HEADWATER_KINDS", default_value_t = 2.0)]
    pub kinds: f64,
    /// Hours of late events that each commit of the aggregator writes besides the hours in which events arrive, for
    /// each kind.
    #[arg(long, env = "HEADWATER_LATE_HOURS", default_value_t = 1.0)]
    pub late_hours: f64,
    /// The aggregator's INTERVAL: time from one run to the next, an hour for a schedule that starts it hourly.
    #[arg(long, env = "HEADWATER_INTERVAL", default_value = "1h", value_parser = humantime::parse_duration)]
    pub interval: Duration,
    /// The aggregator's COMMIT_MIN_BYTES.
    #[arg(long, env = "HEADWATER_COMMIT_MIN_BYTES", default_value = "64MiB")]
    pub commit_min_bytes: ByteSize,
    /// The aggregator's COMMIT_MAX_AGE.
    #[arg(long, env = "HEADWATER_COMMIT_MAX_AGE", default_value = "15m", value_parser = humantime::parse_duration)]
    pub commit_max_age: Duration,
    /// Print JSON rather than a table.
    #[arg(long, env = "HEADWATER_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

impl CostConfig {
    /// Says what is wrong with the settings, if anything is.
    ///
    /// # Errors
    ///
    /// Names the setting and what it must be.
    pub fn check(&self) -> anyhow::Result<()> {
        let most = contract::MAX_EVENT_BYTES as f64;
        for (name, value, least, most) in [
            ("HEADWATER_RATE", self.rate, 1e-3, 1e9),
            ("HEADWATER_BYTES", self.bytes, 40.0, most),
            ("HEADWATER_BATCH", self.batch, 1.0, 1e5),
            ("HEADWATER_ENTITIES", self.entities(), 1e-3, 1e9),
            ("HEADWATER_KINDS", self.kinds, 1.0, 1e3),
            ("HEADWATER_LATE_HOURS", self.late_hours, 0.0, 1e6),
        ] {
            ensure!(
                (least..=most).contains(&value),
                "{name} ({value}) must be from {least} to {most}"
            );
        }
        ensure!(
            self.linger <= Duration::from_secs(5),
            "HEADWATER_LINGER ({}) must be at most 5s",
            humantime::format_duration(self.linger)
        );
        let hour = Duration::from_secs(3600);
        ensure!(
            (Duration::from_millis(100)..=hour).contains(&self.interval),
            "HEADWATER_INTERVAL ({}) must be from 100ms to 1h",
            humantime::format_duration(self.interval)
        );
        Ok(())
    }

    /// Days that `curated/` and `aggregates/` are kept.
    pub fn retention_days(&self) -> f64 {
        days(self.retention)
    }

    /// Days that `raw/` is kept.
    pub fn raw_retention_days(&self) -> f64 {
        days(self.raw_retention)
    }

    pub(super) fn entities(&self) -> f64 {
        self.entities.unwrap_or(self.rate)
    }

    /// Events in a month.
    pub(super) fn events(&self) -> f64 {
        self.rate * MONTH_HOURS * 3600.0
    }
}

pub(super) fn days(time: Duration) -> f64 {
    time.as_secs_f64() / 86_400.0
}

/// Settings as a command line gives them.
#[cfg(test)]
pub(super) fn config(arguments: &[&str]) -> CostConfig {
    let config = <tests::Cli as clap::Parser>::parse_from([&["cost"], arguments].concat()).cost;
    config.check().unwrap();
    config
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    pub(super) struct Cli {
        #[command(flatten)]
        pub(super) cost: CostConfig,
    }

    #[test]
    fn the_defaults_are_those_of_the_aggregator() {
        let (ours, theirs) = (config(&[]), aggregator::Config::default());
        assert_eq!(ours.commit_min_bytes, theirs.commit_min_bytes);
        assert_eq!(ours.commit_max_age, theirs.commit_max_age);
    }

    #[test]
    fn an_interval_that_no_run_can_keep_is_refused() {
        for interval in ["50ms", "2h"] {
            let config = Cli::parse_from(["cost", "--interval", interval]).cost;
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with("HEADWATER_INTERVAL"), "{error}");
        }
    }
}
