//! The quick reader against the full one.

use proptest::prelude::*;

use super::*;
use crate::Kinds;
use crate::read::full;

const VEHICLE: &str = r#"{"timestamp":"2025-10-04T12:34:56.123Z","vehicle_id":"veh-00123","can_id":"0x1F0","payload":{"engine_rpm":2150,"brake_status":false,"gear":-1,"note":"ok","coolant_temp_c":88.5}}"#;
const CELL: &str = r#"{"event_id":"6f0e1b6e-0d0c-4a3e-8a59-2f9a3c1d7e11","schema_version":1,"source":"pmgen","event_time":"2025-12-29T20:45:12Z","entity_type":"cell","entity_id":"CELL-000123","metrics":{"dl_prb_util_pct":73.2,"rrc_conn_avg":18,"network_mode":"5G","drop_rate_pct":0.7}}"#;
const LINE: &str = r#"{"kind":"vehicle","event_id":"a-1","ingest_received_at":"2025-10-04T12:35:00.000Z","sender":"fleet-1","timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x1","payload":{"a":1,"b":true}}"#;
const STATION: &str =
    r#"{"at":"2025-10-04T12:34:56Z","id":"x y","note":"abba","values":{"t":1.5}}"#;

const METRIC: &str = r#"{"name":"cpu_usage","value":85.5,"timestamp":1759581296123,"entity":"h-1","tags":{"b":"x","a":"é"}}"#;
const PLAIN_METRIC: &str = r#"{"kind":"metric","event_id":"a-1","ingest_received_at":"2025-10-04T12:35:00.000Z","name":"cpu_usage","value":85,"timestamp":"2025-10-04T12:34:56Z"}"#;
const LENIENT: &str = r#"{"when":1759581296123,"who":"x","what":{"T.x":1.5,"A.bC":3,"n":0}}"#;

/// The built-in kinds, one that takes what senders have, and one that is closed and has other patterns.
fn kinds() -> Kinds {
    let folder = tempfile::tempdir().unwrap();
    let station = "kind = \"station\"\nversion = 1\nentity = { field = \"id\", pattern = 'x', max_length = 5 }\ntime = { field = \"at\" }\n[fields.note]\ntype = \"string\"\npattern = '^[ab]*$'\n[signals]\nfield = \"values\"\nopen = false\nmax = 2\n[signals.known]\nt = { type = \"number\" }\nu = { type = \"integer\", one_of = [1, 2] }\nv = { type = \"boolean\" }\n";
    std::fs::write(folder.path().join("station.toml"), station).unwrap();
    let lenient = "kind = \"lenient\"\nversion = 1\nentity = { field = \"who\" }\ntime = { field = \"when\", format = \"epoch_ms\" }\n[signals]\nfield = \"what\"\nnames = \"snake_case\"\nnulls = \"omit\"\nout_of_range = \"omit\"\n[signals.known]\nt = { type = \"number\", max = 2, from = \"T.x\" }\n";
    std::fs::write(folder.path().join("lenient.toml"), lenient).unwrap();
    Kinds::load(Some(folder.path())).unwrap()
}

fn origins() -> [Origin; 2] {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    [Origin::Client { now }, Origin::Server]
}

/// All of an event, numbers to the bit.
fn shown(event: &Event<'_>) -> String {
    let scalar = |value: &Scalar<'_>| match value {
        Scalar::Number(number) => format!("{:x}", number.to_bits()),
        other => format!("{other:?}"),
    };
    let fields: Vec<_> = event
        .fields
        .iter()
        .map(|(at, value)| (at, scalar(value)))
        .collect();
    let signals: Vec<_> = event
        .signals
        .iter()
        .map(|(name, value)| (name, scalar(value)))
        .collect();
    format!(
        "{} {:?} {:?} {:?} {:?} {:?} {fields:?} {signals:?} {:?} {}",
        event.kind.name,
        event.event_id,
        event.entity,
        event.time,
        event.received_at,
        event.sender,
        event.omitted,
        event.names_kind
    )
}

/// How many of the readings of `text` as any kind the quick reader takes; it must take none that
/// the full one refuses or reads as something else.
fn taken(kinds: &Kinds, text: &str) -> Result<usize, TestCaseError> {
    let mut taken = 0;
    for kind in kinds.iter() {
        for origin in origins() {
            let Some(quick) = read(kind, text, origin) else {
                continue;
            };
            taken += 1;
            match full::read(kind, text, origin) {
                Ok(full) => prop_assert_eq!(shown(&quick), shown(&full), "{}", text),
                Err(rejection) => prop_assert!(false, "{}: {}", text, rejection),
            }
        }
    }
    Ok(taken)
}

