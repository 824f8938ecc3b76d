//! Timestamps: RFC 3339 in, UTC inside.

use std::borrow::Cow;

use chrono::{
    DateTime, Datelike, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, Timelike, Utc,
};

use crate::declare::rule::TimeRule;
use crate::epoch;
use crate::rejection::{Code, Rejection, excerpt};

/// A timestamp as it stands in JSON, of a form that the rule's format takes.
#[derive(Debug, Clone)]
pub(crate) enum Written<'a> {
    Text(Cow<'a, str>),
    /// A number in JSON's grammar.
    Number(&'a str),
}

/// Reads a timestamp in the rule's format, and holds it against the rule's bounds; `now` is when the event was
/// received.
pub(crate) fn parse(
    text: &Written<'_>,
    rule: &TimeRule,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Rejection> {
    let time = match text {
        Written::Text(text) => with_zone(text, rule)?,
        Written::Number(number) => {
            let power = rule.format.epoch_unit().map_or(0, |(power, _)| power);
            epoch::time_of(number, power)
        }
    };
    let out_of_range = |what| Err(Rejection::at(Code::TimestampOutOfRange, &rule.field, what));
    if time < rule.earliest {
        let earliest = format_millis(rule.earliest);
        return out_of_range(format!("is {}, before {earliest}", shown(text, time, rule)));
    }
    if time > now + rule.max_future {
        return out_of_range(format!(
            "is {}, more than {} min after it was received: check the sender's clock",
            shown(text, time, rule),
            rule.max_future.num_minutes()
        ));
    }
    Ok(time)
}

fn with_zone(text: &str, rule: &TimeRule) -> Result<DateTime<Utc>, Rejection> {
    if let Some(time) = rfc3339(text).or_else(|| rfc3339_by_chrono(text).ok()) {
        return Ok(time);
    }
    let shown = excerpt(text);
    let (code, what) = if has_no_zone(text) {
        let what = format!("has no zone: append `Z` or an offset such as `+02:00` to `{shown}`");
        (Code::TimestampWithoutZone, what)
    } else {
        let what = format!("is not {}: `{shown}`", rule.format.wanted());
        (Code::InvalidTimestamp, what)
    };
    Err(Rejection::at(code, &rule.field, what))
}

/// The timestamp for a message: as sent, and where that is a number the unit it was read in and the time it gave.
pub(crate) fn shown(text: &Written<'_>, time: DateTime<Utc>, rule: &TimeRule) -> String {
    match text {
        Written::Text(text) => format!("`{}`", excerpt(text)),
        Written::Number(number) => {
            let unit = rule.format.epoch_unit().map_or("", |(_, unit)| unit);
            format!("`{}` {unit}, {}", excerpt(number), format_millis(time))
        }
    }
}

/// An RFC 3339 timestamp as the library reads it, in any of its spellings.
pub(crate) fn rfc3339_by_chrono(text: &str) -> Result<DateTime<Utc>, chrono::ParseError> {
    Ok(DateTime::parse_from_rfc3339(text)?.with_timezone(&Utc))
}

/// A timestamp in the usual spelling, `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±hh:mm)`, with up to nine
/// digits of fraction. Gives nothing for any other text: chrono may still read it, at five times
/// the cost.
pub(crate) fn rfc3339(text: &str) -> Option<DateTime<Utc>> {
    let (front, mut rest) = text.as_bytes().split_first_chunk::<19>()?;
    let two = |at: usize| number(&front[at..at + 2]);
    if [front[4], front[7], front[10], front[13], front[16]] != *b"--T::" {
        return None;
    }
    let date = NaiveDate::from_ymd_opt((two(0)? * 100 + two(2)?).cast_signed(), two(5)?, two(8)?)?;
    let mut nanos = 0;
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let (fraction, zone) = fraction.split_at(digits);
        nanos = number(fraction)? * 10_u32.pow(9 - digits as u32);
        rest = zone;
    }
    let east_minutes = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = i64::from(hours * 60 + minutes);
            if *sign == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    // A leap second, `:60`, is no time of the day here, and so left to chrono.
    let local = date.and_hms_nano_opt(two(11)?, two(14)?, two(17)?, nanos)?;
    match east_minutes {
        0 => Some(local.and_utc()),
        minutes => local
            .and_utc()
            .checked_sub_signed(TimeDelta::minutes(minutes)),
    }
}

/// Up to nine decimal digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u32::from(digit - b'0'))
    })
}

fn has_no_zone(text: &str) -> bool {
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .any(|format| NaiveDateTime::parse_from_str(text, format).is_ok())
}

