//! What a part's footer and page index say: its columns, and which rows can be left out.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, StringArray};
use arrow::datatypes::{
    DataType, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use lake::parts::signal_names;
use lake::rows::LongColumns;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

/// Name of the column of entities.
pub(crate) const ENTITY: &str = "entity_id";
/// Name of the column of event times.
pub(crate) const TIME: &str = "event_time";

/// Name of the column of signals in `aggregates/`.
pub(crate) const SIGNAL: &str = "signal";

/// A part's footer, read once.
#[derive(Debug)]
pub(crate) struct Footer {
    pub(crate) metadata: ArrowReaderMetadata,
    pub(crate) groups: Vec<RowGroup>,
    /// The names of the signals in a part of a long kind, ascending; `None` where the file does not tell.
    pub(crate) signal_names: Option<Vec<String>>,
}

/// What is known of a row group without reading it.
#[derive(Debug, Clone)]
pub(crate) struct RowGroup {
    pub(crate) rows: usize,
    /// Least and greatest event time in microseconds, where the file says so.
    pub(crate) times: Option<(i64, i64)>,
    /// Two entities between which all of the group stand, themselves included, where the file says so.
    entities: Option<(String, String)>,
}

impl RowGroup {
    /// Whether the group can have a row with `from <= event time < until` and of this entity.
    pub(crate) fn may_have(&self, times: &Range<i64>, entity: Option<&str>) -> bool {
        let in_time =
            |(least, greatest): &(i64, i64)| *least < times.end && *greatest >= times.start;
        let has_entity = |(least, greatest): &(String, String)| {
            entity.is_none_or(|entity| least.as_str() <= entity && entity <= greatest.as_str())
        };
        self.rows > 0
            && self.times.as_ref().is_none_or(in_time)
            && self.entities.as_ref().is_none_or(has_entity)
    }

    /// Whether every row of the group has such an event time.
    pub(crate) fn is_within(&self, times: &Range<i64>) -> bool {
        let within = |(least, greatest): (i64, i64)| times.start <= least && greatest < times.end;
        self.times.is_some_and(within)
    }
}

impl Footer {
    /// # Errors
    ///
    /// If the file is no part: a column of entities or event times is missing or has another type.
    pub(crate) fn new(metadata: Arc<ParquetMetaData>) -> Result<Footer> {
        let plain = ArrowReaderMetadata::try_new(metadata.clone(), ArrowReaderOptions::new())?;
        let groups = groups(&plain)?;
        Footer::with(metadata, with_numbered_entities(plain.schema())?, groups)
    }

    /// As [`new`](Self::new), of a file of hourly aggregates.
    ///
    /// # Errors
    ///
    /// If the file has other columns.
    pub(crate) fn of_aggregates(metadata: Arc<ParquetMetaData>) -> Result<Footer> {
        let plain = ArrowReaderMetadata::try_new(metadata.clone(), ArrowReaderOptions::new())?;
        let groups = plain.metadata().row_groups().iter().map(|group| RowGroup {
            rows: group.num_rows().max(0) as usize,
            times: None,
            entities: None,
        });
        let schema = Arc::new(numbered(plain.schema(), &[ENTITY, SIGNAL]));
        Footer::with(metadata, schema, groups.collect())
    }

    fn with(
        metadata: Arc<ParquetMetaData>,
        schema: SchemaRef,
        groups: Vec<RowGroup>,
    ) -> Result<Footer> {
        let options = ArrowReaderOptions::new().with_schema(schema);
        let metadata = ArrowReaderMetadata::try_new(metadata, options)?;
        let file = metadata.metadata().file_metadata();
        Ok(Footer {
            signal_names: signal_names(file.key_value_metadata()),
            metadata,
            groups,
        })
    }

    /// Whether a part of a long kind can have one of the signals.
    pub(crate) fn may_have_signal(&self, signals: &[String]) -> bool {
        let Some(names) = &self.signal_names else {
            return true;
        };
        let mut signals = signals.iter();
        signals.any(|signal| names.binary_search(signal).is_ok())
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        // A field takes some 200 bytes, in each of two schemas.
        let fields = self.schema().fields().len() * 400;
        let names = self.signal_names.iter().flatten();
        let names = names.map(|name| size_of::<String>() + name.capacity());
        self.metadata.metadata().memory_size()
            + fields
            + self.groups.len() * size_of::<RowGroup>()
            + names.sum::<usize>()
    }

    /// Where the compressed values of a column stand in the file.
    pub(crate) fn chunk(&self, group: usize, column: usize) -> Result<Range<u64>> {
        let chunk = self.metadata.metadata().row_group(group).column(column);
        let start = chunk
            .dictionary_page_offset()
            .unwrap_or(chunk.data_page_offset());
        let range = u64::try_from(start)
            .ok()
            .zip(u64::try_from(chunk.compressed_size()).ok());
        let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        range.ok_or_else(|| {
            ParquetError::General(format!("column {column} has no place in the file"))
        })
    }

    /// The rows of a row group whose pages can have a row of these times and this entity; none if that is all of them,
    /// or the file has no page index.
    pub(crate) fn selection(
        &self,
        group: usize,
        times: &Range<i64>,
        entity: Option<&str>,
    ) -> Option<RowSelection> {
        let rows = self.groups.get(group)?.rows;
        let is_within = self.groups[group].is_within(times);
        let by_time = || {
            self.pages(group, TIME, |mins, maxes, page| {
                let (mins, maxes) = (micros(mins)?, micros(maxes)?);
                let known = mins.is_valid(page) && maxes.is_valid(page);
                Some(!known || mins.value(page) < times.end && maxes.value(page) >= times.start)
            })
        };
        let by_entity = |entity: &str| {
            self.pages(group, ENTITY, |mins, maxes, page| {
                let (mins, maxes) = (texts(mins)?, texts(maxes)?);
                let known = mins.is_valid(page) && maxes.is_valid(page);
                Some(!known || mins.value(page) <= entity && entity <= maxes.value(page))
            })
        };
        let by_time = if is_within { None } else { by_time() };
        let pages = [by_time, entity.and_then(by_entity)];
        let selections = pages.into_iter().flatten();
        let selections = selections
            .map(|ranges| RowSelection::from_consecutive_ranges(ranges.into_iter(), rows));
        let selection = selections.reduce(|a, b| a.intersection(&b))?;
        (selection.row_count() < rows).then_some(selection)
    }

    /// The rows of the pages of a column that `may_have` what is looked for, by the least and greatest values of the
    /// pages and the number of a page.
    fn pages(
        &self,
        group: usize,
        column: &str,
        may_have: impl Fn(&dyn Array, &dyn Array, usize) -> Option<bool>,
    ) -> Option<Vec<Range<usize>>> {
        let metadata = self.metadata.metadata();
        let (index, offsets) = (metadata.column_index()?, metadata.offset_index()?);
        let schema = self.schema();
        let converter =
            StatisticsConverter::try_new(column, schema, self.metadata.parquet_schema()).ok()?;
        let at = converter.parquet_column_index()?;
        let pages = offsets.get(group)?.get(at)?;
        // The converter takes for granted that a file with an index has it for every column.
        index.get(group)?.get(at)?;
        let starts = pages
            .page_locations()
            .iter()
            .map(|page| page.first_row_index as usize);
        let starts: Vec<usize> = starts.collect();
        let rows = self.groups[group].rows;
        let mins = converter.data_page_mins(index, offsets, [&group]).ok()?;
        let maxes = converter.data_page_maxes(index, offsets, [&group]).ok()?;
        if mins.len() != starts.len() || maxes.len() != starts.len() {
            return None;
        }
        let mut ranges = Vec::new();
        for (page, start) in starts.iter().enumerate() {
            if may_have(&mins, &maxes, page)? {
                ranges.push(*start..starts.get(page + 1).copied().unwrap_or(rows));
            }
        }
        Some(ranges)
    }
}

/// The schema in which entities are read as numbers into a list of texts: that is how the file has them, and runs of
/// one entity are found by comparing numbers.
fn with_numbered_entities(schema: &Schema) -> Result<SchemaRef> {
    let time = schema.field_with_name(TIME).map_err(missing)?;
    if !matches!(
        time.data_type(),
        DataType::Timestamp(TimeUnit::Microsecond, _)
    ) {
        let what = format!("`{TIME}` is of type {}", time.data_type());
        return Err(ParquetError::General(what));
    }
    schema.field_with_name(ENTITY).map_err(missing)?;
    let mut names = HashSet::new();
    for field in schema.fields() {
        if !names.insert(field.name()) || field.data_type().is_nested() {
            let what = format!("column `{}` is nested or there twice", field.name());
            return Err(ParquetError::General(what));
        }
    }
    // So are the names of signals in a long kind.
    let name = LongColumns::of(schema).map(|columns| schema.field(columns.name).name().as_str());
    let columns: Vec<&str> = [Some(ENTITY), name].into_iter().flatten().collect();
    Ok(Arc::new(numbered(schema, &columns)))
}

/// The schema in which these columns of texts are read as numbers into a list of texts.
fn numbered(schema: &Schema, columns: &[&str]) -> Schema {
    let numbered = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    let fields = schema.fields().iter().map(|field| {
        if columns.contains(&field.name().as_str()) {
            Arc::new(field.as_ref().clone().with_data_type(numbered.clone()))
        } else {
            field.clone()
        }
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn missing(error: ArrowError) -> ParquetError {
    ParquetError::General(error.to_string())
}

fn groups(plain: &ArrowReaderMetadata) -> Result<Vec<RowGroup>> {
    let (schema, parquet) = (plain.schema(), plain.parquet_schema());
    let groups = plain.metadata().row_groups();
    let bounds = |column: &str| {
        let converter = StatisticsConverter::try_new(column, schema, parquet)?;
        Ok::<_, ParquetError>((
            converter.row_group_mins(groups)?,
            converter.row_group_maxes(groups)?,
        ))
    };
    let ((first, last), (least, greatest)) = (bounds(TIME)?, bounds(ENTITY)?);
    let (first, last) = (micros(&first), micros(&last));
    let (least, greatest) = (texts(&least), texts(&greatest));
    let describe = |(at, group): (usize, &RowGroupMetaData)| {
        let times = first
            .as_ref()
            .zip(last.as_ref())
            .filter(|(first, last)| first.is_valid(at) && last.is_valid(at));
        let entities = least
            .zip(greatest)
            .filter(|(least, greatest)| least.is_valid(at) && greatest.is_valid(at));
        RowGroup {
            rows: group.num_rows().max(0) as usize,
            times: times.map(|(first, last)| (first.value(at), last.value(at))),
            entities: entities.map(|(least, greatest)| {
                (least.value(at).to_owned(), greatest.value(at).to_owned())
            }),
        }
    };
    Ok(groups.iter().enumerate().map(describe).collect())
}

/// Event times in microseconds; none of an array of another type.
fn micros(times: &dyn Array) -> Option<Int64Array> {
    let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
    Some(times.reinterpret_cast::<Int64Type>())
}

fn texts(texts: &dyn Array) -> Option<&StringArray> {
    texts.as_string_opt::<i32>()
}
