//! Events of one kind and event hour as columns that grow, and then as one sorted batch.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use contract::{Event, Kind, Scalar};
use foldhash::quality::RandomState;
use hashbrown::HashTable;

use crate::rows::columns::{ColumnType, Columns};
use crate::rows::entities::Entities;
use crate::rows::ids::Ids;
use crate::rows::values::Values;

/// Most columns of undeclared signals in one batch: a column has a slot for each row, so this bounds the memory that
/// senders can make an hour take.
const MAX_UNDECLARED_COLUMNS: usize = 512;

/// Columns that are compared one by one before the hash table is asked.
const LOOK_AHEAD: usize = 8;

/// Place of an event's line: the object by the number its reader gave it, and the bytes `start..end` in the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Number of the object.
    pub input: u32,
    /// First byte of the line.
    pub start: u32,
    /// The byte after the line.
    pub end: u32,
}

/// What an event says in `curated/`. When it was received is no part of it.
#[derive(Debug)]
pub struct Content<'g> {
    /// Id of the vehicle, cell or other thing.
    pub entity: &'g str,
    /// Event time in microseconds since 1970, UTC.
    pub micros: i64,
    /// Contract fields and signals that have a value, by name.
    pub values: Vec<(&'g str, Scalar<'g>)>,
}

/// The events of one kind and event hour, each id once. Rows stay in the order in which they came until
/// [`into_batch`](HourRows::into_batch) sorts them.
pub struct HourRows<'k> {
    kind: &'k Kind,
    ids: Ids,
    entities: Entities,
    /// Event times: microseconds, and in `nanos` the nanoseconds beyond them.
    times: Vec<i64>,
    nanos: Vec<u16>,
    /// Milliseconds.
    received: Vec<i64>,
    spans: Vec<Span>,
    dropped: Vec<bool>,
    fields: Vec<Values>,
    signals: Vec<SignalColumn>,
    /// A signal's name as events spell it, and the index of its column in `signals`.
    columns: HashTable<(Box<str>, u32)>,
    hasher: RandomState,
}

struct SignalColumn {
    name: String,
    r#type: ColumnType,
    values: Values,
}

