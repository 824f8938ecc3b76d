//! What can go wrong with the log.

use aws::CallError;

/// The log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A call to S3 failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An object of the log cannot be read; to begin without it would lose alerts and silences.
    #[error(
        "cannot read `{key}` of the log of alerts: restore an earlier version of it (the bucket keeps them)"
    )]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong with the content.
        #[source]
        source: serde_json::Error,
    },
    /// An object of the log is gone, though neither the snapshot counts it nor is it the last one.
    #[error(
        "`{0}` of the log of alerts is missing, and no snapshot counts it: restore it, or the snapshot if that is gone \
         (the bucket keeps deleted versions)"
    )]
    Missing(String),
    /// The object says that it is another record than its key says.
    #[error(
        "`{key}` of the log of alerts says that it is record {number}: restore an earlier version of it"
    )]
    Misnamed {
        /// Its key.
        key: String,
        /// What it says.
        number: u64,
    },
    /// Another process has written a record: it is the leader now.
    #[error("another process writes the log of alerts since record {0}")]
    LostLead(u64),
    /// A state cannot be written as JSON.
    #[error("cannot write the log of alerts")]
    Encode(#[source] serde_json::Error),
}

impl JournalError {
    /// Whether opening the log again, and waiting for the leader to fall silent, is what to do.
    pub fn is_lost_lead(&self) -> bool {
        matches!(self, JournalError::LostLead(_))
    }
}

/// Entries that were not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Another process leads, or none has taken over yet.
    #[error("this process does not lead: another one writes the log of alerts")]
    NotLeader,
    /// The writer ended before the entries were recorded; they may be recorded all the same.
    #[error("the log of alerts is no longer written by this process")]
    Ended,
}
