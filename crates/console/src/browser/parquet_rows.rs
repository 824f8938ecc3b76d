//! The first rows of a Parquet file as JSON.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use aws::{Lake, ObjectInfo};
use chrono::{DateTime, SecondsFormat, Utc};
use engine::read::{PartError, first_rows};
use engine::snapshot::Part;
use serde_json::{Map, Value, json};

use super::first_lines::cut;
use super::object::{BeginningBody, ColumnBody, SHOWN};
use crate::refusal::Refusal;

/// Most columns that are named.
const MOST_COLUMNS: usize = 1000;

/// Fills in what the file shows; what it does not, it says in words.
pub(super) async fn parquet_rows(
    lake: &Lake,
    object: &ObjectInfo,
    body: &mut BeginningBody,
) -> Result<(), Refusal> {
    let part = Part {
        key: object.key.clone(),
        etag: object.etag.clone(),
        size: object.size,
    };
    let shown = match first_rows(lake, &part, SHOWN).await {
        Ok(shown) => shown,
        Err(PartError::Call { source, .. }) => return Err(source.into()),
        Err(error) => {
            body.error = Some(service::errors::chain(&error));
            return Ok(());
        }
    };
    body.rows = Some(shown.rows);
    body.schema = columns(&shown.schema);
    match shown.first {
        Ok(first) => body.first_rows = rows(&first),
        Err(reason) => body.error = Some(format!("the first rows cannot be shown: {reason}")),
    }
    if body.error.is_none() && shown.left_out > 0 {
        body.error = Some(format!(
            "{} columns are not shown: those before them are too large",
            shown.left_out
        ));
    }
    Ok(())
}

fn columns(schema: &SchemaRef) -> Vec<ColumnBody> {
    let fields = schema.fields().iter().take(MOST_COLUMNS);
    let columns = fields.map(|field| ColumnBody {
        name: field.name().clone(),
        data_type: cut(field.data_type().to_string()),
    });
    columns.collect()
}

fn rows(batch: &RecordBatch) -> Vec<Map<String, Value>> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns: Vec<(&String, Vec<Value>)> = columns
        .map(|(field, column)| (field.name(), values(column)))
        .collect();
    let row = |row: usize| {
        let values = columns
            .iter()
            .map(|(name, values)| ((*name).clone(), values[row].clone()));
        values.collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The values of a column, which are as many as it has rows.
fn values(column: &dyn Array) -> Vec<Value> {
    let options = FormatOptions::default().with_display_error(true);
    let formatter = ArrayFormatter::try_new(column, &options);
    let text_of = |row: usize| match &formatter {
        Ok(formatter) => cut(formatter.value(row).to_string()),
        Err(error) => error.to_string(),
    };
    let value = |row: usize| {
        if column.is_null(row) {
            return Value::Null;
        }
        match column.data_type() {
            DataType::Boolean => json!(column.as_boolean().value(row)),
            DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
            DataType::Float32 => json!(column.as_primitive::<Float32Type>().value(row)),
            DataType::Timestamp(unit, _) => {
                let time = time(column, *unit, row);
                let text = time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
                Value::String(text.unwrap_or_else(|| text_of(row)))
            }
            // Past these a number of JavaScript has another value than the text.
            other if other.is_integer() => {
                let text = text_of(row);
                let number = text
                    .parse::<i64>()
                    .ok()
                    .filter(|number| number.unsigned_abs() < 1 << 53);
                number.map_or(Value::String(text), |number| json!(number))
            }
            _ => Value::String(text_of(row)),
        }
    };
    (0..column.len()).map(value).collect()
}

/// A time of a column, which is in UTC whatever zone it is to be shown in.
fn time(column: &dyn Array, unit: TimeUnit, row: usize) -> Option<DateTime<Utc>> {
    match unit {
        TimeUnit::Second => {
            DateTime::from_timestamp(column.as_primitive::<TimestampSecondType>().value(row), 0)
        }
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(
            column.as_primitive::<TimestampMillisecondType>().value(row),
        ),
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(
            column.as_primitive::<TimestampMicrosecondType>().value(row),
        ),
        TimeUnit::Nanosecond => {
            let nanos = column.as_primitive::<TimestampNanosecondType>().value(row);
            Some(DateTime::from_timestamp_nanos(nanos))
        }
    }
}
