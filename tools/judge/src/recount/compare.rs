//! Holds an aggregates object against a count of the rows of curated parts.

use std::collections::HashMap;

use arrow::array::Array;
use contract::{Hour, Kind};

use super::figures::{Figure, figures};
use super::found::{Difference, Recount};
use super::part::{PartSignals, SignalValues};
use super::table::{AggregateRow, FIGURES, Table, TableFormat};

/// The values of an entity's signal.
#[derive(Default)]
struct Readings {
    numbers: Vec<f64>,
    texts: u64,
    /// Whether a row for it was met.
    met: bool,
}

/// What a row must say, and how far off each figure may be.
struct Expected {
    count: u64,
    texts: u64,
    figures: Option<[Figure; 7]>,
}

/// Holds the object against a recount of those of the parts that it counts: the ones up to its
/// commit. `parts` are the curated parts of the kind and hour, each once, in any order.
///
/// Counts and extremes must be the same, mean and deviation up to rounding, percentiles as close
/// as is promised.
pub fn compare<'p>(
    kind: &Kind,
    hour: Hour,
    parts: impl IntoIterator<Item = &'p PartSignals>,
    table: &Table,
    found: &mut Recount,
) {
    let parts = parts.into_iter().filter(|part| part.commit <= table.commit);
    let (messages, mut values) = gathered(parts);
    if table.format == TableFormat::Parquet {
        found.rows += values.len() as u64;
    }
    let mut differ = |entity: &str, signal: &str, detail: String| {
        found.differ(Difference {
            kind: kind.name.clone(),
            row: Some((entity.to_owned(), signal.to_owned())),
            key: table.key.clone(),
            detail,
        });
    };
    for row in &table.rows {
        let (entity, signal) = (row.entity_id.as_str(), row.signal.as_str());
        let detail = match values.get_mut(&(entity, signal)) {
            None => Some("no curated part that is counted has it".to_owned()),
            Some(values) if values.met => Some("stands twice".to_owned()),
            Some(values) => {
                values.met = true;
                let sent = messages.get(entity).copied().unwrap_or_default();
                wrong(kind, hour, row, sent, &values.expected())
            }
        };
        if let Some(detail) = detail {
            differ(entity, signal, detail);
        }
    }
    let mut missing: Vec<_> = values.iter().filter(|(_, values)| !values.met).collect();
    // A map has no order of its own, and reports must not differ from run to run.
    missing.sort_unstable_by_key(|(at, _)| **at);
    for ((entity, signal), values) in missing {
        let count = values.numbers.len() as u64 + values.texts;
        differ(
            entity,
            signal,
            format!("has no row, and {count} values in curated/"),
        );
    }
}

/// The messages of each entity, and the values of each signal.
type Gathered<'p> = (HashMap<&'p str, u64>, HashMap<(&'p str, &'p str), Readings>);

fn gathered<'p>(parts: impl Iterator<Item = &'p PartSignals>) -> Gathered<'p> {
    let (mut messages, mut values) = Gathered::default();
    for batch in parts.flat_map(|part| &part.batches) {
        let entities = &batch.entities;
        let mut start = 0;
        while start < entities.len() {
            // Parts are sorted by entity: one look in the map for all of its rows.
            let entity = entities.value(start);
            let end = (start..entities.len())
                .find(|row| entities.value(*row) != entity)
                .unwrap_or(entities.len());
            *messages.entry(entity).or_default() += (end - start) as u64;
            if let Some((names, numbers)) = &batch.long {
                let filled = |row: &usize| names.is_valid(*row) && numbers.is_valid(*row);
                for row in (start..end).filter(filled) {
                    let values = values.entry((entity, names.value(row))).or_default();
                    values.numbers.push(numbers.value(row));
                }
            }
            for (signal, column) in &batch.signals {
                let valid = |row: &usize| match column {
                    SignalValues::Numbers(column) => column.is_valid(*row),
                    SignalValues::Texts(column) => column.is_valid(*row),
                };
                let mut rows = (start..end).filter(valid).peekable();
                if rows.peek().is_none() {
                    continue;
                }
                let values = values.entry((entity, signal.as_str())).or_default();
                match column {
                    SignalValues::Numbers(column) => {
                        values.numbers.extend(rows.map(|row| column.value(row)));
                    }
                    SignalValues::Texts(_) => values.texts += rows.count() as u64,
                }
            }
            start = end;
        }
    }
    (messages, values)
}

impl Readings {
    fn expected(&mut self) -> Expected {
        self.numbers.sort_unstable_by(f64::total_cmp);
        let numbers = self.numbers.len() as u64;
        Expected {
            // Where a signal is mostly a number, its texts are not among its values.
            count: if numbers > 0 { numbers } else { self.texts },
            texts: self.texts,
            figures: figures(&self.numbers),
        }
    }
}

/// What is wrong with the row, if anything is.
fn wrong(
    kind: &Kind,
    hour: Hour,
    row: &AggregateRow,
    messages: u64,
    expected: &Expected,
) -> Option<String> {
    let mut wrong = Vec::new();
    let mut whole = |name: &str, is: u64, must: u64| {
        if is != must {
            wrong.push(format!("{name} {is} rather than {must}"));
        }
    };
    whole("messages", row.messages, messages);
    whole("count", row.count, expected.count);
    whole("texts", row.texts.unwrap_or(expected.texts), expected.texts);
    for (at, (name, is)) in FIGURES.into_iter().zip(row.figures()).enumerate() {
        let one_value = name == "stddev" && expected.count < 2;
        let must = expected.figures.filter(|_| !one_value).map(|all| all[at]);
        let fits = match (is, must) {
            (None, None) => true,
            (Some(is), Some((must, off))) => is == must || (is - must).abs() <= off,
            _ => false,
        };
        if !fits {
            let (is, must) = (shown(is), shown(must.map(|(must, _)| must)));
            wrong.push(format!("{name} {is} rather than {must}"));
        }
    }
    let rule = kind.signal(&row.signal);
    let unit = rule.and_then(|rule| rule.unit.as_deref());
    if row.unit.as_deref() != unit {
        let (is, must) = (row.unit.as_deref(), unit);
        let [is, must] = [is, must].map(|unit| unit.unwrap_or("none"));
        wrong.push(format!("unit {is} rather than {must}"));
    }
    if row.kind != kind.name || row.event_hour != Some(hour.start()) {
        wrong.push("another kind or hour than its key".to_owned());
    }
    (!wrong.is_empty()).then(|| wrong.join(", "))
}

fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "none".to_owned(), |figure| format!("{figure:?}"))
}
