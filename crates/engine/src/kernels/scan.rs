//! Takes the rows of some hours through a question: parts are fetched while others are decoded, on as many threads as
//! the machine has processors.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::task::AbortOnDropHandle;

use crate::kernels::ask::{Ask, Grouping, Wanted};
use crate::kernels::batches::{self, Batches, RowsAsk, Share};
use crate::kernels::counters::{Counters, increases};
use crate::kernels::groups::Groups;
use crate::kernels::hourly_lists::HourlyLists;
use crate::kernels::points::{Point, Points, PointsAsk};
use crate::kernels::rows::{Columns, Needs, Rows};
use crate::kernels::scan_error::ScanError;
use crate::read::{Chunks, Footer, PartError, PartReader};
use crate::snapshot::{HourData, Part};

/// Footers, and row groups' chunks, that a query fetches at a time.
pub(super) const FETCHES: usize = 16;

/// Rows that are decoded at a time: their columns stay in the processor's cache.
pub(super) const BATCH_ROWS: usize = 16 * 1024;

/// Answers questions; queries share it. A question that is dropped stops after the row groups that are being decoded.
pub struct Scanner {
    pub(super) reader: Arc<PartReader>,
    /// One permit for each row group that is decoded at a time, by all queries together.
    pub(super) decoders: Arc<Semaphore>,
    threads: usize,
    pub(super) hourly: HourlyLists,
}

/// What takes in rows.
trait Sink: Send + 'static {
    /// `bucket` is the time bucket of rows whose times are not read.
    fn add(&mut self, rows: &Rows, ask: &Ask, bucket: i64) -> Result<(), ScanError>;
}

impl Sink for Groups {
    fn add(&mut self, rows: &Rows, ask: &Ask, bucket: i64) -> Result<(), ScanError> {
        self.add(rows, ask, bucket)
    }
}

impl Sink for Counters {
    fn add(&mut self, rows: &Rows, ask: &Ask, _: i64) -> Result<(), ScanError> {
        self.add(rows, ask)
    }
}

impl Sink for Points {
    fn add(&mut self, rows: &Rows, ask: &Ask, _: i64) -> Result<(), ScanError> {
        self.add(rows, ask);
        Ok(())
    }
}

/// What of a question decides which columns are read.
#[derive(Debug, Clone)]
struct Plan {
    ask: Arc<Ask>,
    grouping: Grouping,
    entity: bool,
    /// Whether the time of each row is needed, even where all rows lie in one bucket.
    time: bool,
    /// Whether names are those of columns, and every event counts.
    by_column: bool,
    /// The column of labels, where it is read.
    labels: Option<String>,
}

impl Plan {
    /// Of values one by one, each with its entity and time.
    fn of_values(ask: &Arc<Ask>, labels: Option<&str>) -> Plan {
        Plan {
            ask: ask.clone(),
            grouping: Grouping::default(),
            entity: true,
            time: true,
            by_column: false,
            labels: labels.map(str::to_owned),
        }
    }
}

