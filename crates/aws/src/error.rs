//! Errors, sorted by what the caller can do.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;

/// A failed AWS call: the operation, such as `sqs:ReceiveMessage`, and its cause in words. The SDK's own error is not
/// kept behind it: whoever prints an error with its causes would print the same words twice.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// Throttling, timeout or 5xx after the SDK's own retries: the same call may succeed later. The call may have
    /// taken effect all the same.
    #[error("{operation} failed and may be retried: {reason}")]
    Transient {
        /// Service and action, such as `sqs:ReceiveMessage`.
        operation: &'static str,
        /// The words of the service or of the innermost cause, such as the network's, after `s3://<bucket>/<key>`
        /// where it is about an object.
        reason: String,
    },
    /// Bad request or missing permission: retrying repeats the failure.
    #[error("{operation} was refused: {reason}")]
    Permanent {
        /// Service and action, such as `s3:PutObject`.
        operation: &'static str,
        /// The words of the service, after `s3://<bucket>/<key>` where it is about an object.
        reason: String,
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
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, CallError::Transient { .. })
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
        CallError::Permanent {
            operation,
            reason: reason.into(),
        }
    }

    pub(crate) fn transient(operation: &'static str, reason: impl Into<String>) -> CallError {
        CallError::Transient {
            operation,
            reason: reason.into(),
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
    if missing {
        CallError::NotFound { operation, reason }
    } else if transient {
        CallError::Transient { operation, reason }
    } else {
        CallError::Permanent { operation, reason }
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

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    #[test]
    fn the_words_of_a_cause_are_told_once() {
        let cause = "no credentials found in chain. Attempted:\n  Environment: not set";
        let error = ConnectorError::other(cause.into(), None);
        let failed = SdkError::<GetObjectError, HttpResponse>::dispatch_failure(error);
        let error = sort("s3:GetObject", failed);
        assert_eq!(
            error.to_string(),
            format!("s3:GetObject failed and may be retried: {cause}")
        );
        // What prints an error with its causes adds nothing.
        assert!(std::error::Error::source(&error).is_none());
    }
}
