//! Bodies, lines, packs and declarations that nearly make sense.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::ControlFlow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use contract::{
    Envelope, Event, Format, Kinds, Packer, Receipt, Rejection, SentReader, Unpacker,
    derive_event_id, each_text, parse_line, parse_sent, write_line,
};
use fuzz::Corpus;

const VEHICLE: &str = r#"{"timestamp":"2025-10-04T12:34:56.123Z","vehicle_id":"veh-00123","can_id":"0x1F0","payload":{"engine_rpm":2150,"brake_status":false,"note":"ok \u00e9","x":-1.5e-3}}"#;
const CELL: &str = r#"{"event_id":"6f0e","schema_version":1,"source":"pmgen","event_time":"2025-12-29T20:45:12+01:00","entity_type":"cell","entity_id":"CELL-000123","metrics":{"dl_prb_util_pct":73.2,"rrc_conn_avg":18}}"#;
const METRIC: &str = r#"{"kind":"metric","name":"cpu_usage","value":85.5,"timestamp":1759581296123,"entity":"h-1","tags":{"b":"x","a":"é"}}"#;
const LINE: &str = r#"{"kind":"vehicle","event_id":"a-1","ingest_received_at":"2025-10-04T12:35:00.000Z","sender":"fleet-1","timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x1","payload":{"a":1,"b":true}}"#;

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\n",
    "\r\n",
    "null",
    "true",
    "0",
    "-0",
    "1e999",
    "9007199254740993",
    "NaN",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\0",
    "\"a\":1,",
    "\"A\":1,",
    "\"kind\":\"cell\",",
    "\"kind\":\"vehicle\",",
    "\"event_id\":\"\",",
    "\"sender\":\"x\",",
    "\"payload\":{}",
    "\"metrics\":{",
    "\"_more\":1,",
    "\"hour\":1,",
    "2025-13-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "+24:00",
    "{\"timestamp\":\"2025-10-04T12:34:56Z\",",
    "\u{202e}",
];

fn now() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// Whether the line is the event that was sent.
fn is_stored(kinds: &Kinds, event: &Event<'_>, line: &str) -> Result<(), String> {
    if line.trim_end().contains(['\n', '\r']) {
        return Err(format!("more than a line: {line:?}"));
    }
    let stored = parse_line(kinds, line).map_err(|rejection| format!("{rejection}: {line}"))?;
    let id = match &event.event_id {
        Some(id) => id.to_string(),
        None => derive_event_id(event).to_string(),
    };
    let same = event.kind.name == stored.kind.name
        && event.entity == stored.entity
        && event.fields == stored.fields
        && event.signals == stored.signals
        && (event.kind.time.defaults_to_arrival || event.time == stored.time)
        && stored.sender.as_deref() == Some("fleet-1")
        && stored.event_id.as_deref() == Some(&*id);
    if same {
        Ok(())
    } else {
        Err(format!("{event:?} is stored as {stored:?}"))
    }
}

