//! Whole hours from `aggregates/`: the statistics of each entity and signal in place of its events.
//!
//! An object of `aggregates/` stands for the parts of its hour if it counts them all and no other: its last commit is
//! one of the snapshot, and not before that of the newest part. Hot rows are added to it. Fields of the contract and
//! signals in `_more` are not counted there, so an hour with such a signal is read from its events, and so is one
//! whose events are less to read.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use chrono::DateTime;
use contract::Hour;
use futures::{StreamExt, TryStreamExt, stream};
use lake::aggregates::{StoredStats, counted_by_file};
use lake::key::commit_of;
use lake::rows::{LongColumns, signal_of};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use tokio::task::spawn_blocking;

use crate::kernels::ask::{Ask, EntityFilter, Grouping, Wanted};
use crate::kernels::groups::Groups;
use crate::kernels::rows::{Columns, Needs};
use crate::kernels::scan::{BATCH_ROWS, FETCHES, Scanner, fault, merged};
use crate::kernels::scan_error::ScanError;
use crate::kernels::stat::Stat;
use crate::metrics;
use crate::read::{Chunks, ENTITY, Footer, PartError, SIGNAL};
use crate::snapshot::{HourData, Part};

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// A row of statistics takes as long as this many values of events.
const ROW_COST: usize = 4;

/// What is asked of an hour.
#[derive(Debug, Clone)]
struct HourAsk {
    ask: Arc<Ask>,
    grouping: Grouping,
    wanted: Wanted,
    most: usize,
}

/// An object of `aggregates/` that answers for the parts of an hour.
#[derive(Debug, Clone)]
struct HourFile {
    object: Part,
    footer: Arc<Footer>,
    /// Places of the columns that are read.
    columns: Vec<usize>,
    /// Start of the time bucket in which the hour lies.
    bucket: i64,
    /// Whether signals are told apart by the case of their names, as in a long kind.
    has_case: bool,
}

impl Scanner {
    /// As [`groups`](Self::groups), with whole hours from `aggregates/` where that says the same and is quicker;
    /// `commit` is that of the snapshot which the hours of `kind` are from. Of these hours only events with a value are
    /// counted in a group's signals, and none in its number of events.
    ///
    /// # Errors
    ///
    /// As for [`groups`](Self::groups). An object of `aggregates/` that cannot be read is no error: events are read.
    #[allow(clippy::too_many_arguments, reason = "as `groups`, and whose hours")]
    pub async fn groups_by_hours(
        &self,
        (kind, commit): (&str, u64),
        hours: &[HourData],
        ask: &Arc<Ask>,
        grouping: Grouping,
        wanted: Wanted,
        most: usize,
    ) -> Result<Groups, ScanError> {
        let asked = HourAsk {
            ask: ask.clone(),
            grouping,
            wanted,
            most,
        };
        if !asked.allows_hours() {
            return self.groups(hours, ask, grouping, wanted, most).await;
        }
        let took = stream::iter(hours.to_vec()).map(|data| {
            let asked = &asked;
            async move {
                let took = if data.parts.is_empty() || !asked.is_whole(data.hour) {
                    None
                } else {
                    self.of_hour(kind, commit, &data, asked).await?
                };
                Ok::<_, ScanError>((data, took))
            }
        });
        let took: Vec<_> = took.buffered(FETCHES).try_collect().await?;
        let (mut rest, mut all) = (Vec::with_capacity(hours.len()), Vec::new());
        for (mut data, took) in took {
            if !data.parts.is_empty() {
                metrics::answered_hour(took.is_some());
            }
            if let Some(groups) = took {
                data.parts.clear();
                all.push(groups);
            }
            rest.push(data);
        }
        all.push(self.groups(&rest, ask, grouping, wanted, most).await?);
        merged(all, Groups::maker(ask, grouping, wanted, most)).await
    }