/// A row group to read.
struct Unit {
    part: Part,
    footer: Arc<Footer>,
    group: usize,
    columns: Columns,
    bucket: i64,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Scanner {
    /// Decodes on `threads` threads at a time, at least 1.
    pub fn new(reader: Arc<PartReader>, threads: usize) -> Scanner {
        let threads = threads.max(1);
        Scanner {
            hourly: HourlyLists::new(reader.lake().clone()),
            reader,
            decoders: Arc::new(Semaphore::new(threads)),
            threads,
        }
    }

    /// The groups of the events in these hours of a kind, at most `most` of them; events outside the times asked for
    /// are left out. A group may have events and yet no value of a signal.
    ///
    /// # Errors
    ///
    /// [`ScanError`] of the first part that fails.
    pub async fn groups(
        &self,
        hours: &[HourData],
        ask: &Arc<Ask>,
        grouping: Grouping,
        wanted: Wanted,
        most: usize,
    ) -> Result<Groups, ScanError> {
        self.groups_by(false, hours, ask, grouping, wanted, most)
            .await
    }

    /// As [`groups`](Self::groups), where the names in [`Ask::signals`] are those of columns as they are written, and
    /// every event counts in its group, also one without any of the columns.
    ///
    /// # Errors
    ///
    /// As for [`groups`](Self::groups).
    pub async fn groups_of_columns(
        &self,
        hours: &[HourData],
        ask: &Arc<Ask>,
        grouping: Grouping,
        wanted: Wanted,
        most: usize,
    ) -> Result<Groups, ScanError> {
        self.groups_by(true, hours, ask, grouping, wanted, most)
            .await
    }

    async fn groups_by(
        &self,
        by_column: bool,
        hours: &[HourData],
        ask: &Arc<Ask>,
        grouping: Grouping,
        wanted: Wanted,
        most: usize,
    ) -> Result<Groups, ScanError> {
        let make = Groups::maker(ask, grouping, wanted, most);
        let plan = Plan {
            ask: ask.clone(),
            grouping,
            entity: grouping.by_entity || ask.entities != Default::default(),
            time: wanted.ends,
            by_column,
            labels: None,
        };
        let found = self.scan(hours, plan, make.clone()).await?;
        merged(found, make).await
    }

    /// The first points of the events in these hours of a kind, in the order of [`Place`](super::Place).
    ///
    /// # Errors
    ///
    /// [`ScanError`] of the first part that fails.
    pub async fn points(
        &self,
        hours: &[HourData],
        ask: &Arc<Ask>,
        points: PointsAsk,
    ) -> Result<Vec<Point>, ScanError> {
        let plan = Plan::of_values(ask, None);
        let make = {
            let points = points.clone();
            move || Points::new(points.clone())
        };
        let found = self.scan(hours, plan, make).await?;
        Ok(Points::first_of(found, &points))
    }

    /// What the counters among the signals have grown by, added to `groups`, which are those of the same question. A
    /// series is of one entity, and of one text in the column `labels`, where the rows have it.
    ///
    /// # Errors
    ///
    /// As for [`groups`](Self::groups): values are kept in memory, and 16 of them count as a group.
    pub async fn add_increases(
        &self,
        groups: &mut Groups,
        hours: &[HourData],
        ask: &Arc<Ask>,
        grouping: Grouping,
        labels: Option<&str>,
        most: usize,
    ) -> Result<(), ScanError> {
        let plan = Plan::of_values(ask, labels);
        let found = self.scan(hours, plan, move || Counters::new(most)).await?;
        let times = ask.times.clone();
        let increases = spawn_blocking(move || increases(found, grouping, &times));
        for increase in increases.await.map_err(fault)?? {
            groups.add_increase(&increase)?;
        }
        Ok(())
    }

    /// The rows of a share of some hours, in no order.
    pub fn rows(&self, share: Share, ask: RowsAsk) -> Batches {
        batches::read(self.reader.clone(), share, ask)
    }

    /// Leaves at most so many bytes of memory to the columns of parts that are kept, also where
    /// [`ReadSettings`](crate::read::ReadSettings) has more for them.
    pub fn leave_to_cache(&self, bytes: usize) {
        self.reader.leave(bytes);
    }

    /// Number of threads that decode at a time.
    pub fn threads(&self) -> usize {
        self.threads
    }

    async fn scan<S: Sink>(
        &self,
        hours: &[HourData],
        plan: Plan,
        make: impl Fn() -> S + Clone + Send + 'static,
    ) -> Result<Vec<S>, ScanError> {
        let parts: Vec<Part> = hours.iter().flat_map(|hour| hour.parts.clone()).collect();
        let hot: Vec<_> = hours.iter().flat_map(|hour| hour.hot.clone()).collect();
        let sinks = Arc::new(Mutex::new(Vec::new()));
        let footers = stream::iter(parts).map(|part| {
            let reader = self.reader.clone();
            // A task of its own, so that it goes on while this one waits for something else.
            let footer = tokio::spawn(async move {
                let footer = reader.footer(&part).await?;
                Ok::<_, PartError>((part, footer))
            });
            async {
                AbortOnDropHandle::new(footer)
                    .await
                    .map_err(fault)?
                    .map_err(ScanError::from)
            }
        });
        let units = footers.buffered(FETCHES).map_ok(|(part, footer)| {
            let units = units(&part, &footer, &plan);
            stream::iter(units.into_iter().map(Ok))
        });
        let fetched = units.try_flatten().map_ok(|unit| {
            let reader = self.reader.clone();
            let chunks = tokio::spawn(async move {
                let columns = unit.columns.places();
                let chunks = reader
                    .chunks(&unit.part, &unit.footer, unit.group, &columns)
                    .await?;
                Ok::<_, PartError>((unit, chunks))
            });
            async {
                AbortOnDropHandle::new(chunks)
                    .await
                    .map_err(fault)?
                    .map_err(ScanError::from)
            }
        });
        let of_parts = fetched
            .try_buffer_unordered(FETCHES)
            .map_ok(|(unit, chunks)| Work::Part(Box::new((unit, chunks))));
        let work = stream::iter(hot)
            .map(|batch| Ok(Work::Hot(batch)))
            .chain(of_parts);
        let done = work.map_ok(|work| {
            let (plan, make, sinks) = (plan.clone(), make.clone(), sinks.clone());
            let decoders = self.decoders.clone();
            async move {
                let turn = decoders
                    .acquire_owned()
                    .await
                    .map_err(|closed| ScanError::HotRows(closed.into()))?;
                let part = work.part();
                let done = spawn_blocking(move || {
                    let _turn = turn;
                    let free = lock(&sinks).pop();
                    let mut sink = free.unwrap_or_else(make);
                    work.take_through(&plan, &mut sink)?;
                    lock(&sinks).push(sink);
                    Ok(())
                });
                match (AbortOnDropHandle::new(done).await, part) {
                    (Ok(done), _) => done,
                    // Parquet's reader panics at some files that are none.
                    (Err(panic), Some(part)) => Err(PartError::broken(&part, panic).into()),
                    (Err(panic), None) => Err(fault(panic)),
                }
            }
        });
        done.try_buffer_unordered(self.threads)
            .try_collect::<()>()
            .await?;
        let sinks = std::mem::take(&mut *lock(&sinks));
        Ok(sinks)
    }
}

/// Rows that are ready to be worked on.
enum Work {
    Part(Box<(Unit, Chunks)>),
    Hot(Arc<RecordBatch>),
}

impl Work {
    fn part(&self) -> Option<Part> {
        match self {
            Work::Part(part) => Some(part.0.part.clone()),
            Work::Hot(_) => None,
        }
    }

