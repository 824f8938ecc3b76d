//! Slack's incoming webhook (source: docs.slack.dev, "Sending messages using incoming webhooks", read 2026-11-26).

use bytes::Bytes;
use http::Request;
use secrecy::SecretString;
use serde_json::json;

use super::post::{cut, exposed, post};
use crate::notify::message::Message;

/// Alertmanager cuts titles here too.
const MOST_TITLE: usize = 1024;

/// Slack shows about this much of an attachment before it folds it; texts past 40,000 characters are cut by Slack.
const MOST_TEXT: usize = 4_000;

pub(super) fn request(
    url: &SecretString,
    channel: Option<&str>,
    message: &Message,
) -> Result<Request<Bytes>, String> {
    let title = cut(&escape(&message.title()), MOST_TITLE);
    let text = cut(&escape(&message.lines().join("\n")), MOST_TEXT);
    let mut body = json!({
        "text": title,
        "attachments": [{
            "color": if message.is_firing() { "danger" } else { "good" },
            "title": title,
            "title_link": message.link(),
            // Slack cannot tell a repeat: people can, by the id.
            "text": format!("{text}\n_{}_", message.id),
            "fallback": format!("{title} | {}", message.link()),
            "mrkdwn_in": ["text"],
        }],
    });
    if let [alert] = message.alerts.as_slice()
        && let Some(value) = alert.value
    {
        body["attachments"][0]["fields"] =
            json!([{"title": "value", "value": value.to_string(), "short": true}]);
    }
    if let Some(channel) = channel {
        body["channel"] = json!(channel);
    }
    post(exposed(url), &body, &message.id)
}

/// Slack's three control characters, so that an entity's name can call nobody.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
