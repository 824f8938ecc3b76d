//! Values of a request's parameters: times, durations, aggregates.

use std::ops::Range;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::rejection::QueryRejection;
use axum::http::request::Parts;
use chrono::{DateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;

use crate::http::refusal::Refusal;
use engine::kernels::{Stat, Value, Wanted};

/// Numbers below this are seconds, from it on milliseconds: as seconds it lies in the year 5138.
const FIRST_MILLIS: i64 = 100_000_000_000;

/// Longest step, window or look back: a hundred years.
const MOST_SECONDS: u64 = 100 * 366 * 86_400;

/// The parameters of a request, of which none may be unknown or there twice.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let axum::extract::Query(parameters) = query.map_err(|rejection| match rejection {
            QueryRejection::FailedToDeserializeQueryString(error) => {
                Refusal::InvalidParameter(service::errors::chain(&error))
            }
            other => Refusal::InvalidParameter(other.to_string()),
        })?;
        Ok(Parameters(parameters))
    }
}

/// A time: milliseconds or seconds since 1970, or RFC 3339.
pub(crate) fn time(name: &str, text: &str) -> Result<DateTime<Utc>, Refusal> {
    let refused = || {
        let wanted =
            "send milliseconds or seconds since 1970, or RFC 3339 such as `2025-10-04T12:34:56Z`";
        Refusal::parameter(name, text, wanted)
    };
    if let Ok(number) = text.parse::<i64>() {
        let time = if number.unsigned_abs() < FIRST_MILLIS as u64 {
            DateTime::from_timestamp(number, 0)
        } else {
            DateTime::from_timestamp_millis(number)
        };
        // Past these years a time in microseconds has no room for a step or two.
        return time
            .filter(|time| (-9999..9999).contains(&chrono::Datelike::year(time)))
            .ok_or_else(refused);
    }
    // A `+` that was not written as `%2B` comes as a space.
    let text = text.replace(' ', "+");
    let time = DateTime::parse_from_rfc3339(&text).map_err(|_| refused())?;
    Ok(time.with_timezone(&Utc))
}

/// A length of time with its unit, at least a millisecond.
pub(crate) fn duration(name: &str, text: &str) -> Result<Duration, Refusal> {
    let duration = humantime::parse_duration(text).ok().filter(|duration| {
        *duration >= Duration::from_millis(1) && duration.as_secs() <= MOST_SECONDS
    });
    duration.ok_or_else(|| {
        Refusal::parameter(
            name,
            text,
            "send a length of time with its unit, such as `30s`, `5m` or `1h`",
        )
    })
}

/// The range `[start, end)`; `last` is its length where no start is given.
pub(crate) fn range(
    start: Option<&str>,
    end: Option<&str>,
    now: DateTime<Utc>,
    last: TimeDelta,
) -> Result<Range<DateTime<Utc>>, Refusal> {
    let end = end
        .map(|text| time("end", text))
        .transpose()?
        .unwrap_or(now);
    let start = match start {
        Some(text) => time("start", text)?,
        None => end - last,
    };
    if start > end {
        let (start, end) = (contract::format_millis(start), contract::format_millis(end));
        let reversed = format!("`start` ({start}) lies after `end` ({end})");
        return Err(Refusal::InvalidParameter(reversed));
    }
    Ok(start..end)
}

/// The bound on an answer's points or entities, which the parameter `name` gives.
pub(crate) fn limit(
    name: &str,
    text: Option<&str>,
    default: usize,
    most: u32,
) -> Result<usize, Refusal> {
    let Some(text) = text else {
        return Ok(default.min(most as usize));
    };
    let limit = text
        .parse::<usize>()
        .ok()
        .filter(|limit| (1..=most as usize).contains(limit));
    limit.ok_or_else(|| {
        Refusal::parameter(
            name,
            text,
            &format!("send a number from 1 to {most} (MAX_ROWS)"),
        )
    })
}

/// What is computed of a group's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Avg,
    Min,
    Max,
    Sum,
    Count,
    First,
    Last,
    Stddev,
    P50,
    P95,
    P99,
    Increase,
    Rate,
}

/// An aggregate's value, as JSON has it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Count(u64),
    Number(f64),
    Text(std::sync::Arc<str>),
    /// No value, or a number that JSON has no digits for.
    Null,
}

impl Cell {
    pub(crate) fn of(value: &Value) -> Cell {
        match value {
            Value::Number(number) => Cell::number(Some(*number)),
            Value::Text(text) => Cell::Text(text.clone()),
        }
    }

    pub(crate) fn number(number: Option<f64>) -> Cell {
        let finite = number.filter(|number| number.is_finite());
        finite.map_or(Cell::Null, Cell::Number)
    }
}

