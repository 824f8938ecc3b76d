//! Finds columns by their headers, however those came to be written.

use std::borrow::Cow;

use regex::Regex;
use serde::Deserialize;

/// How a mapping names a column: exactly one of the three.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnSpec {
    pub(crate) column: Option<String>,
    pub(crate) starts_with: Option<String>,
    pub(crate) matches: Option<String>,
}

/// A column, named in one of three ways. Headers are compared trimmed, without byte order mark, and
/// with UTF-8 that was once read as Latin-1 put right, so that `[°C]` and `[Â°C]` are the same.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    Exact(String),
    StartsWith(String),
    Matches(Regex),
}

impl ColumnSpec {
    /// The column; `what` names its user in the message.
    pub(crate) fn compile(&self, what: &str) -> Result<Column, String> {
        match (&self.column, &self.starts_with, &self.matches) {
            (Some(header), None, None) => Ok(Column::Exact(normal(header).into_owned())),
            (None, Some(start), None) => Ok(Column::StartsWith(normal(start).into_owned())),
            (None, None, Some(pattern)) => match Regex::new(pattern) {
                Ok(regex) => Ok(Column::Matches(regex)),
                Err(error) => Err(format!("{what}: `matches`: {error}")),
            },
            _ => Err(format!(
                "{what} needs exactly one of `column`, `starts_with` and `matches`"
            )),
        }
    }
}

impl Column {
    /// Its position among `headers`, which are [`normal`]; none where it is not there.
    pub(crate) fn find(&self, headers: &[String]) -> Result<Option<usize>, String> {
        let fits = |header: &String| match self {
            Column::Exact(name) => header == name,
            Column::StartsWith(start) => header.starts_with(start),
            Column::Matches(regex) => regex.is_match(header),
        };
        let mut found = headers
            .iter()
            .enumerate()
            .filter(|(_, header)| fits(header));
        match (found.next(), found.next()) {
            (Some((_, one)), Some((_, two))) => {
                Err(format!("{self} fits two columns, `{one}` and `{two}`"))
            }
            (one, _) => Ok(one.map(|(at, _)| at)),
        }
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Column::Exact(name) => write!(f, "column `{name}`"),
            Column::StartsWith(start) => write!(f, "column `{start}…`"),
            Column::Matches(regex) => write!(f, "column /{regex}/"),
        }
    }
}

/// The header as it was meant.
pub(crate) fn normal(header: &str) -> Cow<'_, str> {
    let header = header.trim_start_matches('\u{feff}').trim();
    match undo_latin1(header) {
        Some(meant) => Cow::Owned(meant),
        None => Cow::Borrowed(header),
    }
}

/// The text whose UTF-8 bytes were read as one Latin-1 character each, if this is one.
fn undo_latin1(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

/// A cell's text: UTF-8, or else Latin-1, which has a character for every byte.
pub(crate) fn text_of(cell: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(cell) {
        Ok(text) => Cow::Borrowed(text.trim()),
        Err(_) => Cow::Owned(
            cell.iter()
                .copied()
                .map(char::from)
                .collect::<String>()
                .trim()
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| normal(name).into_owned()).collect()
    }

    fn exact(name: &str) -> Column {
        ColumnSpec {
            column: Some(name.into()),
            ..ColumnSpec::default()
        }
        .compile("x")
        .unwrap()
    }

    #[test]
    fn a_degree_sign_read_as_latin_1_is_the_same_header() {
        let found = |names: &[&str]| exact("Temp [°C]").find(&headers(names)).unwrap();
        assert_eq!(found(&["Time", "Temp [Â°C]"]), Some(1));
        assert_eq!(found(&["\u{feff}Temp [°C] ", "Time"]), Some(0));
        assert_eq!(found(&[&text_of(b"Temp [\xb0C]")]), Some(0));
        assert_eq!(found(&["Temp [F]"]), None);
    }

    #[test]
    fn a_column_that_fits_two_headers_is_an_error_that_names_both() {
        let start = ColumnSpec {
            starts_with: Some("Pedal".into()),
            ..ColumnSpec::default()
        }
        .compile("x")
        .unwrap();
        let error = start.find(&headers(&["Pedal D", "Pedal E"])).unwrap_err();
        assert!(error.contains("Pedal D") && error.contains("Pedal E"));
    }

    #[test]
    fn a_column_is_named_in_exactly_one_way() {
        let two = ColumnSpec {
            column: Some("a".into()),
            starts_with: Some("a".into()),
            matches: None,
        };
        assert!(two.compile("x").is_err() && ColumnSpec::default().compile("x").is_err());
        let broken = ColumnSpec {
            matches: Some("(".into()),
            ..ColumnSpec::default()
        };
        assert!(
            broken
                .compile("signal `a`")
                .unwrap_err()
                .contains("signal `a`")
        );
    }
}
