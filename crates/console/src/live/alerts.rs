//! The alerts that fire, asked of alerts while somebody shows them.

use std::time::Duration;

use super::follow::Pace;
use super::hub::Hub;
use super::topic::Topic;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Publishes the alerts, or why they cannot be had.
pub(super) async fn follow(hub: &Hub) {
    let mut pace = Pace::new(hub, EVERY);
    loop {
        pace.next().await;
        if !hub.table().is_asked(&Topic::Alerts) {
            continue;
        }
        match hub.sources.alerts.get("/api/v2/alerts").await {
            Ok(alerts) => hub.table().publish(&Topic::Alerts, hub.now(), alerts),
            Err(refusal) => {
                let (code, words) = (refusal.status().1, refusal.to_string());
                hub.table()
                    .tell_failure(&Topic::Alerts, hub.now(), code, &words);
            }
        }
    }
}
