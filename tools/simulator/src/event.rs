//! Events on their way to ingest, wherever they come from.

use std::time::Duration;

use sender::Outgoing;

/// In which state an event is sent, and so which answer it must get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Sound and new: accepted.
    Good,
    /// An earlier event again, byte for byte: accepted, and once in `curated/` all the same.
    Duplicate,
    /// Sound, of hours to days ago: accepted.
    Late,
    /// Breaks its contract: refused.
    Broken,
}

impl Class {
    /// The name in reports: `good`.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Good => "good",
            Class::Duplicate => "duplicate",
            Class::Late => "late",
            Class::Broken => "broken",
        }
    }

    /// Whether ingest must accept it.
    pub fn is_sound(self) -> bool {
        self != Class::Broken
    }
}

/// An event to send, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueEvent {
    /// The event as JSON, one line.
    pub body: String,
    /// In which state it is.
    pub class: Class,
    /// When to send it, counted from the start of the sending; `None` is as soon as possible.
    pub due: Option<Duration>,
}

impl Outgoing for DueEvent {
    fn body(&self) -> &str {
        &self.body
    }

    fn due(&self) -> Option<Duration> {
        self.due
    }
}
