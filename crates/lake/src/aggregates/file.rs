//! The aggregates of one kind and event hour as two objects: Parquet, which holds all that merging needs, and JSONL
//! for people. Both say in their metadata which commit is the last they count.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use contract::{Hour, Kind};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use serde::Serialize;

use crate::aggregates::small_parquet;
use crate::aggregates::state::{Aggregates, Entity};
use crate::aggregates::stats::Stats;
use crate::aggregates::stored::{StoredStats, is_told_by_extremes};
use crate::parquet_file::{self, Layout, column};

/// Name of the object metadata that holds the last commit counted.
pub const COMMIT: &str = "commit";

/// Name of the file metadata that holds the messages of entities without rows, by id: all signals of their events are in
/// the column `_more`, which is not aggregated. A later event may bring such an entity a row.
const WITHOUT_ROWS: &str = "messages_without_rows";

/// The last commit that aggregates with this file metadata count; none if the file does not say.
pub fn counted_by_file(notes: Option<&Vec<KeyValue>>) -> Option<u64> {
    let note = notes?.iter().find(|note| note.key == COMMIT)?;
    note.value.as_deref()?.parse().ok()
}

/// The last commit that aggregates with this object metadata count; 0 if the metadata does not say.
pub fn counted_through(metadata: &HashMap<String, String>) -> u64 {
    let commit = metadata.get(COMMIT).and_then(|text| text.parse().ok());
    commit.unwrap_or_default()
}

/// Aggregates with the numbers of each row computed, to be written in either format.
pub struct AggregateFile<'a> {
    /// The kind.
    pub kind: &'a Kind,
    /// The event hour.
    pub hour: Hour,
    rows: Vec<Row<'a>>,
    /// Messages of the entities without rows.
    without_rows: BTreeMap<&'a str, u64>,
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

/// Most rows of a file without dictionaries, statistics and indexes, which would be most of its bytes. Readers take
/// such a file whole.
const SMALL: usize = 1000;

const NUMBERS: [&str; 7] = ["min", "max", "mean", "stddev", "p50", "p95", "p99"];

