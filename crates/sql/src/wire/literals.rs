//! Literals of the types of PostgreSQL.

use arrow::compute::kernels::cast_utils::string_to_datetime;
use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::sql::sqlparser::ast::{Array, DataType, Expr, TimezoneInfo, Value};

use super::error::PgError;
use crate::catalog::build::{call, cast, text};
use crate::catalog::types;

/// NULL of a type, for a plan that only says what the answer's columns are.
pub(super) fn null(oid: u32) -> Expr {
    let data_type = match types::by_oid(oid) {
        Some((pg, array)) => {
            let element = sql_type(pg.oid);
            if array {
                use datafusion::sql::sqlparser::ast::ArrayElemTypeDef::SquareBracket;
                DataType::Array(SquareBracket(Box::new(element), None))
            } else {
                element
            }
        }
        None => DataType::Text,
    };
    cast(Expr::value(Value::Null), data_type)
}

fn sql_type(oid: u32) -> DataType {
    match oid {
        16 => DataType::Boolean,
        17 => DataType::Bytea,
        20 => DataType::BigInt(None),
        21 => DataType::SmallInt(None),
        23 => DataType::Int(None),
        26 => DataType::IntUnsigned(None),
        700 => DataType::Real,
        701 | 1700 => DataType::DoublePrecision,
        1082 => DataType::Date,
        1083 => DataType::Time(None, TimezoneInfo::None),
        1114 => DataType::Timestamp(None, TimezoneInfo::None),
        1184 => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        1186 => DataType::Interval {
            fields: None,
            precision: None,
        },
        _ => DataType::Text,
    }
}

/// An array of literals.
pub(super) fn array(elem: Vec<Expr>) -> Expr {
    Expr::Array(Array { elem, named: true })
}

fn invalid(oid: u32, value: &str) -> PgError {
    let code = if matches!(oid, 1082 | 1083 | 1114 | 1184) {
        "22007"
    } else {
        "22P02"
    };
    PgError::new(
        code,
        format!(
            "invalid input syntax for type {}: \"{value}\"",
            types::sql_name(oid)
        ),
    )
}

/// A value in its text form as a literal.
pub(super) fn typed(oid: u32, value: &str) -> Result<Expr, PgError> {
    let wrong = || invalid(oid, value);
    let trimmed = value.trim();
    Ok(match oid {
        16 => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Expr::value(Value::Boolean(true)),
            "f" | "false" | "n" | "no" | "off" | "0" => Expr::value(Value::Boolean(false)),
            _ => return Err(wrong()),
        },
        20 | 21 | 23 => {
            let number: i64 = trimmed.parse().map_err(|_| wrong())?;
            Expr::value(Value::Number(number.to_string(), false))
        }
        26 => {
            let number: u32 = trimmed.parse().map_err(|_| wrong())?;
            cast(
                Expr::value(Value::Number(number.to_string(), false)),
                DataType::IntUnsigned(None),
            )
        }
        700 | 701 | 1700 => {
            let number: f64 = trimmed.parse().map_err(|_| wrong())?;
            if number.is_finite() {
                Expr::value(Value::Number(format!("{number:?}"), false))
            } else {
                cast(text(&number.to_string()), DataType::DoublePrecision)
            }
        }
        1082 => cast(text(trimmed), DataType::Date),
        1083 => cast(text(trimmed), DataType::Time(None, TimezoneInfo::None)),
        1114 | 1184 => {
            let time = string_to_datetime(&Utc, trimmed).map_err(|_| wrong())?;
            moment(oid, time)
        }
        1186 => cast(
            text(trimmed),
            DataType::Interval {
                fields: None,
                precision: None,
            },
        ),
        _ => text(value),
    })
}

/// A moment as a literal of `timestamptz` or `timestamp`.
pub(super) fn moment(oid: u32, time: DateTime<Utc>) -> Expr {
    let (written, kind) = if oid == 1184 {
        (
            time.to_rfc3339_opts(SecondsFormat::Micros, true),
            "Timestamp(Microsecond, Some(\"UTC\"))",
        )
    } else {
        (
            time.naive_utc().format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
            "Timestamp(Microsecond, None)",
        )
    };
    call("arrow_cast", vec![text(&written), text(kind)])
}
