//! `alerts retry`: asks the service on this machine to send stuck notifications again, or to forget them.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use sender::{HttpClient, Trust};
use serde_json::{Value, json};

/// Longest time for an answer: a record is written before.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks the service at the address `service` to send these notifications again, or to `forget` them; all that are stuck
/// if `ids` is empty. Writes the id of each to `out`.
///
/// # Errors
///
/// If no service answers, `key` is not one of its READ_KEYS, it does not lead, or a notification is not stuck.
pub async fn retry(
    service: &str,
    trust: &Trust,
    key: &SecretString,
    ids: &[String],
    forget: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let (route, done) = if forget {
        ("forget", "forgotten")
    } else {
        ("retry", "sent again")
    };
    let url = format!(
        "{}/api/v1/deliveries/{route}",
        service.trim_end_matches('/')
    );
    let body = json!({"ids": ids}).to_string();
    let request = Request::post(&url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(service::keys::HEADER, key.expose_secret())
        .body(Full::new(Bytes::from(body)))
        .context("the key holds what no header can carry")?;
    let client = HttpClient::new(TIMEOUT, url.starts_with("https").then_some(trust))?;
    let answer = client
        .send(request)
        .await
        .with_context(|| format!("cannot ask {url}: is LISTEN, or --url, right?"))?;
    let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    if answer.status != StatusCode::OK {
        let message = body["error"]["message"].as_str().unwrap_or(&answer.text);
        bail!("{url} answered {}: {message}", answer.status.as_u16());
    }
    let ids = body["ids"].as_array().map_or(&[][..], Vec::as_slice);
    for id in ids.iter().filter_map(Value::as_str) {
        writeln!(out, "{id}")?;
    }
    writeln!(out, "{} notifications are {done}", ids.len())?;
    Ok(())
}
