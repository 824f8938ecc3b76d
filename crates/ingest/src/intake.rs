//! Turns a body into lines and rejections.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use contract::{BodyError, Code, Event, Format, Kind, Kinds, Receipt, Rejection, SentReader};
use metrics::counter;
use service::keys::Key;

use crate::http::answer::RejectedList;
use crate::http::refusal::Refusal;
use crate::memory::budget::{Buffer, Exhausted};
use crate::sample_ids::SampleIds;
use crate::told_infos::ToldInfos;

/// Room for the line of a usual event, so that it need not grow.
const LINE_BYTES: usize = 512;

/// Counts events of other entities than the client's certificate names.
pub(crate) const OTHER_ENTITY: &str = "headwater_ingest_other_entity_total";

/// The events of a body.
#[derive(Debug)]
pub(crate) struct Intake {
    /// The lines of the good events, each ended by a line feed.
    pub(crate) lines: Buffer,
    pub(crate) events: usize,
    /// What is said of metrics: events beside the others, each known by its hash.
    pub(crate) infos: HashSet<u64>,
    pub(crate) rejected: RejectedList,
    /// Number of refused events, by reason.
    pub(crate) reasons: BTreeMap<Code, u64>,
}

impl Intake {
    /// An empty intake: `lines` and `rejected` are empty, and say which budgets pay for what they will hold.
    pub(crate) fn new(lines: Buffer, rejected: RejectedList) -> Intake {
        Intake {
            lines,
            events: 0,
            infos: HashSet::new(),
            rejected,
            reasons: BTreeMap::new(),
        }
    }

    pub(crate) fn rejected_count(&self) -> usize {
        self.reasons.values().sum::<u64>() as usize
    }

    /// Events for the queue.
    pub(crate) fn to_send(&self) -> usize {
        self.events + self.infos.len()
    }

    /// Events that were read, good and refused ones.
    pub(crate) fn read_count(&self) -> usize {
        self.events + self.rejected_count()
    }

    fn reject(&mut self, rejection: Rejection) -> Result<(), Refusal> {
        let index = self.read_count();
        *self.reasons.entry(rejection.code).or_default() += 1;
        let listed = self.rejected.add(index, rejection);
        listed.map_err(|Exhausted| Refusal::AnswersUnread)
    }
}

/// Reads the events of one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyReader<'k> {
    /// Whose events they are.
    pub(crate) key: &'k Key,
    /// The entities whose events they may be, as the client's certificate says; any if absent.
    pub(crate) names: Option<&'k [String]>,
    pub(crate) kinds: &'k Kinds,
    /// The kind that the route names, if it names one: all events must be of it.
    pub(crate) expected: Option<&'k Kind>,
    /// Most events that the body may have.
    pub(crate) max_events: usize,
    /// When the request was received.
    pub(crate) now: DateTime<Utc>,
    /// Gives ids to events of long kinds.
    pub(crate) ids: &'k SampleIds,
    /// What the queue has been told of metrics.
    pub(crate) told: &'k ToldInfos,
}

