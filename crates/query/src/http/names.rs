//! Which kinds have which signals, and which names are near to one that is not known.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::Kind;
use lake::rows::{SignalTypes, signal_of};

use crate::http::refusal::Refusal;
use crate::http::shared::kind;
use engine::Engine;
use engine::kernels::SignalNames;
use engine::snapshot::Snapshot;

/// The most names that a message offers in the place of an unknown one.
const OFFERED: usize = 3;

/// The names of undeclared signals, as the lake stores them.
pub(crate) struct StoredNames(Arc<Engine>);

/// The signals that are asked for of one kind.
#[derive(Debug)]
pub(crate) struct Target {
    /// Name of the kind.
    pub(crate) kind: Arc<str>,
    pub(crate) signals: Vec<String>,
    /// The field of labels that tell series of one entity apart, where the kind has one.
    pub(crate) labels: Option<String>,
}

impl StoredNames {
    pub(crate) fn new(engine: Arc<Engine>) -> StoredNames {
        StoredNames(engine)
    }

    /// The signals of a kind that have a name: declared ones, stored ones, and those of hot rows of these times; of a
    /// long kind declared ones and those of these times. In alphabetical order.
    pub(crate) async fn signals(
        &self,
        snapshot: &Snapshot,
        kind: &Kind,
        times: &Range<DateTime<Utc>>,
    ) -> Result<BTreeSet<String>, Refusal> {
        if kind.is_long() {
            return Ok(self.long_names(snapshot, kind, times).await?.names);
        }
        let stored = self.0.types.get(snapshot.kinds()).await?;
        let mut names: BTreeSet<String> = kind.signals().map(|rule| rule.name.clone()).collect();
        let number = snapshot
            .kinds()
            .iter()
            .position(|other| other.name == kind.name);
        let types = number.and_then(|number| stored.get(number));
        let types = types.into_iter().flat_map(SignalTypes::names);
        names.extend(types.map(|(name, _)| name.to_owned()));
        let hours = snapshot.hours(&kind.name, times.start, times.end).await?;
        for batch in hours.iter().flat_map(|hour| &hour.hot) {
            let schema = batch.schema();
            let signals = schema.fields().iter().filter_map(|field| signal_of(field));
            for name in signals {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
        Ok(names)
    }

    async fn long_names(
        &self,
        snapshot: &Snapshot,
        kind: &Kind,
        times: &Range<DateTime<Utc>>,
    ) -> Result<SignalNames, Refusal> {
        let hours = snapshot.hours(&kind.name, times.start, times.end).await?;
        let mut names = self.0.scanner.signal_names(&hours).await?;
        let declared = kind.signals().map(|rule| rule.name.clone());
        names.names.extend(declared);
        Ok(names)
    }

    /// The kinds that have each of the signals or contract fields `asked`, names with commas between them, and `*` for
    /// all signals; `of` names the only kind to look at.
    pub(crate) async fn targets(
        &self,
        snapshot: &Snapshot,
        of: Option<&str>,
        asked: &str,
        times: &Range<DateTime<Utc>>,
    ) -> Result<Vec<Target>, Refusal> {
        let kinds: Vec<&Kind> = match of {
            Some(name) => vec![kind(snapshot, name)?],
            None => snapshot.kinds().iter().collect(),
        };
        let (mut targets, mut found, mut all) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for kind in kinds {
            let (known, has_others) = if kind.is_long() {
                let found = self.long_names(snapshot, kind, times).await?;
                (found.names, found.has_others)
            } else {
                (self.signals(snapshot, kind, times).await?, false)
            };
            let fields = kind.fields.iter().map(|rule| rule.name.as_str());
            let mut signals = Vec::new();
            for name in asked.split(',').map(str::trim) {
                let is_it = |other: &str| other.eq_ignore_ascii_case(name);
                let any_case = known.iter().filter(|other| is_it(other));
                if name == "*" {
                    signals.extend(known.iter().cloned());
                    found.insert(name);
                } else if kind.is_long()
                    && !known.contains(name)
                    && any_case.clone().next().is_some()
                {
                    // These are told apart by case.
                    signals.extend(any_case.cloned());
                    found.insert(name);
                } else if known.iter().any(|known| is_it(known))
                    || fields.clone().any(is_it)
                    || (of.is_some() || has_others) && self.may_have(snapshot, kind, name).await?
                {
                    signals.push(name.to_owned());
                    found.insert(name);
                }
            }
            all.extend(known.into_iter().chain(fields.map(str::to_owned)));
            signals.dedup();
            if !signals.is_empty() {
                targets.push(Target {
                    kind: kind.name.as_str().into(),
                    signals,
                    labels: kind.labels_field().map(str::to_owned),
                });
            }
        }
        match asked
            .split(',')
            .map(str::trim)
            .find(|name| !found.contains(name))
        {
            None => Ok(targets),
            Some(name) => Err(Refusal::UnknownSignal {
                name: name.to_owned(),
                of: of
                    .map(|kind| format!(" of kind `{kind}`"))
                    .unwrap_or_default(),
                nearest: nearest(name, all.iter().map(String::as_str)),
            }),
        }
    }

    /// Whether events of the kind can have a signal that is stored nowhere by name: one past the bound of names, or
    /// any of a long kind.
    async fn may_have(
        &self,
        snapshot: &Snapshot,
        kind: &Kind,
        name: &str,
    ) -> Result<bool, Refusal> {
        let stored = self.0.types.get(snapshot.kinds()).await?;
        let number = snapshot
            .kinds()
            .iter()
            .position(|other| other.name == kind.name);
        let types = number.and_then(|number| stored.get(number));
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        Ok(kind.open
            && is_name
            && !name.is_empty()
            && types.is_some_and(|types| types.room(kind) == 0))
    }
}

/// Words that offer the names nearest to one that is not known.
fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    let far = name.chars().count() / 2 + 1;
    let mut near: Vec<(usize, &str)> = names
        .map(|other| {
            (
                distance(&name.to_ascii_lowercase(), &other.to_ascii_lowercase()),
                other,
            )
        })
        .filter(|(distance, other)| *distance <= far || !name.is_empty() && other.contains(name))
        .collect();
    near.sort_unstable();
    let near: Vec<String> = near
        .iter()
        .take(OFFERED)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    if near.is_empty() {
        "GET /v1/kinds lists the signals".to_owned()
    } else {
        format!("the nearest are {}", near.join(", "))
    }
}

/// How many letters must be put in, taken out or replaced to make one text of the other (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered() {
        let names = ["engine_rpm", "engine_load", "gear", "vehicle_speed_kmh"];
        let offer = |name| nearest(name, names.into_iter());
        assert_eq!(
            offer("engin_rpm"),
            "the nearest are `engine_rpm`, `engine_load`"
        );
        assert_eq!(offer("Gears"), "the nearest are `gear`");
        assert_eq!(offer("speed"), "the nearest are `vehicle_speed_kmh`");
        assert_eq!(offer("zzz"), "GET /v1/kinds lists the signals");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
