//! Requests of the aggregator to S3: one run is at most one commit, and a commit writes each of its hours once.
//!
//! The figures are reckoned from the design (adr/0019, adr/0020), not measured.

use super::measured;
use super::settings::{CostConfig, days};

const HOUR: f64 = 3600.0;

/// Keys that a LIST answers at most: S3 API reference, `ListObjectsV2` (read 2026-11-26).
const PAGE: f64 = 1000.0;

/// Hours of `raw/` that are listed once an hour, for objects that came out of order.
const LISTED_HOURS: f64 = 48.0;

/// COMMIT_MIN_BYTES is reckoned as bytes of raw objects / 12, what a part has of them.
const RAW_BYTES_OF_PART_BYTE: f64 = 12.0;

/// LISTs of a run that finds nothing: `_commits/`, and `raw/` from a little before the newest committed name.
const RUN_LISTS: f64 = 2.0;
/// GETs of a run that finds nothing: the checkpoint.
const RUN_GETS: f64 = 1.0;
/// Objects of the log that a commit writes: intent, `.done.json`, checkpoint.
const LOG_PUTS: f64 = 3.0;

/// SPILL_LIMIT: bytes of raw objects that one commit takes at most.
const COMMIT_RAW_BYTES: f64 = 16.0 * 1024.0 * 1024.0 * 1024.0;

/// Events of an hour that memory holds at MEMORY_LIMIT (256 MiB): more become several parts.
const PART_EVENTS: f64 = 1.2e6;

/// Requests of one aggregator in an hour, by how AWS prices them.
#[derive(Debug, Clone, Copy)]
pub(super) struct AggregatorRequests {
    pub puts: f64,
    pub lists: f64,
    /// GETs and HEADs.
    pub gets: f64,
}

/// Requests of an aggregator that takes in `rate` events and `objects` raw objects a second.
pub(super) fn in_an_hour(config: &CostConfig, rate: f64, objects: f64) -> AggregatorRequests {
    let interval = config.interval.as_secs_f64();
    let runs = HOUR / interval;
    let raw_bytes = rate * measured::line_bytes(config.bytes);
    let commits =
        (HOUR / seconds_to_commit(config, raw_bytes)).max(raw_bytes * HOUR / COMMIT_RAW_BYTES);

    // The events of a commit lie in the hour in which it began, in each that began meanwhile, and in the late ones.
    let on_time = commits + 1.0;
    let late = commits * config.late_hours;
    let written = config.kinds * (on_time + late);
    let parts = written.max(rate * HOUR / PART_EVENTS);
    let parts_of_write = parts / written;
    // Parts that an hour has already: half of its own on average for one on time, all of them for a late one.
    let earlier = config.kinds
        * parts_of_write
        * (on_time * (on_time - 1.0) / 2.0 + late * (on_time + late / 2.0));
    // The first write of an hour finds no aggregates to merge with.
    let merged = written - config.kinds;

    let recent_parts = LISTED_HOURS * parts / config.kinds;
    let raw_kept = objects * days(config.raw_retention) * 24.0 * HOUR;
    AggregatorRequests {
        puts: commits * LOG_PUTS + parts + 2.0 * written,
        lists: runs * RUN_LISTS
            + (objects * LISTED_HOURS * HOUR / PAGE).max(1.0)
            + (raw_kept / PAGE).max(1.0) / 24.0
            + commits * config.kinds * (recent_parts / PAGE).max(1.0),
        gets: runs * RUN_GETS
            + objects * HOUR
            + commits * config.kinds // `_schema/`
            + earlier
            + 2.0 * merged // GET of the Parquet, HEAD of the JSONL
            + written, // HEAD of the Parquet
    }
}

/// Time between two commits: until enough waits or the oldest has waited long enough, and no sooner than the next run.
fn seconds_to_commit(config: &CostConfig, raw_bytes: f64) -> f64 {
    let filled = config.commit_min_bytes.as_u64() as f64 * RAW_BYTES_OF_PART_BYTE / raw_bytes;
    let due = filled.min(config.commit_max_age.as_secs_f64());
    due.max(config.interval.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::super::settings::config;
    use super::*;

    #[test]
    fn a_watch_commits_when_enough_waits_or_the_oldest_is_old_enough() {
        let watch = config(&["--interval", "60s"]);
        assert_eq!(seconds_to_commit(&watch, 31_500.0), 900.0);
        // 315 bytes a line: 805 MB wait after 256 s.
        assert!((seconds_to_commit(&watch, 3_150_000.0) - 255.7).abs() < 0.1);
        assert_eq!(seconds_to_commit(&watch, 315e6), 60.0);
        assert_eq!(seconds_to_commit(&config(&[]), 31_500.0), 3600.0);
    }

    #[test]
    fn an_hour_of_one_kind_is_written_by_each_commit_and_by_late_ones() {
        let hourly = config(&["--kinds", "1", "--late-hours", "0"]);
        let one = in_an_hour(&hourly, 100.0, 0.5);
        // Two hours a commit: the one that is over, and the one that has begun. Three objects of the log.
        assert_eq!(one.puts, 3.0 + 2.0 * 3.0);
        // 86 pages of 48 hours, 302 of a week a day, `_commits/`, `raw/` and `curated/`.
        assert!((one.lists - (86.4 + 302.4 / 24.0 + 3.0)).abs() < 1e-9);
        // Raw objects; checkpoint, `_schema/`; earlier part and aggregates of the hour that is over; a HEAD of each.
        assert_eq!(one.gets, 1_800.0 + 2.0 + 3.0 + 2.0);
        let late = in_an_hour(&config(&["--kinds", "1", "--late-hours", "10"]), 100.0, 0.5);
        assert_eq!(late.puts, one.puts + 10.0 * 3.0);
    }

    #[test]
    fn idle_runs_cost_two_listings_each() {
        let often = in_an_hour(&config(&["--interval", "60s"]), 100.0, 0.5);
        let seldom = in_an_hour(&config(&["--interval", "900s"]), 100.0, 0.5);
        assert!((often.lists - seldom.lists - 56.0 * RUN_LISTS).abs() < 1e-9);
        assert_eq!(often.puts, seldom.puts);
    }
}
