//! Which letters an operation is about.

use std::sync::Arc;

use aws::Message;
use chrono::{DateTime, Utc};
use contract::{Format, Kinds};

use super::summary::{reason_of, unfold};

/// A choice of letters; the default is all of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only letters with this reason.
    pub reason: Option<String>,
    /// Only letters with one of these message ids; an empty list allows any.
    pub ids: Vec<String>,
    /// Only letters that were sent before this instant. Without it a replay would not end if a
    /// consumer answers it at once with new letters.
    pub sent_before: Option<DateTime<Utc>>,
    /// Only letters with events of this entity.
    pub entity: Option<OfEntity>,
    /// At most this many.
    pub limit: Option<usize>,
}

/// Letters of which some or all events are of one entity, however broken they are.
#[derive(Debug, Clone)]
pub struct OfEntity {
    /// The declared kinds.
    pub kinds: Arc<Kinds>,
    /// Name of the kind.
    pub kind: String,
    /// The entity.
    pub entity: String,
    /// Whether every event must be of it: whoever deletes letters deletes all of their events.
    pub all: bool,
}

impl OfEntity {
    fn matches(&self, message: &Message) -> bool {
        let text = unfold(message).unwrap_or_default();
        let texts = contract::split(text.as_bytes(), Format::Any).unwrap_or_default();
        let is_theirs = |text: &&str| {
            let (kind, entity) = contract::identify(&self.kinds, text);
            kind.as_ref() == Some(&self.kind) && entity.as_ref() == Some(&self.entity)
        };
        let theirs = texts.iter().filter(|text| is_theirs(text)).count();
        theirs > 0 && (!self.all || theirs == texts.len())
    }
}

impl Filter {
    /// Whether every letter matches that is there.
    pub fn is_everything(&self) -> bool {
        self.reason.is_none()
            && self.ids.is_empty()
            && self.entity.is_none()
            && self.limit.is_none()
    }

    fn matches(&self, message: &Message) -> bool {
        let wanted = self.reason.as_deref();
        wanted.is_none_or(|reason| reason == reason_of(message))
            && (self.ids.is_empty() || self.ids.contains(&message.id))
            && self
                .sent_before
                .is_none_or(|instant| message.sent_at < instant)
            && self
                .entity
                .as_ref()
                .is_none_or(|entity| entity.matches(message))
    }

    /// Whether no further letter can match once `found` letters have.
    pub(super) fn is_satisfied(&self, found: usize) -> bool {
        self.limit.is_some_and(|limit| found >= limit)
            || (!self.ids.is_empty() && found >= self.ids.len())
    }

    /// Keeps the letters that match, within the limit; `found` letters matched before.
    pub(super) fn pick(&self, messages: Vec<Message>, found: usize) -> Vec<Message> {
        let left = self
            .limit
            .map_or(usize::MAX, |limit| limit.saturating_sub(found));
        messages
            .into_iter()
            .filter(|message| self.matches(message))
            .take(left)
            .collect()
    }
}
