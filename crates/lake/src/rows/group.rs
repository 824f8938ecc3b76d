//! The events of one kind and event hour, gathered into columns.

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

/// Most columns of undeclared signals that the events of a kind and hour have in one commit.
const MAX_UNDECLARED_COLUMNS: usize = 512;

/// How many columns are looked at before the hash is asked.
const LOOK_ON: usize = 8;

/// Where an event's line stands: which of the commit's inputs, and the bytes of the line in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub input: u32,
    pub start: u32,
    pub end: u32,
}

/// What became of an event that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// Its id is new here.
    New,
    /// Its id is here already, in that row.
    Seen(u32),
}

/// What an event says, as it stands in `curated/`: fields and signals by name.
pub struct Content<'g> {
    pub entity: &'g str,
    pub micros: i64,
    pub values: Vec<(&'g str, Scalar<'g>)>,
}

/// The events of one kind and hour. Rows stay in the order in which they came until
/// [`finish`](Group::finish) sorts them.
pub struct Group<'k> {
    kind: &'k Kind,
    ids: Ids,
    entities: Entities,
    /// Microseconds, and nanoseconds beyond them.
    times: Vec<i64>,
    nanos: Vec<u16>,
    received: Vec<i64>,
    spans: Vec<Span>,
    dropped: Vec<bool>,
    fields: Vec<Values>,
    signals: Vec<SignalColumn>,
    /// Where the columns of a signal are, by the hash of its name as events spell it.
    columns: HashTable<(Box<str>, u32)>,
    key: RandomState,
}

struct SignalColumn {
    name: String,
    r#type: ColumnType,
    values: Values,
}

impl<'k> Group<'k> {
    pub fn new(kind: &'k Kind) -> Group<'k> {
        let fields = kind
            .fields
            .iter()
            .map(|rule| Values::new(ColumnType::declared(rule.scalar)))
            .collect();
        Group {
            kind,
            ids: Ids::default(),
            entities: Entities::default(),
            times: Vec::new(),
            nanos: Vec::new(),
            received: Vec::new(),
            spans: Vec::new(),
            dropped: Vec::new(),
            fields,
            signals: Vec::new(),
            columns: HashTable::new(),
            key: RandomState::default(),
        }
    }

    /// Whether the event's signals find columns, or room for more of them. A column has a place for
    /// each row: that many bound the memory that senders can make an hour take.
    pub fn has_room(&self, event: &Event<'_>) -> bool {
        let most = self.kind.known.len() + MAX_UNDECLARED_COLUMNS;
        self.signals.len() + event.signals.len() <= most || {
            let new = event
                .signals
                .iter()
                .filter(|(name, value)| self.column(name, value).is_none());
            self.signals.len() + new.count() <= most
        }
    }

    /// Adds the event unless its id is here. `id` is the event's own.
    pub fn add(&mut self, event: &Event<'_>, id: &str, span: Span) -> Added {
        match self.ids.insert(id) {
            Ok(()) => {
                self.push(event, span);
                Added::New
            }
            Err(row) => Added::Seen(row),
        }
    }

    /// Puts the event in place of the one that has its id.
    pub fn replace(&mut self, event: &Event<'_>, id: &str, span: Span) {
        self.drop_id(id);
        if self.ids.insert(id).is_ok() {
            self.push(event, span);
        }
    }

    /// Everything of the event's row but its id, which is there already.
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
        // Events of a kind mostly repeat the same signals: look on from where the last was found.
        // One name and one sort of value always go to one column.
        let mut next = 0;
        for (name, value) in &event.signals {
            let is_it = |column: &SignalColumn| column.name == *name && column.values.takes(value);
            let near = self.signals[next..].iter().take(LOOK_ON).position(is_it);
            let found = near
                .map(|at| next + at)
                .or_else(|| self.column(name, value));
            let at = found.unwrap_or_else(|| self.column_of(name, value));
            self.signals[at].values.put(row, value);
            next = at + 1;
        }
    }

