//! The API of `alerts`: what it says of the five alerts that stand in a state.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;

pub(crate) const KEY: &str = "the-key-of-chaos";

/// How often a process is asked that does not answer yet, and the pause between.
const TRIES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(100);

/// The service's API.
pub(crate) struct Api {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
}

/// What the API says, by alert: all that a restart must not change.
pub(crate) type States = BTreeMap<String, Value>;

impl Api {
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.url);
        let mut tries = 0;
        let answer = loop {
            let answer = self.http.get(&url).header("x-api-key", KEY).send().await;
            let answer = answer.with_context(|| format!("cannot ask {url}"))?;
            tries += 1;
            // A process that has just begun reads the log first.
            if answer.status() != StatusCode::SERVICE_UNAVAILABLE || tries == TRIES {
                break answer;
            }
            sleep(PAUSE).await;
        };
        let text = answer.error_for_status()?.text().await?;
        serde_json::from_str(&text).with_context(|| format!("{url} answered no JSON"))
    }

    /// Whether the process leads.
    pub(crate) async fn leads(&self) -> bool {
        let health = self.get("/health").await;
        health.is_ok_and(|health| health["status"] == "healthy")
    }

    /// Silences the alert `Silenced` for a day.
    pub(crate) async fn silence(&self) -> anyhow::Result<()> {
        let now = Utc::now();
        let silence = json!({
            "matchers": [{"name": "alertname", "value": "Silenced", "isRegex": false}],
            "startsAt": now.to_rfc3339(), "endsAt": (now + TimeDelta::days(1)).to_rfc3339(),
            "createdBy": "chaos", "comment": "a run",
        });
        let post = self.http.post(format!("{}/api/v2/silences", self.url));
        let post = post
            .header("x-api-key", KEY)
            .header("content-type", "application/json");
        post.body(silence.to_string())
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// What is said of the five.
    pub(crate) async fn states(&self) -> anyhow::Result<States> {
        let mut states = States::new();
        let alerts = self.get("/api/v1/alerts").await?;
        for alert in alerts["data"]["alerts"].as_array().into_iter().flatten() {
            let name = alert["labels"]["alertname"].as_str().unwrap_or_default();
            if ["Pending", "Firing", "Keeping", "Silenced", "Stuck"].contains(&name) {
                let fields = ["state", "activeAt", "keepFiringSince", "episode", "reason"];
                let said = fields.map(|field| alert[field].clone());
                states.insert(name.to_owned(), json!(said));
            }
        }
        for silence in self
            .get("/api/v2/silences")
            .await?
            .as_array()
            .into_iter()
            .flatten()
        {
            let fields = ["id", "status", "startsAt", "endsAt", "matchers"];
            let said = fields.map(|field| silence[field].clone());
            states.insert("the silence".to_owned(), json!(said));
        }
        let silenced = self
            .get("/api/v2/alerts?filter=alertname%3DSilenced")
            .await?;
        states.insert("silenced by".to_owned(), silenced[0]["status"].clone());
        let stuck = self
            .get("/api/v1/deliveries?status=stuck&receiver=stuck")
            .await?;
        states.insert("what is stuck".to_owned(), stuck["deliveries"].clone());
        Ok(states)
    }
}

/// The id of the notification that is stuck.
pub(crate) fn stuck_id(states: &States) -> Option<&str> {
    states.get("what is stuck")?[0]["id"].as_str()
}

/// Whether each of the five has come to its state.
pub(crate) fn are_there(states: &States) -> bool {
    let is = |name: &str, at: usize, wanted: &str| {
        states.get(name).is_some_and(|said| said[at] == wanted)
    };
    is("Pending", 0, "pending")
        && is("Firing", 0, "firing")
        && states
            .get("Keeping")
            .is_some_and(|said| said[2].is_string())
        && is("Silenced", 0, "firing")
        && states
            .get("silenced by")
            .is_some_and(|said| said["state"] == "suppressed")
        && stuck_id(states).is_some()
}