    /// The groups of the hour's parts from its aggregates; none if they do not tell, or cannot be read.
    async fn of_hour(
        &self,
        kind: &str,
        commit: u64,
        data: &HourData,
        asked: &HourAsk,
    ) -> Result<Option<Groups>, ScanError> {
        let file = match self.hour_file(kind, commit, data, asked).await {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.failed_hour(&error, data.hour);
                return Ok(None);
            }
        };
        match self.read_hour(&file, asked).await {
            Err(ScanError::Part(error)) => {
                self.failed_hour(&error, data.hour);
                Ok(None)
            }
            other => other,
        }
    }

    async fn hour_file(
        &self,
        kind: &str,
        commit: u64,
        data: &HourData,
        asked: &HourAsk,
    ) -> Result<Option<HourFile>, PartError> {
        let commits = data.parts.iter().map(|part| commit_of(&part.key));
        let Some(touched) = commits.max().flatten() else {
            return Ok(None);
        };
        let object = self.hourly.object(kind, data.hour, touched, commit).await;
        let first = &data.parts[0];
        let Some(object) = object.map_err(|error| PartError::call(first, error))? else {
            return Ok(None);
        };
        let footer = self.reader.aggregates_footer(&object).await?;
        let file = footer.metadata.metadata().file_metadata();
        let counted = counted_by_file(file.key_value_metadata());
        if !counted.is_some_and(|counted| touched <= counted && counted <= commit) {
            return Ok(None);
        }
        let columns = asked.columns(&footer);
        let rows: usize = footer.groups.iter().map(|group| group.rows).sum();
        let (mut values, mut has_case) = (0, false);
        for part in &data.parts {
            let footer = self.reader.footer(part).await?;
            has_case |= LongColumns::of(footer.schema()).is_some();
            let Some(of_part) = asked.values(&footer) else {
                return Ok(None);
            };
            values += of_part;
        }
        if rows * columns.len() * ROW_COST > values {
            return Ok(None);
        }
        let start = data.hour.start().timestamp_micros();
        let (bucket, _) = asked.grouping.bucket(start, &asked.ask.times);
        Ok(Some(HourFile {
            object,
            footer,
            columns,
            bucket,
            has_case,
        }))
    }

    async fn read_hour(
        &self,
        file: &HourFile,
        asked: &HourAsk,
    ) -> Result<Option<Groups>, ScanError> {
        let mut groups = Groups::maker(&asked.ask, asked.grouping, asked.wanted, asked.most)();
        // One row group after the other: who holds the memory of one must not wait for that of the next.
        for number in 0..file.footer.groups.len() {
            let (object, footer, columns) = (&file.object, &file.footer, &file.columns);
            let chunks = self.reader.chunks(object, footer, number, columns).await?;
            let turn = self.decoders.clone().acquire_owned().await;
            let turn = turn.map_err(|closed| ScanError::HotRows(closed.into()))?;
            let (file, asked) = (file.clone(), asked.clone());
            let added = spawn_blocking(move || {
                let _turn = turn;
                let told = file.add_group(number, chunks, &asked, &mut groups)?;
                Ok::<_, ScanError>(told.then_some(groups))
            });
            match added.await.map_err(fault)?? {
                Some(added) => groups = added,
                None => return Ok(None),
            }
        }
        Ok(Some(groups))
    }

    fn failed_hour(&self, error: &PartError, hour: Hour) {
        match error {
            PartError::Gone(_) => self.hourly.forget(hour),
            PartError::Call { .. } => {}
            PartError::Broken { key, .. } => {
                let reason = service::errors::chain(error);
                tracing::warn!(
                    event = "aggregates_broken",
                    object.key = %key,
                    %reason,
                    "`{key}` cannot be read, so the events of its hour are: {reason}"
                );
            }
        }
    }
}

impl HourAsk {
    /// Whether the aggregates of hours can tell what is asked.
    fn allows_hours(&self) -> bool {
        let steps = self.grouping.step.is_none_or(|step| step % HOUR == 0);
        let told = !self.wanted.ends && !self.wanted.exact;
        // One entity's events are a few pages of each part.
        steps && told && self.ask.entities.one().is_none() && !self.ask.signals.is_empty()
    }

    /// Whether the whole hour is asked for.
    fn is_whole(&self, hour: Hour) -> bool {
        let micros = |time: DateTime<_>| time.timestamp_micros();
        let hour: Range<i64> = micros(hour.start())..micros(hour.next().start());
        self.ask.times.start <= hour.start && hour.end <= self.ask.times.end
    }

    fn needs_entity(&self) -> bool {
        self.grouping.by_entity || self.ask.entities != EntityFilter::All
    }

    /// The columns of an object of `aggregates/` that are read.
    fn columns(&self, footer: &Footer) -> Vec<usize> {
        let some = |wanted: bool, name: &'static str| wanted.then_some(name);
        let others = [
            Some(SIGNAL),
            some(self.needs_entity(), ENTITY),
            some(self.wanted.spread, StoredStats::STDDEV),
            some(self.wanted.quantiles, StoredStats::SKETCH),
        ];
        let names: Vec<&str> = StoredStats::COLUMNS
            .into_iter()
            .chain(others.into_iter().flatten())
            .collect();
        let fields = footer.schema().fields().iter().enumerate();
        let wanted = fields.filter(|(_, field)| names.contains(&field.name().as_str()));
        wanted.map(|(at, _)| at).collect()
    }

