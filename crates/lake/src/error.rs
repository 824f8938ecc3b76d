//! What can go wrong with reading. Functions that decode bytes without a call to S3 return Parquet's own error.

use aws::CallError;

/// Why something could not be read from the lake.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A call to S3 failed; [`CallError`] says whether the same call may succeed later.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An object does not hold what its key promises; the text names the key, and says what to do if something can be
    /// done.
    #[error("cannot read {0}")]
    Content(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// An object that must exist does not; the text names it, and says what to do if something can be done.
    #[error("{0}")]
    Missing(String),
}
