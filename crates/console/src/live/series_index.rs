//! The series that are asked for, by kind, signal and entity.

use std::collections::{BTreeMap, HashMap};

use super::table::TopicId;
use super::topic::Series;

type Entities = HashMap<Box<str>, TopicId>;

/// The series that are asked for.
#[derive(Debug, Default)]
pub(super) struct SeriesIndex(BTreeMap<Box<str>, BTreeMap<Box<str>, Entities>>);

impl SeriesIndex {
    pub(super) fn insert(&mut self, series: &Series, id: TopicId) {
        let signals = self.0.entry(series.kind.clone()).or_default();
        let entities = signals.entry(series.signal.clone()).or_default();
        entities.insert(series.entity.clone(), id);
    }

    pub(super) fn remove(&mut self, series: &Series) {
        let Some(signals) = self.0.get_mut(&series.kind) else {
            return;
        };
        if let Some(entities) = signals.get_mut(&series.signal) {
            entities.remove(&series.entity);
            if entities.is_empty() {
                signals.remove(&series.signal);
            }
        }
        if signals.is_empty() {
            self.0.remove(&series.kind);
        }
    }

    pub(super) fn get(&self, kind: &str, signal: &str, entity: &str) -> Option<TopicId> {
        self.0.get(kind)?.get(signal)?.get(entity).copied()
    }

    /// The kinds, each with its signals.
    pub(super) fn signals(&self) -> Vec<(Box<str>, Vec<String>)> {
        let signals = self.0.iter().map(|(kind, signals)| {
            let names = signals.keys().map(|name| name.to_string());
            (kind.clone(), names.collect())
        });
        signals.collect()
    }
}
