//! Reads messages: good events become lines, the rest becomes dead letters. No I/O, no clock.

use std::ops::Range;

use aws::Message;
use chrono::{DateTime, Utc};
use contract::{
    ATTRIBUTE_CODEC, ATTRIBUTE_EVENTS, ATTRIBUTE_VERSION, Code, Event, Format, Hour, Kinds,
    Rejection, SentReader, Unpacker,
};
use memchr::memchr;

use crate::receive::dead_letter::{DeadLetter, MANY_BROKEN, MAX_LETTERS, UNDECODABLE, received_at};

/// No stored line is shorter: its names and times alone take more.
const SHORTEST_LINE: usize = 100;

/// What a message holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The lines of its good events, as they stand in `raw/`, each ended by a line feed.
    pub lines: Vec<u8>,
    /// One for each line, in their order.
    pub events: Vec<EventMark>,
    /// What could not be read, or breaks its contract.
    pub letters: Vec<DeadLetter>,
}

/// What is known of a line: two times, in milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMark {
    /// When the event happened.
    pub time_ms: i64,
    /// When ingest received it.
    pub received_at_ms: i64,
}

impl EventMark {
    /// The mark of an event with these times.
    pub fn new(time: DateTime<Utc>, received_at: DateTime<Utc>) -> EventMark {
        EventMark {
            time_ms: time.timestamp_millis(),
            received_at_ms: received_at.timestamp_millis(),
        }
    }

    /// The hour in which ingest received the event.
    pub fn hour(&self) -> Hour {
        Hour::of(at(self.received_at_ms))
    }
}

/// The time that is so many milliseconds after 1970 began.
pub(crate) fn at(ms: i64) -> DateTime<Utc> {
    // Marks are made of such times, so there is one.
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

impl Contents {
    /// Bytes that it takes in memory, about.
    pub(crate) fn size(&self) -> usize {
        let letters: usize = self.letters.iter().map(DeadLetter::size).sum();
        self.lines.len() + self.events.len() * size_of::<EventMark>() + letters
    }
}

/// Reads a message. The same message gives the same contents at each delivery, as long as the
/// kinds' declarations stay the same.
///
/// A message with a `codec` attribute is a pack of lines that ingest wrote. One without is JSON or
/// NDJSON: events as a client would send them to ingest, received when the message was sent, or
/// lines that have the server's fields already.
pub fn decode(kinds: &Kinds, unpacker: &mut Unpacker, message: &Message) -> Contents {
    let read = match message.attributes.get(ATTRIBUTE_CODEC) {
        Some(codec) => read_pack(kinds, unpacker, message, codec),
        None => read_plain(kinds, message),
    };
    read.unwrap_or_else(|detail| Contents {
        letters: vec![DeadLetter::of_message(message, UNDECODABLE, &detail)],
        ..Contents::default()
    })
}

fn read_pack(
    kinds: &Kinds,
    unpacker: &mut Unpacker,
    message: &Message,
    codec: &str,
) -> Result<Contents, String> {
    let version = message.attributes.get(ATTRIBUTE_VERSION);
    let version = version.map(String::as_str).unwrap_or_default();
    let text = unpacker
        .unpack(&message.body, codec, version)
        .map_err(|error| causes(&error))?;
    let (mut events, mut broken, mut cut) = (Vec::new(), Broken::default(), Vec::new());
    events.reserve_exact(told_events(message).min(text.len() / SHORTEST_LINE));
    let mut start = 0;
    while start < text.len() {
        let end = memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |at| start + at);
        let line = &text[start..end];
        let whole = start..text.len().min(end + 1);
        start = end + 1;
        if !line.starts_with('{') && line.trim().is_empty() {
            cut_out(&mut cut, whole);
            continue;
        }
        match contract::parse_line(kinds, line) {
            // A line that parses has its time of receipt.
            Ok(event) => events.push(EventMark::new(
                event.time,
                event.received_at.unwrap_or(message.sent_at),
            )),
            Err(rejection) => {
                broken.add(message, line, rejection);
                cut_out(&mut cut, whole);
            }
        }
    }
    let contents = Contents {
        lines: without(text.into_bytes(), &cut),
        events,
        letters: Vec::new(),
    };
    broken.finish(message, contents)
}

/// Adds a range that comes after all others: to the last where they touch, so that a pack of blank
/// lines is one range.
fn cut_out(cut: &mut Vec<Range<usize>>, range: Range<usize>) {
    match cut.last_mut().filter(|last| last.end == range.start) {
        Some(last) => last.end = range.end,
        None => cut.push(range),
    }
}

