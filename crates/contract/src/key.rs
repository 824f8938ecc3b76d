//! Object keys: one place that knows how the lake is laid out.

use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};
use uuid::Uuid;

/// Prefix of the events as they arrived, by arrival hour.
pub const RAW: &str = "raw/";
/// Prefix of the deduplicated events as Parquet, by kind and event hour.
pub const CURATED: &str = "curated/";
/// Prefix of the hourly aggregates, by event hour.
pub const AGGREGATES: &str = "aggregates/";

/// An hour in UTC: the lake's unit of partitioning.
///
/// ```
/// let hour = contract::Hour::of("2025-10-04T12:34:56Z".parse().unwrap());
/// assert_eq!(hour.to_string(), "year=2025/month=10/day=04/hour=12");
/// assert_eq!(contract::Hour::parse("year=2025/month=10/day=04/hour=12/part-1"), Some(hour));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(i64);

impl Hour {
    /// The hour in which `time` lies. A leap second lies in the hour after it, as in columns of
    /// microseconds since 1970.
    pub fn of(time: DateTime<Utc>) -> Hour {
        Hour(time.timestamp_micros().div_euclid(3_600_000_000))
    }

    /// The hour's first instant.
    pub fn start(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0 * 3600, 0).unwrap_or_default()
    }

    /// The hour after this one.
    pub fn next(self) -> Hour {
        Hour(self.0 + 1)
    }

    /// Reads `year=YYYY/month=MM/day=DD/hour=HH` at the start of `text`, which may go on after a `/`;
    /// `None` for any other text, and for a day or hour that does not exist.
    pub fn parse(text: &str) -> Option<Hour> {
        let mut parts = text.splitn(5, '/');
        let mut number = |name: &str| parts.next()?.strip_prefix(name)?.parse::<u32>().ok();
        let year = number("year=")?;
        let (month, day, hour) = (number("month=")?, number("day=")?, number("hour=")?);
        let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        Some(Hour::of(date.and_hms_opt(hour, 0, 0)?.and_utc()))
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.start();
        write!(
            f,
            "year={:04}/month={:02}/day={:02}/hour={:02}",
            time.year(),
            time.month(),
            time.day(),
            time.hour()
        )
    }
}

/// Name of a raw part: a UUID of version 8 (RFC 9562, section 5.8) that holds the earliest receipt of its events in
/// milliseconds since 1970 in the first 48 bits, and bits of `hash` in the rest. Names sort by arrival, to the
/// millisecond. A receipt before 1970 counts as 1970.
///
/// ```
/// let received = "2025-10-04T12:34:56.789Z".parse().unwrap();
/// let part = contract::raw_part_name(received, 7);
/// assert_eq!(part.get_version_num(), 8);
/// let key = contract::raw_key(contract::Hour::of(received), part);
/// assert_eq!(contract::raw_arrival_of(&key), Some(received));
/// ```
pub fn raw_part_name(received: DateTime<Utc>, hash: u128) -> Uuid {
    let millis = received.timestamp_millis().clamp(0, MAX_MILLIS) as u128;
    let bits = millis << 80 | hash & ((1 << 80) - 1);
    // Sets the bits of version and variant.
    uuid::Builder::from_custom_bytes(bits.to_be_bytes()).into_uuid()
}

/// Most milliseconds that 48 bits hold.
const MAX_MILLIS: i64 = (1 << 48) - 1;

/// The earliest receipt that a raw part's name tells; `None` if [`raw_part_name`] does not make such names, as before
/// parts were named by their arrival.
pub fn raw_arrival_of(key: &str) -> Option<DateTime<Utc>> {
    let part = raw_part_id(key)?;
    if part.get_version_num() != 8 {
        return None;
    }
    DateTime::from_timestamp_millis((part.as_u128() >> 80) as i64)
}

/// Key of a raw part: `raw/year=YYYY/month=MM/day=DD/hour=HH/part-<uuid>.jsonl`, by arrival hour.
///
/// ```
/// let hour = contract::Hour::of("2025-10-04T12:34:56Z".parse().unwrap());
/// let key = contract::raw_key(hour, uuid::Uuid::nil());
/// assert_eq!(key, "raw/year=2025/month=10/day=04/hour=12/part-00000000-0000-0000-0000-000000000000.jsonl");
/// assert_eq!(contract::raw_hour_of(&key), Some(hour));
/// ```
pub fn raw_key(arrival: Hour, part: Uuid) -> String {
    format!("{RAW}{arrival}/part-{part}.jsonl")
}

/// The arrival hour that a raw part's key names; `None` if [`raw_key`] does not write such keys.
pub fn raw_hour_of(key: &str) -> Option<Hour> {
    raw_part_id(key)?;
    Hour::parse(key.strip_prefix(RAW)?)
}

/// The UUID that the name of a raw part ends with, whatever folder the key names; `None` if it is not
/// `part-<uuid>.jsonl`.
pub fn raw_part_id(key: &str) -> Option<Uuid> {
    let name = key.rsplit('/').next()?;
    Uuid::try_parse(name.strip_prefix("part-")?.strip_suffix(".jsonl")?).ok()
}

/// Prefix of the curated parts of a kind and event hour, with the `/` at its end.
///
/// ```
/// let hour = contract::Hour::of("2025-10-04T12:34:56Z".parse().unwrap());
/// assert_eq!(contract::curated_prefix("vehicle", hour), "curated/kind=vehicle/year=2025/month=10/day=04/hour=12/");
/// ```
pub fn curated_prefix(kind: &str, hour: Hour) -> String {
    format!("{CURATED}kind={kind}/{hour}/")
}

/// Key of the curated part that a commit adds, with ten digits of the commit's number, so that parts
/// sort in the order of their commits.
///
/// ```
/// let hour = contract::Hour::of("2025-10-04T12:34:56Z".parse().unwrap());
/// let key = contract::curated_key("cell", hour, 7);
/// assert_eq!(key, "curated/kind=cell/year=2025/month=10/day=04/hour=12/part-0000000007.parquet");
/// ```
pub fn curated_key(kind: &str, hour: Hour, commit: u64) -> String {
    format!("{}part-{commit:010}.parquet", curated_prefix(kind, hour))
}

/// Key of the aggregates of an event hour and kind; `extension` is `parquet` or `jsonl`.
///
/// ```
/// let hour = contract::Hour::of("2025-10-04T12:34:56Z".parse().unwrap());
/// let key = contract::aggregate_key(hour, "cell", "jsonl");
/// assert_eq!(key, "aggregates/year=2025/month=10/day=04/hour=12/cell.jsonl");
/// ```
pub fn aggregate_key(hour: Hour, kind: &str, extension: &str) -> String {
    format!("{AGGREGATES}{hour}/{kind}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_second_lies_where_its_microseconds_are_counted() {
        let time: DateTime<Utc> = "2016-12-31T23:59:60.5Z".parse().unwrap();
        let counted = DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap();
        assert_eq!(Hour::of(time), Hour::of(counted));
        assert_eq!(
            Hour::of(time).to_string(),
            "year=2017/month=01/day=01/hour=00"
        );
    }
}
