//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;

use sender::{Ended, PostError, Posted};

use crate::event::{Class, DueEvent};

/// Counts of a run, and what went wrong.
#[derive(Debug, Default)]
pub struct Summary {
    /// Events that got an answer or were given up, by class.
    pub sent: BTreeMap<Class, u64>,
    /// Events that were accepted, by class.
    pub accepted: BTreeMap<Class, u64>,
    /// Refused events by code, with the first message of each; `whole_post` is the code of those
    /// whose post was refused as a whole.
    pub rejected: BTreeMap<String, (u64, String)>,
    /// Sound events that were refused.
    pub sound_refused: u64,
    /// Events without an answer: whether they were accepted is not known.
    pub unanswered: u64,
    /// How the run ended.
    pub ended: Ended,
}

impl Summary {
    /// Counts a post that has ended.
    pub fn add(&mut self, posted: &Posted<DueEvent>) {
        let classes = || posted.events.iter().map(|event| event.class);
        for class in classes() {
            *self.sent.entry(class).or_default() += 1;
        }
        match &posted.result {
            Ok(answer) => {
                for index in &answer.accepted {
                    let class = posted.events[*index].class;
                    *self.accepted.entry(class).or_default() += 1;
                }
                for rejected in &answer.rejected {
                    let class = posted.events[rejected.index].class;
                    self.reject(class, &rejected.code, &rejected.message);
                }
            }
            Err(
                error @ PostError::Refused {
                    status: 400..=499, ..
                },
            ) => {
                let message = error.to_string();
                classes().for_each(|class| self.reject(class, "whole_post", &message));
            }
            Err(_) => self.unanswered += posted.events.len() as u64,
        }
    }

    fn reject(&mut self, class: Class, code: &str, message: &str) {
        self.sound_refused += u64::from(class.is_sound());
        match self.rejected.get_mut(code) {
            Some((count, _)) => *count += 1,
            None => {
                let first = (1, message.to_owned());
                self.rejected.insert(code.to_owned(), first);
            }
        }
    }

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
        self.ended.failure.is_none() && self.sound_refused == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, counts) in [("sent", &self.sent), ("accepted", &self.accepted)] {
            write!(f, "{what:<8}  {}", counts.values().sum::<u64>())?;
            for (at, (class, count)) in counts.iter().enumerate() {
                let start = if at == 0 { "   " } else { ", " };
                write!(f, "{start}{} {count}", class.as_str())?;
            }
            writeln!(f)?;
        }
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
        let Ended {
            requests,
            wall,
            stopped,
            ..
        } = &self.ended;
        writeln!(
            f,
            "requests  {}   answered 429: {}, retries: {}",
            requests.requests, requests.throttled, requests.retries
        )?;
        let seconds = wall.as_secs_f64();
        let rate = if seconds > 0.0 {
            self.total_sent() as f64 / seconds
        } else {
            0.0
        };
        write!(
            f,
            "time      {seconds:.1} s, {rate:.0} events/s{}",
            if *stopped { ", stopped" } else { "" }
        )
    }
}
