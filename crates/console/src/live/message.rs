//! Messages of the server, as JSON. Each is written once, whoever gets it.

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use serde_json::Value;

use super::topic::{Series, Topic};

/// How the text of a series' message ends, unless it is a snapshot.
const NEW: &str = r#""snapshot":false}"#;
/// How it ends for a client that has just asked for it.
const SNAPSHOT: &str = r#""snapshot":true}"#;

/// A message as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    /// What the server has counted up to, for a client that comes back.
    pub(crate) seq: u64,
    pub(crate) text: Utf8Bytes,
}

#[derive(Serialize)]
struct Head<'m> {
    seq: u64,
    at: i64,
    #[serde(flatten)]
    topic: &'m Topic,
    #[serde(flatten)]
    body: Body<'m>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Body<'m> {
    Rows(&'m Value),
    Value(&'m Value),
}

#[derive(Serialize)]
struct SeriesMessage<'m> {
    seq: u64,
    at: i64,
    topic: &'static str,
    kind: &'m str,
    entity: &'m str,
    signal: &'m str,
    time: i64,
    value: &'m Value,
    snapshot: bool,
}

#[derive(Serialize)]
struct ErrorMessage<'m> {
    seq: u64,
    at: i64,
    topic: &'static str,
    code: &'m str,
    message: &'m str,
    of: &'m Value,
}

/// A value of a series; `time` is the event's, `at` the server's, both in milliseconds since 1970.
pub(crate) fn series(seq: u64, at: i64, of: &Series, time: i64, value: &Value) -> Utf8Bytes {
    text(&SeriesMessage {
        seq,
        at,
        topic: "series",
        kind: &of.kind,
        entity: &of.entity,
        signal: &of.signal,
        time,
        value,
        snapshot: false,
    })
}

/// The same value for a client that has just asked for it; other messages stay as they are.
pub(crate) fn as_snapshot(text: &Utf8Bytes) -> Utf8Bytes {
    match text.strip_suffix(NEW) {
        Some(start) => format!("{start}{SNAPSHOT}").into(),
        None => text.clone(),
    }
}

/// The state of any other topic.
pub(crate) fn state(seq: u64, at: i64, topic: &Topic, value: &Value) -> Utf8Bytes {
    let body = match topic {
        Topic::Top(_) => Body::Rows(value),
        _ => Body::Value(value),
    };
    text(&Head {
        seq,
        at,
        topic,
        body,
    })
}

/// The first message.
pub(crate) fn hello(seq: u64, at: i64, boot: &str) -> Utf8Bytes {
    let message = serde_json::json!({"seq": seq, "at": at, "topic": "hello", "boot": boot});
    message.to_string().into()
}

/// What a client that came back has missed for good.
pub(crate) fn gap(seq: u64, at: i64, from: u64) -> Utf8Bytes {
    let message =
        serde_json::json!({"seq": seq, "at": at, "topic": "gap", "from": from, "to": seq});
    message.to_string().into()
}

/// Why a topic, or a message of the client, has no answer.
pub(crate) fn error(seq: u64, at: i64, code: &str, message: &str, of: &Value) -> Utf8Bytes {
    text(&ErrorMessage {
        seq,
        at,
        topic: "error",
        code,
        message,
        of,
    })
}

fn text(message: &impl Serialize) -> Utf8Bytes {
    // No map in it has keys that are no texts, so none fails.
    serde_json::to_string(message).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_have_the_fields_of_the_protocol_in_order() {
        let of = Series {
            kind: "vehicle".into(),
            entity: "a\"</b>".into(),
            signal: "rpm".into(),
        };
        let sent = series(7, 9, &of, 8, &json!(1.5));
        let expected = r#"{"seq":7,"at":9,"topic":"series","kind":"vehicle","entity":"a\"</b>","signal":"rpm","time":8,"value":1.5,"snapshot":false}"#;
        assert_eq!(sent.as_str(), expected);
        assert!(as_snapshot(&sent).ends_with(r#""value":1.5,"snapshot":true}"#));
        let top = Topic::parse(&json!({"topic": "top", "kind": "cell", "signal": "x"})).unwrap();
        let sent = state(1, 2, &top, &json!([]));
        let expected = r#"{"seq":1,"at":2,"topic":"top","kind":"cell","signal":"x","window":"5m","n":10,"stat":"avg","rows":[]}"#;
        assert_eq!(sent.as_str(), expected);
        let sent = state(1, 2, &Topic::Health, &json!({}));
        assert_eq!(
            sent.as_str(),
            r#"{"seq":1,"at":2,"topic":"health","value":{}}"#
        );
        let of = json!({"topic": "x"});
        let sent: Value = serde_json::from_str(&error(1, 2, "c", "m", &of)).unwrap();
        assert_eq!(sent["of"], of);
    }
}