impl Aggregate {
    pub(crate) const ALL: [(&str, Aggregate); 13] = [
        ("avg", Aggregate::Avg),
        ("min", Aggregate::Min),
        ("max", Aggregate::Max),
        ("sum", Aggregate::Sum),
        ("count", Aggregate::Count),
        ("first", Aggregate::First),
        ("last", Aggregate::Last),
        ("stddev", Aggregate::Stddev),
        ("p50", Aggregate::P50),
        ("p95", Aggregate::P95),
        ("p99", Aggregate::P99),
        ("increase", Aggregate::Increase),
        ("rate", Aggregate::Rate),
    ];

    pub(crate) fn parse(text: &str) -> Result<Aggregate, Refusal> {
        let found = Aggregate::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, aggregate)| *aggregate).ok_or_else(|| {
            let names = Aggregate::ALL.map(|(name, _)| name).join(", ");
            Refusal::parameter("agg", text, &format!("send one of {names}"))
        })
    }

    pub(crate) fn name(self) -> &'static str {
        let found = Aggregate::ALL
            .iter()
            .find(|(_, aggregate)| *aggregate == self);
        found.map_or("", |(name, _)| name)
    }

    /// The value for a group whose times are so long.
    pub(crate) fn value(self, stat: &Stat, seconds: f64) -> Cell {
        match self {
            Aggregate::Avg => Cell::number(stat.avg()),
            Aggregate::Min => Cell::number(stat.min()),
            Aggregate::Max => Cell::number(stat.max()),
            Aggregate::Sum => Cell::number(stat.sum()),
            Aggregate::Count => Cell::Count(stat.count),
            Aggregate::First => stat
                .first()
                .map_or(Cell::Null, |(_, value)| Cell::of(value)),
            Aggregate::Last => stat.last().map_or(Cell::Null, |(_, value)| Cell::of(value)),
            Aggregate::Stddev => Cell::number(stat.stddev()),
            Aggregate::P50 => Cell::number(stat.quantile(0.5)),
            Aggregate::P95 => Cell::number(stat.quantile(0.95)),
            Aggregate::P99 => Cell::number(stat.quantile(0.99)),
            Aggregate::Increase => Cell::number(stat.increase()),
            Aggregate::Rate => Cell::number(stat.increase().map(|increase| increase / seconds)),
        }
    }

    pub(crate) fn is_percentile(self) -> bool {
        matches!(self, Aggregate::P50 | Aggregate::P95 | Aggregate::P99)
    }

    /// Whether it is of a counter.
    pub(crate) fn is_of_counter(self) -> bool {
        matches!(self, Aggregate::Increase | Aggregate::Rate)
    }

    /// What must be computed for these.
    pub(crate) fn wanted(aggregates: &[Aggregate]) -> Wanted {
        let any = |of: fn(Aggregate) -> bool| aggregates.iter().any(|aggregate| of(*aggregate));
        Wanted {
            spread: any(|aggregate| aggregate == Aggregate::Stddev),
            quantiles: any(Aggregate::is_percentile),
            exact: false,
            ends: any(|aggregate| matches!(aggregate, Aggregate::First | Aggregate::Last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_each_of_their_forms() {
        let expected: DateTime<Utc> = "2025-10-04T12:34:56Z".parse().unwrap();
        for text in [
            "1759581296",
            "1759581296000",
            "2025-10-04T12:34:56Z",
            "2025-10-04T14:34:56 02:00",
        ] {
            assert_eq!(time("start", text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2025-10-04",
            "1.5",
            "9223372036854775807",
            "NaN",
        ] {
            let refused = time("start", text).unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("`start` is `{text}`: ")),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_range_has_its_start_first() {
        let now: DateTime<Utc> = "2025-10-04T12:34:56Z".parse().unwrap();
        let hour = TimeDelta::hours(1);
        assert_eq!(range(None, None, now, hour).unwrap(), now - hour..now);
        let day = range(Some("1759449600"), Some("1759536000"), now, hour).unwrap();
        assert_eq!(day.end - day.start, TimeDelta::days(1));
        let reversed = range(Some("1759536000"), Some("1759449600"), now, hour);
        assert!(reversed.unwrap_err().to_string().contains("lies after"));
    }

    #[test]
    fn lengths_of_time_have_a_unit() {
        assert_eq!(duration("step", "5m").unwrap(), Duration::from_secs(300));
        for text in ["300", "0s", "1ns", "-5m", "999999999y", ""] {
            assert!(duration("step", text).is_err(), "{text}");
        }
    }
}
