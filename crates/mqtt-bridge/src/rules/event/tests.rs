//! What becomes of payloads.

use contract::{Kinds, SentReader};

use super::super::Rules;
use super::*;

const FLEET: &str = "[[rule]]\ntopic = \"fleet/{vehicle_id}/can/{can_id}\"\nkind = \"vehicle\"\n";
const HOME: &str = "[[rule]]\ntopic = \"home/{entity}/{name}\"\nkind = \"metric\"\n";

fn at() -> DateTime<Utc> {
    "2026-11-28T04:00:00.125Z".parse().unwrap()
}

fn made(rules: &str, topic: &str, payload: &str) -> Vec<Result<String, Refused>> {
    let rules = Rules::parse(rules, &Kinds::builtin()).unwrap();
    let (rule, fields) = rules.rule(topic).unwrap();
    rule.events(&Arrival {
        topic,
        fields: &fields,
        payload: payload.as_bytes(),
        at: at(),
    })
}

/// The events, each of which ingest would take.
fn sound(rules: &str, topic: &str, payload: &str) -> Vec<String> {
    let kinds = Kinds::builtin();
    let events = made(rules, topic, payload).into_iter().map(Result::unwrap);
    let mut reader = SentReader::new(&kinds, None);
    events
        .inspect(|event| {
            let read = reader.read(event, at()).map(drop);
            assert!(read.is_ok(), "{event}: {read:?}");
        })
        .collect()
}

fn refused(rules: &str, topic: &str, payload: &str) -> Vec<&'static str> {
    let refused = made(rules, topic, payload).into_iter();
    refused
        .filter_map(Result::err)
        .map(|one| one.code)
        .collect()
}

#[test]
fn an_event_is_the_payload_with_the_fields_of_its_topic_in_front() {
    let payload = r#"{ "timestamp":"2026-11-28T04:00:00Z","payload":{"gear":2.0}}"#;
    let events = sound(FLEET, "fleet/v-1/can/0x1F0", payload);
    assert_eq!(
        events,
        [
            r#"{"vehicle_id":"v-1","can_id":"0x1F0", "timestamp":"2026-11-28T04:00:00Z","payload":{"gear":2.0}}"#
        ]
    );
    let own = r#"{"vehicle_id":"veh-2","timestamp":"2026-11-28T04:00:00Z","payload":{"gear":1}}"#;
    let events = sound(FLEET, "fleet/veh-1/can/0x1F0", own);
    assert!(
        events[0].contains("veh-2") && !events[0].contains("veh-1"),
        "{events:?}"
    );
}

#[test]
fn arrays_lines_and_pretty_objects_are_read() {
    let one = r#"{"timestamp":"2026-11-28T04:00:00Z","payload":{"gear":1}}"#;
    let topic = "fleet/veh-1/can/0x1F0";
    assert_eq!(sound(FLEET, topic, &format!("[{one},{one}]")).len(), 2);
    assert_eq!(
        sound(FLEET, topic, &format!("{one}\r\n\r\n{one}\n")).len(),
        2
    );
    let pretty = one.replace(',', ",\n  ");
    let events = sound(FLEET, topic, &pretty);
    assert!(events.len() == 1 && !events[0].contains('\n'), "{events:?}");
    assert_eq!(sound(FLEET, topic, &format!("\u{feff}{one}")).len(), 1);
    let mixed = made(FLEET, topic, &format!("{one}\n{{\"a\n{one}"));
    assert_eq!(mixed.iter().filter(|one| one.is_ok()).count(), 2);
    assert_eq!(
        refused(FLEET, topic, &format!("[{one},7]")),
        ["not_an_object"]
    );
}

