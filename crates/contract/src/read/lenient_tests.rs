//! Kinds that take what senders have: numbers for times, nulls, values out of range, names of their own.

use chrono::{DateTime, Utc};

use crate::{Code, Event, Kinds, derive_event_id, parse_line, parse_sent, write_line};

fn kinds(time: &str, signals: &str) -> Kinds {
    let folder = tempfile::tempdir().unwrap();
    let declaration = format!(
        "kind = \"station\"\nversion = 1\nentity = {{ field = \"id\" }}\n[time]\nfield = \"at\"\n{time}\n\
         [signals]\nfield = \"values\"\n{signals}"
    );
    std::fs::write(folder.path().join("station.toml"), declaration).unwrap();
    Kinds::load(Some(folder.path())).unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-09-21T14:13:30Z".parse().unwrap()
}

fn event(at: &str, values: &str) -> String {
    format!(r#"{{"id":"s-1","at":{at},"values":{{{values}}}}}"#)
}

fn code(kinds: &Kinds, text: &str) -> Code {
    parse_sent(kinds, None, text, now()).unwrap_err().code
}

fn numbers(event: &Event<'_>) -> Vec<(String, f64)> {
    let signals = event.signals.iter();
    let numbers = signals.map(|(name, value)| (name.to_string(), value.as_number().unwrap()));
    numbers.collect()
}

fn named<const N: usize>(numbers: [(&str, f64); N]) -> Vec<(String, f64)> {
    numbers
        .map(|(name, number)| (name.to_owned(), number))
        .to_vec()
}

/// The event of its stored line, which must be the same, with the id derived of what was sent.
fn stored(kinds: &Kinds, text: &str) -> String {
    let event = parse_sent(kinds, None, text, now()).unwrap();
    let mut line = Vec::new();
    write_line(&mut line, &event, "2026-09-21T14:13:30.000Z", text);
    let line = String::from_utf8(line).unwrap();
    let stored = parse_line(kinds, &line).unwrap();
    let id = derive_event_id(&event).to_string();
    assert_eq!(stored.event_id.as_deref(), Some(id.as_str()));
    assert_eq!(derive_event_id(&stored).to_string(), id);
    assert_eq!((stored.time, &stored.signals), (event.time, &event.signals));
    assert_eq!(stored.omitted, event.omitted);
    line
}

#[test]
fn times_as_numbers_are_exact_and_lines_keep_them_as_sent() {
    for (format, number, time) in [
        ("epoch_s", "1790000000", "2026-09-21T14:13:20Z"),
        (
            "epoch_s",
            "1790000000.000000001",
            "2026-09-21T14:13:20.000000001Z",
        ),
        ("epoch_ms", "1790000000123", "2026-09-21T14:13:20.123Z"),
        (
            "epoch_us",
            "1790000000123456",
            "2026-09-21T14:13:20.123456Z",
        ),
    ] {
        let kinds = kinds(&format!("format = \"{format}\""), "");
        let text = event(number, "\"a\":1");
        let read = parse_sent(&kinds, None, &text, now()).unwrap();
        assert_eq!(read.time, time.parse::<DateTime<Utc>>().unwrap());
        assert!(stored(&kinds, &text).contains(&format!("\"at\":{number},")));
        // The same instant as a text has the same id.
        let as_text = self::kinds("format = \"rfc3339\"", "");
        let text = event(&format!("\"{time}\""), "\"a\":1");
        let other = parse_sent(&as_text, None, &text, now()).unwrap();
        assert_eq!(derive_event_id(&other), derive_event_id(&read));
    }
}

#[test]
fn numbers_that_are_no_sound_time_are_refused() {
    let kinds = kinds("format = \"epoch_ms\"", "");
    for (at, expected) in [
        ("1790000000", Code::TimestampOutOfRange),
        ("1790000000123456", Code::TimestampOutOfRange),
        ("1e300", Code::TimestampOutOfRange),
        ("-1e300", Code::TimestampOutOfRange),
        ("1700000000000", Code::TooOld),
        ("\"2026-09-21T14:13:20Z\"", Code::WrongType),
        ("null", Code::WrongType),
        ("[1]", Code::WrongType),
    ] {
        assert_eq!(code(&kinds, &event(at, "\"a\":1")), expected, "{at}");
    }
    let twice = event("1790000000000,\"at\":1790000000000", "\"a\":1");
    assert_eq!(code(&kinds, &twice), Code::DuplicateField);
    let unit = parse_sent(&kinds, None, &event("1790000000", "\"a\":1"), now()).unwrap_err();
    let shown = "`1790000000` milliseconds, 1970-01-21T17:13:20.000Z";
    assert!(unit.message.contains(shown), "{unit}");
}

#[test]
fn what_is_omitted_is_named_and_its_neighbours_stand() {
    let known = "[signals.known]\nrpm = { type = \"number\", min = 0, max = 100 }";
    let lenient = kinds(
        "",
        &format!("nulls = \"omit\"\nout_of_range = \"omit\"\n{known}"),
    );
    let at = "\"2026-09-21T14:13:20Z\"";
    let text = event(at, "\"rpm\":101,\"a\":1,\"b\":null,\"c\":2");
    let read = parse_sent(&lenient, None, &text, now()).unwrap();
    assert_eq!(numbers(&read), named([("a", 1.0), ("c", 2.0)]));
    let omitted: Vec<_> = read
        .omitted
        .iter()
        .map(|unfit| (unfit.code, unfit.field.as_deref().unwrap()))
        .collect();
    assert_eq!(
        omitted,
        [
            (Code::OutOfRange, "values.rpm"),
            (Code::WrongType, "values.b")
        ]
    );
    stored(&lenient, &text);
    let without = event(at, "\"a\":1,\"c\":2");
    let whole = parse_sent(&lenient, None, &without, now()).unwrap();
    assert_eq!(derive_event_id(&whole), derive_event_id(&read));
    for (values, expected) in [
        ("\"rpm\":-1,\"b\":null", Code::NoSignals),
        ("\"b\":null,\"b\":1", Code::DuplicateField),
        ("\"b\":1,\"B\":null", Code::DuplicateField),
        ("\"rpm\":\"fast\",\"a\":1", Code::WrongType),
        ("\"a\":[null],\"c\":1", Code::NestedSignal),
    ] {
        assert_eq!(code(&lenient, &event(at, values)), expected, "{values}");
    }
    let strict = kinds("", known);
    assert_eq!(
        code(&strict, &event(at, "\"a\":1,\"b\":null")),
        Code::WrongType
    );
    assert_eq!(
        code(&strict, &event(at, "\"a\":1,\"rpm\":101")),
        Code::OutOfRange
    );
}

#[test]
fn foreign_names_become_names_of_columns_and_lines_keep_them_as_sent() {
    let known =
        "[signals.known]\nprb_pct = { type = \"number\", max = 100, from = \"RRU.PrbTotDl\" }";
    let lenient = kinds("", &format!("names = \"snake_case\"\n{known}"));
    let at = "\"2026-09-21T14:13:20Z\"";
    let text = event(at, "\"RRU.PrbUsedDl\":7,\"RRU.PrbTotDl\":50,\"plain\":1");
    let read = parse_sent(&lenient, None, &text, now()).unwrap();
    let expected = [("rru_prb_used_dl", 7.0), ("prb_pct", 50.0), ("plain", 1.0)];
    assert_eq!(numbers(&read), named(expected));
    assert!(stored(&lenient, &text).contains("RRU.PrbUsedDl"));
    for (values, expected) in [
        ("\"RRU.PrbTotDl\":101", Code::OutOfRange),
        ("\"RRU.PrbTotDl\":1,\"prb_pct\":2", Code::DuplicateField),
        ("\"a.b\":1,\"A-B\":2", Code::DuplicateField),
        ("\"event.time\":1", Code::InvalidFormat),
        ("\"\":1", Code::InvalidFormat),
    ] {
        assert_eq!(code(&lenient, &event(at, values)), expected, "{values}");
    }
    let by_name_alone = kinds("", known);
    let text = event(at, "\"RRU.PrbTotDl\":50");
    let read = parse_sent(&by_name_alone, None, &text, now()).unwrap();
    assert_eq!(numbers(&read), named([("prb_pct", 50.0)]));
    assert_eq!(
        code(&by_name_alone, &event(at, "\"RRU.PrbUsedDl\":7")),
        Code::InvalidFormat
    );
}
