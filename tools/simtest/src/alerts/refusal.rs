//! What receivers of notifications do wrong.

use std::fmt;

/// What a receiver does instead of taking a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It answers 500.
    Fails,
    /// It answers 429, half of the time with `Retry-After`.
    Throttles,
    /// It answers 400.
    Refuses,
    /// It takes the message or not, and does not answer.
    Hangs,
    /// The connection is cut before it has the message.
    CutBefore,
    /// It takes the message, and the connection is cut before its answer.
    CutAfter,
    /// It is away for an hour.
    Away,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Refusal; 7] = [
        Refusal::Fails,
        Refusal::Throttles,
        Refusal::Refuses,
        Refusal::Hangs,
        Refusal::CutBefore,
        Refusal::CutAfter,
        Refusal::Away,
    ];
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Refusal::Fails => "answers_500",
            Refusal::Throttles => "answers_429",
            Refusal::Refuses => "answers_400",
            Refusal::Hangs => "hangs",
            Refusal::CutBefore => "cut_before",
            Refusal::CutAfter => "cut_after",
            Refusal::Away => "away",
        })
    }
}
