//! Times as numbers: seconds, milliseconds or microseconds since 1970-01-01T00:00:00Z.

use chrono::{DateTime, Utc};

const NANOS: i128 = 1_000_000_000;

/// Digits of which an `i128` holds every number; digits of a fraction past them are far below a nanosecond.
const MOST_DIGITS: i32 = 37;

/// The time that a number in JSON's grammar stands for; `power` is the power of ten of its unit in nanoseconds, such
/// as 6 for milliseconds. It is read by its digits, since no double has room for nanoseconds; what is finer is cut
/// off. A number of no time that can be told becomes the earliest or the latest one.
pub(crate) fn time_of(number: &str, power: i32) -> DateTime<Utc> {
    let nanos = nanos_of(number, power);
    let time = i64::try_from(nanos.div_euclid(NANOS))
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, nanos.rem_euclid(NANOS) as u32));
    time.unwrap_or(if nanos < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

fn nanos_of(number: &str, power: i32) -> i128 {
    let (number, sign) = match number.strip_prefix('-') {
        Some(number) => (number, -1),
        None => (number, 1),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (mut digits, mut count, mut shift) = (0_i128, 0, power);
    for (at, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let in_fraction = at >= whole.len();
        if count == MOST_DIGITS {
            shift += i32::from(!in_fraction);
            continue;
        }
        digits = digits * 10 + i128::from(byte - b'0');
        // Zeros in front are no digits.
        count += i32::from(digits > 0);
        shift -= i32::from(in_fraction);
    }
    if digits == 0 {
        return 0;
    }
    let beyond = if exponent.starts_with('-') {
        i32::MIN
    } else {
        i32::MAX
    };
    let shift = shift.saturating_add(exponent.parse().unwrap_or(beyond));
    let scale = 10_i128.checked_pow(shift.unsigned_abs());
    if shift >= 0 {
        let nanos = scale.and_then(|scale| digits.checked_mul(scale));
        sign * nanos.unwrap_or(i128::MAX)
    } else {
        let nanos = scale.map(|scale| (sign * digits).div_euclid(scale));
        nanos.unwrap_or(if sign < 0 { -1 } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_the_time_of_its_digits() {
        for (number, power, time) in [
            ("1790000000", 9, "2026-09-21T14:13:20Z"),
            ("1790000000123", 6, "2026-09-21T14:13:20.123Z"),
            ("1790000000123456", 3, "2026-09-21T14:13:20.123456Z"),
            ("1790000000.123456789", 9, "2026-09-21T14:13:20.123456789Z"),
            ("1790000000.1234567899", 9, "2026-09-21T14:13:20.123456789Z"),
            (
                "1.790000000123456789e9",
                9,
                "2026-09-21T14:13:20.123456789Z",
            ),
            ("179000000012345.6e-2", 6, "2026-09-21T14:13:20.123456Z"),
            ("0", 9, "1970-01-01T00:00:00Z"),
            ("-0.5", 9, "1969-12-31T23:59:59.5Z"),
            ("-1e-40", 9, "1969-12-31T23:59:59.999999999Z"),
            ("1e-40", 9, "1970-01-01T00:00:00Z"),
        ] {
            let time: DateTime<Utc> = time.parse().unwrap();
            assert_eq!(time_of(number, power), time, "{number}");
        }
        let endless = "9".repeat(400);
        for number in ["1e30", "1e999999999999", endless.as_str()] {
            assert_eq!(time_of(number, 6), DateTime::<Utc>::MAX_UTC, "{number}");
        }
        assert_eq!(time_of("-1e999", 9), DateTime::<Utc>::MIN_UTC);
    }

    proptest! {
        #[test]
        fn each_spelling_of_a_time_is_that_time(micros in -4_000_000_000_000_000..9_000_000_000_000_000_i64) {
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(time_of(&micros.to_string(), 3), time);
            prop_assert_eq!(time_of(&format!("{micros}e-6"), 9), time);
            let (sign, abs) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
            prop_assert_eq!(time_of(&format!("{sign}{}.{:06}", abs / 1_000_000, abs % 1_000_000), 9), time);
        }
    }
}