#[test]
fn usual_events_are_taken() {
    let kinds = kinds();
    for text in [VEHICLE, CELL, LINE, STATION, LENIENT] {
        assert_eq!(taken(&kinds, text).unwrap(), 1, "{text}");
        let spaced = format!(
            " {}\r\n",
            text.replace(',', " ,\n\t").replace("\":", "\" : ")
        );
        assert_eq!(taken(&kinds, &spaced).unwrap(), 1, "{spaced}");
    }
}

#[test]
fn what_stands_twice_or_is_missing_is_left_to_the_full_reader() {
    let kinds = kinds();
    for part in [
        r#""kind":"vehicle","#,
        r#""event_id":"a-1","#,
        r#""ingest_received_at":"2025-10-04T12:35:00.000Z","#,
        r#""sender":"fleet-1","#,
        r#""timestamp":"2025-10-04T12:34:56Z","#,
        r#""vehicle_id":"veh-1","#,
        r#""can_id":"0x1","#,
        r#""a":1,"#,
    ] {
        assert_eq!(LINE.matches(part).count(), 1, "{part}");
        let twice = LINE.replace(part, &part.repeat(2));
        assert_eq!(taken(&kinds, &twice).unwrap(), 0, "{twice}");
        if ![r#""sender":"fleet-1","#, r#""a":1,"#].contains(&part) {
            let absent = LINE.replace(part, "");
            let kind = kinds.get("vehicle").unwrap();
            assert!(read(kind, &absent, Origin::Server).is_none(), "{absent}");
        }
    }
}

/// Pieces that turn an event into another, or into none.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[-+0-9.eE\"\\\\{}\\[\\]:, \\n\t]{0,3}",
        1 => "[ -~]{0,3}",
        1 => ".{0,2}",
        1 => r#"(null|true|false|NaN|\{\}|\[1\]|""|"x":1,|"gear":2,|"A":1,|"a":1,|\\u0041|"kind":"cell",|"u":1,|"t":2,|"v":true|"a":"y",|"name":"Value",|1759581296)"#,
    ]
}

fn change(text: &str, changes: &[(usize, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, length, with) in changes {
        let at = at % (chars.len() + 1);
        let end = (at + length).min(chars.len());
        chars.splice(at..end, with.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn changed_events_are_read_alike(
        text in prop::sample::select(vec![VEHICLE, CELL, LINE, STATION, LENIENT, METRIC, PLAIN_METRIC]),
        changes in prop::collection::vec((0_usize..400, 0_usize..4, piece()), 0..4),
    ) {
        thread_local!(static KINDS: Kinds = kinds());
        KINDS.with(|kinds| taken(kinds, &change(text, &changes)))?;
    }

    #[test]
    fn every_spelling_of_a_number_is_read_to_the_same_bit(
        number in prop_oneof![
            "-?(0|[1-9][0-9]{0,24})",
            "-?[0-9]{1,3}\\.[0-9]{1,25}",
            "-?[0-9]{1,20}(\\.[0-9]{1,12})?([eE][-+]?[0-9]{1,3})?",
            "-?0\\.0{0,24}[0-9]{1,4}",
            "-?90071992547409[0-9]{2}(\\.[0-9]{1,3})?",
            any::<f64>().prop_map(|number| format!("{number:?}")),
            any::<f64>().prop_map(|number| format!("{number:e}")),
            (-1e7..1e7_f64).prop_map(|number| format!("{number}")),
            any::<i64>().prop_map(|number| number.to_string()),
        ],
    ) {
        thread_local!(static KINDS: Kinds = kinds());
        let text = LINE.replace("\"a\":1", &format!("\"a\":{number}"));
        KINDS.with(|kinds| taken(kinds, &text))?;
    }
}

#[test]
fn usual_numbers_are_taken() {
    let kinds = kinds();
    for number in [
        "0",
        "-0",
        "-0.0",
        "1.5",
        "73.19999999999999",
        "1e-7",
        "-2E+5",
        "9007199254740992",
        "0.1234567890123456789",
    ] {
        let text = LINE.replace("\"a\":1", &format!("\"a\":{number}"));
        assert_eq!(taken(&kinds, &text).unwrap(), 1, "{number}");
    }
}
