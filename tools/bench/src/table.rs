//! The tables of `docs/benchmarks.md`, each between two markers.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::report::Report;
use crate::row::{Row, shown};

/// A section of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Rows of values and bars.
    Results,
    /// How cost grows with the work.
    Growth,
    /// Latency against requests.
    Adaptive,
}

impl Section {
    pub(crate) const ALL: [Section; 3] = [Section::Results, Section::Growth, Section::Adaptive];

    fn name(self) -> &'static str {
        match self {
            Section::Results => "results",
            Section::Growth => "growth",
            Section::Adaptive => "adaptive",
        }
    }

    fn has(self, row: &Row) -> bool {
        let first = row.scenario.split(':').next().unwrap_or_default();
        match self {
            Section::Results => first != "growth" && first != "adaptive",
            other => first == other.name(),
        }
    }
}

/// Writes the report's rows into the document, each in its section. A section without rows is left as it
/// is; it is an error if a section's markers are missing.
pub(crate) fn write(report: &Report, document: &Path) -> anyhow::Result<()> {
    let shown = document.display();
    let mut text =
        std::fs::read_to_string(document).with_context(|| format!("cannot read `{shown}`"))?;
    for section in Section::ALL {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| section.has(row)).collect();
        if !rows.is_empty() {
            text = replace(&text, section, &render(report, section, &rows))
                .with_context(|| format!("cannot put the table into `{shown}`"))?;
        }
    }
    std::fs::write(document, text).with_context(|| format!("cannot write `{shown}`"))
}

fn replace(text: &str, section: Section, content: &str) -> anyhow::Result<String> {
    let (begin, end) = (
        format!("<!-- bench {} begin -->", section.name()),
        format!("<!-- bench {} end -->", section.name()),
    );
    for marker in [&begin, &end] {
        ensure!(
            text.matches(marker.as_str()).count() == 1,
            "the marker `{marker}` must be there once"
        );
    }
    let (before, rest) = text.split_once(&begin).unwrap_or_default();
    let (_, after) = rest
        .split_once(&end)
        .with_context(|| format!("`{end}` stands before `{begin}`"))?;
    Ok(format!("{before}{begin}\n\n{content}\n{end}{after}"))
}

fn render(report: &Report, section: Section, rows: &[&Row]) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "{}, commit {}: {}, {} cores, {} GiB. `{}`; median of {} {}{}.\n\n",
        report.date,
        if machine.commit.is_empty() {
            "unknown"
        } else {
            &machine.commit
        },
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        report.command,
        report.runs,
        if report.runs == 1 { "run" } else { "runs" },
        if report.quick { ", a small try" } else { "" },
    );
    // Writing to a `String` cannot fail.
    let _ = match section {
        Section::Results => results(&mut text, rows),
        Section::Growth | Section::Adaptive => figures(&mut text, rows),
    };
    text
}

fn results(text: &mut String, rows: &[&Row]) -> std::fmt::Result {
    text.push_str(
        "| scenario | value | unit | min to max | reference | ratio | bar | holds |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let number = |name: &str| {
            let number = row.details.get(name).and_then(serde_json::Value::as_f64);
            number.map(shown).unwrap_or_default()
        };
        writeln!(
            text,
            "| `{}` | {} | {} | {} to {} | {} | {} | {} | {} |",
            row.scenario,
            shown(row.value),
            row.unit,
            number("min"),
            number("max"),
            row.reference.map(shown).unwrap_or_default(),
            row.ratio
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default(),
            row.bar.as_deref().unwrap_or_default(),
            match (&row.bar, row.holds) {
                (None, _) => "",
                (Some(_), true) => "yes",
                (Some(_), false) => "**no**",
            },
        )?;
    }
    Ok(())
}

/// A line for each row, with the details that all rows have as columns.
fn figures(text: &mut String, rows: &[&Row]) -> std::fmt::Result {
    let all = |name: &&String| rows.iter().all(|row| row.details.contains_key(*name));
    let hidden = ["min", "max", "runs"];
    let columns: Vec<&String> = match rows.first() {
        Some(first) => first
            .details
            .keys()
            .filter(all)
            .filter(|name| !hidden.contains(&name.as_str()))
            .collect(),
        None => Vec::new(),
    };
    text.push_str("| what | value | unit |");
    for column in &columns {
        write!(text, " {} |", column.replace('_', " "))?;
    }
    text.push_str("\n|---|---|---|");
    text.push_str(&"---|".repeat(columns.len()));
    text.push('\n');
    for row in rows {
        let what = row
            .scenario
            .split_once(':')
            .map_or("", |(_, what)| what.trim());
        write!(text, "| {what} | {} | {} |", shown(row.value), row.unit)?;
        for column in &columns {
            let value = &row.details[*column];
            match value.as_f64() {
                Some(number) => write!(text, " {} |", shown(number))?,
                None => write!(text, " {} |", value.as_str().unwrap_or_default())?,
            }
        }
        text.push('\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::row::Bar;

    use super::*;

    const DOCUMENT: &str = "# Benchmarks\n\nBefore.\n\n<!-- bench results begin -->\nstale\n<!-- bench results end -->\n\nAfter.\n\
        <!-- bench growth begin -->\nkept\n<!-- bench growth end -->\n";

    fn report() -> Report {
        let runs = [2.0, 3.0, 4.0];
        Report {
            date: "2026-11-21".into(),
            command: "bench all".into(),
            runs: 3,
            rows: vec![
                Row::of("bulk", "s", &runs)
                    .against(&runs, &[2.0; 3])
                    .ratio_bar(Bar::AtMost, 2.0),
                Row::of("memory", "MiB", &[70.0]).bar(Bar::AtMost, 64.0),
            ],
            ..Report::default()
        }
    }

    #[test]
    fn the_table_stands_between_its_markers_and_all_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("benchmarks.md");
        std::fs::write(&path, DOCUMENT).unwrap();
        write(&report(), &path).unwrap();
        let once = std::fs::read_to_string(&path).unwrap();
        write(&report(), &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), once);
        assert!(once.starts_with("# Benchmarks\n\nBefore.\n"));
        assert!(once.contains("After.\n<!-- bench growth begin -->\nkept\n"));
        assert!(!once.contains("stale"));
        assert!(
            once.contains("| `bulk` | 3 | s | 2 to 4 | 2 | 1.50 | ratio <= 2 | yes |"),
            "{once}"
        );
        assert!(
            once.contains("| `memory` | 70 | MiB | 70 to 70 |  |  | <= 64 | **no** |"),
            "{once}"
        );
    }

    #[test]
    fn a_document_without_the_markers_is_refused() {
        for text in [
            "nothing",
            "<!-- bench results end --> <!-- bench results begin -->",
        ] {
            let refused = replace(text, Section::Results, "x");
            assert!(refused.unwrap_err().to_string().contains("bench results"));
        }
    }

    #[test]
    fn figures_have_the_columns_that_all_rows_have() {
        let rows = [
            Row::of("growth: bulk, 1x", "s", &[1.0]).with("peak_mib", 20.0),
            Row::of("growth: bulk, 4x", "s", &[1.5])
                .with("peak_mib", 21.0)
                .with("note", "x"),
        ];
        assert!(
            rows.iter()
                .all(|row| Section::Growth.has(row) && !Section::Results.has(row))
        );
        let text = render(
            &Report::default(),
            Section::Growth,
            &rows.iter().collect::<Vec<_>>(),
        );
        assert!(
            text.contains("| what | value | unit | peak mib |"),
            "{text}"
        );
        assert!(text.contains("| bulk, 4x | 1.5 | s | 21 |"), "{text}");
    }
}