impl<'a> AggregateFile<'a> {
    /// The rows of the aggregates; `kind` gives the units of signals.
    pub fn of(aggregates: &'a Aggregates, kind: &'a Kind, hour: Hour) -> AggregateFile<'a> {
        let mut rows = Vec::new();
        for entity in &aggregates.entities {
            for (signal, stats) in &entity.signals {
                let number = |value: f64| stats.is_numeric().then_some(value);
                let (min, max, mean) = (number(stats.min), number(stats.max), number(stats.mean));
                let percentiles = stats.percentiles().map(|found| found.map(Some));
                let [p50, p95, p99] = percentiles.unwrap_or_default();
                let rule = kind.signal(signal);
                // Texts count only for a signal without any number.
                let texts = if stats.is_numeric() { stats.texts } else { 0 };
                rows.push(Row {
                    entity,
                    signal,
                    unit: rule.and_then(|rule| rule.unit.as_deref()),
                    count: stats.count - texts,
                    numbers: [min, max, mean, stats.stddev(), p50, p95, p99],
                    stats,
                });
            }
        }
        let without_rows = aggregates.entities.iter();
        let without_rows = without_rows.filter(|entity| entity.signals.is_empty());
        AggregateFile {
            kind,
            hour,
            rows,
            without_rows: without_rows
                .map(|entity| (entity.id.as_str(), entity.messages))
                .collect(),
        }
    }

    /// A JSON object for each entity and signal, a line each.
    pub fn to_jsonl(&self) -> serde_json::Result<Bytes> {
        // Keys, kind, hour and signals repeat in each line: they are serialised once.
        let hour = self.hour.start();
        let hour = hour.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
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

    /// A row for each entity and signal. `commit` is the last commit counted; it stands in the file too, so that equal
    /// numbers of two commits give different bytes, and different ETags.
    pub fn to_parquet(&self, commit: u64) -> Result<Bytes, ParquetError> {
        let rows = &self.rows;
        let whole = |of: fn(&Row<'_>) -> u64| -> ArrayRef {
            let numbers = rows.iter().map(|row| of(row) as i64);
            Arc::new(Int64Array::from_iter_values(numbers))
        };
        let hour = self.hour.start().timestamp_millis();
        let hours = TimestampMillisecondArray::from_value(hour, rows.len()).with_timezone("UTC");
        let kinds = StringArray::from_iter_values(rows.iter().map(|_| &self.kind.name));
        let entities = StringArray::from_iter_values(rows.iter().map(|row| &row.entity.id));
        let signals = StringArray::from_iter_values(rows.iter().map(|row| row.signal));
        let units = StringArray::from_iter(rows.iter().map(|row| row.unit));
        let mut sketches = BinaryBuilder::new();
        let mut sketch = Vec::new();
        for row in rows {
            sketch.clear();
            if !is_told_by_extremes(row.stats) {
                row.stats.sketch.write_bytes(&mut sketch);
            }
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
        let arrays = columns.into_iter().map(|(.., column)| column).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        let mut notes = vec![KeyValue::new(COMMIT.to_owned(), commit.to_string())];
        if !self.without_rows.is_empty() {
            let messages = json(&self.without_rows);
            let messages = messages.map_err(|error| ParquetError::External(error.into()))?;
            notes.push(KeyValue::new(WITHOUT_ROWS.to_owned(), messages));
        }
        if rows.len() <= SMALL {
            return small_parquet::write(&batch, notes);
        }
        // Sorted by entity and signal.
        let layout = Layout {
            sorted_by: &[1, 3],
            distinct: &["mean", "stddev"],
            notes,
            is_small: false,
        };
        parquet_file::to_parquet(&batch, layout)
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string(value)
}

/// Reads back what [`AggregateFile::to_parquet`] wrote.
pub fn from_parquet(file: Bytes) -> Result<Aggregates, ParquetError> {
    let without_rows = without_rows(&file)?;
    let batch = parquet_file::from_parquet(file, None)?;
    let text = |name: &str| column::<StringArray>(&batch, name);
    let whole = |name: &str| column::<Int64Array>(&batch, name);
    let (ids, signals) = (text("entity_id")?, text("signal")?);
    let (messages, stored) = (whole("messages")?, StoredStats::of(&batch)?);
    let mut names: BTreeMap<&str, Arc<str>> = BTreeMap::new();
    let mut aggregates = Aggregates::default();
    for row in 0..batch.num_rows() {
        let stats = stored.get(row)?;
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
    let entities = &aggregates.entities;
    let by_name = |entity: &Entity| entity.signals.is_sorted_by(|a, b| a.0 < b.0);
    if !entities.is_sorted_by(|a, b| a.id < b.id) || !entities.iter().all(by_name) {
        let unsorted = "the rows are not sorted by entity and signal";
        return Err(ParquetError::General(unsorted.to_owned()));
    }
    aggregates.merge(&without_rows);
    Ok(aggregates)
}

/// Whether a file of [`AggregateFile::to_parquet`] counts the entity.
///
/// # Errors
///
/// If it is no such file.
pub fn has_entity(file: Bytes, entity: &str) -> Result<bool, ParquetError> {
    let mut without_rows = without_rows(&file)?.entities.into_iter();
    let batch = parquet_file::from_parquet(file, Some(&["entity_id"]))?;
    let ids: &StringArray = column(&batch, "entity_id")?;
    Ok(ids.iter().any(|id| id == Some(entity)) || without_rows.any(|other| other.id == entity))
}

/// The entities that have no rows in the file.
fn without_rows(file: &Bytes) -> Result<Aggregates, ParquetError> {
    let notes = parquet_file::notes(file)?;
    let mut notes = notes.iter().filter(|note| note.key == WITHOUT_ROWS);
    let mut aggregates = Aggregates::default();
    if let Some(text) = notes.next().and_then(|note| note.value.as_deref()) {
        let messages: BTreeMap<String, u64> =
            serde_json::from_str(text).map_err(|error| ParquetError::External(error.into()))?;
        aggregates.entities = messages
            .into_iter()
            .map(|(id, messages)| Entity {
                id,
                messages,
                signals: Vec::new(),
            })
            .collect();
    }
    Ok(aggregates)
}

#[cfg(test)]
mod tests {
    use contract::Kinds;

    use super::*;

    fn aggregates(entities: usize, values: usize) -> Aggregates {
        let signals = ["engine_rpm", "gear", "odometer", "vehicle_speed_kmh"];
        let entity = |at: usize| {
            let of = |(place, name): (usize, &&str)| {
                let value = |n: usize| ((at * 37 + place * 11 + n * 7919) % 5000) as f64 / 10.0;
                let mut values: Vec<f64> = (0..values).map(value).collect();
                (Arc::from(*name), Stats::of(&mut values, 0, true))
            };
            Entity {
                id: format!("veh-{at:05}"),
                messages: values as u64,
                signals: signals.iter().enumerate().map(of).collect(),
            }
        };
        Aggregates {
            entities: (0..entities).map(entity).collect(),
        }
    }

    fn read_back(aggregates: &Aggregates) -> Aggregates {
        let kinds = Kinds::builtin();
        let hour = Hour::of("2026-11-20T12:00:00Z".parse().unwrap());
        let file = AggregateFile::of(aggregates, kinds.get("vehicle").unwrap(), hour);
        from_parquet(file.to_parquet(3).unwrap()).unwrap()
    }

    #[test]
    fn files_of_any_size_read_back_the_same_figures() {
        for (entities, values) in [(1, 1), (20, 1), (20, 2), (20, 3), (20, 200), (300, 1)] {
            let written = aggregates(entities, values);
            let read = read_back(&written);
            assert_eq!(read.entities.len(), entities);
            for (one, two) in written.entities.iter().zip(&read.entities) {
                for ((_, one), (_, two)) in one.signals.iter().zip(&two.signals) {
                    assert_eq!((one.min, one.max, one.mean), (two.min, two.max, two.mean));
                    assert_eq!((&one.sketch, one.count), (&two.sketch, two.count));
                    assert!((one.deviation - two.deviation).abs() <= 1e-12 * one.deviation);
                }
            }
        }
    }

    #[test]
    fn an_entity_without_rows_keeps_its_messages_until_it_has_some() {
        let of = |ids: &[&str]| {
            let entity = |id: &&str| Entity {
                id: (*id).to_owned(),
                messages: 2,
                signals: Vec::new(),
            };
            Aggregates {
                entities: ids.iter().map(entity).collect(),
            }
        };
        let mut written = aggregates(3, 1);
        written.merge(&of(&["a", "veh-00001", "z"]));
        assert_eq!(read_back(&of(&["a", "b"])), of(&["a", "b"]));
        let mut read = read_back(&written);
        assert_eq!(read, written);
        let mut later = aggregates(1, 1);
        later.entities[0].id = "z".to_owned();
        read.merge(&later);
        let last = read_back(&read);
        let last = last.entities.last().unwrap();
        assert_eq!((last.id.as_str(), last.messages), ("z", 3));
    }

    #[test]
    fn what_no_double_holds_is_absent_and_is_merged_on() {
        let ends = |values: &[f64]| Aggregates {
            entities: vec![Entity {
                id: "v".into(),
                messages: values.len() as u64,
                signals: vec![("a".into(), Stats::of(&mut values.to_vec(), 0, true))],
            }],
        };
        let written = ends(&[1.7e308, -1.7e308]);
        let kinds = Kinds::builtin();
        let hour = Hour::of("2026-11-20T12:00:00Z".parse().unwrap());
        let file = AggregateFile::of(&written, kinds.get("vehicle").unwrap(), hour);
        let line: serde_json::Value = serde_json::from_slice(&file.to_jsonl().unwrap()).unwrap();
        assert_eq!((&line["mean"], &line["p50"]), (&0.0.into(), &0.0.into()));
        assert!(line["stddev"].is_null());
        let mut read = from_parquet(file.to_parquet(3).unwrap()).unwrap();
        assert_eq!(read, written);
        read.merge(&ends(&[0.0; 20]));
        let merged = &read.entities[0].signals[0].1;
        let expected = 1.7e308 * (2.0_f64 / 21.0).sqrt();
        assert!((merged.stddev().unwrap() / expected - 1.0).abs() < 1e-9);
    }

    /// Bytes of a file of a sparse hour; run with `--nocapture` to see them.
    #[test]
    fn a_sparse_hour_takes_few_bytes() {
        let kinds = Kinds::builtin();
        let hour = Hour::of("2026-11-20T12:00:00Z".parse().unwrap());
        let sparse = aggregates(20, 1);
        let file = AggregateFile::of(&sparse, kinds.get("vehicle").unwrap(), hour);
        let (parquet, jsonl) = (file.to_parquet(3).unwrap(), file.to_jsonl().unwrap());
        println!(
            "80 rows: {} bytes of Parquet, {} of JSONL",
            parquet.len(),
            jsonl.len()
        );
        assert!(parquet.len() < 4_000, "{}", parquet.len());
    }
}
