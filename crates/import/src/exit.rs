//! How an import ends.

/// How an import ended; its words for the user are printed by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All that was read became what the mapping says, and ingest took it; or the user stopped the import.
    Fine,
    /// A row or an event was refused, a file gave no event or could not be read, or ingest could not be reached.
    Failed,
    /// The settings or the SQL cannot work. Nothing was sent.
    Usage,
}

impl Exit {
    /// The exit code of the process: 0, 1 or 2.
    pub fn code(self) -> u8 {
        self as u8
    }
}
