//! Numbers and times in PostgreSQL's text form, and `numeric` in its binary one.

use arrow::array::timezone::Tz;
use bytes::{BufMut, BytesMut};
use chrono::{DateTime, NaiveDate, NaiveTime, Offset, TimeZone, Utc};

/// As PostgreSQL prints floats: shortest digits, an exponent of two digits at least from 1e15 and below 1e-4.
pub(super) fn float(value: f64, plain: &str, exponent: &str) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-4..1e15).contains(&size) {
        return plain.to_owned();
    }
    match exponent.split_once('e') {
        Some((digits, power)) => {
            let (sign, power) = power
                .strip_prefix('-')
                .map_or(('+', power), |power| ('-', power));
            format!("{digits}e{sign}{power:0>2}")
        }
        None => exponent.to_owned(),
    }
}

/// Days since 1970 as a date.
pub(super) fn date(days: i32) -> String {
    match NaiveDate::from_epoch_days(days) {
        Some(date) => date.format("%Y-%m-%d").to_string(),
        None => days.to_string(),
    }
}

/// Microseconds since midnight.
pub(super) fn time(micros: i64) -> String {
    let seconds = u32::try_from(micros.div_euclid(1_000_000)).unwrap_or(0);
    let nanos = (micros.rem_euclid(1_000_000) * 1000) as u32;
    let time =
        NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos).unwrap_or(NaiveTime::MIN);
    format!("{}{}", time.format("%H:%M:%S"), fraction(micros))
}

/// The digits after the second's point, with it; nothing for none.
pub(super) fn fraction(micros: i64) -> String {
    let micros = micros.rem_euclid(1_000_000);
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

/// Microseconds since 1970, in `zone` with its offset, or without a zone.
pub(super) fn timestamp(micros: i64, zone: Option<Tz>) -> String {
    let Some(utc) = DateTime::<Utc>::from_timestamp_micros(micros) else {
        return micros.to_string();
    };
    let Some(zone) = zone else {
        return format!("{}{}", utc.format("%Y-%m-%d %H:%M:%S"), fraction(micros));
    };
    let local = zone.from_utc_datetime(&utc.naive_utc());
    let offset = local.offset().fix().local_minus_utc();
    let (sign, size) = if offset < 0 {
        ('-', -offset)
    } else {
        ('+', offset)
    };
    let minutes = size % 3600 / 60;
    let minutes = if minutes == 0 {
        String::new()
    } else {
        format!(":{minutes:02}")
    };
    format!(
        "{}{}{sign}{:02}{minutes}",
        local.format("%Y-%m-%d %H:%M:%S"),
        fraction(micros),
        size / 3600
    )
}

/// In PostgreSQL's own style, such as `1 day 02:00:00`.
pub(super) fn interval(months: i32, days: i32, micros: i64) -> String {
    let mut parts = Vec::new();
    let mut part = |count: i32, unit: &str| {
        if count != 0 {
            parts.push(format!(
                "{count} {unit}{}",
                if count == 1 { "" } else { "s" }
            ));
        }
    };
    part(months / 12, "year");
    part(months % 12, "mon");
    part(days, "day");
    if micros != 0 || parts.is_empty() {
        let sign = if micros < 0 { "-" } else { "" };
        let size = micros.unsigned_abs() as i64;
        let seconds = size / 1_000_000;
        let clock = format!(
            "{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        parts.push(format!("{sign}{clock}{}", fraction(size)));
    }
    parts.join(" ")
}

/// The binary form of `numeric`: groups of four decimal digits, the first group's weight, sign, digits after the point.
pub(super) fn numeric(text: &str, out: &mut BytesMut) {
    let (negative, digits) = text
        .strip_prefix('-')
        .map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let padded = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let weight = (padded.len() / 4) as i16 - 1;
    let all = format!(
        "{padded}{fraction}{}",
        "0".repeat((4 - fraction.len() % 4) % 4)
    );
    let mut groups: Vec<i16> = all
        .as_bytes()
        .chunks(4)
        .map(|group| {
            group
                .iter()
                .fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0'))
        })
        .collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    while groups.last() == Some(&0) {
        groups.pop();
    }
    out.put_i16(groups.len() as i16);
    out.put_i16(if groups.is_empty() {
        0
    } else {
        weight - leading as i16
    });
    out.put_u16(if negative { 0x4000 } else { 0 });
    out.put_i16(fraction.len() as i16);
    for group in groups {
        out.put_i16(group);
    }
}

/// A zone by its name or offset; PostgreSQL's `UTC` in any case.
pub(super) fn zone_of(name: &str) -> Option<Tz> {
    let name = name.trim();
    if name.eq_ignore_ascii_case("utc")
        || name.eq_ignore_ascii_case("gmt")
        || name.eq_ignore_ascii_case("etc/utc")
    {
        return "+00:00".parse().ok();
    }
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_postgresql_prints_them() {
        assert_eq!(float(1e20, "100000000000000000000", "1e20"), "1e+20");
        assert_eq!(float(1.5e-7, "0.00000015", "1.5e-7"), "1.5e-07");
        assert_eq!(float(0.25, "0.25", "2.5e-1"), "0.25");
        assert_eq!(
            timestamp(
                1_767_225_600_120_000,
                Some("Europe/Berlin".parse().unwrap())
            ),
            "2026-01-01 01:00:00.12+01"
        );
        assert_eq!(timestamp(0, None), "1970-01-01 00:00:00");
        assert_eq!(
            interval(14, 1, -1_500_000),
            "1 year 2 mons 1 day -00:00:01.5"
        );
        assert_eq!(interval(0, 0, 0), "00:00:00");
    }

    #[test]
    fn numeric_in_binary() {
        let mut out = BytesMut::new();
        numeric("-12345.670", &mut out);
        assert_eq!(
            out[..],
            [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x2c]
        );
        out.clear();
        numeric("0.0005", &mut out);
        assert_eq!(out[..], [0, 1, 0xff, 0xff, 0, 0, 0, 4, 0, 5]);
    }
}
