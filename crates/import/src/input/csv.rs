//! Cells of delimited text.
//!
//! The reader is our own because of what a stray quote does to others': it swallows the rows up to the next quote, or
//! to the end of the file. Here the row with the quote is refused, and the rows behind it are read.

use std::collections::VecDeque;

use super::cells::{Cells, Records};
use super::text::{Line, Lines};
use crate::error::ImportError;
use crate::report::Tally;

/// A record with line breaks in quotes is at most this long, in bytes: an event has at most 32 KiB.
const MAX_QUOTED: usize = 1 << 16;

/// How the cells of a record are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvForm {
    pub(crate) delimiter: char,
    /// The quote; `None` if quotes are text like any other.
    pub(crate) quote: Option<char>,
    /// Whether the first line names the columns.
    pub(crate) header: bool,
    /// Names of the columns in their order, in place of those in the file; empty if not given.
    pub(crate) names: Vec<String>,
    /// Lines before the header, or before the first record, that are skipped.
    pub(crate) skip_lines: u64,
    /// Whether a record may have fewer cells than there are columns.
    pub(crate) ragged: bool,
}

impl CsvForm {
    /// The names of the file's columns, having read `lines` up to the first record.
    pub(crate) fn read_names(
        &self,
        path: &str,
        lines: &mut CsvLines,
    ) -> Result<Vec<String>, ImportError> {
        let content = |message: String| ImportError::Content {
            path: path.to_owned(),
            message,
        };
        for _ in 0..self.skip_lines {
            lines.next_line(path)?;
        }
        let mut cells = Cells::default();
        if self.header || self.names.is_empty() {
            let first = loop {
                match lines.next_line(path)? {
                    None => return Err(content("it is empty: it has no header".to_owned())),
                    Some(Line::Bad(code, text)) => {
                        return Err(content(format!(
                            "its header cannot be read ({code}): {text}; see --encoding"
                        )));
                    }
                    Some(Line::Text(text)) if text.trim().is_empty() => {}
                    Some(Line::Text(text)) => break text,
                }
            };
            if split(&first, self, &mut cells) != Split::Whole {
                return Err(content(format!(
                    "the quotes of its header do not match: {first}"
                )));
            }
            if !self.header {
                lines.again.push_front(Line::Text(first));
            }
        }
        let given = self.names.iter().cloned();
        let further = (given.len()..cells.len()).map(|column| {
            let name = cells.get(column).filter(|_| self.header).map(str::trim);
            name.filter(|name| !name.is_empty())
                .map_or_else(|| format!("column_{}", column + 1), str::to_owned)
        });
        Ok(given.chain(further).collect())
    }
}

/// The lines of a file, some of which are read again.
pub(crate) struct CsvLines {
    lines: Lines,
    again: VecDeque<Line>,
}

impl CsvLines {
    pub(crate) fn new(lines: Lines) -> CsvLines {
        CsvLines {
            lines,
            again: VecDeque::new(),
        }
    }

    fn next_line(&mut self, path: &str) -> Result<Option<Line>, ImportError> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Some(line));
        }
        let line = self.lines.next_line();
        line.map_err(|source| ImportError::Read {
            path: path.to_owned(),
            source,
        })
    }
}

/// The records of a file of delimited text.
pub(crate) struct CsvRecords {
    pub(crate) path: String,
    pub(crate) lines: CsvLines,
    pub(crate) form: CsvForm,
    /// Number of columns.
    pub(crate) columns: usize,
    /// Where rows are counted; `None` in a second reading of the file.
    pub(crate) tally: Option<Tally>,
    /// Records so far.
    pub(crate) row: u64,
}

impl CsvRecords {
    /// Reads the record that begins with `text`, over further lines if a quote is open.
    fn record(
        &mut self,
        text: &str,
        cells: &mut Cells,
    ) -> Result<Result<(), &'static str>, ImportError> {
        let first = split(text, &self.form, cells);
        if first != Split::Open {
            return Ok(match first {
                Split::Stray => Err("stray_quote"),
                _ => self.check(cells),
            });
        }
        let mut record = text.to_owned();
        let mut taken = VecDeque::new();
        let closed = loop {
            if record.len() > MAX_QUOTED {
                break false;
            }
            let Some(line) = self.lines.next_line(&self.path)? else {
                break false;
            };
            let more = match &line {
                Line::Text(more) => more.clone(),
                Line::Bad(..) => {
                    taken.push_back(line);
                    break false;
                }
            };
            taken.push_back(line);
            // Only a quote can close the record.
            let may_close = self.form.quote.is_some_and(|quote| more.contains(quote));
            record.push('\n');
            record.push_str(&more);
            if may_close {
                match split(&record, &self.form, cells) {
                    Split::Whole => break self.check(cells).is_ok(),
                    Split::Stray => break false,
                    Split::Open => {}
                }
            }
        };
        if closed {
            return Ok(Ok(()));
        }
        // The quote was none: only its own row is lost.
        taken.append(&mut self.lines.again);
        self.lines.again = taken;
        Ok(Err("unclosed_quote"))
    }

    fn check(&self, cells: &mut Cells) -> Result<(), &'static str> {
        // Some loggers end each row with a delimiter.
        cells.trim_to(self.columns);
        if cells.len() > self.columns {
            Err("too_many_cells")
        } else if cells.len() < self.columns && !self.form.ragged {
            Err("too_few_cells")
        } else {
            Ok(())
        }
    }
}

