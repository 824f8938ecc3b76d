//! Some rows of a part or of hot rows, with the columns that a question needs.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use lake::rows::{LongColumns, MORE, signal_of};

use crate::kernels::long::by_signal;
use crate::kernels::values::Values;
use crate::read::{ENTITY, Footer, TIME};

/// Places of the columns that a question needs, in a schema.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    entity: Option<usize>,
    time: Option<usize>,
    labels: Option<usize>,
    /// The columns of each signal, one for each type of its values; none where no event has the signal.
    signals: Vec<Vec<usize>>,
    /// The column of signals without one of their own, where a signal asked for may be in it.
    more: Option<usize>,
    /// The columns of rows that hold a signal each, where one that is asked for may be among these.
    long: Option<LongColumns>,
}

/// Columns that a question needs beside those of its signals.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Needs<'n> {
    pub(crate) entity: bool,
    pub(crate) time: bool,
    /// Whether names are those of columns, each for itself, rather than of signals.
    pub(crate) by_column: bool,
    /// The column of labels that tell series of one entity apart, where there is one.
    pub(crate) labels: Option<&'n str>,
}

impl Columns {
    pub(crate) fn of(schema: &Schema, signals: &[String], needs: Needs<'_>) -> Columns {
        let fields = || schema.fields().iter().enumerate();
        let place = |wanted: bool, name: &str| {
            let found = fields().find(|(_, field)| field.name() == name);
            found.filter(|_| wanted).map(|(at, _)| at)
        };
        let of_signal = |signal: &String| {
            let holds = |field: &Field| {
                if needs.by_column {
                    return field.name() == signal;
                }
                // Contract fields name no signal; nor do columns of other writers.
                let held = signal_of(field).unwrap_or(field.name());
                held.eq_ignore_ascii_case(signal)
            };
            let held = fields().filter(|(_, field)| holds(field));
            held.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let signals: Vec<_> = signals.iter().map(of_signal).collect();
        let may_be_elsewhere = !needs.by_column && signals.iter().any(Vec::is_empty);
        Columns {
            entity: place(needs.entity, ENTITY),
            time: place(needs.time, TIME),
            labels: needs.labels.and_then(|name| place(true, name)),
            more: place(may_be_elsewhere, MORE),
            long: LongColumns::of(schema).filter(|_| may_be_elsewhere),
            signals,
        }
    }

    /// As [`of`](Self::of), of a part: columns whose signals are others than those asked for are left out.
    pub(crate) fn of_part(footer: &Footer, signals: &[String], needs: Needs<'_>) -> Columns {
        let mut columns = Columns::of(footer.schema(), signals, needs);
        columns.long = columns.long.filter(|_| footer.may_have_signal(signals));
        columns
    }

    /// Whether there may be a value of a signal.
    pub(crate) fn has_signal(&self) -> bool {
        self.more.is_some()
            || self.long.is_some()
            || self.signals.iter().any(|places| !places.is_empty())
    }

    /// The places of the columns of signals.
    pub(crate) fn signal_places(&self) -> impl Iterator<Item = usize> {
        self.signals.iter().flatten().copied()
    }

    /// The place of the column of signals without one of their own, where it is needed.
    pub(crate) fn more(&self) -> Option<usize> {
        self.more
    }

    /// The places of all columns, ascending.
    pub(crate) fn places(&self) -> Vec<usize> {
        let signals = self.signals.iter().flatten().copied();
        let (name, value) = self.long.map(|long| (long.name, long.value)).unzip();
        let others = [self.entity, self.time, self.labels, self.more, name, value];
        let others = others.into_iter().flatten();
        let mut places: Vec<usize> = signals.chain(others).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The columns where only those of [`places`](Self::places) are read.
    pub(crate) fn among_read(&self) -> Columns {
        let places = self.places();
        let read = |place: usize| places.partition_point(|other| *other < place);
        let signals = self.signals.iter();
        Columns {
            entity: self.entity.map(read),
            time: self.time.map(read),
            labels: self.labels.map(read),
            more: self.more.map(read),
            long: self.long.map(|long| LongColumns {
                name: read(long.name),
                value: read(long.value),
            }),
            signals: signals
                .map(|of| of.iter().map(|at| read(*at)).collect())
                .collect(),
        }
    }
}

/// A text of each row, as a number into a list of texts.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) keys: ScalarBuffer<i32>,
    pub(crate) names: StringArray,
}

/// Rows, by column.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) length: usize,
    /// Whether their events are to be counted; else other `Rows` count them.
    pub(crate) counts_events: bool,
    pub(crate) entities: Option<Texts>,
    /// Event times in microseconds.
    pub(crate) times: Option<ScalarBuffer<i64>>,
    /// Labels; none where the rows have no such column, or none was asked for.
    pub(crate) labels: Option<Texts>,
    /// The columns of signals, by the place of each signal in the question; a signal without a column may be absent.
    pub(crate) signals: Vec<(usize, Vec<Values>)>,
}

