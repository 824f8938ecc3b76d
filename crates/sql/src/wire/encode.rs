//! Values as the protocol sends them, in text and in binary.

use std::fmt::Write;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Field, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, UInt32Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};
use pgwire::messages::data::DataRow;

use super::texts::{date, float, interval, numeric, time, timestamp};
use crate::catalog::types;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// Number of the PostgreSQL type.
    pub oid: u32,
}

/// Microseconds from 1970 to 2000, where PostgreSQL's binary times start.
const EPOCH_2000_US: i64 = 946_684_800_000_000;
const EPOCH_2000_DAYS: i32 = 10_957;

/// Rows of one batch, ready to be written.
pub struct Encoder<'a> {
    arrays: Vec<ArrayRef>,
    columns: &'a [Column],
    formats: &'a [i16],
    zone: Tz,
}

impl<'a> Encoder<'a> {
    /// For the rows of `batch`; `formats` as in the message Bind: none for text, one for all columns, or one for each.
    ///
    /// # Errors
    ///
    /// When a column is of a type that has no form.
    pub fn new(
        batch: &RecordBatch,
        columns: &'a [Column],
        formats: &'a [i16],
        zone: Tz,
    ) -> Result<Encoder<'a>, ArrowError> {
        let arrays = batch
            .columns()
            .iter()
            .map(plain)
            .collect::<Result<_, _>>()?;
        Ok(Encoder {
            arrays,
            columns,
            formats,
            zone,
        })
    }

    /// One row.
    pub fn row(&self, row: usize) -> DataRow {
        let mut out = BytesMut::with_capacity(16 * self.arrays.len());
        for (index, array) in self.arrays.iter().enumerate() {
            let oid = self.columns.get(index).map_or(25, |column| column.oid);
            field(
                array,
                row,
                oid,
                format_of(self.formats, index) == 1,
                self.zone,
                &mut out,
            );
        }
        DataRow::new(out, self.arrays.len() as i16)
    }

    /// One value as text; false when it is NULL.
    pub fn text(&self, row: usize, column: usize, out: &mut BytesMut) -> bool {
        match self.arrays.get(column) {
            Some(array) if array.is_valid(row) => {
                write_text(array, row, self.zone, out);
                true
            }
            _ => false,
        }
    }
}

/// The format of a column: 0 text, 1 binary.
pub fn format_of(formats: &[i16], index: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(index).copied().unwrap_or(0),
    }
}

/// One of few types for every type: fewer forms to write.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Int8 | DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into()))
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            DataType::Interval(IntervalUnit::MonthDayNano)
        }
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(std::sync::Arc::new(Field::new_list_field(
                plain_type(item.data_type()),
                true,
            )))
        }
        DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Null
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => DataType::Utf8,
        other => other.clone(),
    }
}

fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if matches!(
        array.data_type(),
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..)
    ) {
        let options = FormatOptions::default();
        let formatter = ArrayFormatter::try_new(array, &options)?;
        let texts: StringArray = (0..array.len())
            .map(|row| {
                array
                    .is_valid(row)
                    .then(|| formatter.value(row).to_string())
            })
            .collect();
        return Ok(std::sync::Arc::new(texts));
    }
    let plain = plain_type(array.data_type());
    if plain == *array.data_type() {
        Ok(array.clone())
    } else {
        cast(array, &plain)
    }
}

