//! The rows of one kind and event hour, each id once, and then as one sorted batch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use contract::{Kind, Kinds};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::rows::block::{Block, COLUMNS, Content, Span};
use crate::rows::buckets::Bucket;
use crate::rows::column_type::ColumnType;
use crate::rows::columns::{Columns, built_in};
use crate::rows::entities::Entities;
use crate::rows::ids::id_hash;
use crate::rows::long_columns::contract_field;
use crate::rows::more::MORE;
use crate::rows::pick::Pick;

/// A row that is left out because another row has the same id.
#[derive(Debug, PartialEq)]
pub enum LeftOut<'l> {
    /// The other row has the same content.
    Duplicate,
    /// The other row has other content.
    Conflict {
        /// The id of both rows.
        id: &'l str,
        /// Place of the line that stays: the one received first.
        stays: Span,
        /// Place of the line that is left out.
        goes: Span,
    },
}

/// The events of one kind and event hour, each id once. Rows stay in the order in which they came until
/// [`into_batch`](HourRows::into_batch) sorts them.
pub struct HourRows {
    kinds: Arc<Kinds>,
    kind: usize,
    blocks: Vec<Block>,
    /// The ids of each block.
    texts: Vec<StringArray>,
    /// Block and row in the block of each row.
    places: Vec<(u32, u32)>,
    /// The [`id_hash`] of each row.
    hashes: Vec<u64>,
    /// The row of each id.
    ids: HashTable<u32>,
    dropped: Vec<bool>,
}