    fn take_through(self, plan: &Plan, sink: &mut impl Sink) -> Result<(), ScanError> {
        match self {
            Work::Part(part) => {
                let (unit, chunks) = *part;
                unit.decode(chunks, plan, sink)
            }
            Work::Hot(batch) => {
                let needs = Needs {
                    entity: plan.entity,
                    time: true,
                    by_column: plan.by_column,
                    labels: plan.labels.as_deref(),
                };
                let signals = &plan.ask.signals;
                let columns = Columns::of(&batch.schema(), signals, needs);
                let all = Rows::of(&batch, &columns, signals);
                let all = all.map_err(|error| ScanError::HotRows(error.into()))?;
                let start = plan.ask.times.start;
                all.iter()
                    .try_for_each(|rows| sink.add(rows, &plan.ask, start))
            }
        }
    }
}

impl Unit {
    fn decode(self, chunks: Chunks, plan: &Plan, sink: &mut impl Sink) -> Result<(), ScanError> {
        let part = &self.part;
        let broken = |error| ScanError::from(PartError::broken(part, error));
        let (ask, columns) = (&plan.ask, self.columns.among_read());
        let metadata = self.footer.metadata.clone();
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), self.columns.places());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.file.clone(), metadata)
                .with_batch_size(BATCH_ROWS)
                .with_row_groups(vec![self.group])
                .with_projection(mask);
        if let Some(rows) = self
            .footer
            .selection(self.group, &ask.times, ask.entities.one())
        {
            builder = builder.with_row_selection(rows);
        }
        for batch in builder.build().map_err(broken)? {
            let batch = batch.map_err(|error| PartError::broken(part, error))?;
            let all = Rows::of(&batch, &columns, &ask.signals);
            let all = all.map_err(|error| PartError::broken(part, error))?;
            all.iter()
                .try_for_each(|rows| sink.add(rows, ask, self.bucket))?;
        }
        Ok(())
    }
}

/// The row groups of a part that can have rows for the question.
fn units(part: &Part, footer: &Arc<Footer>, plan: &Plan) -> Vec<Unit> {
    let ask = &plan.ask;
    let mut units = Vec::new();
    for (group, known) in footer.groups.iter().enumerate() {
        if !known.may_have(&ask.times, ask.entities.one()) {
            continue;
        }
        let within = known.times.filter(|_| known.is_within(&ask.times));
        let one_bucket = within.and_then(|(least, greatest)| {
            let (bucket, times) = plan.grouping.bucket(least, &ask.times);
            times.contains(&greatest).then_some(bucket)
        });
        let needs = Needs {
            entity: plan.entity,
            time: plan.time || one_bucket.is_none(),
            by_column: plan.by_column,
            labels: plan.labels.as_deref(),
        };
        let columns = Columns::of_part(footer, &ask.signals, needs);
        if plan.by_column || ask.signals.is_empty() || columns.has_signal() {
            units.push(Unit {
                part: part.clone(),
                footer: footer.clone(),
                group,
                columns,
                bucket: one_bucket.unwrap_or(ask.times.start),
            });
        }
    }
    units
}

/// All of these in one, ready to be read.
pub(super) async fn merged(
    found: Vec<Groups>,
    make: impl Fn() -> Groups + Send + 'static,
) -> Result<Groups, ScanError> {
    let merge = move || {
        let mut all = found.into_iter();
        let mut merged = all.next().unwrap_or_else(make);
        all.try_for_each(|other| merged.merge(&other))?;
        merged.settle();
        Ok(merged)
    };
    spawn_blocking(merge).await.map_err(fault)?
}

pub(super) fn fault(error: JoinError) -> ScanError {
    ScanError::HotRows(error.into())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that can panic runs while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
