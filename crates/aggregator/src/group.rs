//! The events of one kind and event hour, gathered into columns.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray, TimestampMillisecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use contract::{Event, Kind, Scalar};
use uuid::Uuid;

use crate::columns::{ColumnType, Columns};

/// Where an event's line stands: which of the commit's inputs, and the bytes of the line in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) input: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// An id, in 16 bytes where it is a UUID in its usual form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum IdKey {
    Uuid(u128),
    Text(Box<str>),
}

impl IdKey {
    pub(crate) fn of(id: &str) -> IdKey {
        if id.len() == 36
            && let Ok(uuid) = Uuid::try_parse(id)
            && *uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *id
        {
            return IdKey::Uuid(uuid.as_u128());
        }
        IdKey::Text(id.into())
    }
}

/// What became of an event that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// Its id is new here.
    New,
    /// Its id is here already, at the row of that line.
    Seen(Span),
}

/// The events of one kind and hour. Rows stay in the order in which they came until
/// [`finish`](Group::finish) sorts them.
pub(crate) struct Group<'k> {
    kind: &'k Kind,
    index: HashMap<IdKey, u32>,
    ids: StringBuilder,
    entities: Vec<u32>,
    entity_names: Vec<String>,
    entity_index: HashMap<String, u32>,
    times: Vec<i64>,
    received: Vec<i64>,
    spans: Vec<Span>,
    dropped: Vec<bool>,
    fields: Vec<Values>,
    signals: Vec<SignalColumn>,
}

struct SignalColumn {
    name: String,
    r#type: ColumnType,
    values: Values,
}

/// A column that grows; rows without a value are filled with nulls when the next value comes.
enum Values {
    Number(Float64Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Text(StringBuilder),
}

impl Values {
    fn new(r#type: ColumnType) -> Values {
        match r#type {
            ColumnType::Number => Values::Number(Float64Builder::new()),
            ColumnType::Integer => Values::Integer(Int64Builder::new()),
            ColumnType::Boolean => Values::Boolean(BooleanBuilder::new()),
            ColumnType::Text => Values::Text(StringBuilder::new()),
        }
    }

    /// Puts the value at `row`. The contract has checked its type against the column's.
    fn put(&mut self, row: usize, value: &Scalar<'_>) {
        self.fill(row);
        match (self, value) {
            (Values::Number(column), Scalar::Number(value)) => column.append_value(*value),
            (Values::Integer(column), Scalar::Number(value)) => column.append_value(*value as i64),
            (Values::Boolean(column), Scalar::Bool(value)) => column.append_value(*value),
            (Values::Text(column), Scalar::Text(value)) => column.append_value(value),
            (column, _) => column.fill(row + 1),
        }
    }

    /// Makes the column `rows` long.
    fn fill(&mut self, rows: usize) {
        use arrow::array::ArrayBuilder;
        match self {
            Values::Number(column) => column.append_nulls(rows - column.len()),
            Values::Integer(column) => column.append_nulls(rows - column.len()),
            Values::Boolean(column) => column.append_nulls(rows - column.len()),
            Values::Text(column) => (column.len()..rows).for_each(|_| column.append_null()),
        }
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.fill(rows);
        match self {
            Values::Number(mut column) => Arc::new(column.finish()),
            Values::Integer(mut column) => Arc::new(column.finish()),
            Values::Boolean(mut column) => Arc::new(column.finish()),
            Values::Text(mut column) => Arc::new(column.finish()),
        }
    }
}

