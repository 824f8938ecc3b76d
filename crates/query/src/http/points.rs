//! The points of `GET /query`: those of an event each, or those of a group each, from all kinds that are asked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use contract::Hour;

use crate::http::cursor::Cursor;
use crate::http::names::Target;
use crate::http::parameters::{Aggregate, Cell};
use crate::http::refusal::Refusal;
use engine::kernels::{Ask, EntityFilter, Grouping, Place, PointsAsk, Scanner, Wanted};
use engine::snapshot::HourData;

/// Most hours that are read at a time for single points: the first few may be enough.
const MOST_HOURS: usize = 64;

/// What is asked of each kind.
pub(crate) struct Question<'q> {
    pub(crate) scanner: &'q Scanner,
    /// That of the snapshot.
    pub(crate) commit: u64,
    /// Whether only events are read, and percentiles are those of the values.
    pub(crate) is_exact: bool,
    /// The kinds, and the hours of each.
    pub(crate) targets: &'q [(Target, Vec<HourData>)],
    /// Event times in microseconds.
    pub(crate) times: Range<i64>,
    pub(crate) entities: EntityFilter,
    /// Most points.
    pub(crate) limit: usize,
    /// The last point of the answer before.
    pub(crate) after: Option<Cursor>,
}

/// A point, and where it stands among all.
pub(crate) struct Found {
    pub(crate) time: i64,
    /// Place of the kind among the targets.
    pub(crate) target: usize,
    /// Empty where the point is of no entity.
    pub(crate) entity: Arc<str>,
    /// Place of the signal among those of the target.
    pub(crate) signal: usize,
    /// One for each aggregate, or the value of the event.
    pub(crate) cells: Vec<Cell>,
}

impl Found {
    fn place(&self) -> (i64, usize, &str, usize) {
        (self.time, self.target, &self.entity, self.signal)
    }
}

/// The points of an answer.
pub(crate) struct Page {
    pub(crate) points: Vec<Found>,
    /// Where the next answer begins; none if this is the last one.
    pub(crate) next: Option<Cursor>,
    /// Whether a percentile is approximate.
    pub(crate) is_approximate: bool,
}