impl BodyReader<'_> {
    /// Reads the body's events into `intake`.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the body cannot be divided into events or has too many, its only event is too large or not JSON,
    /// or a budget is exhausted. Events that break their contract are no error here. Of an array that breaks off,
    /// what follows is refused as one event.
    pub(crate) fn read(
        self,
        body: Buffer,
        format: Format,
        mut intake: Intake,
    ) -> Result<Intake, Refusal> {
        let received_at = contract::format_millis(self.now);
        let receipt = Receipt {
            at: &received_at,
            sender: self.key.sender(),
        };
        let mut reader = SentReader::new(self.kinds, self.expected);
        // The fields that the server adds are about three quarters as long as a small event.
        intake.lines.expect(body.len() / 4 * 7);
        let mut line = Vec::with_capacity(LINE_BYTES);
        let mut id = String::new();
        let mut refused = None;
        let mut take = |text: Result<&str, Rejection>, alone: bool| -> Result<(), Refusal> {
            if intake.read_count() == self.max_events {
                let limit = self.max_events;
                return Err(Refusal::TooManyEvents { limit });
            }
            let text = match text {
                Ok(text) => text,
                Err(rejection) => return intake.reject(rejection),
            };
            let read = reader.read(text, self.now);
            if let Ok(event) = &read
                && let Some(rejection) = self.not_certified(event)
            {
                counter!(OTHER_ENTITY).increment(1);
                if alone {
                    return Err(Refusal::NotCertified(rejection.message));
                }
                return intake.reject(rejection);
            }
            match read.and_then(|event| self.permit(event)) {
                Ok(event) => {
                    line.clear();
                    if event.kind.is_long() && event.event_id.is_none() {
                        self.ids.give(&mut id);
                        contract::write_line_as(&mut line, &event, &id, receipt, text);
                    } else {
                        contract::write_line(&mut line, &event, receipt, text);
                    }
                    intake.lines.append(&line)?;
                    for unfit in event.omitted {
                        intake
                            .rejected
                            .omit(intake.events + intake.rejected_count(), unfit)?;
                    }
                    intake.events += 1;
                }
                Err(rejection) if alone && rejection.code == Code::TooLarge => {
                    return Err(Refusal::EventTooLarge(rejection.message));
                }
                Err(rejection) if alone && rejection.code == Code::InvalidJson => {
                    return Err(Refusal::EventNotJson(rejection.message));
                }
                Err(rejection) if alone && rejection.code == Code::NotPermitted => {
                    let field = rejection.field.as_deref().unwrap_or_default();
                    return Err(self
                        .key
                        .forbidden(&format!("send events of this `{field}`"))
                        .into());
                }
                Err(rejection) => intake.reject(rejection)?,
            }
            Ok(())
        };
        let divided = contract::each_text(&body, format, |text, alone| match take(text, alone) {
            Ok(()) => ControlFlow::Continue(()),
            Err(refusal) => {
                refused = Some(refusal);
                ControlFlow::Break(())
            }
        });
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        match divided {
            Err(BodyError::BreaksOff { index: 1.., reason }) => {
                let message = format!("{reason}; nothing from here on was read");
                intake.reject(Rejection::new(Code::InvalidJson, None, message))?;
            }
            divided => divided?,
        }
        drop(body);
        intake.lines.shrink_to_fit();
        Ok(intake)
    }

    /// Why the client may not send the event, if its certificate names other entities.
    pub(crate) fn not_certified(&self, event: &Event<'_>) -> Option<Rejection> {
        let names = self.names?;
        if names.iter().any(|name| *name == *event.entity) {
            return None;
        }
        let field = &event.kind.entity.field;
        let value = shown(&event.entity);
        let message = match names {
            [] => {
                format!("{field} `{value}` cannot be sent: the client's certificate names nobody")
            }
            [name, ..] => format!(
                "{field} `{value}` is not one that the client's certificate names: it names `{}`",
                shown(name)
            ),
        };
        let field = Some(field.to_string());
        Some(Rejection::new(Code::NotPermitted, field, message))
    }

    /// The event, if its key may send it.
    pub(crate) fn permit<'e>(&self, event: Event<'e>) -> Result<Event<'e>, Rejection> {
        let (scope, kind) = (self.key.scope(), event.kind);
        if scope.allows_every_event() {
            return Ok(event);
        }
        let (field, value) = if !scope.allows_kind(&kind.name) {
            ("kind", &*kind.name)
        } else if !scope.allows_entity(&event.entity) {
            (&*kind.entity.field, &*event.entity)
        } else {
            return Ok(event);
        };
        let value = shown(value);
        let message = format!(
            "{field} `{value}` is not one that the key `{}` may send: it may {scope}",
            self.key.name()
        );
        Err(Rejection::new(
            Code::NotPermitted,
            Some(field.to_owned()),
            message,
        ))
    }
}

