//! Line protocol.

use crate::bodies::{MILLIS, read, read_mapped};
use protocols::{Api, Form, Precision};
use serde_json::{Value, json};

const V2: Form = Form::Lines(Api::V2, Precision::Nanos);

#[test]
fn each_field_of_a_line_is_a_sample() {
    let text = format!(
        "# a comment\n\ncpu,host=h\\ 1,zone=eu usage=0.5,idle=3i,up=t,big=18446744073709551615u,os=\"linux\" {MILLIS}000007\n\
         temp value=21.5 {MILLIS}000000\n"
    );
    let got = read(V2, text.as_bytes());
    let sample = |name: &str, value: Value| {
        json!({"name": name, "value": value, "timestamp": 1_759_581_296_000.000_007_f64, "entity": "h_1",
            "tags": {"host": "h 1", "zone": "eu"}})
    };
    let found: Vec<(&str, f64)> = got
        .events
        .iter()
        .map(|event| {
            (
                event["name"].as_str().unwrap(),
                event["value"].as_f64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("cpu_usage", 0.5),
        ("cpu_idle", 3.0),
        ("cpu_up", 1.0),
        ("cpu_big", 18_446_744_073_709_551_616.0),
        ("temp", 21.5),
    ];
    assert_eq!(found, expected);
    assert_eq!(got.events[0]["tags"], sample("", json!(0))["tags"]);
    assert_eq!(got.events[0]["entity"], "h_1");
    let report = &got.read.report;
    assert_eq!((report.points, report.refused, report.left_out), (2, 0, 1));
    assert_eq!((got.answer.status, got.answer.body.len()), (204, 0));
}

#[test]
fn a_broken_line_spoils_no_other_and_the_answer_is_that_of_each_version() {
    let good = format!("a value=1 {MILLIS}000000");
    let text = format!("{good}\nno fields\n{good}\nb value=1 5\n");
    let body = |api| {
        let got = read(Form::Lines(api, Precision::Nanos), text.as_bytes());
        assert_eq!((got.events.len(), got.answer.status), (2, 400));
        serde_json::from_slice::<Value>(&got.answer.body).unwrap()
    };
    let two = body(Api::V2);
    assert_eq!(two["code"], "invalid");
    let said = two["message"].as_str().unwrap();
    assert!(
        said.contains("line 2: unable to parse `no fields`")
            && said.contains("line 4: `timestamp`"),
        "{said}"
    );
    assert!(said.ends_with("dropped=2"), "{said}");
    assert_eq!(body(Api::V1), json!({"error": said}));
    let three = body(Api::V3);
    assert_eq!(three["data"][0]["line_number"], 2);
    let mut bytes = good.clone().into_bytes();
    bytes.extend(b"\n\xff value=1\n");
    let got = read(V2, &bytes);
    assert_eq!((got.events.len(), got.read.report.refused), (1, 1));
}

#[test]
fn times_have_the_unit_that_is_said() {
    for (unit, time) in [
        ("ns", "1759581296000000000"),
        ("us", "1759581296000000"),
        ("ms", "1759581296000"),
        ("s", "1759581296"),
    ] {
        let form = Form::Lines(Api::V2, unit.parse().unwrap());
        let got = read(form, format!("a value=1 {time}").as_bytes());
        assert_eq!(got.events[0]["timestamp"], MILLIS, "{unit}");
        let got = read(
            Form::Lines(Api::V3, Precision::Auto),
            format!("a value=1 {time}").as_bytes(),
        );
        assert_eq!(got.events[0]["timestamp"], MILLIS, "{unit}");
    }
    assert!(
        "fortnight"
            .parse::<Precision>()
            .unwrap_err()
            .contains("ns, us, ms or s")
    );
    let seconds = Form::Lines(Api::V2, Precision::Seconds);
    let got = read(seconds, b"a value=1 1759581296000000000");
    assert!(
        got.read.report.reasons[0].1.contains("precision"),
        "{:?}",
        got.read
    );
    let got = read(V2, b"a value=1");
    assert_eq!(got.events[0].get("timestamp"), None);
}

#[test]
fn a_rule_makes_one_event_of_a_line() {
    let rule = r#"
        [[map]]
        from = "influx"
        name = "car"
        kind = "vehicle"
        entity = "vin"
        constants.can_id = "0x1F0"
        signals.engine_rpm = "rpm"
    "#;
    let line = format!("car,vin=v-1 rpm=2150i,brake=f,mode=\"eco\" {MILLIS}000000");
    let got = read_mapped(V2, line.as_bytes(), rule).unwrap();
    assert_eq!(
        got.events,
        [
            json!({"vehicle_id": "v-1", "timestamp": "2025-10-04T12:34:56Z", "can_id": "0x1F0",
            "payload": {"engine_rpm": 2150, "brake": false, "mode": "eco"}})
        ]
    );
}