    /// How many values of events the part would have read; none if it may have values that aggregates do not count.
    fn values(&self, footer: &Footer) -> Option<usize> {
        let step = self.grouping.step.is_some();
        let needs = Needs {
            entity: self.needs_entity(),
            time: step,
            ..Needs::default()
        };
        let columns = Columns::of_part(footer, &self.ask.signals, needs);
        let of_signals = |at: usize| signal_of(footer.schema().field(at)).is_some();
        if !columns.signal_places().all(of_signals) {
            return None;
        }
        let mut values = 0;
        for (number, group) in footer.groups.iter().enumerate() {
            let chunks = footer.metadata.metadata().row_group(number).columns();
            let is_empty = |at: usize| {
                let statistics = chunks.get(at).and_then(|chunk| chunk.statistics());
                let nulls = statistics.and_then(|statistics| statistics.null_count_opt());
                nulls == Some(group.rows as u64)
            };
            if !columns.more().is_none_or(is_empty) {
                return None;
            }
            values += group.rows * columns.places().len();
        }
        Some(values)
    }
}

impl HourFile {
    /// Adds the rows of a row group; false if they do not tell what is asked.
    fn add_group(
        &self,
        number: usize,
        chunks: Chunks,
        asked: &HourAsk,
        groups: &mut Groups,
    ) -> Result<bool, ScanError> {
        let broken = |error: ParquetError| PartError::broken(&self.object, error);
        let metadata = self.footer.metadata.clone();
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), self.columns.iter().copied());
        let file = chunks.file.clone();
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_batch_size(BATCH_ROWS)
            .with_row_groups(vec![number])
            .with_projection(mask)
            .build()
            .map_err(broken)?;
        for batch in batches {
            let batch = batch.map_err(|error| PartError::broken(&self.object, error))?;
            let rows = StatRows::of(&batch).map_err(broken)?;
            if !rows.add_to(groups, asked, self)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Some rows of an object of `aggregates/`.
struct StatRows<'b> {
    signals: &'b ArrayRef,
    entities: Option<&'b ArrayRef>,
    stats: StoredStats,
}

impl<'b> StatRows<'b> {
    fn of(batch: &'b RecordBatch) -> Result<StatRows<'b>, ParquetError> {
        let is_text = |column: &&ArrayRef| column.as_dictionary_opt::<Int32Type>().is_some();
        let text = |name: &str| batch.column_by_name(name).filter(is_text);
        let missing = || ParquetError::General(format!("no column `{SIGNAL}` of texts"));
        Ok(StatRows {
            signals: text(SIGNAL).ok_or_else(missing)?,
            entities: text(ENTITY),
            stats: StoredStats::of(batch)?,
        })
    }

    /// Adds the rows that are asked for; false if they do not tell what is asked.
    fn add_to(
        &self,
        groups: &mut Groups,
        asked: &HourAsk,
        file: &HourFile,
    ) -> Result<bool, ScanError> {
        let signals = self.signals.as_dictionary::<Int32Type>();
        let names = signals.values().as_string::<i32>();
        // The places of each name in the question.
        let wanted = |name: Option<&str>| {
            let asked = asked.ask.signals.iter().enumerate();
            let is_it = |signal: &str| match name {
                Some(name) if file.has_case => name == signal,
                Some(name) => name.eq_ignore_ascii_case(signal),
                None => false,
            };
            let same = asked.filter(|(_, signal)| is_it(signal));
            same.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let places: Vec<Vec<usize>> = names.iter().map(wanted).collect();
        let entities = self.entities.map(|entities| {
            let entities = entities.as_dictionary::<Int32Type>();
            (entities.keys(), entities.values().as_string::<i32>())
        });
        for row in 0..signals.len() {
            let places = &places[signals.keys().value(row) as usize];
            if places.is_empty() {
                continue;
            }
            let entity = entities.map(|(keys, names)| names.value(keys.value(row) as usize));
            if entity.is_some_and(|entity| !asked.ask.entities.takes(entity)) {
                continue;
            }
            let stats = self.stats.get(row);
            let stats = stats.map_err(|error| PartError::broken(&file.object, error))?;
            let Some(stat) = Stat::of_hour(&stats, asked.wanted) else {
                return Ok(false);
            };
            let entity = entity.filter(|_| asked.grouping.by_entity);
            for place in places {
                groups.add_stat(file.bucket, entity, *place, &stat)?;
            }
        }
        Ok(true)
    }
}
