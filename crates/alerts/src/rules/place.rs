//! Where a place within a YAML scalar stands in its file.

use serde_saphyr::{Location, Spanned};

/// Line and column, from 1, of the byte `at` of `text.value`, which was read from `source`.
///
/// A scalar may be plain, quoted, or a block of lines; the characters that are no white space come in the same order
/// in the file and in the value, apart from the escapes of quotes.
pub(super) fn place_within(source: &str, text: &Spanned<String>, at: usize) -> (u64, u64) {
    let start = line_and_column(text.defined);
    let offset = text.defined.span().byte_offset();
    let Some(scalar) = offset
        .and_then(|offset| usize::try_from(offset).ok())
        .and_then(|offset| source.get(offset..))
    else {
        return start;
    };
    let is_ink = |c: &char| !c.is_whitespace();
    let value = &text.value;
    let before = value[..at.min(value.len())].chars().filter(is_ink).count();
    let (mut line, mut column, mut met) = (start.0, start.1, 0);
    let mut chars = scalar.chars().peekable();
    let style = chars.peek().copied();
    let mut in_header = matches!(style, Some('|' | '>'));
    let quote = style.filter(|style| matches!(style, '"' | '\''));
    if quote.is_some() {
        chars.next();
        column += 1;
    }
    while let Some(c) = chars.next() {
        let is_escape = match quote {
            Some('"') => c == '\\',
            Some(_) => c == '\'' && chars.peek() == Some(&'\''),
            None => false,
        };
        if c == '\n' {
            (line, column, in_header) = (line + 1, 1, false);
            continue;
        }
        if !in_header && !is_escape && is_ink(&c) {
            if met == before {
                return (line, column);
            }
            met += 1;
            // The place is behind the last character: where something is missing.
            if met == before && before == value.chars().filter(is_ink).count() {
                return (line, column + 1);
            }
        }
        column += 1;
        if is_escape && let Some(escaped) = chars.next() {
            if met == before {
                return (line, column);
            }
            met += usize::from(is_ink(&escaped));
            column += 1;
        }
    }
    start
}

/// Line and column, from 1, of the beginning of a scalar.
pub(crate) fn place_of(source: &str, text: &Spanned<String>) -> (u64, u64) {
    place_within(source, text, 0)
}

pub(super) fn line_and_column(location: Location) -> (u64, u64) {
    (location.line(), location.column())
}
