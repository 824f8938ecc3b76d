//! The lake at one moment.

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kinds};
use lake::ReadError;

use crate::snapshot::hot::HotRows;
use crate::snapshot::hour_data::HourData;
use crate::snapshot::part_lists::{PartLists, Span, union};

/// The lake at one moment: the parts of all commits up to one, and the rows of the raw objects that had landed and
/// that none of these commits names, each event once. It stays as it is while newer ones come. Clones share it.
///
/// Hot rows are in memory. Parts are listed when [`hours`](Snapshot::hours) asks for them, and not read: whoever reads
/// one asks for the ETag that its [`Part`](crate::snapshot::Part) has.
#[derive(Debug, Clone)]
pub struct Snapshot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    commit: u64,
    fresh_until: Option<DateTime<Utc>>,
    kinds: Arc<Kinds>,
    hot: Arc<HotRows>,
    lists: Arc<PartLists>,
}

impl Snapshot {
    pub(super) fn new(
        commit: u64,
        fresh_until: Option<DateTime<Utc>>,
        kinds: Arc<Kinds>,
        hot: Arc<HotRows>,
        lists: Arc<PartLists>,
    ) -> Snapshot {
        Snapshot(Arc::new(Inner {
            commit,
            fresh_until,
            kinds,
            hot,
            lists,
        }))
    }

    /// The last commit whose parts belong to the snapshot; 0 before the first one.
    pub fn commit(&self) -> u64 {
        self.0.commit
    }

    /// All that landed in `raw/` before this time, by this machine's clock, is in the snapshot. An object that landed
    /// more than 5 minutes after the time in its name is an exception: it comes within a minute, or within an hour if
    /// it landed more than 2 hours after that time, and past 48 hours once a commit has taken it in. None before all
    /// that is in the lake has been read; it stands still while hot rows have no room, and while S3 does not answer.
    pub fn fresh_until(&self) -> Option<DateTime<Utc>> {
        self.0.fresh_until
    }

    /// The kinds whose events the snapshot has.
    pub fn kinds(&self) -> &Arc<Kinds> {
        &self.0.kinds
    }

    /// The hours of a kind that have events with `from <= event_time < until`, ascending: whole hours, so the first
    /// and the last one may have other events too. None for a kind that is not declared.
    ///
    /// Where a list is not known it takes a listing request for each thousand parts of these hours.
    ///
    /// # Errors
    ///
    /// If the lake cannot be listed.
    pub async fn hours(
        &self,
        kind: &str,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<HourData>, ReadError> {
        let Some(number) = self.number(kind).filter(|_| from < until) else {
            return Ok(Vec::new());
        };
        let last = (until - TimeDelta::microseconds(1)).max(from);
        let wanted = (Hour::of(from), Hour::of(last));
        let Some(span) = self.0.lists.span(kind).await? else {
            return Ok(self.hot(number, wanted).map(hot_hour).collect());
        };
        let listed = (wanted.0.max(span.0), wanted.1.min(span.1));
        let lists = &self.0.lists;
        let mut parts = lists.between(kind, listed, self.0.commit).await?;
        let hot = self.hot(number, wanted).map(|hour| {
            let mut data = hot_hour(hour);
            data.parts = parts.remove(&data.hour).unwrap_or_default();
            data
        });
        let mut hours: Vec<HourData> = hot.collect();
        hours.extend(parts.into_iter().map(|(hour, parts)| HourData {
            hour,
            parts,
            hot: Vec::new(),
        }));
        hours.sort_by_key(|data| data.hour);
        Ok(hours)
    }

    /// The first and the last hour of which the kind has events; none if it has no event. A part of a commit that is
    /// not done counts too, so no event of the snapshot lies outside, and the outermost hours may have none. Only the
    /// first call for a kind sends requests, some twenty.
    ///
    /// # Errors
    ///
    /// If the lake cannot be listed.
    pub async fn span(&self, kind: &str) -> Result<Option<(Hour, Hour)>, ReadError> {
        let Some(number) = self.number(kind) else {
            return Ok(None);
        };
        let all = (
            Hour::of(DateTime::<Utc>::MIN_UTC),
            Hour::of(DateTime::<Utc>::MAX_UTC),
        );
        let mut hot = self.hot(number, all).map(|(hour, _)| hour);
        let hot = hot
            .next()
            .map(|first| (first, hot.next_back().unwrap_or(first)));
        Ok(union(self.0.lists.span(kind).await?, hot))
    }

    /// The last hours of a kind that have events before `until`: those of `back` before the newest of them.
    ///
    /// # Errors
    ///
    /// If the lake cannot be listed.
    pub async fn last_hours(
        &self,
        kind: &str,
        until: DateTime<Utc>,
        back: TimeDelta,
    ) -> Result<Vec<HourData>, ReadError> {
        let Some((first, last)) = self.span(kind).await? else {
            return Ok(Vec::new());
        };
        let until = until.min(last.next().start());
        let from = first.start().max(until - back);
        self.hours(kind, from, until).await
    }

    /// All hot rows of a kind, batch by batch; none for a kind that is not declared.
    pub fn hot_rows(&self, kind: &str) -> impl Iterator<Item = &Arc<RecordBatch>> {
        let all = (
            Hour::of(DateTime::<Utc>::MIN_UTC),
            Hour::of(DateTime::<Utc>::MAX_UTC),
        );
        let number = self.number(kind).into_iter();
        number
            .flat_map(move |number| self.hot(number, all))
            .flat_map(|(_, rows)| rows.iter())
    }

    /// Says that a part of the hour is gone or has another ETag: a rebuild has replaced it. The hour is then listed
    /// anew, so the reader calls [`hours`](Snapshot::hours) again, of this snapshot or of a newer one. The hot rows
    /// stay right: a rebuild moves no event into or out of `curated/`.
    pub fn forget(&self, kind: &str, hour: Hour) {
        self.0.lists.forget(kind, hour);
    }

    fn number(&self, kind: &str) -> Option<usize> {
        self.0
            .kinds
            .iter()
            .position(|declared| declared.name == kind)
    }

    fn hot(
        &self,
        kind: usize,
        (first, last): Span,
    ) -> impl DoubleEndedIterator<Item = HotHour<'_>> {
        let hours = self.0.hot.range((kind, first)..=(kind, last));
        hours.map(|((_, hour), rows)| (*hour, rows))
    }
}

type HotHour<'s> = (Hour, &'s Arc<[Arc<arrow::array::RecordBatch>]>);

fn hot_hour((hour, rows): HotHour<'_>) -> HourData {
    HourData {
        hour,
        parts: Vec::new(),
        hot: rows.to_vec(),
    }
}
