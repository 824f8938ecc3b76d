//! An hour's aggregates: one row for each entity and signal, as Parquet and as JSONL.
//!
//! The Parquet object is the state: its metadata names the last commit that it counts, and its
//! rows hold all that merging needs. It is replaced only where it has not changed since it was
//! read, so a process that froze and wakes changes nothing. The JSONL follows from it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit};
use aws::{Condition, Lake, Outcome};
use bytes::Bytes;
use contract::{Hour, Kind, aggregate_key};
use planted::Defect;
use serde::Serialize;

use crate::curated::{from_parquet, signal_of, text_column, to_parquet};
use crate::sketch::Sketch;
use crate::stats::Stats;

/// Name of the metadata that names the last commit counted.
const COMMIT: &str = "commit";

/// The statistics of one kind and hour.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Aggregates {
    /// Events of each entity.
    messages: BTreeMap<String, u64>,
    /// Statistics by entity and signal.
    stats: BTreeMap<(String, String), Stats>,
}

/// One row of the JSONL.
#[derive(Serialize)]
struct Row<'a> {
    kind: &'a str,
    entity_id: &'a str,
    hour: String,
    signal: &'a str,
    unit: Option<&'a str>,
    messages: u64,
    count: u64,
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    stddev: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

impl Aggregates {
    /// The statistics of the rows of a curated part, which are sorted by entity.
    pub(crate) fn of(batch: &RecordBatch) -> anyhow::Result<Aggregates> {
        let mut aggregates = Aggregates::default();
        let entities = text_column(batch, "entity_id")?;
        let schema = batch.schema();
        let signals: Vec<(&str, &ArrayRef)> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .filter(|(field, _)| field.metadata().contains_key(crate::columns::SIGNAL))
            .map(|(field, column)| (signal_of(field), column))
            .collect();
        let mut start = 0;
        while start < batch.num_rows() {
            let entity = entities.value(start);
            let end = (start..batch.num_rows())
                .find(|row| entities.value(*row) != entity)
                .unwrap_or(batch.num_rows());
            *aggregates.messages.entry(entity.to_owned()).or_default() += (end - start) as u64;
            for (signal, column) in &signals {
                let mut stats = Stats::default();
                add(&mut stats, column, start..end);
                if stats.count > 0 {
                    aggregates
                        .stats
                        .entry((entity.to_owned(), (*signal).to_owned()))
                        .or_default()
                        .merge(&stats);
                }
            }
            start = end;
        }
        Ok(aggregates)
    }

    /// Adds all that `other` counts.
    pub(crate) fn merge(&mut self, other: &Aggregates) {
        for (entity, messages) in &other.messages {
            *self.messages.entry(entity.clone()).or_default() += messages;
        }
        for (key, stats) in &other.stats {
            self.stats.entry(key.clone()).or_default().merge(stats);
        }
    }

