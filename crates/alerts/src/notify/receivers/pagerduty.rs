//! PagerDuty's Events API v2 (source: PagerDuty developer docs, "Send an alert event", read 2026-11-26).

use bytes::Bytes;
use http::Request;
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::post::{cut, exposed, post};
use crate::notify::message::{Message, time};

/// PagerDuty's limit.
const MOST_SUMMARY: usize = 1024;

/// Far below PagerDuty's 512 KB for the whole event.
const MOST_DETAILS: usize = 20_000;

const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];

pub(super) fn request(
    url: &str,
    routing_key: &SecretString,
    severity: Option<&str>,
    message: &Message,
) -> Result<Request<Bytes>, String> {
    let digest = Sha256::digest(message.group_key.as_bytes());
    let dedup_key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let action = if message.is_firing() {
        "trigger"
    } else {
        "resolve"
    };
    let mut body = json!({
        "routing_key": exposed(routing_key),
        "event_action": action,
        "dedup_key": dedup_key,
    });
    if message.is_firing() {
        let common = |name: &str| message.common_labels.get(name).cloned();
        let wanted = severity.map(str::to_owned).or_else(|| common("severity"));
        let known = wanted.filter(|severity| SEVERITIES.contains(&severity.as_str()));
        let of = |is_firing: bool| {
            let status = if is_firing { "firing" } else { "resolved" };
            let alerts = message.alerts.iter().filter(|alert| alert.status == status);
            let lines: Vec<String> = alerts.map(|alert| alert.line()).collect();
            cut(&lines.join("\n"), MOST_DETAILS)
        };
        let value = message.alerts.first().and_then(|alert| alert.value);
        body["payload"] = json!({
            "summary": cut(&message.title(), MOST_SUMMARY),
            "source": common("entity_id").unwrap_or_else(|| "headwater".to_owned()),
            "severity": known.as_deref().unwrap_or("critical"),
            "timestamp": time(message.opened_at),
            "component": common("signal"),
            "group": common("kind"),
            "class": common("alertname"),
            "custom_details": {
                "value": value,
                "num_firing": message.firing,
                "firing": of(true),
                "resolved": of(false),
                "notification_id": message.id,
            },
        });
        if let Some(payload) = body["payload"].as_object_mut() {
            payload.retain(|_, value| !value.is_null());
        }
        body["client"] = json!("Headwater");
        body["client_url"] = json!(message.link());
        body["links"] = json!([]);
        body["images"] = json!([]);
    }
    post(url, &body, &message.id)
}
