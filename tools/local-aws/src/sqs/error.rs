//! Errors of SQS as the JSON protocol writes them.

use http::{Response, StatusCode};
use serde_json::json;

use super::answer::json_response;
use crate::http_bodies::ResponseBody;

/// A refused request, or a refused entry of a batch.
#[derive(Debug, Clone)]
pub(crate) struct SqsError {
    status: StatusCode,
    /// The shape's name in the API model, such as `QueueDoesNotExist`.
    shape: &'static str,
    /// The code that the older query protocol had for it, which SDKs still report.
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The query code of a shape (API model, trait `awsQueryError`).
fn query_code(shape: &str) -> String {
    match shape {
        "InvalidParameterValueException" => "InvalidParameterValue".to_owned(),
        "MissingRequiredParameterException" => "MissingParameter".to_owned(),
        "QueueNameExists" => "QueueAlreadyExists".to_owned(),
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "BatchEntryIdsNotDistinct"
        | "BatchRequestTooLong"
        | "EmptyBatchRequest"
        | "InvalidBatchEntryId"
        | "MessageNotInflight"
        | "TooManyEntriesInBatchRequest"
        | "UnsupportedOperation" => format!("AWS.SimpleQueueService.{shape}"),
        _ => shape.to_owned(),
    }
}

impl SqsError {
    pub(crate) fn new(shape: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            shape,
            code: query_code(shape),
            message: message.into(),
        }
    }

    pub(crate) fn queue_does_not_exist() -> Self {
        Self::new("QueueDoesNotExist", "The specified queue does not exist.")
    }

    pub(crate) fn unsupported(message: &str) -> Self {
        Self::new("UnsupportedOperation", message)
    }

    pub(crate) fn invalid_value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValueException", message)
    }

    /// A value that breaks a rule, in SQS's own wording.
    pub(crate) fn invalid_parameter(
        name: &str,
        value: impl std::fmt::Display,
        reason: &str,
    ) -> Self {
        Self::invalid_value(format!(
            "Value {value} for parameter {name} is invalid. Reason: {reason}"
        ))
    }

    pub(crate) fn missing(name: &str) -> Self {
        Self::new(
            "MissingRequiredParameterException",
            format!("The request must contain the parameter {name}."),
        )
    }

    pub(crate) fn invalid_attribute(name: &str) -> Self {
        Self::new(
            "InvalidAttributeValue",
            format!("Invalid value for the parameter {name}."),
        )
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            ..Self::new("AccessDeniedException", message)
        }
    }

    pub(crate) fn too_large(most: usize) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            ..Self::new(
                "RequestTooLarge",
                format!("The body of the request has more than {most} bytes."),
            )
        }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            ..Self::new("InternalError", message)
        }
    }

    pub(crate) fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..Self::new(
                "ServiceUnavailable",
                "The service is unavailable, by the fault plan.",
            )
        }
    }

    pub(crate) fn throttled() -> Self {
        Self::new(
            "RequestThrottled",
            "The request was throttled, by the fault plan.",
        )
    }

    pub(crate) fn unknown_operation(name: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            ..Self::new(
                "UnknownOperationException",
                format!("the operation `{name}` is not emulated"),
            )
        }
    }

    pub(crate) fn is_senders_fault(&self) -> bool {
        self.status.is_client_error()
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let body = json!({
            "__type": format!("com.amazonaws.sqs#{}", self.shape),
            "message": self.message,
        });
        let fault = if self.is_senders_fault() {
            "Sender"
        } else {
            "Receiver"
        };
        let mut response = json_response(self.status, body.to_string());
        if let Ok(value) = format!("{};{fault}", self.code).parse() {
            response.headers_mut().insert("x-amzn-query-error", value);
        }
        response
    }
}
