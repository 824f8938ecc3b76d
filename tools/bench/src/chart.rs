//! The charts of `docs/benchmarks.md`, as Mermaid, which GitHub draws from the text.

use std::fmt::Write;

use crate::row::{Row, rounded, shown};

/// Latency and PUTs by rate: bars without `BATCH_ADAPTIVE`, a line with it. Empty if rows or figures are
/// missing.
pub(crate) fn adaptive(rows: &[&Row]) -> String {
    let of = |setting: &str| -> Vec<&Row> {
        let found = rows.iter().filter(|row| row.details["adaptive"] == setting);
        found.copied().collect()
    };
    let (off, on) = (of("off"), of("on"));
    let detail = |row: &Row, name: &str| row.details.get(name).and_then(serde_json::Value::as_f64);
    let rates: Vec<String> = off
        .iter()
        .filter_map(|row| detail(row, "events_per_second"))
        .map(|rate| format!("\"{}/s\"", shown(rate)))
        .collect();
    if rates.is_empty() || rates.len() != off.len() || rates.len() != on.len() {
        return String::new();
    }
    let mut text = "Bars: without it. Line: with it.\n\n".to_owned();
    let latency = |row: &Row| Some(row.value);
    // PUTs span three orders of magnitude: their logarithm shows them all.
    let puts = |row: &Row| Some(detail(row, "puts_per_million")?.max(1.0).log10());
    for (title, axis, figure) in [
        (
            "p99 from ingest to S3",
            "seconds",
            &latency as &dyn Fn(&Row) -> Option<f64>,
        ),
        ("PUTs for a million events", "power of ten", &puts),
    ] {
        let series = |rows: &[&Row]| {
            let values = rows.iter().filter_map(|row| figure(row));
            values
                .map(|value| rounded(value).to_string())
                .collect::<Vec<_>>()
                .join(", ")
        };
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "```mermaid\nxychart-beta\n    title \"{title}\"\n    x-axis [{}]\n    y-axis \"{axis}\" 0 --> {}\n    \
             bar [{}]\n    line [{}]\n```\n\n",
            rates.join(", "),
            top(rows, figure),
            series(&off),
            series(&on),
        );
    }
    text
}

/// The end of an axis: the next whole number above all values.
fn top(rows: &[&Row], figure: &dyn Fn(&Row) -> Option<f64>) -> u64 {
    let values: Vec<f64> = rows.iter().filter_map(|row| figure(row)).collect();
    crate::stats::spread(&values).1.floor() as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rate: u32, adaptive: &str, puts: f64, p99: f64) -> Row {
        Row::of(format!("adaptive: {rate}, {adaptive}"), "s", &[p99])
            .with("adaptive", adaptive)
            .with("events_per_second", rate)
            .with("puts_per_million", puts)
    }

    #[test]
    fn a_chart_has_bars_without_and_a_line_with_the_setting() {
        let rows = [
            row(10, "off", 100_000.0, 2.1),
            row(10, "on", 1_000_000.0, 0.2),
            row(10_000, "off", 100.0, 2.0),
            row(10_000, "on", 1_000.0, 1.9),
        ];
        let text = adaptive(&rows.iter().collect::<Vec<_>>());
        for expected in [
            "x-axis [\"10/s\", \"10,000/s\"]\n    y-axis \"seconds\" 0 --> 3\n    bar [2.1, 2]\n    line [0.2, 1.9]\n",
            "y-axis \"power of ten\" 0 --> 7\n    bar [5, 2]\n    line [6, 3]\n",
        ] {
            assert!(text.contains(expected), "{text}");
        }
        assert_eq!(adaptive(&[&rows[0]]), "");
    }
}
