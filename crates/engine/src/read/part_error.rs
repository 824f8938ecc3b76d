//! Why a part could not be read.

use aws::CallError;

use crate::snapshot::Part;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a part could not be read; each case names the part.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The part is no longer there, or another object has taken its key: list its hour again.
    #[error("`{}` is gone or was replaced since it was listed", .0.key)]
    Gone(Part),
    /// The part is there and is no part: reading it again fails again. Other parts can be read.
    #[error("`{key}` is broken")]
    Broken {
        /// Key of the part.
        key: String,
        /// What its bytes are not.
        #[source]
        source: BoxError,
    },
    /// A call to S3 failed; [`CallError`] says whether the same call may succeed later.
    #[error("cannot read `{key}`")]
    Call {
        /// Key of the part.
        key: String,
        /// The failed call.
        #[source]
        source: CallError,
    },
}

impl PartError {
    /// The same error for another reader; its cause is a text.
    pub(crate) fn shared(&self) -> PartError {
        match self {
            PartError::Gone(part) => PartError::Gone(part.clone()),
            PartError::Broken { key, source } => PartError::Broken {
                key: key.clone(),
                source: service::errors::chain(&**source).into(),
            },
            PartError::Call { key, source } => PartError::Call {
                key: key.clone(),
                source: source.clone(),
            },
        }
    }

    pub(crate) fn broken(part: &Part, source: impl Into<BoxError>) -> PartError {
        PartError::Broken {
            key: part.key.clone(),
            source: source.into(),
        }
    }

    pub(crate) fn call(part: &Part, source: CallError) -> PartError {
        PartError::Call {
            key: part.key.clone(),
            source,
        }
    }
}
