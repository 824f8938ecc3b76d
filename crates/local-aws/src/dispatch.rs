//! The way of a request: which service it is for, what befalls it, its answer.

use std::sync::atomic::Ordering;

use http::request::Parts;
use http::{HeaderValue, Method, Response, header};
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;

use crate::body::{RequestBody, ResponseBody};
use crate::cloud::{ENDPOINT, LocalAws, lock};
use crate::faults::{Fate, FaultKind};
use crate::s3::{self, S3Error};
use crate::sqs::{self, Caller, SqsError};

const DEFAULT_REGION: &str = "us-east-1";

const HEALTH: &str = r#"{"status":"running","services":{"sqs":"available","s3":"available"}}"#;

/// The connection breaks instead of carrying an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection cut, by the fault plan")]
pub(crate) struct Cut;

/// Which service a request is for.
enum Call {
    Health,
    Sqs(&'static str),
    UnknownSqs(String),
    S3(Box<s3::Request>),
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
        let call = Call::of(&parts, &region);
        let Some(operation) = call.operation() else {
            return Ok(health());
        };
        *lock(&self.inner.requests).entry(operation).or_default() += 1;
        let fate = lock(&self.inner.faults).draw(operation, call.is_conditional_write());
        tracing::debug!(
            event = "request",
            operation,
            fault = fate.fault.map(FaultKind::name)
        );
        if let Some(delay) = fate.delay {
            tokio::time::sleep(delay).await;
        }
        if fate.fault == Some(FaultKind::CutBefore) {
            return Err(Cut);
        }
        let mut response = match call.refusal(fate.fault) {
            Some(refusal) => refusal,
            None => self.carry_out(call, &parts, body, region, fate, stop).await,
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
        body: RequestBody,
        region: String,
        fate: Fate,
        stop: &CancellationToken,
    ) -> Response<ResponseBody> {
        match call {
            Call::Health => health(),
            Call::UnknownSqs(name) => SqsError::unknown_operation(&name).into_response(),
            Call::S3(request) => self.inner.s3.handle(&request, body).await,
            Call::Sqs(operation) => {
                let caller = Caller {
                    base_url: base_url(parts),
                    region,
                    stop: stop.clone(),
                    duplicate: fate.duplicate,
                };
                match body.collect().await {
                    Ok(body) => {
                        self.inner
                            .sqs
                            .handle(operation, body.to_bytes(), &caller)
                            .await
                    }
                    Err(error) => {
                        SqsError::new("SerializationException", error.to_string()).into_response()
                    }
                }
            }
        }
    }
}

impl Call {
    fn of(parts: &Parts, region: &str) -> Self {
        let target = parts
            .headers
            .get("x-amz-target")
            .and_then(|value| value.to_str().ok());
        if let Some(name) = target.and_then(|target| target.strip_prefix(sqs::TARGET_PREFIX)) {
            return sqs::operation(name)
                .map_or_else(|| Self::UnknownSqs(name.to_owned()), Self::Sqs);
        }
        let path = parts.uri.path();
        if parts.method == Method::GET && matches!(path, "/_local/health" | "/_localstack/health") {
            return Self::Health;
        }
        let request = s3::Request::read(parts, base_url(parts), region.to_owned());
        Self::S3(Box::new(request))
    }

    /// The operation's name in the API; none for what is not part of it.
    fn operation(&self) -> Option<&'static str> {
        match self {
            Self::Health => None,
            Self::Sqs(operation) => Some(operation),
            Self::UnknownSqs(_) => Some("Unknown"),
            Self::S3(request) => Some(request.operation),
        }
    }

    fn is_conditional_write(&self) -> bool {
        matches!(self, Self::S3(request) if request.is_conditional_write())
    }

    /// The answer to a request that a fault keeps from having an effect.
    fn refusal(&self, fault: Option<FaultKind>) -> Option<Response<ResponseBody>> {
        let fault = fault?;
        let internal = "An internal error, by the fault plan.";
        match self {
            Self::S3(request) => {
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

/// Scheme, host and port as the client wrote them.
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

/// The region a request was signed for:
/// `Authorization: … Credential=<key>/<date>/<region>/<service>/aws4_request, …`.
fn region(parts: &Parts) -> String {
    let header = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let credential = header.and_then(|text| text.split_once("Credential="));
    let region = credential.and_then(|(_, rest)| rest.split('/').nth(2));
    region
        .filter(|region| !region.is_empty())
        .unwrap_or(DEFAULT_REGION)
        .to_owned()
}
