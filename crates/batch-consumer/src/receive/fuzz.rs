//! Messages that nearly make sense: what is no event becomes a letter, and letters can be read again.

use std::collections::BTreeMap;

use aws::Message;
use contract::{Kinds, Packer, Unpacker};
use fuzz::Corpus;

use super::decode::{decode, read_lines};

const SENT: &str = r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x1F0","payload":{"engine_rpm":2150}}"#;
const STORED: &str = r#"{"kind":"vehicle","event_id":"e-1","ingest_received_at":"2025-10-04T12:34:57.000Z","timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x1F0","payload":{"engine_rpm":2150}}"#;
const NOTICE: &str = r#"{"Type":"Notification","MessageId":"x","TopicArn":"arn","Message":"{}","Timestamp":"2025-10-04T12:34:56Z"}"#;

const TOKENS: &[&str] = &[
    "\n",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    "null",
    "1",
    "\\",
    "\0",
    "\"kind\":\"cell\",",
    "\"ingest_received_at\":",
    "2125-10-04T12:34:57.000Z",
    "1970-01-01T00:00:00.000Z",
    "\"event_id\":\"e-2\",",
    "\"Records\":[",
    "\u{feff}",
    "\"sender\":\"x\",",
];

fn message(body: String, attributes: BTreeMap<String, String>) -> Message {
    Message {
        id: "m-1".into(),
        receipt_handle: "r-1".into(),
        body,
        attributes,
        sent_at: "2025-10-04T12:35:00.200Z".parse().unwrap_or_default(),
        receive_count: 1,
    }
}

/// Of a message that is read, nothing is lost: each of its lines is an event or in a letter, and each letter tells why.
fn check(kinds: &Kinds, message: &Message, lines: Option<&str>) -> Result<(), String> {
    let contents = match lines {
        Some(text) => match read_lines(kinds, message, text.to_owned(), 1) {
            Ok(contents) => contents,
            // The message goes as a whole.
            Err(_) => return Ok(()),
        },
        None => decode(kinds, &mut Unpacker::default(), message),
    };
    let text = std::str::from_utf8(&contents.lines).map_err(|error| error.to_string())?;
    if text.lines().count() != contents.events.len() {
        return Err(format!(
            "{} events are told of {text:?}",
            contents.events.len()
        ));
    }
    for line in text.lines() {
        contract::parse_line(kinds, line).map_err(|rejection| format!("{rejection}: {line}"))?;
    }
    if contents
        .letters
        .iter()
        .any(|letter| letter.reason.is_empty())
    {
        return Err("a letter without a reason".to_owned());
    }
    let is_nothing = contents.events.is_empty() && contents.letters.is_empty();
    let was_something = lines
        .unwrap_or(&message.body)
        .lines()
        .any(|line| !line.trim().is_empty());
    if is_nothing && was_something {
        return Err("it is gone".to_owned());
    }
    Ok(())
}

#[test]
fn fuzz_message() {
    let kinds = Kinds::builtin();
    let many = format!("[{SENT},{SENT}]");
    let lines = format!("{STORED}\n{SENT}\n");
    let sound = [SENT, STORED, NOTICE, &many, &lines].map(str::as_bytes);
    let corpus = Corpus {
        sound: &sound,
        tokens: TOKENS,
    };
    fuzz::run("message", corpus, |bytes| {
        let body = String::from_utf8_lossy(bytes).into_owned();
        check(&kinds, &message(body, BTreeMap::new()), None)
    });
}

#[test]
fn fuzz_letter() {
    let kinds = Kinds::builtin();
    let lines = format!("{STORED}\n").repeat(3);
    let packs = Packer::new().and_then(|mut packer| packer.pack(lines.as_bytes()));
    let attributes = packs.map(|packs| packs[0].attributes()).unwrap_or_default();
    let sound = [STORED, &lines].map(str::as_bytes);
    let corpus = Corpus {
        sound: &sound,
        tokens: TOKENS,
    };
    fuzz::run("letter", corpus, |bytes| {
        let lines = String::from_utf8_lossy(bytes);
        check(
            &kinds,
            &message(String::new(), attributes.clone()),
            Some(&lines),
        )
    });
}