    /// The column for the signal's value; made where there is none. Spellings that differ in
    /// case alone share it.
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
        let hash = |(name, _): &(Box<str>, u32)| self.key.hash_one(&**name);
        self.columns.insert_unique(hash(&entry), entry, hash);
        at
    }

    /// The column that took such a value of that signal before.
    fn column(&self, name: &str, value: &Scalar<'_>) -> Option<usize> {
        let is_it = |(other, at): &(Box<str>, u32)| {
            **other == *name && self.signals[*at as usize].values.takes(value)
        };
        let found = self.columns.find(self.key.hash_one(name), is_it);
        found.map(|(_, at)| *at as usize)
    }

    /// Whether the event says the same as the row; when they were received does not count.
    pub fn is_same(&self, row: u32, event: &Event<'_>) -> bool {
        let at = row as usize;
        if (self.times[at], self.nanos[at]) != time_of(event)
            || self.entities.name(row) != event.entity
        {
            return false;
        }
        let count = |columns: &mut dyn Iterator<Item = &Values>| {
            columns.filter(|column| column.at(at).is_some()).count()
        };
        let fields = event
            .fields
            .iter()
            .all(|(field, value)| self.fields[*field].at(at).as_ref() == Some(value));
        let signals = event.signals.iter().all(|(name, value)| {
            self.signals.iter().any(|column| {
                column.name.eq_ignore_ascii_case(name)
                    && column.values.at(at).as_ref() == Some(value)
            })
        });
        fields
            && signals
            && count(&mut self.fields.iter()) == event.fields.len()
            && count(&mut self.signals.iter().map(|column| &column.values)) == event.signals.len()
    }

    /// Whether the row's event was received after this one.
    pub fn was_received_after(&self, row: u32, event: &Event<'_>) -> bool {
        self.received[row as usize] > received(event)
    }

    /// What the row says.
    pub fn content(&self, row: u32) -> Content<'_> {
        let at = row as usize;
        let fields = self.kind.fields.iter().map(|rule| rule.name.as_str());
        let fields = fields.zip(&self.fields);
        let signals = self
            .signals
            .iter()
            .map(|column| (column.name.as_str(), &column.values));
        Content {
            entity: self.entities.name(row),
            micros: self.times[at],
            values: fields
                .chain(signals)
                .filter_map(|(name, values)| Some((name, values.at(at)?)))
                .collect(),
        }
    }

    /// The line of that row.
    pub fn span(&self, row: u32) -> Span {
        self.spans[row as usize]
    }

    /// The row that has this id, if one does; `hash` is the id's.
    pub fn find(&self, id: &str, hash: u64) -> Option<u32> {
        self.ids.find(id, hash)
    }

    /// The hashes of the ids that are in.
    pub fn hashes(&self) -> impl Iterator<Item = u64> + '_ {
        self.ids.hashes()
    }

    /// Takes out the row that has this id.
    pub fn drop_id(&mut self, id: &str) {
        if let Some(row) = self.ids.take(id) {
            self.dropped[row as usize] = true;
        }
    }

    /// Events that are in.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The signals seen, each with the type of its values.
    pub fn signals(&self) -> impl Iterator<Item = (String, ColumnType)> + '_ {
        self.signals
            .iter()
            .map(|column| (column.name.clone(), column.r#type))
    }

    /// The rows that are in, by entity, time and id.
    fn order(&self) -> Vec<u32> {
        let (mut order, ends) = self.entities.grouped(|row| !self.dropped[row as usize]);
        let time = |row: &u32| self.times[*row as usize];
        let mut start = 0;
        for end in ends {
            order[start..end].sort_unstable_by(|a, b| {
                time(a)
                    .cmp(&time(b))
                    .then_with(|| self.ids.text(*a).cmp(self.ids.text(*b)))
            });
            start = end;
        }
        order
    }

    /// The rows as they stand in `curated/`: sorted by entity, time and id; built-in columns,
    /// the contract's fields, then the signals by name.
    pub fn finish(self, columns: &Columns) -> Result<RecordBatch, ArrowError> {
        let rows = self.spans.len();
        let order = self.order();
        // What is done with is let go at once: an hour's rows are there twice for a while.
        let Group {
            kind,
            ids,
            entities,
            times,
            received,
            fields,
            signals,
            nanos,
            spans,
            dropped,
            columns: places,
            key: _,
        } = self;
        drop((nanos, spans, dropped, places));
        let of = |row: &u32| *row as usize;

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
        let id = ids.column(&order);
        drop(ids);
        let entity = StringArray::from_iter_values(order.iter().map(|row| entities.name(*row)));
        let time =
            TimestampMicrosecondArray::from_iter_values(order.iter().map(|row| times[of(row)]));
        let received =
            TimestampMillisecondArray::from_iter_values(order.iter().map(|row| received[of(row)]));
        let order = UInt32Array::from(order);
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(id),
            Arc::new(entity),
            Arc::new(time.with_timezone("UTC")),
            Arc::new(received.with_timezone("UTC")),
        ];
        for (rule, values) in kind.fields.iter().zip(fields) {
            schema.push(Arc::new(Field::new(
                &rule.name,
                ColumnType::declared(rule.scalar).arrow(),
                true,
            )));
            arrays.push(take(&values.finish(rows), &order, None)?);
        }
        let mut signals: Vec<_> = signals
            .into_iter()
            .map(|column| (columns.field(&column.name, column.r#type), column.values))
            .collect();
        // Declared signals that no event here has: every part has their columns.
        for rule in kind.known.values() {
            let r#type = ColumnType::signal(rule.scalar);
            let field = columns.field(&rule.name, r#type);
            if !signals
                .iter()
                .any(|(other, _)| other.name() == field.name())
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

/// The event's time: microseconds, and nanoseconds beyond them.
fn time_of(event: &Event<'_>) -> (i64, u16) {
    let nanos = event.time.timestamp_subsec_nanos() % 1000;
    (event.time.timestamp_micros(), nanos as u16)
}

/// When the event was received, in milliseconds.
fn received(event: &Event<'_>) -> i64 {
    event.received_at.unwrap_or_default().timestamp_millis()
}
