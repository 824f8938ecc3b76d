//! Reads an event of the usual shape by the bytes: strings without escapes, no key twice, nothing wrong.
//!
//! Whatever is not of that shape gives nothing, and [`full`](super::full) says what it is: it alone words
//! rejections, so the two cannot differ in them. What this reader does take, the full one takes with
//! the same values; a test holds the two against each other.

use std::borrow::Cow;

use crate::declare::kind::{Kind, OwnField};
use crate::declare::rule::{FieldRule, ScalarType, TimeFormat};
use crate::event::{Event, Scalar};
use crate::id;
use crate::read::check::{check, check_entity, check_undeclared, check_undeclared_value};
use crate::read::cursor::Cursor;
use crate::read::draft::{Field, Origin, Signals, event_time};
use crate::read::{labels, long};
use crate::time::{self, Written};

/// The event in `text`, if it is one of the kind, and of the usual shape.
pub(super) fn read<'a>(kind: &'a Kind, text: &'a str, origin: Origin) -> Option<Event<'a>> {
    let mut json = Cursor::new(text);
    let (mut event_id, mut entity, mut written) = (None, None, None);
    let (mut received_at, mut sender) = (None, None);
    let mut fields = Vec::with_capacity(kind.fields.len());
    let mut signals = None;
    let mut names_kind = false;
    json.object(|json, name| match Field::of(kind, origin, name)? {
        Field::Own(OwnField::Entity) => {
            let text = json.plain_text()?;
            check_entity(kind, text).ok()?;
            put_once(&mut entity, text)
        }
        Field::Own(OwnField::Time) => put_once(&mut written, written_time(json, kind)?),
        Field::Own(OwnField::Signals) => put_once(&mut signals, signals_of(json, kind)?),
        Field::EventId => {
            let text = json.plain_text()?;
            id::is_valid(text).then_some(())?;
            put_once(&mut event_id, text)
        }
        Field::Kind => {
            let same = !names_kind && json.plain_text()? == kind.name;
            names_kind = true;
            same.then_some(())
        }
        Field::ReceivedAt => put_once(&mut received_at, time::rfc3339(json.plain_text()?)?),
        Field::Sender => put_once(&mut sender, json.plain_text()?),
        Field::Own(OwnField::Other(at)) => {
            let rule = &kind.fields[at];
            let value = if rule.scalar == ScalarType::Labels {
                labels_of(json, rule)?
            } else {
                read_checked(json, rule)?
            };
            let first = fields.iter().all(|(other, _)| *other != at);
            fields.push((at, value));
            first.then_some(())
        }
    })?;
    let at_end = json.is_at_end();
    let entity = entity.or(kind.entity.default.as_deref());
    let has_time = written.is_some() || kind.time.defaults_to_arrival;
    let signals = long::signals(kind, signals, &mut fields).ok()?;
    let required = kind.fields.iter().filter(|rule| rule.required).count();
    let there = fields.iter().filter(|(at, _)| kind.fields[*at].required);
    if !at_end || !has_time || there.count() != required {
        return None;
    }
    let now = match origin {
        Origin::Client { now } => now,
        Origin::Server if event_id.is_some() && names_kind => received_at?,
        Origin::Server => return None,
    };
    Some(Event {
        kind,
        event_id: event_id.map(Cow::Borrowed),
        entity: Cow::Borrowed(entity?),
        time: event_time(kind, written.as_ref(), origin, now).ok()?,
        received_at,
        sender: sender.map(Cow::Borrowed),
        fields,
        signals: signals?,
        omitted: Vec::new(),
        names_kind,
    })
}

#[inline]
fn written_time<'a>(json: &mut Cursor<'a>, kind: &Kind) -> Option<Written<'a>> {
    let format = kind.time.format;
    if format.takes_text() && (format == TimeFormat::Rfc3339 || json.is_at_text()) {
        json.plain_text().map(|text| Written::Text(text.into()))
    } else {
        json.number_text().map(Written::Number)
    }
}

fn labels_of<'a>(json: &mut Cursor<'a>, rule: &FieldRule) -> Option<Scalar<'a>> {
    let mut labels = Vec::with_capacity(8);
    json.object(|json, name| {
        labels.push((Cow::Borrowed(name), Cow::Borrowed(json.plain_text()?)));
        Some(())
    })?;
    let text = labels::canonical(&rule.name, labels).ok()?;
    let labels = Scalar::Text(text.into());
    check(rule, &labels, (None, &rule.name)).ok()?;
    Some(labels)
}

fn signals_of<'a>(json: &mut Cursor<'a>, kind: &'a Kind) -> Option<Signals<'a>> {
    // Two copies of the code, so that a kind whose names stay as sent pays nothing for the others.
    match &kind.naming {
        None => signals_named(json, kind, Cow::Borrowed),
        Some(naming) => signals_named(json, kind, |sent| naming.signal(Cow::Borrowed(sent))),
    }
}

/// The signals, if each of them is taken; `named` gives a signal's name of the one that is sent.
#[inline]
fn signals_named<'a>(
    json: &mut Cursor<'a>,
    kind: &Kind,
    named: impl Fn(&'a str) -> Cow<'a, str>,
) -> Option<Signals<'a>> {
    let mut signals: Signals<'a> = Vec::with_capacity(8);
    let mut marks = 0;
    json.object(|json, sent| {
        let name = named(sent);
        let mark = mark_of(&name);
        let twice = marks & mark != 0
            && signals
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(&name));
        if twice || signals.len() == kind.max_signals {
            return None;
        }
        marks |= mark;
        let value = if let Some(rule) = kind.known.get(&*name) {
            read_checked(json, rule)?
        } else {
            check_undeclared(kind, &name).ok()?;
            let value = json.scalar()?;
            check_undeclared_value(&value, (None, sent)).ok()?;
            value
        };
        signals.push((name, value));
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

#[cfg(test)]
mod tests;
