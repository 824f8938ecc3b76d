//! What came of sending.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use simulator::{Class, SendError};

/// The most reasons of refusals that a report names.
const NAMED_CODES: usize = 4;

/// What came of sending.
#[derive(Debug, Default)]
pub struct Sent {
    /// Events that were posted, by class.
    pub sent: BTreeMap<Class, u64>,
    /// Events that were accepted, repeats included.
    pub accepted: u64,
    /// Refused events by code, with the first message of each.
    pub refused: BTreeMap<String, (u64, String)>,
    /// Sound events that were refused: that is wrong.
    pub sound_refused: u64,
    /// Broken events that were accepted: that is wrong.
    pub broken_accepted: u64,
    /// Events without an answer.
    pub maybe: u64,
    /// From the first post to the last answer.
    pub wall: Duration,
    /// What ended the sending early, if anything did.
    pub failure: Option<SendError>,
}

impl Sent {
    /// Whether each event got the answer that it must get.
    pub fn is_fine(&self) -> bool {
        self.failure.is_none() && self.sound_refused == 0 && self.broken_accepted == 0
    }

    /// Events that were posted.
    pub fn total(&self) -> u64 {
        self.sent.values().sum()
    }

    /// Events that were refused.
    pub fn total_refused(&self) -> u64 {
        self.refused.values().map(|(count, _)| count).sum()
    }

    /// Adds what came of sending more.
    pub fn add(&mut self, other: Sent) {
        for (class, count) in other.sent {
            *self.sent.entry(class).or_default() += count;
        }
        for (code, (count, message)) in other.refused {
            self.refused.entry(code).or_insert((0, message)).0 += count;
        }
        self.accepted += other.accepted;
        self.sound_refused += other.sound_refused;
        self.broken_accepted += other.broken_accepted;
        self.maybe += other.maybe;
        self.wall += other.wall;
        self.failure = self.failure.take().or(other.failure);
    }

    /// Counts a refused event; whether it was right to refuse it, the caller knows.
    pub(super) fn refuse(&mut self, code: &str, message: &str) {
        let (count, _) = self
            .refused
            .entry(code.to_owned())
            .or_insert_with(|| (0, message.to_owned()));
        *count += 1;
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<String> = self
            .sent
            .iter()
            .map(|(class, count)| format!("{} {count}", class.as_str()))
            .collect();
        let seconds = self.wall.as_secs_f64();
        writeln!(
            f,
            "{:<17} {:>9}   {} in {seconds:.1} s, {:.0} events/s",
            "sent",
            self.total(),
            classes.join(", "),
            self.total() as f64 / seconds.max(1e-3)
        )?;
        let mut codes: Vec<_> = self
            .refused
            .iter()
            .map(|(code, (count, _))| (count, code))
            .collect();
        codes.sort_unstable_by(|a, b| b.cmp(a));
        let named: Vec<String> = codes
            .iter()
            .take(NAMED_CODES)
            .map(|(count, code)| format!("{code} {count}"))
            .collect();
        let more = match codes.len().saturating_sub(NAMED_CODES) {
            0 => String::new(),
            more => format!(" and {more} reasons more"),
        };
        write!(
            f,
            "{:<17} {:>9}   {}{more}",
            "refused",
            self.total_refused(),
            named.join(", ")
        )?;
        if self.maybe > 0 {
            write!(
                f,
                "\n{:<17} {:>9}   in the lake or not",
                "no answer", self.maybe
            )?;
        }
        if self.sound_refused > 0 {
            let reasons: Vec<&str> = self
                .refused
                .values()
                .map(|(_, message)| message.as_str())
                .collect();
            write!(
                f,
                "\nWRONG: {} sound events were refused; refusals: {}",
                self.sound_refused,
                reasons.join("; ")
            )?;
        }
        if self.broken_accepted > 0 {
            write!(
                f,
                "\nWRONG: {} events that break their contract were accepted",
                self.broken_accepted
            )?;
        }
        Ok(())
    }
}
