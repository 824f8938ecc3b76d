//! Rows as they are, for SQL: the columns asked for, batch by batch, as fast as they are taken.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use futures::{Stream, StreamExt, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;

use crate::kernels::ask::EntityFilter;
use crate::kernels::rows::{entities, times};
use crate::kernels::scan_error::ScanError;
use crate::read::{Chunks, ENTITY, Footer, PartError, PartReader, RowGroup, TIME};
use crate::snapshot::{HourData, Part};

/// Rows of a batch.
const BATCH_ROWS: usize = 8 * 1024;

/// Batches that wait to be taken; a reader that does not take them stops the decoding.
const WAITING_BATCHES: usize = 2;

/// Row groups whose chunks are fetched ahead.
const FETCHES: usize = 3;

/// Which rows, and which of their columns.
#[derive(Debug, Clone)]
pub struct RowsAsk {
    /// The columns, by the names and types that batches get. Where a part lacks a column its values are null.
    pub schema: SchemaRef,
    /// Event times in microseconds since 1970; the end is left out.
    pub times: Range<i64>,
    /// Whose rows.
    pub entities: EntityFilter,
}

/// Parts and hot rows that one stream reads, one after the other.
#[derive(Debug, Default)]
pub struct Share {
    parts: Vec<Part>,
    hot: Vec<Arc<RecordBatch>>,
}

