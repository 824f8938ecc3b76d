//! The report of a run.

use std::fmt;
use std::time::Duration;

use judge::{JudgeError, Sent, Verdict};

use crate::faults::FaultKind;
use crate::findings::Findings;
use crate::instance::Service;
use crate::reader::Reader;

/// The outcome of all rounds.
#[derive(Debug)]
pub(crate) struct RoundsReport {
    /// Rounds, of each kind.
    pub(crate) crashes: u32,
    pub(crate) outages: u32,
    pub(crate) seed: u64,
    pub(crate) wall: Duration,
    pub(crate) kills: [u64; Service::ALL.len()],
    pub(crate) faults: [u64; FaultKind::ALL.len()],
    pub(crate) sent: Sent,
    /// Messages that were sent back from the dead-letter queue.
    pub(crate) redriven: u64,
    pub(crate) reader: Reader,
    /// Looks of the reader that broke off because a call failed.
    pub(crate) failed_looks: u64,
    /// What is wrong beside the findings of the reader and of the verdict.
    pub(crate) findings: Findings,
    pub(crate) verdict: Result<Verdict, JudgeError>,
}

impl RoundsReport {
    /// Adds a finding if too little happened for the run to prove anything.
    pub(crate) fn note_what_lacks(&mut self) {
        if self.outages > 0 && self.faults.iter().all(|fired| *fired == 0) {
            self.findings.add("the outages hit no request".to_owned());
        }
        if self.crashes > 0 && self.kills.iter().all(|kills| *kills == 0) {
            self.findings.add("no process was killed".to_owned());
        }
        if self.sent.accepted == 0 || self.reader.looks() == 0 {
            self.findings
                .add("nothing was accepted, or the reader never looked".to_owned());
        }
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.verdict.as_ref().is_ok_and(Verdict::clean)
            && self.sent.is_fine()
            && self.findings.is_empty()
            && self.reader.findings().is_empty()
    }
}

impl fmt::Display for RoundsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, count: u64, notes: String| {
            writeln!(f, "{name:<17} {count:>9}   {notes}")
        };
        let wall = Duration::from_secs(self.wall.as_secs());
        row(
            f,
            "rounds",
            u64::from(self.crashes + self.outages),
            format!(
                "{} crash, {} outage in {}, seed {}",
                self.crashes,
                self.outages,
                humantime::format_duration(wall),
                self.seed
            ),
        )?;
        let kills = Service::ALL.iter().zip(self.kills);
        let kills: Vec<String> = kills
            .map(|(service, count)| format!("{} {count}", service.binary()))
            .collect();
        row(f, "killed", self.kills.iter().sum(), kills.join(", "))?;
        let faults = FaultKind::ALL.iter().zip(self.faults);
        let faults: Vec<String> = faults
            .map(|(kind, count)| format!("{} {count}", kind.as_str()))
            .collect();
        row(f, "faults", self.faults.iter().sum(), faults.join(", "))?;
        writeln!(f, "{}", self.sent)?;
        row(
            f,
            "redriven",
            self.redriven,
            "messages that had been received too often".to_owned(),
        )?;
        let (parts, tables) = self.reader.objects();
        let seen = self.reader.findings();
        row(
            f,
            "looks",
            self.reader.looks(),
            format!(
                "of the reader, at {parts} parts and {tables} aggregates; {} broke off, {} findings",
                self.failed_looks,
                seen.count()
            ),
        )?;
        if self.sent.failure.is_some() {
            writeln!(f, "  the load ended early: a post failed for good")?;
        }
        write!(f, "{}{seen}", self.findings)?;
        match &self.verdict {
            Ok(verdict) => write!(f, "{verdict}"),
            Err(error) => write!(f, "no verdict: {error}"),
        }
    }
}
