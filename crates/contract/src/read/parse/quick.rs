//! Reads an event of the usual shape by the bytes: strings without escapes, no key twice, nothing wrong.
//!
//! Whatever is not of that shape gives nothing, and the full reader says what it is: it alone words
//! rejections, so the two cannot differ in them. What this reader does take, the full one takes with
//! the same values; a test holds the two against each other.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::scalar::{MAX_EXACT, check, check_entity};
use super::signals::{MAX_TEXT_BYTES, is_signal_name};
use super::{Key, Origin};
use crate::declare::kind::{FieldRule, Kind};
use crate::event::{Event, Scalar};
use crate::scan::plain_end;
use crate::{id, time};

/// The event in `text`, if it is one of the kind, and of the usual shape.
pub(super) fn read<'a>(kind: &'a Kind, text: &'a str, origin: Origin) -> Option<Event<'a>> {
    let mut json = Cursor { text, at: 0 };
    let (mut event_id, mut entity, mut time_text, mut received_at) = (None, None, None, None);
    let mut fields = Vec::with_capacity(kind.fields.len());
    let mut signals = None;
    let mut names_kind = false;
    json.object(|json, name| match Key::of(kind, origin, name)? {
        Key::Entity => {
            let text = json.plain_text()?;
            check_entity(kind, text).ok()?;
            put_once(&mut entity, text)
        }
        Key::Time => put_once(&mut time_text, json.plain_text()?),
        Key::Signals => put_once(&mut signals, read_signals(json, kind)?),
        Key::EventId => {
            let text = json.plain_text()?;
            id::is_valid(text).then_some(())?;
            put_once(&mut event_id, text)
        }
        Key::Kind => {
            let same = !names_kind && json.plain_text()? == kind.name;
            names_kind = true;
            same.then_some(())
        }
        Key::ReceivedAt => put_once(&mut received_at, time::rfc3339(json.plain_text()?)?),
        Key::Field(at) => {
            let value = read_checked(json, &kind.fields[at])?;
            let first = fields.iter().all(|(other, _)| *other != at);
            fields.push((at, value));
            first.then_some(())
        }
    })?;
    json.skip_space();
    let at_end = json.at == text.len();
    let required = kind.fields.iter().filter(|rule| rule.required).count();
    let there = fields.iter().filter(|(at, _)| kind.fields[*at].required);
    if !at_end || there.count() != required {
        return None;
    }
    let now: DateTime<Utc> = match origin {
        Origin::Client { now } => now,
        Origin::Server if event_id.is_some() && names_kind => received_at?,
        Origin::Server => return None,
    };
    Some(Event {
        kind,
        event_id: event_id.map(Cow::Borrowed),
        entity: Cow::Borrowed(entity?),
        time: time::parse(time_text?, &kind.time, now).ok()?,
        received_at,
        fields,
        signals: signals?,
        names_kind,
    })
}

type Signals<'a> = Vec<(Cow<'a, str>, Scalar<'a>)>;

fn read_signals<'a>(json: &mut Cursor<'a>, kind: &Kind) -> Option<Signals<'a>> {
    let mut signals: Signals<'a> = Vec::with_capacity(8);
    let mut marks = 0;
    json.object(|json, name| {
        let mark = mark_of(name);
        let twice = marks & mark != 0
            && signals
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(name));
        if twice || signals.len() == kind.max_signals {
            return None;
        }
        marks |= mark;
        let value = match kind.known_rule(name) {
            Some(rule) => read_checked(json, rule)?,
            None if kind.open
                && is_signal_name(name)
                && !kind.is_reserved_signal(name)
                && kind.known_in_other_case(name).is_none() =>
            {
                let value = json.scalar()?;
                let too_long = matches!(&value, Scalar::Text(text) if text.len() > MAX_TEXT_BYTES);
                (!too_long).then_some(value)?
            }
            None => return None,
        };
        signals.push((Cow::Borrowed(name), value));
        Some(())
    })?;
    (!signals.is_empty()).then_some(signals)
}

/// One bit of 64, the same for names that differ in case alone: most names are seen to be new by it.
#[inline]
fn mark_of(name: &str) -> u64 {
    let last = name.bytes().last().unwrap_or_default() | 0x20;
    1 << ((name.len() * 5 + usize::from(last)) % 64)
}

#[inline(always)]
fn read_checked<'a>(json: &mut Cursor<'a>, rule: &FieldRule) -> Option<Scalar<'a>> {
    let value = json.scalar()?;
    check(rule, &value, (None, &rule.name)).ok()?;
    Some(value)
}

/// Fills `place`, unless it is filled already.
#[inline]
fn put_once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// A place in JSON text. Each method moves past what it reads, or gives nothing and then stands anywhere.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips white space, then takes the byte `wanted`.
    #[inline]
    fn take(&mut self, wanted: u8) -> Option<()> {
        self.skip_space();
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Reads an object: `each` is given every key, and reads the value.
    #[inline]
    fn object(&mut self, mut each: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.skip_space();
            let name = self.plain_text()?;
            self.take(b':')?;
            self.skip_space();
            each(self, name)?;
            self.skip_space();
            let next = self.peek()?;
            self.at += 1;
            match next {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string without escapes.
    #[inline]
    fn plain_text(&mut self) -> Option<&'a str> {
        (self.peek()? == b'"').then_some(())?;
        let start = self.at + 1;
        let end = plain_end(self.text.as_bytes(), start);
        self.at = end + 1;
        (*self.text.as_bytes().get(end)? == b'"').then(|| &self.text[start..end])
    }

    // Inlined for good: a value handed over in memory is written in two parts and read as one, and
    // the CPU waits for that.
    #[inline(always)]
    fn scalar(&mut self) -> Option<Scalar<'a>> {
        match self.peek()? {
            b'"' => self.plain_text().map(|text| Scalar::Text(text.into())),
            b't' => self.word("true").map(|()| Scalar::Bool(true)),
            b'f' => self.word("false").map(|()| Scalar::Bool(false)),
            _ => self.number().map(Scalar::Number),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        there.then(|| self.at += word.len())
    }

    /// A number in JSON's grammar, as the nearest double; a whole one within ±2^53.
    #[inline(always)]
    fn number(&mut self) -> Option<f64> {
        let start = self.at;
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let (mut digits, whole_from) = (0, self.at);
        self.digits(&mut digits);
        let whole = self.at - whole_from;
        let leading_zero = whole > 1 && self.text.as_bytes()[whole_from] == b'0';
        if whole == 0 || leading_zero {
            return None;
        }
        let (mut places, mut exact) = (0, true);
        if self.peek() == Some(b'.') {
            self.at += 1;
            let from = self.at;
            self.digits(&mut digits);
            places = self.at - from;
            (places > 0).then_some(())?;
        } else if whole > 19 || digits > MAX_EXACT {
            return None;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            let from = self.at;
            self.digits(&mut 0);
            (self.at > from).then_some(())?;
            exact = false;
        }
        // A double holds these digits and these powers of ten exactly, so that the quotient is
        // rounded once, as the standard library's slower way rounds it (Clinger 1990).
        if exact && whole + places <= 19 && digits <= MAX_EXACT && places < POWERS_OF_TEN.len() {
            let number = digits as f64 / POWERS_OF_TEN[places];
            return Some(if negative { -number } else { number });
        }
        let number: f64 = self.text[start..self.at].parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// Takes digits and appends them to `number`, which is of use up to 19 digits.
    #[inline]
    fn digits(&mut self, number: &mut u64) {
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            *number = number
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
    }
}

/// The powers of ten that a double holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

#[cfg(test)]
mod tests;
