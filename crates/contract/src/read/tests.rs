//! Both ways in, over all that can be wrong with an event.

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use crate::{
    Code, Kinds, Rejection, Scalar, SentReader, derive_event_id, parse_line, parse_sent, write_line,
};

const VEHICLE: &str = r#"{"timestamp":"2025-10-04T12:34:56.123Z","vehicle_id":"veh-00123","can_id":"0x1F0","payload":{"engine_rpm":2150,"brake_status":false}}"#;
const CELL: &str = r#"{"event_id":"6f0e1b6e-0d0c-4a3e-8a59-2f9a3c1d7e11","schema_version":1,"source":"pmgen","event_time":"2025-12-29T20:45:12Z","entity_type":"cell","entity_id":"CELL-000123","metrics":{"dl_prb_util_pct":73.2,"ul_prb_util_pct":41.8,"rrc_conn_avg":18,"drop_rate_pct":0.7}}"#;

fn now() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn refusal(text: &str) -> Rejection {
    let kinds = Kinds::builtin();
    parse_sent(&kinds, None, text, now()).unwrap_err()
}

#[test]
fn the_designs_examples_are_valid_and_told_apart() {
    let kinds = Kinds::builtin();
    let mut reader = SentReader::new(&kinds, None);
    for _ in 0..2 {
        let vehicle = reader.read(VEHICLE, now()).unwrap();
        assert_eq!(
            (vehicle.kind.name.as_str(), &*vehicle.entity),
            ("vehicle", "veh-00123")
        );
        assert_eq!(
            vehicle.signals[0],
            ("engine_rpm".into(), Scalar::Number(2150.0))
        );
        let cell = reader.read(CELL, now()).unwrap();
        assert_eq!(
            (cell.kind.name.as_str(), &*cell.entity),
            ("cell", "CELL-000123")
        );
        assert_eq!(
            cell.event_id.as_deref(),
            Some("6f0e1b6e-0d0c-4a3e-8a59-2f9a3c1d7e11")
        );
    }
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
fn an_age_is_asked_of_events_as_sent_and_never_of_stored_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mine =
        include_str!("../../kinds/vehicle.toml").replace("[time]", "[time]\nmax_age_days = 3");
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

#[test]
fn a_message_names_every_missing_field() {
    assert_eq!(
        refusal(r#"{"can_id":"0x1F0"}"#).message,
        "kind `vehicle` needs `vehicle_id`, `timestamp`, `payload`"
    );
}

#[test]
fn the_routes_kind_is_held_against() {
    let kinds = Kinds::builtin();
    let cell = kinds.get("cell");
    assert_eq!(
        parse_sent(&kinds, cell, VEHICLE, now()).unwrap_err().code,
        Code::UnknownField
    );
    let named = CELL.replacen('{', "{\"kind\":\"vehicle\",", 1);
    assert_eq!(
        parse_sent(&kinds, cell, &named, now()).unwrap_err().code,
        Code::KindMismatch
    );
    assert!(parse_sent(&kinds, cell, CELL, now()).is_ok());
}

#[test]
fn kinds_that_overlap_must_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let declaration = "kind = \"a\"\nversion = 1\nentity = { field = \"id\" }\ntime = { field = \"at\" }\nsignals = { field = \"values\" }\n";
    std::fs::write(folder.path().join("a.toml"), declaration).unwrap();
    std::fs::write(
        folder.path().join("b.toml"),
        declaration.replace("\"a\"", "\"b\""),
    )
    .unwrap();
    let kinds = Kinds::load(Some(folder.path())).unwrap();
    let text = r#"{"id":"x","at":"2025-10-04T12:34:56Z","values":{"v":1}}"#;
    let mut reader = SentReader::new(&kinds, None);
    let named = text.replacen('{', r#"{"kind":"b","#, 1);
    assert_eq!(reader.read(&named, now()).unwrap().kind.name, "b");
    assert_eq!(
        reader.read(text, now()).unwrap_err().code,
        Code::AmbiguousKind
    );
}

#[test]
fn lines_need_the_servers_fields() {
    let kinds = Kinds::builtin();
    assert_eq!(
        parse_line(&kinds, VEHICLE).unwrap_err().code,
        Code::MissingField
    );
    assert_eq!(
        parse_line(&kinds, "{\"kind\":\"boat\"}").unwrap_err().code,
        Code::UnknownKind
    );
}

#[test]
fn an_offline_vehicles_old_event_is_taken_back_by_its_time_of_receipt() {
    let kinds = Kinds::builtin();
    let event = parse_sent(&kinds, None, VEHICLE, now()).unwrap();
    let mut line = Vec::new();
    write_line(&mut line, &event, "2025-10-04T12:34:57.000Z", VEHICLE);
    let line = String::from_utf8(line).unwrap();
    let stored = parse_line(&kinds, &line).unwrap();
    assert_eq!(stored.received_at.unwrap().timestamp(), 1_759_581_297);
    assert_eq!(
        stored.event_id.as_deref().unwrap(),
        derive_event_id(&event).to_string()
    );
    assert_eq!((stored.time, &stored.signals), (event.time, &event.signals));
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<i32>().prop_map(f64::from),
        -1e12..1e12_f64,
        prop::num::f64::NORMAL
    ]
}

fn vehicle(signals: &[(String, f64)], reversed: bool, spaced: bool) -> String {
    let mut payload: Vec<String> = signals
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value:?}"))
        .collect();
    let mut fields = vec![
        "\"timestamp\":\"2025-10-04T12:34:56.123Z\"".to_owned(),
        "\"vehicle_id\":\"veh-1\"".to_owned(),
        "\"can_id\":\"0x1F0\"".to_owned(),
    ];
    if reversed {
        payload.reverse();
    }
    fields.push(format!("\"payload\":{{{}}}", payload.join(",")));
    if reversed {
        fields.reverse();
    }
    let text = format!("{{{}}}", fields.join(","));
    if spaced {
        text.replace("\":", "\" :\n\t").replace(',', " ,\r\n")
    } else {
        text
    }
}

