//! What keeps the judge from a verdict.

use aws::CallError;

/// The lake cannot be read, so nothing can be said of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// A call failed.
    #[error("cannot read the lake")]
    Lake(#[from] CallError),
    /// An object of `curated/` is not Parquet with the columns that it must have.
    #[error("cannot read `{key}`: {reason}")]
    Curated {
        /// The object.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `curated/` or the ledger holds events of a kind that is not declared here.
    #[error("kind `{kind}` is not declared: set CONTRACTS to the folder that ingest has")]
    UnknownKind {
        /// The kind.
        kind: String,
    },
}
