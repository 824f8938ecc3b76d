//! Records of JSON: NDJSON, an array of objects, or one object.
//!
//! Each member is a column of text: a string as its characters, a number with the digits as they stand, `true` and
//! `false`, an array as JSON. The members of an object within are columns named `outer.inner`.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use encoding_rs::Encoding;
use serde_json::value::RawValue;

use super::cells::{Cells, Records};
use super::text::{self, Line, Lines};
use crate::error::ImportError;
use crate::report::Tally;

/// The most columns that a file of JSON may have: past it the names are data, not names.
const MAX_COLUMNS: usize = 4_096;

/// Objects within objects that are taken apart; deeper ones are JSON.
const MAX_DEPTH: usize = 8;

/// A file of JSON that is no NDJSON is read whole; this is the most that it may have, in bytes of UTF-8.
const MAX_WHOLE: u64 = 256 << 20;

/// The columns of a file, in the order in which their names first came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JsonColumns {
    pub(crate) names: Vec<String>,
    by_name: HashMap<String, usize>,
}

impl JsonColumns {
    fn place(&mut self, name: &str) -> Option<usize> {
        if let Some(place) = self.by_name.get(name) {
            return Some(*place);
        }
        let place = self.names.len();
        if place == MAX_COLUMNS {
            return None;
        }
        self.names.push(name.to_owned());
        self.by_name.insert(name.to_owned(), place);
        Some(place)
    }
}

/// Why a text is no record.
enum NoRecord {
    Invalid(String),
    NotAnObject,
    TooManyColumns,
}

/// Takes one object apart into `cells`; names that are new become columns.
fn take_apart(text: &str, columns: &mut JsonColumns, cells: &mut Cells) -> Result<(), NoRecord> {
    cells.clear();
    if !text.trim_start().starts_with('{') {
        let valid = serde_json::from_str::<&RawValue>(text);
        return Err(valid.map_or_else(
            |error| NoRecord::Invalid(error.to_string()),
            |_| NoRecord::NotAnObject,
        ));
    }
    members("", text, 0, columns, cells)
}

fn members(
    before: &str,
    text: &str,
    depth: usize,
    columns: &mut JsonColumns,
    cells: &mut Cells,
) -> Result<(), NoRecord> {
    let invalid = |error: serde_json::Error| NoRecord::Invalid(error.to_string());
    let object: HashMap<String, &RawValue> = serde_json::from_str(text).map_err(invalid)?;
    // A hash has no order of its own: the texts lie in the order of the file.
    let mut object: Vec<(String, &str)> = object
        .into_iter()
        .map(|(name, value)| (name, value.get()))
        .collect();
    object.sort_by_key(|(_, value)| value.as_ptr());
    for (name, value) in object {
        let name = if before.is_empty() {
            name
        } else {
            format!("{before}.{name}")
        };
        match value.as_bytes().first() {
            Some(b'{') if depth < MAX_DEPTH => members(&name, value, depth + 1, columns, cells)?,
            Some(b'n') => {
                columns.place(&name).ok_or(NoRecord::TooManyColumns)?;
            }
            first => {
                let place = columns.place(&name).ok_or(NoRecord::TooManyColumns)?;
                if first == Some(&b'"') {
                    let text: String = serde_json::from_str(value).map_err(invalid)?;
                    cells.set(place, &text);
                } else {
                    cells.set(place, value);
                }
            }
        }
    }
    Ok(())
}

/// The texts of a file's records, one after the other.
pub(crate) enum JsonTexts {
    /// A record a line.
    Lines(Lines),
    /// The records of a document.
    Whole(std::vec::IntoIter<Box<RawValue>>),
}