impl<'k> Group<'k> {
    pub(crate) fn new(kind: &'k Kind) -> Group<'k> {
        let fields = kind
            .fields
            .iter()
            .map(|rule| Values::new(ColumnType::declared(rule.scalar)))
            .collect();
        Group {
            kind,
            index: HashMap::new(),
            ids: StringBuilder::new(),
            entities: Vec::new(),
            entity_names: Vec::new(),
            entity_index: HashMap::new(),
            times: Vec::new(),
            received: Vec::new(),
            spans: Vec::new(),
            dropped: Vec::new(),
            fields,
            signals: Vec::new(),
        }
    }

    /// Adds the event unless its id is here. `id` is the event's own.
    pub(crate) fn add(&mut self, event: &Event<'_>, id: &str, span: Span) -> Added {
        let row = self.spans.len();
        match self.index.entry(IdKey::of(id)) {
            Entry::Occupied(there) => return Added::Seen(self.spans[*there.get() as usize]),
            Entry::Vacant(free) => free.insert(row as u32),
        };
        self.push(event, id, span);
        Added::New
    }

    /// Puts the event in place of the one that has its id.
    pub(crate) fn replace(&mut self, event: &Event<'_>, id: &str, span: Span) {
        let row = self.spans.len() as u32;
        if let Some(old) = self.index.insert(IdKey::of(id), row) {
            self.dropped[old as usize] = true;
        }
        self.push(event, id, span);
    }

    fn push(&mut self, event: &Event<'_>, id: &str, span: Span) {
        let row = self.spans.len();
        self.ids.append_value(id);
        let entity = match self.entity_index.get(&*event.entity) {
            Some(entity) => *entity,
            None => {
                let entity = self.entity_names.len() as u32;
                self.entity_names.push(event.entity.to_string());
                self.entity_index.insert(event.entity.to_string(), entity);
                entity
            }
        };
        self.entities.push(entity);
        self.times.push(event.time.timestamp_micros());
        self.received
            .push(event.received_at.unwrap_or_default().timestamp_millis());
        self.spans.push(span);
        self.dropped.push(false);
        for (at, value) in &event.fields {
            self.fields[*at].put(row, value);
        }
        // Events of a kind mostly repeat the same signals: look on from where the last was found.
        let mut next = 0;
        for (name, value) in &event.signals {
            let r#type = ColumnType::of(self.kind, name, value);
            let is_it = |column: &SignalColumn| {
                column.r#type == r#type && column.name.eq_ignore_ascii_case(name)
            };
            let at = match self.signals[next..].iter().position(is_it) {
                Some(at) => next + at,
                None => self.signals[..next]
                    .iter()
                    .position(is_it)
                    .unwrap_or_else(|| {
                        self.signals.push(SignalColumn {
                            name: name.to_string(),
                            r#type,
                            values: Values::new(r#type),
                        });
                        self.signals.len() - 1
                    }),
            };
            self.signals[at].values.put(row, value);
            next = at + 1;
        }
    }

    /// The line of the row that has this id, if one does.
    pub(crate) fn find(&self, id: &str) -> Option<Span> {
        self.index
            .get(&IdKey::of(id))
            .map(|row| self.spans[*row as usize])
    }

    /// Takes out the row that has this id.
    pub(crate) fn drop_id(&mut self, id: &str) {
        if let Some(row) = self.index.remove(&IdKey::of(id)) {
            self.dropped[row as usize] = true;
        }
    }

    /// Events that are in.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The signals seen, each with the type of its values.
    pub(crate) fn signals(&self) -> impl Iterator<Item = (String, ColumnType)> + '_ {
        self.signals
            .iter()
            .map(|column| (column.name.clone(), column.r#type))
    }

    /// The rows as they stand in `curated/`: sorted by entity, time and id; built-in columns,
    /// the contract's fields, then the signals by name.
    pub(crate) fn finish(self, columns: &Columns) -> Result<RecordBatch, ArrowError> {
        let Group {
            kind,
            mut ids,
            entities,
            entity_names,
            times,
            received,
            spans,
            dropped,
            fields,
            signals,
            ..
        } = self;
        let rows = spans.len();
        let ids = ids.finish();
        let ranks = ranks(&entity_names);
        let mut order: Vec<u32> = (0..rows as u32)
            .filter(|row| !dropped[*row as usize])
            .collect();
        let key = |row: u32| (ranks[entities[row as usize] as usize], times[row as usize]);
        order.sort_unstable_by(|a, b| {
            key(*a)
                .cmp(&key(*b))
                .then_with(|| ids.value(*a as usize).cmp(ids.value(*b as usize)))
        });
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
        let entity = StringArray::from_iter_values(
            order
                .iter()
                .map(|row| entity_names[entities[of(row)] as usize].as_str()),
        );
        let time =
            TimestampMicrosecondArray::from_iter_values(order.iter().map(|row| times[of(row)]));
        let received =
            TimestampMillisecondArray::from_iter_values(order.iter().map(|row| received[of(row)]));
        let order = UInt32Array::from(order);
        let mut arrays: Vec<ArrayRef> = vec![
            take(&ids, &order, None)?,
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
        signals.sort_by(|a, b| a.0.name().cmp(b.0.name()));
        for (field, values) in signals {
            schema.push(field);
            arrays.push(take(&values.finish(rows), &order, None)?);
        }
        RecordBatch::try_new(Arc::new(Schema::new(schema)), arrays)
    }
}

/// The place of each name in byte order.
fn ranks(names: &[String]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_unstable_by(|a, b| names[*a].cmp(&names[*b]));
    let mut ranks = vec![0; names.len()];
    for (rank, at) in order.into_iter().enumerate() {
        ranks[at] = rank as u32;
    }
    ranks
}
