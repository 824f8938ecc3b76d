//! What a client can ask for.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most bytes of a name or id.
const MOST_NAME: usize = 512;

/// Most rows of a list of entities.
const MOST_ROWS: u32 = 1000;

/// The statistics by which entities can be listed.
const STATS: [&str; 11] = [
    "avg", "min", "max", "sum", "count", "first", "last", "stddev", "p50", "p95", "p99",
];

/// What a client asks for. Two that are equal are one topic, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "topic", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Topic {
    /// The newest value of one signal of one entity.
    Series(Series),
    /// The entities with the greatest values.
    Top(Top),
    /// Figures of the pipeline.
    Health,
    /// The alerts that fire.
    Alerts,
    /// The newest anomalies.
    Moments,
}

/// A signal of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Series {
    pub(crate) kind: Box<str>,
    pub(crate) entity: Box<str>,
    pub(crate) signal: Box<str>,
}

/// Which entities are listed; as the parameters of `GET /v1/top`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Top {
    pub(crate) kind: String,
    pub(crate) signal: String,
    #[serde(default = "window")]
    pub(crate) window: String,
    #[serde(default = "n")]
    pub(crate) n: u32,
    #[serde(default = "stat")]
    pub(crate) stat: String,
}

fn window() -> String {
    "5m".into()
}

fn n() -> u32 {
    10
}

fn stat() -> String {
    "avg".into()
}

impl Topic {
    /// Reads a topic as a client sends it.
    ///
    /// # Errors
    ///
    /// Says in words what is wrong.
    pub(crate) fn parse(sent: &Value) -> Result<Topic, String> {
        if !sent.is_object() {
            return Err("a topic is an object with a member `topic`".to_owned());
        }
        let topic = Topic::deserialize(sent).map_err(|error| error.to_string())?;
        let names = match &topic {
            Topic::Series(series) => vec![&*series.kind, &*series.entity, &*series.signal],
            Topic::Top(top) => {
                if top.n == 0 || top.n > MOST_ROWS {
                    return Err(format!("`n` is {}: send 1 to {MOST_ROWS}", top.n));
                }
                if !STATS.contains(&top.stat.as_str()) {
                    return Err(format!(
                        "`stat` is `{}`: send one of {}",
                        top.stat,
                        STATS.join(", ")
                    ));
                }
                vec![&*top.kind, &*top.signal, &*top.window]
            }
            Topic::Health | Topic::Alerts | Topic::Moments => Vec::new(),
        };
        let is_name = |name: &&str| !name.is_empty() && name.len() <= MOST_NAME;
        if names.iter().all(is_name) {
            Ok(topic)
        } else {
            Err(format!("names have 1 to {MOST_NAME} bytes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn topics_are_read_as_they_are_sent_and_told_again_in_full() {
        let series = json!({"topic": "series", "kind": "vehicle", "entity": "veh-1", "signal": "engine_rpm"});
        let parsed = Topic::parse(&series).unwrap();
        assert_eq!(serde_json::to_value(&parsed).unwrap(), series);
        let top = Topic::parse(&json!({"topic": "top", "kind": "cell", "signal": "x"})).unwrap();
        let expected = json!({"topic": "top", "kind": "cell", "signal": "x", "window": "5m", "n": 10, "stat": "avg"});
        assert_eq!(serde_json::to_value(&top).unwrap(), expected);
        assert_eq!(Topic::parse(&json!({"topic": "health"})), Ok(Topic::Health));
    }

    #[test]
    fn what_is_no_topic_is_told_why() {
        let long = "x".repeat(MOST_NAME + 1);
        for (wrong, named) in [
            (json!({"topic": "weather"}), "weather"),
            (json!({"topic": "series", "kind": "vehicle"}), "entity"),
            (
                json!({"topic": "series", "kind": "v", "entity": "", "signal": "s"}),
                "names",
            ),
            (
                json!({"topic": "series", "kind": "v", "entity": long, "signal": "s"}),
                "names",
            ),
            (
                json!({"topic": "top", "kind": "c", "signal": "s", "n": 0}),
                "`n`",
            ),
            (
                json!({"topic": "top", "kind": "c", "signal": "s", "stat": "mode"}),
                "`stat`",
            ),
            (json!("health"), "topic"),
            (json!(7), "topic"),
        ] {
            let error = Topic::parse(&wrong).unwrap_err();
            assert!(error.contains(named), "{wrong}: {error}");
        }
    }
}