impl Question<'_> {
    /// The place of the cursor.
    fn after(&self) -> Result<Option<(i64, usize, &str, usize)>, Refusal> {
        let Some(cursor) = &self.after else {
            return Ok(None);
        };
        let place = || {
            let target = self
                .targets
                .iter()
                .position(|(target, _)| target.kind == cursor.kind)?;
            let signals = &self.targets[target].0.signals;
            let signal = signals.iter().position(|signal| *signal == cursor.signal)?;
            Some((cursor.time, target, &*cursor.entity, signal))
        };
        let unknown = || {
            Refusal::parameter(
                "cursor",
                &cursor.to_string(),
                "send `next` of an answer to the same question",
            )
        };
        place().map(Some).ok_or_else(unknown)
    }

    fn ask(&self, target: usize, start: i64) -> Arc<Ask> {
        Arc::new(Ask {
            signals: self.targets[target].0.signals.clone(),
            times: start.min(self.times.end)..self.times.end,
            entities: self.entities.clone(),
        })
    }

    /// The values of events.
    pub(crate) async fn events(&self) -> Result<Page, Refusal> {
        let after = self.after()?;
        let seen = self.after.as_ref().map_or(0, |cursor| cursor.seen);
        let most = self.limit.saturating_add(seen).saturating_add(1);
        let hours = self.targets.iter().flat_map(|(_, hours)| hours);
        let mut hours: Vec<Hour> = hours.map(|data| data.hour).collect();
        hours.sort_unstable();
        hours.dedup();
        let (mut points, mut at, mut width) = (Vec::new(), 0, 1);
        while at < hours.len() && points.len() < most {
            let these = &hours[at..hours.len().min(at + width)];
            for (number, (_, data)) in self.targets.iter().enumerate() {
                let data = data.iter().filter(|data| these.contains(&data.hour));
                let data: Vec<HourData> = data.cloned().collect();
                let mut start = self.times.start;
                let mut from = None;
                if let Some((time, target, entity, signal)) = after {
                    start = start.max(time + i64::from(number < target));
                    from = (number == target).then(|| Place {
                        time,
                        entity: entity.into(),
                        signal,
                    });
                }
                let ask = self.ask(number, start);
                let found = self.scanner.points(&data, &ask, PointsAsk { most, from });
                points.extend(found.await?.into_iter().map(|point| Found {
                    time: point.place.time,
                    target: number,
                    entity: point.place.entity,
                    signal: point.place.signal,
                    cells: vec![Cell::of(&point.value)],
                }));
            }
            (at, width) = (at + width, (width * 2).min(MOST_HOURS));
        }
        // Points of one place are in the order of their values already, which a stable sort keeps.
        points.sort_by(|a, b| a.place().cmp(&b.place()));
        self.page(points, false)
    }

    /// The aggregates of groups: of each bucket of `grouping.step`, and of each entity if it is by entity. `most`
    /// bounds the groups of a kind.
    pub(crate) async fn groups(
        &self,
        grouping: Grouping,
        aggregates: &[Aggregate],
        most: usize,
    ) -> Result<Page, Refusal> {
        let wanted = Wanted {
            exact: self.is_exact,
            ..Aggregate::wanted(aggregates)
        };
        let is_percentile = aggregates.iter().any(|aggregate| aggregate.is_percentile());
        let after = self.after()?;
        let start = after.map_or(self.times.start, |(time, ..)| self.times.start.max(time));
        let (mut points, mut is_approximate) = (Vec::new(), false);
        for (number, (target, hours)) in self.targets.iter().enumerate() {
            let ask = self.ask(number, start);
            let of = (&*target.kind, self.commit);
            let mut groups = self
                .scanner
                .groups_by_hours(of, hours, &ask, grouping, wanted, most)
                .await?;
            if aggregates.iter().any(|aggregate| aggregate.is_of_counter()) {
                // Also from before the cursor: what a value grew by is told by the one before it.
                let ask = self.ask(number, self.times.start);
                let labels = target.labels.as_deref();
                self.scanner
                    .add_increases(&mut groups, hours, &ask, grouping, labels, most)
                    .await?;
            }
            for (group, _, stats) in groups.iter() {
                for (signal, stat) in stats.iter().enumerate().filter(|(_, stat)| stat.count > 0) {
                    is_approximate |= is_percentile && stat.is_approximate();
                    let entity = group.entity.cloned().unwrap_or_default();
                    let (_, within) = grouping.bucket(group.bucket, &self.times);
                    let seconds = (within.end - within.start) as f64 / 1e6;
                    let point = Found {
                        time: group.bucket,
                        target: number,
                        entity,
                        signal,
                        cells: aggregates
                            .iter()
                            .map(|aggregate| aggregate.value(stat, seconds))
                            .collect(),
                    };
                    if after.is_none_or(|after| point.place() >= after) {
                        points.push(point);
                    }
                }
            }
        }
        points.sort_unstable_by(|a, b| a.place().cmp(&b.place()));
        self.page(points, is_approximate)
    }

    /// Cuts sorted points, of which those before the cursor are left out already.
    fn page(&self, mut points: Vec<Found>, is_approximate: bool) -> Result<Page, Refusal> {
        let after = self.after()?;
        let seen = self.after.as_ref().map_or(0, |cursor| cursor.seen);
        let again = points
            .iter()
            .take_while(|point| Some(point.place()) == after)
            .count();
        points.drain(..again.min(seen));
        let more = points.len() > self.limit;
        points.truncate(self.limit);
        let next = points.last().filter(|_| more).map(|last| {
            let same = points
                .iter()
                .rev()
                .take_while(|point| point.place() == last.place());
            let before = if Some(last.place()) == after { seen } else { 0 };
            let target = &self.targets[last.target].0;
            Cursor {
                time: last.time,
                seen: same.count() + before,
                signal: target.signals[last.signal].clone(),
                kind: target.kind.clone(),
                entity: last.entity.clone(),
            }
        });
        Ok(Page {
            points,
            next,
            is_approximate,
        })
    }
}

/// The aggregates of a point by name.
pub(crate) fn by_name(aggregates: &[Aggregate], cells: Vec<Cell>) -> BTreeMap<&'static str, Cell> {
    aggregates
        .iter()
        .map(|aggregate| aggregate.name())
        .zip(cells)
        .collect()
}