/// `2025-10-04T12:34:56.200Z`: RFC 3339, UTC, milliseconds, as in `ingest_received_at`.
pub fn format_millis(time: DateTime<Utc>) -> String {
    let mut text = Vec::with_capacity(32);
    write(&mut text, time, SecondsFormat::Millis);
    String::from_utf8(text).expect("a time is written in ASCII")
}

/// Appends the time as RFC 3339 in UTC, with `Z`, and with nine digits of fraction or else three.
pub(crate) fn write(out: &mut Vec<u8>, time: DateTime<Utc>, precision: SecondsFormat) {
    let (date, clock) = (time.date_naive(), time.time());
    let (Ok(year @ 0..10_000), nanos @ 0..1_000_000_000) =
        (u32::try_from(date.year()), clock.nanosecond())
    else {
        // Years of more digits, and leap seconds.
        out.extend_from_slice(time.to_rfc3339_opts(precision, true).as_bytes());
        return;
    };
    let two = |n: u32| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
    let mut text = *b"0000-00-00T00:00:00.000000000";
    let pairs = [
        (0, year / 100),
        (2, year % 100),
        (5, date.month()),
        (8, date.day()),
        (11, clock.hour()),
        (14, clock.minute()),
        (17, clock.second()),
        (20, nanos / 10_000_000),
        (22, nanos / 100_000 % 100),
        (24, nanos / 1000 % 100),
        (26, nanos / 10 % 100),
    ];
    for (at, n) in pairs {
        text[at..at + 2].copy_from_slice(&two(n));
    }
    text[28] = b'0' + (nanos % 10) as u8;
    let end = match precision {
        SecondsFormat::Nanos => 29,
        _ => 23,
    };
    out.extend_from_slice(&text[..end]);
    out.push(b'Z');
}

/// The instant cut to whole milliseconds, the precision of `ingest_received_at`.
pub fn now_millis_precision(now: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agree(text: &str) -> Result<(), TestCaseError> {
        let chrono = rfc3339_by_chrono(text).ok();
        if let Some(time) = rfc3339(text) {
            prop_assert_eq!(Some(time), chrono, "{}", text);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn the_usual_spelling_reads_as_chrono_reads_it(
            date in (0..10_000_i32, 0..14_u32, 0..33_u32),
            time in (0..25_u32, 0..61_u32, 0..62_u32),
            fraction in "(\\.[0-9]{0,11})?",
            zone in "(Z|z|[+-][0-2][0-9]:[0-6][0-9]|[+-][0-9]{4}| Z|)",
            (at, with) in (0_usize..40, "[-0-9TZtz:+. ]?"),
        ) {
            let ((year, month, day), (hour, minute, second)) = (date, time);
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
            agree(&text)?;
            let at = at.min(text.len());
            agree(&format!("{}{with}{}", &text[..at], text.get(at + 1..).unwrap_or_default()))?;
            agree(&format!("{}{with}{}", &text[..at], &text[at..]))?;
        }
    }

    proptest! {
        #[test]
        fn times_are_written_as_chrono_writes_them(
            seconds in prop_oneof![-70_000_000_000_i64..400_000_000_000, 1_700_000_000..1_800_000_000_i64],
            nanos in prop_oneof![0..1_000_000_000_u32, (0..1000_u32).prop_map(|millis| millis * 1_000_000)],
        ) {
            // Nanoseconds past a second stand for a leap second, which only the last of a minute can have.
            let times = [(seconds, nanos), (seconds - seconds.rem_euclid(60) + 59, nanos + 1_000_000_000)];
            for (seconds, nanos) in times {
                let time = DateTime::from_timestamp(seconds, nanos).unwrap();
                for precision in [SecondsFormat::Millis, SecondsFormat::Nanos] {
                    let mut text = Vec::new();
                    write(&mut text, time, precision);
                    prop_assert_eq!(String::from_utf8(text).unwrap(), time.to_rfc3339_opts(precision, true));
                }
            }
        }
    }

    #[test]
    fn the_usual_spelling_is_read_without_chrono() {
        for text in [
            "2025-10-04T12:34:56Z",
            "2025-10-04T12:34:56.1Z",
            "0000-01-01T00:00:00.123456789+23:59",
            "9999-12-31T23:59:59.999999999-23:59",
        ] {
            assert_eq!(rfc3339(text), rfc3339_by_chrono(text).ok(), "{text}");
            assert!(rfc3339(text).is_some(), "{text}");
        }
    }
}
