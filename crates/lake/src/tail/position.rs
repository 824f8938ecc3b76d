//! Places in the order of the keys of `raw/`.

use chrono::{DateTime, Utc};
use contract::{Hour, RAW, raw_arrival_of, raw_part_name};

/// A text after which the keys of all parts sort that are named by `time` or later; keys of older parts of the same
/// hour sort before it.
pub(super) fn before(time: DateTime<Utc>) -> String {
    format!("{RAW}{}/part-{}", Hour::of(time), raw_part_name(time, 0))
}

/// A text after which the keys of all parts sort that lie in the hour of `time` or a later one, whatever their names.
pub(super) fn before_hour(time: DateTime<Utc>) -> String {
    format!("{RAW}{}", Hour::of(time))
}

/// When an object arrived, as its key tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The earliest receipt of its events.
    At(DateTime<Utc>),
    /// At some time in this hour: the name was given before parts were named by their arrival, or by hand.
    In(Hour),
}

impl Arrival {
    /// None for a key that is no object of lines in an hour of `raw/`.
    pub(super) fn of(key: &str) -> Option<Arrival> {
        if !key.ends_with(".jsonl") {
            return None;
        }
        let hour = Hour::parse(key.strip_prefix(RAW)?)?;
        // A name and an hour that contradict each other: the key sorts by the hour.
        let at = raw_arrival_of(key).filter(|at| Hour::of(*at) == hour);
        Some(at.map_or(Arrival::In(hour), Arrival::At))
    }

    /// The earliest time that it can be.
    pub(super) fn earliest(self) -> DateTime<Utc> {
        match self {
            Arrival::At(time) => time,
            Arrival::In(hour) => hour.start(),
        }
    }

    /// A time that it is not after.
    pub(super) fn latest(self) -> DateTime<Utc> {
        match self {
            Arrival::At(time) => time,
            Arrival::In(hour) => hour.next().start(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::raw_key;

    #[test]
    fn a_place_sorts_before_the_parts_of_its_time_and_after_older_ones() {
        let time: DateTime<Utc> = "2025-10-04T12:34:56.789Z".parse().unwrap();
        let key = |millis: i64, hash| {
            let at = time + chrono::TimeDelta::milliseconds(millis);
            raw_key(Hour::of(at), raw_part_name(at, hash))
        };
        for hash in [0, 7, u128::MAX] {
            assert!(key(-1, hash) < before(time), "{}", key(-1, hash));
            assert!(before(time) < key(0, hash), "{}", key(0, hash));
            assert!(before_hour(time) < key(-1, hash));
            assert!(before_hour(time) > key(-3_600_000, hash));
            assert_eq!(Arrival::of(&key(0, hash)), Some(Arrival::At(time)));
        }
    }

    #[test]
    fn a_key_tells_an_arrival_an_hour_or_nothing() {
        let hour = Hour::of("2025-10-04T12:00:00Z".parse().unwrap());
        let old = raw_key(hour, uuid::Uuid::new_v5(&uuid::Uuid::nil(), b"old"));
        assert_eq!(Arrival::of(&old), Some(Arrival::In(hour)));
        let by_hand = format!("{RAW}{hour}/by-hand.jsonl");
        assert_eq!(Arrival::of(&by_hand), Some(Arrival::In(hour)));
        let elsewhere = raw_key(hour, raw_part_name(hour.next().start(), 1));
        assert_eq!(Arrival::of(&elsewhere), Some(Arrival::In(hour)));
        for key in [
            "raw/x.jsonl",
            "raw/",
            &format!("{RAW}{hour}/a.json"),
            "curated/x.jsonl",
        ] {
            assert_eq!(Arrival::of(key), None, "{key}");
        }
    }
}
