//! An hour's aggregates as readers get them: Parquet, which is the state too, and JSONL.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{Field, Float64Type, Int64Type, Schema};
use bytes::Bytes;
use contract::{Hour, Kind};
use parquet::file::metadata::KeyValue;
use serde::Serialize;

use crate::aggregates::fold::{Aggregates, COMMIT, Entity};
use lake::aggregates::sketch::Sketch;
use lake::aggregates::stats::Stats;
use lake::parts::part_file::{from_parquet, text_column, to_parquet};

/// The aggregates of one kind and hour, with what is published of them worked out.
pub(crate) struct Published<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) hour: Hour,
    rows: Vec<Row<'a>>,
}

/// One entity's signal.
struct Row<'a> {
    entity: &'a Entity,
    signal: &'a str,
    unit: Option<&'a str>,
    count: u64,
    /// Min, max, mean, stddev, p50, p95, p99.
    numbers: [Option<f64>; 7],
    stats: &'a Stats,
}

/// The names of a row's numbers.
const NUMBERS: [&str; 7] = ["min", "max", "mean", "stddev", "p50", "p95", "p99"];

impl<'a> Published<'a> {
    pub(crate) fn of(aggregates: &'a Aggregates, kind: &'a Kind, hour: Hour) -> Published<'a> {
        let mut rows = Vec::new();
        for entity in &aggregates.entities {
            for (signal, stats) in &entity.signals {
                let number = |value: f64| stats.is_numeric().then_some(value);
                let [p50, p95, p99] = stats
                    .percentiles()
                    .map_or([None; 3], |found| found.map(Some));
                rows.push(Row {
                    entity,
                    signal,
                    unit: kind
                        .known
                        .get(&**signal)
                        .and_then(|rule| rule.unit.as_deref()),
                    // Where a signal is mostly a number, its stray texts are no values of it.
                    count: if stats.is_numeric() {
                        stats.count - stats.texts
                    } else {
                        stats.count
                    },
                    numbers: [
                        number(stats.min),
                        number(stats.max),
                        number(stats.mean),
                        stats.stddev(),
                        p50,
                        p95,
                        p99,
                    ],
                    stats,
                });
            }
        }
        Published { kind, hour, rows }
    }

    /// One row a line. Keys, kind, hour and signals repeat in every line: they are written out
    /// from what was serialised once.
    pub(crate) fn to_jsonl(&self) -> anyhow::Result<Bytes> {
        let hour = self
            .hour
            .start()
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let start = format!("{{\"kind\":{},\"entity_id\":", json(&self.kind.name)?);
        let mut middles: BTreeMap<&str, String> = BTreeMap::new();
        let mut out = Vec::with_capacity(self.rows.len() * 256);
        for row in &self.rows {
            let middle = match middles.get(row.signal) {
                Some(middle) => middle,
                None => middles.entry(row.signal).or_insert(format!(
                    ",\"event_hour\":{},\"signal\":{},\"unit\":{},\"messages\":",
                    json(&hour)?,
                    json(row.signal)?,
                    json(&row.unit)?
                )),
            };
            out.extend_from_slice(start.as_bytes());
            serde_json::to_writer(&mut out, &row.entity.id)?;
            out.extend_from_slice(middle.as_bytes());
            serde_json::to_writer(&mut out, &row.entity.messages)?;
            out.extend_from_slice(b",\"count\":");
            serde_json::to_writer(&mut out, &row.count)?;
            for (name, number) in NUMBERS.iter().zip(&row.numbers) {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                serde_json::to_writer(&mut out, number)?;
            }
            out.extend_from_slice(b"}\n");
        }
        Ok(out.into())
    }

    /// The rows as Parquet that say themselves which commit is the last they count: what a later
    /// commit comes to is another object then, with another ETag, even where the numbers are the same.
    pub(crate) fn to_parquet(&self, commit: u64) -> anyhow::Result<Bytes> {
        let rows = &self.rows;
        let whole = |of: fn(&Row<'_>) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                rows.iter().map(|row| of(row) as i64),
            ))
        };
        let hours =
            TimestampMillisecondArray::from_value(self.hour.start().timestamp_millis(), rows.len())
                .with_timezone("UTC");
        let kinds = StringArray::from_iter_values(rows.iter().map(|_| &self.kind.name));
        let entities = StringArray::from_iter_values(rows.iter().map(|row| &row.entity.id));
        let signals = StringArray::from_iter_values(rows.iter().map(|row| row.signal));
        let units = StringArray::from_iter(rows.iter().map(|row| row.unit));
        let mut sketches = BinaryBuilder::new();
        let mut sketch = Vec::new();
        for row in rows {
            sketch.clear();
            row.stats.sketch.write_bytes(&mut sketch);
            sketches.append_value(&sketch);
        }
        let mut columns: Vec<(&str, bool, ArrayRef)> = vec![
            ("kind", false, Arc::new(kinds)),
            ("entity_id", false, Arc::new(entities)),
            ("event_hour", false, Arc::new(hours)),
            ("signal", false, Arc::new(signals)),
            ("unit", true, Arc::new(units)),
            ("messages", false, whole(|row| row.entity.messages)),
            ("count", false, whole(|row| row.count)),
        ];
        for (at, name) in NUMBERS.iter().enumerate() {
            let numbers = Float64Array::from_iter(rows.iter().map(|row| row.numbers[at]));
            columns.push((name, true, Arc::new(numbers)));
        }
        columns.push(("texts", false, whole(|row| row.stats.texts)));
        columns.push(("sketch", false, Arc::new(sketches.finish())));
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, null, column)| Field::new(*name, column.data_type().clone(), *null))
            .collect();
        let batch = RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns.into_iter().map(|(.., column)| column).collect(),
        )?;
        // Sorted by entity and signal.
        let commit = KeyValue::new(COMMIT.to_owned(), commit.to_string());
        Ok(to_parquet(
            &batch,
            &[1, 3],
            &["mean", "stddev"],
            vec![commit],
        )?)
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

