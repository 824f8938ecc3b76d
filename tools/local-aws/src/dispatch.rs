//! The way of a request: finds its service and operation, draws its faults, and has it carried out.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, header};
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;

use crate::cloud::{ENDPOINT, LocalAws, lock};
use crate::faults::{Fate, FaultKind};
use crate::http_bodies::{BoxError, RequestBody, ResponseBody, is_too_long, limited};
use crate::s3::{self, S3Error};
use crate::sqs::{self, Caller, SqsError};

const DEFAULT_REGION: &str = "us-east-1";

/// Positions in the scope of a signature, see [`credential`].
const ACCESS_KEY: usize = 0;
const REGION: usize = 2;

/// Most bytes of a request to SQS: a batch has 1 MiB, and JSON writes some characters with six.
const MOST_SQS_BODY: usize = 8 << 20;

const HEALTH: &str = r#"{"status":"running","services":{"sqs":"available","s3":"available"}}"#;

/// The connection is to break without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection cut, by the fault plan")]
pub(crate) struct Cut;

/// Which service a request is for.
enum Call {
    Health,
    /// The operation and the body, which names the queue.
    Sqs(&'static str, Result<Bytes, SqsError>),
    UnknownSqs(String),
    /// The body is read while it arrives.
    S3(Box<s3::Request>, RequestBody),
}

impl LocalAws {
    /// The way of every request, from a socket or in process. `stop` ends long polls.
    pub(crate) async fn handle(
        &self,
        parts: Parts,
        body: RequestBody,
        stop: &CancellationToken,
    ) -> Result<Response<ResponseBody>, Cut> {
        let region = region(&parts);
        let call = Call::read(&parts, body, &region).await;
        let Some(operation) = call.operation() else {
            return Ok(health());
        };
        *lock(&self.inner.requests).entry(operation).or_default() += 1;
        let fate = lock(&self.inner.faults).draw(operation, call.is_conditional_write());
        tracing::debug!(
            event = "request",
            caller = credential(&parts, ACCESS_KEY),
            service = call.service(),
            operation,
            resource = call.resource(&region),
            prefix = call.prefix(),
            fault = fate.fault.map(FaultKind::name),
            "{} {operation}",
            call.service()
        );
        if let Some(delay) = fate.delay {
            tokio::time::sleep(delay).await;
        }
        if fate.fault == Some(FaultKind::CutBefore) {
            return Err(Cut);
        }
        let mut response = match call.refusal(fate.fault) {
            Some(refusal) => refusal,
            None => self.carry_out(call, &parts, region, fate, stop).await,
        };
        if fate.fault == Some(FaultKind::CutAfter) {
            return Err(Cut);
        }
        let id = self.inner.request_ids.fetch_add(1, Ordering::Relaxed);
        if let Ok(id) = HeaderValue::from_str(&format!("{id:016X}")) {
            response
                .headers_mut()
                .insert("x-amz-request-id", id.clone());
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        Ok(response)
    }

    async fn carry_out(
        &self,
        call: Call,
        parts: &Parts,
        region: String,
        fate: Fate,
        stop: &CancellationToken,
    ) -> Response<ResponseBody> {
        match call {
            Call::Health => health(),
            Call::UnknownSqs(name) => SqsError::unknown_operation(&name).into_response(),
            Call::S3(request, body) => self.inner.s3.handle(&request, body).await,
            Call::Sqs(operation, Ok(body)) => {
                let caller = Caller {
                    base_url: base_url(parts),
                    region,
                    stop: stop.clone(),
                    duplicate: fate.duplicate,
                };
                self.inner.sqs.handle(operation, body, &caller).await
            }
            Call::Sqs(_, Err(unreadable)) => unreadable.into_response(),
        }
    }
}

impl Call {
    async fn read(parts: &Parts, body: RequestBody, region: &str) -> Self {
        let target = parts
            .headers
            .get("x-amz-target")
            .and_then(|value| value.to_str().ok());
        if let Some(name) = target.and_then(|target| target.strip_prefix(sqs::TARGET_PREFIX)) {
            let Some(operation) = sqs::operation(name) else {
                return Self::UnknownSqs(name.to_owned());
            };
            let body = limited(body, MOST_SQS_BODY).collect().await;
            let body = body.map(|body| body.to_bytes());
            let unreadable = |error: BoxError| match is_too_long(&error) {
                true => SqsError::too_large(MOST_SQS_BODY),
                false => SqsError::new("SerializationException", error.to_string()),
            };
            return Self::Sqs(operation, body.map_err(unreadable));
        }
        let path = parts.uri.path();
        if parts.method == Method::GET && matches!(path, "/_local/health" | "/_localstack/health") {
            return Self::Health;
        }
        let request = s3::Request::read(parts, base_url(parts), region.to_owned());
        Self::S3(Box::new(request), body)
    }

