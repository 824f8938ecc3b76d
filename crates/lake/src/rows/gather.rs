//! Reads lines into the rows of their kinds and event hours.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::error::ArrowError;
use contract::{Code, Event, Hour, Kind, Kinds, MAX_EVENT_BYTES, Rejection};

use crate::rows::block::{Block, Span};
use crate::rows::buckets::Buckets;
use crate::rows::columns::{Admission, SignalTypes};
use crate::rows::growing_rows::GrowingRows;
use crate::rows::lines::{lines, read_line};

/// Longest line that is read: an event of the greatest length, escaped, and what the server adds.
pub const MAX_LINE_BYTES: usize = 8 * MAX_EVENT_BYTES;

const LINE_TOO_LONG: &str = "line_too_long";

/// A kind by its place in [`Kinds::iter`], and an event hour.
pub type KindHour = (usize, Hour);

/// A line that breaks its contract.
#[derive(Debug, PartialEq)]
pub struct Refused<'l> {
    /// A code to filter by, such as `missing_field`.
    pub reason: &'l str,
    /// The reason in words.
    pub detail: &'l str,
    /// Text of the line without its end; cut to [`MAX_LINE_BYTES`].
    pub line: &'l str,
}

/// Rows that grow, object by object; the objects themselves are not held.
pub struct Gathering {
    kinds: Arc<Kinds>,
    /// By kind.
    admissions: Arc<[Admission]>,
    buckets: Buckets,
    /// Rows of each hour, by bucket.
    hours: Vec<(KindHour, Vec<Option<Box<GrowingRows>>>)>,
    /// Index in `hours`.
    places: HashMap<KindHour, usize>,
    /// Index of the last event's hour: most events are of the kind and hour of the event before.
    last: usize,
    bytes: usize,
}

/// Which names get a column while rows are gathered, for each kind; `types` are the stored ones.
pub fn admissions<'t>(
    kinds: &Kinds,
    types: impl Fn(&str) -> Option<&'t SignalTypes>,
) -> Arc<[Admission]> {
    let kinds = kinds.iter();
    kinds
        .map(|kind| Admission::new(kind, types(&kind.name)))
        .collect()
}

impl Gathering {
    /// A gathering without rows, for events of these kinds; rows are divided into buckets by their ids.
    pub fn new(kinds: Arc<Kinds>, admissions: Arc<[Admission]>, buckets: Buckets) -> Gathering {
        Gathering {
            kinds,
            admissions,
            buckets,
            hours: Vec::new(),
            places: HashMap::new(),
            last: 0,
            bytes: 0,
        }
    }

