//! An hour's aggregates: one row for each entity and signal, as Parquet and as JSONL.
//!
//! The Parquet object is the state: its metadata names the last commit that it counts, and its
//! rows hold all that merging needs. It is replaced only where it has not changed since it was
//! read, so a process that froze and wakes changes nothing. The JSONL follows from it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use aws::{Condition, Lake, Outcome};
use bytes::Bytes;
use contract::{Hour, Kind, aggregate_key};
use planted::Defect;

use crate::aggregates::file::{self, Published};
use lake::aggregates::merge_sorted::merge;
use lake::aggregates::stats::Stats;
use lake::parts::part_file::{signal_of, text_column};

/// Name of the metadata that names the last commit counted.
pub(crate) const COMMIT: &str = "commit";

/// The statistics of one kind and hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Aggregates {
    /// In the order of their ids.
    pub(crate) entities: Vec<Entity>,
}

/// The statistics of one entity in that hour.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entity {
    pub(crate) id: String,
    /// Events.
    pub(crate) messages: u64,
    /// By signal, in the order of their names.
    pub(crate) signals: Vec<(Arc<str>, Stats)>,
}

impl Aggregates {
    /// The statistics of the rows of a curated part, which are sorted by entity.
    pub(crate) fn of(batch: &RecordBatch) -> anyhow::Result<Aggregates> {
        let ids = text_column(batch, "entity_id")?;
        let schema = batch.schema();
        // A signal whose values had several types has a column for each.
        let mut signals: BTreeMap<Arc<str>, Vec<&ArrayRef>> = BTreeMap::new();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            let filled = column.null_count() < column.len();
            if filled && field.metadata().contains_key(lake::rows::columns::SIGNAL) {
                let columns = signals.entry(signal_of(field).into()).or_default();
                columns.push(column);
            }
        }
        let mut aggregates = Aggregates::default();
        let mut values = Vec::new();
        let mut start = 0;
        while start < batch.num_rows() {
            let id = ids.value(start);
            let end = (start..batch.num_rows())
                .find(|row| ids.value(*row) != id)
                .unwrap_or(batch.num_rows());
            let mut entity = Entity {
                id: id.to_owned(),
                messages: (end - start) as u64,
                signals: Vec::with_capacity(signals.len()),
            };
            for (signal, columns) in &signals {
                values.clear();
                let mut texts = 0;
                for column in columns {
                    texts += take_values(column, start..end, &mut values);
                }
                let stats = Stats::of(&mut values, texts);
                if stats.count > 0 {
                    entity.signals.push((signal.clone(), stats));
                }
            }
            aggregates.entities.push(entity);
            start = end;
        }
        Ok(aggregates)
    }

    /// Adds all that `other` counts.
    pub(crate) fn merge(&mut self, other: &Aggregates) {
        let by_id = |a: &Entity, b: &Entity| a.id.cmp(&b.id);
        merge(
            &mut self.entities,
            &other.entities,
            by_id,
            |mine, theirs| {
                mine.messages += theirs.messages;
                let by_name = |a: &(Arc<str>, _), b: &(Arc<str>, _)| a.0.cmp(&b.0);
                merge(
                    &mut mine.signals,
                    &theirs.signals,
                    by_name,
                    |mine, theirs| {
                        mine.1.merge(&theirs.1);
                    },
                );
            },
        );
    }
}

/// Appends the column's numbers in those rows to `values`; gives how many texts are there.
fn take_values(column: &ArrayRef, rows: std::ops::Range<usize>, values: &mut Vec<f64>) -> u64 {
    let filled = rows.clone().filter(|row| column.is_valid(*row));
    match column.data_type() {
        DataType::Float64 => {
            let column = column.as_primitive::<Float64Type>();
            match column.null_count() {
                0 => values.extend_from_slice(&column.values()[rows]),
                _ => values.extend(filled.map(|row| column.value(row))),
            }
        }
        DataType::Int64 => {
            let column = column.as_primitive::<arrow::datatypes::Int64Type>();
            values.extend(filled.map(|row| column.value(row) as f64));
        }
        DataType::Boolean => {
            let column = column.as_boolean();
            values.extend(filled.map(|row| f64::from(u8::from(column.value(row)))));
        }
        DataType::Utf8 => return filled.count() as u64,
        DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Millisecond, _) => {}
        other => debug_assert!(false, "no signal column has type {other}"),
    }
    0
}