    /// The operation's name in the API; None for a question about health.
    fn operation(&self) -> Option<&'static str> {
        match self {
            Self::Health => None,
            Self::Sqs(operation, _) => Some(operation),
            Self::UnknownSqs(_) => Some("Unknown"),
            Self::S3(request, _) => Some(request.operation),
        }
    }

    /// The service's name as permissions have it: `sqs:…`, `s3:…`.
    fn service(&self) -> &'static str {
        match self {
            Self::S3(..) => "s3",
            _ => "sqs",
        }
    }

    /// The ARN of the queue, bucket or object that the request names.
    fn resource(&self, region: &str) -> Option<String> {
        match self {
            Self::Sqs(_, Ok(body)) => sqs::arn_of_queue(body, region),
            Self::S3(request, _) => request.arn(),
            _ => None,
        }
    }

    /// The prefix that a listing asks for.
    fn prefix(&self) -> Option<&str> {
        match self {
            Self::S3(request, _) => request.parameter("prefix"),
            _ => None,
        }
    }

    fn is_conditional_write(&self) -> bool {
        matches!(self, Self::S3(request, _) if request.is_conditional_write())
    }

    /// The answer instead of an effect, if the fault is such an answer.
    fn refusal(&self, fault: Option<FaultKind>) -> Option<Response<ResponseBody>> {
        let fault = fault?;
        let internal = "An internal error, by the fault plan.";
        match self {
            Self::S3(request, _) => {
                let error = match fault {
                    FaultKind::InternalError => S3Error::internal(internal),
                    FaultKind::ServiceUnavailable => S3Error::unavailable(),
                    FaultKind::Throttled => S3Error::slow_down(),
                    FaultKind::Conflict => S3Error::conflict(),
                    _ => return None,
                };
                Some(error.into_response("", request.head))
            }
            _ => {
                let error = match fault {
                    FaultKind::InternalError => SqsError::internal(internal),
                    FaultKind::ServiceUnavailable => SqsError::unavailable(),
                    FaultKind::Throttled => SqsError::throttled(),
                    _ => return None,
                };
                Some(error.into_response())
            }
        }
    }
}

fn health() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(HEALTH));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Scheme, host and port of this server, as the client wrote them.
fn base_url(parts: &Parts) -> String {
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    match authority.or(host) {
        Some(host) => format!("http://{host}"),
        None => ENDPOINT.to_owned(),
    }
}

/// The region that a request was signed for.
fn region(parts: &Parts) -> String {
    credential(parts, REGION)
        .unwrap_or(DEFAULT_REGION)
        .to_owned()
}

/// A part of the scope of a request's signature:
/// `Authorization: … Credential=<key>/<date>/<region>/<service>/aws4_request, …`.
fn credential(parts: &Parts, at: usize) -> Option<&str> {
    let header = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, scope) = header.split_once("Credential=")?;
    let scope = scope.split([',', ' ']).next()?;
    scope.split('/').nth(at).filter(|part| !part.is_empty())
}
