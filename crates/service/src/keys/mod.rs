//! API keys, as clients send them with a request: those without a name (`API_KEYS`, `READ_KEYS`), which may do all that
//! their service does, and those of a file (`KEYS_FILE`), which have names, scopes and limits.
//!
//! Of a key of the file only its SHA-256 is kept. A plain hash without salt or stretching is right here, and would be
//! wrong for passwords: `headwater keys new` makes keys of 256 random bits, so that nobody can try all of them, however
//! fast a try is, and no two are the same.

mod accepted;
mod edit;
mod entry;
mod file;
mod follow;
#[cfg(test)]
mod fuzz;
mod key;
mod limit;
pub mod scope;
pub mod scram;
mod set;
pub mod settings;
mod strangers;

use axum::http::{HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};

pub use accepted::{Keys, Source};
pub use edit::{NewKey, add, list, revoke};
pub use file::{Digest, Entry, FileError, KeysFile, MOST_BYTES};
pub use key::Key;
pub use limit::{Limits, Rate};
pub use scope::Access;

/// The header that holds a key.
pub const HEADER: &str = "x-api-key";

/// How answers of 401 name the ways to send a key.
pub const SCHEMES: HeaderValue = HeaderValue::from_static("ApiKey header=\"x-api-key\", Bearer");

/// The name of keys that have none.
const UNNAMED: &str = "unnamed";

/// What stands in metrics for names past the bound.
const OTHER: &str = "other";

/// Why a request is not let in by its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The request carries no key.
    #[error("no key: send one in the header `x-api-key`, or as `Authorization: Bearer`")]
    Missing,
    /// The request carries more than one.
    #[error("more than one key: send exactly one")]
    Several,
    /// The key is not known, was taken out, or has expired: a stranger is not told which.
    #[error("the key is not accepted")]
    Wrong,
    /// The key may do other things only.
    #[error("the key `{name}` may not {what}; it may {may}")]
    Forbidden {
        /// Of the key.
        name: String,
        /// What was asked for.
        what: String,
        /// Its scope.
        may: String,
    },
    /// The key has done as much as it may.
    #[error("the key `{name}` may send {limit}: come back in {retry_after} s")]
    Limited {
        /// Of the key.
        name: String,
        /// The bound that was reached.
        limit: String,
        /// Seconds until there is room.
        retry_after: u64,
    },
}

impl KeyError {
    /// A stable code for answers.
    pub fn code(&self) -> &'static str {
        match self {
            KeyError::Missing => "missing_api_key",
            KeyError::Several => "several_api_keys",
            KeyError::Wrong => "wrong_api_key",
            KeyError::Forbidden { .. } => "forbidden",
            KeyError::Limited { .. } => "rate_limited",
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            KeyError::Missing | KeyError::Several | KeyError::Wrong => StatusCode::UNAUTHORIZED,
            KeyError::Forbidden { .. } => StatusCode::FORBIDDEN,
            KeyError::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Whether the request has no accepted key.
    pub fn is_of_stranger(&self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED
    }

    /// When to come back, in seconds, where that helps.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            KeyError::Limited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

fn digest(key: &[u8]) -> Digest {
    Sha256::digest(key).into()
}
