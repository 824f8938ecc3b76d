//! What bounds queries over HTTP.

use std::time::Duration;

use anyhow::ensure;
use aws::Lake;
use bytesize::ByteSize;
use clap::Args;
use engine::read::ReadSettings;
use engine::snapshot::Snapshot;
use engine::{Engine, Turns};
use tokio::sync::watch;

/// Bounds of queries; each flag can be given as an environment variable.
#[derive(Debug, Clone, Args)]
pub struct QuerySettings {
    /// Longest time that a query may take, its wait for others included; past it the answer is 408. A request may ask
    /// for less.
    #[arg(long, env, default_value = "30s", value_parser = humantime::parse_duration)]
    pub query_timeout: Duration,

    /// Most queries that run at a time.
    #[arg(long, env, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_queries: u32,

    /// Most queries that wait for others to end; past it the answer is 429.
    #[arg(long, env, default_value_t = 16)]
    pub max_waiting_queries: u32,

    /// Most groups of a query, by bucket, entity and signal, for each thread; past it the answer is 413. A group takes
    /// some 250 bytes, and each 256 bytes of a percentile's sketch count as one more.
    #[arg(long, env, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_groups: u32,

    /// Most points or entities of an answer, whatever a request's `limit` says.
    #[arg(long, env, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_rows: u32,

    /// Most bytes of compressed columns that are kept in memory; what SQL takes and they have MEMORY_LIMIT together.
    #[arg(long, env, default_value = "256MiB")]
    pub cache_limit: ByteSize,
}

impl Default for QuerySettings {
    fn default() -> QuerySettings {
        QuerySettings {
            query_timeout: Duration::from_secs(30),
            max_queries: 2,
            max_waiting_queries: 16,
            max_groups: 200_000,
            max_rows: 100_000,
            cache_limit: ByteSize::mib(256),
        }
    }
}

impl QuerySettings {
    /// What reads the lake that `newest` is of, within these bounds.
    pub fn engine(&self, lake: Lake, newest: watch::Receiver<Snapshot>) -> Engine {
        let read = ReadSettings {
            chunk_bytes: usize::try_from(self.cache_limit.0).unwrap_or(usize::MAX),
            ..ReadSettings::default()
        };
        let turns = Turns::new(self.max_queries, self.max_waiting_queries);
        Engine::new(lake, newest, read, turns)
    }

    /// Checks what one setting alone cannot show.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !self.query_timeout.is_zero(),
            "QUERY_TIMEOUT must be more than 0s"
        );
        Ok(())
    }
}
