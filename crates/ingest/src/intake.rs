//! Turns a body into lines and rejections.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::{Body, Code, Format, Kind, Kinds, SentReader};

use crate::answer::{MAX_LISTED, Refusal, RejectedEvent};
use crate::budget::Reservation;

/// How many bytes of lines are written before their share of the budget is taken.
const STEP_BYTES: usize = 64 * 1024;

/// The events of a body.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// The lines of the good events, each ended by a line feed.
    pub(crate) lines: Vec<u8>,
    /// How many those are.
    pub(crate) events: usize,
    /// The first of the others.
    pub(crate) rejected: Vec<RejectedEvent>,
    /// How many the others are, by reason.
    pub(crate) reasons: BTreeMap<Code, u64>,
}

impl Intake {
    /// How many events were refused.
    pub(crate) fn rejected_count(&self) -> usize {
        self.reasons.values().sum::<u64>() as usize
    }
}

/// How to read a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'k> {
    pub(crate) kinds: &'k Kinds,
    /// The kind of all events, where the route names one.
    pub(crate) expected: Option<&'k Kind>,
    pub(crate) format: Format,
    /// When the request was received.
    pub(crate) now: DateTime<Utc>,
}

impl Reading<'_> {
    /// Reads the body's events. The share of the budget moves from the body, which is dropped,
    /// to the lines.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where no events can be told apart, a single one is too large or not JSON, or
    /// the budget is exhausted. Events that break their contract are no error here.
    pub(crate) fn read(
        self,
        body: Vec<u8>,
        reservation: &mut Reservation,
    ) -> Result<Intake, Refusal> {
        let received_at = contract::format_millis(self.now);
        let split = contract::split(&body, self.format)?;
        let alone = matches!(split, Body::One(_));
        let mut reader = SentReader::new(self.kinds, self.expected);
        let mut intake = Intake {
            lines: Vec::with_capacity(body.len() + 128),
            ..Intake::default()
        };
        let mut reserved = 0;
        for (index, text) in split.texts().iter().enumerate() {
            match reader.read(text, self.now) {
                Ok(event) => {
                    contract::write_line(&mut intake.lines, &event, &received_at, text);
                    intake.events += 1;
                    if intake.lines.len() - reserved >= STEP_BYTES {
                        reservation.grow(intake.lines.len() - reserved)?;
                        reserved = intake.lines.len();
                    }
                }
                Err(rejection) if alone && rejection.code == Code::TooLarge => {
                    return Err(Refusal::EventTooLarge(rejection.message));
                }
                Err(rejection) if alone && rejection.code == Code::InvalidJson => {
                    return Err(Refusal::EventNotJson(rejection.message));
                }
                Err(rejection) => {
                    *intake.reasons.entry(rejection.code).or_default() += 1;
                    if intake.rejected.len() < MAX_LISTED {
                        intake.rejected.push(RejectedEvent::new(index, rejection));
                    }
                }
            }
        }
        reservation.grow(intake.lines.len() - reserved)?;
        reservation.shrink(body.len());
        Ok(intake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    const GOOD: &str = r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x1F0","payload":{"a":1}}"#;

    fn read(text: &str, format: Format, budget: &Budget) -> Result<(Intake, Reservation), Refusal> {
        let kinds = Kinds::builtin();
        let now = "2025-10-04T12:35:00Z".parse().unwrap();
        let mut reservation = budget.reserve();
        reservation.grow(text.len())?;
        let reading = Reading {
            kinds: &kinds,
            expected: None,
            format,
            now,
        };
        Ok((
            reading.read(text.as_bytes().to_vec(), &mut reservation)?,
            reservation,
        ))
    }

    #[test]
    fn good_events_become_lines_and_the_others_are_named_by_their_place() {
        let budget = Budget::new(usize::MAX);
        let text = format!(
            "{GOOD}\n\n{{\"vehicle_id\":\n{GOOD}\n{}\n",
            GOOD.replace("veh-1", "a/b")
        );
        let (intake, reservation) = read(&text, Format::Ndjson, &budget).unwrap();
        assert_eq!(intake.events, 2);
        let lines = String::from_utf8(intake.lines.clone()).unwrap();
        assert_eq!(lines.lines().count(), 2);
        assert!(
            lines
                .lines()
                .all(|line| line.contains("\"ingest_received_at\":\"2025-10-04T12:35:00.000Z\""))
        );
        assert_eq!(
            intake
                .rejected
                .iter()
                .map(|event| event.index)
                .collect::<Vec<_>>(),
            [1, 3]
        );
        assert_eq!(intake.rejected[0].code, "invalid_json");
        assert_eq!(intake.rejected_count(), 2);
        assert_eq!(
            budget.used(),
            intake.lines.len(),
            "what is reserved is what waits"
        );
        drop(reservation);
    }

    #[test]
    fn the_list_of_the_refused_is_bounded_and_their_number_is_not() {
        let budget = Budget::new(usize::MAX);
        let text = "{}\n".repeat(MAX_LISTED + 500);
        let (intake, _reservation) = read(&text, Format::Ndjson, &budget).unwrap();
        assert_eq!(
            (
                intake.events,
                intake.rejected.len(),
                intake.rejected_count()
            ),
            (0, MAX_LISTED, MAX_LISTED + 500)
        );
    }

    #[test]
    fn lines_beyond_the_budget_are_refused_and_give_back_what_they_took() {
        let text = format!("{GOOD}\n").repeat(10_000);
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
        let (intake, _reservation) =
            read(&format!("[{large},{GOOD}]"), Format::Json, &budget).unwrap();
        assert_eq!(
            (intake.events, intake.rejected[0].code.as_str()),
            (1, "too_large")
        );
    }
}
