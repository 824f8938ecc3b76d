//! What makes an event that event: its kind, its event hour and its id.

use std::fmt;

use contract::{Event, Hour, Kinds, derive_event_id};
use uuid::Uuid;

/// An event's identity: two accepted events with the same identity are one event. The id alone is unique only
/// within its kind and event hour.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    id: CompactId,
    hour: Hour,
    kind: u16,
}

/// An id in few bytes: most are UUIDs, and a ledger holds millions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum CompactId {
    /// A UUID in lower case with hyphens, and in no other spelling: ids are texts.
    Uuid([u8; 16]),
    Text(Box<str>),
}

impl Identity {
    /// `kind` is the kind's place among the declared ones.
    pub(crate) fn new(kind: u16, hour: Hour, event_id: &str) -> Identity {
        let uuid = Uuid::try_parse(event_id).ok().filter(|uuid| {
            let mut spelled = Uuid::encode_buffer();
            uuid.hyphenated().encode_lower(&mut spelled) == event_id
        });
        let id = match uuid {
            Some(uuid) => CompactId::Uuid(uuid.into_bytes()),
            None => CompactId::Text(event_id.into()),
        };
        Identity { id, hour, kind }
    }

    /// The place of the kind among the declared ones.
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// The hour in which the event happened.
    pub fn hour(&self) -> Hour {
        self.hour
    }

    /// The event's id, as sent or derived.
    pub fn event_id(&self) -> impl fmt::Display {
        match &self.id {
            CompactId::Uuid(bytes) => Uuid::from_bytes(*bytes).to_string(),
            CompactId::Text(text) => text.to_string(),
        }
    }
}

/// The identity of an event as sent, or as it stands in `raw/`.
pub(crate) fn identity(kinds: &Kinds, event: &Event<'_>) -> Identity {
    let kind = kind_number(kinds, &event.kind.name).unwrap_or(u16::MAX);
    let hour = Hour::of(event.time);
    match &event.event_id {
        Some(id) => Identity::new(kind, hour, id),
        None => Identity::new(kind, hour, &derive_event_id(event).to_string()),
    }
}

/// The place of a kind among the declared ones.
pub(crate) fn kind_number(kinds: &Kinds, name: &str) -> Option<u16> {
    let place = kinds.iter().position(|kind| kind.name == name)?;
    u16::try_from(place).ok()
}

/// The name of the kind in that place.
pub fn kind_name(kinds: &Kinds, number: u16) -> String {
    kinds
        .iter()
        .nth(usize::from(number))
        .map_or_else(|| "?".to_owned(), |kind| kind.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_text_however_it_is_held() {
        let hour = Hour::of("2025-10-04T12:00:00Z".parse().unwrap());
        let of = |id: &str| Identity::new(0, hour, id);
        for id in [
            "6f0e0000-0000-4000-8000-00000000abcd",
            "6F0E0000-0000-4000-8000-00000000ABCD",
            "6f0e0000000040008000000000000abcd",
            "7",
        ] {
            assert_eq!(of(id).event_id().to_string(), id);
        }
        assert_ne!(
            of("6f0e0000-0000-4000-8000-00000000abcd"),
            of("6F0E0000-0000-4000-8000-00000000ABCD")
        );
        assert_ne!(of("7"), Identity::new(1, hour, "7"));
        assert_ne!(of("7"), Identity::new(0, hour.next(), "7"));
    }
}
