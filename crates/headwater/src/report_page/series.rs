//! What the page shows of the events: answers of the query service.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// Time before the end of the events that charts show: both halves of the demo's events.
const SHOWN: TimeDelta = TimeDelta::minutes(125);

/// The signals that charts show: name, title, and unit.
const SIGNALS: [(&str, &str, &str); 2] = [
    ("vehicle_speed_kmh", "Speed of the vehicles", "km/h"),
    (
        "dl_prb_util_pct",
        "Downlink blocks in use, of the cells",
        "%",
    ),
];

/// A signal over time.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) title: &'static str,
    pub(crate) signal: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) points: Vec<Point>,
}

/// Five minutes of a signal.
#[derive(Debug, Deserialize)]
pub(crate) struct Point {
    /// Start, in milliseconds since 1970.
    pub(crate) timestamp: i64,
    /// By aggregate: `count`, `avg`, `max`.
    pub(crate) values: BTreeMap<String, Option<f64>>,
}

#[derive(Debug, Deserialize)]
struct Points {
    points: Vec<Point>,
}

/// The busiest cells.
#[derive(Debug, Deserialize)]
pub(crate) struct Top {
    pub(crate) entities: Vec<TopEntity>,
}

/// A cell and its mean.
#[derive(Debug, Deserialize)]
pub(crate) struct TopEntity {
    pub(crate) entity_id: String,
    pub(crate) value: Option<f64>,
    pub(crate) count: u64,
}

/// Asks the service at `address` for what the page shows; `header` is a line that holds the key.
///
/// # Errors
///
/// If the service does not answer, or answers otherwise than documented.
pub(crate) async fn ask(
    address: SocketAddr,
    header: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<(Vec<Series>, Top)> {
    let start = (now - SHOWN).timestamp_millis();
    let mut all = Vec::new();
    for (signal, title, unit) in SIGNALS {
        let path = format!("/query?name={signal}&start={start}&step=5m&agg=count,avg,max");
        let answer = service::health::get(address, &path, header).await?;
        let answer: Points = serde_json::from_str(&answer)
            .with_context(|| format!("`{path}` is answered otherwise than documented"))?;
        all.push(Series {
            title,
            signal,
            unit,
            points: answer.points,
        });
    }
    let path = "/v1/top?kind=cell&signal=dl_prb_util_pct&window=3h&n=5";
    let answer = service::health::get(address, path, header).await?;
    let top = serde_json::from_str(&answer)
        .with_context(|| format!("`{path}` is answered otherwise than documented"))?;
    Ok((all, top))
}