/// Counts `part`, the rows that `commit` added to the hour, in the hour's aggregates, unless they
/// count that commit already.
pub(crate) async fn apply(
    lake: &Lake,
    kind: &Kind,
    hour: Hour,
    commit: u64,
    part: &Aggregates,
) -> anyhow::Result<()> {
    let key = aggregate_key(hour, &kind.name, "parquet");
    let mut anew = false;
    loop {
        let stored = lake.get(&key).await?;
        let mut state = stored.as_ref().map(|object| object.etag.clone());
        let counted = stored
            .as_ref()
            .map(|object| commit_of(&object.metadata))
            .unwrap_or_default();
        let mut read;
        let (aggregates, condition) = match stored {
            Some(object) => {
                read = file::read_parquet(object.body).with_context(|| {
                    format!("cannot read `{key}`; `aggregator rebuild` makes it anew")
                })?;
                if counted < commit {
                    read.merge(part);
                }
                (&read, Condition::IfMatch(object.etag))
            }
            None => (part, Condition::IfAbsent),
        };
        let published = Published::of(aggregates, kind, hour);
        if counted < commit {
            let condition = match planted::has(Defect::ReplaceBlindly) {
                true => Condition::Always,
                false => condition,
            };
            let body = published.to_parquet(commit)?;
            match put(lake, &key, body, commit, condition).await? {
                Outcome::Written(etag) => state = Some(etag),
                Outcome::ConditionFailed => continue,
            }
        }
        publish_jsonl(lake, counted.max(commit), &published, anew).await?;
        // A rebuild may have replaced both meanwhile, and its lines may have been, byte for byte, those
        // that were there before: an ETag does not tell then that ours are out of date.
        if lake.head(&key).await?.map(|head| head.etag) == state {
            return Ok(());
        }
        anew = true;
    }
}

/// Replaces the hour's aggregates by those of all its parts, as given by `recount` for all parts
/// up to a commit; what another run has counted since is kept by counting again.
pub(crate) async fn replace(
    lake: &Lake,
    kind: &Kind,
    hour: Hour,
    done: u64,
    recount: impl AsyncFn(u64) -> anyhow::Result<Aggregates>,
) -> anyhow::Result<()> {
    let key = aggregate_key(hour, &kind.name, "parquet");
    loop {
        let (upto, condition) = match lake.head(&key).await? {
            Some(head) => (
                commit_of(&head.metadata).max(done),
                Condition::IfMatch(head.etag),
            ),
            None => (done, Condition::IfAbsent),
        };
        let aggregates = recount(upto).await?;
        let published = Published::of(&aggregates, kind, hour);
        if put(lake, &key, published.to_parquet(upto)?, upto, condition).await?
            == Outcome::ConditionFailed
        {
            continue;
        }
        return publish_jsonl(lake, upto, &published, true).await;
    }
}

/// Writes the JSONL of the state as of `commit`, unless one as new is there and not `anew`.
async fn publish_jsonl(
    lake: &Lake,
    commit: u64,
    published: &Published<'_>,
    anew: bool,
) -> anyhow::Result<()> {
    let key = aggregate_key(published.hour, &published.kind.name, "jsonl");
    loop {
        let condition = match lake.head(&key).await? {
            Some(head) if commit_of(&head.metadata) > commit => return Ok(()),
            Some(head) if commit_of(&head.metadata) == commit && !anew => return Ok(()),
            Some(head) => Condition::IfMatch(head.etag),
            None => Condition::IfAbsent,
        };
        if put(lake, &key, published.to_jsonl()?, commit, condition).await?
            != Outcome::ConditionFailed
        {
            return Ok(());
        }
    }
}

async fn put(
    lake: &Lake,
    key: &str,
    body: Bytes,
    commit: u64,
    condition: Condition,
) -> anyhow::Result<Outcome> {
    let content_type = match key.ends_with(".jsonl") {
        true => "application/x-ndjson",
        false => "application/vnd.apache.parquet",
    };
    let metadata = HashMap::from([(COMMIT.to_owned(), commit.to_string())]);
    Ok(lake
        .put(key, body, content_type, metadata, condition)
        .await?)
}

fn commit_of(metadata: &HashMap<String, String>) -> u64 {
    metadata
        .get(COMMIT)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
