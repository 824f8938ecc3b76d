//! Hands alerts on to an Alertmanager (source: its repository, `api/v2/openapi.yaml`, `POST /alerts`).

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::post::post;
use crate::notify::message::{Message, time};

/// `ends_after` is how long Alertmanager is to believe a firing alert, in milliseconds: it must be told again before.
pub(super) fn request(
    url: &str,
    ends_after: i64,
    message: &Message,
) -> Result<Request<Bytes>, String> {
    let alerts: Vec<Value> = message
        .alerts
        .iter()
        .map(|alert| {
            let is_firing = alert.status == "firing";
            let ends_at = if is_firing {
                time(message.opened_at.saturating_add(ends_after))
            } else {
                alert.ends_at.clone()
            };
            json!({
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": alert.starts_at,
                "endsAt": ends_at,
                "generatorURL": alert.generator_url,
            })
        })
        .collect();
    post(
        &format!("{}/api/v2/alerts", url.trim_end_matches('/')),
        &alerts,
        &message.id,
    )
}
