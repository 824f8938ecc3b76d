//! An event while it is read: what has been found so far, and what must be there at the end.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::declare::kind::{Kind, OwnField};
use crate::event::{Event, EventId, Scalar};
use crate::read::long;
use crate::rejection::{Code, Rejection};
use crate::time::{self, Written};

/// Who wrote the text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// A client: the server's own fields are not there yet. `now` is the time of receipt.
    Client { now: DateTime<Utc> },
    /// Headwater: `kind`, `event_id` and `ingest_received_at` must be there.
    Server,
}

/// What a key of the event's object stands for.
pub(super) enum Field {
    Own(OwnField),
    EventId,
    Kind,
    ReceivedAt,
    Sender,
}

impl Field {
    #[inline]
    pub(super) fn of(kind: &Kind, origin: Origin, name: &str) -> Option<Field> {
        if let Some(own) = kind.own_field(name) {
            return Some(Field::Own(own));
        }
        match name {
            "event_id" => Some(Field::EventId),
            "kind" => Some(Field::Kind),
            "ingest_received_at" if matches!(origin, Origin::Server) => Some(Field::ReceivedAt),
            "sender" if matches!(origin, Origin::Server) => Some(Field::Sender),
            _ => None,
        }
    }
}

/// The event time in `text`, held against the kind's bounds, or that of an event that says none; `now` is the time of
/// receipt. How old an event may be is
/// asked of events as sent alone: what was taken once stays readable for as long as it is kept.
#[inline]
pub(super) fn event_time(
    kind: &Kind,
    text: Option<&Written<'_>>,
    origin: Origin,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Rejection> {
    let Some(text) = text else {
        // Without a time it happened when it came, to the millisecond that its line will tell.
        return Ok(time::now_millis_precision(now));
    };
    let time = time::parse(text, &kind.time, now)?;
    match origin {
        Origin::Client { .. } if now.signed_duration_since(time) > kind.time.max_age => {
            Err(too_old(kind, text, time))
        }
        _ => Ok(time),
    }
}

#[cold]
fn too_old(kind: &Kind, text: &Written<'_>, time: DateTime<Utc>) -> Rejection {
    let what = format!(
        "is {}, more than {} days before it was received: `max_age_days` of kind `{}` takes no older event",
        time::shown(text, time, &kind.time),
        kind.time.max_age.num_days(),
        kind.name
    );
    Rejection::at(Code::TooOld, &kind.time.field, what)
}

pub(super) type Signals<'a> = Vec<(Cow<'a, str>, Scalar<'a>)>;

/// The signals that are taken, and what was wrong with those left out.
pub(super) type Sorted<'a> = (Signals<'a>, Vec<Rejection>);

pub(super) struct Draft<'a> {
    pub(super) kind: &'a Kind,
    pub(super) event_id: Option<EventId<'a>>,
    pub(super) entity: Option<Cow<'a, str>>,
    pub(super) time: Option<Written<'a>>,
    pub(super) received_at: Option<DateTime<Utc>>,
    pub(super) sender: Option<Cow<'a, str>>,
    pub(super) fields: Vec<(usize, Scalar<'a>)>,
    pub(super) signals: Option<Sorted<'a>>,
    pub(super) names_kind: bool,
}

impl<'a> Draft<'a> {
    #[inline]
    pub(super) fn new(kind: &'a Kind) -> Draft<'a> {
        Draft {
            kind,
            event_id: None,
            entity: None,
            time: None,
            received_at: None,
            sender: None,
            fields: Vec::with_capacity(kind.fields.len()),
            signals: None,
            names_kind: false,
        }
    }

    #[inline]
    pub(super) fn has_field(&self, at: usize) -> bool {
        self.fields.iter().any(|(other, _)| *other == at)
    }

    /// The event, if all that it needs is there and its time is within bounds.
    #[inline]
    pub(super) fn finish(mut self, origin: Origin) -> Result<Event<'a>, Rejection> {
        let kind = self.kind;
        let mut others = kind.fields.iter().enumerate();
        let lacks_field = others.any(|(at, rule)| rule.required && !self.has_field(at));
        let lacks_time = self.time.is_none() && !kind.time.defaults_to_arrival;
        let default = || kind.entity.default.as_deref().map(Cow::Borrowed);
        let entity = self.entity.clone().or_else(default);
        let (Some(entity), false, false) = (entity, lacks_field, lacks_time) else {
            return Err(self.missing());
        };
        let (object, omitted) = self.signals.take().unzip();
        let Some(signals) = long::signals(kind, object, &mut self.fields)? else {
            return Err(self.missing());
        };
        let Draft {
            event_id,
            time,
            received_at,
            sender,
            fields,
            names_kind,
            ..
        } = self;
        let now = match (origin, received_at) {
            (Origin::Client { now }, _) => now,
            (Origin::Server, Some(received_at)) if event_id.is_some() && names_kind => received_at,
            (Origin::Server, _) => {
                let message = "the line lacks one of the server's fields `kind`, `event_id`, `ingest_received_at`";
                return Err(Rejection::new(Code::MissingField, None, message));
            }
        };
        Ok(Event {
            kind,
            event_id,
            entity,
            time: event_time(kind, time.as_ref(), origin, now)?,
            received_at,
            sender,
            fields,
            signals,
            omitted: omitted.unwrap_or_default(),
            names_kind,
        })
    }

    #[cold]
    fn missing(&self) -> Rejection {
        let has = |name: &str| match self.kind.own_field(name) {
            Some(OwnField::Entity) => self.entity.is_some(),
            Some(OwnField::Time) => self.time.is_some(),
            Some(OwnField::Signals) => self.signals.is_some(),
            Some(OwnField::Other(at)) => self.has_field(at),
            None => false,
        };
        let absent: Vec<&str> = self.kind.required().filter(|name| !has(name)).collect();
        let message = format!("kind `{}` needs `{}`", self.kind.name, absent.join("`, `"));
        let first = absent.first().map(|name| (*name).to_owned());
        Rejection::new(Code::MissingField, first, message)
    }
}