impl Records for CsvRecords {
    fn next_record(&mut self, cells: &mut Cells) -> Result<Option<u64>, ImportError> {
        while let Some(line) = self.lines.next_line(&self.path)? {
            let (fault, text) = match line {
                Line::Text(text) if text.trim().is_empty() => continue,
                Line::Text(text) => (self.record(&text, cells)?.err(), text),
                Line::Bad(code, text) => (Some(code), text),
            };
            self.row += 1;
            if let Some(tally) = &self.tally {
                let mut counts = tally.lock();
                counts.read += 1;
                if let Some(code) = fault {
                    counts.broken.add(code, self.row, &text);
                }
            }
            if fault.is_none() {
                return Ok(Some(self.row));
            }
        }
        Ok(None)
    }
}

/// What a text is as a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    /// A whole record.
    Whole,
    /// It ends within quotes.
    Open,
    /// There is text behind a closing quote.
    Stray,
}

/// Splits a record into its cells (RFC 4180): a cell that begins with a quote ends with one, and two quotes within it
/// stand for one.
fn split(text: &str, form: &CsvForm, cells: &mut Cells) -> Split {
    cells.clear();
    let Some(quote) = form.quote.filter(|quote| text.contains(*quote)) else {
        text.split(form.delimiter).for_each(|cell| cells.push(cell));
        return Split::Whole;
    };
    let mut rest = text;
    let mut unquoted = String::new();
    loop {
        let Some(mut quoted) = rest.strip_prefix(quote) else {
            match rest.split_once(form.delimiter) {
                Some((cell, behind)) => {
                    cells.push(cell);
                    rest = behind;
                    continue;
                }
                None => {
                    cells.push(rest);
                    return Split::Whole;
                }
            }
        };
        unquoted.clear();
        loop {
            let Some((part, behind)) = quoted.split_once(quote) else {
                return Split::Open;
            };
            unquoted.push_str(part);
            match behind.strip_prefix(quote) {
                Some(behind) => {
                    unquoted.push(quote);
                    quoted = behind;
                }
                None => {
                    quoted = behind;
                    break;
                }
            }
        }
        cells.push(&unquoted);
        match quoted.strip_prefix(form.delimiter) {
            Some(behind) => rest = behind,
            None if quoted.is_empty() => return Split::Whole,
            None => return Split::Stray,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells_of(text: &str, delimiter: char, quote: Option<char>) -> (Split, Vec<Option<String>>) {
        let form = CsvForm {
            delimiter,
            quote,
            header: true,
            names: Vec::new(),
            skip_lines: 0,
            ragged: false,
        };
        let mut cells = Cells::default();
        let split = split(text, &form, &mut cells);
        let found = (0..cells.len()).map(|at| cells.get(at).map(str::to_owned));
        (split, found.collect())
    }

    #[test]
    fn cells_are_split_by_any_delimiter_with_quotes_or_none() {
        let some = |texts: &[&str]| -> Vec<Option<String>> {
            texts
                .iter()
                .map(|text| (!text.is_empty()).then(|| (*text).to_owned()))
                .collect()
        };
        let quote = Some('"');
        assert_eq!(
            cells_of("a,,\"b,\"\"c\"\"\",", ',', quote),
            (Split::Whole, some(&["a", "", "b,\"c\"", ""]))
        );
        assert_eq!(
            cells_of("a;\"b;c", ';', None),
            (Split::Whole, some(&["a", "\"b", "c"]))
        );
        assert_eq!(
            cells_of("'a\tb'\tc", '\t', Some('\'')),
            (Split::Whole, some(&["a\tb", "c"]))
        );
        assert_eq!(
            cells_of("5\",6", ',', quote),
            (Split::Whole, some(&["5\"", "6"]))
        );
        assert_eq!(cells_of("\"a,b", ',', quote).0, Split::Open);
        assert_eq!(cells_of("\"a\"b,c", ',', quote).0, Split::Stray);
    }
}
