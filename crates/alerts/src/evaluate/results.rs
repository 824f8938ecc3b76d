//! What a condition gives as of one window's end.

use std::collections::{BTreeMap, HashSet};

use windows::{Series, SeriesId, Windows};

use crate::expr::{Comparison, Condition, Function, GroupBy, Operand, OverTime, Selector};
use crate::model::{Labels, pairs};

/// The labels that tell an alert from others of its rule: [`Condition::key_names`], and the dimensions of its series.
pub(super) type Key = Labels;

/// The labels of the key of a condition about series one by one, which each series has beside its dimensions.
pub(super) const PER_ENTITY: [&str; 2] = ["entity_id", "kind"];

/// What a condition gives for a set of labels that has data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// All labels, also those that are not in the key.
    pub(super) labels: Labels,
    /// The value: of the left side, where there are two.
    pub(super) value: f64,
    /// Whether the condition holds.
    pub(super) holds: bool,
}

/// Which results are wanted of the series that conditions are about one by one; those of groups are always given.
#[derive(Debug, Clone, Copy)]
pub(super) enum Only<'k> {
    /// All that have data.
    All,
    /// Those for which the condition holds, and those with these keys.
    HoldingOr(&'k [&'k Key]),
    /// Those with these keys.
    Of(&'k [&'k Key]),
}

/// What `condition` gives as of `end`.
pub(super) fn results(
    condition: &Condition,
    windows: &Windows,
    end: i64,
    only: Only<'_>,
) -> BTreeMap<Key, Found> {
    match condition {
        Condition::Compare(comparison) => compared(comparison, windows, end, only),
        Condition::Absent(selector, range) => absent(selector, *range, windows, end),
        Condition::Both(left, right) => {
            let mut both = results(left, windows, end, only);
            let right = results(right, windows, end, only);
            both.retain(|key, found| {
                let other = right.get(key);
                found.holds &= other.is_some_and(|other| other.holds);
                other.is_some()
            });
            both
        }
        Condition::Either(left, right) => {
            let mut either = results(left, windows, end, only);
            for (key, found) in results(right, windows, end, only) {
                let left_holds = either.get(&key).is_some_and(|left| left.holds);
                if found.holds && !left_holds || !either.contains_key(&key) {
                    either.insert(key, found);
                }
            }
            either
        }
        Condition::Unless(left, right) => {
            let mut left = results(left, windows, end, only);
            for (key, found) in results(right, windows, end, only) {
                if found.holds
                    && let Some(left) = left.get_mut(&key)
                {
                    left.holds = false;
                }
            }
            left
        }
    }
}

fn compared(
    comparison: &Comparison,
    windows: &Windows,
    end: i64,
    only: Only<'_>,
) -> BTreeMap<Key, Found> {
    let (compare, threshold) = (comparison.compare, comparison.threshold);
    match &comparison.operand {
        Operand::Series(of) => {
            let mut found = BTreeMap::new();
            let asked: Option<HashSet<SeriesId>> = match only {
                Only::HoldingOr(keys) => Some(with_keys(keys, of, windows).collect()),
                Only::All | Only::Of(_) => None,
            };
            each_value(of, windows, end, only, |id, series, value| {
                let holds = compare.holds(value, threshold);
                if holds || asked.as_ref().is_none_or(|asked| asked.contains(&id)) {
                    let labels = labels_of(series);
                    let found_now = Found {
                        labels,
                        value,
                        holds,
                    };
                    found.insert(key_of(series), found_now);
                }
            });
            found
        }
        Operand::Group { group, by, of } => {
            let mut groups: BTreeMap<Key, Vec<f64>> = BTreeMap::new();
            each_value(of, windows, end, Only::All, |_, series, value| {
                let labels = by.iter().map(|name| (name, label(series, name)));
                let present = labels.filter(|(_, value)| !value.is_empty());
                let key = present.map(|(name, value)| (name.clone(), value.to_owned()));
                groups.entry(key.collect()).or_default().push(value);
            });
            let found = |(key, values): (Key, Vec<f64>)| {
                let value = together(*group, values);
                let holds = compare.holds(value, threshold);
                let labels = key.clone();
                (
                    key,
                    Found {
                        labels,
                        value,
                        holds,
                    },
                )
            };
            groups.into_iter().map(found).collect()
        }
    }
}

/// The values in order of size, so that their sum does not depend on the order of the series.
fn together(group: GroupBy, mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let sum = || values.iter().sum::<f64>();
    match group {
        GroupBy::Sum => sum(),
        GroupBy::Avg => sum() / values.len() as f64,
        GroupBy::Min => values.first().copied().unwrap_or(f64::NAN),
        GroupBy::Max => values.last().copied().unwrap_or(f64::NAN),
        GroupBy::Count => values.len() as f64,
    }
}

