//! InfluxDB's [line protocol](https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/): a line is a
//! measurement, tags, fields and a time.

use std::str::FromStr;

use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines, split_lines};
use serde_json::json;

use crate::emit::{Emit, Stop};
use crate::point::{Label, Point, Report, Value};

/// The unit of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// Nanoseconds.
    #[default]
    Nanos,
    /// Microseconds.
    Micros,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// Minutes, of `/write` alone.
    Minutes,
    /// Hours, of `/write` alone.
    Hours,
    /// As the number's size says, of `/api/v3/write_lp` alone.
    Auto,
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Precision, String> {
        Ok(match text {
            "ns" | "n" | "nanosecond" => Precision::Nanos,
            "us" | "u" | "µ" | "microsecond" => Precision::Micros,
            "ms" | "millisecond" => Precision::Millis,
            "s" | "second" => Precision::Seconds,
            "m" => Precision::Minutes,
            "h" => Precision::Hours,
            "auto" => Precision::Auto,
            other => {
                let shown: String = other.chars().take(40).collect();
                return Err(format!("invalid precision `{shown}`: send ns, us, ms or s"));
            }
        })
    }
}

impl Precision {
    /// Nanoseconds since 1970; `None` where they do not fit 64 bits.
    fn nanos(self, time: i64) -> Option<i64> {
        let unit = match self {
            Precision::Nanos => 1,
            Precision::Micros => 1_000,
            Precision::Millis => 1_000_000,
            Precision::Seconds => 1_000_000_000,
            Precision::Minutes => 60_000_000_000,
            Precision::Hours => 3_600_000_000_000,
            // The bounds that InfluxDB 3 has.
            Precision::Auto => match time.unsigned_abs() {
                ..5_000_000_000 => 1_000_000_000,
                5_000_000_000..5_000_000_000_000 => 1_000_000,
                5_000_000_000_000..5_000_000_000_000_000 => 1_000,
                5_000_000_000_000_000.. => 1,
            },
        };
        time.checked_mul(unit)
    }
}

/// Reads the lines of a body.
pub(crate) fn read<E>(
    body: &[u8],
    precision: Precision,
    emit: &mut Emit<'_, '_, E>,
) -> Result<(), Stop<E>> {
    match std::str::from_utf8(body) {
        Ok(text) => {
            for (line, at) in split_lines(text).zip(1..) {
                read_line(line, at, precision, emit)?;
            }
        }
        // A broken byte spoils its own line alone; a text with line feeds in it does too, then.
        Err(_) => {
            for (line, at) in body.split(|byte| *byte == b'\n').zip(1..) {
                match std::str::from_utf8(line) {
                    Ok(line) => read_line(line, at, precision, emit)?,
                    Err(_) => {
                        emit.at(at);
                        emit.unreadable("not UTF-8".to_owned());
                    }
                }
            }
        }
    }
    Ok(())
}

fn read_line<E>(
    line: &str,
    at: u64,
    precision: Precision,
    emit: &mut Emit<'_, '_, E>,
) -> Result<(), Stop<E>> {
    emit.at(at);
    match parse_lines(line).next() {
        None => {}
        Some(Err(error)) => {
            let shown: String = line.trim().chars().take(80).collect();
            emit.unreadable(format!("unable to parse `{shown}`: {error}"));
        }
        Some(Ok(parsed)) => {
            let nanos = match parsed.timestamp {
                None => None,
                Some(time) => match precision.nanos(time) {
                    Some(nanos) => Some(nanos),
                    None => {
                        emit.unreadable(format!(
                            "the time {time} is out of range: is `precision` right?"
                        ));
                        return Ok(());
                    }
                },
            };
            take(&parsed, nanos, emit)?;
        }
    }
    Ok(())
}

fn take<E>(
    line: &ParsedLine<'_>,
    nanos: Option<i64>,
    emit: &mut Emit<'_, '_, E>,
) -> Result<(), Stop<E>> {
    let tags = line.series.tag_set.iter().flatten();
    let labels: Vec<Label<'_>> = tags
        .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
        .collect();
    let fields = line.field_set.iter().map(|(name, value)| {
        let value = match value {
            FieldValue::I64(number) => Value::Number(*number as f64),
            FieldValue::U64(number) => Value::Number(*number as f64),
            FieldValue::F64(number) => Value::Number(*number),
            FieldValue::Boolean(value) => Value::Bool(*value),
            FieldValue::String(text) => Value::Text(text.as_str()),
        };
        (name.as_str(), value)
    });
    emit.point(&Point {
        name: line.series.measurement.as_str(),
        labels: &labels,
        nanos,
        values: &fields.collect::<Vec<_>>(),
    })?;
    Ok(())
}

/// Which of InfluxDB's ways to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `/write`.
    V1,
    /// `/api/v2/write`.
    V2,
    /// `/api/v3/write_lp`.
    V3,
}

/// The answer to lines of which some were refused.
pub(crate) fn partial(report: &Report, api: Api) -> Vec<u8> {
    let dropped = report.refused;
    let told = format!("partial write: {}; dropped={dropped}", report.told("line"));
    let answer = match api {
        Api::V1 | Api::V2 => return refused(api, 400, &told),
        Api::V3 => {
            let lines = report.reasons.iter().map(|(line, reason)| {
                json!({"line_number": line, "error_message": reason, "original_line": ""})
            });
            json!({"error": "partial write of line protocol occurred", "data": lines.collect::<Vec<_>>()})
        }
    };
    answer.to_string().into_bytes()
}

/// The answer to a request that was refused.
pub(crate) fn refused(api: Api, status: u16, message: &str) -> Vec<u8> {
    let code = match status {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not found",
        413 => "request too large",
        429 => "too many requests",
        503 | 408 => "unavailable",
        500.. => "internal error",
        _ => "invalid",
    };
    let answer = match api {
        Api::V1 | Api::V3 => json!({"error": message}),
        Api::V2 => json!({"code": code, "message": message}),
    };
    answer.to_string().into_bytes()
}
