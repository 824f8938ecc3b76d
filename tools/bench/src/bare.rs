//! The bare handler, a reference for ingest: an axum route that reads a body and answers 202.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use tokio::net::TcpListener;

/// Ingest's answer to one good event.
const ANSWER: &str = r#"{"accepted":1,"rejected":[],"rejected_count":0}"#;

/// Serves until SIGTERM.
pub(crate) async fn run(listen: SocketAddr) -> anyhow::Result<()> {
    let stop = service::stop::on_signal().context("cannot listen for signals")?;
    let listener = TcpListener::bind(listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {listen}"))?;
    let router = Router::new()
        .route("/readyz", get(async || "ready\n"))
        .route(
            "/v1/events/{kind}",
            post(async |_: Bytes| {
                let json = [(header::CONTENT_TYPE, "application/json")];
                (StatusCode::ACCEPTED, json, ANSWER)
            }),
        );
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("the bare handler failed")
}
