//! Why a question has no answer.

use crate::read::PartError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A part could not be read.
    #[error(transparent)]
    Part(#[from] PartError),
    /// More groups than the bound allows: a longer step, fewer signals or fewer entities make fewer.
    #[error("the answer has more than {most} groups")]
    TooManyGroups {
        /// The bound.
        most: usize,
    },
    /// Rows that are not in a part yet could not be worked on: a fault of this program.
    #[error("cannot work on the rows of `raw/`")]
    HotRows(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ScanError {
    /// The same error for another reader of one stream; its cause is a text.
    pub fn shared(&self) -> ScanError {
        match self {
            ScanError::Part(part) => ScanError::Part(part.shared()),
            ScanError::TooManyGroups { most } => ScanError::TooManyGroups { most: *most },
            ScanError::HotRows(cause) => ScanError::HotRows(cause.to_string().into()),
        }
    }
}