/// The first 40 characters.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::answer::MAX_LISTED;
    use crate::memory::budget::Budget;

    const GOOD: &str = r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x1F0","payload":{"a":1}}"#;

    fn read(text: &str, format: Format, budget: &Budget) -> Result<Intake, Refusal> {
        let kinds = Kinds::builtin();
        let now = "2025-10-04T12:35:00Z".parse().unwrap();
        let (ids, told) = (SampleIds::new(), ToldInfos::default());
        let key = Key::own();
        let reader = BodyReader {
            key: &key,
            names: None,
            ids: &ids,
            told: &told,
            kinds: &kinds,
            expected: None,
            max_events: 2_000,
            now,
        };
        let answers = Budget::new(usize::MAX);
        let intake = Intake::new(budget.buffer(), RejectedList::within(&answers));
        reader.read(budget.buffer_of(text.as_bytes()), format, intake)
    }

    #[test]
    fn good_events_become_lines_and_the_others_are_named_by_their_place() {
        let budget = Budget::new(usize::MAX);
        let text = format!(
            "{GOOD}\n\n{{\"vehicle_id\":\n{GOOD}\n{}\n",
            GOOD.replace("veh-1", "a/b")
        );
        let intake = read(&text, Format::Ndjson, &budget).unwrap();
        assert_eq!(intake.events, 2);
        let lines = String::from_utf8(intake.lines.to_vec()).unwrap();
        assert_eq!(lines.lines().count(), 2);
        assert!(
            lines
                .lines()
                .all(|line| line.contains("\"ingest_received_at\":\"2025-10-04T12:35:00.000Z\""))
        );
        assert_eq!(
            intake
                .rejected
                .events()
                .iter()
                .map(|event| event.index)
                .collect::<Vec<_>>(),
            [1, 3]
        );
        assert_eq!(intake.rejected.events()[0].code, "invalid_json");
        assert_eq!(intake.rejected_count(), 2);
        assert_eq!(
            budget.used(),
            intake.lines.len(),
            "what is reserved is what waits"
        );
    }

    #[test]
    fn the_list_of_the_refused_is_bounded_and_their_number_is_not() {
        let budget = Budget::new(usize::MAX);
        let text = "{}\n".repeat(MAX_LISTED + 500);
        let intake = read(&text, Format::Ndjson, &budget).unwrap();
        assert_eq!(
            (
                intake.events,
                intake.rejected.events().len(),
                intake.rejected_count()
            ),
            (0, MAX_LISTED, MAX_LISTED + 500)
        );
    }

    #[test]
    fn an_event_too_many_refuses_the_body_and_nothing_behind_it_is_read() {
        let budget = Budget::new(usize::MAX);
        for (text, format) in [
            ("{}\n".repeat(1_000_000), Format::Ndjson),
            (format!("[{}{{}}]", "{},".repeat(1_000_000)), Format::Json),
        ] {
            let refused = read(&text, format, &budget);
            assert!(
                matches!(refused, Err(Refusal::TooManyEvents { limit: 2_000 })),
                "{refused:?}"
            );
        }
        let text = "{}\n".repeat(2_000);
        let intake = read(&text, Format::Ndjson, &budget).unwrap();
        assert_eq!(intake.rejected_count(), 2_000);
    }

    #[test]
    fn an_array_loses_what_is_broken_and_no_more() {
        let budget = Budget::new(usize::MAX);
        let nan = GOOD.replace("\"a\":1", "\"a\":NaN");
        let intake = read(&format!("[{GOOD},{nan},{GOOD}]"), Format::Json, &budget).unwrap();
        let listed = intake.rejected.events();
        assert_eq!((intake.events, listed.len()), (2, 1));
        assert_eq!((listed[0].index, &*listed[0].code), (1, "invalid_json"));
        let intake = read(&format!("[{GOOD} {GOOD},{GOOD}]"), Format::Json, &budget).unwrap();
        let listed = intake.rejected.events();
        assert_eq!((intake.events, listed.len()), (1, 1));
        assert_eq!((listed[0].index, &*listed[0].code), (1, "invalid_json"));
        assert!(listed[0].message.contains("nothing from here on was read"));
        let cut = read(&format!("[{}", &GOOD[..40]), Format::Json, &budget);
        assert!(matches!(cut, Err(Refusal::NoEvents(_))), "{cut:?}");
    }

    #[test]
    fn lines_beyond_the_budget_are_refused_and_give_back_what_they_took() {
        let text = format!("{GOOD}\n").repeat(2_000);
        let budget = Budget::new(text.len() + 100_000);
        assert!(matches!(
            read(&text, Format::Ndjson, &budget),
            Err(Refusal::Overloaded)
        ));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_single_event_that_is_too_large_is_refused_as_a_whole() {
        let budget = Budget::new(usize::MAX);
        let large = GOOD.replace(
            "\"a\":1",
            &format!("\"a\":\"{}\"", "x".repeat(contract::MAX_EVENT_BYTES)),
        );
        assert!(matches!(
            read(&large, Format::Json, &budget),
            Err(Refusal::EventTooLarge(_))
        ));
        let intake = read(&format!("[{large},{GOOD}]"), Format::Json, &budget).unwrap();
        assert_eq!(
            (intake.events, intake.rejected.events()[0].code.as_str()),
            (1, "too_large")
        );
    }
}