impl<'k> HourRows<'k> {
    pub(crate) fn new(kind: &'k Kind) -> HourRows<'k> {
        let fields = kind.fields.iter();
        let fields = fields.map(|rule| Values::new(ColumnType::of_field(rule.scalar)));
        HourRows {
            kind,
            ids: Ids::default(),
            entities: Entities::default(),
            times: Vec::new(),
            nanos: Vec::new(),
            received: Vec::new(),
            spans: Vec::new(),
            dropped: Vec::new(),
            fields: fields.collect(),
            signals: Vec::new(),
            columns: HashTable::new(),
            hasher: RandomState::default(),
        }
    }

    /// Whether the event's signals have columns, or may get new ones: see [`MAX_UNDECLARED_COLUMNS`].
    pub(crate) fn has_room(&self, event: &Event<'_>) -> bool {
        let most = self.kind.known.len() + MAX_UNDECLARED_COLUMNS;
        let is_new =
            |(name, value): &&(Cow<'_, str>, Scalar<'_>)| self.column(name, value).is_none();
        self.signals.len() + event.signals.len() <= most
            || self.signals.len() + event.signals.iter().filter(is_new).count() <= most
    }

    /// Adds the event, or returns the row that has the event's `id` already.
    pub(crate) fn add(&mut self, event: &Event<'_>, id: &str, span: Span) -> Result<(), u32> {
        self.ids.insert(id)?;
        self.push(event, span);
        Ok(())
    }

    /// Replaces the event that has this `id`.
    pub(crate) fn replace(&mut self, event: &Event<'_>, id: &str, span: Span) {
        self.drop_id(id);
        let added = self.add(event, id, span);
        debug_assert!(added.is_ok(), "the id was just taken away");
    }

    /// Appends the event's row, except for the id.
    fn push(&mut self, event: &Event<'_>, span: Span) {
        let row = self.spans.len();
        self.entities.push(&event.entity);
        let (micros, nanos) = time_of(event);
        self.times.push(micros);
        self.nanos.push(nanos);
        self.received.push(received(event));
        self.spans.push(span);
        self.dropped.push(false);
        for (at, value) in &event.fields {
            self.fields[*at].put(row, value);
        }
        // Events of a kind mostly repeat the same signals in the same order, so the search begins behind the column
        // found last. A name and a sort of value always lead to the same column.
        let mut next = 0;
        for (name, value) in &event.signals {
            let is_it = |column: &SignalColumn| column.name == *name && column.values.takes(value);
            let near = self.signals[next..].iter().take(LOOK_AHEAD).position(is_it);
            let near = near.map(|at| next + at);
            let found = near.or_else(|| self.column(name, value));
            let at = found.unwrap_or_else(|| self.column_of(name, value));
            self.signals[at].values.put(row, value);
            next = at + 1;
        }
    }

    /// Finds or makes the column for a spelling that [`column`](Self::column) does not know. Spellings that differ in
    /// case alone share a column.
    fn column_of(&mut self, name: &str, value: &Scalar<'_>) -> usize {
        let r#type = ColumnType::of(self.kind, name, value);
        let is_it = |column: &SignalColumn| {
            column.r#type == r#type && column.name.eq_ignore_ascii_case(name)
        };
        let at = self.signals.iter().position(is_it).unwrap_or_else(|| {
            self.signals.push(SignalColumn {
                name: name.to_owned(),
                r#type,
                values: Values::new(r#type),
            });
            self.signals.len() - 1
        });
        let entry = (name.into(), at as u32);
        let hash = |(name, _): &(Box<str>, u32)| self.hasher.hash_one(&**name);
        self.columns.insert_unique(hash(&entry), entry, hash);
        at
    }

    /// The column that took this sort of value of the signal before.
    fn column(&self, name: &str, value: &Scalar<'_>) -> Option<usize> {
        let is_it = |(other, at): &(Box<str>, u32)| {
            **other == *name && self.signals[*at as usize].values.takes(value)
        };
        let found = self.columns.find(self.hasher.hash_one(name), is_it);
        found.map(|(_, at)| *at as usize)
    }

    /// Whether the event has the row's [`Content`], compared to the nanosecond.
    pub(crate) fn is_same(&self, row: u32, event: &Event<'_>) -> bool {
        let at = row as usize;
        if (self.times[at], self.nanos[at]) != time_of(event)
            || self.entities.name(row) != event.entity
        {
            return false;
        }
        let is_field =
            |(index, value): &(usize, _)| self.fields[*index].at(at).as_ref() == Some(value);
        let is_signal = |(name, value): &(Cow<'_, str>, _)| {
            self.signals.iter().any(|column| {
                column.name.eq_ignore_ascii_case(name)
                    && column.values.at(at).as_ref() == Some(value)
            })
        };
        event.fields.iter().all(is_field)
            && event.signals.iter().all(is_signal)
            && self.content(row).values.len() == event.fields.len() + event.signals.len()
    }

    pub(crate) fn was_received_after(&self, row: u32, event: &Event<'_>) -> bool {
        self.received[row as usize] > received(event)
    }

    /// Content of the row.
    pub fn content(&self, row: u32) -> Content<'_> {
        let at = row as usize;
        let fields = self.kind.fields.iter().map(|rule| rule.name.as_str());
        let signals = self.signals.iter();
        let signals = signals.map(|column| (column.name.as_str(), &column.values));
        let columns = fields.zip(&self.fields).chain(signals);
        Content {
            entity: self.entities.name(row),
            micros: self.times[at],
            values: columns
                .filter_map(|(name, values)| Some((name, values.at(at)?)))
                .collect(),
        }
    }

    /// Place of the row's line.
    pub fn span(&self, row: u32) -> Span {
        self.spans[row as usize]
    }

    /// The row of this id, if any; `hash` is its [`id_hash`](crate::rows::id_hash).
    pub fn find(&self, id: &str, hash: u64) -> Option<u32> {
        self.ids.find(id, hash)
    }

    /// The [`id_hash`](crate::rows::id_hash) of each row's id, in no particular order.
    pub fn hashes(&self) -> impl Iterator<Item = u64> + '_ {
        self.ids.hashes()
    }