/// Always has a result: missing data are what it is about.
fn absent(selector: &Selector, range: i64, windows: &Windows, end: i64) -> BTreeMap<Key, Found> {
    let mut series = windows.series(selector.kind(), &selector.signal);
    let is_there = series.any(|id| {
        let series = windows.describe(id);
        series.is_some_and(|series| selector.matches(|name| label(&series, name)))
            && windows.window(id, end - range, end).is_some()
    });
    let labels = selector.demanded();
    let found = Found {
        labels: labels.clone(),
        value: f64::from(u8::from(!is_there)),
        holds: !is_there,
    };
    BTreeMap::from([(labels, found)])
}

fn each_value(
    of: &OverTime,
    windows: &Windows,
    end: i64,
    only: Only<'_>,
    mut visit: impl FnMut(SeriesId, &Series<'_>, f64),
) {
    let selector = &of.selector;
    let look = |id| {
        if let Some(series) = windows.describe(id)
            && selector.matches(|name| label(&series, name))
            && let Some(value) = value(of, windows, id, end)
        {
            visit(id, &series, value);
        }
    };
    match only {
        Only::Of(keys) => with_keys(keys, of, windows).for_each(look),
        Only::All | Only::HoldingOr(_) => {
            let all = windows.series(selector.kind(), &selector.signal);
            all.for_each(look);
        }
    }
}

/// The series with these keys; none of a key that does not name an entity.
fn with_keys<'k>(
    keys: &'k [&'k Key],
    of: &'k OverTime,
    windows: &'k Windows,
) -> impl Iterator<Item = SeriesId> + 'k {
    keys.iter().filter_map(move |key| {
        let (kind, entity) = (key.get("kind")?, key.get("entity_id")?);
        let of_series = pairs(key).filter(|(name, _)| !PER_ENTITY.contains(name));
        let dimensions: Vec<_> = of_series.collect();
        windows.find(kind, entity, &dimensions, &of.selector.signal)
    })
}

/// The value of the window that ends at `end`; None if it is empty.
fn value(of: &OverTime, windows: &Windows, id: SeriesId, end: i64) -> Option<f64> {
    let start = end - of.range;
    if let Function::Quantile(quantile) = of.function {
        return windows.quantile(id, start, end, quantile);
    }
    let stat = windows.window(id, start, end)?;
    Some(match of.function {
        Function::Avg => stat.mean(),
        Function::Min => stat.min,
        Function::Max => stat.max,
        Function::Sum => stat.sum,
        Function::Count => stat.count as f64,
        Function::Last => stat.last,
        Function::Stddev => stat.stddev(),
        Function::Changes => stat.changes as f64,
        Function::Increase => stat.increase,
        Function::Rate => stat.increase / (of.range as f64 / 1000.0),
        Function::Quantile(_) => return None,
    })
}

pub(super) fn label<'a>(series: &Series<'a>, name: &str) -> &'a str {
    match name {
        "kind" => series.kind,
        "entity_id" => series.entity,
        name => {
            let mut labels = series.dimensions().chain(series.labels());
            labels
                .find(|(known, _)| *known == name)
                .map_or("", |(_, value)| value)
        }
    }
}

/// The key of a series by its entity alone, as a group by entity has it too.
pub(super) fn entity_key(series: &Series<'_>) -> Key {
    owned([("entity_id", series.entity), ("kind", series.kind)])
}

/// The key of a series.
pub(super) fn key_of(series: &Series<'_>) -> Key {
    let mut key = owned(series.dimensions());
    key.append(&mut entity_key(series));
    key
}

fn owned<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn labels_of(series: &Series<'_>) -> Labels {
    let mut labels = key_of(series);
    let others = series.labels().filter(|(_, value)| !value.is_empty());
    for (name, value) in others {
        labels
            .entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    labels
}

/// The key and the result of one series, if the comparison, which is about series one by one, holds for it.
pub(super) fn holding(
    of: &OverTime,
    windows: &Windows,
    id: SeriesId,
    end: i64,
    holds: impl Fn(f64) -> bool,
) -> Option<(Key, Found)> {
    let series = windows.describe(id)?;
    if !of.selector.matches(|name| label(&series, name)) {
        return None;
    }
    let value = value(of, windows, id, end).filter(|value| holds(*value))?;
    let found = Found {
        labels: labels_of(&series),
        value,
        holds: true,
    };
    Some((key_of(&series), found))
}
