//! Which kind an event is of.

use super::{CELL, VEHICLE, now};
use crate::{Code, Kinds, Scalar, SentReader, parse_sent};

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
