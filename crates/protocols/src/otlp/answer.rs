//! Answers as [OTLP](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response) has them: in the form of the request.

use serde_json::json;

use crate::point::Report;
use crate::protobuf::{put_bytes, put_number};

/// The answer to a body that was taken, a message `ExportMetricsServiceResponse`.
pub(crate) fn taken(report: &Report, is_json: bool) -> Vec<u8> {
    let rejected = report.refused;
    let message = report.told("data point");
    if is_json {
        let answer = if rejected == 0 {
            json!({})
        } else {
            json!({"partialSuccess": {"rejectedDataPoints": rejected.to_string(), "errorMessage": message}})
        };
        return answer.to_string().into_bytes();
    }
    let mut partial = Vec::new();
    put_number(&mut partial, 1, rejected);
    put_bytes(&mut partial, 2, message.as_bytes());
    let mut answer = Vec::new();
    put_bytes(&mut answer, 1, &partial);
    answer
}

/// The answer to a request that was refused, a message `google.rpc.Status`.
pub(crate) fn refused(status: u16, message: &str, is_json: bool) -> Vec<u8> {
    let code = code(status);
    if is_json {
        return json!({"code": code, "message": message})
            .to_string()
            .into_bytes();
    }
    let mut answer = Vec::new();
    put_number(&mut answer, 1, code);
    put_bytes(&mut answer, 2, message.as_bytes());
    answer
}

/// The code of gRPC that goes with a status of HTTP, as
/// [google/rpc/code.proto](https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto) has them.
fn code(status: u16) -> u64 {
    match status {
        401 => 16,
        403 => 7,
        404 => 5,
        413 | 429 => 8,
        501 => 12,
        500 => 13,
        503 | 408 => 14,
        _ => 3,
    }
}
