//! Events as points: the columns of signals come in, and a row for each value goes out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array, new_null_array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::error::{DataFusionError, Result};
use engine::kernels::{RowsAsk, shares};
use futures::{Stream, StreamExt, stream};

use crate::bounds::{ENTITY, TIME};
use crate::tables::long::Wanted;

/// All points that are wanted.
pub(crate) fn rows(wanted: Arc<Wanted>) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Arc::new(Field::new(ENTITY, DataType::Utf8View, false)),
        Arc::new(Field::new(TIME, time, false)),
    ];
    match &wanted.rows {
        Some((name, value)) => fields.extend([name.clone(), value.clone()]),
        None => {
            let columns = wanted.signals.iter();
            fields.extend(columns.filter_map(|signal| signal.column.clone()));
        }
    }
    let ask = RowsAsk {
        schema: Arc::new(Schema::new(fields)),
        times: wanted.times.clone(),
        entities: wanted.entities.clone(),
    };
    let share = shares(&wanted.hours, 1).pop().unwrap_or_default();
    let events = wanted.source.engine.scanner.rows(share, ask);
    events.flat_map(move |events| {
        let points = match events {
            Ok(events) => points_of(&wanted, &events),
            Err(error) => vec![Err(DataFusionError::External(error.into()))],
        };
        stream::iter(points)
    })
}

/// The points of some events, a batch for each signal that has any.
fn points_of(wanted: &Wanted, events: &RecordBatch) -> Vec<Result<RecordBatch>> {
    if wanted.rows.is_some() {
        return vec![points_of_rows(wanted, events)];
    }
    let signals = events.columns()[2..].iter().zip(&wanted.signals);
    let signals = signals.filter(|(values, _)| values.null_count() < values.len());
    signals
        .map(|(values, signal)| points_of_signal(wanted, events, values, &signal.name))
        .collect()
}

/// The points of events that have one signal each: name and value are the last two columns.
fn points_of_rows(wanted: &Wanted, events: &RecordBatch) -> Result<RecordBatch> {
    let (names, values) = (events.column(2), events.column(3));
    let is_wanted = |row: &usize| {
        let name = names.as_string::<i32>().value(*row);
        wanted.signals.is_empty() || wanted.signals.iter().any(|signal| signal.name == name)
    };
    let filled = (0..events.num_rows())
        .filter(|row| names.is_valid(*row) && values.is_valid(*row))
        .filter(is_wanted);
    let filled = UInt32Array::from_iter_values(filled.map(|row| row as u32));
    let kind = (0..filled.len()).map(|_| &wanted.of_kind().name);
    let columns = vec![
        Arc::new(StringArray::from_iter_values(kind)) as ArrayRef,
        take(events.column(0), &filled, None)?,
        take(events.column(1), &filled, None)?,
        take(names, &filled, None)?,
        take(values, &filled, None)?,
        new_null_array(&DataType::Utf8, filled.len()),
    ];
    Ok(RecordBatch::try_new(wanted.schema.clone(), columns)?)
}

fn points_of_signal(
    wanted: &Wanted,
    events: &RecordBatch,
    values: &ArrayRef,
    signal: &str,
) -> Result<RecordBatch> {
    let of_kind = wanted.of_kind();
    let filled = (0..values.len()).filter(|row| values.is_valid(*row));
    let filled = UInt32Array::from_iter_values(filled.map(|row| row as u32));
    let values = take(values, &filled, None)?;
    let same = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            (0..filled.len()).map(|_| text),
        ))
    };
    let (number, text) = if values.data_type() == &DataType::Utf8 {
        (new_null_array(&DataType::Float64, filled.len()), values)
    } else {
        let number = cast(&values, &DataType::Float64)?;
        (number, new_null_array(&DataType::Utf8, filled.len()))
    };
    let columns = vec![
        same(&of_kind.name),
        take(events.column(0), &filled, None)?,
        take(events.column(1), &filled, None)?,
        same(signal),
        number,
        text,
    ];
    Ok(RecordBatch::try_new(wanted.schema.clone(), columns)?)
}
