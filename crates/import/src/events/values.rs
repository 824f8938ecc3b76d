//! Values of columns as JSON.

use std::fmt::Write;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int64Array, StringArray,
    UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, TimeUnit, UInt64Type};
use arrow::error::ArrowError;
use chrono::{DateTime, SecondsFormat, Utc};
use contract::TimeFormat;

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As JSON text.
    Text,
    /// As it stands, like a decimal.
    Digits,
    Integer,
    Unsigned,
    Float,
    Double,
    Boolean,
    /// A moment, counted in this unit since 1970, in the format of the kind.
    Instant(TimeUnit, TimeFormat),
}

/// The values of one column in a batch.
pub(crate) enum Values {
    Text(StringArray),
    Digits(StringArray),
    Integer(Int64Array),
    Unsigned(UInt64Array),
    Float(Float32Array),
    Double(Float64Array),
    Boolean(BooleanArray),
    Instant(Int64Array, TimeUnit, TimeFormat),
}

impl Form {
    /// The form of a type, or `None` if JSON has no such scalar. `time` is the format of the kind's time; moments in
    /// other columns are RFC 3339.
    pub(crate) fn of(kind: &DataType, time: Option<TimeFormat>) -> Option<Form> {
        Some(match kind {
            DataType::Dictionary(_, values) => return Form::of(values, time),
            // A column of NULLs alone: never written.
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Form::Text
            }
            // `2025-10-04`: a text like any other, which is no time for a contract.
            DataType::Date32 | DataType::Date64 => Form::Text,
            DataType::Boolean => Form::Boolean,
            DataType::Float32 | DataType::Float16 => Form::Float,
            DataType::Float64 => Form::Double,
            DataType::Timestamp(unit, _) => Form::Instant(*unit, time.unwrap_or_default()),
            DataType::UInt64 => Form::Unsigned,
            whole if whole.is_integer() => Form::Integer,
            decimal if decimal.is_decimal() => Form::Digits,
            _ => return None,
        })
    }

    pub(crate) fn values(self, column: &ArrayRef) -> Result<Values, ArrowError> {
        let plain = |kind: &DataType| cast(column, kind);
        Ok(match self {
            Form::Text => Values::Text(plain(&DataType::Utf8)?.as_string().clone()),
            Form::Digits => Values::Digits(plain(&DataType::Utf8)?.as_string().clone()),
            Form::Integer => {
                Values::Integer(plain(&DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            Form::Unsigned => Values::Unsigned(
                plain(&DataType::UInt64)?
                    .as_primitive::<UInt64Type>()
                    .clone(),
            ),
            Form::Float => Values::Float(
                plain(&DataType::Float32)?
                    .as_primitive::<Float32Type>()
                    .clone(),
            ),
            Form::Double => Values::Double(
                plain(&DataType::Float64)?
                    .as_primitive::<Float64Type>()
                    .clone(),
            ),
            Form::Boolean => Values::Boolean(plain(&DataType::Boolean)?.as_boolean().clone()),
            Form::Instant(unit, format) => {
                // The number is in UTC whatever the zone; a column without a zone counts as UTC.
                let counts = plain(&DataType::Int64)?.as_primitive::<Int64Type>().clone();
                Values::Instant(counts, unit, format)
            }
        })
    }
}

impl Values {
    fn array(&self) -> &dyn Array {
        match self {
            Values::Text(array) | Values::Digits(array) => array,
            Values::Integer(array) | Values::Instant(array, ..) => array,
            Values::Unsigned(array) => array,
            Values::Float(array) => array,
            Values::Double(array) => array,
            Values::Boolean(array) => array,
        }
    }

    pub(crate) fn is_null(&self, at: usize) -> bool {
        self.array().is_null(at)
    }

    /// The text of a column of texts, where there is one.
    pub(crate) fn text(&self, at: usize) -> Option<&str> {
        match self {
            Values::Text(texts) if !texts.is_null(at) => Some(texts.value(at)),
            _ => None,
        }
    }

    /// Writes a value that is not NULL as JSON; `false` if it is a number that JSON cannot hold.
    pub(crate) fn write(&self, at: usize, out: &mut String) -> bool {
        let written = match self {
            Values::Text(texts) => {
                json_text(texts.value(at), out);
                Ok(())
            }
            Values::Digits(texts) => out.write_str(texts.value(at)),
            Values::Integer(numbers) => write!(out, "{}", numbers.value(at)),
            Values::Unsigned(numbers) => write!(out, "{}", numbers.value(at)),
            Values::Float(numbers) => match numbers.value(at) {
                number if number.is_finite() => write!(out, "{number}"),
                _ => return false,
            },
            Values::Double(numbers) => match serde_json::Number::from_f64(numbers.value(at)) {
                Some(number) => write!(out, "{number}"),
                None => return false,
            },
            Values::Boolean(values) => write!(out, "{}", values.value(at)),
            Values::Instant(counts, unit, format) => {
                return instant(counts.value(at), *unit, *format, out);
            }
        };
        written.is_ok()
    }
}

fn instant(count: i64, unit: TimeUnit, format: TimeFormat, out: &mut String) -> bool {
    let (a_second, a_unit) = match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    };
    let (seconds, rest) = (
        count.div_euclid(a_second),
        count.rem_euclid(a_second) * a_unit,
    );
    let Some(time) = u32::try_from(rest)
        .ok()
        .and_then(|rest| DateTime::<Utc>::from_timestamp(seconds, rest))
    else {
        return false;
    };
    let written = match format {
        TimeFormat::Rfc3339 | TimeFormat::Rfc3339OrEpochMs => write!(
            out,
            "\"{}\"",
            time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
        ),
        TimeFormat::EpochS => epoch(seconds, rest, 9, out),
        TimeFormat::EpochMs => epoch(time.timestamp_millis(), rest % 1_000_000, 6, out),
        TimeFormat::EpochUs => epoch(time.timestamp_micros(), rest % 1_000, 3, out),
    };
    written.is_ok()
}

/// A whole number of units, and of the next one's `10^digits` parts: with all digits, and none that say nothing.
fn epoch(whole: i64, parts: i64, digits: usize, out: &mut String) -> std::fmt::Result {
    if parts == 0 {
        return write!(out, "{whole}");
    }
    // Before 1970 the fraction counts from below; a decimal fraction counts from zero.
    let scale = 10i64.pow(u32::try_from(digits).unwrap_or(0));
    let (sign, whole, parts) = if whole < 0 {
        ("-", -whole - 1, scale - parts)
    } else {
        ("", whole, parts)
    };
    let fraction = format!("{parts:0digits$}");
    write!(out, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

fn json_text(text: &str, out: &mut String) {
    let is_plain = text
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if is_plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_digits_in_each_format() {
        let written = |count, unit, format| {
            let mut out = String::new();
            assert!(instant(count, unit, format, &mut out));
            out
        };
        let micro = 1_637_000_000_123_456;
        let rfc = written(micro, TimeUnit::Microsecond, TimeFormat::Rfc3339);
        assert_eq!(rfc, "\"2021-11-15T18:13:20.123456Z\"");
        assert_eq!(
            written(micro, TimeUnit::Microsecond, TimeFormat::EpochUs),
            "1637000000123456"
        );
        assert_eq!(
            written(micro, TimeUnit::Microsecond, TimeFormat::EpochMs),
            "1637000000123.456"
        );
        assert_eq!(
            written(micro, TimeUnit::Microsecond, TimeFormat::EpochS),
            "1637000000.123456"
        );
        assert_eq!(
            written(-1_500, TimeUnit::Millisecond, TimeFormat::EpochS),
            "-1.5"
        );
        assert_eq!(
            written(-1_000, TimeUnit::Millisecond, TimeFormat::EpochS),
            "-1"
        );
    }
}
