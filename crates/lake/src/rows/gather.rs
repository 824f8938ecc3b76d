//! Reads lines into the rows of their kinds and event hours.

use std::collections::{BTreeMap, HashMap};

use contract::{Code, Hour, Kinds, Rejection};

use crate::rows::hour_rows::{HourRows, Span};
use crate::rows::lines::{lines, read_line};

/// Rows by kind and event hour.
pub type RowsByHour<'k> = BTreeMap<(&'k str, Hour), HourRows<'k>>;

/// Why an event is refused whose signals would take its hour past the bound on columns.
const TOO_MANY_COLUMNS: &str = "too_many_columns";
const TOO_MANY_COLUMNS_DETAIL: &str = "the hour has its most columns of undeclared signals, and this event would bring more: declare the signals";

/// A line that is no row in the end, or whose row was replaced.
#[derive(Debug, PartialEq)]
pub enum LeftOut<'l> {
    /// The line breaks its contract, or its signals would need too many columns.
    Refused {
        /// A code to filter by, such as `missing_field`.
        reason: &'l str,
        /// The reason in words.
        detail: &'l str,
        /// Text of the line without its end.
        line: &'l str,
    },
    /// Another line has the same id and the same content.
    Duplicate,
    /// Another line has the same id with other content.
    Conflict {
        /// The id of both lines.
        id: &'l str,
        /// The line received first, which is the row.
        stays: Span,
        /// The line that is left out.
        goes: Span,
    },
}

/// Rows that grow, object by object; the objects themselves are not held.
pub struct Gathering<'k> {
    kinds: &'k Kinds,
    hours: Vec<((&'k str, Hour), HourRows<'k>)>,
    /// Index in `hours`.
    places: HashMap<(&'k str, Hour), usize>,
    /// Index of the last event's hour: most events are of the kind and hour of the event before.
    last: usize,
}

impl<'k> Gathering<'k> {
    /// A gathering without rows, for events of these kinds.
    pub fn new(kinds: &'k Kinds) -> Gathering<'k> {
        Gathering {
            kinds,
            hours: Vec::new(),
            places: HashMap::new(),
            last: 0,
        }
    }

    /// Adds the events of one object that lie in a `wanted` hour. `input` is the caller's number for the object, which
    /// comes back in [`Span`]s. Of events with the same id the one received first stays, in whatever order the objects
    /// are read. Each line that is left out is told to `left_out`.
    ///
    /// # Errors
    ///
    /// The rejection of a line that names an undeclared kind: its row would be missing, so the object cannot be read.
    pub fn add(
        &mut self,
        input: u32,
        body: &[u8],
        wanted: impl Fn(Hour) -> bool,
        mut left_out: impl FnMut(LeftOut<'_>),
    ) -> Result<(), Rejection> {
        for at in lines(body) {
            let span = Span {
                input,
                start: at.start as u32,
                end: at.end as u32,
            };
            let line = &body[at];
            let event = match read_line(self.kinds, line) {
                Ok(event) => event,
                // A line that names no kind can never be read; one that does waits for its declaration.
                Err(rejection)
                    if rejection.code == Code::UnknownKind && rejection.field.is_some() =>
                {
                    return Err(rejection);
                }
                Err(rejection) => {
                    left_out(LeftOut::Refused {
                        reason: rejection.code.as_str(),
                        detail: &rejection.message,
                        line: String::from_utf8_lossy(line).trim_end(),
                    });
                    continue;
                }
            };
            let hour = Hour::of(event.time);
            if !wanted(hour) {
                continue;
            }
            let id = event.event_id.as_deref().unwrap_or_default();
            let Some(rows) = self.rows(&event.kind.name, hour) else {
                continue;
            };
            if !rows.has_room(&event) {
                left_out(LeftOut::Refused {
                    reason: TOO_MANY_COLUMNS,
                    detail: TOO_MANY_COLUMNS_DETAIL,
                    line: String::from_utf8_lossy(line).trim_end(),
                });
                continue;
            }
            let Err(row) = rows.add(&event, id, span) else {
                continue;
            };
            let same = rows.is_same(row, &event);
            let (mut stays, mut goes) = (rows.span(row), span);
            if rows.was_received_after(row, &event) {
                rows.replace(&event, id, span);
                (stays, goes) = (goes, stays);
            }
            let conflict = LeftOut::Conflict { id, stays, goes };
            left_out(if same { LeftOut::Duplicate } else { conflict });
        }
        Ok(())
    }

    /// The rows of that kind and hour; none if the kind is not declared.
    fn rows(&mut self, kind: &str, hour: Hour) -> Option<&mut HourRows<'k>> {
        let is_it = |((name, at), _): &((&str, Hour), _)| *at == hour && *name == kind;
        if !self.hours.get(self.last).is_some_and(is_it) {
            self.last = match self.places.get(&(kind, hour)) {
                Some(at) => *at,
                None => {
                    let kind = self.kinds.get(kind)?;
                    let at = (kind.name.as_str(), hour);
                    self.hours.push((at, HourRows::new(kind)));
                    self.places.insert(at, self.hours.len() - 1);
                    self.hours.len() - 1
                }
            };
        }
        self.hours.get_mut(self.last).map(|(_, rows)| rows)
    }

    /// The rows of all hours that have had any.
    pub fn finish(self) -> RowsByHour<'k> {
        self.hours.into_iter().collect()
    }
}
