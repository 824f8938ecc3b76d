//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::answer::Answer;
use crate::generator::Class;
use crate::send::SendError;

/// Counts of a run, and what went wrong.
#[derive(Debug, Default)]
pub struct Summary {
    /// Events that got an answer or were given up, by class.
    pub sent: BTreeMap<Class, u64>,
    /// Events that were accepted, by class.
    pub accepted: BTreeMap<Class, u64>,
    /// Refused events by code, with the first message of each.
    pub rejected: BTreeMap<String, (u64, String)>,
    /// Sound events that were refused.
    pub sound_refused: u64,
    /// Events without an answer: whether they were accepted is not known.
    pub unanswered: u64,
    /// Requests, retries included.
    pub requests: u64,
    /// Answers `429`.
    pub throttled: u64,
    /// Requests that repeated an earlier one.
    pub retries: u64,
    /// From the first event to the last answer.
    pub wall: Duration,
    /// Whether the run was stopped from outside.
    pub stopped: bool,
    /// What ended the run early, if anything did.
    pub failure: Option<SendError>,
}

impl Summary {
    /// Events that were sent.
    pub fn total_sent(&self) -> u64 {
        self.sent.values().sum()
    }

    /// Events that were accepted.
    pub fn total_accepted(&self) -> u64 {
        self.accepted.values().sum()
    }

    /// Events that were refused.
    pub fn total_rejected(&self) -> u64 {
        self.rejected.values().map(|(count, _)| count).sum()
    }

    /// Broken events that were accepted all the same.
    pub fn broken_accepted(&self) -> u64 {
        self.accepted.get(&Class::Broken).copied().unwrap_or(0)
    }

    /// Whether all went as it should: nothing failed and no sound event was refused.
    pub fn is_fine(&self) -> bool {
        self.failure.is_none() && self.sound_refused == 0
    }

    pub(crate) fn add_answer(&mut self, classes: &[Class], answer: &Answer) {
        for class in classes {
            *self.sent.entry(*class).or_default() += 1;
        }
        for index in &answer.accepted {
            *self.accepted.entry(classes[*index]).or_default() += 1;
        }
        for rejected in &answer.rejected {
            self.reject(&rejected.code, &rejected.message, 1);
            self.sound_refused += u64::from(classes[rejected.index].is_sound());
        }
    }

    /// Counts events whose post has failed.
    pub(crate) fn add_failure(&mut self, classes: &[Class]) {
        for class in classes {
            *self.sent.entry(*class).or_default() += 1;
        }
        self.unanswered += classes.len() as u64;
    }

    /// Counts events of a failed post as refused: the post was, as a whole.
    pub(crate) fn refuse(&mut self, classes: &[Class], message: &str) {
        self.unanswered -= classes.len() as u64;
        self.reject("whole_post", message, classes.len() as u64);
        self.sound_refused += classes.iter().filter(|class| class.is_sound()).count() as u64;
    }

    /// Notes what ended the run; the first stays.
    pub(crate) fn fail(&mut self, error: SendError) {
        self.failure.get_or_insert(error);
    }

    fn reject(&mut self, code: &str, message: &str, count: u64) {
        match self.rejected.get_mut(code) {
            Some((before, _)) => *before += count,
            None => drop(
                self.rejected
                    .insert(code.to_owned(), (count, message.to_owned())),
            ),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_class = |counts: &BTreeMap<Class, u64>| {
            let each: Vec<String> = counts
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(class, count)| format!("{} {count}", class.as_str()))
                .collect();
            if each.is_empty() {
                String::new()
            } else {
                format!("   {}", each.join(", "))
            }
        };
        writeln!(f, "sent      {}{}", self.total_sent(), by_class(&self.sent))?;
        writeln!(
            f,
            "accepted  {}{}",
            self.total_accepted(),
            by_class(&self.accepted)
        )?;
        writeln!(f, "rejected  {}", self.total_rejected())?;
        for (code, (count, message)) in &self.rejected {
            writeln!(f, "  {code} {count}, such as: {message}")?;
        }
        if self.unanswered > 0 {
            writeln!(
                f,
                "unknown   {} events got no answer; sent again, they are the same events",
                self.unanswered
            )?;
        }
        if self.sound_refused > 0 {
            writeln!(
                f,
                "WRONG     {} sound events were refused",
                self.sound_refused
            )?;
        }
        if self.broken_accepted() > 0 {
            writeln!(
                f,
                "NOTE      {} broken events were accepted",
                self.broken_accepted()
            )?;
        }
        writeln!(
            f,
            "requests  {}   answered 429: {}, retries: {}",
            self.requests, self.throttled, self.retries
        )?;
        let seconds = self.wall.as_secs_f64();
        let rate = if seconds > 0.0 {
            self.total_sent() as f64 / seconds
        } else {
            0.0
        };
        write!(
            f,
            "time      {seconds:.1} s, {rate:.0} events/s{}",
            if self.stopped { ", stopped" } else { "" }
        )
    }
}
