//! Requests of the aggregator to S3: one run is at most one commit, and a commit writes each of its hours once.
//!
//! The figures are reckoned from the design (adr/0019, adr/0020); the tests hold them against the requests that runs
//! of the aggregator take.

use aggregator::{LOOK_BACK, RAW_PER_PART};

use super::defaults::DEFAULTS;
use super::measured;
use super::settings::{CostConfig, days};

const HOUR: f64 = 3600.0;

/// Keys that a LIST answers at most: S3 API reference, `ListObjectsV2` (read 2026-11-26).
const PAGE: f64 = 1000.0;

/// Keys that a LIST of `curated/` asks for, for each hour that it looks for: `lake::parts::before`.
const KEYS_PER_HOUR: f64 = 16.0;

/// LISTs of a run that finds nothing: `_commits/`, and `raw/` from a little before the newest committed name.
const RUN_LISTS: f64 = 2.0;
/// GETs of a run that finds nothing: the checkpoint.
const RUN_GETS: f64 = 1.0;
/// Objects of the log that a commit writes: intent, `.plan.json`, `.done.json`, checkpoint.
const LOG_PUTS: f64 = 4.0;

/// Requests of one aggregator in an hour, by how AWS prices them.
#[derive(Debug, Clone, Copy, PartialEq)]
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
        (HOUR / seconds_to_commit(config, raw_bytes)).max(raw_bytes * HOUR / DEFAULTS.spill_limit);

    // The events of a commit lie in the hour in which it began, in each that began meanwhile, and in the late ones.
    let on_time = commits + 1.0;
    let late = commits * config.late_hours;
    let written = config.kinds * (on_time + late);
    let parts_of_write = parts(rate * HOUR / (config.kinds * on_time));
    let parts = config.kinds * (on_time * parts_of_write + late);
    // Parts that an hour has already: half of its own on average for one on time, all of them for a late one.
    let earlier = config.kinds
        * parts_of_write
        * (on_time * (on_time - 1.0) / 2.0 + late * (on_time + late / 2.0));
    // The first write of an hour finds no aggregates to merge with.
    let merged = written - config.kinds;
    // One listing finds the parts of the hours that have just been, which are two as a rule, and one those of late
    // hours, which are neighbours where a fleet comes back.
    let listings =
        (on_time * parts_of_write / (2.0 * KEYS_PER_HOUR)).max(1.0) + config.late_hours.min(1.0);

    // Once an hour and once a day a run lists more of `raw/` than what is new.
    let more = |objects: f64| (objects / PAGE).max(1.0) - 1.0;
    let recent = objects * HOUR * LOOK_BACK.num_hours() as f64;
    let kept = objects * HOUR * 24.0 * days(config.raw_retention);
    AggregatorRequests {
        puts: commits * LOG_PUTS + parts + 2.0 * written,
        lists: runs * RUN_LISTS
            + more(recent)
            + more(kept) / 24.0
            + commits * config.kinds * listings,
        gets: runs * RUN_GETS
            + objects * HOUR
            + commits * config.kinds // `_schema/`
            + earlier
            + 2.0 * merged // GET of the Parquet, HEAD of the JSONL
            + written, // HEAD of the Parquet
    }
}

/// Parts of an hour with so many events in one commit: as many as their rows need, rounded up to a power of two.
fn parts(events: f64) -> f64 {
    (events / measured::PART_EVENTS)
        .max(1.0)
        .log2()
        .ceil()
        .exp2()
}

/// Time between two commits: until enough waits or the oldest has waited long enough, and no sooner than the next run.
fn seconds_to_commit(config: &CostConfig, raw_bytes: f64) -> f64 {
    let filled = config.commit_min_bytes.as_u64() as f64 * RAW_PER_PART as f64 / raw_bytes;
    let due = filled.min(config.commit_max_age.as_secs_f64());
    due.max(config.interval.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::super::counted_lake::CountedLake;
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
        let one = in_an_hour(&hourly, 10.0, 0.5);
        // Two hours a commit: the one that is over, and the one that has begun. Four objects of the log.
        assert_eq!(one.puts, 4.0 + 2.0 * 3.0);
        // `_commits/` and `curated/`; 86 pages of 48 hours each hour, and 302 of a week each day.
        assert!((one.lists - (2.0 + 86.4 + 301.4 / 24.0)).abs() < 1e-9);
        // Raw objects; checkpoint, `_schema/` of the kind; earlier part and aggregates of the hour that is
        // over; a HEAD of each.
        assert_eq!(one.gets, 1_800.0 + 2.0 + 3.0 + 2.0);
        let late = in_an_hour(&config(&["--kinds", "1", "--late-hours", "10"]), 10.0, 0.5);
        assert_eq!(late.puts, one.puts + 10.0 * 3.0);
    }

    #[test]
    fn idle_runs_cost_two_listings_each() {
        let often = in_an_hour(&config(&["--interval", "60s"]), 100.0, 0.5);
        let seldom = in_an_hour(&config(&["--interval", "900s"]), 100.0, 0.5);
        assert!((often.lists - seldom.lists - 56.0 * RUN_LISTS).abs() < 1e-9);
        assert_eq!(often.puts, seldom.puts);
    }

    #[tokio::test(start_paused = true)]
    async fn an_hourly_run_takes_the_requests_that_are_counted() {
        let start: DateTime<Utc> = "2026-11-20T12:30:00Z".parse().unwrap();
        let lake = CountedLake::new(start).await;
        let mut used = None;
        for number in 0..3 {
            // The events of an hour, half of them from before its end.
            let now = start + TimeDelta::hours(number);
            let events =
                [now, now - TimeDelta::hours(1)].map(|time| event_of_each_kind(number, time));
            lake.land(now, events.as_flattened()).await;
            used = Some(lake.run(now + TimeDelta::minutes(1)).await);
        }
        let settings = config(&["--kinds", "2", "--late-hours", "0"]);
        // An object an hour.
        let reckoned = in_an_hour(&settings, 4.0 / HOUR, 1.0 / HOUR);
        assert_eq!(used, Some(reckoned));
    }

    fn event_of_each_kind(id: i64, time: DateTime<Utc>) -> [String; 2] {
        let time = contract::format_millis(time);
        [
            format!(
                r#"{{"event_id":"{id}","timestamp":"{time}","vehicle_id":"v","can_id":"0x1F0","payload":{{"engine_rpm":9}}}}"#
            ),
            format!(
                r#"{{"event_id":"{id}","schema_version":1,"source":"pm","event_time":"{time}","entity_type":"cell","entity_id":"c","metrics":{{"cqi":3}}}}"#
            ),
        ]
    }
}
