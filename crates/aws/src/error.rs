//! Errors, sorted by what the caller can do.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;

/// Any error, as the source of another.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A failed AWS call: the operation, such as `sqs:ReceiveMessage`, and its cause.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Throttling, timeout or 5xx after the SDK's own retries: the same call may succeed later. The call may have
    /// taken effect all the same.
    #[error("{operation} failed and may be retried: {reason}")]
    Transient {
        /// Service and action, such as `sqs:ReceiveMessage`.
        operation: &'static str,
        /// The words of the service or the network, after `s3://<bucket>/<key>` where it is about an object.
        reason: String,
        /// The error of the SDK, or the same words where one entry of a batch failed.
        #[source]
        source: BoxError,
    },
    /// Bad request or missing permission: retrying repeats the failure.
    #[error("{operation} was refused: {reason}")]
    Permanent {
        /// Service and action, such as `s3:PutObject`.
        operation: &'static str,
        /// The words of the service, after `s3://<bucket>/<key>` where it is about an object.
        reason: String,
        /// The error of the SDK, or the same words where one entry of a batch failed.
        #[source]
        source: BoxError,
    },
    /// The queue, bucket or object is not there.
    #[error("{operation}: {reason}")]
    NotFound {
        /// Service and action, such as `sqs:GetQueueUrl`.
        operation: &'static str,
        /// What is missing, and how it can be made.
        reason: String,
    },
}

impl CallError {
    /// The same error for another who waits for the call; its cause is the reason alone.
    pub fn shared(&self) -> CallError {
        match self {
            CallError::Transient {
                operation, reason, ..
            } => CallError::Transient {
                operation,
                reason: reason.clone(),
                source: reason.clone().into(),
            },
            CallError::Permanent {
                operation, reason, ..
            } => CallError::Permanent {
                operation,
                reason: reason.clone(),
                source: reason.clone().into(),
            },
            CallError::NotFound { operation, reason } => CallError::NotFound {
                operation,
                reason: reason.clone(),
            },
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, CallError::Transient { .. })
    }

    /// The same error without the SDK's own behind it: one for each entry of a call that failed as a whole.
    pub(crate) fn repeated(&self) -> CallError {
        match self {
            CallError::Transient {
                operation, reason, ..
            } => CallError::transient(operation, reason),
            CallError::Permanent {
                operation, reason, ..
            } => CallError::permanent(operation, reason),
            CallError::NotFound { operation, reason } => CallError::NotFound {
                operation,
                reason: reason.clone(),
            },
        }
    }

    /// Replaces the reason.
    pub(crate) fn reworded(mut self, words: impl FnOnce(&str) -> String) -> CallError {
        let (CallError::Transient { reason, .. }
        | CallError::Permanent { reason, .. }
        | CallError::NotFound { reason, .. }) = &mut self;
        *reason = words(reason);
        self
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

/// Turns the SDK's refusal to build a part of a request into an error.
pub(crate) fn unbuilt(operation: &'static str) -> impl Fn(BuildError) -> CallError {
    move |error| CallError::permanent(operation, error.to_string())
}

/// The HTTP status of the answer, if one came.
pub(crate) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

/// Sorts an error of the SDK by its code and status. Source of the codes: SQS and S3 API references, common errors and
/// each action's own.
pub(crate) fn sort<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> CallError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let reason = match error.message() {
        Some(message) if !code.is_empty() => format!("{code}: {message}"),
        Some(message) => message.to_owned(),
        None if !code.is_empty() => code.clone(),
        None => innermost(&error),
    };
    let reason = match region(&error) {
        Some(region) => {
            format!("{reason} (the bucket is in region `{region}`: set AWS_REGION={region})")
        }
        None => reason,
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
            status(&error).is_some_and(|status| status >= 500 || status == 429)
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
    let source: BoxError = error.into();
    if missing {
        CallError::NotFound { operation, reason }
    } else if transient {
        CallError::Transient {
            operation,
            reason,
            source,
        }
    } else {
        CallError::Permanent {
            operation,
            reason,
            source,
        }
    }
}

/// The region of the bucket, where S3 answered that the request belongs there: in a redirect, or in the refusal of a
/// signature that names another region (S3 API reference, "Error responses", read 2026-11-26).
fn region<E>(error: &SdkError<E, HttpResponse>) -> Option<&str>
where
    E: std::error::Error + ProvideErrorMetadata,
{
    let answer = error.raw_response()?;
    let elsewhere = answer.status().as_u16() == 301
        || matches!(
            error.code(),
            Some(
                "PermanentRedirect"
                    | "AuthorizationHeaderMalformed"
                    | "IllegalLocationConstraintException"
            )
        );
    let region = answer.headers().get("x-amz-bucket-region")?;
    elsewhere.then_some(region)
}

/// The words of the innermost cause, which is where the SDK hides "connection refused".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
