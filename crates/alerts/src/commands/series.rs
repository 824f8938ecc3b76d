//! Series of test files: `signal{label="text"}` and values in promtool's notation.

use crate::expr::parse_series;
use crate::model::Labels;

/// Most values of a series.
const MOST_VALUES: usize = 1_000_000;

/// A series of a test.
#[derive(Debug, PartialEq)]
pub(super) struct TestSeries {
    pub(super) signal: String,
    pub(super) kind: String,
    pub(super) entity: String,
    /// The labels beside kind and entity that describe the series.
    pub(super) labels: Labels,
    /// Those that tell it from others of the entity and signal.
    pub(super) dimensions: Labels,
    /// One for each interval from 0 on; None where there is none.
    pub(super) values: Vec<Option<f64>>,
}

/// Reads `series` and `values` of a test file. `is_dimension` says of a kind and the name of a label what it is.
pub(super) fn read_series(
    series: &str,
    values: &str,
    is_dimension: impl Fn(&str, &str) -> bool,
) -> Result<TestSeries, String> {
    let (signal, mut labels) = parse_series(series).map_err(|error| error.message)?;
    let mut take = |name: &str| {
        labels.remove(name).ok_or_else(|| {
            format!("the label `{name}` is missing: a series is such as `x{{kind=\"vehicle\", entity_id=\"veh-1\"}}`")
        })
    };
    let (kind, entity) = (take("kind")?, take("entity_id")?);
    let dimensions = labels.extract_if(.., |name, _| is_dimension(&kind, name));
    Ok(TestSeries {
        signal,
        dimensions: dimensions.collect(),
        kind,
        entity,
        labels,
        values: read_values(values)?,
    })
}

/// Values separated by blanks: a number, `_` or `stale` for none; `1x3` is a number and three more of it, `1+2x3` a
/// number and three more, each greater by 2; `_x3` is three times none.
fn read_values(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        let wrong = || {
            format!(
                "`{word}` is no value: write such as `5`, `_`, `stale`, `5x3`, `1+2x3` or `_x3`; no histograms"
            )
        };
        if word == "stale" {
            values.push(None);
            continue;
        }
        let (what, times) = match word.rsplit_once('x') {
            Some((what, times)) => (what, Some(times.parse::<usize>().map_err(|_| wrong())?)),
            None => (word, None),
        };
        if times.unwrap_or_default() > MOST_VALUES - values.len().min(MOST_VALUES) {
            return Err(format!("a series has at most {MOST_VALUES} values"));
        }
        if what == "_" {
            values.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        // The sign of the step is the last one, unless it belongs to an exponent or is the first character.
        let step_at = what.char_indices().skip(1).filter(|(at, c)| {
            matches!(c, '+' | '-') && !matches!(what.as_bytes()[at - 1], b'e' | b'E' | b'+' | b'-')
        });
        let (first, step) = match step_at.last() {
            Some((at, _)) if times.is_some() => {
                let step = what[at..].trim_start_matches('+');
                (&what[..at], step.parse().map_err(|_| wrong())?)
            }
            Some(_) => return Err(wrong()),
            None => (what, 0.0),
        };
        let first: f64 = first.parse().map_err(|_| wrong())?;
        let more = 0..=times.unwrap_or_default();
        values.extend(more.map(|n| Some(first + n as f64 * step)));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelled_out_as_promtool_does() {
        let read = |text: &str| {
            let values = read_values(text).unwrap();
            let show =
                |value: &Option<f64>| value.map_or("_".to_owned(), |value| value.to_string());
            values.iter().map(show).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read("1 -2.5 1e3"), "1 -2.5 1000");
        assert_eq!(read("5x3"), "5 5 5 5");
        assert_eq!(read("1+2x3 10-5x2"), "1 3 5 7 10 5 0");
        assert_eq!(read("-2+4x3"), "-2 2 6 10");
        assert_eq!(read("1e-1+1e0x1"), "0.1 1.1");
        assert_eq!(read("1 _ _x2 stale 2"), "1 _ _ _ _ 2");
        for wrong in ["x", "1+2", "5x", "{{sum:1}}", "1+x2", "9x99999999"] {
            assert!(read_values(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_series_needs_a_kind_and_an_entity() {
        let read_series = |series, values| read_series(series, values, |_, name| name == "code");
        let series = "x{kind=\"cell\", entity_id=\"c\", vendor=\"v\", code=\"200\"}";
        let read = read_series(series, "1").unwrap();
        assert_eq!(
            (&*read.signal, &*read.kind, &*read.entity),
            ("x", "cell", "c")
        );
        let pair = |name: &str, value: &str| Labels::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(read.labels, pair("vendor", "v"));
        assert_eq!(read.dimensions, pair("code", "200"));
        assert!(
            read_series("x{kind=\"cell\"}", "1")
                .unwrap_err()
                .contains("`entity_id`")
        );
        assert!(
            read_series("x{kind=~\"cell\"}", "1")
                .unwrap_err()
                .contains("`=`")
        );
    }
}
