#![doc = include_str!("../README.md")]

/// A defect of the pipeline that a test can plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The consumer deletes messages before their object is put.
    DeleteBeforePut,
    /// The consumer forgets dead letters: their messages are deleted without one.
    ForgetLetters,
    /// The SQS client takes failed entries of a batch call for done.
    IgnoreFailedEntries,
    /// Ingest answers 202 before the queue has the events.
    AcknowledgeBeforeSend,
    /// The aggregator does not drop events that earlier commits hold.
    SkipIdCheck,
    /// An aggregator that finishes another's commit writes the parts under other names.
    FinishUnderNewNames,
    /// The aggregator overwrites aggregates without the condition that nobody has changed them.
    ReplaceBlindly,
    /// A spill of the aggregator loses the last block that it was given.
    LoseLastSpillBlock,
    /// The aggregator finds new parts by the order of names alone: it never lists the last days or all of `raw/`, so a
    /// part that lands long after the time in its name is not found.
    TrustNameOrder,
    /// The aggregator does not write the lines of hours that it puts off.
    LosePutOff,
    /// An entity that is forgotten is still counted in the aggregates.
    ForgetRowsAlone,
    /// A reader's snapshot keeps the rows of raw objects that a commit has taken in.
    KeepCommittedRows,
    /// Alerts sends a notification before it is in the log.
    SendBeforeRecord,
    /// Alerts takes the time of an event, which a device's clock gave it, for the time of its arrival.
    TrustDeviceClocks,
    /// A pending alert waits for the whole of its `for` again after a restart.
    RestartHold,
}

impl Defect {
    /// Every defect.
    pub const ALL: [Defect; 15] = [
        Defect::DeleteBeforePut,
        Defect::ForgetLetters,
        Defect::IgnoreFailedEntries,
        Defect::AcknowledgeBeforeSend,
        Defect::SkipIdCheck,
        Defect::FinishUnderNewNames,
        Defect::ReplaceBlindly,
        Defect::LoseLastSpillBlock,
        Defect::TrustNameOrder,
        Defect::LosePutOff,
        Defect::ForgetRowsAlone,
        Defect::KeepCommittedRows,
        Defect::SendBeforeRecord,
        Defect::TrustDeviceClocks,
        Defect::RestartHold,
    ];
}

/// Whether the defect is in the code: never in this build, which has no feature `switch`.
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

    /// Plants a defect into the code that this thread runs from now on; None takes it out.
    pub fn plant(defect: Option<Defect>) {
        PLANTED.set(defect);
    }
}

#[cfg(feature = "switch")]
pub use switch::{has, plant};