#[test]
fn fuzz_body() {
    let kinds = Kinds::builtin();
    let array = format!("[{VEHICLE},{CELL},\n{METRIC}]");
    let ndjson = format!("{VEHICLE}\n\n{METRIC}\r\n{CELL}");
    let sound = [VEHICLE, CELL, METRIC, &array, &ndjson].map(str::as_bytes);
    let corpus = Corpus {
        sound: &sound,
        tokens: JSON,
    };
    let receipt = Receipt {
        at: "2026-01-01T00:00:00.000Z",
        sender: Some("fleet-1"),
    };
    fuzz::run("body", corpus, |body| {
        for format in [Format::Json, Format::Ndjson, Format::Any] {
            let mut reader = SentReader::new(&kinds, None);
            let mut wrong = Ok(());
            let take = |text: Result<&str, Rejection>, _| {
                let Ok(text) = text else {
                    return ControlFlow::Continue(());
                };
                if let Ok(event) = reader.read(text, now()) {
                    let mut line = Vec::new();
                    write_line(&mut line, &event, receipt, text);
                    wrong = String::from_utf8(line)
                        .map_err(|error| error.to_string())
                        .and_then(|line| is_stored(&kinds, &event, &line));
                }
                match wrong {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            };
            // A body that breaks off says so; what came before was taken.
            let _ = each_text(body, format, take);
            wrong?;
        }
        Ok(())
    });
}

#[test]
fn fuzz_line() {
    let kinds = Kinds::builtin();
    let start = r#"{"kind":"cell","ingest_received_at":"2026-01-01T00:00:00.000Z","#;
    let cell = format!("{start}{}", &CELL[1..]);
    let sound = [LINE.as_bytes(), cell.as_bytes()];
    let corpus = Corpus {
        sound: &sound,
        tokens: JSON,
    };
    fuzz::run("line", corpus, |bytes| {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let Ok(event) = parse_line(&kinds, text) else {
            return Ok(());
        };
        if event.received_at.is_none() || event.event_id.is_none() {
            return Err(format!("{event:?} lacks what the server adds"));
        }
        match parse_sent(&kinds, None, text, now()) {
            Ok(_) => Err("a client may not say when ingest had it".to_owned()),
            Err(_) => Ok(()),
        }
    });
}

#[test]
fn fuzz_pack() {
    let lines = format!("{LINE}\n").repeat(20);
    let mut packer = Packer::new().unwrap();
    let pack = packer.pack(lines.as_bytes()).unwrap().remove(0);
    let attributes = pack.attributes();
    let frame = STANDARD.decode(&pack.body).unwrap();
    let bomb = zstd::encode_all(&vec![b'\n'; 80 << 20][..], 3).unwrap();
    // The bomb takes as long as hundreds of others.
    let mut sound: Vec<&[u8]> = vec![&frame; 300];
    sound.extend([&bomb[..], &[]]);
    let corpus = Corpus {
        sound: &sound,
        tokens: &["(", "\u{b5}/", "\0", "P*M\u{18}", "A", "=", "\n"],
    };
    fuzz::run("pack", corpus, |bytes| {
        let mut unpacker = Unpacker::default();
        for body in [&*STANDARD.encode(bytes), &*String::from_utf8_lossy(bytes)] {
            match Envelope::read(body, &attributes).text(&mut unpacker) {
                Ok(text) if text.len() > 64 << 20 => {
                    return Err(format!("unfolds to {} bytes", text.len()));
                }
                _ => {}
            }
        }
        // The same memory reads a sound one afterwards.
        match Envelope::read(&pack.body, &attributes).text(&mut unpacker) {
            Ok(text) if text == lines => Ok(()),
            other => Err(format!("a sound pack is read as {other:?}")),
        }
    });
}

/// A declaration is taken or refused in words, and spoils none of the others.
#[test]
fn fuzz_declaration() {
    let sound = ["vehicle", "cell", "metric", "chat"].map(|kind| {
        let path = format!("{}/kinds/{kind}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        text.replacen(&format!("\"{kind}\""), "\"mine\"", 1)
    });
    let sound = sound.each_ref().map(String::as_bytes);
    let corpus = Corpus {
        sound: &sound,
        tokens: &[
            "[",
            "]",
            "=",
            "\"",
            "'",
            "\n",
            "#",
            "nan",
            "inf",
            "-1",
            "0",
            "1e400",
            "true",
            "18446744073709551616",
            "\n[fields.x]\n",
            "\n[signals]\n",
            "\n[signals.known]\n",
            "\n[signals.derived.x]\n",
            "\ntype = \"number\"\n",
            "\ntype = \"labels\"\n",
            "\none_of = []\n",
            "\npattern = '(((((a{1000}){1000})'\n",
            "\npattern = '^(a|b)*$'\n",
            "\nmin = nan\n",
            "\nmax_length = 0\n",
            "\nmax_age_days = 99999999999\n",
            "\nnames = \"snake_case\"\n",
            "\nentity = { field = \"kind\" }\n",
            "\nfrom = \"x\"\n",
            "\nkind = \"vehicle\"\n",
            "\naliases = [\"events.chat\"]\n",
            "\0",
        ],
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    fuzz::run("declaration", corpus, |text| {
        std::fs::write(&path, text).map_err(|error| error.to_string())?;
        let kinds = match Kinds::load(Some(folder.path())) {
            Ok(kinds) => kinds,
            Err(error) if error.to_string().is_empty() => return Err("no word".into()),
            Err(_) => return Ok(()),
        };
        for text in [VEHICLE, CELL, METRIC] {
            // Whatever it makes of them.
            let _ = parse_sent(&kinds, kinds.get("mine"), text, now());
        }
        let vehicle = parse_sent(&kinds, kinds.get("vehicle"), VEHICLE, now());
        vehicle
            .map(|_| ())
            .map_err(|rejection| format!("a vehicle beside it: {rejection}"))
    });
}
