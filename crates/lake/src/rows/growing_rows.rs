//! Rows of one kind and event hour that grow, event by event, and become a [`Block`].

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringBuilder, UInt16Array, UInt32Array};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use contract::{Event, Kind, Scalar};
use foldhash::quality::RandomState;
use hashbrown::HashTable;

use crate::rows::block::{Block, COLUMN_NAMES, Span};
use crate::rows::column_type::ColumnType;
use crate::rows::columns::Admission;
use crate::rows::more::More;
use crate::rows::values::Values;

/// Columns that are compared one by one before the hash table is asked.
const LOOK_AHEAD: usize = 8;

/// Bytes that a row takes beside its texts and signals: times, receipt, span, and the ends of texts.
const ROW_BYTES: usize = 48;

/// Bytes that a column takes however few values it has.
const COLUMN_BYTES: usize = 400;

/// Rows in the order in which they came.
pub(crate) struct GrowingRows {
    ids: StringBuilder,
    entities: StringBuilder,
    /// Event times: microseconds, and in `nanos` the nanoseconds beyond them.
    times: Vec<i64>,
    nanos: Vec<u16>,
    /// Milliseconds.
    received: Vec<i64>,
    inputs: Vec<u32>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    more: Values,
    senders: Values,
    fields: Vec<Values>,
    signals: Vec<SignalColumn>,
    /// A signal's name as events spell it, and the index of its column in `signals`.
    columns: HashTable<(Box<str>, u32)>,
    hasher: RandomState,
    /// Signals that are neither declared nor stored, in lower case.
    new_names: usize,
}

struct SignalColumn {
    name: String,
    r#type: ColumnType,
    values: Values,
}

