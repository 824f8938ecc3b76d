//! The series that are known.

use std::collections::BTreeSet;
use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use crate::settings::Settings;
use crate::store::names::Names;
use crate::store::pane::PAGE;

/// The group of names that are known by themselves.
const ALONE: u32 = 0;
/// The column of a head that is no series.
const FREE: u32 = u32::MAX;
/// The dimensions of a series that has none: it needs no text, and no search for it.
const NONE: u32 = u32::MAX;

/// All series: their names, labels and latest times. A series' number is its place in panes. Numbers are given by
/// pages: the series of a page hold their panes equally long.
#[derive(Debug)]
pub(crate) struct Registry {
    kinds: Names,
    /// By kind.
    entities: Names,
    /// By kind. The number of a kind's signal is that of its column.
    signals: Names,
    /// Labels and dimensions, packed by [`pack`].
    labels: Names,
    heads: Vec<Head>,
    columns: Vec<Column>,
    /// By entity: the series that was added first, where a search begins.
    first_series: Vec<u32>,
    hasher: RandomState,
    by_names: HashTable<u32>,
    spans: Vec<Span>,
    /// By page: the place in `spans`.
    page_spans: Vec<usize>,
    settings: Settings,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    entity: u32,
    column: u32,
    dimensions: u32,
    labels: u32,
    last_at: i64,
}

/// A signal of a kind.
#[derive(Debug, Default)]
struct Column {
    series: Vec<u32>,
    span: usize,
    is_watched: bool,
    has_quantiles: bool,
}

/// Series whose longest windows are equal.
#[derive(Debug)]
struct Span {
    range: i64,
    free: Vec<u32>,
}

/// What tells a series from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    pub(crate) kind: &'a str,
    pub(crate) entity: &'a str,
    pub(crate) signal: &'a str,
    /// Packed by [`pack_dimensions`].
    pub(crate) dimensions: &'a str,
}

/// What is known of an event's names; see [`Registry::place`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    kind: Option<u32>,
    entity: Option<u32>,
    dimensions: Option<u32>,
    /// The series that is most likely the next one.
    guess: u32,
}

/// A series that was found or added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) series: u32,
    pub(crate) is_watched: bool,
    pub(crate) has_quantiles: bool,
}

