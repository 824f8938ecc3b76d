//! A tiny stand-in for ingest that answers as it is told.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What to answer: status, `Retry-After`, body.
pub(crate) type Scripted = (u16, Option<&'static str>, String);

/// The stand-in: answers from a script, and past its end accepts all.
#[derive(Clone, Default)]
pub(crate) struct FakeIngest {
    script: Arc<Mutex<VecDeque<Scripted>>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl FakeIngest {
    /// Listens on a port of its own; gives its address.
    pub(crate) async fn start(script: impl IntoIterator<Item = Scripted>) -> (FakeIngest, String) {
        let fake = FakeIngest {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            ..FakeIngest::default()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/v1/events", post(answer))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (fake, url)
    }

    /// The requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The events of all requests so far, uncompressed ones.
    pub(crate) fn events(&self) -> Vec<String> {
        let bodies = self
            .received()
            .into_iter()
            .map(|received| String::from_utf8(received.body).unwrap());
        bodies
            .flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

async fn answer(State(fake): State<FakeIngest>, headers: HeaderMap, body: Bytes) -> Response {
    let events = String::from_utf8_lossy(&body).lines().count();
    fake.received.lock().unwrap().push(Received {
        headers,
        body: body.to_vec(),
    });
    let accepts = || {
        (
            202,
            None,
            format!(r#"{{"accepted":{events},"rejected":[]}}"#),
        )
    };
    let (status, retry_after, body) = fake
        .script
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or_else(accepts);
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some(wait) = retry_after {
        response
            .headers_mut()
            .insert("retry-after", wait.parse().unwrap());
    }
    response
}
