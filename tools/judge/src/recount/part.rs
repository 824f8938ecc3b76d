//! What a curated part adds to its hour's aggregates: who sent, and the values of each signal.

use arrow::array::{ArrayRef, AsArray, Float64Array, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type};
use bytes::Bytes;
use contract::{CURATED, Hour, Kind, Kinds, SignalsAt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::columns::{ENTITY_ID, MORE, converted, full_column, is_built_in, is_text, without_type};
use crate::error::JudgeError;

/// Name of the metadata of a column that names its signal.
const SIGNAL: &str = "signal";

/// Rows decoded at once: most parts are read in one go.
const BATCH_ROWS: usize = 64 * 1024;

/// The place of a curated part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartKey<'a> {
    /// The name of the kind.
    pub kind: &'a str,
    /// The event hour.
    pub hour: Hour,
    /// The commit that wrote it.
    pub commit: u64,
}

impl<'a> PartKey<'a> {
    /// Reads `curated/kind=<kind>/year=…/month=…/day=…/hour=…/part-<commit>.parquet`, or
    /// `part-<commit>-<part>.parquet` of an hour that a commit wrote in several parts; `None` if the key is of neither
    /// form.
    pub fn parse(key: &'a str) -> Option<PartKey<'a>> {
        let (kind, rest) = key
            .strip_prefix(CURATED)?
            .strip_prefix("kind=")?
            .split_once('/')?;
        let (hour, name) = rest.rsplit_once('/')?;
        let number = name.strip_prefix("part-")?.strip_suffix(".parquet")?;
        Some(PartKey {
            kind,
            hour: Hour::parse(hour)?,
            commit: number.split('-').next()?.parse().ok()?,
        })
    }
}

/// A curated part, as far as aggregates are made of it. Parts do not change, so one that was read
/// may be kept.
#[derive(Debug)]
pub struct PartSignals {
    pub(super) commit: u64,
    pub(super) batches: Vec<SignalRows>,
}

/// Some of the rows.
#[derive(Debug)]
pub(super) struct SignalRows {
    pub(super) entities: StringArray,
    /// The columns of signals; a signal that changes its type has several.
    pub(super) signals: Vec<(String, SignalValues)>,
    /// Of a long kind, in the place of columns: the name and the value of each row's signal.
    pub(super) long: Option<(StringArray, Float64Array)>,
}

/// The values of a signal, by row.
#[derive(Debug)]
pub(super) enum SignalValues {
    /// Numbers, and booleans as 0 and 1.
    Numbers(Float64Array),
    /// Texts: which rows have one.
    Texts(ArrayRef),
}

impl PartSignals {
    /// Reads the object of that key.
    ///
    /// # Errors
    ///
    /// [`JudgeError`] if the key is none of a part of a declared kind, or the object is not Parquet
    /// with the columns of `curated/`.
    pub fn read(kinds: &Kinds, key: &str, file: Bytes) -> Result<PartSignals, JudgeError> {
        let failed = |reason: String| JudgeError::Curated {
            key: key.to_owned(),
            reason,
        };
        let place = PartKey::parse(key)
            .ok_or_else(|| failed("its key names no kind, event hour and commit".to_owned()))?;
        let kind = kinds
            .get(place.kind)
            .ok_or_else(|| JudgeError::UnknownKind {
                kind: place.kind.to_owned(),
            })?;
        let batches = batches(kind, file).map_err(failed)?;
        Ok(PartSignals {
            commit: place.commit,
            batches,
        })
    }
}

fn batches(kind: &Kind, file: Bytes) -> Result<Vec<SignalRows>, String> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    let long = match kind.signals_at {
        SignalsAt::Object(_) => None,
        SignalsAt::Fields { name, value } => Some([name, value].map(|at| &kind.fields[at].name)),
    };
    let is_long = |name: &String| long.is_some_and(|names| names.contains(&name));
    let is_signal = |name: &str| {
        !is_built_in(name) && name != MORE && !kind.fields.iter().any(|rule| rule.name == name)
    };
    let wanted = builder.schema().fields().iter().enumerate();
    let wanted = wanted.filter(|(_, field)| {
        let name = field.name();
        name == ENTITY_ID || is_long(name) || is_signal(name)
    });
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.map(|(at, _)| at));
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| error.to_string())?;
    let mut batches = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| error.to_string())?;
        let entities = full_column(&batch, ENTITY_ID, &DataType::Utf8)?;
        let mut signals = Vec::with_capacity(batch.num_columns());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if field.name() == ENTITY_ID || is_long(field.name()) {
                continue;
            }
            if let Some(values) = values(field, column)? {
                signals.push((signal_of(field)?.to_owned(), values));
            }
        }
        let column = |name: &str, r#type| {
            let column = batch.column_by_name(name);
            let column = column.ok_or_else(|| format!("there is no column `{name}`"))?;
            converted(name, column, r#type)
        };
        let long = match long {
            None => None,
            Some([name, value]) => Some((
                column(name, &DataType::Utf8)?.as_string().clone(),
                column(value, &DataType::Float64)?.as_primitive().clone(),
            )),
        };
        batches.push(SignalRows {
            entities: entities.as_string().clone(),
            signals,
            long,
        });
    }
    Ok(batches)
}

/// `None` where the column has no value at all.
fn values(field: &Field, column: &ArrayRef) -> Result<Option<SignalValues>, String> {
    Ok(match column.data_type() {
        DataType::Null => None,
        number if number.is_numeric() || *number == DataType::Boolean => {
            let column = converted(field.name(), column, &DataType::Float64)?;
            Some(SignalValues::Numbers(
                column.as_primitive::<Float64Type>().clone(),
            ))
        }
        text if is_text(text) => Some(SignalValues::Texts(column.clone())),
        other => {
            return Err(format!(
                "column `{}` is {other}: no signal is",
                field.name()
            ));
        }
    })
}

/// The signal that the column belongs to: as its metadata says where that agrees with its name,
/// else as its name says.
fn signal_of(field: &Field) -> Result<&str, String> {
    let name = field.name().as_str();
    let suffix = without_type(name);
    match field.metadata().get(SIGNAL) {
        None => Ok(suffix.unwrap_or(name)),
        Some(told) if told == name || suffix == Some(told) => Ok(told),
        Some(told) => Err(format!("column `{name}` is said to hold signal `{told}`")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_part_is_told_by_its_key() {
        let hour = Hour::of("2025-10-04T12:00:00Z".parse().unwrap());
        let key = contract::curated_key("cell", hour, 42);
        let place = PartKey::parse(&key).unwrap();
        assert_eq!((place.kind, place.hour, place.commit), ("cell", hour, 42));
        for other in [
            key.replace("part-", ""),
            key.replace("hour=12/", ""),
            contract::aggregate_key(hour, "cell", "parquet"),
        ] {
            assert_eq!(PartKey::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn a_signal_is_told_by_its_column() {
        let field = |name: &str| Field::new(name, DataType::Boolean, true);
        let told = |name: &str, signal: &str| {
            field(name).with_metadata(HashMap::from([(SIGNAL.to_owned(), signal.to_owned())]))
        };
        assert_eq!(signal_of(&field("rpm")), Ok("rpm"));
        assert_eq!(signal_of(&field("rpm__bool")), Ok("rpm"));
        assert_eq!(signal_of(&told("rpm__bool", "rpm")), Ok("rpm"));
        assert_eq!(signal_of(&told("rpm__bool", "rpm__bool")), Ok("rpm__bool"));
        assert!(signal_of(&told("rpm", "speed")).is_err());
    }
}
