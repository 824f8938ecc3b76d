//! Values of parameters in the binary form of the protocol.

use bytes::Buf;
use chrono::{DateTime, NaiveDate, Utc};
use datafusion::sql::sqlparser::ast::{Expr, Value};

use super::error::PgError;
use super::literals::{array, moment, null, typed};
use crate::catalog::types;

/// Microseconds from 1970 to 2000, where PostgreSQL's binary times start.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// The value in its binary form as a literal.
pub(super) fn from_binary(oid: u32, mut value: &[u8]) -> Result<Expr, PgError> {
    let short = || {
        PgError::new(
            "22P03",
            format!(
                "incorrect binary data format for type {}",
                types::sql_name(oid)
            ),
        )
    };
    if let Some((pg, true)) = types::by_oid(oid) {
        let dimensions = value.try_get_i32().map_err(|_| short())?;
        value.try_get_i32().map_err(|_| short())?;
        value.try_get_u32().map_err(|_| short())?;
        if dimensions == 0 {
            return Ok(array(Vec::new()));
        }
        if dimensions != 1 {
            return Err(PgError::new(
                "0A000",
                "arrays of more than one dimension are not supported",
            ));
        }
        let count = value.try_get_i32().map_err(|_| short())?;
        value.try_get_i32().map_err(|_| short())?;
        let mut items = Vec::new();
        for _ in 0..count {
            let length = value.try_get_i32().map_err(|_| short())?;
            if length < 0 {
                items.push(null(pg.oid));
                continue;
            }
            let (item, rest) = value.split_at_checked(length as usize).ok_or_else(short)?;
            items.push(from_binary(pg.oid, item)?);
            value = rest;
        }
        return Ok(array(items));
    }
    let written = match oid {
        16 => (value.try_get_u8().map_err(|_| short())? != 0).to_string(),
        20 => value.try_get_i64().map_err(|_| short())?.to_string(),
        21 => value.try_get_i16().map_err(|_| short())?.to_string(),
        23 => value.try_get_i32().map_err(|_| short())?.to_string(),
        26 => value.try_get_u32().map_err(|_| short())?.to_string(),
        700 => format!("{:?}", value.try_get_f32().map_err(|_| short())?),
        701 => format!("{:?}", value.try_get_f64().map_err(|_| short())?),
        1082 => {
            let days = value.try_get_i32().map_err(|_| short())?;
            let date = NaiveDate::from_epoch_days(days.saturating_add(10_957));
            date.ok_or_else(|| PgError::new("22008", "date out of range"))?
                .to_string()
        }
        1083 => {
            let micros = value.try_get_i64().map_err(|_| short())?;
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            format!(
                "{:02}:{:02}:{:02}.{rest:06}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            )
        }
        1114 | 1184 => {
            let micros = value
                .try_get_i64()
                .map_err(|_| short())?
                .saturating_add(EPOCH_2000_US);
            let time = DateTime::<Utc>::from_timestamp_micros(micros);
            return Ok(moment(
                oid,
                time.ok_or_else(|| PgError::new("22008", "timestamp out of range"))?,
            ));
        }
        1186 => {
            let micros = value.try_get_i64().map_err(|_| short())?;
            let days = value.try_get_i32().map_err(|_| short())?;
            let months = value.try_get_i32().map_err(|_| short())?;
            format!("{months} months {days} days {micros} microseconds")
        }
        1700 => numeric(value).ok_or_else(short)?,
        2950 => {
            let bytes: [u8; 16] = value.try_into().map_err(|_| short())?;
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!(
                "{}-{}-{}-{}-{}",
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..]
            )
        }
        17 => {
            let hex: String = value.iter().map(|byte| format!("{byte:02X}")).collect();
            return Ok(Expr::value(Value::HexStringLiteral(hex)));
        }
        3802 => {
            // A number of the form, then the text.
            let (_, json) = value.split_first().ok_or_else(short)?;
            String::from_utf8(json.to_vec()).map_err(|_| short())?
        }
        _ => String::from_utf8(value.to_vec()).map_err(|_| short())?,
    };
    typed(oid, &written)
}

fn numeric(mut value: &[u8]) -> Option<String> {
    let groups = value.try_get_i16().ok()?;
    let weight = value.try_get_i16().ok()?;
    let sign = value.try_get_u16().ok()?;
    let scale = value.try_get_i16().ok()?;
    if sign == 0xC000 {
        return Some("NaN".to_owned());
    }
    let groups: Vec<i16> = (0..groups)
        .map(|_| value.try_get_i16().ok())
        .collect::<Option<_>>()?;
    let group = |index: i32| {
        usize::try_from(index)
            .ok()
            .and_then(|index| groups.get(index))
            .copied()
            .unwrap_or(0)
    };
    let mut text = String::from(if sign == 0x4000 { "-" } else { "" });
    if weight < 0 {
        text.push('0');
    }
    for index in 0..=i32::from(weight) {
        text.push_str(&if index == 0 {
            group(index).to_string()
        } else {
            format!("{:04}", group(index))
        });
    }
    let mut fraction = String::new();
    let mut index = i32::from(weight) + 1;
    while fraction.len() < usize::try_from(scale).ok()? {
        fraction.push_str(&format!("{:04}", group(index)));
        index += 1;
    }
    fraction.truncate(scale as usize);
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(&fraction);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_from_binary() {
        let bytes = [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x2c];
        assert_eq!(numeric(&bytes).unwrap(), "-12345.670");
    }
}
