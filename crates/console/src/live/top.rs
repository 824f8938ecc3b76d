//! Lists of entities: each is asked for once, for all clients that show it, as `GET /v1/top` would be.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_service::Service;

use super::follow::Pace;
use super::hub::Hub;
use super::topic::{Top, Topic};
use service::keys::Key;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Most bytes of an answer.
const MOST_ANSWER: usize = 4 * 1024 * 1024;

/// Publishes the lists that somebody asks for, or why they cannot be had.
pub(super) async fn follow(hub: &Hub) {
    let mut pace = Pace::new(hub, EVERY);
    // Up to when the lake had been read when a list was asked for last, and when that was.
    let mut looked: HashMap<Arc<Topic>, (Option<DateTime<Utc>>, Instant)> = HashMap::new();
    loop {
        pace.next().await;
        let asked = hub.table().asked();
        looked.retain(|topic, _| asked.contains(topic));
        let fresh_until = hub.sources.engine.newest.borrow().fresh_until();
        for topic in asked {
            let Topic::Top(top) = &*topic else {
                continue;
            };
            let is_new =
                |(before, at): &(_, Instant)| *before != fresh_until && at.elapsed() >= EVERY;
            if !looked.get(&topic).is_none_or(is_new) {
                continue;
            }
            match ask(hub, top).await {
                Ok(rows) => hub.table().publish(&topic, hub.now(), rows),
                Err((code, words)) => hub.table().tell_failure(&topic, hub.now(), &code, &words),
            }
            looked.insert(topic, (fresh_until, Instant::now()));
        }
    }
}

/// The rows, or code and words of what is wrong.
async fn ask(hub: &Hub, top: &Top) -> Result<Value, (String, String)> {
    let mut path = "/v1/top?".to_owned();
    let n = top.n.to_string();
    for (name, value) in [
        ("kind", &top.kind),
        ("signal", &top.signal),
        ("window", &top.window),
        ("agg", &top.stat),
        ("n", &n),
    ] {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        // Writing to a text does not fail.
        let _ = write!(path, "{name}={value}&");
    }
    let fault = |error: &dyn std::fmt::Display| ("fault".to_owned(), error.to_string());
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path
        .trim_end_matches('&')
        .parse()
        .map_err(|error| fault(&error))?;
    let mut request = request;
    request.extensions_mut().insert(Key::own());
    let Ok(response) = hub.sources.query.clone().call(request).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), MOST_ANSWER)
        .await
        .map_err(|error| fault(&error))?;
    let mut body: Value = serde_json::from_slice(&body).map_err(|error| fault(&error))?;
    if status != StatusCode::OK {
        let text = |name| body["error"][name].as_str().unwrap_or_default().to_owned();
        return Err((text("code"), text("message")));
    }
    let Some(Value::Array(entities)) = body.get_mut("entities").map(Value::take) else {
        return Err(fault(&"no list of entities"));
    };
    let rows = entities.into_iter().map(|entity| {
        json!({"entity": entity["entity_id"], "value": entity["value"], "count": entity["count"]})
    });
    Ok(rows.collect())
}
