//! Lines as they are stored, and what holds for any event.

use proptest::prelude::*;

use super::{VEHICLE, now};
use crate::{Code, Kinds, Receipt, derive_event_id, parse_line, parse_sent, write_line};

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

#[test]
fn a_line_tells_who_sent_it_and_the_event_is_the_same() {
    let kinds = Kinds::builtin();
    let event = parse_sent(&kinds, None, VEHICLE, now()).unwrap();
    let stored = |sender| {
        let receipt = Receipt {
            at: "2025-10-04T12:34:57.000Z",
            sender,
        };
        let mut line = Vec::new();
        write_line(&mut line, &event, receipt, VEHICLE);
        String::from_utf8(line).unwrap()
    };
    let (named, unnamed) = (stored(Some("fleet-1")), stored(None));
    let (named, unnamed) = (
        parse_line(&kinds, &named).unwrap(),
        parse_line(&kinds, &unnamed).unwrap(),
    );
    assert_eq!(named.sender.as_deref(), Some("fleet-1"));
    assert_eq!(unnamed.sender, None);
    assert_eq!(named.event_id, unnamed.event_id);
    assert_eq!(derive_event_id(&named), derive_event_id(&unnamed));
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
