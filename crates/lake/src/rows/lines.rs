//! Lines of a raw object, and events of lines: what whoever reads `raw/` has in common.

use std::ops::Range;

use contract::{Event, Kinds, Rejection, parse_line};

use crate::rows::derive::add_derived;

/// The lines of an object of `raw/` as ranges of its bytes, each with its line feed. Lines of white space are left
/// out; the last line may end without a line feed.
pub(crate) fn lines(body: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', body).map(|at| at + 1);
    let rest = (!body.ends_with(b"\n")).then_some(body.len());
    let all = ends.chain(rest).map(move |end| {
        let line = start..end;
        start = end;
        line
    });
    all.filter(|line| {
        let text = &body[line.clone()];
        text.starts_with(b"{") || !text.iter().all(u8::is_ascii_whitespace)
    })
}

/// Reads a line, with or without its line feed, into an event with its derived signals.
///
/// # Errors
///
/// The rejection of a line that is not UTF-8 or breaks its contract.
pub(crate) fn read_line<'l>(kinds: &'l Kinds, line: &'l [u8]) -> Result<Event<'l>, Rejection> {
    let mut event = parse_line(kinds, std::str::from_utf8(line).unwrap_or_default())?;
    add_derived(&mut event);
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_and_blank_ones_are_left_out() {
        let of = |body: &'static [u8]| lines(body).map(|at| &body[at]).collect::<Vec<_>>();
        assert_eq!(of(b"{1}\n\n \r\n{2}\n"), [b"{1}\n", b"{2}\n"]);
        assert_eq!(of(b"x\n{2}"), [&b"x\n"[..], b"{2}"]);
        assert!(of(b"").is_empty() && of(b"\n").is_empty() && of(b" ").is_empty());
    }
}
