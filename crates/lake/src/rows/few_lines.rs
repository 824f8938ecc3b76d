//! Events of one kind and event hour that are few, as the lines they came in: the columns of few rows would take more
//! memory than the lines, and more time than reading them once more.

use std::sync::Arc;

use arrow::error::ArrowError;
use contract::{Kind, Kinds, Rejection};

use crate::rows::block::{Block, Span};
use crate::rows::buckets::Bucket;
use crate::rows::column_type::ColumnType;
use crate::rows::columns::Admission;
use crate::rows::growing_rows::GrowingRows;
use crate::rows::lines::read_line;
use crate::rows::signal_set::SignalSet;

/// Bytes before each line: the number of its object, where it starts, and its length.
const HEADER: usize = 12;

/// Lines of one kind and event hour, each of which keeps its contract.
#[derive(Debug, Clone)]
pub struct FewLines {
    /// Header and text of each line, one behind the other.
    bytes: Vec<u8>,
    rows: usize,
    pub(crate) signals: SignalSet,
    /// The signals of the kind by number, once no line comes any more.
    pub(crate) all_signals: Arc<[(String, ColumnType)]>,
}

/// Why lines that were kept cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The bytes end within a line.
    #[error("the lines are cut off")]
    Cut,
    /// A line that kept its contract breaks it now.
    #[error("a line that was read before is refused now")]
    Refused(#[from] Rejection),
    /// The rows cannot be made a block.
    #[error("the rows cannot be held")]
    Arrow(#[from] ArrowError),
}

impl FewLines {
    pub(crate) fn new() -> FewLines {
        FewLines {
            bytes: Vec::new(),
            rows: 0,
            signals: SignalSet::default(),
            all_signals: Arc::default(),
        }
    }

    pub(crate) fn push(&mut self, span: Span, line: &[u8]) {
        for number in [span.input, span.start, line.len() as u32] {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.bytes.extend_from_slice(line);
        self.rows += 1;
    }

    /// Number of lines.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of memory that the lines take.
    pub fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The lines as [`FewRows::add`] reads them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of signals.
    pub fn signals(&self) -> usize {
        self.signals.count()
    }

    /// Name and type of each signal; a signal with values of two types comes twice.
    pub fn signal_types(&self) -> impl Iterator<Item = (&str, ColumnType)> {
        let signals = self.signals.pick(&self.all_signals);
        signals.map(|(name, r#type)| (name.as_str(), *r#type))
    }
}

/// Rows of lines that were kept as [`FewLines`].
pub struct FewRows<'k> {
    kinds: &'k Kinds,
    kind: &'k Kind,
    admission: &'k Admission,
    rows: GrowingRows,
    added: usize,
}

impl<'k> FewRows<'k> {
    /// No rows yet; the lines that come are of this one of the kinds.
    pub fn new(kinds: &'k Kinds, kind: &'k Kind, admission: &'k Admission) -> FewRows<'k> {
        FewRows {
            kinds,
            kind,
            admission,
            rows: GrowingRows::new(kind),
            added: 0,
        }
    }

    /// Adds the lines in the [bytes](FewLines::as_bytes) of a [`FewLines`], or those alone whose ids are in the bucket,
    /// and returns by how many bytes the rows have grown, about.
    ///
    /// # Errors
    ///
    /// None for bytes that are as they were.
    pub fn add(&mut self, bytes: &[u8], bucket: Option<Bucket>) -> Result<usize, LinesError> {
        let mut grown = 0;
        for kept in kept_lines(bytes) {
            let (span, line) = kept?;
            let event = read_line(self.kinds, line)?;
            let id = event.event_id.as_deref().unwrap_or_default();
            if bucket.is_none_or(|bucket| bucket.has(id)) {
                grown += self.rows.push(&event, id, span, self.admission);
                self.added += 1;
            }
        }
        Ok(grown)
    }

    pub(crate) fn into_growing(self) -> GrowingRows {
        self.rows
    }

    /// The rows as a block, if there are any.
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Arrow's own.
    pub fn finish(self) -> Result<Option<Block>, LinesError> {
        let block = (self.added > 0).then(|| self.rows.finish(self.kind));
        Ok(block.transpose()?)
    }
}

/// Span and text of each line in the [bytes](FewLines::as_bytes) of a [`FewLines`].
///
/// # Errors
///
/// None for bytes that are as they were.
pub fn kept_lines(mut bytes: &[u8]) -> impl Iterator<Item = Result<(Span, &[u8]), LinesError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let Some((span, line, rest)) = first(bytes) else {
            bytes = &[];
            return Some(Err(LinesError::Cut));
        };
        bytes = rest;
        Some(Ok((span, line)))
    })
}

/// Span and text of the first line, and what follows it.
fn first(bytes: &[u8]) -> Option<(Span, &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let (numbers, _) = header.as_chunks::<4>();
    let [input, start, length] = *numbers else {
        return None;
    };
    let [input, start, length] = [input, start, length].map(u32::from_le_bytes);
    let (line, rest) = rest.split_at_checked(length as usize)?;
    // A line past 4 GiB has the largest number for both.
    let end = start.saturating_add(length);
    Some((Span { input, start, end }, line, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_with_their_places_and_a_cut_is_found() {
        let span = |input, start, end| Span { input, start, end };
        let mut lines = FewLines::new();
        let spans = [span(3, 10, 15), span(9, 0, 2), span(1, u32::MAX, u32::MAX)];
        for (span, line) in spans.iter().zip(["hello", "ok", "far"]) {
            lines.push(*span, line.as_bytes());
        }
        assert_eq!(lines.rows(), 3);
        let mut bytes = lines.as_bytes();
        for (span, line) in spans.iter().zip(["hello", "ok", "far"]) {
            let (found, text, rest) = first(bytes).unwrap();
            assert_eq!((found, text), (*span, line.as_bytes()));
            bytes = rest;
        }
        assert!(bytes.is_empty());
        let cut = &lines.as_bytes()[..lines.as_bytes().len() - 1];
        let (_, _, rest) = first(cut).unwrap();
        let (_, _, rest) = first(rest).unwrap();
        assert!(first(rest).is_none());
    }
}