    fn rows<'a>(
        &'a self,
        kind: &'a Kind,
        hour: Hour,
    ) -> impl Iterator<Item = (Row<'a>, &'a Stats)> {
        let hour = hour
            .start()
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        self.stats.iter().map(move |((entity, signal), stats)| {
            let [p50, p95, p99] = match stats.percentiles() {
                Some(found) => found.map(Some),
                None => [None; 3],
            };
            let number = |value: f64| stats.is_numeric().then_some(value);
            let row = Row {
                kind: &kind.name,
                entity_id: entity,
                hour: hour.clone(),
                signal,
                unit: kind.known.get(signal).and_then(|rule| rule.unit.as_deref()),
                messages: self.messages.get(entity).copied().unwrap_or_default(),
                // Where a signal is mostly a number, its stray texts are no values of it.
                count: if stats.is_numeric() {
                    stats.count - stats.texts
                } else {
                    stats.count
                },
                min: number(stats.min),
                max: number(stats.max),
                mean: number(stats.mean),
                stddev: stats.stddev(),
                p50,
                p95,
                p99,
            };
            (row, stats)
        })
    }

    fn to_jsonl(&self, kind: &Kind, hour: Hour) -> anyhow::Result<Bytes> {
        let mut out = Vec::new();
        for (row, _) in self.rows(kind, hour) {
            serde_json::to_writer(&mut out, &row)?;
            out.push(b'\n');
        }
        Ok(out.into())
    }

    fn to_parquet(&self, kind: &Kind, hour: Hour) -> anyhow::Result<Bytes> {
        let rows: Vec<_> = self.rows(kind, hour).collect();
        let text = |of: fn(&Row<'_>) -> Option<String>| -> ArrayRef {
            Arc::new(StringArray::from_iter(rows.iter().map(|(row, _)| of(row))))
        };
        let whole = |of: fn(&Row<'_>) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                rows.iter().map(|(row, _)| of(row) as i64),
            ))
        };
        let number = |of: fn(&Row<'_>) -> Option<f64>| -> ArrayRef {
            Arc::new(Float64Array::from_iter(rows.iter().map(|(row, _)| of(row))))
        };
        let hours =
            TimestampMillisecondArray::from_value(hour.start().timestamp_millis(), rows.len())
                .with_timezone("UTC");
        let sketches =
            BinaryArray::from_iter_values(rows.iter().map(|(_, stats)| stats.sketch.to_bytes()));
        let texts = Int64Array::from_iter_values(rows.iter().map(|(_, stats)| stats.texts as i64));
        let columns: [(&str, bool, ArrayRef); 16] = [
            ("kind", false, text(|row| Some(row.kind.to_owned()))),
            (
                "entity_id",
                false,
                text(|row| Some(row.entity_id.to_owned())),
            ),
            ("hour", false, Arc::new(hours)),
            ("signal", false, text(|row| Some(row.signal.to_owned()))),
            ("unit", true, text(|row| row.unit.map(str::to_owned))),
            ("messages", false, whole(|row| row.messages)),
            ("count", false, whole(|row| row.count)),
            ("min", true, number(|row| row.min)),
            ("max", true, number(|row| row.max)),
            ("mean", true, number(|row| row.mean)),
            ("stddev", true, number(|row| row.stddev)),
            ("p50", true, number(|row| row.p50)),
            ("p95", true, number(|row| row.p95)),
            ("p99", true, number(|row| row.p99)),
            ("texts", false, Arc::new(texts)),
            ("sketch", false, Arc::new(sketches)),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, null, column)| Field::new(*name, column.data_type().clone(), *null))
            .collect();
        let batch = RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns.into_iter().map(|(.., column)| column).collect(),
        )?;
        Ok(to_parquet(&batch, &[1, 3])?)
    }

    /// Reads the state back.
    fn from_parquet(file: Bytes) -> anyhow::Result<Aggregates> {
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
        let (entities, signals) = (
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
        let mut aggregates = Aggregates::default();
        for row in 0..batch.num_rows() {
            let entity = entities.value(row).to_owned();
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
                (stats.min, stats.max, stats.mean) =
                    (min.value(row), max.value(row), mean.value(row));
                stats.m2 = Stats::m2_of(stddev, count - texts);
            }
            aggregates
                .messages
                .insert(entity.clone(), messages.value(row) as u64);
            aggregates
                .stats
                .insert((entity, signals.value(row).to_owned()), stats);
        }
        Ok(aggregates)
    }
}

/// Adds the column's values of those rows.
fn add(stats: &mut Stats, column: &ArrayRef, rows: std::ops::Range<usize>) {
    let rows = rows.filter(|row| column.is_valid(*row));
    match column.data_type() {
        DataType::Float64 => {
            let column = column.as_primitive::<Float64Type>();
            rows.for_each(|row| stats.add(column.value(row)));
        }
        DataType::Int64 => {
            let column = column.as_primitive::<Int64Type>();
            rows.for_each(|row| stats.add(column.value(row) as f64));
        }
        DataType::Boolean => {
            let column = column.as_boolean();
            rows.for_each(|row| stats.add(f64::from(u8::from(column.value(row)))));
        }
        DataType::Utf8 => rows.for_each(|_| stats.add_text()),
        DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Millisecond, _) => {}
        other => debug_assert!(false, "no signal column has type {other}"),
    }
}

