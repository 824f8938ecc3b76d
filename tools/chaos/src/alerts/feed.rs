//! Events in `raw/`, as the consumer would have written them.

use std::time::Duration;

use anyhow::Context;
use aws::{Condition, Lake};
use chrono::Utc;
use contract::{Hour, Kinds};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::receivers::CHANNELS;

/// Events of an object.
const OF_OBJECT: usize = 1_000;

/// Pause between two readings of the alerts that stand in a state.
const PAUSE: Duration = Duration::from_secs(5);

/// From when on the condition of the alert that is kept has ceased.
const CEASES: Duration = Duration::from_secs(25);

/// Writes one reading of each entity, which has been taken now.
pub(crate) async fn land(
    lake: &Lake,
    kinds: &Kinds,
    readings: &[(String, &str, f64)],
) -> anyhow::Result<()> {
    for readings in readings.chunks(OF_OBJECT) {
        let (now, mut lines) = (Utc::now(), Vec::new());
        for (vehicle, signal, value) in readings {
            let text = json!({
                "timestamp": contract::format_millis(now), "vehicle_id": vehicle, "can_id": "0x1F0",
                "payload": {*signal: value},
            });
            let text = text.to_string();
            let event = contract::parse_sent(kinds, None, &text, now);
            let event = event.map_err(|rejection| anyhow::anyhow!("{rejection:?}"))?;
            contract::write_line(&mut lines, &event, &contract::format_millis(now), &text);
        }
        let name = contract::raw_part_name(now, Uuid::new_v4().as_u128());
        let key = contract::raw_key(Hour::of(now), name);
        let kind = "application/x-ndjson";
        lake.put(
            &key,
            lines.into(),
            kind,
            Default::default(),
            Condition::Always,
        )
        .await
        .context("cannot write events")?;
    }
    Ok(())
}

/// One reading of each of the storm's entities, `episodes` for each receiver.
pub(crate) fn storm(episodes: usize, rpm: f64) -> Vec<(String, &'static str, f64)> {
    let all = CHANNELS
        .into_iter()
        .flat_map(|name| (0..episodes).map(move |n| format!("{name}-{n}")));
    all.map(|entity| (entity, "engine_rpm", rpm)).collect()
}

/// Goes on writing the readings that keep the five alerts in their states.
///
/// # Errors
///
/// If the lake cannot be written.
pub(crate) async fn states(lake: Lake) -> anyhow::Result<()> {
    let (kinds, begun) = (Kinds::builtin(), Instant::now());
    loop {
        let has_ceased = begun.elapsed() >= CEASES;
        let readings = ["pending", "firing", "keeping", "silenced", "stuck"].map(|state| {
            let is_low = state == "keeping" && has_ceased;
            let speed = if is_low { 50.0 } else { 200.0 };
            (format!("s-{state}"), "vehicle_speed_kmh", speed)
        });
        land(&lake, &kinds, &readings).await?;
        tokio::time::sleep(PAUSE).await;
    }
}