/// Divides what some hours have into so many shares, about equal in bytes.
pub fn shares(hours: &[HourData], most: usize) -> Vec<Share> {
    let mut shares: Vec<(u64, Share)> = Vec::new();
    shares.resize_with(most.max(1), Default::default);
    let mut give = |bytes: u64, take: &mut dyn FnMut(&mut Share)| {
        if let Some((sum, share)) = shares.iter_mut().min_by_key(|(sum, _)| *sum) {
            *sum += bytes;
            take(share);
        }
    };
    for part in hours.iter().flat_map(|hour| &hour.parts) {
        give(part.size, &mut |share| share.parts.push(part.clone()));
    }
    for batch in hours.iter().flat_map(|hour| &hour.hot) {
        let bytes = batch.get_array_memory_size() as u64 / 4;
        give(bytes, &mut |share| share.hot.push(batch.clone()));
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

/// Rows, batch by batch. What decodes them ends when this is dropped.
#[derive(Debug)]
pub struct Batches {
    batches: Receiver<Result<RecordBatch, ScanError>>,
    _reading: AbortOnDropHandle<()>,
}

impl Stream for Batches {
    type Item = Result<RecordBatch, ScanError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_recv(context)
    }
}

/// Reads a share.
pub(crate) fn read(reader: Arc<PartReader>, share: Share, ask: RowsAsk) -> Batches {
    let (out, batches) = channel(WAITING_BATCHES);
    let reading = tokio::spawn(async move {
        if let Err(error) = give_all(reader, share, ask, &out).await {
            // Nobody is there to be told: the stream was dropped.
            let _ = out.send(Err(error)).await;
        }
    });
    Batches {
        batches,
        _reading: AbortOnDropHandle::new(reading),
    }
}

/// A row group to decode.
struct Unit {
    part: Part,
    footer: Arc<Footer>,
    group: usize,
    chunks: Chunks,
    columns: Vec<usize>,
    check: Check,
}

/// What is left to look at in each row.
#[derive(Debug, Clone, Copy)]
struct Check {
    time: bool,
    entity: bool,
}

async fn give_all(
    reader: Arc<PartReader>,
    share: Share,
    ask: RowsAsk,
    out: &Sender<Result<RecordBatch, ScanError>>,
) -> Result<(), ScanError> {
    for batch in share.hot {
        let check = Check {
            time: true,
            entity: ask.entities != EntityFilter::All,
        };
        let batch = left(&batch, &ask, check).and_then(|batch| shaped(&batch, &ask.schema));
        let batch = batch.map_err(|error| ScanError::HotRows(error.into()))?;
        if out.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
    let groups = stream::iter(share.parts)
        .map(|part| {
            let reader = reader.clone();
            async move {
                let footer = reader.footer(&part).await?;
                Ok::<_, PartError>((part, footer))
            }
        })
        .buffered(FETCHES)
        .flat_map(|found| stream::iter(groups_of(found, &ask)));
    let units = groups
        .map(|found| {
            let reader = reader.clone();
            async move {
                let Found {
                    part,
                    footer,
                    group,
                    columns,
                    check,
                } = found?;
                let chunks = reader.chunks(&part, &footer, group, &columns).await?;
                Ok::<_, PartError>(Unit {
                    part,
                    footer,
                    group,
                    chunks,
                    columns,
                    check,
                })
            }
        })
        .buffered(FETCHES);
    let mut units = std::pin::pin!(units);
    while let Some(unit) = units.next().await {
        let unit = unit?;
        let (part, ask, out) = (unit.part.clone(), ask.clone(), out.clone());
        let decoded = spawn_blocking(move || unit.decode(&ask, &out)).await;
        // Parquet's reader panics at some files that are none.
        decoded.map_err(|panic| PartError::broken(&part, panic))??;
    }
    Ok(())
}

/// A row group that may have rows for the question.
struct Found {
    part: Part,
    footer: Arc<Footer>,
    group: usize,
    /// The places of the columns to read.
    columns: Vec<usize>,
    check: Check,
}

/// The row groups of a part that may have rows for the question.
fn groups_of(
    found: Result<(Part, Arc<Footer>), PartError>,
    ask: &RowsAsk,
) -> Vec<Result<Found, PartError>> {
    let (part, footer) = match found {
        Ok(found) => found,
        Err(error) => return vec![Err(error)],
    };
    let fields = footer.schema().fields();
    // Where rows are only counted, any column tells how many there are, and that of entities is small.
    let asked_any = fields.iter().any(|field| ask.has(field.name()));
    let found = |(group, known): (usize, &RowGroup)| {
        let check = Check {
            time: !known.is_within(&ask.times),
            entity: ask.entities != EntityFilter::All,
        };
        let is_read = |name: &str| {
            let is_checked = check.time && name == TIME || check.entity && name == ENTITY;
            is_checked || ask.has(name) || !asked_any && name == ENTITY
        };
        let columns = fields.iter().enumerate();
        let columns = columns.filter(|(_, field)| is_read(field.name()));
        Ok(Found {
            part: part.clone(),
            footer: footer.clone(),
            group,
            columns: columns.map(|(at, _)| at).collect(),
            check,
        })
    };
    let groups = footer.groups.iter().enumerate();
    let groups = groups.filter(|(_, known)| known.may_have(&ask.times, ask.entities.one()));
    groups.map(found).collect()
}

impl RowsAsk {
    fn has(&self, column: &str) -> bool {
        self.schema.column_with_name(column).is_some()
    }
}

impl Unit {
    fn decode(
        self,
        ask: &RowsAsk,
        out: &Sender<Result<RecordBatch, ScanError>>,
    ) -> Result<(), ScanError> {
        let part = &self.part;
        let metadata = self.footer.metadata.clone();
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), self.columns.clone());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.chunks.file.clone(), metadata)
                .with_batch_size(BATCH_ROWS)
                .with_row_groups(vec![self.group])
                .with_projection(mask);
        let selection = self
            .footer
            .selection(self.group, &ask.times, ask.entities.one());
        if let Some(rows) = selection {
            builder = builder.with_row_selection(rows);
        }
        let batches = builder
            .build()
            .map_err(|error| PartError::broken(part, error))?;
        for batch in batches {
            let batch = batch.and_then(|batch| left(&batch, ask, self.check));
            let batch = batch.and_then(|batch| shaped(&batch, &ask.schema));
            let batch = batch.map_err(|error| PartError::broken(part, error))?;
            if out.blocking_send(Ok(batch)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// The rows of the batch that the question leaves.
fn left(batch: &RecordBatch, ask: &RowsAsk, check: Check) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| {
        let missing = || ArrowError::SchemaError(format!("`{name}` is missing"));
        batch.column_by_name(name).ok_or_else(missing)
    };
    let mut left: Option<BooleanBuffer> = None;
    if check.time {
        let times = times(column(TIME)?)?;
        let in_time = |row: usize| ask.times.contains(&times[row]);
        left = Some(BooleanBuffer::collect_bool(times.len(), in_time));
    }
    if check.entity {
        let entities = entities(column(ENTITY)?)?;
        let names = entities.names.iter();
        let takes = names.map(|name| name.is_some_and(|name| ask.entities.takes(name)));
        let takes: Vec<bool> = takes.collect();
        let is_theirs = |row: usize| takes[entities.keys[row] as usize];
        let theirs = BooleanBuffer::collect_bool(entities.keys.len(), is_theirs);
        left = Some(left.map_or_else(|| theirs.clone(), |left| &left & &theirs));
    }
    match left {
        Some(left) => filter_record_batch(batch, &BooleanArray::new(left, None)),
        None => Ok(batch.clone()),
    }
}

/// The batch in the columns and types of `schema`.
fn shaped(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str, r#type: &DataType| -> Result<ArrayRef, ArrowError> {
        match batch.column_by_name(name) {
            Some(column) if column.data_type() == r#type => Ok(column.clone()),
            Some(column) => cast(column, r#type),
            None => Ok(new_null_array(r#type, batch.num_rows())),
        }
    };
    let fields = schema.fields().iter();
    let columns: Vec<ArrayRef> = fields
        .map(|field| column(field.name(), field.data_type()))
        .collect::<Result<_, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}