/// Counts `part`, the rows that `commit` added to the hour, in the hour's aggregates, unless they
/// count that commit already.
pub(crate) async fn apply(
    lake: &Lake,
    kind: &Kind,
    hour: Hour,
    commit: u64,
    part: &Aggregates,
) -> anyhow::Result<()> {
    let key = aggregate_key(hour, &kind.name, "parquet");
    loop {
        let stored = lake.get(&key).await?;
        let counted = stored
            .as_ref()
            .map(|object| commit_of(&object.metadata))
            .unwrap_or_default();
        let (mut aggregates, condition) = match stored {
            Some(object) => {
                let read = Aggregates::from_parquet(object.body).with_context(|| {
                    format!("cannot read `{key}`; `aggregator rebuild` makes it anew")
                })?;
                (read, Condition::IfMatch(object.etag))
            }
            None => (Aggregates::default(), Condition::IfAbsent),
        };
        if counted < commit {
            aggregates.merge(part);
            let condition = match planted::has(Defect::ReplaceBlindly) {
                true => Condition::Always,
                false => condition,
            };
            let put = put(
                lake,
                &key,
                aggregates.to_parquet(kind, hour)?,
                commit,
                condition,
            )
            .await?;
            if put == Outcome::ConditionFailed {
                continue;
            }
        }
        return publish_jsonl(lake, kind, hour, counted.max(commit), &aggregates, false).await;
    }
}

/// Replaces the hour's aggregates by those of all its parts, as given by `recount` for all parts
/// up to a commit; what another run has counted since is kept by counting again.
pub(crate) async fn replace(
    lake: &Lake,
    kind: &Kind,
    hour: Hour,
    done: u64,
    recount: impl AsyncFn(u64) -> anyhow::Result<Aggregates>,
) -> anyhow::Result<()> {
    let key = aggregate_key(hour, &kind.name, "parquet");
    loop {
        let (upto, condition) = match lake.head(&key).await? {
            Some(head) => (
                commit_of(&head.metadata).max(done),
                Condition::IfMatch(head.etag),
            ),
            None => (done, Condition::IfAbsent),
        };
        let aggregates = recount(upto).await?;
        if put(
            lake,
            &key,
            aggregates.to_parquet(kind, hour)?,
            upto,
            condition,
        )
        .await?
            == Outcome::ConditionFailed
        {
            continue;
        }
        return publish_jsonl(lake, kind, hour, upto, &aggregates, true).await;
    }
}

/// Writes the JSONL of the state as of `commit`, unless one as new is there and not `anew`.
async fn publish_jsonl(
    lake: &Lake,
    kind: &Kind,
    hour: Hour,
    commit: u64,
    aggregates: &Aggregates,
    anew: bool,
) -> anyhow::Result<()> {
    let key = aggregate_key(hour, &kind.name, "jsonl");
    loop {
        let condition = match lake.head(&key).await? {
            Some(head) if commit_of(&head.metadata) > commit => return Ok(()),
            Some(head) if commit_of(&head.metadata) == commit && !anew => return Ok(()),
            Some(head) => Condition::IfMatch(head.etag),
            None => Condition::IfAbsent,
        };
        if put(
            lake,
            &key,
            aggregates.to_jsonl(kind, hour)?,
            commit,
            condition,
        )
        .await?
            != Outcome::ConditionFailed
        {
            return Ok(());
        }
    }
}

async fn put(
    lake: &Lake,
    key: &str,
    body: Bytes,
    commit: u64,
    condition: Condition,
) -> anyhow::Result<Outcome> {
    let content_type = match key.ends_with(".jsonl") {
        true => "application/x-ndjson",
        false => "application/vnd.apache.parquet",
    };
    let metadata = HashMap::from([(COMMIT.to_owned(), commit.to_string())]);
    Ok(lake
        .put(key, body, content_type, metadata, condition)
        .await?)
}

fn commit_of(metadata: &HashMap<String, String>) -> u64 {
    metadata
        .get(COMMIT)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
