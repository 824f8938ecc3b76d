#![doc = include_str!("../README.md")]

/// A way in which the pipeline could be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The consumer deletes messages before their object is put.
    DeleteBeforePut,
    /// The consumer forgets dead letters: their messages are deleted without one.
    ForgetLetters,
    /// Entries of a batch call that failed alone are taken for done.
    IgnoreFailedEntries,
    /// Ingest answers before the queue has the events.
    AcknowledgeBeforeSend,
    /// The aggregator does not look for ids in the parts of earlier commits.
    SkipIdCheck,
    /// An aggregator that finishes another's intent writes parts under names of its own.
    FinishUnderNewNames,
    /// The aggregator replaces aggregates whatever has become of them since it read them.
    ReplaceBlindly,
}

impl Defect {
    /// All of them.
    pub const ALL: [Defect; 7] = [
        Defect::DeleteBeforePut,
        Defect::ForgetLetters,
        Defect::IgnoreFailedEntries,
        Defect::AcknowledgeBeforeSend,
        Defect::SkipIdCheck,
        Defect::FinishUnderNewNames,
        Defect::ReplaceBlindly,
    ];
}

/// Whether the defect is in the code. Never, unless a test has planted it.
#[cfg(not(feature = "switch"))]
#[inline(always)]
pub const fn has(_: Defect) -> bool {
    false
}

#[cfg(feature = "switch")]
mod switch {
    use std::cell::Cell;

    use super::Defect;

    std::thread_local! {
        static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    /// Whether the defect is in the code that this thread runs.
    pub fn has(defect: Defect) -> bool {
        PLANTED.get() == Some(defect)
    }

    /// Plants the defect into the code that this thread runs from now on, or takes it out.
    pub fn plant(defect: Option<Defect>) {
        PLANTED.set(defect);
    }
}

#[cfg(feature = "switch")]
pub use switch::{has, plant};
