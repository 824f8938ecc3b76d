//! Reads messages: good events become lines, the rest becomes dead letters. No I/O, no clock.

use aws::Message;
use chrono::{DateTime, Utc};
use contract::{Code, Envelope, Event, Format, Kinds, Rejection, SentReader, Unpacker};
use memchr::memchr;
use service::errors::chain;

use crate::receive::contents::{Contents, EventMark};
use crate::receive::dead_letter::{DeadLetter, UNDECODABLE};
use crate::receive::receipt::{Plausible, received_at, refused_attribute};
use crate::receive::refused::Refused;
use crate::receive::wrapped;

/// Fewest bytes of a stored line: the names and times alone take more.
const SHORTEST_LINE: usize = 100;

/// Reads a message. The same message gives the same contents at each delivery, as long as the
/// kinds' declarations stay the same.
///
/// A message is a pack of lines that ingest wrote, if its envelope says so. Else it is JSON or
/// NDJSON: events as a client would send them to ingest, received when the message was sent, or
/// lines that have the server's fields already.
pub(crate) fn decode(kinds: &Kinds, unpacker: &mut Unpacker, message: &Message) -> Contents {
    let envelope = Envelope::read(&message.body, &message.attributes);
    let read = if envelope.is_pack() {
        read_pack(kinds, unpacker, message, &envelope)
    } else {
        read_plain(kinds, message)
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
    envelope: &Envelope<'_>,
) -> Result<Contents, String> {
    let text = envelope.text(unpacker).map_err(|error| chain(&error))?;
    read_lines(kinds, message, text.into_owned(), envelope.told_events())
}

/// Reads the lines of the message's pack, which claims to hold `told` events.
pub(super) fn read_lines(
    kinds: &Kinds,
    message: &Message,
    text: String,
    told: usize,
) -> Result<Contents, String> {
    let mut events = Vec::new();
    events.reserve_exact(told.min(text.len() / SHORTEST_LINE));
    let mut refused = Refused::new(message);
    let plausible = Plausible::of(message);
    // Lines are copied only from the first one on that is left out, and nearly always none is.
    let mut copied: Option<Vec<u8>> = None;
    let mut start = 0;
    while start < text.len() {
        let end = memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |at| start + at);
        let line = &text[start..end];
        let next = text.len().min(end + 1);
        let blank = !line.starts_with('{') && line.trim().is_empty();
        let read = || {
            let event = contract::parse_line(kinds, line)?;
            mark(&event, message.sent_at, plausible)
        };
        match (!blank).then(read) {
            Some(Ok(mark)) => {
                events.push(mark);
                if let Some(lines) = &mut copied {
                    lines.extend_from_slice(&text.as_bytes()[start..next]);
                }
            }
            left_out => {
                if let Some(Err(rejection)) = left_out {
                    refused.add(line, rejection);
                }
                copied.get_or_insert_with(|| text.as_bytes()[..start].to_vec());
            }
        }
        start = next;
    }
    let mut lines = copied.unwrap_or_else(|| text.into_bytes());
    if lines.last().is_some_and(|last| *last != b'\n') {
        lines.push(b'\n');
    }
    lines.shrink_to_fit();
    Ok(Contents {
        letters: refused.letters(events.len())?,
        lines,
        events,
    })
}

fn read_plain(kinds: &Kinds, message: &Message) -> Result<Contents, String> {
    if let Some(refusal) = refused_attribute(message) {
        return Err(refusal);
    }
    let (now, plausible) = (received_at(message), Plausible::of(message));
    let received_at = contract::format_millis(now);
    let texts =
        contract::split(message.body.as_bytes(), Format::Any).map_err(|error| chain(&error))?;
    let mut contents = Contents::default();
    let servers_fields = texts.len() * 160;
    contents.lines.reserve(message.body.len() + servers_fields);
    let mut refused = Refused::new(message);
    let mut reader = SentReader::new(kinds, None);
    let alone = texts.len() == 1;
    for (place, text) in texts.into_iter().enumerate() {
        let read = read_event(kinds, &mut reader, text, now)
            .and_then(|event| Ok((mark(&event, now, plausible)?, event)));
        match read {
            Ok((mark, event)) => {
                let lines = &mut contents.lines;
                if event.kind.is_long() {
                    let id = contract::id_of_place(&message.id, place);
                    contract::write_line_as(lines, &event, &id, &received_at, text);
                } else {
                    contract::write_line(lines, &event, &received_at, text);
                }
                contents.events.push(mark);
            }
            Err(rejection) => {
                if let Some(described) = alone.then(|| wrapped::described(text)).flatten() {
                    return Err(format!("the message is {described}"));
                }
                refused.add(text, rejection);
            }
        }
    }
    contents.letters = refused.letters(contents.events.len())?;
    Ok(contents)
}

/// The mark of an event, which was received at `now` unless it says otherwise.
///
/// # Errors
///
/// If the event's time of receipt cannot be true: it would make a partition of its own, in another year.
fn mark(
    event: &Event<'_>,
    now: DateTime<Utc>,
    plausible: Plausible,
) -> Result<EventMark, Rejection> {
    let received_at = event.received_at.unwrap_or(now);
    let mark = EventMark::new(event.time, received_at);
    if plausible.has(mark.received_at_ms) {
        return Ok(mark);
    }
    let field = "ingest_received_at";
    Err(Rejection {
        code: Code::TimestampOutOfRange,
        field: Some(field.to_owned()),
        message: format!("`{field}` {}", plausible.refusal(received_at)),
    })
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
