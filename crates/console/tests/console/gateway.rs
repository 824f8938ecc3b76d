//! What of a request reaches the services, and what of their answers the page.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get as on_get};
use axum::{Json, Router};
use bytes::Bytes;
use console::{AlertsApi, ConsoleSettings};
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use serde_json::json;
use service::keys::Key;
use tower_service::Service;

use crate::stage::{KEY, ORIGIN, Stage, get, mounted, post, request, send, sign_in};

/// Answers with what it was asked.
async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let headers: serde_json::Map<String, serde_json::Value> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap_or_default())))
        .collect();
    let asked = json!({
        "method": head.method.as_str(),
        "key": head.extensions.get::<Arc<Key>>().map(|key| key.name()),
        "path": head.uri.path_and_query().map(|path| path.as_str()),
        "headers": headers,
        "body": String::from_utf8_lossy(&body.to_bytes()),
    });
    (
        [
            (header::SET_COOKIE, "x=1"),
            (header::CACHE_CONTROL, "public"),
        ],
        Json(asked),
    )
        .into_response()
}

fn services() -> (Router, AlertsApi) {
    let endless = async || {
        let first = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(
            b"first",
        ))]);
        Body::from_stream(first.chain(stream::pending()))
    };
    let query = Router::new()
        .route("/v1/endless", on_get(endless))
        .fallback(echo);
    let alerts = Router::new()
        .route("/api/v2/status", on_get(async || StatusCode::UNAUTHORIZED))
        .route("/api/{*rest}", any(echo));
    (query, AlertsApi::here(alerts))
}

#[tokio::test(start_paused = true)]
async fn the_services_know_the_key_of_the_session_and_get_nothing_that_a_browser_sends() {
    let stage = Stage::new().await;
    let (query, alerts) = services();
    let routes = mounted(&stage.console(query, alerts, &ConsoleSettings::default()));
    for path in ["/console/api/v1/kinds", "/console/alerts/api/v2/alerts"] {
        let answer = get(&routes, path, &[("x-api-key", KEY)]).await;
        assert_eq!(answer.code(), "no_session", "{path}: a key is no session");
    }
    let cookie = sign_in(&routes).await;
    let headers = [
        ("cookie", &*cookie),
        ("x-api-key", "forged"),
        ("authorization", "Bearer forged"),
        ("x-forwarded-for", "10.0.0.1"),
        ("accept", "text/csv"),
    ];
    for (path, reached) in [
        (
            "/console/api/query?name=a%20b&step=1m",
            "/query?name=a%20b&step=1m",
        ),
        (
            "/console/api/v1/lake?prefix=raw%2F",
            "/v1/lake?prefix=raw%2F",
        ),
        (
            "/console/alerts/api/v2/alerts?active=true",
            "/api/v2/alerts?active=true",
        ),
    ] {
        let answer = get(&routes, path, &headers).await;
        assert_eq!(answer.status, StatusCode::OK);
        let asked = answer.json();
        assert_eq!(asked["path"], reached);
        assert_eq!(asked["key"], "unnamed");
        assert_eq!(asked["headers"]["accept"], "text/csv");
        for kept in [
            "x-api-key",
            "cookie",
            "authorization",
            "x-forwarded-for",
            "origin",
        ] {
            assert!(asked["headers"].get(kept).is_none(), "{kept}: {asked}");
        }
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_something_comes_from_the_page() {
    let stage = Stage::new().await;
    let (query, alerts) = services();
    let routes = mounted(&stage.console(query, alerts, &ConsoleSettings::default()));
    let cookie = sign_in(&routes).await;
    for path in ["/console/api/v1/sql", "/console/alerts/api/v2/silences"] {
        let with = |origin| [("cookie", &*cookie), ("origin", origin)];
        let forged = post(&routes, path, &with("https://evil.example"), "{}").await;
        assert_eq!(
            (forged.status, forged.code().as_str()),
            (StatusCode::FORBIDDEN, "foreign_origin")
        );
        let none = post(&routes, path, &[("cookie", &*cookie)], "{}").await;
        assert_eq!(none.code(), "no_origin");
        let own = post(&routes, path, &with(ORIGIN), "SELECT 1").await;
        assert_eq!(
            (own.status, own.json()["body"].as_str()),
            (StatusCode::OK, Some("SELECT 1"))
        );
        let large = post(&routes, path, &with(ORIGIN), &"x".repeat(1024 * 1024 + 1)).await;
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    let fetched = [("cookie", &*cookie), ("sec-fetch-site", "cross-site")];
    assert_eq!(
        get(&routes, "/console/api/v1/kinds", &fetched).await.code(),
        "foreign_origin"
    );
    let delete = request(
        Method::DELETE,
        "/console/alerts/api/v2/silence/x",
        &[("cookie", &cookie)],
        "",
    );
    assert_eq!(send(&routes, delete).await.code(), "no_origin");
}

#[tokio::test(start_paused = true)]
async fn paths_lead_only_where_they_say_and_answers_stream() {
    let stage = Stage::new().await;
    let (query, alerts) = services();
    let routes = mounted(&stage.console(query, alerts, &ConsoleSettings::default()));
    let cookie = sign_in(&routes).await;
    let own = [("cookie", &*cookie)];
    for path in [
        "/console/alerts/health",
        "/console/alerts/api/../health",
        "/console/alerts/api/%2e%2e/health",
        "/console/api/../session",
    ] {
        assert_eq!(
            get(&routes, path, &own).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    // A service that refuses the server's key says nothing about the session.
    let refused = get(&routes, "/console/alerts/api/v2/status", &own).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::BAD_GATEWAY, "alerts_refused")
    );
    let Ok(response) = routes
        .clone()
        .call(request(Method::GET, "/console/api/v1/endless", &own, ""))
        .await;
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "first");
    let (_, without) = stage.plain();
    let cookie = sign_in(&without).await;
    let none = get(
        &without,
        "/console/alerts/api/v2/alerts",
        &[("cookie", &cookie)],
    )
    .await;
    assert_eq!(
        (none.status, none.code().as_str()),
        (StatusCode::NOT_FOUND, "no_alerts")
    );
}
