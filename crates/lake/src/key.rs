//! Keys beside those of `contract`: the log of commits, the types of columns, the lines set aside, the log of alerts.

use chrono::{DateTime, Utc};
use contract::{CURATED, Hour, curated_key, raw_part_name};

/// Prefix of the log of commits.
pub const COMMITS: &str = "_commits/";
/// Prefix of the types of undeclared signals, an object for each kind.
pub const SCHEMA: &str = "_schema/";
/// Prefix of lines that could not become rows, each with its reason.
pub const ASIDE: &str = "_aside/";
/// Prefix of messages that no dead letter can hold whole: `_letters/<message id>/<hash>.json`, by the consumer.
pub const LETTERS: &str = "_letters/";
/// Prefix of the records of what was forgotten, an object for each run.
pub const FORGOTTEN: &str = "_forgotten/";
/// Prefix of the log of alerts, an object for each record.
pub const ALERT_LOG: &str = "_alerts/log/";
/// Key of the object that sums up the log of alerts.
pub const ALERT_SNAPSHOT: &str = "_alerts/snapshot.json";
/// Prefix of changes of alerts, a line of JSON each.
pub const ALERTS: &str = "alerts/";
/// Prefix of anomalies, a line of JSON each time that one begins or ends.
pub const MOMENTS: &str = "moments/";
/// Key of the object that sums up the log, so that a reader need not read all of it.
pub const CHECKPOINT: &str = "_commits/checkpoint.json";

/// Key of the names, as hashes, of committed raw objects that the checkpoint no longer names.
pub const OLDER: &str = "_commits/older.bin";

/// Key of a commit's intent; ten digits, so that keys sort in the order of commits.
pub fn intent_key(commit: u64) -> String {
    format!("{COMMITS}{commit:010}.json")
}

/// Key of a commit's plan: how many parts it writes for each hour.
pub fn plan_key(commit: u64) -> String {
    format!("{COMMITS}{commit:010}.plan.json")
}

/// Key of the mark that a commit is done.
pub fn done_key(commit: u64) -> String {
    format!("{COMMITS}{commit:010}.done.json")
}

/// Key of a record of the log of alerts, from 1 on; ten digits, so that keys sort in the order of records.
///
/// ```
/// let key = lake::key::alert_record_key(42);
/// assert_eq!(key, "_alerts/log/0000000042.json");
/// assert_eq!(lake::key::alert_record_of(&key), Some(42));
/// ```
pub fn alert_record_key(number: u64) -> String {
    format!("{ALERT_LOG}{number:010}.json")
}

/// The number of the record that has this key; none if [`alert_record_key`] does not write such keys.
pub fn alert_record_of(key: &str) -> Option<u64> {
    let name = key.strip_prefix(ALERT_LOG)?.strip_suffix(".json")?;
    let number = name.parse().ok()?;
    (alert_record_key(number) == key).then_some(number)
}

/// Key of anomalies ([`MOMENTS`]) or changes of alerts ([`ALERTS`]) that were told at `time`; `hash` is of their lines.
///
/// ```
/// let key = lake::key::told_key(lake::key::MOMENTS, "2025-10-04T12:34:56Z".parse().unwrap(), 7);
/// assert!(key.starts_with("moments/year=2025/month=10/day=04/hour=12/part-"));
/// assert!(key.ends_with(".jsonl"));
/// ```
pub fn told_key(prefix: &str, time: DateTime<Utc>, hash: u128) -> String {
    let (hour, name) = (Hour::of(time), raw_part_name(time, hash));
    format!("{prefix}{hour}/part-{name}.jsonl")
}

/// Key of the types of a kind's undeclared signals.
pub fn schema_key(kind: &str) -> String {
    format!("{SCHEMA}{kind}.json")
}

/// Key of the lines that a commit set aside; `hash` is of these lines, so that other lines get another object.
pub fn aside_key(commit: u64, hash: u32) -> String {
    format!("{ASIDE}{commit:010}-{hash:08x}.jsonl")
}

/// Key of part `part`, from 0 on, of the `parts` that a commit writes for a kind and event hour.
///
/// ```
/// let hour = contract::Hour::of("2025-10-04T12:34:56Z".parse().unwrap());
/// let key = |part, parts| lake::key::part_key("cell", hour, 7, part, parts);
/// assert_eq!(key(0, 1), contract::curated_key("cell", hour, 7));
/// assert_eq!(key(3, 16), "curated/kind=cell/year=2025/month=10/day=04/hour=12/part-0000000007-0003.parquet");
/// assert_eq!(lake::key::commit_of(&key(3, 16)), Some(7));
/// ```
pub fn part_key(kind: &str, hour: Hour, commit: u64, part: u64, parts: u64) -> String {
    let key = curated_key(kind, hour, commit);
    match key.strip_suffix(".parquet") {
        Some(key) if parts > 1 => format!("{key}-{part:04}.parquet"),
        _ => key,
    }
}

/// The commit that wrote the part of this key; none if it is no key of a part.
pub fn commit_of(key: &str) -> Option<u64> {
    curated_hour_of(key)?;
    let name = key.rsplit('/').next()?;
    let name = name.strip_prefix("part-")?.strip_suffix(".parquet")?;
    name.split('-').next()?.parse().ok()
}

/// Kind and event hour of a key under `curated/`; none for another key.
pub fn curated_hour_of(key: &str) -> Option<(&str, Hour)> {
    let rest = key.strip_prefix(CURATED)?.strip_prefix("kind=")?;
    let (kind, rest) = rest.split_once('/')?;
    Some((kind, Hour::parse(rest)?))
}
