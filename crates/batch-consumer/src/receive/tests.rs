//! Messages of all sorts, decoded.

use std::collections::BTreeMap;

use proptest::prelude::*;

use aws::Message;
use contract::{Kinds, Unpacker};

use super::contents::{Contents, EventMark};
use super::dead_letter::{MANY_BROKEN, UNDECODABLE};
use super::decode::read_lines;
use super::refused::MAX_LETTERS;

fn decode(kinds: &Kinds, message: &Message) -> Contents {
    super::decode::decode(kinds, &mut Unpacker::default(), message)
}

const SENT: &str = r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x1F0","payload":{"engine_rpm":2150}}"#;
const BROKEN: &str = r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":7,"can_id":"0x1F0","payload":{"engine_rpm":2150}}"#;

fn stored(id: &str) -> String {
    format!(
        r#"{{"kind":"vehicle","event_id":"{id}","ingest_received_at":"2025-10-04T12:34:57.000Z",{}"#,
        &SENT[1..]
    )
}

fn plain(body: &str) -> Message {
    Message {
        id: "m-1".into(),
        receipt_handle: "r-1".into(),
        body: body.into(),
        attributes: BTreeMap::new(),
        sent_at: "2025-10-04T12:35:00.200Z".parse().unwrap(),
        receive_count: 1,
    }
}

fn pack(lines: &str) -> Message {
    let packs = contract::Packer::new().unwrap().pack(lines.as_bytes());
    let pack = &packs.unwrap()[0];
    Message {
        attributes: pack.attributes(),
        ..plain(&pack.body)
    }
}

fn reasons(contents: &Contents) -> Vec<&str> {
    contents
        .letters
        .iter()
        .map(|letter| letter.reason)
        .collect()
}

fn text(contents: &Contents) -> &str {
    std::str::from_utf8(&contents.lines).unwrap()
}

#[test]
fn the_lines_of_a_pack_stay_as_they_are() {
    let kinds = Kinds::builtin();
    let lines = format!("{}\n{}\n", stored("a"), stored("b"));
    let contents = decode(&kinds, &pack(&lines));
    assert_eq!(text(&contents), lines);
    assert_eq!(contents.letters, []);
    let mark = EventMark::new(
        "2025-10-04T12:34:56Z".parse().unwrap(),
        "2025-10-04T12:34:57Z".parse().unwrap(),
    );
    assert_eq!(contents.events, [mark; 2]);
}

#[test]
fn blank_lines_of_a_pack_are_left_out() {
    let kinds = Kinds::builtin();
    let lines = format!("\n{}\n \n\n{}\n", stored("a"), stored("b"));
    let contents = decode(&kinds, &pack(&lines));
    assert_eq!(
        text(&contents),
        format!("{}\n{}\n", stored("a"), stored("b"))
    );
    assert_eq!((contents.events.len(), contents.letters.len()), (2, 0));
}

#[test]
fn the_last_line_of_a_pack_is_ended_by_a_line_feed() {
    let kinds = Kinds::builtin();
    let (a, b) = (stored("a"), stored("b"));
    for (sent, kept) in [
        (format!("{a}\n{b}"), format!("{a}\n{b}\n")),
        (format!("{a}\n\n{b}"), format!("{a}\n{b}\n")),
        (format!("{a}\n{SENT}"), format!("{a}\n")),
        (SENT.to_owned(), String::new()),
    ] {
        let contents = read_lines(&kinds, &plain(""), sent, 0).unwrap();
        assert_eq!(text(&contents), kept);
    }
}

#[test]
fn a_line_that_breaks_its_contract_leaves_a_pack_alone() {
    let kinds = Kinds::builtin();
    let unstored = SENT;
    let lines = format!(
        "{}\n{unstored}\n{{\"truncat\n{}\n",
        stored("a"),
        stored("b")
    );
    let contents = decode(&kinds, &pack(&lines));
    assert_eq!(
        text(&contents),
        format!("{}\n{}\n", stored("a"), stored("b"))
    );
    assert_eq!(reasons(&contents), ["missing_field", "invalid_json"]);
    let letter = &contents.letters[1].outgoing;
    assert_eq!(letter.body, "{\"truncat");
    assert_eq!(letter.attributes["source_message_id"], "m-1");
    assert!(letter.attributes["detail"].contains("not valid JSON"));
}

