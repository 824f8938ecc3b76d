//! Events of long kinds: one signal, whose name and value are fields.

use proptest::prelude::*;

use super::now;
use crate::{Code, Event, Kinds, Scalar, parse_line, parse_sent, write_line_as};

fn read<'a>(kinds: &'a Kinds, text: &'a str) -> Event<'a> {
    parse_sent(kinds, kinds.get("metric"), text, now()).unwrap()
}

fn value_of<'e>(event: &'e Event<'_>, name: &str) -> Option<&'e Scalar<'e>> {
    let fields = &event.kind.fields;
    let found = event.fields.iter().find(|(at, _)| fields[*at].name == name);
    found.map(|(_, value)| value)
}

#[test]
fn a_sample_is_a_signal_and_its_fields_are_columns() {
    let kinds = Kinds::builtin();
    let event = read(
        &kinds,
        r#"{"name":"cpu_usage","value":85,"tags":{"zone":"b","host":"a"}}"#,
    );
    assert_eq!(&*event.entity, "default");
    assert_eq!(event.time, now());
    assert_eq!(event.signals, [("cpu_usage".into(), Scalar::Number(85.0))]);
    for (name, value) in [
        ("name", Scalar::Text("cpu_usage".into())),
        ("value", Scalar::Number(85.0)),
        ("tags", Scalar::Text(r#"{"host":"a","zone":"b"}"#.into())),
    ] {
        assert_eq!(value_of(&event, name), Some(&value), "{name}");
    }
}

#[test]
fn the_kind_of_a_sample_is_told_by_its_fields() {
    let kinds = Kinds::builtin();
    let event = parse_sent(&kinds, None, r#"{"value":1,"name":"up"}"#, now()).unwrap();
    assert_eq!(event.kind.name, "metric");
    assert!(event.kind.is_long());
}

#[test]
fn what_a_metric_is_is_told_by_its_name() {
    let kinds = Kinds::builtin();
    let read = |text: &str| {
        let event = parse_sent(&kinds, None, text, now()).map_err(|refused| refused.code)?;
        let told = (event.kind.name.clone(), event.entity.to_string());
        let signals = event.signals.iter().map(|(name, _)| name.to_string());
        Ok((told.0, told.1, event.time, signals.collect::<Vec<_>>()))
    };
    let named = |name: &str| read(&format!(r#"{{"name":"{name}","info":{{"unit":"ms"}}}}"#));
    let long = "a".repeat(255);
    for name in ["up", "_5xx", &long] {
        let unit = (
            "metric_info".to_owned(),
            name.to_owned(),
            now(),
            vec!["unit".to_owned()],
        );
        assert_eq!(named(name), Ok(unit));
    }
    for name in ["", "5xx", "a.b", "température", &format!("{long}a")] {
        assert_eq!(named(name), Err(Code::InvalidFormat), "{name}");
    }
    let all = r#"{"name":"up","timestamp":1759581296000,"info":{"type":"gauge","unit":"1","description":"Whether it is."}}"#;
    let told = read(all).unwrap();
    assert_eq!(told.3, ["type", "unit", "description"]);
    assert_eq!(told.2.timestamp_millis(), 1_759_581_296_000);
    for (info, code) in [
        (r#"{}"#, Code::NoSignals),
        (r#"{"owner":"me"}"#, Code::UnknownField),
        (r#"{"unit":1}"#, Code::WrongType),
    ] {
        let text = format!(r#"{{"name":"up","info":{info}}}"#);
        assert_eq!(read(&text), Err(code), "{info}");
    }
}

#[test]
fn a_time_is_a_text_or_a_number_of_milliseconds_or_the_arrival() {
    let kinds = Kinds::builtin();
    let time = |timestamp: &str| {
        let text = format!(r#"{{"name":"up","value":1,{timestamp}"entity":"h"}}"#);
        parse_sent(&kinds, None, &text, now())
            .map(|event| event.time)
            .map_err(|refused| (refused.code, refused.message))
    };
    let expected = "2025-10-04T12:34:56.123Z".parse().unwrap();
    for sound in [
        r#""timestamp":1759581296123,"#,
        r#""timestamp":"2025-10-04T14:34:56.123+02:00","#,
        r#""timest\u0061mp":1759581296123,"#,
    ] {
        assert_eq!(time(sound), Ok(expected), "{sound}");
    }
    for (wrong, code, said) in [
        (
            r#""timestamp":"1759581296123","#,
            Code::InvalidTimestamp,
            "RFC 3339",
        ),
        (
            r#""timestamp":1759581296,"#,
            Code::TimestampOutOfRange,
            "is `1759581296` milliseconds, 1970-01-21T08:46:21.296Z, before 2000",
        ),
        (
            r#""timestamp":true,"#,
            Code::WrongType,
            "or a number of milliseconds since 1970, such as `1759581296000`, and this is `true`",
        ),
        (
            r#""timestamp":null,"#,
            Code::WrongType,
            "a text in RFC 3339",
        ),
    ] {
        let (found, message) = time(wrong).unwrap_err();
        assert_eq!(found, code, "{wrong}");
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_sample_that_breaks_its_contract_is_refused_by_field() {
    let kinds = Kinds::builtin();
    let long = format!(r#"{{"name":"{}","value":1}}"#, "x".repeat(256));
    let tags = format!(
        r#"{{"name":"a","value":1,"tags":{{{}}}}}"#,
        (0..5)
            .map(|at| format!(r#""l{at}":"{}""#, "x".repeat(2_000)))
            .collect::<Vec<_>>()
            .join(",")
    );
    for (text, code, said) in [
        (
            r#"{"value":1}"#,
            Code::MissingField,
            "kind `metric` needs `name`",
        ),
        (
            r#"{"name":"a"}"#,
            Code::MissingField,
            "kind `metric` needs `value`",
        ),
        (
            r#"{"name":7,"value":1}"#,
            Code::WrongType,
            "`name` is declared as string, and this is a number",
        ),
        (
            r#"{"name":null,"value":1}"#,
            Code::WrongType,
            "`name` is null",
        ),
        (
            r#"{"name":"a","value":"1"}"#,
            Code::WrongType,
            "`value` is declared as number, and this is a string",
        ),
        (
            r#"{"name":"a","value":null}"#,
            Code::WrongType,
            "`value` is null",
        ),
        (
            r#"{"name":"a","value":[1]}"#,
            Code::WrongType,
            "`value` is an array",
        ),
        (
            r#"{"name":"a","value":1e999}"#,
            Code::OutOfRange,
            "no double holds it",
        ),
        (
            r#"{"name":"","value":1}"#,
            Code::InvalidFormat,
            "`name` has 0 bytes",
        ),
        (
            r#"{"name":"a b","value":1}"#,
            Code::InvalidFormat,
            "`name` is `a b`, which is not a signal name",
        ),
        (
            r#"{"name":"Value","value":1}"#,
            Code::InvalidFormat,
            "`name` is `Value`, which is a reserved name",
        ),
        (
            r#"{"name":"entity_id","value":1}"#,
            Code::InvalidFormat,
            "which is a reserved name",
        ),
        (
            r#"{"name":"a","value":1,"unit":"s"}"#,
            Code::UnknownField,
            "it has `entity`, `name`, `tags`, `timestamp`, `value`",
        ),
        (
            r#"{"name":"a","value":1,"name":"b"}"#,
            Code::DuplicateField,
            "`name` is there twice",
        ),
        (
            r#"{"name":"a","value":1,"tags":"x"}"#,
            Code::WrongType,
            "`tags` is declared as labels",
        ),
        (
            r#"{"name":"a","value":1,"entity":"a b"}"#,
            Code::InvalidFormat,
            "`entity` does not match",
        ),
        (&long, Code::InvalidFormat, "`name` has 256 bytes"),
        (
            &tags,
            Code::InvalidFormat,
            "bytes as JSON: at most 8192 are taken",
        ),
    ] {
        let refused = parse_sent(&kinds, kinds.get("metric"), text, now()).unwrap_err();
        assert_eq!(refused.code, code, "{text}: {refused}");
        assert!(refused.message.contains(said), "{}", refused.message);
    }
}

#[test]
fn declared_signals_of_a_long_kind_have_bounds_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let declaration = r#"
        kind = "sample"
        version = 1
        entity = { field = "host", default = "me" }
        time = { field = "at", default = "arrival" }
        [signals]
        name_field = "metric"
        value_field = "reading"
        names = "snake_case"
        open = false
        known.load = { type = "number", min = 0, max = 1, from = "sys.Load1" }
    "#;
    std::fs::write(folder.path().join("sample.toml"), declaration).unwrap();
    let kinds = Kinds::load(Some(folder.path())).unwrap();
    let text = |name: &str, value: f64| format!(r#"{{"metric":"{name}","reading":{value}}}"#);
    for name in ["sys.Load1", "Load"] {
        let text = text(name, 0.5);
        let event = parse_sent(&kinds, None, &text, now()).unwrap();
        assert_eq!(event.signals[0].0, "load", "{name}");
        assert_eq!(
            value_of(&event, "metric"),
            Some(&Scalar::Text("load".into()))
        );
    }
    let refused = |name, value| {
        parse_sent(&kinds, kinds.get("sample"), &text(name, value), now()).unwrap_err()
    };
    let above = refused("Load", 1.5);
    assert_eq!(
        (above.code, above.message.as_str()),
        (Code::OutOfRange, "`reading` is 1.5, above 1")
    );
    let unknown = refused("cpu", 1.0);
    assert_eq!(unknown.code, Code::UnknownField);
    assert_eq!(
        unknown.message,
        "`metric` is `cpu`, which is not a declared signal of kind `sample`"
    );
}

proptest! {
    #[test]
    fn a_stored_sample_reads_as_it_was_sent(
        name in "[a-z_][a-z0-9_]{0,20}",
        value in any::<f64>().prop_filter("finite", |value| value.is_finite()),
        tags in prop::option::of(prop::collection::btree_map("[a-z]{1,4}", "\\PC{1,9}", 0..4)),
        entity in prop::option::of("[a-z0-9]{1,8}"),
        timestamp in prop::option::of(1_759_000_000_000_i64..1_767_000_000_000),
        spaced in any::<bool>(),
    ) {
        let kinds = Kinds::builtin();
        let mut sent = serde_json::json!({"name": format!("x{name}"), "value": value});
        if let Some(tags) = &tags {
            sent["tags"] = serde_json::json!(tags);
        }
        if let Some(entity) = &entity {
            sent["entity"] = serde_json::json!(entity);
        }
        if let Some(timestamp) = timestamp {
            sent["timestamp"] = serde_json::json!(timestamp);
        }
        let text = if spaced { serde_json::to_string_pretty(&sent).unwrap() } else { sent.to_string() };
        let event = read(&kinds, &text);
        let mut line = Vec::new();
        write_line_as(&mut line, &event, "p-1", &crate::format_millis(now()), &text);
        let line = String::from_utf8(line).unwrap();
        let stored = parse_line(&kinds, &line).unwrap();
        prop_assert_eq!(stored.event_id.as_deref(), Some("p-1"));
        prop_assert_eq!((stored.time, &stored.entity), (event.time, &event.entity));
        prop_assert_eq!((&stored.fields, &stored.signals), (&event.fields, &event.signals));
    }
}