    /// Bytes of memory that the rows take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the events of whole lines that lie in a `wanted` hour. `input` is the caller's number for the object,
    /// which comes back in [`Span`]s, and `offset` is where in the object the lines begin. Each line that breaks its
    /// contract is told to `refused`.
    ///
    /// # Errors
    ///
    /// The rejection of a line that names an undeclared kind: its row would be missing, so the object cannot be read.
    pub fn add(
        &mut self,
        input: u32,
        offset: u64,
        body: &[u8],
        wanted: impl Fn(Hour) -> bool,
        refused: impl FnMut(Refused<'_>),
    ) -> Result<(), Rejection> {
        let is_final = |rejection: &Rejection| !names_unknown_kind(rejection);
        self.add_lines((input, offset), body, wanted, refused, is_final)
    }

    /// [`add`](Gathering::add) for a reader that does without events of undeclared kinds: their lines are told to
    /// `refused` with the reason `unknown_kind`.
    pub fn add_declared(
        &mut self,
        input: u32,
        offset: u64,
        body: &[u8],
        refused: impl FnMut(Refused<'_>),
    ) {
        // No rejection ends it.
        let _ = self.add_lines((input, offset), body, |_| true, refused, |_| true);
    }

    /// The first rejection for which `is_final` does not hold ends it.
    fn add_lines(
        &mut self,
        (input, offset): (u32, u64),
        body: &[u8],
        wanted: impl Fn(Hour) -> bool,
        mut refused: impl FnMut(Refused<'_>),
        is_final: impl Fn(&Rejection) -> bool,
    ) -> Result<(), Rejection> {
        let kinds = self.kinds.clone();
        for at in lines(body) {
            let line = &body[at.clone()];
            let span = span(input, offset + at.start as u64, line.len());
            if line.len() > MAX_LINE_BYTES {
                refused(too_long(line));
                continue;
            }
            match read_line(&kinds, line) {
                Ok(event) => self.push(&event, span, &wanted),
                Err(rejection) if !is_final(&rejection) => return Err(rejection),
                Err(rejection) => refused(Refused {
                    reason: rejection.code.as_str(),
                    detail: &rejection.message,
                    line: String::from_utf8_lossy(line).trim_end(),
                }),
            }
        }
        Ok(())
    }

    fn push(&mut self, event: &Event<'_>, span: Span, wanted: impl Fn(Hour) -> bool) {
        let hour = Hour::of(event.time);
        if !wanted(hour) {
            return;
        }
        let is_last = |((kind, at), _): &(KindHour, _)| {
            *at == hour && is_kind(&self.kinds, *kind, event.kind)
        };
        if !self.hours.get(self.last).is_some_and(is_last) {
            let mut numbers = 0..self.admissions.len();
            let Some(kind) = numbers.find(|number| is_kind(&self.kinds, *number, event.kind))
            else {
                return;
            };
            let at = (kind, hour);
            self.last = *self.places.entry(at).or_insert_with(|| {
                let mut rows = Vec::new();
                rows.resize_with(self.buckets.count() as usize, || None);
                self.hours.push((at, rows));
                self.hours.len() - 1
            });
        }
        let ((kind, _), buckets) = &mut self.hours[self.last];
        let id = event.event_id.as_deref().unwrap_or_default();
        let rows = &mut buckets[self.buckets.of(id) as usize];
        let rows = rows.get_or_insert_with(|| Box::new(GrowingRows::new(event.kind)));
        self.bytes += rows.push(event, id, span, &self.admissions[*kind]);
    }

    /// Takes the rows out, as a block for each hour and bucket that has some.
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Arrow's own.
    pub fn take(&mut self) -> Result<Vec<(KindHour, u64, Block)>, ArrowError> {
        self.places.clear();
        (self.last, self.bytes) = (0, 0);
        let mut blocks = Vec::new();
        for (at, buckets) in std::mem::take(&mut self.hours) {
            let Some(kind) = self.kinds.iter().nth(at.0) else {
                continue;
            };
            for (bucket, rows) in (0..).zip(buckets) {
                if let Some(rows) = rows {
                    blocks.push((at, bucket, rows.finish(kind)?));
                }
            }
        }
        Ok(blocks)
    }
}

/// Whether a line is refused because its kind is not declared. A line that names no kind can never be read; one that
/// does waits for its declaration.
fn names_unknown_kind(rejection: &Rejection) -> bool {
    rejection.code == Code::UnknownKind && rejection.field.is_some()
}

/// Whether the kind is that of this number: events refer to the kinds that they were read with.
fn is_kind(kinds: &Kinds, number: usize, kind: &Kind) -> bool {
    kinds
        .iter()
        .nth(number)
        .is_some_and(|other| std::ptr::eq(other, kind))
}

fn span(input: u32, start: u64, length: usize) -> Span {
    let end = start + length as u64;
    match (u32::try_from(start), u32::try_from(end)) {
        (Ok(start), Ok(end)) => Span { input, start, end },
        _ => Span {
            input,
            start: u32::MAX,
            end: u32::MAX,
        },
    }
}

/// What is told of a line that is longer than [`MAX_LINE_BYTES`]; `start` holds its first bytes.
pub fn too_long(start: &[u8]) -> Refused<'_> {
    let start = &start[..start.len().min(MAX_LINE_BYTES)];
    let text = std::str::from_utf8(start);
    let valid = text.map_or_else(|error| error.valid_up_to(), str::len);
    Refused {
        reason: LINE_TOO_LONG,
        detail: "the line is longer than an event can be: its text is cut",
        line: std::str::from_utf8(&start[..valid]).unwrap_or_default(),
    }
}