#[test]
fn bodies_that_cannot_be_read_are_kept_whole_with_their_attributes() {
    let kinds = Kinds::builtin();
    let mut newer = pack(&stored("a"));
    newer.attributes.insert("version".into(), "2".into());
    let mut garbled = pack(&stored("a"));
    garbled.body = "!!!".into();
    let mut cut = pack(&stored("a"));
    cut.body.truncate(cut.body.len() / 8 * 4);
    for (message, detail) in [
        (newer, "version `2`"),
        (garbled, "base64"),
        (cut, "zstd"),
        (plain("hello\nworld"), "not valid JSON"),
        (plain("[]"), "no event"),
        (plain("[{\"a\":1},"), "not JSON"),
        (pack("neither\nof these\n"), "not valid JSON"),
    ] {
        let contents = decode(&kinds, &message);
        assert_eq!(reasons(&contents), [UNDECODABLE], "{}", message.body);
        let letter = &contents.letters[0].outgoing;
        assert_eq!(letter.body, message.body);
        assert_eq!(
            letter.attributes.get("codec"),
            message.attributes.get("codec")
        );
        assert!(letter.attributes["detail"].contains(detail), "{letter:?}");
        assert!(contents.lines.is_empty() && contents.events.is_empty());
    }
}

#[test]
fn plain_events_get_the_servers_fields_from_the_message() {
    let kinds = Kinds::builtin();
    for body in [
        SENT.to_owned(),
        format!("[{SENT},{SENT}]"),
        format!("{SENT}\r\n\n{SENT}"),
        SENT.replace(',', ",\n  "),
    ] {
        let contents = decode(&kinds, &plain(&body));
        assert_eq!(contents.letters, [], "{body}");
        assert_eq!(text(&contents).lines().count(), contents.events.len());
        for (mark, line) in contents.events.iter().zip(text(&contents).lines()) {
            let event = contract::parse_line(&kinds, line).unwrap();
            assert_eq!(event.received_at, Some(plain("").sent_at));
            assert_eq!(*mark, EventMark::new(event.time, plain("").sent_at));
        }
    }
}

#[test]
fn a_redelivery_gives_the_same_lines() {
    let kinds = Kinds::builtin();
    let first = plain(&format!("{SENT}\n{BROKEN}"));
    let again = Message {
        receipt_handle: "r-2".into(),
        receive_count: 2,
        ..first.clone()
    };
    assert_eq!(decode(&kinds, &first), decode(&kinds, &again));
}

#[test]
fn equal_samples_of_a_plain_message_are_two_and_the_same_two_at_each_delivery() {
    let kinds = Kinds::builtin();
    let first = plain(r#"[{"name":"up","value":1},{"name":"up","value":1}]"#);
    let again = Message {
        receipt_handle: "r-2".into(),
        receive_count: 2,
        ..first.clone()
    };
    let contents = decode(&kinds, &first);
    assert_eq!(decode(&kinds, &again), contents);
    let ids: Vec<_> = text(&contents)
        .lines()
        .map(|line| {
            let event = contract::parse_line(&kinds, line).unwrap();
            assert_eq!(event.time, first.sent_at);
            event.event_id.unwrap().into_owned()
        })
        .collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn lines_with_the_servers_fields_keep_them_in_a_plain_message() {
    let kinds = Kinds::builtin();
    let body = format!("{}\n{SENT}", stored("a"));
    let contents = decode(&kinds, &plain(&body));
    assert_eq!(contents.letters, []);
    assert!(text(&contents).starts_with(&stored("a")));
    assert_eq!(contents.events.len(), 2);
}

#[test]
fn a_broken_stored_line_is_refused_for_what_is_wrong_with_it() {
    let kinds = Kinds::builtin();
    let broken = stored("a").replace("\"veh-1\"", "7");
    let contents = decode(&kinds, &plain(&broken));
    assert_eq!(reasons(&contents), ["wrong_type"]);
    assert_eq!(contents.letters[0].outgoing.body, broken);
}

#[test]
fn a_value_that_reads_like_a_servers_field_makes_no_stored_line() {
    let kinds = Kinds::builtin();
    let odd = SENT.replace("veh-1", "ingest_received_at");
    let contents = decode(&kinds, &plain(&odd));
    assert_eq!(contents.letters, []);
    assert_eq!(contents.events.len(), 1);
}

#[test]
fn a_message_of_too_many_broken_events_is_one_letter_and_its_good_ones_are_kept() {
    let kinds = Kinds::builtin();
    let broken = vec![BROKEN; MAX_LETTERS + 1].join("\n");
    let message = plain(&format!("{SENT}\n{broken}"));
    let contents = decode(&kinds, &message);
    assert_eq!(reasons(&contents), [MANY_BROKEN]);
    assert_eq!(contents.letters[0].outgoing.body, message.body);
    assert_eq!(contents.events.len(), 1);
    let detail = &contents.letters[0].outgoing.attributes["detail"];
    assert!(detail.starts_with("1001 of 1002 events"), "{detail}");
}

proptest! {
    #[test]
    fn no_message_makes_decode_panic_or_vanish(body in ".{1,300}", packed in any::<bool>()) {
        let kinds = Kinds::builtin();
        let mut message = plain(&body);
        if packed {
            message = pack(&format!("{body}\n"));
        }
        let contents = decode(&kinds, &message);
        prop_assert!(body.trim().is_empty() || !contents.letters.is_empty() || !contents.events.is_empty());
    }
}
