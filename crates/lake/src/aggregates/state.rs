//! The aggregates of one kind and event hour in memory: computed from rows, and merged.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use contract::Kind;
use parquet::errors::ParquetError;

use crate::aggregates::merge_sorted::merge_sorted;
use crate::aggregates::stats::Stats;
use crate::parquet_file::column;
use crate::rows::LongColumns;
use crate::rows::columns::signal_of;

/// Statistics of one kind and event hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aggregates {
    /// Ascending by id.
    pub entities: Vec<Entity>,
}

/// Statistics of one entity in the hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Id of the vehicle, cell or other thing.
    pub id: String,
    /// Number of events.
    pub messages: u64,
    /// Signals with a value in the hour, ascending by name.
    pub signals: Vec<(Arc<str>, Stats)>,
}

impl Aggregates {
    /// Statistics of the rows of a part of that kind, which are sorted by entity.
    pub fn of(batch: &RecordBatch, kind: &Kind) -> Result<Aggregates, ParquetError> {
        let ids: &StringArray = column(batch, "entity_id")?;
        let schema = batch.schema();
        if let Some(columns) = LongColumns::of(&schema) {
            return of_long(batch, ids, columns, kind);
        }
        // A signal with values of several types has several columns.
        let mut signals: BTreeMap<Arc<str>, (bool, Vec<&ArrayRef>)> = BTreeMap::new();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            if let Some(signal) = signal_of(field)
                && column.null_count() < column.len()
            {
                let quantiles = || kind.signal(signal).is_none_or(|rule| rule.quantiles);
                let entry = signals.entry(signal.into());
                let (_, columns) = entry.or_insert_with(|| (quantiles(), Vec::new()));
                columns.push(column);
            }
        }
        let mut aggregates = Aggregates::default();
        let mut values = Vec::new();
        for rows in of_entities(ids) {
            let (start, end) = (rows.start, rows.end);
            let mut stats = Vec::with_capacity(signals.len());
            for (signal, (quantiles, columns)) in &signals {
                values.clear();
                let texts = columns
                    .iter()
                    .map(|column| take_values(column, start..end, &mut values));
                let texts = texts.sum();
                let of_signal = Stats::of(&mut values, texts, *quantiles);
                if of_signal.count > 0 {
                    stats.push((signal.clone(), of_signal));
                }
            }
            aggregates.entities.push(Entity {
                id: ids.value(start).to_owned(),
                messages: (end - start) as u64,
                signals: stats,
            });
        }
        Ok(aggregates)
    }

    /// Adds all events and values of `other`, which must not be counted here yet.
    pub fn merge(&mut self, other: &Aggregates) {
        let by_id = |a: &Entity, b: &Entity| a.id.cmp(&b.id);
        merge_sorted(&mut self.entities, &other.entities, by_id, Entity::merge);
    }
}

/// The rows of each entity, which stand side by side.
fn of_entities(ids: &StringArray) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let id = (start < ids.len()).then(|| ids.value(start))?;
        let others = start..ids.len();
        let end = others.into_iter().find(|row| ids.value(*row) != id);
        let rows = start..end.unwrap_or(ids.len());
        start = rows.end;
        Some(rows)
    })
}

/// Statistics of rows that hold one signal each.
fn of_long(
    batch: &RecordBatch,
    ids: &StringArray,
    columns: LongColumns,
    kind: &Kind,
) -> Result<Aggregates, ParquetError> {
    let names = batch.column(columns.name).as_string_opt::<i32>();
    let values = batch
        .column(columns.value)
        .as_primitive_opt::<Float64Type>();
    let (Some(names), Some(values)) = (names, values) else {
        let what = "the columns of signals' names and values hold no texts and numbers";
        return Err(ParquetError::General(what.to_owned()));
    };
    let mut aggregates = Aggregates::default();
    for rows in of_entities(ids) {
        let mut by_name: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let filled = rows
            .clone()
            .filter(|row| names.is_valid(*row) && values.is_valid(*row));
        for row in filled {
            let of_name = by_name.entry(names.value(row)).or_default();
            of_name.push(values.value(row));
        }
        let stats = by_name.into_iter().map(|(name, mut values)| {
            let quantiles = kind.signal(name).is_none_or(|rule| rule.quantiles);
            (Arc::from(name), Stats::of(&mut values, 0, quantiles))
        });
        aggregates.entities.push(Entity {
            id: ids.value(rows.start).to_owned(),
            messages: rows.len() as u64,
            signals: stats.collect(),
        });
    }
    Ok(aggregates)
}

impl Entity {
    fn merge(&mut self, other: &Entity) {
        self.messages += other.messages;
        let by_name = |a: &(Arc<str>, _), b: &(Arc<str>, _)| a.0.cmp(&b.0);
        let add = |mine: &mut (_, Stats), theirs: &(_, Stats)| mine.1.merge(&theirs.1);
        merge_sorted(&mut self.signals, &other.signals, by_name, add);
    }
}

/// Appends the column's numbers in these rows to `values`, and returns the number of texts in them.
fn take_values(column: &ArrayRef, rows: Range<usize>, values: &mut Vec<f64>) -> u64 {
    let filled = rows.clone().filter(|row| column.is_valid(*row));
    match column.data_type() {
        DataType::Float64 => {
            let column = column.as_primitive::<Float64Type>();
            if column.null_count() == 0 {
                values.extend_from_slice(&column.values()[rows]);
            } else {
                values.extend(filled.map(|row| column.value(row)));
            }
        }
        DataType::Int64 => {
            let column = column.as_primitive::<Int64Type>();
            values.extend(filled.map(|row| column.value(row) as f64));
        }
        DataType::Boolean => {
            let column = column.as_boolean();
            values.extend(filled.map(|row| f64::from(u8::from(column.value(row)))));
        }
        DataType::Utf8 => return filled.count() as u64,
        DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Millisecond, _) => {}
        other => debug_assert!(false, "no signal column has type {other}"),
    }
    0
}