/// The value with its length before it; -1 for NULL.
fn field(array: &ArrayRef, row: usize, oid: u32, binary: bool, zone: Tz, out: &mut BytesMut) {
    let start = out.len();
    out.put_i32(-1);
    if array.is_null(row) {
        return;
    }
    if binary {
        write_binary(array, row, oid, zone, out);
    } else {
        write_text(array, row, zone, out);
    }
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn write_text(array: &ArrayRef, row: usize, zone: Tz, out: &mut BytesMut) {
    // Writing into a buffer in memory cannot fail.
    let _ = match array.data_type() {
        DataType::Boolean => out.write_str(if array.as_boolean().value(row) {
            "t"
        } else {
            "f"
        }),
        DataType::Int16 => write!(out, "{}", array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => write!(out, "{}", array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt32 => write!(out, "{}", array.as_primitive::<UInt32Type>().value(row)),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            out.write_str(&float(
                f64::from(value),
                &format!("{value}"),
                &format!("{value:e}"),
            ))
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            out.write_str(&float(value, &format!("{value}"), &format!("{value:e}")))
        }
        DataType::Utf8 => out.write_str(array.as_string::<i32>().value(row)),
        DataType::Date32 => out.write_str(&date(array.as_primitive::<Date32Type>().value(row))),
        DataType::Time64(_) => out.write_str(&time(
            array.as_primitive::<Time64MicrosecondType>().value(row),
        )),
        DataType::Timestamp(_, zoned) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            out.write_str(&timestamp(micros, zoned.is_some().then_some(zone)))
        }
        DataType::Interval(_) => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            out.write_str(&interval(
                value.months,
                value.days,
                value.nanoseconds / 1000,
            ))
        }
        DataType::Binary => {
            let bytes = array.as_binary::<i32>().value(row);
            let _ = out.write_str("\\x");
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
        }
        DataType::List(_) => {
            list_text(&array.as_list::<i32>().value(row), zone, out);
            Ok(())
        }
        _ => Ok(()),
    };
}

fn list_text(items: &ArrayRef, zone: Tz, out: &mut BytesMut) {
    out.put_u8(b'{');
    for index in 0..items.len() {
        if index > 0 {
            out.put_u8(b',');
        }
        if items.is_null(index) {
            out.put_slice(b"NULL");
            continue;
        }
        let mut item = BytesMut::new();
        write_text(items, index, zone, &mut item);
        let nested = matches!(items.data_type(), DataType::List(_));
        let special = |byte: &u8| {
            matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',') || byte.is_ascii_whitespace()
        };
        let quoted =
            item.is_empty() || item.iter().any(special) || item.eq_ignore_ascii_case(b"null");
        if quoted && !nested {
            out.put_u8(b'"');
            for byte in item {
                if matches!(byte, b'"' | b'\\') {
                    out.put_u8(b'\\');
                }
                out.put_u8(byte);
            }
            out.put_u8(b'"');
        } else {
            out.put_slice(&item);
        }
    }
    out.put_u8(b'}');
}

fn write_binary(array: &ArrayRef, row: usize, oid: u32, zone: Tz, out: &mut BytesMut) {
    match array.data_type() {
        DataType::Boolean => out.put_u8(array.as_boolean().value(row).into()),
        DataType::Int16 => out.put_i16(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => out.put_i32(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => out.put_i64(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt32 => out.put_u32(array.as_primitive::<UInt32Type>().value(row)),
        DataType::Float32 => out.put_f32(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => out.put_f64(array.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => {
            out.put_i32(
                array
                    .as_primitive::<Date32Type>()
                    .value(row)
                    .saturating_sub(EPOCH_2000_DAYS),
            );
        }
        DataType::Time64(_) => {
            out.put_i64(array.as_primitive::<Time64MicrosecondType>().value(row))
        }
        DataType::Timestamp(..) => {
            out.put_i64(
                array
                    .as_primitive::<TimestampMicrosecondType>()
                    .value(row)
                    .saturating_sub(EPOCH_2000_US),
            );
        }
        DataType::Interval(_) => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            out.put_i64(value.nanoseconds / 1000);
            out.put_i32(value.days);
            out.put_i32(value.months);
        }
        DataType::Binary => out.put_slice(array.as_binary::<i32>().value(row)),
        DataType::Utf8 if oid == 1700 => numeric(array.as_string::<i32>().value(row), out),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let element = types::by_oid(oid).map_or(25, |(pg, _)| pg.oid);
            out.put_i32(i32::from(!items.is_empty()));
            out.put_i32(i32::from(items.null_count() > 0));
            out.put_u32(element);
            if !items.is_empty() {
                out.put_i32(items.len() as i32);
                out.put_i32(1);
            }
            for index in 0..items.len() {
                field(&items, index, element, true, zone, out);
            }
        }
        _ => write_text(array, row, zone, out),
    }
}