impl Rows {
    /// The rows of a batch: all in one, and those that hold a signal each once more, by their signals.
    ///
    /// # Errors
    ///
    /// If a column has a type that it has in no part.
    pub(crate) fn of(
        batch: &RecordBatch,
        columns: &Columns,
        signals: &[String],
    ) -> Result<Vec<Rows>, ArrowError> {
        let entities = columns
            .entity
            .map(|at| entities(batch.column(at)))
            .transpose()?;
        let times = columns.time.map(|at| times(batch.column(at))).transpose()?;
        let labels = columns
            .labels
            .map(|at| labels(batch.column(at)))
            .transpose()?;
        let mut values = Vec::with_capacity(signals.len());
        for (at, (places, signal)) in columns.signals.iter().zip(signals).enumerate() {
            let of_signal = places.iter().map(|at| Values::of(batch.column(*at)));
            let mut of_signal = of_signal.collect::<Result<Vec<_>, _>>()?;
            if let Some(at) = columns.more.filter(|_| places.is_empty()) {
                let more = batch.column(at).as_string_opt::<i32>();
                let more =
                    more.ok_or_else(|| ArrowError::SchemaError(format!("`{MORE}` holds no text")))?;
                of_signal.extend(Values::of_more(more, signal));
            }
            values.push((at, of_signal));
        }
        let rows = Rows {
            length: batch.num_rows(),
            counts_events: true,
            entities,
            times,
            labels,
            signals: values,
        };
        let Some(long) = columns.long else {
            return Ok(vec![rows]);
        };
        let is_elsewhere = |at: usize| columns.signals[at].is_empty();
        let (names, values) = (batch.column(long.name), batch.column(long.value));
        let mut all = by_signal(&rows, names, values, signals, is_elsewhere)?;
        all.push(rows);
        Ok(all)
    }

    pub(crate) fn times(&self) -> Option<&[i64]> {
        self.times.as_deref()
    }
}

/// A column of texts as numbers into a list of texts.
pub(super) fn numbered(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let numbered = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    if *column.data_type() == numbered {
        Ok(column.clone())
    } else {
        cast(column, &numbered)
    }
}

/// The column of entities.
///
/// # Errors
///
/// If it holds no texts, or not one in each row.
pub(super) fn entities(column: &ArrayRef) -> Result<Texts, ArrowError> {
    let column = numbered(column)?;
    let column = column.as_dictionary::<Int32Type>();
    if column.null_count() > 0 {
        let what = format!("`{ENTITY}` has no value in some rows");
        return Err(ArrowError::SchemaError(what));
    }
    Ok(Texts {
        keys: column.keys().values().clone(),
        names: column.values().as_string().clone(),
    })
}

/// The column of labels; a row without any has an empty text.
///
/// # Errors
///
/// If it holds no texts.
fn labels(column: &ArrayRef) -> Result<Texts, ArrowError> {
    let column = numbered(column)?;
    let column = column.as_dictionary::<Int32Type>();
    let names: &StringArray = column.values().as_string();
    if column.null_count() == 0 {
        return Ok(Texts {
            keys: column.keys().values().clone(),
            names: names.clone(),
        });
    }
    let empty = names.len() as i32;
    let keys = column.keys().iter().map(|key| key.unwrap_or(empty));
    Ok(Texts {
        keys: keys.collect(),
        names: names.iter().chain([Some("")]).collect(),
    })
}

/// The column of event times, in microseconds.
///
/// # Errors
///
/// If it holds no times, or not one in each row.
pub(super) fn times(column: &ArrayRef) -> Result<ScalarBuffer<i64>, ArrowError> {
    let times = column.as_primitive_opt::<TimestampMicrosecondType>();
    let times = times.filter(|times| times.null_count() == 0);
    let missing = || ArrowError::SchemaError(format!("`{TIME}` is no time in some rows"));
    Ok(times.ok_or_else(missing)?.values().clone())
}

impl Texts {
    /// The text of a number, which a key of these rows is.
    pub(crate) fn name(&self, key: i32) -> &str {
        self.names.value(key as usize)
    }

    /// Whether both have the same list of texts.
    pub(crate) fn is_same_list(&self, names: &StringArray) -> bool {
        let (mine, theirs) = (self.names.offsets(), names.offsets());
        mine.len() == theirs.len() && mine.as_ptr() == theirs.as_ptr()
    }
}
