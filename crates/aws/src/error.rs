//! Errors, sorted by what the caller can do.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Any error, as the source of another.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// `AWS_ENDPOINT_URL` is set to something that is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "AWS_ENDPOINT_URL is `{0}`, which is not an http or https URL: set it to one, such as http://127.0.0.1:4566, \
     or unset it for AWS itself"
)]
pub struct NotAnEndpoint(pub String);

/// A failed AWS call: the operation, such as `sqs:ReceiveMessage`, and its cause.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Throttling, timeout or 5xx after the SDK's own retries: the same call may succeed later.
    /// Whether it took effect is not known.
    #[error("{operation} failed and may be retried: {reason}")]
    Transient {
        /// The operation.
        operation: &'static str,
        /// The service's or the network's words.
        reason: String,
        /// The SDK's error.
        #[source]
        source: BoxError,
    },
    /// Bad request or missing permission: retrying repeats the failure.
    #[error("{operation} was refused: {reason}")]
    Permanent {
        /// The operation.
        operation: &'static str,
        /// The service's words.
        reason: String,
        /// The SDK's error.
        #[source]
        source: BoxError,
    },
    /// The queue, bucket or object is not there.
    #[error("{operation}: {reason}")]
    NotFound {
        /// The operation.
        operation: &'static str,
        /// What is missing.
        reason: String,
    },
}

/// A failed call when a program started, with what its user can do about it.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
pub struct Explained {
    pub(crate) advice: String,
    pub(crate) source: CallError,
}

impl Explained {
    /// Gives another advice where the queue, bucket or object is missing: for programs that make none.
    pub fn if_missing(mut self, advice: &str) -> Explained {
        if let CallError::NotFound { .. } = self.source {
            advice.clone_into(&mut self.advice);
        }
        self
    }
}

impl CallError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, CallError::Transient { .. })
    }

    pub(crate) fn permanent(operation: &'static str, reason: impl Into<String>) -> CallError {
        let reason = reason.into();
        CallError::Permanent {
            operation,
            source: reason.clone().into(),
            reason,
        }
    }

    pub(crate) fn transient(operation: &'static str, reason: impl Into<String>) -> CallError {
        let reason = reason.into();
        CallError::Transient {
            operation,
            source: reason.clone().into(),
            reason,
        }
    }
}

/// Sorts an SDK error; the codes are those of the SQS and S3 API references.
pub(crate) fn sort<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> CallError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let code = error.code().unwrap_or_default().to_owned();
    let reason = match error.message() {
        Some(message) if !code.is_empty() => format!("{code}: {message}"),
        Some(message) => message.to_owned(),
        None if !code.is_empty() => code.clone(),
        None => innermost(&error),
    };
    let missing = matches!(
        code.as_str(),
        "NoSuchKey"
            | "NoSuchBucket"
            | "NotFound"
            | "QueueDoesNotExist"
            | "AWS.SimpleQueueService.NonExistentQueue"
    );
    let transient = match &error {
        SdkError::ServiceError(_) => {
            status.is_some_and(|status| status >= 500 || status == 429)
                || matches!(
                    code.as_str(),
                    "Throttling"
                        | "ThrottlingException"
                        | "RequestThrottled"
                        | "RequestThrottledException"
                        | "KmsThrottled"
                        | "SlowDown"
                        | "RequestTimeout"
                        | "ServiceUnavailable"
                        | "OverLimit"
                        | "ConditionalRequestConflict"
                        | "OperationAborted"
                )
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    };
    match (missing, transient) {
        (true, _) => CallError::NotFound { operation, reason },
        (_, true) => CallError::Transient {
            operation,
            reason,
            source: error.into(),
        },
        (_, false) => CallError::Permanent {
            operation,
            reason,
            source: error.into(),
        },
    }
}

/// The words of the innermost cause: where the SDK hides "connection refused".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
