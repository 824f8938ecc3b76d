//! How a command of the simulator or the judge ends.

/// How a command ended; its words for the user are printed by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is as it must be, or the user stopped it where that is no failure.
    Fine,
    /// Something is wrong, could not be reached or not be read.
    Failed,
    /// The settings cannot work.
    Usage,
}

impl Exit {
    /// The exit code of the process: 0, 1 or 2.
    pub fn code(self) -> u8 {
        self as u8
    }
}
