//! Reads lines into the rows of their kinds and event hours.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::error::ArrowError;
use contract::{Code, Event, Hour, Kind, Kinds, MAX_EVENT_BYTES, Rejection};

use crate::rows::block::{Block, Span};
use crate::rows::buckets::{Bucket, Buckets};
use crate::rows::columns::{Admission, SignalTypes};
use crate::rows::few_lines::{FewLines, FewRows};
use crate::rows::growing_rows::GrowingRows;
use crate::rows::lines::{lines, read_line};
use crate::rows::signal_set::SignalNumbers;

/// Longest line that is read: an event of the greatest length, escaped, and what the server adds.
pub const MAX_LINE_BYTES: usize = 8 * MAX_EVENT_BYTES;

const LINE_TOO_LONG: &str = "line_too_long";

/// Least rows of a block, on average, that are worth a block of their own when rows are divided into buckets.
const ROWS_PER_BUCKET: u64 = 128;

/// Bytes that an hour takes beside its lines, about.
const HOUR_BYTES: usize = 256;

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
    /// Most bytes of an hour's lines that are kept as lines.
    few_bytes: usize,
    /// The only hours whose lines may become rows; all if there are none.
    rows_of: Option<Arc<HashSet<KindHour>>>,
    hours: Vec<(KindHour, Rows)>,
    /// Index in `hours`.
    places: HashMap<KindHour, usize>,
    /// Index of the last event's hour: most events are of the kind and hour of the event before.
    last: usize,
    /// The signals of lines, by kind.
    signals: Vec<SignalNumbers>,
    bytes: usize,
}

/// The rows of one kind and event hour.
enum Rows {
    Few(FewLines),
    Many(Box<GrowingRows>),
}

/// The rows that a [`Gathering`] had; each kind and hour is in one of the two lists.
#[derive(Default)]
pub struct Taken {
    /// Blocks of hours, divided into buckets where that makes no small blocks.
    pub blocks: Vec<(KindHour, Bucket, Block)>,
    /// The lines of hours that have few.
    pub lines: Vec<(KindHour, FewLines)>,
}

/// Which names get a column while rows are gathered, for each kind; `types` are the stored ones.
pub fn admissions<'t>(
    kinds: &Kinds,
    types: impl Fn(&str) -> Option<&'t SignalTypes>,
) -> Arc<[Admission]> {
    let admissions = kinds.iter().map(|kind| {
        let admission = Admission::unknown(kind);
        admission.know(kind, types(&kind.name));
        admission
    });
    admissions.collect()
}

/// Where the adding of lines has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// All lines were added.
    All,
    /// The line that begins at byte `from` has an event of the kind of this number, whose [`Admission`] is not known
    /// yet. It and the lines behind it were not added.
    Waits {
        /// Place of the kind in [`Kinds::iter`].
        kind: usize,
        /// First byte of the line.
        from: usize,
    },
}

impl Gathering {
    /// A gathering without rows, for events of these kinds; rows are divided into buckets by their ids.
    pub fn new(kinds: Arc<Kinds>, admissions: Arc<[Admission]>, buckets: Buckets) -> Gathering {
        let mut signals = Vec::new();
        signals.resize_with(admissions.len(), SignalNumbers::default);
        Gathering {
            kinds,
            admissions,
            buckets,
            few_bytes: 0,
            rows_of: None,
            hours: Vec::new(),
            places: HashMap::new(),
            last: 0,
            signals,
            bytes: 0,
        }
    }

    /// Keeps the lines of an hour as they are while they take so many bytes at most. Without this there are no
    /// [lines](Taken::lines).
    #[must_use]
    pub fn with_few_lines(self, few_bytes: usize) -> Gathering {
        Gathering { few_bytes, ..self }
    }

    /// Keeps the lines of all other hours as they are, however many they are.
    #[must_use]
    pub fn with_rows_of(self, hours: Option<Arc<HashSet<KindHour>>>) -> Gathering {
        Gathering {
            rows_of: hours,
            ..self
        }
    }

