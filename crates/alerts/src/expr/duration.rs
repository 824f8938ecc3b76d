//! Durations as Prometheus writes them: `90s`, `1m30s`, `1h`.

/// The units, longest first, in milliseconds. A year has 365 days.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The milliseconds of `1h30m` and the like: whole numbers with units, the longest unit first, each at most once; `0`
/// needs no unit. None for any other text, and past what 64 bits hold.
pub fn parse_duration(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut total, mut units) = (text, 0_i64, &UNITS[..]);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let place = units.iter().position(|(name, _)| *name == unit)?;
        let part = number.parse::<i64>().ok()?.checked_mul(units[place].1)?;
        total = total.checked_add(part)?;
        units = &units[place + 1..];
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// Seconds up to two minutes, as in `60s`, else the largest units.
pub fn format_duration(millis: i64) -> String {
    if millis <= 120_000 && millis % 1_000 == 0 {
        return format!("{}s", millis / 1_000);
    }
    let (mut rest, mut text) = (millis, String::new());
    for (name, unit) in &UNITS[2..] {
        if rest >= *unit {
            text += &format!("{}{name}", rest / unit);
            rest %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_prometheus_reads_them() {
        for (text, millis) in [
            ("0", Some(0)),
            ("60s", Some(60_000)),
            ("1m30s", Some(90_000)),
            ("1h", Some(3_600_000)),
            ("1d12h", Some(129_600_000)),
            ("500ms", Some(500)),
            ("1s500ms", Some(1_500)),
            ("", None),
            ("60", None),
            ("s", None),
            ("1s1m", None),
            ("1m1m", None),
            ("1.5m", None),
            ("-1m", None),
            ("9999999999999y", None),
        ] {
            assert_eq!(parse_duration(text), millis, "{text}");
        }
        for text in ["60s", "5m", "1h", "1h30m", "2m30s"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }
}
