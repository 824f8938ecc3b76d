//! Single values in time order, the first so many of them.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::sync::Arc;

use crate::kernels::ask::{Ask, Grouping};
use crate::kernels::rows::Rows;
use crate::kernels::runs::{Run, RunFinder};
use crate::kernels::stat::Value;

/// Fewest points that are gathered before those past the bound are let go.
const GATHERED: usize = 4096;

/// Where a point stands in the order of points: by time, entity, and the place of its signal in the question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Event time in microseconds since 1970.
    pub time: i64,
    /// Id of the entity.
    pub entity: Arc<str>,
    /// Place of the signal in [`Ask::signals`].
    pub signal: usize,
}

/// A value of a signal in one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Where the point stands. Points of one place are in the order of their values.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// Which points are asked for.
#[derive(Debug, Clone)]
pub struct PointsAsk {
    /// The most points.
    pub most: usize,
    /// Points that stand before this place are left out.
    pub from: Option<Place>,
}

/// The first points that came in.
pub(crate) struct Points {
    ask: PointsAsk,
    kept: Vec<Point>,
    /// Points past this time are too many.
    last: i64,
    runs: RunFinder,
}

impl Point {
    fn order(&self, other: &Point) -> Ordering {
        let by_place = self.place.cmp(&other.place);
        by_place.then_with(|| self.value.total_cmp(&other.value))
    }
}

impl Points {
    pub(crate) fn new(ask: PointsAsk) -> Points {
        Points {
            ask,
            kept: Vec::new(),
            last: i64::MAX,
            runs: RunFinder::default(),
        }
    }

    pub(crate) fn add(&mut self, rows: &Rows, ask: &Ask) {
        let mut runs = std::mem::take(&mut self.runs);
        let whole = Grouping::default();
        let Ok(()) = runs.each_run(rows, ask, whole, ask.times.start, |run| {
            self.add_run(rows, run);
            Ok::<_, Infallible>(())
        });
        self.runs = runs;
    }

    fn add_run(&mut self, rows: &Rows, run: Run) {
        let (Some(key), Some(entities), Some(times)) = (run.entity, &rows.entities, rows.times())
        else {
            return;
        };
        let entity: Arc<str> = entities.name(key).into();
        for (signal, columns) in &rows.signals {
            for values in columns {
                values.filled(run.rows.clone(), |filled| {
                    for row in filled.filter(|row| times[*row] <= self.last) {
                        let place = Place {
                            time: times[row],
                            entity: entity.clone(),
                            signal: *signal,
                        };
                        if self.ask.from.as_ref().is_none_or(|from| *from <= place) {
                            let value = values.value(row);
                            self.kept.push(Point { place, value });
                        }
                    }
                });
            }
            if self.kept.len() >= GATHERED.max(2 * self.ask.most) {
                self.keep_first();
            }
        }
    }

    fn keep_first(&mut self) {
        let most = self.ask.most;
        if self.kept.len() > most {
            self.kept.select_nth_unstable_by(most, Point::order);
            self.kept.truncate(most);
            let last = self.kept.iter().map(|point| point.place.time).max();
            self.last = last.unwrap_or(i64::MIN);
        }
    }

    /// The first points of all, in order.
    pub(crate) fn first_of(all: Vec<Points>, ask: &PointsAsk) -> Vec<Point> {
        let mut points: Vec<Point> = all.into_iter().flat_map(|points| points.kept).collect();
        points.sort_unstable_by(Point::order);
        points.truncate(ask.most);
        points
    }
}
