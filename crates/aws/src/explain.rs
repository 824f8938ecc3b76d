//! What a user can do about a call that failed when a program started.

use crate::error::CallError;

/// A failed call with advice. Displays the advice; the call's error is the source.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
pub struct Explained {
    advice: String,
    source: CallError,
}

impl Explained {
    pub(crate) fn new(error: CallError, endpoint: Option<&str>) -> Explained {
        let advice = match (&error, endpoint) {
            (CallError::NotFound { .. }, _) => "make it first, or let --create make it".to_owned(),
            (CallError::Transient { .. }, Some(endpoint)) => format!(
                "nothing answers at {endpoint}: is LocalStack or local-aws up, and AWS_ENDPOINT_URL right \
                 (such as AWS_ENDPOINT_URL=http://127.0.0.1:4566)?"
            ),
            (CallError::Transient { .. }, None) => {
                "AWS cannot be reached: for LocalStack or local-aws set AWS_ENDPOINT_URL=http://127.0.0.1:4566, \
                 for AWS check AWS_REGION, the credentials and the network"
                    .to_owned()
            }
            (CallError::Permanent { .. }, _) => {
                "check AWS_REGION, the credentials and their permissions".to_owned()
            }
        };
        Explained {
            advice,
            source: error,
        }
    }

    /// Replaces the advice where the queue, bucket or object is missing: for programs that make none.
    pub fn if_missing(mut self, advice: &str) -> Explained {
        if let CallError::NotFound { .. } = self.source {
            advice.clone_into(&mut self.advice);
        }
        self
    }
}