    /// Bytes of memory that the rows take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the events of whole lines that lie in a `wanted` hour, up to the first one of a kind whose [`Admission`] is
    /// not known yet. `input` is the caller's number for the object, which comes back in [`Span`]s, and `offset` is
    /// where in the object the lines begin. Each line that breaks its contract is told to `refused`.
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
    ) -> Result<Added, Rejection> {
        let is_final = |rejection: &Rejection| !names_unknown_kind(rejection);
        self.add_lines((input, offset), body, wanted, refused, is_final)
    }

    /// [`add`](Gathering::add) for a reader that does without events of undeclared kinds: their lines are told to
    /// `refused` with the reason `unknown_kind`. The admissions of all kinds must be known.
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
    ) -> Result<Added, Rejection> {
        let kinds = self.kinds.clone();
        for at in lines(body) {
            let line = &body[at.clone()];
            let span = span(input, offset + at.start as u64, line.len());
            if line.len() > MAX_LINE_BYTES {
                refused(too_long(line));
                continue;
            }
            match read_line(&kinds, line) {
                Ok(event) => {
                    if let Some(kind) = self.push(&event, line, span, &wanted) {
                        let from = at.start;
                        return Ok(Added::Waits { kind, from });
                    }
                }
                Err(rejection) if !is_final(&rejection) => return Err(rejection),
                Err(rejection) => refused(Refused {
                    reason: rejection.code.as_str(),
                    detail: &rejection.message,
                    line: String::from_utf8_lossy(line).trim_end(),
                }),
            }
        }
        Ok(Added::All)
    }

    /// Adds the event. If the admission of its kind is not known, nothing is added, and the kind's number returned.
    fn push(
        &mut self,
        event: &Event<'_>,
        line: &[u8],
        span: Span,
        wanted: impl Fn(Hour) -> bool,
    ) -> Option<usize> {
        let hour = Hour::of(event.time);
        if !wanted(hour) {
            return None;
        }
        let is_last = |((kind, at), _): &(KindHour, _)| {
            *at == hour && is_kind(&self.kinds, *kind, event.kind)
        };
        if !self.hours.get(self.last).is_some_and(is_last) {
            let mut numbers = 0..self.admissions.len();
            let kind = numbers.find(|number| is_kind(&self.kinds, *number, event.kind))?;
            if !self.admissions[kind].is_known() {
                return Some(kind);
            }
            let at = (kind, hour);
            self.last = *self.places.entry(at).or_insert_with(|| {
                self.bytes += HOUR_BYTES;
                self.hours.push((at, Rows::Few(FewLines::new())));
                self.hours.len() - 1
            });
        }
        let (at, rows) = &mut self.hours[self.last];
        let (at, kind) = (*at, at.0);
        let admission = &self.admissions[kind];
        if let Rows::Few(lines) = rows {
            let before = lines.bytes();
            let may_be_rows = || {
                self.rows_of
                    .as_ref()
                    .is_none_or(|hours| hours.contains(&at))
            };
            let more = (before + line.len() > self.few_bytes && may_be_rows())
                .then(|| many(&self.kinds, event.kind, admission, lines));
            // Lines that have been read once can be read again. If not, they stay lines, and whoever reads them back
            // finds the error.
            if let Some(Some((many, bytes))) = more {
                self.bytes = self.bytes + bytes - before;
                *rows = Rows::Many(Box::new(many));
            } else {
                lines.push(span, line);
                self.signals[kind].note(event, admission, &mut lines.signals);
                self.bytes += lines.bytes() - before;
                return None;
            }
        }
        if let Rows::Many(rows) = rows {
            let id = event.event_id.as_deref().unwrap_or_default();
            self.bytes += rows.push(event, id, span, admission);
        }
        None
    }

    /// Takes the rows out.
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Arrow's own.
    pub fn take(&mut self) -> Result<Taken, ArrowError> {
        self.places.clear();
        (self.last, self.bytes) = (0, 0);
        let lists = self.signals.iter();
        let lists: Vec<_> = lists.map(|of_kind| Arc::from(of_kind.list())).collect();
        let mut taken = Taken::default();
        for (at, rows) in std::mem::take(&mut self.hours) {
            let rows = match rows {
                Rows::Few(mut lines) => {
                    lines.all_signals = Arc::clone(&lists[at.0]);
                    taken.lines.push((at, lines));
                    continue;
                }
                Rows::Many(rows) => rows,
            };
            let Some(kind) = self.kinds.iter().nth(at.0) else {
                continue;
            };
            let division = self.buckets.at_most(rows.len() as u64 / ROWS_PER_BUCKET);
            let blocks = rows.finish(kind)?.divide(division)?.into_iter();
            let blocks = blocks.map(|(bucket, block)| (at, bucket, block));
            taken.blocks.extend(blocks);
        }
        Ok(taken)
    }
}

/// The lines as rows, and the bytes that these take, about.
fn many(
    kinds: &Kinds,
    kind: &Kind,
    admission: &Admission,
    lines: &FewLines,
) -> Option<(GrowingRows, usize)> {
    let mut rows = FewRows::new(kinds, kind, admission);
    let bytes = rows.add(lines.as_bytes(), None).ok()?;
    Some((rows.into_growing(), bytes))
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