impl Registry {
    /// Knows no series. The settings' ranges must be whole panes.
    pub(crate) fn new(settings: Settings) -> Registry {
        let others = settings.ranges.values().copied();
        let ranges: BTreeSet<i64> = others.chain([settings.range]).collect();
        let span = |range| Span {
            range,
            free: Vec::new(),
        };
        Registry {
            kinds: Names::default(),
            entities: Names::default(),
            signals: Names::default(),
            labels: Names::default(),
            heads: Vec::new(),
            columns: Vec::new(),
            first_series: Vec::new(),
            hasher: RandomState::default(),
            by_names: HashTable::new(),
            spans: ranges.into_iter().map(span).collect(),
            page_spans: Vec::new(),
            settings,
        }
    }

    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.by_names.len()
    }

    /// What is known of the names of an event and of its packed dimensions, to find its series one after the other.
    pub(crate) fn place(&self, kind: &str, entity: &str, dimensions: &str) -> Place {
        let kind = self.kinds.find(ALONE, kind);
        let entity = kind.and_then(|kind| self.entities.find(kind, entity));
        let guess = entity.map_or(0, |entity| self.first_series[entity as usize]);
        let dimensions = if dimensions.is_empty() {
            Some(NONE)
        } else {
            self.labels.find(ALONE, dimensions)
        };
        Place {
            kind,
            entity,
            dimensions,
            guess,
        }
    }

    /// The series of a signal of the event whose place it is; added if it is new. None if there is no room for it.
    pub(crate) fn find_or_add(
        &mut self,
        place: &mut Place,
        identity: Identity<'_>,
    ) -> Option<Found> {
        let series = match self.find(*place, identity.signal) {
            Some(series) => series,
            None if self.len() >= self.settings.max_series => return None,
            None => self.add(identity),
        };
        let head = self.heads[series as usize];
        place.entity = Some(head.entity);
        place.dimensions = Some(head.dimensions);
        place.kind = Some(self.entities.group(head.entity));
        place.guess = series + 1;
        let column = &self.columns[head.column as usize];
        Some(Found {
            series,
            is_watched: column.is_watched,
            has_quantiles: column.has_quantiles,
        })
    }

    /// The series of these names and dimensions.
    pub(crate) fn of_identity(&self, identity: Identity<'_>) -> Option<u32> {
        let place = self.place(identity.kind, identity.entity, identity.dimensions);
        self.find(place, identity.signal)
    }

    fn find(&self, place: Place, signal: &str) -> Option<u32> {
        let (kind, entity, dimensions) = (place.kind?, place.entity?, place.dimensions?);
        if let Some(head) = self.heads.get(place.guess as usize)
            && head.column != FREE
            && (head.entity, head.dimensions) == (entity, dimensions)
            && self.signals.text(head.column) == signal
        {
            return Some(place.guess);
        }
        let column = self.signals.find(kind, signal)?;
        let names = (entity, column, dimensions);
        let is_it = |series: &u32| self.heads[*series as usize].names() == names;
        let hash = self.hasher.hash_one(names);
        self.by_names.find(hash, is_it).copied()
    }

    fn add(&mut self, identity: Identity<'_>) -> u32 {
        let kind_id = self.kinds.hold(ALONE, identity.kind);
        let entity = self.entities.hold(kind_id, identity.entity);
        let column = self.signals.hold(kind_id, identity.signal);
        let dimensions = if identity.dimensions.is_empty() {
            NONE
        } else {
            self.labels.hold(ALONE, identity.dimensions)
        };
        self.add_column(column, identity.signal);
        let span = self.columns[column as usize].span;
        let series = self.spans[span]
            .free
            .pop()
            .unwrap_or_else(|| self.add_page(span));
        self.heads[series as usize] = Head {
            entity,
            column,
            dimensions,
            labels: self.labels.hold(ALONE, ""),
            last_at: i64::MIN,
        };
        if self.first_series.len() <= entity as usize {
            self.first_series.resize(entity as usize + 1, FREE);
        }
        if self.entities.users(entity) == 1 {
            self.first_series[entity as usize] = series;
        }
        self.columns[column as usize].series.push(series);
        let (heads, hasher) = (&self.heads, &self.hasher);
        let hash_of = |series: &u32| hasher.hash_one(heads[*series as usize].names());
        let hash = hash_of(&series);
        self.by_names.insert_unique(hash, series, hash_of);
        series
    }

    fn add_column(&mut self, column: u32, signal: &str) {
        if self.columns.len() <= column as usize {
            self.columns
                .resize_with(column as usize + 1, Column::default);
        }
        if self.signals.users(column) == 1 {
            let range = self
                .settings
                .ranges
                .get(signal)
                .unwrap_or(&self.settings.range);
            self.columns[column as usize] = Column {
                series: Vec::new(),
                span: self.spans.partition_point(|span| span.range < *range),
                is_watched: self.settings.watched.contains(signal),
                has_quantiles: self.settings.quantiles.contains(signal),
            };
        }
    }

    /// Adds a page of numbers, and gives the first one of them.
    fn add_page(&mut self, span: usize) -> u32 {
        let first = self.heads.len() as u32;
        let free = Head {
            entity: 0,
            column: FREE,
            dimensions: NONE,
            labels: 0,
            last_at: i64::MIN,
        };
        self.heads.resize(self.heads.len() + PAGE, free);
        self.page_spans.push(span);
        // The lowest is given first, so that the series of one event lie side by side.
        self.spans[span]
            .free
            .extend((first + 1..first + PAGE as u32).rev());
        first
    }

    /// Takes in the time and the labels of an event of the series; labels are those of the latest event.
    pub(crate) fn touch(&mut self, series: u32, at: i64, labels: &str) {
        let head = &mut self.heads[series as usize];
        if at < head.last_at {
            return;
        }
        let known = self.labels.text(head.labels);
        // Equal times are ordered by the text, so that the order of coming does not matter.
        if known != labels && (at > head.last_at || labels > known) {
            let held = self.labels.hold(ALONE, labels);
            self.labels
                .release(std::mem::replace(&mut head.labels, held));
        }
        head.last_at = at;
    }

    /// The series of a signal, of one kind or of all.
    pub(crate) fn of_signal<'a>(
        &'a self,
        kind: Option<&str>,
        signal: &'a str,
    ) -> impl Iterator<Item = u32> + 'a {
        let one = kind.and_then(|kind| self.kinds.find(ALONE, kind));
        let all = kind.is_none().then(|| self.kinds.of_group(ALONE));
        let kinds = one.into_iter().chain(all.into_iter().flatten());
        let columns = kinds.filter_map(move |kind| self.signals.find(kind, signal));
        columns.flat_map(|column| self.columns[column as usize].series.iter().copied())
    }

    /// The names and dimensions of a series; None of a number that is no series.
    pub(crate) fn identity(&self, series: u32) -> Option<Identity<'_>> {
        let head = self.heads.get(series as usize)?;
        if head.column == FREE {
            return None;
        }
        let dimensions = match head.dimensions {
            NONE => "",
            dimensions => self.labels.text(dimensions),
        };
        Some(Identity {
            kind: self.kinds.text(self.signals.group(head.column)),
            entity: self.entities.text(head.entity),
            signal: self.signals.text(head.column),
            dimensions,
        })
    }

    /// The packed labels and the time of the latest event of a series.
    pub(crate) fn latest(&self, series: u32) -> (&str, i64) {
        let head = self.heads[series as usize];
        (self.labels.text(head.labels), head.last_at)
    }

    /// Longest window of the series of a page.
    pub(crate) fn range_of_page(&self, page: usize) -> i64 {
        self.page_spans
            .get(page)
            .map_or(self.settings.range, |span| self.spans[*span].range)
    }

    /// The shortest and the longest window that is asked for.
    pub(crate) fn ranges(&self) -> (i64, i64) {
        let ranges = self.spans.iter().map(|span| span.range);
        let longest = ranges.clone().max().unwrap_or(self.settings.range);
        (ranges.min().unwrap_or(self.settings.range), longest)
    }

    /// Forgets the series whose latest event lies before `time`, and gives their numbers.
    pub(crate) fn forget_before(&mut self, time: i64) -> Vec<u32> {
        let is_old = |head: &Head| head.column != FREE && head.last_at < time;
        if !self.heads.iter().any(is_old) {
            return Vec::new();
        }
        let heads = &self.heads;
        let kept = |series: &u32| !is_old(&heads[*series as usize]);
        let mut forgotten: Vec<u32> = (0..heads.len() as u32)
            .filter(|series| !kept(series))
            .collect();
        self.by_names.retain(|series| kept(series));
        self.columns
            .iter_mut()
            .for_each(|column| column.series.retain(kept));
        // The lowest is given first, as those of a new page are.
        forgotten.reverse();
        for series in &forgotten {
            let head = self.heads[*series as usize];
            self.kinds.release(self.signals.group(head.column));
            self.entities.release(head.entity);
            self.signals.release(head.column);
            self.labels.release(head.labels);
            if head.dimensions != NONE {
                self.labels.release(head.dimensions);
            }
            self.heads[*series as usize].column = FREE;
            let span = self.page_spans[*series as usize / PAGE];
            self.spans[span].free.push(*series);
        }
        forgotten
    }
}