impl HourRows {
    /// The rows of all blocks, or of those ids alone that are in a bucket; `kind` is the place of their kind in
    /// [`Kinds::iter`]. Of rows with the same id the one received first stays, in whatever order the blocks come; each
    /// that goes is told to `left_out`.
    pub fn of(
        kinds: Arc<Kinds>,
        kind: usize,
        blocks: Vec<Block>,
        bucket: Option<Bucket>,
        mut left_out: impl FnMut(LeftOut<'_>),
    ) -> HourRows {
        let all = blocks.iter().map(Block::rows).sum();
        let mut rows = HourRows {
            kinds,
            kind,
            texts: blocks.iter().map(|block| block.ids().clone()).collect(),
            blocks,
            places: Vec::with_capacity(all),
            hashes: Vec::with_capacity(all),
            ids: HashTable::with_capacity(all),
            dropped: Vec::with_capacity(all),
        };
        for block in 0..rows.blocks.len() {
            for row in 0..rows.blocks[block].rows() {
                let id = rows.texts[block].value(row);
                if bucket.is_none_or(|bucket| bucket.has(id)) {
                    rows.add((block as u32, row as u32), &mut left_out);
                }
            }
        }
        rows
    }

    fn kind(&self) -> Option<&Kind> {
        self.kinds.iter().nth(self.kind)
    }

    fn add(&mut self, place: (u32, u32), left_out: &mut impl FnMut(LeftOut<'_>)) {
        let row = self.places.len() as u32;
        let id = text(&self.texts, place);
        let hash = id_hash(id);
        let (places, hashes, blocks) = (&self.places, &self.hashes, &self.blocks);
        let texts = &self.texts;
        let is_it =
            |row: &u32| hashes[*row as usize] == hash && text(texts, places[*row as usize]) == id;
        let kind = self.kinds.iter().nth(self.kind);
        let found = self.ids.entry(hash, is_it, |row| hashes[*row as usize]);
        let mut goes = false;
        match found {
            Entry::Vacant(free) => {
                free.insert(row);
            }
            Entry::Occupied(mut there) => {
                let before = *there.get();
                let other = places[before as usize];
                let (mine, theirs) = (arrival(blocks, place), arrival(blocks, other));
                if kind.is_some_and(|kind| is_same(kind, blocks, place, other)) {
                    left_out(LeftOut::Duplicate);
                } else {
                    let (stays, goes) = if mine < theirs {
                        (mine.1, theirs.1)
                    } else {
                        (theirs.1, mine.1)
                    };
                    left_out(LeftOut::Conflict { id, stays, goes });
                }
                goes = mine >= theirs;
                if !goes {
                    *there.get_mut() = row;
                    self.dropped[before as usize] = true;
                }
            }
        }
        self.places.push(place);
        self.hashes.push(hash);
        self.dropped.push(goes);
    }

    /// Whether the row has this content.
    pub fn has_content(&self, row: u32, content: &Content<'_>) -> bool {
        let (block, row) = self.places[row as usize];
        let block = &self.blocks[block as usize];
        let kind = self.kind();
        kind.is_some_and(|kind| block.content(kind, row as usize).is_same(content))
    }

    /// Place of the row's line.
    pub fn span(&self, row: u32) -> Span {
        let (block, row) = self.places[row as usize];
        self.blocks[block as usize].span(row as usize)
    }

    /// The row of this id, if any.
    pub fn find(&self, id: &str) -> Option<u32> {
        let hash = id_hash(id);
        let is_it = |row: &u32| {
            self.hashes[*row as usize] == hash
                && text(&self.texts, self.places[*row as usize]) == id
        };
        self.ids.find(hash, is_it).copied()
    }

    /// The ids that are left, in no particular order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let rows = self.ids.iter();
        rows.map(|row| text(&self.texts, self.places[*row as usize]))
    }

    /// Number of rows that are left.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Removes the row.
    pub fn drop_row(&mut self, row: u32) {
        let hash = self.hashes[row as usize];
        if let Ok(entry) = self.ids.find_entry(hash, |other| *other == row) {
            entry.remove();
            self.dropped[row as usize] = true;
        }
    }

    /// The rows in the layout of `curated/`: sorted by entity, time and id; columns for ids and times, then the
    /// contract fields, then the signals by name, and last, if a row needs it, [`MORE`]. The second number is that of
    /// the values in [`MORE`].
    ///
    /// # Errors
    ///
    /// If the texts of a column take more than the 2 GiB that Arrow's offsets reach.
    pub fn into_batch(self, columns: &Columns) -> Result<(RecordBatch, u64), ArrowError> {
        self.batch(columns, None)
    }

    /// [`into_batch`](Self::into_batch) with columns for these signals, of which `all` rows of an hour have some:
    /// the rows of the hour, in whatever groups, then have the same columns. [`MORE`] is among them.
    ///
    /// # Errors
    ///
    /// As for [`into_batch`](Self::into_batch).
    pub fn into_row_group(
        self,
        columns: &Columns,
        all: &[(String, ColumnType)],
    ) -> Result<(RecordBatch, u64), ArrowError> {
        self.batch(columns, Some(all))
    }

    fn batch(
        self,
        columns: &Columns,
        all: Option<&[(String, ColumnType)]>,
    ) -> Result<(RecordBatch, u64), ArrowError> {
        let HourRows {
            kinds,
            kind,
            blocks,
            texts,
            places,
            hashes,
            ids,
            dropped,
        } = self;
        drop((hashes, ids));
        let Some(kind) = kinds.iter().nth(kind) else {
            let unknown = "rows of a kind that is not declared";
            return Err(ArrowError::SchemaError(unknown.to_owned()));
        };
        let (order, entity) = order(&blocks, &texts, &places, &dropped);
        drop((places, dropped));
        let pick = Pick {
            blocks: &blocks,
            order: &order,
        };
        let micros: Vec<_> = blocks.iter().map(Block::micros).collect();
        let micros = order.iter().map(|(block, row)| micros[*block].value(*row));
        let micros = TimestampMicrosecondArray::from_iter_values(micros);
        let received: Vec<_> = blocks.iter().map(Block::received).collect();
        let received = order
            .iter()
            .map(|(block, row)| received[*block].value(*row));
        let received = TimestampMillisecondArray::from_iter_values(received);
        let mut schema = built_in();
        let mut arrays: Vec<ArrayRef> = vec![
            pick.column(|block| Some(block.column(0)), &DataType::Utf8)?,
            Arc::new(entity),
            Arc::new(micros.with_timezone("UTC")),
            Arc::new(received.with_timezone("UTC")),
            pick.column(Block::senders, &DataType::Utf8)?,
        ];
        for at in 0..kind.fields.len() {
            let field = contract_field(kind, at);
            arrays.push(pick.column(|block| Some(block.column(COLUMNS + at)), field.data_type())?);
            schema.push(Arc::new(field));
        }
        let mut more = HashMap::new();
        let mut signals = Vec::new();
        for ((name, r#type), by_block) in signals_of(kind, &blocks) {
            if let Some(field) = columns.field(name, r#type) {
                let of = |block: usize| by_block.get(&block).copied();
                let values = pick.column_of(of, &r#type.arrow())?;
                // Rows that were dropped may have been the only ones with a value.
                if values.null_count() < values.len() {
                    signals.push((field, values));
                }
            } else {
                pick.add_more(&by_block, name, &mut more);
            }
        }
        // Every part has the columns of all declared signals, also of those that no event here has.
        let declared = kind.signals();
        let declared = declared.map(|rule| (&rule.name, ColumnType::of_signal(rule.scalar)));
        let others = all.into_iter().flatten();
        let others = others.map(|(name, r#type)| (name, *r#type));
        for (name, r#type) in declared.chain(others) {
            let Some(field) = columns.field(name, r#type) else {
                continue;
            };
            let is_it = |(other, _): &(Arc<Field>, _)| other.name() == field.name();
            if !signals.iter().any(is_it) {
                let nulls = new_null_array(&r#type.arrow(), order.len());
                signals.push((field, nulls));
            }
        }
        signals.sort_by(|a, b| a.0.name().cmp(b.0.name()));
        for (field, values) in signals {
            schema.push(field);
            arrays.push(values);
        }
        let (texts, values) = pick.more(more);
        let nulls = || all.map(|_| StringArray::new_null(order.len()));
        if let Some(texts) = texts.or_else(nulls) {
            schema.push(Arc::new(Field::new(MORE, DataType::Utf8, true)));
            arrays.push(Arc::new(texts));
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(schema)), arrays)?;
        Ok((batch, values))
    }
}

/// Names and types of the signals in the blocks: one entry for spellings that differ in case alone.
pub(crate) type Signals<'b> =
    BTreeMap<(String, ColumnType), (&'b str, HashMap<usize, &'b ArrayRef>)>;

fn signals_of<'b>(
    kind: &Kind,
    blocks: &'b [Block],
) -> impl Iterator<Item = ((&'b str, ColumnType), HashMap<usize, &'b ArrayRef>)> {
    let mut signals = Signals::new();
    for (at, block) in blocks.iter().enumerate() {
        for (name, r#type, column) in block.signals(kind) {
            let key = (name.to_ascii_lowercase(), r#type);
            let (_, by_block) = signals.entry(key).or_insert((name, HashMap::new()));
            by_block.insert(at, column);
        }
    }
    let signals = signals.into_iter();
    signals.map(|((_, r#type), (name, by_block))| ((name, r#type), by_block))
}

/// The rows that are left, by entity, time and id; and the entity of each.
fn order(
    blocks: &[Block],
    texts: &[StringArray],
    places: &[(u32, u32)],
    dropped: &[bool],
) -> (Vec<(usize, usize)>, StringArray) {
    let mut entities = Entities::default();
    let mut times = Vec::with_capacity(places.len());
    for of_block in places.chunk_by(|a, b| a.0 == b.0) {
        let Some(block) = of_block.first().map(|(block, _)| &blocks[*block as usize]) else {
            continue;
        };
        let (names, micros) = (block.entities(), block.micros());
        for (_, row) in of_block {
            entities.push(names.value(*row as usize));
            times.push(micros.value(*row as usize));
        }
    }
    let (mut order, ends) = entities.grouped(|row| !dropped[row as usize]);
    let mut start = 0;
    for end in ends {
        order[start..end].sort_unstable_by(|a, b| {
            let id = |row: &u32| text(texts, places[*row as usize]);
            let time = |row: &u32| times[*row as usize];
            time(a).cmp(&time(b)).then_with(|| id(a).cmp(id(b)))
        });
        start = end;
    }
    let names = order.iter().map(|row| entities.name(*row));
    let names = StringArray::from_iter_values(names);
    let place = |row: &u32| {
        let (block, row) = places[*row as usize];
        (block as usize, row as usize)
    };
    (order.iter().map(place).collect(), names)
}

/// The id at a place; `texts` are the ids of each block.
fn text(texts: &[StringArray], (block, row): (u32, u32)) -> &str {
    texts[block as usize].value(row as usize)
}

/// When the event was received, and where its line stands: of two, the lesser one was received first.
fn arrival(blocks: &[Block], (block, row): (u32, u32)) -> (i64, Span) {
    let (block, row) = (&blocks[block as usize], row as usize);
    (block.received().value(row), block.span(row))
}

/// Whether two rows have the same content, compared to the nanosecond.
fn is_same(kind: &Kind, blocks: &[Block], a: (u32, u32), b: (u32, u32)) -> bool {
    let at = |(block, row): (u32, u32)| (&blocks[block as usize], row as usize);
    let ((a, a_row), (b, b_row)) = (at(a), at(b));
    a.nanos(a_row) == b.nanos(b_row) && a.content(kind, a_row).is_same(&b.content(kind, b_row))
}