#[test]
fn a_bare_value_is_a_sample_of_the_arrival() {
    let home = format!("{HOME}time = \"arrival\"\n");
    let events = sound(&home, "home/kitchen/temperature", " 21.50 ");
    let start = r#"{"entity":"kitchen","name":"temperature","timestamp":"2026-11-28T04:00:00.125Z","event_id":""#;
    assert!(events[0].starts_with(start), "{events:?}");
    assert!(events[0].ends_with(r#"","value":21.50}"#), "{events:?}");
    assert!(sound(&home, "home/hall/light", "true")[0].ends_with("\"value\":1}"));
    let again = sound(&home, "home/kitchen/temperature", " 21.50 ");
    assert_ne!(
        events, again,
        "two messages that say the same are two samples"
    );
    assert_eq!(refused(&home, "home/hall/light", "null"), ["not_an_object"]);
    assert_eq!(refused(HOME, "home/hall/light", "1"), ["missing_field"]);
}

#[test]
fn a_bare_value_is_a_signal_where_the_rule_names_it() {
    let rule = "[[rule]]\ntopic = \"rpm/{vehicle_id}\"\nkind = \"vehicle\"\nsignal = \"gear\"\n\
        time = \"arrival\"\nconstants.can_id = \"0x1F0\"\n";
    let events = sound(rule, "rpm/veh-1", "2");
    assert_eq!(
        events,
        [
            r#"{"vehicle_id":"veh-1","can_id":"0x1F0","timestamp":"2026-11-28T04:00:00.125Z","payload":{"gear":2}}"#
        ]
    );
    assert_eq!(
        refused(FLEET, "fleet/veh-1/can/0x1F0", "7"),
        ["not_an_object"]
    );
}

#[test]
fn a_sample_with_a_time_has_the_same_id_each_time_that_it_comes() {
    let sample = r#"{"value":1,"timestamp":1795838400000}"#;
    let once = sound(HOME, "home/kitchen/temperature", sample);
    assert_eq!(once, sound(HOME, "home/kitchen/temperature", sample));
    let elsewhere = sound(HOME, "home/hall/temperature", sample);
    let id = |event: &str| event.split("event_id").nth(1).unwrap()[3..39].to_owned();
    assert_ne!(id(&once[0]), id(&elsewhere[0]));
    let own = r#"{"value":1,"timestamp":1795838400000,"event_id":"mine"}"#;
    assert!(sound(HOME, "home/kitchen/temperature", own)[0].ends_with(&own[1..]));
    // Neither time nor id: sent again after a crash it would be another sample.
    assert_eq!(
        refused(HOME, "home/kitchen/temperature", r#"{"value":1}"#),
        ["missing_field"]
    );
    assert_eq!(
        sound(
            HOME,
            "home/kitchen/temperature",
            r#"{"value":1,"event_id":"a"}"#
        )
        .len(),
        1
    );
}

#[test]
fn what_is_no_event_is_refused_with_a_code() {
    let topic = "fleet/veh-1/can/0x1F0";
    for (payload, code) in [
        ("", "empty"),
        (" \n", "empty"),
        ("[]", "empty"),
        ("{", "invalid_json"),
        ("{\"a\":1}}", "invalid_json"),
        ("ON", "invalid_json"),
        ("NaN", "invalid_json"),
        ("\"x\"", "not_an_object"),
        ("{}", "missing_field"),
    ] {
        assert_eq!(refused(FLEET, topic, payload), [code], "{payload}");
    }
    let rules = Rules::parse(FLEET, &Kinds::builtin()).unwrap();
    let (rule, fields) = rules.rule(topic).unwrap();
    let fields = &fields;
    let bytes = rule.events(&Arrival {
        topic,
        fields,
        payload: b"\xff",
        at: at(),
    });
    assert_eq!(bytes[0].as_ref().unwrap_err().code, "invalid_json");
}

#[test]
fn a_level_is_escaped_and_is_a_number_where_the_field_is_one() {
    let rule = "[[rule]]\ntopic = \"c/{entity_id}/{schema_version}\"\nkind = \"cell\"\ntime = \"arrival\"\n\
        constants = { source = \"s\", entity_type = \"cell\" }\n";
    let events = sound(rule, "c/cell-1/1", r#"{"metrics":{"cqi":7}}"#);
    assert!(events[0].contains("\"schema_version\":1,"), "{events:?}");
    let event = made(rule, "c/a\"b/x", r#"{"metrics":{"cqi":7}}"#)
        .remove(0)
        .unwrap();
    assert!(
        event.contains(r#""entity_id":"a\"b","schema_version":"x""#),
        "{event}"
    );
}

#[test]
fn a_time_is_written_as_its_field_has_it() {
    let write = |format| written(at(), format);
    assert_eq!(write(TimeFormat::Rfc3339), "\"2026-11-28T04:00:00.125Z\"");
    assert_eq!(write(TimeFormat::EpochS), "1795838400.125");
    assert_eq!(write(TimeFormat::EpochMs), "1795838400125");
    assert_eq!(write(TimeFormat::EpochUs), "1795838400125000");
}
