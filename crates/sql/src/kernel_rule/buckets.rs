//! Which expressions of a time are time buckets.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator};

use crate::bounds::{TIME, is_column};

/// Microseconds of a second, and of a day.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The length in microseconds of the time buckets that the expression tells apart: times have the same value exactly
/// if they lie between the same two multiples of it since 1970. None if the expression is no such thing.
///
/// `floor(extract(epoch FROM event_time) / 300) * 300` is one up to the year 2065: from then on a double is too coarse
/// to tell the last microsecond of a bucket from the next bucket, and DataFusion counts it there.
pub(crate) fn step_of(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Alias(alias) => step_of(&alias.expr),
        Expr::ScalarFunction(call) => of_call(call),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == Operator::Multiply => {
            // Any factor but 0 keeps buckets apart.
            let (Expr::ScalarFunction(call), Some(factor)) = (&**left, number(right)) else {
                return None;
            };
            of_floor(call).filter(|_| factor.is_normal())
        }
        _ => None,
    }
}

fn of_call(call: &ScalarFunction) -> Option<i64> {
    match (call.func.name(), &call.args[..]) {
        ("floor", _) => of_floor(call),
        ("date_bin" | "time_bucket", [length, time]) if is_time(time) => length_of(length),
        ("date_trunc", [unit, time]) if is_time(time) => {
            match text(unit)?.to_ascii_lowercase().as_str() {
                "second" => Some(SECOND),
                "minute" => Some(60 * SECOND),
                "hour" => Some(3600 * SECOND),
                "day" => Some(DAY),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `floor(extract(epoch FROM event_time) / seconds)`, of whole seconds.
fn of_floor(call: &ScalarFunction) -> Option<i64> {
    let ("floor", [Expr::BinaryExpr(division)]) = (call.func.name(), &call.args[..]) else {
        return None;
    };
    let (Expr::ScalarFunction(epoch), Operator::Divide) = (&*division.left, division.op) else {
        return None;
    };
    let ("date_part", [part, time]) = (epoch.func.name(), &epoch.args[..]) else {
        return None;
    };
    let seconds = number(&division.right)?;
    let is_epoch = text(part)?.eq_ignore_ascii_case("epoch");
    let is_whole = seconds.fract() == 0.0 && (1.0..=1e9).contains(&seconds);
    (is_epoch && is_time(time) && is_whole).then_some(seconds as i64 * SECOND)
}

/// The event time as it is, or as another type that tells microseconds apart.
pub(super) fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(Cast { expr, field }) => is_column(expr, TIME) && is_fine(field.data_type()),
        _ => is_column(expr, TIME),
    }
}

fn is_fine(r#type: &DataType) -> bool {
    let DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, zone) = r#type else {
        return false;
    };
    is_utc(zone.as_deref())
}

/// Whether hours and days of this time zone begin with those of UTC.
pub(super) fn is_utc(zone: Option<&str>) -> bool {
    zone.is_none_or(|zone| {
        matches!(
            zone,
            "UTC" | "Utc" | "utc" | "Etc/UTC" | "Z" | "+00:00" | "+00"
        )
    })
}

/// A length that is the same at all times.
fn length_of(expr: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    let micros = match value {
        ScalarValue::IntervalMonthDayNano(Some(length)) if length.months == 0 => {
            let nanos = length.nanoseconds;
            let whole = (nanos % 1000 == 0).then_some(nanos / 1000)?;
            i64::from(length.days)
                .checked_mul(DAY)?
                .checked_add(whole)?
        }
        ScalarValue::IntervalDayTime(Some(length)) => {
            let days = i64::from(length.days).checked_mul(DAY)?;
            days.checked_add(i64::from(length.milliseconds) * 1000)?
        }
        _ => return None,
    };
    (micros > 0).then_some(micros)
}

fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(ScalarValue::Float64(number), _) => *number,
        Expr::Literal(ScalarValue::Int64(number), _) => number.map(|number| number as f64),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}
