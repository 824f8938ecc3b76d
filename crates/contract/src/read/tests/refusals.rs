//! What is wrong with an event, as its sender reads it.

use chrono::{DateTime, Utc};

use super::{CELL, VEHICLE, now};
use crate::{Code, Kinds, Rejection, parse_line, parse_sent, write_line};

fn refusal(text: &str) -> Rejection {
    let kinds = Kinds::builtin();
    parse_sent(&kinds, None, text, now()).unwrap_err()
}

#[test]
fn each_fault_has_its_own_code_and_names_its_field() {
    use Code::*;
    let swap = |from: &str, to: &str| {
        assert!(VEHICLE.contains(from), "{from}");
        VEHICLE.replace(from, to)
    };
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let many: String = (0..65).map(|n| format!("\"s{n}\":1,")).collect();
    let cases: Vec<(String, Code, Option<&str>)> = vec![
        ("nonsense".into(), InvalidJson, None),
        (VEHICLE[..60].into(), InvalidJson, None),
        (format!("{VEHICLE}x"), InvalidJson, None),
        (swap("2150", "NaN"), InvalidJson, None),
        (swap("2150", "1e999"), OutOfRange, None),
        (swap("2150", "-1"), OutOfRange, Some("payload.engine_rpm")),
        (
            swap("engine_rpm\":2150", "odometer\":9007199254740993"),
            OutOfRange,
            Some("payload.odometer"),
        ),
        // Columns are told apart without regard to case: it would share the declared signal's.
        (
            swap("engine_rpm\":2150", "Engine_RPM\":-1"),
            InvalidFormat,
            Some("payload.Engine_RPM"),
        ),
        ("[1]".into(), NotAnObject, None),
        ("17".into(), NotAnObject, None),
        ("null".into(), NotAnObject, None),
        (r#"{"x":1}"#.into(), UnknownKind, None),
        (
            swap("{\"timestamp", "{\"kind\":\"boat\",\"timestamp"),
            UnknownKind,
            Some("kind"),
        ),
        (
            swap("{\"timestamp", "{\"kind\":\"cell\",\"timestamp"),
            UnknownField,
            Some("timestamp"),
        ),
        (
            r#"{"can_id":"0x1F0"}"#.into(),
            MissingField,
            Some("vehicle_id"),
        ),
        (
            swap("\"vehicle_id\":\"veh-00123\",", ""),
            MissingField,
            Some("vehicle_id"),
        ),
        (
            swap("\"can_id\":\"0x1F0\",", ""),
            MissingField,
            Some("can_id"),
        ),
        (
            swap("{\"timestamp", "{\"colour\":1,\"timestamp"),
            UnknownField,
            Some("colour"),
        ),
        (
            swap(
                "{\"timestamp",
                "{\"ingest_received_at\":\"2025-10-04T12:34:56Z\",\"timestamp",
            ),
            UnknownField,
            Some("ingest_received_at"),
        ),
        (
            swap("{\"timestamp", "{\"sender\":\"fleet-1\",\"timestamp"),
            UnknownField,
            Some("sender"),
        ),
        (
            swap("\"can_id\"", "\"vehicle_id\":\"b\",\"can_id\""),
            DuplicateField,
            Some("vehicle_id"),
        ),
        (
            swap("\"brake_status\"", "\"engine_rpm\""),
            DuplicateField,
            Some("payload.engine_rpm"),
        ),
        (
            swap("\"brake_status\":false", "\"Engine_RPM\":1"),
            DuplicateField,
            Some("payload.Engine_RPM"),
        ),
        (swap("\"veh-00123\"", "7"), WrongType, Some("vehicle_id")),
        (swap("\"veh-00123\"", "null"), WrongType, Some("vehicle_id")),
        (
            swap("\"veh-00123\"", "{\"a\":1}"),
            WrongType,
            Some("vehicle_id"),
        ),
        (
            swap("2150", "\"fast\""),
            WrongType,
            Some("payload.engine_rpm"),
        ),
        (
            swap("engine_rpm\":2150", "gear\":2.5"),
            WrongType,
            Some("payload.gear"),
        ),
        (
            swap("{\"engine_rpm\":2150,\"brake_status\":false}", "[1]"),
            WrongType,
            Some("payload"),
        ),
        (
            swap("{\"engine_rpm\":2150,\"brake_status\":false}", "true"),
            WrongType,
            Some("payload"),
        ),
        (
            swap("{\"engine_rpm\":2150,\"brake_status\":false}", "{}"),
            NoSignals,
            Some("payload"),
        ),
        (
            swap("\"brake_status\":false", &many[..many.len() - 1]),
            TooManySignals,
            Some("payload"),
        ),
        (
            swap("2150", "{\"a\":1}"),
            NestedSignal,
            Some("payload.engine_rpm"),
        ),
        (
            swap("2150", &deep),
            NestedSignal,
            Some("payload.engine_rpm"),
        ),
        (
            swap("brake_status", "event_time"),
            InvalidFormat,
            Some("payload.event_time"),
        ),
        (
            swap("brake_status", "can_id"),
            InvalidFormat,
            Some("payload.can_id"),
        ),
        (
            swap("brake_status", "brake status"),
            InvalidFormat,
            Some("payload.brake status"),
        ),
        (swap("0x1F0", "1F0"), InvalidFormat, Some("can_id")),
        (swap("0x1F0", "0x2FFFFFFF"), InvalidFormat, Some("can_id")),
        (swap("veh-00123", "a/b"), InvalidFormat, Some("vehicle_id")),
        (swap("veh-00123", ".."), InvalidFormat, Some("vehicle_id")),
        (
            swap("veh-00123", "a\\nb"),
            InvalidFormat,
            Some("vehicle_id"),
        ),
        (swap("veh-00123", "🚗"), InvalidFormat, Some("vehicle_id")),
        (swap("veh-00123", ""), InvalidFormat, Some("vehicle_id")),
        (
            swap("veh-00123", &"v".repeat(4096)),
            InvalidFormat,
            Some("vehicle_id"),
        ),
        (
            swap("{\"timestamp", "{\"event_id\":\"a b\",\"timestamp"),
            InvalidFormat,
            Some("event_id"),
        ),
        (
            swap("12:34:56.123Z", "12:34:56.123"),
            TimestampWithoutZone,
            Some("timestamp"),
        ),
        (
            swap("2025-10-04T12:34:56.123Z", "yesterday"),
            InvalidTimestamp,
            Some("timestamp"),
        ),
        (
            swap("2025-10-04", "2025-02-30"),
            InvalidTimestamp,
            Some("timestamp"),
        ),
        (
            swap("2025-10-04", "0001-01-01"),
            TimestampOutOfRange,
            Some("timestamp"),
        ),
        (
            swap("2025-10-04", "9999-12-31"),
            TimestampOutOfRange,
            Some("timestamp"),
        ),
        (
            swap("2025-10-04T12", "2024-11-26T12"),
            TooOld,
            Some("timestamp"),
        ),
        (
            swap("2025-10-04T12", "2026-01-02T00"),
            TimestampOutOfRange,
            Some("timestamp"),
        ),
        (
            swap("veh-00123", &"v".repeat(crate::MAX_EVENT_BYTES)),
            TooLarge,
            None,
        ),
        (
            CELL.replace("\"cell\"", "\"antenna\""),
            NotAllowed,
            Some("entity_type"),
        ),
        (
            CELL.replace("\"schema_version\":1", "\"schema_version\":2"),
            NotAllowed,
            Some("schema_version"),
        ),
        (
            CELL.replace("73.2", "173.2"),
            OutOfRange,
            Some("metrics.dl_prb_util_pct"),
        ),
    ];
    for (text, code, field) in cases {
        let rejection = refusal(&text);
        assert_eq!(
            (rejection.code, rejection.field.as_deref()),
            (code, field),
            "{}: {rejection}",
            &text[..text.len().min(200)]
        );
        assert!(rejection.message.len() < 500, "{rejection}");
    }
}

#[test]
fn a_message_names_every_missing_field() {
    assert_eq!(
        refusal(r#"{"can_id":"0x1F0"}"#).message,
        "kind `vehicle` needs `vehicle_id`, `timestamp`, `payload`"
    );
}

#[test]
fn fields_of_no_kind_are_held_against_the_nearest() {
    let names = Kinds::builtin().names();
    for (text, said) in [
        (
            r#"{"vehicleId":"veh-1","ts":1}"#,
            "; the nearest, `vehicle`, needs `vehicle_id`, `timestamp`, `payload`, `can_id` and has no field `vehicleId`: it \
             is `vehicle_id` there",
        ),
        (
            r#"{"device":"d-1","temperature":21}"#,
            "; the nearest, `metric`, needs `name`, `value` and has no field `device`",
        ),
        ("{}", "; the nearest, `metric`, needs `name`, `value`"),
    ] {
        assert_eq!(
            refusal(text).message,
            format!("no declared kind has these fields: the kinds are {names}{said}")
        );
    }
    let long = refusal(&format!("{{\"{}\":1}}", "é".repeat(5000)));
    assert!(long.message.len() < 500, "{long}");
}

#[test]
fn a_time_in_another_form_is_told_the_form_that_is_wanted() {
    let rfc3339 = "a text in RFC 3339, such as `2025-10-04T12:34:56.123Z`";
    for (sent, said) in [
        ("1759581296", "is declared as {}, and this is `1759581296`"),
        ("true", "is declared as {}, and this is `true`"),
        ("\"04.10.2025\"", "is not {}: `04.10.2025`"),
    ] {
        let text = VEHICLE.replace("\"2025-10-04T12:34:56.123Z\"", sent);
        let said = said.replace("{}", rfc3339);
        assert_eq!(refusal(&text).message, format!("`timestamp` {said}"));
    }
    for (format, sent, wanted) in [
        (
            "epoch_s",
            "\"2025-10-04T12:34:56Z\"",
            "a number of seconds since 1970, such as `1759581296`",
        ),
        (
            "epoch_ms",
            "true",
            "a number of milliseconds since 1970, such as `1759581296000`",
        ),
        (
            "epoch_us",
            "null",
            "a number of microseconds since 1970, such as `1759581296000000`",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mine = include_str!("../../../kinds/vehicle.toml")
            .replace("[time]", &format!("[time]\nformat = \"{format}\""));
        std::fs::write(folder.path().join("vehicle.toml"), mine).unwrap();
        let kinds = Kinds::load(Some(folder.path())).unwrap();
        let text = VEHICLE.replace("\"2025-10-04T12:34:56.123Z\"", sent);
        let refused = parse_sent(&kinds, None, &text, now()).unwrap_err();
        let found = sent.replace('"', "\\\"");
        assert_eq!(
            refused.message,
            format!("`timestamp` is declared as {wanted}, and this is `{found}`")
        );
    }
}

#[test]
fn a_line_of_csv_is_told_of_the_tool_that_takes_it() {
    for line in [
        "vehicle_id,timestamp,speed",
        "veh-1;2025-10-04T12:34:56Z;93.5",
        "\"veh-1\",\"2025-10-04T12:34:56Z\",93.5",
        "17\t2025-10-04T12:34:56Z\t93.5",
    ] {
        let message = refusal(line).message;
        assert!(
            message.contains("looks like CSV") && message.contains("`import`"),
            "{message}"
        );
    }
    for other in [
        "nonsense",
        "\"a,b\"",
        "17",
        "{\"a\":1,}",
        "[1,2",
        "{'a':1,'b':2}",
    ] {
        let message = refusal(other).message;
        assert!(!message.contains("CSV"), "{message}");
    }
}

#[test]
fn an_age_is_asked_of_events_as_sent_and_never_of_stored_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mine =
        include_str!("../../../kinds/vehicle.toml").replace("[time]", "[time]\nmax_age_days = 3");
    std::fs::write(folder.path().join("vehicle.toml"), mine).unwrap();
    let kinds = Kinds::load(Some(folder.path())).unwrap();
    let within: DateTime<Utc> = "2025-10-07T12:34:56.123Z".parse().unwrap();
    let event = parse_sent(&kinds, None, VEHICLE, within).unwrap();
    let past = within + chrono::Duration::milliseconds(1);
    let refused = parse_sent(&kinds, None, VEHICLE, past).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        (
            "too_old",
            "`timestamp` is `2025-10-04T12:34:56.123Z`, more than 3 days before it was received: \
             `max_age_days` of kind `vehicle` takes no older event"
        )
    );
    let mut line = Vec::new();
    write_line(&mut line, &event, "2026-01-01T00:00:00.000Z", VEHICLE);
    let line = String::from_utf8(line).unwrap();
    assert_eq!(parse_line(&kinds, &line).unwrap().time, event.time);
}
