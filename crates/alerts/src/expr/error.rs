//! What is wrong with a condition, and the bounds of ranges.

/// Length of a pane: ranges are multiples of it, and conditions are looked at this often.
pub const STEP_MS: i64 = 10_000;

/// Longest range of a function.
pub const LONGEST_RANGE_MS: i64 = 3_600_000;

/// Why a text is not a condition that we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// The byte of the text at which it goes wrong; its length where something is missing at the end.
    pub at: usize,
    /// What is wrong and what would be taken.
    pub message: String,
}