proptest! {
    #[test]
    fn ids_do_not_depend_on_spelling_and_lines_read_back_the_same(
        values in prop::collection::btree_map("x_[a-z]{1,8}", number(), 1..8),
    ) {
        let kinds = Kinds::builtin();
        let signals: Vec<_> = values.into_iter().collect();
        let plain = vehicle(&signals, false, false);
        let event = parse_sent(&kinds, None, &plain, now()).unwrap();
        for (reversed, spaced) in [(true, false), (false, true), (true, true)] {
            let text = vehicle(&signals, reversed, spaced);
            let other = parse_sent(&kinds, None, &text, now()).unwrap();
            prop_assert_eq!(derive_event_id(&event), derive_event_id(&other));
            let mut line = Vec::new();
            write_line(&mut line, &other, "2026-01-01T00:00:00.000Z", &text);
            let line = String::from_utf8(line).unwrap();
            prop_assert_eq!(line.matches('\n').count(), 1);
            let stored = parse_line(&kinds, &line).unwrap();
            prop_assert_eq!(&stored.signals, &other.signals);
            prop_assert_eq!(derive_event_id(&stored), derive_event_id(&event));
        }
    }

    #[test]
    fn other_content_has_another_id(a in number(), b in number()) {
        prop_assume!(a != b);
        let kinds = Kinds::builtin();
        let texts = [a, b].map(|value| vehicle(&[("x_a".into(), value)], false, false));
        let ids = texts.each_ref().map(|text| derive_event_id(&parse_sent(&kinds, None, text, now()).unwrap()));
        prop_assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}", at in 0_usize..130, with in ".{0,3}") {
        let kinds = Kinds::builtin();
        let _ = parse_sent(&kinds, None, &text, now());
        let mut broken = VEHICLE.to_owned();
        broken.replace_range(at..at + 1, &with);
        let _ = parse_sent(&kinds, None, &broken, now());
        let _ = parse_line(&kinds, &broken);
    }
}