impl Head {
    /// Entity, column and dimensions: no two series have the same.
    fn names(&self) -> (u32, u32, u32) {
        (self.entity, self.column, self.dimensions)
    }
}

/// Names and values of labels as one text, each ended by a NUL.
pub(crate) fn pack(labels: &[(&str, &str)], into: &mut String) {
    into.clear();
    for text in labels.iter().flat_map(|(name, value)| [*name, *value]) {
        if text.contains('\0') {
            into.push_str(&text.replace('\0', "\u{fffd}"));
        } else {
            into.push_str(text);
        }
        into.push('\0');
    }
}

/// [`pack`]s dimensions: those without a value count as absent, and their order means nothing.
pub(crate) fn pack_dimensions(dimensions: &[(&str, &str)], into: &mut String) {
    let present = dimensions.iter().filter(|(_, value)| !value.is_empty());
    let mut present: Vec<_> = present.copied().collect();
    present.sort_unstable();
    pack(&present, into);
}

/// Names and values of a packed text.
pub(crate) fn unpack(packed: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut texts = packed.split_terminator('\0');
    std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_takes_24_bytes() {
        assert_eq!(size_of::<Head>(), 24);
    }

    #[test]
    fn texts_of_forgotten_series_are_let_go_of() {
        let mut registry = Registry::new(Settings::default());
        let mut add = |dimensions, at| {
            let identity = Identity {
                kind: "metric",
                entity: "host-1",
                signal: "requests",
                dimensions,
            };
            let mut place = registry.place("metric", "host-1", dimensions);
            let series = registry.find_or_add(&mut place, identity).unwrap().series;
            registry.touch(series, at, "zone\0a\0");
        };
        add("code\0ok\0", 1);
        add("code\0bad\0", 3);
        add("code\0ok\0", 2);
        assert_eq!(registry.forget_before(3).len(), 1);
        let known = |text| registry.labels.find(ALONE, text).is_some();
        assert!(!known("code\0ok\0") && known("code\0bad\0") && known("zone\0a\0"));
        registry.forget_before(4);
        let users = registry.labels.of_group(ALONE).count();
        assert_eq!((registry.len(), users), (0, 0));
    }
}
