//! Errors of S3 as its XML writes them.

use http::{Response, StatusCode};
use serde::Serialize;

use crate::http_bodies::ResponseBody;

#[derive(Debug, Clone)]
pub(crate) struct S3Error {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    resource: &'a str,
}

macro_rules! errors {
    ($($name:ident: $status:ident $code:literal $message:literal;)*) => {
        impl S3Error {
            $(pub(crate) fn $name() -> Self {
                Self::new(StatusCode::$status, $code, $message)
            })*
        }
    };
}

errors! {
    bad_content_md5: BAD_REQUEST "BadDigest" "The Content-MD5 you specified did not match what we received.";
    bucket_not_empty: CONFLICT "BucketNotEmpty" "The bucket you tried to delete is not empty.";
    bucket_owned: CONFLICT "BucketAlreadyOwnedByYou" "Your previous request to create the named bucket succeeded and you already own it.";
    conflict: CONFLICT "ConditionalRequestConflict" "A conflicting operation occurred, by the fault plan. Retry the write.";
    entity_too_small: BAD_REQUEST "EntityTooSmall" "Your proposed upload is smaller than the minimum allowed size.";
    incomplete_body: BAD_REQUEST "IncompleteBody" "The request body ended early or its chunks do not fit together.";
    invalid_bucket_name: BAD_REQUEST "InvalidBucketName" "The specified bucket is not valid.";
    invalid_digest: BAD_REQUEST "InvalidDigest" "The Content-MD5 you specified is not valid.";
    invalid_part: BAD_REQUEST "InvalidPart" "One or more of the specified parts could not be found, or has another entity tag.";
    invalid_part_order: BAD_REQUEST "InvalidPartOrder" "The list of parts was not in ascending order.";
    invalid_range: RANGE_NOT_SATISFIABLE "InvalidRange" "The requested range is not satisfiable.";
    key_too_long: BAD_REQUEST "KeyTooLongError" "Your key is too long.";
    malformed_xml: BAD_REQUEST "MalformedXML" "The XML you provided was not well-formed or did not validate against our published schema.";
    metadata_too_large: BAD_REQUEST "MetadataTooLarge" "Your metadata headers exceed the maximum allowed metadata size.";
    no_such_bucket: NOT_FOUND "NoSuchBucket" "The specified bucket does not exist.";
    no_such_key: NOT_FOUND "NoSuchKey" "The specified key does not exist.";
    no_such_upload: NOT_FOUND "NoSuchUpload" "The specified upload does not exist. It may have been aborted or completed.";
    not_implemented: NOT_IMPLEMENTED "NotImplemented" "This operation or header is not emulated.";
    not_modified: NOT_MODIFIED "NotModified" "Not modified.";
    precondition_failed: PRECONDITION_FAILED "PreconditionFailed" "At least one of the pre-conditions you specified did not hold.";
    too_large: PAYLOAD_TOO_LARGE "MaxMessageLengthExceeded" "Your request was too large.";
    slow_down: SERVICE_UNAVAILABLE "SlowDown" "Please reduce your request rate, by the fault plan.";
    unavailable: SERVICE_UNAVAILABLE "ServiceUnavailable" "The service is unavailable, by the fault plan.";
}

impl S3Error {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequest", message)
    }

    pub(crate) fn bad_checksum(algorithm: &str) -> Self {
        let message =
            format!("The {algorithm} you specified did not match the calculated checksum.");
        Self::new(StatusCode::BAD_REQUEST, "BadDigest", message)
    }

    /// The answer. Answers to HEAD and those of status 304 have no body.
    pub(crate) fn into_response(self, resource: &str, head: bool) -> Response<ResponseBody> {
        if head || self.status == StatusCode::NOT_MODIFIED {
            let mut response = Response::new(ResponseBody::empty());
            *response.status_mut() = self.status;
            return response;
        }
        let body = Body {
            code: self.code,
            message: &self.message,
            resource,
        };
        super::xml::response(self.status, "Error", &body)
    }
}

impl From<std::io::Error> for S3Error {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(event = "folder_failed", %error, "cannot read or write the data folder");
        Self::internal(format!("the data folder failed: {error}"))
    }
}
