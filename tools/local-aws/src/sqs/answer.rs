//! Answers in the JSON protocol.

use http::{HeaderValue, Response, StatusCode, header};

use crate::http_bodies::ResponseBody;

/// An answer with this JSON.
pub(crate) fn json_response(status: StatusCode, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    response
}
