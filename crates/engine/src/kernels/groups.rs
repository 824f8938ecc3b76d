//! Groups of events by time bucket and entity, each with the state of every signal asked for.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::kernels::ask::{Ask, Grouping, Wanted};
use crate::kernels::counters::Increase;
use crate::kernels::numbers::Numbers;
use crate::kernels::rows::Rows;
use crate::kernels::runs::{Run, RunFinder};
use crate::kernels::scan_error::ScanError;
use crate::kernels::stat::Stat;

/// Bytes of a sketch that count as one group against the bound: about what a group takes without one.
const BYTES_PER_GROUP: usize = 256;

/// Numbers of entities, for a group that is of all.
const ALL: u32 = u32::MAX;

/// The events of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group<'g> {
    /// Start of the time bucket in microseconds since 1970; the start of the range where there are no buckets.
    pub bucket: i64,
    /// The entity; none where entities are counted together.
    pub entity: Option<&'g Arc<str>>,
}

/// Groups and what is known of each. They merge with groups of the same question.
#[derive(Debug)]
pub struct Groups {
    grouping: Grouping,
    wanted: Wanted,
    signals: usize,
    most: usize,
    places: HashMap<(i64, u32), usize, RandomState>,
    keys: Vec<(i64, u32)>,
    events: Vec<u64>,
    /// `signals` of them for each group.
    stats: Vec<Stat>,
    entities: Numbers,
    /// Bytes of sketches.
    sketch_bytes: usize,
    runs: RunFinder,
    space: Vec<f64>,
}

impl Groups {
    /// No group. `signals` is the number of signals asked for, `most` the bound on groups (`MAX_GROUPS`).
    pub fn new(grouping: Grouping, wanted: Wanted, signals: usize, most: usize) -> Groups {
        Groups {
            grouping,
            wanted,
            signals,
            most,
            places: HashMap::default(),
            keys: Vec::new(),
            events: Vec::new(),
            stats: Vec::new(),
            entities: Numbers::default(),
            sketch_bytes: 0,
            runs: RunFinder::default(),
            space: Vec::new(),
        }
    }

    /// Makes the groups of a question, each time without one.
    pub(crate) fn maker(
        ask: &Ask,
        grouping: Grouping,
        wanted: Wanted,
        most: usize,
    ) -> impl Fn() -> Groups + Clone + Send + 'static + use<> {
        let signals = ask.signals.len();
        move || Groups::new(grouping, wanted, signals, most)
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Every group with the number of its events and the state of each signal, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Group<'_>, u64, &[Stat])> {
        let keys = self.keys.iter().zip(&self.events).enumerate();
        keys.map(|(at, ((bucket, entity), events))| {
            let group = Group {
                bucket: *bucket,
                entity: self.entities.name(*entity),
            };
            let stats = &self.stats[at * self.signals..(at + 1) * self.signals];
            (group, *events, stats)
        })
    }

    /// Adds the rows that `ask` looks at; see [`RunFinder::each_run`] for `bucket`.
    pub(crate) fn add(&mut self, rows: &Rows, ask: &Ask, bucket: i64) -> Result<(), ScanError> {
        let grouping = self.grouping;
        let mut runs = std::mem::take(&mut self.runs);
        let added = runs.each_run(rows, ask, grouping, bucket, |run| self.add_run(rows, run));
        self.runs = runs;
        added
    }

    fn add_run(&mut self, rows: &Rows, run: Run) -> Result<(), ScanError> {
        let entity = match (run.entity, &rows.entities) {
            (Some(key), Some(entities)) if self.grouping.by_entity => {
                self.entities.of_key(entities, key)
            }
            _ => ALL,
        };
        let place = self.place((run.bucket, entity))?;
        if rows.counts_events {
            self.events[place] += run.rows.len() as u64;
        }
        let stats = &mut self.stats[place * self.signals..(place + 1) * self.signals];
        for (signal, columns) in &rows.signals {
            let stat = &mut stats[*signal];
            let before = stat.extra_bytes();
            for values in columns {
                let rows_of_run = run.rows.clone();
                stat.add(
                    values,
                    rows_of_run,
                    rows.times(),
                    self.wanted,
                    &mut self.space,
                );
            }
            self.sketch_bytes = (self.sketch_bytes + stat.extra_bytes()).saturating_sub(before);
        }
        self.check()
    }

    /// Adds values of a signal to a group, without the number of events that they come from.
    pub(crate) fn add_stat(
        &mut self,
        bucket: i64,
        entity: Option<&str>,
        signal: usize,
        added: &Stat,
    ) -> Result<(), ScanError> {
        let entity = entity.map_or(ALL, |name| self.entities.of(name));
        let place = self.place((bucket, entity))?;
        let stat = &mut self.stats[place * self.signals + signal];
        let before = stat.extra_bytes();
        stat.merge(added);
        self.sketch_bytes = (self.sketch_bytes + stat.extra_bytes()).saturating_sub(before);
        self.check()
    }

    /// Adds what the counters of an entity have grown by in a bucket.
    pub(crate) fn add_increase(&mut self, added: &Increase) -> Result<(), ScanError> {
        let entity = match self.grouping.by_entity {
            true => self.entities.of(&added.entity),
            false => ALL,
        };
        let place = self.place((added.bucket, entity))?;
        self.stats[place * self.signals + added.signal].add_increase(added.value);
        Ok(())
    }

    /// Adds all groups of `other`.
    pub(crate) fn merge(&mut self, other: &Groups) -> Result<(), ScanError> {
        for (group, events, stats) in other.iter() {
            let entity = group.entity.map_or(ALL, |name| self.entities.of(name));
            let place = self.place((group.bucket, entity))?;
            self.events[place] += events;
            let mine = &mut self.stats[place * self.signals..(place + 1) * self.signals];
            for (mine, theirs) in mine.iter_mut().zip(stats) {
                let before = mine.extra_bytes();
                mine.merge(theirs);
                self.sketch_bytes = (self.sketch_bytes + mine.extra_bytes()).saturating_sub(before);
            }
            self.check()?;
        }
        Ok(())
    }

    /// Makes reading quick, once nothing more is added.
    pub(crate) fn settle(&mut self) {
        self.stats.iter_mut().for_each(Stat::settle);
    }

    /// The place of a group, which is a new one if need be.
    fn place(&mut self, key: (i64, u32)) -> Result<usize, ScanError> {
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        let place = self.keys.len();
        self.places.insert(key, place);
        self.keys.push(key);
        self.events.push(0);
        self.stats
            .resize_with(self.stats.len() + self.signals, Stat::default);
        self.check()?;
        Ok(place)
    }

    fn check(&self) -> Result<(), ScanError> {
        let states = self.keys.len() * self.signals.max(1);
        if states + self.sketch_bytes / BYTES_PER_GROUP > self.most {
            return Err(ScanError::TooManyGroups { most: self.most });
        }
        Ok(())
    }
}