/// How many events the message says that it has.
fn told_events(message: &Message) -> usize {
    let told = message.attributes.get(ATTRIBUTE_EVENTS);
    told.and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// The lines without those ranges, ended by a line feed. Where nothing is to be cut, which is
/// nearly always, they are not copied.
fn without(mut lines: Vec<u8>, cut: &[Range<usize>]) -> Vec<u8> {
    if !cut.is_empty() {
        let mut kept = Vec::with_capacity(lines.len());
        let mut start = 0;
        for range in cut {
            kept.extend_from_slice(&lines[start..range.start]);
            start = range.end;
        }
        kept.extend_from_slice(&lines[start..]);
        lines = kept;
    }
    if lines.last().is_some_and(|last| *last != b'\n') {
        lines.push(b'\n');
    }
    lines.shrink_to_fit();
    lines
}

fn read_plain(kinds: &Kinds, message: &Message) -> Result<Contents, String> {
    let now = received_at(message);
    let received_at = contract::format_millis(now);
    let body =
        contract::split(message.body.as_bytes(), Format::Any).map_err(|error| causes(&error))?;
    let mut contents = Contents::default();
    contents
        .lines
        .reserve(message.body.len() + body.texts().len() * 160);
    let mut broken = Broken::default();
    let mut reader = SentReader::new(kinds, None);
    for text in body.texts() {
        match read_event(kinds, &mut reader, text, now) {
            Ok(event) => {
                contract::write_line(&mut contents.lines, &event, &received_at, text);
                contents
                    .events
                    .push(EventMark::new(event.time, event.received_at.unwrap_or(now)));
            }
            Err(rejection) => broken.add(message, text, rejection),
        }
    }
    broken.finish(message, contents)
}

/// An event of a plain message: a line with the server's fields, or an event as sent.
fn read_event<'a>(
    kinds: &'a Kinds,
    reader: &mut SentReader<'a>,
    text: &'a str,
    now: DateTime<Utc>,
) -> Result<Event<'a>, Rejection> {
    // The quotes tell the field from a mention in a text, where they would be escaped. As a text
    // of its own it may still be a value, so an event as sent is looked for too.
    if !text.contains("\"ingest_received_at\"") {
        return reader.read(text, now);
    }
    contract::parse_line(kinds, text).or_else(|stored| reader.read(text, now).map_err(|_| stored))
}

/// The broken events of one message.
#[derive(Default)]
struct Broken {
    letters: Vec<DeadLetter>,
    count: usize,
    not_json: usize,
    first: Option<String>,
}

impl Broken {
    fn add(&mut self, message: &Message, text: &str, rejection: Rejection) {
        self.count += 1;
        self.not_json += usize::from(rejection.code == Code::InvalidJson);
        if self.letters.len() < MAX_LETTERS {
            self.letters
                .push(DeadLetter::of_event(message, text, &rejection));
        }
        self.first.get_or_insert(rejection.message);
    }

    fn finish(self, message: &Message, mut contents: Contents) -> Result<Contents, String> {
        let first = self.first.unwrap_or_default();
        // Not one event in it: not a body of ours, and to be kept whole rather than line by line.
        if self.count > 0 && self.not_json == self.count && contents.events.is_empty() {
            return Err(first);
        }
        contents.letters = self.letters;
        if self.count > MAX_LETTERS {
            let detail = format!(
                "{} of {} events break their contract; the first: {first}",
                self.count,
                self.count + contents.events.len()
            );
            contents.letters = vec![DeadLetter::of_message(message, MANY_BROKEN, &detail)];
        }
        Ok(contents)
    }
}

/// The error's words and those of its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn decode(kinds: &Kinds, message: &Message) -> Contents {
        super::decode(kinds, &mut Unpacker::default(), message)
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
        let mut message = plain(&packs.unwrap()[0].body);
        for (name, value) in [("codec", contract::CODEC), ("version", contract::VERSION)] {
            message.attributes.insert(name.into(), value.into());
        }
        message
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
    fn what_is_cut_in_a_row_is_cut_as_one() {
        let mut cut = Vec::new();
        [0..1, 1..2, 4..5, 5..9]
            .into_iter()
            .for_each(|range| cut_out(&mut cut, range));
        assert_eq!(cut, [0..2, 4..9]);
    }

    #[test]
    fn what_is_left_of_a_packs_lines_is_ended() {
        assert_eq!(without(b"a\nb".to_vec(), &[]), b"a\nb\n");
        assert_eq!(without(b"a\nb\nc".to_vec(), &[0..2, 4..5]), b"b\n");
        assert_eq!(without(b"a".to_vec(), &[Range { start: 0, end: 1 }]), b"");
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
}
