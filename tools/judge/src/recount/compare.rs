//! Counts the rows of parts again, and holds an aggregates object against the count.

use std::collections::HashMap;

use arrow::array::Array;
use contract::{Hour, Kind};

use super::part::{Part, Values};
use super::table::{FIGURES, Format, Row, Table};
use super::{Difference, Recount};

/// Percentiles of so many values are exact (`docs/architecture.md`, "The lake").
const EXACT: usize = 128;

/// Past that, the value of each rank is within this share of itself.
const ACCURACY: f64 = 0.004;

/// Magnitudes below this may be counted as zero.
const SMALLEST: f64 = 1e-300;

/// Squares of larger values leave the range of a double: they are counted as shares of the largest.
const LARGE: f64 = 1e150;

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
    figures: Option<[(f64, f64); 7]>,
}

/// Holds the object against a recount of those of the parts that it counts: the ones up to its
/// commit. `parts` are the curated parts of the kind and hour, each once, in any order.
///
/// Counts and extremes must be the same, mean and deviation up to rounding, percentiles as close
/// as is promised.
pub fn compare<'p>(
    kind: &Kind,
    hour: Hour,
    parts: impl IntoIterator<Item = &'p Part>,
    table: &Table,
    found: &mut Recount,
) {
    let parts = parts.into_iter().filter(|part| part.commit <= table.commit);
    let (messages, mut values) = gathered(parts);
    if table.format == Format::Parquet {
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

fn gathered<'p>(parts: impl Iterator<Item = &'p Part>) -> Gathered<'p> {
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
            for (signal, column) in &batch.signals {
                let valid = |row: &usize| match column {
                    Values::Numbers(column) => column.is_valid(*row),
                    Values::Texts(column) => column.is_valid(*row),
                };
                let mut rows = (start..end).filter(valid).peekable();
                if rows.peek().is_none() {
                    continue;
                }
                let values = values.entry((entity, signal.as_str())).or_default();
                match column {
                    Values::Numbers(column) => {
                        values.numbers.extend(rows.map(|row| column.value(row)));
                    }
                    Values::Texts(_) => values.texts += rows.count() as u64,
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

/// The figures of `sorted`, each with how far off it may be; none where there is no number.
fn figures(sorted: &[f64]) -> Option<[(f64, f64); 7]> {
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let size = min.abs().max(max.abs());
    let unit = if size > LARGE { size } else { 1.0 };
    let numbers = sorted.len() as f64;
    let mean = sum(sorted.iter().map(|value| value / unit)) / numbers;
    let squares = sum(sorted.iter().map(|value| (value / unit - mean).powi(2)));
    // Of one value there is no deviation: its place is not looked at.
    let stddev = unit * (squares / (numbers - 1.0)).sqrt();
    let mean = unit * mean;
    // Beside the share of the figure one of the values: a mean near 0 carries their rounding.
    let off = |figure: f64| 1e-9 * figure.abs() + 1e-13 * size;
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|q| percentile(sorted, q));
    Some([
        (min, 0.0),
        (max, 0.0),
        (mean, off(mean)),
        (stddev, off(stddev)),
        p50,
        p95,
        p99,
    ])
}

/// The sum, with what each addition rounds away added at the end (Neumaier 1974).
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut rest) = (0.0_f64, 0.0);
    for value in values {
        let next = sum + value;
        rest += match sum.abs() >= value.abs() {
            true => (sum - next) + value,
            false => (value - next) + sum,
        };
        sum = next;
    }
    sum + rest
}

/// The quantile between its two ranks, as `percentile_cont` has it, and how far off it may be.
fn percentile(sorted: &[f64], q: f64) -> (f64, f64) {
    let rank = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    let share = rank.fract();
    let value = low * (1.0 - share) + high * share;
    let off = match sorted.len() <= EXACT {
        // Rounding alone, whichever way the two are brought together.
        true => 4.0 * f64::EPSILON * (low.abs() + high.abs()),
        false => 1.001 * ACCURACY * (low.abs() * (1.0 - share) + high.abs() * share) + SMALLEST,
    };
    (value, off)
}

/// What is wrong with the row, if anything is.
fn wrong(kind: &Kind, hour: Hour, row: &Row, messages: u64, expected: &Expected) -> Option<String> {
    let mut wrong = Vec::new();
    let mut whole = |name: &str, is: u64, must: u64| {
        if is != must {
            wrong.push(format!("{name} {is} rather than {must}"));
        }
    };
    whole("messages", row.messages, messages);
    whole("count", row.count, expected.count);
    whole("texts", row.texts.unwrap_or(expected.texts), expected.texts);
    for (at, (name, is)) in FIGURES.into_iter().zip(row.figures).enumerate() {
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
    let rule = kind.known.get(&row.signal);
    let unit = rule.and_then(|rule| rule.unit.as_deref());
    if row.unit.as_deref() != unit {
        let (is, must) = (row.unit.as_deref(), unit);
        let [is, must] = [is, must].map(|unit| unit.unwrap_or("none"));
        wrong.push(format!("unit {is} rather than {must}"));
    }
    if row.kind != kind.name || row.hour != Some(hour.start()) {
        wrong.push("another kind or hour than its key".to_owned());
    }
    (!wrong.is_empty()).then(|| wrong.join(", "))
}

fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "none".to_owned(), |figure| format!("{figure:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(figure: (f64, f64), to: f64) -> bool {
        (figure.0 - to).abs() <= to.abs() * 1e-12
    }

    #[test]
    fn figures_are_those_of_the_textbook() {
        assert!(figures(&[]).is_none());
        let [min, max, mean, stddev, p50, p95, p99] = figures(&[1.0, 2.0, 4.0, 9.0]).unwrap();
        assert_eq!((min, max), ((1.0, 0.0), (9.0, 0.0)));
        assert!(close(mean, 4.0) && close(stddev, (38.0_f64 / 3.0).sqrt()));
        assert!(close(p50, 3.0) && close(p95, 8.25) && close(p99, 8.85));
        assert!(p50.1 < 1e-14);
    }

    #[test]
    fn many_values_may_be_off_by_what_is_promised_and_few_may_not() {
        let values: Vec<f64> = (1..=129).map(f64::from).collect();
        let off = |values: &[f64]| figures(values).unwrap()[4].1;
        assert!(off(&values) > 0.2, "{}", off(&values));
        assert!(off(&values[..128]) < 1e-12);
    }

    #[test]
    fn sums_of_large_and_small_values_are_right() {
        let small = figures(&[-1e16, 1.0, 1e16]).unwrap();
        assert!(close(small[2], 1.0 / 3.0));
        let large = figures(&[-1e308, 1e308, 1e308]).unwrap();
        assert!(close(large[2], 1e308 / 3.0));
        assert!(
            close(large[3], 1e308 * (2.0 / 3.0_f64.sqrt())),
            "{:?}",
            large[3]
        );
    }
}