/// Reads the state back from the Parquet.
pub(crate) fn read_parquet(file: Bytes) -> anyhow::Result<Aggregates> {
    let batch = from_parquet(file, None)?;
    let missing = |name: &str| format!("the aggregates have no column `{name}`");
    let whole = |name: &str| {
        let column = batch
            .column_by_name(name)
            .and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.with_context(|| missing(name))
    };
    let number = |name: &str| {
        let column = batch
            .column_by_name(name)
            .and_then(|column| column.as_primitive_opt::<Float64Type>());
        column.with_context(|| missing(name))
    };
    let (ids, signals) = (
        text_column(&batch, "entity_id")?,
        text_column(&batch, "signal")?,
    );
    let (messages, counts, texts) = (whole("messages")?, whole("count")?, whole("texts")?);
    let (min, max, mean, stddev) = (
        number("min")?,
        number("max")?,
        number("mean")?,
        number("stddev")?,
    );
    let sketches = batch
        .column_by_name("sketch")
        .and_then(|column| column.as_binary_opt::<i32>());
    let sketches = sketches.with_context(|| missing("sketch"))?;
    let mut names: BTreeMap<&str, Arc<str>> = BTreeMap::new();
    let mut aggregates = Aggregates::default();
    for row in 0..batch.num_rows() {
        let (shown, texts) = (counts.value(row) as u64, texts.value(row) as u64);
        let count = if min.is_valid(row) {
            shown + texts
        } else {
            texts
        };
        let mut stats = Stats {
            count,
            texts,
            sketch: Sketch::from_bytes(sketches.value(row))?,
            ..Stats::default()
        };
        if stats.is_numeric() {
            let stddev = stddev.is_valid(row).then(|| stddev.value(row));
            (stats.min, stats.max, stats.mean) = (min.value(row), max.value(row), mean.value(row));
            stats.m2 = Stats::m2_of(stddev, count - texts);
        }
        let (id, signal) = (ids.value(row), signals.value(row));
        let signal = names.entry(signal).or_insert_with(|| signal.into()).clone();
        match aggregates.entities.last_mut() {
            Some(entity) if entity.id == id => entity.signals.push((signal, stats)),
            _ => aggregates.entities.push(Entity {
                id: id.to_owned(),
                messages: messages.value(row) as u64,
                signals: vec![(signal, stats)],
            }),
        }
    }
    let sorted = aggregates.entities.is_sorted_by(|a, b| a.id < b.id)
        && aggregates
            .entities
            .iter()
            .all(|entity| entity.signals.is_sorted_by(|a, b| a.0 < b.0));
    anyhow::ensure!(sorted, "the rows are not sorted by entity and signal");
    Ok(aggregates)
}
