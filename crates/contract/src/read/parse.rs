//! The ways in: events as clients send them, and lines as Headwater stores them.

use chrono::{DateTime, Utc};

use crate::MAX_EVENT_BYTES;
use crate::declare::kind::Kind;
use crate::declare::kinds::Kinds;
use crate::event::Event;
use crate::read::detect::detect;
use crate::read::draft::Origin;
use crate::read::{full, quick};
use crate::rejection::{Code, Rejection};

/// Reads the events of one sender. It remembers the kind of the last one, so that in a run of the
/// same kind each is read in one pass.
#[derive(Debug, Clone)]
pub struct SentReader<'k> {
    kinds: &'k Kinds,
    expected: Option<&'k Kind>,
    last: Option<&'k Kind>,
}

impl<'k> SentReader<'k> {
    /// A reader of events of the kind `expected`, or of any kind for `None`.
    pub fn new(kinds: &'k Kinds, expected: Option<&'k Kind>) -> SentReader<'k> {
        SentReader {
            kinds,
            expected,
            last: None,
        }
    }

    /// Reads an event as a client sends it, of at most [`MAX_EVENT_BYTES`]; `now` is the time of
    /// receipt, which bounds the event time.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] for the first thing found wrong.
    pub fn read<'a>(&mut self, text: &'a str, now: DateTime<Utc>) -> Result<Event<'a>, Rejection>
    where
        'k: 'a,
    {
        if text.len() > MAX_EVENT_BYTES {
            let message = format!(
                "the event has {} bytes; at most {MAX_EVENT_BYTES} are taken",
                text.len()
            );
            return Err(Rejection::new(Code::TooLarge, None, message));
        }
        let origin = Origin::Client { now };
        if let Some(kind) = self.expected {
            return parse_as(kind, text, origin);
        }
        // An event that is valid for a kind which overlaps no other is of that kind.
        let apart = |kind: &&'k Kind| !kind.overlaps;
        for kind in self.last.into_iter().chain(self.kinds.iter()).filter(apart) {
            if let Some(event) = quick::read(kind, text, origin) {
                self.last = Some(kind);
                return Ok(event);
            }
        }
        let mut refused = None;
        if let Some(kind) = self.last.filter(apart) {
            match full::read(kind, text, origin) {
                Ok(event) => return Ok(event),
                Err(rejection) => refused = Some((kind, rejection)),
            }
        }
        let kind = detect(self.kinds, text)?;
        self.last = Some(kind);
        match refused {
            Some((refusing, rejection)) if std::ptr::eq(refusing, kind) => Err(rejection),
            _ => parse_as(kind, text, origin),
        }
    }
}

/// Reads one event as a client sends it: [`SentReader::read`] for a single event.
///
/// ```
/// let kinds = contract::Kinds::builtin();
/// let now = "2025-10-04T12:35:00Z".parse().unwrap();
/// let text = r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x1F0",
///     "payload":{"engine_rpm":2150}}"#;
/// let event = contract::parse_sent(&kinds, None, text, now).unwrap();
/// assert_eq!((event.kind.name.as_str(), &*event.entity), ("vehicle", "veh-1"));
///
/// let wrong = text.replace("2150", "-1");
/// let rejection = contract::parse_sent(&kinds, None, &wrong, now).unwrap_err();
/// assert_eq!(rejection.code.as_str(), "out_of_range");
/// assert_eq!(rejection.to_string(), "`payload.engine_rpm` is -1, below 0");
/// ```
///
/// # Errors
///
/// A [`Rejection`] for the first thing found wrong.
pub fn parse_sent<'a>(
    kinds: &'a Kinds,
    expected: Option<&'a Kind>,
    text: &'a str,
    now: DateTime<Utc>,
) -> Result<Event<'a>, Rejection> {
    SentReader::new(kinds, expected).read(text, now)
}

/// Reads a line as ingest writes it into packs and the consumer into `raw/`: the contract's
/// fields and the server's three. Its event time is held against its own time of receipt.
///
/// # Errors
///
/// A [`Rejection`], as for a sent event; `missing_field` too where one of the three is missing.
pub fn parse_line<'a>(kinds: &'a Kinds, text: &'a str) -> Result<Event<'a>, Rejection> {
    let kind = match kind_at_front(text).and_then(|name| kinds.get(name)) {
        Some(kind) => kind,
        None => detect(kinds, text)?,
    };
    parse_as(kind, text, Origin::Server)
}

/// The kind where the line starts as [`write_line`](crate::write_line) starts it.
fn kind_at_front(text: &str) -> Option<&str> {
    let named = text.strip_prefix("{\"kind\":\"")?;
    // A name is short: a search made for long texts would take longer to set up.
    let end = named.bytes().position(|b| b == b'"')?;
    Some(&named[..end])
}

fn parse_as<'a>(kind: &'a Kind, text: &'a str, origin: Origin) -> Result<Event<'a>, Rejection> {
    quick::read(kind, text, origin).map_or_else(|| full::read(kind, text, origin), Ok)
}
