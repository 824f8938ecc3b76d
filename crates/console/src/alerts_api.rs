//! The API of alerts: in this process, or of a service that is asked over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use sender::HttpClient;
use serde_json::Value;
use service::keys::{self, Key};
use tower_service::Service;

use crate::refusal::Refusal;
use crate::settings::ConsoleSettings;

/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Most bytes of an answer.
const MOST_ANSWER: usize = 16 * 1024 * 1024;

/// The API of alerts.
#[derive(Clone)]
pub struct AlertsApi(Place);

#[derive(Clone)]
enum Place {
    Nowhere,
    Here {
        routes: Router,
    },
    There {
        client: Box<HttpClient>,
        /// Without a slash at the end.
        url: String,
        key: SecretString,
    },
}

impl std::fmt::Debug for AlertsApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Place::Nowhere => "AlertsApi(nowhere)",
            Place::Here { .. } => "AlertsApi(here)",
            Place::There { .. } => "AlertsApi(there)",
        })
    }
}

impl AlertsApi {
    /// Alerts that run in this process: their routes, which let in whom the console vouches for.
    pub fn here(routes: Router) -> AlertsApi {
        AlertsApi(Place::Here { routes })
    }

    /// The service that the settings name, if they name one.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn of(settings: &ConsoleSettings) -> anyhow::Result<AlertsApi> {
        let (Some(url), Some(key)) = (&settings.alerts_url, settings.alerts_key.first()) else {
            return Ok(AlertsApi(Place::Nowhere));
        };
        let client = HttpClient::new(
            TIMEOUT,
            url.starts_with("https").then_some(&settings.alerts_trust),
        )?;
        Ok(AlertsApi(Place::There {
            client: Box::new(client.reading_at_most(MOST_ANSWER)),
            url: url.trim_end_matches('/').to_owned(),
            key: key.clone(),
        }))
    }

    pub(crate) fn is_here(&self) -> bool {
        !matches!(self.0, Place::Nowhere)
    }

    /// Answers a request, whose path and query are those of the API, for who has this key.
    ///
    /// # Errors
    ///
    /// If there are no alerts, they do not answer, or do not take the key.
    pub(crate) async fn call(
        &self,
        mut request: Request,
        key: &Arc<Key>,
    ) -> Result<Response, Refusal> {
        let response = match &self.0 {
            Place::Nowhere => return Err(Refusal::NoAlerts),
            Place::Here { routes } => {
                request.extensions_mut().insert(key.clone());
                let answer = routes.clone().call(request);
                let answer = tokio::time::timeout(TIMEOUT, answer).await;
                let Ok(response) = answer.map_err(|_| Refusal::TimedOut(TIMEOUT.as_secs()))?;
                response
            }
            Place::There { client, url, key } => {
                let path = request
                    .uri()
                    .path_and_query()
                    .map_or("/", |path| path.as_str());
                let uri = format!("{url}{path}").parse::<Uri>();
                let uri = uri.map_err(|error| Refusal::InvalidParameter(error.to_string()))?;
                let (mut head, body) = with_key(request, key)?.into_parts();
                head.uri = uri;
                head.extensions.clear();
                head.headers.remove(header::HOST);
                let body = to_bytes(body, crate::gateway::MOST_BODY).await;
                let body = body.map_err(|_| Refusal::LargeBody(crate::gateway::MOST_BODY))?;
                let answer = client
                    .send(Request::from_parts(head, Full::new(body)))
                    .await;
                let answer =
                    answer.map_err(|error| Refusal::AlertsAway(service::errors::chain(&error)))?;
                if answer.text.len() >= MOST_ANSWER {
                    let much = format!("the answer has more than {MOST_ANSWER} bytes");
                    return Err(Refusal::AlertsAway(much));
                }
                let mut response = Response::new(Body::from(answer.text));
                *response.status_mut() = answer.status;
                for name in [header::CONTENT_TYPE, header::RETRY_AFTER] {
                    if let Some(value) = answer.headers.get(&name) {
                        response.headers_mut().insert(name, value.clone());
                    }
                }
                response
            }
        };
        // It is the console's key that is wrong, and not the session.
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(Refusal::AlertsRefused);
        }
        Ok(response)
    }

    /// What a route answers to GET, as JSON.
    ///
    /// # Errors
    ///
    /// As for [`call`](AlertsApi::call), and where the answer is not 200 or no JSON.
    pub(crate) async fn get(&self, path: &'static str) -> Result<Value, Refusal> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = Uri::from_static(path);
        let response = self.call(request, &Key::own()).await?;
        let status = response.status();
        let body: Bytes = to_bytes(response.into_body(), MOST_ANSWER)
            .await
            .map_err(|error| Refusal::AlertsAway(error.to_string()))?;
        if status != StatusCode::OK {
            return Err(Refusal::AlertsAway(format!("they answer {status}")));
        }
        serde_json::from_slice(&body).map_err(|error| Refusal::AlertsAway(error.to_string()))
    }
}

/// The request with the key as its only credential.
fn with_key(mut request: Request, key: &SecretString) -> Result<Request, Refusal> {
    let mut value = HeaderValue::from_str(key.expose_secret())
        .map_err(|_| Refusal::InvalidParameter("the key fits into no header".to_owned()))?;
    value.set_sensitive(true);
    request.headers_mut().insert(keys::HEADER, value);
    Ok(request)
}
