//! The results of one call of the harness, kept as JSON.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::machine::Machine;
use crate::row::Row;

/// All that one call of the harness measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The day of the measurement, `2026-11-21`.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    /// The command line that measures the same again.
    pub(crate) command: String,
    /// Runs of each scenario.
    pub(crate) runs: usize,
    /// Whether `--quick` was given.
    pub(crate) quick: bool,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Whether all bars hold.
    pub(crate) fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.holds)
    }

    /// Writes the report as JSON.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&json!(self))?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Reads a file that [`write`](Report::write) wrote.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Report> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("`{}` is no report", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Bar;

    #[test]
    fn a_report_is_read_as_it_was_written_and_fails_with_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let mut report = Report {
            date: "2026-11-21".into(),
            rows: vec![Row::of("bulk", "s", &[1.0]).bar(Bar::AtMost, 2.0)],
            ..Report::default()
        };
        report.write(&path).unwrap();
        assert_eq!(Report::read(&path).unwrap(), report);
        assert!(report.holds());
        report
            .rows
            .push(Row::of("single", "µs", &[3.0]).bar(Bar::AtMost, 2.0));
        assert!(!report.holds());
    }
}
