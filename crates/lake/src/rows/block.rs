//! Some rows of one kind and event hour as they were read, unsorted, in the form in which they wait for their hour: an
//! Arrow batch, in memory or as Arrow's IPC stream in a file.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::Buffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, UInt16Type, UInt32Type};
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use contract::{Kind, Scalar};

use crate::rows::buckets::{Bucket, Buckets};
use crate::rows::column_type::ColumnType;
use crate::rows::more::More;
use crate::rows::values::value_at;

/// Columns of a block before those of contract fields and signals, in this order: [`COLUMNS`] of them.
pub(crate) const COLUMN_NAMES: [&str; COLUMNS] = [
    "id", "entity", "micros", "nanos", "received", "input", "start", "end", "more", "sender",
];
pub(crate) const COLUMNS: usize = 10;

/// Bytes that the name and type of a column take, about.
const FIELD_BYTES: usize = 200;

/// Place of an event's line: the object by the number its reader gave it, and the bytes `start..end` in the object;
/// both are the largest number if the line lies past 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Number of the object.
    pub input: u32,
    /// First byte of the line.
    pub start: u32,
    /// The byte after the line.
    pub end: u32,
}

/// What an event says in `curated/`. When and from whom it was received is no part of it, nor are derived signals: they
/// follow from the rest, and parts of before they were declared do not have them.
#[derive(Debug)]
pub struct Content<'g> {
    /// Id of the vehicle, cell or other thing.
    pub entity: &'g str,
    /// Event time in microseconds since 1970, UTC.
    pub micros: i64,
    /// Contract fields and signals that have a value, by name.
    pub values: Vec<(Cow<'g, str>, Scalar<'g>)>,
}

impl Content<'_> {
    /// Whether both say the same: entity, time to the microsecond, fields and signals. Numbers are equal to the bit: 0
    /// and −0 differ.
    pub fn is_same(&self, other: &Content<'_>) -> bool {
        let is_same = |a: &(Cow<'_, str>, Scalar<'_>), b: &(Cow<'_, str>, Scalar<'_>)| {
            let values = match (&a.1, &b.1) {
                (Scalar::Number(a), Scalar::Number(b)) => a.to_bits() == b.to_bits(),
                (a, b) => a == b,
            };
            values && a.0.eq_ignore_ascii_case(&b.0)
        };
        self.entity == other.entity
            && self.micros == other.micros
            && self.values.len() == other.values.len()
            && self
                .values
                .iter()
                .all(|a| other.values.iter().any(|b| is_same(a, b)))
    }
}

/// Some rows of one kind and event hour, unsorted; an id may be there more than once.
#[derive(Debug, Clone)]
pub struct Block {
    batch: RecordBatch,
    /// Bytes of memory, about.
    bytes: usize,
}

impl Block {
    pub(crate) fn new(batch: RecordBatch) -> Block {
        let bytes = batch.get_array_memory_size() + batch.num_columns() * FIELD_BYTES;
        Block { batch, bytes }
    }

    /// The rows of each bucket that has some, in the order in which they are here.
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Arrow's own.
    pub(crate) fn divide(self, division: Buckets) -> Result<Vec<(Bucket, Block)>, ArrowError> {
        if division.count() == 1 {
            return Ok(vec![(division.bucket(0), self)]);
        }
        let numbers = self.ids().iter().flatten();
        let numbers: Vec<usize> = numbers.map(|id| division.of(id) as usize).collect();
        let mut ends = vec![0; division.count() as usize];
        numbers.iter().for_each(|number| ends[*number] += 1);
        let mut end = 0;
        for count in &mut ends {
            end += std::mem::replace(count, end);
        }
        // What were the starts become the ends.
        let mut order = vec![0_u32; numbers.len()];
        for (row, number) in (0..).zip(numbers) {
            order[ends[number]] = row;
            ends[number] += 1;
        }
        let order = UInt32Array::from(order);
        let (schema, columns, rows) = self.batch.into_parts();
        // Each column goes as soon as it is copied.
        let columns = columns
            .into_iter()
            .map(|column| take(&column, &order, None));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let sorted = Block::new(RecordBatch::try_new(schema, columns)?);
        let mut blocks = Vec::new();
        let mut start = 0;
        for (number, end) in (0..).zip(ends) {
            let length = end - start;
            if length > 0 {
                let batch = sorted.batch.slice(start, length);
                let bytes = (sorted.bytes as u128 * length as u128 / rows as u128) as usize;
                blocks.push((division.bucket(number), Block { batch, bytes }));
            }
            start = end;
        }
        Ok(blocks)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Number of columns of contract fields and signals.
    pub fn columns(&self) -> usize {
        self.batch.num_columns() - COLUMNS
    }

    /// Bytes of memory that the block takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends the block to `out` as an Arrow IPC stream.
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Arrow's own.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        // Buffers are aligned to 8 bytes rather than 64: an hour of few events has many small ones.
        let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
        let schema = self.batch.schema();
        let mut writer = StreamWriter::try_new_with_options(out, &schema, options)?;
        writer.write(&self.batch)?;
        writer.finish()
    }

