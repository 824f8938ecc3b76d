//! Timestamps: RFC 3339 in, UTC inside.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

use crate::kind::TimeRule;
use crate::rejection::{Code, Rejection, excerpt};

/// Reads an RFC 3339 timestamp with a zone, and holds it against the rule's bounds;
/// `now` is when the event was received.
pub(crate) fn parse(
    text: &str,
    rule: &TimeRule,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Rejection> {
    let field = rule.field.as_str();
    let time = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.with_timezone(&Utc),
        Err(_) if has_no_zone(text) => {
            return Err(Rejection::at(
                Code::TimestampWithoutZone,
                field,
                format!(
                    "`{field}` has no zone: append `Z` or an offset such as `+02:00` to `{}`",
                    excerpt(text)
                ),
            ));
        }
        Err(_) => {
            return Err(Rejection::at(
                Code::InvalidTimestamp,
                field,
                format!(
                    "`{field}` is not an RFC 3339 timestamp such as `2025-10-04T12:34:56.123Z`: `{}`",
                    excerpt(text)
                ),
            ));
        }
    };
    let latest = now + rule.max_future;
    if time < rule.earliest {
        return Err(Rejection::at(
            Code::TimestampOutOfRange,
            field,
            format!(
                "`{field}` is `{}`, before {}",
                excerpt(text),
                format_millis(rule.earliest)
            ),
        ));
    }
    if time > latest {
        return Err(Rejection::at(
            Code::TimestampOutOfRange,
            field,
            format!(
                "`{field}` is `{}`, more than {} min after it was received: check the sender's clock",
                excerpt(text),
                rule.max_future.num_minutes()
            ),
        ));
    }
    Ok(time)
}

fn has_no_zone(text: &str) -> bool {
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .any(|format| NaiveDateTime::parse_from_str(text, format).is_ok())
}

/// `2025-10-04T12:34:56.200Z`: RFC 3339, UTC, milliseconds, as in `ingest_received_at`.
pub fn format_millis(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The given instant cut to whole milliseconds, the precision of `ingest_received_at`.
pub fn now_millis_precision(now: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
}
