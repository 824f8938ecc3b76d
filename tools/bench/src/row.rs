//! Rows: what was measured, against its reference and its bar.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::stats::{median, spread};

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The scenario's name; a scenario with several rows adds a colon and what the row is about.
    pub(crate) scenario: String,
    /// The median of the runs.
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// The median of the reference, measured in the same runs.
    pub(crate) reference: Option<f64>,
    /// The median of each run's ratio of value to reference.
    pub(crate) ratio: Option<f64>,
    /// What must hold: `ratio <= 2`, `<= 96`.
    pub(crate) bar: Option<String>,
    /// Whether the bar holds; true if there is none.
    pub(crate) holds: bool,
    /// Further figures.
    pub(crate) details: Map<String, Value>,
}

/// Which side of a limit is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bar {
    AtMost,
    AtLeast,
}

impl Bar {
    fn sign(self) -> &'static str {
        match self {
            Bar::AtMost => "<=",
            Bar::AtLeast => ">=",
        }
    }

    fn holds(self, value: f64, bar: f64) -> bool {
        match self {
            Bar::AtMost => value <= bar,
            Bar::AtLeast => value >= bar,
        }
    }
}

impl Row {
    /// A row of the runs' values.
    pub(crate) fn of(scenario: impl Into<String>, unit: &str, runs: &[f64]) -> Row {
        let (min, max) = spread(runs);
        let row = Row {
            scenario: scenario.into(),
            value: rounded(median(runs)),
            unit: unit.to_owned(),
            reference: None,
            ratio: None,
            bar: None,
            holds: true,
            details: Map::new(),
        };
        row.with("min", rounded(min))
            .with("max", rounded(max))
            .with("runs", runs.len())
    }

    /// Compares each run with the reference in the same run; `runs` are those given to [`Row::of`].
    pub(crate) fn against(mut self, runs: &[f64], references: &[f64]) -> Row {
        let pairs = runs.iter().zip(references);
        let ratios: Vec<f64> = pairs.map(|(run, reference)| run / reference).collect();
        let (min, max) = spread(&ratios);
        self.reference = Some(rounded(median(references)));
        self.ratio = Some(rounded(median(&ratios)));
        self.with("ratio_min", rounded(min))
            .with("ratio_max", rounded(max))
    }

    /// Sets a bar for the value.
    pub(crate) fn bar(mut self, bar: Bar, limit: f64) -> Row {
        self.holds = bar.holds(self.value, limit);
        self.bar = Some(format!("{} {limit}", bar.sign()));
        self
    }

    /// Sets a bar for the ratio to the reference.
    pub(crate) fn ratio_bar(mut self, bar: Bar, limit: f64) -> Row {
        // Without a ratio nothing is proven.
        self.holds = self.ratio.is_some_and(|ratio| bar.holds(ratio, limit));
        self.bar = Some(format!("ratio {} {limit}", bar.sign()));
        self
    }

    /// The bar does not hold, whatever the value is.
    pub(crate) fn fails(mut self) -> Row {
        self.holds = false;
        self
    }

    /// Adds a further figure.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Row {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.scenario, shown(self.value), self.unit)?;
        if let (Some(reference), Some(ratio)) = (self.reference, self.ratio) {
            write!(f, ", reference {}, ratio {ratio:.2}", shown(reference))?;
        }
        if let Some(bar) = &self.bar {
            let holds = if self.holds { "holds" } else { "DOES NOT HOLD" };
            write!(f, " (bar {bar}: {holds})")?;
        }
        Ok(())
    }
}

/// The number with four significant digits, or whole with thousands separated.
pub(crate) fn shown(value: f64) -> String {
    if value.abs() >= 1000.0 {
        let digits = format!("{value:.0}");
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            let left = digits.len() - at;
            if at > 0 && left.is_multiple_of(3) && !text.ends_with('-') {
                text.push(',');
            }
            text.push(digit);
        }
        return text;
    }
    rounded(value).to_string()
}

/// The number to four significant digits, or to the unit from 1,000 on.
pub(crate) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let text = format!("{value:.3e}");
    if value.abs() >= 1000.0 {
        value.round()
    } else {
        text.parse().unwrap_or(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_has_the_median_its_ratio_and_its_bar() {
        let runs = [4.0, 2.0, 3.0];
        let row = Row::of("bulk", "s", &runs).against(&runs, &[2.0, 2.0, 2.0]);
        assert_eq!(
            (row.value, row.reference, row.ratio),
            (3.0, Some(2.0), Some(1.5))
        );
        assert_eq!(
            (&row.details["min"], &row.details["max"]),
            (&json!(2.0), &json!(4.0))
        );
        assert!(row.clone().ratio_bar(Bar::AtMost, 1.5).holds);
        assert!(!row.clone().ratio_bar(Bar::AtMost, 1.4).holds);
        assert!(!row.clone().bar(Bar::AtMost, 2.9).holds);
        let held = row.bar(Bar::AtLeast, 3.0);
        assert!(held.holds);
        assert_eq!(held.bar.as_deref(), Some(">= 3"));
        assert_eq!(
            held.to_string(),
            "bulk: 3 s, reference 2, ratio 1.50 (bar >= 3: holds)"
        );
    }

    #[test]
    fn a_bar_on_a_ratio_that_is_not_there_does_not_hold() {
        let row = Row::of("bulk", "s", &[1.0]).ratio_bar(Bar::AtMost, 2.0);
        assert!(!row.holds);
        assert!(
            !Row::of("bulk", "s", &[1.0])
                .bar(Bar::AtMost, 2.0)
                .fails()
                .holds
        );
    }

    #[test]
    fn a_row_in_json_has_these_fields_and_nulls_where_there_is_nothing() {
        let row = serde_json::to_value(Row::of("bulk", "s", &[1.0])).unwrap();
        let mut names: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
        names.sort();
        let expected = [
            "bar",
            "details",
            "holds",
            "ratio",
            "reference",
            "scenario",
            "unit",
            "value",
        ];
        assert_eq!(names, expected);
        assert!(row["bar"].is_null() && row["ratio"].is_null() && row["reference"].is_null());
    }

    #[test]
    fn numbers_are_shown_with_four_significant_digits() {
        for (value, expected) in [
            (1.234_56, "1.235"),
            (0.000_812_34, "0.0008123"),
            (267_123.4, "267,123"),
            (1305.0, "1,305"),
            (-1305.0, "-1,305"),
            (0.0, "0"),
            (12.0, "12"),
        ] {
            assert_eq!(shown(value), expected);
        }
    }
}
