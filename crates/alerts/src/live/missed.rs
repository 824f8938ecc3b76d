//! Events of windows that were evaluated before the start, which the process before may not have had.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use contract::Event;
use windows::{Changed, PANE, Windows};

use crate::live::intake::dimensions_of;
use crate::model::{Labels, pairs};

/// What landed while no process looked, of windows that had been evaluated: when the state of the log is reached, these
/// windows are looked at again, as if the events had come then.
///
/// A process evaluates a window end more than ten seconds after that time, by arrivals or by its clock, and has listed
/// the lake since. So what had landed by the window end that the log tells was in its windows. What landed later was
/// there or not: to look again at what was there changes nothing.
#[derive(Debug)]
pub(super) struct Missed {
    /// The window end that the log tells, in milliseconds since 1970; [`i64::MIN`] once it is reached.
    evaluated_to: i64,
    /// The first pane with such an event, by kind, entity and dimensions.
    first: BTreeMap<(String, String, Labels), i64>,
}

impl Missed {
    pub(super) fn new(evaluated_to: i64) -> Missed {
        Missed {
            evaluated_to,
            first: BTreeMap::new(),
        }
    }

    /// Whether an object that landed then may have been missed.
    pub(super) fn may_be(&self, last_modified: Option<DateTime<Utc>>) -> bool {
        // Listings tell whole seconds, rounded down.
        last_modified.is_none_or(|landed| landed.timestamp_millis() + 1_000 > self.evaluated_to)
    }

    /// Notes an event of such an object.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        let pane = event.time.timestamp_millis().div_euclid(PANE) * PANE;
        if pane < self.evaluated_to {
            let (kind, entity) = (event.kind.name.clone(), event.entity.to_string());
            let names = (kind, entity, dimensions_of(event));
            let first = self.first.entry(names).or_insert(pane);
            *first = pane.min(*first);
        }
    }

    /// The changes that these events are to the windows up to the one that the log tells. From then on none is noted:
    /// windows tell what comes late.
    pub(super) fn take(&mut self, windows: &Windows, signals: &BTreeSet<String>) -> Vec<Changed> {
        let missed = std::mem::take(&mut self.first);
        let evaluated_to = std::mem::replace(&mut self.evaluated_to, i64::MIN);
        let each = missed
            .iter()
            .flat_map(|((kind, entity, dimensions), pane)| {
                let dimensions: Vec<_> = pairs(dimensions).collect();
                let found = move |signal: &String| windows.find(kind, entity, &dimensions, signal);
                let series = signals.iter().filter_map(found);
                series.map(|series| Changed {
                    pane: *pane,
                    series,
                    given_to: Some(evaluated_to),
                })
            });
        each.collect()
    }
}