    /// Reads back what [`write`](Self::write) wrote. The block keeps the bytes, rather than a copy of them.
    ///
    /// # Errors
    ///
    /// If the bytes are something else.
    pub fn read(bytes: Vec<u8>) -> Result<Block, ArrowError> {
        let batch = StreamDecoder::new().decode(&mut Buffer::from_vec(bytes))?;
        let empty = || ArrowError::IpcError("a spilled block holds no rows".to_owned());
        batch.map(Block::new).ok_or_else(empty)
    }

    pub(crate) fn column(&self, at: usize) -> &ArrayRef {
        self.batch.column(at)
    }

    pub(crate) fn ids(&self) -> &StringArray {
        self.batch.column(0).as_string()
    }

    pub(crate) fn entities(&self) -> &StringArray {
        self.batch.column(1).as_string()
    }

    /// Event times.
    pub(crate) fn micros(&self) -> &Int64Array {
        self.batch.column(2).as_primitive()
    }

    pub(crate) fn nanos(&self, row: usize) -> u16 {
        self.batch.column(3).as_primitive::<UInt16Type>().value(row)
    }

    /// Times of receipt in milliseconds.
    pub(crate) fn received(&self) -> &Int64Array {
        self.batch.column(4).as_primitive()
    }

    pub(crate) fn span(&self, row: usize) -> Span {
        let at = |column: usize| {
            let column = self.batch.column(column);
            column.as_primitive::<UInt32Type>().value(row)
        };
        Span {
            input: at(5),
            start: at(6),
            end: at(7),
        }
    }

    /// Text of the column `_more`.
    pub(crate) fn more(&self, row: usize) -> Option<&str> {
        let more = self.batch.column(8).as_string::<i32>();
        more.is_valid(row).then(|| more.value(row))
    }

    /// Names of the keys that the events were sent with, if any event has one.
    pub(crate) fn senders(&self) -> Option<&ArrayRef> {
        let senders = self.batch.column(9);
        (*senders.data_type() != DataType::Null).then_some(senders)
    }

    /// Name and type of each signal; a signal with values of two types comes twice.
    pub fn signal_types(&self, kind: &Kind) -> impl Iterator<Item = (&str, ColumnType)> {
        self.signals(kind).map(|(name, r#type, _)| (name, r#type))
    }

    /// Name, type and values of each signal.
    pub(crate) fn signals(
        &self,
        kind: &Kind,
    ) -> impl Iterator<Item = (&str, ColumnType, &ArrayRef)> {
        let fields = self.batch.schema_ref().fields().iter();
        let columns = fields.zip(self.batch.columns());
        columns
            .skip(COLUMNS + kind.fields.len())
            .map(|(field, column)| {
                let r#type = match field.data_type() {
                    DataType::Boolean => ColumnType::Boolean,
                    DataType::Utf8 => ColumnType::Text,
                    _ => ColumnType::Number,
                };
                (field.name().as_str(), r#type, column)
            })
    }

    pub(crate) fn content(&self, kind: &Kind, row: usize) -> Content<'_> {
        let fields = kind
            .fields
            .iter()
            .zip(self.batch.columns().iter().skip(COLUMNS));
        let fields = fields.map(|(rule, column)| {
            let name = rule.name.clone().into();
            (name, value_at(column, row))
        });
        let signals = self.signals(kind);
        let signals = signals.filter(|(name, _, _)| kind.derived_signal(name).is_none());
        let signals = signals.map(|(name, _, column)| (name.into(), value_at(column, row)));
        let columns = fields.chain(signals);
        let columns = columns.filter_map(|(name, value)| Some((name, value?)));
        let more = self.more(row).map(More::of_text).unwrap_or_default();
        Content {
            entity: self.entities().value(row),
            micros: self.micros().value(row),
            values: columns.chain(more.into_values()).collect(),
        }
    }
}
