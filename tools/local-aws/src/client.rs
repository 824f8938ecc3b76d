//! The SDK's HTTP client without a socket.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;

use crate::cloud::LocalAws;
use crate::http_bodies::ResponseBody;

impl LocalAws {
    /// An HTTP client for SDK clients that reaches this cloud without a socket. Requests go the same way
    /// as those of [`serve`](crate::serve), and the SDK's read timeout applies.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcess {
            cloud: self.clone(),
            read_timeout: None,
        })
    }
}

#[derive(Debug, Clone)]
struct InProcess {
    cloud: LocalAws,
    read_timeout: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct ReadTimeout(Duration);

impl InProcess {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let user_error = |error| ConnectorError::user(Box::new(error));
        let request = request.try_into_http1x().map_err(user_error)?;
        let (parts, body) = request.into_parts();
        // A cloud in process is not stopped: it ends with its last handle.
        let stop = CancellationToken::new();
        let response = self.cloud.handle(parts, body.boxed_unsync(), &stop);
        let response = response
            .await
            .map_err(|cut| ConnectorError::io(Box::new(cut)))?;
        let response = response.map(|body| match body {
            ResponseBody::Bytes(bytes) => SdkBody::from(bytes),
            file @ ResponseBody::File { .. } => SdkBody::from_body_1_x(file),
        });
        HttpResponse::try_from(response).map_err(user_error)
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let answer = this.send(request);
            match this.read_timeout {
                None => answer.await,
                Some(limit) => tokio::time::timeout(limit, answer)
                    .await
                    .unwrap_or_else(|_| Err(ConnectorError::timeout(Box::new(ReadTimeout(limit))))),
            }
        })
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Self {
            read_timeout: settings.read_timeout(),
            ..self.clone()
        })
    }
}
