//! The first lines of a text.

use super::object::SHOWN;

/// Bytes at which a line, or a text in a row, is cut.
const MOST_LINE: usize = 4096;

/// The first lines of `bytes`; none where they are no text. `is_cut` says that the object goes on after them.
pub(super) fn first_lines(bytes: &[u8], is_cut: bool) -> Option<Vec<String>> {
    if bytes.contains(&0) {
        return None;
    }
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').take(SHOWN + 1).collect();
    // What stands after the last line's end is no line, and the last piece of a cut text only if it is all there is.
    if lines.len() > SHOWN
        || lines
            .last()
            .is_some_and(|last| last.is_empty() || is_cut && last.len() < MOST_LINE)
    {
        lines.pop();
    }
    let lines = lines.into_iter().map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = String::from_utf8_lossy(&line[..line.len().min(MOST_LINE + 3)]);
        cut(text.into_owned())
    });
    Some(lines.collect())
}

/// A text of at most 4 KiB, with a sign that it goes on where it does.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > MOST_LINE {
        let end = (0..=MOST_LINE)
            .rev()
            .find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_between_letters_and_a_broken_last_one_is_left_out() {
        assert_eq!(first_lines(b"a\r\nb\n", false).unwrap(), ["a", "b"]);
        assert_eq!(first_lines(b"a\nb", false).unwrap(), ["a", "b"]);
        assert_eq!(first_lines(b"a\nb", true).unwrap(), ["a"]);
        assert_eq!(first_lines(&[b'\n'; 100], false).unwrap().len(), SHOWN);
        assert_eq!(first_lines(b"PAR1\0", false), None);
        let long = "ü".repeat(3000);
        let lines = first_lines(long.as_bytes(), true).unwrap();
        assert_eq!(lines, [format!("{}…", "ü".repeat(2048))]);
        assert_eq!(first_lines(b"\xff\n", false).unwrap(), ["\u{fffd}"]);
    }
}