impl JsonTexts {
    /// A document: an array of records, or one record.
    pub(crate) fn whole(
        path: &str,
        encoding: &'static Encoding,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<JsonTexts, ImportError> {
        let content = |message: String| ImportError::Content {
            path: path.to_owned(),
            message,
        };
        let read = |source| ImportError::Read {
            path: path.to_owned(),
            source,
        };
        let mut document = String::new();
        let reader = text::open(Path::new(path), encoding, bytes_read).map_err(read)?;
        let length = reader
            .take(MAX_WHOLE + 1)
            .read_to_string(&mut document)
            .map_err(read)?;
        if length as u64 > MAX_WHOLE {
            return Err(content(format!(
                "one document of more than {} MiB is not taken: make it a record a line, as `jq -c '.[]'` does",
                MAX_WHOLE >> 20
            )));
        }
        let invalid = |error: serde_json::Error| content(format!("it is not valid JSON: {error}"));
        let records = if document.trim_start().starts_with('[') {
            serde_json::from_str(&document).map_err(invalid)?
        } else {
            vec![serde_json::from_str(&document).map_err(|error| {
                content(format!(
                    "it is not one JSON document: {error}; a record a line is --format ndjson"
                ))
            })?]
        };
        Ok(JsonTexts::Whole(records.into_iter()))
    }

    fn next_text(&mut self, path: &str) -> Result<Option<Line>, ImportError> {
        match self {
            JsonTexts::Lines(lines) => {
                let line = lines.next_line();
                line.map_err(|source| ImportError::Read {
                    path: path.to_owned(),
                    source,
                })
            }
            JsonTexts::Whole(records) => Ok(records
                .next()
                .map(|record| Line::Text(record.get().to_owned()))),
        }
    }
}

/// The records of a file of JSON.
pub(crate) struct JsonRecords {
    pub(crate) path: String,
    pub(crate) texts: JsonTexts,
    pub(crate) columns: JsonColumns,
    /// Where rows are counted; `None` in the reading for names, and in a second reading of the file.
    pub(crate) tally: Option<Tally>,
    /// Records so far.
    pub(crate) row: u64,
}

impl JsonRecords {
    /// Reads to the end for the names of the columns.
    pub(crate) fn read_names(mut self) -> Result<JsonColumns, ImportError> {
        let mut cells = Cells::default();
        while self.next_record(&mut cells)?.is_some() {}
        Ok(self.columns)
    }
}

impl Records for JsonRecords {
    fn next_record(&mut self, cells: &mut Cells) -> Result<Option<u64>, ImportError> {
        while let Some(line) = self.texts.next_text(&self.path)? {
            let fault = match &line {
                Line::Text(text) if text.trim().is_empty() => continue,
                Line::Text(text) => match take_apart(text, &mut self.columns, cells) {
                    Ok(()) => None,
                    Err(NoRecord::NotAnObject) => Some(("not_an_object", text.clone())),
                    Err(NoRecord::Invalid(why)) => Some(("invalid_json", format!("{why}: {text}"))),
                    Err(NoRecord::TooManyColumns) => {
                        let message =
                            format!("its records have more than {MAX_COLUMNS} different names");
                        return Err(ImportError::Content {
                            path: self.path.clone(),
                            message,
                        });
                    }
                },
                Line::Bad(code, text) => Some((*code, text.clone())),
            };
            self.row += 1;
            if let Some(tally) = &self.tally {
                let mut counts = tally.lock();
                counts.read += 1;
                if let Some((code, text)) = &fault {
                    counts.broken.add(code, self.row, text);
                }
            }
            if fault.is_none() {
                return Ok(Some(self.row));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_become_columns_of_text_with_their_digits() {
        let (mut columns, mut cells) = (JsonColumns::default(), Cells::default());
        let text =
            r#"{"t":"a\u00e4","n":1.50,"o":{"x":9007199254740993,"y":null},"l":[1,2],"b":true}"#;
        assert!(take_apart(text, &mut columns, &mut cells).is_ok());
        assert_eq!(columns.names, ["t", "n", "o.x", "o.y", "l", "b"]);
        let found: Vec<_> = (0..6).map(|at| cells.get(at)).collect();
        let wanted = [
            Some("aä"),
            Some("1.50"),
            Some("9007199254740993"),
            None,
            Some("[1,2]"),
            Some("true"),
        ];
        assert_eq!(found, wanted);
        assert!(matches!(
            take_apart("[1]", &mut columns, &mut cells),
            Err(NoRecord::NotAnObject)
        ));
        assert!(matches!(
            take_apart("{\"a\":", &mut columns, &mut cells),
            Err(NoRecord::Invalid(_))
        ));
    }
}
