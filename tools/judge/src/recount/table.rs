//! The rows of an aggregates object, in either format.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use aws::Object;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::{AGGREGATES, Hour};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use crate::columns::{column, full_column, utc};

/// Name of the object metadata that holds the last commit counted.
const COMMIT: &str = "commit";

/// The figures of a row in the order in which they are held.
pub(super) const FIGURES: [&str; 7] = ["min", "max", "mean", "stddev", "p50", "p95", "p99"];

/// How an aggregates object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Parquet: the aggregator's own state.
    Parquet,
    /// JSON lines, which follow from it.
    Jsonl,
}

/// The place of an aggregates object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableKey<'a> {
    /// The name of the kind.
    pub kind: &'a str,
    /// The event hour.
    pub hour: Hour,
    /// The format, as the extension says.
    pub format: TableFormat,
}

impl<'a> TableKey<'a> {
    /// Reads `aggregates/year=…/month=…/day=…/hour=…/<kind>.parquet` or `….jsonl`; `None` if the key
    /// is not of that form.
    pub fn parse(key: &'a str) -> Option<TableKey<'a>> {
        let (hour, name) = key.strip_prefix(AGGREGATES)?.rsplit_once('/')?;
        let (kind, extension) = name.rsplit_once('.')?;
        let format = match extension {
            "parquet" => TableFormat::Parquet,
            "jsonl" => TableFormat::Jsonl,
            _ => return None,
        };
        Some(TableKey {
            kind,
            hour: Hour::parse(hour)?,
            format,
        })
    }
}

/// An aggregates object that was read.
#[derive(Debug)]
pub struct Table {
    pub(super) key: String,
    pub(super) format: TableFormat,
    pub(super) commit: u64,
    pub(super) rows: Vec<AggregateRow>,
}

/// A row of the object, by the names of the JSONL.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct AggregateRow {
    pub(super) kind: String,
    pub(super) entity_id: String,
    /// `None` where it is no time.
    pub(super) event_hour: Option<DateTime<Utc>>,
    pub(super) signal: String,
    pub(super) unit: Option<String>,
    pub(super) messages: u64,
    pub(super) count: u64,
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    stddev: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    /// How many values are texts; in Parquet alone.
    #[serde(skip)]
    pub(super) texts: Option<u64>,
}

impl AggregateRow {
    /// In the order of [`FIGURES`].
    pub(super) fn figures(&self) -> [Option<f64>; 7] {
        [
            self.min,
            self.max,
            self.mean,
            self.stddev,
            self.p50,
            self.p95,
            self.p99,
        ]
    }
}

impl Table {
    /// Reads the object of that key.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn read(key: &str, object: Object) -> Result<Table, String> {
        let format = TableKey::parse(key)
            .ok_or("its key names no event hour and kind")?
            .format;
        let commit = commit_of(&object.metadata)?;
        let rows = match format {
            TableFormat::Parquet => parquet_rows(object.body)?,
            TableFormat::Jsonl => jsonl_rows(&object.body)?,
        };
        Ok(Table {
            key: key.to_owned(),
            format,
            commit,
            rows,
        })
    }

    /// The last commit that it counts.
    pub fn commit(&self) -> u64 {
        self.commit
    }
}

fn commit_of(metadata: &HashMap<String, String>) -> Result<u64, String> {
    let text = metadata
        .get(COMMIT)
        .ok_or("its metadata names no commit".to_owned())?;
    text.parse()
        .map_err(|_| format!("its metadata names commit `{text}`, which is no number"))
}

fn jsonl_rows(body: &[u8]) -> Result<Vec<AggregateRow>, String> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", at + 1))
        })
        .collect()
}

fn parquet_rows(file: Bytes) -> Result<Vec<AggregateRow>, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for batch in reader {
        batch_rows(&batch.map_err(|error| error.to_string())?, &mut rows)?;
    }
    Ok(rows)
}

fn batch_rows(batch: &RecordBatch, rows: &mut Vec<AggregateRow>) -> Result<(), String> {
    let text = |name| -> Result<StringArray, String> {
        Ok(full_column(batch, name, &DataType::Utf8)?
            .as_string()
            .clone())
    };
    let whole = |name| -> Result<Int64Array, String> {
        let column = full_column(batch, name, &DataType::Int64)?;
        Ok(column.as_primitive::<Int64Type>().clone())
    };
    let [kinds, entities, signals] = [text("kind")?, text("entity_id")?, text("signal")?];
    let units = column(batch, "unit", &DataType::Utf8)?;
    let units = units.as_string::<i32>();
    let hours = full_column(batch, "event_hour", &utc(TimeUnit::Millisecond))?;
    let hours = hours.as_primitive::<TimestampMillisecondType>();
    let [messages, counts, texts] = [whole("messages")?, whole("count")?, whole("texts")?];
    let mut figures: Vec<Float64Array> = Vec::with_capacity(FIGURES.len());
    for name in FIGURES {
        let column = column(batch, name, &DataType::Float64)?;
        figures.push(column.as_primitive::<Float64Type>().clone());
    }
    rows.reserve(batch.num_rows());
    for row in 0..batch.num_rows() {
        let at = |name: &str, column: &Int64Array| {
            let value = column.value(row);
            u64::try_from(value).map_err(|_| format!("row {row} has {name} {value}"))
        };
        let [min, max, mean, stddev, p50, p95, p99] = std::array::from_fn(|figure| {
            let column = &figures[figure];
            column.is_valid(row).then(|| column.value(row))
        });
        rows.push(AggregateRow {
            kind: kinds.value(row).to_owned(),
            entity_id: entities.value(row).to_owned(),
            event_hour: DateTime::from_timestamp_millis(hours.value(row)),
            signal: signals.value(row).to_owned(),
            unit: units.is_valid(row).then(|| units.value(row).to_owned()),
            messages: at("messages", &messages)?,
            count: at("count", &counts)?,
            min,
            max,
            mean,
            stddev,
            p50,
            p95,
            p99,
            texts: Some(at("texts", &texts)?),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "aggregates/year=2025/month=10/day=04/hour=12/vehicle.jsonl";

    fn object(body: &str, commit: &str) -> Object {
        Object {
            body: Bytes::from(body.to_owned()),
            etag: String::new(),
            metadata: HashMap::from([(COMMIT.to_owned(), commit.to_owned())]),
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (key, body, commit, why) in [
            (KEY, "{", "3", "line 1"),
            (KEY, "{\"kind\":1}", "3", "line 1"),
            (KEY, "", "three", "`three`"),
            ("aggregates/vehicle.jsonl", "", "3", "event hour"),
            (&KEY.replace("jsonl", "parquet"), "PAR1", "3", "Parquet"),
        ] {
            let error = Table::read(key, object(body, commit)).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let mut nameless = object("", "");
        nameless.metadata.clear();
        let error = Table::read(KEY, nameless).unwrap_err();
        assert!(error.contains("no commit"), "{error}");
        assert_eq!(Table::read(KEY, object("", "3")).unwrap().commit(), 3);
    }
}
