//! What bounds the snapshot, and how often the lake is looked at.

use std::time::Duration;

use chrono::TimeDelta;

/// How [`Snapshots`](crate::snapshot::Snapshots) follow the lake.
#[derive(Debug, Clone)]
pub struct SnapshotSettings {
    /// Time between two looks at `raw/`; 1 s by default. It is one listing, so 2.6 million listings a month.
    pub poll: Duration,
    /// Time between two looks at the log of commits; 5 s by default. The rows of a commit stand in the snapshot all
    /// the same, as hot rows, so a longer time costs memory and no freshness.
    pub log_every: Duration,
    /// Most bytes of hot rows in memory; 256 MiB by default. Past it no further object of `raw/` is read until a
    /// commit makes room: [`Snapshot::fresh_until`](crate::snapshot::Snapshot::fresh_until) then stands still.
    pub hot_limit: u64,
    /// How far before the newest name each look lists; 5 minutes by default.
    pub overlap: TimeDelta,
    /// How far back from now the sweep lists, rounded down to the hour; 2 hours by default.
    pub sweep: TimeDelta,
    /// Time between two sweeps; 1 minute by default.
    pub sweep_every: TimeDelta,
    /// How far back from now the wide sweep lists, at the start and then each
    /// [`look_back_every`](SnapshotSettings::look_back_every); 48 hours by default, as the aggregator does.
    pub look_back: TimeDelta,
    /// Time between two wide sweeps; 1 hour by default.
    pub look_back_every: TimeDelta,
    /// Time after which the parts of an hour are listed again though no commit has touched the hour: a rebuild may
    /// have brought back a part that was lost. 5 minutes by default.
    pub list_again: Duration,
    /// Bytes of raw objects that one refresh reads before it gives what it has; 64 MiB by default.
    pub max_bytes: u64,
    /// Raw objects that are fetched at a time, 8 by default.
    pub in_flight: usize,
}

impl Default for SnapshotSettings {
    fn default() -> SnapshotSettings {
        SnapshotSettings {
            poll: Duration::from_secs(1),
            log_every: Duration::from_secs(5),
            hot_limit: 256 << 20,
            overlap: TimeDelta::minutes(5),
            sweep: TimeDelta::hours(2),
            sweep_every: TimeDelta::minutes(1),
            look_back: TimeDelta::hours(48),
            look_back_every: TimeDelta::hours(1),
            list_again: Duration::from_secs(300),
            max_bytes: 64 << 20,
            in_flight: 8,
        }
    }
}
