//! Events of live streams, and names that are derived.

use super::now;
use crate::{Code, Kinds, Scalar, SentReader, parse_sent};

const CHAT: &str = r#"{"stream_id":"s-1","timestamp":"2025-10-04T12:34:56Z","message_id":"m-1","user":"Ann 🎮","message":{"text":"PogChamp what a clutch play!!!","emotes":"PogChamp"}}"#;

#[test]
fn the_kinds_of_streams_are_told_apart() {
    let kinds = Kinds::builtin();
    let mut reader = SentReader::new(&kinds, None);
    for (text, kind) in [
        (CHAT, "chat"),
        (
            r#"{"stream_id":"s-1","timestamp":1759581296000,"audience":{"viewers":1200,"raiders":40}}"#,
            "viewer",
        ),
        (
            r#"{"stream_id":"s-1","timestamp":1759581296000,"transaction_id":"t","type":"gift","currency":"EUR","payment":{"amount":4.99}}"#,
            "transaction",
        ),
        (
            r#"{"stream_id":"s-1","timestamp":1759581296000,"title":"Speedruns","language":"en","status":{"live":true}}"#,
            "stream_meta",
        ),
    ] {
        let event = reader.read(text, now()).unwrap();
        assert_eq!((event.kind.name.as_str(), &*event.entity), (kind, "s-1"));
    }
}

#[test]
fn a_derived_signal_is_not_sent_and_is_no_part_of_an_event_as_read() {
    let kinds = Kinds::builtin();
    let event = parse_sent(&kinds, None, CHAT, now()).unwrap();
    let names: Vec<_> = event.signals.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["text", "emotes"]);
    let sentiment = event.kind.derived_signal("Sentiment").unwrap();
    assert!(matches!(sentiment.value_in(&event), Some(Scalar::Text(_))));
    for name in ["sentiment", "Sentiment"] {
        let text = CHAT.replace("\"emotes\"", &format!("\"{name}\""));
        let refused = parse_sent(&kinds, None, &text, now()).unwrap_err();
        assert_eq!(refused.code, Code::InvalidFormat);
        let expected = "is derived from other signals here: leave it out, or rename it";
        assert_eq!(refused.message, format!("`message.{name}` {expected}"));
    }
}
