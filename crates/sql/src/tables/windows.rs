//! What is known of each signal and entity by minutes or by the hour, computed from events by the kernels.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches};
use datafusion::error::{DataFusionError, Result};
use engine::kernels::{Ask, Grouping, Groups, ScanError, Stat, Value, Wanted as Measures};
use engine::snapshot::HourData;
use futures::{Stream, StreamExt, stream};

use crate::tables::long::{Form, Signal, Wanted};

/// Most groups that are made at a time. Where an hour has more, it is taken in pieces.
const MOST_GROUPS: usize = 200_000;

/// Signals of a long kind that are asked for at a time: its rows are read once for all of them.
const LONG_SIGNALS: usize = 64;

/// Hours and signals that are worked on ahead.
const AHEAD: usize = 2;

/// A window with the entity and the state of its signal.
type Row<'g> = (i64, &'g str, u64, &'g Stat);

/// All windows that are wanted, and more: filters are looked at again.
pub(crate) fn rows(wanted: Arc<Wanted>) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let hours = 0..wanted.hours.len();
    let (all, width) = (
        wanted.signals.len(),
        wanted.rows.as_ref().map_or(1, |_| LONG_SIGNALS),
    );
    let pieces = hours.flat_map(move |hour| {
        let starts = (0..all).step_by(width);
        starts.map(move |start| (hour, start..all.min(start + width)))
    });
    stream::iter(pieces)
        .map(move |(hour, signals)| {
            let wanted = wanted.clone();
            async move { of_signals(&wanted, &wanted.hours[hour], &wanted.signals[signals]).await }
        })
        .buffered(AHEAD)
}

async fn of_signals(wanted: &Wanted, hour: &HourData, signals: &[Signal]) -> Result<RecordBatch> {
    let start = hour.hour.start().timestamp_micros();
    let end = start + crate::tables::long::HOUR;
    let whole = start.max(wanted.times.start)..end.min(wanted.times.end);
    let mut pieces = vec![whole];
    let mut batches = Vec::new();
    while let Some(piece) = pieces.pop() {
        let found = groups(wanted, hour, signals, piece.clone()).await;
        let error = match found {
            Ok(groups) => {
                for (at, signal) in signals.iter().enumerate() {
                    batches.push(batch(wanted, (at, signal), start, &groups)?);
                }
                continue;
            }
            Err(error) => error,
        };
        match (halves(&piece, wanted.form.step()), &error) {
            (Some((first, second)), ScanError::TooManyGroups { .. }) => {
                pieces.extend([second, first]);
            }
            _ => return Err(DataFusionError::External(error.into())),
        }
    }
    Ok(concat_batches(&wanted.schema, &batches)?)
}

/// The two halves of a piece of an hour, neither of which cuts a window; none if it is one window.
fn halves(piece: &Range<i64>, step: Option<i64>) -> Option<(Range<i64>, Range<i64>)> {
    let step = step?;
    let windows = (piece.end - piece.start) / step;
    let middle = piece.start + windows / 2 * step;
    (windows > 1).then_some((piece.start..middle, middle..piece.end))
}

async fn groups(
    wanted: &Wanted,
    hour: &HourData,
    signals: &[Signal],
    times: Range<i64>,
) -> Result<Groups, ScanError> {
    let step = wanted.form.step();
    let ask = Ask {
        signals: signals.iter().map(|signal| signal.name.clone()).collect(),
        times,
        entities: wanted.entities.clone(),
    };
    let grouping = Grouping {
        step,
        by_entity: true,
    };
    let measures = Measures {
        spread: step.is_none(),
        quantiles: step.is_none(),
        ends: step.is_some(),
        exact: false,
    };
    let hour = std::slice::from_ref(hour);
    let scanner = &wanted.source.engine.scanner;
    scanner
        .groups(hour, &Arc::new(ask), grouping, measures, MOST_GROUPS)
        .await
}

/// The groups as rows of the signal at this place in the question; those without a value of it are left out.
fn batch(
    wanted: &Wanted,
    (at, signal): (usize, &Signal),
    hour: i64,
    groups: &Groups,
) -> Result<RecordBatch> {
    let of_kind = wanted.of_kind();
    let rows = groups.iter().filter_map(|(group, events, stats)| {
        let stat = stats.get(at).filter(|stat| stat.count > 0)?;
        Some((
            group.bucket,
            group.entity.map_or("", |id| &**id),
            events,
            stat,
        ))
    });
    let mut rows: Vec<Row<'_>> = rows.collect();
    rows.sort_unstable_by_key(|(bucket, entity, ..)| (*bucket, *entity));
    let number = |of: fn(&Stat) -> Option<f64>| -> ArrayRef {
        Arc::new(Float64Array::from_iter(rows.iter().map(|row| of(row.3))))
    };
    let whole = |of: fn(&Row<'_>) -> u64| -> ArrayRef {
        let numbers = rows.iter().map(|row| of(row) as i64);
        Arc::new(Int64Array::from_iter_values(numbers))
    };
    let same = |text: Option<&str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(|_| text)))
    };
    let kind = same(Some(&of_kind.name));
    let entities: ArrayRef = Arc::new(StringViewArray::from_iter_values(
        rows.iter().map(|(_, entity, ..)| entity),
    ));
    let (unit, signal) = (signal.unit.as_deref(), same(Some(&signal.name)));
    let times = |of: &dyn Fn(&Row<'_>) -> i64| -> ArrayRef {
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(of));
        Arc::new(times.with_timezone("UTC"))
    };
    let columns = match wanted.form {
        Form::Hour => {
            let hours = times(&|_| hour);
            let hours = cast(&hours, wanted.schema.field(2).data_type())?;
            let unit = same(unit);
            // Texts count only for a signal without any number, as in `aggregates/`.
            let count = whole(|(.., stat)| match stat.numbers() {
                0 => stat.count,
                numbers => numbers,
            });
            let numbers: [fn(&Stat) -> Option<f64>; 8] = [
                Stat::sum,
                Stat::min,
                Stat::max,
                Stat::avg,
                Stat::stddev,
                |stat| stat.quantile(0.5),
                |stat| stat.quantile(0.95),
                |stat| stat.quantile(0.99),
            ];
            let mut columns = vec![kind, entities, hours, signal, unit];
            columns.extend([whole(|(_, _, events, _)| *events), count]);
            columns.extend(numbers.map(number));
            columns
        }
        Form::Window(_) | Form::Point => {
            let starts = times(&|(bucket, ..)| *bucket);
            let numbers: [fn(&Stat) -> Option<f64>; 4] = [Stat::avg, Stat::min, Stat::max, last];
            let mut columns = vec![kind, entities, signal, starts];
            columns.push(whole(|(.., stat)| stat.count));
            columns.extend(numbers.map(number));
            columns
        }
    };
    Ok(RecordBatch::try_new(wanted.schema.clone(), columns)?)
}

/// The last value, if it is a number.
fn last(stat: &Stat) -> Option<f64> {
    match stat.last() {
        Some((_, Value::Number(number))) => Some(*number),
        _ => None,
    }
}