    /// Removes the row of this id, if any.
    pub fn drop_id(&mut self, id: &str) {
        if let Some(row) = self.ids.take(id) {
            self.dropped[row as usize] = true;
        }
    }

    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The signals that the rows have, with the type of their values; a signal with values of two types comes twice.
    pub fn signals(&self) -> impl Iterator<Item = (String, ColumnType)> + '_ {
        let signals = self.signals.iter();
        signals.map(|column| (column.name.clone(), column.r#type))
    }

    /// The rows that are left, by entity, time and id.
    fn order(&self) -> Vec<u32> {
        let (mut order, ends) = self.entities.grouped(|row| !self.dropped[row as usize]);
        let time = |row: &u32| self.times[*row as usize];
        let mut start = 0;
        for end in ends {
            order[start..end].sort_unstable_by(|a, b| {
                let by_id = || self.ids.text(*a).cmp(self.ids.text(*b));
                time(a).cmp(&time(b)).then_with(by_id)
            });
            start = end;
        }
        order
    }

    /// The rows in the layout of `curated/`: sorted by entity, time and id; columns for ids and times, then the
    /// contract fields, then the signals by name.
    ///
    /// # Errors
    ///
    /// If the texts of a column take more than the 2 GiB that Arrow's offsets reach.
    pub fn into_batch(self, columns: &Columns) -> Result<RecordBatch, ArrowError> {
        let rows = self.spans.len();
        let order = self.order();
        // Each column is freed as soon as its sorted copy exists: at the peak an hour's rows are there twice.
        drop((self.nanos, self.spans, self.dropped, self.columns));
        let mut schema: Vec<Arc<Field>> = vec![
            Arc::new(Field::new("event_id", DataType::Utf8, false)),
            Arc::new(Field::new("entity_id", DataType::Utf8, false)),
            Arc::new(Field::new(
                "event_time",
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                false,
            )),
            Arc::new(Field::new(
                "ingest_received_at",
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
                false,
            )),
        ];
        let id = self.ids.column(&order);
        drop(self.ids);
        let entity = order.iter().map(|row| self.entities.name(*row));
        let entity = StringArray::from_iter_values(entity);
        let time = order.iter().map(|row| self.times[*row as usize]);
        let time = TimestampMicrosecondArray::from_iter_values(time);
        let received = order.iter().map(|row| self.received[*row as usize]);
        let received = TimestampMillisecondArray::from_iter_values(received);
        let order = UInt32Array::from(order);
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(id),
            Arc::new(entity),
            Arc::new(time.with_timezone("UTC")),
            Arc::new(received.with_timezone("UTC")),
        ];
        for (rule, values) in self.kind.fields.iter().zip(self.fields) {
            let r#type = ColumnType::of_field(rule.scalar).arrow();
            schema.push(Arc::new(Field::new(&rule.name, r#type, true)));
            arrays.push(take(&values.finish(rows), &order, None)?);
        }
        let signals = self.signals.into_iter();
        let mut signals: Vec<_> = signals
            .map(|column| (columns.field(&column.name, column.r#type), column.values))
            .collect();
        // Every part has the columns of all declared signals, also of those that no event here has.
        for rule in self.kind.known.values() {
            let r#type = ColumnType::of_signal(rule.scalar);
            let field = columns.field(&rule.name, r#type);
            if signals
                .iter()
                .all(|(other, _)| other.name() != field.name())
            {
                signals.push((field, Values::new(r#type)));
            }
        }
        signals.sort_by(|a, b| a.0.name().cmp(b.0.name()));
        for (field, values) in signals {
            schema.push(field);
            arrays.push(take(&values.finish(rows), &order, None)?);
        }
        RecordBatch::try_new(Arc::new(Schema::new(schema)), arrays)
    }
}

/// Microseconds, and the nanoseconds beyond them.
fn time_of(event: &Event<'_>) -> (i64, u16) {
    let nanos = event.time.timestamp_subsec_nanos() % 1000;
    (event.time.timestamp_micros(), nanos as u16)
}

/// Milliseconds.
fn received(event: &Event<'_>) -> i64 {
    event.received_at.unwrap_or_default().timestamp_millis()
}
