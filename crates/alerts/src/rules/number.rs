//! Numbers as Go's templates show them, so that a text reads as it does from Prometheus.

/// As `%v`: the shortest text that gives the same double, with an exponent from 1e+06 on and below 1e-4.
pub(super) fn show(value: f64) -> String {
    special(value).unwrap_or_else(|| {
        let magnitude = value.abs();
        if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
            exponent(&format!("{value:e}"))
        } else {
            format!("{value}")
        }
    })
}

/// As `%.<digits>f`.
pub(super) fn fixed(value: f64, digits: usize) -> String {
    special(value).unwrap_or_else(|| format!("{value:.digits$}"))
}

/// As `%.<digits>g`: so many significant digits, without zeros at the end.
pub(super) fn significant(value: f64, digits: usize) -> String {
    special(value).unwrap_or_else(|| {
        let digits = digits.max(1);
        let scientific = format!("{value:.*e}", digits - 1);
        let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let power: i32 = power.parse().unwrap_or_default();
        let trim = |text: &str| {
            let cut = text.trim_end_matches('0').trim_end_matches('.');
            if text.contains('.') { cut } else { text }.to_owned()
        };
        match usize::try_from(power) {
            Ok(places) if places >= digits => exponent(&format!("{}e{power}", trim(mantissa))),
            Ok(places) => trim(&format!("{value:.*}", digits - 1 - places)),
            Err(_) if power < -4 => exponent(&format!("{}e{power}", trim(mantissa))),
            Err(_) => {
                let places = digits - 1 + power.unsigned_abs() as usize;
                trim(&format!("{value:.places$}"))
            }
        }
    })
}

/// Four significant digits with a prefix of thousands: `12.35k`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return significant(value, 4);
    }
    if value.abs() >= 1.0 {
        return scaled(value, 1000.0, &["", "k", "M", "G", "T", "P", "E", "Z", "Y"]);
    }
    small(value)
}

/// As [`humanize`], in steps of 1,024.
pub(super) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return significant(value, 4);
    }
    scaled(
        value,
        1024.0,
        &["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"],
    )
}

/// Seconds as `1d 2h 3m 4s`.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return significant(value, 4);
    }
    let (sign, seconds) = (if value < 0.0 { "-" } else { "" }, value.abs());
    if seconds == 0.0 {
        return "0s".to_owned();
    }
    if seconds < 1.0 {
        return format!("{}s", small(value));
    }
    // Saturates, past 292 billion years.
    let whole = seconds as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    let rest = whole % 60;
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {rest}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {rest}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {rest}s")
    } else {
        format!("{sign}{}s", significant(seconds, 4))
    }
}

/// A ratio as `12.5%`.
pub(super) fn humanize_percentage(value: f64) -> String {
    format!("{}%", significant(value * 100.0, 4))
}

fn scaled(mut value: f64, step: f64, prefixes: &[&str]) -> String {
    let mut place = 0;
    while value.abs() >= step && place + 1 < prefixes.len() {
        (value, place) = (value / step, place + 1);
    }
    format!("{}{}", significant(value, 4), prefixes[place])
}

fn small(mut value: f64) -> String {
    let prefixes = ["", "m", "u", "n", "p", "f", "a", "z", "y"];
    let mut place = 0;
    while value.abs() < 1.0 && place + 1 < prefixes.len() {
        (value, place) = (value * 1000.0, place + 1);
    }
    format!("{}{}", significant(value, 4), prefixes[place])
}

fn special(value: f64) -> Option<String> {
    let text = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Rust's `1e-7` as Go's `1e-07`.
fn exponent(text: &str) -> String {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match power.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', power),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What promtool 2.42 shows.
    #[test]
    fn numbers_look_as_they_do_from_prometheus() {
        for (value, text) in [
            (85.0, "85"),
            (85.5, "85.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (-1_234_567.0, "-1.234567e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(show(value), text);
        }
        for (value, text) in [
            (12345.0, "1.234e+04"),
            (1234.5, "1234"),
            (0.012345, "0.01235"),
            (0.00001, "1e-05"),
            (9999.9, "1e+04"),
            (80.0, "80"),
            (0.0, "0"),
        ] {
            assert_eq!(significant(value, 4), text);
        }
        assert_eq!(fixed(91.25, 1), "91.2");
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (1_234_567.0, "1.235M"),
            (0.12, "120m"),
            (-2e10, "-20G"),
        ] {
            assert_eq!(humanize(value), text);
        }
        for (value, text) in [(0.5, "0.5"), (1024.0, "1ki"), (1_048_576.0, "1Mi")] {
            assert_eq!(humanize1024(value), text);
        }
        for (value, text) in [
            (0.0, "0s"),
            (1.5, "1.5s"),
            (60.0, "1m 0s"),
            (3_600.0, "1h 0m 0s"),
            (93_784.0, "1d 2h 3m 4s"),
            (0.001, "1ms"),
            (-60.0, "-1m 0s"),
        ] {
            assert_eq!(humanize_duration(value), text);
        }
        assert_eq!(humanize_percentage(0.1234), "12.34%");
    }
}