impl GrowingRows {
    pub(crate) fn new(kind: &Kind) -> GrowingRows {
        let fields = kind.fields.iter();
        let fields = fields.map(|rule| Values::new(ColumnType::of_field(rule.scalar)));
        GrowingRows {
            ids: StringBuilder::with_capacity(0, 0),
            entities: StringBuilder::with_capacity(0, 0),
            times: Vec::new(),
            nanos: Vec::new(),
            received: Vec::new(),
            inputs: Vec::new(),
            starts: Vec::new(),
            ends: Vec::new(),
            more: Values::new(ColumnType::Text),
            senders: Values::new(ColumnType::Text),
            fields: fields.collect(),
            signals: Vec::new(),
            columns: HashTable::new(),
            hasher: RandomState::default(),
            new_names: 0,
        }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Appends the event's row, and returns by how many bytes the rows have grown, about.
    pub(crate) fn push(
        &mut self,
        event: &Event<'_>,
        id: &str,
        span: Span,
        admission: &Admission,
    ) -> usize {
        let row = self.times.len();
        let mut texts = id.len() + event.entity.len();
        self.ids.append_value(id);
        self.entities.append_value(&event.entity);
        let nanos = event.time.timestamp_subsec_nanos() % 1000;
        self.times.push(event.time.timestamp_micros());
        self.nanos.push(nanos as u16);
        let received = event.received_at.unwrap_or_default();
        self.received.push(received.timestamp_millis());
        self.inputs.push(span.input);
        self.starts.push(span.start);
        self.ends.push(span.end);
        if let Some(sender) = &event.sender {
            texts += sender.len();
            let sender = Scalar::Text(sender.as_ref().into());
            self.senders.put(row, &sender);
        }
        for (at, value) in &event.fields {
            texts += length(value);
            self.fields[*at].put(row, value);
        }
        let before = self.signals.len();
        // Events of a kind mostly repeat the same signals in the same order, so the search begins behind the column
        // found last. A name and a sort of value always lead to the same column.
        let mut next = 0;
        let mut more = More::default();
        // The signal of a long kind is in its fields.
        let signals = event.signals.iter().filter(|_| !event.kind.is_long());
        for (name, value) in signals {
            texts += length(value);
            let is_it = |column: &SignalColumn| column.name == *name && column.r#type.takes(value);
            let near = self.signals[next..].iter().take(LOOK_AHEAD).position(is_it);
            let near = near.map(|at| next + at);
            let found = near.or_else(|| self.column(name, value));
            let found = found.or_else(|| self.column_of(event.kind, name, value, admission));
            let Some(at) = found else {
                texts += name.len() + 16;
                more.add(name, value);
                continue;
            };
            self.signals[at].values.put(row, value);
            next = at + 1;
        }
        if !more.is_empty() {
            self.more.put(row, &Scalar::Text(more.to_text().into()));
        }
        let columns = self.signals.len();
        let new = (columns - before) * (COLUMN_BYTES + row * size_of::<f64>());
        let base = if row == 0 { 4 * COLUMN_BYTES } else { 0 };
        ROW_BYTES + texts + (columns + self.fields.len()) * size_of::<f64>() + new + base
    }

    /// Finds or makes the column for a spelling that [`column`](Self::column) does not know; none if the name may have
    /// no column. Spellings that differ in case alone share a column.
    fn column_of(
        &mut self,
        kind: &Kind,
        name: &str,
        value: &Scalar<'_>,
        admission: &Admission,
    ) -> Option<usize> {
        let r#type = ColumnType::of(kind, name, value);
        let is_name = |column: &SignalColumn| column.name.eq_ignore_ascii_case(name);
        let is_it = |column: &SignalColumn| column.r#type == r#type && is_name(column);
        let at = match self.signals.iter().position(is_it) {
            Some(at) => at,
            None => {
                let is_new = !admission.has(name) && !self.signals.iter().any(is_name);
                if is_new && self.new_names >= admission.most_new() {
                    return None;
                }
                self.new_names += usize::from(is_new);
                self.signals.push(SignalColumn {
                    name: name.to_owned(),
                    r#type,
                    values: Values::new(r#type),
                });
                self.signals.len() - 1
            }
        };
        let entry = (name.into(), at as u32);
        let hash = |(name, _): &(Box<str>, u32)| self.hasher.hash_one(&**name);
        self.columns.insert_unique(hash(&entry), entry, hash);
        Some(at)
    }

    /// The column that took this sort of value of the signal before.
    fn column(&self, name: &str, value: &Scalar<'_>) -> Option<usize> {
        let is_it = |(other, at): &(Box<str>, u32)| {
            **other == *name && self.signals[*at as usize].r#type.takes(value)
        };
        let found = self.columns.find(self.hasher.hash_one(name), is_it);
        found.map(|(_, at)| *at as usize)
    }

    /// The rows as a block.
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Arrow's own.
    pub(crate) fn finish(mut self, kind: &Kind) -> Result<Block, ArrowError> {
        let rows = self.times.len();
        let columns: [ArrayRef; COLUMN_NAMES.len()] = [
            Arc::new(self.ids.finish()),
            Arc::new(self.entities.finish()),
            Arc::new(Int64Array::from(self.times)),
            Arc::new(UInt16Array::from(self.nanos)),
            Arc::new(Int64Array::from(self.received)),
            Arc::new(UInt32Array::from(self.inputs)),
            Arc::new(UInt32Array::from(self.starts)),
            Arc::new(UInt32Array::from(self.ends)),
            self.more.finish(rows),
            self.senders.finish_or_none(rows),
        ];
        let mut named: Vec<(String, ArrayRef)> = Vec::new();
        named.extend(COLUMN_NAMES.map(str::to_owned).into_iter().zip(columns));
        let fields = kind.fields.iter().map(|rule| rule.name.clone());
        let values = self.fields.into_iter().map(|values| values.finish(rows));
        named.extend(fields.zip(values));
        let signals = self.signals.into_iter();
        named.extend(signals.map(|column| (column.name, column.values.finish(rows))));
        let schema: Vec<_> = named
            .iter()
            .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
            .collect();
        let columns = named.into_iter().map(|(_, column)| column).collect();
        RecordBatch::try_new(Arc::new(Schema::new(schema)), columns).map(Block::new)
    }
}

fn length(value: &Scalar<'_>) -> usize {
    match value {
        Scalar::Text(text) => text.len(),
        _ => 0,
    }
}
